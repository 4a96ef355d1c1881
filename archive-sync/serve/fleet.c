/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fleet.c - the fleet opened, its hosts in memory, their heads. */
#include "archive-sync/serve/fleet.h"

#include <string.h>
#include <time.h>

#include "archive-sync/serve/fleet-internal.h"
#include "systracker/base/log.h"

#define FLUSH_HOSTS 256 /* of a fleet that is read anew, in one transaction */

/* ---- Hosts in memory ---------------------------------------------------------------------------
 */

struct st_fleet_entry *st_fleet_find(struct st_fleet *f, const char *key)
{
  uint64_t index;
  return st_set_get(f->keys, key, strlen(key), &index) && index > 0 ? f->hosts[index - 1] : NULL;
}

struct st_fleet_entry *st_fleet_by_id(struct st_fleet *f, int64_t id)
{
  uint64_t index;
  return st_set_get(f->ids, &id, sizeof(id), &index) && index > 0 ? f->hosts[index - 1] : NULL;
}

void st_fleet_entry_free(struct st_fleet_entry *e)
{
  free(e->name);
  free(e);
}

static bool is_epoch(const char *key)
{
  return strchr(key, '/') != NULL;
}

/* An older epoch is found from its host, too, which may come after it. */
static void link_epoch(struct st_fleet *f, struct st_fleet_entry *e)
{
  char id[ST_HOST_ID_SIZE];
  snprintf(id, sizeof(id), "%.*s", ST_HOST_ID_SIZE - 1, e->key);
  struct st_fleet_entry *host = st_fleet_find(f, id), **list = host ? &host->epochs : &f->orphans;
  e->epochs = *list;
  *list = e;
}

static void adopt(struct st_fleet *f, struct st_fleet_entry *e)
{
  size_t n = strlen(e->key);
  for (struct st_fleet_entry **at = &f->orphans; *at;) {
    struct st_fleet_entry *epoch = *at;
    if (strncmp(epoch->key, e->key, n) != 0) {
      at = &epoch->epochs;
      continue;
    }
    *at = epoch->epochs;
    epoch->epochs = e->epochs;
    e->epochs = epoch;
  }
}

void st_fleet_put(struct st_fleet *f, struct st_fleet_entry *e)
{
  if (f->count == f->size) {
    f->size = f->size ? 2 * f->size : 256;
    f->hosts = st_realloc(f->hosts, f->size, sizeof(*f->hosts));
  }
  f->hosts[f->count++] = e;
  st_set_add(f->keys, e->key, strlen(e->key), f->count);
  st_set_add(f->ids, &e->id, sizeof(e->id), f->count);
  if (is_epoch(e->key))
    link_epoch(f, e);
  else
    adopt(f, e);
}

void st_fleet_drop(struct st_fleet *f, struct st_fleet_entry *e)
{
  for (size_t i = 0; i < f->count; i++)
    if (f->hosts[i] == e)
      f->hosts[i] = NULL;
  st_set_add(f->keys, e->key, strlen(e->key), 0);
  st_set_add(f->ids, &e->id, sizeof(e->id), 0);
}

void st_fleet_mark(struct st_fleet *f, struct st_fleet_entry *e)
{
  if (e->dirty)
    return;
  e->dirty = true;
  if (f->ndirty == f->dirty_size) {
    f->dirty_size = f->dirty_size ? 2 * f->dirty_size : 64;
    f->dirty = st_realloc(f->dirty, f->dirty_size, sizeof(struct st_fleet_entry *));
  }
  f->dirty[f->ndirty++] = e;
}

void st_fleet_unmark(struct st_fleet *f, struct st_fleet_entry *e)
{
  size_t kept = 0;
  for (size_t i = 0; i < f->ndirty; i++)
    if (f->dirty[i] != e)
      f->dirty[kept++] = f->dirty[i];
  f->ndirty = kept;
}

bool st_fleet_is_silent(const struct st_fleet *f, const struct st_fleet_entry *e, int64_t now)
{
  return !e->continued && now - e->received > f->silence;
}

void st_fleet_set_silence(struct st_fleet *f, int64_t seconds)
{
  pthread_rwlock_wrlock(&f->lock);
  f->silence = seconds > 0 ? seconds : ST_FLEET_SILENCE;
  pthread_rwlock_unlock(&f->lock);
}

void st_fleet_continued(struct st_fleet *f, const char *host)
{
  pthread_rwlock_wrlock(&f->lock);
  struct st_fleet_entry *e = st_fleet_find(f, host);
  if (e)
    e->continued = true;
  pthread_rwlock_unlock(&f->lock);
}

