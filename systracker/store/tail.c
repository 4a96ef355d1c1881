/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/tail.h"

#include "systracker/base/file.h"

/* Bytes that are looked at: no record is longer than contents that are kept in one piece. */
#define MOST (8U << 20)

static bool is_zero(const char *data, size_t length)
{
  size_t i = 0;
  while (i < length && data[i] == 0)
    i++;
  return i == length;
}

/* Nothing, another record, the beginning of one, or what a power cut leaves. */
static bool may_follow(const char *data, size_t length)
{
  struct st_record record;
  return st_record_decode((const uint8_t *)data, length, &record) >= 0 || is_zero(data, length);
}

/* Whether the bytes begin with a record that can be proved.  Its checksum is made only where it
 * ends as a record may: of one of 4 MiB hundreds of lengths would otherwise be tried. */
static bool begins_record(const struct st_pack *pack, const struct st_buffer *tail)
{
  struct st_record record;
  uint64_t size = st_record_decode((const uint8_t *)tail->data, tail->length, &record) > 0
                      ? st_record_size(&record)
                      : UINT64_MAX;
  return size <= tail->length && may_follow(tail->data + size, tail->length - size) &&
         st_pack_prove(pack, tail->data, size, &record, NULL) == 0;
}

/* A damaged length makes a record seem to go beyond the end, as one does that a kill cut off. */
static bool is_whole_but_for_a_byte(const struct st_pack *pack, struct st_buffer *tail)
{
  size_t n = tail->length < ST_RECORD_HEAD_MAX ? tail->length : ST_RECORD_HEAD_MAX;
  bool whole = false;
  for (size_t at = 0; at < n && !whole; at++) {
    char was = tail->data[at];
    for (int change = 1; change < 256 && !whole; change++) {
      tail->data[at] = (char)(was ^ change);
      whole = begins_record(pack, tail);
    }
    tail->data[at] = was;
  }
  return whole;
}

/* The end of the first record was never written. */
static bool ends_in_zeros(const struct st_buffer *tail)
{
  struct st_record record;
  if (st_record_decode((const uint8_t *)tail->data, tail->length, &record) <= 0)
    return false;
  uint64_t size = st_record_size(&record);
  return size <= tail->length &&
         is_zero(tail->data + size - ST_RECORD_CRC_SIZE, ST_RECORD_CRC_SIZE);
}

int st_tail_is_damaged(struct st_pack *pack, uint64_t from, bool torn, struct st_error *err)
{
  ST_AUTO_BUFFER tail = ST_BUFFER_INIT;
  size_t length = pack->size - from < MOST ? (size_t)(pack->size - from) : MOST;
  if (!pack->provable)
    return !torn;
  st_buffer_reserve(&tail, length);
  if (st_pread_all(pack->fd, tail.data, length, (off_t)from, err) < 0)
    return st_wrap(err, "cannot read pack %s", pack->name);
  tail.length = length;
  if (torn)
    return is_whole_but_for_a_byte(pack, &tail);
  return !is_zero(tail.data, length) && !ends_in_zeros(&tail);
}
