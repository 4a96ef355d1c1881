/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/base/holes.h"

#include <string.h>
#include <unistd.h>

#include "systracker/base/text.h"

#define PAGE ((uint64_t)4096)

/* ---- Numbers --------------------------------------------------------------------------------- */

static void put_number(struct st_buffer *out, uint64_t n)
{
  for (; n >= 0x80; n >>= 7)
    st_buffer_append_byte(out, (uint8_t)(n | 0x80));
  st_buffer_append_byte(out, (uint8_t)n);
}

static bool get_number(const uint8_t *p, size_t length, size_t *at, uint64_t *ret)
{
  *ret = 0;
  for (unsigned shift = 0; *at < length && shift < 63; shift += 7) {
    uint8_t byte = p[(*at)++];
    *ret |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80))
      return byte != 0 || shift == 0; /* shortest form */
  }
  return false;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* The next hole at or behind `from`: 1, 0 there is none, or -errno. */
static int find_hole(int fd, uint64_t from, uint64_t size, struct st_hole *ret)
{
  off_t start = lseek(fd, (off_t)from, SEEK_HOLE);
  if (start < 0)
    return errno == ENXIO || errno == EINVAL || errno == EOPNOTSUPP ? 0 : -errno;
  if ((uint64_t)start >= size)
    return 0; /* the one that every file ends with */
  off_t end = lseek(fd, start, SEEK_DATA);
  if (end < 0 && errno != ENXIO)
    return -errno;
  ret->offset = (uint64_t)start;
  ret->length = (end < 0 || (uint64_t)end > size ? size : (uint64_t)end) - ret->offset;
  return ret->length > 0;
}

int st_holes_read(int fd, uint64_t size, struct st_buffer *out)
{
  uint64_t behind = 0;
  for (int i = 0; i < ST_HOLES_MOST && behind < size; i++) {
    struct st_hole hole = {0};
    int r = find_hole(fd, behind, size, &hole);
    if (r <= 0)
      return r;
    put_number(out, hole.offset - behind);
    put_number(out, hole.length);
    behind = hole.offset + hole.length;
  }
  return 0;
}

int st_hole_next(const void *holes, size_t length, size_t *position, struct st_hole *ret)
{
  uint64_t gap, size, behind = ret->offset + ret->length;
  if (*position == length)
    return 0;
  if (!get_number(holes, length, position, &gap) || !get_number(holes, length, position, &size) ||
      size == 0 || __builtin_add_overflow(behind, gap, &ret->offset) ||
      __builtin_add_overflow(ret->offset, size, &behind) || behind > INT64_MAX)
    return -1;
  ret->length = size;
  return 1;
}

bool st_holes_valid(const void *holes, size_t length)
{
  struct st_hole hole = {0};
  size_t at = 0;
  int r;
  while ((r = st_hole_next(holes, length, &at, &hole)) == 1)
    ;
  return r == 0;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

/* The next one that holds a whole page, made of whole pages. */
static int next_pages(const void *holes, size_t length, size_t *at, struct st_hole *hole,
                      uint64_t *ret_first, uint64_t *ret_last)
{
  int r;
  while ((r = st_hole_next(holes, length, at, hole)) == 1) {
    *ret_first = (hole->offset + PAGE - 1) / PAGE;
    *ret_last = (hole->offset + hole->length) / PAGE;
    if (*ret_last > *ret_first)
      return 1;
  }
  return r;
}

bool st_holes_equal(const void *a, size_t a_length, const void *b, size_t b_length)
{
  struct st_hole x = {0}, y = {0};
  size_t at = 0, bt = 0;
  for (;;) {
    uint64_t first = 0, last = 0, first2 = 0, last2 = 0;
    int r = next_pages(a, a_length, &at, &x, &first, &last);
    int s = next_pages(b, b_length, &bt, &y, &first2, &last2);
    if (r != 1 || s != 1)
      return r == s;
    if (first != first2 || last != last2)
      return false;
  }
}

void st_holes_say(struct st_buffer *out, const void *holes, size_t length)
{
  struct st_hole hole = {0};
  size_t at = 0, count = 0;
  uint64_t bytes = 0;
  while (st_hole_next(holes, length, &at, &hole) == 1) {
    count++;
    bytes += hole.length;
  }
  if (count == 0) {
    st_buffer_append_string(out, "no holes");
    return;
  }
  ST_AUTO_FREE char *size = st_format_size(bytes);
  st_buffer_printf(out, "%zu %s of %s", count, count == 1 ? "hole" : "holes", size);
}
