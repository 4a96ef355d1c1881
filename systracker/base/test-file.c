/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/file.h"
#include "systracker/base/test-scratch.h"

static void test_kernel(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_ok(st_check_kernel(&err), &err);
}

static void assert_opens(int fd)
{
  assert_true(fd >= 0);
  close(fd);
}

static void test_beneath(void **state)
{
  struct scratch *s = *state;
  assert_int_equal(mkdirat(s->fd, "d", 0700), 0);
  put_file(s->fd, "d/f", "x");
  assert_int_equal(symlinkat("f", s->fd, "d/link"), 0);
  assert_int_equal(symlinkat("d", s->fd, "dlink"), 0);
  assert_int_equal(symlinkat("/etc", s->fd, "out"), 0);
  assert_opens(st_open_beneath(s->fd, "d/f", O_RDONLY, 0));
  assert_opens(st_open_beneath(s->fd, "//d//f", O_RDONLY, 0));
  assert_opens(st_open_beneath(s->fd, "", O_PATH | O_DIRECTORY, 0));
  assert_opens(st_open_beneath(s->fd, "/", O_RDONLY | O_DIRECTORY, 0));
  assert_opens(st_open_beneath(s->fd, "/d/link", O_PATH, 0)); /* the link itself */
  assert_int_equal(st_open_beneath(s->fd, "/d/link", O_RDONLY, 0), -ELOOP);
  assert_int_equal(st_open_beneath(s->fd, "/dlink/f", O_RDONLY, 0), -ELOOP);
  assert_int_equal(st_open_beneath(s->fd, "/out/passwd", O_RDONLY, 0), -ELOOP);
  assert_int_equal(st_open_beneath(s->fd, "/../etc", O_RDONLY, 0), -EXDEV);
  assert_int_equal(st_open_beneath(s->fd, "/none", O_RDONLY, 0), -ENOENT);
  assert_opens(st_open_beneath(s->fd, "/new", O_WRONLY | O_CREAT | O_EXCL, 0640));
  int fd = st_open_beneath(s->fd, "/new", O_RDONLY, 0);
  assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  close(fd);
}

static void test_in_root(void **state)
{
  struct scratch *s = *state;
  assert_int_equal(mkdirat(s->fd, "etc", 0700), 0);
  put_file(s->fd, "etc/passwd", "inside");
  assert_int_equal(symlinkat("/etc/passwd", s->fd, "absolute"), 0);
  assert_int_equal(symlinkat("../../../etc/passwd", s->fd, "climbs"), 0);
  static const char *const paths[] = {"/etc/passwd", "absolute", "/climbs", "../../etc/passwd"};
  for (size_t i = 0; i < ST_COUNT(paths); i++) {
    ST_AUTO_BUFFER b = ST_BUFFER_INIT;
    int fd = st_open_in(s->fd, paths[i], O_RDONLY, 0);
    assert_true(fd >= 0);
    assert_int_equal(st_read_all(fd, 100, &b, NULL), 0);
    assert_string_equal(b.data, "inside");
    close(fd);
  }
}

static void test_parent(void **state)
{
  struct scratch *s = *state;
  const char *name;
  struct stat a, b;
  assert_int_equal(mkdirat(s->fd, "d", 0700), 0);
  assert_int_equal(symlinkat("d", s->fd, "dlink"), 0);
  int fd = st_open_parent(s->fd, "/d/none", &name);
  assert_true(fd >= 0);
  assert_string_equal(name, "none");
  fstat(fd, &a);
  fstatat(s->fd, "d", &b, 0);
  assert_int_equal(a.st_ino, b.st_ino);
  close(fd);
  fd = st_open_parent(s->fd, "/", &name);
  assert_true(fd >= 0);
  assert_string_equal(name, "");
  close(fd);
  fd = st_open_parent(s->fd, "top", &name);
  assert_true(fd >= 0);
  assert_string_equal(name, "top");
  close(fd);
  assert_int_equal(st_open_parent(s->fd, "/dlink/x", &name), -ELOOP);
  assert_int_equal(st_open_parent(s->fd, "/d/..", &name), -EINVAL);
  assert_int_equal(st_open_parent(s->fd, "/d/", &name), -EINVAL);
  assert_int_equal(st_open_parent(s->fd, "/none/x", &name), -ENOENT);
}

