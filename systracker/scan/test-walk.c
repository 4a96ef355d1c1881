/* SPDX-License-Identifier: GPL-2.0-or-later */
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
  struct st_strings mounts;
  struct st_walk_result result;
  struct st_entry last; /* without its strings */
  unsigned want;
  bool full, lost; /* lost: the store has no object */
  bool prepares;   /* content is prepared */
  bool refuses;    /* but no large one */
  uint64_t max_content;
  const char *fails; /* preparing it does; the walk then has to */
  const char *forced;
  void (*while_reading)(struct world *w); /* called from `content` and `want` */
  bool current;
};

/* ---- The root -----------------------------------------------------------------------------------
 */

static void make_dir(struct world *w, const char *path)
{
  assert_int_equal(st_make_dirs(w->root, path + 1, 0755, NULL), 0);
}

/* An old time, so that what is there is settled. */
static void age(struct world *w, const char *path)
{
  const struct timespec times[2] = {{1000000000, 5}, {1000000000, 5}};
  assert_int_equal(utimensat(w->root, path + 1, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void put_file(struct world *w, const char *path, const char *text)
{
  ST_AUTO_CLOSE int fd = openat(w->root, path + 1, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  assert_true(fd >= 0);
  assert_int_equal(st_write_all(fd, text, strlen(text), NULL), 0);
  age(w, path);
}

static void drop(struct world *w, const char *path, int flags)
{
  assert_int_equal(unlinkat(w->root, path + 1, flags), 0);
}

static int remove_tree(const char *folder)
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

static void say(struct world *w, const char *what, const char *path)
{
  st_strings_take(&w->said, st_format("%s %s", what, path));
}

static bool said(const struct world *w, const char *what)
{
  return st_strings_has(&w->said, what);
}

static size_t count_said(const struct world *w, const char *what)
{
  size_t n = 0;
  for (size_t i = 0; i < w->said.count; i++)
    n += strncmp(w->said.items[i], what, strlen(what)) == 0;
  return n;
}

static unsigned want(void *arg, uint32_t plugins, const struct st_entry *entry)
{
  struct world *w = arg;
  assert_int_not_equal(plugins, 0);
  if (w->while_reading && entry->type == 'f')
    w->while_reading(w);
  return w->want;
}

static int on_entry(void *arg, uint32_t plugins, const struct st_entry *entry, struct st_error *err)
{
  struct world *w = arg;
  (void)err;
  assert_int_not_equal(plugins, 0);
  say(w, "entry", entry->path);
  if (entry->has_digest)
    say(w, "digest", entry->path);
  if (entry->unreadable)
    say(w, "unreadable", entry->path);
  if (entry->target)
    say(w, entry->target, entry->path);
  w->last = *entry;
  return 0;
}

static int content(void *arg, const struct st_entry *entry, const struct st_walk_content *c,
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
static int prepare(void *arg, const struct st_entry *entry, const struct st_walk_content *c,
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

static void drop_prepared(void *arg, void *prepared)
{
  (void)arg;
  free(prepared);
}

static bool has(void *arg, const struct st_id *id)
{
  (void)id;
  return !((struct world *)arg)->lost;
}

static bool forced(void *arg, const char *path)
{
  const struct world *w = arg;
  return w->forced && strcmp(w->forced, path) == 0;
}

static int gone(void *arg, const char *path, struct st_error *err)
{
  (void)err;
  say(arg, "gone", path);
  return 0;
}

static int unobserved(void *arg, const char *path, const char *why, struct st_error *err)
{
  (void)err;
  assert_true(strlen(why) > 0);
  say(arg, "unobserved", path);
  return 0;
}

static int on_mount(void *arg, const struct st_mount *mount, struct st_error *err)
{
  (void)err;
  ST_AUTO_FREE char *what =
      st_format("%s %s", mount->entered ? "entered" : "passed", mount->fstype);
  say(arg, what, mount->path);
  return 0;
}

/* ---- Walks
 * ----------------------------------------------------------------------------------------- */

static void add_rules(struct world *w, const char *const *patterns)
{
  struct st_rules *rules = st_rules_new();
  for (; *patterns; patterns++)
    assert_int_equal(st_rules_add(rules, **patterns == '-' ? ST_RULE_EXCLUDE : ST_RULE_TRACK,
                                  *patterns + 1, "test:1", NULL, NULL),
                     0);
  st_scope_add(w->scope, rules);
}
#define RULES(w, ...) add_rules(w, (const char *const[]){__VA_ARGS__, NULL})

static struct st_index *begin_walk(struct world *w, bool persist)
{
  struct st_index *index = NULL;
  assert_int_equal(st_index_open(&index, w->store, NULL), 0);
  w->current = st_index_is_current(index, head, scope_digest);
  st_strings_free(&w->said);
  assert_int_equal(st_index_start(index, persist, NULL), 0);
  return index;
}

static void do_walk(struct world *w, struct st_index *index)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  const struct st_walk_options options = {
      .root = w->root,
      .scope = w->scope,
      .index = index,
      .current = w->current,
      .full = w->full,
      .accounts = w->accounts,
      .keys = &w->keys,
      .mounts = &w->mounts,
      .max_content = w->max_content ? w->max_content : 1000,
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
                                              drop_prepared};
  int r = st_walk(&options, &callbacks, &w->result, &err);
  assert_int_equal(r < 0, w->fails != NULL);
  if (r < 0 && !w->fails)
    fail_msg("%s", st_error_text(&err));
}

static void walk(struct world *w)
{
  ST_CLEANUP(st_index_closep) struct st_index *index = begin_walk(w, true);
  do_walk(w, index);
  assert_int_equal(st_index_commit(index, head, scope_digest, NULL), 0);
}

static int setup(void **state)
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

static int teardown(void **state)
{
  struct world *w = *state;
  close(w->root);
  close(w->store);
  st_scope_free(w->scope);
  st_accounts_free(w->accounts);
  st_strings_free(&w->said);
  st_strings_free(&w->mounts);
  int r = remove_tree(w->folder);
  free(w);
  return r;
}

/* ctime cannot be set back: what was just made is unsettled until the coarse clock, which may lag
 * behind by more than its tick, has come past it. */
static void settle(void)
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

static void walk_settled(struct world *w)
{
  settle();
  walk(w);
}

/* ---- Tests
 * -------------------------------------------------------------------------------------------- */

static void test_first(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc", "-/etc/no");
  make_dir(w, "/etc/d");
  put_file(w, "/etc/d/f", "text");
  put_file(w, "/etc/no", "not tracked");
  make_dir(w, "/usr");
  assert_int_equal(symlinkat("no/such place", w->root, "etc/l"), 0);
  assert_int_equal(mkfifoat(w->root, "etc/p", 0600), 0);
  walk(w);
  const char *const all[] = {"entry /etc",        "entry /etc/d",         "entry /etc/d/f",
                             "digest /etc/d/f",   "entry /etc/group",     "digest /etc/group",
                             "entry /etc/l",      "no/such place /etc/l", "entry /etc/p",
                             "entry /etc/passwd", "digest /etc/passwd"};
  assert_int_equal(w->said.count, ST_COUNT(all));
  for (size_t i = 0; i < ST_COUNT(all); i++)
    assert_string_equal(w->said.items[i], all[i]);
  assert_int_equal(w->result.entries, 7);
  assert_int_equal(w->result.looked_at, 7);
  assert_int_equal(w->result.read, 3);
}

static void test_entry(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  put_file(w, "/f", "text");
  assert_int_equal(fchmodat(w->root, "f", 04751, 0), 0);
  walk(w);
  struct st_id id;
  st_id_of(&id, NULL, "text", 4);
  assert_int_equal(w->last.type, 'f');
  assert_int_equal(w->last.mode, 04751);
  assert_int_equal(w->last.size, 4);
  assert_int_equal(w->last.mtime, 1000000000);
  assert_int_equal(w->last.mtime_nsec, 5);
  assert_true(st_id_equal(&w->last.digest, &id));
}

static void test_unchanged(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc");
  walk_settled(w);
  walk_settled(w);
  assert_true(w->current);
  assert_int_equal(w->said.count, 0);
  assert_int_equal(w->result.entries, 3);
  assert_int_equal(w->result.read, 0);
  w->full = true;
  walk(w);
  assert_int_equal(w->result.read, 2);
}

/* Written within the tick of the walk: looked at again, though stat shows nothing. */
static void test_unsettled(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc");
  {
    ST_CLEANUP(st_index_closep) struct st_index *index = begin_walk(w, true);
    struct timespec before = {time(NULL) + 1000, 1};
    assert_int_equal(utimensat(w->root, "etc/passwd", (struct timespec[]){before, before}, 0), 0);
    do_walk(w, index);
    assert_int_equal(st_index_commit(index, head, scope_digest, NULL), 0);
  }
  walk_settled(w);
  assert_true(said(w, "digest /etc/passwd"));
  assert_int_equal(w->result.read > 0, true);
}

static void test_changed(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc");
  walk_settled(w);
  put_file(w, "/etc/passwd", "same length, other\n");
  put_file(w, "/etc/new", "new");
  assert_int_equal(fchmodat(w->root, "etc/group", 0600, 0), 0);
  walk_settled(w);
  assert_true(said(w, "digest /etc/passwd") && said(w, "entry /etc/group"));
  assert_true(said(w, "digest /etc/new"));
  assert_int_equal(count_said(w, "gone"), 0);
}

/* A directory that is as it was is not listed again, and what changes in it is seen all the same.
 */
static void test_listed(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc");
  make_dir(w, "/etc/a/b");
  make_dir(w, "/etc/c");
  put_file(w, "/etc/a/f", "x");
  put_file(w, "/etc/a/b/f", "x");
  put_file(w, "/etc/c/f", "x");
  walk_settled(w);
  assert_int_equal(w->result.listed, 4);
  walk_settled(w);
  assert_int_equal(w->result.listed, 0);
  assert_int_equal(w->result.entries, 9);
  put_file(w, "/etc/a/f", "other");
  walk_settled(w);
  assert_int_equal(w->result.listed, 0);
  assert_true(said(w, "digest /etc/a/f"));
  assert_int_equal(count_said(w, "entry"), 1);
  put_file(w, "/etc/a/b/new", "x");
  drop(w, "/etc/c/f", 0);
  walk_settled(w);
  assert_int_equal(w->result.listed, 2);
  assert_true(said(w, "entry /etc/a/b/new") && said(w, "gone /etc/c/f"));
  assert_true(said(w, "entry /etc/a/b") && said(w, "entry /etc/c"));
  assert_int_equal(count_said(w, "entry"), 3);
  walk_settled(w);
  assert_int_equal(w->said.count, 0);
  assert_int_equal(w->result.listed, 0);
  w->full = true;
  walk_settled(w);
  assert_int_equal(w->result.listed, 4);
}

/* What is excluded in a directory that is not listed stays so; one made anew is a change of it. */
static void test_listed_excluded(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc", "-*.tmp", "+/srv/*/keep");
  put_file(w, "/etc/x.tmp", "x");
  make_dir(w, "/srv/a/keep");
  make_dir(w, "/srv/b");
  walk_settled(w);
  assert_true(said(w, "entry /srv/a/keep"));
  assert_false(said(w, "entry /srv/a") || said(w, "entry /etc/x.tmp"));
  walk_settled(w);
  assert_int_equal(w->said.count, 0);
  assert_int_equal(w->result.listed, 0);
  assert_int_equal(w->result.entries, 4);
  make_dir(w, "/srv/b/keep");
  put_file(w, "/etc/y.tmp", "x");
  walk_settled(w);
  assert_int_equal(count_said(w, "entry"), 2); /* /etc, which has other times */
  assert_true(said(w, "entry /srv/b/keep") && said(w, "entry /etc"));
  assert_int_equal(count_said(w, "gone"), 0);
}

/* Rewritten with the same size, within the tick of the walk that saw it before. */
static void test_same_tick(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  for (int i = 0; i < 20; i++) {
    ST_AUTO_CLOSE int fd = openat(w->root, "f", O_WRONLY | O_CREAT, 0644);
    assert_int_equal(pwrite(fd, "one", 3, 0), 3);
    walk(w);
    assert_int_equal(pwrite(fd, "two", 3, 0), 3);
    walk(w);
    struct st_id id;
    st_id_of(&id, NULL, "two", 3);
    assert_true(said(w, "digest /f"));
    assert_true(st_id_equal(&w->last.digest, &id));
  }
}

/* Rewritten with the same size, and its mtime put back. */
static void test_mtime_put_back(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  put_file(w, "/f", "one");
  walk_settled(w);
  put_file(w, "/f", "two");
  walk_settled(w);
  struct st_id id;
  st_id_of(&id, NULL, "two", 3);
  assert_true(said(w, "digest /f"));
  assert_true(st_id_equal(&w->last.digest, &id));
  assert_int_equal(w->last.mtime, 1000000000);
}

static int by_path(const void *a, const void *b)
{
  const char *x = *(char *const *)a, *y = *(char *const *)b;
  for (; *x && *x == *y; x++, y++)
    ;
  int i = *x == '/' ? 1 : *x ? 2 + (unsigned char)*x : 0;
  int k = *y == '/' ? 1 : *y ? 2 + (unsigned char)*y : 0;
  return i - k;
}

/* Many directories, for several threads: each entry once, in the order of the paths. */
static void test_many(void **state)
{
  struct world *w = *state;
  RULES(w, "+/many");
  w->want = ST_WANT_ENTRY | ST_WANT_CONTENT;
  for (int i = 0; i < 600; i++) {
    ST_AUTO_FREE char *dir = st_format("/many/%d/%d/%d", i % 7, i % 30, i);
    make_dir(w, dir);
    for (int k = 0; k < 3; k++) {
      ST_AUTO_FREE char *path = st_format("%s/%d", dir, k);
      put_file(w, path, path);
    }
  }
  w->want = ST_WANT_ENTRY;
  walk_settled(w);
  uint64_t entries = w->result.entries;
  assert_int_equal(count_said(w, "entry"), entries);
  ST_AUTO_STRINGS sorted = {0};
  for (size_t i = 0; i < w->said.count; i++)
    st_strings_add(&sorted, w->said.items[i]);
  qsort(sorted.items, sorted.count, sizeof(char *), by_path);
  for (size_t i = 0; i < sorted.count; i++)
    assert_string_equal(sorted.items[i], w->said.items[i]);
  walk_settled(w);
  assert_int_equal(w->said.count, 0);
  assert_int_equal(w->result.entries, entries);
  put_file(w, "/many/6/13/433/1", "changed");
  drop(w, "/many/1/1/1/2", 0);
  w->want = ST_WANT_ENTRY | ST_WANT_CONTENT;
  walk_settled(w);
  assert_true(said(w, "content /many/6/13/433/1") && said(w, "gone /many/1/1/1/2"));
  assert_int_equal(w->result.entries, entries - 1);
  assert_int_equal(count_said(w, "entry"), 2);
  w->full = w->prepares = true;
  walk_settled(w);
  assert_int_equal(w->result.read, 600 * 3 - 1);
  assert_int_equal(count_said(w, "content"), 600 * 3 - 1);
  /* An error of one thread ends the walk, and what others have prepared is freed. */
  w->fails = "/many/6/13/433/1";
  ST_CLEANUP(st_index_closep) struct st_index *index = begin_walk(w, false);
  do_walk(w, index);
  assert_false(said(w, "content /many/6/13/433/1"));
}

/* ---- Whatever happens to a tree, what was told adds up to what is there
 * ---------------------------
 */

struct model {
  struct st_strings paths; /* those known, from what was told */
};

static void learn(struct model *m, const struct world *w)
{
  for (size_t i = 0; i < w->said.count; i++) {
    const char *line = w->said.items[i];
    if (strncmp(line, "gone ", 5) == 0) {
      size_t kept = 0;
      for (size_t k = 0; k < m->paths.count; k++) {
        if (st_path_below(m->paths.items[k], line + 5))
          free(m->paths.items[k]);
        else
          m->paths.items[kept++] = m->paths.items[k];
      }
      m->paths.count = kept;
    } else if (strncmp(line, "entry ", 6) == 0 && !st_strings_has(&m->paths, line + 6)) {
      st_strings_add(&m->paths, line + 6);
    }
  }
}

static void list_below(const struct world *w, const char *path, struct st_strings *out)
{
  struct stat st;
  if (fstatat(w->root, path + 1, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return;
  st_strings_add(out, path);
  if (!S_ISDIR(st.st_mode))
    return;
  ST_AUTO_CLOSEDIR DIR *d =
      fdopendir(openat(w->root, path + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d));) {
    ST_AUTO_FREE char *inner = st_format("%s/%s", path, e->d_name);
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, "no") != 0)
      list_below(w, inner, out);
  }
}

/* One of few names, so that they meet again: files, directories, symlinks and links of one another.
 */
static char *any_path(unsigned *seed)
{
  static const char *const names[] = {"a", "b", "a-b", "no", "long-name", "z"};
  char *path = st_strdup("/t");
  for (int depth = 1 + rand_r(seed) % 4; depth > 0; depth--) {
    char *longer = st_format("%s/%s", path, names[(size_t)rand_r(seed) % ST_COUNT(names)]);
    free(path);
    path = longer;
  }
  return path;
}

/* What cannot be done is not. */
static void do_something(struct world *w, unsigned *seed)
{
  ST_AUTO_FREE char *path = any_path(seed), *other = any_path(seed);
  ST_AUTO_CLOSE int fd = -1;
  switch (rand_r(seed) % 9) {
  case 0:
  case 1:
    mkdirat(w->root, path + 1, 0755);
    break;
  case 2:
  case 3:
    fd = openat(w->root, path + 1, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0644);
    if (fd >= 0)
      assert_int_equal(write(fd, "x", 1), 1);
    break;
  case 4:
    unlinkat(w->root, path + 1, 0);
    break;
  case 5:
    unlinkat(w->root, path + 1, AT_REMOVEDIR);
    break;
  case 6:
    renameat(w->root, path + 1, w->root, other + 1);
    break;
  case 7:
    linkat(w->root, path + 1, w->root, other + 1, 0);
    break;
  case 8:
    fchmodat(w->root, path + 1, rand_r(seed) % 2 ? 0700 : 0755, 0);
    break;
  }
}

static int by_text(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void assert_model(const struct model *m, const struct world *w, unsigned round)
{
  ST_AUTO_STRINGS there = {0}, known = {0};
  list_below(w, "/t", &there);
  for (size_t i = 0; i < m->paths.count; i++)
    st_strings_add(&known, m->paths.items[i]);
  qsort(there.items, there.count, sizeof(char *), by_text);
  qsort(known.items, known.count, sizeof(char *), by_text);
  for (size_t i = 0; i < there.count && i < known.count; i++) {
    if (strcmp(there.items[i], known.items[i]) != 0)
      fail_msg("round %u: there is %s, known is %s", round, there.items[i], known.items[i]);
  }
  assert_int_equal(there.count, known.count);
  assert_int_equal(w->result.entries, there.count);
}

static void test_random(void **state)
{
  struct world *w = *state;
  struct model m = {{0}};
  unsigned seed = 7;
  RULES(w, "+/t", "-no");
  make_dir(w, "/t");
  for (unsigned round = 0; round < 60; round++) {
    for (unsigned n = (unsigned)rand_r(&seed) % 12; n > 0; n--)
      do_something(w, &seed);
    walk_settled(w);
    assert_true(round == 0 || w->current);
    assert_int_equal(count_said(w, "unobserved"), 0);
    learn(&m, w);
    assert_model(&m, w, round);
    walk_settled(w);
    assert_int_equal(w->said.count, 0);
    assert_int_equal(w->result.listed, 0);
  }
  assert_true(m.paths.count > 10);
  st_strings_free(&m.paths);
}

static void test_gone(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc", "+/srv/*/c", "+/opt");
  make_dir(w, "/etc/d/e");
  put_file(w, "/etc/d/e/f", "x");
  put_file(w, "/etc/d-x", "x");
  make_dir(w, "/srv/a");
  put_file(w, "/srv/a/c", "x");
  make_dir(w, "/opt/o");
  make_dir(w, "/etc/turns");
  put_file(w, "/etc/turns/f", "x");
  walk_settled(w);
  assert_true(said(w, "entry /srv/a/c"));
  drop(w, "/etc/d/e/f", 0);
  drop(w, "/etc/d/e", AT_REMOVEDIR);
  drop(w, "/etc/d", AT_REMOVEDIR);
  drop(w, "/srv/a/c", 0);
  drop(w, "/srv/a", AT_REMOVEDIR);
  drop(w, "/opt/o", AT_REMOVEDIR);
  drop(w, "/opt", AT_REMOVEDIR);
  drop(w, "/etc/turns/f", 0);
  drop(w, "/etc/turns", AT_REMOVEDIR);
  put_file(w, "/etc/turns", "a file now");
  walk_settled(w);
  assert_true(said(w, "gone /etc/d"));
  assert_false(said(w, "gone /etc/d/e"));
  assert_false(said(w, "gone /etc/d-x"));
  assert_true(said(w, "gone /opt"));
  assert_true(said(w, "gone /srv/a/c") || said(w, "gone /srv/a"));
  assert_true(said(w, "gone /etc/turns/f") || said(w, "gone /etc/turns"));
  assert_true(said(w, "entry /etc/turns"));
  walk_settled(w);
  assert_int_equal(count_said(w, "gone"), 0);
}

static void test_cached(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc");
  w->want = ST_WANT_ENTRY | ST_WANT_CONTENT;
  walk_settled(w);
  assert_int_equal(count_said(w, "content"), 2);
  w->forced = "/etc/passwd";
  walk(w);
  assert_true(said(w, "entry /etc/passwd") && said(w, "digest /etc/passwd"));
  assert_int_equal(w->said.count, 2);
  assert_int_equal(w->result.read, 0);
  assert_true(w->last.has_object);
  w->lost = true;
  walk(w);
  assert_true(said(w, "content /etc/passwd"));
  w->lost = false;
  w->want |= ST_WANT_SECRET;
  walk(w);
  assert_true(said(w, "secret /etc/passwd"));
  assert_int_equal(w->last.digest.keyed, 1);
}

static void test_large(void **state)
{
  struct world *w = *state;
  RULES(w, "+/large");
  char text[2000] = {0};
  memset(text, 'x', sizeof(text) - 1);
  put_file(w, "/large", text);
  w->want = ST_WANT_ENTRY | ST_WANT_CONTENT | ST_WANT_DIGEST;
  walk(w);
  assert_int_equal(count_said(w, "content"), 0);
  assert_true(w->last.has_digest);
  assert_false(w->last.has_object);
}

static void append_byte(struct world *w)
{
  w->while_reading = NULL;
  ST_AUTO_CLOSE int fd = openat(w->root, "large", O_WRONLY | O_APPEND);
  assert_int_equal(write(fd, "!", 1), 1);
}

/* A large content is read by who prepares it; again where it changes meanwhile, and by the walk
 * where nobody wants it. */
static void test_large_content(void **state)
{
  struct world *w = *state;
  RULES(w, "+/large");
  const size_t n = 5 << 20;
  w->max_content = 2 * n;
  w->want = ST_WANT_ENTRY | ST_WANT_CONTENT;
  ST_AUTO_FREE char *text = st_malloc(n + 2);
  for (size_t i = 0; i < n; i++)
    text[i] = (char)('a' + i % 23 + (i >> 20));
  memcpy(text + n, "!", 2);
  struct st_id before, after;
  st_id_of(&before, NULL, text, n);
  st_id_of(&after, NULL, text, n + 1);
  text[n] = 0;
  put_file(w, "/large", text);
  for (int i = 0; i < 3; i++) {
    w->full = true;
    w->prepares = i > 0;
    w->refuses = i > 1;
    walk(w);
    assert_true(st_id_equal(&w->last.digest, &before));
    assert_true(said(w, "content /large"));
  }
  w->refuses = false;
  w->while_reading = append_byte;
  w->want |= ST_WANT_DIGEST;
  walk(w);
  assert_int_equal(w->last.size, n + 1);
  assert_true(st_id_equal(&w->last.digest, &after));
}

/* Killed after the walk: what was hashed is not hashed again, and all of it is looked at. */
static void test_killed(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc");
  make_dir(w, "/etc/many");
  for (int i = 0; i < 1500; i++) {
    ST_AUTO_FREE char *path = st_format("/etc/many/%04d", i);
    put_file(w, path, path);
  }
  settle();
  {
    ST_CLEANUP(st_index_closep) struct st_index *index = begin_walk(w, true);
    do_walk(w, index);
    assert_int_equal(w->result.read, 1502);
  }
  walk(w);
  assert_false(w->current);
  assert_int_equal(w->result.looked_at, 1504);
  assert_true(w->result.read < 1000);
  walk(w);
  assert_true(w->current);
  assert_int_equal(w->said.count, 0);
}

static void test_deep(void **state)
{
  struct world *w = *state;
  RULES(w, "+/deep");
  const int levels = 1500; /* of 12 bytes: longer than PATH_MAX */
  ST_AUTO_CLOSE int at = dup(w->root);
  for (int i = 0; i < levels; i++) {
    const char *name = i == 0 ? "deep" : "ddddddddddd";
    assert_int_equal(mkdirat(at, name, 0755), 0);
    int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(next >= 0);
    close(at);
    at = next;
  }
  int fd = openat(at, "f", O_WRONLY | O_CREAT, 0600);
  assert_true(fd >= 0);
  close(fd);
  walk_settled(w);
  assert_int_equal(w->result.entries, levels + 1);
  assert_int_equal(w->result.read, 1);
  assert_int_equal(count_said(w, "unobserved"), 0);
  walk(w);
  assert_int_equal(w->said.count, 0);
}

static void test_odd_names(void **state)
{
  struct world *w = *state;
  RULES(w, "+/odd", "-/odd/b*d");
  make_dir(w, "/odd");
  put_file(w, "/odd/new\nline", "");
  put_file(w, "/odd/\xff\x01 \x1b[31m", "");
  put_file(w,
           "/odd/b\xff"
           "d",
           "");
  make_dir(w, "/odd/-rf *");
  walk(w);
  assert_true(said(w, "digest /odd/new\nline"));
  assert_true(said(w, "digest /odd/\xff\x01 \x1b[31m"));
  assert_true(said(w, "entry /odd/-rf *"));
  assert_int_equal(w->result.entries, 4);
}

/* ---- What moves under the walk
 * -------------------------------------------------------------------- */

static void grow(struct world *w)
{
  ST_AUTO_CLOSE int fd = openat(w->root, "f", O_WRONLY | O_APPEND);
  assert_int_equal(write(fd, "more", 4), 4);
}

/* It grew after it was seen, not while it was read: what is told is what was read. */
static void test_changes_before(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  put_file(w, "/f", "text");
  w->while_reading = grow;
  w->want |= ST_WANT_CONTENT;
  walk(w);
  struct st_id id;
  st_id_of(&id, NULL, "textmore", 8);
  assert_int_equal(w->last.size, 8);
  assert_true(st_id_equal(&w->last.digest, &id));
}

static void unlink_it(struct world *w)
{
  unlinkat(w->root, "f", 0);
}

static void test_vanishes(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  put_file(w, "/f", "text");
  w->while_reading = unlink_it;
  walk(w);
  assert_int_equal(w->said.count, 0);
  assert_int_equal(w->result.vanished, 1);
}

static void swap_for_symlink(struct world *w)
{
  unlinkat(w->root, "f", 0);
  assert_int_equal(symlinkat("/etc/passwd", w->root, "f"), 0);
}

static void test_swapped(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  put_file(w, "/f", "text");
  w->while_reading = swap_for_symlink;
  w->want |= ST_WANT_CONTENT;
  walk(w);
  assert_int_equal(count_said(w, "content"), 0);
  assert_int_equal(count_said(w, "digest"), 0);
}

static void swap_for_fifo(struct world *w)
{
  unlinkat(w->root, "f", 0);
  assert_int_equal(mkfifoat(w->root, "f", 0600), 0);
}

static void test_swapped_for_fifo(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  put_file(w, "/f", "text");
  w->while_reading = swap_for_fifo;
  walk(w); /* ends */
  assert_int_equal(count_said(w, "digest"), 0);
}

/* ---- Roots
 * ----------------------------------------------------------------------------------------- */

static void test_roots(void **state)
{
  struct world *w = *state;
  RULES(w, "+/bin", "+/bin/sub", "+/none/such", "+/usr/bin", "+/etc/passwd", "+/etc-x");
  RULES(w, "+/usr");
  make_dir(w, "/usr/bin");
  make_dir(w, "/usr/bin/sub");
  put_file(w, "/usr/bin/sub/x", "x");
  assert_int_equal(symlinkat("usr/bin", w->root, "bin"), 0);
  put_file(w, "/etc-x", "x");
  walk_settled(w);
  assert_true(said(w, "usr/bin /bin"));
  assert_true(said(w, "entry /usr/bin/sub/x") && said(w, "entry /etc/passwd"));
  assert_true(said(w, "entry /etc-x"));
  assert_false(said(w, "entry /bin/sub") || said(w, "entry /etc") || said(w, "entry /etc/group"));
  assert_int_equal(count_said(w, "unobserved"), 0);
  walk_settled(w);
  assert_int_equal(w->said.count, 0);
}

static void test_top(void **state)
{
  struct world *w = *state;
  RULES(w, "+/");
  walk_settled(w);
  assert_true(said(w, "entry /") && said(w, "entry /etc") && said(w, "entry /etc/passwd"));
  assert_int_equal(w->result.entries, 4);
  drop(w, "/etc/passwd", 0);
  walk_settled(w);
  assert_true(said(w, "gone /etc/passwd"));
}

static void test_store(void **state)
{
  struct world *w = *state;
  RULES(w, "+/var", "+/var/lib/store/packs");
  make_dir(w, "/var/lib/store/packs");
  st_scope_set_store(w->scope, "/var/lib/store");
  walk(w);
  assert_true(said(w, "entry /var/lib"));
  assert_false(said(w, "entry /var/lib/store"));
  assert_false(said(w, "entry /var/lib/store/packs"));
}

static void test_generated(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc");
  struct st_rules *generated = st_rules_new();
  assert_int_equal(st_rules_add(generated, ST_RULE_EXCLUDE, "/etc/*.cache", "test:1", "made", NULL),
                   0);
  st_scope_set_generated(w->scope, generated);
  put_file(w, "/etc/a.cache", "x");
  walk(w);
  assert_false(said(w, "entry /etc/a.cache"));
  assert_int_equal(w->result.generated, 1);
}

/* ---- Not seen: as another user, or with mounts, in a process of its own
 * ----------------------------- */

static void in_child(struct world *w, void (*fn)(struct world *w))
{
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    /* cmocka's own way out of a failed assertion is for its process alone. */
    fn(w);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    print_message("no mounts of our own can be made here\n");
    skip();
  }
  assert_int_equal(WEXITSTATUS(status), 0);
}

#define must(c)                                                                                    \
  do {                                                                                             \
    if (!(c)) {                                                                                    \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #c);                              \
      for (size_t i_ = 0; i_ < w->said.count; i_++)                                                \
        fprintf(stderr, "  %s\n", w->said.items[i_]);                                              \
      _exit(1);                                                                                    \
    }                                                                                              \
  } while (0)

static void look_as_nobody(struct world *w)
{
  must(setgid(65534) == 0 && setuid(65534) == 0);
  ST_CLEANUP(st_index_closep) struct st_index *index = begin_walk(w, false);
  must(w->current);
  do_walk(w, index);
  must(said(w, "unobserved /etc/closed"));
  must(said(w, "unobserved /etc/secret") && said(w, "unreadable /etc/secret"));
  must(said(w, "entry /etc/changed") && count_said(w, "gone") == 0);
  must(w->result.unobserved == 2);
  must(st_index_was_put(index, "/etc/closed/in/f"));
}

static void test_unreadable(void **state)
{
  struct world *w = *state;
  if (geteuid() != 0)
    skip();
  RULES(w, "+/etc");
  make_dir(w, "/etc/closed/in");
  put_file(w, "/etc/closed/in/f", "x");
  put_file(w, "/etc/changed", "x");
  put_file(w, "/etc/secret", "x");
  walk_settled(w);
  assert_int_equal(fchmodat(w->root, "etc/closed", 0700, 0), 0);
  assert_int_equal(fchmodat(w->root, "etc/secret", 0600, 0), 0);
  put_file(w, "/etc/changed", "y");
  /* The way to the root and the index, for nobody. */
  assert_int_equal(chmod(w->folder, 0755), 0);
  assert_int_equal(fchmod(w->store, 0755), 0);
  assert_int_equal(fchmodat(w->store, "index", 0644, 0), 0);
  in_child(w, look_as_nobody);
  assert_int_equal(fchmodat(w->root, "etc/closed", 0755, 0), 0);
}

static bool mount_at(struct world *w, const char *path)
{
  ST_AUTO_FREE char *full = st_format("%s/root%s", w->folder, path);
  return mount("none", full, "tmpfs", 0, NULL) == 0;
}

static void unmount_at(struct world *w, const char *path)
{
  ST_AUTO_FREE char *full = st_format("%s/root%s", w->folder, path);
  must(umount2(full, MNT_DETACH) == 0);
}

/* Mounts of our own, that nobody else sees and that end with the process. */
static void own_mounts(struct world *w)
{
  if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    _exit(77);
  /* The descriptor that we have is of the other namespace, and does not see them. */
  ST_AUTO_FREE char *root = st_format("%s/root", w->folder);
  close(w->root);
  w->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  must(mount_at(w, "/etc/data"));
}

static void walk_named_mount(struct world *w)
{
  own_mounts(w);
  put_file(w, "/etc/data/f", "x");
  walk_settled(w);
  must(said(w, "entered tmpfs /etc/data") && said(w, "entry /etc/data/f"));
  st_strings_add(&w->mounts, "/etc/data");
  walk_settled(w);
  must(count_said(w, "entry") == 0 && count_said(w, "gone") == 0);
  /* Missing: nothing is gone, and nothing below is looked at. */
  unmount_at(w, "/etc/data");
  for (int i = 0; i < 2; i++) {
    walk_settled(w);
    must(said(w, "unobserved /etc/data") && count_said(w, "gone") == 0);
    must(!said(w, "entry /etc/data") && !said(w, "entry /etc/data/under"));
  }
  /* Its folder as well. */
  drop(w, "/etc/data/under", 0);
  drop(w, "/etc/data", AT_REMOVEDIR);
  walk_settled(w);
  must(count_said(w, "gone") == 0);
  must(said(w, "unobserved /etc/data"));
  make_dir(w, "/etc/data");
  must(mount_at(w, "/etc/data"));
  put_file(w, "/etc/data/f", "x");
  walk_settled(w);
  must(said(w, "entry /etc/data/f") && count_said(w, "unobserved") == 0);
  drop(w, "/etc/data/f", 0);
  walk_settled(w);
  must(said(w, "gone /etc/data/f"));
}

static void prepare_mount(struct world *w)
{
  make_dir(w, "/etc/data");
  put_file(w, "/etc/data/under", "x");
}

static void test_named_mount(void **state)
{
  struct world *w = *state;
  if (geteuid() != 0)
    skip();
  RULES(w, "+/etc", "+/etc/data");
  prepare_mount(w);
  in_child(w, walk_named_mount);
}

static void walk_other_mount(struct world *w)
{
  walk_settled(w);
  must(said(w, "entry /etc/data/under"));
  own_mounts(w);
  put_file(w, "/etc/data/f", "x");
  /* It hides what is known, so that is not gone. */
  for (int i = 0; i < 2; i++) {
    walk_settled(w);
    must(said(w, "passed tmpfs /etc/data") && said(w, "unobserved /etc/data"));
    must(!said(w, "entry /etc/data/f") && count_said(w, "gone") == 0);
  }
  unmount_at(w, "/etc/data");
  walk_settled(w);
  must(count_said(w, "gone") == 0 && count_said(w, "unobserved") == 0);
}

static void test_other_mount(void **state)
{
  struct world *w = *state;
  if (geteuid() != 0)
    skip();
  RULES(w, "+/etc");
  prepare_mount(w);
  in_child(w, walk_other_mount);
}

static void walk_mount_above(struct world *w)
{
  own_mounts(w);
  make_dir(w, "/etc/data/app");
  put_file(w, "/etc/data/app/f", "x");
  walk_settled(w);
  must(said(w, "entered tmpfs /etc/data") && said(w, "entry /etc/data/app/f"));
  must(!said(w, "entry /etc/data"));
  st_strings_add(&w->mounts, "/etc/data");
  unmount_at(w, "/etc/data");
  walk_settled(w);
  must(said(w, "unobserved /etc/data") && count_said(w, "gone") == 0);
}

static void test_mount_above(void **state)
{
  struct world *w = *state;
  if (geteuid() != 0)
    skip();
  RULES(w, "+/etc/data/app");
  prepare_mount(w);
  in_child(w, walk_mount_above);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  st_digest_init();
  const struct CMUnitTest tests[] = {
      TEST(test_first),
      TEST(test_entry),
      TEST(test_unchanged),
      TEST(test_unsettled),
      TEST(test_changed),
      TEST(test_gone),
      TEST(test_cached),
      TEST(test_large),
      TEST(test_large_content),
      TEST(test_random),
      TEST(test_killed),
      TEST(test_deep),
      TEST(test_odd_names),
      TEST(test_changes_before),
      TEST(test_vanishes),
      TEST(test_swapped),
      TEST(test_swapped_for_fifo),
      TEST(test_roots),
      TEST(test_top),
      TEST(test_store),
      TEST(test_generated),
      TEST(test_unreadable),
      TEST(test_named_mount),
      TEST(test_other_mount),
      TEST(test_mount_above),
      TEST(test_listed),
      TEST(test_listed_excluded),
      TEST(test_same_tick),
      TEST(test_mtime_put_back),
      TEST(test_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
