/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/apply.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "restore/flusher.h"
#include "restore/live.h"
#include "restore/put.h"
#include "restore/report.h"
#include "restore/signals.h"
#include "restore/workers.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/flags.h"

#define SIGNALS_EVERY 64 /* actions that came with a tree; of others each is asked before */

/* One run. */
struct run {
  const struct st_apply *a;
  int root;
  int done; /* the journal's progress */
  struct st_accounts *accounts;
  pthread_mutex_t telling; /* guards the problems, and what ended it */
  struct st_error *err;
  uint32_t *placed; /* actions that were carried out by the renaming of a tree, to be noted */
  size_t nplaced;
  bool anew;       /* nothing that was put counts: the disk did not keep it */
  bool lost;       /* nor did it this time */
  size_t *entries; /* the actions that threads share, in the journal's order */
  size_t nentries;
  uint32_t *dirs; /* those that are finished at the end, in the journal's order */
  size_t ndirs;
  bool links, shared, locks; /* whether there are such actions at all */
};

/* ---- Problems -------------------------------------------------------------------------------- */

static void note_words(struct run *r, const char *path, const char *words)
{
  pthread_mutex_lock(&r->telling);
  st_strings_take(r->a->problems, st_format("%s: %s", st_quote(path), words));
  pthread_mutex_unlock(&r->telling);
}

static void note_problem(struct run *r, const char *path, const struct st_error *why)
{
  note_words(r, path, st_error_text(why));
}

/* One action, as far as what it cannot do to the entry is to be said of it. */
struct acting {
  struct run *r;
  const char *path;
};

static void note_of_action(void *arg, const char *words)
{
  const struct acting *a = arg;
  note_words(a->r, a->path, words);
}

static struct st_put put_of(struct acting *a, struct st_store *store)
{
  return (struct st_put){
      .root = a->r->root,
      .accounts = a->r->accounts,
      .store = store,
      .written = a->r->a->written,
      .problem = note_of_action,
      .arg = a,
  };
}

/* ---- Places ---------------------------------------------------------------------------------- */

static void name_beside(struct st_place *p, const struct st_journal *j, size_t index)
{
  ST_AUTO_FREE char *prefix = st_journal_beside(j);
  snprintf(p->beside, sizeof(p->beside), "%s%zu", prefix, index);
}

static int open_place(const struct run *r, size_t index, struct st_place *ret, struct st_error *err)
{
  const struct st_action *a = r->a->journal->actions.items[index];
  ret->parent = st_open_parent(r->root, a->path, &ret->name);
  if (ret->parent < 0)
    return st_fail(err, -ret->parent, "cannot open its directory");
  name_beside(ret, r->a->journal, index);
  return 0;
}

/* ---- Whether it is still to be done
 * --------------------------------------------------------------- */

enum readiness { TO_DO, DONE, CHANGED };

/* Flags are taken away on the way, and so may those of a directory be by now; what a file system
 * says of holes may depend on its cache. */
static unsigned differs(const struct st_state *planned, const struct st_state *live)
{
  unsigned d = st_state_differences(planned, live);
  d &= ~(unsigned)(ST_DIFFERS_FLAGS | ST_DIFFERS_HOLES);
  return live->type == 'd' ? d & ~(unsigned)ST_DIFFERS_TIME : d;
}

/* Contents are not read again: size and times stand for them, as for every tool. */
static bool is_as(const struct st_state *planned, const struct st_state *live)
{
  if (differs(planned, live) != 0)
    return false;
  return live->type != 'f' || !(planned->known & ST_KNOWN_DIGEST) || planned->size == live->size;
}

/* Made by us, and cut off when the machine died before the content was durable. */
static bool is_torn(const struct st_action *a, const struct st_state *live)
{
  return a->kind == ST_ACTION_CREATE && live->type == 'f' && differs(&a->after, live) == 0 &&
         a->after.size != live->size;
}

/* `anew`: what we put is put again, whatever is left of it. */
static enum readiness readiness_of(const struct st_action *a, const struct st_state *live,
                                   bool anew)
{
  if (anew && live->type != 0 && live->type != 'd' &&
      (is_as(&a->after, live) || st_state_is_torn(&a->after, live)))
    return TO_DO;
  bool resumed_half = a->kind == ST_ACTION_REPLACE && live->type == 0;
  bool half_metadata = a->kind == ST_ACTION_METADATA && live->type == a->before.type;
  if (is_as(&a->before, live) || resumed_half || half_metadata || is_torn(a, live))
    return TO_DO;
  if (is_as(&a->after, live) || (live->type == 'd' && a->after.type == 'd'))
    return DONE;
  return CHANGED;
}

