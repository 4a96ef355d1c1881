/* SPDX-License-Identifier: GPL-2.0-or-later */
/* record.h - the head of one record of a pack, coded and decoded.  Format: pack.h. */
#ifndef ST_STORE_RECORD_H
#define ST_STORE_RECORD_H

#include "systracker/base/keys.h"

/* More in one object is not kept yet; the chunk lists to come will lift this. */
#define ST_RECORD_RAW_MAX (1ULL << 30)
#define ST_RECORD_HEAD_MAX 50 /* bytes before the payload */
#define ST_RECORD_CRC_SIZE 4
#define ST_RECORD_BASE_SIZE 4
#define ST_RECORD_AAD_SIZE 35

enum st_encoding {
  ST_ENCODING_RAW = 0,
  ST_ENCODING_ZSTD = 1,
  ST_ENCODING_DELTA = 2, /* zstd with the base as prefix */
};

struct st_record {
  struct st_id id;
  uint8_t encoding; /* enum st_encoding, or one that a newer version knows */
  bool has_base;    /* a delta: step and base are set */
  uint8_t step;
  uint8_t base[ST_RECORD_BASE_SIZE];
  uint64_t raw, stored; /* bytes: of the content, of the payload */
};

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
