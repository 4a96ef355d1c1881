/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <time.h>

#include "systracker/base/test-scratch.h"
#include "systracker/base/text.h"

static void test_size(void **state)
{
  (void)state;
  static const char *const bad[] = {"",
                                    "M",
                                    "-1",
                                    "1.5M",
                                    "1MB",
                                    "1 M",
                                    " 1",
                                    "1k",
                                    "99999999999999999999",
                                    "18446744073709551615K"};
  uint64_t n;
  assert_int_equal(st_parse_size("0", &n, NULL), 0);
  assert_int_equal(n, 0);
  assert_int_equal(st_parse_size("64M", &n, NULL), 0);
  assert_int_equal(n, 64 << 20);
  assert_int_equal(st_parse_size("2T", &n, NULL), 0);
  assert_true(n == (uint64_t)2 << 40);
  assert_int_equal(st_parse_size("18446744073709551615", &n, NULL), 0);
  assert_true(n == UINT64_MAX);
  for (size_t i = 0; i < ST_COUNT(bad); i++)
    if (st_parse_size(bad[i], &n, NULL) != -1)
      fail_msg("%s was accepted", bad[i]);
}

static void test_number(void **state)
{
  (void)state;
  static const char *const bad[] = {"", "-1", "+1", "1 ", "0x1", "9223372036854775808"};
  int64_t n;
  assert_int_equal(st_parse_number("9223372036854775807", &n, NULL), 0);
  assert_true(n == INT64_MAX);
  for (size_t i = 0; i < ST_COUNT(bad); i++)
    if (st_parse_number(bad[i], &n, NULL) != -1)
      fail_msg("%s was accepted", bad[i]);
}

static void test_bool(void **state)
{
  (void)state;
  bool b;
  assert_int_equal(st_parse_bool("yes", &b, NULL), 0);
  assert_true(b);
  assert_int_equal(st_parse_bool("off", &b, NULL), 0);
  assert_false(b);
  assert_int_equal(st_parse_bool("0", &b, NULL), 0);
  assert_false(b);
  assert_int_equal(st_parse_bool("maybe", &b, NULL), -1);
}

static int64_t date(const char *text)
{
  int64_t t;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  if (st_parse_date(text, &t, &err))
    fail_msg("%s: %s", text, st_error_text(&err));
  return t;
}

static void test_date(void **state)
{
  (void)state;
  setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
  tzset();
  assert_int_equal(date("2026-01-02T03:04:05Z"), 1767323045);
  assert_int_equal(date("2026-01-02 03:04:05"), 1767323045 - 3600);
  assert_int_equal(date("2026-01-02T03:04"), 1767323045 - 3605);
  assert_int_equal(date("2026-07-01 12:00Z"), date("2026-07-01 14:00"));
  assert_int_equal(date("2026-01-02") + 1, date("2026-01-03 00:00"));
  date("2026-03-29 02:30"); /* skipped by the clocks, but what one means is plain */
  date("2024-02-29");
}

static void test_no_date(void **state)
{
  (void)state;
  static const char *const other[] = {"",
                                      "17",
                                      "baseline",
                                      "2026-1-2",
                                      "2026-01-02 3:04",
                                      "2026-01-02x",
                                      "2026-01-02T",
                                      "20260102",
                                      "2026-01-02 03:04:05 Z"};
  static const char *const impossible[] = {"2026-13-01", "2026-00-01",       "2026-02-29",
                                           "2026-04-31", "2026-01-01 24:00", "2026-01-01 00:60"};
  int64_t t;
  for (size_t i = 0; i < ST_COUNT(other); i++)
    if (st_parse_date(other[i], &t, NULL) != 1)
      fail_msg("%s is no date", other[i]);
  for (size_t i = 0; i < ST_COUNT(impossible); i++)
    if (st_parse_date(impossible[i], &t, NULL) != -1)
      fail_msg("%s does not exist", impossible[i]);
}

static void assert_text(char *text, const char *expected)
{
  assert_string_equal(text, expected);
  free(text);
}

static void test_format(void **state)
{
  (void)state;
  setenv("TZ", "CET-1", 1);
  tzset();
  assert_text(st_format_time(1767323045), "2026-01-02 04:04:05");
  assert_text(st_format_time_utc(1767323045), "2026-01-02T03:04:05Z");
  assert_text(st_format_time_utc(-1), "1969-12-31T23:59:59Z");
  assert_text(st_format_time_utc(INT64_MAX), "9223372036854775807");
  assert_text(st_format_size(0), "0 B");
  assert_text(st_format_size(1023), "1023 B");
  assert_text(st_format_size(1024), "1.0 KiB");
  assert_text(st_format_size(3 << 19), "1.5 MiB");
  assert_text(st_format_size((1 << 20) - 1), "1.0 MiB");
  assert_text(st_format_size(UINT64_MAX), "16.0 EiB");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_size), cmocka_unit_test(test_number),  cmocka_unit_test(test_bool),
      cmocka_unit_test(test_date), cmocka_unit_test(test_no_date), cmocka_unit_test(test_format),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
