/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/phases.h"

#include <string.h>
#include <time.h>

#include "restore/accountphase.h"
#include "restore/frompackages.h"
#include "restore/notice.h"
#include "restore/packages.h"
#include "restore/preflight.h"
#include "restore/repairs.h"
#include "restore/signals.h"
#include "restore/sources.h"
#include "systracker/base/digest.h"
#include "systracker/base/escape.h"
#include "systracker/base/keys.h"

#define ST_AUTO_PHASE ST_CLEANUP(st_package_phase_close) struct st_package_phase

/* ---- The plan -------------------------------------------------------------------------------- */

bool st_phases_wanted(const struct st_session *s)
{
  const struct st_request *r = s->request;
  if (s->followed)
    return s->followed->with_packages;
  return s->checkpoint != 0 && r->paths.count == 0 &&
         (r->packages == ST_PACKAGES_EXACT || r->packages == ST_PACKAGES_KEEP ||
          (r->packages == ST_PACKAGES_UNSAID && s->exact));
}

bool st_phases_keep(const struct st_session *s)
{
  return s->followed ? s->followed->keep_packages
                     : s->checkpoint != 0 && s->request->packages == ST_PACKAGES_KEEP;
}

/* Whether something of packages comes before the entries. */
static bool has_packages(const struct st_journal *j)
{
  return j->packages.count + j->plugins.count > 0;
}

static int find_packages(struct st_session *s, struct st_package_steps *ret, struct st_error *err)
{
  if (st_package_phase_find(s->look, s->checkpoint, ret, err) < 0)
    return -1;
  if (st_phases_keep(s) && !st_package_steps_keep(ret))
    st_package_steps_free(ret);
  return 0;
}

static int find_steps(struct st_session *s, const struct st_gathered *g,
                      struct st_package_steps *ret, struct st_error *err)
{
  if (g->packages.count == 0)
    return 0;
  for (size_t i = 0; i < g->packages.count; i++) {
    if (!st_package_plugin_is_known(g->packages.items[i].plugin))
      return st_refuse(err,
                       "packages of %s differ, which this version cannot put back: "
                       "--packages=none leaves them as they are",
                       g->packages.items[i].plugin);
  }
  return find_packages(s, ret, err);
}

int st_phases_find(struct st_session *s, struct st_gathered *g, struct st_journal *ret,
                   struct st_error *err)
{
  ST_AUTO_ACTIONS actions = {0};
  if (find_steps(s, g, &ret->packages, err) < 0 ||
      st_session_plan(s, &g->wishes, s->exact, &actions, err) < 0)
    return -1;
  st_repairs_find(s->look, s->checkpoint, &actions, &ret->packages);
  st_sources_find(s->look, &ret->packages);
  st_session_take_plugins(&g->first, &ret->plugins);
  return 0;
}

/* What cannot be done now may be done by the packages: it is said when they are there. */
static void leave_out_impossible(struct st_actions *actions)
{
  size_t kept = 0;
  for (size_t i = 0; i < actions->count; i++) {
    struct st_action *a = actions->items[i];
    if (a->kind != ST_ACTION_CANNOT) {
      actions->items[kept++] = a;
      continue;
    }
    st_action_clear(a);
  }
  actions->count = kept;
}

/* In the order in which it is done. */
static void report(struct st_session *s, const struct st_gathered *g, const struct st_journal *j)
{
  static const struct st_actions none = {0};
  st_report_plan(s->request->cli, &none, &g->first, &j->plugins, true);
  st_report_packages(s->request->cli, &j->packages, false);
}

