/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/base/test-scratch.h"

#include "plugins/rpm_track/rpm/paths.h"

struct tree {
  struct scratch *scratch;
  struct rpm_paths *paths;
};

/* Both below the scratch folder; NULL: refused. */
static void expect(const struct tree *t, const char *path, bool directory, const char *resolved)
{
  ST_AUTO_FREE char *given = st_format("%s%s", t->scratch->path, path);
  ST_AUTO_FREE char *got = rpm_paths_resolve(t->paths, given, directory);
  if (!resolved) {
    assert_null(got);
    return;
  }
  ST_AUTO_FREE char *wanted = st_format("%s%s", t->scratch->path, resolved);
  assert_non_null(got);
  assert_string_equal(got, wanted);
}

/* A merged /usr, a folder that leads elsewhere by two steps, and one that leads nowhere. */
static void make_tree(int fd)
{
  assert_int_equal(mkdirat(fd, "usr", 0755), 0);
  assert_int_equal(mkdirat(fd, "usr/bin", 0755), 0);
  assert_int_equal(mkdirat(fd, "usr/bin/deep", 0755), 0);
  assert_int_equal(symlinkat("usr/bin", fd, "bin"), 0);
  assert_int_equal(symlinkat("../bin/deep", fd, "usr/far"), 0);
  assert_int_equal(symlinkat("nowhere", fd, "lost"), 0);
  assert_int_equal(symlinkat("loop", fd, "loop"), 0);
  put_file(fd, "usr/bin/file", "");
  assert_int_equal(symlinkat("file", fd, "usr/bin/link"), 0);
}

static void test_resolved(void **state)
{
  struct tree t = {*state, rpm_paths_new()};
  make_tree(t.scratch->fd);
  expect(&t, "/bin/ls", false, "/usr/bin/ls");
  expect(&t, "/bin/link", false, "/usr/bin/link"); /* itself is not followed */
  expect(&t, "/bin/deep/a", false, "/usr/bin/deep/a");
  expect(&t, "/usr/far/a", false, "/usr/bin/deep/a");
  expect(&t, "/usr/far/not/there", false, "/usr/bin/deep/not/there");
  expect(&t, "/lost/a", false, "/lost/a");
  expect(&t, "/loop/a", false, "/loop/a");
  expect(&t, "/bin", false, "/bin");
  expect(&t, "/bin", true, "/usr/bin"); /* a directory's entry is met by one */
  expect(&t, "/lost", true, "/lost");
  expect(&t, "/usr/bin/link", true, "/usr/bin/link");
  rpm_paths_free(t.paths);
}

static void test_refused(void **state)
{
  struct tree t = {*state, rpm_paths_new()};
  expect(&t, "/a/../b", false, NULL);
  expect(&t, "/a/./b", false, NULL);
  expect(&t, "/a//b", false, NULL);
  expect(&t, "/a/", false, NULL);
  expect(&t, "/..", true, NULL);
  assert_null(rpm_paths_resolve(t.paths, "a/b", false));
  assert_null(rpm_paths_resolve(t.paths, "", false));
  ST_AUTO_FREE char *root = rpm_paths_resolve(t.paths, "/", true);
  assert_string_equal(root, "/");
  rpm_paths_free(t.paths);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      scratch_test(test_resolved),
      scratch_test(test_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
