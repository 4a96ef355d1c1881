/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-world.h - for the tests of the walk: a root and a store in a scratch folder, and what the
 * walks said of them. */
#ifndef ST_SCAN_TEST_WORLD_H
#define ST_SCAN_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#include "systracker/base/file.h"
#include "systracker/base/keys.h"
#include "systracker/scan/walk.h"

static const uint8_t head[ST_DIGEST_SIZE] = {1}, scope_digest[ST_DIGEST_SIZE] = {2};

/* A root and a store in a scratch folder, and what the walks said: lines "WHAT PATH". */
struct world {
  char folder[64];
  int root, store;
  struct st_accounts *accounts;
  struct st_keys keys;
  struct st_scope *scope;
  struct st_strings said;
  struct st_strings soon; /* what was named before it was told, */
  unsigned unnamed;       /* and entries that were not */
  struct st_strings mounts;
  struct st_walk_result result;
  struct st_entry last; /* without its strings */
  unsigned want;
  bool full, lost; /* lost: the store has no object */
  bool prepares;   /* content is prepared */
  bool refuses;    /* but no large one */
  uint64_t max_content;
  const char *fails; /* preparing it does, or telling it; the walk then has to */
  const char *forced;
  const char *expects, *expected;         /* the path, and its content */
  void (*while_reading)(struct world *w); /* called from `content` and `want` */
  bool current;
  bool proves; /* each digest is compared with the file */
  struct st_written *written, *proved;
  bool elsewhere; /* the index is of another root */
  uint32_t timeless;
};

/* ---- The root -----------------------------------------------------------------------------------
 */

static inline void make_dir(struct world *w, const char *path)
{
  assert_int_equal(st_make_dirs(w->root, path + 1, 0755, NULL), 0);
}

/* An old time, so that what is there is settled. */
static inline void age(struct world *w, const char *path)
{
  const struct timespec times[2] = {{1000000000, 5}, {1000000000, 5}};
  assert_int_equal(utimensat(w->root, path + 1, times, AT_SYMLINK_NOFOLLOW), 0);
}

