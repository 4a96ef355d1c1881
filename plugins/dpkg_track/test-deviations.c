/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/test-root.h"

#define FUTURE 4102444800 /* in 2100: after whatever the test writes */

/* What the plug-in says of the file: its fact, "" where it does not deviate. */
static const char *look(void *self, const char *path)
{
  struct st_entry e = {.path = path, .type = 'f', .size = 5, .digest = host_id(false, 0xab)};
  bool wanted = st_plugin_register()->want(self, &e) & ST_WANT_CONTENT;
  e.has_digest = e.has_object = true;
  const char *lines = host_entry(self, &e);
  assert_int_equal(wanted, *lines && !strstr(lines, "|-"));
  return lines;
}

static char *md5sums(const char *const *paths)
{
  static char text[1024];
  size_t n = 0;
  for (; *paths; paths++)
    n += (size_t)snprintf(text + n, sizeof(text) - n, "%s  %s\n",
                          "847676261680bff61c72961c8198abc0", *paths);
  return text;
}

static void test_owned(void **state)
{
  const struct root *root = *state;
  static const char *const both[] = {"usr/bin/same", "usr/bin/edited", "usr/bin/early", "bin/moved",
                                     NULL};
  put(root, "var/lib/dpkg/info/a.list",
      "/.\n/usr\n/usr/bin\n/usr/bin/same\n/usr/bin/edited\n/usr/bin/undeclared\n/bin/moved\n", 1);
  put(root, "var/lib/dpkg/info/a.md5sums", md5sums(both), 1);
  put(root, "var/lib/dpkg/info/late:amd64.list", "/usr/bin/early\n", FUTURE);
  put(root, "var/lib/dpkg/info/late:amd64.md5sums", md5sums(both), 1);
  put(root, "usr/bin/same", "same\n", 1);
  put(root, "usr/bin/moved", "same\n", 1);
  put(root, "usr/bin/edited", "other", 1);
  put(root, "usr/bin/early", "other", 1);
  put(root, "usr/bin/undeclared", "other", 1);
  put(root, "usr/bin/ours", "ours\n", 1);
  struct st_context ctx = {.root = root->fd};
  void *self = host_open(&ctx);
  assert_string_equal(look(self, "/usr/bin/same"), "");
  assert_string_equal(look(self, "/usr/bin/moved"), "");
  assert_string_equal(look(self, "/usr/bin/undeclared"), "");
  assert_string_equal(look(self, "/usr/bin/early"), ""); /* before dpkg wrote the list */
  assert_string_equal(look(self, "/usr/bin/edited"),
                      "deviation|/usr/bin/edited|not as packaged|id:ab\n");
  assert_string_equal(look(self, "/usr/bin/ours"), "deviation|/usr/bin/ours|no package's|id:ab\n");
  assert_string_equal(look(self, "/usr/bin/gone"), "deviation|/usr/bin/gone|no package's|id:ab\n");
  st_plugin_register()->close(self);
}

/* The package's file lies where it is diverted to, ours where it would be. */
static void test_diverted(void **state)
{
  const struct root *root = *state;
  static const char *const one[] = {"usr/bin/x", NULL};
  put(root, "var/lib/dpkg/info/a.list", "/usr/bin/x\n", FUTURE);
  put(root, "var/lib/dpkg/info/a.md5sums", md5sums(one), 1);
  put(root, "var/lib/dpkg/diversions", "/usr/bin/x\n/usr/bin/x.distrib\n:\n", 1);
  put(root, "usr/bin/x", "other", 1);
  put(root, "usr/bin/x.distrib", "same\n", 1);
  struct st_context ctx = {.root = root->fd};
  void *self = host_open(&ctx);
  assert_string_equal(look(self, "/usr/bin/x"), "deviation|/usr/bin/x|not as packaged|id:ab\n");
  assert_string_equal(look(self, "/usr/bin/x.distrib"), "");
  st_plugin_register()->close(self);
}

/* Where dpkg has nothing, nothing deviates from it; and of what is too large it is said. */
static void test_nothing(void **state)
{
  const struct root *root = *state;
  struct host_option small[] = {{"max_size", (const char *const[]){"4", NULL}}, {0}};
  struct st_context ctx = {.root = root->fd}, limited = {.root = root->fd, .options = small};
  put(root, "usr/bin/ours", "ours\n", 1);
  void *self = host_open(&ctx);
  assert_string_equal(look(self, "/usr/bin/ours"), "");
  st_plugin_register()->close(self);
  put(root, "var/lib/dpkg/info/a.list", "/.\n", 1);
  self = host_open(&limited);
  assert_string_equal(look(self, "/usr/bin/ours"), "deviation|/usr/bin/ours|no package's|-\n");
  st_plugin_register()->close(self);
}

/* Read again before each walk; where it cannot be read, the plug-in fails rather than forgets. */
static void test_again(void **state)
{
  static struct st_facts facts;
  struct st_error err = {0};
  const struct root *root = *state;
  struct st_context ctx = {.root = root->fd};
  void *self = host_open(&ctx);
  put(root, "var/lib/dpkg/info/a.list", "/.\n", 1);
  put(root, "usr/bin/x", "other", 1);
  assert_string_equal(look(self, "/usr/bin/x"), "deviation|/usr/bin/x|no package's|id:ab\n");
  put(root, "var/lib/dpkg/info/a.list", "/usr/bin/x\n", FUTURE);
  assert_int_equal(st_plugin_register()->collect(self, &facts, &err), 0);
  assert_string_equal(look(self, "/usr/bin/x"), "");
  assert_int_equal(unlinkat(root->fd, "var/lib/dpkg/info/a.list", 0), 0);
  assert_int_equal(mkdirat(root->fd, "var/lib/dpkg/info/a.list", 0755), 0);
  assert_int_equal(st_plugin_register()->collect(self, &facts, &err), 0);
  struct st_entry e = {.path = "/usr/bin/x", .type = 'f', .size = 5};
  assert_int_equal(st_plugin_register()->want(self, &e), ST_WANT_ENTRY);
  assert_true(st_plugin_register()->entry(self, &e, &facts, &err) < 0);
  assert_non_null(strstr(err.message, "/var/lib/dpkg/info"));
  st_plugin_register()->close(self);
}

static void test_explain(void **state)
{
  (void)state;
  struct st_id id = host_id(false, 1), other = host_id(false, 2);
  struct st_value ours[3] = {st_path_value("/x"), st_text_value("no package's"), st_id_value(&id)};
  struct st_value changed[3] = {st_path_value("/x"), st_text_value("not as packaged"),
                                st_id_value(&id)};
  struct st_value again[3] = {st_path_value("/x"), st_text_value("no package's"),
                              st_id_value(&other)};
  assert_string_equal(host_explain_in("deviation", NULL, NULL, ours), "kept, being no package's");
  assert_string_equal(host_explain_in("deviation", NULL, changed, NULL),
                      "as packaged, and no longer kept");
  assert_string_equal(host_explain_in("deviation", NULL, ours, changed),
                      "kept, being not as packaged");
  assert_string_equal(host_explain_in("deviation", NULL, ours, again), "content changed");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_owned, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_diverted, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_nothing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_again, set_up, tear_down),
      cmocka_unit_test(test_explain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
