/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/cbor.h"

#include <cbor.h>
#include <string.h>

#include "systracker/base/escape.h"

/* Lengths became uint64_t in libcbor 0.10. */
#if CBOR_MAJOR_VERSION == 0 && CBOR_MINOR_VERSION < 10
typedef size_t length_type;
#else
typedef uint64_t length_type;
#endif

#define HEAD_SIZE 9 /* the longest head of an item: one byte and 64 bits */

enum kind { OTHER, UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, NULL_ITEM, BOOLEAN };

/* One head, with the string behind it. */
struct item {
  enum kind kind;
  uint64_t number;     /* value, -1 - value, length, count, 0 or 1 */
  const uint8_t *data; /* of BYTES and TEXT */
};

static size_t encode_head(uint8_t *to, enum kind kind, uint64_t n)
{
  switch (kind) {
  case UNSIGNED:
    return cbor_encode_uint(n, to, HEAD_SIZE);
  case NEGATIVE:
    return cbor_encode_negint(n, to, HEAD_SIZE);
  case BYTES:
    return cbor_encode_bytestring_start(n, to, HEAD_SIZE);
  case TEXT:
    return cbor_encode_string_start(n, to, HEAD_SIZE);
  case ARRAY:
    return cbor_encode_array_start(n, to, HEAD_SIZE);
  case NULL_ITEM:
    return cbor_encode_null(to, HEAD_SIZE);
  case BOOLEAN:
    return cbor_encode_bool(n != 0, to, HEAD_SIZE);
  default:
    return 0;
  }
}

static inline void put_head(struct st_buffer *out, enum kind kind, uint64_t n)
{
  st_buffer_reserve(out, HEAD_SIZE);
  out->length += encode_head((uint8_t *)out->data + out->length, kind, n);
  out->data[out->length] = 0;
}

static void put_string(struct st_buffer *out, enum kind kind, const void *data, size_t length)
{
  size_t room;
  if (__builtin_add_overflow(length, (size_t)HEAD_SIZE, &room))
    room = SIZE_MAX; /* which there is not */
  st_buffer_reserve(out, room);
  out->length += encode_head((uint8_t *)out->data + out->length, kind, length);
  if (length > 0)
    memcpy(out->data + out->length, data, length);
  out->length += length;
  out->data[out->length] = 0;
}

void st_cbor_array(struct st_buffer *out, uint64_t count)
{
  put_head(out, ARRAY, count);
}

void st_cbor_integer(struct st_buffer *out, int64_t n)
{
  if (n >= 0)
    put_head(out, UNSIGNED, (uint64_t)n);
  else
    put_head(out, NEGATIVE, (uint64_t)(-1 - n));
}

void st_cbor_bytes(struct st_buffer *out, const void *data, size_t length)
{
  put_string(out, BYTES, data, length);
}

void st_cbor_text(struct st_buffer *out, const void *data, size_t length)
{
  put_string(out, TEXT, data, length);
}

void st_cbor_string(struct st_buffer *out, const char *s)
{
  st_cbor_text(out, s, strlen(s));
}

void st_cbor_null(struct st_buffer *out)
{
  put_head(out, NULL_ITEM, 0);
}

void st_cbor_bool(struct st_buffer *out, bool b)
{
  put_head(out, BOOLEAN, b);
}

void st_cbor_value(struct st_buffer *out, const struct st_value *value)
{
  switch (value->type) {
  case ST_INTEGER:
    st_cbor_integer(out, value->u.integer);
    break;
  case ST_TEXT:
    st_cbor_text(out, value->u.bytes.data, value->u.bytes.length);
    break;
  case ST_BYTES:
  case ST_PATH:
    st_cbor_bytes(out, value->u.bytes.data, value->u.bytes.length);
    break;
  case ST_ID:
    st_cbor_array(out, 2);
    st_cbor_integer(out, value->u.id.keyed);
    st_cbor_bytes(out, value->u.id.digest, sizeof value->u.id.digest);
    break;
  default:
    st_cbor_null(out);
  }
}

/* ---- libcbor's callbacks: each notes what it was called with --------------------- */

static void set(void *context, enum kind kind, uint64_t number, const uint8_t *data)
{
  *(struct item *)context = (struct item){kind, number, data};
}

static void on_uint8(void *context, uint8_t n)
{
  set(context, UNSIGNED, n, NULL);
}

static void on_uint16(void *context, uint16_t n)
{
  set(context, UNSIGNED, n, NULL);
}

