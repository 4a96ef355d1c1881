/* SPDX-License-Identifier: GPL-2.0-or-later */
/* values.h - reading the rows of a change; for the plug-ins of this folder, inline, so that each
 * still needs nothing but plugin.h. */
#ifndef ST_PLUGINS_VALUES_H
#define ST_PLUGINS_VALUES_H

#include <string.h>

#include "systracker/plugin.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* The value of a column, or NULL: there is no row, the row is older than the column, or it was not
 * captured. */
static inline const struct st_value *value_at(const struct st_change *change,
                                              const struct st_value *row, size_t column)
{
  if (!row || column >= change->declaration->ncolumns || row[column].type == ST_NULL)
    return NULL;
  return &row[column];
}

static inline const struct st_value *value_before(const struct st_change *change, size_t column)
{
  return value_at(change, change->before, column);
}

static inline const struct st_value *value_after(const struct st_change *change, size_t column)
{
  return value_at(change, change->after, column);
}

static inline bool value_equal(const struct st_value *a, const struct st_value *b)
{
  if (a->type != b->type)
    return false;
  if (a->type == ST_INTEGER)
    return a->u.integer == b->u.integer;
  if (a->type == ST_ID)
    return a->u.id.keyed == b->u.id.keyed &&
           memcmp(a->u.id.digest, b->u.id.digest, sizeof(a->u.id.digest)) == 0;
  size_t n = a->u.bytes.length;
  return n == b->u.bytes.length && (n == 0 || memcmp(a->u.bytes.data, b->u.bytes.data, n) == 0);
}

/* Whether both sides were captured and are not the same. */
static inline bool value_differs(const struct st_change *change, size_t column)
{
  const struct st_value *a = value_before(change, column), *b = value_after(change, column);
  return a && b && !value_equal(a, b);
}

static inline int64_t value_integer(const struct st_value *v)
{
  return v && v->type == ST_INTEGER ? v->u.integer : 0;
}

static inline bool value_is_text(const struct st_value *v, const char *text)
{
  return v && v->type == ST_TEXT && v->u.bytes.length == strlen(text) &&
         memcmp(v->u.bytes.data, text, v->u.bytes.length) == 0;
}

/* The text or bytes of a value, escaped; nothing when it was not captured. */
static inline void say_value(struct st_text *out, const struct st_value *v)
{
  if (v && (v->type == ST_TEXT || v->type == ST_BYTES || v->type == ST_PATH))
    st_say_bytes(out, v->u.bytes.data, v->u.bytes.length);
}

/* What stands between two parts of one line. */
struct parts {
  struct st_text *out;
  unsigned count;
};

static inline struct st_text *next_part(struct parts *parts)
{
  if (parts->count++ > 0)
    st_say(parts->out, ", ");
  return parts->out;
}

#endif
