/* SPDX-License-Identifier: GPL-2.0-or-later */
/* render-words.c - values and changes in words. */
#include <inttypes.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/flags.h"
#include "systracker/base/holes.h"
#include "systracker/base/text.h"
#include "systracker/base/xattr.h"
#include "systracker/tracker/render-internal.h"

/* Digests in text are cut to this many bytes; JSON has them whole. */
#define SHOWN_DIGEST 8

/* ---- Holding a change ------------------------------------------------------------------------ */

static struct st_value *copy_row(const struct st_value *row, size_t n)
{
  if (!row)
    return NULL;
  struct st_value *copy = st_calloc(n, sizeof(*copy));
  for (size_t i = 0; i < n; i++) {
    copy[i] = row[i];
    if (row[i].type == ST_TEXT || row[i].type == ST_BYTES || row[i].type == ST_PATH)
      copy[i].u.bytes.data = st_memdup(row[i].u.bytes.data, row[i].u.bytes.length);
  }
  return copy;
}

static void free_row(struct st_value *row, size_t n)
{
  for (size_t i = 0; row && i < n; i++)
    if (row[i].type == ST_TEXT || row[i].type == ST_BYTES || row[i].type == ST_PATH)
      free((void *)row[i].u.bytes.data);
  free(row);
}

void st_held_change_set(struct st_held_change *held, const struct st_change *change)
{
  size_t n = change->declaration->ncolumns;
  held->table = st_strdup(change->table);
  held->rows[0] = copy_row(change->before, n);
  held->rows[1] = copy_row(change->after, n);
  held->change = (struct st_change){held->table, change->declaration, held->rows[0], held->rows[1],
                                    change->packaged};
}

void st_held_change_clear(struct st_held_change *held)
{
  free_row(held->rows[0], held->change.declaration->ncolumns);
  free_row(held->rows[1], held->change.declaration->ncolumns);
  free(held->table);
}

/* ---- What a change is ------------------------------------------------------------------------ */

static bool values_equal(const struct st_value *a, const struct st_value *b)
{
  if (a->type != b->type)
    return false;
  if (a->type == ST_INTEGER)
    return a->u.integer == b->u.integer;
  if (a->type == ST_ID)
    return a->u.id.keyed == b->u.id.keyed &&
           memcmp(a->u.id.digest, b->u.id.digest, sizeof(a->u.id.digest)) == 0;
  return a->u.bytes.length == b->u.bytes.length &&
         (a->u.bytes.length == 0 ||
          memcmp(a->u.bytes.data, b->u.bytes.data, a->u.bytes.length) == 0);
}

bool st_column_differs(const struct st_change *change, size_t column)
{
  if (!change->before || !change->after)
    return true;
  const struct st_value *before = &change->before[column], *after = &change->after[column];
  return before->type != ST_NULL && after->type != ST_NULL && !values_equal(before, after);
}

/* Another manifest is more knowledge, or shows at the paths that it speaks of. */
bool st_change_is_loud(const struct st_change *change)
{
  const struct st_table *d = change->declaration;
  if (!change->before || !change->after)
    return true;
  for (size_t i = 0; i < d->ncolumns; i++)
    if (!(d->columns[i].flags & (ST_QUIET | ST_MANIFEST)) && st_column_differs(change, i))
      return true;
  return false;
}

static bool row_is_secret(const struct st_table *d, const struct st_value *row)
{
  for (size_t i = 0; row && i < d->ncolumns; i++)
    if (row[i].type == ST_ID && row[i].u.id.keyed)
      return true;
  return false;
}

