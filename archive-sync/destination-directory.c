/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "archive-sync/destination.h"
#include "archive-sync/packagefiles.h"
#include "archive-sync/recovery.h"
#include "systracker/base/escape.h"

struct directory {
  struct st_destination d;
  struct st_archive *a;
  struct st_catalog *there;
  bool lost; /* the archive misses something that it had */
};

static void close_directory(struct st_destination *d)
{
  struct directory *dir = (struct directory *)d;
  if (dir->there)
    st_catalog_close(dir->there);
  if (dir->a)
    st_archive_close(dir->a);
  free(dir);
}

/* ---- What is there -----------------------------------------------------------------------------
 */

static bool lacks_packs(struct st_archive *a)
{
  ST_CLEANUP(st_store_closep) struct st_store *store = NULL;
  ST_AUTO_ERROR ignored = ST_ERROR_INIT; /* whoever writes will say it */
  return st_store_open(&store, a->dir, ST_STORE_READ, NULL, &ignored) < 0 ||
         st_store_lacks_packs(store);
}

static int tell(struct directory *dir, struct st_catalog *there, struct st_push_head *ret,
                struct st_error *err)
{
  struct st_checkpoint cp;
  ret->wanted = dir->lost;
  ret->sealed = st_recovery_is_sent(dir->a, dir->d.push->keys.host_id);
  ret->number = st_catalog_latest(there);
  if (ret->number == 0)
    return 0;
  if (st_catalog_checkpoint(there, ret->number, &cp, err) < 0)
    return -1;
  ret->epoch = cp.epoch;
  memcpy(ret->digest, cp.header_digest, ST_DIGEST_SIZE);
  st_checkpoint_clear(&cp);
  return 0;
}

static int look(struct st_destination *d, struct st_push_head *ret, struct st_error *err)
{
  struct directory *dir = (struct directory *)d;
  ST_CLEANUP(st_catalog_closep) struct st_catalog *there = NULL;
  dir->lost = st_archive_is_wanted(dir->a, d->push->keys.host_id) || lacks_packs(dir->a);
  int r = st_archive_catalog(dir->a, d->push->keys.host_id, ST_CATALOG_READ, &there, err);
  if (r == -ENOENT) {
    st_error_clear(err);
    return 0;
  }
  return r < 0 ? r : tell(dir, there, ret, err);
}

static int open_there(struct directory *dir, struct st_error *err)
{
  return st_archive_catalog(dir->a, dir->d.push->keys.host_id,
                            ST_CATALOG_WRITE | ST_CATALOG_REPLICA, &dir->there, err);
}

static int begin(struct st_destination *d, struct st_push_head *ret, struct st_error *err)
{
  struct directory *dir = (struct directory *)d;
  if (st_archive_lock(dir->a, d->push->wait, err) < 0 ||
      st_archive_objects(dir->a, ST_STORE_WRITE, &d->push->keys, err) < 0 ||
      open_there(dir, err) < 0 || tell(dir, dir->there, ret, err) < 0)
    return -1;
  return ret->wanted ? st_store_forget_lost(dir->a->store, err) : 0;
}

static int retire(struct st_destination *d, int64_t epoch, struct st_error *err)
{
  struct directory *dir = (struct directory *)d;
  st_catalog_close(st_steal(&dir->there));
  return st_retire(dir->a->dir, d->push->keys.host_id, epoch, err) < 0 ? -1 : open_there(dir, err);
}

/* ---- What is brought ---------------------------------------------------------------------------
 */

static int send_object(struct directory *dir, const struct st_id *id, struct st_error *err)
{
  struct st_push *p = dir->d.push;
  uint64_t before = st_store_appended(dir->a->store);
  int r = st_store_copy(dir->a->store, p->t->store, id, err);
  p->result->bytes += st_store_appended(dir->a->store) - before;
  if (r < 0) {
    if (!st_push_explain(p, id))
      return -1;
    st_error_clear(err);
    return 0;
  }
  p->result->objects += r > 0;
  return r;
}

/* Durable when it returns. */
static int objects(struct st_destination *d, const struct st_id *ids, size_t count,
                   struct st_error *err)
{
  struct directory *dir = (struct directory *)d;
  bool dirty = false;
  for (size_t i = 0; i < count; i++) {
    int r = send_object(dir, &ids[i], err);
    if (r < 0)
      return -1;
    dirty |= r > 0;
  }
  return dirty ? st_store_sync(dir->a->store, err) : 0;
}

static int add_id(void *arg, const struct st_id *id)
{
  st_ids_add(arg, id);
  return 0;
}

/* An object that is damaged there, or missing, is not there: so it is sent again. */
static int refill(struct st_destination *d, struct st_error *err)
{
  ST_AUTO_IDS ids = {0};
  struct directory *dir = (struct directory *)d;
  if (st_catalog_objects(d->push->t->catalog, add_id, &ids, err) < 0 ||
      objects(d, ids.items, ids.count, err) < 0)
    return -1;
  return d->push->result->missing > 0 ? 0
                                      : st_archive_want(dir->a, d->push->keys.host_id, false, err);
}

static int checkpoint(struct st_destination *d, const struct st_changeset *set,
                      struct st_error *err)
{
  return st_catalog_apply(((struct directory *)d)->there, set, err);
}

static int seal(struct st_destination *d, struct st_error *err)
{
  return st_recovery_send(((struct directory *)d)->a, &d->push->keys, err);
}

/* They need no lock: each is put there in one step. */
static int packages(struct st_destination *d, struct st_error *err)
{
  ST_CLEANUP(st_packages_closep) struct st_packages *here = NULL, *there = NULL;
  const struct st_package *package;
  if (st_packages_open(&here, d->push->t->store_dir, err) < 0 ||
      st_packages_open(&there, ((struct directory *)d)->a->dir, err) < 0)
    return -1;
  for (size_t n = 0; (package = st_packages_at(here, n)); n++) {
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    int r = st_package_copy(there, here, package, &why);
    d->push->result->packages += r > 0;
    if (r >= 0)
      continue;
    if (why.code != 0)
      return st_fail(err, 0, "%s", st_error_text(&why));
    st_push_passed_over(d->push, &why);
  }
  return 0;
}

int st_destination_directory(struct st_destination **ret, struct st_push *p, const char *url,
                             struct st_error *err)
{
  static const struct st_destination_ops ops = {
      .look = look,
      .packages = packages,
      .begin = begin,
      .retire = retire,
      .objects = objects,
      .refill = refill,
      .checkpoint = checkpoint,
      .seal = seal,
      .close = close_directory,
  };
  struct directory *dir = st_calloc(1, sizeof(*dir));
  dir->d = (struct st_destination){&ops, p};
  if (st_archive_open(&dir->a, url, false, err) < 0) {
    free(dir);
    return -1;
  }
  *ret = &dir->d;
  return 0;
}
