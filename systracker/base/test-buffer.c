/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/test-scratch.h"

static void test_append(void **state)
{
  (void)state;
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  assert_null(b.data);
  st_buffer_append(&b, NULL, 0);
  assert_string_equal(b.data, "");
  st_buffer_append_string(&b, "one");
  st_buffer_append_byte(&b, 0);
  st_buffer_printf(&b, "%d", 23);
  assert_int_equal(b.length, 6);
  assert_memory_equal(b.data,
                      "one\0"
                      "23",
                      7);
  st_buffer_clear(&b);
  assert_string_equal(b.data, "");
  for (int i = 0; i < 10000; i++)
    st_buffer_append_byte(&b, (uint8_t)i);
  assert_int_equal(b.length, 10000);
  assert_int_equal((uint8_t)b.data[9999], 9999 % 256);
  assert_int_equal(b.data[10000], 0);
}

static void test_steal(void **state)
{
  (void)state;
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  size_t n = 7;
  ST_AUTO_FREE char *empty = st_buffer_steal(&b, &n);
  assert_string_equal(empty, "");
  assert_int_equal(n, 0);
  st_buffer_append_string(&b, "text");
  ST_AUTO_FREE char *text = st_buffer_steal(&b, NULL);
  assert_string_equal(text, "text");
  assert_null(b.data);
  assert_int_equal(b.length, 0);
}

static void test_strings(void **state)
{
  (void)state;
  ST_AUTO_STRINGS s = {0};
  assert_false(st_strings_has(&s, "7"));
  for (int i = 0; i < 100; i++)
    st_strings_take(&s, st_format("%d", i));
  st_strings_add(&s, "last");
  assert_int_equal(s.count, 101);
  assert_string_equal(s.items[100], "last");
  assert_null(s.items[101]);
  assert_true(st_strings_has(&s, "99"));
  assert_false(st_strings_has(&s, "100"));
}

static void test_set(void **state)
{
  (void)state;
  ST_CLEANUP(st_set_freep) struct st_set *s = st_set_new();
  uint64_t number = 1;
  assert_false(st_set_get(s, "", 0, NULL));
  assert_true(st_set_add(s, "", 0, 5));
  assert_true(st_set_get(s, "", 0, &number));
  assert_int_equal(number, 5);
  for (uint64_t i = 0; i < 20000; i++)
    assert_true(st_set_add(s, &i, sizeof i, i * 3));
  for (uint64_t i = 0; i < 20000; i++) {
    assert_true(st_set_get(s, &i, sizeof i, &number));
    assert_int_equal(number, i * 3);
    /* The same bytes, one less: another key. */
    assert_false(st_set_get(s, &i, sizeof i - 1, NULL));
  }
  assert_false(st_set_add(s, "", 0, 6));
  assert_true(st_set_get(s, "", 0, &number));
  assert_int_equal(number, 6);
  assert_int_equal(st_set_count(s), 20001);
}

static void test_binary_keys(void **state)
{
  (void)state;
  ST_CLEANUP(st_set_freep) struct st_set *s = st_set_new();
  assert_true(st_set_add(s, "a\0b", 3, 1));
  assert_true(st_set_add(s, "a\0c", 3, 2));
  assert_true(st_set_add(s, "a", 1, 3));
  assert_int_equal(st_set_count(s), 3);
  assert_false(st_set_get(s, "a\0", 2, NULL));
}

static void test_filter(void **state)
{
  (void)state;
  ST_CLEANUP(st_filter_freep) struct st_filter *f = st_filter_new();
  unsigned fresh = 0;
  assert_false(st_filter_may_have(f, "", 0));
  assert_true(st_filter_add(f, "", 0));
  assert_true(st_filter_may_have(f, "", 0));
  for (unsigned i = 0; i < 5000; i++)
    fresh += st_filter_add(f, &i, sizeof i);
  assert_in_range(fresh, 4990, 5000); /* two may have one hash */
  for (unsigned i = 0; i < 5000; i++) {
    assert_true(st_filter_may_have(f, &i, sizeof i));
    assert_false(st_filter_add(f, &i, sizeof i));
  }
  fresh = 0;
  for (unsigned i = 5000; i < 10000; i++)
    fresh += !st_filter_may_have(f, &i, sizeof i);
  assert_in_range(fresh, 4990, 5000);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_append),  cmocka_unit_test(test_steal),
      cmocka_unit_test(test_strings), cmocka_unit_test(test_set),
      cmocka_unit_test(test_filter),  cmocka_unit_test(test_binary_keys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
