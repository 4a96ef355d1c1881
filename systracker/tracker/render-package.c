/* SPDX-License-Identifier: GPL-2.0-or-later */
/* render-package.c - a package's line: what became of it, and of how many of its paths. */
#include <inttypes.h>
#include <string.h>

#include "systracker/base/version.h"
#include "systracker/tracker/render-internal.h"

/* ---- Paths of packages, counted ---------------------------------------------------------------
 */

/* "TABLE KEY", of either row. */
static char *name_of(const char *table, const struct st_change *package)
{
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  st_buffer_printf(&b, "%s ", table);
  st_render_key(package, &b);
  return st_buffer_steal(&b, NULL);
}

void st_package_counts_free(struct st_package_counts *counts)
{
  if (counts->names)
    st_set_free(counts->names);
  free(counts->items);
}

static void count(struct st_package_counts *counts, const char *name, char letter)
{
  uint64_t at = counts->count;
  if (!counts->names)
    counts->names = st_set_new();
  if (!st_set_get(counts->names, name, strlen(name), &at)) {
    if ((counts->count & (counts->count - 1)) == 0) /* a power of 2: full */
      counts->items =
          st_realloc(counts->items, counts->count ? 2 * counts->count : 1, sizeof(*counts->items));
    counts->items[counts->count++] = (struct st_package_count){0};
    st_set_add(counts->names, name, strlen(name), at);
  }
  struct st_package_count *c = &counts->items[at];
  *(letter == 'A' ? &c->added : letter == 'D' ? &c->deleted : &c->changed) += 1;
}

/* The package that has the path after, else the one that had it before. */
static int find_package(struct st_tracker *t, const char *path, int64_t a, int64_t b, char letter,
                        struct st_fact_row **ret, struct st_error *err)
{
  *ret = NULL;
  if (letter != 'D' && st_catalog_expecting(t->catalog, b, path, ret, err) < 0)
    return -1;
  return *ret || a == 0 ? 0 : st_catalog_expecting(t->catalog, a, path, ret, err);
}

int st_package_counts_add(struct st_package_counts *counts, struct st_tracker *t,
                          const struct st_group *g, int64_t a, int64_t b, struct st_error *err)
{
  ST_CLEANUP(st_fact_freep) struct st_fact_row *package = NULL;
  if (find_package(t, g->path, a, b, g->letter, &package, err) < 0)
    return -1;
  if (!package)
    return 0;
  const struct st_change row = {.table = package->table->name,
                                .declaration = &package->table->declaration,
                                .after = package->values};
  ST_AUTO_FREE char *name = name_of(package->table->name, &row);
  count(counts, name, g->letter);
  return 0;
}

struct st_package_count st_package_counts_of(const struct st_package_counts *counts,
                                             const struct st_change *change)
{
  uint64_t at;
  ST_AUTO_FREE char *name = name_of(change->table, change);
  if (!counts->names || !st_set_get(counts->names, name, strlen(name), &at))
    return (struct st_package_count){0};
  return counts->items[at];
}

static void say_count(struct st_buffer *out, int64_t n, const char *word)
{
  if (n > 0)
    st_buffer_printf(out, "%s%" PRId64 " %s", out->length ? ", " : "", n, word);
}

char *st_package_count_words(const struct st_package_count *c)
{
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  say_count(&b, c->added, "added");
  say_count(&b, c->changed, "changed");
  say_count(&b, c->deleted, "deleted");
  return b.length ? st_format("its files: %s", b.data) : NULL;
}

json_t *st_package_count_json(const struct st_package_count *c)
{
  json_t *o = json_object();
  json_object_set_new(o, "added", json_integer((json_int_t)c->added));
  json_object_set_new(o, "changed", json_integer((json_int_t)c->changed));
  json_object_set_new(o, "deleted", json_integer((json_int_t)c->deleted));
  return o;
}

json_t *st_packaged_json(const struct st_packaged *p)
{
  json_t *o = json_object();
  json_object_set_new(o, "package", st_json_text(p->name));
  json_object_set_new(o, "version", st_json_text(p->version));
  json_object_set_new(o, "architecture", st_json_text(p->architecture));
  return o;
}

/* ---- What became of it ------------------------------------------------------------------------
 */

bool st_change_is_package(const struct st_change *change)
{
  return change->declaration->flags & ST_TABLE_PACKAGES;
}

static int version_column(const struct st_table *d)
{
  for (size_t i = 0; i < d->ncolumns; i++)
    if (strcmp(d->columns[i].name, "version") == 0 && d->columns[i].type == ST_TEXT)
      return (int)i;
  return -1;
}

static char *version_of(const struct st_value *row, int column)
{
  const struct st_value *v = row && column >= 0 ? &row[column] : NULL;
  return v && v->type == ST_TEXT ? st_memdup(v->u.bytes.data, v->u.bytes.length) : NULL;
}

const char *st_package_verb(const struct st_change *change)
{
  int column = version_column(change->declaration);
  ST_AUTO_FREE char *before = version_of(change->before, column);
  ST_AUTO_FREE char *after = version_of(change->after, column);
  if (!change->before || !change->after)
    return change->after ? "installed" : "removed";
  int order = before && after ? st_version_compare(before, after) : 0;
  return order < 0 ? "upgraded" : order > 0 ? "downgraded" : NULL;
}

void st_package_words(const struct st_change *change, struct st_buffer *out)
{
  int column = version_column(change->declaration);
  const char *verb = st_package_verb(change);
  ST_AUTO_FREE char *version = version_of(st_change_row(change), column);
  if (!verb)
    return;
  st_buffer_append_string(out, verb);
  if (!version)
    return;
  const struct st_column *c = &change->declaration->columns[column];
  st_buffer_append_string(out, change->after ? " " : " (was ");
  if (change->before && change->after) {
    st_render_value(c, &change->before[column], out);
    st_buffer_append_string(out, " → ");
  }
  st_render_value(c, &st_change_row(change)[column], out);
  st_buffer_append_string(out, change->after ? "" : ")");
}
