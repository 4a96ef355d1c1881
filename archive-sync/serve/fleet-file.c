/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fleet-file.c - the file fleet.db: its tables, its connections. */
#include "archive-sync/serve/fleet-internal.h"

#include <fcntl.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/log.h"
#include "systracker/base/sqlite.h"

#define BUSY_MS 30000
#define WAL_PAGES 8192 /* 32 MiB are written before they are moved to their places */

/* Rows of the latest state, but for `named`, which has all that ever was.  A host's number is not
 * used again: what was known of one that is known anew goes with the next sweep. */
static const char schema[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('generation', 1), ('closed', 0), ('swept', 0);"
    "CREATE TABLE fact_table (bit INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE host (id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL, epoch INTEGER NOT NULL, number INTEGER NOT NULL, time INTEGER NOT NULL,"
    " digest BLOB NOT NULL, received INTEGER NOT NULL, incomplete INTEGER NOT NULL,"
    " gaps INTEGER NOT NULL, stamp INTEGER NOT NULL, packages INTEGER NOT NULL,"
    " deviations INTEGER NOT NULL, files INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " day INTEGER NOT NULL, nights BLOB NOT NULL);"
    "CREATE TABLE named (id INTEGER PRIMARY KEY, ids BLOB NOT NULL);"
    "CREATE TABLE path (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE);"
    "CREATE TABLE fact (path INTEGER NOT NULL, host INTEGER NOT NULL, tables INTEGER NOT NULL,"
    " until INTEGER, digest INTEGER, rest BLOB, PRIMARY KEY (path, host)) WITHOUT ROWID;"
    "CREATE INDEX fact_digest ON fact (digest) WHERE digest IS NOT NULL;"
    "CREATE INDEX fact_gone ON fact (host) WHERE until IS NOT NULL;"
    "CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL,"
    " architecture TEXT NOT NULL, rpm INTEGER NOT NULL,"
    " UNIQUE (name, version, architecture, rpm));"
    "CREATE TABLE installed (package INTEGER NOT NULL, host INTEGER NOT NULL, until INTEGER,"
    " PRIMARY KEY (package, host)) WITHOUT ROWID;"
    "CREATE INDEX installed_gone ON installed (host) WHERE until IS NOT NULL;";

static const char *const texts[ST_FLEET_STATEMENTS] = {
    [ST_FLEET_TABLE_ADD] = "INSERT INTO fact_table (name) VALUES (?1)",
    [ST_FLEET_PATH_ID] = "SELECT id FROM path WHERE path = ?1",
    [ST_FLEET_PATH_ADD] = "INSERT INTO path (path) VALUES (?1)",
    [ST_FLEET_FACT_GET] =
        "SELECT tables, until, digest, rest FROM fact WHERE path = ?1 AND host = ?2",
    [ST_FLEET_FACT_SET] = "INSERT OR REPLACE INTO fact (path, host, tables, until, digest, rest)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [ST_FLEET_PACKAGE_ID] = "SELECT id FROM package WHERE name = ?1 AND version = ?2"
                            " AND architecture = ?3 AND rpm = ?4",
    [ST_FLEET_PACKAGE_ADD] =
        "INSERT INTO package (name, version, architecture, rpm) VALUES (?1, ?2, ?3, ?4)",
    [ST_FLEET_INSTALLED_GET] = "SELECT until FROM installed WHERE package = ?1 AND host = ?2",
    [ST_FLEET_INSTALLED_SET] =
        "INSERT OR REPLACE INTO installed (package, host, until) VALUES (?1, ?2, ?3)",
    [ST_FLEET_NAMED_ADD] = "INSERT INTO named (id, ids) VALUES (?1, ?2)"
                           " ON CONFLICT (id) DO UPDATE SET ids = ids || excluded.ids",
    [ST_FLEET_HOST_ADD] =
        "INSERT INTO host (host, name, epoch, number, time, digest, received, incomplete, gaps,"
        " stamp, packages, deviations, files, bytes, day, nights)"
        " VALUES (?1, '', 0, 0, 0, x'', 0, 0, 0, 0, 0, 0, 0, 0, 0, x'')",
    [ST_FLEET_HOST_SET] =
        "UPDATE host SET name = ?2, epoch = ?3, number = ?4, time = ?5, digest = ?6, received = ?7,"
        " incomplete = ?8, gaps = ?9, stamp = ?10, packages = ?11, deviations = ?12, files = ?13,"
        " bytes = ?14, day = ?15, nights = ?16 WHERE id = ?1",
};

