/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * view-two.c - what differs between the states of two hosts.
 *
 * A host is its packages, and what deviates from them.  So packages and other facts without a path
 * are compared row by row, in the order of their keys; and of paths those that either side stores,
 * and those of packages that are the same by name and version, but with another manifest (made of
 * what was there).  What a package brings along that is on one side alone, or there in another
 * version, is said by the package's line.
 */
#include <string.h>

#include "archive-sync/serve/view-internal.h"
#include "systracker/base/cbor.h"
#include "systracker/base/file.h"
#include "systracker/tracker/facts.h"

/* Paths looked at, at most; a page can show a thousandth of it. */
#define PATHS_MAX 200000

/* ---- Tables of both -----------------------------------------------------------------------------
 */

/* Hosts may have the same table from different versions of a plug-in: columns are only appended,
 * so the shorter declaration holds for both.  NULL: they have nothing in common. */
static const struct st_table *common(const struct st_catalog_table *x,
                                     const struct st_catalog_table *y)
{
  const struct st_table *d = !y || (x && x->declaration.ncolumns < y->declaration.ncolumns)
                                 ? &x->declaration
                                 : &y->declaration;
  if (!x || !y)
    return d;
  for (size_t i = 0; i < d->ncolumns; i++) {
    const struct st_column *p = &x->declaration.columns[i], *q = &y->declaration.columns[i];
    if (strcmp(p->name, q->name) != 0 || p->type != q->type || p->flags != q->flags)
      return NULL;
  }
  return x->declaration.flags == y->declaration.flags && x->nkeys == y->nkeys ? d : NULL;
}

static int compare_values(const struct st_value *a, const struct st_value *b)
{
  if (a->type != b->type)
    return a->type < b->type ? -1 : 1;
  if (a->type == ST_INTEGER)
    return (a->u.integer > b->u.integer) - (a->u.integer < b->u.integer);
  if (a->type == ST_NULL)
    return 0;
  if (a->type == ST_ID)
    return memcmp(&a->u.id, &b->u.id, sizeof(a->u.id));
  size_t x = a->u.bytes.length, y = b->u.bytes.length, n = x < y ? x : y;
  int r = n > 0 ? memcmp(a->u.bytes.data, b->u.bytes.data, n) : 0;
  return r ? r : (x > y) - (x < y);
}

static int compare_rows(const void *p, const void *q)
{
  const struct st_row *a = p, *b = q;
  for (size_t i = 0; i < a->table->nkeys; i++) {
    int r = compare_values(&a->values[i], &b->values[i]);
    if (r)
      return r;
  }
  return 0;
}

/* Secrets' ids are keyed by each host for itself, and tell nothing of those of another one. */
static bool are_comparable(const struct st_value *a, const struct st_value *b, bool one_host)
{
  if (a->type == ST_NULL || b->type == ST_NULL)
    return false;
  return one_host || a->type != ST_ID || b->type != ST_ID || !a->u.id.keyed || !b->u.id.keyed;
}

static bool rows_differ(const struct st_table *d, const struct st_value *a,
                        const struct st_value *b, bool one_host)
{
  for (size_t i = 0; i < d->ncolumns; i++)
    if (are_comparable(&a[i], &b[i], one_host) && !(d->columns[i].flags & ST_MANIFEST) &&
        compare_values(&a[i], &b[i]) != 0)
      return true;
  return false;
}

/* Epochs of a host have its key, too. */
static bool are_one_host(const struct st_view_at *a, const struct st_view_at *b)
{
  return strncmp(a->v->host, b->v->host, ST_HOST_ID_SIZE - 1) == 0;
}

/* ---- Facts without a path -----------------------------------------------------------------------
 */

static int add_fact(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  st_facts_add(arg, fact->table, fact->values);
  return 0;
}

static int read_rows(const struct st_view_at *at, const struct st_catalog_table *table,
                     struct st_facts *ret, struct st_error *err)
{
  if (table && st_catalog_each(at->v->t->catalog, at->number, table, NULL, add_fact, ret, err) < 0)
    return -1;
  if (ret->count > 1)
    qsort(ret->rows, ret->count, sizeof(*ret->rows), compare_rows);
  return 0;
}

