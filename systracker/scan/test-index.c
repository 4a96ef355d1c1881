/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "systracker/base/file.h"
#include "systracker/scan/index.h"

#include <endian.h>

static const uint8_t head_1[ST_DIGEST_SIZE] = {1}, head_2[ST_DIGEST_SIZE] = {2};
static const uint8_t scope_1[ST_DIGEST_SIZE] = {3}, scope_2[ST_DIGEST_SIZE] = {4};

struct scratch {
  char folder[64];
  int dir;
};

static int setup(void **state)
{
  struct scratch *s = st_calloc(1, sizeof(*s));
  snprintf(s->folder, sizeof(s->folder), "/tmp/test-index.XXXXXX");
  if (!mkdtemp(s->folder))
    return -1;
  s->dir = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *state = s;
  return s->dir < 0 ? -1 : 0;
}

static int teardown(void **state)
{
  struct scratch *s = *state;
  unlinkat(s->dir, "index", 0);
  unlinkat(s->dir, "index.new", 0);
  close(s->dir);
  int r = rmdir(s->folder);
  free(s);
  return r;
}

static struct st_index *open_index(const struct scratch *s)
{
  struct st_index *index = NULL;
  assert_int_equal(st_index_open(&index, s->dir, NULL), 0);
  return index;
}

static struct st_index_entry entry_of(uint64_t n)
{
  struct st_index_entry e = {
      .meta = {.type = 'f',
               .mode = 0644,
               .uid = 1000,
               .gid = UINT32_MAX,
               .size = n << 33,
               .mtime = -5,
               .ctime = INT64_MAX,
               .mtime_nsec = 999999999,
               .ctime_nsec = 1,
               .rdev = 7,
               .inode = UINT64_MAX - n},
      .wanted = ST_WANT_ENTRY | ST_WANT_DIGEST,
      .flags = ST_INDEX_HAS_DIGEST | ST_INDEX_HAS_OBJECT,
  };
  memset(e.digest.digest, (int)n + 1, ST_DIGEST_SIZE);
  return e;
}

static void commit(struct st_index *index, const uint8_t *head, const uint8_t *scope)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  if (st_index_commit(index, head, scope, &err) < 0)
    fail_msg("%s", st_error_text(&err));
}

/* What an index is made of: directories (a slash behind the name), and what is in them. */
static const char *const paths[] = {"/",        "/etc",   "/etc/a", "/etc/b", "/etc/b/\xff\n",
                                    "/etc/b-c", "/etc-x", "/usr"};
#define PATHS ST_COUNT(paths)

/* A record with n for its data; a directory where there is `inner`, which may be NULL. */
static void add(struct st_index_new *dir, const char *name, uint64_t n)
{
  struct st_index_entry e = entry_of(n);
  st_index_add(dir, name, strlen(name), &e);
}

static void add_dir(struct st_index_new *dir, const char *name, uint64_t n,
                    struct st_index_new *inner)
{
  struct st_index_entry e = entry_of(n);
  e.meta.type = 'd';
  e.flags |= ST_INDEX_ENTERED;
  st_index_add(dir, name, strlen(name), &e);
  st_index_add_link(dir, ST_INDEX_NONE);
  dir->links[dir->nlinks - 1].fresh = inner;
}

static struct st_index_new *new_dir(struct st_index *index)
{
  struct st_index_new *dir = st_index_new_dir();
  st_index_own(index, dir);
  return dir;
}

/* An index with the paths, the n-th with entry_of(n); not committed. */
static void fill(struct st_index *index)
{
  struct st_index_new *b = new_dir(index), *etc = new_dir(index), *top = new_dir(index);
  struct st_index_new *roots = st_index_new_dir();
  add(b, "\xff\n", 4);
  add(etc, "a", 2);
  add_dir(etc, "b", 3, b);
  add(etc, "b-c", 5);
  add_dir(top, "etc", 1, etc);
  add(top, "etc-x", 6);
  add_dir(top, "usr", 7, NULL);
  add_dir(roots, "/", 0, top);
  st_index_replace(index, 0, roots);
}

