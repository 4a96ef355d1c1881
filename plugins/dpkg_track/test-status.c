/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/test-host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/dpkg_track/status.h"

#define OK "Status: install ok installed\n"

/* What comes of a status file and updates: lines "NAME:ARCH VERSION STATE", or the error. */
struct parsed {
  char *texts[4];
  char words[4096];
};

static void list(const struct packages *packages, struct parsed *p)
{
  for (size_t i = 0; i < packages->count; i++) {
    const struct package *q = &packages->items[i];
    size_t n = strlen(p->words);
    if (q->installed)
      snprintf(p->words + n, sizeof(p->words) - n, "%s:%s %s %s\n", q->name, q->architecture,
               q->version ? q->version : "-", q->state);
  }
}

/* A copy without any byte to spare, so that a reader that goes too far is noticed. */
static char *exact(const char *text, size_t length)
{
  char *copy = malloc(length + 1);
  assert_non_null(copy);
  memcpy(copy, text, length);
  copy[length] = 0;
  return copy;
}

/* `length` 0: the texts' own; `texts` ends with NULL. */
static void parse(struct parsed *p, const char *const texts[], size_t length)
{
  struct packages packages = {0};
  struct st_error err = {0};
  int r = 0;
  *p = (struct parsed){0};
  for (size_t i = 0; texts[i] && r >= 0; i++) {
    size_t n = length ? length : strlen(texts[i]);
    p->texts[i] = exact(texts[i], n);
    r = i == 0 ? packages_parse(&packages, p->texts[i], n, "status", &err)
               : packages_update(&packages, p->texts[i], n, "0001", &err);
  }
  if (r < 0)
    snprintf(p->words, sizeof(p->words), "%s", err.message);
  else
    list(&packages, p);
  packages_free(&packages);
  for (size_t i = 0; i < 4; i++)
    free(p->texts[i]);
}

static void expect(const char *text, const char *expected)
{
  struct parsed p;
  parse(&p, (const char *const[]){text, NULL}, 0);
  assert_string_equal(p.words, expected);
}

static void expect_update(const char *text, const char *update, const char *expected)
{
  struct parsed p;
  parse(&p, (const char *const[]){text, update, NULL}, 0);
  assert_string_equal(p.words, expected);
}

static void test_good(void **state)
{
  (void)state;
  expect("", "");
  expect("\n\n", "");
  expect("Package: nano\n" OK "Architecture: amd64\nVersion: 7.2-1\n",
         "nano:amd64 7.2-1 install ok installed\n");
  expect("\nPackage: b\n" OK "Description: x\n Version: 9\n .\n\t\n  \n more\nVersion:1:2~a+b\n\n\n"
         "package:a\nstatus:  hold   ok\tinstalled  \nARCHITECTURE: all\n",
         "a:all - hold ok installed\nb: 1:2~a+b install ok installed\n");
}

static void test_carriage_returns(void **state)
{
  (void)state;
  expect("Package: a\r\nStatus: install ok installed\r\nVersion: 1\r\n\r\nPackage: b\r\n"
         "Status: install ok installed\r\n",
         "a: 1 install ok installed\nb: - install ok installed\n");
}

static void test_states(void **state)
{
  (void)state;
  expect("Package: a\nStatus: unknown ok not-installed\n\nPackage: b\nStatus: install ok "
         "not-installed\n\nPackage: c\nStatus: deinstall ok config-files\nConfig-Version: 3\n\n"
         "Package: d\nStatus: install reinstreq half-installed\n",
         "c: 3 deinstall ok config-files\nd: - install reinstreq half-installed\n");
  expect("Package: a\n", "status, line 1: a package without a status of three words");
  expect("Package: a\nStatus: install ok\n",
         "status, line 1: a package without a status of three words");
  expect("Package: a\nStatus: install ok installed twice\n",
         "status, line 1: a package without a status of three words");
  expect("Package: a\nStatus: install ok \x1b[1m\n",
         "status, line 1: a package without a status of three words");
  expect("Package: a\nStatus:\n", "status, line 1: a package without a status of three words");
}

static void test_cut_off(void **state)
{
  (void)state;
  static const char text[] = "Package: a\n" OK "Version: 1\n\nPackage: b\n" OK "Version: 2\n";
  struct parsed p;
  for (size_t n = 1; n < sizeof(text) - 1; n++) {
    parse(&p, (const char *const[]){text, NULL}, n);
    bool boundary = text[n - 1] == '\n';
    assert_true(boundary || strstr(p.words, "the file is cut off"));
  }
  /* Behind a whole line, a stanza without its status is refused all the same. */
  expect("Package: a\n" OK "Version: 1\n\nPackage: b\n",
         "status, line 5: a package without a status of three words");
}

