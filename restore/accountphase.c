/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/accountphase.h"

#include <string.h>

#include "restore/accountlines.h"
#include "restore/apply.h"
#include "restore/carriers.h"
#include "restore/live.h"
#include "restore/moving.h"
#include "restore/signals.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/xattr.h"

#define MAX_FILE ((size_t)1 << 28) /* bytes, of a file of accounts */

/* ---- Which ids move -------------------------------------------------------------------------- */

static int add_then(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  const struct st_value *kind = &fact->values[0], *name = &fact->values[1], *id = &fact->values[2];
  if (id->type != ST_INTEGER || id->u.integer < 0 || id->u.integer > UINT32_MAX)
    return 0;
  ST_AUTO_FREE char *text = st_memdup(name->u.bytes.data, name->u.bytes.length);
  bool group = kind->u.bytes.length == 5 && memcmp(kind->u.bytes.data, "group", 5) == 0;
  st_account_facts_add(arg, group, text, (uint32_t)id->u.integer);
  return 0;
}

static int add_now(void *arg, bool group, const char *name, uint32_t id)
{
  st_account_facts_add(arg, group, name, id);
  return 0;
}

static int read_facts(struct st_session *s, struct st_account_facts *then,
                      struct st_account_facts *now, struct st_error *err)
{
  struct st_catalog *c = s->look->catalog;
  const struct st_catalog_table *table = st_catalog_table(c, ST_CORE_ACCOUNT);
  st_accounts_each(s->look->accounts, add_now, now);
  if (s->checkpoint == 0 || !table)
    return 0;
  return st_catalog_each(c, s->checkpoint, table, NULL, add_then, then, err) < 0 ? -1 : 0;
}

int st_account_phase_find(struct st_session *s, const struct st_journal *past, struct st_moves *ret,
                          struct st_error *err)
{
  ST_AUTO_ACCOUNT_FACTS then = {0}, now = {0};
  ST_AUTO_FREE char *root_path = realpath(s->look->root_path, NULL);
  struct st_carriers c = {
      .root = s->look->root, .root_path = root_path, .target = &then, .live = &now};
  if (past) {
    c.past = &past->moves;
    c.past_done = past->accounts_done;
    st_id_changes_add_inverse(&ret->changes, &past->moves.changes);
  }
  if (read_facts(s, &then, &now, err) < 0)
    return -1;
  st_id_changes_find(&then, &now, s->checkpoint && s->world.users_fixed,
                     s->checkpoint && s->world.groups_fixed, &ret->changes);
  return ret->changes.count > 0 ? st_carriers_find(&c, ret, err) : 0;
}

static uint32_t change(void *arg, bool group, uint32_t id)
{
  return st_id_changed(arg, group, id);
}

static uint32_t change_back(void *arg, bool group, uint32_t id)
{
  return st_id_changed_back(arg, group, id);
}

static void translate_acls(const struct st_id_changes *changes, bool back, struct st_state *s)
{
  struct st_xattr_names names = {.arg = (void *)changes, .change = back ? change_back : change};
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  if (!s->xattrs)
    return;
  st_xattrs_resolve(s->xattrs, s->xattrs_length, &names, &list);
  st_state_set_xattrs(s, list.data, list.length);
}

void st_account_phase_translate(const struct st_moves *moves, struct st_wishes *wishes)
{
  for (size_t i = 0; i < wishes->count && moves->changes.count > 0; i++) {
    struct st_action *w = wishes->items[i];
    if (st_is_account_file(w->path))
      continue;
    st_moves_translate(moves, w->path, &w->before.uid, &w->before.gid);
    translate_acls(&moves->changes, false, &w->before);
  }
}

void st_account_phase_translate_back(const struct st_moves *moves, struct st_wishes *wishes)
{
  for (size_t i = 0; i < wishes->count; i++) {
    struct st_action *w = wishes->items[i];
    st_moves_translate_back(moves, w->path, &w->after.uid, &w->after.gid);
    translate_acls(&moves->changes, true, &w->after);
    free(st_steal(&w->after.owner));
    free(st_steal(&w->after.group));
  }
}

