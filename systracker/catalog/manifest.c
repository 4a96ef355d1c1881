/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * manifest.c - what packages expect of their paths.
 *
 * A manifest is an object: a CBOR sequence of a header and rows in one canonical order, so that two
 * hosts with the same package have the same object (doc/formats).  The catalog keeps its rows in a
 * derived index, path -> (manifest, row), which is made again from the objects where it is lost.
 */
#include "systracker/catalog/internal.h"

#include "systracker/base/escape.h"

#define FORMAT "systracker-manifest"
#define FORMAT_VERSION 1

/* ---- Written --------------------------------------------------------------------------------- */

struct expect {
  struct st_table_full *t;
  struct st_fact_row *row;
};

struct st_manifest {
  struct st_catalog *c;
  bool observed;
  struct expect *rows;
  size_t count, size;
};

struct st_manifest *st_manifest_new(struct st_catalog *c, bool observed)
{
  struct st_manifest *m = st_calloc(1, sizeof(*m));

  m->c = c;
  m->observed = observed;
  return m;
}

void st_manifest_free(struct st_manifest *m)
{
  if (!m)
    return;
  for (size_t i = 0; i < m->count; i++)
    st_fact_free(m->rows[i].row);
  free(m->rows);
  free(m);
}

void st_manifest_observed(struct st_manifest *m)
{
  m->observed = true;
}

bool st_manifest_is_observed(const struct st_manifest *m)
{
  return m->observed;
}

/* A table that nobody declared has no facts to compare with: the row is dropped. */
int st_expect(struct st_manifest *m, const char *full_table, const struct st_value *row,
              size_t ncolumns, struct st_error *err)
{
  struct st_table_full *t = st_full(st_catalog_table(m->c, full_table));

  if (!t)
    return 0;
  if (!st_is_entry(t))
    return st_fail(err, 0, "manifest: %s is no table of entries", full_table);
  if (ncolumns == 0 || ncolumns > t->pub.declaration.ncolumns)
    return st_fail(err, 0, "manifest: a row of %zu columns (%s)", ncolumns, full_table);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *copy = st_row_copy(t, row, ncolumns);
  if (st_row_check(t, copy->values, err) < 0)
    return st_wrap(err, "manifest");
  if (m->count == m->size) {
    m->size = m->size ? 2 * m->size : 256;
    m->rows = st_realloc(m->rows, m->size, sizeof(*m->rows));
  }
  m->rows[m->count++] = (struct expect){t, st_steal(&copy)};
  return 0;
}

static int compare_rows(const void *a, const void *b)
{
  const struct expect *x = a, *y = b;
  int r = strcmp(x->t->pub.name, y->t->pub.name);

  return r ? r : st_value_compare(&x->row->values[0], &y->row->values[0]);
}

/* How many columns some row of the table (which begins at `first`) speaks of. */
static size_t used_columns(const struct st_manifest *m, size_t first, size_t *ret_next)
{
  size_t used = 0, i = first;

  for (; i < m->count && m->rows[i].t == m->rows[first].t; i++) {
    size_t n = st_row_length(m->rows[i].t, m->rows[i].row->values);
    used = n > used ? n : used;
  }
  *ret_next = i;
  return used;
}

static void encode_header(const struct st_manifest *m, struct st_buffer *out)
{
  size_t tables = 0, next;

  for (size_t i = 0; i < m->count; i = next, tables++)
    used_columns(m, i, &next);
  st_cbor_array(out, 4);
  st_cbor_string(out, FORMAT);
  st_cbor_integer(out, FORMAT_VERSION);
  st_cbor_string(out, m->observed ? "observed" : "package");
  st_cbor_array(out, tables);
  for (size_t i = 0; i < m->count; i = next) {
    const struct st_table_full *t = m->rows[i].t;
    size_t used = used_columns(m, i, &next);

    st_cbor_array(out, 2);
    st_cbor_string(out, t->pub.name);
    st_cbor_array(out, used);
    for (size_t k = 0; k < used; k++)
      st_cbor_string(out, t->pub.declaration.columns[k].name);
  }
}

int st_manifest_encode(struct st_manifest *m, struct st_buffer *out, struct st_error *err)
{
  int64_t table = 0;

  qsort(m->rows, m->count, sizeof(*m->rows), compare_rows);
  encode_header(m, out);
  for (size_t i = 0; i < m->count; i++) {
    const struct expect *e = &m->rows[i];
    size_t n = st_row_length(e->t, e->row->values);

    if (i > 0 && compare_rows(e, e - 1) == 0)
      return st_fail(err, 0, "manifest: two rows of one path (%s)",
                     st_quote(e->row->values[0].u.bytes.data));
    if (i > 0 && e->t != (e - 1)->t)
      table++;
    st_cbor_array(out, n + 1);
    st_cbor_integer(out, table);
    for (size_t k = 0; k < n; k++)
      st_cbor_value(out, &e->row->values[k]);
  }
  return 0;
}

