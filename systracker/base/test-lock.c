/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <sys/wait.h>

#include "systracker/base/lock.h"
#include "systracker/base/test-scratch.h"

static void test_lock(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  int fd = st_lock(s->fd, "lock", &err);
  assert_true(fd >= 0);
  ST_AUTO_FREE char *words = st_format("process %ld", (long)getpid());
  assert_int_equal(st_lock(s->fd, "lock", &err), -1);
  assert_int_equal(err.status, ST_EXIT_INCOMPLETE);
  assert_error(&err, words);
  close(fd);
  fd = st_lock(s->fd, "lock", &err);
  assert_true(fd >= 0);
  close(fd);
}

static void test_killed_holder(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  pid_t pid = fork();
  if (!pid)
    _exit(st_lock(s->fd, "lock", NULL) >= 0 ? 0 : 1); /* never unlocked by hand */
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  int fd = st_lock(s->fd, "lock", &err);
  assert_true(fd >= 0);
  close(fd);
}

static void test_symlink(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_int_equal(symlinkat("elsewhere", s->fd, "lock"), 0);
  assert_int_equal(st_lock(s->fd, "lock", &err), -1);
  assert_int_equal(err.status, ST_EXIT_TROUBLE);
  assert_int_equal(faccessat(s->fd, "elsewhere", F_OK, 0), -1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      scratch_test(test_lock),
      scratch_test(test_killed_holder),
      scratch_test(test_symlink),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