int st_fleet_fail(sqlite3 *db, struct st_error *err)
{
  st_fail(err, 0, "the fleet's index: %s (" ST_FLEET_FILE ")", sqlite3_errmsg(db));
  if (err && sqlite3_errcode(db) == SQLITE_FULL)
    err->code = ENOSPC;
  return -1;
}

int st_fleet_exec(sqlite3 *db, const char *sql, struct st_error *err)
{
  return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : st_fleet_fail(db, err);
}

sqlite3_stmt *st_fleet_prepare(sqlite3 *db, const char *sql, struct st_error *err)
{
  sqlite3_stmt *s = NULL;
  if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
    st_fleet_fail(db, err);
  return s;
}

sqlite3_stmt *st_fleet_statement(struct st_fleet *f, enum st_fleet_statement which,
                                 struct st_error *err)
{
  if (!f->statements[which])
    f->statements[which] = st_fleet_prepare(f->db, texts[which], err);
  return f->statements[which];
}

int st_fleet_step(sqlite3_stmt *s, struct st_error *err)
{
  switch (sqlite3_step(s)) {
  case SQLITE_ROW:
    return 1;
  case SQLITE_DONE:
    return 0;
  default:
    return st_fleet_fail(sqlite3_db_handle(s), err);
  }
}

int st_fleet_run(sqlite3_stmt *s, struct st_error *err)
{
  int r = st_fleet_step(s, err);
  sqlite3_reset(s);
  return r < 0 ? r : 0;
}

/* ---- Opened ------------------------------------------------------------------------------------
 */

/* Through the archive's descriptor, so that it is this archive's whatever becomes of its path. */
static int open_db(struct st_fleet *f, int flags, sqlite3 **ret, struct st_error *err)
{
  ST_AUTO_FREE char *path = st_format("/proc/self/fd/%d/" ST_FLEET_FILE, f->a->dir);
  int r = st_sqlite_open(path, flags | SQLITE_OPEN_NOMUTEX, ret);
  if (r == SQLITE_OK) {
    sqlite3_busy_timeout(*ret, BUSY_MS);
    return 0;
  }
  st_fail(err, 0, "cannot open the fleet's index: %s (" ST_FLEET_FILE ")",
          *ret ? sqlite3_errmsg(*ret) : sqlite3_errstr(r));
  sqlite3_close(st_steal(ret));
  return -1;
}

static int64_t number_of(sqlite3 *db, const char *sql)
{
  ST_AUTO_FLEET_STATEMENT *s = st_fleet_prepare(db, sql, NULL);
  return s && st_fleet_step(s, NULL) == 1 ? sqlite3_column_int64(s, 0) : -1;
}

/* All of it is read where it was not closed as it should be. */
static bool is_sound(sqlite3 *db)
{
  ST_AUTO_FLEET_STATEMENT *s = NULL;
  if (number_of(db, "PRAGMA application_id") != ST_FLEET_APPLICATION ||
      number_of(db, "PRAGMA user_version") != ST_FLEET_SCHEMA)
    return false;
  if (number_of(db, "SELECT value FROM meta WHERE name = 'closed'") == 1)
    return true;
  s = st_fleet_prepare(db, "PRAGMA quick_check(1)", NULL);
  return s && st_fleet_step(s, NULL) == 1 &&
         strcmp((const char *)sqlite3_column_text(s, 0), "ok") == 0;
}

static int set_up(sqlite3 *db, struct st_error *err)
{
  ST_AUTO_FREE char *pragmas = st_format("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                                         "PRAGMA wal_autocheckpoint = %d; PRAGMA temp_store = 2;"
                                         "PRAGMA cache_size = -65536",
                                         WAL_PAGES);
  return st_fleet_exec(db, pragmas, err);
}

static int make(sqlite3 *db, struct st_error *err)
{
  ST_AUTO_FREE char *sql =
      st_format("BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
                schema, ST_FLEET_APPLICATION, ST_FLEET_SCHEMA);
  return st_fleet_exec(db, sql, err);
}

