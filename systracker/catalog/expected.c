/* SPDX-License-Identifier: GPL-2.0-or-later */
/* expected.c - expected facts: what the manifests that are in force say of a path. */
#include "systracker/catalog/internal.h"

/* ---- One path -------------------------------------------------------------------------------- */

/* What a manifest is silent about, where that means that there is nothing. */
static void fill_usual(const struct st_table_full *t, int64_t number, struct st_value *row)
{
  for (size_t i = t->pub.nkeys; i < t->pub.declaration.ncolumns; i++) {
    const struct st_column *column = &t->pub.declaration.columns[i];

    if (row[i].type != ST_NULL || !(column->flags & ST_USUALLY_NONE) || t->since[i] > number)
      continue;
    row[i] = column->type == ST_INTEGER ? st_integer(0) : st_bytes_value(column->type, "", 0);
  }
}

/* A row of the manifest as a fact at `number`. */
static int make_fact(struct st_table_full *t, int64_t number, const struct st_declared *d,
                     const struct st_declared_table *table, uint32_t row,
                     const struct st_span *span, struct st_fact_row **ret, struct st_error *err)
{
  struct st_value values[ST_MAX_COLUMNS];

  if (st_declared_row(d, table, row, values, err) < 0)
    return -1;
  for (size_t i = 1; i < t->pub.declaration.ncolumns; i++)
    if (t->since[i] > number) /* nobody captured that then */
      values[i] = st_null();
  fill_usual(t, number, values);
  *ret = st_row_copy(t, values, t->pub.declaration.ncolumns);
  (*ret)->present = (*ret)->expected = true;
  (*ret)->since = span->since;
  return 0;
}

/* The row that is expected of the path, if any: 1. */
static int find_row(struct st_catalog *c, int64_t number, struct st_table_full *t,
                    const struct st_value *path, const struct st_span **ret_span,
                    struct st_declared **ret_declared, struct st_declared_table **ret_table,
                    uint32_t *ret_row, struct st_error *err)
{
  if (!st_is_entry(t) || t->since[0] > number)
    return 0;
  int r = st_winner(c, number, path, ret_span, ret_declared, err);
  if (r <= 0)
    return r;
  *ret_table = st_declared_of(*ret_declared, t);
  return *ret_table && st_declared_search(*ret_declared, *ret_table, path, ret_row);
}

int st_declared_fact(struct st_catalog *c, int64_t number, struct st_table_full *t,
                     const struct st_value *key, struct st_fact_row **ret, struct st_error *err)
{
  const struct st_span *span;
  struct st_declared *d;
  struct st_declared_table *table;
  uint32_t row;

  *ret = NULL;
  int r = find_row(c, number, t, &key[0], &span, &d, &table, &row, err);
  return r <= 0 ? r : make_fact(t, number, d, table, row, span, ret, err);
}

/* A scan is asked about by what it goes by; what is committed, by its facts. */
static int64_t scope_number(struct st_catalog *c, int64_t number)
{
  if (number == ST_LIVE)
    return c->scanning || c->overlay ? ST_LIVE : st_catalog_latest(c);
  return c->scanning && c->writer && number == c->number ? ST_LIVE : number;
}

int st_in_scope(struct st_catalog *c, int64_t number, const struct st_fact_row *fact,
                struct st_error *err)
{
  if (!c->scope.has)
    return 1;
  return c->scope.has(c->scope.arg, scope_number(c, number), fact, err);
}

int st_expected_fact(struct st_catalog *c, int64_t number, struct st_table_full *t,
                     const struct st_value *key, struct st_fact_row **ret, struct st_error *err)
{
  if (st_declared_fact(c, number, t, key, ret, err) < 0)
    return -1;
  int r = *ret ? st_in_scope(c, number, *ret, err) : 1;
  if (r != 1)
    st_fact_free(st_steal(ret));
  return r < 0 ? r : 0;
}

int st_catalog_expected(struct st_catalog *c, int64_t number, const struct st_catalog_table *table,
                        const struct st_value *key, struct st_fact_row **ret, struct st_error *err)
{
  return st_declared_fact(c, number, st_full(table), key, ret, err);
}

int st_catalog_expecting(struct st_catalog *c, int64_t number, const char *path,
                         struct st_fact_row **ret, struct st_error *err)
{
  struct st_value key = st_path_value(path);
  const struct st_span *span;
  struct st_declared *d;

  *ret = NULL;
  int r = st_winner(c, number, &key, &span, &d, err);
  return r <= 0 ? r : st_catalog_fact(c, number, &span->t->pub, span->key->values, ret, err);
}

/* The id in a declared row is its content's. */
static int take_content(const struct st_declared *d, const struct st_declared_table *table,
                        uint32_t row, struct st_id *ret, struct st_error *err)
{
  const struct st_table *declaration = &table->t->pub.declaration;
  struct st_value values[ST_MAX_COLUMNS];

  if (st_declared_row(d, table, row, values, err) < 0)
    return -1;
  for (size_t i = 1; i < declaration->ncolumns; i++)
    if (declaration->columns[i].type == ST_ID && values[i].type == ST_ID) {
      *ret = values[i].u.id;
      return 1;
    }
  return 0;
}

