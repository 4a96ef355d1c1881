/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/wire.h"

#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "systracker/base/file.h"
#include "systracker/store/delta.h"

#define CHANGESET_VERSION 1
#define CHANGESET_PARTS 6
#define LEVEL 3

/* ---- Ids ---------------------------------------------------------------------------------------
 */

void st_wire_add_id(struct st_buffer *out, const struct st_id *id)
{
  st_buffer_append_byte(out, id->keyed);
  st_buffer_append(out, id->digest, ST_DIGEST_SIZE);
}

int st_wire_id_at(const void *data, size_t length, size_t n, struct st_id *ret,
                  struct st_error *err)
{
  if (length % ST_WIRE_ID_SIZE != 0 || n >= length / ST_WIRE_ID_SIZE)
    return st_fail(err, 0, "ids are cut short");
  const uint8_t *at = (const uint8_t *)data + n * ST_WIRE_ID_SIZE;
  if (at[0] > 1)
    return st_fail(err, 0, "an id is of no known kind");
  ret->keyed = at[0];
  memcpy(ret->digest, at + 1, ST_DIGEST_SIZE);
  return 0;
}

/* ---- Records -----------------------------------------------------------------------------------
 */

static uint32_t get_u32(const uint8_t *in)
{
  return in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

/* What only a pack has is refused on both sides. */
static int check_encoding(const struct st_record *record, struct st_error *err)
{
  switch (record->encoding) {
  case ST_ENCODING_RAW:
  case ST_ENCODING_ZSTD:
  case ST_ENCODING_DELTA:
  case ST_ENCODING_LIST:
    return 0;
  default:
    return st_fail(err, 0, "a record of encoding %u does not travel", record->encoding);
  }
}

int st_wire_add_parcel(struct st_buffer *out, const struct st_parcel *parcel, struct st_error *err)
{
  uint8_t head[ST_RECORD_HEAD_MAX];
  size_t start = out->length;
  if (check_encoding(&parcel->record, err) < 0)
    return -1;
  if (parcel->payload.length != parcel->record.stored)
    return st_fail(err, 0, "a record's payload is not as long as it says");
  st_buffer_append(out, head, st_record_encode(head, &parcel->record));
  if (parcel->payload.length > 0)
    st_buffer_append(out, parcel->payload.data, parcel->payload.length);
  uint32_t crc = st_crc32c(0, out->data + start, out->length - start);
  for (int i = 0; i < ST_RECORD_CRC_SIZE; i++)
    st_buffer_append_byte(out, (uint8_t)(crc >> (8 * i)));
  return 0;
}

/* Bytes of the whole record that begins there, of which `left` are there. */
static int look_at_head(const uint8_t *data, size_t n, uint64_t left, struct st_record *ret,
                        uint64_t *ret_size, struct st_error *err)
{
  int head = st_record_decode(data, n, ret);
  if (head < 0)
    return st_fail(err, 0, "a record is malformed");
  if (head == 0)
    return st_fail(err, 0, "a record is cut short");
  if (check_encoding(ret, err) < 0)
    return -1;
  *ret_size = st_record_size(ret);
  return *ret_size <= left ? 0 : st_fail(err, 0, "a record is cut short");
}

static int take_parcel(const uint8_t *bytes, size_t size, struct st_parcel *ret,
                       struct st_error *err)
{
  size_t body = size - ST_RECORD_CRC_SIZE;
  if (st_crc32c(0, bytes, body) != get_u32(bytes + body))
    return st_fail(err, 0, "a record's checksum is wrong");
  st_buffer_clear(&ret->payload);
  if (ret->record.stored > 0)
    st_buffer_append(&ret->payload, bytes + body - ret->record.stored, ret->record.stored);
  return 1;
}

int st_wire_parcel_at(const void *data, size_t length, size_t *at, struct st_parcel *ret,
                      struct st_error *err)
{
  const uint8_t *bytes = data;
  uint64_t size;
  if (*at >= length)
    return 0;
  size_t left = length - *at;
  bytes += *at;
  if (look_at_head(bytes, left < ST_RECORD_HEAD_MAX ? left : ST_RECORD_HEAD_MAX, left, &ret->record,
                   &size, err) < 0)
    return -1;
  *at += size;
  return take_parcel(bytes, size, ret, err);
}

int st_wire_read_parcel(int fd, struct st_parcel *ret, struct st_error *err)
{
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  uint8_t head[ST_RECORD_HEAD_MAX];
  uint64_t size;
  struct stat st;
  off_t at = lseek(fd, 0, SEEK_CUR);
  if (at < 0 || fstat(fd, &st) < 0)
    return st_fail(err, errno, "cannot read a record");
  if (at >= st.st_size)
    return 0;
  uint64_t left = (uint64_t)(st.st_size - at);
  size_t n = left < sizeof(head) ? (size_t)left : sizeof(head);
  if (st_pread_all(fd, head, n, at, err) < 0 ||
      look_at_head(head, n, left, &ret->record, &size, err) < 0)
    return -1;
  st_buffer_reserve(&bytes, size);
  if (st_pread_all(fd, bytes.data, size, at, err) < 0)
    return -1;
  if (lseek(fd, at + (off_t)size, SEEK_SET) < 0)
    return st_fail(err, errno, "cannot read a record");
  return take_parcel((const uint8_t *)bytes.data, size, ret, err);
}

uint64_t st_wire_work(const struct st_record *record)
{
  uint64_t steps = 1 + (record->has_base ? st_delta_depth(record->step) : 0);
  return record->encoding == ST_ENCODING_LIST ? 0 : record->raw * steps;
}

int st_wire_check_record(const struct st_record *record, struct st_error *err)
{
  bool list = record->encoding == ST_ENCODING_LIST;
  if (record->raw > (list ? ST_WIRE_LIST_RAW_MAX : ST_WIRE_RAW_MAX))
    return st_fail(err, 0, "an object of %llu bytes is larger than what is taken",
                   (unsigned long long)record->raw);
  return 0;
}

/* ---- Changesets --------------------------------------------------------------------------------
 */

static void add_bytes(struct st_buffer *out, const struct st_buffer *bytes)
{
  st_cbor_bytes(out, bytes->data ? bytes->data : "", bytes->length);
}

int st_wire_add_changeset(struct st_buffer *out, const struct st_changeset *set,
                          struct st_error *err)
{
  ST_AUTO_BUFFER packed = ST_BUFFER_INIT;
  if (set->body.length > ST_WIRE_BODY_MAX)
    return st_fail(err, 0, "the facts of a checkpoint are too many to be sent at once");
  size_t room = ZSTD_compressBound(set->body.length);
  st_buffer_reserve(&packed, room);
  size_t n = ZSTD_compress(packed.data, room, set->body.data ? set->body.data : "",
                           set->body.length, LEVEL);
  if (ZSTD_isError(n))
    return st_fail(err, 0, "cannot compress a checkpoint: %s", ZSTD_getErrorName(n));
  packed.length = n;
  st_cbor_array(out, CHANGESET_PARTS);
  st_cbor_integer(out, CHANGESET_VERSION);
  add_bytes(out, &set->header);
  add_bytes(out, &set->declarations);
  add_bytes(out, &set->between);
  st_cbor_integer(out, set->since);
  add_bytes(out, &packed);
  return 0;
}

static int read_part(struct st_cbor *in, size_t max, struct st_buffer *out, struct st_error *err)
{
  const void *data;
  size_t length;
  if (st_cbor_read_bytes(in, &data, &length, err) < 0)
    return -1;
  if (length > max)
    return st_fail(err, 0, "a part of it is too long");
  st_buffer_clear(out);
  if (length > 0)
    st_buffer_append(out, data, length);
  return 0;
}

/* One frame, no more, that says how much is in it: so that it is decoded in one call, into a buffer
 * of that size, and no window is allocated by what it claims. */
static int read_frame(const void *frame, size_t length, struct st_buffer *out, struct st_error *err)
{
  static const uint8_t magic[4] = {0x28, 0xb5, 0x2f, 0xfd};
  if (length < sizeof(magic) || memcmp(frame, magic, sizeof(magic)) != 0 ||
      ZSTD_findFrameCompressedSize(frame, length) != length)
    return st_fail(err, 0, "its body is not one zstd frame");
  unsigned long long raw = ZSTD_getFrameContentSize(frame, length);
  if (raw == ZSTD_CONTENTSIZE_UNKNOWN || raw == ZSTD_CONTENTSIZE_ERROR)
    return st_fail(err, 0, "its body does not say how long it is");
  if (raw > ST_WIRE_BODY_MAX)
    return st_fail(err, 0, "its body of %llu bytes is too long", raw);
  st_buffer_clear(out);
  st_buffer_reserve(out, raw);
  size_t n = ZSTD_decompress(out->data, raw, frame, length);
  if (ZSTD_isError(n) || n != raw)
    return st_fail(err, 0, "its body cannot be decompressed");
  out->length = n;
  out->data[n] = 0;
  return 0;
}

static int read_changeset(struct st_cbor *in, struct st_changeset *ret, struct st_error *err)
{
  const void *frame;
  uint64_t parts;
  int64_t version;
  size_t length;
  if (st_cbor_read_array(in, &parts, err) < 0 || st_cbor_read_integer(in, &version, err) < 0)
    return -1;
  if (parts != CHANGESET_PARTS || version != CHANGESET_VERSION)
    return st_fail(err, 0, "it is of version %lld, known is %d", (long long)version,
                   CHANGESET_VERSION);
  if (read_part(in, ST_HEADER_MAX, &ret->header, err) < 0 ||
      read_part(in, ST_WIRE_DECLARATIONS_MAX, &ret->declarations, err) < 0 ||
      read_part(in, ST_WIRE_CHANGESET_MAX, &ret->between, err) < 0 ||
      st_cbor_read_integer(in, &ret->since, err) < 0 ||
      st_cbor_read_bytes(in, &frame, &length, err) < 0)
    return -1;
  if (ret->since < 0 || !st_cbor_at_end(in))
    return st_fail(err, 0, "it is malformed");
  return read_frame(frame, length, &ret->body, err);
}

int st_wire_read_changeset(const void *data, size_t length, struct st_changeset *ret,
                           struct st_error *err)
{
  struct st_cbor in = {data, length};
  if (length > ST_WIRE_CHANGESET_MAX)
    return st_fail(err, 0, "a changeset of %zu bytes is too long", length);
  return read_changeset(&in, ret, err) < 0 ? st_wrap(err, "a changeset cannot be read") : 0;
}

/* Only what leads to the frame's head is looked at. */
uint64_t st_wire_changeset_body(const void *data, size_t length)
{
  struct st_cbor in = {data, length};
  const void *bytes;
  uint64_t parts;
  int64_t n;
  size_t size = 0;
  if (st_cbor_read_array(&in, &parts, NULL) < 0 || parts != CHANGESET_PARTS ||
      st_cbor_read_integer(&in, &n, NULL) < 0)
    return 0;
  for (int i = 0; i < 3; i++)
    if (st_cbor_read_bytes(&in, &bytes, &size, NULL) < 0)
      return 0;
  if (st_cbor_read_integer(&in, &n, NULL) < 0 || st_cbor_read_bytes(&in, &bytes, &size, NULL) < 0)
    return 0;
  unsigned long long raw = ZSTD_getFrameContentSize(bytes, size);
  return raw == ZSTD_CONTENTSIZE_UNKNOWN || raw == ZSTD_CONTENTSIZE_ERROR ? 0 : raw;
}
