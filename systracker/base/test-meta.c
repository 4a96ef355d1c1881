/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <sys/sysmacros.h>

#include "systracker/base/meta.h"
#include "systracker/base/test-scratch.h"

static struct st_meta look(int dir, const char *name)
{
  struct st_meta m;
  assert_int_equal(st_meta_read(dir, name, &m), 0);
  return m;
}

static void test_read(void **state)
{
  struct scratch *s = *state;
  struct st_meta m;
  struct stat st;
  put_file(s->fd, "f", "12345");
  assert_int_equal(fchmodat(s->fd, "f", 04751, 0), 0);
  assert_int_equal(linkat(s->fd, "f", s->fd, "g", 0), 0);
  assert_int_equal(symlinkat("nowhere", s->fd, "l"), 0);
  assert_int_equal(mkfifoat(s->fd, "p", 0600), 0);
  m = look(s->fd, "f");
  assert_int_equal(fstatat(s->fd, "f", &st, 0), 0);
  assert_int_equal(m.type, 'f');
  assert_int_equal(m.mode, 04751);
  assert_int_equal(m.size, 5);
  assert_int_equal(m.links, 2);
  assert_int_equal(m.uid, st.st_uid);
  assert_int_equal(m.gid, st.st_gid);
  assert_int_equal(m.inode, st.st_ino);
  assert_int_equal(m.mtime, st.st_mtim.tv_sec);
  assert_int_equal(m.mtime_nsec, st.st_mtim.tv_nsec);
  assert_int_equal(m.ctime_nsec, st.st_ctim.tv_nsec);
  assert_int_equal(m.rdev, 0);
  assert_int_equal(look(s->fd, "l").type, 'l');
  assert_int_equal(look(s->fd, "p").type, 'p');
  assert_int_equal(look(s->fd, "").type, 'd');
  m = look(AT_FDCWD, "/dev/null");
  assert_int_equal(m.type, 'c');
  assert_int_equal(m.rdev, makedev(1, 3));
  assert_int_equal(st_meta_read(s->fd, "none", &m), -ENOENT);
}

static void test_link(void **state)
{
  struct scratch *s = *state;
  char target[4001];
  memset(target, 't', sizeof target - 1);
  target[sizeof target - 1] = 0;
  static const size_t lengths[] = {1, 255, 256, 257, 512, 4000};
  for (size_t i = 0; i < ST_COUNT(lengths); i++) {
    ST_AUTO_FREE char *back = NULL;
    const char *text = target + 4000 - lengths[i];
    unlinkat(s->fd, "l", 0);
    assert_int_equal(symlinkat(text, s->fd, "l"), 0);
    assert_int_equal(st_read_link(s->fd, "l", &back), 0);
    assert_string_equal(back, text);
  }
  char *none;
  put_file(s->fd, "f", "");
  assert_int_equal(st_read_link(s->fd, "f", &none), -EINVAL);
  assert_int_equal(st_read_link(s->fd, "none", &none), -ENOENT);
}

/* Needs no privilege: the owner stays. */
static void test_apply(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  put_file(s->fd, "f", "x");
  struct st_meta m = look(s->fd, "f"), now;
  struct stat before, after;
  m.mode = 02711;
  m.mtime = 86399;
  m.mtime_nsec = 123456789;
  assert_int_equal(fstatat(s->fd, "f", &before, 0), 0);
  assert_ok(st_meta_apply(s->fd, "f", &m, false, &err), &err);
  assert_int_equal(fstatat(s->fd, "f", &after, 0), 0);
  now = look(s->fd, "f");
  assert_int_equal(now.mode, 02711);
  assert_int_equal(now.mtime, 86399);
  assert_int_equal(now.mtime_nsec, 123456789);
  assert_memory_equal(&before.st_atim, &after.st_atim, sizeof after.st_atim);
  m.mode = 0600;
  m.mtime = -77; /* before 1970; left alone here */
  assert_ok(st_meta_apply(s->fd, "f", &m, true, &err), &err);
  now = look(s->fd, "f");
  assert_int_equal(now.mode, 0600);
  assert_int_equal(now.mtime, 86399);
  int fd = openat(s->fd, "f", O_PATH);
  assert_ok(st_meta_apply(fd, "", &m, false, &err), &err);
  close(fd);
  assert_int_equal(look(s->fd, "f").mtime, -77);
  m.type = 'd';
  assert_int_equal(st_meta_apply(s->fd, "f", &m, false, &err), -1);
  assert_error(&err, "of type f, not d");
  assert_int_equal(st_meta_apply(s->fd, "none", &m, false, &err), -1);
  assert_error(&err, "cannot open (none)");
}

static void test_apply_symlink(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  put_file(s->fd, "f", "x");
  assert_int_equal(symlinkat("f", s->fd, "l"), 0);
  struct st_meta m = look(s->fd, "l"), target = look(s->fd, "f"), after;
  m.mtime = 1000;
  m.mtime_nsec = 5;
  m.mode = 0123; /* a symlink has none */
  if (geteuid() == 0)
    m.uid = m.gid = 12345;
  assert_ok(st_meta_apply(s->fd, "l", &m, false, &err), &err);
  after = look(s->fd, "l");
  assert_int_equal(after.mtime, 1000);
  assert_int_equal(after.uid, m.uid);
  after = look(s->fd, "f");
  assert_int_equal(after.mtime, target.mtime);
  assert_int_equal(after.uid, target.uid);
  assert_int_equal(after.mode, target.mode);
}

