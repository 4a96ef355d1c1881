/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/apply.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "restore/live.h"
#include "restore/report.h"
#include "restore/workers.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"

/* One run. */
struct run {
  const struct st_apply *a;
  int root;
  int done; /* the journal's progress */
  struct st_accounts *accounts;
  pthread_mutex_t telling; /* guards the problems, and what ended it */
  struct st_error *err;
  size_t *entries; /* the actions that threads share, in the journal's order */
  size_t nentries;
};

/* The place of one action: an open directory and a name in it. */
struct place {
  struct st_store *store; /* that contents come from: the thread's own */
  char live;              /* what is there: its type, 0: nothing */
  int parent;
  const char *name;
  char beside[64]; /* the name under which a new entry is made ready */
};

/* ---- Signals --------------------------------------------------------------------------------- */

static void hold_signals(sigset_t *before)
{
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, before);
}

static bool is_interrupted(void)
{
  sigset_t pending;
  return sigpending(&pending) == 0 &&
         (sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM) ||
          sigismember(&pending, SIGHUP));
}

/* ---- One entry made ready beside, and renamed ---------------------------------------------------
 */

static void name_beside(struct place *p, const struct st_journal *j, size_t index)
{
  ST_AUTO_FREE char *prefix = st_journal_beside(j);
  snprintf(p->beside, sizeof(p->beside), "%s%zu", prefix, index);
}

static int open_place(const struct run *r, size_t index, struct place *ret, struct st_error *err)
{
  const struct st_action *a = &r->a->journal->actions.items[index];
  ret->parent = st_open_parent(r->root, a->path, &ret->name);
  if (ret->parent < 0)
    return st_fail(err, -ret->parent, "cannot open its directory");
  name_beside(ret, r->a->journal, index);
  return 0;
}

/* Owners by name where the name exists here by now, by number otherwise. */
static struct st_meta meta_of(const struct run *r, const struct st_state *s)
{
  struct st_meta m = {
      .type = s->type,
      .mode = s->mode,
      .uid = s->uid,
      .gid = s->gid,
      .mtime = s->mtime,
      .mtime_nsec = s->mtime_nsec,
      .rdev = s->rdev,
  };
  uint32_t id;
  if (s->owner && st_account_uid(r->accounts, s->owner, &id))
    m.uid = id;
  if (s->group && st_account_gid(r->accounts, s->group, &id))
    m.gid = id;
  return m;
}

static int set_metadata(const struct run *r, int fd, const char *name, const struct st_state *s,
                        struct st_error *err)
{
  struct st_meta meta = meta_of(r, s);
  return st_meta_apply(fd, name, &meta, !(s->known & ST_KNOWN_TIME), err);
}

/* What is replaced is not lost before its successor is durable.  Where nothing was before, the sync
 * of the file system at the end serves, for which the disk begins to work now. */
static int make_durable(int fd, bool replacing, struct st_error *err)
{
  if (replacing)
    return fsync(fd) < 0 ? st_fail(err, errno, "cannot sync it") : 0;
  sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
  return 0;
}

