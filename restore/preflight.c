/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/preflight.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/statvfs.h>

#include "restore/frompackages.h"
#include "restore/live.h"
#include "restore/login.h"
#include "restore/signals.h"
#include "restore/workers.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/flags.h"
#include "systracker/base/text.h"

#define SIGNALS_EVERY 64 /* actions */

/* One run over a plan. */
struct check {
  const struct st_preflight *p;
  struct st_journal *journal;
  struct st_strings *refusals;
  struct st_set *made;    /* directories that the plan makes */
  struct st_set *touched; /* directories whose entries it touches */
  struct {
    uint64_t mount, needed;
  } * space; /* bytes of new content, a file system each */
  size_t nspace;
  uint64_t kept; /* bytes that undo keeps, before compression */
  bool may_unlock;
  const struct st_stage *stage; /* what it takes is not proved here */
  bool *proved; /* of each action: its content was read and is intact; its size is noted */
  /* The directory of the last action, which most share with the one before: whether the plan makes
   * it, and the nearest one at or above it that it does not make. */
  char *above, *existing;
  bool above_made;
  char *parent; /* that was checked last */
  struct st_meta parent_meta;
  bool parent_touched;
};

static void refuse(struct check *c, const char *path, const char *why)
{
  st_strings_take(c->refusals, st_format("%s: %s", st_quote(path), why));
}

static int root_of(const struct check *c)
{
  return c->p->world->tracker->root;
}

static char *parent_of(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash == path ? st_strdup("/") : st_memdup(path, (size_t)(slash - path));
}

/* ---- Accounts -------------------------------------------------------------------------------- */

/* An account file that would go, or become something else than a file. */
static void check_account(struct check *c, const struct st_action *a)
{
  bool vital = !st_root_can_log_in(a->path, "", 0);
  if (vital && a->after.type != 'f' && a->before.type == 'f')
    refuse(c, a->path, "without it root could not log in: leave it out, or restore it by hand");
}

/* ---- Places ---------------------------------------------------------------------------------- */

static void need_space(struct check *c, uint64_t mount, uint64_t bytes)
{
  size_t i = 0;
  while (i < c->nspace && c->space[i].mount != mount)
    i++;
  if (i == c->nspace) {
    c->space = st_realloc(c->space, ++c->nspace, sizeof(*c->space));
    c->space[i].mount = mount;
    c->space[i].needed = 0;
  }
  if (__builtin_add_overflow(c->space[i].needed, bytes, &c->space[i].needed))
    c->space[i].needed = UINT64_MAX;
}

static void check_space(struct check *c, int fd, const char *path, uint64_t needed)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  uint64_t available, least = c->p->world->tracker->conf->min_free, sum;
  if (st_free_space(fd, &available, &why) < 0) {
    refuse(c, path, st_error_text(&why));
    return;
  }
  if (!__builtin_add_overflow(needed, least, &sum) && sum <= available)
    return;
  ST_AUTO_FREE char *need = st_format_size(needed), *have = st_format_size(available),
                    *spare = st_format_size(least);
  ST_AUTO_FREE char *words =
      st_format("too little space: %s needed, %s free, of which %s are to stay so (min_free)", need,
                have, spare);
  refuse(c, path, words);
}

/* The mount that the scan saw is still the one that the directory lies on. */
static const char *check_mount(struct check *c, const char *path, uint64_t mount_id)
{
  const char *top = st_world_mount_of(c->p->world, path);
  struct st_meta meta;
  ST_AUTO_CLOSE int fd = -1;
  if (strcmp(top, "/") != 0) {
    fd = st_open_beneath(root_of(c), top, O_PATH | O_DIRECTORY, 0);
    if (fd < 0)
      return "its mount point is not there any more";
  }
  if (st_meta_read(fd >= 0 ? fd : root_of(c), "", &meta) < 0)
    return "its mount point cannot be looked at";
  return meta.mount_id == mount_id ? NULL : "another file system was mounted above it meanwhile";
}

static bool is_read_only(int fd)
{
  struct statvfs v;
  return fstatvfs(fd, &v) == 0 && (v.f_flag & ST_RDONLY);
}

static bool is_made(const struct check *c, const char *path)
{
  return st_set_get(c->made, path, strlen(path), NULL);
}

static void look_above(struct check *c, const char *path)
{
  size_t n = (size_t)(strrchr(path, '/') - path);
  if (c->above && strncmp(c->above, path, n) == 0 && c->above[n] == 0)
    return;
  free(c->above);
  free(c->existing);
  c->above = st_memdup(path, n);
  c->above_made = is_made(c, c->above);
  c->existing = parent_of(path);
  while (is_made(c, c->existing)) {
    char *above = parent_of(c->existing);
    free(c->existing);
    c->existing = above;
  }
}

