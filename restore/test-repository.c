/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "restore/repository.h"

static const uint8_t digest[ST_DIGEST_SIZE] = {0xab};

static int paragraph(const char *control, size_t length, char **ret, struct st_error *err)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  int r = st_repository_paragraph(&out, control, length, "./0.deb", 12, digest, err);
  *ret = st_buffer_steal(&out, NULL);
  return r;
}

static void test_paragraph(void **state)
{
  (void)state;
  static const char control[] = "Package: a\nVersion: 1\nFilename: /etc/shadow\nsize: 7\n more\n"
                                "Description: words\n more of it\n .\n";
  ST_AUTO_FREE char *text = NULL;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_int_equal(paragraph(control, strlen(control), &text, &err), 0);
  assert_string_equal(
      text, "Package: a\nVersion: 1\nDescription: words\n more of it\n .\nFilename: ./0.deb\n"
            "Size: 12\n"
            "SHA256: ab00000000000000000000000000000000000000000000000000000000000000\n\n");
}

/* Two paragraphs would be two packages. */
static void test_not_one(void **state)
{
  (void)state;
  static const char *const wrong[] = {"", "\n\n", "Package: a\n\nPackage: b\n",
                                      "Package: a\n \t\nPackage: b\n"};
  for (size_t i = 0; i < ST_COUNT(wrong); i++) {
    ST_AUTO_FREE char *text = NULL;
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    assert_int_equal(paragraph(wrong[i], strlen(wrong[i]), &text, &err), -1);
  }
  ST_AUTO_FREE char *text = NULL;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_int_equal(paragraph("Package: a\0b\n", 13, &text, &err), -1);
}

static void test_field(void **state)
{
  (void)state;
  static const char control[] = "Package:  a \nX-Version: 2\nversion: 1\n Architecture: no\n";
  size_t n = strlen(control);
  ST_AUTO_FREE char *name = st_control_field(control, n, "Package");
  ST_AUTO_FREE char *version = st_control_field(control, n, "Version");
  ST_AUTO_FREE char *none = st_control_field(control, n, "Architecture");
  assert_string_equal(name, "a");
  assert_string_equal(version, "1");
  assert_null(none);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_paragraph),
      cmocka_unit_test(test_not_one),
      cmocka_unit_test(test_field),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
