/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/tables.h"
#include "plugins/dpkg_track/test-root.h"

#include <time.h>

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
  assert_string_equal(facts.lines, "package|a|all|1|install ok installed|111|-|0|\n"
                                   "package|b|i386|1|install ok installed|222|-|0|\n"
                                   "package|c|amd64|1|install ok installed|-|-|0|\n");
}

/* A package's row says which of its paths are diverted, but for those that it diverts itself. */
static void test_diverted(void **state)
{
  static struct st_facts facts;
  struct st_error err = {0};
  const struct root *root = *state;
  put(root, "var/lib/dpkg/status", STANZA("a", "all", "1") "\n" STANZA("b", "amd64", "1"), 1);
  put(root, "var/lib/dpkg/info/a.list", "/usr/bin/x\n/usr/bin/xx\n/usr/bin/y\n", 111);
  put(root, "var/lib/dpkg/info/b.list", "/usr/bin/y\n/usr/bin/z\n", 111);
  put(root, "var/lib/dpkg/diversions",
      "/usr/bin/x\n/usr/bin/x.distrib\n:\n/usr/bin/y\n/usr/bin/y.a\nb\n", 1);
  assert_int_equal(collect(root, &facts, &err), 0);
  assert_non_null(strstr(facts.lines,
                         "package|a|all|1|install ok installed|111|-|0|"
                         "/usr/bin/x\n/usr/bin/x.distrib\n/usr/bin/y\n/usr/bin/y.a\n\n"));
  assert_non_null(strstr(facts.lines, "package|b|amd64|1|install ok installed|111|-|0|\n"));
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
  assert_string_equal(facts.lines, "package|a|all|4|install ok installed|-|-|0|\n");
}

/* ---- Whether anything changed ---------------------------------------------------------------- */

static uint8_t given[64], remembered[64];
static size_t given_length;
static bool is_remembered(const void *fingerprint, size_t length)
{
  assert_true(length <= sizeof(given));
  memcpy(given, fingerprint, length);
  given_length = length;
  return memcmp(given, remembered, sizeof(given)) == 0;
}

/* Times are those of now: until the clock has gone on, nothing can be told by them. */
static void settle(void)
{
  const struct timespec a_while = {.tv_nsec = 20000000};
  nanosleep(&a_while, NULL);
}

static int collect_again(const struct root *root, struct st_facts *facts)
{
  struct st_error err = {0};
  given_length = 0;
  settle();
  return collect(root, facts, &err);
}

static void expect_read(const struct root *root, struct st_facts *facts, const char *what)
{
  if (collect_again(root, facts) != 0)
    fail_msg("not read again: %s", what);
  memcpy(remembered, given, sizeof(given));
  assert_int_equal(collect_again(root, facts), ST_UNCHANGED);
  assert_int_equal(facts->count, 0);
}

static void test_unchanged(void **state)
{
  static struct st_facts facts;
  const struct root *root = *state;
  static const char *const folders[] = {"etc", "etc/alternatives", "var/lib/apt",
                                        "var/lib/dpkg/alternatives"};
  static const char *const files[] = {"var/lib/dpkg/info/a.list",  "var/lib/dpkg/diversions",
                                      "var/lib/dpkg/statoverride", "var/lib/apt/extended_states",
                                      "etc/alternatives/any",      "var/lib/dpkg/updates/0001"};
  for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
    assert_int_equal(mkdirat(root->fd, folders[i], 0755), 0);
  host_unchanged = is_remembered;
  memset(remembered, 0, sizeof(remembered));
  put(root, "var/lib/dpkg/status", STANZA("a", "all", "1"), 1);
  expect_read(root, &facts, "the first time");
  put(root, "var/lib/dpkg/status", STANZA("a", "all", "2"), 1); /* same size, same mtime */
  expect_read(root, &facts, "status");
  for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
    put(root, files[i], "", 1);
    expect_read(root, &facts, files[i]);
  }
  put(root, "var/lib/dpkg/alternatives/x", "auto\n/usr/bin/x\n\n/usr/bin/y\n1\n\n", 1);
  expect_read(root, &facts, "alternatives");
  put(root, "var/lib/dpkg/alternatives/x", "auto\n/usr/bin/x\n\n/usr/bin/z\n1\n\n", 1);
  expect_read(root, &facts, "an alternative that was written over");
  host_unchanged = NULL;
}

/* What is as young as the clock may change once more without showing it. */
static void test_unsettled(void **state)
{
  static struct st_facts facts;
  struct st_error err = {0};
  struct timespec future[2] = {{.tv_sec = 4102444800}, {.tv_sec = 4102444800}};
  const struct root *root = *state;
  put(root, "var/lib/dpkg/status", STANZA("a", "all", "1"), 1);
  settle();
  assert_int_equal(utimensat(root->fd, "var/lib/dpkg/status", future, 0), 0);
  host_unchanged = is_remembered;
  given_length = 0;
  assert_int_equal(collect(root, &facts, &err), 0);
  assert_int_equal(given_length, 0);
  host_unchanged = NULL;
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
  struct st_value values[PACKAGE_COLUMNS];
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
      cmocka_unit_test_setup_teardown(test_diverted, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_journal, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_unchanged, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_unsettled, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_no_database, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_bad_database, set_up, tear_down),
      cmocka_unit_test(test_options),
      cmocka_unit_test(test_explain),
      cmocka_unit_test(test_plan),
      cmocka_unit_test(host_test_manpage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
