/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * raise.c - a writer's catalog of an older schema becomes one of this: in one transaction, so that
 * a kill leaves the old one or the new one.
 *
 * Schema 1 had no table `gap`; 1 and 2 had a row for each leaf of the state tree; up to 3 a header
 * was stored as it travels, and an index named the rows of the first checkpoint, too; up to 4 the
 * rows of manifests were in a table; up to 5 a bunch grew with each leaf; up to 6 no
 * row repeated another table's id.
 */
#include "systracker/catalog/internal.h"

static int64_t schema_of(struct st_catalog *c, struct st_error *err)
{
  int64_t version;

  return st_sql_number(c, "PRAGMA user_version", 0, &version, err) < 0 ? -1 : version;
}

/* ---- Headers --------------------------------------------------------------------------------- */

static int store_again(struct st_catalog *c, sqlite3_stmt *s, struct st_error *err)
{
  struct st_buffer header = {.data = (char *)sqlite3_column_blob(s, 0),
                             .length = (size_t)sqlite3_column_bytes(s, 0)};
  const char *message = (const char *)sqlite3_column_text(s, 3);
  struct st_checkpoint cp = {
      .number = sqlite3_column_int64(s, 1),
      .time = sqlite3_column_int64(s, 2),
      .epoch = sqlite3_column_int64(s, 4),
      .incomplete = sqlite3_column_int(s, 5),
      .begun = sqlite3_column_int64(s, 6),
      .ended = sqlite3_column_int64(s, 7),
      .message = (char *)message,
  };

  if (st_checkpoint_store(c, &cp, &header, err) < 0)
    return st_wrap(err, "checkpoint %lld", (long long)cp.number);
  return 0;
}

static int raise_headers(struct st_catalog *c, struct st_error *err)
{
  if (st_sql_exec(c, "ALTER TABLE checkpoint RENAME TO older; CREATE TABLE " ST_CHECKPOINT_TABLE,
                  err) < 0)
    return -1;
  ST_AUTO_STATEMENT *s = st_sql_prepare(
      c,
      "SELECT header, number, time, message, epoch, incomplete, begun, ended FROM older"
      " ORDER BY number",
      err);
  int r = s ? 0 : -1;

  while (r == 0 && (r = st_sql_step(c, s, err)) == 1)
    r = store_again(c, s, err);
  sqlite3_finalize(st_steal(&s));
  st_sql_forget(c);
  return r < 0 ? r : st_sql_exec(c, "DROP TABLE older", err);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static int raise_indexes(struct st_catalog *c, struct st_error *err)
{
  for (size_t i = 0; i < c->count; i++) {
    ST_AUTO_BUFFER sql = ST_BUFFER_INIT;

    if (!c->tables[i]->id)
      continue;
    st_buffer_printf(&sql, "DROP INDEX IF EXISTS \"%s.since\";", c->tables[i]->pub.name);
    st_table_since_index(c->tables[i], &sql);
    if (st_sql_exec(c, sql.data, err) < 0)
      return -1;
  }
  return 0;
}

static int raise_to_parts(struct st_catalog *c, struct st_error *err)
{
  if (st_sql_exec(c,
                  "DROP TABLE IF EXISTS leaf;"
                  "CREATE TABLE IF NOT EXISTS bunch (prefix INTEGER PRIMARY KEY,"
                  " leaves BLOB NOT NULL);"
                  "CREATE TABLE IF NOT EXISTS gap (number INTEGER PRIMARY KEY,"
                  " why INTEGER NOT NULL)",
                  err) < 0 ||
      raise_headers(c, err) < 0)
    return -1;
  return raise_indexes(c, err);
}

/* What is derived is made again from the rest when it is asked for. */
static int raise_manifests(struct st_catalog *c, struct st_error *err)
{
  return st_sql_exec(
      c, "DROP TABLE IF EXISTS expectation; DROP TABLE IF EXISTS manifest; " ST_MANIFEST_SCHEMA,
      err);
}

static int raise_all(struct st_catalog *c, int64_t from, struct st_error *err)
{
  ST_AUTO_FREE char *version = st_format("PRAGMA user_version = %d", ST_CATALOG_SCHEMA);

  if ((from < ST_CATALOG_SCHEMA_PARTS && raise_to_parts(c, err) < 0) ||
      (from < ST_CATALOG_SCHEMA_HASHES && raise_manifests(c, err) < 0) ||
      st_sql_exec(c, ST_ADDED_SCHEMA, err) < 0 || st_sql_exec(c, version, err) < 0 ||
      (from < ST_CATALOG_SCHEMA_PARTS && st_state_rebuild(c, err) < 0))
    return -1;
  return st_sql_exec(c, "COMMIT", err);
}

int st_catalog_raise(struct st_catalog *c, struct st_error *err)
{
  int64_t version = schema_of(c, err);

  if (version < 0 || version >= ST_CATALOG_SCHEMA)
    return version < 0 ? -1 : 0;
  if (st_sql_exec(c, "BEGIN IMMEDIATE", err) < 0)
    return -1;
  if (raise_all(c, version, err) == 0)
    return 0;
  sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
  st_sql_forget(c);
  return st_wrap(err, "cannot bring the catalog to this version");
}