bool st_change_is_secret(const struct st_change *change)
{
  return row_is_secret(change->declaration, change->before) ||
         row_is_secret(change->declaration, change->after);
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void render_id(const struct st_id *id, struct st_buffer *out)
{
  char hex[2 * SHOWN_DIGEST + 1];
  if (id->keyed) {
    st_buffer_append_string(out, "secret");
    return;
  }
  st_hex(hex, id->digest, SHOWN_DIGEST);
  st_buffer_append_string(out, hex);
}

static void render_integer(const struct st_column *column, int64_t n, struct st_buffer *out)
{
  if (column->flags & ST_AS_MODE) {
    st_buffer_printf(out, "%04" PRIo64, (uint64_t)n);
  } else if (column->flags & ST_AS_TIME) {
    ST_AUTO_FREE char *time = st_format_time(n);
    st_buffer_append_string(out, time);
  } else if (column->flags & ST_AS_FLAGS) {
    if (n == 0)
      st_buffer_append_string(out, "none");
    st_flags_say(out, 0, (uint32_t)n);
  } else {
    st_buffer_printf(out, "%" PRId64, n);
  }
}

/* What stands for nothing in a column that usually has nothing. */
static bool is_none(const struct st_value *value)
{
  if (value->type == ST_INTEGER)
    return value->u.integer == 0;
  bool bytes = value->type == ST_TEXT || value->type == ST_BYTES || value->type == ST_PATH;
  return bytes && value->u.bytes.length == 0;
}

static void render_bytes(const struct st_column *column, const struct st_value *value,
                         struct st_buffer *out)
{
  const void *data = value->u.bytes.data;
  size_t n = value->u.bytes.length;
  if (column->flags & ST_AS_HOLES)
    st_holes_say(out, data, n);
  else if (n == 0)
    st_buffer_append_string(out, column->flags & ST_USUALLY_NONE ? "none" : "\"\"");
  else if (column->flags & ST_AS_XATTRS)
    st_xattrs_say(out, NULL, 0, data, n);
  else
    st_escape(out, data, n);
}

void st_render_value(const struct st_column *column, const struct st_value *value,
                     struct st_buffer *out)
{
  switch (value->type) {
  case ST_NULL:
    st_buffer_append_string(out, "unknown");
    break;
  case ST_INTEGER:
    render_integer(column, value->u.integer, out);
    break;
  case ST_ID:
    render_id(&value->u.id, out);
    break;
  default:
    render_bytes(column, value, out);
  }
}

void st_render_key(const struct st_change *change, struct st_buffer *out)
{
  const struct st_table *d = change->declaration;
  for (size_t i = 0; i < d->ncolumns && (d->columns[i].flags & ST_KEY); i++) {
    const struct st_value *v = &st_change_row(change)[i];
    if (i > 0 && v->type == ST_TEXT && v->u.bytes.length == 0)
      continue;
    if (i > 0)
      st_buffer_append_string(out, " ");
    st_render_value(&d->columns[i], v, out);
  }
}

/* ---- Changes --------------------------------------------------------------------------------- */

/* The part below a second of the time before it, which says it well enough. */
static bool is_fraction(const struct st_change *change, size_t i)
{
  const struct st_column *c = &change->declaration->columns[i];
  size_t n = strlen(c->name);
  return i > 0 && n > 5 && strcmp(c->name + n - 5, "_nsec") == 0 && (c[-1].flags & ST_AS_TIME) &&
         st_column_differs(change, i - 1);
}

static bool is_shown(const struct st_change *change, size_t i, bool times)
{
  const struct st_column *c = &change->declaration->columns[i];
  const struct st_value *row = st_change_row(change);
  if ((c->flags & (ST_KEY | ST_DERIVED)) || ((c->flags & ST_QUIET) && !times))
    return false;
  if ((c->flags & ST_MANIFEST) || is_fraction(change, i))
    return false;
  bool usual = row[i].type != ST_INTEGER || (c->flags & ST_USUALLY_NONE);
  if ((!change->before || !change->after) && usual && is_none(&row[i]))
    return false;
  return st_column_differs(change, i) && row[i].type != ST_NULL;
}

/* Flags and attributes are many things: only what came and went is said.  Either may be NULL. */
static void render_both(const struct st_column *c, const struct st_value *before,
                        const struct st_value *after, struct st_buffer *out)
{
  if (c->flags & ST_AS_FLAGS) {
    st_flags_say(out, before ? (uint32_t)before->u.integer : 0,
                 after ? (uint32_t)after->u.integer : 0);
  } else if (c->flags & ST_AS_XATTRS) {
    st_xattrs_say(out, before ? before->u.bytes.data : NULL, before ? before->u.bytes.length : 0,
                  after ? after->u.bytes.data : NULL, after ? after->u.bytes.length : 0);
  } else {
    if (before)
      st_render_value(c, before, out);
    if (before && after)
      st_buffer_append_string(out, " → ");
    if (after)
      st_render_value(c, after, out);
  }
}

static const struct st_value *known(const struct st_value *row, size_t i)
{
  return row && row[i].type != ST_NULL ? &row[i] : NULL;
}

int st_say_column(struct st_text *out, const struct st_change *change, size_t column)
{
  if (column >= change->declaration->ncolumns)
    return 0;
  const struct st_column *c = &change->declaration->columns[column];
  const struct st_value *before = known(change->before, column),
                        *after = known(change->after, column);
  bool told = change->before && change->after ? before && after : before || after;
  if (told && st_column_differs(change, column))
    render_both(c, before, after, &out->buffer);
  return 0;
}

static void render_column(const struct st_change *change, size_t i, struct st_buffer *out)
{
  const struct st_column *c = &change->declaration->columns[i];
  if (c->flags & ST_OBJECT) {
    st_buffer_append_string(out, change->before && change->after ? "content changed" : "content");
    return;
  }
  st_buffer_printf(out, "%s ", c->name);
  render_both(c, change->before ? &change->before[i] : NULL,
              change->after ? &change->after[i] : NULL, out);
}

/* Column by column, without asking the plug-in. */
static void render_columns(const struct st_change *change, bool times, struct st_buffer *out)
{
  size_t start = out->length;
  for (size_t i = 0; i < change->declaration->ncolumns; i++) {
    if (!is_shown(change, i, times))
      continue;
    if (out->length > start)
      st_buffer_append_string(out, ", ");
    render_column(change, i, out);
  }
}

/* The row after, with quiet columns as they were before, so that a plug-in does not speak of them.
 * NULL where nothing has to be hidden. */
static struct st_value *hide_quiet(const struct st_change *change)
{
  const struct st_table *d = change->declaration;
  if (!change->before || !change->after)
    return NULL;
  struct st_value *row = st_calloc(d->ncolumns, sizeof(*row));
  for (size_t i = 0; i < d->ncolumns; i++)
    row[i] = d->columns[i].flags & ST_QUIET ? change->before[i] : change->after[i];
  return row;
}

/* Plug-ins escape what they say; one that does not shall do no harm. */
static void append_safely(struct st_buffer *out, const struct st_buffer *words)
{
  ST_AUTO_BUFFER safe = ST_BUFFER_INIT;
  st_escape_content(&safe, words->data, words->length);
  for (size_t i = 0; i < safe.length; i++)
    if (safe.data[i] == '\n' || safe.data[i] == '\t')
      safe.data[i] = ' ';
  st_buffer_append(out, safe.data, safe.length);
}

/* Whether the plug-in said anything; one that fails at it is as silent. */
static bool ask_plugin(struct st_tracker *t, const struct st_change *change, bool times,
                       struct st_buffer *out)
{
  struct st_loaded *l = t ? st_host_of_table(&t->host, change->table) : NULL;
  if (!l || !l->open || !l->plugin || !l->plugin->explain)
    return false;
  ST_AUTO_FREE struct st_value *row = times ? NULL : hide_quiet(change);
  struct st_change asked = *change;
  if (row)
    asked.after = row;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_text text = {ST_BUFFER_INIT};
  bool said = l->plugin->explain(l->self, &asked, &text, &err) >= 0 && text.buffer.length > 0;
  if (said)
    append_safely(out, &text.buffer);
  st_buffer_free(&text.buffer);
  return said;
}

/* A plug-in says both versions; whether that is up or down is said in the same words for all. */
static void render_package(struct st_tracker *t, const struct st_change *change, bool times,
                           struct st_buffer *out)
{
  const char *verb = change->before && change->after ? st_package_verb(change) : NULL;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  if (ask_plugin(t, change, times, &words)) {
    st_buffer_printf(out, "%s%s%s", verb ? verb : "", verb ? " " : "", words.data);
    return;
  }
  size_t start = out->length;
  st_package_words(change, out);
  if (!change->before || !change->after)
    return;
  for (size_t i = 0; i < change->declaration->ncolumns; i++) {
    if (!is_shown(change, i, times) ||
        (verb && strcmp(change->declaration->columns[i].name, "version") == 0))
      continue;
    if (out->length > start)
      st_buffer_append_string(out, ", ");
    render_column(change, i, out);
  }
}

int st_render_words(struct st_tracker *t, const struct st_change *change, bool times,
                    struct st_buffer *out, struct st_error *err)
{
  (void)err;
  if (!times && !st_change_is_loud(change))
    return 0;
  if (st_change_is_secret(change))
    st_buffer_append_string(out,
                            change->before && change->after ? "content changed" : "secret content");
  else if (st_change_is_package(change))
    render_package(t, change, times, out);
  else if (!ask_plugin(t, change, times, out))
    render_columns(change, times, out);
  return 0;
}
