/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * owner.c - whose manifest is in force, and when.
 *
 * A manifest is in force where a package's fact names it; of several that speak of one path, that
 * of the package whose table and key sort last counts, for all tables and for directories too: what
 * is read back is exact, and what another owner describes otherwise is stored.
 */
#include "systracker/catalog/internal.h"

/* ---- All of them ----------------------------------------------------------------------------- */

void st_owners_forget(struct st_catalog *c)
{
  struct st_manifests *m = &c->manifests;

  for (size_t i = 0; i < m->nspans; i++)
    st_fact_free(m->spans[i].key);
  free(m->spans);
  m->spans = NULL;
  m->nspans = 0;
  m->has_spans = m->has_winner = false;
}

static void add_span(struct st_manifests *m, const struct st_span *span)
{
  if ((m->nspans & (m->nspans - 1)) == 0) /* a power of 2: full */
    m->spans = st_realloc(m->spans, m->nspans ? 2 * m->nspans : 1, sizeof(*m->spans));
  m->spans[m->nspans++] = *span;
}

/* "manifest, since, until, key columns" of the rows that name one; of the overlay's with its own
 * number. */
static void spans_sql(const struct st_table_full *t, const char *column, bool live,
                      struct st_buffer *sql)
{
  if (!live) {
    st_buffer_printf(sql, "SELECT t.\"%s\", t.since, t.until, ", column);
    st_table_select_key(sql, t);
    st_buffer_printf(sql, " FROM \"%s\" t WHERE t.\"%s\" IS NOT NULL AND NOT t.absent", t->pub.name,
                     column);
    return;
  }
  st_buffer_printf(sql, "SELECT \"%s\", since, NULL", column);
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_buffer_printf(sql, ", \"%s\"", t->pub.declaration.columns[i].name);
  st_buffer_printf(sql,
                   " FROM temp.\"live.%s\" WHERE \"%s\" IS NOT NULL AND NOT ended AND NOT absent",
                   t->pub.name, column);
}

static int load_column(struct st_catalog *c, struct st_table_full *t, size_t column, bool live,
                       struct st_error *err)
{
  struct st_manifests *m = &c->manifests;
  struct st_value key[ST_MAX_COLUMNS], id;
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;
  int r;

  spans_sql(t, t->pub.declaration.columns[column].name, live, &sql);
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, sql.data, err);
  if (!s)
    return -1;
  while ((r = st_sql_step(c, s, err)) == 1) {
    if (st_column_value(c, s, 0, ST_ID, &id, err) < 0)
      return -1;
    for (size_t i = 0; i < t->pub.nkeys; i++)
      if (st_column_value(c, s, 3 + (int)i, t->pub.declaration.columns[i].type, &key[i], err) < 0)
        return -1;
    const struct st_known *k = st_known_find(c, &id.u.id);
    if (!k)
      continue;
    add_span(m, &(struct st_span){
                    .known = (uint32_t)(k - m->items),
                    .t = t,
                    .key = st_row_copy(t, key, t->pub.nkeys),
                    .since = sqlite3_column_int64(s, 1),
                    .until = sqlite3_column_type(s, 2) == SQLITE_NULL ? INT64_MAX
                                                                      : sqlite3_column_int64(s, 2),
                    .live = live,
                });
  }
  return r;
}

static int load_table(struct st_catalog *c, struct st_table_full *t, struct st_error *err)
{
  int r = 0;

  for (size_t k = 0; t->manifests && k < t->pub.declaration.ncolumns && r == 0; k++) {
    if (!(t->pub.declaration.columns[k].flags & ST_MANIFEST))
      continue;
    if (k < t->stored)
      r = load_column(c, t, k, false, err);
    if (r == 0 && c->overlay && t->live)
      r = load_column(c, t, k, true, err);
  }
  return r;
}

/* Whether the overlay speaks of a package that is stored. */
static int mark_overlaid(struct st_catalog *c, struct st_span *span, struct st_error *err)
{
  ST_AUTO_RESET *s = st_table_statement(c, span->t, ST_LIVE_GET, err);

  if (!s)
    return -1;
  for (size_t i = 0; i < span->t->pub.nkeys; i++)
    st_bind(s, 1 + (int)i, &span->key->values[i]);
  int r = st_sql_step(c, s, err);
  span->overlaid = r > 0;
  return r < 0 ? r : 0;
}

static int compare_packages(const struct st_span *x, const struct st_span *y)
{
  int r = strcmp(x->t->pub.name, y->t->pub.name);

  return r ? r : st_key_compare(x->t, x->key->values, y->key->values);
}

static int by_package(const void *a, const void *b)
{
  return compare_packages(*(struct st_span *const *)a, *(struct st_span *const *)b);
}

static int by_manifest(const void *a, const void *b)
{
  const struct st_span *x = a, *y = b;

  return (x->known > y->known) - (x->known < y->known);
}

static void rank_spans(struct st_manifests *m)
{
  ST_AUTO_FREE struct st_span **order = st_calloc(m->nspans + 1, sizeof(struct st_span *));

  for (size_t i = 0; i < m->nspans; i++)
    order[i] = &m->spans[i];
  qsort(order, m->nspans, sizeof(struct st_span *), by_package);
  for (size_t i = 1; i < m->nspans; i++)
    order[i]->rank = order[i - 1]->rank + (compare_packages(order[i], order[i - 1]) != 0);
}

