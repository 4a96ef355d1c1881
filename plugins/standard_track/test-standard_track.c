/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/test-host.h"

#include <string.h>

#include <sys/sysmacros.h>
#include <sys/types.h>

/* A row in the order of the table. */
struct row {
  struct st_value values[16];
};

static struct row row_of(const char *type, int64_t mode, int64_t uid, const char *owner)
{
  return (struct row){{st_path_value("/a"), st_text_value(type), st_integer(mode), st_integer(uid),
                       st_integer(0), st_text_value(owner), st_text_value("root"), st_integer(1),
                       st_integer(2), st_null(), st_null()}};
}

static void test_entry(void **state)
{
  (void)state;
  struct st_entry e = {.path = "/a",
                       .type = 'f',
                       .mode = 04755,
                       .uid = 1,
                       .gid = 2,
                       .owner = "daemon",
                       .mtime = 77,
                       .mtime_nsec = 5,
                       .size = 3};
  assert_string_equal(host_entry(NULL, &e), "entry|/a|f|2541|1|2|daemon|-|77|5|-|-|-|-|-|-|-\n");
  e.type = 'd';
  assert_string_equal(host_entry(NULL, &e), "entry|/a|d|2541|1|2|daemon|-|-|-|-|-|-|-|-|-|-\n");
  e.type = 'l';
  e.target = "b\nc";
  assert_string_equal(host_entry(NULL, &e), "entry|/a|l|2541|1|2|daemon|-|77|5|-|b\nc|-|-|-|-|-\n");
  e.type = 'c';
  e.rdev = 259;
  assert_string_equal(host_entry(NULL, &e), "entry|/a|c|2541|1|2|daemon|-|77|5|259|-|-|-|-|-|-\n");
}

/* Read and empty is something else than not read. */
static void test_what_stat_does_not_say(void **state)
{
  (void)state;
  struct st_entry e = {.path = "/a",
                       .type = 'f',
                       .has_flags = true,
                       .flags = 16,
                       .xattrs = "",
                       .holes = "ab",
                       .holes_length = 2,
                       .link_group = "",
                       .links_outside = 3};
  assert_string_equal(host_entry(NULL, &e), "entry|/a|f|0|0|0|-|-|0|0|-|-||3|16||ab\n");
  e.link_group = "/A";
  assert_string_equal(host_entry(NULL, &e), "entry|/a|f|0|0|0|-|-|0|0|-|-|/A|3|16||ab\n");
}

/* A label of what a package has is policy's; a capability is not. */
static void test_policy(void **state)
{
  (void)state;
  static const char list[] = "\x10\0\5\0\0\0security.selinuxlabel"
                             "\x06\0\3\0\0\0user.aone"
                             "\x0c\0\2\0\0\0security.imaxx";
  struct st_entry e = {
      .path = "/a", .type = 'f', .xattrs = list, .xattrs_length = sizeof(list) - 1};
  const char *said = host_entry(NULL, &e);
  assert_int_equal(strncmp(said, "entry|/a|f|0|0|0|-|-|0|0|-|-|-|-|-|\x10", 36), 0);
  e.owned = true;
  said = host_entry(NULL, &e);
  assert_int_equal(strncmp(said, "entry|/a|f|0|0|0|-|-|0|0|-|-|-|-|-|\x06", 36), 0);
  e.xattrs_length = 6 + 16 + 5;
  assert_string_equal(host_entry(NULL, &e), "entry|/a|f|0|0|0|-|-|0|0|-|-|-|-|-||-\n");
}

static void test_explain_groups(void **state)
{
  (void)state;
  struct row a = row_of("f", 0644, 0, "root"), b = a;
  a.values[11] = st_string_value(ST_BYTES, "");
  assert_string_equal(host_explain(NULL, a.values, b.values), "");
  b.values[11] = st_string_value(ST_BYTES, "/x\n");
  assert_string_equal(host_explain(NULL, a.values, b.values), "hard link with /x\\x0a");
  assert_string_equal(host_explain(NULL, b.values, a.values),
                      "no hard link any more (was with /x\\x0a)");
  assert_string_equal(host_explain(NULL, NULL, b.values),
                      "added (file, mode 0644, root:root, hard link with /x\\x0a)");
  b.values[11] = st_string_value(ST_BYTES, "/a");
  assert_string_equal(host_explain(NULL, a.values, b.values), "first of several hard links");
  b.values[11] = st_string_value(ST_BYTES, "/x\n");
  a.values[11] = st_string_value(ST_BYTES, "/a");
  assert_string_equal(host_explain(NULL, a.values, b.values), "hard link with /a → /x\\x0a");
}