/* Packages of both whose manifests are others. */
struct manifests {
  struct st_strings paths; /* that they speak of */
  bool truncated;
};

static int add_manifest(const struct st_view_at *at, const struct st_id *id, const char *below,
                        struct manifests *ret, struct st_error *err);

static int compare_manifests(struct st_view_gather *g, const struct st_table *d,
                             const struct st_value *a, const struct st_value *b,
                             struct manifests *ret, struct st_error *err)
{
  for (size_t i = 0; i < d->ncolumns; i++)
    if ((d->columns[i].flags & ST_MANIFEST) && a[i].type == ST_ID && b[i].type == ST_ID &&
        !st_id_equal(&a[i].u.id, &b[i].u.id) &&
        (add_manifest(&g->a, &a[i].u.id, g->query->below, ret, err) < 0 ||
         add_manifest(&g->b, &b[i].u.id, g->query->below, ret, err) < 0))
      return -1;
  return 0;
}

/* One key's rows, either of which may be NULL. */
static int tell_rows(struct st_view_gather *g, const struct st_table *d, const char *table,
                     const struct st_value *a, const struct st_value *b, struct manifests *ret,
                     struct st_error *err)
{
  if (a && b && !rows_differ(d, a, b, are_one_host(&g->a, &g->b)))
    return compare_manifests(g, d, a, b, ret, err);
  const struct st_change change = {.table = table, .declaration = d, .before = a, .after = b};
  g->ret->rules |= strcmp(table, ST_CORE_RULE) == 0;
  if (g->query->below)
    return 0;
  st_group_add(&g->group, &change, NULL);
  return st_view_gather_flush(g, err);
}

static int merge(struct st_view_gather *g, const struct st_table *d, const char *table,
                 const struct st_facts *x, const struct st_facts *y, struct manifests *ret,
                 struct st_error *err)
{
  size_t i = 0, k = 0;
  int r = 0;
  while (r == 0 && (i < x->count || k < y->count)) {
    int order = i == x->count ? 1 : k == y->count ? -1 : compare_rows(&x->rows[i], &y->rows[k]);
    r = tell_rows(g, d, table, order <= 0 ? x->rows[i].values : NULL,
                  order >= 0 ? y->rows[k].values : NULL, ret, err);
    i += order <= 0;
    k += order >= 0;
  }
  return r;
}

static int compare_table(struct st_view_gather *g, const char *name, struct manifests *ret,
                         struct st_error *err)
{
  const struct st_catalog_table *x = st_catalog_table(g->a.v->t->catalog, name);
  const struct st_catalog_table *y = st_catalog_table(g->b.v->t->catalog, name);
  const struct st_table *d = common(x, y);
  ST_CLEANUP(st_facts_clear) struct st_facts a = {0}, b = {0};
  if (!d || (d->flags & ST_TABLE_ENTRY) || st_view_ignores(name))
    return 0;
  if (read_rows(&g->a, x, &a, err) < 0 || read_rows(&g->b, y, &b, err) < 0)
    return -1;
  return merge(g, d, name, &a, &b, ret, err);
}

