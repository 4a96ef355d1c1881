/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/push.h"

#include <string.h>

#include "archive-sync/packagefiles.h"
#include "archive-sync/recovery.h"
#include "systracker/base/escape.h"

struct push {
  const struct st_cli *cli;
  struct st_tracker *t;
  struct st_archive *a;
  struct st_catalog *there;
  struct st_push_result *result;
  struct st_keys keys; /* outlive the tracker, which may be opened again */
  bool lost;           /* the archive misses something that it had */
  bool dirty;          /* objects were appended that are not durable */
};

static void push_free(struct push *p)
{
  if (p->there)
    st_catalog_close(p->there);
  if (p->a)
    st_archive_close(p->a);
  if (p->t)
    st_tracker_close(p->t);
  st_keys_wipe(&p->keys);
}

/* ---- Objects -----------------------------------------------------------------------------------
 */

/* What is wrong at home is said and passed over, so that one damaged object does not keep all that
 * is sound from the archive.  1: that was it. */
static int explain_failure(struct push *p, const struct st_id *id)
{
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int r = st_store_get(p->t->store, id, &content, &why);
  if (content.length > 0)
    explicit_bzero(content.data, content.length);
  if (r >= 0)
    return 0;
  p->result->missing++;
  fprintf(stderr, "systracker: not sent: %s\n", st_error_text(&why));
  return 1;
}

static int send_object(struct push *p, const struct st_id *id, struct st_error *err)
{
  uint64_t before = st_store_appended(p->a->store);
  int r = st_store_copy(p->a->store, p->t->store, id, err);
  p->result->bytes += st_store_appended(p->a->store) - before;
  if (r < 0) {
    if (!explain_failure(p, id))
      return -1;
    st_error_clear(err);
    return 0;
  }
  if (r > 0) {
    p->dirty = true;
    p->result->objects++;
  }
  return 0;
}

static int send_row(void *arg, const struct st_body_row *row, struct st_error *err)
{
  const struct st_table *d = &row->table->declaration;
  int r = 0;
  if (!row->begun || row->absent)
    return 0;
  for (size_t i = row->table->nkeys; i < d->ncolumns && r == 0; i++)
    if ((d->columns[i].flags & (ST_OBJECT | ST_MANIFEST)) && row->values[i].type == ST_ID)
      r = send_object(arg, &row->values[i].u.id, err);
  return r;
}

static const struct st_catalog_table *table_of(void *arg, const char *name)
{
  return st_catalog_table(((struct push *)arg)->t->catalog, name);
}

/* ---- Package files -----------------------------------------------------------------------------
 */

/* They need no lock: each is put there in one step. */
static int send_packages(struct push *p, struct st_error *err)
{
  ST_CLEANUP(st_packages_closep) struct st_packages *here = NULL, *there = NULL;
  const struct st_package *package;
  if (st_packages_open(&here, p->t->store_dir, err) < 0 ||
      st_packages_open(&there, p->a->dir, err) < 0)
    return -1;
  for (size_t n = 0; (package = st_packages_at(here, n)); n++) {
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    int r = st_package_copy(there, here, package, &why);
    p->result->packages += r > 0;
    if (r >= 0)
      continue;
    if (why.code != 0)
      return st_fail(err, 0, "%s", st_error_text(&why));
    p->result->missing++;
    fprintf(stderr, "systracker: not sent: %s\n", st_error_text(&why));
  }
  return 0;
}

/* ---- Checkpoints -------------------------------------------------------------------------------
 */

static int send_checkpoint(struct push *p, int64_t number, struct st_error *err)
{
  ST_AUTO_CHANGESET set = {0};
  int64_t after = st_catalog_latest(p->there);
  if (st_changeset_read_after(p->t->catalog, after, number, &set, err) < 0 ||
      st_body_read(set.body.data ? set.body.data : "", set.body.length, table_of, send_row, p,
                   err) < 0)
    return -1;
  if (p->dirty && st_store_sync(p->a->store, err) < 0)
    return -1;
  p->dirty = false;
  if (st_catalog_apply(p->there, &set, err) < 0)
    return -1;
  if (p->result->first == 0)
    p->result->first = number;
  p->result->last = number;
  return 0;
}

static int send_checkpoints(struct push *p, struct st_error *err)
{
  int64_t latest = st_catalog_latest(p->t->catalog);
  for (int64_t n = st_catalog_latest(p->there) + 1; n <= latest; n++)
    if (st_catalog_held(p->t->catalog, n) == ST_HELD && send_checkpoint(p, n, err) < 0)
      return -1;
  return 0;
}

/* ---- What the archive has lost -----------------------------------------------------------------
 */

struct refill {
  struct push *p;
  struct st_error *err;
};

static int send_again(void *arg, const struct st_id *id)
{
  struct refill *r = arg;
  return send_object(r->p, id, r->err);
}

/* An object that is damaged there, or missing, is not there: so it is sent again. */
static int refill(struct push *p, struct st_error *err)
{
  const char *host = p->t->keys.host_id;
  struct refill r = {p, err};
  if (st_store_forget_lost(p->a->store, err) < 0 ||
      st_catalog_objects(p->t->catalog, send_again, &r, err) < 0 ||
      st_store_sync(p->a->store, err) < 0)
    return -1;
  p->dirty = false;
  return p->result->missing == 0 ? st_archive_want(p->a, host, false, err) : 0;
}

