/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * repeated.c - the id of an entry's content is mostly said twice, as what it is (a digest) and as
 * what is kept (an object), and does not compress: where a row that names an object began with the
 * same checkpoint as the path's row of digests, and has the same id, it stores 0 in its place.
 *
 * Of all columns of entries with an id that names no object, the one that was declared here first
 * has the digests (the first table's, of those of one checkpoint): that stays so, as declarations
 * are never taken back, and a column that an older table gets later is not it.  Whatever takes a
 * row of it away, or moves the beginning of rows, spells out before what relies on it.
 */
#include "systracker/catalog/internal.h"

static bool is_digest(const struct st_column *column)
{
  return column->type == ST_ID && !(column->flags & (ST_KEY | ST_OBJECT | ST_MANIFEST));
}

static bool find_digest(const struct st_table_full *t, size_t *ret)
{
  for (size_t i = 0; t->id && st_is_entry(t) && i < t->stored; i++)
    if (is_digest(&t->pub.declaration.columns[i])) {
      *ret = i;
      return true;
    }
  return false;
}

static bool is_earlier(const struct st_table_full *a, size_t column, const struct st_table_full *b,
                       size_t b_column)
{
  if (a->since[column] != b->since[b_column])
    return a->since[column] < b->since[b_column];
  return a->id < b->id;
}

void st_repeated_find(struct st_catalog *c)
{
  struct st_table_full *first = NULL;
  size_t column, first_column = 0;

  for (size_t i = 0; i < c->count; i++)
    if (find_digest(c->tables[i], &column) &&
        (!first || is_earlier(c->tables[i], column, first, first_column))) {
      first = c->tables[i];
      first_column = column;
    }
  for (size_t i = 0; i < c->count && first != c->digests; i++)
    st_table_forget(c->tables[i]);
  c->digests = first;
  c->digest_column = first_column;
  for (size_t i = 0; i < c->count; i++)
    c->tables[i]->digests = first;
}

bool st_repeated_may_be(const struct st_table_full *t, size_t column)
{
  return t->digests && t->digests != t && t->id && st_is_entry(t) && column < t->stored &&
         t->pub.declaration.columns[column].type == ST_ID &&
         (t->pub.declaration.columns[column].flags & ST_OBJECT);
}

/* What the row of digests says that began when `alias`, a row of `t`, did. */
static void digest_sql(struct st_buffer *sql, const struct st_table_full *t, const char *alias)
{
  const struct st_table_full *d = t->digests;
  size_t column = 0;

  find_digest(d, &column);
  st_buffer_printf(sql,
                   "(SELECT d.\"%s\" FROM \"%s\" d WHERE d.\"%s\" = %s.\"%s\""
                   " AND d.since = %s.since)",
                   d->pub.declaration.columns[column].name, d->pub.name,
                   d->pub.declaration.columns[0].name, alias, t->pub.declaration.columns[0].name,
                   alias);
}

void st_repeated_select(struct st_buffer *sql, const struct st_table_full *t, size_t column,
                        const char *alias)
{
  const char *name = t->pub.declaration.columns[column].name;

  if (!st_repeated_may_be(t, column)) {
    st_buffer_printf(sql, "%s.\"%s\"", alias, name);
    return;
  }
  st_buffer_printf(sql, "CASE typeof(%s.\"%s\") WHEN 'integer' THEN ", alias, name);
  digest_sql(sql, t, alias);
  st_buffer_printf(sql, " ELSE %s.\"%s\" END", alias, name);
}

/* ---- A row that begins ----------------------------------------------------------------------- */

bool st_repeated_is(const struct st_catalog *c, const struct st_table_full *t, size_t column,
                    int64_t path, const struct st_value *value)
{
  return value->type == ST_ID && c->has_digest && c->digest_path == path &&
         st_id_equal(&value->u.id, &c->digest) && st_repeated_may_be(t, column);
}

void st_repeated_bind(struct st_catalog *c, sqlite3_stmt *s, int at, const struct st_table_full *t,
                      int64_t path, const struct st_value *row)
{
  for (size_t i = t->pub.nkeys; i < t->pub.declaration.ncolumns; i++)
    if (st_repeated_is(c, t, i, path, &row[i]))
      sqlite3_bind_int(s, at + (int)(i - t->pub.nkeys), 0);
}

void st_repeated_note(struct st_catalog *c, const struct st_table_full *t, int64_t path,
                      const struct st_value *row)
{
  if (t != c->digests)
    return;
  c->has_digest = row && row[c->digest_column].type == ST_ID;
  if (!c->has_digest)
    return;
  c->digest_path = path;
  c->digest = row[c->digest_column].u.id;
}

/* ---- Spelled out, and taken back ------------------------------------------------------------- */

/* For each column that may repeat one, and rows `where` that is so, of one path unless it is -1. */
static int each_column(struct st_catalog *c, const char *where, int64_t path,
                       void (*sql)(struct st_buffer *sql, const struct st_table_full *t,
                                   const char *column),
                       struct st_error *err)
{
  for (size_t i = 0; i < c->count; i++)
    for (size_t k = 0; k < c->tables[i]->stored; k++) {
      const struct st_table_full *t = c->tables[i];
      ST_AUTO_BUFFER text = ST_BUFFER_INIT;

      if (!st_repeated_may_be(t, k))
        continue;
      sql(&text, t, t->pub.declaration.columns[k].name);
      st_buffer_printf(&text, " AND %s", where);
      if (path >= 0)
        st_buffer_printf(&text, " AND t.\"%s\" = %lld", t->pub.declaration.columns[0].name,
                         (long long)path);
      if (st_sql_exec(c, text.data, err) < 0)
        return -1;
    }
  return 0;
}

static void spell_sql(struct st_buffer *sql, const struct st_table_full *t, const char *column)
{
  /* Where the row of digests is lost, the 0 stays, which says that something is missing. */
  st_buffer_printf(sql, "UPDATE \"%s\" AS t SET \"%s\" = ifnull(", t->pub.name, column);
  digest_sql(sql, t, "t");
  st_buffer_printf(sql, ", 0) WHERE typeof(t.\"%s\") = 'integer'", column);
}

static void shorten_sql(struct st_buffer *sql, const struct st_table_full *t, const char *column)
{
  st_buffer_printf(sql, "UPDATE \"%s\" AS t SET \"%s\" = 0 WHERE t.\"%s\" = ", t->pub.name, column,
                   column);
  digest_sql(sql, t, "t");
}

int st_repeated_spell(struct st_catalog *c, const char *where, struct st_error *err)
{
  return each_column(c, where, -1, spell_sql, err);
}

int st_repeated_shorten(struct st_catalog *c, const char *where, struct st_error *err)
{
  return each_column(c, where, -1, shorten_sql, err);
}

int st_repeated_taken_back(struct st_catalog *c, const struct st_table_full *t, int64_t path,
                           struct st_error *err)
{
  ST_AUTO_FREE char *where = st_format("t.since = %lld", (long long)c->number);

  if (t != c->digests)
    return 0;
  c->has_digest = false;
  return each_column(c, where, path, spell_sql, err);
}
