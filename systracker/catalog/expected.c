/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * expected.c - expected facts: what the manifests that are in force say of a path.
 *
 * A manifest is in force where a package's fact names it; of several that speak of one path, that
 * of the package whose key sorts last counts, for directories too: what is read back is exact, and
 * a directory that another owner describes is stored.  Owners are looked up one by one, and kept.
 */
#include "systracker/catalog/internal.h"

/* ---- Owners ---------------------------------------------------------------------------------- */

void st_owners_forget(struct st_catalog *c)
{
  for (size_t i = 0; i < c->nowners; i++)
    st_fact_free(c->owners[i].package);
  free(c->owners);
  c->owners = NULL;
  c->nowners = 0;
  if (c->owned)
    st_set_free(c->owned);
  c->owned = NULL;
}

bool st_owner_wins(const struct st_owner *a, const struct st_owner *over)
{
  int r = strcmp(a->table->pub.name, over->table->pub.name);

  if (r == 0)
    r = st_key_compare(a->table, a->package->values, over->package->values);
  return r > 0;
}

/* The rows of a table whose column names the manifest, at a checkpoint; the overlay's where so. */
static void owner_sql(const struct st_table_full *t, const char *column, bool live,
                      struct st_buffer *sql)
{
  st_buffer_append_string(sql, "SELECT ");
  if (live) {
    st_table_select_live(sql, t);
    st_buffer_printf(sql, " FROM temp.\"live.%s\" t WHERE NOT t.ended AND NOT t.absent",
                     t->pub.name);
  } else {
    st_table_select(sql, t, false);
    st_buffer_printf(sql,
                     " FROM \"%s\" t WHERE t.since <= ?1 AND (t.until IS NULL OR t.until > ?1)"
                     " AND NOT t.absent",
                     t->pub.name);
  }
  st_buffer_printf(sql, " AND t.\"%s\" = ?2", column);
}

/* Whether the overlay says something else of a package that is stored. */
static int is_overlaid(struct st_catalog *c, struct st_table_full *t, const struct st_value *key,
                       struct st_error *err)
{
  ST_AUTO_RESET *s = st_table_statement(c, t, ST_LIVE_GET, err);

  if (!s)
    return -1;
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_bind(s, 1 + (int)i, &key[i]);
  return st_sql_step(c, s, err);
}

static void consider_owner(struct st_table_full *t, const struct st_fact_row *row,
                           struct st_owner *best)
{
  struct st_owner owner = {t, (struct st_fact_row *)row};

  if (best->package && !st_owner_wins(&owner, best))
    return;
  st_fact_free(best->package);
  *best = (struct st_owner){t, st_row_copy(t, row->values, t->pub.declaration.ncolumns)};
  best->package->since = row->since;
}

static int find_owner(struct st_catalog *c, struct st_at at, struct st_table_full *t, size_t column,
                      bool live, const struct st_value *id, struct st_owner *best,
                      struct st_error *err)
{
  struct st_value values[ST_MAX_COLUMNS];
  struct st_fact_row row = {.values = values};
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;
  int r;

  owner_sql(t, t->pub.declaration.columns[column].name, live, &sql);
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, sql.data, err);
  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, at.number);
  st_bind(s, 2, id);
  while ((r = st_sql_step(c, s, err)) == 1) {
    int hidden = 0;
    if (st_fact_read(c, s, t, &row, err) < 0)
      return -1;
    if (at.overlay && t->live && !live && (hidden = is_overlaid(c, t, values, err)) < 0)
      return -1;
    if (!hidden)
      consider_owner(t, &row, best);
  }
  return r;
}

static int find_owners(struct st_catalog *c, int64_t number, const struct st_value *id,
                       struct st_owner *best, struct st_error *err)
{
  struct st_at at = st_at(c, number);
  int r = 0;

  for (size_t i = 0; i < c->count && r == 0; i++) {
    struct st_table_full *t = c->tables[i];

    for (size_t k = 0; t->manifests && k < t->pub.declaration.ncolumns && r == 0; k++) {
      if (!(t->pub.declaration.columns[k].flags & ST_MANIFEST))
        continue;
      if (k < t->stored)
        r = find_owner(c, at, t, k, false, id, best, err);
      if (r == 0 && at.overlay && t->live)
        r = find_owner(c, at, t, k, true, id, best, err);
    }
  }
  return r;
}

/* The manifest's id by its number. */
static int manifest_id(struct st_catalog *c, int64_t manifest, struct st_value *ret,
                       struct st_error *err)
{
  ST_AUTO_FREE char *sql = st_format("SELECT id FROM %s WHERE ref = %lld",
                                     manifest > INT64_C(1) << 40 ? "temp.livemanifest" : "manifest",
                                     (long long)manifest);
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, sql, err);
  int r = s ? st_sql_step(c, s, err) : -1;

  if (r == 1)
    return st_column_value(c, s, 0, ST_ID, ret, err);
  return r < 0 ? r : st_fail(err, 0, "catalog: the index of manifests is damaged (%s)", c->name);
}