int st_catalog_expected_content(struct st_catalog *c, int64_t number, const char *path,
                                bool *ret_owned, struct st_id *ret, struct st_error *err)
{
  struct st_value key = st_path_value(path);
  const struct st_span *span;
  struct st_declared *d;
  uint32_t row;
  int r = st_winner(c, number, &key, &span, &d, err);

  *ret_owned = r > 0;
  if (r <= 0)
    return r;
  r = 0;
  for (size_t i = 0; i < d->count && r == 0; i++)
    if (d->tables[i].t && st_declared_search(d, &d->tables[i], &key, &row))
      r = take_content(d, &d->tables[i], row, ret, err);
  return r;
}

/* ---- The open sweep -------------------------------------------------------------------------- */

int st_expected_mark(struct st_catalog *c, struct st_table_full *t, const struct st_value *path,
                     struct st_error *err)
{
  const struct st_span *span;
  struct st_declared *d;
  struct st_declared_table *table;
  uint32_t row;
  int r = find_row(c, ST_LIVE, t, path, &span, &d, &table, &row, err);

  if (r > 0)
    st_declared_mark(table, row);
  return r < 0 ? r : 0;
}

void st_expected_unmark(struct st_catalog *c, const struct st_table_full *t)
{
  for (size_t i = 0; i < c->manifests.count; i++) {
    struct st_declared *d = c->manifests.items[i].declared;
    struct st_declared_table *table = d ? st_declared_of(d, t) : NULL;
    if (table)
      free(st_steal(&table->seen));
  }
}

/* One row that was not marked: expected, unless it is stored, or another package's word counts. */
static int tell_unmarked(struct st_catalog *c, struct st_table_full *t, const struct st_value *path,
                         st_fact_fn *fn, void *arg, struct st_error *err)
{
  ST_CLEANUP(st_fact_freep) struct st_fact_row *stored = NULL, *expected = NULL;

  if (st_stored_fact(c, st_at(c, ST_LIVE), t, path, &stored, err) < 0)
    return -1;
  if (stored)
    return 0;
  if (st_expected_fact(c, ST_LIVE, t, path, &expected, err) < 0)
    return -1;
  return expected ? fn(arg, expected, err) : 0;
}

/* The rows of one manifest; of a path that several speak of, the winner's is marked alone. */
static int unmarked_of(struct st_catalog *c, const struct st_known *k, struct st_declared *d,
                       struct st_declared_table *table, st_fact_fn *fn, void *arg,
                       struct st_error *err)
{
  const struct st_span *span;
  struct st_declared *winner;
  struct st_value path;
  int r = 0;

  for (uint32_t row = 0; row < table->count && r == 0; row++) {
    if (st_declared_is_marked(table, row))
      continue;
    st_declared_path(d, table, row, &path);
    if ((r = st_winner(c, ST_LIVE, &path, &span, &winner, err)) < 0)
      return r;
    bool ours = r > 0 && &c->manifests.items[span->known] == k;
    r = ours ? tell_unmarked(c, table->t, &path, fn, arg, err) : 0;
  }
  return r;
}

int st_expected_unmarked(struct st_catalog *c, struct st_table_full *t, st_fact_fn *fn, void *arg,
                         struct st_error *err)
{
  struct st_manifests *m = &c->manifests;
  struct st_at at = st_at(c, ST_LIVE);
  struct st_declared *d;
  int r = st_is_entry(t) ? st_owners_load(c, err) : 0;

  m->holders++;
  for (size_t i = 0; st_is_entry(t) && i < m->count && r == 0; i++) {
    if (!st_owner_of(c, &m->items[i], at))
      continue;
    r = st_known_declared(c, &m->items[i], &d, err);
    struct st_declared_table *table = r == 0 ? st_declared_of(d, t) : NULL;
    if (table)
      r = unmarked_of(c, &m->items[i], d, table, fn, arg, err);
  }
  m->holders--;
  return r;
}

/* ---- What changed ---------------------------------------------------------------------------- */

/* The manifest that a value names, as it is read; NULL: it names none. */
static int declared_by(struct st_catalog *c, const struct st_value *value, struct st_declared **ret,
                       struct st_error *err)
{
  *ret = NULL;
  struct st_known *k = value->type == ST_ID ? st_known_find(c, &value->u.id) : NULL;
  return k ? st_known_declared(c, k, ret, err) : 0;
}

