/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/run.h"

#include <string.h>

#include "restore/accountphase.h"
#include "restore/apply.h"
#include "restore/notice.h"
#include "restore/packages.h"
#include "restore/phases.h"
#include "restore/session.h"
#include "systracker/base/escape.h"

#define ST_AUTO_SESSION ST_CLEANUP(st_session_close) struct st_session

static int read_newest(const struct st_session *s, struct st_journal *ret, struct st_error *err)
{
  int64_t newest;
  if (st_journal_newest(s->look->store_dir, &newest, err) < 0)
    return -1;
  return newest ? st_journal_read(s->look->store_dir, newest, ret, err) : 0;
}

/* ---- Restore -----------------------------------------------------------------------------------
 */

/* Whether the newest restore came to an end; its journal, which may be long, is not read for it. */
static int is_ended(const struct st_session *s, struct st_error *err)
{
  int64_t newest;
  enum st_journal_state state;
  if (st_journal_newest(s->look->store_dir, &newest, err) < 0)
    return -1;
  if (newest == 0)
    return 1;
  if (st_journal_read_state(s->look->store_dir, newest, &state, err) < 0)
    return -1;
  return state != ST_JOURNAL_PLANNED && !st_journal_is_open(state);
}

static int refuse_interrupted(const struct st_session *s, struct st_error *err)
{
  ST_AUTO_JOURNAL newest = {0};
  int ended = is_ended(s, err);
  if (ended > 0)
    return 0;
  if (ended < 0 || read_newest(s, &newest, err) < 0)
    return st_wrap(err, "whether a restore was interrupted cannot be told");
  /* One of entries that was only planned belongs to phases that were carried out. */
  bool between = newest.state == ST_JOURNAL_PLANNED && newest.part_of != 0;
  if (newest.number == 0 || (!st_journal_is_open(newest.state) && !between))
    return 0;
  return st_refuse(err,
                   "a restore was interrupted: `systracker restore --resume` goes on, `systracker "
                   "undo` goes back (journal %lld)",
                   (long long)newest.number);
}

static int gather(struct st_session *s, struct st_gathered *ret, struct st_error *err)
{
  const struct st_strings *paths = &s->request->paths;
  for (size_t i = 0; i < paths->count; i++) {
    if (st_gather_check_path(&s->world, paths->items[i], err) < 0)
      return -1;
  }
  /* What phases change comes before. */
  s->world.look_up = st_phases_wanted(s) ? NULL : s->write;
  return st_gather_checkpoint(&s->world, paths, ret, err);
}

/* The same question once more: what is left? */
static int verify_checkpoint(struct st_session *s, const struct st_journal *j,
                             struct st_actions *ret, struct st_error *err)
{
  (void)j;
  ST_AUTO_GATHERED g = {0};
  if (st_gather_checkpoint(&s->world, &s->request->paths, &g, err) < 0)
    return -1;
  return st_session_plan(s, &g.wishes, s->exact, ret, err);
}

/* With --packages=none the plug-ins' part is said, and not done. */
static void leave_plugins(const struct st_session *s, struct st_plan *plugins)
{
  for (size_t i = 0; s->request->packages == ST_PACKAGES_NONE && i < plugins->count; i++)
    plugins->items[i].possible = false;
}

/* From a printed plan on. */
static int carry_out(struct st_session *s, struct st_actions *actions, struct st_gathered *g,
                     int64_t undoes, struct st_error *err)
{
  ST_AUTO_JOURNAL j = {0};
  struct st_session_end end = {.verify = verify_checkpoint, .by_facts = true};
  st_report_sum_up(&end.sum, actions);
  if (st_session_journal(s, actions, &j, err) < 0)
    return -1;
  j.undoes = undoes;
  if (st_phases_wanted(s))
    st_session_take_plugins(&g->packages, &j.plugins);
  st_session_take_plugins(&g->plugins, &j.plugins);
  if (s->request->dry_run)
    return st_session_dry_run(s, &j, &end.sum, err);
  size_t todo = j.actions.count + j.plugins.count;
  if (todo == 0) {
    /* An interrupted restore may have changed nothing. */
    if (undoes && st_session_close_undone(s, undoes, err) < 0)
      return -1;
    st_report_summary(s->request->cli, &end.sum);
    return end.sum.cannot > 0 ? ST_EXIT_INCOMPLETE : ST_EXIT_OK;
  }
  if (!st_session_confirm(s, todo))
    return st_refuse(err, "not confirmed, nothing was changed");
  return st_session_go(s, &j, &end, err);
}

/* From the differences on: in phases where ids move or packages are to be changed, else the entries
 * alone.  `past`: of an undo, the journal of the phases. */
