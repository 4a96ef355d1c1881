/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/test-host.h"

#include <string.h>

struct row {
  struct st_value values[3];
};

static struct row row_of(bool keyed, uint8_t digest, int64_t size)
{
  struct st_id id = host_id(keyed, digest);
  return (struct row){{st_path_value("/a"), st_id_value(&id), st_integer(size)}};
}

static void test_entry(void **state)
{
  (void)state;
  struct st_entry e = {
      .path = "/a", .type = 'f', .size = 12, .has_digest = true, .digest = host_id(false, 0xab)};
  assert_string_equal(host_entry(NULL, &e), "file|/a|id:ab|12\n");
  e.unreadable = true;
  assert_string_equal(host_entry(NULL, &e), "");
  e = (struct st_entry){.path = "/a", .type = 'd'};
  assert_string_equal(host_entry(NULL, &e), "");
}

static void test_want(void **state)
{
  (void)state;
  struct st_entry e = {.path = "/a", .type = 'f'};
  const struct st_plugin *p = st_plugin_register();
  assert_int_equal(p->want(NULL, &e), ST_WANT_ENTRY | ST_WANT_DIGEST);
  e.type = 'p';
  assert_int_equal(p->want(NULL, &e), ST_WANT_ENTRY);
}

static void test_explain(void **state)
{
  (void)state;
  struct row a = row_of(false, 0xab, 120), b = row_of(false, 0x12, 140);
  assert_string_equal(host_explain(NULL, a.values, b.values),
                      "content: 120 → 140 bytes, sha256 abababababababab… → 1212121212121212…");
  b = row_of(false, 0x12, 120);
  assert_string_equal(host_explain(NULL, a.values, b.values),
                      "content: 120 bytes, sha256 abababababababab… → 1212121212121212…");
  assert_string_equal(host_explain(NULL, NULL, a.values),
                      "content: 120 bytes, sha256 abababababababab…");
  assert_string_equal(host_explain(NULL, a.values, NULL), "content removed (120 bytes)");
  assert_string_equal(host_explain(NULL, a.values, a.values), "");
}

/* Whichever side is the secret, nothing of size or digest may be said. */
static void test_explain_secret(void **state)
{
  (void)state;
  struct row open = row_of(false, 0xab, 120), secret = row_of(true, 0x12, 140);
  struct row other = row_of(true, 0x34, 160);
  assert_string_equal(host_explain(NULL, secret.values, other.values), "content changed");
  assert_string_equal(host_explain(NULL, open.values, secret.values), "content changed");
  assert_string_equal(host_explain(NULL, secret.values, open.values), "content changed");
  assert_string_equal(host_explain(NULL, NULL, secret.values), "secret content");
  assert_string_equal(host_explain(NULL, secret.values, NULL), "content removed");
  assert_string_equal(host_explain(NULL, secret.values, secret.values), "");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_entry),        cmocka_unit_test(test_want),
      cmocka_unit_test(test_explain),      cmocka_unit_test(test_explain_secret),
      cmocka_unit_test(host_test_manpage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