/* The manifests of one package that it had at only one of the two. */
static int package_changes(struct st_catalog *c, const struct st_table_full *t,
                           const struct st_value *key, int64_t a, int64_t b,
                           st_expected_path_fn *fn, void *arg, struct st_error *err)
{
  ST_CLEANUP(st_fact_freep) struct st_fact_row *before = NULL, *after = NULL;
  struct st_declared *x, *y;
  int r = 0;

  if (st_catalog_fact(c, a, &t->pub, key, &before, err) < 0 ||
      st_catalog_fact(c, b, &t->pub, key, &after, err) < 0)
    return -1;
  for (size_t i = 0; i < t->pub.declaration.ncolumns && r == 0; i++) {
    const struct st_value *old = &before->values[i], *fresh = &after->values[i];

    if (!(t->pub.declaration.columns[i].flags & ST_MANIFEST) || st_value_compare(old, fresh) == 0)
      continue;
    if (st_manifests_check(c, err) < 0 || declared_by(c, old, &x, err) < 0)
      return -1;
    c->manifests.holders++;
    r = declared_by(c, fresh, &y, err);
    if (r == 0)
      r = st_declared_compare(x, y, fn, arg, err);
    c->manifests.holders--;
  }
  return r;
}

int st_manifest_changes(struct st_catalog *c, int64_t a, int64_t b, st_expected_path_fn *fn,
                        void *arg, struct st_error *err)
{
  struct st_at x = st_at(c, a), y = st_at(c, b);
  int64_t low = x.number < y.number ? x.number : y.number;
  int64_t high = x.number < y.number ? y.number : x.number;
  int r = 0;

  for (size_t i = 0; i < c->count && r == 0; i++) {
    ST_CLEANUP(st_keylist_free) struct st_keylist list = {0};

    if (!c->tables[i]->manifests)
      continue;
    r = st_keylist_changed(&list, c, c->tables[i], low, high, x.overlay || y.overlay, err);
    for (size_t k = 0; k < list.count && r == 0; k++)
      r = package_changes(c, c->tables[i], list.items[k].key->values, a, b, fn, arg, err);
  }
  return r;
}

struct scope_changes {
  struct st_catalog *c;
  int64_t a, b;
  st_expected_path_fn *fn;
  void *arg;
};

static int compare_scopes(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  const struct scope_changes *s = arg;
  int before = st_in_scope(s->c, s->a, fact, err);
  int after = before < 0 ? -1 : st_in_scope(s->c, s->b, fact, err);

  if (after < 0 || before == after)
    return after < 0 ? -1 : 0;
  return s->fn(s->arg, st_full(fact->table), &fact->values[0], err);
}

/* All that manifests in force declare of a table, looked after or not. */
static int all_declared(struct st_catalog *c, int64_t number, struct st_table_full *t,
                        st_fact_fn *fn, void *arg, struct st_error *err)
{
  struct st_expectations e;
  int r = st_expectations_open(&e, c, number, t, "", err);

  e.all = true;
  if (r == 0)
    r = st_expectations_next(&e, err);
  while (r == 0 && e.fact) {
    r = fn(arg, e.fact, err);
    if (r == 0)
      r = st_expectations_next(&e, err);
  }
  st_expectations_close(&e);
  return r;
}

int st_scope_changes(struct st_catalog *c, int64_t a, int64_t b, st_expected_path_fn *fn, void *arg,
                     struct st_error *err)
{
  struct scope_changes s = {c, a, b, fn, arg};
  int same = 1;

  if (c->scope.same && a > 0)
    same = c->scope.same(c->scope.arg, scope_number(c, a), scope_number(c, b), err);
  int r = same < 0 ? -1 : 0;
  for (size_t i = 0; i < c->count && r == 0 && !same; i++)
    r = all_declared(c, b, c->tables[i], compare_scopes, &s, err);
  return r;
}

struct paths {
  int (*fn)(void *arg, const char *path);
  void *arg;
  struct st_set *told;
};

static int tell_path(void *arg, struct st_table_full *t, const struct st_value *path,
                     struct st_error *err)
{
  struct paths *p = arg;

  (void)t, (void)err;
  if (!st_set_add(p->told, path->u.bytes.data, path->u.bytes.length, 0))
    return 0;
  ST_AUTO_FREE char *text = st_memdup(path->u.bytes.data, path->u.bytes.length);
  return p->fn(p->arg, text);
}

int st_catalog_manifest_paths(struct st_catalog *c, int (*fn)(void *arg, const char *path),
                              void *arg, struct st_error *err)
{
  ST_CLEANUP(st_set_freep) struct st_set *told = st_set_new();
  struct paths p = {fn, arg, told};

  return st_manifest_changes(c, c->base, ST_LIVE, tell_path, &p, err);
}

/* ---- History --------------------------------------------------------------------------------- */

int st_expected_history(struct st_catalog *c, const struct st_value *path,
                        void (*fn)(void *arg, int64_t number), void *arg, struct st_error *err)
{
  struct st_manifests *m = &c->manifests;
  struct st_declared *d;

  if (st_owners_load(c, err) < 0)
    return -1;
  const struct st_candidates *list =
      st_known_candidates(c, path->u.bytes.data, path->u.bytes.length, false);
  for (size_t i = 0; i < list->count; i++) {
    struct st_known *k = &m->items[list->items[i]];

    if (st_known_declared(c, k, &d, err) < 0)
      return -1;
    for (size_t n = 0; st_declared_has(d, path) && n < k->nspans; n++) {
      const struct st_span *span = &m->spans[k->first_span + n];
      fn(arg, span->since);
      if (span->until != INT64_MAX)
        fn(arg, span->until);
    }
  }
  return 0;
}
