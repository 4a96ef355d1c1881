/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What belongs to packages without being a file: parsers, words, plans, actions. */
#include "plugins/test-host.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/dpkg_track/action.h"
#include "plugins/dpkg_track/alternatives.h"
#include "plugins/dpkg_track/diversions.h"
#include "plugins/dpkg_track/statoverrides.h"
#include "plugins/dpkg_track/status.h"

#define EDITOR                                                                                     \
  "auto\n/usr/bin/editor\neditor.1.gz\n/usr/share/man/man1/editor.1.gz\n\n"                        \
  "/bin/ed\n-100\n/usr/share/man/man1/ed.1.gz\n/bin/nano\n40\n\n\n"

/* ---- Parsers ----------------------------------------------------------------------------- */

/* Without room behind the NUL, so that a sanitizer sees what reads on. */
static char *copy(const char *text, size_t n)
{
  char *s = malloc(n + 1);
  assert_non_null(s);
  memcpy(s, text, n);
  s[n] = 0;
  return s;
}

/* What was read, in a line each, or the error. */
typedef void parse_fn(char *text, size_t length, char *words, size_t size);

static void parse_alternative(char *text, size_t length, char *words, size_t size)
{
  struct alternative a;
  struct st_error err = {0};
  if (alternative_parse(&a, text, length, "file", &err) < 0) {
    snprintf(words, size, "%s", err.message);
  } else {
    int n = snprintf(words, size, "%s %s\n", a.mode, a.link);
    for (size_t i = 0; i < a.count; i++)
      n += snprintf(words + n, size - (size_t)n, "%s %lld %s\n", a.choices[i].path,
                    (long long)a.choices[i].priority, a.choices[i].slaves);
  }
  alternative_free(&a);
}

static void parse_diversions(char *text, size_t length, char *words, size_t size)
{
  struct diversions d;
  struct st_error err = {0};
  int n = 0;
  words[0] = 0;
  if (diversions_parse(&d, text, length, "file", &err) < 0)
    snprintf(words, size, "%s", err.message);
  else
    for (size_t i = 0; i < d.count; i++)
      n += snprintf(words + n, size - (size_t)n, "%s %s %s\n", d.items[i].path, d.items[i].to,
                    d.items[i].package);
  free(d.items);
}

static void parse_statoverrides(char *text, size_t length, char *words, size_t size)
{
  struct statoverrides o;
  struct st_error err = {0};
  int n = 0;
  words[0] = 0;
  if (statoverrides_parse(&o, text, length, "file", &err) < 0)
    snprintf(words, size, "%s", err.message);
  else
    for (size_t i = 0; i < o.count; i++)
      n += snprintf(words + n, size - (size_t)n, "%s %s %o %s\n", o.items[i].owner,
                    o.items[i].group, o.items[i].mode, o.items[i].path);
  free(o.items);
}

static void expect(parse_fn *parse, const char *text, const char *expected)
{
  char words[2048], *s = copy(text, strlen(text));
  parse(s, strlen(text), words, sizeof(words));
  free(s);
  assert_string_equal(words, expected);
}

/* Cut off anywhere it is refused, or where it may end gives less. */
static void expect_cut(parse_fn *parse, const char *text)
{
  for (size_t n = 0; n < strlen(text); n++) {
    char words[2048], *s = copy(text, n);
    parse(s, n, words, sizeof(words));
    free(s);
    if (n > 0 && text[n - 1] != '\n')
      assert_non_null(strstr(words, "the file is cut off"));
  }
}

