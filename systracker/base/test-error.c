/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/test-scratch.h"

static void test_fail(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_string_equal(st_error_text(&err), "unknown error");
  assert_int_equal(st_fail(&err, ENOENT, "cannot open (%s)", "/x"), -1);
  assert_string_equal(err.message, "cannot open (/x): No such file or directory");
  assert_int_equal(err.status, ST_EXIT_TROUBLE);
  assert_int_equal(err.code, ENOENT);
  /* The new message may be made from the old one. */
  st_fail(&err, 0, "outer %s", err.message);
  assert_string_equal(err.message, "outer cannot open (/x): No such file or directory");
  assert_int_equal(err.code, 0);
}

static void test_wrap(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_int_equal(st_refuse(&err, "held"), -1);
  assert_int_equal(err.status, ST_EXIT_INCOMPLETE);
  assert_int_equal(st_wrap(&err, "the store %d", 7), -1);
  assert_string_equal(err.message, "the store 7: held");
  assert_int_equal(err.status, ST_EXIT_INCOMPLETE);
  st_fail(&err, EIO, "inner");
  st_wrap(&err, "outer");
  assert_int_equal(err.code, EIO);
  assert_int_equal(err.status, ST_EXIT_TROUBLE);
  st_error_clear(&err);
  assert_null(err.message);
  st_wrap(&err, "outer");
  assert_string_equal(err.message, "outer: unknown error");
  assert_int_equal(err.status, ST_EXIT_TROUBLE);
}

static void test_null(void **state)
{
  (void)state;
  assert_int_equal(st_fail(NULL, EIO, "lost"), -1);
  assert_int_equal(st_refuse(NULL, "lost"), -1);
  assert_int_equal(st_wrap(NULL, "lost"), -1);
  assert_string_equal(st_error_text(NULL), "unknown error");
}

/* The system's words are in it once, however often it is handed on. */
static void test_move(void **state)
{
  (void)state;
  ST_AUTO_ERROR from = ST_ERROR_INIT, to = ST_ERROR_INIT;
  st_fail(&to, 0, "before");
  st_fail(&from, EIO, "lost");
  ST_AUTO_FREE char *words = st_strdup(st_error_text(&from));
  assert_int_equal(st_error_move(&to, &from), -1);
  assert_string_equal(st_error_text(&to), words);
  assert_int_equal(to.code, EIO);
  assert_null(from.message);
  assert_int_equal(st_error_move(NULL, &to), -1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fail),
      cmocka_unit_test(test_wrap),
      cmocka_unit_test(test_null),
      cmocka_unit_test(test_move),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