/* Committed with head_1 and scope_1. */
static void make(const struct scratch *s)
{
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  assert_int_equal(st_index_start(index, true, NULL), 0);
  fill(index);
  commit(index, head_1, scope_1);
}

static void assert_entry(const struct st_index *index, const char *path, uint64_t n)
{
  struct st_index_entry e, want = entry_of(n);
  if (!st_index_find(index, path, &e, NULL))
    fail_msg("not there: %s", path);
  assert_true(e.meta.type == 'f' || e.meta.type == 'd');
  assert_int_equal(e.meta.mode, want.meta.mode);
  assert_int_equal(e.meta.uid, want.meta.uid);
  assert_int_equal(e.meta.gid, want.meta.gid);
  assert_true(e.meta.size == want.meta.size && e.meta.inode == want.meta.inode);
  assert_true(e.meta.mtime == -5 && e.meta.ctime == INT64_MAX);
  assert_int_equal(e.meta.mtime_nsec, 999999999);
  assert_int_equal(e.meta.ctime_nsec, 1);
  assert_int_equal(e.wanted, want.wanted);
  assert_int_equal(e.flags & ~(unsigned)(ST_INDEX_FRESH | ST_INDEX_ENTERED), want.flags);
  assert_true(st_id_equal(&e.digest, &want.digest));
}

static bool is_there(const struct st_index *index, const char *path)
{
  struct st_index_entry e;
  return st_index_find(index, path, &e, NULL);
}

static void test_empty(void **state)
{
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(*state);
  struct st_index_dir dir;
  assert_int_equal(st_index_count(index), 0);
  assert_false(st_index_is_current(index, head_1, scope_1));
  assert_false(is_there(index, "/etc"));
  assert_false(st_index_dir(index, 0, &dir));
}

static void test_again(void **state)
{
  make(*state);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(*state);
  assert_int_equal(st_index_count(index), PATHS);
  for (size_t i = 0; i < PATHS; i++)
    assert_entry(index, paths[i], i);
  assert_false(is_there(index, "/et") || is_there(index, "/etc/b-") || is_there(index, "/usr/x"));
  assert_true(st_index_is_current(index, head_1, scope_1));
  assert_false(st_index_is_current(index, head_2, scope_1));
  assert_false(st_index_is_current(index, head_1, scope_2));
}

/* Written ahead, its memory is given back: it is committed once, and another try does not take it
 * for one in which nothing changed. */
static void test_prepared(void **state)
{
  make(*state);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(*state);
  assert_int_equal(st_index_start(index, true, NULL), 0);
  struct st_index_new *dir = st_index_copy(index, 0);
  struct st_index_entry e = entry_of(77);
  e.meta.type = 'd';
  st_index_set(dir, st_index_new_search(dir, "/"), &e);
  st_index_replace(index, 0, dir);
  assert_int_equal(st_index_prepare(index, NULL), 0);
  assert_int_equal(st_index_prepare(index, NULL), 0);
  commit(index, head_2, scope_1);
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_true(st_index_commit(index, head_1, scope_2, &err) < 0);
  ST_CLEANUP(st_index_closep) struct st_index *again = open_index(*state);
  assert_true(st_index_is_current(again, head_2, scope_1));
  assert_entry(again, "/", 77);
  for (size_t i = 1; i < PATHS; i++)
    assert_entry(again, paths[i], i);
}