/* What dpkg would overwrite for good goes to `refusals`. */
static int plan(struct st_session *s, struct st_gathered *g, const struct st_journal *j,
                struct st_actions *ret, struct st_strings *refusals, struct st_error *err)
{
  bool packages = has_packages(j);
  st_account_phase_translate(&j->moves, &g->wishes);
  if (st_session_plan(s, &g->wishes, s->exact, ret, err) < 0)
    return -1;
  if (packages && j->undoable && st_repairs_lost(s->look, ret, refusals, err) < 0)
    return -1;
  if (packages) {
    leave_out_impossible(ret);
    st_from_packages_leave(s->look, s->checkpoint, &j->packages, ret);
  }
  st_account_phase_report(s, &j->moves);
  report(s, g, j);
  if (!s->request->cli->quiet && !s->request->cli->json && ret->count > 0)
    printf("then, planned again when the %s are there; as of now:\n",
           packages ? "packages" : "accounts");
  st_report_plan(s->request->cli, ret, &g->plugins, NULL, true);
  return 0;
}

/* ---- Preflight ------------------------------------------------------------------------------- */

/* Of the entries as they differ now, nothing of it kept: their contents are there, and so on. Where
 * ids move, owners are not what they will be. */
static int check_entries(struct st_session *s, struct st_actions *actions, bool moves,
                         struct st_strings *refusals, struct st_error *err)
{
  ST_AUTO_JOURNAL entries = {0};
  struct st_preflight p = {.world = &s->world,
                           .store = s->write ? s->write->store : s->look->store,
                           .dry_run = true,
                           .unchanged = !moves};
  if (st_session_journal(s, actions, &entries, err) < 0)
    return -1;
  return st_preflight(&p, &entries, refusals, err);
}

/* Of the files of accounts, in earnest. */
static int check_accounts(struct st_session *s, struct st_journal *j, struct st_strings *refusals,
                          struct st_error *err)
{
  struct st_preflight p = {.world = &s->world,
                           .store = s->write ? s->write->store : s->look->store,
                           .dry_run = !s->write,
                           .keep = j->undoable,
                           .unchanged = true};
  return st_preflight(&p, j, refusals, err);
}

/* A single reason is the error itself. */
static int refuse(const struct st_strings *refusals, struct st_error *err)
{
  if (refusals->count == 1)
    return st_refuse(err, "restore refused, nothing was changed: %s", refusals->items[0]);
  st_session_say(refusals);
  return st_refuse(err, "restore refused, nothing was changed");
}

/* ---- The entries ----------------------------------------------------------------------------- */

static int verify_entries(struct st_session *s, const struct st_journal *j, struct st_actions *ret,
                          struct st_error *err)
{
  ST_AUTO_GATHERED g = {0};
  if (s->checkpoint == 0)
    return st_session_verify_journal(s, j, ret, err);
  if (st_gather_checkpoint(&s->world, st_session_paths(s), &g, err) < 0)
    return -1;
  return st_session_plan(s, &g.wishes, s->exact, ret, err);
}

/* The restore whose last journal this is, back. */
static int gather_undone(struct st_session *s, int64_t number, struct st_gathered *ret,
                         struct st_error *err)
{
  ST_AUTO_JOURNAL last = {0}, phases = {0};
  if (st_journal_read(s->look->store_dir, number, &last, err) < 0 ||
      st_phases_of(s, &last, &phases, err) < 0)
    return -1;
  free(s->world.beside);
  s->world.beside = st_journal_beside(&last);
  if (last.kind == ST_JOURNAL_ENTRIES) {
    st_journal_drop(&last, &phases);
    if (st_gather_journal(&s->world, &last, true, &ret->wishes, err) < 0)
      return -1;
    st_account_phase_translate_back(&phases.moves, &ret->wishes);
  }
  return st_gather_journal(&s->world, &phases, true, &ret->wishes, err);
}

int st_phases_gather(struct st_session *s, const struct st_journal *phases, struct st_gathered *ret,
                     struct st_error *err)
{
  if (s->checkpoint == 0)
    return gather_undone(s, phases->undoes, ret, err);
  if (st_gather_checkpoint(&s->world, st_session_paths(s), ret, err) < 0)
    return -1;
  /* Said, and not done. */
  for (size_t i = 0; st_session_without_plugins(s) && i < ret->plugins.count; i++)
    ret->plugins.items[i].possible = false;
  return 0;
}

