/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/session.h"

#include <string.h>
#include <time.h>

#include "restore/apply.h"
#include "restore/chain.h"
#include "restore/notice.h"
#include "restore/preflight.h"
#include "restore/signals.h"
#include "systracker/base/escape.h"
#include "systracker/base/thread.h"

/* ---- The host ----------------------------------------------------------------------------------
 */

/* What is looked at is our system, and the chain of whoever is asked for. */
static int open_look(struct st_session *s, struct st_error *err)
{
  struct st_tracker_options options = s->request->cli->tracker;
  options.chain = s->chain;
  options.recovery_key = s->chain ? s->request->recovery_key : NULL;
  if (st_tracker_open(&s->look, &options, ST_TRACKER_LOOK, err) < 0)
    return -1;
  s->look->written = s->written;
  return 0;
}

/* An older epoch of our own is a chain, too. */
static bool is_other(const struct st_session *s)
{
  const char *own = s->look->keys.host_id;
  return s->chain && strncmp(s->chain, own, strlen(own)) != 0;
}

static void read_their_secrets(struct st_session *s)
{
  if (s->write && s->chain && s->request->recovery_key)
    st_store_read_with(s->write->store, &s->look->keys);
}

int st_session_open(struct st_session *s, const struct st_request *r, bool write,
                    struct st_error *err)
{
  *s = (struct st_session){.request = r, .exact = r->exact};
  s->written = r->verify_full ? NULL : st_written_new(true);
  /* A reader first: a writer would make a store where there is none. */
  if (st_chain_choose(r, &s->chain, err) < 0)
    return -1;
  if (open_look(s, err) < 0)
    return -1;
  s->clone = r->clone || (is_other(s) && !r->as_same);
  if (!write)
    return 0;
  if (st_tracker_open(&s->write, &r->cli->tracker, ST_TRACKER_WRITE, err) < 0)
    return -1;
  s->write->written = s->written;
  st_stage_sweep(s->write->root, s->write->store_dir);
  read_their_secrets(s);
  return 0;
}

void st_session_close(struct st_session *s)
{
  st_places_free(st_steal(&s->places));
  st_world_close(&s->world);
  if (s->look)
    st_tracker_close(s->look);
  if (s->write)
    st_tracker_close(s->write);
  s->look = s->write = NULL;
  st_written_free(s->written);
  s->written = NULL;
  free(s->chain);
  s->chain = NULL;
}

int st_session_resolve(struct st_session *s, struct st_error *err)
{
  return st_catalog_resolve(s->look->catalog, s->request->checkpoint, &s->checkpoint, err);
}

void st_session_say(const struct st_strings *lines)
{
  for (size_t i = 0; i < lines->count; i++)
    fprintf(stderr, "systracker: %s\n", lines->items[i]);
}

const struct st_strings *st_session_paths(const struct st_session *s)
{
  return s->followed ? &s->followed->paths : &s->request->paths;
}

bool st_session_without_plugins(const struct st_session *s)
{
  return s->followed ? s->followed->without_plugins : s->request->packages == ST_PACKAGES_NONE;
}

/* Whether some of the paths, or of everything, was not seen by the scan. */
static bool is_unseen(const struct st_session *s, const struct st_scan_result *result)
{
  const struct st_strings *paths = st_session_paths(s);
  if (paths->count == 0)
    return result->incomplete;
  for (size_t i = 0; i < paths->count; i++) {
    ST_AUTO_FREE char *why = st_catalog_unobserved(s->look->catalog, ST_LIVE, paths->items[i]);
    if (why)
      return true;
  }
  return false;
}

/* Where packages stay as they are, so do their files; those that deviate are not of them. */
static bool leaves_packaged(const struct st_session *s)
{
  const struct st_journal *j = s->followed;
  if (s->checkpoint == 0 || st_session_paths(s)->count > 0 || st_session_without_plugins(s))
    return false;
  if (j)
    return !j->with_packages || j->keep_packages;
  return s->request->packages == ST_PACKAGES_KEEP ||
         (s->request->packages == ST_PACKAGES_UNSAID && !s->exact);
}

static int open_world(struct st_session *s, struct st_error *err)
{
  if (st_world_open(&s->world, s->look, s->checkpoint, s->clone, err) < 0)
    return -1;
  s->world.alone = s->write != NULL;
  s->world.leave_packaged = leaves_packaged(s);
  s->world.locked = is_other(s) && !s->request->recovery_key;
  return 0;
}

