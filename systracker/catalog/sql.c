/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sql.c - statements: prepared once, stepped, their failures in words. */
#include "systracker/catalog/internal.h"

#include "systracker/base/escape.h"

static const char *const texts[ST_FIXED_STATEMENTS] = {
    [ST_LATEST] = "SELECT max(number) FROM checkpoint",
    [ST_CHECKPOINT_GET] =
        "SELECT number, time, epoch, incomplete, begun, ended, state_root, header_digest, message,"
        " (SELECT group_concat(name, ', ') FROM (SELECT name FROM tag WHERE number = ?1"
        " ORDER BY name)) FROM checkpoint WHERE number = ?1",
    [ST_PATH_ID] = "SELECT id FROM path WHERE path = ?1",
    [ST_PATH_ADD] = "INSERT INTO path (path) VALUES (?1)",
    [ST_PATH_ADD_NEW] = "INSERT OR IGNORE INTO path (path) VALUES (?1)",
    [ST_MANIFEST_ADD] = "INSERT OR REPLACE INTO manifest (id, observed, paths) VALUES (?1, ?2, ?3)",
    [ST_BUNCH_GET] = "SELECT leaves FROM bunch WHERE prefix = ?1",
    [ST_BUNCH_SET] = "INSERT OR REPLACE INTO bunch (prefix, leaves) VALUES (?1, ?2)",
    [ST_ADDED_GET] = "SELECT leaves FROM added WHERE prefix = ?1",
    [ST_ADDED_SET] = "INSERT OR REPLACE INTO added (prefix, leaves) VALUES (?1, ?2)",
    [ST_DATA_VERSION] = "PRAGMA main.data_version",
    [ST_NODE_SET] = "INSERT OR REPLACE INTO node (prefix, leaves, hash) VALUES (?1, ?2, ?3)",
};

int st_sql_fail(struct st_catalog *c, const char *what, struct st_error *err)
{
  int code = sqlite3_errcode(c->db) & 0xff;

  ST_AUTO_FREE char *words = st_sqlite_words(c->db);

  st_fail(err, 0, "%s: %s (%s)", what, words, c->name);
  if (err && code != SQLITE_CONSTRAINT && code != SQLITE_MISMATCH && code != SQLITE_TOOBIG)
    err->code = code == SQLITE_FULL
                    ? ENOSPC
                    : EIO; /* not what was to be written is wrong, but the file or the disk */
  return -1;
}

int st_sql_exec(struct st_catalog *c, const char *sql, struct st_error *err)
{
  if (st_first_put(c, err) < 0)
    return -1;
  if (sqlite3_exec(c->db, sql, NULL, NULL, NULL) != SQLITE_OK)
    return st_sql_fail(c, "catalog", err);
  return 0;
}

sqlite3_stmt *st_sql_prepare(struct st_catalog *c, const char *sql, struct st_error *err)
{
  sqlite3_stmt *s = NULL;

  if (st_first_put(c, err) < 0)
    return NULL;
  if (sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL) != SQLITE_OK) {
    st_sql_fail(c, "catalog", err);
    return NULL;
  }
  return s;
}

sqlite3_stmt *st_sql_fixed(struct st_catalog *c, enum st_fixed_statement which,
                           struct st_error *err)
{
  if (which == ST_PATH_ID && st_first_put(c, err) < 0)
    return NULL;
  if (!c->fixed[which])
    c->fixed[which] = st_sql_prepare(c, texts[which], err);
  return c->fixed[which];
}

void st_sql_forget(struct st_catalog *c)
{
  for (size_t i = 0; i < ST_FIXED_STATEMENTS; i++) {
    sqlite3_finalize(c->fixed[i]);
    c->fixed[i] = NULL;
  }
  st_ahead_free(&c->ahead);
}

int st_sql_step(struct st_catalog *c, sqlite3_stmt *s, struct st_error *err)
{
  switch (sqlite3_step(s)) {
  case SQLITE_ROW:
    return 1;
  case SQLITE_DONE:
    return 0;
  default:
    return st_sql_fail(c, "catalog", err);
  }
}

int st_sql_run(struct st_catalog *c, sqlite3_stmt *s, struct st_error *err)
{
  int r = st_sql_step(c, s, err);

  sqlite3_reset(s);
  return r < 0 ? r : 0;
}

int st_sql_number(struct st_catalog *c, const char *sql, int64_t fallback, int64_t *ret,
                  struct st_error *err)
{
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, sql, err);
  int r = s ? st_sql_step(c, s, err) : -1;

  *ret = fallback;
  if (r == 1 && sqlite3_column_type(s, 0) != SQLITE_NULL)
    *ret = sqlite3_column_int64(s, 0);
  return r < 0 ? r : 0;
}