/* ---- Read into the derived index ------------------------------------------------------------- */

/* One table of a manifest's header: which of our columns each of its own is; -1: none. */
struct layout {
  struct st_table_full *t; /* NULL: unknown here, its rows are passed over */
  size_t ncolumns;
  int columns[ST_MAX_COLUMNS];
};

struct reader {
  struct st_catalog *c;
  struct st_cbor in;
  struct layout *tables;
  size_t count;
  bool observed;
  int64_t manifest;
};

static int malformed(struct st_error *err)
{
  return st_fail(err, 0, "a manifest is malformed");
}

static int read_name(struct st_cbor *in, char out[ST_MAX_COLUMNS * 4], struct st_error *err)
{
  const char *text;
  size_t length;

  if (st_cbor_read_text(in, &text, &length, err) < 0)
    return -1;
  if (length >= (size_t)ST_MAX_COLUMNS * 4 || memchr(text, 0, length))
    return malformed(err);
  memcpy(out, text, length);
  out[length] = 0;
  return 0;
}

static int find_column(const struct st_table_full *t, const char *name)
{
  for (size_t i = 0; t && i < t->pub.declaration.ncolumns; i++)
    if (strcmp(t->pub.declaration.columns[i].name, name) == 0)
      return (int)i;
  return -1;
}

static int read_layout(struct reader *r, struct layout *layout, struct st_error *err)
{
  char name[ST_MAX_COLUMNS * 4];
  uint64_t n;

  if (st_cbor_read_array(&r->in, &n, err) < 0 || n != 2 || read_name(&r->in, name, err) < 0 ||
      st_cbor_read_array(&r->in, &n, err) < 0 || n == 0 || n > ST_MAX_COLUMNS)
    return malformed(err);
  layout->t = st_full(st_catalog_table(r->c, name));
  if (layout->t && !st_is_entry(layout->t))
    return malformed(err);
  layout->ncolumns = n;
  for (size_t i = 0; i < n; i++) {
    if (read_name(&r->in, name, err) < 0)
      return -1;
    layout->columns[i] = find_column(layout->t, name);
  }
  return layout->t && layout->columns[0] != 0 ? malformed(err) : 0;
}

static int read_header(struct reader *r, struct st_error *err)
{
  char text[ST_MAX_COLUMNS * 4];
  int64_t version;
  uint64_t n;

  if (st_cbor_read_array(&r->in, &n, err) < 0 || n != 4 || read_name(&r->in, text, err) < 0 ||
      strcmp(text, FORMAT) != 0 || st_cbor_read_integer(&r->in, &version, err) < 0)
    return malformed(err);
  if (version != FORMAT_VERSION)
    return st_fail(err, 0, "a manifest of version %lld, this SysTracker knows %d",
                   (long long)version, FORMAT_VERSION);
  if (read_name(&r->in, text, err) < 0 || st_cbor_read_array(&r->in, &n, err) < 0 || n > 4096)
    return malformed(err);
  r->observed = strcmp(text, "observed") == 0;
  r->tables = st_calloc(n ? n : 1, sizeof(*r->tables));
  r->count = n;
  for (size_t i = 0; i < n; i++)
    if (read_layout(r, &r->tables[i], err) < 0)
      return -1;
  return 0;
}

/* Passes over a value whose column we do not know. */
static int skip_value(struct st_cbor *in, struct st_error *err)
{
  static const enum st_value_type types[] = {ST_INTEGER, ST_INTEGER, ST_BYTES, ST_TEXT,
                                             ST_ID,      ST_NULL,    ST_NULL,  ST_NULL};
  struct st_value value;

  if (st_cbor_take_null(in))
    return 0;
  if (st_cbor_at_end(in) || types[in->data[0] >> 5] == ST_NULL)
    return malformed(err);
  return st_cbor_read_value(in, types[in->data[0] >> 5], &value, err);
}

static int read_row(struct reader *r, struct layout *layout, size_t n, struct st_value *row,
                    struct st_error *err)
{
  for (size_t i = 0; i < ST_MAX_COLUMNS; i++)
    row[i] = st_null();
  for (size_t i = 0; i < n; i++) {
    int place = layout->columns[i];

    if (place < 0 ? skip_value(&r->in, err) < 0
                  : st_cbor_read_value(&r->in, layout->t->pub.declaration.columns[place].type,
                                       &row[place], err) < 0)
      return -1;
  }
  return layout->t ? st_row_check(layout->t, row, err) : 0;
}