int st_session_scan(struct st_session *s, struct st_error *err)
{
  struct st_scan_result result = {0};
  int r = st_tracker_scan(s->look, &result, err);
  if (r >= 0)
    s->unseen = is_unseen(s, &result);
  if (r >= 0 && !s->request->cli->quiet) {
    for (size_t i = 0; i < result.missed.count; i++)
      fprintf(stderr, "systracker: not seen: %s\n", result.missed.items[i]);
  }
  st_scan_result_clear(&result);
  return r < 0 ? -1 : open_world(s, err);
}

int st_session_follow(struct st_session *s, const struct st_journal *j, struct st_error *err)
{
  s->followed = j;
  s->checkpoint = j->checkpoint;
  s->exact = j->exact;
  s->clone = j->clone;
  free(s->chain);
  s->chain = j->chain ? st_strdup(j->chain) : NULL;
  return st_session_reopen(s, err);
}

static int reopen(struct st_session *s, struct st_error *err)
{
  st_world_close(&s->world);
  if (s->write)
    st_store_read_with(s->write->store, NULL);
  st_tracker_close(s->look);
  s->look = NULL;
  if (open_look(s, err) < 0)
    return -1;
  read_their_secrets(s);
  return 0;
}

int st_session_reopen(struct st_session *s, struct st_error *err)
{
  return reopen(s, err) < 0 ? -1 : st_session_scan(s, err);
}

/* What is there now: where all of it has just become a checkpoint of ours, that says it. */
static int look_again(struct st_session *s, const struct st_journal *j, bool by_facts,
                      struct st_error *err)
{
  if (!s->kept_all || !by_facts || s->chain || j->plugins.count > 0)
    return st_session_reopen(s, err);
  s->unseen = false;
  return reopen(s, err) < 0 ? -1 : open_world(s, err);
}

/* What a package file alone has comes into the store later. */
static bool may_be_new(const struct st_action *w)
{
  const struct st_state *t = &w->after;
  return w->before.type == 0 && t->type == 'f' && (t->known & ST_KNOWN_DIGEST) && t->kept &&
         !t->in_package && !t->digest.keyed;
}

void st_session_look_up(struct st_session *s, struct st_gathered *g)
{
  struct st_places *places = st_steal(&g->places);
  if (!places && s->write) {
    places = st_places_new();
    for (size_t i = 0; i < g->wishes.count; i++) {
      if (may_be_new(g->wishes.items[i]))
        st_places_add(places, &g->wishes.items[i]->after.digest);
    }
    if (st_places_count(places) > 0)
      st_places_begin(places, s->write->store_dir, s->write->store);
  }
  s->places = places;
}

int st_session_plan(struct st_session *s, struct st_wishes *wishes, bool exact,
                    struct st_actions *ret, struct st_error *err)
{
  struct st_plan_options options = {
      .exact = exact,
      .partial = s->request->paths.count > 0,
      .numeric = s->request->numeric_owner,
  };
  struct st_plan_world callbacks = st_world_callbacks(&s->world);
  return st_restore_plan(wishes, &options, &callbacks, ret, err);
}

/* ---- Before ------------------------------------------------------------------------------------
 */

/* Those that are to be done, with the memory of all; of the others, mostly few, a copy stays. */
static void take_actions(struct st_actions *from, struct st_actions *to)
{
  struct st_actions rest = {.left = from->left};
  size_t done = 0;
  for (size_t i = 0; i < from->count; i++) {
    struct st_action *a = from->items[i];
    if (st_action_is_done(a))
      from->items[done++] = a;
    else
      st_actions_move(&rest, a);
  }
  from->count = done;
  from->left = 0;
  st_actions_free(to);
  *to = *from;
  *from = rest;
}

int st_session_journal(struct st_session *s, struct st_actions *actions, struct st_journal *ret,
                       struct st_error *err)
{
  ret->time = time(NULL);
  ret->checkpoint = s->checkpoint;
  ret->undoable = !s->request->no_undo;
  ret->exact = s->exact;
  ret->chain = s->chain ? st_strdup(s->chain) : NULL;
  ret->clone = s->clone;
  ret->whole = st_session_paths(s)->count == 0;
  take_actions(actions, &ret->actions);
  return st_random(ret->token, sizeof(ret->token), err);
}

