/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/base/test-scratch.h"

#include "plugins/rpm_track/rpm/caps.h"
#include "systracker/base/xattr.h"

static void expect(const char *text, const char *words)
{
  ST_AUTO_BUFFER list = ST_BUFFER_INIT, said = ST_BUFFER_INIT;
  assert_int_equal(rpm_caps_list(text, &list), 0);
  assert_true(st_xattrs_valid(list.data, list.length));
  st_xattrs_say(&said, "", 0, list.data ? list.data : "", list.length);
  assert_string_equal(said.data ? said.data : "", words);
}

static void test_lists(void **state)
{
  (void)state;
  expect("cap_net_raw=ep", "+security.capability=cap_net_raw+ep");
  expect("cap_net_admin,cap_net_raw=ep", "+security.capability=cap_net_admin,cap_net_raw+ep");
  expect("cap_checkpoint_restore=p", "+security.capability=cap_checkpoint_restore+p");
  expect("cap_chown=i", "+security.capability=cap_chown+i");
  expect("", "");
  expect("=", "");
}

/* As the kernel keeps it: revision 2, and the bit that says effective. */
static void test_bytes(void **state)
{
  (void)state;
  static const uint8_t value[] = {1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  struct st_xattr x;
  size_t at = 0;
  assert_int_equal(rpm_caps_list("cap_net_raw=ep", &list), 0);
  assert_int_equal(st_xattr_next(list.data, list.length, &at, &x), 1);
  assert_int_equal(x.length, sizeof(value));
  assert_memory_equal(x.data, value, sizeof(value));
  assert_int_equal(st_xattr_next(list.data, list.length, &at, &x), 0);
}

static void test_nonsense(void **state)
{
  (void)state;
  static const char *const texts[] = {"cap_no_such=ep", "cap_net_raw=q", "ep",
                                      "cap_chown=p cap_kill=ep"};
  for (size_t i = 0; i < ST_COUNT(texts); i++) {
    ST_AUTO_BUFFER list = ST_BUFFER_INIT;
    assert_int_equal(rpm_caps_list(texts[i], &list), -1);
    assert_int_equal(list.length, 0);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lists),
      cmocka_unit_test(test_bytes),
      cmocka_unit_test(test_nonsense),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