static void on_uint32(void *context, uint32_t n)
{
  set(context, UNSIGNED, n, NULL);
}

static void on_uint64(void *context, uint64_t n)
{
  set(context, UNSIGNED, n, NULL);
}

static void on_negint8(void *context, uint8_t n)
{
  set(context, NEGATIVE, n, NULL);
}

static void on_negint16(void *context, uint16_t n)
{
  set(context, NEGATIVE, n, NULL);
}

static void on_negint32(void *context, uint32_t n)
{
  set(context, NEGATIVE, n, NULL);
}

static void on_negint64(void *context, uint64_t n)
{
  set(context, NEGATIVE, n, NULL);
}

static void on_bytes(void *context, cbor_data data, length_type length)
{
  set(context, BYTES, length, data);
}

static void on_text(void *context, cbor_data data, length_type length)
{
  set(context, TEXT, length, data);
}

static void on_array(void *context, length_type count)
{
  set(context, ARRAY, count, NULL);
}

static void on_null(void *context)
{
  set(context, NULL_ITEM, 0, NULL);
}

static void on_bool(void *context, bool b)
{
  set(context, BOOLEAN, b, NULL);
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_uint8,
    .uint16 = on_uint16,
    .uint32 = on_uint32,
    .uint64 = on_uint64,
    .negint8 = on_negint8,
    .negint16 = on_negint16,
    .negint32 = on_negint32,
    .negint64 = on_negint64,
    .byte_string = on_bytes,
    .byte_string_start = cbor_null_byte_string_start_callback,
    .string = on_text,
    .string_start = cbor_null_string_start_callback,
    .array_start = on_array,
    .indef_array_start = cbor_null_indef_array_start_callback,
    .map_start = cbor_null_map_start_callback,
    .indef_map_start = cbor_null_indef_map_start_callback,
    .tag = cbor_null_tag_callback,
    .float2 = cbor_null_float2_callback,
    .float4 = cbor_null_float4_callback,
    .float8 = cbor_null_float8_callback,
    .undefined = cbor_null_undefined_callback,
    .null = on_null,
    .boolean = on_bool,
    .indef_break = cbor_null_indef_break_callback,
};

/* ---- Reading ----------------------------------------------------------------------- */

static const char *const kind_names[] = {
    [OTHER] = "something that SysTracker does not use",
    [UNSIGNED] = "an integer",
    [NEGATIVE] = "a negative integer",
    [BYTES] = "a byte string",
    [TEXT] = "a text string",
    [ARRAY] = "an array",
    [NULL_ITEM] = "null",
    [BOOLEAN] = "a truth value",
};

/* Decodes the next item without consuming it; `*ret_size` is what it takes. */
static int peek(const struct st_cbor *in, struct item *item, size_t *ret_size, struct st_error *err)
{
  *item = (struct item){.kind = OTHER};
  if (!in->length)
    return st_fail(err, 0, "malformed CBOR: it ends where an item is expected");
  struct cbor_decoder_result r = cbor_stream_decode(in->data, in->length, &callbacks, item);
  if (r.status != CBOR_DECODER_FINISHED || r.read > in->length)
    return st_fail(err, 0, "malformed CBOR: an item is cut short or unknown");
  uint64_t behind = item->kind == BYTES || item->kind == TEXT ? item->number : 0;
  uint8_t head[HEAD_SIZE];
  size_t shortest = encode_head(head, item->kind, item->number);
  if (item->kind != OTHER && r.read - behind != shortest)
    return st_fail(err, 0, "malformed CBOR: %s is not in its shortest form",
                   kind_names[item->kind]);
  *ret_size = r.read;
  return 0;
}

static void skip(struct st_cbor *in, size_t size)
{
  in->data += size;
  in->length -= size;
}

/* Consumes the next item, which must be of this kind. */
static int take(struct st_cbor *in, enum kind kind, struct item *item, struct st_error *err)
{
  size_t size;
  if (peek(in, item, &size, err) < 0)
    return -1;
  if (item->kind != kind)
    return st_fail(err, 0, "malformed CBOR: %s where %s is expected", kind_names[item->kind],
                   kind_names[kind]);
  skip(in, size);
  return 0;
}

bool st_cbor_at_end(const struct st_cbor *in)
{
  return !in->length;
}

int st_cbor_read_array(struct st_cbor *in, uint64_t *ret_count, struct st_error *err)
{
  struct item item;
  if (take(in, ARRAY, &item, err) < 0)
    return -1;
  /* Each item takes one byte at least. */
  if (item.number > in->length)
    return st_fail(err, 0, "malformed CBOR: an array is longer than its data");
  *ret_count = item.number;
  return 0;
}

