/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "plugins/rpm_track/rpm/leftover.h"

static void test_names(void **state)
{
  (void)state;
  assert_int_equal(rpm_leftover_of("version;6b01837e"), 7);
  assert_int_equal(rpm_leftover_of("a;b;6b01837e"), 3);
  assert_int_equal(rpm_leftover_of(";6b01837e"), 0);
  assert_int_equal(rpm_leftover_of("version;6b01837"), 0);
  assert_int_equal(rpm_leftover_of("version;6B01837E"), 0);
  assert_int_equal(rpm_leftover_of("version;6b01837g"), 0);
  assert_int_equal(rpm_leftover_of("version-6b01837e"), 0);
  assert_int_equal(rpm_leftover_of("version"), 0);
  assert_int_equal(rpm_leftover_of(""), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