static void test_alternatives(void **state)
{
  (void)state;
  expect(parse_alternative, EDITOR,
         "auto /usr/bin/editor\n"
         "/bin/ed -100 editor.1.gz\n/usr/share/man/man1/editor.1.gz\n/usr/share/man/man1/ed.1.gz\n"
         "\n/bin/nano 40 \n");
  expect(parse_alternative, "manual\n/x\n\n", "manual /x\n");
  expect(parse_alternative, "", "file: ends after line 0: it is cut off");
  expect(parse_alternative, "auto\n/x\na\n/y\n\n/z\n5\n", "file: ends after line 7: it is cut off");
  expect(parse_alternative, "often\n/x\n\n", "file, line 1: neither auto nor manual");
  expect(parse_alternative, "auto\nx\n\n", "file, line 2: not an absolute path");
  expect(parse_alternative, "auto\n/x\na/b\n/y\n\n",
         "file, line 3: a slave with a name that cannot be");
  expect(parse_alternative, "auto\n/x\n\n/y\n5x\n", "file, line 5: a priority that is no number");
  expect(parse_alternative, "auto\n/x\n\n/y\n99999999999999999999\n",
         "file, line 5: a priority that is no number");
  expect(parse_alternative, "auto\n/x\n\ny\n5\n", "file, line 4: not an absolute path");
  expect(parse_alternative, "auto\n/x\n\n/y\n5\n/y\n6\n",
         "file, line 6: a choice that stands there twice");
  expect_cut(parse_alternative, EDITOR);
  assert_false(alternative_name_ok(""));
  assert_false(alternative_name_ok("a b"));
  assert_false(alternative_name_ok("../a"));
}

static void test_diversions(void **state)
{
  (void)state;
  static const char good[] = "/b\n/b.distrib\n:\n/a\n/a b\ndash\n";
  expect(parse_diversions, "", "");
  expect(parse_diversions, good, "/a /a b dash\n/b /b.distrib :\n");
  expect(parse_diversions, "/a\n/b\n", "file: ends after line 2: it is cut off");
  expect(parse_diversions, "a\n/b\n:\n", "file, line 1: not an absolute path");
  expect(parse_diversions, "/a\nb\n:\n", "file, line 2: not an absolute path");
  expect(parse_diversions, "/a\n/b\n\n", "file, line 3: a package with a name that cannot be");
  expect(parse_diversions, "/a\n/b\n:\n/a\n/c\n:\n", "file: a path is diverted twice");
  expect_cut(parse_diversions, good);
}

static void test_statoverrides(void **state)
{
  (void)state;
  static const char good[] = "root mail 2755 /b c\n#0 #8 644 /a\n";
  expect(parse_statoverrides, "", "");
  expect(parse_statoverrides, good, "#0 #8 644 /a\nroot mail 2755 /b c\n");
  expect(parse_statoverrides, "root mail /b\n",
         "file, line 1: not an owner, a group, a mode and a path");
  expect(parse_statoverrides, "\n", "file, line 1: not an owner, a group, a mode and a path");
  expect(parse_statoverrides, "root  755 /b\n", "file, line 1: an owner or a group that cannot be");
  expect(parse_statoverrides, "-x mail 755 /b\n",
         "file, line 1: an owner or a group that cannot be");
  expect(parse_statoverrides, "root mail 788 /b\n", "file, line 1: a mode that cannot be");
  expect(parse_statoverrides, "root mail 17777 /b\n", "file, line 1: a mode that cannot be");
  expect(parse_statoverrides, "root mail 755 b\n", "file, line 1: not an absolute path");
  expect(parse_statoverrides, "a a 0 /b\na a 0 /b\n", "file: a path stands there twice");
  expect_cut(parse_statoverrides, good);
}

static void test_long_line(void **state)
{
  (void)state;
  size_t n = 5000;
  char words[256], *text = malloc(n + 2);
  memset(text, '/', n);
  text[n] = '\n';
  text[n + 1] = 0;
  parse_diversions(text, n + 1, words, sizeof(words));
  assert_string_equal(words, "file, line 1: a line that is too long");
  memcpy(text, "/a\0b\n", 5);
  parse_diversions(text, 5, words, sizeof(words));
  assert_string_equal(words, "file, line 1: a NUL byte");
  free(text);
}

/* ---- apt's marks --------------------------------------------------------------------------- */

static void mark(const char *text, const char *expected)
{
  static const char status[] = "Package: a\nStatus: install ok installed\nArchitecture: all\n\n"
                               "Package: b\nStatus: install ok installed\nArchitecture: i386\n\n"
                               "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\n";
  struct packages packages = {0};
  struct st_error err = {0};
  char *s = copy(status, sizeof(status) - 1), *marks = copy(text, strlen(text)), words[2048] = "";
  assert_int_equal(packages_parse(&packages, s, sizeof(status) - 1, "status", &err), 0);
  if (packages_mark(&packages, marks, strlen(text), "marks", &err) < 0)
    snprintf(words, sizeof(words), "%s", err.message);
  else
    for (size_t i = 0; i < packages.count; i++)
      words[i] = packages.items[i].automatic ? '1' : '0';
  packages_free(&packages);
  free(s);
  free(marks);
  assert_string_equal(words, expected);
}