/* Keyed digests, devices' numbers, every type. */
static void test_kinds(void **state)
{
  const char types[] = "bcdflps";
  {
    ST_CLEANUP(st_index_closep) struct st_index *index = open_index(*state);
    assert_int_equal(st_index_start(index, true, NULL), 0);
    struct st_index_new *roots = st_index_new_dir();
    for (size_t i = 0; types[i]; i++) {
      struct st_index_entry e = entry_of(i);
      const char name[] = {'/', types[i], 0};
      e.meta.type = types[i];
      e.meta.mode = 07777;
      e.digest.keyed = 1;
      st_index_add(roots, name, 2, &e);
    }
    st_index_replace(index, 0, roots);
    commit(index, head_1, scope_1);
  }
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(*state);
  struct st_index_dir dir;
  assert_true(st_index_dir(index, 0, &dir));
  assert_int_equal(dir.count, 7);
  for (size_t i = 0; types[i]; i++) {
    struct st_index_entry e, want = entry_of(i);
    st_index_read(&dir, (uint32_t)i, st_index_digests_good(&dir), &e);
    bool device = types[i] == 'b' || types[i] == 'c';
    assert_int_equal(e.meta.type, types[i]);
    assert_int_equal(e.meta.mode, 07777);
    assert_true(e.meta.rdev == (device ? 7 : 0));
    assert_true(e.meta.size == (device ? 0 : want.meta.size));
    assert_int_equal(e.digest.keyed, 1);
    want.meta.type = types[i];
    want.meta.mode = 07777;
    assert_true(st_index_same(&dir.records[i], &want.meta));
    want.meta.ctime_nsec++;
    assert_false(st_index_same(&dir.records[i], &want.meta));
  }
}

/* Each directory is the run behind its position. */
static void test_positions(void **state)
{
  make(*state);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(*state);
  const uint32_t subtrees[] = {5, 4, 2, 1, 1}, counts[] = {1, 3, 3, 1, 0};
  const char *const dirs[] = {NULL, "/", "/etc", "/etc/b", "/usr"};
  struct st_index_dir dir;
  struct st_index_entry e;
  uint32_t position;
  for (uint32_t p = 0; p < 5; p++) {
    assert_true(st_index_dir(index, p, &dir));
    assert_int_equal(dir.subtree, subtrees[p]);
    assert_int_equal(dir.count, counts[p]);
    if (p == 0)
      continue;
    assert_true(st_index_find(index, dirs[p], &e, &position));
    assert_int_equal(position, p);
  }
  assert_false(st_index_dir(index, 5, &dir));
  assert_true(st_index_find(index, "/etc/a", &e, &position));
  assert_int_equal(position, ST_INDEX_NONE);
  assert_true(st_index_dir(index, 2, &dir));
  assert_int_equal(st_index_search(&dir, "b"), 1);
  assert_int_equal(st_index_search(&dir, "b-c"), 2);
  assert_int_equal(st_index_search(&dir, "b-"), ST_INDEX_NONE);
}

/* One directory is another now; what is in it stays, or goes. */
static void test_next(void **state)
{
  make(*state);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(*state);
  assert_int_equal(st_index_start(index, true, NULL), 0);
  struct st_index_new *etc = st_index_copy(index, 2);
  struct st_index_entry e = entry_of(40);
  st_index_set(etc, 0, &e);
  st_index_set(etc, 2, NULL); /* b-c is gone */
  st_index_replace(index, 2, etc);
  assert_true(st_index_was_put(index, "/etc/a"));
  assert_true(st_index_was_put(index, "/etc/b/\xff\n"));
  assert_true(st_index_was_put(index, "/usr"));
  assert_false(st_index_was_put(index, "/etc/b-c"));
  assert_false(st_index_was_put(index, "/etc/new"));
  assert_entry(index, "/etc/a", 2); /* as it was before */
  commit(index, head_2, scope_1);
  ST_CLEANUP(st_index_closep) struct st_index *next = open_index(*state);
  assert_int_equal(st_index_count(next), PATHS - 1);
  assert_entry(next, "/etc/a", 40);
  assert_entry(next, "/etc/b", 3);
  assert_entry(next, "/etc/b/\xff\n", 4);
  assert_entry(next, "/usr", 7);
  assert_false(is_there(next, "/etc/b-c"));
  assert_true(st_index_is_current(next, head_2, scope_1));
}

