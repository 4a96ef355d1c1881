/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-wire.c - what travels comes back as it was, and what a stranger makes of it is refused. */
#include "systracker/base/test-scratch.h"

#include <string.h>
#include <zstd.h>

#include "archive-sync/wire.h"
#include "systracker/base/file.h"

static struct st_buffer text_buffer(const char *text)
{
  struct st_buffer b = ST_BUFFER_INIT;
  st_buffer_append_string(&b, text);
  return b;
}

static void assert_refused(struct st_error *err, const char *words)
{
  assert_non_null(err->message);
  if (!strstr(err->message, words))
    fail_msg("\"%s\" does not say \"%s\"", err->message, words);
  st_error_clear(err);
}

/* ---- Ids ---------------------------------------------------------------------------------------
 */

static void test_ids(void **state)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  struct st_id ids[3], back;

  (void)state;
  for (size_t i = 0; i < ST_COUNT(ids); i++) {
    ids[i].keyed = i == 1;
    memset(ids[i].digest, (int)i + 1, ST_DIGEST_SIZE);
    st_wire_add_id(&out, &ids[i]);
  }
  assert_int_equal(out.length, 3 * ST_WIRE_ID_SIZE);
  for (size_t i = 0; i < ST_COUNT(ids); i++) {
    assert_int_equal(st_wire_id_at(out.data, out.length, i, &back, &err), 0);
    assert_true(st_id_equal(&back, &ids[i]));
  }
  assert_int_equal(st_wire_id_at(out.data, out.length, 3, &back, &err), -1);
  assert_refused(&err, "cut short");
  assert_int_equal(st_wire_id_at(out.data, out.length - 1, 0, &back, &err), -1);
  assert_refused(&err, "cut short");
  assert_int_equal(st_wire_id_at("", 0, 0, &back, &err), -1);
  assert_refused(&err, "cut short");
  out.data[ST_WIRE_ID_SIZE] = 2;
  assert_int_equal(st_wire_id_at(out.data, out.length, 1, &back, &err), -1);
  assert_refused(&err, "kind");
}

/* ---- Records -----------------------------------------------------------------------------------
 */

/* Nothing is proved here: any payload will do. */
static void add(struct st_buffer *out, struct st_record record, const char *payload)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_PARCEL parcel = {.record = record, .payload = text_buffer(payload)};

  parcel.record.stored = parcel.payload.length;
  assert_int_equal(st_wire_add_parcel(out, &parcel, &err), 0);
}

static void add_three(struct st_buffer *out)
{
  struct st_record delta = {
      .raw = 1000, .encoding = ST_ENCODING_DELTA, .has_base = true, .step = 7, .base = {1, 2, 3}};

  add(out, (struct st_record){.raw = 5}, "hello");
  add(out, delta, "not much");
  add(out, (struct st_record){.raw = 0}, "");
}

static void test_parcels(void **state)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_PARCEL p = {0};
  size_t at = 0;

  (void)state;
  add_three(&out);
  assert_int_equal(st_wire_parcel_at(out.data, out.length, &at, &p, &err), 1);
  assert_int_equal(p.payload.length, 5);
  assert_memory_equal(p.payload.data, "hello", 5);
  assert_int_equal(st_wire_parcel_at(out.data, out.length, &at, &p, &err), 1);
  assert_int_equal(p.record.step, 7);
  assert_int_equal(p.record.base[2], 3);
  assert_memory_equal(p.payload.data, "not much", 8);
  assert_int_equal(st_wire_parcel_at(out.data, out.length, &at, &p, &err), 1);
  assert_int_equal(p.payload.length, 0);
  assert_int_equal(st_wire_parcel_at(out.data, out.length, &at, &p, &err), 0);
  assert_int_equal(at, out.length);
}

static int count_parcels(const struct st_buffer *bytes, struct st_error *err)
{
  ST_AUTO_PARCEL p = {0};
  size_t at = 0;
  int n = 0, r;

  while ((r = st_wire_parcel_at(bytes->data, bytes->length, &at, &p, err)) > 0)
    n++;
  return r < 0 ? r : n;
}