static int act(struct run *r, const struct st_place *p, struct st_store *store,
               const struct st_action *a, struct st_error *err)
{
  struct acting acting = {r, a->path};
  const struct st_put put = put_of(&acting, store);
  if (a->kind == ST_ACTION_DELETE)
    return st_put_deletion(p, err);
  if (a->kind == ST_ACTION_METADATA)
    return st_put_metadata(&put, p, &a->after, err);
  return st_put_entry(&put, p, &a->after, err);
}

/* What keeps anybody from changing the entry is taken away, and put back where that fails; where it
 * succeeds, the flags that it is to have come at the end. */
static int carry_out(struct run *r, struct st_store *store, size_t index, char live,
                     struct st_error *err)
{
  const struct st_action *a = r->a->journal->actions.items[index];
  struct st_place p = {.live = live};
  uint32_t locked = 0;
  if (open_place(r, index, &p, err) < 0)
    return -1;
  ST_AUTO_CLOSE int parent = p.parent;
  bool may_be_locked =
      (live == 'f' || live == 'd') &&
      (r->anew || !(a->before.known & ST_KNOWN_FLAGS) || (a->before.flags & ST_FLAGS_LOCK));
  if (may_be_locked && st_put_unlock(&p, &locked, err) < 0)
    return -1;
  int result = act(r, &p, store, a, err);
  if (result < 0 && locked)
    st_put_lock(&p, locked, NULL);
  return result;
}

static int apply_one(struct run *r, struct st_store *store, size_t index, struct st_error *err)
{
  const struct st_action *a = r->a->journal->actions.items[index];
  if (a->kind == ST_ACTION_METADATA && a->after.type == 'd')
    return 0; /* at the end */
  struct st_state live;
  if (st_live_state(r->root, a->path, NULL, &live, err) < 0)
    return -1;
  enum readiness ready = readiness_of(a, &live, r->anew);
  char type = live.type;
  st_state_clear(&live);
  if (ready == CHANGED)
    return st_fail(err, 0, "it was changed meanwhile: left alone");
  return ready == DONE ? 0 : carry_out(r, store, index, type, err);
}

/* ---- The end -----------------------------------------------------------------------------------
 */

/* From the deepest up: a directory that loses its write permission is finished by then. */
static void finish_directories(struct run *r)
{
  for (size_t n = r->ndirs; n-- > 0;) {
    size_t i = r->dirs[n];
    const struct st_action *a = r->a->journal->actions.items[i];
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    struct acting acting = {r, a->path};
    const struct st_put put = put_of(&acting, r->a->store);
    struct st_place p;
    uint32_t locked;
    if (open_place(r, i, &p, &why) < 0) {
      note_problem(r, a->path, &why);
      continue;
    }
    ST_AUTO_CLOSE int parent = p.parent;
    if (st_put_unlock(&p, &locked, &why) < 0 || st_put_metadata(&put, &p, &a->after, &why) < 0)
      note_problem(r, a->path, &why);
  }
}

static void note_lost(struct run *r, const char *path, const struct st_error *why)
{
  r->lost = true;
  note_problem(r, path, why);
}

static void flush(struct run *r, const char *path, int fd)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (st_flush(fd, &why) < 0)
    note_lost(r, path, &why);
}

/* Directories that were there before and only had entries touched get their times back; and all is
 * made durable, a file system at a time. */
static void finish_touched(struct run *r)
{
  uint64_t synced = 0;
  for (size_t i = 0; i < r->a->journal->ntouched; i++) {
    const struct st_touched *t = &r->a->journal->touched[i];
    ST_AUTO_CLOSE int fd = st_open_beneath(r->root, t->path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
      continue; /* it went */
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {t->mtime, t->mtime_nsec}};
    futimens(fd, times);
    struct st_meta meta;
    if (st_meta_read(fd, "", &meta) == 0 && (i == 0 || meta.mount_id != synced)) {
      flush(r, t->path, fd);
      synced = meta.mount_id;
    }
  }
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  flush(r, "/", r->root);
  if (r->a->stage && st_stage_flushed(r->a->stage, &why) < 0)
    note_lost(r, "/", &why);
}

