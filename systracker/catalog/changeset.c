/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * changeset.c - the body of a changeset: what began and ended with a checkpoint.
 *
 * A CBOR sequence: for each table, by name, that has changes ["NAME"]; then the keys that ended,
 * [0, key...], without those that began anew; then the rows that began, [1, key..., absent,
 * values...], without the nulls at the end.  Keys ascend, column by column.  Nothing in it is bound
 * to one catalog, and columns appended later change no byte of an older body.
 */
#include "systracker/catalog/internal.h"

enum { ROW_ENDED, ROW_BEGUN };

/* ---- What changed ---------------------------------------------------------------------------- */

static void order_by(struct st_buffer *sql, const struct st_table_full *t, size_t first)
{
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_buffer_printf(sql, "%s%zu", i ? ", " : " ORDER BY ", first + i);
}

static void ended_sql(struct st_buffer *sql, const struct st_table_full *t)
{
  st_buffer_append_string(sql, "SELECT ");
  st_table_select_key(sql, t);
  st_buffer_printf(sql,
                   " FROM \"%s\" t WHERE t.since <= ?1 AND t.until > ?1 AND t.until <= ?2"
                   " AND NOT EXISTS (SELECT 1 FROM \"%s\" u",
                   t->pub.name, t->pub.name);
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_buffer_printf(sql, "%su.\"%s\" = t.\"%s\"", i ? " AND " : " WHERE ",
                     t->pub.declaration.columns[i].name, t->pub.declaration.columns[i].name);
  st_buffer_append_string(sql, " AND u.since <= ?2 AND (u.until IS NULL OR u.until > ?2))");
  order_by(sql, t, 1);
}

/* By the paths' own index where most of them have a row, else what changed is found and sorted. */
static void begun_sql(struct st_buffer *sql, const struct st_table_full *t, bool most, bool later)
{
  st_buffer_append_string(sql, "SELECT ");
  st_table_select(sql, t, most ? ST_SELECT_JOINED : ST_SELECT_PATHS);
  if (most)
    st_buffer_printf(sql, " FROM path p CROSS JOIN \"%s\" t ON t.\"%s\" = p.id", t->pub.name,
                     t->pub.declaration.columns[0].name);
  else
    st_buffer_printf(sql, " FROM \"%s\" t", t->pub.name);
  st_buffer_append_string(sql, " WHERE t.since > ?1 AND t.since <= ?2"
                               " AND (t.until IS NULL OR t.until > ?2)");
  if (later)
    st_buffer_append_string(sql, " AND t.since > 1");
  order_by(sql, t, 3);
}

/* Whether most paths have a row that began. */
static int begun_most(struct st_catalog *c, const struct st_table_full *t, struct st_error *err)
{
  ST_AUTO_FREE char *sql = st_format("SELECT 4 * (SELECT count(*) FROM \"%s\") >"
                                     " (SELECT count(*) FROM path)",
                                     t->pub.name);
  int64_t most = 0;

  if (st_is_entry(t) && st_sql_number(c, sql, 0, &most, err) < 0)
    return -1;
  return most != 0;
}

static int read_key_columns(struct st_catalog *c, sqlite3_stmt *s, const struct st_table_full *t,
                            struct st_value *key, struct st_error *err)
{
  int r = 0;

  for (size_t i = 0; i < t->pub.nkeys && r == 0; i++)
    r = st_column_value(c, s, (int)i, t->pub.declaration.columns[i].type, &key[i], err);
  return r;
}

/* What is asked of each checkpoint but the first is prepared once. */
static sqlite3_stmt *changed_statement(struct st_catalog *c, struct st_table_full *t, bool ended,
                                       struct st_error *err)
{
  sqlite3_stmt **kept = &t->statements[ended ? ST_ENDED_SINCE : ST_BEGUN_SINCE];
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;

  if (*kept)
    return *kept;
  ended ? ended_sql(&sql, t) : begun_sql(&sql, t, false, true);
  *kept = st_sql_prepare(c, sql.data, err);
  return *kept;
}

static sqlite3_stmt *first_statement(struct st_catalog *c, struct st_table_full *t,
                                     struct st_error *err)
{
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;
  int most = begun_most(c, t, err);

  if (most < 0)
    return NULL;
  begun_sql(&sql, t, most, false);
  return st_sql_prepare(c, sql.data, err);
}