/* The derived row: the values behind the key, in the table's order. */
static void encode_derived(const struct st_table_full *t, const struct st_value *row,
                           struct st_buffer *out)
{
  size_t n = st_row_length(t, row);

  st_cbor_array(out, n - 1);
  for (size_t i = 1; i < n; i++)
    st_cbor_value(out, &row[i]);
}

static int add_row(struct reader *r, struct st_table_full *t, const struct st_value *row,
                   struct st_error *err)
{
  struct st_catalog *c = r->c;
  ST_AUTO_BUFFER derived = ST_BUFFER_INIT;
  ST_AUTO_RESET *s = st_sql_fixed(c, c->writer ? ST_EXPECT_ADD : ST_EXPECT_ADD_LIVE, err);
  int64_t path;

  if (!s)
    return -1;
  encode_derived(t, row, &derived);
  if (c->writer) {
    if (st_path_id(c, &row[0], true, &path, err) < 0)
      return -1;
    sqlite3_bind_int64(s, 1, path);
    sqlite3_bind_int64(s, 2, t->id);
  } else {
    st_bind(s, 1, &row[0]);
    sqlite3_bind_text(s, 2, t->pub.name, -1, SQLITE_STATIC);
  }
  sqlite3_bind_int64(s, 3, r->manifest);
  sqlite3_bind_blob64(s, 4, derived.data, derived.length, SQLITE_TRANSIENT);
  return st_sql_run(c, s, err);
}

static int read_rows(struct reader *r, struct st_error *err)
{
  struct st_value row[ST_MAX_COLUMNS];
  int64_t table;
  uint64_t n;

  while (!st_cbor_at_end(&r->in)) {
    if (st_cbor_read_array(&r->in, &n, err) < 0 || st_cbor_read_integer(&r->in, &table, err) < 0)
      return -1;
    if (table < 0 || (uint64_t)table >= r->count || n < 2 || n - 1 > r->tables[table].ncolumns)
      return malformed(err);
    struct layout *layout = &r->tables[table];
    if (read_row(r, layout, n - 1, row, err) < 0)
      return -1;
    if (layout->t && add_row(r, layout->t, row, err) < 0)
      return -1;
  }
  return 0;
}

/* The manifest's number in the derived index; 0: unknown. */
static int manifest_number(struct st_catalog *c, const struct st_id *id, int64_t *ret,
                           struct st_error *err)
{
  struct st_value value = st_id_value(id);
  int r = 0;

  *ret = 0;
  for (int live = 0; live <= !c->writer && *ret == 0; live++) {
    ST_AUTO_RESET *s = st_sql_fixed(c, live ? ST_MANIFEST_REF_LIVE : ST_MANIFEST_REF, err);
    if (!s || st_bind(s, 1, &value) != SQLITE_OK || (r = st_sql_step(c, s, err)) < 0)
      return -1;
    if (r == 1)
      *ret = sqlite3_column_int64(s, 0);
  }
  return 0;
}

static int add_manifest(struct reader *r, const struct st_id *id, struct st_error *err)
{
  struct st_catalog *c = r->c;
  struct st_value value = st_id_value(id);
  sqlite3_stmt *s = st_sql_fixed(c, c->writer ? ST_MANIFEST_ADD : ST_MANIFEST_ADD_LIVE, err);

  if (!s)
    return -1;
  st_bind(s, 1, &value);
  sqlite3_bind_int(s, 2, r->observed);
  if (st_sql_run(c, s, err) < 0)
    return -1;
  r->manifest = sqlite3_last_insert_rowid(c->db);
  return 0;
}

static int learn(struct reader *r, const struct st_id *id, struct st_error *err)
{
  if (read_header(r, err) < 0 || add_manifest(r, id, err) < 0)
    return -1;
  return read_rows(r, err);
}

int st_catalog_learn_manifest(struct st_catalog *c, const struct st_id *id, const void *data,
                              size_t length, struct st_error *err)
{
  struct reader r = {.c = c, .in = {data, length}};
  int64_t known;

  if (manifest_number(c, id, &known, err) < 0)
    return -1;
  if (known)
    return 0;
  c->no_manifests = false;
  if (st_sql_exec(c, "SAVEPOINT learn", err) < 0)
    return -1;
  int result = learn(&r, id, err);
  free(r.tables);
  if (result < 0) {
    char hex[2 * ST_DIGEST_SIZE + 1];
    sqlite3_exec(c->db, "ROLLBACK TO learn; RELEASE learn", NULL, NULL, NULL);
    c->has_last_path = false;
    st_hex(hex, id->digest, sizeof(id->digest));
    return st_wrap(err, "manifest %.16s", hex);
  }
  return st_sql_exec(c, "RELEASE learn", err);
}

/* ---- The derived index whole ----------------------------------------------------------------- */