static void test_marks(void **state)
{
  (void)state;
  mark("", "000");
  mark("Package: a\nArchitecture: amd64\nAuto-Installed: 1\n\n"
       "Package: b\nArchitecture: i386\nAuto-Installed: 1\n\nPackage: c\nAuto-Installed: 1\n",
       "110");
  mark("Package: a\nArchitecture: i386\nAuto-Installed: 1\n\n"
       "Package: b\nArchitecture: amd64\nAuto-Installed: 1\n",
       "000");
  mark("Package: b\nArchitecture: i386\nAuto-Installed: 0\n", "000");
  mark("Package: b\nArchitecture: i386\nAuto-Ins",
       "marks, line 3: the last line has no end: the file is cut off");
  mark("Architecture: i386\n", "marks, line 1: a stanza without the name of a package");
}

/* ---- Words and plans ----------------------------------------------------------------------- */

struct row {
  struct st_value values[5];
};

static struct row alternative(const char *mode, const char *value)
{
  return (struct row){{st_text_value("editor"), st_string_value(ST_BYTES, "/usr/bin/editor"),
                       st_text_value(mode), st_string_value(ST_BYTES, value)}};
}

static struct row choice(const char *path, int64_t priority, const char *slaves)
{
  return (struct row){{st_text_value("editor"), st_string_value(ST_BYTES, path),
                       st_integer(priority), st_string_value(ST_BYTES, "/usr/bin/editor"),
                       st_string_value(ST_BYTES, slaves)}};
}

static struct row diversion(const char *to, const char *package)
{
  return (struct row){{st_string_value(ST_BYTES, "/usr/bin/x"), st_string_value(ST_BYTES, to),
                       st_text_value(package)}};
}

static struct row override(const char *owner, int64_t mode)
{
  return (struct row){{st_string_value(ST_BYTES, "/usr/bin/x"), st_text_value(owner),
                       st_text_value("mail"), st_integer(mode)}};
}

static void explains(const char *table, const struct row *a, const struct row *b, const char *words)
{
  assert_string_equal(host_explain_in(table, NULL, a ? a->values : NULL, b ? b->values : NULL),
                      words);
}

static void test_explain(void **state)
{
  (void)state;
  struct row nano = alternative("auto", "/bin/nano"), vim = alternative("manual", "/usr/bin/vim");
  explains("alternative_link", &nano, &vim, "auto /bin/nano → manual /usr/bin/vim");
  explains("alternative_link", NULL, &nano, "auto /bin/nano");
  explains("alternative_link", &nano, NULL, "removed (was auto /bin/nano)");
  vim = alternative("auto", "");
  explains("alternative_link", &nano, &vim, "auto /bin/nano → auto without a link");
  struct row a = choice("/bin/nano", 40, ""), b = choice("/bin/nano", 50, "a\n/b\n/c\n");
  explains("alternative_choice", &a, &b, "priority 40 → priority 50, other slaves");
  explains("alternative_choice", NULL, &a, "priority 40");
  struct row local = diversion("/usr/bin/x.distrib", ":"), dash = diversion("/y", "dash");
  explains("diversion", NULL, &local, "to /usr/bin/x.distrib by the administrator");
  explains("diversion", &local, &dash,
           "to /usr/bin/x.distrib by the administrator → to /y by dash");
  struct row mine = override("root", 04755), yours = override("you", 0644);
  explains("statoverride", &mine, &yours, "root:mail 4755 → you:mail 0644");
  explains("statoverride", &mine, NULL, "removed (was root:mail 4755)");
}

