/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/cbor.h"
#include "systracker/base/escape.h"
#include "systracker/base/test-scratch.h"

/* Compares with hexadecimal digits, and empties the buffer. */
static void assert_hex(struct st_buffer *b, const char *expected)
{
  ST_AUTO_FREE char *text = st_malloc(2 * b->length + 1);
  st_hex(text, b->data, b->length);
  assert_string_equal(text, expected);
  st_buffer_clear(b);
}

/* The examples of RFC 8949, appendix A. */
static void test_write(void **state)
{
  (void)state;
  static const struct {
    int64_t number;
    const char *hex;
  } cases[] = {
      {0, "00"},
      {23, "17"},
      {24, "1818"},
      {255, "18ff"},
      {256, "190100"},
      {1000000, "1a000f4240"},
      {1000000000000, "1b000000e8d4a51000"},
      {INT64_MAX, "1b7fffffffffffffff"},
      {-1, "20"},
      {-24, "37"},
      {-25, "3818"},
      {-1000, "3903e7"},
      {INT64_MIN, "3b7fffffffffffffff"},
  };
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  for (size_t i = 0; i < ST_COUNT(cases); i++) {
    int64_t back;
    st_cbor_integer(&b, cases[i].number);
    struct st_cbor in = {(uint8_t *)b.data, b.length};
    assert_int_equal(st_cbor_read_integer(&in, &back, NULL), 0);
    assert_true(back == cases[i].number && st_cbor_at_end(&in));
    assert_hex(&b, cases[i].hex);
  }
  st_cbor_null(&b);
  st_cbor_bool(&b, true);
  st_cbor_bool(&b, false);
  st_cbor_array(&b, 25);
  st_cbor_bytes(&b, "\1\2\3\4", 4);
  st_cbor_bytes(&b, NULL, 0);
  st_cbor_string(&b, "\xc3\xbc");
  assert_hex(&b, "f6f5f49819440102030440"
                 "62c3bc");
}

static void test_values(void **state)
{
  (void)state;
  struct st_id id = {.keyed = 1};
  memset(id.digest, 0x5a, sizeof id.digest);
  const struct st_value values[] = {
      st_null(),
      st_integer(-70000),
      st_text_value("text"),
      st_bytes_value(ST_BYTES, "\0\xff", 2),
      st_path_value("/etc/\xff"),
      st_id_value(&id),
  };
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  for (size_t i = 0; i < ST_COUNT(values); i++)
    st_cbor_value(&b, &values[i]);
  struct st_cbor in = {(uint8_t *)b.data, b.length};
  struct st_value v;
  assert_int_equal(st_cbor_read_value(&in, ST_TEXT, &v, NULL), 0);
  assert_int_equal(v.type, ST_NULL);
  assert_int_equal(st_cbor_read_value(&in, ST_INTEGER, &v, NULL), 0);
  assert_int_equal(v.u.integer, -70000);
  for (size_t i = 2; i < 5; i++) {
    assert_int_equal(st_cbor_read_value(&in, values[i].type, &v, NULL), 0);
    assert_int_equal(v.type, values[i].type);
    assert_int_equal(v.u.bytes.length, values[i].u.bytes.length);
    assert_memory_equal(v.u.bytes.data, values[i].u.bytes.data, v.u.bytes.length);
  }
  assert_int_equal(st_cbor_read_value(&in, ST_ID, &v, NULL), 0);
  assert_int_equal(v.u.id.keyed, 1);
  assert_memory_equal(v.u.id.digest, id.digest, sizeof id.digest);
  assert_true(st_cbor_at_end(&in));
  assert_false(st_cbor_take_null(&in));
}

enum reader { READ_ARRAY, READ_INTEGER, READ_BYTES, READ_FIXED, READ_TEXT, READ_BOOL, READ_ID };

/* Copied into memory of exactly its size, so that a read past its end is seen. */
static int read_as(enum reader reader, const char *hex, struct st_error *err)
{
  size_t n = strlen(hex) / 2;
  ST_AUTO_FREE uint8_t *data = malloc(n ? n : 1);
  assert_true(st_unhex(data, n, hex));
  struct st_cbor in = {data, n};
  uint64_t count;
  int64_t number;
  const void *bytes;
  const char *text;
  size_t length;
  bool truth;
  uint8_t fixed[2];
  struct st_value value;
  switch (reader) {
  case READ_ARRAY:
    return st_cbor_read_array(&in, &count, err);
  case READ_INTEGER:
    return st_cbor_read_integer(&in, &number, err);
  case READ_BYTES:
    return st_cbor_read_bytes(&in, &bytes, &length, err);
  case READ_FIXED:
    return st_cbor_read_fixed(&in, fixed, sizeof fixed, err);
  case READ_TEXT:
    return st_cbor_read_text(&in, &text, &length, err);
  case READ_BOOL:
    return st_cbor_read_bool(&in, &truth, err);
  default:
    return st_cbor_read_value(&in, ST_ID, &value, err);
  }
}