/* A directory that goes takes with it what is in it; a new one comes with what it has. */
static void test_next_directories(void **state)
{
  make(*state);
  {
    ST_CLEANUP(st_index_closep) struct st_index *index = open_index(*state);
    assert_int_equal(st_index_start(index, true, NULL), 0);
    struct st_index_dir old;
    assert_true(st_index_dir(index, 1, &old));
    struct st_index_new *top = st_index_new_dir(), *opt = new_dir(index);
    bool good = st_index_digests_good(&old);
    assert_true(good);
    add(opt, "x", 20);
    st_index_take(top, &old, 1, good); /* etc is gone */
    add_dir(top, "opt", 21, opt);
    st_index_take(top, &old, 2, good);
    st_index_add_link(top, 4);
    st_index_replace(index, 1, top);
    assert_true(st_index_was_put(index, "/opt/x"));
    assert_false(st_index_was_put(index, "/etc/b"));
    commit(index, head_1, scope_1);
  }
  ST_CLEANUP(st_index_closep) struct st_index *next = open_index(*state);
  assert_int_equal(st_index_count(next), 5);
  assert_entry(next, "/", 0);
  assert_entry(next, "/opt", 21);
  assert_entry(next, "/opt/x", 20);
  assert_entry(next, "/etc-x", 6);
  assert_entry(next, "/usr", 7);
}

static struct stat stat_of(const struct scratch *s, const char *name)
{
  struct stat st = {0};
  fstatat(s->dir, name, &st, 0);
  return st;
}

/* The same entries under another head: the file stays, its header is written anew. */
static void test_header_alone(void **state)
{
  const struct scratch *s = *state;
  make(s);
  ino_t inode = stat_of(s, "index").st_ino;
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  assert_int_equal(st_index_start(index, true, NULL), 0);
  commit(index, head_2, scope_2);
  assert_int_equal(stat_of(s, "index").st_ino, inode);
  ST_CLEANUP(st_index_closep) struct st_index *next = open_index(s);
  assert_true(st_index_is_current(next, head_2, scope_2));
  assert_int_equal(st_index_count(next), PATHS);
  assert_entry(next, "/usr", PATHS - 1);
}

static void truncate_to(const struct scratch *s, const char *name, off_t size)
{
  ST_AUTO_CLOSE int fd = openat(s->dir, name, O_WRONLY);
  assert_true(fd >= 0);
  assert_int_equal(ftruncate(fd, size), 0);
}

static void note(struct st_index *index, const char *path, uint64_t n)
{
  struct st_index_entry e = entry_of(n);
  e.meta.size = 0; /* so that it is written in batches */
  assert_int_equal(st_index_log(index, path, &e, NULL), 0);
}

static void note_many(struct st_index *index, int count)
{
  for (int i = 0; i < count; i++) {
    ST_AUTO_FREE char *path = st_format("/usr/%04d", i);
    note(index, path, (uint64_t)i);
  }
}

/* A killed walk: what reached index.new is known, and fresh; what is torn is not. */
static void test_killed(void **state)
{
  const struct scratch *s = *state;
  struct st_index_entry e;
  make(s);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  assert_int_equal(st_index_start(index, true, NULL), 0);
  note(index, "/etc/a", 50);
  note_many(index, 2000);
  off_t size = stat_of(s, "index.new").st_size;
  assert_true(size > 100000); /* written in batches as it goes */
  truncate_to(s, "index.new", size - 3);
  ST_CLEANUP(st_index_closep) struct st_index *next = open_index(s);
  assert_false(st_index_is_current(next, head_1, scope_1));
  assert_true(st_index_find(next, "/etc/a", &e, NULL));
  assert_true(e.flags & ST_INDEX_FRESH);
  assert_true(e.meta.inode == UINT64_MAX - 50 && e.digest.digest[0] == 51);
  assert_true(st_index_find_fresh(next, "/etc/a", &e));
  assert_false(st_index_find_fresh(next, "/etc/b", &e));
  assert_true(st_index_find(next, "/etc/b", &e, NULL));
  assert_false(e.flags & ST_INDEX_FRESH);
  assert_true(st_index_count(next) > 500);
  /* A second walk goes on behind what is whole; a commit makes an end of it. */
  assert_int_equal(st_index_start(next, true, NULL), 0);
  note_many(next, 1000);
  assert_true(stat_of(s, "index.new").st_size > size);
  fill(next);
  commit(next, head_2, scope_1);
  assert_int_equal(faccessat(s->dir, "index.new", F_OK, 0), -1);
  ST_CLEANUP(st_index_closep) struct st_index *last = open_index(s);
  assert_int_equal(st_index_count(last), PATHS);
  assert_false(st_index_find_fresh(last, "/etc/a", &e));
  assert_true(st_index_is_current(last, head_2, scope_1));
}