/* ---- The files of accounts ------------------------------------------------------------------- */

/* The directory that they have to lie in is among them. */
static bool is_of_accounts(const struct st_action *a)
{
  bool made = strcmp(a->path, "/etc") == 0 && a->before.type != 'd' && a->after.type == 'd';
  return st_action_is_done(a) && a->kind != ST_ACTION_DELETE &&
         (st_is_account_file(a->path) || made);
}

static bool moves_some(const struct st_id_changes *c, bool group)
{
  for (size_t i = 0; i < c->count; i++) {
    if (c->items[i].group == group)
      return true;
  }
  return false;
}

static bool has_action(const struct st_journal *j, const char *path)
{
  for (size_t i = 0; i < j->actions.count; i++) {
    if (strcmp(j->actions.items[i]->path, path) == 0)
      return true;
  }
  return false;
}

void st_account_phase_take(struct st_actions *actions, struct st_journal *j,
                           struct st_strings *refusals)
{
  size_t kept = 0;
  for (size_t i = 0; i < actions->count; i++) {
    if (!is_of_accounts(actions->items[i])) {
      actions->items[kept++] = actions->items[i];
      continue;
    }
    st_actions_move(&j->actions, actions->items[i]);
    st_moves_drop(&j->moves, actions->items[i]->path);
  }
  actions->count = kept;
  if (j->undoes) /* one that was killed on its way may have put none back */
    return;
  for (int group = 0; group < 2; group++) {
    const char *path = group ? "/etc/group" : "/etc/passwd";
    if (moves_some(&j->moves.changes, group) && !has_action(j, path))
      st_strings_take(refusals,
                      st_format("%s: ids would change with it, and it cannot be put back", path));
  }
}

static int keep_lines(struct st_session *s, const struct st_journal *j, struct st_action *a,
                      struct st_buffer *target, struct st_buffer *live, struct st_error *err)
{
  struct st_store *store = s->write->store;
  ST_AUTO_CLOSE int fd = st_live_open(s->look->root, a->path, err);
  ST_AUTO_BUFFER merged = ST_BUFFER_INIT;
  if (fd < 0 || st_read_all(fd, MAX_FILE, live, err) < 0 ||
      st_store_get(store, &a->after.digest, target, err) < 0)
    return -1;
  if (!st_account_lines_merge(a->path, target, live, &j->moves.changes, &merged))
    return 0;
  bool secret = a->after.digest.keyed || a->before.digest.keyed;
  int r = st_store_put(store, merged.data, merged.length, secret, NULL, &a->after.digest, err);
  a->after.size = merged.length;
  explicit_bzero(merged.data, merged.size);
  return r < 0 ? -1 : 0;
}

int st_account_phase_keep(struct st_session *s, struct st_journal *j, struct st_error *err)
{
  for (size_t i = 0; i < j->actions.count; i++) {
    struct st_action *a = j->actions.items[i];
    ST_AUTO_BUFFER target = ST_BUFFER_INIT, live = ST_BUFFER_INIT;
    if (a->kind != ST_ACTION_REPLACE || a->before.type != 'f' || a->after.type != 'f')
      continue;
    int r = keep_lines(s, j, a, &target, &live, err);
    if (target.data)
      explicit_bzero(target.data, target.size);
    if (live.data)
      explicit_bzero(live.data, live.size);
    if (r < 0)
      return st_wrap(err, "cannot make %s ready", st_quote(a->path));
  }
  return st_store_sync(s->write->store, err);
}

/* ---- What is said ---------------------------------------------------------------------------- */

static void say_changes(struct st_buffer *out, const struct st_id_changes *changes)
{
  for (size_t i = 0; i < changes->count; i++) {
    const struct st_id_change *c = &changes->items[i];
    st_buffer_printf(out, "%s%s%s %u → %u", i ? ", " : "", c->group ? "group " : "",
                     st_quote(c->name), c->before, c->after);
    if (c->for_whom)
      st_buffer_printf(out, " (%s has its id then)", st_quote(c->for_whom));
  }
}

