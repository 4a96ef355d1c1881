/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fleet-names.c - which objects and packages are a host's.
 *
 * The ids of a host lie in a few dozens of rows, one a checkpoint: read once, sorted, and kept for
 * the hosts that ask lately, until the index says that something was forgotten (`generation`), by
 * whatever program.
 */
#include <string.h>

#include "archive-sync/serve/fleet-internal.h"
#include "systracker/base/escape.h"
#include "systracker/base/log.h"
#include "systracker/store/packages.h"

#define CACHED_BYTES ((size_t)32 << 20)

/* ---- Read --------------------------------------------------------------------------------------
 */

static int open_names(struct st_fleet *f, struct st_error *err)
{
  if (f->names)
    return 0;
  if (!f->names_db && st_fleet_file_reader(f, &f->names_db, err) < 0)
    return -1;
  f->generation =
      st_fleet_prepare(f->names_db, "SELECT value FROM meta WHERE name = 'generation'", err);
  if (f->generation)
    f->names =
        st_fleet_prepare(f->names_db, "SELECT ids FROM named WHERE id BETWEEN ?1 AND ?2", err);
  return f->names ? 0 : -1;
}

static int read_generation(struct st_fleet *f, int64_t *ret, struct st_error *err)
{
  int r = st_fleet_step(f->generation, err);
  if (r == 1)
    *ret = sqlite3_column_int64(f->generation, 0);
  sqlite3_reset(f->generation);
  return r < 0 ? -1 : 0;
}

static int compare_ids(const void *a, const void *b)
{
  return memcmp(a, b, ST_FLEET_ID_SIZE);
}

static int add_ids(sqlite3_stmt *s, int64_t host, struct st_buffer *out, struct st_error *err)
{
  int r;
  sqlite3_bind_int64(s, 1, host << ST_FLEET_NUMBER_BITS);
  sqlite3_bind_int64(s, 2, ((host + 1) << ST_FLEET_NUMBER_BITS) - 1);
  while ((r = st_fleet_step(s, err)) == 1)
    st_buffer_append(out, sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0));
  sqlite3_reset(s);
  return r;
}

/* What the names of one are in: of "ID" its epochs', too. */
struct rows {
  int64_t *items;
  size_t count;
  bool dirty;
};

static void rows_free(struct rows *r)
{
  free(r->items);
}

static void add_row(struct rows *rows, const struct st_fleet_entry *e)
{
  rows->items = st_realloc(rows->items, rows->count + 1, sizeof(*rows->items));
  rows->items[rows->count++] = e->id;
  rows->dirty |= e->dirty;
}

static void list_rows(struct st_fleet *f, const char *key, struct rows *ret)
{
  pthread_rwlock_rdlock(&f->lock);
  const struct st_fleet_entry *e = st_fleet_find(f, key);
  if (e)
    add_row(ret, e);
  if (!strchr(key, '/'))
    for (e = e ? e->epochs : f->orphans; e; e = e->epochs)
      if (strncmp(e->key, key, strlen(key)) == 0)
        add_row(ret, e);
  pthread_rwlock_unlock(&f->lock);
}

static int read_ids(const struct rows *rows, sqlite3_stmt *s, struct st_buffer *out,
                    struct st_error *err)
{
  for (size_t i = 0; i < rows->count; i++)
    if (add_ids(s, rows->items[i], out, err) < 0)
      return -1;
  if (out->length > 0)
    qsort(out->data, out->length / ST_FLEET_ID_SIZE, ST_FLEET_ID_SIZE, compare_ids);
  return 0;
}

/* ---- Kept --------------------------------------------------------------------------------------
 */

static struct st_fleet_names *find_cached(struct st_fleet *f, const char *key)
{
  for (size_t i = 0; i < ST_FLEET_CACHED; i++)
    if (strcmp(f->cached[i].key, key) == 0)
      return &f->cached[i];
  return NULL;
}

