/* SPDX-License-Identifier: GPL-2.0-or-later */
/* render-group.c - the changes of all tables that speak of one path, taken together. */
#include <string.h>

#include "systracker/tracker/render-internal.h"

void st_group_clear(struct st_group *g)
{
  for (size_t i = 0; i < g->count; i++)
    st_held_change_clear(&g->items[i]);
  free(g->path);
  *g = (struct st_group){.items = g->items, .size = g->size};
}

void st_group_add(struct st_group *g, const struct st_change *change, const char *path)
{
  if (g->count == g->size) {
    g->size = g->size ? 2 * g->size : 4;
    g->items = st_realloc(g->items, g->size, sizeof(*g->items));
  }
  if (g->count == 0) {
    g->entry = path != NULL;
    g->path = path ? st_strdup(path) : NULL;
  }
  st_held_change_set(&g->items[g->count++], change);
}

/* Secrets by the digests that were taken, and by the rules of today: a file that was declared a
 * secret only later is one in old checkpoints, too. */
static bool is_secret(const struct st_group *g, const struct st_tracker *t)
{
  for (size_t i = 0; i < g->count; i++)
    if (st_change_is_secret(&g->items[i].change))
      return true;
  return g->path && t->secret && st_rules_match(t->secret, g->path, false);
}

bool st_table_has_ids(const struct st_table *d)
{
  for (size_t i = 0; i < d->ncolumns; i++)
    if (d->columns[i].type == ST_ID)
      return true;
  return false;
}

/* The column that says what kind of file an entry is, or -1. */
static int type_column(const struct st_table *d)
{
  for (size_t i = 1; (d->flags & ST_TABLE_ENTRY) && i < d->ncolumns; i++)
    if (strcmp(d->columns[i].name, "type") == 0)
      return (int)i;
  return -1;
}

/* Whether a table that says what kind of file it is knows the path at b: then a row that began or
 * ended elsewhere says that it is watched otherwise, not that it came or went. */
static int path_stays(const struct st_group *g, struct st_catalog *c, int64_t b,
                      struct st_error *err)
{
  struct st_value key = st_path_value(g->path);
  const struct st_catalog_table *table;
  for (size_t n = 0; (table = st_catalog_table_at(c, n)); n++) {
    if (type_column(&table->declaration) < 0)
      continue;
    ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
    if (st_catalog_fact(c, b, table, &key, &fact, err) < 0)
      return -1;
    if (fact->present)
      return 1;
  }
  return 0;
}

static char change_letter(const struct st_change *change)
{
  int type = type_column(change->declaration);
  if (!change->before)
    return 'A';
  if (!change->after)
    return 'D';
  return type >= 0 && st_column_differs(change, (size_t)type) ? 'T' : 'M';
}

static int find_letter(const struct st_group *g, struct st_catalog *c, int64_t b, char *ret,
                       struct st_error *err)
{
  for (size_t i = 0; i < g->count; i++)
    if (!g->entry || type_column(g->items[i].change.declaration) >= 0) {
      *ret = change_letter(&g->items[i].change);
      return 0;
    }
  int stays = path_stays(g, c, b, err);
  if (stays < 0)
    return -1;
  *ret = change_letter(&g->items[0].change);
  for (size_t i = 0; i < g->count; i++)
    if (stays || change_letter(&g->items[i].change) != *ret)
      *ret = 'M';
  return 0;
}

bool st_group_is_loud(const struct st_group *g)
{
  for (size_t i = 0; i < g->count; i++)
    if (st_change_is_loud(&g->items[i].change))
      return true;
  return false;
}

/* ---- As packaged ----------------------------------------------------------------------------- */

/* The content that a side of a change names; NULL: none. */
static const struct st_id *content_of(const struct st_change *change, bool after)
{
  const struct st_value *row = after ? change->after : change->before;
  for (size_t i = 0; row && i < change->declaration->ncolumns; i++)
    if (row[i].type == ST_ID)
      return &row[i].u.id;
  return NULL;
}

