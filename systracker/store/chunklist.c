/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/chunklist.h"

#include <string.h>

void st_chunklist_add(struct st_buffer *list, const struct st_chunk *chunk)
{
  uint8_t entry[2 * ST_NUMBER_MAX + ST_DIGEST_SIZE];
  size_t n = st_number_encode(entry, chunk->times);
  n += st_number_encode(entry + n, chunk->length);
  memcpy(entry + n, chunk->id.digest, ST_DIGEST_SIZE);
  st_buffer_append(list, entry, n + ST_DIGEST_SIZE);
}

int st_chunklist_next(const char *list, size_t length, uint8_t keyed, size_t *at,
                      struct st_chunk *ret)
{
  const uint8_t *data = (const uint8_t *)list;
  uint64_t bytes;
  size_t n = *at;
  if (n >= length)
    return 0;
  int used = st_number_decode(data + n, length - n, &ret->times);
  if (used <= 0 || ret->times == 0)
    return -1;
  n += (size_t)used;
  used = st_number_decode(data + n, length - n, &bytes);
  if (used <= 0 || bytes == 0 || bytes > ST_CHUNK_LENGTH_MAX)
    return -1;
  n += (size_t)used;
  if (length - n < ST_DIGEST_SIZE)
    return -1;
  ret->length = (uint32_t)bytes;
  ret->id.keyed = keyed;
  memcpy(ret->id.digest, data + n, ST_DIGEST_SIZE);
  *at = n + ST_DIGEST_SIZE;
  return 1;
}

bool st_chunklist_fits(const struct st_record *record, const char *list, size_t length)
{
  struct st_chunk chunk;
  uint64_t left = record->raw;
  size_t at = 0;
  int r;
  while ((r = st_chunklist_next(list, length, record->id.keyed, &at, &chunk)) > 0) {
    uint64_t bytes;
    if (__builtin_mul_overflow(chunk.times, chunk.length, &bytes) || bytes > left)
      return false;
    left -= bytes;
  }
  return r == 0 && left == 0;
}
