/* SPDX-License-Identifier: GPL-2.0-or-later */
/* catalog.c - one host's catalog: opened, checked, made, closed. */
#include "systracker/catalog/internal.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define SHORT_WAIT 10000 /* ms */

/* Derived, and made again from the rest, by verify at the latest: bunch, added, node, manifest. */
static const char schema[] =
    "CREATE TABLE path (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE);"
    "CREATE TABLE declaration (id INTEGER PRIMARY KEY, plugin TEXT NOT NULL, name TEXT NOT NULL,"
    " flags INTEGER NOT NULL, UNIQUE (plugin, name));"
    "CREATE TABLE attribute (relation INTEGER NOT NULL, position INTEGER NOT NULL,"
    " name TEXT NOT NULL, type INTEGER NOT NULL, flags INTEGER NOT NULL, since INTEGER NOT NULL,"
    " PRIMARY KEY (relation, position)) WITHOUT ROWID;"
    "CREATE TABLE " ST_CHECKPOINT_TABLE ";"
    "CREATE TABLE tag (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE gap (number INTEGER PRIMARY KEY, why INTEGER NOT NULL);"
    "CREATE TABLE bunch (prefix INTEGER PRIMARY KEY, leaves BLOB NOT NULL);"
    "CREATE TABLE node (prefix INTEGER PRIMARY KEY, leaves INTEGER NOT NULL, hash BLOB NOT "
    "NULL);" ST_ADDED_SCHEMA ST_MANIFEST_SCHEMA;

static int none(struct st_catalog *c, struct st_error *err)
{
  st_fail(err, 0, "there is no checkpoint yet (%s)", c->name);
  return -ENOENT;
}

/* ---- The file -------------------------------------------------------------------------------- */

static int open_folder(struct st_catalog *c, int store_dirfd, const char *host,
                       struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_format("hosts/%s", host);

  if (c->writer && st_make_dirs(store_dirfd, folder, 0700, err) < 0)
    return -1;
  c->dir = st_open_beneath(store_dirfd, folder, O_RDONLY | O_DIRECTORY, 0);
  if (c->dir == -ENOENT)
    return none(c, err);
  if (c->dir < 0)
    return st_fail(err, -c->dir, "cannot open the catalog's folder (%s)", st_quote(folder));
  return 0;
}

