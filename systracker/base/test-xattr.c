/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/base/xattr.h"

#include <sys/xattr.h>

#include "systracker/base/digest.h"
#include "systracker/base/flags.h"
#include "systracker/base/holes.h"
#include "systracker/base/test-scratch.h"

/* ---- Attributes ------------------------------------------------------------------------------ */

static void read_of(int dir, const char *name, struct st_buffer *out)
{
  st_buffer_clear(out);
  assert_int_equal(st_xattrs_read(dir, name, NULL, out), 0);
  assert_true(st_xattrs_valid(out->data ? out->data : "", out->length));
}

static void set(const struct scratch *s, const char *name, const char *attribute, const void *value,
                size_t length)
{
  ST_AUTO_FREE char *path = st_format("%s/%s", s->path, name);
  if (setxattr(path, attribute, value, length, 0) < 0) {
    print_message("skipped: this file system does not take %s\n", attribute);
    skip();
  }
}

static void no_problem(void *arg, const char *name, int code)
{
  (void)arg;
  fail_msg("%s: %s", name, strerror(code));
}

static void test_read_and_apply(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER a = ST_BUFFER_INIT, b = ST_BUFFER_INIT;
  put_file(s->fd, "a", "x");
  put_file(s->fd, "b", "x");
  read_of(s->fd, "a", &a);
  assert_int_equal(a.length, 0);
  set(s, "a", "user.z", "1", 1);
  set(s, "a", "user.empty", "", 0);
  set(s, "a", "user.odd \n\xff name", "\0binary", 7);
  set(s, "b", "user.gone", "g", 1);
  set(s, "b", "user.z", "other", 5);
  read_of(s->fd, "a", &a);
  ST_AUTO_CLOSE int fd = openat(s->fd, "b", O_PATH | O_CLOEXEC);
  st_xattrs_apply(fd, -1, a.data, a.length, true, no_problem, NULL);
  read_of(s->fd, "b", &b);
  assert_int_equal(a.length, b.length);
  assert_memory_equal(a.data, b.data, a.length);
  read_of(fd, "", &b);
  assert_true(st_xattrs_equal(a.data, a.length, b.data, b.length, true));
  st_xattrs_apply(fd, -1, "", 0, true, no_problem, NULL);
  read_of(s->fd, "b", &b);
  assert_int_equal(b.length, 0);
  assert_int_equal(st_xattrs_read(s->fd, "none", NULL, &b), -ENOENT);
}

static void test_secret(void **state)
{
  struct scratch *s = *state;
  const uint8_t key[ST_KEY_SIZE] = {1};
  const struct st_xattr_options options = {NULL, key};
  ST_AUTO_BUFFER plain = ST_BUFFER_INIT, hidden = ST_BUFFER_INIT, words = ST_BUFFER_INIT;
  put_file(s->fd, "a", "x");
  set(s, "a", "user.password", "xyzzy-canary", 12);
  read_of(s->fd, "a", &plain);
  assert_int_equal(st_xattrs_read(s->fd, "a", &options, &hidden), 0);
  assert_true(st_xattrs_valid(hidden.data, hidden.length));
  assert_null(memmem(hidden.data, hidden.length, "xyzzy", 5));
  assert_true(st_xattrs_equal(plain.data, plain.length, hidden.data, hidden.length, true));
  st_xattrs_say(&words, "", 0, hidden.data, hidden.length);
  assert_string_equal(words.data, "+user.password=secret");
  /* What stands for it is not put in its place, nor is it taken away. */
  ST_AUTO_CLOSE int fd = openat(s->fd, "a", O_PATH | O_CLOEXEC);
  st_xattrs_apply(fd, -1, hidden.data, hidden.length, true, no_problem, NULL);
  st_buffer_clear(&words);
  read_of(s->fd, "a", &words);
  assert_int_equal(words.length, plain.length);
  assert_memory_equal(words.data, plain.data, plain.length);
}

/* A list that does not name a label leaves it, unless it is of all there is; what takes another's
 * place has its. */