static void read_file(const struct scratch *s, const char *name, struct st_buffer *out)
{
  assert_int_equal(st_read_file(s->dir, name, 1 << 20, out, NULL), 0);
}

static void write_file(const struct scratch *s, const char *name, const void *data, size_t n)
{
  /* Not cut to nothing and written again, which ext4 would sync each time. */
  unlinkat(s->dir, name, 0);
  ST_AUTO_CLOSE int fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
  assert_true(fd >= 0);
  assert_int_equal(st_write_all(fd, data, n, NULL), 0);
}

/* In the log each path has of itself what the one before it has not. */
static const char *const logged[] = {"/a/b",         "/a/b",    "/a",       "/a/bc",
                                     "/b/bc",        "/b/bc/d", "/b/bc/de", "/",
                                     "/b/bc/\xff\n", "/b/bd",   "/c"};

static void note_logged(const struct scratch *s, size_t from, size_t to)
{
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  assert_int_equal(st_index_start(index, true, NULL), 0);
  for (size_t i = from; i < to; i++) {
    struct st_index_entry e = entry_of(i);
    e.meta.size = (uint64_t)1 << 30; /* written at once */
    assert_int_equal(st_index_log(index, logged[i], &e, NULL), 0);
  }
}

static void assert_logged(const struct scratch *s, size_t count)
{
  static const char *const none[] = {"/a/", "/b", "/a/b/bc", "/bc", "/b/bc/dde", "/c/b"};
  struct st_index_entry e;
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  for (size_t i = 0; i < count; i++) {
    size_t last = i == 0 && count > 1 ? 1 : i; /* "/a/b" is there twice */
    assert_true(st_index_find_fresh(index, logged[i], &e));
    assert_true(e.meta.inode == UINT64_MAX - last && e.digest.digest[0] == last + 1);
  }
  for (size_t i = 0; i < ST_COUNT(none); i++)
    assert_false(st_index_find_fresh(index, none[i], &e));
}

static void test_log_paths(void **state)
{
  const struct scratch *s = *state;
  for (size_t i = 1; i <= ST_COUNT(logged); i++) {
    note_logged(s, 0, i / 2);
    note_logged(s, i / 2, i); /* it goes on behind what another one wrote */
    assert_logged(s, i);
    assert_int_equal(unlinkat(s->dir, "index.new", 0), 0);
  }
}

/* The last entry, whose own part of its path is `rest`, says that it shares so much. */
static void forge_shared(const struct scratch *s, const char *rest, uint32_t shared)
{
  uint32_t length, crc;
  ST_AUTO_BUFFER file = ST_BUFFER_INIT;
  read_file(s, "index.new", &file);
  size_t n = sizeof(struct st_index_record) + ST_DIGEST_SIZE + strlen(rest);
  size_t at = file.length - 8 - n;
  memcpy(&length, file.data + at, sizeof(length));
  assert_int_equal(le32toh(length), n);
  assert_memory_equal(file.data + file.length - strlen(rest), rest, strlen(rest));
  shared = htole32(shared);
  memcpy(file.data + at + 8 + offsetof(struct st_index_record, name), &shared, sizeof(shared));
  crc = htole32(st_crc32c(0, file.data + at + 8, n));
  memcpy(file.data + at + 4, &crc, sizeof(crc));
  write_file(s, "index.new", file.data, file.length);
}

