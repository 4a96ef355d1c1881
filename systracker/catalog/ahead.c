/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ahead.c - reading ahead: a scan asks for paths, and for what is stored of them, in much the order
 * in which paths got their ids, which is that of the first scan.
 *
 * After some questions in that order a cursor stands on the row behind the one that was asked for
 * last: the next question is mostly answered by it, and what lies between two rows has none.  It
 * answers nothing that it does not know: where another place is asked for, it is given up, and the
 * question is answered as ever.  Nothing is held in memory.
 */
#include "systracker/catalog/internal.h"

#define IN_ORDER 4 /* questions before a cursor is worth it */
#define NEAR 64    /* ids from one question to the next */

/* What is known of the order: nothing is lost by forgetting it. */
static void close_cursor(struct st_ahead *a)
{
  if (a->open)
    sqlite3_reset(a->statement);
  a->open = false;
}

void st_ahead_forget(struct st_ahead *a)
{
  close_cursor(a);
  a->in_order = 0;
  a->last = 0;
}

void st_ahead_free(struct st_ahead *a)
{
  sqlite3_finalize(a->statement);
  *a = (struct st_ahead){0};
}

void st_ahead_changed(struct st_ahead *a)
{
  close_cursor(a);
}

/* The next row of the cursor, whose first column is an id. */
static int step(struct st_catalog *c, struct st_ahead *a, struct st_error *err)
{
  int r = st_sql_step(c, a->statement, err);

  if (r < 0) {
    st_ahead_forget(a);
    return -1;
  }
  a->behind = a->at;
  a->at = r ? sqlite3_column_int64(a->statement, 0) : INT64_MAX;
  return 0;
}

/* Whether the next question lies where it can be answered. */
static bool is_near(const struct st_ahead *a, int64_t id)
{
  return id > a->last && id - a->last <= NEAR;
}

/* A question about that id was asked. */
static void note(struct st_ahead *a, int64_t id)
{
  if (is_near(a, id))
    a->in_order++;
  else if (id != a->last)
    a->in_order = 0;
  a->last = id;
}

/* A cursor on the first row behind the last question. */
static int open_cursor(struct st_catalog *c, struct st_ahead *a, struct st_error *err)
{
  sqlite3_bind_int64(a->statement, 1, a->last);
  a->open = true;
  a->at = a->last;
  return step(c, a, err);
}

/* ---- Paths ----------------------------------------------------------------------------------- */

static bool is_at(const struct st_ahead *a, const struct st_value *path)
{
  size_t n = path->u.bytes.length;

  if (a->at == INT64_MAX || (size_t)sqlite3_column_bytes(a->statement, 1) != n)
    return false;
  return n == 0 || memcmp(sqlite3_column_blob(a->statement, 1), path->u.bytes.data, n) == 0;
}

int st_ahead_path(struct st_catalog *c, const struct st_value *path, int64_t *ret,
                  struct st_error *err)
{
  struct st_ahead *a = &c->ahead;

  if (!a->open || !is_at(a, path))
    return 0;
  *ret = a->at;
  note(a, a->at);
  return step(c, a, err) < 0 ? -1 : 1;
}

int st_ahead_path_was(struct st_catalog *c, int64_t id, struct st_error *err)
{
  struct st_ahead *a = &c->ahead;

  if (id < 0)
    return 0; /* between two that are known, perhaps: the next one is the same */
  note(a, id);
  close_cursor(a);
  if (a->in_order < IN_ORDER)
    return 0;
  if (!a->statement)
    a->statement = st_sql_prepare(c, "SELECT id, path FROM path WHERE id > ?1 ORDER BY id", err);
  return a->statement ? open_cursor(c, a, err) : -1;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* ?1: ids behind it; ?2: rows that did not end until then, ?3: and had begun. */
static sqlite3_stmt *prepare(struct st_catalog *c, const struct st_table_full *t,
                             struct st_error *err)
{
  const char *key = t->pub.declaration.columns[0].name;
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;

  st_buffer_printf(&sql, "SELECT t.\"%s\", t.until, ", key);
  st_table_select(&sql, t, ST_SELECT_NO_PATH);
  st_buffer_printf(&sql,
                   " FROM \"%s\" t WHERE t.\"%s\" > ?1 AND (t.until IS NULL OR t.until > ?2)"
                   " AND t.since <= ?3 ORDER BY t.\"%s\", t.since",
                   t->pub.name, key, key);
  return st_sql_prepare(c, sql.data, err);
}

/* Stands on the first row at or behind the id. */
static int open_at(struct st_catalog *c, struct st_table_full *t, struct st_ahead *a, int64_t id,
                   int64_t until, int64_t since, struct st_error *err)
{
  close_cursor(a);
  if (!a->statement && !(a->statement = prepare(c, t, err)))
    return -1;
  sqlite3_bind_int64(a->statement, 2, until);
  sqlite3_bind_int64(a->statement, 3, since);
  a->last = id - 1;
  if (open_cursor(c, a, err) < 0)
    return -1;
  a->last = id;
  return 0;
}

static int go_on_to(struct st_catalog *c, struct st_ahead *a, int64_t id, struct st_error *err)
{
  while (a->at < id)
    if (step(c, a, err) < 0)
      return -1;
  return 0;
}

static int read_row(struct st_catalog *c, struct st_table_full *t, const struct st_ahead *a,
                    const struct st_value *path, struct st_fact_row *ret, struct st_error *err)
{
  if (st_fact_read(c, a->statement, 2, t, ret, err) < 0)
    return -1;
  ret->values[0] = *path;
  return ST_AHEAD_FOUND;
}

/* Rows that were in force before the scan, those that it ended among them, and those it began. */
static int seek(struct st_catalog *c, struct st_table_full *t, int64_t id, struct st_error *err)
{
  struct st_ahead *a = &t->ahead;

  if (!is_near(a, id))
    close_cursor(a);
  note(a, id);
  if (!a->open && a->in_order < IN_ORDER)
    return 0;
  if (!a->open && open_at(c, t, a, id, c->base, INT64_MAX, err) < 0)
    return -1;
  return go_on_to(c, a, id, err) < 0 ? -1 : id > a->behind;
}

int st_ahead_row(struct st_catalog *c, struct st_table_full *t, const struct st_value *path,
                 int64_t id, struct st_fact_row *ret, struct st_error *err)
{
  const struct st_ahead *a = &t->ahead;
  int r = seek(c, t, id, err);

  if (r <= 0)
    return r;
  if (a->at != id)
    return ST_AHEAD_NONE;
  /* What the scan said of the key itself is nobody's guess. */
  if (sqlite3_column_type(a->statement, 1) != SQLITE_NULL ||
      sqlite3_column_int64(a->statement, 2) > c->base)
    return 0;
  return read_row(c, t, a, path, ret, err);
}

int st_ahead_row_at(struct st_catalog *c, struct st_table_full *t, struct st_ahead *a,
                    int64_t number, const struct st_value *path, int64_t id,
                    struct st_fact_row *ret, struct st_error *err)
{
  bool between = a->open && id > a->behind && (id <= a->at || is_near(a, id));

  if (!between && open_at(c, t, a, id, number, number, err) < 0)
    return -1;
  a->last = id;
  if (go_on_to(c, a, id, err) < 0)
    return -1;
  return a->at == id ? read_row(c, t, a, path, ret, err) : ST_AHEAD_NONE;
}