/* Whether something can be put into that directory; `*ret`: how it is before the restore. */
static bool check_directory(struct check *c, const char *path, const char *parent,
                            struct st_meta *ret)
{
  ST_AUTO_CLOSE int fd = st_open_beneath(root_of(c), parent, O_PATH | O_DIRECTORY, 0);
  if (fd < 0 || st_meta_read(fd, "", ret) < 0) {
    if (c->p->unchanged)
      refuse(c, path, "its directory cannot be opened without following a symlink");
    return false;
  }
  const char *why = is_read_only(fd)
                        ? "the file system is mounted read-only: remount it for writing"
                        : check_mount(c, parent, ret->mount_id);
  if (why)
    refuse(c, path, why);
  return !why;
}

/* What keeps even root from changing it is taken away for the restore. */
static void check_locks(struct check *c, const char *path, uint32_t flags)
{
  if ((flags & ST_FLAGS_LOCK) && !c->may_unlock)
    refuse(c, path,
           "it, or what it lies in, is immutable or append-only, which we may not change "
           "(CAP_LINUX_IMMUTABLE)");
}

/* What keeps anybody, or us, from it now. */
static void note_locks(const struct check *c, const struct st_meta *meta, struct st_touched *t)
{
  const char *name;
  uint32_t flags;
  ST_AUTO_CLOSE int parent = st_open_parent(root_of(c), t->path, &name);
  if (parent >= 0 && st_flags_get_at(parent, name, &flags) == 0)
    t->flags |= flags & ST_FLAGS_LOCK;
  if (t->mode < 0 && meta->type == 'd' && meta->uid == geteuid() && meta->uid != 0 &&
      (meta->mode & 0700) != 0700)
    t->mode = (int32_t)meta->mode;
}

/* Notes a directory whose entries change, or a file that gets another link. */
static void touch(struct check *c, const char *path, const char *touched,
                  const struct st_meta *meta)
{
  struct st_touched t = {(char *)touched, meta->mtime, meta->mtime_nsec, 0, -1};
  note_locks(c, meta, &t);
  check_locks(c, path, t.flags);
  st_journal_touch(c->journal, &t);
}

/* What an interrupted restore touched gets back the times and locks of before it; but where it was
 * all but done, what it put there is locked as well. */
static void touch_again(struct check *c)
{
  for (size_t i = 0; i < c->journal->ntouched; i++) {
    struct st_touched *t = &c->journal->touched[i];
    const char *name;
    struct st_meta meta;
    st_set_add(c->touched, t->path, strlen(t->path), 0);
    ST_AUTO_CLOSE int parent = st_open_parent(root_of(c), t->path, &name);
    if (parent >= 0 && st_meta_read(parent, name, &meta) == 0)
      note_locks(c, &meta, t);
  }
}

/* What is linked to, unless the plan puts it there itself. */
static void check_link(struct check *c, const struct st_action *a)
{
  const char *to = a->after.linked_to;
  const char *name;
  struct st_meta meta;
  if (!to || st_set_get(c->touched, to, strlen(to), NULL))
    return;
  ST_AUTO_CLOSE int parent = st_open_parent(root_of(c), to, &name);
  if (parent < 0 || st_meta_read(parent, name, &meta) < 0 || meta.type != 'f')
    return;
  st_set_add(c->touched, to, strlen(to), 0);
  touch(c, a->path, to, &meta);
}

/* The directory above, or the nearest one above that which the plan does not make itself. */
static void check_parent(struct check *c, const struct st_action *a)
{
  look_above(c, a->path);
  const char *parent = c->existing;
  if (!c->parent || strcmp(c->parent, parent) != 0) {
    free(st_steal(&c->parent));
    if (!check_directory(c, a->path, parent, &c->parent_meta))
      return;
    c->parent = st_strdup(parent);
    c->parent_touched = false;
  }
  const struct st_meta *meta = &c->parent_meta;
  if (a->after.type == 'f' && a->kind != ST_ACTION_METADATA)
    need_space(c, meta->mount_id, a->after.size);
  if (a->kind == ST_ACTION_METADATA || c->parent_touched)
    return;
  c->parent_touched = true;
  if (st_set_add(c->touched, parent, strlen(parent), 0))
    touch(c, a->path, parent, meta);
}

/* ---- Contents -------------------------------------------------------------------------------- */

