/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fact.c - the one accessor: the stored row, else what is expected. */
#include "systracker/catalog/internal.h"

int st_fact_read(struct st_catalog *c, sqlite3_stmt *s, int at, const struct st_table_full *t,
                 struct st_fact_row *fact, struct st_error *err)
{
  const struct st_table *d = &t->pub.declaration;
  int r = 0;

  fact->table = &t->pub;
  fact->since = sqlite3_column_int64(s, at);
  fact->present = sqlite3_column_int(s, at + 1) == 0;
  fact->expected = false;
  for (size_t i = 0; i < d->ncolumns && r == 0; i++)
    r = st_column_value(c, s, at + 2 + (int)i, d->columns[i].type, &fact->values[i], err);
  return r;
}

/* ---- One fact -------------------------------------------------------------------------------- */

/* `path`: the entry's, where the statement does not say it; or NULL. */
static int copy_fact(struct st_catalog *c, sqlite3_stmt *s, struct st_table_full *t,
                     const struct st_value *path, struct st_fact_row **ret, struct st_error *err)
{
  struct st_value values[ST_MAX_COLUMNS];
  struct st_fact_row fact = {.values = values};

  if (st_fact_read(c, s, 0, t, &fact, err) < 0)
    return -1;
  if (path)
    values[0] = *path;
  *ret = st_row_copy(t, values, t->pub.declaration.ncolumns);
  (*ret)->since = fact.since;
  (*ret)->present = fact.present;
  return 0;
}

int st_fact_copy(struct st_catalog *c, sqlite3_stmt *s, struct st_table_full *t,
                 struct st_fact_row **ret, struct st_error *err)
{
  return copy_fact(c, s, t, NULL, ret, err);
}

/* 1: the overlay speaks of the key; a row that ended in it leaves `*ret` NULL. */
static int overlay_fact(struct st_catalog *c, struct st_table_full *t, const struct st_value *key,
                        struct st_fact_row **ret, struct st_error *err)
{
  ST_AUTO_RESET *s = st_table_statement(c, t, ST_LIVE_GET, err);

  if (!s)
    return -1;
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_bind(s, 1 + (int)i, &key[i]);
  int r = st_sql_step(c, s, err);
  if (r == 1 && !sqlite3_column_int(s, 2 + (int)t->pub.declaration.ncolumns) &&
      st_fact_copy(c, s, t, ret, err) < 0)
    return -1;
  return r;
}

/* Of a row that has begun by then, with `until` behind what st_table_select takes. */
static bool is_in_force(const struct st_table_full *t, sqlite3_stmt *s, int64_t number)
{
  int until = 2 + (int)t->pub.declaration.ncolumns;

  return sqlite3_column_type(s, until) == SQLITE_NULL || sqlite3_column_int64(s, until) > number;
}

int st_stored_fact(struct st_catalog *c, struct st_at at, struct st_table_full *t,
                   const struct st_value *key, struct st_fact_row **ret, struct st_error *err)
{
  *ret = NULL;
  if (at.overlay && t->said) {
    int r = overlay_fact(c, t, key, ret, err);
    if (r != 0)
      return r < 0 ? r : 0;
  }
  if (!t->stored || at.number < 1 || (at.overlay && t->emptied))
    return 0;
  ST_AUTO_RESET *s = st_table_statement(c, t, ST_ROW_AT, err);
  if (!s || st_bind_key(c, s, 1, t, key, false, err) < 0)
    return -1;
  sqlite3_bind_int64(s, 1 + (int)t->pub.nkeys, at.number);
  int r = st_sql_step(c, s, err);
  if (r <= 0)
    return r;
  return is_in_force(t, s, at.number) ? st_fact_copy(c, s, t, ret, err) : 0;
}

int st_catalog_fact(struct st_catalog *c, int64_t number, const struct st_catalog_table *table,
                    const struct st_value *key, struct st_fact_row **ret, struct st_error *err)
{
  struct st_table_full *t = st_full(table);
  ST_AUTO_VIEW view;

  *ret = NULL;
  if (st_view_begin(&view, c, err) < 0 || st_gap_check(c, number, err) < 0 ||
      st_key_check(t, key, err) < 0 || st_stored_fact(c, st_at(c, number), t, key, ret, err) < 0)
    return -1;
  if (!*ret && st_expected_fact(c, number, t, key, ret, err) < 0)
    return -1;
  if (!*ret)
    *ret = st_row_copy(t, key, t->pub.nkeys);
  return 0;
}

/* ---- The revisions of an entry --------------------------------------------------------------- */

static int next_revision(struct st_revisions *r, struct st_error *err)
{
  return r->at = st_sql_step(r->c, r->statement, err);
}