static json_t *json_change(const struct st_id_change *c)
{
  json_t *o = json_object();
  json_object_set_new(o, "kind", json_string(c->group ? "group" : "user"));
  json_object_set_new(o, "name", st_json_bytes(c->name, strlen(c->name)));
  json_object_set_new(o, "before", json_integer(c->before));
  json_object_set_new(o, "after", json_integer(c->after));
  json_object_set_new(o, "taken_by",
                      c->for_whom ? st_json_bytes(c->for_whom, strlen(c->for_whom)) : json_null());
  return o;
}

static void print_json(const struct st_moves *moves)
{
  json_t *o = json_object(), *changes = json_array(), *left = json_array();
  for (size_t i = 0; i < moves->changes.count; i++)
    json_array_append_new(changes, json_change(&moves->changes.items[i]));
  for (size_t i = 0; i < moves->left.count; i++)
    json_array_append_new(left, st_json_words(moves->left.items[i]));
  json_object_set_new(o, "action", json_string("accounts"));
  json_object_set_new(o, "ids", changes);
  json_object_set_new(o, "inodes", json_integer((json_int_t)st_moves_count(moves)));
  json_object_set_new(o, "not_moved", left);
  st_cli_json(o);
}

void st_account_phase_report(const struct st_session *s, const struct st_moves *moves)
{
  const struct st_cli *cli = s->request->cli;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  if (cli->quiet || moves->changes.count == 0)
    return;
  if (cli->json) {
    print_json(moves);
    return;
  }
  say_changes(&words, &moves->changes);
  printf("accounts: %s; %zu inodes to move\n", words.data, st_moves_count(moves));
  if (moves->left.count > 0)
    printf("accounts: not looked at for what to move: ");
  for (size_t i = 0; i < moves->left.count; i++)
    printf("%s%s", moves->left.items[i], i + 1 < moves->left.count ? ", " : "\n");
  fflush(stdout);
}

/* ---- Carried out ----------------------------------------------------------------------------- */

static int say_interrupted(void)
{
  fprintf(stderr, "systracker: interrupted while accounts were put back: `systracker restore "
                  "--resume` goes on, `systracker undo` goes back\n");
  return 1;
}

static int apply_files(struct st_session *s, struct st_journal *j, bool resumed,
                       struct st_error *err)
{
  ST_AUTO_STRINGS problems = {0};
  struct st_apply a = {.tracker = s->look,
                       .store = s->write->store,
                       .store_dir = s->write->store_dir,
                       .journal = j,
                       .problems = &problems,
                       .stays_open = true};
  if (resumed)
    st_apply_sweep(&a);
  int r = st_apply(&a, err);
  st_session_say(&problems);
  if (r == 0 && problems.count > 0)
    return st_fail(err, 0, "the files of accounts could not be put back");
  return r;
}

static int note_done(struct st_session *s, struct st_journal *j, struct st_error *err)
{
  ST_AUTO_CLOSE int done = st_journal_open_done(s->write->store_dir, j, err);
  if (done < 0 || st_journal_note(done, ST_JOURNAL_ACCOUNTS_DONE, err) < 0)
    return -1;
  j->accounts_done = true;
  return 0;
}

int st_account_phase_apply(struct st_session *s, struct st_journal *j, bool resumed,
                           struct st_error *err)
{
  ST_AUTO_STRINGS problems = {0};
  int r = apply_files(s, j, resumed, err);
  if (r > 0)
    return say_interrupted();
  if (r == 0) {
    st_signals_hold(NULL);
    r = st_moving_apply(s->look->root, &j->moves, st_signals_pending, &problems);
    st_session_say(&problems);
    s->problems += problems.count;
  }
  if (r > 0)
    return say_interrupted();
  if (r == 0)
    r = note_done(s, j, err);
  return r < 0 ? st_wrap(err, "`systracker restore --resume` goes on, `systracker undo` goes back")
               : 0;
}