bool st_preflight_needs_content(const struct st_action *a)
{
  return a->after.type == 'f' && a->kind != ST_ACTION_METADATA && a->kind != ST_ACTION_DELETE &&
         !a->after.linked_to;
}

/* What a package file has was proved there, or refused. */
static bool needs_content(const struct st_action *a)
{
  return st_preflight_needs_content(a) && !a->after.in_package;
}

/* The content stays the same, and is read from where it is. */
static bool keeps_content(const struct st_action *a)
{
  return a->before.type == 'f' && (a->before.known & ST_KNOWN_DIGEST) &&
         (a->after.known & ST_KNOWN_DIGEST) && st_id_equal(&a->before.digest, &a->after.digest);
}

/* Its content is proved when it is made ready. */
static bool is_staged(const struct check *c, size_t index)
{
  return c->stage && st_stage_takes(c->stage, index);
}

static int forget_piece(void *arg, const void *data, size_t n, struct st_error *err)
{
  (void)arg, (void)data, (void)n, (void)err;
  return 0;
}

/* Objects are read and proved by their ids: most of them by threads, which only tell the good ones.
 * The others, secrets, and what says who may log in are looked at in turn. */
static int prove_object(void *arg, struct st_store *store, size_t index)
{
  struct check *c = arg;
  struct st_action *a = c->journal->actions.items[index];
  if (!needs_content(a) || a->after.digest.keyed || is_staged(c, index) ||
      st_is_account_file(a->path))
    return 0;
  if (st_signals_pending())
    return 1;
  if (st_store_get_to(store, &a->after.digest, forget_piece, NULL, NULL) == 0) {
    int64_t length = st_store_length(store, &a->after.digest);
    a->after.size = length > 0 ? (uint64_t)length : 0;
    c->proved[index] = length >= 0;
  }
  return 0;
}

static int prove_objects(struct check *c, struct st_error *err)
{
  c->proved = st_calloc(c->journal->actions.count + 1, sizeof(*c->proved));
  const struct st_workers w = {
      .store_dir = c->p->world->tracker->store_dir,
      .store = c->p->store,
      .count = c->journal->actions.count,
      .one = prove_object,
      .arg = c,
  };
  return st_workers_run(&w, err);
}

static bool is_secret(const struct check *c, const struct st_action *a)
{
  if (a->before.known & ST_KNOWN_DIGEST)
    return a->before.digest.keyed;
  return st_rules_match(c->p->world->tracker->secret, a->path, false) != NULL;
}

/* Put, and proved to be readable: reading what is damaged marks it, and it is then put anew. */
static int put_proved(struct check *c, int fd, bool secret, const struct st_id *previous,
                      struct st_id *ret, uint64_t *ret_size, struct st_error *err)
{
  struct st_store *store = c->p->store;
  if (st_store_put_fd(store, fd, secret, previous, ret, ret_size, err) < 0)
    return -1;
  if (st_store_get_to(store, ret, forget_piece, NULL, NULL) == 0)
    return 0;
  if (lseek(fd, 0, SEEK_SET) < 0)
    return st_fail(err, errno, "cannot read it again");
  if (st_store_put_fd(store, fd, secret, NULL, ret, ret_size, err) < 0)
    return -1;
  return st_store_get_to(store, ret, forget_piece, NULL, err);
}

/* Whether the content that was put under `id` is what the scan saw: of a secret by the keys of
 * whose checkpoints are looked at, which need not be ours. */
static bool is_as_seen(struct check *c, const struct st_action *a, const struct st_id *id)
{
  const struct st_tracker *t = c->p->world->tracker;
  struct st_state live = {.type = 'f'};
  if (!(a->before.known & ST_KNOWN_DIGEST))
    return true;
  if (!a->before.digest.keyed || !t->other_keys)
    return st_id_equal(id, &a->before.digest);
  return st_live_digest(root_of(c), a->path, t->keys.id_key, &live, NULL) == 0 &&
         st_id_equal(&live.digest, &a->before.digest);
}

static int put_content(struct check *c, struct st_action *a, struct st_error *err)
{
  ST_AUTO_CLOSE int fd = st_live_open(root_of(c), a->path, err);
  if (fd < 0)
    return -1;
  /* A secret is no delta: what it would be made against may be of another host's key. */
  bool secret = is_secret(c, a);
  const struct st_id *previous = needs_content(a) && !secret ? &a->after.digest : NULL;
  struct st_id id;
  uint64_t size;
  if (put_proved(c, fd, secret, previous && !previous->keyed ? previous : NULL, &id, &size, err) <
      0)
    return -1;
  if (!is_as_seen(c, a, &id))
    return st_fail(err, 0, "it changed while the restore was being prepared: run it again");
  a->before.digest = id;
  a->before.known |= ST_KNOWN_DIGEST;
  a->before.size = size;
  a->before.kept = true;
  return 0;
}

