/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chunklist.h - the payload of a record that is a list of chunks (pack.h).
 *
 *   Entry    .  times that the chunk is there in a row: LEB128, 1 at least
 *            .  its length: LEB128, 1 to 2^24
 *           32  its id, of the same kind as that of the content
 *
 * Lengths times their numbers are the content's length.  A chunk is an object as any other, but no
 * list of chunks itself.
 */
#ifndef ST_STORE_CHUNKLIST_H
#define ST_STORE_CHUNKLIST_H

#include "systracker/store/record.h"

#define ST_CHUNK_LENGTH_MAX (1U << 24)

struct st_chunk {
  struct st_id id;
  uint64_t times;
  uint32_t length;
};

void st_chunklist_add(struct st_buffer *list, const struct st_chunk *chunk);

/* The entry at `*at` of a list for ids of that kind, and `*at` behind it: 1, 0 at the end, -1 where
 * it is malformed. */
int st_chunklist_next(const char *list, size_t length, uint8_t keyed, size_t *at,
                      struct st_chunk *ret);

/* Whether it is a list, of a content as long as the record says. */
bool st_chunklist_fits(const struct st_record *record, const char *list, size_t length);

#endif