static int each_row(struct st_catalog *c, sqlite3_stmt *s, struct st_table_full *t, bool ended,
                    st_changed_fn *fn, void *arg, struct st_error *err)
{
  struct st_value values[ST_MAX_COLUMNS];
  struct st_fact_row row = {.table = &t->pub, .values = values};
  int r;

  while ((r = st_sql_step(c, s, err)) == 1) {
    r = ended ? read_key_columns(c, s, t, values, err) : st_fact_read(c, s, 0, t, &row, err);
    if (r < 0 || (r = fn(arg, t, &row, ended, err)) != 0)
      return r;
  }
  return r;
}

/* The rows of one table, ended or begun. */
static int each_changed(struct st_catalog *c, int64_t since, int64_t number,
                        struct st_table_full *t, bool ended, st_changed_fn *fn, void *arg,
                        struct st_error *err)
{
  ST_AUTO_STATEMENT *own = since > 0 ? NULL : first_statement(c, t, err);
  ST_AUTO_RESET *kept = since > 0 ? changed_statement(c, t, ended, err) : NULL;
  sqlite3_stmt *s = own ? own : kept;

  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, since);
  sqlite3_bind_int64(s, 2, number);
  return each_row(c, s, t, ended, fn, arg, err);
}

static int changed_of(struct st_catalog *c, int64_t since, int64_t number, struct st_table_full *t,
                      st_changed_fn *fn, void *arg, struct st_error *err)
{
  int r = 0;

  if (t->stored && since > 0)
    r = each_changed(c, since, number, t, true, fn, arg, err);
  if (t->stored && r == 0)
    r = each_changed(c, since, number, t, false, fn, arg, err);
  return r;
}

int st_changed_since(struct st_catalog *c, int64_t since, int64_t number, st_changed_fn *fn,
                     void *arg, struct st_error *err)
{
  int r = 0;

  for (size_t i = 0; i < c->count && r == 0; i++)
    r = changed_of(c, since, number, c->tables[i], fn, arg, err);
  return r;
}

int st_changed_each(struct st_catalog *c, int64_t number, st_changed_fn *fn, void *arg,
                    struct st_error *err)
{
  return st_changed_since(c, st_catalog_before(c, number), number, fn, arg, err);
}

/* ---- Written --------------------------------------------------------------------------------- */

struct writer {
  const struct st_table_full *t; /* whose name was written last */
  struct st_buffer bytes;
  st_body_sink *sink;
  void *arg;
  st_changed_fn *also; /* NULL: nobody else */
  void *also_arg;
  int64_t begun, ended;
};

static void write_key(struct writer *w, const struct st_value *key)
{
  for (size_t i = 0; i < w->t->pub.nkeys; i++)
    st_cbor_value(&w->bytes, &key[i]);
}

void st_body_begun(const struct st_table_full *t, const struct st_fact_row *row,
                   struct st_buffer *out, struct st_body_place *ret)
{
  size_t keys = t->pub.nkeys, n = row->present ? st_row_length(t, row->values) : keys;

  st_cbor_array(out, 2 + n);
  st_cbor_integer(out, ROW_BEGUN);
  ret->key = out->length;
  for (size_t i = 0; i < keys; i++)
    st_cbor_value(out, &row->values[i]);
  ret->key_end = out->length;
  ret->values = 1 + n - keys;
  st_cbor_bool(out, !row->present);
  for (size_t i = keys; i < n; i++)
    st_cbor_value(out, &row->values[i]);
}

static void write_ended(struct writer *w, const struct st_value *key)
{
  st_cbor_array(&w->bytes, 1 + w->t->pub.nkeys);
  st_cbor_integer(&w->bytes, ROW_ENDED);
  write_key(w, key);
}

static void write_name(struct writer *w, const struct st_table_full *t)
{
  st_cbor_array(&w->bytes, 1);
  st_cbor_string(&w->bytes, t->pub.name);
  w->t = t;
}

static int write_row(void *arg, struct st_table_full *t, const struct st_fact_row *row, bool ended,
                     struct st_error *err)
{
  struct writer *w = arg;
  struct st_body_place place;