int st_owner(struct st_catalog *c, int64_t number, int64_t manifest, struct st_owner *ret,
             struct st_error *err)
{
  int64_t key[2] = {number, manifest};
  struct st_owner best = {0};
  struct st_value id;
  uint64_t place;

  if (!c->owned)
    c->owned = st_set_new();
  if (st_set_get(c->owned, key, sizeof(key), &place)) {
    *ret = c->owners[place];
    return 0;
  }
  if (manifest_id(c, manifest, &id, err) < 0)
    return -1;
  if (find_owners(c, number, &id, &best, err) < 0) {
    st_fact_free(best.package);
    return -1;
  }
  if ((c->nowners & (c->nowners + 1)) == 0) /* room doubles */
    c->owners = st_realloc(c->owners, 2 * (c->nowners + 1), sizeof(*c->owners));
  c->owners[c->nowners] = *ret = best;
  st_set_add(c->owned, key, sizeof(key), c->nowners++);
  return 0;
}

/* ---- Expected facts -------------------------------------------------------------------------- */

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

int st_expected_read(struct st_catalog *c, int64_t number, struct st_table_full *t,
                     const struct st_value *path, const void *data, size_t length,
                     const struct st_owner *owner, struct st_fact_row **ret, struct st_error *err)
{
  struct st_cbor in = {data, length};
  struct st_value row[ST_MAX_COLUMNS] = {*path};
  uint64_t n;

  if (st_cbor_read_array(&in, &n, err) < 0 || n >= t->pub.declaration.ncolumns)
    return st_fail(err, 0, "catalog: the index of manifests is damaged (%s)", c->name);
  for (size_t i = 1; i <= n; i++) {
    if (st_cbor_read_value(&in, t->pub.declaration.columns[i].type, &row[i], err) < 0)
      return -1;
    if (t->since[i] > number) /* nobody captured that then */
      row[i] = st_null();
  }
  fill_usual(t, number, row);
  *ret = st_row_copy(t, row, t->pub.declaration.ncolumns);
  (*ret)->present = (*ret)->expected = true;
  (*ret)->since = owner->package->since;
  return 0;
}

/* The winner among the candidates that a statement yields. */
static int choose(struct st_catalog *c, int64_t number, struct st_table_full *t,
                  const struct st_value *path, sqlite3_stmt *s, struct st_owner *best,
                  struct st_fact_row **ret, struct st_error *err)
{
  struct st_owner owner;
  int r;

  while ((r = st_sql_step(c, s, err)) == 1) {
    if (st_owner(c, number, sqlite3_column_int64(s, 0), &owner, err) < 0)
      return -1;
    if (!owner.package || (best->package && !st_owner_wins(&owner, best)))
      continue;
    *best = owner;
    st_fact_free(st_steal(ret));
    if (st_expected_read(c, number, t, path, sqlite3_column_blob(s, 1),
                         (size_t)sqlite3_column_bytes(s, 1), &owner, ret, err) < 0)
      return -1;
  }
  return r;
}

/* `best`: whose it is. */
static int find_declared(struct st_catalog *c, int64_t number, struct st_table_full *t,
                         const struct st_value *key, struct st_owner *best,
                         struct st_fact_row **ret, struct st_error *err)
{
  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
  int64_t path;

  *ret = NULL;
  if (!st_is_entry(t) || t->since[0] > number)
    return 0;
  if (st_manifests_check(c, err) < 0)
    return -1;
  if (c->no_manifests)
    return 0;
  if (st_path_id(c, &key[0], false, &path, err) < 0)
    return -1;
  if (path >= 0 && t->id) {
    ST_AUTO_RESET *s = st_sql_fixed(c, ST_EXPECT_GET, err);
    if (!s)
      return -1;
    sqlite3_bind_int64(s, 1, path);
    sqlite3_bind_int64(s, 2, t->id);
    if (choose(c, number, t, &key[0], s, best, &fact, err) < 0)
      return -1;
  }
  if (!c->writer) {
    ST_AUTO_RESET *s = st_sql_fixed(c, ST_EXPECT_GET_LIVE, err);
    if (!s)
      return -1;
    st_bind(s, 1, &key[0]);
    sqlite3_bind_text(s, 2, t->pub.name, -1, SQLITE_STATIC);
    if (choose(c, number, t, &key[0], s, best, &fact, err) < 0)
      return -1;
  }
  *ret = st_steal(&fact);
  return 0;
}

/* The id in an expected row is its content's. */
static bool take_content(const struct st_fact_row *fact, struct st_id *ret)
{
  const struct st_table *d = &fact->table->declaration;

  for (size_t i = 1; i < d->ncolumns; i++)
    if (d->columns[i].type == ST_ID && fact->values[i].type == ST_ID) {
      *ret = fact->values[i].u.id;
      return true;
    }
  return false;
}