static void test_malformed(void **state)
{
  (void)state;
  static const struct {
    enum reader reader;
    const char *hex, *words;
  } cases[] = {
      {READ_INTEGER, "", "ends"},
      {READ_INTEGER, "1817", "shortest"},
      {READ_INTEGER, "1900ff", "shortest"},
      {READ_INTEGER, "1a0000ffff", "shortest"},
      {READ_INTEGER, "1b00000000ffffffff", "shortest"},
      {READ_INTEGER, "3800", "shortest"},
      {READ_INTEGER, "19ff", "cut short"},
      {READ_INTEGER, "1c", "cut short"},
      {READ_INTEGER, "1b8000000000000000", "out of range"},
      {READ_INTEGER, "3bffffffffffffffff", "out of range"},
      {READ_INTEGER, "f6", "null where an integer"},
      {READ_INTEGER, "c101", "does not use"},
      {READ_INTEGER, "f97e00", "does not use"},
      {READ_INTEGER, "ff", "does not use"},
      {READ_INTEGER, "f7", "does not use"},
      {READ_BYTES, "5801ff", "shortest"},
      {READ_BYTES, "42ff", "cut short"},
      {READ_BYTES, "5bffffffffffffffff00", "cut short"},
      {READ_BYTES, "5f41ffff", "does not use"},
      {READ_BYTES, "6161", "a text string where"},
      {READ_FIXED, "4101", "where 2 are expected"},
      {READ_FIXED, "43010203", "where 2 are expected"},
      {READ_TEXT, "62c328", "not UTF-8"},
      {READ_TEXT, "6100", "not UTF-8"},
      {READ_TEXT,
       "7801"
       "61",
       "shortest"},
      {READ_TEXT, "7f6161ff", "does not use"},
      {READ_ARRAY, "8201", "longer than its data"},
      {READ_ARRAY, "9bffffffffffffffff00", "longer than its data"},
      {READ_ARRAY, "9800", "shortest"},
      {READ_ARRAY, "9f01ff", "does not use"},
      {READ_ARRAY, "a0", "does not use"},
      {READ_BOOL, "01", "where a truth value"},
      {READ_ID,
       "830000"
       "00",
       "array of two"},
      {READ_ID, "820242ffff", "unknown kind"},
      {READ_ID, "820142ffff", "where 32 are expected"},
  };
  for (size_t i = 0; i < ST_COUNT(cases); i++) {
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    if (read_as(cases[i].reader, cases[i].hex, &err) >= 0)
      fail_msg("%s was accepted", cases[i].hex);
    if (!strstr(st_error_text(&err), cases[i].words))
      fail_msg("%s: %s", cases[i].hex, st_error_text(&err));
  }
}

/* What was refused is not consumed, and what was accepted is, entirely. */
static void test_position(void **state)
{
  (void)state;
  struct st_cbor in = {(const uint8_t *)"\x83\x01\xf6\x61x", 5};
  uint64_t count;
  int64_t n;
  const char *text;
  size_t length;
  assert_int_equal(st_cbor_read_integer(&in, &n, NULL), -1);
  assert_int_equal(in.length, 5);
  assert_int_equal(st_cbor_read_array(&in, &count, NULL), 0);
  assert_int_equal(count, 3);
  assert_false(st_cbor_take_null(&in));
  assert_int_equal(st_cbor_read_integer(&in, &n, NULL), 0);
  assert_true(st_cbor_take_null(&in));
  assert_int_equal(st_cbor_read_text(&in, &text, &length, NULL), 0);
  assert_int_equal(length, 1);
  assert_true(st_cbor_at_end(&in));
}

static void assert_head(const void *data, size_t length, unsigned major, uint64_t number,
                        size_t left)
{
  struct st_cbor in = {data, length};
  unsigned found;
  uint64_t n;
  assert_true(st_cbor_take_head(&in, &found, &n));
  assert_int_equal(found, major);
  assert_true(n == number);
  assert_int_equal(in.length, left);
}

static void assert_no_head(const void *data, size_t length)
{
  struct st_cbor in = {data, length};
  unsigned major;
  uint64_t n;
  assert_false(st_cbor_take_head(&in, &major, &n));
}

static void test_heads(void **state)
{
  (void)state;
  assert_head("\x17", 1, ST_CBOR_UNSIGNED, 23, 0);
  assert_head("\x18\xff", 2, ST_CBOR_UNSIGNED, 255, 0);
  assert_head("\x3b\xff\xff\xff\xff\xff\xff\xff\xff", 9, ST_CBOR_NEGATIVE, UINT64_MAX, 0);
  assert_head("\x42"
              "ab",
              3, ST_CBOR_BYTES, 2, 2);
  assert_head("\x79\x01\x02", 3, ST_CBOR_TEXT, 258, 0); /* whoever asks looks what is left */
  assert_head("\x9a\x00\x01\x00\x00", 5, ST_CBOR_ARRAY, 65536, 0);
  assert_head("\xf6", 1, ST_CBOR_SIMPLE, 22, 0);
  assert_no_head("", 0);
  assert_no_head("\x18", 1);
  assert_no_head("\x1b\x00\x00\x00\x00\x00\x00\x00", 8);
  assert_no_head("\x9f\xff", 2); /* of no definite length */
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_write),     cmocka_unit_test(test_values),
      cmocka_unit_test(test_malformed), cmocka_unit_test(test_position),
      cmocka_unit_test(test_heads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
