/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file of the index: its tables, what is there when it is opened, and what is said of an error.
 */
#include "config.h"

#include "systracker/store/objectindex.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "systracker/base/set.h"
#include "systracker/store/checked.h"
#include "systracker/store/objectindex-internal.h"

#define FILE_NAME "objects.db"
#define APPLICATION_ID 0x53546f62 /* "STob" */
#define SCHEMA_VERSION 3
#define READER_WAITS 30000 /* ms */

/* The checks say what read_row() takes, so that integrity_check finds a row that it would not. */
#define PACK_COLUMNS                                                                               \
  "(number INTEGER PRIMARY KEY,"                                                                   \
  " identity BLOB NOT NULL CHECK (typeof(identity) = 'blob' AND length(identity) = 16),"           \
  " indexed INTEGER NOT NULL CHECK (typeof(indexed) = 'integer' AND indexed >= 0))"
#define OBJECT_COLUMNS(raw_max, based)                                                             \
  "(id BLOB PRIMARY KEY CHECK (typeof(id) = 'blob' AND length(id) = 33 AND id < x'02'),"           \
  " pack INTEGER NOT NULL CHECK (pack BETWEEN 1 AND 4294967295),"                                  \
  " offset INTEGER NOT NULL CHECK (typeof(offset) = 'integer' AND offset >= 0),"                   \
  " stored INTEGER NOT NULL CHECK (stored BETWEEN 0 AND 1073741860),"                              \
  " raw INTEGER NOT NULL CHECK (raw BETWEEN 0 AND " raw_max "),"                                   \
  " encoding INTEGER NOT NULL CHECK (encoding BETWEEN 0 AND 7),"                                   \
  " step INTEGER NOT NULL CHECK (step BETWEEN 0 AND 215),"                                         \
  " base BLOB CHECK ((base IS NULL) = (encoding " based ") AND (base IS NULL OR typeof(base) = "   \
  "'blob' AND length(base) = 4)),"                                                                 \
  " damaged TEXT) WITHOUT ROWID"

#define CREATE_PACK "CREATE TABLE pack" PACK_COLUMNS
#define OUR_COLUMNS OBJECT_COLUMNS("281474976710656", "NOT IN (2, 6)")
#define CREATE_OBJECT "CREATE TABLE object" OUR_COLUMNS
/* Of schema 2, before there were groups; of schema 1, before there were lists of chunks. */
#define CREATE_OBJECT_2 "CREATE TABLE object" OBJECT_COLUMNS("281474976710656", "<> 2")
#define CREATE_OBJECT_1 "CREATE TABLE object" OBJECT_COLUMNS("1073741824", "<> 2")
#define CREATE_REPLACED                                                                            \
  "CREATE TABLE replaced(pack INTEGER NOT NULL, offset INTEGER NOT NULL, id BLOB NOT NULL,"        \
  " PRIMARY KEY (pack, offset)) WITHOUT ROWID"

static const char schema[] = "BEGIN IMMEDIATE;" CREATE_PACK ";" CREATE_OBJECT ";" CREATE_REPLACED
                             ";PRAGMA application_id = 1398042466;"
                             "PRAGMA user_version = 3;"
                             "COMMIT;";
_Static_assert(APPLICATION_ID == 1398042466, "the schema's application_id");

static const char migration[] =
    "BEGIN IMMEDIATE;"
    "ALTER TABLE object RENAME TO older;" CREATE_OBJECT ";INSERT INTO object SELECT * FROM older;"
    "DROP TABLE older;"
    "PRAGMA user_version = 3;"
    "COMMIT;";

static const char fresh_schema[] =
    "CREATE TEMP TABLE fresh_pack" PACK_COLUMNS ";"
    /* Checked as it goes into the file. */
    "CREATE TEMP TABLE fresh(id BLOB PRIMARY KEY, pack INTEGER, offset INTEGER, stored INTEGER,"
    " raw INTEGER, encoding INTEGER, step INTEGER, base BLOB, damaged TEXT) WITHOUT ROWID;"
    "CREATE TEMP TABLE retired(number INTEGER PRIMARY KEY);";

/* ---- Errors -----------------------------------------------------------------------------------
 */