static void test_malformed(void **state)
{
  (void)state;
  expect("Package a\n", "status, line 1: neither a field nor the continuation of one");
  expect("\n: a\n", "status, line 2: neither a field nor the continuation of one");
  expect("Pack age: a\n", "status, line 1: neither a field nor the continuation of one");
  expect(" a\n", "status, line 1: a continuation of nothing");
  expect("Package: a\n" OK "\n a\n", "status, line 4: a continuation of nothing");
  expect(OK, "status, line 1: a stanza without the name of a package");
  expect("Package: ../a\n" OK, "status, line 1: a stanza without the name of a package");
  expect("Package: a\nPackage: b\n", "status, line 2: a field that stands twice in one stanza");
  expect("Package: a\n" OK "Architecture: a/b\n",
         "status, line 1: a package with an architecture that cannot be");
  expect("Package: a\n" OK "Version: \xff\n",
         "status, line 1: a package with a version that cannot be");
  expect("Package: a\n" OK "\n\nPackage: a\n" OK,
         "status: package a stands there twice (lines 1 and 5)");
}

static void test_nul(void **state)
{
  (void)state;
  static const char text[] = "Package: a\0b\n" OK;
  struct parsed p;
  parse(&p, (const char *const[]){text, NULL}, sizeof(text) - 1);
  assert_string_equal(p.words, "status, line 1: a NUL byte");
}

/* A megabyte of x between two texts. */
static void expect_huge(const char *head, const char *tail, const char *expected)
{
  size_t n = 1 << 20, size = n + 256;
  char *text = malloc(size);
  assert_non_null(text);
  int at = snprintf(text, size, "%s", head);
  memset(text + at, 'x', n);
  snprintf(text + at + n, size - (size_t)at - n, "%s", tail);
  expect(text, expected);
  free(text);
}

static void test_huge(void **state)
{
  (void)state;
  expect_huge("Package: a\n" OK "Description: ", "\nVersion: 1\n", "a: 1 install ok installed\n");
  expect_huge("Package: ", "\n" OK, "status, line 1: a value that is too long");
}

static void test_updates(void **state)
{
  (void)state;
  static const char status[] = "Package: a\n" OK "Architecture: amd64\nVersion: 1\n\n"
                               "Package: b\n" OK "Architecture: amd64\nVersion: 1\n";
  expect_update(status, "Package: a\n" OK "Architecture: amd64\nVersion: 2\n",
                "a:amd64 2 install ok installed\nb:amd64 1 install ok installed\n");
  expect_update(status, "Package: c\nStatus: install ok unpacked\nArchitecture: all\nVersion: 3\n",
                "a:amd64 1 install ok installed\nb:amd64 1 install ok installed\n"
                "c:all 3 install ok unpacked\n");
  expect_update(status, "Package: a\nStatus: unknown ok not-installed\n",
                "b:amd64 1 install ok installed\n");
  expect_update(status, "Package: a\n" OK "Architecture: all\nVersion: 2\n",
                "a:all 2 install ok installed\nb:amd64 1 install ok installed\n");
  expect_update(status, "Package: a\n" OK "Version",
                "0001, line 3: the last line has no end: the "
                "file is cut off");
}

static void test_updates_of_several_architectures(void **state)
{
  (void)state;
  static const char status[] =
      "Package: a\n" OK "Architecture: amd64\nMulti-Arch: same\nVersion: 1\n";
  expect_update(status, "Package: a\n" OK "Architecture: i386\nMulti-Arch: same\nVersion: 1\n",
                "a:amd64 1 install ok installed\na:i386 1 install ok installed\n");
  expect_update(status, "Package: a\n" OK "Architecture: i386\nVersion: 1\n",
                "a:i386 1 install ok installed\n");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_good),
      cmocka_unit_test(test_carriage_returns),
      cmocka_unit_test(test_states),
      cmocka_unit_test(test_cut_off),
      cmocka_unit_test(test_malformed),
      cmocka_unit_test(test_nul),
      cmocka_unit_test(test_huge),
      cmocka_unit_test(test_updates),
      cmocka_unit_test(test_updates_of_several_architectures),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
