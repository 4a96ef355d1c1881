/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/test-host.h"

#include <stdlib.h>
#include <string.h>

#include "plugins/rpm_track/packages.h"

#define HEAD "systracker-rpm-list\0001\0cookie\0"
#define FIELDS(name, arch, version, several, files)                                                \
  "package\0" name "\0" arch "\0" version "\0lab\0"                                                \
  "5\0"                                                                                            \
  "6\0"                                                                                            \
  "abcd\0"                                                                                         \
  "\0\0" several "\0" files "\0"
#define FILE_OF(path)                                                                              \
  path "\0f\000644\0"                                                                              \
       "0\0"                                                                                       \
       "1\0root\0daemon\0"                                                                         \
       "77\0"                                                                                      \
       "3\0\0\0\0\0\0\0"
#define END "end\0"

/* Without the NUL that C adds. */
static int parse(struct packages *p, const char *text, size_t length, struct st_error *err)
{
  char *copy = calloc(1, length + 1);
  memcpy(copy, text, length);
  return packages_parse(p, copy, length, err);
}

static void refuse(const char *text, size_t length, const char *words)
{
  struct st_error err = {0};
  struct packages p;
  assert_int_equal(parse(&p, text, length, &err), -1);
  if (!strstr(err.message, words))
    fail_msg("\"%s\" does not say \"%s\"", err.message, words);
}

static void test_instances(void **state)
{
  (void)state;
  struct st_error err = {0};
  struct packages p;
  static const char text[] = HEAD FIELDS("b", "noarch", "1-1", "0", "0")
      FIELDS("a", "x86_64", "2-1", "0", "0") FIELDS("b", "noarch", "1:1-1", "0", "0")
          FIELDS("a", "i686", "2-1", "0", "0") FIELDS("kernel", "x86_64", "6-1", "1", "0")
              FIELDS("c", "", "1-1", "0", "0") FIELDS("c", "", "1-1", "0", "0") END;
  assert_int_equal(parse(&p, text, sizeof(text) - 1, &err), 0);
  assert_int_equal(p.count, 7);
  assert_string_equal(p.cookie, "cookie");
  assert_non_null(packages_find(&p, "a", "x86_64", ""));
  assert_non_null(packages_find(&p, "a", "i686", ""));
  assert_non_null(packages_find(&p, "b", "noarch", "1-1"));
  assert_non_null(packages_find(&p, "b", "noarch", "1:1-1"));
  assert_null(packages_find(&p, "b", "noarch", ""));
  assert_non_null(packages_find(&p, "kernel", "x86_64", "6-1"));
  assert_non_null(packages_find(&p, "c", "", "1-1"));
  assert_non_null(packages_find(&p, "c", "", "1-1#2"));
  packages_free(&p);
}

static void test_none(void **state)
{
  (void)state;
  struct st_error err = {0};
  struct packages p;
  static const char text[] = HEAD END;
  assert_int_equal(parse(&p, text, sizeof(text) - 1, &err), 0);
  assert_int_equal(p.count, 0);
  assert_null(packages_find(&p, "a", "", ""));
  packages_free(&p);
}

/* Every beginning of a list is refused: the program may have been killed. */
static void test_cut_off(void **state)
{
  (void)state;
  static const char text[] =
      HEAD FIELDS("a", "noarch", "1-1", "0", "1") FILE_OF("/a") "note\0words\0" END;
  struct st_error err = {0};
  struct packages p;
  for (size_t n = 0; n + 1 < sizeof(text); n++)
    refuse(text, n, "");
  assert_int_equal(parse(&p, text, sizeof(text) - 1, &err), 0);
  packages_free(&p);
}

static void test_nonsense(void **state)
{
  (void)state;
  static const char version[] = "systracker-rpm-list\0002\0c\0" END;
  static const char count[] = HEAD FIELDS("a", "noarch", "1-1", "0", "999999999999") END;
  static const char minus[] = HEAD FIELDS("a", "noarch", "1-1", "0", "-1") END;
  static const char letters[] = HEAD FIELDS("a", "noarch", "1-1", "0", "x") END;
  static const char word[] = HEAD "other\0" END;
  static const char more[] = HEAD END "more\0";
  refuse(version, sizeof(version) - 1, "another version");
  refuse(count, sizeof(count) - 1, "not whole");
  refuse(minus, sizeof(minus) - 1, "not whole");
  refuse(letters, sizeof(letters) - 1, "number");
  refuse(word, sizeof(word) - 1, "not known");
  refuse(more, sizeof(more) - 1, "not whole");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_instances),
      cmocka_unit_test(test_none),
      cmocka_unit_test(test_cut_off),
      cmocka_unit_test(test_nonsense),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
