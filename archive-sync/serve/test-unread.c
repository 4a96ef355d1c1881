/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "archive-sync/serve/unread.h"

static void test_each(void **state)
{
  (void)state;
  ST_CLEANUP(st_unread_freep) struct st_unread *u = st_unread_new(100, 250, 50);
  assert_true(st_unread_add(u, "one", 99, false));
  assert_int_equal(st_unread_look(u, "one", false), ST_UNREAD_ROOM);
  assert_true(st_unread_add(u, "one", 1, true));
  assert_int_equal(st_unread_look(u, "one", false), ST_UNREAD_EACH);
  assert_int_equal(st_unread_look(u, "two", false), ST_UNREAD_ROOM); /* no other is kept out */
  st_unread_end(u, "one", 99, false);
  assert_int_equal(st_unread_look(u, "one", false), ST_UNREAD_ROOM);
  st_unread_end(u, "one", 1, true);
}

static void test_all(void **state)
{
  (void)state;
  ST_CLEANUP(st_unread_freep) struct st_unread *u = st_unread_new(100, 250, 50);
  char name[16];
  for (int i = 0; i < 50; i++) {
    snprintf(name, sizeof(name), "%d", i);
    assert_int_equal(st_unread_look(u, name, false), ST_UNREAD_ROOM);
    assert_true(st_unread_add(u, name, 5, false));
  }
  assert_int_equal(st_unread_look(u, "another", false), ST_UNREAD_ALL);
  assert_int_equal(st_unread_look(u, "another", true), ST_UNREAD_ROOM); /* it may send */
  assert_true(st_unread_add(u, "another", 100, false));
  assert_int_equal(st_unread_look(u, "another", true), ST_UNREAD_EACH);
  st_unread_end(u, "another", 100, false);
  for (int i = 0; i < 50; i++) {
    snprintf(name, sizeof(name), "%d", i);
    st_unread_end(u, name, 5, false);
    assert_int_equal(st_unread_look(u, "another", false), ST_UNREAD_ROOM);
  }
}

static void test_memory(void **state)
{
  (void)state;
  ST_CLEANUP(st_unread_freep) struct st_unread *u = st_unread_new(100, 250, 50);
  assert_true(st_unread_add(u, "one", 50, true));
  assert_false(st_unread_add(u, "two", 1, true));
  assert_true(st_unread_add(u, "two", 1, false));
  st_unread_end(u, "one", 50, true);
  assert_true(st_unread_add(u, "two", 50, true));
  assert_int_equal(st_unread_look(u, "two", false),
                   ST_UNREAD_ROOM); /* 51: what was refused counts not */
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each),
      cmocka_unit_test(test_all),
      cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