static int remove_file(struct st_fleet *f, struct st_error *err)
{
  static const char *const names[] = {ST_FLEET_FILE "-wal", ST_FLEET_FILE "-shm", ST_FLEET_FILE};
  for (size_t i = 0; i < ST_COUNT(names); i++)
    if (unlinkat(f->a->dir, names[i], 0) < 0 && errno != ENOENT)
      return st_fail(err, errno, "cannot remove (%s)", names[i]);
  return 0;
}

/* SQLite's own files get the modes of this one. */
static int open_writer(struct st_fleet *f, struct st_error *err)
{
  ST_AUTO_CLOSE int fd =
      openat(f->a->dir, ST_FLEET_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return st_fail(err, errno, "cannot open the fleet's index (" ST_FLEET_FILE ")");
  return open_db(f, SQLITE_OPEN_READWRITE, &f->db, err) < 0 ? -1 : set_up(f->db, err);
}

static bool is_there(struct st_fleet *f)
{
  return faccessat(f->a->dir, ST_FLEET_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int st_fleet_file_beside(struct st_fleet *f, struct st_error *err)
{
  if (!is_there(f))
    return 1;
  f->beside = true;
  if (open_writer(f, err) < 0)
    return -1;
  if (number_of(f->db, "PRAGMA application_id") != ST_FLEET_APPLICATION ||
      number_of(f->db, "PRAGMA user_version") != ST_FLEET_SCHEMA)
    return st_fail(err, 0,
                   "the fleet's index is damaged or of another version: systracker-archive serve "
                   "makes it anew (" ST_FLEET_FILE ")");
  return 0;
}

static int note_closed(struct st_fleet *f, bool closed, struct st_error *err)
{
  return st_fleet_exec(f->db,
                       closed ? "UPDATE meta SET value = 1 WHERE name = 'closed'"
                              : "UPDATE meta SET value = 0 WHERE name = 'closed'",
                       err);
}

int st_fleet_file_open(struct st_fleet *f, struct st_error *err)
{
  bool there = is_there(f);
  if (there && open_writer(f, err) == 0 && is_sound(f->db))
    return note_closed(f, false, err);
  if (there)
    st_log(ST_LOG_WARNING, "the fleet's index is damaged or of another version: it is made anew");
  st_error_clear(err);
  sqlite3_close(st_steal(&f->db));
  if (remove_file(f, err) < 0 || open_writer(f, err) < 0)
    return -1;
  return make(f->db, err);
}

int st_fleet_file_reader(struct st_fleet *f, sqlite3 **ret, struct st_error *err)
{
  return open_db(f, SQLITE_OPEN_READWRITE, ret, err);
}

void st_fleet_file_close(struct st_fleet *f)
{
  if (f->db && !f->beside && !f->damaged)
    note_closed(f, true, NULL);
  for (size_t i = 0; i < ST_FLEET_STATEMENTS; i++)
    sqlite3_finalize(f->statements[i]);
  sqlite3_finalize(f->names);
  sqlite3_finalize(f->generation);
  sqlite3_close(f->names_db);
  for (struct st_fleet_reader *r = f->idle, *next; r; r = next) {
    next = r->next;
    sqlite3_close(r->db);
    free(r);
  }
  sqlite3_close(f->db);
}

int st_fleet_begin(struct st_fleet *f, struct st_error *err)
{
  if (f->open && !sqlite3_get_autocommit(f->db))
    return 0;
  if (f->open)
    st_fleet_lose(f);
  if (st_fleet_exec(f->db, "BEGIN IMMEDIATE", err) < 0)
    return -1;
  f->open = true;
  return 0;
}

struct st_fleet_reader *st_fleet_borrow(struct st_fleet *f, struct st_error *err)
{
  pthread_mutex_lock(&f->pool);
  struct st_fleet_reader *r = f->idle;
  if (r)
    f->idle = r->next;
  pthread_mutex_unlock(&f->pool);
  if (r)
    return r;
  r = st_calloc(1, sizeof(*r));
  if (st_fleet_file_reader(f, &r->db, err) < 0) {
    free(r);
    return NULL;
  }
  return r;
}

void st_fleet_give_back(struct st_fleet *f, struct st_fleet_reader *r)
{
  pthread_mutex_lock(&f->pool);
  r->next = f->idle;
  f->idle = r;
  pthread_mutex_unlock(&f->pool);
}