static int restore(struct st_session *s, struct st_gathered *g, int64_t undoes,
                   const struct st_journal *past, struct st_error *err)
{
  ST_AUTO_JOURNAL phases = {.undoes = undoes};
  ST_AUTO_ACTIONS actions = {0};
  if (past)
    st_journal_touch_as(&phases, past);
  leave_plugins(s, &g->plugins);
  if (st_phases_wanted(s) && st_phases_find(s, g, &phases, err) < 0)
    return -1;
  if (st_account_phase_find(s, past, &phases.moves, err) < 0)
    return -1;
  if (phases.packages.count > 0 || phases.plugins.count > 0 || phases.moves.changes.count > 0) {
    st_places_free(st_steal(&g->places));
    return st_phases_run(s, g, &phases, err);
  }
  st_session_take_plugins(&g->first, &g->packages); /* to be said */
  g->wishes.last = true;
  st_session_look_up(s, g);
  if (st_session_plan(s, &g->wishes, s->exact, &actions, err) < 0)
    return -1;
  st_wishes_free(&g->wishes);
  st_report_plan(s->request->cli, &actions, &g->plugins, &g->packages, st_phases_wanted(s));
  return carry_out(s, &actions, g, undoes, err);
}

int st_run_restore(const struct st_request *r, struct st_error *err)
{
  ST_AUTO_SESSION s = {0};
  ST_AUTO_GATHERED g = {0};
  if (r->paths.count > 0 && (r->packages == ST_PACKAGES_EXACT || r->packages == ST_PACKAGES_KEEP))
    return st_fail(err, 0, "--packages=exact and keep are for a whole restore, without PATH");
  if (st_session_open(&s, r, !r->dry_run, err) < 0 || st_notice_check(&s, err) < 0 ||
      st_session_resolve(&s, err) < 0 || (!r->dry_run && refuse_interrupted(&s, err) < 0) ||
      st_session_scan(&s, err) < 0 || gather(&s, &g, err) < 0)
    return -1;
  int status = restore(&s, &g, 0, NULL, err);
  /* What was not seen may differ, and was not put back. */
  return status == ST_EXIT_OK && s.unseen ? ST_EXIT_INCOMPLETE : status;
}

/* ---- Undo --------------------------------------------------------------------------------------
 */

static int find_undoable(const struct st_session *s, struct st_journal *ret, struct st_error *err)
{
  int64_t number;
  if (st_journal_newest(s->look->store_dir, &number, err) < 0)
    return -1;
  for (; number > 0; number--) {
    if (st_journal_read(s->look->store_dir, number, ret, err) < 0)
      return -1;
    if (ret->state != ST_JOURNAL_UNDONE && ret->state != ST_JOURNAL_PLANNED)
      break;
    st_journal_clear(ret);
  }
  if (number == 0)
    return st_refuse(err, "there is no restore to undo");
  if (!ret->undoable)
    return st_refuse(err,
                     "the last restore was made with --no-undo, so what it overwrote was not kept "
                     "(journal %lld)",
                     (long long)number);
  return 0;
}

static int refuse_conflicts(struct st_session *s, const struct st_journal *j, struct st_error *err)
{
  ST_AUTO_STRINGS conflicts = {0};
  if (s->request->force)
    return 0;
  if (st_gather_conflicts(&s->world, j, &conflicts, err) < 0)
    return -1;
  if (conflicts.count == 0)
    return 0;
  st_session_say(&conflicts);
  return st_refuse(err,
                   "undo refused, nothing was changed: %zu paths are no longer as the restore "
                   "left them; --force puts back what was before it all the same",
                   conflicts.count);
}

static void say_not_undone(const struct st_journal *j)
{
  for (size_t i = 0; i < j->plugins.count; i++)
    fprintf(stderr, "systracker: not undone: %s\n", j->plugins.items[i].words);
}

static int carry_out_undo(struct st_session *s, const struct st_journal *last,
                          struct st_actions *actions, struct st_error *err)
{
  ST_AUTO_JOURNAL j = {0};
  struct st_session_end end = {.verify = st_session_verify_journal};
  st_report_sum_up(&end.sum, actions);
  if (st_session_journal(s, actions, &j, err) < 0)
    return -1;
  j.undoes = last->number;
  j.whole = last->whole;
  st_journal_touch_as(&j, last); /* what a killed one unlocked is locked again */
  if (s->request->dry_run)
    return st_session_dry_run(s, &j, &end.sum, err);
  if (!st_session_confirm(s, j.actions.count))
    return st_refuse(err, "not confirmed, nothing was changed");
  struct st_apply left = {.tracker = s->look, .journal = (struct st_journal *)last};
  if (st_journal_is_open(last->state))
    st_apply_sweep(&left);
  return st_session_go(s, &j, &end, err);
}