bool st_fleet_head(struct st_fleet *f, const char *host, struct st_fleet_head *ret)
{
  pthread_rwlock_rdlock(&f->lock);
  const struct st_fleet_entry *e = st_fleet_find(f, host);
  if (e)
    *ret = e->head;
  pthread_rwlock_unlock(&f->lock);
  if (e)
    ret->wanted = st_archive_is_wanted(f->a, host);
  return e != NULL;
}

/* ---- Opened ------------------------------------------------------------------------------------
 */

static void read_nights(struct st_fleet_entry *e, const void *data, size_t length)
{
  if (length == sizeof(e->nights))
    memcpy(e->nights, data, length);
}

static int read_host(struct st_fleet *f, sqlite3_stmt *s)
{
  ST_CLEANUP(st_fleet_entry_freep) struct st_fleet_entry *e = st_calloc(1, sizeof(*e));
  const char *key = (const char *)sqlite3_column_text(s, 1);
  const char *name = (const char *)sqlite3_column_text(s, 2);
  const void *digest = sqlite3_column_blob(s, 6), *nights = sqlite3_column_blob(s, 16);
  if (!key || strlen(key) >= sizeof(e->key))
    return 0;
  snprintf(e->key, sizeof(e->key), "%s", key);
  e->id = sqlite3_column_int64(s, 0);
  e->name = st_strdup(name ? name : "");
  e->head.epoch = sqlite3_column_int64(s, 3);
  e->head.number = sqlite3_column_int64(s, 4);
  e->head.time = sqlite3_column_int64(s, 5);
  if (digest && sqlite3_column_bytes(s, 6) == ST_DIGEST_SIZE)
    memcpy(e->head.digest, digest, ST_DIGEST_SIZE);
  e->received = sqlite3_column_int64(s, 7);
  e->incomplete = sqlite3_column_int(s, 8) != 0;
  int64_t *const rest[] = {&e->gaps,  &e->stamp, &e->packages, &e->deviations,
                           &e->files, &e->bytes, &e->day};
  for (size_t i = 0; i < ST_COUNT(rest); i++)
    *rest[i] = sqlite3_column_int64(s, 9 + (int)i);
  read_nights(e, nights, nights ? (size_t)sqlite3_column_bytes(s, 16) : 0);
  st_fleet_put(f, st_steal(&e));
  return 0;
}

int st_fleet_read_tables(struct st_fleet *f, struct st_error *err)
{
  ST_AUTO_FLEET_STATEMENT *s = st_fleet_prepare(f->db, "SELECT name, bit FROM fact_table", err);
  int r = s ? 0 : -1;
  st_set_free(f->tables);
  f->tables = st_set_new();
  while (r == 0 && (r = st_fleet_step(s, err)) == 1) {
    st_set_add(f->tables, sqlite3_column_text(s, 0), (size_t)sqlite3_column_bytes(s, 0),
               (uint64_t)sqlite3_column_int64(s, 1));
    r = 0;
  }
  return r;
}

static int read_hosts(struct st_fleet *f, struct st_error *err)
{
  ST_AUTO_FLEET_STATEMENT *s = st_fleet_prepare(f->db, "SELECT * FROM host", err);
  int r = s ? 0 : -1;
  while (r == 0 && (r = st_fleet_step(s, err)) == 1)
    r = read_host(f, s);
  return r < 0 ? r : st_fleet_read_tables(f, err);
}

/* One host, where its catalog is not the one that is known.  1: it cannot be read, and what is
 * known of it stays. */
static int catch_up(struct st_fleet *f, const char *key, struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  int64_t received, bytes;
  const struct st_fleet_entry *e = st_fleet_find(f, key);
  int64_t stamp = st_archive_stamp(f->a, key, &received, &bytes);
  if (stamp == 0 || (e && e->stamp == stamp))
    return 0;
  if (st_archive_catalog(f->a, key, ST_CATALOG_READ, &c, err) < 0)
    return 1;
  return st_catalog_latest(c) > 0 ? st_fleet_learn(f, key, c, err) : 0;
}

/* A host that cannot be read is not in the fleet's way: `verify` says what it is.  Beside the
 * server it is where it cannot be learned of, as objects may go then. */
static int catch_up_or_say(struct st_fleet *f, const char *key, size_t *learned,
                           struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int r = catch_up(f, key, &why);
  if (r != 0) {
    if (r < 0 && f->beside)
      return st_fail(err, 0, "host %s: %s", key, st_error_text(&why));
    st_log(ST_LOG_WARNING, "host %s is not known to the fleet: %s", key, st_error_text(&why));
  }
  return f->open && ++*learned % FLUSH_HOSTS == 0 ? st_fleet_flush(f, err) : 0;
}