/* From a file and from memory the same bytes are the same records, or refused. */
static int count_in_file(int dir, const struct st_buffer *bytes, struct st_error *err)
{
  ST_AUTO_CLOSE int fd = openat(dir, "parcels", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ST_AUTO_PARCEL p = {0};
  int n = 0, r;

  assert_int_equal(st_write_all(fd, bytes->data, bytes->length, err), 0);
  lseek(fd, 0, SEEK_SET);
  while ((r = st_wire_read_parcel(fd, &p, err)) > 0)
    n++;
  return r < 0 ? r : n;
}

static void test_parcels_cut(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  size_t ends[4] = {0}, at = 0, n = 0;
  ST_AUTO_PARCEL p = {0};

  add_three(&out);
  while (st_wire_parcel_at(out.data, out.length, &at, &p, &err) > 0)
    ends[++n] = at;
  assert_int_equal(n, 3);
  size_t whole = out.length;
  for (size_t length = 0; length <= whole; length++) {
    int expected = -1;
    for (size_t i = 0; i < ST_COUNT(ends); i++)
      expected = ends[i] == length ? (int)i : expected;
    out.length = length;
    assert_int_equal(count_parcels(&out, &err), expected);
    st_error_clear(&err);
    assert_int_equal(count_in_file(s->fd, &out, &err), expected);
    st_error_clear(&err);
  }
}

static void test_parcels_flipped(void **state)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;

  (void)state;
  add_three(&out);
  for (size_t bit = 0; bit < 8 * out.length; bit++) {
    out.data[bit / 8] ^= (char)(1 << bit % 8);
    assert_int_equal(count_parcels(&out, &err), -1);
    st_error_clear(&err);
    out.data[bit / 8] ^= (char)(1 << bit % 8);
  }
}

/* Lengths that go beyond what is there, and beyond what any record may have. */
static void test_parcels_lie(void **state)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  uint8_t head[ST_RECORD_HEAD_MAX];
  struct st_record record = {.raw = 1 << 30, .stored = 1 << 30};

  (void)state;
  st_buffer_append(&out, head, st_record_encode(head, &record));
  st_buffer_append(&out, head, sizeof(head));
  assert_int_equal(count_parcels(&out, &err), -1);
  assert_refused(&err, "cut short");
  assert_int_equal(out.length < 200, 1);
  record.raw = record.stored = ((uint64_t)1 << 30) + 1;
  st_buffer_clear(&out);
  st_buffer_append(&out, head, st_record_encode(head, &record));
  assert_int_equal(count_parcels(&out, &err), -1);
  assert_refused(&err, "malformed");
}

static void test_groups_stay(void **state)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  uint8_t head[ST_RECORD_HEAD_MAX];
  static const uint8_t encodings[] = {ST_ENCODING_GROUP, ST_ENCODING_PART, 4, 7};

  (void)state;
  for (size_t i = 0; i < ST_COUNT(encodings); i++) {
    ST_AUTO_PARCEL p = {.record = {.encoding = encodings[i], .raw = 100, .stored = 1},
                        .payload = text_buffer("x")};
    p.record.has_base = encodings[i] == ST_ENCODING_PART;
    p.record.step = p.record.has_base;
    assert_int_equal(st_wire_add_parcel(&out, &p, &err), -1);
    assert_refused(&err, "does not travel");
    assert_int_equal(out.length, 0);
    st_buffer_append(&out, head, st_record_encode(head, &p.record));
    st_buffer_append(&out, "xCRC4", 5);
    assert_int_equal(count_parcels(&out, &err), -1);
    assert_refused(&err, "does not travel");
    st_buffer_clear(&out);
  }
}