/* ---- Set back ----------------------------------------------------------------------------------
 */

static int open_own(struct push *p, struct st_error *err)
{
  if (p->t)
    st_tracker_close(st_steal(&p->t));
  return st_tracker_open(&p->t, &p->cli->tracker, ST_TRACKER_LOOK, err);
}

static int open_there(struct push *p, struct st_error *err)
{
  return st_archive_catalog(p->a, p->t->keys.host_id, ST_CATALOG_WRITE | ST_CATALOG_REPLICA,
                            &p->there, err);
}

/* The new epoch is recorded in our own chain, by a checkpoint that says why.  One that was opened
 * by a sync that did not come to its end will do. */
static int open_epoch(struct push *p, int64_t there, int64_t epoch, struct st_error *err)
{
  ST_CLEANUP(st_tracker_closep) struct st_tracker *writer = NULL;
  ST_CLEANUP(st_checkpoint_clear) struct st_checkpoint cp = {0};
  int64_t latest = st_catalog_latest(p->t->catalog);
  if (st_catalog_checkpoint(p->t->catalog, latest, &cp, err) < 0)
    return -1;
  if (cp.epoch > epoch)
    return 0;
  ST_AUTO_FREE char *message =
      st_format("epoch %lld: this store was set back; an archive has checkpoints up to %lld of "
                "epoch %lld",
                (long long)epoch + 1, (long long)there, (long long)epoch);
  st_checkpoint_clear(&cp);
  if (st_tracker_open(&writer, &p->cli->tracker, ST_TRACKER_WRITE, err) < 0 ||
      st_catalog_open_epoch(writer->catalog, &writer->keys, epoch + 1, message, &cp, err) < 0)
    return st_wrap(err, "cannot open a new epoch");
  st_tracker_close(st_steal(&writer));
  return open_own(p, err);
}

static int set_back(struct push *p, struct st_error *err)
{
  struct st_checkpoint head;
  int64_t there = st_catalog_latest(p->there);
  if (st_catalog_checkpoint(p->there, there, &head, err) < 0)
    return -1;
  int64_t epoch = head.epoch;
  st_checkpoint_clear(&head);
  if (open_epoch(p, there, epoch, err) < 0)
    return -1;
  st_catalog_close(st_steal(&p->there));
  if (st_retire(p->a->dir, p->t->keys.host_id, epoch, err) < 0)
    return -1;
  p->result->set_back = there;
  p->result->epoch = epoch + 1;
  return open_there(p, err);
}

/* ---- The whole ---------------------------------------------------------------------------------
 */

static bool lacks_packs(struct st_archive *a)
{
  ST_CLEANUP(st_store_closep) struct st_store *store = NULL;
  ST_AUTO_ERROR ignored = ST_ERROR_INIT; /* whoever writes will say it */
  return st_store_open(&store, a->dir, ST_STORE_READ, NULL, &ignored) < 0 ||
         st_store_lacks_packs(store);
}

/* Without a lock, and writing nothing: 1, the archive has all there is. */
static int is_nothing_new(struct push *p, struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *there = NULL;
  enum st_relation relation;
  int r = st_archive_catalog(p->a, p->t->keys.host_id, ST_CATALOG_READ, &there, err);
  if (r == -ENOENT) {
    st_error_clear(err);
    return 0;
  }
  if (r < 0 || st_relate(p->t->catalog, there, &relation, err) < 0)
    return -1;
  return relation == ST_SAME && st_recovery_is_sent(p->a, p->t->keys.host_id) && !p->lost;
}

static int send(struct push *p, unsigned wait, struct st_error *err)
{
  enum st_relation relation;
  if (st_archive_lock(p->a, wait, err) < 0 ||
      st_archive_objects(p->a, ST_STORE_WRITE, &p->keys, err) < 0 || open_there(p, err) < 0 ||
      st_relate(p->t->catalog, p->there, &relation, err) < 0)
    return -1;
  if ((relation == ST_AHEAD || relation == ST_DIVERGED) && set_back(p, err) < 0)
    return -1;
  if ((p->lost && refill(p, err) < 0) || send_checkpoints(p, err) < 0)
    return -1;
  int sealed = st_recovery_send(p->a, &p->keys, err);
  p->result->unsealed = sealed > 0;
  return sealed < 0 ? -1 : 0;
}

int st_push(const struct st_cli *cli, const char *url, unsigned wait, struct st_push_result *ret,
            struct st_error *err)
{
  ST_CLEANUP(push_free) struct push p = {.cli = cli, .result = ret};
  *ret = (struct st_push_result){0};
  if (open_own(&p, err) < 0)
    return -1;
  p.keys = p.t->keys;
  if (st_catalog_latest(p.t->catalog) == 0)
    return st_fail(err, 0, "there is no checkpoint yet to send");
  if (st_archive_open(&p.a, url, false, err) < 0)
    return -1;
  p.lost = st_archive_is_wanted(p.a, p.keys.host_id) || lacks_packs(p.a);
  if (send_packages(&p, err) < 0)
    return -1;
  int r = is_nothing_new(&p, err);
  return r != 0 ? (r < 0 ? -1 : 0) : send(&p, wait, err);
}