/* One that says of a path that it begins as one before which is shorter is cut off there. */
static void test_log_shares_too_much(void **state)
{
  const struct scratch *s = *state;
  struct st_index_entry e;
  note_logged(s, 0, 4);
  forge_shared(s, "/bc", 5); /* "/a/bc", behind "/a" */
  assert_logged(s, 3);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  assert_false(st_index_find_fresh(index, "/a/bc", &e));
}

/* Of a path that is longer than most, not all is shared: a short log would become long ones. */
static void test_log_long_paths(void **state)
{
  const struct scratch *s = *state;
  struct st_index_entry e = entry_of(1);
  char path[6002], rest[6002];
  for (size_t i = 0; i < 6000; i++)
    path[i] = i % 200 ? (char)('a' + i % 23) : '/';
  path[6001] = 0;
  e.meta.size = (uint64_t)1 << 30;
  {
    ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
    assert_int_equal(st_index_start(index, true, NULL), 0);
    for (char c = 'x'; c <= 'z'; c++) {
      path[6000] = c;
      assert_int_equal(st_index_log(index, path, &e, NULL), 0);
    }
  }
  for (char c = 'x'; c <= 'z'; c++) {
    ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
    path[6000] = c;
    assert_true(st_index_find_fresh(index, path, &e));
  }
  memcpy(rest, path + 4095, sizeof(path) - 4095);
  forge_shared(s, rest, 4096);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  path[6000] = 'y';
  assert_true(st_index_find_fresh(index, path, &e));
  assert_int_equal(st_index_count(index), 2);
}

/* A write fails, wherever in an entry, and the log is gone on with all the same: what was torn is
 * cut off, and paths are what they were. */
static void test_log_torn(void **state)
{
  static const char *const paths_of[] = {"/home/alice/one", "/home/alice/two", "/home/bob/xyz",
                                         "/home/bob/z"};
  const struct scratch *s = *state;
  struct st_index_entry e = entry_of(1);
  struct rlimit before, few;
  e.meta.size = (uint64_t)1 << 30;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, SIG_IGN);
  for (rlim_t more = 0; more < 240; more += 7) {
    ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
    assert_int_equal(st_index_start(index, true, NULL), 0);
    assert_int_equal(st_index_log(index, paths_of[0], &e, NULL), 0);
    few = before;
    few.rlim_cur = (rlim_t)stat_of(s, "index.new").st_size + more;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    int r = st_index_log(index, paths_of[1], &e, NULL);
    r = r < 0 ? r : st_index_log(index, paths_of[2], &e, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(st_index_log(index, paths_of[3], &e, NULL), 0);
    ST_CLEANUP(st_index_closep) struct st_index *next = open_index(s);
    size_t there = 0;
    for (size_t i = 0; i < ST_COUNT(paths_of); i++)
      there += st_index_find_fresh(next, paths_of[i], &e);
    assert_true(st_index_find_fresh(next, paths_of[3], &e));
    assert_int_equal(st_index_count(next), there);
    assert_int_equal(there < ST_COUNT(paths_of), r < 0);
    assert_int_equal(unlinkat(s->dir, "index.new", 0), 0);
    e = entry_of(1);
    e.meta.size = (uint64_t)1 << 30;
  }
  signal(SIGXFSZ, SIG_DFL);
}

/* The version before, in which each path is whole, as one is that begins to be written. */
static void test_log_of_before(void **state)
{
  const struct scratch *s = *state;
  ST_AUTO_BUFFER file = ST_BUFFER_INIT;
  for (size_t i = 0; i < 5; i++)
    note_logged(s, i, i + 1);
  read_file(s, "index.new", &file);
  assert_int_equal(file.data[4], 5);
  file.data[4] = 4;
  write_file(s, "index.new", file.data, file.length);
  note_logged(s, 5, ST_COUNT(logged));
  assert_logged(s, ST_COUNT(logged));
  st_buffer_clear(&file);
  read_file(s, "index.new", &file);
  assert_int_equal(file.data[4], 5); /* as paths are not whole any more */
  file.data[4] = 6;
  write_file(s, "index.new", file.data, file.length);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  assert_int_equal(st_index_count(index), 0);
}