/* Folders in folders, 100 times 99 characters: more than two PATH_MAX. */
static void test_long_path(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER path = ST_BUFFER_INIT;
  char part[100];
  int dirs[101] = {s->fd};
  memset(part, 'p', sizeof part - 1);
  part[sizeof part - 1] = 0;
  for (int i = 0; i < 100; i++) {
    assert_int_equal(mkdirat(dirs[i], part, 0700), 0);
    dirs[i + 1] = openat(dirs[i], part, O_RDONLY | O_DIRECTORY);
    assert_true(dirs[i + 1] >= 0);
    st_buffer_printf(&path, "/%s", part);
  }
  put_file(dirs[100], "f", "deep");
  assert_int_equal(symlinkat("f", dirs[100], "l"), 0);
  size_t length = path.length;
  st_buffer_append_string(&path, "/f");
  assert_opens(st_open_beneath(s->fd, path.data, O_RDONLY, 0));
  assert_opens(st_open_in(s->fd, path.data, O_RDONLY, 0));
  const char *name;
  assert_opens(st_open_parent(s->fd, path.data, &name));
  assert_string_equal(name, "f");
  path.data[length + 1] = 'l';
  assert_int_equal(st_open_beneath(s->fd, path.data, O_RDONLY, 0), -ELOOP);
  path.data[length + 1] = 'x';
  assert_int_equal(st_open_beneath(s->fd, path.data, O_RDONLY, 0), -ENOENT);
  /* Removed here: nftw(3) has no such path. */
  unlinkat(dirs[100], "f", 0);
  unlinkat(dirs[100], "l", 0);
  for (int i = 100; i > 0; i--) {
    close(dirs[i]);
    unlinkat(dirs[i - 1], part, AT_REMOVEDIR);
  }
  memset(path.data, 'p', path.length); /* one part of 10,000 */
  assert_int_equal(st_open_beneath(s->fd, path.data, O_RDONLY, 0), -ENAMETOOLONG);
}

static void test_read(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_int_equal(st_read_file(s->fd, "none", 10, &b, &err), -ENOENT);
  put_file(s->fd, "f", "0123456789");
  st_buffer_append_string(&b, "<");
  assert_int_equal(st_read_file(s->fd, "f", 10, &b, &err), 0);
  assert_string_equal(b.data, "<0123456789");
  assert_int_equal(st_read_file(s->fd, "f", 9, &b, &err), -1);
  assert_int_equal(err.code, EFBIG);
  assert_error(&err, "f: cannot read more than 9 bytes");
  put_file(s->fd, "empty", "");
  st_buffer_clear(&b);
  assert_int_equal(st_read_file(s->fd, "empty", 0, &b, &err), 0);
  assert_int_equal(b.length, 0);
  assert_int_equal(st_read_file(s->fd, "f", SIZE_MAX, &b, &err), 0);
  assert_int_equal(mkfifoat(s->fd, "fifo", 0600), 0);
  assert_int_equal(st_read_file(s->fd, "fifo", 10, &b, &err), -1);
  assert_error(&err, "not a regular file");
  assert_int_equal(symlinkat("f", s->fd, "link"), 0);
  assert_int_equal(st_read_file(s->fd, "link", 10, &b, &err), -1);
}

/* A pipe tells no size, and gives what it has in pieces. */
static void test_read_pipe(void **state)
{
  (void)state;
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(st_write_all(ends[1], "abc", 3, NULL), 0);
  close(ends[1]);
  assert_int_equal(st_read_all(ends[0], 3, &b, NULL), 0);
  assert_string_equal(b.data, "abc");
  close(ends[0]);
}

static void test_pread(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  char data[4];
  put_file(s->fd, "f", "0123456789");
  int fd = openat(s->fd, "f", O_RDONLY);
  assert_int_equal(st_pread_all(fd, data, 4, 6, &err), 0);
  assert_memory_equal(data, "6789", 4);
  assert_int_equal(st_pread_all(fd, data, 4, 7, &err), -1);
  assert_error(&err, "ends 1 bytes early");
  close(fd);
}

static size_t count_entries(int dirfd)
{
  size_t n = 0;
  ST_AUTO_CLOSEDIR DIR *d = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY));
  while (readdir(d))
    n++;
  return n - 2;
}

