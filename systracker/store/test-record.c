/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "systracker/store/delta.h"
#include "systracker/store/record.h"

static struct st_record sample(bool base, bool secret)
{
  struct st_record r = {.id = {.keyed = secret},
                        .encoding = base ? ST_ENCODING_DELTA : ST_ENCODING_ZSTD,
                        .has_base = base,
                        .step = base ? 215 : 0,
                        .raw = 123456789,
                        .stored = 99999};
  for (int i = 0; i < ST_DIGEST_SIZE; i++)
    r.id.digest[i] = (uint8_t)(i * 7);
  if (base)
    memset(r.base, 0xab, sizeof r.base);
  return r;
}

static void assert_same(const struct st_record *a, const struct st_record *b)
{
  assert_true(st_id_equal(&a->id, &b->id));
  assert_int_equal(a->encoding, b->encoding);
  assert_int_equal(a->has_base, b->has_base);
  assert_int_equal(a->step, b->step);
  assert_memory_equal(a->base, b->base, sizeof a->base);
  assert_int_equal(a->raw, b->raw);
  assert_int_equal(a->stored, b->stored);
}

static void test_round_trip(void **state)
{
  (void)state;
  for (int i = 0; i < 4; i++) {
    struct st_record r = sample(i & 1, i & 2), back;
    uint8_t head[ST_RECORD_HEAD_MAX];
    size_t n = st_record_encode(head, &r);
    assert_int_equal(st_record_decode(head, n, &back), n);
    assert_same(&r, &back);
    assert_int_equal(st_record_size(&r), n + r.stored + ST_RECORD_CRC_SIZE);
    for (size_t shorter = 0; shorter < n; shorter++)
      assert_int_equal(st_record_decode(head, shorter, &back), 0);
  }
}

static int decodes(const struct st_record *r)
{
  struct st_record back;
  uint8_t head[ST_RECORD_HEAD_MAX];
  size_t n = st_record_encode(head, r);
  assert_true(n <= sizeof head);
  return st_record_decode(head, n, &back);
}

/* A list's content may be larger than any other, and it is not sealed. */
static void test_list(void **state)
{
  (void)state;
  struct st_record r = sample(false, true), back;
  uint8_t head[ST_RECORD_HEAD_MAX];
  r.encoding = ST_ENCODING_LIST;
  r.raw = ST_RECORD_LIST_RAW_MAX;
  r.stored = 1; /* of a sealed one 36 would be the least */
  size_t n = st_record_encode(head, &r);
  assert_int_equal(st_record_decode(head, n, &back), n);
  assert_same(&r, &back);
  for (size_t shorter = 0; shorter < n; shorter++)
    assert_int_equal(st_record_decode(head, shorter, &back), 0);
  r.raw++;
  assert_int_equal(decodes(&r), -1);
  r.raw--;
  r.stored = ST_RECORD_RAW_MAX + 1;
  assert_int_equal(decodes(&r), -1);
  r.stored = 100;
  r.encoding = ST_ENCODING_ZSTD;
  assert_int_equal(decodes(&r), -1);
  r.raw = ST_RECORD_RAW_MAX;
  assert_true(decodes(&r) > 0);
}

static void test_bytes(void **state)
{
  (void)state;
  struct st_record r = {.encoding = ST_ENCODING_RAW, .raw = 300, .stored = 300};
  uint8_t head[ST_RECORD_HEAD_MAX];
  static const uint8_t front[] = {'S', 'T', 0x10, 0xac, 0x02, 0xac, 0x02};
  assert_int_equal(st_record_encode(head, &r), sizeof front + ST_DIGEST_SIZE);
  assert_memory_equal(head, front, sizeof front);
  r = sample(true, true);
  st_record_encode(head, &r);
  assert_int_equal(head[2], 0x1a);
}

