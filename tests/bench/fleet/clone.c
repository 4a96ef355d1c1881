/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/fleet/clone.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>

#include "systracker/base/file.h"

#define CHAIN_MAGIC "SysTracker chain 2\n"

int fleet_apply(int dir, struct fleet_host *host, const struct fleet_template *t, int64_t first_day,
                int64_t upto, struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  ST_AUTO_CHANGESET set = {0};
  ST_AUTO_PARCEL own = {0};
  if (st_catalog_open(&c, dir, host->keys.host_id, ST_CATALOG_WRITE | ST_CATALOG_REPLICA, err) < 0)
    return -1;
  while (host->number < upto)
    if (fleet_next(host, t, first_day + host->number * FLEET_DAY, &set, &own, err) < 0 ||
        st_catalog_apply(c, &set, err) < 0)
      return -1;
  return 0;
}

/* ---- Contents ----------------------------------------------------------------------------------
 */

static int keep_night(struct st_store *store, const struct fleet_template *t,
                      struct fleet_host *host, struct st_error *err)
{
  ST_AUTO_CHANGESET set = {0};
  ST_AUTO_PARCEL own = {0};
  size_t count;
  const struct st_parcel *parcels = fleet_template_parcels(t, host->number + 1, &count);
  for (size_t i = 0; i < count; i++)
    if (st_store_import(store, &parcels[i], err) < 0)
      return -1;
  if (fleet_next(host, t, 0, &set, &own, err) < 0)
    return -1;
  return st_store_import(store, &own, err);
}

int fleet_keep(int dir, const struct fleet_template *t, const struct fleet_host *host, int64_t upto,
               struct st_error *err)
{
  ST_CLEANUP(st_store_closep) struct st_store *store = NULL;
  struct fleet_host again = *host;
  again.number = 0;
  if (st_store_open(&store, dir, ST_STORE_WRITE, NULL, err) < 0)
    return -1;
  while (again.number < upto)
    if (keep_night(store, t, &again, err) < 0)
      return -1;
  return st_store_sync(store, err);
}

/* ---- Copies ------------------------------------------------------------------------------------
 */

static int copy_catalog(int from, int to, struct st_error *err)
{
  ST_AUTO_CLOSE int in = openat(from, "catalog.db", O_RDONLY | O_CLOEXEC);
  ST_AUTO_CLOSE int out = openat(to, "catalog.db", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  if (in < 0 || out < 0)
    return st_fail(err, errno, "cannot copy a catalog");
  if (st_read_all(in, (size_t)1 << 30, &bytes, err) < 0)
    return -1;
  return st_write_all(out, bytes.data, bytes.length, err);
}

static int open_folder(int dir, const char *host, struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_format("hosts/%s", host);
  int fd =
      st_make_dirs(dir, folder, 0700, err) < 0 ? -1 : openat(dir, folder, O_RDONLY | O_DIRECTORY);
  return fd < 0 ? st_fail(err, errno, "cannot open a host's folder") : fd;
}

struct copy {
  sqlite3 *db;
  sqlite3_stmt *set;
  struct st_buffer chain;
};

static void copy_close(struct copy *c)
{
  sqlite3_finalize(c->set);
  sqlite3_close(c->db);
  st_buffer_free(&c->chain);
}

static int sql_fail(const struct copy *c, struct st_error *err)
{
  return st_fail(err, 0, "a copy's catalog: %s", sqlite3_errmsg(c->db));
}

static int open_copy(struct copy *c, int folder, struct st_error *err)
{
  ST_AUTO_FREE char *path = st_format("/proc/self/fd/%d/catalog.db", folder);
  if (sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
          SQLITE_OK ||
      sqlite3_exec(c->db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; BEGIN", NULL,
                   NULL, NULL) != SQLITE_OK ||
      sqlite3_prepare_v2(c->db,
                         "UPDATE checkpoint SET header_digest = ?2, signature = ?3,"
                         " public_key = CASE WHEN public_key IS NULL THEN NULL ELSE ?4 END"
                         " WHERE number = ?1",
                         -1, &c->set, NULL) != SQLITE_OK)
    return sql_fail(c, err);
  return 0;
}

static int copy_header(struct copy *c, const struct fleet_host *host,
                       const struct st_buffer *header, struct st_error *err)
{
  struct st_header h;
  if (st_header_parse(&h, header->data, header->length, err) < 0)
    return -1;
  sqlite3_bind_int64(c->set, 1, host->number);
  sqlite3_bind_blob(c->set, 2, h.digest, sizeof(h.digest), SQLITE_STATIC);
  sqlite3_bind_blob(c->set, 3, h.signature, sizeof(h.signature), SQLITE_STATIC);
  sqlite3_bind_blob(c->set, 4, h.public_key, sizeof(h.public_key), SQLITE_STATIC);
  if (sqlite3_step(c->set) != SQLITE_DONE)
    return sql_fail(c, err);
  sqlite3_reset(c->set);
  st_buffer_append(&c->chain, h.digest, sizeof(h.digest));
  return 0;
}

static int sign_all(struct copy *c, struct fleet_host *host, const struct fleet_host *model,
                    const struct fleet_template *t, int64_t first_day, struct st_error *err)
{
  ST_AUTO_CHANGESET set = {0};
  ST_AUTO_PARCEL own = {0};
  st_buffer_append_string(&c->chain, CHAIN_MAGIC);
  memcpy(host->content_of, model->content_of[0] ? model->content_of : model->keys.host_id,
         sizeof(host->content_of));
  while (host->number < model->number)
    if (fleet_next(host, t, first_day + host->number * FLEET_DAY, &set, &own, err) < 0 ||
        copy_header(c, host, &set.header, err) < 0)
      return -1;
  return sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ? 0 : sql_fail(c, err);
}

int fleet_clone(int dir, struct fleet_host *host, const struct fleet_host *model,
                const struct fleet_template *t, int64_t first_day, struct st_error *err)
{
  ST_CLEANUP(copy_close) struct copy c = {.db = NULL};
  ST_AUTO_CLOSE int from = open_folder(dir, model->keys.host_id, err);
  ST_AUTO_CLOSE int to = from < 0 ? -1 : open_folder(dir, host->keys.host_id, err);
  if (to < 0 || copy_catalog(from, to, err) < 0 || open_copy(&c, to, err) < 0 ||
      sign_all(&c, host, model, t, first_day, err) < 0)
    return -1;
  return st_create_file(to, "chain", 0600, c.chain.data, c.chain.length, err);
}
