/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/escape.h"
#include "systracker/base/test-scratch.h"

static void check(const char *raw, size_t length, const char *expected)
{
  ST_AUTO_FREE char *text = st_escaped(raw, length);
  assert_string_equal(text, expected);
  ST_AUTO_BUFFER back = ST_BUFFER_INIT;
  assert_int_equal(st_unescape(text, &back, NULL), 0);
  assert_int_equal(back.length, length);
  if (length)
    assert_memory_equal(back.data, raw, length);
}

#define CHECK(raw, expected) check(raw, sizeof(raw) - 1, expected)

static void test_escape(void **state)
{
  (void)state;
  CHECK("", "");
  CHECK("/etc/passwd", "/etc/passwd");
  CHECK("gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x90\xa7",
        "gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x90\xa7");
  CHECK("a\\b\nc\td\re", "a\\\\b\\nc\\td\\re");
  CHECK("\x1b[31m\x7f\0end", "\\x1b[31m\\x7f\\x00end");
  CHECK("\xc2\x9b", "\\xc2\\x9b");                                     /* C1: CSI */
  CHECK("a\xe2\x80\xaetxt", "a\\xe2\\x80\\xaetxt");                    /* U+202E */
  CHECK("\xe2\x81\xa6\xe2\x80\x8f", "\\xe2\\x81\\xa6\\xe2\\x80\\x8f"); /* U+2066, U+200F */
}

static void test_malformed(void **state)
{
  (void)state;
  CHECK("\xff", "\\xff");
  CHECK("\x80"
        "a",
        "\\x80"
        "a");
  CHECK("\xc3", "\\xc3");
  CHECK("\xc3(", "\\xc3(");
  CHECK("\xc0\xaf", "\\xc0\\xaf");                   /* overlong */
  CHECK("\xe0\x80\xaf", "\\xe0\\x80\\xaf");          /* overlong */
  CHECK("\xed\xa0\x80", "\\xed\\xa0\\x80");          /* surrogate */
  CHECK("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* above U+10FFFF */
  CHECK("\xe6\x97", "\\xe6\\x97");                   /* cut short */
}

static void test_all_bytes(void **state)
{
  (void)state;
  char all[256];
  for (int i = 0; i < 256; i++)
    all[i] = (char)i;
  ST_AUTO_FREE char *text = st_escaped(all, sizeof all);
  ST_AUTO_BUFFER back = ST_BUFFER_INIT;
  assert_int_equal(st_unescape(text, &back, NULL), 0);
  assert_int_equal(back.length, 256);
  assert_memory_equal(back.data, all, 256);
}

static void test_unescape_errors(void **state)
{
  (void)state;
  static const char *const bad[] = {"\\", "a\\q", "\\x", "\\x1", "\\xg0", "\\x0g", "\\0"};
  for (size_t i = 0; i < ST_COUNT(bad); i++) {
    ST_AUTO_BUFFER out = ST_BUFFER_INIT;
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    assert_int_equal(st_unescape(bad[i], &out, &err), -1);
    assert_error(&err, "backslash");
  }
}

static void test_content(void **state)
{
  (void)state;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  st_escape_content(&out, "a\tb\\c\nd\x1b[0m\r\n", 13);
  assert_string_equal(out.data, "a\tb\\c\nd\\x1b[0m\\r\n");
  st_buffer_clear(&out);
  st_escape_message(&out, "a\\n\nb", 5);
  assert_string_equal(out.data, "a\\n\\nb");
}

static void test_quote(void **state)
{
  (void)state;
  const char *first = st_quote("/a\nb");
  for (int i = 0; i < 7; i++)
    st_quote("/other");
  assert_string_equal(first, "/a\\nb");
  assert_string_equal(st_quote(NULL), "(none)");
}

static void test_utf8(void **state)
{
  (void)state;
  assert_true(st_is_utf8("", 0));
  assert_true(st_is_utf8("\xf0\x9f\x90\xa7", 4));
  assert_false(st_is_utf8("\xf0\x9f\x90\xa7", 3));
  assert_false(st_is_utf8("a\0b", 3));
  assert_false(st_is_utf8("\xfe", 1));
}

static void test_hex(void **state)
{
  (void)state;
  char text[7];
  uint8_t back[3];
  st_hex(text, "\x00\xaf\x12", 3);
  assert_string_equal(text, "00af12");
  assert_true(st_unhex(back, 3, "00AF12"));
  assert_memory_equal(back, "\x00\xaf\x12", 3);
  assert_false(st_unhex(back, 3, "00af1"));
  assert_false(st_unhex(back, 3, "00af"));
  assert_false(st_unhex(back, 3, "00af123"));
  assert_false(st_unhex(back, 3, "00ag12"));
  assert_true(st_unhex(back, 0, ""));
}

static void test_say(void **state)
{
  (void)state;
  struct st_text t = {ST_BUFFER_INIT};
  assert_int_equal(st_say(&t, "%s %d: ", "mode", 7), 0);
  assert_int_equal(st_say_bytes(&t, "x\n\xff", 3), 0);
  assert_string_equal(t.buffer.data, "mode 7: x\\n\\xff");
  st_buffer_free(&t.buffer);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_escape),    cmocka_unit_test(test_malformed),
      cmocka_unit_test(test_all_bytes), cmocka_unit_test(test_unescape_errors),
      cmocka_unit_test(test_content),   cmocka_unit_test(test_quote),
      cmocka_unit_test(test_utf8),      cmocka_unit_test(test_hex),
      cmocka_unit_test(test_say),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
