/* SPDX-License-Identifier: GPL-2.0-or-later */
/* view-changes.c - what differs between two checkpoints, by kinds. */
#include <string.h>

#include "archive-sync/serve/view-internal.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"

const char *const st_view_kind_words[ST_VIEW_KINDS] = {
    [ST_VIEW_PACKAGES] = "packages",
    [ST_VIEW_CONFIGURATION] = "configuration",
    [ST_VIEW_OTHER] = "other",
};

void st_view_change_clear(struct st_view_change *c)
{
  free(c->path);
  free(c->name);
  st_strings_free(&c->words);
  json_decref(c->json);
  *c = (struct st_view_change){0};
}

void st_view_changes_clear(struct st_view_changes *c)
{
  for (size_t i = 0; i < c->count; i++)
    st_view_change_clear(&c->items[i]);
  free(c->items);
  *c = (struct st_view_changes){0};
}

bool st_view_ignores(const char *table)
{
  return strcmp(table, ST_CORE_TAG) == 0 || strcmp(table, ST_CORE_UNOBSERVED) == 0;
}

/* ---- Kinds --------------------------------------------------------------------------------------
 */

static bool has_objects(const struct st_table *d)
{
  for (size_t i = 0; i < d->ncolumns; i++)
    if (d->columns[i].flags & ST_OBJECT)
      return true;
  return false;
}

/* Whether a table is of a plug-in that keeps packages. */
static bool is_of_packages(struct st_catalog *c, const char *name)
{
  const struct st_catalog_table *table = st_catalog_table(c, name), *other;
  for (size_t n = 0; table && (other = st_catalog_table_at(c, n)); n++)
    if ((other->declaration.flags & ST_TABLE_PACKAGES) && strcmp(other->plugin, table->plugin) == 0)
      return true;
  return false;
}

/* Whether the path's content is kept there, changed or not: 1, 0. */
static int keeps_content(const struct st_view_at *at, const char *path, struct st_error *err)
{
  struct st_value key = st_path_value(path);
  const struct st_catalog_table *table;
  for (size_t n = 0; (table = st_catalog_table_at(at->v->t->catalog, n)); n++) {
    ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
    if (!(table->declaration.flags & ST_TABLE_ENTRY) || !has_objects(&table->declaration))
      continue;
    if (st_catalog_fact(at->v->t->catalog, at->number, table, &key, &fact, err) < 0)
      return -1;
    if (fact->present)
      return 1;
  }
  return 0;
}

int st_view_kind_of(const struct st_view_at *a, const struct st_view_at *b,
                    const struct st_group *g, enum st_view_kind *ret, struct st_error *err)
{
  const char *table = g->items[0].change.table;
  *ret = ST_VIEW_OTHER;
  if (!g->entry) {
    if (is_of_packages(b->v->t->catalog, table) || is_of_packages(a->v->t->catalog, table))
      *ret = ST_VIEW_PACKAGES;
    return 0;
  }
  for (size_t i = 0; i < g->count; i++)
    if (has_objects(g->items[i].change.declaration)) {
      *ret = ST_VIEW_CONFIGURATION;
      return 0;
    }
  int keeps = keeps_content(g->letter == 'D' ? a : b, g->path, err);
  if (keeps > 0)
    *ret = ST_VIEW_CONFIGURATION;
  return keeps < 0 ? -1 : 0;
}

/* ---- One change ---------------------------------------------------------------------------------
 */

static char *name_of(const struct st_group *g)
{
  const struct st_change *change = &g->items[0].change;
  ST_AUTO_BUFFER name = ST_BUFFER_INIT;
  if (!g->entry)
    st_buffer_printf(&name, "%s ", change->declaration->name);
  st_render_key(change, &name);
  return st_buffer_steal(&name, NULL);
}

/* Whether some text may be other than before. */
static bool has_content(const struct st_group *g)
{
  for (size_t i = 0; i < g->count && g->entry && !g->secret; i++) {
    const struct st_change *change = &g->items[i].change;
    for (size_t c = 0; c < change->declaration->ncolumns; c++)
      if (change->declaration->columns[c].type == ST_ID &&
          !(change->declaration->columns[c].flags & ST_MANIFEST) &&
          st_change_row(change)[c].type == ST_ID && st_column_differs(change, c))
        return true;
  }
  return false;
}

static json_t *json_of(const struct st_group *g, struct st_tracker *t, bool times)
{
  json_t *array = json_array();
  for (size_t i = 0; i < g->count; i++)
    if (times || st_change_is_loud(&g->items[i].change))
      json_array_append_new(array, st_group_json(g, t, &g->items[i].change, times));
  return array;
}

int st_view_change_make(enum st_view_kind kind, const struct st_view_at *b,
                        const struct st_group *g, bool times, bool json, struct st_view_change *ret,
                        struct st_error *err)
{
  *ret = (struct st_view_change){.kind = kind};
  if (st_group_words(g, b->v->t, times, false, &ret->words, err) < 0) {
    st_view_change_clear(ret);
    return -1;
  }
  ret->letter = g->letter;
  ret->path = g->path ? st_strdup(g->path) : NULL;
  ret->name = name_of(g);
  ret->secret = g->secret;
  ret->content = has_content(g);
  ret->json = json ? json_of(g, b->v->t, times) : NULL;
  return 0;
}

/* ---- All of them --------------------------------------------------------------------------------
 */

