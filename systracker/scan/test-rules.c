/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/scan/rules.h"

static struct st_rules *rules_of(const char *const *patterns)
{
  struct st_rules *rules = st_rules_new();
  for (; *patterns; patterns++) {
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    enum st_rule_kind kind = **patterns == '-' ? ST_RULE_EXCLUDE : ST_RULE_TRACK;
    if (st_rules_add(rules, kind, *patterns + 1, "test:1", NULL, &err) < 0)
      fail_msg("%s", st_error_text(&err));
  }
  return rules;
}
#define RULES(...) rules_of((const char *const[]){__VA_ARGS__, NULL})

static bool matches(const char *pattern, const char *path, bool is_dir)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_CLEANUP(st_rules_freep) struct st_rules *rules = st_rules_new();
  if (st_rules_add(rules, ST_RULE_TRACK, pattern, "test:1", NULL, &err) < 0)
    fail_msg("%s", st_error_text(&err));
  return st_rules_match(rules, path, is_dir);
}

/* A slash at the end of a path: a directory. */
static const struct {
  const char *pattern, *path;
  bool match;
} table[] = {
    {"/etc", "/etc/", true},
    {"/etc", "/etc/passwd", true},
    {"/etc", "/etcetera", false},
    {"/etc", "/usr/etc", false},
    {"etc", "/usr/etc", true},
    {"etc", "/usr/etc/a/b", true},
    {"etc/a", "/etc/a", true},
    {"etc/a", "/usr/etc/a", false},
    {"foo/", "/a/foo/", true},
    {"foo/", "/a/foo", false},
    {"foo/", "/a/foo/b", true},
    {"/foo/", "/foo", false},
    {"*.pyc", "/usr/lib/x.pyc", true},
    {"*.pyc", "/usr/lib/x.pyc.bak", false},
    {"*.pyc", "/usr/lib.pyc/x", true},
    {"/etc/*.conf", "/etc/a.conf", true},
    {"/etc/*.conf", "/etc/d/a.conf", false},
    {"/etc/*/a", "/etc/d/a", true},
    {"/etc/*/a", "/etc/d/e/a", false},
    {"/etc/**/a", "/etc/a", true},
    {"/etc/**/a", "/etc/d/e/a", true},
    {"/etc/**/a", "/etc/d/e/ab", false},
    {"/etc/**/a/b", "/etc/a/a/b", true},
    {"/etc/**/a/**/b", "/etc/x/a/y/z/b", true},
    {"/etc/**", "/etc/", false},
    {"/etc/**", "/etc/a", true},
    {"/etc/**", "/etc/a/b", true},
    {"/etc/**/", "/etc/a", false},
    {"/etc/**/", "/etc/d/", true},
    {"/etc/**/", "/etc/d/a", true},
    {"**/foo", "/foo", true},
    {"**/foo", "/a/b/foo", true},
    {"**/foo/bar", "/a/foo/bar", true},
    {"**/foo/bar", "/a/foo/x/bar", false},
    {"**", "/a", true},
    {"a**b", "/axxb", true},
    {"/a**b", "/ax/xb", false},
    {"/a/***/b", "/a/x/y/b", true},
    {"?", "/a", true},
    {"/a/?", "/a/bc", false},
    {"[abc]", "/b", true},
    {"[!abc]", "/b", false},
    {"[^abc]", "/d", true},
    {"[a-c]x", "/bx", true},
    {"[]]", "/]", true},
    {"[!]]", "/]", false},
    {"[a-]", "/-", true},
    {"[\\]]", "/]", true},
    {"[[:digit:]]", "/7", true},
    {"[[:digit:]]", "/x", false},
    {"[![:space:]]", "/ ", false},
    {"[[:upper:]a]", "/Q", true},
    {"[c-a]", "/b", false},
    {"a[b", "", false},
    {"\\*", "/*", true},
    {"\\*", "/a", false},
    {"\\#a", "/#a", true},
    {"/a\\?", "/a?", true},
    {"/a\\?", "/ab", false},
    {"*", "/.hidden", true},
    {"*.*", "/a.b", true},
    {"*a*b*c*", "/xxaxxbxxcxx", true},
    {"*a*b*c*", "/xxaxxcxxbxx", false},
    {"ssh_host_*_key", "/etc/ssh/ssh_host_rsa_key", true},
    {"ssh_host_*_key", "/etc/ssh/ssh_host_rsa_key.pub", false},
    {"/a b", "/a b", true},
};

static void test_table(void **state)
{
  (void)state;
  for (size_t i = 0; i < ST_COUNT(table); i++) {
    if (!*table[i].path)
      continue;
    ST_AUTO_FREE char *path = st_strdup(table[i].path);
    size_t n = strlen(path);
    bool is_dir = path[n - 1] == '/';
    path[n - is_dir] = 0;
    if (matches(table[i].pattern, path, is_dir) != table[i].match)
      fail_msg("%s against %s is not %d", table[i].pattern, table[i].path, table[i].match);
  }
}