/* What is planned, and what comes back of its data. */
static void plans(const char *table, const struct row *a, const struct row *b, const char *words)
{
  struct action action;
  struct st_error err = {0};
  size_t length, again;
  char *data;
  assert_string_equal(host_plan_in(table, NULL, a ? a->values : NULL, b ? b->values : NULL), words);
  const char *planned = host_plan_data(&length);
  if (strncmp(words, "no:", 3) == 0) {
    assert_int_equal(length, 0);
    return;
  }
  char *exact = malloc(length);
  memcpy(exact, planned, length);
  assert_int_equal(action_decode(&action, exact, length, &err), 0);
  assert_int_equal(action_encode(&action, &data, &again, &err), 0);
  assert_int_equal(again, length);
  assert_memory_equal(data, exact, length);
  for (size_t n = 0; n < length; n++)
    assert_true(action_decode(&action, exact, n, &err) < 0);
  free(data);
  free(exact);
}

static void test_plan(void **state)
{
  (void)state;
  struct row nano = alternative("auto", "/bin/nano"), vim = alternative("manual", "/usr/bin/vim");
  plans("alternative_link", &nano, &vim, "yes: alternative editor: set to manual /usr/bin/vim\n");
  plans("alternative_link", &vim, &nano, "yes: alternative editor: set to auto /bin/nano\n");
  plans("alternative_link", &vim, NULL, "yes: alternative editor: remove\n");
  struct row a = choice("/bin/nano", 40, "a\n/b\n/c\n");
  plans("alternative_choice", NULL, &a,
        "yes: alternative editor: add the choice /bin/nano, priority 40\n");
  plans("alternative_choice", &a, NULL, "yes: alternative editor: remove the choice /bin/nano\n");
  struct row local = diversion("/usr/bin/x.distrib", ":");
  plans("diversion", NULL, &local,
        "yes: diversion of /usr/bin/x: to /usr/bin/x.distrib by the administrator\n");
  plans("diversion", &local, NULL, "yes: diversion of /usr/bin/x: remove\n");
  struct row mine = override("root", 04755);
  plans("statoverride", NULL, &mine, "yes: statoverride of /usr/bin/x: root:mail 4755\n");
  plans("statoverride", &mine, NULL, "yes: statoverride of /usr/bin/x: remove\n");
}

/* What no tool is to be given: a catalog may come from elsewhere. */
static void test_plan_refuses(void **state)
{
  (void)state;
  struct row r = alternative("manual", "");
  plans("alternative_link", NULL, &r,
        "no: alternative editor: set to manual : cannot be put back\n");
  r = alternative("manual", "--help");
  plans("alternative_link", NULL, &r,
        "no: alternative editor: set to manual --help: cannot be put back\n");
  r = alternative("manual", "/a\nb");
  plans("alternative_link", NULL, &r,
        "no: alternative editor: set to manual /a\\x0ab: cannot be put back\n");
  r.values[0] = st_text_value("--all");
  plans("alternative_link", &r, NULL, "no: alternative --all: remove: cannot be put back\n");
  r = diversion("/y", "-x");
  plans("diversion", NULL, &r, "no: diversion of /usr/bin/x: to /y by -x: cannot be put back\n");
  r = diversion("/y", NULL);
  plans("diversion", NULL, &r, "no: diversion of /usr/bin/x: to /y by ?: cannot be put back\n");
  r.values[1] = st_bytes_value(ST_BYTES, "/y\0z", 4);
  plans("diversion", NULL, &r, "no: diversion of /usr/bin/x: to ? by ?: cannot be put back\n");
  r = override("root", 012345);
  plans("statoverride", NULL, &r,
        "no: statoverride of /usr/bin/x: root:mail 12345: cannot be put back\n");
  r = choice("/a", 1, "a\n/b\n");
  plans("alternative_choice", NULL, &r,
        "no: alternative editor: add the choice /a, priority 1: cannot be put back\n");
}

/* ---- Applying -------------------------------------------------------------------------------- */

static char ran[4096]; /* what was run, a line each */

static int note_run(char *const argv[], char **ret, size_t *length)
{
  for (size_t i = 0, n = strlen(ran); argv[i]; i++, n = strlen(ran))
    snprintf(ran + n, sizeof(ran) - n, "%s%s", argv[i], argv[i + 1] ? " " : "\n");
  *ret = strdup("update-alternatives: error: no such thing\n");
  *length = strlen(*ret);
  return strstr(ran, "fails") ? 2 : 0;
}

struct root {
  char path[64];
  struct st_context ctx;
};