static void keep(struct st_view_gather *g, const struct st_view_change *change)
{
  size_t n = g->kinds[change->kind].count++;
  if ((n & (n - 1)) == 0) /* a power of 2: full */
    g->kinds[change->kind].items =
        st_realloc(g->kinds[change->kind].items, n ? 2 * n : 1, sizeof(*change));
  g->kinds[change->kind].items[n] = *change;
}

/* What became of a package's files goes along with it. */
static void add_counts(struct st_view_gather *g, struct st_view_change *change)
{
  const struct st_change *of = &g->group.items[0].change;
  if (!st_change_is_package(of))
    return;
  struct st_package_count c = st_package_counts_of(&g->counts, of);
  char *said = st_package_count_words(&c);
  if (said)
    st_strings_take(&change->words, said);
  if (json_array_size(change->json) > 0)
    json_object_set_new(json_array_get(change->json, 0), "files", st_package_count_json(&c));
}

/* May lie in the span: before its end, where the kinds before have none. */
static bool may_be_shown(const struct st_view_gather *g, size_t n)
{
  struct st_view_span span = g->query->span;
  return n < span.offset || n - span.offset < st_view_span_limit(span);
}

static int take(struct st_view_gather *g, struct st_error *err)
{
  struct st_view_change change;
  enum st_view_kind kind;
  if (st_view_kind_of(&g->a, &g->b, &g->group, &kind, err) < 0)
    return -1;
  size_t n = g->ret->totals[kind]++;
  if ((g->query->kind >= 0 && g->query->kind != (int)kind) || !may_be_shown(g, n))
    return 0;
  if (st_view_change_make(kind, &g->b, &g->group, g->query->times, g->query->json, &change, err) <
      0)
    return -1;
  add_counts(g, &change);
  keep(g, &change);
  return 0;
}

/* As its package has it: counted, and no more. */
static int take_packaged(struct st_view_gather *g, struct st_error *err)
{
  if (!st_group_is_packaged(&g->group))
    return 0;
  if (st_package_counts_add(&g->counts, g->b.v->t, &g->group, g->a.number, g->b.number, err) < 0)
    return -1;
  if (g->query->files)
    return 0;
  g->ret->packaged++;
  return 1;
}

int st_view_group_finish(const struct st_view_at *a, const struct st_view_at *b, struct st_group *g,
                         struct st_error *err)
{
  const struct st_rules *secret = a->v->t->secret;
  if (st_group_finish(g, b->v->t, b->number, err) < 0)
    return -1;
  g->secret |= g->path && secret && st_rules_match(secret, g->path, false);
  return 0;
}

int st_view_gather_flush(struct st_view_gather *g, struct st_error *err)
{
  int r = 0;
  if (g->group.count > 0 && (g->query->times || st_group_is_loud(&g->group))) {
    r = st_view_group_finish(&g->a, &g->b, &g->group, err);
    if (r == 0)
      r = take_packaged(g, err);
    if (r == 0)
      r = take(g, err);
  }
  st_group_clear(&g->group);
  return r < 0 ? -1 : 0;
}

void st_view_gather_end(struct st_view_gather *g)
{
  size_t n = 0, all = 0;
  for (size_t k = 0; k < ST_VIEW_KINDS; k++)
    all += g->kinds[k].count;
  g->ret->items = st_calloc(all + 1, sizeof(*g->ret->items));
  for (size_t k = 0; k < ST_VIEW_KINDS; k++)
    for (size_t i = 0; i < g->kinds[k].count; i++, n++) {
      if (st_view_span_has(g->query->span, n))
        g->ret->items[g->ret->count++] = g->kinds[k].items[i];
      else
        st_view_change_clear(&g->kinds[k].items[i]);
    }
  for (size_t k = 0; k < ST_VIEW_KINDS; k++)
    g->kinds[k].count = 0;
}

void st_view_gather_clear(struct st_view_gather *g)
{
  for (size_t k = 0; k < ST_VIEW_KINDS; k++) {
    for (size_t i = 0; i < g->kinds[k].count; i++)
      st_view_change_clear(&g->kinds[k].items[i]);
    free(g->kinds[k].items);
  }
  st_group_free(&g->group);
  st_package_counts_free(&g->counts);
}

/* ---- One host -----------------------------------------------------------------------------------
 */

static int on_change(void *arg, const struct st_change *change, struct st_error *err)
{
  struct st_view_gather *g = arg;
  ST_AUTO_FREE char *path = NULL;
  if (st_change_is_entry(change)) {
    const struct st_value *key = &st_change_row(change)[0];
    path = st_memdup(key->u.bytes.data, key->u.bytes.length);
  }
  g->ret->rules |= strcmp(change->table, ST_CORE_RULE) == 0;
  if (st_view_ignores(change->table) ||
      (g->query->below && (!path || !st_path_below(path, g->query->below))))
    return 0;
  bool same = g->group.count > 0 && g->group.path && path && strcmp(g->group.path, path) == 0;
  if (!same && st_view_gather_flush(g, err) < 0)
    return -1;
  st_group_add(&g->group, change, path);
  return 0;
}

int st_hostview_changes(struct st_hostview *v, int64_t a, int64_t b,
                        const struct st_view_query *query, struct st_view_changes *ret,
                        struct st_error *err)
{
  ST_CLEANUP(st_view_gather_clear)
  struct st_view_gather g = {.a = {v, a}, .b = {v, b}, .query = query, .ret = ret};
  *ret = (struct st_view_changes){0};
  if (st_catalog_changes(v->t->catalog, a, b, on_change, &g, err) < 0 ||
      st_view_gather_flush(&g, err) < 0)
    return -1;
  st_view_gather_end(&g);
  return 0;
}
