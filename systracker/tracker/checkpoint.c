/* SPDX-License-Identifier: GPL-2.0-or-later */
/* checkpoint.c - a scan that is shown (live), and one that is committed. */
#include <string.h>
#include <time.h>

#include "systracker/base/log.h"
#include "systracker/base/thread.h"
#include "systracker/tracker/observe.h"

void st_scan_result_clear(struct st_scan_result *r)
{
  st_strings_free(&r->missed);
  *r = (struct st_scan_result){0};
}

int st_tracker_scan(struct st_tracker *t, struct st_scan_result *ret, struct st_error *err)
{
  struct st_observation o = {.tracker = t, .result = ret};
  if (!t->conf)
    return st_fail(err, 0, "an archive has no live system to compare with: name two checkpoints");
  st_tracker_forget(t);
  st_tracker_forget_packages(t);
  st_catalog_rollback(t->catalog);
  int r = st_catalog_start(t->catalog, err);
  if (r == 0)
    r = st_observe(&o, err);
  st_observation_clear(&o);
  return r < 0 ? st_wrap(err, "scan") : 0;
}

/* The store's objects are made durable beside what the catalog does before it commits, and the
 * index is written beside the commit, which waits for the disk more than it works. */
struct beside {
  struct st_store *store;
  struct st_index *index;
  pthread_t sync, write;
  bool syncing, writing; /* the thread is there */
  int result;
  struct st_error err;
};

static void *sync_objects(void *arg)
{
  struct beside *b = arg;
  b->result = st_store_sync_packs(b->store, &b->err);
  return NULL;
}

/* What fails is tried again, and said then. */
static void *write_index(void *arg)
{
  struct beside *b = arg;
  st_index_prepare(b->index, NULL);
  return NULL;
}

static void beside_begin(struct beside *b)
{
  b->syncing = st_thread_start(&b->sync, sync_objects, b);
  if (!b->syncing)
    sync_objects(b);
}

static int sync_wait(struct beside *b, struct st_error *err)
{
  if (b->syncing)
    pthread_join(b->sync, NULL);
  b->syncing = false;
  return b->result < 0 ? st_error_move(err, &b->err) : 0;
}

static int before_commit(void *arg, struct st_error *err)
{
  struct beside *b = arg;
  b->writing = st_thread_start(&b->write, write_index, b);
  return sync_wait(b, err);
}

static void beside_end(struct beside *b)
{
  sync_wait(b, NULL);
  if (b->writing)
    pthread_join(b->write, NULL);
  st_error_clear(&b->err);
}

static int commit_catalog(struct st_observation *o, const struct st_checkpoint_options *options,
                          int64_t began, struct st_checkpoint *ret, struct st_error *err)
{
  struct st_tracker *t = o->tracker;
  struct beside beside = {.store = t->store, .index = o->index};
  struct st_catalog_durable durable = {before_commit, &beside};
  beside_begin(&beside);
  st_catalog_set_durable(t->catalog, &durable);
  int r = st_catalog_commit(t->catalog, &t->keys, began, options->message, o->result->incomplete,
                            ret, err);
  st_catalog_set_durable(t->catalog, NULL);
  beside_end(&beside);
  return r;
}

/* Content before references: the packs are durable before the catalog commits, and the index speaks
 * of a checkpoint only after that. */
static int commit(struct st_observation *o, const struct st_checkpoint_options *options,
                  int64_t began, struct st_checkpoint *ret, struct st_error *err)
{
  static const uint8_t no_scope[ST_DIGEST_SIZE];
  struct st_tracker *t = o->tracker;
  uint8_t head[ST_DIGEST_SIZE];
  if (commit_catalog(o, options, began, ret, err) < 0)
    return -1;
  st_catalog_head(t->catalog, head);
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (st_index_commit(o->index, head, o->again ? no_scope : o->scope, &why) < 0)
    st_log(ST_LOG_WARNING, "the index was not written, the next scan takes longer: %s",
           st_error_text(&why));
  return 0;
}

static int observe_and_commit(struct st_observation *o, const struct st_checkpoint_options *options,
                              struct st_checkpoint *ret, struct st_error *err)
{
  struct st_tracker *t = o->tracker;
  int64_t began = time(NULL);
  st_tracker_forget_packages(t);
  if (st_catalog_start(t->catalog, err) < 0)
    return -1;
  if (options->tag && st_catalog_tag(t->catalog, options->tag, ST_LIVE, false, err) < 0)
    return -1;
  if (st_observe(o, err) < 0)
    return -1;
  return commit(o, options, began, ret, err);
}

static void log_result(const struct st_scan_result *scan, const struct st_checkpoint *cp)
{
  st_log(ST_LOG_INFO, "checkpoint %lld: %lld facts began, %lld ended, %llu entries%s",
         (long long)cp->number, (long long)cp->begun, (long long)cp->ended,
         (unsigned long long)scan->walk.entries, cp->incomplete ? ", incomplete" : "");
  for (size_t i = 0; i < scan->missed.count; i++)
    st_log(ST_LOG_INFO, "checkpoint %lld: not seen: %s", (long long)cp->number,
           scan->missed.items[i]);
}

int st_tracker_checkpoint(struct st_tracker *t, const struct st_checkpoint_options *options,
                          struct st_scan_result *ret_scan, struct st_checkpoint *ret,
                          struct st_error *err)
{
  struct st_observation o = {.tracker = t, .result = ret_scan, .keep = true, .full = options->full};
  int r = observe_and_commit(&o, options, ret, err);
  if (r < 0)
    st_catalog_rollback(t->catalog);
  else
    log_result(ret_scan, ret);
  st_observation_clear(&o);
  return r < 0 ? st_wrap(err, "checkpoint") : 0;
}