static void test_apply_owner(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  put_file(s->fd, "f", "x");
  struct st_meta m = look(s->fd, "f"), now;
  m.uid++;
  m.gid += 2;
  m.mode = 06755; /* which chown would drop */
  if (geteuid() != 0) {
    assert_int_equal(st_meta_apply(s->fd, "f", &m, false, &err), -1);
    assert_error(&err, "cannot set the owner to");
    return;
  }
  for (int i = 0; i < 2; i++) {
    assert_ok(st_meta_apply(s->fd, "f", &m, false, &err), &err);
    now = look(s->fd, "f");
    assert_int_equal(now.uid, m.uid);
    assert_int_equal(now.gid, m.gid);
    assert_int_equal(now.mode, 06755);
    m.uid += 5;
  }
}

/* Of what is open; what comes back is what is there behind the last change. */
static void apply_open(struct scratch *s, const char *name, int flags)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_meta m = look(s->fd, name), ret, now;
  ST_AUTO_CLOSE int fd = openat(s->fd, name, flags);
  m.mtime = 86399;
  m.mtime_nsec = 123456789;
  for (int i = 0; i < 3; i++) {
    assert_ok(st_meta_apply_open(fd, &m, false, &ret, &err), &err);
    now = look(s->fd, name);
    assert_memory_equal(&ret, &now, sizeof now);
    assert_int_equal(now.mode, m.mode);
    assert_int_equal(now.uid, m.uid);
    assert_int_equal(now.gid, m.gid);
    assert_int_equal(now.mtime, 86399);
    assert_int_equal(now.mtime_nsec, 123456789);
    m.mode = 06711; /* which chown would drop */
    m.uid += geteuid() == 0 ? 5 : 0;
    m.gid += geteuid() == 0 ? 7 : 0;
  }
  m.mtime = 5; /* left alone */
  assert_ok(st_meta_apply_open(fd, &m, true, &ret, &err), &err);
  assert_int_equal(ret.mtime, 86399);
}

static void test_apply_open(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_meta m = {0}, ret;
  put_file(s->fd, "f", "x");
  assert_int_equal(mkdirat(s->fd, "d", 0700), 0);
  apply_open(s, "f", O_RDWR);
  apply_open(s, "d", O_RDONLY | O_DIRECTORY);
  assert_int_equal(st_meta_apply_open(-1, &m, true, &ret, &err), -1);
  assert_error(&err, "cannot look at (this entry)");
}

static int count_account(void *arg, bool group, const char *name, uint32_t id)
{
  size_t *counts = arg;
  (void)id;
  counts[group]++;
  return strcmp(name, "stop") ? 0 : 7;
}

static struct st_accounts *read_accounts(int root)
{
  struct st_accounts *a = NULL;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_ok(st_accounts_read(&a, root, &err), &err);
  return a;
}

static void test_accounts(void **state)
{
  struct scratch *s = *state;
  uint32_t id;
  size_t counts[2] = {0};
  assert_int_equal(mkdirat(s->fd, "etc", 0755), 0);
  put_file(s->fd, "etc/passwd",
           "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\nmalformed line\nann:x:4294967294:5::/:\n"
           "ann:x:9:9::/:\n+nis::::::\n");
  /* As some images have it: a link that is absolute within the root. */
  put_file(s->fd, "real-group", "root:x:0:\nstaff:x:50:ann,root\n");
  assert_int_equal(symlinkat("/real-group", s->fd, "etc/group"), 0);
  ST_CLEANUP(st_accounts_freep) struct st_accounts *a = read_accounts(s->fd);
  assert_string_equal(st_account_user(a, 0), "root");
  assert_string_equal(st_account_user(a, 4294967294), "ann");
  assert_null(st_account_user(a, 50));
  assert_string_equal(st_account_group(a, 50), "staff");
  assert_null(st_account_group(a, 9));
  assert_true(st_account_uid(a, "toor", &id));
  assert_int_equal(id, 0);
  assert_true(st_account_uid(a, "ann", &id));
  assert_int_equal(id, 4294967294);
  assert_false(st_account_uid(a, "staff", &id));
  assert_true(st_account_gid(a, "staff", &id));
  assert_int_equal(id, 50);
  assert_int_equal(st_accounts_each(a, count_account, counts), 0);
  assert_int_equal(counts[0], 3);
  assert_int_equal(counts[1], 2);
}

static void test_no_accounts(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  size_t counts[2] = {0};
  struct st_accounts *a = read_accounts(s->fd);
  assert_null(st_account_user(a, 0));
  assert_int_equal(st_accounts_each(a, count_account, counts), 0);
  assert_int_equal(counts[0] + counts[1], 0);
  st_accounts_free(a);
  assert_int_equal(mkdirat(s->fd, "etc", 0755), 0);
  put_file(s->fd, "etc/passwd", "stop:x:1:1::/:\nnext:x:2:2::/:\n");
  a = read_accounts(s->fd);
  assert_int_equal(st_accounts_each(a, count_account, counts), 7);
  assert_int_equal(counts[0], 1);
  st_accounts_free(a);
  assert_int_equal(mkfifoat(s->fd, "etc/group", 0600), 0); /* must not hold us */
  assert_int_equal(st_accounts_read(&a, s->fd, &err), -1);
  assert_error(&err, "not a regular file");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      scratch_test(test_read),        scratch_test(test_link),
      scratch_test(test_apply),       scratch_test(test_apply_symlink),
      scratch_test(test_apply_owner), scratch_test(test_apply_open),
      scratch_test(test_accounts),    scratch_test(test_no_accounts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
