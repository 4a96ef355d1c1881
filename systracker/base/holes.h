/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * holes.h - where a sparse file holds nothing, by SEEK_HOLE and SEEK_DATA.
 *
 * As bytes: for each hole from the front, how far it lies behind the end of the one before, and how
 * long it is, both as LEB128 (seven bits a byte, lowest first, the highest bit: more follow).
 * Empty: there are none.  At most ST_HOLES_MOST are noted; what lies behind counts as data.
 */
#ifndef ST_BASE_HOLES_H
#define ST_BASE_HOLES_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

#define ST_HOLES_MOST 65536

/* Appends the holes of an open file of that size; a file system that cannot tell has none.
 * Moves the file's offset.  Returns 0 or -errno. */
int st_holes_read(int fd, uint64_t size, struct st_buffer *out);

struct st_hole {
  uint64_t offset, length; /* bytes */
};
/* The hole at `*position`, which moves behind it; `*ret` comes in as the one before (zeros at
 * first).  1 there is one, 0 at the end, -1 it is damaged. */
int st_hole_next(const void *holes, size_t length, size_t *position, struct st_hole *ret);
bool st_holes_valid(const void *holes, size_t length);

/* Whether the two are the same as far as pages of 4096 bytes go: file systems differ in what the
 * smallest hole is. */
bool st_holes_equal(const void *a, size_t a_length, const void *b, size_t b_length);

/* How many, and how many bytes they are: "3 holes of 1.5 MiB", "no holes". */
void st_holes_say(struct st_buffer *out, const void *holes, size_t length);

#endif
