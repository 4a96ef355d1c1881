/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "archive-sync/serve/access-inside.h"
#include "systracker/base/base64.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/sqlite.h"

#define FILE_NAME "access.db"
#define APPLICATION_ID 0x53794163 /* "SyAc" */
#define SCHEMA_VERSION 1

static const char schema[] =
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE host (id TEXT PRIMARY KEY, key BLOB, state INTEGER NOT NULL,"
    " since INTEGER NOT NULL, by TEXT NOT NULL, address TEXT NOT NULL, bytes INTEGER NOT NULL,"
    " continues TEXT NOT NULL, instance TEXT NOT NULL, earlier TEXT NOT NULL,"
    " returns INTEGER NOT NULL, twins INTEGER NOT NULL, twin TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE token (name TEXT PRIMARY KEY, kind TEXT NOT NULL, digest BLOB NOT NULL UNIQUE,"
    " created INTEGER NOT NULL, expires INTEGER NOT NULL, uses INTEGER NOT NULL,"
    " host TEXT NOT NULL, bound TEXT NOT NULL, role INTEGER NOT NULL, \"group\" TEXT NOT NULL,"
    " by TEXT NOT NULL, revoked INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE user (name TEXT PRIMARY KEY, role INTEGER NOT NULL, password TEXT NOT NULL,"
    " version INTEGER NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE user_address (user TEXT NOT NULL, address TEXT NOT NULL, time INTEGER NOT NULL,"
    " PRIMARY KEY (user, address)) WITHOUT ROWID;"
    "CREATE TABLE \"group\" (name TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE group_host (\"group\" TEXT NOT NULL, host TEXT NOT NULL,"
    " PRIMARY KEY (\"group\", host)) WITHOUT ROWID;"
    "CREATE TABLE group_user (\"group\" TEXT NOT NULL, user TEXT NOT NULL, role INTEGER NOT NULL,"
    " PRIMARY KEY (\"group\", user)) WITHOUT ROWID;";

/* ---- SQLite -------------------------------------------------------------------------------------
 */

int st_access_fail(struct st_access *a, const char *what, struct st_error *err)
{
  st_fail(err, 0, "%s: %s (" FILE_NAME ")", what, a->db ? sqlite3_errmsg(a->db) : "out of memory");
  if (err && a->db && sqlite3_errcode(a->db) == SQLITE_FULL)
    err->code = ENOSPC;
  return -1;
}

void st_access_finalize(sqlite3_stmt **s)
{
  sqlite3_finalize(*s);
}

int st_access_prepare(struct st_access *a, sqlite3_stmt **ret, const char *sql,
                      struct st_error *err)
{
  return sqlite3_prepare_v2(a->db, sql, -1, ret, NULL) == SQLITE_OK
             ? 0
             : st_access_fail(a, "cannot read", err);
}

int st_access_run(struct st_access *a, struct st_error *err, int *ret_changes, const char *sql,
                  const char *types, ...)
{
  ST_AUTO_ACCESS_STMT *s = NULL;
  va_list ap;
  if (st_access_prepare(a, &s, sql, err) < 0)
    return -1;
  va_start(ap, types);
  for (int i = 1; types[i - 1]; i++) {
    if (types[i - 1] == 's')
      sqlite3_bind_text(s, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
    else if (types[i - 1] == 'i')
      sqlite3_bind_int64(s, i, va_arg(ap, int64_t));
    else
      sqlite3_bind_blob(s, i, va_arg(ap, const void *), 32, SQLITE_TRANSIENT);
  }
  va_end(ap);
  if (sqlite3_step(s) != SQLITE_DONE)
    return st_access_fail(a, "cannot write", err);
  if (ret_changes)
    *ret_changes = sqlite3_changes(a->db);
  return 0;
}

static int run_plain(struct st_access *a, const char *sql, struct st_error *err)
{
  return sqlite3_exec(a->db, sql, NULL, NULL, NULL) == SQLITE_OK
             ? 0
             : st_access_fail(a, "cannot write", err);
}

static int read_number(struct st_access *a, const char *sql, int64_t *ret, struct st_error *err)
{
  ST_AUTO_ACCESS_STMT *s = NULL;
  if (st_access_prepare(a, &s, sql, err) < 0)
    return -1;
  if (sqlite3_step(s) != SQLITE_ROW)
    return st_access_fail(a, "cannot read", err);
  *ret = sqlite3_column_int64(s, 0);
  return 0;
}

int st_access_start(struct st_access *a, bool quick, struct st_access **in, struct st_error *err)
{
  if (run_plain(a, quick ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL", err) < 0 ||
      run_plain(a, "BEGIN IMMEDIATE", err) < 0)
    return -1;
  *in = a;
  return st_access_refresh(a, err);
}

int st_access_commit(struct st_access **in, struct st_error *err)
{
  if (run_plain(*in, "COMMIT", err) < 0)
    return -1;
  *in = NULL;
  return 0;
}

void st_access_rollback(struct st_access **in)
{
  if (!*in)
    return;
  sqlite3_exec((*in)->db, "ROLLBACK", NULL, NULL, NULL);
  (*in)->seen = -1; /* what is in memory may be ahead of it */
}

/* ---- In memory ----------------------------------------------------------------------------------
 */

static int load_settings(struct st_access *a, struct st_error *err)
{
  ST_AUTO_ACCESS_STMT *s = NULL;
  if (st_access_prepare(a, &s, "SELECT value FROM setting WHERE name = 'enrolment'", err) < 0)
    return -1;
  a->enrolment = ST_ENROL_TOKEN;
  if (sqlite3_step(s) == SQLITE_ROW &&
      !st_enrolment_of((const char *)sqlite3_column_text(s, 0), &a->enrolment))
    return st_fail(err, 0, "an unknown kind of enrolment is set (" FILE_NAME ")");
  return 0;
}

static int read_version(struct st_access *a, int64_t *ret, struct st_error *err)
{
  int r = sqlite3_step(a->version);
  *ret = sqlite3_column_int64(a->version, 0);
  sqlite3_reset(a->version);
  return r == SQLITE_ROW ? 0 : st_access_fail(a, "cannot read", err);
}

int st_access_refresh(struct st_access *a, struct st_error *err)
{
  int64_t version;
  if (read_version(a, &version, err) < 0)
    return -1;
  if (version == a->seen)
    return 0;
  a->seen = -1;
  if (load_settings(a, err) < 0 || st_access_load_hosts(a, err) < 0 ||
      st_access_load_tokens(a, err) < 0 || st_access_load_people(a, err) < 0)
    return -1;
  a->seen = version;
  return 0;
}

/* ---- Opening ------------------------------------------------------------------------------------
 */

/* The server runs as the folder's owner; root's programs beside make nothing that it cannot open.
 * SQLite gives its own files the owner of this one. */
static int give_to_owner(int dir, int fd, struct st_error *err)
{
  struct stat st;
  if (geteuid() != 0)
    return 0;
  if (fstat(dir, &st) < 0 || fchown(fd, st.st_uid, st.st_gid) < 0)
    return st_fail(err, errno, "cannot give the file to the archive's owner (" FILE_NAME ")");
  return 0;
}

static int check_file(int dir, struct st_error *err)
{
  struct stat st;
  ST_AUTO_CLOSE int fd =
      openat(dir, FILE_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
  if (fd < 0 || fstat(fd, &st) < 0)
    return st_fail(err, errno, "cannot open the archive's " FILE_NAME);
  if (!S_ISREG(st.st_mode))
    return st_fail(err, 0, "is no regular file (" FILE_NAME ")");
  if (st.st_mode & 077)
    return st_fail(err, 0, "the file is open to others: mode %04o, 0600 is needed (" FILE_NAME ")",
                   (unsigned)st.st_mode & 07777);
  return st.st_size == 0 ? give_to_owner(dir, fd, err) : 0;
}

static int make_schema(struct st_access *a, struct st_error *err)
{
  ST_AUTO_FREE char *sql =
      st_format("%s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", schema,
                APPLICATION_ID, SCHEMA_VERSION);
  if (run_plain(a, sql, err) == 0)
    return 0;
  sqlite3_exec(a->db, "ROLLBACK", NULL, NULL, NULL);
  return -1;
}

/* Two may be making it. */
static int check_schema(struct st_access *a, struct st_error *err)
{
  int64_t tables, application, version;
  if (run_plain(a, "BEGIN IMMEDIATE", err) < 0)
    return -1;
  if (read_number(a, "SELECT count(*) FROM sqlite_master", &tables, err) < 0 ||
      read_number(a, "PRAGMA application_id", &application, err) < 0 ||
      read_number(a, "PRAGMA user_version", &version, err) < 0)
    return -1;
  if (tables == 0 && application == 0)
    return make_schema(a, err);
  if (run_plain(a, "COMMIT", err) < 0)
    return -1;
  if (application != APPLICATION_ID)
    return st_fail(err, 0, "is none of SysTracker's: nothing was changed (" FILE_NAME ")");
  if (version != SCHEMA_VERSION)
    return st_fail(err, 0, "has schema %" PRId64 ", this SysTracker knows %d (" FILE_NAME ")",
                   version, SCHEMA_VERSION);
  return 0;
}

static int open_database(struct st_access *a, struct st_error *err)
{
  ST_AUTO_FREE char *path = st_format("/proc/self/fd/%d/" FILE_NAME, a->dir);
  if (st_sqlite_open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, &a->db) != SQLITE_OK)
    return st_access_fail(a, "cannot open", err);
  sqlite3_busy_timeout(a->db, 10000); /* ms; what others write is short */
  if (check_schema(a, err) < 0)
    return -1;
  if (sqlite3_exec(a->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) != SQLITE_OK)
    return st_access_fail(a, "cannot open", err);
  return st_access_prepare(a, &a->version, "PRAGMA data_version", err);
}

/* The line "id HEX32" of the archive's mark. */
static int read_archive_id(struct st_access *a, struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  uint8_t raw[(ST_HOST_ID_SIZE - 1) / 2];
  int r = st_read_file(a->dir, "archive", 65536, &text, err);
  if (r < 0)
    return st_wrap(err, "this is no archive of SysTracker");
  const char *line = text.length ? strstr(text.data, "\nid ") : NULL;
  if (!line)
    return 0;
  ST_AUTO_FREE char *id = st_memdup(line + 4, strcspn(line + 4, "\n"));
  if (!st_unhex(raw, sizeof(raw), id))
    return st_fail(err, 0, "the archive's id is malformed");
  memcpy(a->archive, id, sizeof(a->archive));
  return 0;
}

int st_access_open(struct st_access **ret, int archive_dirfd, struct st_error *err)
{
  ST_CLEANUP(st_access_closep) struct st_access *a = st_calloc(1, sizeof(*a));
  a->seen = -1;
  a->started = time(NULL);
  pthread_mutex_init(&a->lock, NULL);
  pthread_mutex_init(&a->hash_lock, NULL);
  a->guesses = st_guesses_new();
  a->dir = fcntl(archive_dirfd, F_DUPFD_CLOEXEC, 0);
  if (a->dir < 0)
    return st_fail(err, errno, "cannot open the archive");
  if (read_archive_id(a, err) < 0 || check_file(a->dir, err) < 0 || open_database(a, err) < 0)
    return -1;
  ST_ACCESS_HOLD(a);
  if (st_access_refresh(a, err) < 0)
    return -1;
  *ret = st_steal(&a);
  return 0;
}

void st_access_close(struct st_access *a)
{
  sqlite3_finalize(a->version);
  sqlite3_close(a->db);
  st_access_free_hosts(a);
  st_access_free_people(a);
  free(a->tokens);
  if (a->logins)
    explicit_bzero(a->logins, ST_ACCESS_LOGINS * sizeof(*a->logins));
  free(a->logins);
  st_guesses_free(a->guesses);
  st_cleanup_close(&a->dir);
  pthread_mutex_destroy(&a->lock);
  pthread_mutex_destroy(&a->hash_lock);
  free(a);
}

/* ---- Events -------------------------------------------------------------------------------------
 */

void st_access_on_event(struct st_access *a, st_access_say_fn *fn, void *arg)
{
  ST_ACCESS_HOLD(a);
  a->say = fn;
  a->say_arg = arg;
}

void st_access_on_server(struct st_access *a, st_access_server_fn *fn, void *arg)
{
  ST_ACCESS_HOLD(a);
  a->is_server = fn;
  a->is_server_arg = arg;
}

void st_access_note(struct st_access *a, bool warning, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  ST_AUTO_FREE char *message = st_vformat(fmt, ap);
  va_end(ap);
  if (a->say)
    a->say(a->say_arg, warning ? "warning" : "info", message);
  else
    st_log(warning ? ST_LOG_WARNING : ST_LOG_INFO, "%s", message);
}

/* ---- Small things -------------------------------------------------------------------------------
 */

int st_access_check_name(const char *what, const char *name, struct st_error *err)
{
  size_t n = strlen(name);
  if (n > 0 && n < ST_ACCESS_NAME_SIZE && !strchr("._-", *name) &&
      strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n)
    return 0;
  return st_refuse(err,
                   "a name of a %s is made of 1 to %d letters, digits, and within it '.', '_', '-' "
                   "(%s)",
                   what, ST_ACCESS_NAME_SIZE - 1, st_quote(name));
}

int st_access_make_secret(char kind, char ret[ST_ACCESS_TOKEN_SIZE], struct st_error *err)
{
  uint8_t raw[32];
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  if (st_random(raw, sizeof(raw), err) < 0)
    return -1;
  st_buffer_append_byte(&text, (uint8_t)kind);
  st_base64url(&text, raw, sizeof(raw));
  memcpy(ret, text.data, text.length + 1);
  explicit_bzero(raw, sizeof(raw));
  explicit_bzero(text.data, text.length);
  return 0;
}

bool st_access_same(const uint8_t *a, const uint8_t *b, size_t n)
{
  unsigned other = 0;
  for (size_t i = 0; i < n; i++)
    other |= (unsigned)(a[i] ^ b[i]);
  return other == 0;
}

void st_access_copy(char *to, size_t size, const char *from)
{
  size_t n = from ? strnlen(from, size - 1) : 0;
  if (n)
    memcpy(to, from, n);
  to[n] = 0;
}

/* ---- Settings -----------------------------------------------------------------------------------
 */

static const char *const enrolments[] = {"token", "open", "closed"};

const char *st_enrolment_name(enum st_enrolment e)
{
  return enrolments[e];
}

bool st_enrolment_of(const char *name, enum st_enrolment *ret)
{
  for (size_t i = 0; i < ST_COUNT(enrolments); i++)
    if (name && strcmp(name, enrolments[i]) == 0) {
      *ret = (enum st_enrolment)i;
      return true;
    }
  return false;
}

enum st_enrolment st_access_enrolment(struct st_access *a)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT; /* what was read last */
  ST_ACCESS_HOLD(a);
  st_access_refresh(a, &ignored);
  return a->enrolment;
}

int st_access_set_enrolment(struct st_access *a, enum st_enrolment e, struct st_error *err)
{
  ST_ACCESS_HOLD(a);
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  if (st_access_start(a, false, &in, err) < 0 ||
      st_access_run(a, err, NULL, "INSERT OR REPLACE INTO setting VALUES ('enrolment', ?)", "s",
                    enrolments[e]) < 0 ||
      st_access_commit(&in, err) < 0)
    return -1;
  a->enrolment = e;
  st_access_note(a, false, "enrolment is %s now", enrolments[e]);
  return 0;
}