static void test_label(void **state)
{
  struct scratch *s = *state;
  static const char label[] = "system_u:object_r:bin_t:s0";
  ST_AUTO_BUFFER a = ST_BUFFER_INIT, b = ST_BUFFER_INIT;
  put_file(s->fd, "a", "x");
  put_file(s->fd, "b", "x");
  ST_AUTO_CLOSE int fd = openat(s->fd, "a", O_PATH | O_CLOEXEC);
  ST_AUTO_CLOSE int other = openat(s->fd, "b", O_PATH | O_CLOEXEC);
  ST_AUTO_FREE char *path = st_format("%s/a", s->path);
  if (setxattr(path, "security.selinux", label, sizeof(label), 0) < 0)
    skip(); /* not allowed here */
  assert_false(st_xattrs_apply(fd, -1, "", 0, false, no_problem, NULL));
  read_of(s->fd, "a", &a);
  assert_non_null(memmem(a.data, a.length, "bin_t", 5));
  assert_false(st_xattrs_apply(other, fd, "", 0, false, no_problem, NULL));
  read_of(s->fd, "b", &b);
  assert_int_equal(a.length, b.length);
  assert_memory_equal(a.data, b.data, a.length);
  set(s, "b", "security.selinux", "other", 6);
  read_of(s->fd, "b", &b);
  assert_true(st_xattrs_apply(fd, other, b.data, b.length, false, no_problem, NULL));
  read_of(s->fd, "a", &a);
  assert_memory_equal(a.data, b.data, b.length);
  assert_true(st_xattrs_equal(a.data, a.length, "", 0, false));
  assert_true(st_xattrs_equal("", 0, a.data, a.length, false));
  assert_false(st_xattrs_equal("", 0, a.data, a.length, true));
  assert_true(st_xattrs_apply(fd, other, "", 0, true, no_problem, NULL));
  st_buffer_clear(&b);
  read_of(s->fd, "a", &b);
  assert_int_equal(b.length, 0);
  set(s, "b", "security.selinux", "third", 6);
  read_of(s->fd, "b", &b);
  assert_false(st_xattrs_equal(a.data, a.length, b.data, b.length, false));
  set(s, "b", "user.a", "1", 1);
  read_of(s->fd, "b", &b);
  assert_false(st_xattrs_equal("", 0, b.data, b.length, false));
}

/* An ACL's own form: version 2, then tag, permissions and id of each entry. */
static const uint8_t acl_value[] = {2,    0,    0,    0,    1,    0,    6,  0,    0xff, 0xff, 0xff,
                                    0xff, 2,    0,    5,    0,    7,    0,  0,    0,    4,    0,
                                    4,    0,    0xff, 0xff, 0xff, 0xff, 16, 0,    5,    0,    0xff,
                                    0xff, 0xff, 0xff, 32,   0,    4,    0,  0xff, 0xff, 0xff, 0xff};

static bool uid_of(void *arg, const char *name, uint32_t *ret)
{
  (void)arg;
  *ret = 1234;
  return strcmp(name, "joe") == 0;
}