/* A content that is read through, in pieces. */
struct through {
  struct st_store_writer *adopted; /* NULL: it is not kept anew */
  struct st_buffer *text;          /* what root logs in by; NULL: none of that */
  uint64_t size;
};

static int pass_through(void *arg, const void *data, size_t n, struct st_error *err)
{
  struct through *t = arg;
  t->size += n;
  if (t->text)
    st_buffer_append(t->text, data, n);
  return t->adopted ? st_store_writer_add(t->adopted, data, n, err) : 0;
}

/* Another host's secret becomes one of ours: the journal, undo and resume need no key but ours. */
static int read_through(struct check *c, struct st_action *a, struct st_buffer *text,
                        struct st_error *err)
{
  ST_CLEANUP(st_store_writer_freep) struct st_store_writer *w = NULL;
  struct st_store *store = c->p->store;
  bool adopt = a->after.digest.keyed && c->p->world->tracker->other_keys && !c->p->dry_run;
  if (adopt && st_store_writer_new(&w, store, true, NULL, err) < 0)
    return -1;
  struct through t = {w, st_is_account_file(a->path) ? text : NULL, 0};
  if (st_store_get_to(store, &a->after.digest, pass_through, &t, err) < 0)
    return -1;
  a->after.size = t.size;
  return adopt ? st_store_writer_finish(w, &a->after.digest, err) : 0;
}

static void check_object(struct check *c, size_t index)
{
  struct st_action *a = c->journal->actions.items[index];
  if (!needs_content(a) || c->proved[index])
    return;
  if (is_staged(c, index)) {
    int64_t length = a->after.size ? 0 : st_store_length(c->p->store, &a->after.digest);
    a->after.size += length > 0 ? (uint64_t)length : 0;
    return;
  }
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  if (keeps_content(a) && !st_store_has(c->p->store, &a->after.digest)) {
    if (!c->p->dry_run && put_content(c, a, &why) < 0)
      refuse(c, a->path, st_error_text(&why));
    a->after.size = a->before.size;
    return;
  }
  if (read_through(c, a, &text, &why) < 0) {
    ST_AUTO_FREE char *words = st_format(
        "its content cannot be read: %s; `systracker verify` says what is damaged, leaving this "
        "path out restores the others",
        st_error_text(&why));
    refuse(c, a->path, words);
    return;
  }
  if (!st_root_can_log_in(a->path, text.data ? text.data : "", text.length))
    refuse(c, a->path, "root could not log in with it: leave it out, or restore it by hand");
  if (text.data)
    explicit_bzero(text.data, text.size);
}

/* Nobody changed it since the scan. */
static void check_live(struct check *c, struct st_action *a)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_state live;
  if (st_live_state(root_of(c), a->path, NULL, &live, &why) < 0) {
    refuse(c, a->path, st_error_text(&why));
    return;
  }
  /* Of what was allocated and never written, a file system may say both, as its cache has it. */
  unsigned d = st_state_differences(&a->before, &live) & ~(unsigned)ST_DIFFERS_HOLES;
  if (live.type == 'd')
    d &= ~(unsigned)ST_DIFFERS_TIME;
  if (d != 0 && c->p->unchanged)
    refuse(c, a->path, "it changed while the restore was being prepared: run it again");
  a->before.size = live.size;
  st_state_clear(&live);
}

/* ---- What undo needs ------------------------------------------------------------------------- */

static bool loses_content(const struct st_action *a)
{
  return a->before.type == 'f' && a->kind != ST_ACTION_METADATA;
}

static void check_kept(struct check *c, const struct st_action *a)
{
  if (!c->p->keep || !loses_content(a))
    return;
  struct st_state live;
  if (st_live_state(root_of(c), a->path, NULL, &live, NULL) < 0)
    return;
  if (live.type == 'f')
    c->kept += live.size;
  st_state_clear(&live);
}

static void keep_contents(struct check *c)
{
  for (size_t i = 0; i < c->journal->actions.count && !st_signals_pending(); i++) {
    struct st_action *a = c->journal->actions.items[i];
    if (!loses_content(a))
      continue;
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    if (put_content(c, a, &why) < 0) {
      ST_AUTO_FREE char *words =
          st_format("what is there now cannot be kept for undo: %s", st_error_text(&why));
      refuse(c, a->path, words);
    }
  }
}