int st_revisions_open(struct st_revisions *r, struct st_catalog *c, struct st_table_full *t,
                      int64_t id, const struct st_value *path, struct st_error *err)
{
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;

  *r = (struct st_revisions){.c = c, .t = t, .path = path};
  if (!t->stored || id < 0)
    return 0;
  st_buffer_append_string(&sql, "SELECT ");
  st_table_select(&sql, t, ST_SELECT_NO_PATH);
  st_buffer_printf(&sql, ", t.until FROM \"%s\" t WHERE t.\"%s\" = ?1 ORDER BY t.since DESC",
                   t->pub.name, t->pub.declaration.columns[0].name);
  r->statement = st_sql_prepare(c, sql.data, err);
  if (!r->statement)
    return -1;
  sqlite3_bind_int64(r->statement, 1, id);
  return next_revision(r, err) < 0 ? -1 : 0;
}

int st_revisions_at(struct st_revisions *r, int64_t number, struct st_fact_row **ret,
                    struct st_error *err)
{
  *ret = NULL;
  while (r->at == 1 && sqlite3_column_int64(r->statement, 0) > number)
    next_revision(r, err);
  if (r->at <= 0)
    return r->at;
  if (!is_in_force(r->t, r->statement, number))
    return 0;
  return copy_fact(r->c, r->statement, r->t, r->path, ret, err);
}

void st_revisions_close(struct st_revisions *r)
{
  sqlite3_finalize(r->statement);
}

/* ---- Stored rows in key order ---------------------------------------------------------------- */

static void key_order(struct st_buffer *sql, const struct st_table_full *t)
{
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_buffer_printf(sql, "%s%zu", i ? ", " : " ORDER BY ", i + 3);
}

static void unless_overlaid(struct st_buffer *sql, const struct st_table_full *t)
{
  st_buffer_printf(sql, " AND NOT EXISTS (SELECT 1 FROM temp.\"live.%s\" l WHERE ", t->pub.name);
  for (size_t i = 0; i < t->pub.nkeys; i++) {
    const struct st_column *column = &t->pub.declaration.columns[i];

    st_buffer_printf(sql, i ? " AND l.\"%s\" = " : "l.\"%s\" = ", column->name);
    if (column->type == ST_PATH)
      st_buffer_printf(sql, "(SELECT path FROM path WHERE id = t.\"%s\")", column->name);
    else
      st_buffer_printf(sql, "t.\"%s\"", column->name);
  }
  st_buffer_append_string(sql, ")");
}

static void stored_sql(struct st_buffer *sql, const struct st_table_full *t, bool range,
                       bool overlay)
{
  st_buffer_append_string(sql, "SELECT ");
  st_table_select(sql, t, range ? ST_SELECT_JOINED : ST_SELECT_PATHS);
  /* CROSS JOIN keeps SQLite from starting at the table: the path's index is the order asked for. */
  if (range)
    st_buffer_printf(sql,
                     " FROM path p CROSS JOIN \"%s\" t ON t.\"%s\" = p.id"
                     " WHERE p.path >= ?2 AND p.path < ?3 AND ",
                     t->pub.name, t->pub.declaration.columns[0].name);
  else
    st_buffer_printf(sql, " FROM \"%s\" t WHERE ", t->pub.name);
  st_buffer_append_string(sql, "t.since <= ?1 AND (t.until IS NULL OR t.until > ?1)");
  if (overlay)
    unless_overlaid(sql, t);
}

static void overlay_sql(struct st_buffer *sql, const struct st_table_full *t, bool range)
{
  const char *path = t->pub.declaration.columns[0].name;

  st_buffer_append_string(sql, "SELECT ");
  st_table_select_live(sql, t);
  st_buffer_printf(sql, " FROM temp.\"live.%s\" t WHERE NOT t.ended", t->pub.name);
  if (range)
    st_buffer_printf(sql, " AND t.\"%s\" >= ?2 AND t.\"%s\" < ?3", path, path);
}

int st_rows_open(struct st_rows *rows, struct st_catalog *c, int64_t number,
                 struct st_table_full *t, const struct st_value *low, const struct st_value *high,
                 struct st_error *err)
{
  struct st_at at = st_at(c, number);
  bool overlay = at.overlay && t->live, stored = t->stored && !(overlay && t->emptied);
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;

  *rows = (struct st_rows){.c = c, .t = t};
  if (stored)
    stored_sql(&sql, t, low != NULL, overlay);
  if (stored && overlay)
    st_buffer_append_string(&sql, " UNION ALL ");
  if (overlay)
    overlay_sql(&sql, t, low != NULL);
  if (!sql.length)
    return 0;
  key_order(&sql, t);
  rows->statement = st_sql_prepare(c, sql.data, err);
  if (!rows->statement)
    return -1;
  rows->row.values = st_calloc(t->pub.declaration.ncolumns, sizeof(struct st_value));
  sqlite3_bind_int64(rows->statement, 1, at.number);
  if (low) {
    st_bind(rows->statement, 2, low);
    st_bind(rows->statement, 3, high);
  }
  return 0;
}

