/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/test-root.h"

#define STANZA(name, arch, version)                                                                \
  "Package: " name "\nStatus: install ok installed\nArchitecture: " arch "\nVersion: " version "\n"

static int collect(const struct root *root, struct st_facts *facts, struct st_error *err)
{
  struct st_context ctx = {.root = root->fd};
  void *self = host_open(&ctx);
  *facts = (struct st_facts){0};
  int r = st_plugin_register()->collect(self, facts, err);
  st_plugin_register()->close(self);
  return r;
}

static void test_collect(void **state)
{
  static struct st_facts facts;
  struct st_error err = {0};
  const struct root *root = *state;
  put(root, "var/lib/dpkg/status",
      STANZA("b", "i386", "1") "\n" STANZA("a", "all", "1") "\n" STANZA("c", "amd64", "1"), 1);
  put(root, "var/lib/dpkg/info/a.list", "", 111);
  put(root, "var/lib/dpkg/info/b:i386.list", "", 222);
  assert_int_equal(collect(root, &facts, &err), 0);
  assert_string_equal(facts.lines, "package|a|all|1|install ok installed|111|-|0\n"
                                   "package|b|i386|1|install ok installed|222|-|0\n"
                                   "package|c|amd64|1|install ok installed|-|-|0\n");
}

/* The numbers' order counts, not the names'; what dpkg is still writing is left alone. */
static void test_journal(void **state)
{
  static struct st_facts facts;
  struct st_error err = {0};
  const struct root *root = *state;
  put(root, "var/lib/dpkg/status", STANZA("a", "all", "1"), 1);
  put(root, "var/lib/dpkg/updates/10000", STANZA("a", "all", "4"), 1);
  put(root, "var/lib/dpkg/updates/0010", STANZA("a", "all", "3"), 1);
  put(root, "var/lib/dpkg/updates/0002", STANZA("a", "all", "2"), 1);
  put(root, "var/lib/dpkg/updates/tmp.i", "Pack", 1);
  assert_int_equal(collect(root, &facts, &err), 0);
  assert_string_equal(facts.lines, "package|a|all|4|install ok installed|-|-|0\n");
}

static void test_no_database(void **state)
{
  static struct st_facts facts;
  struct st_error err = {0};
  assert_int_equal(collect(*state, &facts, &err), 0);
  assert_int_equal(facts.count, 0);
}

static void test_bad_database(void **state)
{
  static struct st_facts facts;
  struct st_error err = {0};
  put(*state, "var/lib/dpkg/status", STANZA("a", "all", "1") "\nPackage: b\nStat", 1);
  assert_true(collect(*state, &facts, &err) < 0);
  assert_string_equal(err.message, "/var/lib/dpkg/status, line 7: the last line has no end: the "
                                   "file is cut off");
  assert_int_equal(facts.count, 0);
}

static void test_options(void **state)
{
  (void)state;
  struct host_option relative[] = {{"admindir", (const char *const[]){"dpkg", NULL}}, {0}};
  struct st_context ctx = {.options = relative};
  host_open_fails(&ctx, "admindir");
}

struct row {
  struct st_value values[7];
};

static struct row row_of(const char *version, const char *words, int64_t changed)
{
  return (struct row){{st_text_value("nano"), st_text_value("amd64"), st_text_value(version),
                       st_text_value(words), st_integer(changed), st_null(), st_integer(0)}};
}

static struct row marked(struct row row)
{
  row.values[6] = st_integer(1);
  return row;
}

static void test_explain(void **state)
{
  (void)state;
  struct row a = row_of("7.2-1", "install ok installed", 1);
  struct row b = row_of("7.2-2", "install ok installed", 2);
  struct row held = row_of("7.2-1", "hold ok installed", 1);
  assert_string_equal(host_explain(NULL, a.values, b.values), "7.2-1 → 7.2-2");
  assert_string_equal(host_explain(NULL, NULL, a.values), "installed 7.2-1");
  assert_string_equal(host_explain(NULL, NULL, held.values), "installed 7.2-1, held");
  assert_string_equal(host_explain(NULL, a.values, NULL), "removed (was 7.2-1)");
  assert_string_equal(host_explain(NULL, a.values, held.values), "held");
  assert_string_equal(host_explain(NULL, held.values, b.values), "7.2-1 → 7.2-2, no longer held");
  struct row automatic = marked(a);
  assert_string_equal(host_explain(NULL, a.values, automatic.values), "marked automatic");
  assert_string_equal(host_explain(NULL, automatic.values, a.values), "marked manual");
  assert_string_equal(host_explain(NULL, NULL, automatic.values),
                      "installed 7.2-1, marked automatic");
  struct row left = row_of("7.2-1", "deinstall ok config-files", 1);
  assert_string_equal(host_explain(NULL, a.values, left.values),
                      "state install ok installed → deinstall ok config-files");
  automatic.values[6] = st_null(); /* a row older than the column */
  assert_string_equal(host_explain(NULL, automatic.values, a.values), "");
  b = row_of("7.2-1", "install ok installed", 2);
  assert_string_equal(host_explain(NULL, a.values, b.values), "");
}

static void test_plan(void **state)
{
  (void)state;
  struct row a = row_of("7.2-1", "install ok installed", 1);
  struct row b = row_of("7.2-2", "install ok installed", 2);
  struct row held = row_of("7.2-1", "hold ok installed", 1);
  assert_string_equal(host_plan(NULL, a.values, b.values),
                      "no: package nano: 7.2-1 → 7.2-2 is not put back (packages=none)\n");
  assert_string_equal(host_plan(NULL, NULL, b.values),
                      "no: package nano: not installed → 7.2-2 is not put back (packages=none)\n");
  assert_string_equal(host_plan(NULL, a.values, NULL),
                      "no: package nano: 7.2-1 → not installed is not put back (packages=none)\n");
  assert_string_equal(host_plan(NULL, a.values, held.values),
                      "yes: package nano: select for hold\n");
  assert_string_equal(host_plan(NULL, held.values, a.values),
                      "yes: package nano: select for install\n");
  assert_string_equal(host_plan(NULL, b.values, held.values),
                      "no: package nano: 7.2-2 → 7.2-1 is not put back (packages=none)\n"
                      "yes: package nano: select for hold\n");
  struct row left = row_of("7.2-1", "deinstall ok config-files", 1);
  assert_string_equal(host_plan(NULL, a.values, left.values),
                      "no: package nano: state install ok installed → deinstall ok config-files is "
                      "not put back (packages=none)\n");
  struct row automatic = marked(a);
  assert_string_equal(host_plan(NULL, a.values, automatic.values),
                      "yes: package nano: mark as automatic\n");
  assert_string_equal(host_plan(NULL, automatic.values, a.values),
                      "yes: package nano: mark as manual\n");
  assert_string_equal(host_plan(NULL, NULL, automatic.values),
                      "no: package nano: not installed → 7.2-1 is not put back (packages=none)\n"
                      "yes: package nano: mark as automatic\n");
  b = row_of("7.2-1", "install ok installed", 2);
  assert_string_equal(host_plan(NULL, a.values, b.values), "");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_collect, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_journal, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_no_database, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_bad_database, set_up, tear_down),
      cmocka_unit_test(test_options),
      cmocka_unit_test(test_explain),
      cmocka_unit_test(test_plan),
      cmocka_unit_test(host_test_manpage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