/* What took long to hash is written at once. */
static void test_large(void **state)
{
  const struct scratch *s = *state;
  struct st_index_entry e = entry_of(0);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  assert_int_equal(st_index_start(index, true, NULL), 0);
  e.meta.size = (uint64_t)1 << 30;
  assert_int_equal(st_index_log(index, "/large", &e, NULL), 0);
  ST_CLEANUP(st_index_closep) struct st_index *next = open_index(s);
  assert_true(st_index_find_fresh(next, "/large", &e));
}

/* A look writes nothing. */
static void test_look(void **state)
{
  const struct scratch *s = *state;
  make(s);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  assert_int_equal(st_index_start(index, false, NULL), 0);
  note_many(index, 2000);
  assert_int_equal(faccessat(s->dir, "index.new", F_OK, 0), -1);
}

/* What is left of the index: nothing, or all, where only digests were damaged, which are not there
 * then. */
static size_t count_without_digests(const struct scratch *s)
{
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  size_t without = 0;
  if (st_index_count(index) == 0) {
    assert_false(st_index_is_current(index, head_1, scope_1));
    return SIZE_MAX;
  }
  assert_int_equal(st_index_count(index), PATHS);
  for (size_t i = 0; i < PATHS; i++) {
    struct st_index_entry e;
    assert_true(st_index_find(index, paths[i], &e, NULL));
    if (e.flags & ST_INDEX_HAS_DIGEST)
      assert_entry(index, paths[i], i);
    without += !(e.flags & ST_INDEX_HAS_DIGEST);
  }
  return without;
}

/* Every bit counts: turned, there is no index, or the digests of its directory are not used. */
static void test_flipped(void **state)
{
  const struct scratch *s = *state;
  make(s);
  ST_AUTO_BUFFER file = ST_BUFFER_INIT;
  read_file(s, "index", &file);
  size_t damaged = 0;
  assert_int_equal(count_without_digests(s), 0);
  for (size_t i = 0; i < file.length; i++) {
    file.data[i] ^= (char)(1 << (i % 8));
    write_file(s, "index", file.data, file.length);
    file.data[i] ^= (char)(1 << (i % 8));
    size_t without = count_without_digests(s);
    assert_int_not_equal(without, 0);
    damaged += without != SIZE_MAX;
  }
  assert_int_equal(damaged, PATHS * ST_DIGEST_SIZE);
}

static void put32(struct st_buffer *file, size_t at, uint32_t n)
{
  n = htole32(n);
  memcpy(file->data + at, &n, sizeof(n));
}

/* Which root it is of; the version before does not say it, and serves all the same. */
static void test_root(void **state)
{
  const struct scratch *s = *state;
  make(s);
  struct st_index *index = open_index(s);
  assert_int_equal(*st_index_root(index), 0);
  *st_index_root(index) = 0x12345678;
  assert_int_equal(st_index_start(index, true, NULL), 0);
  commit(index, head_1, scope_1); /* the header alone */
  st_index_close(index);
  index = open_index(s);
  assert_int_equal(*st_index_root(index), 0x12345678);
  st_index_close(index);
  ST_AUTO_BUFFER file = ST_BUFFER_INIT;
  read_file(s, "index", &file);
  put32(&file, 4, 4);
  write_file(s, "index", file.data, file.length);
  index = open_index(s);
  assert_int_equal(st_index_count(index), 0);
  st_index_close(index);
  put32(&file, 1140, 0);
  put32(&file, 1136, st_crc32c(0, file.data, 1136));
  write_file(s, "index", file.data, file.length);
  assert_int_equal(count_without_digests(s), 0);
  index = open_index(s);
  assert_int_equal(*st_index_root(index), 0);
  st_index_close(index);
}