static void test_acl(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER list = ST_BUFFER_INIT, words = ST_BUFFER_INIT, there = ST_BUFFER_INIT;
  struct st_accounts *accounts;
  struct st_error err = ST_ERROR_INIT;
  assert_int_equal(mkdirat(s->fd, "etc", 0700), 0);
  put_file(s->fd, "etc/passwd", "joe:x:7:7::/:/bin/sh\n");
  assert_ok(st_accounts_read(&accounts, s->fd, &err), &err);
  put_file(s->fd, "a", "x");
  set(s, "a", "system.posix_acl_access", acl_value, sizeof(acl_value));
  const struct st_xattr_options options = {accounts, NULL};
  assert_int_equal(st_xattrs_read(s->fd, "a", &options, &list), 0);
  st_xattrs_say(&words, NULL, 0, list.data, list.length);
  assert_string_equal(words.data,
                      "acl +user::rw- +user:joe:r-x +group::r-- +mask::r-x +other::r--");
  const struct st_xattr_names names = {NULL, uid_of, uid_of, NULL}, none = {0};
  st_xattrs_resolve(list.data, list.length, &names, &there);
  assert_true(st_xattrs_valid(there.data, there.length));
  assert_false(st_xattrs_equal(list.data, list.length, there.data, there.length, true));
  st_buffer_clear(&there);
  st_xattrs_resolve(list.data, list.length, &none, &there);
  assert_true(st_xattrs_equal(list.data, list.length, there.data, there.length, true));
  st_buffer_clear(&words);
  st_xattrs_say(&words, list.data, list.length, there.data, there.length);
  assert_string_equal(words.data, "acl -user:joe:r-x +user:7:r-x");
  put_file(s->fd, "b", "x");
  ST_AUTO_CLOSE int fd = openat(s->fd, "b", O_PATH | O_CLOEXEC);
  st_xattrs_apply(fd, -1, list.data, list.length, true, no_problem, NULL);
  st_buffer_clear(&there);
  read_of(s->fd, "b", &there);
  assert_true(st_xattrs_equal(list.data, list.length, there.data, there.length, true));
  st_accounts_free(accounts);
}

#define RECORD(name, kind, value) name, sizeof(name) - 1, kind, value, sizeof(value) - 1

static void put(struct st_buffer *out, const char *name, size_t name_length, uint8_t kind,
                const char *value, uint32_t length)
{
  st_buffer_append_byte(out, (uint8_t)name_length);
  st_buffer_append_byte(out, kind);
  st_buffer_append(out, &length, 4); /* on a little-endian machine, as here */
  st_buffer_append(out, name, name_length);
  st_buffer_append(out, value, length);
}

static void test_damaged(void **state)
{
  (void)state;
  ST_AUTO_BUFFER b = ST_BUFFER_INIT, words = ST_BUFFER_INIT;
  put(&b, RECORD("a", 0, "value"));
  put(&b, RECORD("b", 1, "\1\6\xff\xff\xff\xff\0"));
  assert_true(st_xattrs_valid(b.data, b.length));
  for (size_t n = 1; n < b.length; n++) {
    if (n != 12) /* the end of the first record */
      assert_false(st_xattrs_valid(b.data, n));
    st_buffer_clear(&words);
    st_xattrs_say(&words, NULL, 0, b.data, n);
  }
  put(&b, RECORD("a", 0, "")); /* out of order */
  assert_false(st_xattrs_valid(b.data, b.length));
  st_buffer_clear(&b);
  put(&b, RECORD("b", 1, "\3\6\xff\xff\xff\xff\0")); /* two tags at once */
  assert_false(st_xattrs_valid(b.data, b.length));
}

static void say(const char *expected, const char *name, const void *value, size_t length)
{
  ST_AUTO_BUFFER b = ST_BUFFER_INIT, words = ST_BUFFER_INIT;
  put(&b, name, strlen(name), 0, value, (uint32_t)length);
  st_xattrs_say(&words, "", 0, b.data, b.length);
  assert_string_equal(words.data, expected);
}