static void drop(struct st_fleet_names *n)
{
  n->key[0] = 0;
  st_buffer_free(&n->ids);
  n->used = 0;
}

/* The one that was not used for longest. */
static struct st_fleet_names *oldest(struct st_fleet *f, bool filled)
{
  struct st_fleet_names *found = NULL;
  for (size_t i = 0; i < ST_FLEET_CACHED; i++) {
    struct st_fleet_names *n = &f->cached[i];
    if ((!filled || n->ids.length > 0) && (!found || n->used < found->used))
      found = n;
  }
  return found;
}

static void make_room(struct st_fleet *f, size_t length)
{
  size_t sum = length;
  struct st_fleet_names *n;
  for (size_t i = 0; i < ST_FLEET_CACHED; i++)
    sum += f->cached[i].ids.length;
  while (sum > CACHED_BYTES && (n = oldest(f, true))) {
    sum -= n->ids.length;
    drop(n);
  }
}

void st_fleet_names_drop(struct st_fleet *f, const char *key)
{
  pthread_mutex_lock(&f->naming);
  for (size_t i = 0; i < ST_FLEET_CACHED; i++)
    if (strncmp(f->cached[i].key, key, ST_HOST_ID_SIZE - 1) == 0)
      drop(&f->cached[i]);
  pthread_mutex_unlock(&f->naming);
}

void st_fleet_names_free(struct st_fleet *f)
{
  for (size_t i = 0; i < ST_FLEET_CACHED; i++)
    st_buffer_free(&f->cached[i].ids);
}

/* ---- Asked -------------------------------------------------------------------------------------
 */

static bool has_id(const struct st_buffer *ids, const struct st_id *id)
{
  uint8_t bytes[ST_FLEET_ID_SIZE] = {id->keyed};
  memcpy(bytes + 1, id->digest, sizeof(id->digest));
  return ids->length > 0 && bsearch(bytes, ids->data, ids->length / ST_FLEET_ID_SIZE,
                                    ST_FLEET_ID_SIZE, compare_ids) != NULL;
}

/* Read again where it is not kept, or not what it is any more. */
static int cached_names(struct st_fleet *f, const char *key, const struct st_fleet_names **ret,
                        struct st_error *err)
{
  ST_AUTO_BUFFER ids = ST_BUFFER_INIT;
  ST_CLEANUP(rows_free) struct rows rows = {0};
  int64_t generation = 0;
  if (open_names(f, err) < 0 || read_generation(f, &generation, err) < 0)
    return -1;
  struct st_fleet_names *n = find_cached(f, key);
  if (!n || n->generation != generation) {
    if (n)
      drop(n);
    list_rows(f, key, &rows);
    if (read_ids(&rows, f->names, &ids, err) < 0)
      return -1;
    make_room(f, ids.length);
    n = oldest(f, false);
    drop(n);
    snprintf(n->key, sizeof(n->key), "%s", key);
    n->ids.data = st_buffer_steal(&ids, &n->ids.length);
    n->generation = generation;
  }
  n->used = ++f->clock;
  *ret = n;
  return 0;
}

/* What is not committed yet is asked of the connection that has it. */
static int names_written(struct st_fleet *f, const struct rows *rows, const struct st_id *id,
                         struct st_error *err)
{
  ST_AUTO_BUFFER ids = ST_BUFFER_INIT;
  pthread_mutex_lock(&f->write);
  ST_AUTO_FLEET_STATEMENT *s =
      st_fleet_prepare(f->db, "SELECT ids FROM named WHERE id BETWEEN ?1 AND ?2", err);
  int r = s ? read_ids(rows, s, &ids, err) : -1;
  pthread_mutex_unlock(&f->write);
  return r < 0 ? -1 : has_id(&ids, id);
}