/* It follows the first checkpoint. */
static bool has_chain(const struct st_catalog *c)
{
  return faccessat(c->dir, "chain", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* With the right mode, which SQLite's own files then take over. */
static int make_file(struct st_catalog *c, struct st_error *err)
{
  ST_AUTO_CLOSE int fd =
      openat(c->dir, "catalog.db", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

  if (fd < 0 && errno != EEXIST)
    return st_fail(err, errno, "cannot make the catalog (%s)", c->name);
  return 0;
}

/* One that is there is not opened but by SQLite: to close a descriptor of it would take all locks
 * away that this process has of the file, by another connection, too (fcntl(2)). */
static int check_file(struct st_catalog *c, struct st_error *err)
{
  struct stat st;
  int r = fstatat(c->dir, "catalog.db", &st, AT_SYMLINK_NOFOLLOW);

  if (r < 0 && errno == ENOENT && c->writer)
    return make_file(c, err);
  if (r < 0 && errno == ENOENT && has_chain(c))
    return st_fail(err, 0, "the catalog is missing, though its chain is there (%s)", c->name);
  if (r < 0 && errno == ENOENT)
    return none(c, err);
  if (r == 0 && !S_ISREG(st.st_mode))
    return st_fail(err, 0, "cannot open the catalog: it is no regular file (%s)", c->name);
  if (r < 0 || faccessat(c->dir, "catalog.db", c->writer ? R_OK | W_OK : R_OK, AT_EACCESS) < 0)
    return st_fail(err, errno, "cannot open the catalog (%s)", c->name);
  return 0;
}

/* A host's writer has work to lose.  Of an archive's and of readers, what they wait for is short:
 * somebody's view, or another program's checkpoint of the WAL.  The first one, which writes
 * straight, is not waited for. */
static void be_patient(struct st_catalog *c)
{
  if (c->writer && !c->replica)
    st_sqlite_be_patient(c->db, &c->patience, ST_SQLITE_PATIENCE);
  else
    sqlite3_busy_timeout(c->db, c->writer || has_chain(c) ? SHORT_WAIT : 0);
}

#define CACHE "PRAGMA cache_size = -32768" /* 32 MiB at most, as they are needed */

static int open_database(struct st_catalog *c, bool immutable, struct st_error *err)
{
  int flags = (c->writer ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_URI |
              SQLITE_OPEN_NOMUTEX;
  ST_AUTO_FREE char *uri =
      st_format("file:/proc/self/fd/%d/catalog.db%s", c->dir, immutable ? "?immutable=1" : "");

  sqlite3_close(c->db);
  c->db = NULL;
  if (st_sqlite_open(uri, flags, &c->db) != SQLITE_OK)
    return st_sql_fail(c, "cannot open the catalog", err);
  /* Statements are not planned again for each value that is bound: no statistics would tell more.
   */
  sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_QPSG, 1, NULL);
  be_patient(c);
  sqlite3_exec(c->db, "PRAGMA temp_store = MEMORY; " CACHE, NULL, NULL, NULL);
  return 0;
}

/* A replica whose writer was killed has a journal that has to be rolled back before anything is
 * read, which takes a moment of writing. */
static int roll_back(struct st_catalog *c, int64_t *ret, struct st_error *err)
{
  c->writer = true;
  int r = open_database(c, false, err);
  if (r == 0)
    r = st_sql_number(c, "SELECT count(*) FROM sqlite_master", 0, ret, err);
  c->writer = false;
  if (r < 0)
    return st_wrap(err, "a write to it was interrupted, and cannot be taken back here");
  if (open_database(c, false, err) < 0)
    return -1;
  return st_sql_number(c, "SELECT count(*) FROM sqlite_master", 0, ret, err);
}

/* Reads the header.  A file system that cannot be written to cannot hold the shared memory of the
 * WAL either; without a WAL the file alone is the whole truth. */
static int probe(struct st_catalog *c, int *ret, struct st_error *err)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  int64_t n;

  if (st_sql_number(c, "SELECT count(*) FROM sqlite_master", 0, &n, &ignored) < 0) {
    int code = sqlite3_errcode(c->db);
    bool unwritable = code == SQLITE_CANTOPEN || code == SQLITE_READONLY;

    if (code == SQLITE_BUSY && !c->writer && !has_chain(c))
      return none(c, err);
    if (code == SQLITE_NOTADB)
      return st_fail(err, 0, "is no catalog of SysTracker: nothing was changed (%s)", c->name);
    if (c->writer || !unwritable || faccessat(c->dir, "catalog.db-wal", F_OK, 0) == 0)
      return st_sql_fail(c, "cannot read the catalog", err);
    if (faccessat(c->dir, "catalog.db-journal", F_OK, 0) == 0) {
      if (roll_back(c, &n, err) < 0)
        return -1;
    } else if (open_database(c, true, err) < 0 ||
               st_sql_number(c, "SELECT count(*) FROM sqlite_master", 0, &n, err) < 0)
      return -1;
  }
  *ret = n != 0;
  return 0;
}

static int make_schema(struct st_catalog *c, struct st_error *err)
{
  ST_AUTO_FREE char *sql =
      st_format("PRAGMA page_size = 4096; PRAGMA journal_mode = %s; BEGIN IMMEDIATE; %s"
                "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
                c->replica ? "DELETE" : "WAL", schema, ST_CATALOG_APPLICATION, ST_CATALOG_SCHEMA);

  return st_sql_exec(c, sql, err);
}

static int check_version(struct st_catalog *c, struct st_error *err)
{
  int64_t application, version;

  if (st_sql_number(c, "PRAGMA application_id", 0, &application, err) < 0 ||
      st_sql_number(c, "PRAGMA user_version", 0, &version, err) < 0)
    return -1;
  if (application != ST_CATALOG_APPLICATION)
    return st_fail(err, 0, "is no catalog of SysTracker: nothing was changed (%s)", c->name);
  if (version > ST_CATALOG_SCHEMA)
    return st_fail(err, 0,
                   "store was written by a newer SysTracker (schema %lld, this one knows %d): "
                   "nothing was changed (%s)",
                   (long long)version, ST_CATALOG_SCHEMA, c->name);
  if (version < 1)
    return st_fail(err, 0, "catalog has no schema version: nothing was changed (%s)", c->name);
  return 0;
}

static int open_file(struct st_catalog *c, struct st_error *err)
{
  int filled = 0, r = check_file(c, err);

  if (r < 0)
    return r;
  if ((r = open_database(c, false, err)) < 0 || (r = probe(c, &filled, err)) < 0)
    return r;
  if (filled)
    return check_version(c, err);
  return c->writer ? make_schema(c, err) : none(c, err);
}

/* ---- Opened and closed ----------------------------------------------------------------------- */

static int set_journal(struct st_catalog *c, struct st_error *err)
{
  /* A journal that stays, emptied, spares syncing the folder each time. */
  if (c->replica)
    return st_sql_exec(c, "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL", err);
  st_catalog_write_logged(c);
  return 0;
}

/* Nobody else may have the file open then: that is not waited for long, as it can be done another
 * time. */
static void set_mode(struct st_catalog *c, const char *sql)
{
  sqlite3_busy_timeout(c->db, SHORT_WAIT);
  sqlite3_exec(c->db, sql, NULL, NULL, NULL);
  be_patient(c);
}

/* A WAL would take each page of a first checkpoint, and hand it on to the file later.  A rollback
 * journal takes the few pages that are there: so the others are written once, and most of them
 * while the scan goes on, as rows come in about the order in which they lie.  Nobody could read
 * meanwhile what was there before, as there is no checkpoint.  That the journal is gone is synced,
 * too: the chain must not be ahead of the catalog.  Where another one has the file open, its
 * journal stays what it is, and nothing is wrong with that. */
void st_catalog_write_straight(struct st_catalog *c)
{
  set_mode(c,
           "PRAGMA cache_size = -2048; PRAGMA synchronous = EXTRA; PRAGMA journal_mode = DELETE");
}

int st_catalog_flush(struct st_catalog *c, sqlite3_file **ret, struct st_error *err)
{
  *ret = NULL;
  if (sqlite3_db_cacheflush(c->db) != SQLITE_OK)
    return st_sql_fail(c, "catalog", err);
  if (sqlite3_file_control(c->db, "main", SQLITE_FCNTL_FILE_POINTER, ret) != SQLITE_OK)
    *ret = NULL;
  return 0;
}

/* xSync of SQLite's files is fdatasync(2) of a descriptor, which for a database is all that it
 * looks at (os_unix.c): so others may write to the file meanwhile. */
int st_catalog_sync(const struct st_catalog *c, sqlite3_file *file, struct st_error *err)
{
  if (file && file->pMethods &&
      file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY) != SQLITE_OK)
    return st_fail(err, EIO, "catalog: the disk did not keep it (%s)", c->name);
  return 0;
}

void st_catalog_write_logged(struct st_catalog *c)
{
  set_mode(c, CACHE "; PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL");
}

static int prepare_writer(struct st_catalog *c, struct st_error *err)
{
  if (set_journal(c, err) < 0 || st_catalog_raise(c, err) < 0)
    return -1;
  if (c->replica)
    return st_chain_complete(c, err);
  if (st_catalog_declare(c, "core", st_core_tables, err) < 0)
    return -1;
  return st_chain_complete(c, err);
}

static int prepare_reader(struct st_catalog *c, struct st_error *err)
{
  int64_t wal;

  if (st_sql_number(c, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", 0, &wal, err) < 0)
    return -1;
  c->wal = wal;
  return 0;
}

int st_catalog_open(struct st_catalog **ret, int store_dirfd, const char *host_id,
                    enum st_catalog_flags flags, struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = st_calloc(1, sizeof(*c));
  int r;

  c->dir = -1;
  c->writer = flags & ST_CATALOG_WRITE;
  c->replica = flags & ST_CATALOG_REPLICA;
  c->host_id = st_memdup(host_id, strcspn(host_id, "/"));
  c->name = st_format("hosts/%s/catalog.db", st_quote(host_id));
  if ((r = open_folder(c, store_dirfd, host_id, err)) < 0 || (r = open_file(c, err)) < 0 ||
      (r = st_tables_load(c, err)) < 0 || (r = st_gaps_load(c, err)) < 0)
    return r;
  r = c->writer ? prepare_writer(c, err) : prepare_reader(c, err);
  if (r < 0)
    return r;
  *ret = st_steal(&c);
  return 0;
}

void st_catalog_close(struct st_catalog *c)
{
  if (!c)
    return;
  if (c->db) {
    st_catalog_rollback(c);
    st_tables_free(c);
    st_known_drop(c);
    st_sql_forget(c);
    sqlite3_close(c->db);
  }
  if (c->dir >= 0)
    close(c->dir);
  st_buffer_free(&c->last_path);
  free(c->gaps);
  free(c->host_id);
  free(c->name);
  free(c);
}

/* Pages are read once, in their order. */
#define CACHE_BESIDE "PRAGMA cache_size = -2048; BEGIN"

int st_catalog_open_beside(struct st_catalog *ret, struct st_catalog *c, struct st_error *err)
{
  int64_t latest;

  *ret = (struct st_catalog){.dir = c->dir, .name = c->name, .tables = c->tables};
  if (open_database(ret, false, err) < 0 || st_sql_exec(ret, CACHE_BESIDE, err) < 0 ||
      st_sql_number(ret, "SELECT max(number) FROM checkpoint", 0, &latest, err) < 0)
    return -1;
  if (latest != st_catalog_latest(c))
    return st_fail(err, 0, "the catalog has changed meanwhile (%s)", c->name);
  ret->count = c->count;
  return 0;
}

void st_catalog_close_beside(struct st_catalog *c)
{
  sqlite3_close(c->db);
  c->db = NULL;
}

void st_catalog_set_objects(struct st_catalog *c, const struct st_catalog_objects *objects)
{
  c->objects = *objects;
}

void st_catalog_set_durable(struct st_catalog *c, const struct st_catalog_durable *durable)
{
  c->durable = durable ? *durable : (struct st_catalog_durable){0};
}

void st_catalog_set_scope(struct st_catalog *c, const struct st_catalog_scope *scope)
{
  c->scope = *scope;
}

struct st_at st_at(struct st_catalog *c, int64_t number)
{
  if (number != ST_LIVE)
    return (struct st_at){number, false};
  if (c->overlay)
    return (struct st_at){c->base, true};
  if (c->scanning)
    return (struct st_at){c->number, false};
  return (struct st_at){st_catalog_latest(c), false};
}