static bool is_damage(int code)
{
  return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

int st_object_index_damaged(struct st_error *err, const char *why)
{
  return st_fail(err, 0,
                 "packs/objects.db is damaged: %s (it is made again from the packs when something "
                 "is next written to the store)",
                 why);
}

int st_object_index_fail(struct st_object_index *ix, struct st_error *err)
{
  int code = sqlite3_extended_errcode(ix->db);
  if (is_damage(code)) {
    if (ix->dirfd >= 0)
      st_checked_forget(ix->dirfd, FILE_NAME);
    return st_object_index_damaged(err, sqlite3_errmsg(ix->db));
  }
  ST_AUTO_FREE char *words = st_sqlite_words(ix->db);
  st_fail(err, 0, "packs/objects.db: %s", words);
  if (err && (code & 0xff) == SQLITE_FULL)
    err->code = ENOSPC;
  return -1;
}

int st_object_index_execute(struct st_object_index *ix, const char *text, struct st_error *err)
{
  return sqlite3_exec(ix->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                   : st_object_index_fail(ix, err);
}

/* ---- Opening ----------------------------------------------------------------------------------
 */

void st_object_index_close(struct st_object_index *ix)
{
  for (int i = 0; i < ST_OBJECT_INDEX_STATEMENTS; i++)
    sqlite3_finalize(ix->statements[i]);
  sqlite3_close(ix->db);
  st_set_free(ix->fresh);
  free(ix);
}

/* SQLite wants a name; the folder's own is asked of the kernel, so that no symlink is followed. */
static int database_path(int dirfd, char out[PATH_MAX], struct st_error *err)
{
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
  ssize_t n = readlink(link, out, PATH_MAX);
  if (n < 0)
    return st_fail(err, errno, "cannot find the path of the store's folder packs");
  if ((size_t)n + sizeof "/" FILE_NAME > PATH_MAX)
    return st_fail(err, ENAMETOOLONG, "the path of the store's folder packs");
  memcpy(out + n, "/" FILE_NAME, sizeof "/" FILE_NAME);
  return 0;
}

enum state { GOOD, OLDER, EMPTY, UNUSABLE, DAMAGED };

static bool ask(struct st_object_index *ix, const char *text, int64_t *ret)
{
  sqlite3_stmt *s = NULL;
  bool ok =
      sqlite3_prepare_v2(ix->db, text, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW;
  if (ok)
    *ret = sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  return ok;
}

static bool check_integrity(struct st_object_index *ix)
{
  int64_t ok;
  return ask(ix, "SELECT integrity_check = 'ok' FROM pragma_integrity_check(1)", &ok) && ok;
}

/* One that is as it was when it was last found whole is not read through each night.  A journal was
 * rolled back before, by the first question. */
static bool is_whole(struct st_object_index *ix)
{
  struct timespec now;
  if (st_checked_is(ix->dirfd, FILE_NAME))
    return true;
  clock_gettime(CLOCK_REALTIME, &now);
  if (!check_integrity(ix))
    return false;
  st_checked_note(ix->dirfd, FILE_NAME, &now);
  return true;
}

int st_object_index_check(struct st_object_index *ix, struct st_error *err)
{
  if (!ix->write || check_integrity(ix))
    return 0;
  st_checked_forget(ix->dirfd, FILE_NAME);
  return st_object_index_damaged(err, "it is not whole");
}

/* Why a file cannot be asked what it is. */
static int examine_failure(struct st_object_index *ix, struct st_error *err)
{
  int code = sqlite3_errcode(ix->db);
  if (is_damage(code))
    return DAMAGED;
  if (!ix->write && (code == SQLITE_CANTOPEN || code == SQLITE_READONLY))
    return UNUSABLE; /* a killed writer's journal, which only a writer may roll back */
  return st_object_index_fail(ix, err);
}

/* Whether the tables are the ones of our schema, to the letter. */
static bool has_our_tables(struct st_object_index *ix, int64_t version)
{
  static const char *const objects[] = {NULL, CREATE_OBJECT_1, CREATE_OBJECT_2, CREATE_OBJECT};
  const char *const tables[] = {CREATE_PACK, objects[version], CREATE_REPLACED};
  for (size_t i = 0; i < ST_COUNT(tables); i++) {
    sqlite3_stmt *s = NULL;
    bool ok = sqlite3_prepare_v2(ix->db, "SELECT 1 FROM main.sqlite_master WHERE sql = ?1", -1, &s,
                                 NULL) == SQLITE_OK &&
              sqlite3_bind_text(s, 1, tables[i], -1, SQLITE_STATIC) == SQLITE_OK &&
              sqlite3_step(s) == SQLITE_ROW;
    sqlite3_finalize(s);
    if (!ok)
      return false;
  }
  return true;
}

/* What kind of file it is; negative when it cannot be said, or is a newer one. */
static int examine(struct st_object_index *ix, struct st_error *err)
{
  int64_t application, tables, version;
  if (!ask(ix, "PRAGMA application_id", &application) ||
      !ask(ix, "SELECT count(*) FROM sqlite_master", &tables) ||
      !ask(ix, "PRAGMA user_version", &version))
    return examine_failure(ix, err);
  if (tables == 0 && application == 0)
    return EMPTY;
  if (application != APPLICATION_ID || version < 1)
    return DAMAGED;
  if (version > SCHEMA_VERSION)
    return st_fail(err, 0,
                   "packs/objects.db has schema %lld: a newer version of SysTracker made it",
                   (long long)version);
  if (tables != 3 || !has_our_tables(ix, version) || (ix->write && !is_whole(ix)))
    return DAMAGED;
  return version == SCHEMA_VERSION ? GOOD : OLDER;
}

static struct st_object_index *connect(int dirfd, const char *path, bool write,
                                       struct st_error *err)
{
  struct st_object_index *ix = st_calloc(1, sizeof *ix);
  int flags = (write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOFOLLOW;
  if (!path)
    flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY;
  flags |= SQLITE_OPEN_NOMUTEX; /* who calls from several threads has the store's lock */
  ix->write = write;
  ix->dirfd = dirfd;
  ix->fresh = st_set_new();
  if (st_sqlite_open(path ? path : ":memory:", flags, &ix->db) != SQLITE_OK) {
    st_fail(err, 0, "cannot open packs/objects.db: %s", sqlite3_errmsg(ix->db));
    st_object_index_close(ix);
    return NULL;
  }
  if (write)
    st_sqlite_be_patient(ix->db, &ix->patience, ST_SQLITE_PATIENCE);
  else
    sqlite3_busy_timeout(ix->db, READER_WAITS);
  return ix;
}

static int open_memory(struct st_object_index **ret, struct st_error *err)
{
  ST_CLEANUP(st_object_index_closep) struct st_object_index *ix = connect(-1, NULL, false, err);
  if (!ix || st_object_index_execute(ix, schema, err) < 0)
    return -1;
  *ret = st_steal(&ix);
  return 0;
}

static int open_reader(struct st_object_index **ret, int dirfd, const char *path,
                       struct st_error *err)
{
  struct stat st;
  if (fstatat(dirfd, FILE_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
    return open_memory(ret, err);
  ST_CLEANUP(st_object_index_closep) struct st_object_index *ix = connect(dirfd, path, false, err);
  if (!ix)
    return -1;
  switch (examine(ix, err)) {
  case GOOD:
  case OLDER:
    *ret = st_steal(&ix);
    return 0;
  case DAMAGED:
    st_log(ST_LOG_WARNING, "packs/objects.db is damaged: the packs are read instead of it");
    return open_memory(ret, err);
  case EMPTY:
  case UNUSABLE:
    return open_memory(ret, err);
  default:
    return -1;
  }
}

/* The file is there before SQLite opens it, so that nobody else may ever read it. */
static int make_file(int dirfd, struct st_error *err)
{
  ST_AUTO_CLOSE int fd = openat(dirfd, FILE_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  return fd < 0 ? st_fail(err, errno, "cannot make packs/objects.db") : 0;
}

static int remove_file(int dirfd, struct st_error *err)
{
  static const char *const names[] = {FILE_NAME, FILE_NAME "-journal"};
  for (size_t i = 0; i < ST_COUNT(names); i++) {
    if (unlinkat(dirfd, names[i], 0) < 0 && errno != ENOENT)
      return st_fail(err, errno, "cannot remove the damaged packs/%s", names[i]);
  }
  return 0;
}

/* 1: what is there is damaged. */
static int try_writer(struct st_object_index **ret, int dirfd, const char *path,
                      struct st_error *err)
{
  if (make_file(dirfd, err) < 0)
    return -1;
  ST_CLEANUP(st_object_index_closep) struct st_object_index *ix = connect(dirfd, path, true, err);
  if (!ix)
    return -1;
  int state = examine(ix, err);
  if (state < 0)
    return -1;
  if (state == DAMAGED)
    return 1;
  if (state == EMPTY && st_object_index_execute(ix, schema, err) < 0)
    return -1;
  if (state == OLDER && st_object_index_execute(ix, migration, err) < 0)
    return -1;
  *ret = st_steal(&ix);
  return 0;
}

static int open_writer(struct st_object_index **ret, int dirfd, const char *path,
                       struct st_error *err)
{
  int r = try_writer(ret, dirfd, path, err);
  if (r <= 0)
    return r;
  st_log(ST_LOG_WARNING, "packs/objects.db is damaged, and is made again from the packs");
  if (remove_file(dirfd, err) < 0)
    return -1;
  r = try_writer(ret, dirfd, path, err);
  return r > 0 ? st_object_index_damaged(err, "just made") : r;
}

int st_object_index_open(struct st_object_index **ret, int dirfd, enum st_object_index_mode mode,
                         struct st_error *err)
{
  ST_CLEANUP(st_object_index_closep) struct st_object_index *ix = NULL;
  char path[PATH_MAX];
  int r;
  if (mode == ST_OBJECT_INDEX_MEMORY)
    r = open_memory(&ix, err);
  else if ((r = database_path(dirfd, path, err)) == 0)
    r = mode == ST_OBJECT_INDEX_WRITE ? open_writer(&ix, dirfd, path, err)
                                      : open_reader(&ix, dirfd, path, err);
  if (r < 0 ||
      st_object_index_execute(ix, "PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL;", err) <
          0 ||
      st_object_index_execute(ix, fresh_schema, err) < 0)
    return -1;
  int64_t empty;
  ix->empty =
      ix->write && ask(ix, "SELECT NOT EXISTS (SELECT 1 FROM main.object)", &empty) && empty;
  *ret = st_steal(&ix);
  return 0;
}

bool st_object_index_is_in_memory(const struct st_object_index *ix)
{
  return ix->dirfd < 0;
}

int st_object_index_hold(struct st_object_index *ix, struct st_error *err)
{
  return st_object_index_execute(ix, "BEGIN; SELECT count(*) FROM sqlite_master;", err);
}