/* rpm calls what was put together again another build of it, and that was said before. */
static bool is_repacked(const struct st_package_steps *done, const struct st_package_step *left)
{
  bool again = left->kind == ST_PACKAGE_REPAIR && left->manager == ST_RPM;
  for (size_t i = 0; again && i < done->count; i++) {
    const struct st_package_step *s = &done->items[i];
    if (s->source == ST_PACKAGE_REPACKED && s->manager == left->manager &&
        strcmp(s->name, left->name) == 0 && strcmp(s->architecture, left->architecture) == 0 &&
        strcmp(s->after, left->after) == 0)
      return true;
  }
  return false;
}

/* Packages that are still not as they should be, and diversions. */
static int count_wrong(struct st_session *s, const struct st_gathered *g,
                       const struct st_package_steps *done, size_t *ret, struct st_error *err)
{
  size_t wrong = 0;
  ST_AUTO_PACKAGE_STEPS rest = {0};
  if (find_packages(s, &rest, err) < 0)
    return -1;
  st_package_steps_settle(&rest);
  for (size_t i = 0; i < rest.count; i++) {
    if (is_repacked(done, &rest.items[i]))
      continue;
    ST_AUTO_FREE char *words = st_package_step_words(&rest.items[i]);
    fprintf(stderr, "systracker: not as it should be: still to be done: %s\n", words);
    wrong++;
  }
  for (size_t i = 0; i < g->first.count; i++)
    fprintf(stderr, "systracker: not as it should be: %s\n", g->first.items[i].words);
  *ret = wrong + g->first.count;
  return 0;
}

static int touch_as_before(struct st_session *s, struct st_journal *j, struct st_error *err)
{
  ST_AUTO_JOURNAL undone = {0};
  if (j->undoes == 0)
    return 0;
  if (st_journal_read(s->look->store_dir, j->undoes, &undone, err) < 0)
    return -1;
  if (undone.kind == ST_JOURNAL_ENTRIES)
    st_journal_touch_as(j, &undone);
  return 0;
}

static int put_back_entries(struct st_session *s, struct st_gathered *g, struct st_actions *actions,
                            const struct st_journal *packages, struct st_session_end *end,
                            struct st_error *err)
{
  ST_AUTO_JOURNAL j = {0};
  if (st_session_journal(s, actions, &j, err) < 0)
    return -1;
  j.part_of = packages->number;
  j.undoes = packages->undoes;
  j.undoable = packages->undoable;
  j.whole = packages->whole;
  if (touch_as_before(s, &j, err) < 0)
    return -1;
  if (st_phases_wanted(s))
    st_session_take_plugins(&g->packages, &j.plugins);
  st_session_take_plugins(&g->plugins, &j.plugins);
  return st_session_go(s, &j, end, err);
}

/* Accounts and packages are there: looks again, and goes on with what differs now. */
static int go_on(struct st_session *s, const struct st_journal *packages, struct st_error *err)
{
  ST_AUTO_GATHERED g = {0};
  ST_AUTO_ACTIONS actions = {0};
  struct st_session_end end = {.verify = verify_entries};
  size_t wrong = 0;
  bool wanted = st_phases_wanted(s);
  g.wishes.last = true;
  if (st_session_reopen(s, err) < 0 || st_phases_gather(s, packages, &g, err) < 0 ||
      (wanted && count_wrong(s, &g, &packages->packages, &wrong, err) < 0) ||
      st_session_plan(s, &g.wishes, s->exact, &actions, err) < 0)
    return -1;
  st_report_plan(s->request->cli, &actions, &g.plugins, &g.packages, wanted);
  st_report_sum_up(&end.sum, &packages->actions);
  st_report_sum_up(&end.sum, &actions);
  end.sum.packages = packages->packages.count;
  int status = put_back_entries(s, &g, &actions, packages, &end, err);
  return status == ST_EXIT_OK && wrong > 0 ? ST_EXIT_INCOMPLETE : status;
}