void st_session_take_plugins(struct st_plan *from, struct st_plan *to)
{
  size_t kept = 0;
  for (size_t i = 0; i < from->count; i++) {
    if (!from->items[i].possible) {
      from->items[kept++] = from->items[i];
      continue;
    }
    to->items = st_realloc(to->items, to->count + 1, sizeof(*to->items));
    to->items[to->count++] = from->items[i];
  }
  from->count = kept;
}

bool st_session_confirm(const struct st_session *s, size_t actions)
{
  if (s->request->yes || !isatty(STDIN_FILENO))
    return true;
  fprintf(stderr, "Carry out these %zu actions? [y/N] ", actions);
  fflush(stderr);
  char answer[16] = "";
  return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

/* Of a restore that goes on, what was made ready is gone. */
static struct st_stage *new_stage(struct st_session *s, struct st_journal *j)
{
  const struct st_stage_options options = {.root = s->look->root,
                                           .store_dir = s->write->store_dir,
                                           .store = s->write->store,
                                           .written = s->written,
                                           .journal = j,
                                           .places = st_steal(&s->places)};
  return st_stage_new(&options);
}

static int refuse_between(struct st_error *err)
{
  return st_refuse(err, "what comes before the entries was put back, they were not: "
                        "`systracker restore --resume` goes on, `systracker undo` goes back");
}

static int preflight(struct st_session *s, struct st_journal *j, bool resumed,
                     struct st_stage *stage, size_t *ret_refusals, struct st_error *err)
{
  ST_AUTO_STRINGS refusals = {0};
  struct st_preflight p = {
      .world = &s->world,
      .store = s->write ? s->write->store : s->look->store,
      .dry_run = !s->write,
      .keep = j->undoable && !resumed,
      .unchanged = !resumed,
      .stage = stage,
  };
  int r = st_preflight(&p, j, &refusals, err);
  if (r < 0)
    return -1;
  st_session_say(&refusals);
  *ret_refusals = refusals.count;
  if (r == 0)
    return 0;
  return j->part_of ? refuse_between(err) : st_refuse(err, "interrupted, nothing was changed");
}

int st_session_dry_run(struct st_session *s, struct st_journal *j, struct st_report_sum *sum,
                       struct st_error *err)
{
  size_t refusals;
  sum->dry_run = true;
  if (st_notice_plan(s, &j->actions, NULL, err) < 0 ||
      preflight(s, j, false, NULL, &refusals, err) < 0)
    return -1;
  st_report_summary(s->request->cli, sum);
  return refusals > 0 || sum->cannot > 0 ? ST_EXIT_INCOMPLETE : ST_EXIT_OK;
}

/* ---- After -------------------------------------------------------------------------------------
 */

int st_session_verify_journal(struct st_session *s, const struct st_journal *j,
                              struct st_actions *ret, struct st_error *err)
{
  ST_AUTO_WISHES wishes = {0};
  if (st_gather_journal(&s->world, j, false, &wishes, err) < 0)
    return -1;
  return st_session_plan(s, &wishes, true, ret, err);
}

static int verify_plugins(struct st_session *s, const struct st_journal *j, size_t *ret_wrong,
                          struct st_error *err)
{
  for (size_t i = 0; i < j->plugins.count; i++) {
    ST_AUTO_BUFFER words = ST_BUFFER_INIT;
    int r = st_tracker_plan_verify(s->look, &j->plugins.items[i], &words, err);
    if (r < 0)
      return -1;
    if (r == 0)
      continue;
    fprintf(stderr, "systracker: not as it should be: %s\n", words.data ? words.data : "");
    (*ret_wrong)++;
  }
  return 0;
}

/* What was acted on, and now cannot be what it should: a link to what is not as it was. */
static bool is_half_done(const struct st_journal *j, const struct st_action *left)
{
  for (size_t i = 0; left->kind == ST_ACTION_CANNOT && i < j->actions.count; i++) {
    if (strcmp(j->actions.items[i]->path, left->path) == 0)
      return true;
  }
  return false;
}

/* Looks again; what is left to do was not brought about.  What could not be restored from the
 * beginning was said before. */
static int verify(struct st_session *s, const struct st_journal *j, struct st_session_end *end,
                  size_t *ret_wrong, struct st_error *err)
{
  ST_AUTO_ACTIONS rest = {0};
  ST_AUTO_JOURNAL again = {0};
  if (look_again(s, j, end->by_facts, err) < 0 || end->verify(s, j, &rest, err) < 0 ||
      (end->by_facts && st_actions_count(&rest, ST_ACTION_CANNOT) > 0 &&
       st_journal_read(s->write->store_dir, j->number, &again, err) < 0))
    return st_wrap(err, "the restore was carried out, but cannot be verified");
  for (size_t i = 0; i < rest.count; i++) {
    const struct st_action *a = rest.items[i];
    if (!st_action_is_done(a) && !is_half_done(end->by_facts ? &again : j, a))
      continue;
    ST_AUTO_FREE char *words = st_report_differences(st_state_differences(&a->before, &a->after));
    fprintf(stderr, "systracker: %s: not as it should be: %s\n", st_quote(a->path), words);
    (*ret_wrong)++;
  }
  return verify_plugins(s, j, ret_wrong, err);
}

int st_session_close_undone(struct st_session *s, int64_t number, struct st_error *err)
{
  int dir = s->write->store_dir;
  ST_AUTO_JOURNAL undone = {0};
  if (st_journal_read(dir, number, &undone, err) < 0)
    return -1;
  struct st_journal packages = {.number = undone.part_of};
  if (packages.number && st_journal_set_state(dir, &packages, ST_JOURNAL_UNDONE, err) < 0)
    return -1;
  return st_journal_set_state(dir, &undone, ST_JOURNAL_UNDONE, err);
}

/* The journal that this one undid; and its own end. */
static int close_journal(struct st_session *s, struct st_journal *j, bool clean,
                         struct st_error *err)
{
  int dir = s->write->store_dir;
  struct st_journal packages = {.number = j->part_of};
  if (clean && packages.number &&
      st_journal_set_state(dir, &packages, ST_JOURNAL_VERIFIED, err) < 0)
    return -1;
  if (clean && st_journal_set_state(dir, j, ST_JOURNAL_VERIFIED, err) < 0)
    return -1;
  return j->undoes ? st_session_close_undone(s, j->undoes, err) : 0;
}

int st_session_keep(struct st_session *s, const char *when, const struct st_journal *j,
                    int64_t *ret, struct st_error *err)
{
  ST_AUTO_FREE char *message =
      j->undoes ? st_format("%s the undo of restore %lld", when, (long long)j->undoes)
                : st_format("%s the restore of %lld", when, (long long)j->checkpoint);
  struct st_checkpoint_options options = {.message = message};
  struct st_scan_result scan = {0};
  struct st_checkpoint made = {0};
  /* Ours alone: nothing is kept under another host's key. */
  st_store_read_with(s->write->store, NULL);
  int r = st_tracker_checkpoint(s->write, &options, &scan, &made, err);
  st_scan_result_clear(&scan);
  if (r < 0)
    return -1;
  read_their_secrets(s);
  *ret = made.number;
  s->kept_all = !made.incomplete;
  st_checkpoint_clear(&made);
  if (!s->request->cli->quiet)
    fprintf(stderr, "systracker: checkpoint %lld made %s\n", (long long)*ret, message);
  return 0;
}

/* What was brought about is what `status` and the next night compare with.  Also where something
 * could not be done, which is said: undo and --resume go by journals and by the checkpoint before.
 */
static int keep_after(struct st_session *s, const struct st_journal *j, struct st_error *err)
{
  int64_t number;
  s->kept_all = false;
  if (!j->whole)
    return 0;
  if (st_session_keep(s, "after", j, &number, err) < 0)
    return st_wrap(err, "the restore was carried out, but `systracker status` does not know it");
  return 0;
}

static int say_interrupted(const struct st_session *s, const struct st_journal *j)
{
  ST_AUTO_JOURNAL now = {0};
  int64_t done = 0;
  if (j->state == ST_JOURNAL_LOST) {
    fprintf(stderr,
            "systracker: the disk did not keep all of it: `systracker restore --resume` puts "
            "all of it again, `systracker undo` goes back\n");
    return ST_EXIT_INCOMPLETE;
  }
  if (st_journal_read(s->write->store_dir, j->number, &now, NULL) == 0)
    done = now.done;
  fprintf(stderr,
          "systracker: interrupted after %lld of %zu actions: `systracker restore --resume` goes "
          "on, `systracker undo` goes back\n",
          (long long)done, j->actions.count);
  return ST_EXIT_INCOMPLETE;
}

/* Actions that a thread frees: one is idle while catalog and index are opened. */
struct freeing {
  struct st_actions actions;
  pthread_t thread;
  bool begun;
};

static void *free_actions(void *arg)
{
  st_actions_free(arg);
  return NULL;
}

static void begin_freeing(struct freeing *f, struct st_actions *actions)
{
  f->actions = *actions;
  *actions = (struct st_actions){0};
  f->begun = st_thread_start(&f->thread, free_actions, &f->actions);
  if (!f->begun)
    st_actions_free(&f->actions);
}

static void end_freeing(struct freeing *f)
{
  if (f->begun)
    pthread_join(f->thread, NULL);
}

static int finish(struct st_session *s, struct st_journal *j, struct st_session_end *end,
                  size_t problems, struct st_error *err)
{
  ST_CLEANUP(end_freeing) struct freeing freeing = {0};
  ST_AUTO_ERROR unkept = ST_ERROR_INIT;
  size_t wrong = 0, actions = j->actions.count;
  problems += st_notice_give(s, j);
  if (end->by_facts)
    begin_freeing(&freeing, &j->actions);
  /* First, as it reads and hashes all that was written: the scan that verifies then need not. */
  int kept = keep_after(s, j, &unkept);
  if (verify(s, j, end, &wrong, err) < 0 || close_journal(s, j, wrong + problems == 0, err) < 0)
    return -1;
  if (kept < 0)
    return st_fail(err, 0, "%s", st_error_text(&unkept));
  st_report_summary(s->request->cli, &end->sum);
  bool clean = wrong + problems + s->problems + end->sum.cannot == 0;
  st_log(ST_LOG_INFO,
         "restore: journal %lld: %zu actions, %zu could not be done, %zu not as planned",
         (long long)j->number, actions, problems + end->sum.cannot, wrong);
  return clean ? ST_EXIT_OK : ST_EXIT_INCOMPLETE;
}

static int apply(struct st_session *s, struct st_journal *j, struct st_session_end *end,
                 struct st_stage *stage, size_t *ret_problems, struct st_error *err)
{
  ST_AUTO_STRINGS problems = {0};
  struct st_apply a = {.tracker = s->look,
                       .store = s->write->store,
                       .store_dir = s->write->store_dir,
                       .journal = j,
                       .problems = &problems,
                       .written = s->written,
                       .stage = stage};
  if (end->resumed)
    st_apply_sweep(&a);
  int r = st_apply(&a, err);
  st_session_say(&problems);
  *ret_problems = problems.count;
  if (r < 0)
    return st_wrap(err, "`systracker restore --resume` goes on, `systracker undo` goes back");
  return r;
}

/* The entries are journalled: from here on it is they that are gone on with. */
static int close_packages(struct st_session *s, const struct st_journal *j, struct st_error *err)
{
  struct st_journal packages = {.number = j->part_of};
  if (packages.number == 0)
    return 0;
  return st_journal_set_state(s->write->store_dir, &packages, ST_JOURNAL_APPLIED, err);
}

/* As far as the actions go. */
static int put_back(struct st_session *s, struct st_journal *j, struct st_session_end *end,
                    struct st_stage *stage, size_t *ret_problems, struct st_error *err)
{
  size_t refusals;
  if (preflight(s, j, end->resumed, stage, &refusals, err) < 0)
    return -1;
  if (refusals > 0 && j->part_of)
    return refuse_between(err);
  if (refusals > 0)
    return st_refuse(err, "restore refused, nothing was changed");
  if (!end->resumed && st_journal_write(s->write->store_dir, j, err) < 0)
    return -1;
  if (close_packages(s, j, err) < 0)
    return -1;
  return apply(s, j, end, stage, ret_problems, err);
}

/* What is made ready and not put is removed, whatever comes; so signals are held back. */
int st_session_go(struct st_session *s, struct st_journal *j, struct st_session_end *end,
                  struct st_error *err)
{
  struct st_stage *stage = end->resumed ? NULL : new_stage(s, j);
  size_t problems = 0;
  sigset_t before;
  st_signals_hold(&before);
  int r = put_back(s, j, end, stage, &problems, err);
  st_stage_free(stage);
  if (r < 0 || !st_signals_pending())
    sigprocmask(SIG_SETMASK, &before, NULL);
  if (r > 0)
    return say_interrupted(s, j);
  return r < 0 ? -1 : finish(s, j, end, problems, err);
}
