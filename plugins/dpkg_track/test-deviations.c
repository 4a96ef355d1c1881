/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/deviations.h"
#include "plugins/dpkg_track/tables.h"
#include "plugins/dpkg_track/test-root.h"

#define ONE "Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n"

/* The plug-in after a look at the packages. */
static void *opened(const struct root *root, struct st_context *ctx)
{
  static struct st_facts facts;
  struct st_error err = {0};
  ctx->root = root->fd;
  facts = (struct st_facts){0};
  void *self = host_open(ctx);
  assert_int_equal(st_plugin_register()->collect(self, &facts, &err), 0);
  return self;
}

static struct st_entry file(bool owned, bool as_expected)
{
  return (struct st_entry){.path = "/usr/bin/x",
                           .type = 'f',
                           .size = 5,
                           .digest = host_id(false, 0xab),
                           .has_digest = true,
                           .has_object = !as_expected,
                           .owned = owned,
                           .as_expected = as_expected};
}

static void test_kept(void **state)
{
  struct st_context ctx = {0};
  put(*state, "var/lib/dpkg/status", ONE, 1);
  void *self = opened(*state, &ctx);
  struct st_entry e = file(true, true);
  assert_int_equal(st_plugin_register()->want(self, &e), ST_WANT_ENTRY | ST_WANT_UNEXPECTED);
  assert_string_equal(host_entry(self, &e), "");
  e.has_object = true; /* another plug-in keeps it */
  assert_string_equal(host_entry(self, &e), "");
  e = file(true, false);
  assert_string_equal(host_entry(self, &e), "deviation|/usr/bin/x|not as packaged|id:ab|kept\n");
  e = file(false, false);
  assert_string_equal(host_entry(self, &e), "deviation|/usr/bin/x|no package's|id:ab|kept\n");
  e.type = 'l';
  assert_int_equal(st_plugin_register()->want(self, &e), ST_WANT_ENTRY);
  assert_string_equal(host_entry(self, &e), "");
  st_plugin_register()->close(self);
}

/* Of what could not be read nothing is said; nor of what is not in the store, though it should be.
 */
static void test_unreadable(void **state)
{
  struct st_context ctx = {0};
  put(*state, "var/lib/dpkg/status", ONE, 1);
  void *self = opened(*state, &ctx);
  struct st_entry e = file(true, false);
  e.unreadable = true;
  e.has_digest = e.has_object = false;
  assert_string_equal(host_entry(self, &e), "");
  e = file(true, false);
  e.has_object = false;
  assert_string_equal(host_entry(self, &e), "");
  st_plugin_register()->close(self);
}

/* Of what is too large it is said without its content, whoever else keeps that. */
static void test_large(void **state)
{
  struct host_option small[] = {{"max_size", (const char *const[]){"4", NULL}}, {0}};
  struct st_context ctx = {.options = small};
  put(*state, "var/lib/dpkg/status", ONE, 1);
  void *self = opened(*state, &ctx);
  struct st_entry e = file(false, false);
  assert_int_equal(st_plugin_register()->want(self, &e), ST_WANT_ENTRY | ST_WANT_DIGEST);
  assert_string_equal(host_entry(self, &e), "deviation|/usr/bin/x|no package's|-|too large\n");
  e = file(true, true);
  assert_string_equal(host_entry(self, &e), "");
  st_plugin_register()->close(self);
}

/* Where dpkg has nothing, nothing deviates from it. */
static void test_nothing(void **state)
{
  struct st_context ctx = {0};
  void *self = opened(*state, &ctx);
  struct st_entry e = file(false, false);
  assert_int_equal(st_plugin_register()->want(self, &e), ST_WANT_ENTRY);
  assert_string_equal(host_entry(self, &e), "");
  st_plugin_register()->close(self);
  put(*state, "var/lib/dpkg/status", "", 1);
  self = opened(*state, &ctx);
  assert_string_equal(host_entry(self, &e), "");
  st_plugin_register()->close(self);
}

struct row {
  struct st_value values[DEVIATION_COLUMNS];
};

static struct row row_of(const char *why, const struct st_id *id)
{
  return (struct row){{st_path_value("/x"), st_text_value(why), id ? st_id_value(id) : st_null(),
                       st_text_value(id ? DEVIATION_IS_KEPT : DEVIATION_TOO_LARGE)}};
}

static void test_explain(void **state)
{
  (void)state;
  struct st_id id = host_id(false, 1), other = host_id(false, 2);
  struct row ours = row_of("no package's", &id), changed = row_of("not as packaged", &id),
             again = row_of("no package's", &other), large = row_of("no package's", NULL);
  assert_string_equal(host_explain_in("deviation", NULL, NULL, ours.values),
                      "kept, being no package's");
  assert_string_equal(host_explain_in("deviation", NULL, changed.values, NULL),
                      "as packaged, and no longer kept");
  assert_string_equal(host_explain_in("deviation", NULL, ours.values, changed.values),
                      "kept, being not as packaged");
  assert_string_equal(host_explain_in("deviation", NULL, ours.values, again.values),
                      "content changed");
  assert_string_equal(host_explain_in("deviation", NULL, NULL, large.values),
                      "too large to be kept, being no package's");
  assert_string_equal(host_explain_in("deviation", NULL, ours.values, large.values),
                      "too large to be kept any more");
  assert_string_equal(host_explain_in("deviation", NULL, large.values, ours.values), "kept now");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_kept, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_unreadable, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_large, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_nothing, set_up, tear_down),
      cmocka_unit_test(test_explain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