static void test_truncated(void **state)
{
  const struct scratch *s = *state;
  make(s);
  for (off_t size = stat_of(s, "index").st_size; size > 0; size--) {
    truncate_to(s, "index", size - 1);
    ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
    assert_int_equal(st_index_count(index), 0);
  }
}

/* Checksums made right again: of the blocks, the table and the header. */
static void make_right(char *file, size_t length)
{
  uint64_t digests, table;
  memcpy(&digests, file + 80, 8);
  memcpy(&table, file + 88, 8);
  if (digests >= 120 && digests <= table && table <= length) {
    uint32_t crc = st_crc32c(0, file + 120, digests - 120);
    memcpy(file + 104, &crc, 4);
    crc = st_crc32c(0, file + table, length - table);
    memcpy(file + 108, &crc, 4);
  }
  uint32_t crc = st_crc32c(0, file, 112);
  memcpy(file + 112, &crc, 4);
}

/* An index that lies, under checksums that are right: it may say anything, and breaks nothing. */
static void test_lying(void **state)
{
  const struct scratch *s = *state;
  make(s);
  ST_AUTO_BUFFER file = ST_BUFFER_INIT;
  read_file(s, "index", &file);
  for (size_t i = 0; i < file.length; i++) {
    for (int value = 0; value < 256; value += 51) {
      ST_AUTO_FREE char *copy = st_memdup(file.data, file.length);
      copy[i] = (char)value;
      make_right(copy, file.length);
      write_file(s, "index", copy, file.length);
      ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
      assert_true(st_index_count(index) <= PATHS);
      struct st_index_entry e;
      for (size_t k = 0; k < PATHS; k++)
        st_index_find(index, paths[k], &e, NULL);
      assert_int_equal(st_index_start(index, false, NULL), 0);
      if (st_index_count(index) > 0)
        commit(index, head_2, scope_2);
    }
  }
}

static void test_lying_log(void **state)
{
  const struct scratch *s = *state;
  make(s);
  ST_AUTO_BUFFER file = ST_BUFFER_INIT;
  {
    ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
    assert_int_equal(st_index_start(index, true, NULL), 0);
    note_many(index, 700);
  }
  read_file(s, "index.new", &file);
  assert_true(file.length > 1000);
  for (size_t i = 0; i < 600; i++) {
    file.data[i] ^= 0x55;
    write_file(s, "index.new", file.data, file.length);
    file.data[i] ^= 0x55;
    ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
    assert_entry(index, "/etc", 1);
    assert_int_equal(st_index_start(index, true, NULL), 0);
    note(index, "/etc/a", 1);
  }
}

static void test_other_kinds(void **state)
{
  const struct scratch *s = *state;
  assert_int_equal(mkdirat(s->dir, "index", 0700), 0);
  {
    ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
    assert_int_equal(st_index_count(index), 0);
  }
  assert_int_equal(unlinkat(s->dir, "index", AT_REMOVEDIR), 0);
  write_file(s, "index", "", 0);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  assert_int_equal(st_index_count(index), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  st_digest_init();
  const struct CMUnitTest tests[] = {
      TEST(test_empty),
      TEST(test_again),
      TEST(test_prepared),
      TEST(test_kinds),
      TEST(test_positions),
      TEST(test_next),
      TEST(test_next_directories),
      TEST(test_header_alone),
      TEST(test_killed),
      TEST(test_log_paths),
      TEST(test_log_shares_too_much),
      TEST(test_log_long_paths),
      TEST(test_log_torn),
      TEST(test_log_of_before),
      TEST(test_large),
      TEST(test_look),
      TEST(test_flipped),
      TEST(test_root),
      TEST(test_truncated),
      TEST(test_lying),
      TEST(test_lying_log),
      TEST(test_other_kinds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