static bool has_object_column(const struct st_table *d)
{
  for (size_t i = 0; i < d->ncolumns; i++)
    if (d->columns[i].flags & ST_OBJECT)
      return true;
  return false;
}

static bool same_content(const struct st_change *a, const struct st_change *b, bool after)
{
  const struct st_id *x = content_of(a, after), *y = content_of(b, after);
  return !x || (y && st_id_equal(x, y));
}

/* That content is kept is no deviation where it is what the package has, before and after. */
static bool is_kept_copy(const struct st_group *g, const struct st_change *change)
{
  if (!has_object_column(change->declaration))
    return false;
  for (size_t i = 0; i < g->count; i++) {
    const struct st_change *other = &g->items[i].change;
    if (other->packaged && same_content(change, other, false) && same_content(change, other, true))
      return true;
  }
  return false;
}

bool st_group_is_packaged(const struct st_group *g)
{
  for (size_t i = 0; i < g->count; i++)
    if (!g->items[i].change.packaged && !is_kept_copy(g, &g->items[i].change))
      return false;
  return g->entry;
}

int st_group_finish(struct st_group *g, struct st_tracker *t, int64_t b, struct st_error *err)
{
  g->secret = is_secret(g, t);
  return find_letter(g, t->catalog, b, &g->letter, err);
}

void st_group_free(struct st_group *g)
{
  st_group_clear(g);
  free(g->items);
}

/* ---- Words ----------------------------------------------------------------------------------- */

/* Whether checksums speak of the path, so that "content changed" need not be said. */
static bool has_plain_digest(const struct st_group *g)
{
  for (size_t i = 0; i < g->count; i++) {
    const struct st_change *change = &g->items[i].change;
    for (size_t c = 0; c < change->declaration->ncolumns; c++)
      if (change->declaration->columns[c].type == ST_ID &&
          !(change->declaration->columns[c].flags & ST_OBJECT) && st_column_differs(change, c))
        return true;
  }
  return false;
}

/* Whether the change says no more than that there is other content, or that it is kept. */
static bool only_object(const struct st_change *change)
{
  const struct st_table *d = change->declaration;
  bool object = false;
  for (size_t i = 0; i < d->ncolumns; i++) {
    bool is_object = d->columns[i].flags & ST_OBJECT;
    object |= is_object && st_change_row(change)[i].type == ST_ID;
    if (!is_object && change->before && change->after && st_column_differs(change, i))
      return false;
  }
  return object;
}

/* Whether another part of the output says it better. */
static bool is_said_elsewhere(const struct st_group *g, const struct st_change *change,
                              bool patched)
{
  if (!g->entry || !st_table_has_ids(change->declaration))
    return false;
  if (g->secret || patched)
    return true;
  return only_object(change) && (patched || has_plain_digest(g));
}

static int add_words(const struct st_group *g, struct st_tracker *t, const struct st_change *change,
                     bool times, bool patched, struct st_strings *ret, struct st_error *err)
{
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  if (is_said_elsewhere(g, change, patched))
    return 0;
  if (st_render_words(t, change, times, &words, err) < 0)
    return -1;
  if (words.length > 0 && !st_strings_has(ret, words.data))
    st_strings_add(ret, words.data);
  return 0;
}

int st_group_words(const struct st_group *g, struct st_tracker *t, bool times, bool patched,
                   struct st_strings *ret, struct st_error *err)
{
  if (g->entry && g->letter == 'D')
    return 0;
  /* What kind of file it is comes first. */
  for (int first = 1; first >= 0; first--)
    for (size_t i = 0; i < g->count; i++) {
      const struct st_change *change = &g->items[i].change;
      if ((type_column(change->declaration) >= 0) == first &&
          add_words(g, t, change, times, patched, ret, err) < 0)
        return -1;
    }
  bool content = false;
  for (size_t i = 0; i < g->count; i++)
    content |= st_table_has_ids(g->items[i].change.declaration);
  if (g->entry && g->secret && content)
    st_strings_add(ret, g->letter == 'A' ? "secret content" : "content changed");
  return 0;
}
