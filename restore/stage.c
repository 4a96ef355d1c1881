/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/stage.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "restore/put.h"
#include "restore/signals.h"
#include "restore/staged.h"
#include "restore/workers.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/meta.h"
#include "systracker/base/set.h"

/* A directory that is made anew in one that is there. */
struct top {
  size_t action;
  bool made, bare, placed;
};

struct item {
  uint32_t top; /* counted from 1; 0: it is not made ready */
  bool ready;
};

struct st_stage {
  struct st_stage_options o;
  struct item *items; /* one an action */
  struct top *tops;
  struct st_staged_list staged; /* one a top */
  struct st_accounts *accounts; /* as they will be */
  pthread_mutex_t telling;
  struct st_strings *refusals;
  bool noted;
};

static const struct st_action *action_of(const struct st_stage *s, size_t i)
{
  return &s->o.journal->actions.items[i];
}

/* ---- What can be made ready ------------------------------------------------------------------ */

static size_t parent_length(const char *path)
{
  return (size_t)(strrchr(path, '/') - path);
}

/* Other links of an inode come later; accounts and secrets are looked at one by one. */
static bool is_simple(const struct st_action *a)
{
  if (a->kind != ST_ACTION_CREATE || a->after.linked_to || st_is_account_file(a->path) ||
      !strchr("fdlcbp", a->after.type))
    return false;
  return a->after.type != 'f' || ((a->after.known & ST_KNOWN_DIGEST) && !a->after.digest.keyed);
}

static uint64_t add_top(struct st_stage *s, size_t action)
{
  size_t n = s->staged.count;
  const char *path = action_of(s, action)->path;
  ST_AUTO_FREE char *prefix = st_journal_beside(s->o.journal);
  s->tops = st_realloc(s->tops, n + 1, sizeof(*s->tops));
  s->staged.items = st_realloc(s->staged.items, n + 1, sizeof(*s->staged.items));
  s->tops[n] = (struct top){.action = action};
  s->staged.items[n] = (struct st_staged){
      .path = st_format("%.*s/%s%zu", (int)parent_length(path), path, prefix, action)};
  return ++s->staged.count;
}

/* `dirs`: those that are made in a tree, with the number of its top. */
static void choose(struct st_stage *s, size_t i, struct st_set *dirs)
{
  const struct st_action *a = action_of(s, i);
  uint64_t top = 0;
  if (!is_simple(a))
    return;
  bool inside = st_set_get(dirs, a->path, parent_length(a->path), &top);
  if (a->after.type == 'd') {
    if (!inside)
      top = add_top(s, i);
    st_set_add(dirs, a->path, strlen(a->path), top);
  }
  s->items[i].top = (uint32_t)top;
}

struct st_stage *st_stage_new(const struct st_stage_options *options)
{
  struct st_stage *s = st_calloc(1, sizeof(*s));
  ST_CLEANUP(st_set_freep) struct st_set *dirs = st_set_new();
  size_t count = options->journal->actions.count;
  s->o = *options;
  s->items = st_calloc(count + 1, sizeof(*s->items));
  pthread_mutex_init(&s->telling, NULL);
  for (size_t i = 0; i < count; i++)
    choose(s, i, dirs);
  return s;
}

bool st_stage_takes(const struct st_stage *stage, size_t action)
{
  return stage->items[action].top > 0 && action_of(stage, action)->after.type == 'f';
}

/* ---- Accounts, as they will be --------------------------------------------------------------- */

/* 1: the file is put back, with that content; 2: what becomes of it is not known. */
static int account_file(const struct st_stage *s, const char *path, struct st_buffer *out,
                        struct st_error *err)
{
  const struct st_actions *actions = &s->o.journal->actions;
  for (size_t i = 0; i < actions->count; i++) {
    const struct st_action *a = &actions->items[i];
    if (strcmp(a->path, path) != 0 || a->kind == ST_ACTION_METADATA)
      continue;
    if (a->after.type != 'f' || !(a->after.known & ST_KNOWN_DIGEST) || a->after.linked_to)
      return 2;
    return st_store_get(s->o.store, &a->after.digest, out, err) < 0 ? 2 : 1;
  }
  return 0;
}

/* False: owners cannot be told before. */
static bool read_accounts(struct st_stage *s)
{
  ST_AUTO_BUFFER users = ST_BUFFER_INIT, groups = ST_BUFFER_INIT;
  int u = account_file(s, "/etc/passwd", &users, NULL);
  int g = account_file(s, "/etc/group", &groups, NULL);
  return u < 2 && g < 2 &&
         st_accounts_read_with(&s->accounts, s->o.root, u ? &users : NULL, g ? &groups : NULL,
                               NULL) == 0;
}