/* ---- Locks ----------------------------------------------------------------------------------- */

/* A directory of mode 0555 and the like, of one who is not root. */
static int set_mode(const struct st_place *p, uint32_t mode, struct st_error *err)
{
  struct st_meta meta;
  int e = st_meta_read(p->parent, p->name, &meta);
  if (e < 0 || meta.type != 'd')
    return 0; /* it went */
  meta.mode = mode;
  return st_meta_apply(p->parent, p->name, &meta, true, err);
}

/* Directories that keep anybody from changing what is in them, and files that get another link. */
static void unlock_touched(struct run *r)
{
  for (size_t i = 0; i < r->a->journal->ntouched; i++) {
    const struct st_touched *t = &r->a->journal->touched[i];
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    struct st_place p = {0};
    uint32_t flags;
    if ((!t->flags && t->mode < 0) || (p.parent = st_open_parent(r->root, t->path, &p.name)) < 0)
      continue;
    ST_AUTO_CLOSE int parent = p.parent;
    if ((t->flags && st_put_unlock(&p, &flags, &why) < 0) ||
        (t->mode >= 0 && set_mode(&p, (uint32_t)t->mode | 0700, &why) < 0))
      note_problem(r, t->path, &why);
  }
}

/* Directories that came to their end once are opened again for what is put into them. */
static void reopen_directories(struct run *r)
{
  const struct st_actions *actions = &r->a->journal->actions;
  for (size_t i = 0; r->anew && i < actions->count; i++) {
    const struct st_state *after = &actions->items[i]->after;
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    struct st_place p = {0};
    uint32_t flags;
    if (after->type != 'd' ||
        (p.parent = st_open_parent(r->root, actions->items[i]->path, &p.name)) < 0)
      continue;
    ST_AUTO_CLOSE int parent = p.parent;
    bool closed = geteuid() != 0 && (after->mode & 0700) != 0700;
    if (st_put_unlock(&p, &flags, &why) < 0 ||
        (closed && set_mode(&p, after->mode | 0700, &why) < 0))
      note_problem(r, actions->items[i]->path, &why);
  }
}

/* Not of what went, was never made, or became something else (`type`, 0: any), which was said. */
static void lock(struct run *r, const char *path, char type, uint32_t flags)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_place p = {0};
  struct st_meta meta;
  p.parent = st_open_parent(r->root, path, &p.name);
  if (p.parent < 0)
    return;
  ST_AUTO_CLOSE int parent = p.parent;
  if (st_meta_read(p.parent, p.name, &meta) < 0 || (type && meta.type != type))
    return;
  if (st_put_lock(&p, flags, &why) < 0)
    note_problem(r, path, &why);
}

/* Whether an action has already said what becomes of that (enum st_state_known) of the path. */
static bool is_settled(const struct st_journal *j, const char *path, unsigned what)
{
  for (size_t i = 0; i < j->actions.count; i++) {
    const struct st_action *a = j->actions.items[i];
    if (strcmp(a->path, path) == 0)
      return a->after.type == 0 || (a->after.known & what);
  }
  return false;
}

static void close_touched(struct run *r, const struct st_touched *t)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_place p = {0};
  p.parent = st_open_parent(r->root, t->path, &p.name);
  ST_AUTO_CLOSE int parent = p.parent;
  if (parent >= 0 && set_mode(&p, (uint32_t)t->mode, &why) < 0)
    note_problem(r, t->path, &why);
}

/* Last of all, as nothing can be changed behind it; deepest first.  Where the restore was
 * interrupted, what was taken away from directories is put back all the same. */
static void finish_locks(struct run *r, bool complete)
{
  const struct st_journal *j = r->a->journal;
  for (size_t i = j->actions.count; complete && r->locks && i-- > 0;) {
    const struct st_action *a = j->actions.items[i];
    if ((a->after.known & ST_KNOWN_FLAGS) && (a->after.flags & ST_FLAGS_LOCK))
      lock(r, a->path, a->after.type, a->after.flags);
  }
  for (size_t i = 0; i < j->ntouched; i++) {
    const struct st_touched *t = &j->touched[i];
    if (t->mode >= 0 && !(complete && is_settled(j, t->path, ST_KNOWN_MODE)))
      close_touched(r, t);
    if (t->flags && !(complete && is_settled(j, t->path, ST_KNOWN_FLAGS)))
      lock(r, t->path, 0, t->flags);
  }
}

