/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "restore/login.h"

static bool can(const char *path, const char *content)
{
  return st_root_can_log_in(path, content, strlen(content));
}

static void test_root_can_log_in(void **state)
{
  (void)state;
  assert_true(can("/etc/passwd", "daemon:x:1:1::/:\nroot:x:0:0:root:/root:/bin/bash\n"));
  assert_true(can("/etc/passwd", "root:x:0:0:root:/root:/bin/bash"));
  assert_false(can("/etc/passwd", "root:x:1000:0:root:/root:/bin/bash\n"));
  assert_false(can("/etc/passwd", "rooty:x:0:0:root:/root:/bin/bash\n"));
  assert_false(can("/etc/passwd", "root:x\n"));
  assert_false(can("/etc/passwd", ""));
  assert_true(can("/etc/group", "root:x:0:\n"));
  assert_false(can("/etc/group", "root:x:00:\n"));
  assert_true(can("/etc/shadow", "root:*:19000:0:99999:7:::\n"));
  assert_false(can("/etc/shadow", "bob:*:19000:0:99999:7:::\n"));
  assert_true(can("/etc/hosts", ""));
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_root_can_log_in)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