/* What git says of each line of the table, in a repository made for it. */
static bool git_says(const char *repository, const char *pattern, const char *path)
{
  ST_AUTO_FREE char *exclude = st_format("%s/.git/info/exclude", repository);
  ST_AUTO_FCLOSE FILE *f = fopen(exclude, "w");
  assert_non_null(f);
  assert_true(fprintf(f, "%s\n", pattern) > 0);
  assert_int_equal(fflush(f), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    execlp("git", "git", "-C", repository, "check-ignore", "-q", "--no-index", "--", path + 1,
           (char *)NULL);
    _exit(127);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
  return WEXITSTATUS(status) == 0;
}

static int run(char *const argv[])
{
  pid_t pid = fork();
  int status = -1;
  if (pid == 0) {
    int null = open("/dev/null", O_RDWR);
    dup2(null, 1);
    dup2(null, 2);
    execvp(argv[0], argv);
    _exit(127);
  }
  return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static void test_git(void **state)
{
  (void)state;
  char repository[] = "/tmp/test-rules.XXXXXX";
  assert_non_null(mkdtemp(repository));
  if (run((char *[]){"git", "init", "-q", repository, NULL}) != 0) {
    rmdir(repository);
    print_message("git is not there: patterns are not compared with it\n");
    skip();
  }
  for (size_t i = 0; i < ST_COUNT(table); i++) {
    /* A file that a trailing slash calls a directory is none to git: it looks itself. */
    ST_AUTO_FREE char *path = st_strdup(table[i].path);
    size_t n = strlen(path);
    if (n == 0)
      continue;
    if (path[n - 1] == '/') {
      ST_AUTO_FREE char *full = st_format("%s%s", repository, path);
      assert_int_equal(run((char *[]){"mkdir", "-p", full, NULL}), 0);
      path[n - 1] = 0;
    }
    if (git_says(repository, table[i].pattern, path) != table[i].match)
      fail_msg("git disagrees: %s against %s is not %d", table[i].pattern, table[i].path,
               table[i].match);
    if (table[i].path[n - 1] == '/')
      run((char *[]){"find", repository, "-mindepth", "1", "-maxdepth", "1", "-not", "-name",
                     ".git", "-exec", "rm", "-r", "{}", "+", NULL});
  }
  run((char *[]){"rm", "-r", repository, NULL});
}

static void test_longest_decides(void **state)
{
  (void)state;
  ST_CLEANUP(st_rules_freep)
  struct st_rules *rules = RULES("+/etc", "-/etc/cache", "+/etc/cache/keep", "-*.swp", "+!/etc/no");
  assert_int_equal(st_rules_match(rules, "/etc/passwd", false)->kind, ST_RULE_TRACK);
  assert_int_equal(st_rules_match(rules, "/etc/cache/a", false)->kind, ST_RULE_EXCLUDE);
  assert_int_equal(st_rules_match(rules, "/etc/cache/keep/a", false)->kind, ST_RULE_TRACK);
  assert_int_equal(st_rules_match(rules, "/etc/a.swp", false)->kind, ST_RULE_EXCLUDE);
  assert_int_equal(st_rules_match(rules, "/etc/no", false)->kind, ST_RULE_EXCLUDE);
  assert_string_equal(st_rules_match(rules, "/etc/no", false)->pattern, "!/etc/no");
  assert_null(st_rules_match(rules, "/usr", true));
}

static void test_of_one_length(void **state)
{
  (void)state;
  ST_CLEANUP(st_rules_freep) struct st_rules *a = RULES("-/a/b", "+/a/b");
  assert_int_equal(st_rules_match(a, "/a/b", false)->kind, ST_RULE_EXCLUDE);
  ST_CLEANUP(st_rules_freep) struct st_rules *b = RULES("+/a/?", "+/a/b");
  assert_string_equal(st_rules_match(b, "/a/b", false)->pattern, "/a/b");
}

static void test_root(void **state)
{
  (void)state;
  ST_CLEANUP(st_rules_freep) struct st_rules *rules = RULES("+/", "-/proc");
  assert_int_equal(st_rules_match(rules, "/", true)->kind, ST_RULE_TRACK);
  assert_int_equal(st_rules_match(rules, "/a/b", false)->kind, ST_RULE_TRACK);
  assert_int_equal(st_rules_match(rules, "/proc/1", true)->kind, ST_RULE_EXCLUDE);
  ST_CLEANUP(st_rules_freep) struct st_rules *inside = RULES("+/**");
  assert_null(st_rules_match(inside, "/", true));
  assert_non_null(st_rules_match(inside, "/a", true));
}

static void test_malformed(void **state)
{
  (void)state;
  const char *const wrong[] = {"",     "!",    "a\\",  "[a",    "[",    "[]",    "[[:foo:]]", "//",
                               "a//b", "/a/.", "../a", "a\\/b", "[a\\", "[a-\\", "[!"};
  for (size_t i = 0; i < ST_COUNT(wrong); i++) {
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    ST_CLEANUP(st_rules_freep) struct st_rules *rules = st_rules_new();
    assert_int_equal(st_rules_add(rules, ST_RULE_TRACK, wrong[i], "conf:7", NULL, &err), -1);
    assert_int_equal(strncmp(st_error_text(&err), "conf:7: ", 8), 0);
  }
}

static void test_bytes(void **state)
{
  (void)state;
  assert_true(matches("/a\xff*", "/a\xff\x01", false));
  assert_true(matches("/a?", "/a\xc3", false));
  assert_false(matches("/a?", "/a\xc3\xa4", false));
  assert_true(matches("/[\x80-\xff]", "/\xc3", false));
}

static void test_below(void **state)
{
  (void)state;
  ST_CLEANUP(st_rules_freep)
  struct st_rules *rules =
      RULES("+/a/b/c", "+/srv/*/etc", "-/x", "+/x/y/z", "-/no/longer/x", "+/no/*");
  assert_true(st_rules_may_track_below(rules, "/"));
  assert_true(st_rules_may_track_below(rules, "/a"));
  assert_true(st_rules_may_track_below(rules, "/a/b"));
  assert_false(st_rules_may_track_below(rules, "/b"));
  assert_true(st_rules_may_track_below(rules, "/srv/www"));
  assert_false(st_rules_may_track_below(rules, "/srv/www/var"));
  assert_true(st_rules_may_track_below(rules, "/x"));
  assert_false(st_rules_may_track_below(rules, "/x/z"));
  assert_false(st_rules_may_track_below(rules, "/no/longer/x"));
  ST_CLEANUP(st_rules_freep) struct st_rules *any = RULES("+*.conf", "-/usr/share/doc");
  assert_true(st_rules_may_track_below(any, "/var/lib"));
  assert_false(st_rules_may_track_below(any, "/usr/share/doc"));
}

static void test_roots(void **state)
{
  (void)state;
  ST_CLEANUP(st_rules_freep)
  struct st_rules *rules = RULES("+/etc/*.d", "+/etc", "+/usr/local", "+/usr/lib/**/x", "-/var");
  ST_AUTO_STRINGS roots = {0};
  st_rules_roots(rules, &roots);
  assert_int_equal(roots.count, 3);
  assert_true(st_strings_has(&roots, "/etc"));
  assert_true(st_strings_has(&roots, "/usr/local"));
  assert_true(st_strings_has(&roots, "/usr/lib"));
  assert_true(st_rules_names(rules, "/usr"));
  assert_true(st_rules_names(rules, "/usr/local"));
  assert_false(st_rules_names(rules, "/usr/local/mnt"));
  assert_false(st_rules_names(rules, "/var"));
  ST_CLEANUP(st_rules_freep) struct st_rules *any = RULES("+/etc", "+*.conf");
  ST_AUTO_STRINGS top = {0};
  st_rules_roots(any, &top);
  assert_int_equal(top.count, 1);
  assert_string_equal(top.items[0], "/");
}

static void digest_of(struct st_rules *rules, uint8_t out[ST_DIGEST_SIZE])
{
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  st_rules_digest(rules, d);
  st_digester_final(d, out);
  st_rules_free(rules);
}

static void test_digest(void **state)
{
  (void)state;
  uint8_t a[ST_DIGEST_SIZE], b[ST_DIGEST_SIZE], c[ST_DIGEST_SIZE];
  digest_of(RULES("+/a", "-/long"), a);
  digest_of(RULES("-/long", "+/a"), b);
  digest_of(RULES("+/long", "+/a"), c);
  assert_memory_equal(a, b, sizeof(a));
  assert_memory_not_equal(a, c, sizeof(a));
}

/* Would not end in our lifetime if stars went back to more than the last one. */
static void test_hostile(void **state)
{
  (void)state;
  ST_AUTO_BUFFER pattern = ST_BUFFER_INIT;
  ST_AUTO_BUFFER path = ST_BUFFER_INIT;
  for (int i = 0; i < 200; i++)
    st_buffer_append_string(&pattern, "**/*a*a*a*a*a*b/");
  st_buffer_append_string(&pattern, "c");
  for (int i = 0; i < 300; i++)
    st_buffer_append_string(&path, "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
  assert_false(matches(pattern.data, path.data, false));
  st_buffer_append_string(&path, "b/c");
  assert_false(matches(pattern.data, path.data, false));
}

static void test_deep(void **state)
{
  (void)state;
  ST_AUTO_BUFFER path = ST_BUFFER_INIT;
  for (int i = 0; i < 5000; i++)
    st_buffer_append_string(&path, "/d");
  st_buffer_append_string(&path, "/x.conf");
  assert_true(matches("*.conf", path.data, false));
  assert_true(matches("/d/d/**/d/x.conf", path.data, false));
  assert_false(matches("/d/d/**/e/x.conf", path.data, false));
}

int main(void)
{
  st_digest_init();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_table),
      cmocka_unit_test(test_git),
      cmocka_unit_test(test_longest_decides),
      cmocka_unit_test(test_of_one_length),
      cmocka_unit_test(test_root),
      cmocka_unit_test(test_malformed),
      cmocka_unit_test(test_bytes),
      cmocka_unit_test(test_below),
      cmocka_unit_test(test_roots),
      cmocka_unit_test(test_digest),
      cmocka_unit_test(test_hostile),
      cmocka_unit_test(test_deep),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