int st_catalog_expected_content(struct st_catalog *c, int64_t number, const char *path,
                                bool *ret_owned, struct st_id *ret, struct st_error *err)
{
  struct st_value key = st_path_value(path);
  int r = 0;

  *ret_owned = false;
  for (size_t i = 0; i < c->count && r == 0; i++) {
    ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
    if (st_declared_fact(c, number, c->tables[i], &key, &fact, err) < 0)
      return -1;
    *ret_owned = *ret_owned || fact;
    r = fact && take_content(fact, ret);
  }
  return r;
}

int st_declared_fact(struct st_catalog *c, int64_t number, struct st_table_full *t,
                     const struct st_value *key, struct st_fact_row **ret, struct st_error *err)
{
  struct st_owner best = {0};

  return find_declared(c, number, t, key, &best, ret, err);
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

  *ret = NULL;
  for (size_t i = 0; i < c->count && !*ret; i++) {
    ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
    struct st_owner best = {0};

    if (find_declared(c, number, c->tables[i], &key, &best, &fact, err) < 0)
      return -1;
    if (best.package) {
      *ret = st_row_copy(best.table, best.package->values, best.table->pub.declaration.ncolumns);
      (*ret)->present = true;
      (*ret)->since = best.package->since;
    }
  }
  return 0;
}

/* ---- What changed ---------------------------------------------------------------------------- */

/* The manifests of one package that it had at only one of the two. */
static int package_changes(struct st_catalog *c, const struct st_table_full *t,
                           const struct st_value *key, int64_t a, int64_t b,
                           st_expected_path_fn *fn, void *arg, struct st_error *err)
{
  ST_CLEANUP(st_fact_freep) struct st_fact_row *before = NULL, *after = NULL;
  int r = 0;

  if (st_catalog_fact(c, a, &t->pub, key, &before, err) < 0 ||
      st_catalog_fact(c, b, &t->pub, key, &after, err) < 0)
    return -1;
  for (size_t i = 0; i < t->pub.declaration.ncolumns && r == 0; i++) {
    const struct st_value *x = &before->values[i], *y = &after->values[i];

    if (!(t->pub.declaration.columns[i].flags & ST_MANIFEST) || st_value_compare(x, y) == 0)
      continue;
    if (x->type == ST_ID)
      r = st_expected_paths(c, &x->u.id, fn, arg, err);
    if (r == 0 && y->type == ST_ID)
      r = st_expected_paths(c, &y->u.id, fn, arg, err);
  }
  return r;
}

int st_manifest_changes(struct st_catalog *c, int64_t a, int64_t b, st_expected_path_fn *fn,
                        void *arg, struct st_error *err)
{
  struct st_at x = st_at(c, a), y = st_at(c, b);
  int64_t low = x.number < y.number ? x.number : y.number;
  int64_t high = x.number < y.number ? y.number : x.number;
  int r = st_manifests_check(c, err);

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

int st_scope_changes(struct st_catalog *c, int64_t a, int64_t b, st_expected_path_fn *fn, void *arg,
                     struct st_error *err)
{
  struct scope_changes s = {c, a, b, fn, arg};
  int same = 1;

  if (c->scope.same && a > 0)
    same = c->scope.same(c->scope.arg, scope_number(c, a), scope_number(c, b), err);
  int r = same < 0 ? -1 : 0;
  for (size_t i = 0; i < c->count && r == 0 && !same; i++)
    r = st_declared_each(c, b, c->tables[i], compare_scopes, &s, err);
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

static int package_history(struct st_catalog *c, const struct st_table_full *t, size_t column,
                           const struct st_value *path, void (*fn)(void *arg, int64_t number),
                           void *arg, struct st_error *err)
{
  ST_AUTO_FREE char *sql = st_format(
      "SELECT since, until FROM \"%s\" WHERE \"%s\" IN (SELECT m.id FROM manifest m JOIN"
      " expectation e ON e.manifest = m.ref JOIN path p ON p.id = e.path WHERE p.path = ?1)",
      t->pub.name, t->pub.declaration.columns[column].name);
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, sql, err);
  int r;

  if (!s)
    return -1;
  st_bind(s, 1, path);
  while ((r = st_sql_step(c, s, err)) == 1) {
    fn(arg, sqlite3_column_int64(s, 0));
    if (sqlite3_column_type(s, 1) != SQLITE_NULL)
      fn(arg, sqlite3_column_int64(s, 1));
  }
  return r;
}

int st_expected_history(struct st_catalog *c, const struct st_value *path,
                        void (*fn)(void *arg, int64_t number), void *arg, struct st_error *err)
{
  int r = st_manifests_check(c, err);

  for (size_t i = 0; i < c->count; i++) {
    const struct st_table_full *t = c->tables[i];

    for (size_t k = 0; t->manifests && k < t->stored && r == 0; k++)
      if (t->pub.declaration.columns[k].flags & ST_MANIFEST)
        r = package_history(c, t, k, path, fn, arg, err);
  }
  return r;
}
