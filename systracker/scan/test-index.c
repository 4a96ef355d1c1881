/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/file.h"
#include "systracker/scan/index.h"

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

static void put(struct st_index *index, const char *path, uint64_t n)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_index_entry e = entry_of(n);
  if (st_index_put(index, path, &e, &err) < 0)
    fail_msg("%s", st_error_text(&err));
}

static void commit(struct st_index *index, const uint8_t *head, const uint8_t *scope)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  if (st_index_commit(index, head, scope, &err) < 0)
    fail_msg("%s", st_error_text(&err));
}

static const char *const paths[] = {"/",      "/etc",          "/etc-x",   "/etc/a",
                                    "/etc/b", "/etc/b/\xff\n", "/etc/b-c", "/usr"};

/* An index with the paths, committed with head_1 and scope_1. */
static void make(const struct scratch *s)
{
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  assert_int_equal(st_index_start(index, true, NULL), 0);
  for (size_t i = 0; i < ST_COUNT(paths); i++)
    put(index, paths[i], i);
  commit(index, head_1, scope_1);
}

static void assert_entry(const struct st_index *index, const char *path, uint64_t n)
{
  const struct st_index_entry *e = st_index_find(index, path);
  struct st_index_entry want = entry_of(n);
  assert_non_null(e);
  assert_int_equal(e->meta.type, want.meta.type);
  assert_int_equal(e->meta.mode, want.meta.mode);
  assert_int_equal(e->meta.gid, want.meta.gid);
  assert_true(e->meta.size == want.meta.size && e->meta.inode == want.meta.inode);
  assert_true(e->meta.mtime == -5 && e->meta.ctime == INT64_MAX);
  assert_int_equal(e->meta.mtime_nsec, 999999999);
  assert_int_equal(e->wanted, want.wanted);
  assert_int_equal(e->flags & ~(unsigned)ST_INDEX_FRESH, want.flags);
  assert_true(st_id_equal(&e->digest, &want.digest));
}

static void test_empty(void **state)
{
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(*state);
  assert_int_equal(st_index_count(index), 0);
  assert_false(st_index_is_current(index, head_1, scope_1));
  assert_null(st_index_find(index, "/etc"));
}

static void test_again(void **state)
{
  make(*state);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(*state);
  assert_int_equal(st_index_count(index), ST_COUNT(paths));
  for (size_t i = 0; i < ST_COUNT(paths); i++)
    assert_entry(index, paths[i], i);
  assert_null(st_index_find(index, "/et"));
  assert_null(st_index_find(index, "/etc/"));
  assert_true(st_index_is_current(index, head_1, scope_1));
  assert_false(st_index_is_current(index, head_2, scope_1));
  assert_false(st_index_is_current(index, head_1, scope_2));
}

static int collect(void *arg, const char *path, const struct st_index_entry *entry)
{
  assert_non_null(entry);
  st_strings_add(arg, path);
  return 0;
}

static void test_children(void **state)
{
  make(*state);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(*state);
  ST_AUTO_STRINGS etc = {0}, top = {0}, none = {0};
  assert_int_equal(st_index_children(index, "/etc", collect, &etc), 0);
  assert_int_equal(etc.count, 3);
  assert_string_equal(etc.items[0], "/etc/a");
  assert_string_equal(etc.items[1], "/etc/b");
  assert_string_equal(etc.items[2], "/etc/b-c");
  assert_int_equal(st_index_children(index, "/", collect, &top), 0);
  assert_int_equal(top.count, 3);
  assert_int_equal(st_index_children(index, "/usr", collect, &none), 0);
  assert_int_equal(none.count, 0);
}

static void test_next(void **state)
{
  make(*state);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(*state);
  assert_int_equal(st_index_start(index, true, NULL), 0);
  put(index, "/etc-x", 2); /* out of order, as roots may come */
  put(index, "/etc", 40);
  assert_true(st_index_was_put(index, "/etc"));
  assert_true(st_index_was_put(index, "/etc-x"));
  assert_false(st_index_was_put(index, "/usr"));
  assert_int_equal(st_index_keep_below(index, "/etc/b", NULL), 0);
  assert_true(st_index_was_put(index, "/etc/b/\xff\n"));
  assert_false(st_index_was_put(index, "/etc/b-c"));
  assert_entry(index, "/etc", 1); /* as it was before */
  commit(index, head_2, scope_1);
  ST_CLEANUP(st_index_closep) struct st_index *next = open_index(*state);
  assert_int_equal(st_index_count(next), 4);
  assert_entry(next, "/etc", 40);
  assert_entry(next, "/etc/b", 4);
  assert_null(st_index_find(next, "/usr"));
  assert_true(st_index_is_current(next, head_2, scope_1));
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
  for (size_t i = 0; i < ST_COUNT(paths); i++)
    put(index, paths[i], i);
  commit(index, head_2, scope_2);
  assert_int_equal(stat_of(s, "index").st_ino, inode);
  ST_CLEANUP(st_index_closep) struct st_index *next = open_index(s);
  assert_true(st_index_is_current(next, head_2, scope_2));
  assert_int_equal(st_index_count(next), ST_COUNT(paths));
  assert_entry(next, "/usr", ST_COUNT(paths) - 1);
}

