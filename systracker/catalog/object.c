/* SPDX-License-Identifier: GPL-2.0-or-later */
/* object.c - which objects of the store the facts name, and which packages. */
#include "systracker/catalog/internal.h"

static int column_objects(struct st_catalog *c, const struct st_table_full *t, size_t column,
                          int (*fn)(void *arg, const struct st_id *id), void *arg,
                          struct st_error *err)
{
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;

  st_buffer_append_string(&sql, "SELECT DISTINCT ");
  st_repeated_select(&sql, t, column, "t");
  st_buffer_printf(&sql, " FROM \"%s\" t WHERE t.\"%s\" IS NOT NULL", t->pub.name,
                   t->pub.declaration.columns[column].name);
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, sql.data, err);
  struct st_value id;
  int r = s ? 0 : -1;

  while (r == 0 && (r = st_sql_step(c, s, err)) == 1) {
    if (st_column_value(c, s, 0, ST_ID, &id, err) < 0)
      return -1;
    if (id.type != ST_ID) /* its row of digests is not there: what it named is not known */
      return st_fail(err, 0, "catalog: damaged data (%s)", c->name);
    r = fn(arg, &id.u.id);
  }
  return r;
}

int st_catalog_objects(struct st_catalog *c, int (*fn)(void *arg, const struct st_id *id),
                       void *arg, struct st_error *err)
{
  int r = 0;

  for (size_t i = 0; i < c->count; i++) {
    const struct st_table_full *t = c->tables[i];

    for (size_t k = 0; k < t->stored && r == 0; k++)
      if (t->pub.declaration.columns[k].flags & (ST_OBJECT | ST_MANIFEST))
        r = column_objects(c, t, k, fn, arg, err);
  }
  return r;
}

/* ---- Packages -------------------------------------------------------------------------------- */

static bool has_text(const struct st_table_full *t, const char *name)
{
  for (size_t i = 0; i < t->stored; i++)
    if (strcmp(t->pub.declaration.columns[i].name, name) == 0)
      return t->pub.declaration.columns[i].type == ST_TEXT;
  return false;
}

static int table_packages(struct st_catalog *c, const struct st_table_full *t,
                          st_package_name_fn *fn, void *arg, struct st_error *err)
{
  ST_AUTO_FREE char *sql =
      st_format("SELECT DISTINCT name, version, architecture FROM \"%s\" WHERE name IS NOT NULL"
                " AND version IS NOT NULL AND architecture IS NOT NULL",
                t->pub.name);
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, sql, err);
  int r = s ? 0 : -1;

  while (r == 0 && (r = st_sql_step(c, s, err)) == 1)
    r = fn(arg, (const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1),
           (const char *)sqlite3_column_text(s, 2));
  return r;
}

int st_catalog_packages(struct st_catalog *c, st_package_name_fn *fn, void *arg,
                        struct st_error *err)
{
  int r = 0;

  for (size_t i = 0; i < c->count && r == 0; i++) {
    const struct st_table_full *t = c->tables[i];

    if ((t->pub.declaration.flags & ST_TABLE_PACKAGES) && has_text(t, "name") &&
        has_text(t, "version") && has_text(t, "architecture"))
      r = table_packages(c, t, fn, arg, err);
  }
  return r;
}