static int catch_up_epochs(struct st_fleet *f, const char *host, size_t *learned,
                           struct st_error *err)
{
  ST_AUTO_STRINGS epochs = {0};
  int r = st_archive_epochs(f->a, host, &epochs, err);
  for (size_t i = 0; i < epochs.count && r == 0; i++) {
    ST_AUTO_FREE char *key = st_format("%s/epoch-%s", host, epochs.items[i]);
    r = catch_up_or_say(f, key, learned, err);
  }
  return r;
}

static int catch_up_all(struct st_fleet *f, struct st_error *err)
{
  ST_AUTO_STRINGS hosts = {0};
  size_t learned = 0;
  if (st_archive_hosts(f->a, &hosts, err) < 0)
    return -1;
  for (size_t i = 0; i < hosts.count; i++)
    if (catch_up_or_say(f, hosts.items[i], &learned, err) < 0 ||
        catch_up_epochs(f, hosts.items[i], &learned, err) < 0)
      return -1;
  return st_fleet_flush(f, err);
}

static struct st_fleet *new_fleet(struct st_archive *a)
{
  struct st_fleet *f = st_calloc(1, sizeof(*f));
  f->a = a;
  f->silence = ST_FLEET_SILENCE;
  f->keys = st_set_new();
  f->ids = st_set_new();
  f->tables = st_set_new();
  pthread_rwlock_init(&f->lock, NULL);
  pthread_mutex_init(&f->write, NULL);
  pthread_mutex_init(&f->naming, NULL);
  pthread_mutex_init(&f->pool, NULL);
  return f;
}

int st_fleet_open(struct st_fleet **ret, struct st_archive *a, struct st_error *err)
{
  ST_CLEANUP(st_fleet_closep) struct st_fleet *f = new_fleet(a);
  if (st_fleet_file_open(f, err) < 0 || read_hosts(f, err) < 0 || st_fleet_sweep(f, err) < 0 ||
      catch_up_all(f, err) < 0)
    return -1;
  *ret = st_steal(&f);
  return 0;
}

int st_fleet_open_beside(struct st_fleet **ret, struct st_archive *a, struct st_error *err)
{
  ST_CLEANUP(st_fleet_closep) struct st_fleet *f = new_fleet(a);
  *ret = NULL;
  int r = st_fleet_file_beside(f, err);
  if (r != 0)
    return r < 0 ? -1 : 0;
  if (read_hosts(f, err) < 0 || catch_up_all(f, err) < 0)
    return -1;
  *ret = st_steal(&f);
  return 0;
}

void st_fleet_close(struct st_fleet *f)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT; /* opening catches up */
  if (f->db)
    st_fleet_flush(f, &ignored);
  st_fleet_file_close(f);
  st_fleet_names_free(f);
  for (size_t i = 0; i < f->count; i++)
    if (f->hosts[i])
      st_fleet_entry_free(f->hosts[i]);
  free(f->hosts);
  free(f->dirty);
  st_set_free(f->keys);
  st_set_free(f->ids);
  st_set_free(f->tables);
  if (f->store)
    st_store_close(f->store);
  pthread_rwlock_destroy(&f->lock);
  pthread_mutex_destroy(&f->write);
  pthread_mutex_destroy(&f->naming);
  pthread_mutex_destroy(&f->pool);
  free(f);
}

void st_fleet_lose(struct st_fleet *f)
{
  pthread_rwlock_wrlock(&f->lock);
  for (size_t i = 0; i < f->ndirty; i++) {
    f->dirty[i]->dirty = false;
    f->dirty[i]->lost = true;
  }
  f->ndirty = 0;
  f->open = false;
  f->damaged = true;
  pthread_rwlock_unlock(&f->lock);
}

int st_fleet_flush(struct st_fleet *f, struct st_error *err)
{
  pthread_mutex_lock(&f->write);
  int r = 0;
  if (f->open) {
    const char *sql = f->forgot ? "UPDATE meta SET value = value + 1 WHERE name = 'generation';"
                                  "COMMIT"
                                : "COMMIT";
    r = st_fleet_exec(f->db, sql, err);
    f->damaged |= r < 0;
    f->open = !sqlite3_get_autocommit(f->db);
    if (r < 0 && !f->open)
      st_fleet_lose(f);
    f->forgot = f->forgot && r < 0;
  }
  if (r == 0) {
    pthread_rwlock_wrlock(&f->lock);
    for (size_t i = 0; i < f->ndirty; i++)
      f->dirty[i]->dirty = false;
    f->ndirty = 0;
    pthread_rwlock_unlock(&f->lock);
  }
  pthread_mutex_unlock(&f->write);
  return r;
}
