/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lines.h - reading dpkg's small files line by line, as strictly as dpkg does. */
#ifndef ST_DPKG_TRACK_LINES_H
#define ST_DPKG_TRACK_LINES_H

#include <stdlib.h>
#include <string.h>

#include "systracker/plugin.h"

#define MOST_LINE 4096 /* bytes: a path is the longest that stands in one */

/* A place in a text, which is written to. */
struct lines {
  char *next, *end;
  size_t line;      /* the one read last, from 1 */
  const char *what; /* for errors */
};

static inline int lines_bad(const struct lines *l, const char *why, struct st_error *err)
{
  return st_fail(err, 0, "%s, line %zu: %s", l->what, l->line, why);
}

/* The next line, terminated in place.  1; 0 at the end of the text; negative. */
static inline int lines_next(struct lines *l, char **ret, struct st_error *err)
{
  *ret = l->next;
  if (l->next == l->end)
    return 0;
  size_t left = (size_t)(l->end - l->next);
  char *stop = memchr(l->next, '\n', left);
  l->line++;
  if (!stop)
    return lines_bad(l, "the last line has no end: the file is cut off", err);
  size_t n = (size_t)(stop - l->next);
  if (n > MOST_LINE)
    return lines_bad(l, "a line that is too long", err);
  if (memchr(l->next, 0, n))
    return lines_bad(l, "a NUL byte", err);
  *stop = 0;
  l->next = stop + 1;
  return 1;
}

/* A line that has to be there. */
static inline int lines_want(struct lines *l, char **ret, struct st_error *err)
{
  int r = lines_next(l, ret, err);
  return r == 0 ? st_fail(err, 0, "%s: ends after line %zu: it is cut off", l->what, l->line) : r;
}

/* Room for one more item; false: out of memory. */
static inline bool array_room(void **items, size_t count, size_t item)
{
  if (count & (count - 1)) /* full at each power of two */
    return true;
  void *more = reallocarray(*items, count ? count * 2 : 1, item);
  if (more)
    *items = more;
  return more != NULL;
}

/* Printable ASCII without a blank, and none of `not`. */
static inline bool is_word(const char *s, const char * not )
{
  const char *c = s;
  while (*c > ' ' && *c < 127 && !strchr(not, *c))
    c++;
  return c > s && *c == 0;
}

#endif
