/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-version.c - tables of versions in their order, by deb-version(7) and rpm-version(7). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "systracker/base/cleanup.h"
#include "systracker/base/version.h"

/* Each pair was asked of dpkg --compare-versions or of rpm.vercmp. */
typedef int compare_fn(const char *a, const char *b);

static int sign(int n)
{
  return (n > 0) - (n < 0);
}

static void assert_order(compare_fn *compare, const char *a, const char *b, int expected)
{
  if (sign(compare(a, b)) != expected || sign(compare(b, a)) != -expected)
    fail_msg("\"%s\" and \"%s\": %d and %d, not %d", a, b, compare(a, b), compare(b, a), expected);
}

struct pair {
  const char *a, *b;
};

static void assert_equal(compare_fn *compare, const struct pair *pairs, size_t count)
{
  for (size_t i = 0; i < count; i++)
    assert_order(compare, pairs[i].a, pairs[i].b, 0);
}

/* deb-version(7), Sorting algorithm. */
static void test_deb(void **state)
{
  (void)state;
  static const struct pair less[] = {
      {"0~~", "0~~a"},
      {"0~~a", "0~"},
      {"0~", "0"},
      {"0", "0a"},
      {"1.0~beta1", "1.0~rc1-1"},
      {"1.0~rc1-1", "1.0-1"},
      {"1.0-1", "1.0-1.1"},
      {"1.0-1", "1.0-1ubuntu1"},
      {"1.0-1ubuntu1", "1.0-1+deb12u1"},
      {"1.0-1+deb12u1", "1.0-1.1"},
      {"1.0-1.1", "1.0-2"},
      {"1.0-2", "1.0-10"},
      {"1.0-10", "1.0a-1"},
      {"1.0a-1", "1.0+b-1"},
      {"1.0+b-1", "1.0.1-1"},
      {"1.2-3", "1.2-3-1"},
      {"1.9-1", "1.10-1"},
      {"9-1", "10-1"},
      {"10-1", "1:0-1"},
      {"1:9-9", "2:0-1"},
      {"9:0", "10:0"},
      {"1.0Z-1", "1.0a-1"},
      {"1.0-1~bpo12+1", "1.0-1"},
      {"7.6-0", "7.6p2-4"},
      {"1.0-1.1", "1.0.3-3"},
  };
  static const struct pair equal[] = {
      {"1.0", "1.0-0"},    {"0:1.0-1", "1.0-1"}, {"1.01-1", "1.1-1"},
      {"1.0-01", "1.0-1"}, {"1.0a0", "1.0a"},
  };
  for (size_t i = 0; i < ST_COUNT(less); i++)
    assert_order(st_version_compare, less[i].a, less[i].b, -1);
  assert_equal(st_version_compare, equal, ST_COUNT(equal));
}

/* rpm-version(7); the pairs are those of rpm's own tests (tests/rpmvercmp.at). */
static void test_rpm(void **state)
{
  (void)state;
  static const struct pair less[] = {
      {"1.0-1", "2.0-1"},
      {"2.0-1", "2.0.1-1"},
      {"2.0.1-1", "2.0.1a-1"},
      {"5.5p1-1", "5.5p2-1"},
      {"5.5p1-1", "5.5p10-1"},
      {"10xyz-1", "10.1xyz-1"},
      {"xyz10-1", "xyz10.1-1"},
      {"xyz.4-1", "8-1"},
      {"xyz.4-1", "2-1"},
      {"5.5p2-1", "5.6p1-1"},
      {"5.6p1-1", "6.5p1-1"},
      {"6.0-1", "6.0.rc1-1"},
      {"10a2-1", "10b2-1"},
      {"1.0~rc1-1", "1.0-1"},
      {"1.0~rc1-1", "1.0~rc2-1"},
      {"1.0~rc1~git123-1", "1.0~rc1-1"},
      {"1.0-1", "1.0^-1"},
      {"1.0-1", "1.0^git1-1"},
      {"1.0^git1-1", "1.0^git2-1"},
      {"1.0^git1-1", "1.01-1"},
      {"1.0^20160101-1", "1.0.1-1"},
      {"1.0^20160101^git1-1", "1.0^20160102-1"},
      {"1.0~rc1-1", "1.0~rc1^git1-1"},
      {"1.0^git1~pre-1", "1.0^git1-1"},
      {"1.0-1", "1.0-2"},
      {"1.0-9", "1.0-10"},
      {"9-1", "1:1-1"},
      {"20101121-1", "20101122-1"},
      {"4.999.9-1", "5.0-1"},
  };
  static const struct pair equal[] = {
      {"2_0-1", "2.0-1"},  {"2.0-1", "2_0-1"},  {"a-1", "a-1"},       {"a+-1", "a_-1"},
      {"+_-1", "_+-1"},    {"+a-1", "a-1"},     {"1.0-1", "0:1.0-1"}, {"1b.fc17-1", "1b.fc17-1"},
      {"1.00-1", "1.0-1"}, {"1.0.-1", "1.0-1"},
  };
  for (size_t i = 0; i < ST_COUNT(less); i++)
    assert_order(st_rpm_version_compare, less[i].a, less[i].b, -1);
  assert_equal(st_rpm_version_compare, equal, ST_COUNT(equal));
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_deb), cmocka_unit_test(test_rpm)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
