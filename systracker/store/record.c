/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/record.h"

#include <string.h>

enum {
  FORMAT = 0x10,
  FORMAT_MASK = 0xf0,
  ENCODING_MASK = 0x07,
  KEYED = 0x08,
  STEP_MAX = 215,
  FRONT_SIZE = 3,
};

size_t st_number_encode(uint8_t *out, uint64_t n)
{
  size_t used = 0;
  for (; n >= 0x80; n >>= 7)
    out[used++] = (uint8_t)n | 0x80;
  out[used++] = (uint8_t)n;
  return used;
}

int st_number_decode(const uint8_t *data, size_t length, uint64_t *ret)
{
  uint64_t n = 0;
  for (size_t i = 0; i < ST_NUMBER_MAX; i++) {
    if (i == length)
      return 0;
    n |= (uint64_t)(data[i] & 0x7f) << (7 * i);
    if (data[i] & 0x80)
      continue;
    if (i > 0 && data[i] == 0)
      return -1;
    *ret = n;
    return (int)i + 1;
  }
  return -1;
}

static uint8_t type_byte(const struct st_record *r)
{
  return (uint8_t)(FORMAT | r->encoding | (r->id.keyed ? KEYED : 0));
}

size_t st_record_encode(uint8_t out[ST_RECORD_HEAD_MAX], const struct st_record *record)
{
  size_t n = 0;
  out[n++] = 'S';
  out[n++] = 'T';
  out[n++] = type_byte(record);
  n += st_number_encode(out + n, record->raw);
  n += st_number_encode(out + n, record->stored);
  memcpy(out + n, record->id.digest, ST_DIGEST_SIZE);
  n += ST_DIGEST_SIZE;
  if (!record->has_base)
    return n;
  out[n++] = record->step;
  memcpy(out + n, record->base, ST_RECORD_BASE_SIZE);
  return n + ST_RECORD_BASE_SIZE;
}

/* The bytes at the front, as many of them as there are. */
static bool decode_front(const uint8_t *data, size_t length, struct st_record *r)
{
  static const uint8_t magic[] = {'S', 'T'};
  if (memcmp(data, magic, length < sizeof magic ? length : sizeof magic) != 0)
    return false;
  if (length < FRONT_SIZE)
    return true;
  r->encoding = data[2] & ENCODING_MASK;
  r->id.keyed = data[2] & KEYED ? 1 : 0;
  r->has_base = st_encoding_has_base(r->encoding);
  return (data[2] & FORMAT_MASK) == FORMAT;
}

static bool lengths_fit(const struct st_record *r)
{
  if (r->encoding == ST_ENCODING_PART) /* where it begins */
    return !r->id.keyed && r->stored > 0 && r->stored <= ST_NUMBER_MAX;
  uint64_t sealing = st_record_is_sealed(r) ? ST_SEAL_OVERHEAD : 0;
  return r->stored >= sealing && r->stored <= r->raw + sealing &&
         r->stored <= ST_RECORD_RAW_MAX + sealing;
}

int st_record_decode(const uint8_t *data, size_t length, struct st_record *ret)
{
  *ret = (struct st_record){0};
  if (!decode_front(data, length, ret))
    return -1;
  if (length < FRONT_SIZE)
    return 0;
  size_t n = FRONT_SIZE;
  int used = st_number_decode(data + n, length - n, &ret->raw);
  if (used <= 0)
    return used;
  if (ret->raw > st_record_raw_max(ret->encoding))
    return -1;
  n += (size_t)used;
  used = st_number_decode(data + n, length - n, &ret->stored);
  if (used <= 0)
    return used;
  n += (size_t)used;
  if (!lengths_fit(ret))
    return -1;
  size_t rest = ST_DIGEST_SIZE + (ret->has_base ? 1 + ST_RECORD_BASE_SIZE : 0);
  if (length - n < rest)
    return 0;
  memcpy(ret->id.digest, data + n, ST_DIGEST_SIZE);
  if (ret->has_base) {
    ret->step = data[n + ST_DIGEST_SIZE];
    memcpy(ret->base, data + n + ST_DIGEST_SIZE + 1, ST_RECORD_BASE_SIZE);
    if (ret->step < 1 || ret->step > STEP_MAX)
      return -1;
  }
  return (int)(n + rest);
}

uint64_t st_record_size(const struct st_record *record)
{
  uint8_t head[ST_RECORD_HEAD_MAX];
  return st_record_encode(head, record) + record->stored + ST_RECORD_CRC_SIZE;
}

void st_record_aad(uint8_t out[ST_RECORD_AAD_SIZE], const struct st_record *record)
{
  out[0] = record->id.keyed;
  memcpy(out + 1, record->id.digest, ST_DIGEST_SIZE);
  out[33] = type_byte(record);
  out[34] = record->step;
}