int st_cbor_read_integer(struct st_cbor *in, int64_t *ret, struct st_error *err)
{
  struct item item;
  size_t size;
  if (peek(in, &item, &size, err) < 0)
    return -1;
  if (item.kind != UNSIGNED && item.kind != NEGATIVE)
    return st_fail(err, 0, "malformed CBOR: %s where an integer is expected",
                   kind_names[item.kind]);
  if (item.number > INT64_MAX)
    return st_fail(err, 0, "malformed CBOR: an integer is out of range");
  *ret = item.kind == NEGATIVE ? -1 - (int64_t)item.number : (int64_t)item.number;
  skip(in, size);
  return 0;
}

int st_cbor_read_bytes(struct st_cbor *in, const void **ret, size_t *ret_length,
                       struct st_error *err)
{
  struct item item;
  if (take(in, BYTES, &item, err) < 0)
    return -1;
  *ret = item.data;
  *ret_length = (size_t)item.number;
  return 0;
}

int st_cbor_read_fixed(struct st_cbor *in, void *out, size_t n, struct st_error *err)
{
  const void *data;
  size_t length;
  if (st_cbor_read_bytes(in, &data, &length, err) < 0)
    return -1;
  if (length != n)
    return st_fail(err, 0, "malformed CBOR: a byte string of %zu where %zu are expected", length,
                   n);
  if (n)
    memcpy(out, data, n);
  return 0;
}

int st_cbor_read_text(struct st_cbor *in, const char **ret, size_t *ret_length,
                      struct st_error *err)
{
  struct item item;
  if (take(in, TEXT, &item, err) < 0)
    return -1;
  if (!st_is_utf8(item.data, (size_t)item.number))
    return st_fail(err, 0, "malformed CBOR: a text string is not UTF-8");
  *ret = (const char *)item.data;
  *ret_length = (size_t)item.number;
  return 0;
}

int st_cbor_read_bool(struct st_cbor *in, bool *ret, struct st_error *err)
{
  struct item item;
  if (take(in, BOOLEAN, &item, err) < 0)
    return -1;
  *ret = item.number;
  return 0;
}

bool st_cbor_take_null(struct st_cbor *in)
{
  uint8_t null[HEAD_SIZE];
  size_t size = cbor_encode_null(null, sizeof null);
  if (in->length < size || memcmp(in->data, null, size) != 0)
    return false;
  skip(in, size);
  return true;
}

static int read_id(struct st_cbor *in, struct st_id *ret, struct st_error *err)
{
  uint64_t count = 0;
  int64_t keyed;
  if (st_cbor_read_array(in, &count, err) < 0)
    return -1;
  if (count != 2)
    return st_fail(err, 0, "malformed CBOR: an id is not an array of two");
  if (st_cbor_read_integer(in, &keyed, err) < 0)
    return -1;
  if (keyed != 0 && keyed != 1)
    return st_fail(err, 0, "malformed CBOR: an id of an unknown kind");
  ret->keyed = (uint8_t)keyed;
  return st_cbor_read_fixed(in, ret->digest, sizeof ret->digest, err);
}

int st_cbor_read_value(struct st_cbor *in, enum st_value_type type, struct st_value *ret,
                       struct st_error *err)
{
  const char *text;
  *ret = st_null();
  if (st_cbor_take_null(in))
    return 0;
  ret->type = type;
  switch (type) {
  case ST_INTEGER:
    return st_cbor_read_integer(in, &ret->u.integer, err);
  case ST_TEXT:
    if (st_cbor_read_text(in, &text, &ret->u.bytes.length, err) < 0)
      return -1;
    ret->u.bytes.data = text;
    return 0;
  case ST_BYTES:
  case ST_PATH:
    return st_cbor_read_bytes(in, &ret->u.bytes.data, &ret->u.bytes.length, err);
  case ST_ID:
    return read_id(in, &ret->u.id, err);
  default:
    return st_fail(err, 0, "malformed CBOR: a value where null is expected");
  }
}

bool st_cbor_take_long(struct st_cbor *in, unsigned low, uint64_t *ret)
{
  size_t more = low < 28 ? (size_t)1 << (low - 24) : SIZE_MAX;
  if (more > in->length)
    return false;
  *ret = 0;
  for (size_t i = 0; i < more; i++)
    *ret = *ret << 8 | in->data[i];
  in->data += more;
  in->length -= more;
  return true;
}