static void test_work(void **state)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_record whole = {.raw = 1000}, list = {.encoding = ST_ENCODING_LIST};
  struct st_record delta = {
      .raw = 1000, .encoding = ST_ENCODING_DELTA, .has_base = true, .step = 7};

  (void)state;
  assert_int_equal(st_wire_work(&whole), 1000);
  assert_int_equal(st_wire_work(&delta), 3000);
  list.raw = ST_WIRE_LIST_RAW_MAX;
  assert_int_equal(st_wire_work(&list), 0);
  assert_int_equal(st_wire_check_record(&list, &err), 0);
  list.raw++;
  assert_int_equal(st_wire_check_record(&list, &err), -1);
  assert_refused(&err, "larger");
  whole.raw = ST_WIRE_RAW_MAX + 1;
  assert_int_equal(st_wire_check_record(&whole, &err), -1);
  assert_refused(&err, "larger");
}

/* ---- Changesets --------------------------------------------------------------------------------
 */

static struct st_changeset some_changeset(size_t facts)
{
  struct st_changeset set = {
      .header = text_buffer("header"), .declarations = text_buffer("declarations"), .since = 41};
  for (size_t i = 0; i < facts; i++)
    st_buffer_printf(&set.body, "fact %zu;", i);
  return set;
}

static void assert_same_bytes(const struct st_buffer *a, const struct st_buffer *b)
{
  assert_int_equal(a->length, b->length);
  if (a->length > 0)
    assert_memory_equal(a->data, b->data, a->length);
}

static void test_changeset(void **state)
{
  static const size_t facts[] = {0, 1, 100000};

  (void)state;
  for (size_t i = 0; i < ST_COUNT(facts); i++) {
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    ST_AUTO_BUFFER out = ST_BUFFER_INIT;
    ST_AUTO_CHANGESET set = some_changeset(facts[i]), back = {0};

    st_buffer_append(&set.between, "a\0b", 3);
    assert_int_equal(st_wire_add_changeset(&out, &set, &err), 0);
    assert_int_equal(st_wire_read_changeset(out.data, out.length, &back, &err), 0);
    assert_same_bytes(&set.header, &back.header);
    assert_same_bytes(&set.declarations, &back.declarations);
    assert_same_bytes(&set.between, &back.between);
    assert_same_bytes(&set.body, &back.body);
    assert_int_equal(back.since, 41);
    assert_int_equal(st_wire_changeset_body(out.data, out.length), set.body.length);
    assert_int_equal(st_wire_changeset_body(out.data, 7), 0);
  }
}

static void test_changeset_cut(void **state)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_CHANGESET set = some_changeset(20), back = {0};

  (void)state;
  assert_int_equal(st_wire_add_changeset(&out, &set, &err), 0);
  for (size_t n = 0; n < out.length; n++) {
    ST_AUTO_FREE void *exact = st_memdup(out.data, n); /* so that a sanitizer sees what is beyond */
    assert_int_equal(st_wire_read_changeset(exact, n, &back, &err), -1);
    assert_refused(&err, "a changeset cannot be read");
  }
  st_buffer_append_byte(&out, 0);
  assert_int_equal(st_wire_read_changeset(out.data, out.length, &back, &err), -1);
  assert_refused(&err, "malformed");
}

/* A changeset whose parts are the test's. */
static void compose(struct st_buffer *out, int64_t version, int64_t since, size_t header,
                    const struct st_buffer *frame)
{
  ST_AUTO_FREE char *zeros = st_calloc(1, header + 1);

  st_buffer_clear(out);
  st_cbor_array(out, 6);
  st_cbor_integer(out, version);
  st_cbor_bytes(out, zeros, header);
  st_cbor_bytes(out, "", 0);
  st_cbor_bytes(out, "", 0);
  st_cbor_integer(out, since);
  st_cbor_bytes(out, frame->data ? frame->data : "", frame->length);
}

static void compress(struct st_buffer *out, const void *data, size_t length, int window_log)
{
  ZSTD_CCtx *c = ZSTD_createCCtx();
  size_t room = ZSTD_compressBound(length);

  st_buffer_reserve(out, room);
  if (window_log > 0)
    ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log);
  ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, window_log == 0);
  size_t n = ZSTD_compress2(c, out->data + out->length, room, data, length);
  assert_false(ZSTD_isError(n));
  out->length += n;
  ZSTD_freeCCtx(c);
}

