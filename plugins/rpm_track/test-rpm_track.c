/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/test-host.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugins/rpm_track/tables.h"

#define LIST                                                                                       \
  "systracker-rpm-list\0001\0cookie-1\0"                                                           \
  "package\0demo\0noarch\0001:2-3\0Lab\0"                                                          \
  "50\0"                                                                                           \
  "60\0abcd\0\0c /etc/demo\n\0"                                                                    \
  "0\0"                                                                                            \
  "3\0"                                                                                            \
  "/usr/bin\0d\000755\0"                                                                           \
  "0\0"                                                                                            \
  "0\0root\0root\0\0\0\0\0\0\0\0\0"                                                                \
  "/usr/bin/demo\0f\0004755\0"                                                                     \
  "0\0"                                                                                            \
  "1\0root\0daemon\0"                                                                              \
  "77\0"                                                                                           \
  "3\0\0\0/usr/bin/demo\0"                                                                         \
  "0300010000006e616d78\0"                                                                         \
  "1111111111111111111111111111111111111111111111111111111111111111\0\0"                           \
  "/usr/bin/link\0l\000777\0"                                                                      \
  "0\0"                                                                                            \
  "0\0root\0root\0"                                                                                \
  "78\0\0\0demo\0\0\0\0\0"                                                                         \
  "package\0gpg-pubkey\0\0001-1\0\0"                                                               \
  "50\0"                                                                                           \
  "0\0\0armour\0\0"                                                                                \
  "1\0"                                                                                            \
  "0\0"                                                                                            \
  "note\0package demo: words\0end\0"
/* A package with digests of MD5: one file is as declared, the next has another size, the next other
 * content, one is not there, one has a digest that nobody knows. */
#define ABC "900150983cd24fb0d6963f7d28e17f72\0"
#define OLD_FILE(name, size, digest)                                                               \
  "/" name "\0f\000644\0"                                                                          \
  "0\0"                                                                                            \
  "0\0root\0root\0"                                                                                \
  "77\0" size "\0\0\0\0\0\0" digest
#define OLD_LIST                                                                                   \
  "systracker-rpm-list\0001\0cookie-1\0"                                                           \
  "package\0demo\0noarch\0001:2-3\0Lab\0"                                                          \
  "50\0"                                                                                           \
  "60\0abcd\0\0\0"                                                                                 \
  "0\0"                                                                                            \
  "5\0" OLD_FILE("right", "3", "1:" ABC) OLD_FILE("size", "4", "1:" ABC)                           \
      OLD_FILE("other", "3", "1:" ABC) OLD_FILE("gone", "3", "1:" ABC)                             \
          OLD_FILE("what", "3", "99:" ABC) "end\0"
#define NO_PACKAGES "systracker-rpm-list\0001\0cookie-0\0end\0"

/* ---- A root, and the program that reads its database --------------------------------------- */

static struct {
  char path[64];
  struct st_context ctx;
  const char *list;
  size_t length;
  int status;
  unsigned lists, cookies;
  char known[600], given[600]; /* fingerprints */
} host;

static int run(char *const argv[], char **ret, size_t *length)
{
  assert_string_equal(argv[0], "systracker-rpm");
  assert_string_equal(argv[2], "/var/lib/rpm");
  bool cookie = strcmp(argv[1], "cookie") == 0;
  host.cookies += cookie;
  host.lists += !cookie;
  if (host.status < 0)
    return host.status;
  const char *text = cookie ? "cookie-1" : host.list;
  *length = cookie ? strlen(text) + 1 : host.length;
  *ret = calloc(1, *length + 1);
  memcpy(*ret, text, *length);
  return host.status;
}

static bool unchanged(const void *fingerprint, size_t length)
{
  snprintf(host.given, sizeof(host.given), "%.*s", (int)length, (const char *)fingerprint);
  return strcmp(host.given, host.known) == 0;
}

static void put(const char *name, time_t time)
{
  int fd = openat(host.ctx.root, name, O_WRONLY | O_CREAT, 0644);
  struct timespec times[2] = {{.tv_sec = time}, {.tv_sec = time}};
  assert_true(fd >= 0);
  if (time)
    assert_int_equal(futimens(fd, times), 0);
  close(fd);
}