static void test_explain_flags_and_attributes(void **state)
{
  (void)state;
  struct row a = row_of("f", 0644, 0, "root"), b = a;
  a.values[13] = st_integer(0);
  b.values[13] = st_integer(16);
  a.values[14] = st_string_value(ST_BYTES, "");
  b.values[14] = st_string_value(ST_BYTES, "x");
  assert_string_equal(host_explain(NULL, a.values, b.values), "flags [flags], [xattrs]");
  a.values[14] = st_null();
  assert_string_equal(host_explain(NULL, a.values, b.values), "flags [flags]");
  assert_string_equal(host_explain(NULL, NULL, a.values), "added (file, mode 0644, root:root)");
  assert_string_equal(host_explain(NULL, NULL, b.values),
                      "added (file, mode 0644, root:root, flags [flags], [xattrs])");
}

static void test_names_that_are_no_text(void **state)
{
  (void)state;
  static const char *const bad[] = {"\xff", "a\xc3", "\xc0\xaf", "\xed\xa0\x80",
                                    "\xf4\x90\x80\x80"};
  struct st_entry e = {.path = "/a", .type = 's'};
  for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
    e.owner = bad[i];
    assert_string_equal(host_entry(NULL, &e), "entry|/a|s|0|0|0|-|-|0|0|-|-|-|-|-|-|-\n");
  }
  e.owner = "m\xc3\xbcller\xf0\x9f\x98\x80";
  assert_string_equal(host_entry(NULL, &e),
                      "entry|/a|s|0|0|0|m\xc3\xbcller\xf0\x9f\x98\x80|-|0|0|-|-|-|-|-|-|-\n");
}

static void test_explain_changes(void **state)
{
  (void)state;
  struct row a = row_of("f", 0644, 0, "root"), b = row_of("f", 0600, 1, "daemon");
  assert_string_equal(host_explain(NULL, a.values, b.values),
                      "mode 0644 → 0600, owner root → daemon");
  b = row_of("d", 0644, 0, "root");
  assert_string_equal(host_explain(NULL, a.values, b.values), "file → directory");
  b = row_of("l", 0777, 0, "root");
  assert_string_equal(host_explain(NULL, a.values, b.values), "file → symlink");
  b = row_of("f", 0644, 7, "root");
  assert_string_equal(host_explain(NULL, a.values, b.values), "uid 0 → 7");
  b = row_of("f", 0644, 7, NULL);
  assert_string_equal(host_explain(NULL, a.values, b.values), "uid 0 → 7");
}

static void test_explain_ends(void **state)
{
  (void)state;
  struct row a = row_of("d", 01755, 0, "root");
  assert_string_equal(host_explain(NULL, NULL, a.values),
                      "added (directory, mode 1755, root:root)");
  assert_string_equal(host_explain(NULL, a.values, NULL), "removed");
  a.values[5] = st_null();
  a.values[3] = st_integer(1000);
  assert_string_equal(host_explain(NULL, NULL, a.values),
                      "added (directory, mode 1755, 1000:root)");
}

static void test_explain_links_and_devices(void **state)
{
  (void)state;
  struct row a = row_of("l", 0777, 0, "root"), b = a;
  a.values[10] = st_string_value(ST_BYTES, "a\x1b[31m");
  b.values[10] = st_string_value(ST_BYTES, "b");
  assert_string_equal(host_explain(NULL, a.values, b.values), "link target a\\x1b[31m → b");
  a = b = row_of("b", 0660, 0, "root");
  a.values[9] = st_integer((int64_t)makedev(8, 1));
  b.values[9] = st_integer((int64_t)makedev(259, 300));
  assert_string_equal(host_explain(NULL, a.values, b.values), "device 8:1 → 259:300");
  assert_string_equal(host_explain(NULL, NULL, a.values),
                      "added (block device, mode 0660, 8:1, root:root)");
}

static void test_times_are_quiet(void **state)
{
  (void)state;
  struct row a = row_of("f", 0644, 0, "root"), b = a;
  b.values[7] = st_integer(99);
  b.values[8] = st_null();
  assert_string_equal(host_explain(NULL, a.values, b.values), "");
}

/* A declaration of an older version has fewer columns, and its rows fewer values. */
static void test_older_declaration(void **state)
{
  (void)state;
  struct st_table old = st_plugin_register()->tables[0];
  old.ncolumns = 3;
  struct st_value a[3] = {st_path_value("/a"), st_text_value("f"), st_integer(0644)};
  struct st_value b[3] = {st_path_value("/a"), st_text_value("f"), st_integer(0600)};
  struct st_change change = {"standard_track_entry", &old, a, b, false};
  struct st_text text = {.length = 0};
  assert_int_equal(st_plugin_register()->explain(NULL, &change, &text, NULL), 0);
  assert_string_equal(text.words, "mode 0644 → 0600");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_entry),
      cmocka_unit_test(test_what_stat_does_not_say),
      cmocka_unit_test(test_policy),
      cmocka_unit_test(test_explain_groups),
      cmocka_unit_test(test_explain_flags_and_attributes),
      cmocka_unit_test(test_names_that_are_no_text),
      cmocka_unit_test(test_explain_changes),
      cmocka_unit_test(test_explain_ends),
      cmocka_unit_test(test_explain_links_and_devices),
      cmocka_unit_test(test_times_are_quiet),
      cmocka_unit_test(test_older_declaration),
      cmocka_unit_test(host_test_manpage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