static int by_bytes(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, each once. */
static void settle(struct st_strings *s)
{
  size_t kept = 0;
  if (s->count > 1)
    qsort(s->items, s->count, sizeof(*s->items), by_bytes);
  for (size_t i = 0; i < s->count; i++) {
    if (kept > 0 && strcmp(s->items[kept - 1], s->items[i]) == 0)
      free(s->items[i]);
    else
      s->items[kept++] = s->items[i];
  }
  s->count = kept;
}

static void list_tables(struct st_hostview *v, bool entries, struct st_strings *ret)
{
  const struct st_catalog_table *table;
  for (size_t n = 0; (table = st_catalog_table_at(v->t->catalog, n)); n++)
    if (entries == !!(table->declaration.flags & ST_TABLE_ENTRY))
      st_strings_add(ret, table->name);
}

static int compare_others(struct st_view_gather *g, struct manifests *ret, struct st_error *err)
{
  ST_AUTO_STRINGS names = {0};
  list_tables(g->a.v, false, &names);
  list_tables(g->b.v, false, &names);
  settle(&names);
  for (size_t i = 0; i < names.count; i++)
    if (compare_table(g, names.items[i], ret, err) < 0)
      return -1;
  return 0;
}

/* ---- Paths of manifests -------------------------------------------------------------------------
 */

static void add_path(struct manifests *m, const char *below, const void *data, size_t length)
{
  ST_AUTO_FREE char *path = st_memdup(data, length);
  if (below && !st_path_below(path, below))
    return;
  m->truncated |= m->paths.count >= PATHS_MAX;
  if (m->paths.count < PATHS_MAX)
    st_strings_take(&m->paths, st_steal(&path));
}

struct manifest_table {
  const struct st_catalog_table *table; /* NULL: not known here */
};

/* [[table, [column...]]...] */
static int read_header(struct st_hostview *v, struct st_cbor *in, struct manifest_table *tables,
                       size_t max, struct st_error *err)
{
  const char *text;
  size_t length;
  uint64_t n, count;
  int64_t version;
  if (st_cbor_read_array(in, &n, err) < 0 || n != 4 ||
      st_cbor_read_text(in, &text, &length, err) < 0 ||
      st_cbor_read_integer(in, &version, err) < 0 ||
      st_cbor_read_text(in, &text, &length, err) < 0 || st_cbor_read_array(in, &count, err) < 0 ||
      count > max)
    return st_fail(err, 0, "a manifest of another form");
  for (size_t i = 0; i < count; i++) {
    if (st_cbor_read_array(in, &n, err) < 0 || n != 2 ||
        st_cbor_read_text(in, &text, &length, err) < 0)
      return -1;
    ST_AUTO_FREE char *name = st_memdup(text, length);
    tables[i].table = st_catalog_table(v->t->catalog, name);
    if (st_cbor_read_array(in, &n, err) < 0)
      return -1;
    while (n-- > 0)
      if (st_cbor_read_text(in, &text, &length, err) < 0)
        return -1;
  }
  return (int)count;
}

/* [index of the table, path, value...] */
static int read_row(struct st_cbor *in, const struct manifest_table *tables, size_t count,
                    struct st_value *ret_path, struct st_error *err)
{
  uint64_t n;
  int64_t index;
  if (st_cbor_read_array(in, &n, err) < 0 || n < 2 || st_cbor_read_integer(in, &index, err) < 0 ||
      index < 0 || (uint64_t)index >= count || !tables[index].table)
    return -1;
  const struct st_table *d = &tables[index].table->declaration;
  if (n - 1 > d->ncolumns || st_cbor_read_value(in, ST_PATH, ret_path, err) < 0 ||
      ret_path->type != ST_PATH)
    return -1;
  for (size_t i = 1; i < n - 1; i++) {
    struct st_value ignored;
    if (st_cbor_read_value(in, d->columns[i].type, &ignored, err) < 0)
      return -1;
  }
  return 0;
}

/* A manifest that cannot be read here says nothing: its package is there all the same. */
static int add_manifest(const struct st_view_at *at, const struct st_id *id, const char *below,
                        struct manifests *ret, struct st_error *err)
{
  ST_AUTO_ERROR unread = ST_ERROR_INIT;
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  struct manifest_table tables[64];
  struct st_value path;
  (void)err;
  if (st_store_get(at->v->t->store, id, &bytes, &unread) < 0)
    return 0;
  struct st_cbor in = {(const uint8_t *)bytes.data, bytes.length};
  int count = read_header(at->v, &in, tables, ST_COUNT(tables), &unread);
  while (count >= 0 && !ret->truncated && !st_cbor_at_end(&in)) {
    if (read_row(&in, tables, (size_t)count, &path, &unread) < 0)
      break;
    add_path(ret, below, path.u.bytes.data, path.u.bytes.length);
  }
  return 0;
}

/* ---- Paths --------------------------------------------------------------------------------------
 */

struct stored {
  struct manifests *to;
  const char *below;
};

static int add_stored(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  const struct stored *s = arg;
  const struct st_value *key = &fact->values[0];
  (void)err;
  add_path(s->to, s->below, key->u.bytes.data, key->u.bytes.length);
  return s->to->truncated;
}

static int list_stored(const struct st_view_at *at, const char *below, struct manifests *ret,
                       struct st_error *err)
{
  struct stored s = {ret, below};
  const struct st_catalog_table *table;
  int r = 0;
  for (size_t n = 0; r == 0 && (table = st_catalog_table_at(at->v->t->catalog, n)); n++) {
    if (table->declaration.flags & ST_TABLE_ENTRY)
      r = st_catalog_each_stored(at->v->t->catalog, at->number, table, add_stored, &s, err);
    settle(&ret->paths);
  }
  return r < 0 ? -1 : 0;
}

static int fact_at(const struct st_view_at *at, const struct st_catalog_table *table,
                   const char *path, struct st_fact_row **ret, struct st_error *err)
{
  struct st_value key = st_path_value(path);
  return table ? st_catalog_fact(at->v->t->catalog, at->number, table, &key, ret, err) : 0;
}

static int compare_in_table(const struct st_view_at *a, const struct st_view_at *b,
                            const char *name, const char *path, struct st_group *group,
                            struct st_error *err)
{
  const struct st_catalog_table *x = st_catalog_table(a->v->t->catalog, name);
  const struct st_catalog_table *y = st_catalog_table(b->v->t->catalog, name);
  const struct st_table *d = common(x, y);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *before = NULL, *after = NULL;
  if (!d)
    return 0;
  if (fact_at(a, x, path, &before, err) < 0 || fact_at(b, y, path, &after, err) < 0)
    return -1;
  const struct st_change change = {
      .table = name,
      .declaration = d,
      .before = before && before->present ? before->values : NULL,
      .after = after && after->present ? after->values : NULL,
  };
  if (!change.before && !change.after)
    return 0;
  if (!change.before || !change.after ||
      rows_differ(d, change.before, change.after, are_one_host(a, b)))
    st_group_add(group, &change, path);
  return 0;
}

int st_view_compare_path(const struct st_view_at *a, const struct st_view_at *b, const char *path,
                         struct st_group *group, struct st_error *err)
{
  ST_AUTO_STRINGS names = {0};
  list_tables(a->v, true, &names);
  list_tables(b->v, true, &names);
  settle(&names);
  for (size_t i = 0; i < names.count; i++)
    if (compare_in_table(a, b, names.items[i], path, group, err) < 0)
      return -1;
  return 0;
}

static int compare_paths(struct st_view_gather *g, struct manifests *m, struct st_error *err)
{
  if (list_stored(&g->a, g->query->below, m, err) < 0 ||
      list_stored(&g->b, g->query->below, m, err) < 0)
    return -1;
  settle(&m->paths);
  for (size_t i = 0; i < m->paths.count; i++)
    if (st_view_compare_path(&g->a, &g->b, m->paths.items[i], &g->group, err) < 0 ||
        st_view_gather_flush(g, err) < 0)
      return -1;
  return 0;
}

int st_hostview_changes_of_two(struct st_hostview *a, int64_t at_a, struct st_hostview *b,
                               int64_t at_b, const struct st_view_query *query,
                               struct st_view_changes *ret, struct st_error *err)
{
  ST_CLEANUP(st_view_gather_clear)
  struct st_view_gather g = {.a = {a, at_a}, .b = {b, at_b}, .query = query, .ret = ret};
  struct manifests m = {0};
  *ret = (struct st_view_changes){0};
  int r = compare_others(&g, &m, err);
  if (r == 0)
    r = compare_paths(&g, &m, err);
  st_strings_free(&m.paths);
  if (r < 0)
    return -1;
  st_view_gather_end(&g);
  ret->truncated = m.truncated;
  return 0;
}

int st_hostview_change_of(struct st_hostview *a, int64_t at_a, struct st_hostview *b, int64_t at_b,
                          const char *path, struct st_view_change *ret, struct st_error *err)
{
  const struct st_view_at before = {a, at_a}, after = {b, at_b};
  struct st_group g = {0};
  enum st_view_kind kind;
  *ret = (struct st_view_change){0};
  int r = st_view_compare_path(&before, &after, path, &g, err);
  if (r == 0 && g.count > 0 && st_group_is_loud(&g)) {
    r = st_view_group_finish(&before, &after, &g, err);
    if (r == 0)
      r = st_view_kind_of(&before, &after, &g, &kind, err);
    if (r == 0)
      r = st_view_change_make(kind, &after, &g, false, true, ret, err);
  }
  st_group_free(&g);
  return r < 0 ? -1 : 0;
}