static void assign_spans(struct st_manifests *m)
{
  for (size_t i = 0; i < m->count; i++)
    m->items[i].nspans = 0;
  for (size_t i = 0; i < m->nspans; i++) {
    struct st_known *k = &m->items[m->spans[i].known];
    if (k->nspans++ == 0)
      k->first_span = (uint32_t)i;
  }
}

int st_owners_load(struct st_catalog *c, struct st_error *err)
{
  struct st_manifests *m = &c->manifests;
  int r = st_manifests_check(c, err);

  if (r < 0 || m->has_spans)
    return r;
  for (size_t i = 0; i < c->count && r == 0; i++)
    r = load_table(c, c->tables[i], err);
  for (size_t i = 0; i < m->nspans && r == 0; i++) {
    struct st_span *span = &m->spans[i];
    bool base = !span->live && span->since <= c->base && span->until > c->base;
    if (c->overlay && span->t->live && base)
      r = mark_overlaid(c, span, err);
  }
  if (r < 0) {
    st_owners_forget(c);
    return r;
  }
  if (m->nspans) {
    qsort(m->spans, m->nspans, sizeof(*m->spans), by_manifest);
    rank_spans(m);
  }
  assign_spans(m);
  m->has_spans = true;
  return 0;
}

/* ---- In force -------------------------------------------------------------------------------- */

bool st_in_force(const struct st_span *span, struct st_at at)
{
  if (span->live)
    return at.overlay;
  return span->since <= at.number && span->until > at.number && !(at.overlay && span->overlaid);
}

const struct st_span *st_owner_of(struct st_catalog *c, const struct st_known *k, struct st_at at)
{
  const struct st_manifests *m = &c->manifests;
  const struct st_span *best = NULL;

  for (size_t i = 0; i < k->nspans; i++) {
    const struct st_span *span = &m->spans[k->first_span + i];
    if (st_in_force(span, at) && (!best || span->rank > best->rank))
      best = span;
  }
  return best;
}

/* The best owner below `limit` among the candidates; NULL: none. */
static const struct st_span *next_owner(struct st_catalog *c, const struct st_candidates *list,
                                        struct st_at at, int64_t limit)
{
  const struct st_span *best = NULL;

  for (size_t i = 0; i < list->count; i++) {
    const struct st_span *span = st_owner_of(c, &c->manifests.items[list->items[i]], at);
    if (span && span->rank < limit && (!best || span->rank > best->rank))
      best = span;
  }
  return best;
}

int st_first_owner(struct st_catalog *c, const struct st_value *path, struct st_known **ret,
                   struct st_error *err)
{
  struct st_manifests *m = &c->manifests;

  if (st_owners_load(c, err) < 0)
    return -1;
  if (m->nspans == 0 || m->nread == m->count)
    return 0;
  const struct st_candidates *list =
      st_known_candidates(c, path->u.bytes.data, path->u.bytes.length, false);
  const struct st_span *span = next_owner(c, list, st_at(c, ST_LIVE), INT64_MAX);
  *ret = span ? &m->items[span->known] : NULL;
  return span != NULL;
}

static int find_winner(struct st_catalog *c, struct st_at at, const struct st_value *path,
                       const struct st_span **ret, struct st_error *err)
{
  const struct st_candidates *list =
      st_known_candidates(c, path->u.bytes.data, path->u.bytes.length, false);
  int64_t limit = INT64_MAX;
  struct st_declared *d;

  while ((*ret = next_owner(c, list, at, limit))) {
    if (st_known_declared(c, &c->manifests.items[(*ret)->known], &d, err) < 0)
      return -1;
    if (st_declared_has(d, path))
      return 0;
    limit = (*ret)->rank;
  }
  return 0;
}

static bool is_last(const struct st_manifests *m, struct st_at at, const struct st_value *path)
{
  return m->has_winner && m->winner_number == at.number && m->winner_overlay == at.overlay &&
         path->u.bytes.length > 0 && m->winner_path.length == path->u.bytes.length &&
         memcmp(m->winner_path.data, path->u.bytes.data, path->u.bytes.length) == 0;
}

int st_winner(struct st_catalog *c, int64_t number, const struct st_value *path,
              const struct st_span **ret, struct st_declared **ret_declared, struct st_error *err)
{
  struct st_manifests *m = &c->manifests;
  struct st_at at = st_at(c, number);

  *ret = NULL;
  if (st_owners_load(c, err) < 0)
    return -1;
  if (m->nspans == 0)
    return 0;
  if (!is_last(m, at, path)) {
    m->has_winner = false;
    if (find_winner(c, at, path, ret, err) < 0)
      return -1;
    st_buffer_clear(&m->winner_path);
    st_buffer_append(&m->winner_path, path->u.bytes.data, path->u.bytes.length);
    m->winner = *ret ? *ret - m->spans : -1;
    m->winner_number = at.number;
    m->winner_overlay = at.overlay;
    m->has_winner = true;
  }
  if (m->winner < 0)
    return 0;
  *ret = &m->spans[m->winner];
  return st_known_declared(c, &m->items[(*ret)->known], ret_declared, err) < 0 ? -1 : 1;
}