static int names(struct st_fleet *f, const char *host, const struct st_id *id, struct st_error *err)
{
  ST_CLEANUP(rows_free) struct rows rows = {0};
  const struct st_fleet_names *n;
  list_rows(f, host, &rows);
  if (rows.count == 0)
    return 0;
  if (rows.dirty)
    return names_written(f, &rows, id, err);
  pthread_mutex_lock(&f->naming);
  int r = cached_names(f, host, &n, err);
  if (r == 0)
    r = has_id(&n->ids, id);
  pthread_mutex_unlock(&f->naming);
  return r;
}

/* What cannot be read is nobody's. */
bool st_fleet_names(struct st_fleet *f, const char *host, const struct st_id *id)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  int r = strlen(host) < ST_FLEET_KEY_SIZE ? names(f, host, id, &err) : 0;
  if (r < 0)
    st_log(ST_LOG_ERROR, "%s", st_error_text(&err));
  return r > 0;
}

/* ---- Packages ----------------------------------------------------------------------------------
 */

static const char *without_zero_epoch(const char *version)
{
  return strncmp(version, "0:", 2) == 0 ? version + 2 : version;
}

/* One question: whether a package of these hosts' rows is of the digest. */
struct question {
  const struct rows *rows;
  sqlite3_stmt *s;
  struct st_error *err;
};

static int is_theirs(const struct question *q, int64_t host, const struct st_package *p)
{
  bool found = false;
  int r = 0;
  sqlite3_bind_text(q->s, 1, p->name, -1, SQLITE_STATIC);
  sqlite3_bind_text(q->s, 2, p->architecture, -1, SQLITE_STATIC);
  sqlite3_bind_int64(q->s, 3, host);
  while (!found && (r = st_fleet_step(q->s, q->err)) == 1)
    found = strcmp(without_zero_epoch((const char *)sqlite3_column_text(q->s, 0)),
                   without_zero_epoch(p->version)) == 0;
  sqlite3_reset(q->s);
  return r < 0 ? -1 : found;
}

static int ask_package(void *arg, const struct st_package *package)
{
  const struct question *q = arg;
  int r = 0;
  for (size_t i = 0; i < q->rows->count && r == 0; i++)
    r = is_theirs(q, q->rows->items[i], package);
  return r;
}

static int has_package(struct st_fleet *f, sqlite3 *db, const struct rows *rows,
                       const uint8_t digest[ST_DIGEST_SIZE], struct st_error *err)
{
  ST_AUTO_FLEET_STATEMENT *s =
      st_fleet_prepare(db,
                       "SELECT p.version FROM package p JOIN installed i ON i.package = p.id"
                       " WHERE p.name = ?1 AND p.architecture = ?2 AND i.host = ?3",
                       err);
  struct question q = {rows, s, err};
  return s ? st_package_by_digest(f->a->dir, digest, ask_package, &q) : -1;
}

static int has_package_of(struct st_fleet *f, const struct rows *rows,
                          const uint8_t digest[ST_DIGEST_SIZE], struct st_error *err)
{
  if (rows->dirty) {
    pthread_mutex_lock(&f->write);
    int r = has_package(f, f->db, rows, digest, err);
    pthread_mutex_unlock(&f->write);
    return r;
  }
  struct st_fleet_reader *reader = st_fleet_borrow(f, err);
  if (!reader)
    return -1;
  int r = has_package(f, reader->db, rows, digest, err);
  st_fleet_give_back(f, reader);
  return r;
}

bool st_fleet_has_package(struct st_fleet *f, const char *host, const char *digest_hex)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_CLEANUP(rows_free) struct rows rows = {0};
  uint8_t digest[ST_DIGEST_SIZE];
  if (strlen(host) >= ST_FLEET_KEY_SIZE || !st_unhex(digest, sizeof(digest), digest_hex))
    return false;
  list_rows(f, host, &rows);
  int r = has_package_of(f, &rows, digest, &err);
  if (r < 0)
    st_log(ST_LOG_ERROR, "%s", st_error_text(&err));
  return r > 0;
}