/* ---- The packages ---------------------------------------------------------------------------- */

/* Before dpkg unpacks anything. */
static int put_back_diversions(struct st_session *s, const struct st_journal *j,
                               struct st_error *err)
{
  for (size_t i = 0; i < j->plugins.count; i++) {
    if (st_tracker_plan_apply(s->look, &j->plugins.items[i], err) < 0)
      return st_wrap(err, "%s", j->plugins.items[i].words);
  }
  return 0;
}

/* A signal that comes meanwhile is answered when apt is through: half a transaction serves nobody.
 */
static int put_back_packages(struct st_session *s, struct st_package_phase *phase,
                             struct st_error *err)
{
  ST_AUTO_STRINGS problems = {0};
  st_signals_hold(NULL);
  int r = put_back_diversions(s, phase->journal, err);
  if (r == 0)
    r = st_package_phase_apply(phase, &problems, err);
  st_session_say(&problems);
  if (r < 0)
    return st_wrap(err, "`systracker restore --resume` goes on, `systracker undo` goes back");
  if (st_signals_pending()) {
    fprintf(stderr, "systracker: interrupted when the packages were put back: `systracker restore "
                    "--resume` goes on, `systracker undo` goes back\n");
    return ST_EXIT_INCOMPLETE;
  }
  return go_on(s, phase->journal, err);
}

/* All that is there now, in a checkpoint: what packages do, no journal knows. */
static int keep_before(struct st_session *s, struct st_journal *j, struct st_error *err)
{
  if (!j->undoable || !has_packages(j))
    return 0;
  return st_session_keep(s, "before", j, &j->before, err) < 0 ? st_wrap(err, "nothing was changed")
                                                              : 0;
}

static int fill_journal(struct st_session *s, struct st_journal *j, struct st_error *err)
{
  j->kind = ST_JOURNAL_PHASES;
  j->time = time(NULL);
  j->checkpoint = s->checkpoint;
  j->undoable = !s->request->no_undo;
  j->exact = s->exact;
  j->clone = s->clone;
  j->chain = s->chain ? st_strdup(s->chain) : NULL;
  j->whole = st_session_paths(s)->count == 0 && (s->checkpoint != 0 || j->whole);
  j->with_packages = st_phases_wanted(s);
  j->keep_packages = j->with_packages && st_phases_keep(s);
  j->without_plugins = st_session_without_plugins(s);
  for (size_t i = 0; i < st_session_paths(s)->count; i++)
    st_strings_add(&j->paths, st_session_paths(s)->items[i]);
  return st_random(j->token, sizeof(j->token), err);
}

static int carry_out(struct st_session *s, struct st_package_phase *phase, size_t entries,
                     struct st_error *err)
{
  struct st_journal *j = phase->journal;
  int dir = s->write->store_dir;
  if (!st_session_confirm(s, j->packages.count + j->plugins.count + j->actions.count +
                                 st_moves_count(&j->moves) + entries))
    return st_refuse(err, "not confirmed, nothing was changed");
  if (keep_before(s, j, err) < 0 || st_journal_write(dir, j, err) < 0 ||
      st_journal_set_state(dir, j, ST_JOURNAL_APPLYING, err) < 0)
    return -1;
  int r = st_account_phase_apply(s, j, false, err);
  if (r != 0)
    return r;
  return has_packages(j) ? put_back_packages(s, phase, err) : go_on(s, j, err);
}

