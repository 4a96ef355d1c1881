/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cbor.h - CBOR (RFC 8949) in deterministic form, over libcbor's streaming encoder and decoder.
 *
 * Writing: definite lengths, shortest form.  Reading: anything else, and any length that exceeds
 * what is left, is an error; nothing is allocated by a length that was only claimed.
 */
#ifndef ST_BASE_CBOR_H
#define ST_BASE_CBOR_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

void st_cbor_array(struct st_buffer *out, uint64_t count);
void st_cbor_integer(struct st_buffer *out, int64_t n);
void st_cbor_bytes(struct st_buffer *out, const void *data, size_t length);
void st_cbor_text(struct st_buffer *out, const void *data, size_t length);
void st_cbor_string(struct st_buffer *out, const char *s);
void st_cbor_null(struct st_buffer *out);
void st_cbor_bool(struct st_buffer *out, bool b);
/* A value: ST_NULL as null, ST_INTEGER as an integer, ST_TEXT as a text string, ST_BYTES and
 * ST_PATH as byte strings, ST_ID as an array [keyed (0 or 1), byte string of 32].  The type is not
 * written: whoever reads knows the column's.  Text that is no UTF-8 is refused when it is read, so
 * whoever writes must see to it. */
void st_cbor_value(struct st_buffer *out, const struct st_value *value);

/* A place in borrowed bytes. */
struct st_cbor {
  const uint8_t *data;
  size_t length; /* left */
};

bool st_cbor_at_end(const struct st_cbor *in);
int st_cbor_read_array(struct st_cbor *in, uint64_t *ret_count, struct st_error *err);
int st_cbor_read_integer(struct st_cbor *in, int64_t *ret, struct st_error *err);
int st_cbor_read_bytes(struct st_cbor *in, const void **ret, size_t *ret_length,
                       struct st_error *err);
/* Exactly n bytes, copied. */
int st_cbor_read_fixed(struct st_cbor *in, void *out, size_t n, struct st_error *err);
int st_cbor_read_text(struct st_cbor *in, const char **ret, size_t *ret_length,
                      struct st_error *err);
int st_cbor_read_bool(struct st_cbor *in, bool *ret, struct st_error *err);
/* Whether null is next; then it is consumed. */
bool st_cbor_take_null(struct st_cbor *in);
/* A value of the type (or null); borrowed from the input. */
int st_cbor_read_value(struct st_cbor *in, enum st_value_type type, struct st_value *ret,
                       struct st_error *err);

/* Heads alone, for who passes over millions of items without taking them (RFC 8949, 3): the major
 * type, and the value, length or count that it carries.  What is behind the head stays.  Whether
 * lengths are the shortest is not looked at.  false: it is cut off, or of no definite length. */
enum st_cbor_major {
  ST_CBOR_UNSIGNED,
  ST_CBOR_NEGATIVE,
  ST_CBOR_BYTES,
  ST_CBOR_TEXT,
  ST_CBOR_ARRAY,
  ST_CBOR_MAP,
  ST_CBOR_TAG,
  ST_CBOR_SIMPLE,
};
/* The number behind a head that does not hold it: for st_cbor_take_head. */
bool st_cbor_take_long(struct st_cbor *in, unsigned low, uint64_t *ret);

static inline bool st_cbor_take_head(struct st_cbor *in, unsigned *ret_major, uint64_t *ret)
{
  if (in->length == 0)
    return false;
  unsigned low = *in->data & 31;
  *ret_major = *in->data++ >> 5;
  in->length--;
  *ret = low;
  return low < 24 || st_cbor_take_long(in, low, ret);
}

#endif