int st_manifests_forget(struct st_catalog *c, struct st_error *err)
{
  c->manifests_checked = c->no_manifests = false;
  return st_sql_exec(c, "DELETE FROM expectation; DELETE FROM manifest", err);
}

static int fetch(struct st_catalog *c, const struct st_id *id, struct st_error *err)
{
  ST_AUTO_BUFFER data = ST_BUFFER_INIT;

  if (!c->objects.get)
    return st_fail(err, 0, "a manifest that is named by a fact is not at hand (%s)", c->name);
  if (c->objects.get(c->objects.arg, id, &data, err) < 0)
    return st_wrap(err, "manifest");
  return st_catalog_learn_manifest(c, id, data.data ? data.data : "", data.length, err);
}

/* Manifests that rows of the table name and the index does not know, all at once: what reads them
 * writes to the index. */
static int missing(struct st_catalog *c, const struct st_table_full *t, size_t column,
                   struct st_buffer *ret, struct st_error *err)
{
  const char *name = t->pub.declaration.columns[column].name;
  ST_AUTO_FREE char *sql = st_format("SELECT DISTINCT \"%s\" FROM \"%s\" WHERE \"%s\" IS NOT NULL"
                                     " AND \"%s\" NOT IN (SELECT id FROM manifest)%s",
                                     name, t->pub.name, name, name,
                                     c->writer ? "" : " EXCEPT SELECT id FROM temp.livemanifest");
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, sql, err);
  struct st_value id;
  int r = s ? 0 : -1;

  while (r == 0 && (r = st_sql_step(c, s, err)) == 1) {
    r = st_column_value(c, s, 0, ST_ID, &id, err);
    st_buffer_append(ret, &id.u.id, sizeof(id.u.id));
  }
  return r;
}

static int check_column(struct st_catalog *c, const struct st_table_full *t, size_t column,
                        struct st_error *err)
{
  ST_AUTO_BUFFER ids = ST_BUFFER_INIT;
  int r = missing(c, t, column, &ids, err);

  for (size_t i = 0; i < ids.length && r == 0; i += sizeof(struct st_id)) {
    struct st_id id;
    memcpy(&id, ids.data + i, sizeof(id));
    r = fetch(c, &id, err);
  }
  return r;
}

static int count_manifests(struct st_catalog *c, struct st_error *err)
{
  int64_t some;

  if (st_sql_number(c,
                    c->writer ? "SELECT EXISTS (SELECT 1 FROM manifest)"
                              : "SELECT EXISTS (SELECT 1 FROM manifest) OR"
                                " EXISTS (SELECT 1 FROM temp.livemanifest)",
                    0, &some, err) < 0)
    return -1;
  c->no_manifests = !some;
  return 0;
}

int st_manifests_check(struct st_catalog *c, struct st_error *err)
{
  int r = 0;

  if (c->manifests_checked)
    return 0;
  for (size_t i = 0; i < c->count; i++) {
    const struct st_table_full *t = c->tables[i];

    for (size_t k = 0; t->manifests && k < t->stored && r == 0; k++)
      if (t->pub.declaration.columns[k].flags & ST_MANIFEST)
        r = check_column(c, t, k, err);
  }
  if (r == 0)
    r = count_manifests(c, err);
  c->manifests_checked = r == 0;
  return r;
}

int st_expected_paths(struct st_catalog *c, const struct st_id *manifest, st_expected_path_fn *fn,
                      void *arg, struct st_error *err)
{
  int64_t number;
  int r;

  if (manifest_number(c, manifest, &number, err) < 0)
    return -1;
  if (!number)
    return 0;
  bool live = number > INT64_C(1) << 40;
  ST_AUTO_RESET *s = st_sql_fixed(c, live ? ST_EXPECT_PATHS_LIVE : ST_EXPECT_PATHS, err);
  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, number);
  while ((r = st_sql_step(c, s, err)) == 1) {
    struct st_table_full *t = st_full(st_catalog_table(c, (const char *)sqlite3_column_text(s, 0)));
    struct st_value path;

    if (st_column_value(c, s, 1, ST_PATH, &path, err) < 0)
      return -1;
    if (t && (r = fn(arg, t, &path, err)) != 0)
      return r;
  }
  return r;
}

int st_catalog_is_observed(struct st_catalog *c, const struct st_id *manifest, struct st_error *err)
{
  struct st_value id = st_id_value(manifest);

  if (st_manifests_check(c, err) < 0)
    return -1;
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, "SELECT observed FROM manifest WHERE id = ?1", err);
  if (!s)
    return -1;
  st_bind(s, 1, &id);
  int r = st_sql_step(c, s, err);
  return r == 1 ? sqlite3_column_int(s, 0) != 0 : r;
}