static void refuses_frame(const struct st_buffer *frame, const char *words)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_CHANGESET back = {0};

  compose(&out, 1, 0, 10, frame);
  assert_int_equal(st_wire_read_changeset(out.data, out.length, &back, &err), -1);
  assert_refused(&err, words);
  assert_true(back.body.size < 1 << 20); /* nothing was allocated by what it claimed */
}

static void test_changeset_parts(void **state)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER frame = ST_BUFFER_INIT, out = ST_BUFFER_INIT;
  ST_AUTO_CHANGESET back = {0};

  (void)state;
  compress(&frame, "body", 4, 0);
  compose(&out, 1, 0, ST_HEADER_MAX, &frame);
  assert_int_equal(st_wire_read_changeset(out.data, out.length, &back, &err), 0);
  compose(&out, 1, 0, ST_HEADER_MAX + 1, &frame);
  assert_int_equal(st_wire_read_changeset(out.data, out.length, &back, &err), -1);
  assert_refused(&err, "too long");
  compose(&out, 2, 0, 1, &frame);
  assert_int_equal(st_wire_read_changeset(out.data, out.length, &back, &err), -1);
  assert_refused(&err, "version 2");
  compose(&out, 1, -1, 1, &frame);
  assert_int_equal(st_wire_read_changeset(out.data, out.length, &back, &err), -1);
  assert_refused(&err, "malformed");
}

static void test_frames(void **state)
{
  ST_AUTO_BUFFER frame = ST_BUFFER_INIT;
  static const char skippable[] = {0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0};

  (void)state;
  refuses_frame(&frame, "not one zstd frame");
  st_buffer_append(&frame, skippable, sizeof(skippable));
  refuses_frame(&frame, "not one zstd frame");
  st_buffer_clear(&frame);
  compress(&frame, "one", 3, 0);
  compress(&frame, "two", 3, 0);
  refuses_frame(&frame, "not one zstd frame");
  st_buffer_clear(&frame);
  compress(&frame, "of no known length", 18, 17);
  refuses_frame(&frame, "does not say");
}

/* 300 MiB of zeros in some KiB, and a head that claims more than all memory. */
static void test_bombs(void **state)
{
  ST_AUTO_BUFFER frame = ST_BUFFER_INIT;
  size_t length = (size_t)300 << 20;
  static const uint8_t front[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0};

  (void)state;
  char *zeros = calloc(1, length);
  compress(&frame, zeros, length, 0);
  free(zeros);
  assert_true(frame.length < 100000);
  refuses_frame(&frame, "too long");
  st_buffer_clear(&frame);
  st_buffer_append(&frame, front, sizeof(front)); /* an empty last block behind it */
  refuses_frame(&frame, "too long");
}

/* A length that is not that of the content, less and more. */
static void test_frame_lies(void **state)
{
  ST_AUTO_BUFFER frame = ST_BUFFER_INIT;

  (void)state;
  compress(&frame, "1234567890", 10, 0);
  assert_int_equal(frame.data[5], 10); /* one segment, length in a byte */
  frame.data[5] = 11;
  refuses_frame(&frame, "cannot be decompressed");
  frame.data[5] = 9;
  refuses_frame(&frame, "cannot be decompressed");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ids),           cmocka_unit_test(test_parcels),
      scratch_test(test_parcels_cut),       cmocka_unit_test(test_parcels_flipped),
      cmocka_unit_test(test_parcels_lie),   cmocka_unit_test(test_groups_stay),
      cmocka_unit_test(test_work),          cmocka_unit_test(test_changeset),
      cmocka_unit_test(test_changeset_cut), cmocka_unit_test(test_changeset_parts),
      cmocka_unit_test(test_frames),        cmocka_unit_test(test_bombs),
      cmocka_unit_test(test_frame_lies),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