static void truncate_to(const struct scratch *s, const char *name, off_t size)
{
  ST_AUTO_CLOSE int fd = openat(s->dir, name, O_WRONLY);
  assert_true(fd >= 0);
  assert_int_equal(ftruncate(fd, size), 0);
}

/* A killed walk: what reached index.new is known, and fresh; what is torn is not. */
static void test_killed(void **state)
{
  const struct scratch *s = *state;
  make(s);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  assert_int_equal(st_index_start(index, true, NULL), 0);
  put(index, "/etc/a", 50);
  for (int i = 0; i < 2000; i++) {
    ST_AUTO_FREE char *path = st_format("/usr/%04d", i);
    put(index, path, (uint64_t)i);
  }
  off_t size = stat_of(s, "index.new").st_size;
  assert_true(size > 100000); /* written in batches as it goes */
  truncate_to(s, "index.new", size - 3);
  ST_CLEANUP(st_index_closep) struct st_index *next = open_index(s);
  assert_false(st_index_is_current(next, head_1, scope_1));
  assert_entry(next, "/etc/a", 50);
  assert_true(st_index_find(next, "/etc/a")->flags & ST_INDEX_FRESH);
  assert_false(st_index_find(next, "/etc/b")->flags & ST_INDEX_FRESH);
  assert_true(st_index_count(next) > 500);
  /* A second walk goes on behind what is whole; a commit makes an end of it. */
  assert_int_equal(st_index_start(next, true, NULL), 0);
  put(next, "/etc/a", 50);
  put(next, "/z", 1);
  commit(next, head_2, scope_1);
  assert_int_equal(faccessat(s->dir, "index.new", F_OK, 0), -1);
  ST_CLEANUP(st_index_closep) struct st_index *last = open_index(s);
  assert_int_equal(st_index_count(last), 2);
  assert_int_equal(st_index_find(last, "/etc/a")->flags & ST_INDEX_FRESH, 0);
  assert_true(st_index_is_current(last, head_2, scope_1));
}

/* A look writes nothing. */
static void test_look(void **state)
{
  const struct scratch *s = *state;
  make(s);
  ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
  assert_int_equal(st_index_start(index, false, NULL), 0);
  for (int i = 0; i < 2000; i++) {
    ST_AUTO_FREE char *path = st_format("/usr/%04d", i);
    put(index, path, (uint64_t)i);
  }
  assert_int_equal(faccessat(s->dir, "index.new", F_OK, 0), -1);
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

/* Every bit of the header and the body counts: turned, there is no index. */
static void test_flipped(void **state)
{
  const struct scratch *s = *state;
  make(s);
  ST_AUTO_BUFFER file = ST_BUFFER_INIT;
  read_file(s, "index", &file);
  for (size_t i = 0; i < file.length; i++) {
    file.data[i] ^= (char)(1 << (i % 8));
    write_file(s, "index", file.data, file.length);
    file.data[i] ^= (char)(1 << (i % 8));
    ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
    assert_int_equal(st_index_count(index), 0);
    assert_false(st_index_is_current(index, head_1, scope_1));
  }
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

/* A body that lies, under checksums that are right. */
static void test_lying(void **state)
{
  const struct scratch *s = *state;
  make(s);
  ST_AUTO_BUFFER file = ST_BUFFER_INIT;
  read_file(s, "index", &file);
  const size_t header = 96;
  for (size_t i = header; i < file.length; i++) {
    for (int value = 0; value < 256; value += 51) {
      ST_AUTO_FREE char *copy = st_memdup(file.data, file.length);
      copy[i] = (char)value;
      uint32_t crc = st_crc32c(0, copy + header, file.length - header);
      memcpy(copy + 88, &crc, 4);
      crc = st_crc32c(0, copy, 92);
      memcpy(copy + 92, &crc, 4);
      write_file(s, "index", copy, file.length);
      ST_CLEANUP(st_index_closep) struct st_index *index = open_index(s);
      assert_true(st_index_count(index) <= ST_COUNT(paths));
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
    for (int i = 0; i < 700; i++) {
      ST_AUTO_FREE char *path = st_format("/usr/%04d", i);
      put(index, path, (uint64_t)i);
    }
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
      TEST(test_empty),        TEST(test_again),  TEST(test_children),  TEST(test_next),
      TEST(test_header_alone), TEST(test_killed), TEST(test_look),      TEST(test_flipped),
      TEST(test_truncated),    TEST(test_lying),  TEST(test_lying_log), TEST(test_other_kinds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