  if (w->t != t)
    write_name(w, t);
  ++*(ended ? &w->ended : &w->begun);
  if (ended)
    write_ended(w, row->values);
  else
    st_body_begun(t, row, &w->bytes, &place);
  w->sink(w->arg, w->bytes.data, w->bytes.length);
  st_buffer_clear(&w->bytes);
  return w->also ? w->also(w->also_arg, t, row, ended, err) : 0;
}

int st_body_write_counted(struct st_catalog *c, int64_t number, st_body_sink *sink, void *arg,
                          st_changed_fn *also, void *also_arg, int64_t *ret_begun,
                          int64_t *ret_ended, struct st_error *err)
{
  struct writer w = {.sink = sink, .arg = arg, .also = also, .also_arg = also_arg};
  bool ours = c->scanning && number == c->number; /* then it is known which tables have any */
  int64_t since = st_catalog_before(c, number);
  int r = 0;

  for (size_t i = 0; i < c->count && r == 0; i++)
    if (!ours || c->tables[i]->applied == number)
      r = changed_of(c, since, number, c->tables[i], write_row, &w, err);
  st_buffer_free(&w.bytes);
  *ret_begun = w.begun;
  *ret_ended = w.ended;
  return r;
}

static int write_first_table(struct st_catalog *c, struct st_table_full *t, struct writer *w,
                             st_body_table_sink *table, struct st_error *err)
{
  if (st_began_count(t) == 0)
    return each_changed(c, 0, c->number, t, false, write_row, w, err);
  write_name(w, t);
  w->sink(w->arg, w->bytes.data, w->bytes.length);
  st_buffer_clear(&w->bytes);
  w->begun += (int64_t)st_began_count(t);
  table(w->arg, t);
  return 0;
}

int st_body_write_first(struct st_catalog *c, st_body_sink *sink, st_body_table_sink *table,
                        void *arg, struct st_state *state, int64_t *ret_begun, struct st_error *err)
{
  struct writer w = {.sink = sink, .arg = arg, .also = st_state_note, .also_arg = state};
  int r = 0;

  for (size_t i = 0; i < c->count && r == 0; i++)
    if (c->tables[i]->stored)
      r = write_first_table(c, c->tables[i], &w, table, err);
  st_buffer_free(&w.bytes);
  *ret_begun = w.begun;
  return r;
}

int st_body_write_since(struct st_catalog *c, int64_t since, int64_t number, st_body_sink *sink,
                        void *arg, struct st_error *err)
{
  struct writer w = {.sink = sink, .arg = arg};
  int r = st_changed_since(c, since, number, write_row, &w, err);

  st_buffer_free(&w.bytes);
  return r;
}

int st_body_write_applied(struct st_catalog *c, int64_t since, int64_t number, st_body_sink *sink,
                          void *arg, struct st_state *state, struct st_error *err)
{
  struct writer w = {.sink = sink, .arg = arg, .also = st_state_note, .also_arg = state};
  int r = 0;

  for (size_t i = 0; i < c->count && r == 0; i++)
    if (c->tables[i]->applied == number)
      r = changed_of(c, since, number, c->tables[i], write_row, &w, err);
  st_buffer_free(&w.bytes);
  return r;
}

int st_body_write(struct st_catalog *c, int64_t number, st_body_sink *sink, void *arg,
                  struct st_error *err)
{
  int64_t begun, ended;

  return st_body_write_counted(c, number, sink, arg, NULL, NULL, &begun, &ended, err);
}

static void append(void *arg, const void *data, size_t length)
{
  st_buffer_append(arg, data, length);
}

int st_changeset_body(struct st_catalog *c, int64_t number, struct st_buffer *out,
                      struct st_error *err)
{
  ST_AUTO_VIEW view;
  struct st_checkpoint cp;

  if (st_view_hold(&view, c, err) < 0 || st_gap_check(c, number, err) < 0 ||
      st_catalog_checkpoint(c, number, &cp, err) < 0)
    return -1;
  st_checkpoint_clear(&cp);
  return st_body_write(c, number, append, out, err);
}

/* ---- Read ------------------------------------------------------------------------------------ */

struct reader {
  struct st_cbor in;
  st_body_table_fn *table;
  st_body_fn *fn;
  void *arg;
  char name[160];                /* of the present table */
  const struct st_table_full *t; /* NULL: none was named yet */
  struct st_value row[ST_MAX_COLUMNS];
  struct st_value last[ST_MAX_COLUMNS]; /* the key before, in the same part */
  int part;                             /* ROW_ENDED, ROW_BEGUN; -1: no row of the table yet */
};

