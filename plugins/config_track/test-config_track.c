/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/test-host.h"

static const char *const ten[] = {"10", NULL}, *const zero[] = {"0", NULL};
static const struct host_option small[] = {{"max_size", ten}, {0}},
                                none[] = {{"max_size", zero}, {0}};
static const struct st_context context = {.options = small};

struct row {
  struct st_value values[3];
};

static struct row row_of(const char *kept, uint8_t digest)
{
  struct st_id id = host_id(kept[0] == 's', digest);
  return (struct row){
      {st_path_value("/a"), st_text_value(kept), digest ? st_id_value(&id) : st_null()}};
}

static void test_options(void **state)
{
  (void)state;
  struct st_context bad = {.options = none}, fallback = {0};
  host_open_fails(&bad, "max_size");
  void *self = host_open(&fallback);
  struct st_entry e = {.path = "/a", .type = 'f', .size = 64 << 20};
  const struct st_plugin *p = st_plugin_register();
  assert_true(p->want(self, &e) & ST_WANT_CONTENT);
  e.size++;
  assert_false(p->want(self, &e) & (ST_WANT_CONTENT | ST_WANT_DIGEST));
  e = (struct st_entry){.path = "/a", .type = 'l'};
  assert_int_equal(p->want(self, &e), ST_WANT_ENTRY);
  p->close(self);
}

static void test_entry(void **state)
{
  (void)state;
  void *self = host_open(&context);
  struct st_entry e = {.path = "/a",
                       .type = 'f',
                       .size = 10,
                       .has_digest = true,
                       .has_object = true,
                       .digest = host_id(false, 0xab)};
  assert_string_equal(host_entry(self, &e), "file|/a|kept|id:ab\n");
  e.digest.keyed = 1;
  assert_string_equal(host_entry(self, &e), "file|/a|secret|secret:ab\n");
  e.size = 11;
  assert_string_equal(host_entry(self, &e), "file|/a|too large|-\n");
  e.size = 10;
  e.has_object = false;
  assert_string_equal(host_entry(self, &e), "file|/a|too large|-\n");
  e.unreadable = true;
  assert_string_equal(host_entry(self, &e), "");
  e = (struct st_entry){.path = "/a", .type = 'd'};
  assert_string_equal(host_entry(self, &e), "");
  st_plugin_register()->close(self);
}

static void test_explain(void **state)
{
  (void)state;
  struct row kept = row_of("kept", 1), other = row_of("kept", 2), large = row_of("too large", 0);
  struct row secret = row_of("secret", 3), changed = row_of("secret", 4);
  assert_string_equal(host_explain(NULL, large.values, kept.values), "now kept");
  assert_string_equal(host_explain(NULL, kept.values, large.values), "no longer kept: too large");
  assert_string_equal(host_explain(NULL, NULL, large.values), "not kept: too large");
  assert_string_equal(host_explain(NULL, secret.values, changed.values), "content changed");
  assert_string_equal(host_explain(NULL, kept.values, secret.values), "kept as a secret");
  assert_string_equal(host_explain(NULL, NULL, secret.values), "kept as a secret");
  assert_string_equal(host_explain(NULL, secret.values, kept.values), "no longer kept as a secret");
  assert_string_equal(host_explain(NULL, kept.values, other.values), "content changed");
  assert_string_equal(host_explain(NULL, kept.values, kept.values), "");
  assert_string_equal(host_explain(NULL, NULL, kept.values), "kept");
  assert_string_equal(host_explain(NULL, kept.values, NULL), "was kept");
  assert_string_equal(host_explain(NULL, secret.values, NULL), "was kept as a secret");
  assert_string_equal(host_explain(NULL, large.values, NULL), "was too large to be kept");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_options),
      cmocka_unit_test(test_entry),
      cmocka_unit_test(test_explain),
      cmocka_unit_test(host_test_manpage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