static void test_write(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct stat st;
  mode_t mask = umask(077);
  assert_ok(st_write_file(s->fd, "f", 0644, "one", 3, &err), &err);
  assert_ok(st_write_file(s->fd, "f", 0640, "second", 6, &err), &err);
  umask(mask);
  fstatat(s->fd, "f", &st, 0);
  assert_int_equal(st.st_mode & 07777, 0640);
  assert_ok(st_read_file(s->fd, "f", 100, &b, &err), &err);
  assert_string_equal(b.data, "second");
  assert_int_equal(st_create_file(s->fd, "f", 0600, "x", 1, &err), -EEXIST);
  assert_ok(st_create_file(s->fd, "g", 0600, "x", 1, &err), &err);
  assert_int_equal(mkdirat(s->fd, "d", 0700), 0);
  assert_ok(st_write_file(s->fd, "d/h", 0600, NULL, 0, &err), &err);
  assert_int_equal(st_write_file(s->fd, "d", 0600, "x", 1, &err), -1);
  assert_error(&err, "cannot replace (d)");
  assert_int_equal(st_write_file(s->fd, "none/f", 0600, "x", 1, &err), -1);
  assert_int_equal(count_entries(s->fd), 3); /* nothing was left beside them */
}

static void test_make_dirs(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct stat st;
  assert_ok(st_make_dirs(s->fd, "a/b//c", 0750, &err), &err);
  assert_ok(st_make_dirs(s->fd, "/a/b/c/", 0700, &err), &err);
  assert_int_equal(fstatat(s->fd, "a/b/c", &st, 0), 0);
  assert_int_equal(st.st_mode & 07777, 0750);
  assert_int_equal(symlinkat("/", s->fd, "link"), 0);
  assert_int_equal(st_make_dirs(s->fd, "link/tmp/x", 0700, &err), -1);
  assert_int_equal(st_make_dirs(s->fd, "a/../x", 0700, &err), -1);
  put_file(s->fd, "f", "");
  assert_int_equal(st_make_dirs(s->fd, "f/x", 0700, &err), -1);
  uint64_t space;
  assert_ok(st_free_space(s->fd, &space, &err), &err);
}

static void assert_normal(const char *path, const char *expected)
{
  ST_AUTO_FREE char *normal = NULL;
  int r = st_normal_path(path, &normal, NULL);
  if (!expected) {
    assert_int_equal(r, -1);
    return;
  }
  assert_int_equal(r, 0);
  assert_string_equal(normal, expected);
}

static void test_paths(void **state)
{
  (void)state;
  assert_normal("/a//b/./c/", "/a/b/c");
  assert_normal("/", "/");
  assert_normal("///.//", "/");
  assert_normal("/.a/..b/...", "/.a/..b/...");
  assert_normal("/a/../b", NULL);
  assert_normal("/..", NULL);
  assert_normal("a", NULL);
  assert_normal("", NULL);
  assert_true(st_path_below("/etc/x", "/etc"));
  assert_true(st_path_below("/etc", "/etc"));
  assert_true(st_path_below("/etc", "/etc/"));
  assert_true(st_path_below("/etc", "/"));
  assert_true(st_path_below("/", "/"));
  assert_false(st_path_below("/etcetera", "/etc"));
  assert_false(st_path_below("/", "/etc"));
}

static void test_remove_folder(void **state)
{
  struct scratch *s = *state;
  assert_int_equal(mkdirat(s->fd, "stays", 0700), 0);
  put_file(s->fd, "stays/file", "x");
  assert_int_equal(mkdirat(s->fd, "goes", 0700), 0);
  assert_int_equal(mkdirat(s->fd, "goes/a", 0700), 0);
  assert_int_equal(mkdirat(s->fd, "goes/a/b", 0700), 0);
  put_file(s->fd, "goes/a/b/file", "x");
  put_file(s->fd, "goes/file", "x");
  assert_int_equal(symlinkat("../stays", s->fd, "goes/link"), 0);
  assert_int_equal(symlinkat("stays", s->fd, "link"), 0);
  st_remove_folder(s->fd, "link", 2);
  st_remove_folder(s->fd, "none", 2);
  st_remove_folder(s->fd, "goes", 1); /* not so deep: only what lies above */
  assert_int_equal(faccessat(s->fd, "goes/file", F_OK, 0), -1);
  assert_int_equal(faccessat(s->fd, "goes/a/b/file", F_OK, 0), 0);
  st_remove_folder(s->fd, "goes", 2);
  assert_int_equal(faccessat(s->fd, "goes", F_OK, 0), -1);
  assert_int_equal(faccessat(s->fd, "stays/file", F_OK, 0), 0);
  assert_int_equal(faccessat(s->fd, "link", F_OK, 0), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kernel), scratch_test(test_beneath),
      scratch_test(test_in_root),    scratch_test(test_parent),
      scratch_test(test_long_path),  scratch_test(test_read),
      scratch_test(test_pread),      cmocka_unit_test(test_read_pipe),
      scratch_test(test_write),      scratch_test(test_make_dirs),
      cmocka_unit_test(test_paths),  scratch_test(test_remove_folder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