/* ---- Directories ----------------------------------------------------------------------------- */

/* The directory in which the action's entry is made ready, in the very tree that we made: somebody
 * who may rename it must not have us write into another one. */
static int open_staged(const struct st_stage *s, size_t i, const char **ret_name)
{
  size_t t = s->items[i].top - 1;
  const char *below = action_of(s, i)->path + strlen(action_of(s, s->tops[t].action)->path);
  struct st_meta m;
  ST_AUTO_CLOSE int top =
      st_open_beneath(s->o.root, s->staged.items[t].path, O_PATH | O_DIRECTORY, 0);
  if (top < 0)
    return top;
  if (st_meta_read(top, "", &m) < 0 || m.inode != s->staged.items[t].inode)
    return -ENOENT;
  return st_open_parent(top, below, ret_name);
}

static void make_top(struct st_stage *s, size_t t)
{
  struct top *top = &s->tops[t];
  top->made = st_staged_make(s->o.root, &s->staged.items[t]) == 0;
  s->items[top->action].ready = top->made;
}

static void probe(struct st_stage *s, size_t t)
{
  struct top *top = &s->tops[t];
  ST_AUTO_CLOSE int fd =
      top->made ? st_open_beneath(s->o.root, s->staged.items[t].path, O_RDONLY | O_DIRECTORY, 0)
                : -1;
  top->bare = fd >= 0 && st_put_is_bare(fd);
}

static void make_directory(struct st_stage *s, size_t i)
{
  const char *name;
  ST_AUTO_CLOSE int parent = open_staged(s, i, &name);
  s->items[i].ready = parent >= 0 && mkdirat(parent, name, 0700) == 0;
}

/* Noted before they are made, and, so that they are known again, before anything is in them. */
static int make_tops(struct st_stage *s, struct st_error *err)
{
  for (size_t t = 0; t < s->staged.count; t++)
    st_staged_look(s->o.root, &s->staged.items[t]);
  s->noted = true;
  if (st_staged_note(s->o.store_dir, &s->staged, err) < 0)
    return -1;
  for (size_t t = 0; t < s->staged.count; t++)
    make_top(s, t);
  if (st_staged_note(s->o.store_dir, &s->staged, err) < 0)
    return -1;
  for (size_t t = 0; t < s->staged.count; t++)
    probe(s, t);
  return 0;
}

static int make_directories(struct st_stage *s, struct st_error *err)
{
  if (make_tops(s, err) < 0)
    return -1;
  for (size_t i = 0; i < s->o.journal->actions.count; i++) {
    size_t t = s->items[i].top;
    if (t > 0 && s->tops[t - 1].made && s->tops[t - 1].action != i &&
        action_of(s, i)->after.type == 'd')
      make_directory(s, i);
  }
  return 0;
}

/* ---- Entries: any thread --------------------------------------------------------------------- */

/* Entries next to each other mostly lie in the same directory, which stays open. */
struct going {
  struct st_stage *stage;
  struct st_store *store;
  char *parent; /* of `fd`, as the action has it */
  int fd;
};

static void refuse(struct st_stage *s, const char *path, const char *format, const char *why)
{
  pthread_mutex_lock(&s->telling);
  ST_AUTO_FREE char *words = st_format("%s: %s", st_quote(path), format);
  st_strings_take(s->refusals, st_format("%s%s", words, why));
  pthread_mutex_unlock(&s->telling);
}

static int forget_piece(void *arg, const void *data, size_t n, struct st_error *err)
{
  (void)data, (void)err;
  *(uint64_t *)arg += n;
  return 0;
}

/* It is put later, by itself: its content has to be right all the same. */
static void prove(struct going *g, struct st_action *a)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  uint64_t size = 0;
  if (a->after.type != 'f')
    return;
  if (st_store_get_to(g->store, &a->after.digest, forget_piece, &size, &why) == 0) {
    a->after.size = size;
    return;
  }
  ST_AUTO_FREE char *words = st_format(
      "%s; `systracker verify` says what is damaged, leaving this path out restores the others",
      st_error_text(&why));
  refuse(g->stage, a->path, "its content cannot be read: ", words);
}

/* What was not taken as it is, is said when it is put by itself. */
struct putting {
  bool problem;
};

static void note_problem(void *arg, const char *words)
{
  (void)words;
  ((struct putting *)arg)->problem = true;
}

static int open_parent(struct going *g, size_t i)
{
  const char *path = action_of(g->stage, i)->path;
  size_t n = parent_length(path);
  if (g->parent && strlen(g->parent) == n && memcmp(g->parent, path, n) == 0)
    return g->fd;
  if (g->fd >= 0)
    close(g->fd);
  free(g->parent);
  g->parent = st_memdup(path, n);
  const char *name;
  return g->fd = open_staged(g->stage, i, &name);
}

