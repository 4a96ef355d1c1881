/* SPDX-License-Identifier: GPL-2.0-or-later */
/* record.h - the head of one record of a pack, coded and decoded.  Format: pack.h. */
#ifndef ST_STORE_RECORD_H
#define ST_STORE_RECORD_H

#include "systracker/base/keys.h"

/* More is kept as a list of chunks alone, up to the second. */
#define ST_RECORD_RAW_MAX (1ULL << 30)
#define ST_RECORD_LIST_RAW_MAX (1ULL << 48)
#define ST_RECORD_GROUP_RAW_MAX (1ULL << 20) /* of a group, and so of a part */
#define ST_RECORD_HEAD_MAX 50                /* bytes before the payload */
#define ST_RECORD_CRC_SIZE 4
#define ST_RECORD_BASE_SIZE 4
#define ST_RECORD_AAD_SIZE 35

enum st_encoding {
  ST_ENCODING_RAW = 0,
  ST_ENCODING_ZSTD = 1,
  ST_ENCODING_DELTA = 2, /* zstd with the base as prefix */
  ST_ENCODING_LIST = 3,  /* list of chunks (chunklist.h) */
  /* 4: zstd with a dictionary, reserved */
  ST_ENCODING_GROUP = 5, /* several contents, zstd; its id is the digest of its payload (group.h) */
  ST_ENCODING_PART = 6,  /* one of them; the base is the group */
};

static inline bool st_encoding_is_known(uint8_t encoding)
{
  return encoding <= ST_ENCODING_LIST || encoding == ST_ENCODING_GROUP ||
         encoding == ST_ENCODING_PART;
}

static inline bool st_encoding_has_base(uint8_t encoding)
{
  return encoding == ST_ENCODING_DELTA || encoding == ST_ENCODING_PART;
}

struct st_record {
  struct st_id id;
  uint8_t encoding; /* enum st_encoding, or one that a newer version knows */
  bool has_base;    /* a delta, or a part of a group: step and base are set */
  uint8_t step;
  uint8_t base[ST_RECORD_BASE_SIZE];
  uint64_t raw, stored; /* bytes: of the content, of the payload */
};

/* Numbers of the format: LEB128, in the shortest form, at most 49 bits. */
#define ST_NUMBER_MAX 7
size_t st_number_encode(uint8_t *out, uint64_t n);
/* Returns the bytes used, 0 when there are too few, -1 when it is malformed. */
int st_number_decode(const uint8_t *data, size_t length, uint64_t *ret);

/* The most that the content of a record may have. */
static inline uint64_t st_record_raw_max(uint8_t encoding)
{
  switch (encoding) {
  case ST_ENCODING_LIST:
    return ST_RECORD_LIST_RAW_MAX;
  case ST_ENCODING_GROUP:
  case ST_ENCODING_PART:
    return ST_RECORD_GROUP_RAW_MAX;
  default:
    return ST_RECORD_RAW_MAX;
  }
}

/* Whether the payload is sealed: a secret's, but for a list of chunks. */
static inline bool st_record_is_sealed(const struct st_record *record)
{
  return record->id.keyed && record->encoding != ST_ENCODING_LIST;
}

/* The head's bytes; returns how many. */
size_t st_record_encode(uint8_t out[ST_RECORD_HEAD_MAX], const struct st_record *record);

/* Reads a head; all bounds of the format are checked.  Returns its bytes, 0 when `length` ends
 * before it does, or -1: no record begins so. */
int st_record_decode(const uint8_t *data, size_t length, struct st_record *ret);

/* Bytes of the whole record. */
uint64_t st_record_size(const struct st_record *record);

/* What is authenticated along with a sealed payload. */
void st_record_aad(uint8_t out[ST_RECORD_AAD_SIZE], const struct st_record *record);

#endif