static inline void put_bytes(struct world *w, const char *path, const void *data, size_t length)
{
  ST_AUTO_CLOSE int fd = openat(w->root, path + 1, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  assert_true(fd >= 0);
  assert_int_equal(st_write_all(fd, data, length, NULL), 0);
  age(w, path);
}

static inline void put_file(struct world *w, const char *path, const char *text)
{
  put_bytes(w, path, text, strlen(text));
}

static inline void drop(struct world *w, const char *path, int flags)
{
  assert_int_equal(unlinkat(w->root, path + 1, flags), 0);
}

static inline int remove_tree(const char *folder)
{
  pid_t pid = fork();
  int status = -1;
  if (pid == 0) {
    execlp("rm", "rm", "-r", "--one-file-system", folder, (char *)NULL);
    _exit(127);
  }
  return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

/* ---- What the walk tells
 * ------------------------------------------------------------------------- */

static inline void say(struct world *w, const char *what, const char *path)
{
  st_strings_take(&w->said, st_format("%s %s", what, path));
}

static inline bool said(const struct world *w, const char *what)
{
  return st_strings_has(&w->said, what);
}

static inline size_t count_said(const struct world *w, const char *what)
{
  size_t n = 0;
  for (size_t i = 0; i < w->said.count; i++)
    n += strncmp(w->said.items[i], what, strlen(what)) == 0;
  return n;
}

static inline unsigned want(void *arg, uint32_t plugins, const struct st_entry *entry)
{
  struct world *w = arg;
  assert_int_not_equal(plugins, 0);
  if (w->while_reading && entry->type == 'f')
    w->while_reading(w);
  return w->want;
}

static inline void prove(struct world *w, const struct st_entry *entry)
{
  struct st_id id;
  ST_AUTO_CLOSE int fd = openat(w->root, entry->path + 1, O_RDONLY);
  ST_AUTO_FREE char *data = st_malloc(entry->size + 1);
  assert_int_equal(read(fd, data, entry->size + 1), entry->size);
  st_id_of(&id, NULL, data, entry->size);
  assert_true(st_id_equal(&id, &entry->digest));
}

static inline void soon(void *arg, const char *path)
{
  struct world *w = arg;
  st_strings_add(&w->soon, path);
}

static inline int on_entry(void *arg, uint32_t plugins, const struct st_entry *entry,
                           struct st_error *err)
{
  struct world *w = arg;
  assert_int_not_equal(plugins, 0);
  if (w->fails && strcmp(entry->path, w->fails) == 0)
    return st_fail(err, 0, "as the test will have it");
  w->unnamed += !st_strings_has(&w->soon, entry->path);
  say(w, "entry", entry->path);
  if (entry->has_digest)
    say(w, "digest", entry->path);
  if (entry->has_digest && w->proves)
    prove(w, entry);
  if (entry->unreadable)
    say(w, "unreadable", entry->path);
  if (entry->target)
    say(w, entry->target, entry->path);
  w->last = *entry;
  return 0;
}

static inline int content(void *arg, const struct st_entry *entry, const struct st_walk_content *c,
                          struct st_id *ret, struct st_error *err)
{
  struct world *w = arg;
  (void)err;
  const void *data = w->prepares ? c->prepared : c->data;
  assert_int_equal(ret->keyed, c->secret);
  say(w, c->secret ? "secret" : "content", entry->path);
  if (w->refuses)
    return 0;
  assert_non_null(data);
  if (!w->prepares)
    assert_int_equal(entry->size, c->length);
  struct st_id id;
  st_id_of(&id, c->secret ? w->keys.id_key : NULL, data, entry->size);
  assert_true(st_id_equal(&id, ret));
  free(c->prepared);
  return 0;
}

/* In any thread. */
static inline int prepare(void *arg, const struct st_entry *entry, const struct st_walk_content *c,
                          void **ret, struct st_error *err)
{
  struct world *w = arg;
  if (w->fails && strcmp(entry->path, w->fails) == 0)
    return st_fail(err, 0, "as the test will have it");
  if (c->fd < 0) {
    *ret = st_memdup(c->data, c->length);
    return 0;
  }
  if (w->refuses)
    return 1;
  *ret = st_calloc(1, c->length);
  if (w->while_reading)
    w->while_reading(w);
  assert_int_equal(read(c->fd, *ret, c->length), c->length);
  st_id_of(c->id, c->secret ? w->keys.id_key : NULL, *ret, c->length);
  return 0;
}

static inline bool expects(void *arg, const char *path, const struct st_id *digest)
{
  const struct world *w = arg;
  struct st_id id;
  if (!w->expected || strcmp(path, w->expects) != 0)
    return false;
  st_id_of(&id, NULL, w->expected, strlen(w->expected));
  return st_id_equal(&id, digest);
}

static inline void drop_prepared(void *arg, void *prepared)
{
  (void)arg;
  free(prepared);
}

static inline bool has(void *arg, const struct st_id *id)
{
  (void)id;
  return !((struct world *)arg)->lost;
}

static inline bool forced(void *arg, const char *path)
{
  const struct world *w = arg;
  return w->forced && strcmp(w->forced, path) == 0;
}

static inline int gone(void *arg, const char *path, struct st_error *err)
{
  (void)err;
  say(arg, "gone", path);
  return 0;
}

static inline int unobserved(void *arg, const char *path, const char *why, struct st_error *err)
{
  (void)err;
  assert_true(strlen(why) > 0);
  say(arg, "unobserved", path);
  return 0;
}

static inline int on_mount(void *arg, const struct st_mount *mount, struct st_error *err)
{
  (void)err;
  ST_AUTO_FREE char *what =
      st_format("%s %s", mount->entered ? "entered" : "passed", mount->fstype);
  say(arg, what, mount->path);
  return 0;
}

/* ---- Walks
 * ----------------------------------------------------------------------------------------- */

static inline void add_rules(struct world *w, const char *const *patterns)
{
  struct st_rules *rules = st_rules_new();
  for (; *patterns; patterns++)
    assert_int_equal(st_rules_add(rules, **patterns == '-' ? ST_RULE_EXCLUDE : ST_RULE_TRACK,
                                  *patterns + 1, "test:1", NULL, NULL),
                     0);
  st_scope_add(w->scope, rules);
}
#define RULES(w, ...) add_rules(w, (const char *const[]){__VA_ARGS__, NULL})

static inline struct st_index *begin_walk(struct world *w, bool persist)
{
  struct st_index *index = NULL;
  assert_int_equal(st_index_open(&index, w->store, NULL), 0);
  w->current = st_index_is_current(index, head, scope_digest);
  st_strings_free(&w->said);
  assert_int_equal(st_index_start(index, persist, NULL), 0);
  return index;
}

static inline void do_walk(struct world *w, struct st_index *index)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  const struct st_walk_options options = {
      .root = w->root,
      .scope = w->scope,
      .index = index,
      .current = w->current,
      .elsewhere = w->elsewhere,
      .timeless = w->timeless,
      .full = w->full,
      .accounts = w->accounts,
      .keys = &w->keys,
      .mounts = &w->mounts,
      .max_content = w->max_content ? w->max_content : 1000,
      .written = w->written,
      .proved = w->proved,
  };
  const struct st_walk_callbacks callbacks = {w,
                                              want,
                                              on_entry,
                                              content,
                                              has,
                                              forced,
                                              gone,
                                              unobserved,
                                              on_mount,
                                              w->prepares ? prepare : NULL,
                                              drop_prepared,
                                              expects,
                                              soon};
  int r = st_walk(&options, &callbacks, &w->result, &err);
  assert_int_equal(r < 0, w->fails != NULL);
  if (r < 0 && !w->fails)
    fail_msg("%s", st_error_text(&err));
}

static inline void walk(struct world *w)
{
  ST_CLEANUP(st_index_closep) struct st_index *index = begin_walk(w, true);
  do_walk(w, index);
  assert_int_equal(st_index_commit(index, head, scope_digest, NULL), 0);
}

static inline int setup(void **state)
{
  struct world *w = st_calloc(1, sizeof(*w));
  *state = w;
  snprintf(w->folder, sizeof(w->folder), "/tmp/test-walk.XXXXXX");
  if (!mkdtemp(w->folder))
    return -1;
  int top = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  mkdirat(top, "root", 0755);
  mkdirat(top, "store", 0700);
  w->root = openat(top, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  w->store = openat(top, "store", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  close(top);
  w->scope = st_scope_new();
  w->want = ST_WANT_ENTRY | ST_WANT_DIGEST;
  make_dir(w, "/etc");
  put_file(w, "/etc/passwd", "root:x:0:0::/:\nme:x:1234:0::/:\n");
  put_file(w, "/etc/group", "root:x:0:\n");
  return st_accounts_read(&w->accounts, w->root, NULL) < 0 || st_keys_make(&w->keys, NULL) < 0;
}

static inline int teardown(void **state)
{
  struct world *w = *state;
  close(w->root);
  close(w->store);
  st_scope_free(w->scope);
  st_accounts_free(w->accounts);
  st_strings_free(&w->said);
  st_strings_free(&w->soon);
  st_strings_free(&w->mounts);
  st_written_free(w->written);
  st_written_free(w->proved);
  int r = remove_tree(w->folder);
  free(w);
  return r;
}

/* ctime cannot be set back: what was just made is unsettled until the coarse clock, which may lag
 * behind by more than its tick, has come past it. */
static inline void settle(void)
{
  struct timespec start, now;
  clock_gettime(CLOCK_REALTIME, &start);
  do {
    const struct timespec tick = {0, 1000000};
    nanosleep(&tick, NULL);
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
  } while (now.tv_sec < start.tv_sec ||
           (now.tv_sec == start.tv_sec && now.tv_nsec <= start.tv_nsec));
}

static inline void walk_settled(struct world *w)
{
  settle();
  walk(w);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