static int out_of_order(struct st_error *err)
{
  return st_fail(err, 0, "changeset: rows are not in order");
}

static int read_table(struct reader *r, struct st_error *err)
{
  const char *name;
  size_t length;

  if (st_cbor_read_text(&r->in, &name, &length, err) < 0)
    return -1;
  if (length == 0 || length >= sizeof(r->name) || memchr(name, 0, length))
    return st_fail(err, 0, "changeset: a table has no proper name");
  if (r->t && r->part < 0)
    return st_fail(err, 0, "changeset: a table without rows");

  char before[sizeof(r->name)];
  memcpy(before, r->name, sizeof(before));
  memcpy(r->name, name, length);
  r->name[length] = 0;
  if (r->t && strcmp(r->name, before) <= 0)
    return out_of_order(err);
  r->t = st_full(r->table(r->arg, r->name));
  r->part = -1;
  return r->t ? 0 : st_fail(err, 0, "changeset: a table that was not declared");
}

static int read_key(struct reader *r, int part, struct st_error *err)
{
  size_t keys = r->t->pub.nkeys;

  for (size_t i = 0; i < keys; i++)
    if (st_cbor_read_value(&r->in, r->t->pub.declaration.columns[i].type, &r->row[i], err) < 0)
      return -1;
  if (st_key_check(r->t, r->row, err) < 0)
    return -1;
  if (part < r->part || (part == r->part && st_key_compare(r->t, r->last, r->row) >= 0))
    return out_of_order(err);
  r->part = part;
  memcpy(r->last, r->row, keys * sizeof(*r->last));
  return 0;
}

static int read_values(struct reader *r, size_t n, struct st_body_row *row, struct st_error *err)
{
  size_t keys = r->t->pub.nkeys;

  if (st_cbor_read_bool(&r->in, &row->absent, err) < 0)
    return -1;
  for (size_t i = 0; i < n; i++)
    if (st_cbor_read_value(&r->in, r->t->pub.declaration.columns[keys + i].type, &r->row[keys + i],
                           err) < 0)
      return -1;
  if (n > 0 && (row->absent || r->row[keys + n - 1].type == ST_NULL))
    return st_fail(err, 0, "changeset: a row that is longer than it has to be");
  return st_row_check(r->t, r->row, err);
}

static int read_body_row(struct reader *r, uint64_t count, struct st_error *err)
{
  int64_t part;

  if (!r->t)
    return st_fail(err, 0, "changeset: a row of no table");
  if (st_cbor_read_integer(&r->in, &part, err) < 0)
    return -1;
  size_t keys = r->t->pub.nkeys, values = r->t->pub.declaration.ncolumns - keys;
  bool fits = part == ROW_ENDED   ? count == 1 + keys
              : part == ROW_BEGUN ? count >= 2 + keys && count <= 2 + keys + values
                                  : false;
  if (!fits)
    return st_fail(err, 0, "changeset: a row of the wrong form (%s)", r->name);
  for (size_t i = 0; i < ST_MAX_COLUMNS; i++)
    r->row[i] = st_null();

  struct st_body_row row = {&r->t->pub, part == ROW_BEGUN, false, r->row};
  if (read_key(r, (int)part, err) < 0)
    return -1;
  if (row.begun && read_values(r, (size_t)count - 2 - keys, &row, err) < 0)
    return -1;
  return r->fn(r->arg, &row, err);
}

/* A table's name stands alone in its array; no row does. */
static int read_item(struct reader *r, struct st_error *err)
{
  uint64_t count;

  if (st_cbor_read_array(&r->in, &count, err) < 0)
    return -1;
  return count == 1 ? read_table(r, err) : read_body_row(r, count, err);
}

int st_body_read(const void *data, size_t length, st_body_table_fn *table, st_body_fn *fn,
                 void *arg, struct st_error *err)
{
  struct reader r = {.in = {data, length}, .table = table, .fn = fn, .arg = arg, .part = -1};
  int result = 0;

  while (result == 0 && !st_cbor_at_end(&r.in))
    result = read_item(&r, err);
  if (result == 0 && r.t && r.part < 0)
    return st_fail(err, 0, "changeset: a table without rows");
  return result;
}