/* Reasons against it, of accounts and entries and then of packages. */
static int check(struct st_session *s, struct st_package_phase *phase, struct st_actions *actions,
                 struct st_strings *refusals, struct st_error *err)
{
  struct st_journal *j = phase->journal;
  bool moves = j->moves.changes.count > 0;
  st_account_phase_take(actions, j, refusals);
  if (check_accounts(s, j, refusals, err) < 0 ||
      check_entries(s, actions, moves, refusals, err) < 0)
    return -1;
  if (!has_packages(j))
    return 0;
  if (refusals->count == 0 && s->write && st_account_phase_keep(s, j, err) < 0)
    return -1;
  return st_package_phase_preflight(phase, j->undoable, s->request->dry_run, refusals, err);
}

/* Of packages that were to stay, those that cannot. */
static void settle(struct st_session *s, struct st_journal *j)
{
  st_report_packages(s->request->cli, &j->packages, true);
  st_package_steps_settle(&j->packages);
}

int st_phases_run(struct st_session *s, struct st_gathered *g, struct st_journal *j,
                  struct st_error *err)
{
  ST_AUTO_ACTIONS actions = {0};
  ST_AUTO_STRINGS refusals = {0};
  ST_AUTO_PHASE phase = {s->look, j, ST_REPOSITORY_INIT};
  struct st_report_sum sum = {.dry_run = true, .packages = j->packages.count};
  if (fill_journal(s, j, err) < 0 || plan(s, g, j, &actions, &refusals, err) < 0)
    return -1;
  st_report_sum_up(&sum, &actions);
  size_t count = actions.count;
  if (s->request->dry_run && st_notice_plan(s, &actions, &j->packages, err) < 0)
    return -1;
  if (check(s, &phase, &actions, &refusals, err) < 0)
    return -1;
  if (refusals.count > 0)
    return refuse(&refusals, err);
  settle(s, j);
  sum.packages = j->packages.count;
  if (!s->request->dry_run)
    return carry_out(s, &phase, count - j->actions.count, err);
  st_report_summary(s->request->cli, &sum);
  return sum.cannot > 0 ? ST_EXIT_INCOMPLETE : ST_EXIT_OK;
}

/* What is left of it, as it differs now, in the place of what was planned. */
static int find_again(struct st_session *s, struct st_journal *j, struct st_error *err)
{
  ST_AUTO_GATHERED g = {0};
  st_package_steps_free(&j->packages);
  st_plan_clear(&j->plugins);
  if (st_session_follow(s, j, err) < 0 ||
      st_gather_checkpoint(&s->world, st_session_paths(s), &g, err) < 0 ||
      st_phases_find(s, &g, j, err) < 0)
    return -1;
  report(s, &g, j);
  return 0;
}

int st_phases_resume(struct st_session *s, struct st_journal *j, struct st_error *err)
{
  ST_AUTO_STRINGS problems = {0}, refusals = {0};
  int r = j->accounts_done ? 0 : st_account_phase_apply(s, j, true, err);
  if (r != 0)
    return r;
  if (!has_packages(j))
    return st_session_follow(s, j, err) < 0 ? -1 : go_on(s, j, err);
  r = st_package_phase_recover(s->look, j, &problems, err);
  st_session_say(&problems);
  if (r < 0 || find_again(s, j, err) < 0)
    return -1;
  if (j->packages.count + j->plugins.count == 0)
    return go_on(s, j, err);
  ST_AUTO_PHASE phase = {s->look, j, ST_REPOSITORY_INIT};
  if (st_package_phase_preflight(&phase, false, false, &refusals, err) < 0)
    return -1;
  if (refusals.count > 0)
    return refuse(&refusals, err);
  settle(s, j);
  if (j->state == ST_JOURNAL_PLANNED &&
      st_journal_set_state(s->write->store_dir, j, ST_JOURNAL_APPLYING, err) < 0)
    return -1;
  return put_back_packages(s, &phase, err);
}

int st_phases_of(const struct st_session *s, const struct st_journal *last, struct st_journal *ret,
                 struct st_error *err)
{
  int64_t number = last->kind == ST_JOURNAL_PHASES ? last->number : last->part_of;
  return number ? st_journal_read(s->look->store_dir, number, ret, err) : 0;
}