/* A restore that changed packages: back to the checkpoint made before it, in the same way. */
static int undo_phases(struct st_session *s, const struct st_journal *last,
                       const struct st_journal *packages, struct st_error *err)
{
  ST_AUTO_GATHERED g = {0};
  ST_AUTO_STRINGS problems = {0};
  struct st_apply left = {.tracker = s->look, .journal = (struct st_journal *)last};
  bool interrupted = st_journal_is_open(packages->state);
  s->checkpoint = packages->before;
  s->exact = true;
  if (!s->request->dry_run) {
    if (interrupted && st_package_phase_recover(s->look, packages, &problems, err) < 0)
      return -1;
    st_session_say(&problems);
    if (st_journal_is_open(last->state))
      st_apply_sweep(&left);
  }
  /* What packages do to files of accounts is no conflict. */
  bool in_packages = last->number == packages->number && packages->accounts_done;
  if (st_session_scan(s, err) < 0 || (!in_packages && refuse_conflicts(s, last, err) < 0) ||
      st_gather_checkpoint(&s->world, &s->request->paths, &g, err) < 0)
    return -1;
  return restore(s, &g, last->number, packages, err);
}

/* A restore that moved ids and changed no packages: back by its journals, in phases too. */
static int undo_accounts(struct st_session *s, const struct st_journal *last,
                         struct st_journal *accounts, struct st_error *err)
{
  ST_AUTO_JOURNAL phases = {.undoes = last->number, .whole = accounts->whole};
  ST_AUTO_GATHERED g = {0};
  struct st_apply left = {.tracker = s->look, .journal = (struct st_journal *)last};
  s->exact = true;
  st_journal_touch_as(&phases, accounts);
  if (!s->request->dry_run && st_journal_is_open(last->state))
    st_apply_sweep(&left);
  if (last->number != accounts->number)
    st_journal_drop(accounts, last);
  if (st_session_scan(s, err) < 0 || refuse_conflicts(s, last, err) < 0 ||
      refuse_conflicts(s, accounts, err) < 0 || st_phases_gather(s, &phases, &g, err) < 0 ||
      st_account_phase_find(s, accounts, &phases.moves, err) < 0)
    return -1;
  say_not_undone(last);
  return st_phases_run(s, &g, &phases, err);
}

int st_run_undo(const struct st_request *r, struct st_error *err)
{
  ST_AUTO_SESSION s = {0};
  ST_AUTO_JOURNAL last = {0}, packages = {0};
  ST_AUTO_WISHES wishes = {0};
  ST_AUTO_ACTIONS actions = {0};
  if (st_session_open(&s, r, !r->dry_run, err) < 0 || find_undoable(&s, &last, err) < 0 ||
      st_phases_of(&s, &last, &packages, err) < 0)
    return -1;
  if (packages.before)
    return undo_phases(&s, &last, &packages, err);
  if (packages.number)
    return undo_accounts(&s, &last, &packages, err);
  if (st_session_scan(&s, err) < 0 || refuse_conflicts(&s, &last, err) < 0)
    return -1;
  s.world.beside = st_journal_beside(&last);
  wishes.last = true;
  if (st_gather_journal(&s.world, &last, true, &wishes, err) < 0 ||
      st_session_plan(&s, &wishes, true, &actions, err) < 0)
    return -1;
  st_report_plan(r->cli, &actions, NULL, NULL, false);
  say_not_undone(&last);
  return carry_out_undo(&s, &last, &actions, err);
}

/* ---- Resume and status -------------------------------------------------------------------------
 */

int st_run_resume(const struct st_request *r, struct st_error *err)
{
  ST_AUTO_SESSION s = {0};
  ST_AUTO_JOURNAL j = {0};
  if (st_session_open(&s, r, true, err) < 0 || st_notice_check(&s, err) < 0 ||
      read_newest(&s, &j, err) < 0)
    return -1;
  if (j.number == 0 || (!st_journal_is_open(j.state) && j.state != ST_JOURNAL_PLANNED))
    return st_refuse(err, "there is no interrupted restore to go on with");
  if (j.kind == ST_JOURNAL_PHASES)
    return st_phases_resume(&s, &j, err);
  if (st_session_scan(&s, err) < 0)
    return -1;
  struct st_session_end end = {.verify = st_session_verify_journal, .resumed = true};
  st_report_sum_up(&end.sum, &j.actions);
  st_report_plan(r->cli, &j.actions, &j.plugins, NULL, false);
  return st_session_go(&s, &j, &end, err);
}

int st_run_status(const struct st_request *r, struct st_error *err)
{
  ST_AUTO_SESSION s = {0};
  int64_t newest;
  int status = ST_EXIT_OK;
  if (st_session_open(&s, r, false, err) < 0 ||
      st_journal_newest(s.look->store_dir, &newest, err) < 0)
    return -1;
  for (int64_t n = 1; n <= newest; n++) {
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    ST_AUTO_JOURNAL j = {0};
    if (st_journal_read(s.look->store_dir, n, &j, &why) == 0) {
      st_report_journal(r->cli, &j);
      continue;
    }
    fprintf(stderr, "systracker: %s\n", st_error_text(&why));
    status = ST_EXIT_INCOMPLETE;
  }
  if (newest == 0 && !r->cli->json && !r->cli->quiet)
    printf("no restore yet\n");
  return status;
}