int st_rows_next(struct st_rows *rows, struct st_error *err)
{
  int r = rows->statement ? st_sql_step(rows->c, rows->statement, err) : 0;

  if (r == 1 && st_fact_read(rows->c, rows->statement, 0, rows->t, &rows->row, err) < 0)
    return -1;
  return r;
}

void st_rows_close(struct st_rows *rows)
{
  sqlite3_finalize(rows->statement);
  free(rows->row.values);
}

/* ---- All facts of a table -------------------------------------------------------------------- */

/* Paths at or below `top` lie in [top, top + "0"): '0' is the byte behind '/'.  Others that lie
 * between them ("/a-b" for "/a") are left out one by one. */
struct range {
  struct st_value low, high;
  struct st_buffer high_bytes;
  size_t length; /* of top without a slash at its end */
};

static void range_init(struct range *range, const char *top)
{
  size_t n = strlen(top);

  while (n > 0 && top[n - 1] == '/')
    n--;
  *range = (struct range){.length = n};
  st_buffer_append(&range->high_bytes, top, n);
  st_buffer_append_byte(&range->high_bytes, '/' + 1);
  range->low = st_bytes_value(ST_PATH, n ? top : "", n);
  range->high = st_bytes_value(ST_PATH, range->high_bytes.data, range->high_bytes.length);
}

static bool in_range(const struct range *range, const struct st_value *path)
{
  const char *bytes = path->u.bytes.data;

  return path->u.bytes.length <= range->length || bytes[range->length] == '/';
}

struct each {
  struct st_rows rows;
  struct st_expectations expected;
  struct range range;
  st_fact_fn *fn;
  void *arg;
};

static int give(struct each *e, const struct st_fact_row *fact, struct st_error *err)
{
  if (!fact->present || (st_is_entry(e->rows.t) && !in_range(&e->range, &fact->values[0])))
    return 0;
  return e->fn(e->arg, fact, err);
}

/* Merges both by key; a stored row hides the expected one. */
static int merge(struct each *e, struct st_error *err)
{
  int have = st_rows_next(&e->rows, err), r = 0;

  if (have < 0 || st_expectations_next(&e->expected, err) < 0)
    return -1;
  while (r == 0 && (have || e->expected.fact)) {
    int order = !have ? 1
                : !e->expected.fact
                    ? -1
                    : st_key_compare(e->rows.t, e->rows.row.values, e->expected.fact->values);

    if ((r = give(e, order <= 0 ? &e->rows.row : e->expected.fact, err)) != 0)
      return r;
    if (order >= 0 && st_expectations_next(&e->expected, err) < 0)
      return -1;
    if (order <= 0 && (have = st_rows_next(&e->rows, err)) < 0)
      return -1;
  }
  return r;
}

int st_catalog_each(struct st_catalog *c, int64_t number, const struct st_catalog_table *table,
                    const char *top, st_fact_fn *fn, void *arg, struct st_error *err)
{
  struct st_table_full *t = st_full(table);
  struct each e = {.fn = fn, .arg = arg};
  bool entry = st_is_entry(t);
  ST_AUTO_VIEW view;
  int r;

  if (st_view_begin(&view, c, err) < 0 || st_gap_check(c, number, err) < 0)
    return -1;
  range_init(&e.range, top ? top : "/");
  r = st_rows_open(&e.rows, c, number, t, entry ? &e.range.low : NULL, entry ? &e.range.high : NULL,
                   err);
  if (r == 0)
    r = st_expectations_open(&e.expected, c, number, t, top ? top : "", err);
  if (r == 0)
    r = merge(&e, err);
  st_expectations_close(&e.expected);
  st_rows_close(&e.rows);
  st_buffer_free(&e.range.high_bytes);
  return r;
}

int st_catalog_each_stored(struct st_catalog *c, int64_t number,
                           const struct st_catalog_table *table, st_fact_fn *fn, void *arg,
                           struct st_error *err)
{
  struct st_rows rows;
  ST_AUTO_VIEW view;
  int r;

  if (st_view_begin(&view, c, err) < 0 || st_gap_check(c, number, err) < 0)
    return -1;
  r = st_rows_open(&rows, c, number, st_full(table), NULL, NULL, err);
  while (r == 0 && (r = st_rows_next(&rows, err)) == 1)
    r = fn(arg, &rows.row, err);
  st_rows_close(&rows);
  return r;
}