/* Each of these bytes, changed so, makes it no record. */
static void test_refused(void **state)
{
  (void)state;
  static const struct {
    int at;
    uint8_t value;
  } cases[] = {{0, 's'}, {1, 't'}, {2, 0x02}, {2, 0x22}, {2, 0x92}};
  struct st_record r = sample(true, false), back;
  for (size_t i = 0; i < ST_COUNT(cases); i++) {
    uint8_t head[ST_RECORD_HEAD_MAX];
    size_t n = st_record_encode(head, &r);
    head[cases[i].at] = cases[i].value;
    assert_int_equal(st_record_decode(head, n, &back), -1);
  }
}

static void refuse(struct st_record r)
{
  uint8_t head[ST_RECORD_HEAD_MAX];
  struct st_record back;
  assert_int_equal(st_record_decode(head, st_record_encode(head, &r), &back), -1);
}

static void test_lengths(void **state)
{
  (void)state;
  struct st_record r = sample(false, false);
  r.stored = r.raw + 1;
  refuse(r);
  r.raw = r.stored = ST_RECORD_RAW_MAX + 1;
  refuse(r);
  r = sample(false, true);
  r.stored = ST_SEAL_OVERHEAD - 1;
  refuse(r);
  r.stored = r.raw + ST_SEAL_OVERHEAD + 1;
  refuse(r);
  r = sample(true, false);
  r.step = 0;
  refuse(r);
  r.step = 216;
  refuse(r);
  /* A length in longer than its shortest form. */
  uint8_t head[ST_RECORD_HEAD_MAX] = {'S', 'T', 0x10, 0x80, 0x00};
  assert_int_equal(st_record_decode(head, sizeof head, &r), -1);
  memset(head + 3, 0xff, 10);
  assert_int_equal(st_record_decode(head, sizeof head, &r), -1);
}

static void test_steps(void **state)
{
  (void)state;
  assert_int_equal(st_delta_base_step(1), 0);
  assert_int_equal(st_delta_base_step(6), 0);
  assert_int_equal(st_delta_base_step(7), 6);
  assert_int_equal(st_delta_base_step(36), 0);
  assert_int_equal(st_delta_base_step(42), 36);
  assert_int_equal(st_delta_base_step(215), 214);
  for (unsigned step = 1; step < ST_DELTA_STEPS; step++) {
    unsigned base = st_delta_base_step(step), chain = step - 1;
    while (chain > base)
      chain = st_delta_base_step(chain);
    assert_int_equal(chain, base);
    assert_int_equal(st_delta_depth(step), st_delta_depth(base) + 1);
    assert_true(st_delta_depth(step) <= ST_DELTA_DEPTH_MAX);
  }
}

static void test_frames(void **state)
{
  (void)state;
  ST_CLEANUP(st_zstd_freep) struct st_zstd *z = st_zstd_new();
  ST_AUTO_BUFFER frame = ST_BUFFER_INIT;
  ST_AUTO_BUFFER back = ST_BUFFER_INIT;
  char text[5000];
  for (size_t i = 0; i < sizeof text; i++)
    text[i] = "abcdefgh\n"[i * i % 9];
  struct st_buffer prefix = {.data = text, .length = 4000};
  assert_int_equal(st_zstd_encode(z, text, sizeof text, &prefix, &frame, NULL), 0);
  assert_int_equal(st_zstd_decode(z, frame.data, frame.length, &prefix, 5000, &back, NULL), 0);
  assert_memory_equal(back.data, text, sizeof text);
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  st_buffer_clear(&back);
  assert_true(st_zstd_decode(z, frame.data, frame.length, &prefix, 4999, &back, &err) < 0);
  assert_true(st_zstd_decode(z, frame.data, frame.length, &prefix, 5001, &back, &err) < 0);
  assert_true(st_zstd_decode(z, frame.data, frame.length - 1, &prefix, 5000, &back, &err) < 0);
  assert_true(st_zstd_decode(z, frame.data, 0, &prefix, 0, &back, &err) < 0);
  assert_int_equal(back.length, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip), cmocka_unit_test(test_list),
      cmocka_unit_test(test_bytes),      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_lengths),    cmocka_unit_test(test_steps),
      cmocka_unit_test(test_frames),
  };
  st_digest_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