static void test_words(void **state)
{
  (void)state;
  static const uint8_t net_raw[] = {1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  static const uint8_t two[] = {0, 0, 0, 2, 3, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  say("+security.capability=cap_net_raw+ep", "security.capability", net_raw, sizeof(net_raw));
  say("+security.capability=cap_chown,cap_checkpoint_restore+p cap_dac_override+ip",
      "security.capability", two, sizeof(two));
  say("+security.capability=\\x07", "security.capability", "\7", 1);
  say("+security.selinux=system_u:object_r:etc_t:s0", "security.selinux",
      "system_u:object_r:etc_t:s0", 27);
  say("+user.a\\x1b=\"\"", "user.a\x1b", "", 0);
  say("+user.a=x\\ny", "user.a", "x\ny", 3);
  say("+user.a=0x00ff", "user.a", "\0\xff", 2);
  char large[100];
  memset(large, 'y', sizeof(large));
  ST_AUTO_FREE char *expected = st_format("+user.a=%.64s... (100 bytes)", large);
  say(expected, "user.a", large, sizeof(large));
}

/* ---- Flags, holes ---------------------------------------------------------------------------- */

static void test_flags(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  uint32_t flags = 1;
  put_file(s->fd, "a", "x");
  assert_int_equal(mkfifoat(s->fd, "p", 0600), 0);
  assert_int_equal(st_flags_get_at(s->fd, "a", &flags), 0);
  assert_int_equal(flags, 0);
  assert_int_equal(st_flags_get_at(s->fd, "p", &flags), -EINVAL);
  assert_int_equal(st_flags_set_at(s->fd, "a", 0), 0);
  st_flags_say(&words, ST_FLAG_NODUMP, ST_FLAG_IMMUTABLE | ST_FLAG_APPEND);
  assert_string_equal(words.data, "+immutable +append-only -nodump");
  assert_string_equal(st_flags_name(ST_FLAG_IMMUTABLE | ST_FLAG_NODUMP, 1), "nodump");
  assert_null(st_flags_name(ST_FLAG_IMMUTABLE, 1));
  if (st_flags_set_at(s->fd, "a", ST_FLAG_NODUMP) < 0) {
    print_message("skipped: this file system has no flags\n");
    skip();
  }
  assert_int_equal(st_flags_get_at(s->fd, "a", &flags), 0);
  assert_int_equal(flags, ST_FLAG_NODUMP);
}

static void test_holes(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER holes = ST_BUFFER_INIT, words = ST_BUFFER_INIT;
  struct st_hole hole = {0};
  put_file(s->fd, "a", "");
  ST_AUTO_CLOSE int fd = openat(s->fd, "a", O_RDWR | O_CLOEXEC);
  assert_int_equal(st_holes_read(fd, 0, &holes), 0);
  assert_int_equal(holes.length, 0);
  assert_int_equal(pwrite(fd, "x", 1, 1 << 20), 1);
  assert_int_equal(ftruncate(fd, 3 << 20), 0);
  assert_int_equal(st_holes_read(fd, 3 << 20, &holes), 0);
  if (holes.length == 0) {
    print_message("skipped: this file system has no holes\n");
    skip();
  }
  size_t at = 0;
  assert_int_equal(st_hole_next(holes.data, holes.length, &at, &hole), 1);
  assert_int_equal(hole.offset, 0);
  assert_int_equal(hole.length, 1 << 20);
  assert_int_equal(st_hole_next(holes.data, holes.length, &at, &hole), 1);
  assert_int_equal(hole.offset + hole.length, 3 << 20);
  assert_int_equal(st_hole_next(holes.data, holes.length, &at, &hole), 0);
  st_holes_say(&words, holes.data, holes.length);
  assert_memory_equal(words.data, "2 holes of ", 11);
  assert_true(st_holes_valid(holes.data, holes.length));
  assert_false(st_holes_valid(holes.data, holes.length - 1));
}

/* Smaller ones than a page are not told apart. */
static void test_equal_holes(void **state)
{
  (void)state;
  static const uint8_t a[] = {0x80, 0x20, 0x80, 0x20}, b[] = {0x80, 0x1c, 0x80, 0x24},
                       c[] = {0x80, 0x20, 0x80, 0x40}, small[] = {0x80, 0x20, 0x80, 0x08};
  assert_true(st_holes_equal(a, sizeof(a), b, sizeof(b)));
  assert_false(st_holes_equal(a, sizeof(a), c, sizeof(c)));
  assert_false(st_holes_equal(a, sizeof(a), "", 0));
  assert_true(st_holes_equal(small, sizeof(small), "", 0));
}

int main(void)
{
  st_digest_init();
  const struct CMUnitTest tests[] = {
      scratch_test(test_read_and_apply),  scratch_test(test_secret),
      scratch_test(test_label),           scratch_test(test_acl),
      cmocka_unit_test(test_damaged),     cmocka_unit_test(test_words),
      scratch_test(test_flags),           scratch_test(test_holes),
      cmocka_unit_test(test_equal_holes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
