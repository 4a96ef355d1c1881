/* SPDX-License-Identifier: GPL-2.0-or-later */
/* render-internal.h - what the parts of rendering share. */
#ifndef ST_TRACKER_RENDER_INTERNAL_H
#define ST_TRACKER_RENDER_INTERNAL_H

#include "systracker/tracker/render.h"

/* Texts longer than this are not compared line by line. */
#define ST_PATCH_MAX ((size_t)8 << 20)

/* A change that outlives the call that told of it. */
struct st_held_change {
  struct st_change change; /* points into what follows */
  char *table;
  struct st_value *rows[2];
};

void st_held_change_set(struct st_held_change *held, const struct st_change *change);
void st_held_change_clear(struct st_held_change *held);

static inline bool st_change_is_entry(const struct st_change *change)
{
  return change->declaration->flags & ST_TABLE_ENTRY;
}

/* The row that there is: after, else before. */
static inline const struct st_value *st_change_row(const struct st_change *change)
{
  return change->after ? change->after : change->before;
}

/* Whether a column's value is another than before (it always is when one side has no row), by the
 * rule that ST_NULL is never a difference. */
bool st_column_differs(const struct st_change *change, size_t column);
/* The key's columns with a space between, escaped. */
void st_render_key(const struct st_change *change, struct st_buffer *out);

enum { ST_SKIP_OBJECTS = 1, ST_SKIP_IDS = 2 };
/* Column by column, without asking the plug-in; `skip`: columns that are said elsewhere. */
void st_render_columns(const struct st_change *change, bool times, unsigned skip,
                       struct st_buffer *out);

/* Where the contents of a change come from, for the unified diff. */
struct st_patch_sides {
  struct st_tracker *t;
  int64_t a, b;
  bool live; /* b is ST_LIVE */
};

/* The unified diff of the change's ST_OBJECT column: appends it (nothing: there is no difference in
 * text) and returns 1; 0 when there is nothing to compare (binary, not kept, secret, too large),
 * and then `why` may have got words. */
int st_render_patch(const struct st_patch_sides *sides, const struct st_change *change,
                    struct st_buffer *out, struct st_buffer *why, struct st_error *err);
/* Prints it, coloured and safe on a terminal. */
void st_print_patch(const struct st_cli *cli, const struct st_buffer *patch);

/* A value as JSON; of a keyed id: "secret". */
json_t *st_value_json(const struct st_column *column, const struct st_value *value);
/* The key's columns as an object. */
json_t *st_key_json(const struct st_change *change);

#endif