static int make_file(const struct run *r, const struct place *p, const struct st_state *s,
                     struct st_error *err)
{
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  /* Where nothing is lost by it, the scan at the end is the proof. */
  if ((p->live ? st_store_get : st_store_get_written)(p->store, &s->digest, &content, err) < 0)
    return -1;
  ST_AUTO_CLOSE int fd =
      openat(p->parent, p->beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return st_fail(err, errno, "cannot make a file beside it");
  int result = content.length ? st_write_all(fd, content.data, content.length, err) : 0;
  if (s->digest.keyed && content.data)
    explicit_bzero(content.data, content.length);
  if (result < 0 || set_metadata(r, fd, "", s, err) < 0)
    return -1;
  return make_durable(fd, p->live != 0, err);
}

static int make_special(const struct place *p, const struct st_state *s, struct st_error *err)
{
  mode_t type = s->type == 'p' ? S_IFIFO : s->type == 'c' ? S_IFCHR : S_IFBLK;
  if (mknodat(p->parent, p->beside, type | 0600, s->type == 'p' ? 0 : (dev_t)s->rdev) < 0)
    return st_fail(err, errno, "cannot make the node");
  return 0;
}

static int make_beside(const struct run *r, const struct place *p, const struct st_state *s,
                       struct st_error *err)
{
  if (unlinkat(p->parent, p->beside, 0) < 0 && errno != ENOENT)
    return st_fail(err, errno, "cannot remove what an interrupted restore left beside it");
  if (s->type == 'f')
    return make_file(r, p, s, err);
  if (s->type == 'l' && symlinkat(s->target, p->parent, p->beside) < 0)
    return st_fail(err, errno, "cannot make the symlink");
  if (s->type != 'l' && make_special(p, s, err) < 0)
    return -1;
  return set_metadata(r, p->parent, p->beside, s, err);
}

/* A directory in the place of something else; its metadata come at the end. */
static int put_directory(const struct place *p, struct st_error *err)
{
  if (p->live == 'd')
    return 0;
  if (p->live != 0 && unlinkat(p->parent, p->name, 0) < 0)
    return st_fail(err, errno, "cannot remove what is there");
  if (mkdirat(p->parent, p->name, 0700) < 0)
    return st_fail(err, errno, "cannot make the directory");
  return 0;
}

static int put_entry(const struct run *r, const struct place *p, const struct st_state *s,
                     struct st_error *err)
{
  if (s->type == 'd')
    return put_directory(p, err);
  int result = make_beside(r, p, s, err);
  if (result == 0 && p->live == 'd' && unlinkat(p->parent, p->name, AT_REMOVEDIR) < 0)
    result = st_fail(err, errno, "cannot remove the directory that is there");
  if (result == 0 && renameat(p->parent, p->beside, p->parent, p->name) < 0)
    result = st_fail(err, errno, "cannot put it in its place");
  if (result < 0)
    unlinkat(p->parent, p->beside, 0);
  return result;
}

static int delete_entry(const struct place *p, struct st_error *err)
{
  if (unlinkat(p->parent, p->name, p->live == 'd' ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
    return st_fail(err, errno, "cannot delete it");
  return 0;
}

static int change_metadata(const struct run *r, const struct place *p, const struct st_state *s,
                           struct st_error *err)
{
  struct st_meta now;
  ST_AUTO_CLOSE int fd = *p->name ? openat(p->parent, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC)
                                  : fcntl(p->parent, F_DUPFD_CLOEXEC, 0);
  if (fd < 0)
    return st_fail(err, errno, "cannot open it");
  int e = st_meta_read(fd, "", &now);
  if (e < 0)
    return st_fail(err, -e, "cannot look at it");
  if (now.type != s->type)
    return st_fail(err, 0, "it is something else by now: left alone");
  return set_metadata(r, fd, "", s, err);
}

/* ---- Whether it is still to be done
 * --------------------------------------------------------------- */

enum readiness { TO_DO, DONE, CHANGED };

static unsigned differs(const struct st_state *planned, const struct st_state *live)
{
  unsigned d = st_state_differences(planned, live);
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

static enum readiness readiness_of(const struct st_action *a, const struct st_state *live)
{
  bool resumed_half = a->kind == ST_ACTION_REPLACE && live->type == 0;
  bool half_metadata = a->kind == ST_ACTION_METADATA && live->type == a->before.type;
  if (is_as(&a->before, live) || resumed_half || half_metadata || is_torn(a, live))
    return TO_DO;
  if (is_as(&a->after, live) || (live->type == 'd' && a->after.type == 'd'))
    return DONE;
  return CHANGED;
}

static int carry_out(const struct run *r, struct st_store *store, size_t index, char live,
                     struct st_error *err)
{
  const struct st_action *a = &r->a->journal->actions.items[index];
  struct place p = {.store = store, .live = live};
  if (open_place(r, index, &p, err) < 0)
    return -1;
  ST_AUTO_CLOSE int parent = p.parent;
  if (a->kind == ST_ACTION_DELETE)
    return delete_entry(&p, err);
  if (a->kind == ST_ACTION_METADATA)
    return change_metadata(r, &p, &a->after, err);
  return put_entry(r, &p, &a->after, err);
}

static int apply_one(const struct run *r, struct st_store *store, size_t index,
                     struct st_error *err)
{
  const struct st_action *a = &r->a->journal->actions.items[index];
  if (a->kind == ST_ACTION_METADATA && a->after.type == 'd')
    return 0; /* at the end */
  struct st_state live;
  if (st_live_state(r->root, a->path, NULL, &live, err) < 0)
    return -1;
  enum readiness ready = readiness_of(a, &live);
  char type = live.type;
  st_state_clear(&live);
  if (ready == CHANGED)
    return st_fail(err, 0, "it was changed meanwhile: left alone");
  return ready == DONE ? 0 : carry_out(r, store, index, type, err);
}

/* ---- The end -----------------------------------------------------------------------------------
 */

static void note_problem(struct run *r, const char *path, const struct st_error *why)
{
  pthread_mutex_lock(&r->telling);
  st_strings_take(r->a->problems, st_format("%s: %s", st_quote(path), st_error_text(why)));
  pthread_mutex_unlock(&r->telling);
}

/* From the deepest up: a directory that loses its write permission is finished by then. */
static void finish_directories(struct run *r)
{
  const struct st_actions *actions = &r->a->journal->actions;
  for (size_t i = actions->count; i-- > 0;) {
    const struct st_action *a = &actions->items[i];
    if (a->kind == ST_ACTION_DELETE || a->after.type != 'd')
      continue;
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    struct place p;
    if (open_place(r, i, &p, &why) < 0) {
      note_problem(r, a->path, &why);
      continue;
    }
    ST_AUTO_CLOSE int parent = p.parent;
    if (change_metadata(r, &p, &a->after, &why) < 0)
      note_problem(r, a->path, &why);
  }
}

/* Directories that were there before and only had entries touched get their times back; and all is
 * made durable, a file system at a time. */
static void finish_touched(const struct run *r)
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
      syncfs(fd);
      synced = meta.mount_id;
    }
  }
  syncfs(r->root);
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
  const struct st_action *a = &r->a->journal->actions.items[index];
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (is_interrupted())
    return 1;
  if (apply_one(r, store, index, &why) < 0) {
    note_problem(r, a->path, &why);
    if (ends_everything(why.code))
      return 1;
  }
  return st_journal_note(r->done, (uint32_t)index, err);
}

/* Deletions, accounts and directories come in their order, before what may lie in them. */
static bool is_in_order(const struct st_action *a)
{
  return a->kind == ST_ACTION_DELETE || a->after.type == 'd' || st_is_account_file(a->path);
}

static int apply_ordered(struct run *r, struct st_error *err)
{
  const struct st_actions *actions = &r->a->journal->actions;
  r->entries = st_calloc(actions->count + 1, sizeof(*r->entries));
  for (size_t i = 0; i < actions->count; i++) {
    if (!is_in_order(&actions->items[i])) {
      r->entries[r->nentries++] = i;
      continue;
    }
    int result = apply_next(r, r->a->store, i, err);
    if (result != 0 || reread_accounts(r, &actions->items[i], err) < 0)
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
  return st_workers_run(&w, err);
}

static int run_all(struct run *r, struct st_error *err)
{
  struct st_journal *j = r->a->journal;
  if (st_accounts_read(&r->accounts, r->root, err) < 0 ||
      st_journal_set_state(r->a->store_dir, j, ST_JOURNAL_APPLYING, err) < 0)
    return -1;
  int result = apply_actions(r, err);
  if (result == 0) {
    apply_plugins(r);
    finish_directories(r);
  }
  finish_touched(r);
  if (result != 0)
    return result;
  return st_journal_set_state(r->a->store_dir, j, ST_JOURNAL_APPLIED, err);
}

int st_apply(const struct st_apply *a, struct st_error *err)
{
  struct run r = {.a = a, .root = a->tracker->root, .telling = PTHREAD_MUTEX_INITIALIZER};
  sigset_t before;
  hold_signals(&before);
  ST_AUTO_CLOSE int done = st_journal_open_done(a->store_dir, a->journal, err);
  r.done = done;
  int result = done < 0 ? -1 : run_all(&r, err);
  if (r.accounts)
    st_accounts_free(r.accounts);
  free(r.entries);
  pthread_mutex_destroy(&r.telling);
  /* A signal that came is answered by the return value: delivered now it would kill us before we
   * can say where the restore stands. */
  if (!is_interrupted())
    sigprocmask(SIG_SETMASK, &before, NULL);
  return result;
}

void st_apply_sweep(const struct st_apply *a)
{
  struct run r = {.a = a, .root = a->tracker->root};
  for (size_t i = 0; i < a->journal->actions.count; i++) {
    struct place p;
    if (open_place(&r, i, &p, NULL) < 0)
      continue;
    unlinkat(p.parent, p.beside, 0);
    close(p.parent);
  }
}