static void apply_plugins(const struct run *r)
{
  const struct st_plan *plugins = &r->a->journal->plugins;
  for (size_t i = 0; i < plugins->count; i++) {
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    if (st_tracker_plan_apply(r->a->tracker, &plugins->items[i], &why) < 0)
      st_strings_take(r->a->problems,
                      st_format("%s: %s", plugins->items[i].words, st_error_text(&why)));
  }
}

/* ---- All of it ----------------------------------------------------------------------------------
 */

/* After these nothing more can be written: to go on would only fail again and again. */
static bool ends_everything(int code)
{
  return code == ENOSPC || code == EDQUOT || code == EROFS || code == EIO;
}

/* Owners are looked up in the accounts as they are once their files are back. */
static int reread_accounts(struct run *r, const struct st_action *a, struct st_error *err)
{
  if (strcmp(a->path, "/etc/passwd") != 0 && strcmp(a->path, "/etc/group") != 0)
    return 0;
  struct st_accounts *fresh;
  if (st_accounts_read(&fresh, r->root, err) < 0)
    return -1;
  st_accounts_free(r->accounts);
  r->accounts = fresh;
  return 0;
}

/* 1: it ends here, and can be gone on with. */
static int apply_next(struct run *r, struct st_store *store, size_t index, struct st_error *err)
{
  const struct st_action *a = r->a->journal->actions.items[index];
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (st_signals_pending())
    return 1;
  if (apply_one(r, store, index, &why) < 0) {
    note_problem(r, a->path, &why);
    if (ends_everything(why.code))
      return 1;
  }
  return st_journal_note(r->done, (uint32_t)index, err);
}

/* Links come when all that they may lead to is there; the metadata of an inode with several names
 * when those that it is not to have any more have gone their own way. */
enum turn { FIRST, LINK, SHARED };

static enum turn turn_of(const struct st_action *a)
{
  if (a->after.linked_to)
    return LINK;
  return a->kind == ST_ACTION_METADATA && a->after.type != 'd' && a->before.links ? SHARED : FIRST;
}

static int apply_turn(struct run *r, enum turn turn, struct st_error *err)
{
  const struct st_actions *actions = &r->a->journal->actions;
  bool any = turn == LINK ? r->links : r->shared;
  int result = 0;
  for (size_t i = 0; any && i < actions->count && result == 0; i++) {
    if (turn_of(actions->items[i]) == turn)
      result = apply_next(r, r->a->store, i, err);
  }
  return result;
}

/* Deletions, accounts and directories come in their order, before what may lie in them. */
static bool is_in_order(const struct st_action *a)
{
  return a->kind == ST_ACTION_DELETE || a->after.type == 'd' || st_is_account_file(a->path);
}

static int note_placed(struct run *r, struct st_error *err)
{
  size_t n = r->nplaced;
  r->nplaced = 0;
  return st_journal_note_all(r->done, r->placed, n, err);
}

/* A directory that was made ready comes with all that is in it. */
static bool place(struct run *r, size_t index)
{
  if (!r->a->stage || !st_stage_place(r->a->stage, index))
    return false;
  r->placed[r->nplaced++] = (uint32_t)index;
  return true;
}

/* What comes behind the actions that are carried out in their order: so that not all of them are
 * gone through again for what most restores have none of. */
static void note_later(struct run *r, size_t index)
{
  const struct st_action *a = r->a->journal->actions.items[index];
  enum turn turn = turn_of(a);
  r->links |= turn == LINK;
  r->shared |= turn == SHARED;
  r->locks |= (a->after.known & ST_KNOWN_FLAGS) && (a->after.flags & ST_FLAGS_LOCK);
  if (a->kind != ST_ACTION_DELETE && a->after.type == 'd' &&
      !(r->a->stage && st_stage_finished(r->a->stage, index)))
    r->dirs[r->ndirs++] = (uint32_t)index;
}