/* A directory that goes is made again by undo with the time that it has now. */
static void note_directory_time(struct check *c, struct st_action *a)
{
  if (a->before.type != 'd' || a->after.type == 'd')
    return;
  struct st_state live;
  if (st_live_state(root_of(c), a->path, NULL, &live, NULL) < 0)
    return;
  if (live.type == 'd') {
    a->before.mtime = live.mtime;
    a->before.mtime_nsec = live.mtime_nsec;
    a->before.known |= ST_KNOWN_TIME;
  }
  st_state_clear(&live);
}

/* ---- All of it ------------------------------------------------------------------------------- */

/* In a directory that the plan makes nothing can be, but where that is there by now, which is
 * looked for itself. */
static bool lies_in_made(struct check *c, const struct st_action *a)
{
  look_above(c, a->path);
  return a->kind == ST_ACTION_CREATE && c->above_made;
}

static void check_action(struct check *c, size_t index)
{
  struct st_action *a = c->journal->actions.items[index];
  check_account(c, a);
  if (c->p->unchanged && !lies_in_made(c, a))
    check_live(c, a);
  check_object(c, index);
  check_parent(c, a);
  check_locks(c, a->path, a->before.known & ST_KNOWN_FLAGS ? a->before.flags : 0);
  check_link(c, a);
  check_kept(c, a);
  if (c->p->unchanged)
    note_directory_time(c, a);
}

static void check_all_space(struct check *c)
{
  struct st_journal *j = c->journal;
  for (size_t i = 0; i < j->ntouched && c->nspace > 0; i++) {
    struct st_meta meta;
    ST_AUTO_CLOSE int fd = st_open_beneath(root_of(c), j->touched[i].path, O_RDONLY, 0);
    if (fd < 0 || st_meta_read(fd, "", &meta) < 0)
      continue;
    for (size_t k = 0; k < c->nspace; k++) {
      if (c->space[k].mount != meta.mount_id)
        continue;
      check_space(c, fd, j->touched[i].path, c->space[k].needed);
      c->space[k] = c->space[--c->nspace];
      break;
    }
  }
  if (c->kept > 0)
    check_space(c, c->p->world->tracker->store_dir, "the store", c->kept);
}

/* It is refused already: so what is wrong with the others is said, too. */
static int prove_staged(struct check *c, struct st_error *err)
{
  const struct st_stage *stage = c->stage;
  c->stage = NULL;
  if (!stage)
    return 0;
  free(c->proved);
  int r = prove_objects(c, err);
  for (size_t i = 0; r == 0 && i < c->journal->actions.count; i++) {
    if (st_stage_takes(stage, i))
      check_object(c, i);
  }
  return r;
}

/* All is well so far. */
static int make_ready(struct check *c, struct st_error *err)
{
  const struct st_preflight *p = c->p;
  if (p->keep)
    keep_contents(c);
  if (st_store_sync(p->store, err) < 0)
    return -1;
  if (st_signals_pending())
    return 1;
  return p->stage && c->refusals->count == 0 ? st_stage_fill(p->stage, c->refusals, err) : 0;
}

int st_preflight(const struct st_preflight *p, struct st_journal *j, struct st_strings *refusals,
                 struct st_error *err)
{
  ST_CLEANUP(st_set_freep) struct st_set *made = st_set_new(), *touched = st_set_new();
  struct check c = {.p = p, .journal = j, .refusals = refusals, .made = made, .touched = touched};
  c.may_unlock = st_flags_may_lock();
  c.stage = p->stage;
  for (size_t i = 0; i < j->actions.count; i++) {
    const struct st_action *a = j->actions.items[i];
    if (a->after.type == 'd' && a->before.type != 'd')
      st_set_add(made, a->path, strlen(a->path), 0);
  }
  touch_again(&c);
  int r = st_from_packages(p, j, refusals, err);
  if (r == 0)
    r = prove_objects(&c, err);
  if (r == 0 && p->stage)
    st_stage_look_up(p->stage);
  for (size_t i = 0; r == 0 && i < j->actions.count; i++) {
    check_action(&c, i);
    r = i % SIGNALS_EVERY == 0 && st_signals_pending() ? 1 : 0;
  }
  check_all_space(&c);
  if (r == 0 && refusals->count > 0)
    r = prove_staged(&c, err);
  else if (r == 0 && !p->dry_run)
    r = make_ready(&c, err);
  free(c.space);
  free(c.above);
  free(c.existing);
  free(c.parent);
  free(c.proved);
  return r;
}