/* After these nothing more can be written. */
static bool ends_everything(int code)
{
  return code == ENOSPC || code == EDQUOT || code == EROFS || code == EIO;
}

/* 1: nothing more can be written. */
static int put_one(struct going *g, size_t i)
{
  struct st_stage *s = g->stage;
  struct st_action *a = &s->o.journal->actions.items[i];
  const struct top *top = &s->tops[s->items[i].top - 1];
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct putting putting = {false};
  const struct st_put put = {.root = s->o.root,
                             .accounts = s->accounts,
                             .store = g->store,
                             .written = s->o.written,
                             .bare = top->bare,
                             .problem = note_problem,
                             .arg = &putting};
  const char *name = a->path + parent_length(a->path) + 1;
  uint64_t size;
  int parent = top->made && s->accounts ? open_parent(g, i) : -1;
  int r = parent < 0 ? -1 : st_put_fresh(&put, parent, name, &a->after, &size, &why);
  if (r < 0 && ends_everything(why.code)) {
    refuse(s, a->path, "it cannot be made ready: ", st_error_text(&why));
    return 1;
  }
  if (r == 0 && putting.problem)
    unlinkat(parent, name, 0);
  s->items[i].ready = r == 0 && !putting.problem;
  if (s->items[i].ready && a->after.type == 'f')
    a->after.size = size;
  else if (!s->items[i].ready)
    prove(g, a);
  return 0;
}

static int put_some(void *arg, struct st_store *store, size_t from, size_t to)
{
  struct going g = {.stage = arg, .store = store, .fd = -1};
  int r = st_signals_pending() ? 1 : 0;
  for (size_t i = from; i < to && r == 0; i++) {
    if (g.stage->items[i].top > 0 && action_of(g.stage, i)->after.type != 'd')
      r = put_one(&g, i);
  }
  if (g.fd >= 0)
    close(g.fd);
  free(g.parent);
  return r;
}

int st_stage_fill(struct st_stage *s, struct st_strings *refusals, struct st_error *err)
{
  const struct st_workers w = {.store_dir = s->o.store_dir,
                               .store = s->o.store,
                               .count = s->o.journal->actions.count,
                               .some = put_some,
                               .arg = s};
  s->refusals = refusals;
  if (s->staged.count == 0)
    return 0;
  if (read_accounts(s) && make_directories(s, err) < 0)
    return -1;
  int r = st_workers_run(&w, err);
  return r < 0 || refusals->count > 0 ? (r < 0 ? -1 : 0) : r;
}

/* ---- Put in their places --------------------------------------------------------------------- */

/* Where something is there by now, or another tree than ours is beside, nothing is done. */
static bool rename_top(const struct st_stage *s, size_t t)
{
  const char *beside, *name, *path = action_of(s, s->tops[t].action)->path;
  struct st_meta m;
  ST_AUTO_CLOSE int parent = st_open_parent(s->o.root, path, &name);
  ST_AUTO_CLOSE int from = st_open_parent(s->o.root, s->staged.items[t].path, &beside);
  if (parent < 0 || from < 0 || st_meta_read(from, beside, &m) < 0 || m.type != 'd' ||
      m.inode != s->staged.items[t].inode)
    return false;
  if (renameat2(from, beside, parent, name, RENAME_NOREPLACE) == 0)
    return true;
  return errno == EINVAL && st_meta_read(parent, name, &m) == -ENOENT &&
         renameat(from, beside, parent, name) == 0;
}

bool st_stage_place(struct st_stage *s, size_t action)
{
  size_t t = s->items[action].top;
  if (t == 0)
    return false;
  struct top *top = &s->tops[t - 1];
  if (top->action == action && top->made)
    top->placed = rename_top(s, t - 1);
  return top->placed && s->items[action].ready;
}

void st_stage_free(struct st_stage *s)
{
  if (!s)
    return;
  for (size_t t = s->staged.count; t-- > 0;) {
    if (s->tops[t].made && !s->tops[t].placed)
      st_staged_remove(s->o.root, &s->staged.items[t]);
  }
  if (s->noted)
    st_staged_forget(s->o.store_dir);
  st_accounts_free(s->accounts);
  st_staged_list_free(&s->staged);
  pthread_mutex_destroy(&s->telling);
  free(s->tops);
  free(s->items);
  free(s);
}

void st_stage_sweep(int root, int store_dir)
{
  ST_AUTO_STAGED_LIST l = {0};
  st_staged_read(store_dir, &l);
  for (size_t i = l.count; i-- > 0;)
    st_staged_remove(root, &l.items[i]);
  st_staged_forget(store_dir);
}