static int apply_ordered(struct run *r, struct st_error *err)
{
  const struct st_actions *actions = &r->a->journal->actions;
  r->entries = st_calloc(actions->count + 1, sizeof(*r->entries));
  r->placed = st_calloc(actions->count + 1, sizeof(*r->placed));
  r->dirs = st_calloc(actions->count + 1, sizeof(*r->dirs));
  for (size_t i = 0; i < actions->count; i++) {
    bool first = turn_of(actions->items[i]) == FIRST;
    if (i % SIGNALS_EVERY == 0 && st_signals_pending())
      return 1;
    bool placed = first && place(r, i);
    note_later(r, i);
    if (!first || placed)
      continue;
    if (!is_in_order(actions->items[i])) {
      r->entries[r->nentries++] = i;
      continue;
    }
    int result = apply_next(r, r->a->store, i, err);
    if (result != 0 || reread_accounts(r, actions->items[i], err) < 0)
      return result != 0 ? result : -1;
  }
  return 0;
}

static int apply_entry(void *arg, struct st_store *store, size_t n)
{
  struct run *r = arg;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int result = apply_next(r, store, r->entries[n], &why);
  if (result < 0) {
    pthread_mutex_lock(&r->telling);
    st_fail(r->err, 0, "%s", st_error_text(&why));
    pthread_mutex_unlock(&r->telling);
  }
  return result;
}

static int apply_actions(struct run *r, struct st_error *err)
{
  int result = apply_ordered(r, err);
  if (note_placed(r, err) < 0)
    return -1;
  if (result != 0)
    return result;
  const struct st_workers w = {
      .store_dir = r->a->store_dir,
      .store = r->a->store,
      .count = r->nentries,
      .one = apply_entry,
      .arg = r,
  };
  r->err = err;
  result = st_workers_run(&w, err);
  if (result == 0)
    result = apply_turn(r, LINK, err);
  return result != 0 ? result : apply_turn(r, SHARED, err);
}

/* Where the disk lost something the journal says so, until all of it was put anew and kept. */
static int close_journal(struct run *r, int result, struct st_error *err)
{
  struct st_journal *j = r->a->journal;
  enum st_journal_state state = ST_JOURNAL_APPLIED;
  if (r->lost)
    state = ST_JOURNAL_LOST;
  else if (result != 0)
    return result;
  else if (r->a->stays_open)
    state = ST_JOURNAL_APPLYING;
  if (state != j->state && st_journal_set_state(r->a->store_dir, j, state, err) < 0)
    return -1;
  return result == 0 && r->lost ? 1 : result;
}

static int run_all(struct run *r, struct st_error *err)
{
  struct st_journal *j = r->a->journal;
  r->anew = j->state == ST_JOURNAL_LOST;
  if (st_accounts_read(&r->accounts, r->root, err) < 0 ||
      (!r->anew && st_journal_set_state(r->a->store_dir, j, ST_JOURNAL_APPLYING, err) < 0))
    return -1;
  unlock_touched(r);
  reopen_directories(r);
  int result = apply_actions(r, err);
  if (result == 0) {
    if (!r->a->stays_open)
      apply_plugins(r);
    finish_directories(r);
  }
  finish_touched(r);
  finish_locks(r, result == 0);
  return close_journal(r, result, err);
}

int st_apply(const struct st_apply *a, struct st_error *err)
{
  struct run r = {.a = a, .root = a->tracker->root, .telling = PTHREAD_MUTEX_INITIALIZER};
  sigset_t before;
  st_signals_hold(&before);
  ST_AUTO_CLOSE int done = st_journal_open_done(a->store_dir, a->journal, err);
  r.done = done;
  int result = done < 0 ? -1 : run_all(&r, err);
  if (r.accounts)
    st_accounts_free(r.accounts);
  free(r.entries);
  free(r.placed);
  free(r.dirs);
  pthread_mutex_destroy(&r.telling);
  /* A signal that came is answered by the return value: delivered now it would kill us before we
   * can say where the restore stands. */
  if (!st_signals_pending())
    sigprocmask(SIG_SETMASK, &before, NULL);
  return result;
}

void st_apply_sweep(const struct st_apply *a)
{
  struct run r = {.a = a, .root = a->tracker->root};
  for (size_t i = 0; i < a->journal->actions.count; i++) {
    struct st_place p;
    if (open_place(&r, i, &p, NULL) < 0)
      continue;
    unlinkat(p.parent, p.beside, 0);
    close(p.parent);
  }
}