static int set_up(void **state)
{
  (void)state;
  const char *tmp = getenv("TMPDIR");
  memset(&host, 0, sizeof(host));
  snprintf(host.path, sizeof(host.path), "%s/st-rpm-XXXXXX",
           tmp && strlen(tmp) < 40 ? tmp : "/tmp");
  assert_non_null(mkdtemp(host.path));
  host.ctx.root = open(host.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  host.list = LIST;
  host.length = sizeof(LIST) - 1;
  host_run = run;
  host_unchanged = unchanged;
  return 0;
}

static void make_database(void)
{
  assert_int_equal(mkdirat(host.ctx.root, "var", 0755), 0);
  assert_int_equal(mkdirat(host.ctx.root, "var/lib", 0755), 0);
  assert_int_equal(mkdirat(host.ctx.root, "var/lib/rpm", 0755), 0);
  put("var/lib/rpm/rpmdb.sqlite", 1000);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
  (void)st;
  (void)flag;
  (void)ftw;
  return remove(path);
}

static int tear_down(void **state)
{
  (void)state;
  close(host.ctx.root);
  return nftw(host.path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct st_facts facts;
static int collect(void *self, struct st_error *err)
{
  facts = (struct st_facts){0};
  return st_plugin_register()->collect(self, &facts, err);
}

/* Long enough that a file's times are over. */
static void settle(void)
{
  usleep(20000);
}

/* ---- Facts --------------------------------------------------------------------------------- */

static void test_no_database(void **state)
{
  (void)state;
  struct st_error err = {0};
  void *self = host_open(&host.ctx);
  const struct st_entry e = {.path = "/usr/x", .type = 'f', .has_digest = true, .has_object = true};
  assert_int_equal(collect(self, &err), 0);
  assert_int_equal(facts.count, 0);
  assert_int_equal(host.lists + host.cookies, 0);
  assert_int_equal(st_plugin_register()->want(self, &e), ST_WANT_ENTRY);
  assert_string_equal(host_entry(self, &e), "");
  st_plugin_register()->close(self);
}

static void test_packages(void **state)
{
  (void)state;
  struct st_error err = {0};
  make_database();
  void *self = host_open(&host.ctx);
  assert_int_equal(collect(self, &err), 0);
  assert_string_equal(facts.lines,
                      "package|demo|noarch||1:2-3|installed|Lab|50|60|abcd|-|-|c /etc/demo\n\n"
                      "package|gpg-pubkey||1-1|1-1|installed|-|50|-|-|-|id:61|\n");
  st_plugin_register()->close(self);
}

static void test_failures(void **state)
{
  (void)state;
  struct st_error err = {0};
  make_database();
  void *self = host_open(&host.ctx);
  host.status = 2;
  host.list = "cannot read rpm's database: it is old\nmore";
  host.length = strlen(host.list);
  assert_int_equal(collect(self, &err), -1);
  assert_string_equal(err.message, "cannot read rpm's database: it is old");
  host.length = 0;
  assert_int_equal(collect(self, &err), -1);
  assert_string_equal(err.message, "systracker-rpm ended without a word");
  host.status = -ENOENT;
  assert_true(collect(self, &err) < 0);
  host.status = 0;
  host.list = LIST;
  host.length = sizeof(LIST) - 2;
  assert_int_equal(collect(self, &err), -1);
  st_plugin_register()->close(self);
}

/* ---- Unchanged ----------------------------------------------------------------------------- */

static void test_unchanged_files(void **state)
{
  (void)state;
  struct st_error err = {0};
  make_database();
  settle();
  void *self = host_open(&host.ctx);
  assert_int_equal(collect(self, &err), 0);
  assert_int_equal(host.lists, 1);
  assert_int_equal(strncmp(host.given, "files rpmdb.sqlite ", 19), 0);
  memcpy(host.known, host.given, sizeof(host.known));
  host.cookies = host.lists = 0;
  assert_int_equal(collect(self, &err), ST_UNCHANGED);
  assert_int_equal(host.lists + host.cookies, 0);
  put("var/lib/rpm/rpmdb.sqlite-wal", 0); /* empty: it says nothing */
  settle();
  assert_int_equal(collect(self, &err), ST_UNCHANGED);
  put("var/lib/rpm/rpmdb.sqlite", 2000);
  settle();
  assert_int_equal(collect(self, &err), 0);
  assert_int_equal(host.lists, 1);
  st_plugin_register()->close(self);
}

/* Files that were written just now may be written again at the same time: the cookie tells. */
static void test_unchanged_cookie(void **state)
{
  (void)state;
  struct st_error err = {0};
  make_database();
  put("var/lib/rpm/rpmdb.sqlite", time(NULL) + 1000);
  void *self = host_open(&host.ctx);
  assert_int_equal(collect(self, &err), 0);
  assert_string_equal(host.given, "cookie-1");
  memcpy(host.known, host.given, sizeof(host.known));
  host.cookies = host.lists = 0;
  assert_int_equal(collect(self, &err), ST_UNCHANGED);
  assert_int_equal(host.cookies, 1);
  assert_int_equal(host.lists, 0);
  st_plugin_register()->close(self);
}

/* A database of no package is read each time, as nothing may deviate from it. */
static void test_empty_database(void **state)
{
  (void)state;
  struct st_error err = {0};
  const struct st_entry e = {.path = "/usr/x", .type = 'f', .has_digest = true, .has_object = true};
  make_database();
  settle();
  host.list = NO_PACKAGES;
  host.length = sizeof(NO_PACKAGES) - 1;
  void *self = host_open(&host.ctx);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(collect(self, &err), 0);
    assert_int_equal(facts.count, 0);
    assert_string_equal(host.given, "no packages");
    memcpy(host.known, host.given, sizeof(host.known));
  }
  assert_int_equal(st_plugin_register()->want(self, &e), ST_WANT_ENTRY);
  st_plugin_register()->close(self);
}

/* ---- What is expected ---------------------------------------------------------------------- */

static struct st_manifest manifest;
static int expect(void *self, const char *name, const char *arch, const char *version)
{
  struct st_error err = {0};
  struct st_value row[PACKAGE_COLUMNS] = {
      [PACKAGE_NAME] = st_text_value(name),
      [PACKAGE_ARCHITECTURE] = st_text_value(arch),
      [PACKAGE_INSTANCE] = st_text_value(""),
      [PACKAGE_VERSION] = st_text_value(version),
  };
  manifest = (struct st_manifest){0};
  return st_plugin_register()->expected(self, PACKAGE, row, &manifest, &err);
}

static void test_expected(void **state)
{
  (void)state;
  static const char lines[] =
      "standard_track_entry|/usr/bin|d|493|0|0|root|root|-|-|-|-|-\n"
      "standard_track_entry|/usr/bin/demo|f|2541|0|1|root|daemon|77|0|-|-|/usr/bin/demo|-|-|"
      "\3";
  make_database();
  void *self = host_open(&host.ctx);
  assert_int_equal(expect(self, "demo", "noarch", "1:2-3"), 0); /* the list is read for it */
  assert_memory_equal(manifest.lines, lines, sizeof(lines) - 1);
  assert_non_null(strstr(manifest.lines, "checksum_track_file|/usr/bin/demo|id:11|3\n"));
  assert_non_null(strstr(manifest.lines,
                         "standard_track_entry|/usr/bin/link|l|511|0|0|root|root|78|0|-|demo|-"));
  assert_int_equal(host.lists, 1);
  assert_int_equal(expect(self, "demo", "noarch", "1:2-4"), 1);
  assert_int_equal(expect(self, "other", "noarch", "1:2-3"), 1);
  assert_int_equal(host.lists, 1);
  st_plugin_register()->close(self);
}

static void put_text(const char *name, const char *text)
{
  int fd = openat(host.ctx.root, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  close(fd);
}

static void test_other_digests(void **state)
{
  (void)state;
  make_database();
  put_text("right", "abc");
  put_text("size", "abc");
  put_text("other", "abd");
  put_text("what", "abc");
  host.list = OLD_LIST;
  host.length = sizeof(OLD_LIST) - 1;
  void *self = host_open(&host.ctx);
  assert_int_equal(expect(self, "demo", "noarch", "1:2-3"), 0);
  const char *row = strstr(manifest.lines, "checksum_track_file|");
  assert_non_null(row);
  assert_int_equal(strncmp(row, "checksum_track_file|/right|id:ba|3\n", 35), 0);
  assert_null(strstr(row + 1, "checksum_track_file|"));
  assert_non_null(strstr(manifest.lines, "standard_track_entry|/gone|f|"));
  st_plugin_register()->close(self);
}

static void test_deviations(void **state)
{
  (void)state;
  struct st_error err = {0};
  struct st_entry e = {.path = "/usr/x", .type = 'f', .size = 5, .digest = host_id(false, 7)};
  make_database();
  void *self = host_open(&host.ctx);
  assert_int_equal(collect(self, &err), 0);
  assert_int_equal(st_plugin_register()->want(self, &e), ST_WANT_ENTRY | ST_WANT_UNEXPECTED);
  e.has_digest = e.has_object = true;
  assert_string_equal(host_entry(self, &e), "deviation|/usr/x|no package's|id:07|kept\n");
  e.owned = true;
  assert_string_equal(host_entry(self, &e), "deviation|/usr/x|not as packaged|id:07|kept\n");
  e.as_expected = true;
  assert_string_equal(host_entry(self, &e), "");
  e.as_expected = false;
  e.size = 100 << 20;
  assert_int_equal(st_plugin_register()->want(self, &e), ST_WANT_ENTRY | ST_WANT_DIGEST);
  assert_string_equal(host_entry(self, &e), "deviation|/usr/x|not as packaged|-|too large\n");
  e.type = 'l';
  assert_int_equal(st_plugin_register()->want(self, &e), ST_WANT_ENTRY);
  assert_string_equal(host_entry(self, &e), "");
  st_plugin_register()->close(self);
}

/* ---- Words ------------------------------------------------------------------------------------
 */

static void fill(struct st_value row[PACKAGE_COLUMNS], const char *version, const char *vendor)
{
  for (size_t i = 0; i < PACKAGE_COLUMNS; i++)
    row[i] = st_null();
  row[PACKAGE_NAME] = st_text_value("demo");
  row[PACKAGE_VERSION] = st_text_value(version);
  row[PACKAGE_VENDOR] = st_text_value(vendor);
  row[PACKAGE_DIGEST] = st_text_value(version);
}

static void test_words(void **state)
{
  (void)state;
  struct st_value a[PACKAGE_COLUMNS], b[PACKAGE_COLUMNS];
  fill(a, "1-1", "Lab");
  fill(b, "1:2-1", "Lab");
  assert_string_equal(host_explain(NULL, NULL, a), "installed 1-1");
  assert_string_equal(host_explain(NULL, a, NULL), "removed (was 1-1)");
  assert_string_equal(host_explain(NULL, a, b), "1-1 → 1:2-1");
  b[PACKAGE_VENDOR] = st_text_value("Other\n");
  assert_string_equal(host_explain(NULL, a, b), "1-1 → 1:2-1, vendor Lab → Other\\x0a");
  fill(b, "1-1", "Lab");
  assert_string_equal(host_explain(NULL, a, b), "");
  b[PACKAGE_DIGEST] = st_text_value("other");
  assert_string_equal(host_explain(NULL, a, b), "another build of 1-1");
}

static void test_open(void **state)
{
  (void)state;
  const char *const path[] = {"var/lib/rpm", NULL}, *const size[] = {"0", NULL};
  const struct host_option a[] = {{"dbpath", path}, {NULL, NULL}};
  const struct host_option b[] = {{"max_size", size}, {NULL, NULL}};
  host.ctx.options = a;
  host_open_fails(&host.ctx, "dbpath: is not an absolute path");
  host.ctx.options = b;
  host_open_fails(&host.ctx, "max_size: is not a size above 0");
}

#define with_root(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      with_root(test_no_database),
      with_root(test_packages),
      with_root(test_failures),
      with_root(test_unchanged_files),
      with_root(test_unchanged_cookie),
      with_root(test_empty_database),
      with_root(test_expected),
      with_root(test_other_digests),
      with_root(test_deviations),
      cmocka_unit_test(test_words),
      with_root(test_open),
      cmocka_unit_test(host_test_manpage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