static void put(const struct root *root, const char *path, const char *text)
{
  int fd = openat(root->ctx.root, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  close(fd);
}

static int set_up(void **state)
{
  const char *tmp = getenv("TMPDIR");
  struct root *root = calloc(1, sizeof(*root));
  snprintf(root->path, sizeof(root->path), "%s/st-dpkg-XXXXXX",
           tmp && strlen(tmp) < 40 ? tmp : "/tmp");
  assert_non_null(mkdtemp(root->path));
  root->ctx.root = open(root->path, O_RDONLY | O_DIRECTORY);
  static const char *const folders[] = {
      "etc",          "etc/alternatives",          "var",        "var/lib",
      "var/lib/dpkg", "var/lib/dpkg/alternatives", "var/lib/apt"};
  for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
    assert_int_equal(mkdirat(root->ctx.root, folders[i], 0755), 0);
  put(root, "var/lib/dpkg/alternatives/editor", EDITOR);
  put(root, "var/lib/dpkg/alternatives/x.dpkg-tmp", "aut");
  assert_int_equal(symlinkat("/bin/nano", root->ctx.root, "etc/alternatives/editor"), 0);
  put(root, "var/lib/dpkg/diversions", "/a\n/a.distrib\n:\n");
  put(root, "var/lib/dpkg/statoverride", "root mail 2755 /b\n");
  put(root, "var/lib/dpkg/status",
      "Package: nano\nStatus: hold ok installed\nArchitecture: amd64\nVersion: 1\n");
  put(root, "var/lib/apt/extended_states",
      "Package: nano\nArchitecture: amd64\nAuto-Installed: 1\n");
  host_run = note_run;
  *state = root;
  return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

static int tear_down(void **state)
{
  struct root *root = *state;
  close(root->ctx.root);
  int r = nftw(root->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
  free(root);
  return r;
}

static void test_collect(void **state)
{
  static struct st_facts facts;
  struct root *root = *state;
  struct st_error err = {0};
  void *self = host_open(&root->ctx);
  facts = (struct st_facts){0};
  int r = st_plugin_register()->collect(self, &facts, &err);
  put(root, "var/lib/dpkg/diversions", "/a\n/a.dis");
  assert_true(st_plugin_register()->collect(self, &(struct st_facts){0}, &err) < 0);
  assert_non_null(strstr(err.message, "/var/lib/dpkg/diversions, line 2: "));
  st_plugin_register()->close(self);
  assert_int_equal(r, 0);
  assert_string_equal(facts.lines,
                      "package|nano|amd64|1|hold ok installed|-|-|1|\n"
                      "alternative_link|editor|/usr/bin/editor|auto|/bin/nano\n"
                      "alternative_choice|editor|/bin/ed|-100|/usr/bin/editor|editor.1.gz\n"
                      "/usr/share/man/man1/editor.1.gz\n/usr/share/man/man1/ed.1.gz\n\n"
                      "alternative_choice|editor|/bin/nano|40|/usr/bin/editor|\n"
                      "diversion|/a|/a.distrib|:\n"
                      "statoverride|/b|root|mail|1517\n");
}

/* Applies; `expected` is what was run, "" where it was so already (and then verify is content), or
 * the error. */
static void applies(struct root *root, enum action_kind kind, const char *const *fields,
                    const char *expected)
{
  struct action a = {.kind = kind};
  struct st_error err = {0};
  static struct st_text words;
  char *data;
  size_t length;
  for (size_t i = 0; i < MOST_FIELDS && fields[i]; i++)
    a.field[i] = fields[i];
  void *self = host_open(&root->ctx);
  assert_true(action_ok(&a));
  assert_int_equal(action_encode(&a, &data, &length, &err), 0);
  ran[0] = 0;
  words.length = 0;
  int r = st_plugin_register()->apply(self, data, length, &err);
  int v = r < 0 ? 0 : st_plugin_register()->verify(self, data, length, &words, &err);
  st_plugin_register()->close(self);
  free(data);
  assert_string_equal(r < 0 ? err.message : ran, expected);
  assert_int_equal(v, r == 0 && *expected ? 1 : 0); /* nothing was really run */
  assert_int_equal(words.length > 0, v);
}

#define F(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ALTERNATIVES "update-alternatives --admindir /var/lib/dpkg/alternatives "
#define DIVERT "dpkg-divert --admindir /var/lib/dpkg --no-rename "
#define OVERRIDE "dpkg-statoverride --admindir /var/lib/dpkg "

static void test_apply_alternatives(void **state)
{
  struct root *r = *state;
  applies(r, ACTION_ALTERNATIVE, F("editor", "auto", "/bin/nano"), "");
  applies(r, ACTION_ALTERNATIVE, F("editor", "manual", "/bin/nano"),
          ALTERNATIVES "--set editor /bin/nano\n");
  applies(r, ACTION_ALTERNATIVE, F("editor", "auto", "/bin/ed"), ALTERNATIVES "--auto editor\n");
  applies(r, ACTION_ALTERNATIVE, F("vi", "manual", "/fails"),
          "update-alternatives ended with status 2: update-alternatives: error: no such thing");
  applies(r, ACTION_NO_ALTERNATIVE, F("editor"), ALTERNATIVES "--remove-all editor\n");
  applies(r, ACTION_NO_ALTERNATIVE, F("vi"), "");
  applies(r, ACTION_CHOICE, F("editor", "/bin/nano", "/usr/bin/editor", "40", ""), "");
  applies(r, ACTION_CHOICE,
          F("editor", "/bin/vi", "/usr/bin/editor", "-9", "a\n/la\n/pa\nb\n/lb\n/pb\n"),
          ALTERNATIVES "--install /usr/bin/editor editor /bin/vi -9 --slave /la a /pa "
                       "--slave /lb b /pb\n");
  applies(r, ACTION_NO_CHOICE, F("editor", "/bin/ed"), ALTERNATIVES "--remove editor /bin/ed\n");
  applies(r, ACTION_NO_CHOICE, F("editor", "/bin/vi"), "");
}

static void test_apply_others(void **state)
{
  struct root *r = *state;
  applies(r, ACTION_DIVERSION, F("/a", "/a.distrib", ":"), "");
  applies(r, ACTION_DIVERSION, F("/a", "/b", "dash"),
          DIVERT "--remove /a\n" DIVERT "--package dash --divert /b --add /a\n");
  applies(r, ACTION_DIVERSION, F("/x", "/y", ":"), DIVERT "--local --divert /y --add /x\n");
  applies(r, ACTION_NO_DIVERSION, F("/a"), DIVERT "--remove /a\n");
  applies(r, ACTION_NO_DIVERSION, F("/x"), "");
  applies(r, ACTION_STATOVERRIDE, F("/b", "root", "mail", "2755"), "");
  applies(r, ACTION_STATOVERRIDE, F("/b", "root", "#8", "0755"),
          OVERRIDE "--remove /b\n" OVERRIDE "--add root #8 0755 /b\n");
  applies(r, ACTION_NO_STATOVERRIDE, F("/b"), OVERRIDE "--remove /b\n");
  applies(r, ACTION_NO_STATOVERRIDE, F("/x"), "");
}

static void test_apply_packages(void **state)
{
  struct root *r = *state;
  applies(r, ACTION_MARK, F("nano", "amd64", "auto"), "");
  applies(r, ACTION_MARK, F("nano", "amd64", "manual"), "apt-mark manual nano:amd64\n");
  applies(r, ACTION_SELECT, F("nano", "amd64", "hold"), "");
  applies(r, ACTION_SELECT, F("nano", "amd64", "install"), "apt-mark unhold nano:amd64\n");
  applies(r, ACTION_SELECT, F("nano", "amd64", "purge"), "apt-mark purge nano:amd64\n");
  applies(r, ACTION_SELECT, F("nano", "i386", "hold"), "package nano is not installed");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_alternatives),
      cmocka_unit_test(test_diversions),
      cmocka_unit_test(test_statoverrides),
      cmocka_unit_test(test_long_line),
      cmocka_unit_test(test_marks),
      cmocka_unit_test(test_explain),
      cmocka_unit_test(test_plan),
      cmocka_unit_test(test_plan_refuses),
      cmocka_unit_test_setup_teardown(test_collect, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_apply_alternatives, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_apply_others, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_apply_packages, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
