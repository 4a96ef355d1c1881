/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commit.c - what the committer does of one batch; committer.c is when. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "archive-sync/serve/committer-internal.h"
#include "archive-sync/serve/parallel.h"
#include "archive-sync/serve/sent.h"
#include "systracker/base/log.h"

#define EPOCHS_A_DAY 8

/* ---- Records -----------------------------------------------------------------------------------
 */

/* Of a secret nothing but its form can be proved.  Where another host has one of this id, it is
 * taken for the same only if it is the same to the byte. */
static bool is_same_secret(struct st_store *store, const struct st_parcel *parcel)
{
  ST_AUTO_PARCEL there = {0};
  return st_store_export(store, &parcel->record.id, &there, NULL) == 0 &&
         there.payload.length == parcel->payload.length &&
         (there.payload.length == 0 ||
          memcmp(there.payload.data, parcel->payload.data, there.payload.length) == 0);
}

/* 1: it does not fit here. */
static int keep_record(struct st_store *store, const struct st_parcel *parcel, bool own,
                       struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  const struct st_record *record = &parcel->record;
  if (!record->id.keyed && !record->has_base)
    return st_store_import_proved(store, parcel, err);
  if (record->id.keyed && !own && st_store_has(store, &record->id))
    return !is_same_secret(store, parcel);
  if (st_store_import(store, parcel, &why) == 0)
    return 0;
  if (why.code == 0)
    return 1;
  st_fail(err, 0, "%s", st_error_text(&why));
  err->code = why.code;
  return -1;
}

static int keep_records(struct st_store *store, struct st_commit_records *work,
                        struct st_buffer *ids, struct st_error *err)
{
  ST_AUTO_PARCEL parcel = {0};
  for (size_t i = 0; i < work->count; i++) {
    size_t at = work->items[i].at;
    if (st_wire_parcel_at(work->data, work->length, &at, &parcel, err) != 1)
      return st_wrap(err, "a record that was proved cannot be read");
    int r = keep_record(store, &parcel, work->items[i].own, err);
    if (r < 0)
      return -1;
    work->ret_refused[i] = r > 0;
    if (r == 0 && !work->items[i].own)
      st_wire_add_id(ids, &parcel.record.id);
  }
  return 0;
}

/* The records of one host: what is to be noted of them. */
struct delivery {
  struct st_committer *c;
  struct st_job *job;
  struct st_buffer ids;
  int result;
};

static void note_sent(void *arg, size_t n)
{
  struct delivery *d = &((struct delivery *)arg)[n];
  d->result =
      st_sent_add(d->c->a->dir, d->job->host, ST_SENT, d->ids.data, d->ids.length, d->job->err);
}

static int keep_all(struct st_committer *c, struct delivery *all, size_t count,
                    struct st_error *err)
{
  for (size_t i = 0; i < count; i++)
    if (keep_records(c->a->store, all[i].job->records, &all[i].ids, err) < 0)
      return -1;
  return st_store_sync(c->a->store, err);
}

static size_t count_jobs(const struct st_job *jobs)
{
  size_t n = 0;
  for (; jobs; jobs = jobs->next)
    n++;
  return n;
}

int st_job_records(struct st_committer *c, struct st_job *jobs, struct st_error *err)
{
  size_t count = count_jobs(jobs), n = 0;
  ST_AUTO_FREE struct delivery *all = st_calloc(count, sizeof(*all));
  for (struct st_job *job = jobs; job; job = job->next)
    all[n++] = (struct delivery){.c = c, .job = job};
  int r = keep_all(c, all, count, err);
  if (r == 0)
    st_at_once(count, ST_PARALLEL_MAX, note_sent, all);
  for (n = 0; n < count; n++) {
    all[n].job->result = all[n].result < 0 ? -1 : ST_COMMIT_DONE;
    if (r == 0 && all[n].result == 0)
      st_metrics_add(c->server->metrics, ST_METRIC_OBJECTS,
                     (int64_t)(all[n].ids.length / ST_WIRE_ID_SIZE));
    st_buffer_free(&all[n].ids);
  }
  return r;
}

/* ---- What a checkpoint names -------------------------------------------------------------------
 */

struct naming {
  struct st_committer *c;
  struct st_commit_checkpoint *work;
  struct st_own *own;
  struct st_set *named; /* 33 bytes each */
};

static void naming_free(struct naming *n)
{
  st_own_closep(&n->own);
  if (n->named)
    st_set_free(n->named);
}

static void id_bytes(const struct st_id *id, uint8_t out[ST_WIRE_ID_SIZE])
{
  out[0] = id->keyed;
  memcpy(out + 1, id->digest, ST_DIGEST_SIZE);
}

static void name_object(struct naming *n, const struct st_id *id)
{
  uint8_t bytes[ST_WIRE_ID_SIZE];
  struct st_buffer *missing = &n->work->missing;
  id_bytes(id, bytes);
  if (!st_set_add(n->named, bytes, sizeof(bytes), 0))
    return;
  bool there = st_own_has(n->own, id) && st_store_has(n->c->a->store, id);
  if (!there && missing->length < (size_t)ST_WIRE_IDS_MAX * ST_WIRE_ID_SIZE)
    st_wire_add_id(missing, id);
}

/* Each row of the body, and NULL behind them. */
static int name_row(void *arg, const struct st_body_row *row, struct st_error *err)
{
  struct naming *n = arg;
  if (!row)
    return n->work->missing.length == 0 ? 0 : st_fail(err, 0, "it names what was not sent");
  if (!row->begun || row->absent)
    return 0;
  const struct st_table *d = &row->table->declaration;
  for (size_t i = row->table->nkeys; i < d->ncolumns; i++)
    if ((d->columns[i].flags & (ST_OBJECT | ST_MANIFEST)) && row->values[i].type == ST_ID)
      name_object(n, &row->values[i].u.id);
  return 0;
}

/* ---- What was sent and is named now ------------------------------------------------------------
 */

struct settling {
  struct st_set *rest;     /* sent, and not named */
  struct st_buffer chunks; /* of these, those that something named is made of */
};

static int note_part(void *arg, const struct st_id *id, struct st_error *err)
{
  struct settling *s = arg;
  uint8_t bytes[ST_WIRE_ID_SIZE];
  uint64_t taken = 1;
  (void)err;
  id_bytes(id, bytes);
  if (st_set_get(s->rest, bytes, sizeof(bytes), &taken) && !taken) {
    st_set_add(s->rest, bytes, sizeof(bytes), 1);
    st_buffer_append(&s->chunks, bytes, sizeof(bytes));
  }
  return 0;
}

/* The parts of each object that is named, and that was sent with it. */
static int find_parts(struct st_committer *c, const struct st_buffer *sent, struct naming *n,
                      struct settling *s, struct st_error *err)
{
  struct st_id id;
  for (size_t at = 0; at < sent->length; at += ST_WIRE_ID_SIZE) {
    const char *bytes = sent->data + at;
    if (!st_set_get(n->named, bytes, ST_WIRE_ID_SIZE, NULL) ||
        st_wire_id_at(bytes, ST_WIRE_ID_SIZE, 0, &id, NULL) < 0)
      continue;
    if (st_store_bases(c->a->store, &id, note_part, s, err) < 0)
      return -1;
  }
  return 0;
}

/* What is left of the list of those that no checkpoint names. */
static void leave(const struct st_buffer *sent, struct naming *n, struct settling *s,
                  struct st_buffer *out)
{
  uint64_t taken = 0;
  for (size_t at = 0; at < sent->length; at += ST_WIRE_ID_SIZE) {
    const char *bytes = sent->data + at;
    if (st_set_get(n->named, bytes, ST_WIRE_ID_SIZE, NULL) ||
        (st_set_get(s->rest, bytes, ST_WIRE_ID_SIZE, &taken) && taken))
      continue;
    st_buffer_append(out, bytes, ST_WIRE_ID_SIZE);
  }
}

static int settle_rest(struct st_committer *c, const char *host, const struct st_buffer *sent,
                       struct naming *n, struct settling *s, struct st_error *err)
{
  ST_AUTO_BUFFER left = ST_BUFFER_INIT;
  if (st_set_count(s->rest) > 0 && find_parts(c, sent, n, s, err) < 0)
    return -1;
  leave(sent, n, s, &left);
  if (st_sent_add(c->a->dir, host, ST_SENT_CHUNKS, s->chunks.data, s->chunks.length, err) < 0)
    return -1;
  return left.length == sent->length
             ? 0
             : st_sent_replace(c->a->dir, host, ST_SENT, left.data, left.length, err);
}

static int settle(struct st_committer *c, const char *host, struct naming *n, struct st_error *err)
{
  ST_AUTO_BUFFER sent = ST_BUFFER_INIT;
  if (st_sent_read(c->a->dir, host, ST_SENT, &sent, err) < 0)
    return -1;
  struct settling s = {.rest = st_set_new()};
  for (size_t at = 0; at < sent.length; at += ST_WIRE_ID_SIZE)
    if (!st_set_get(n->named, sent.data + at, ST_WIRE_ID_SIZE, NULL))
      st_set_add(s.rest, sent.data + at, ST_WIRE_ID_SIZE, 0);
  int r = sent.length > 0 ? settle_rest(c, host, &sent, n, &s, err) : 0;
  st_set_free(s.rest);
  st_buffer_free(&s.chunks);
  return r;
}

/* ---- Checkpoints -------------------------------------------------------------------------------
 */

/* 1: it is there already. */
static int is_there(struct st_catalog *catalog, const struct st_header *h, struct st_error *err)
{
  struct st_checkpoint cp;
  if (h->number > st_catalog_latest(catalog))
    return 0;
  if (st_catalog_checkpoint(catalog, h->number, &cp, err) < 0)
    return -1;
  bool same = memcmp(cp.header_digest, h->digest, ST_DIGEST_SIZE) == 0;
  st_checkpoint_clear(&cp);
  return same;
}

/* What is committed is committed: that something derived of it could not be written is made good
 * later. */
static void learn(struct st_committer *c, const char *host, struct st_catalog *catalog,
                  const struct st_changeset *set, struct naming *n)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int r = set ? st_fleet_learn_set(c->server->fleet, host, catalog, set, &why)
              : st_fleet_learn(c->server->fleet, host, catalog, &why);
  if (r == 0 && n)
    r = settle(c, host, n, &why);
  if (r < 0)
    st_log(ST_LOG_WARNING, "host %s: %s", host, st_error_text(&why));
}

static int refuse(struct st_job *job, enum st_commit why, struct st_error *err)
{
  st_refuse(job->words, "%s", st_error_text(err));
  st_log(ST_LOG_WARNING, "host %s: refused: %s", job->host, st_error_text(err));
  st_error_clear(err);
  return why;
}

static int open_catalog(struct st_committer *c, struct st_job *job, struct st_catalog **ret)
{
  return st_archive_catalog(c->a, job->host, ST_CATALOG_WRITE | ST_CATALOG_REPLICA, ret, job->err);
}

/* One checkpoint: taken into its catalog beside others, then learned of one after the other. */
struct taking {
  struct st_committer *c;
  struct st_job *job;
  struct st_catalog *catalog; /* NULL: it could not be opened */
  struct naming naming;
  bool was_there, taken;
};

static void taking_clear(struct taking *t)
{
  st_catalog_closep(&t->catalog);
  naming_free(&t->naming);
}

static int apply(struct taking *t)
{
  struct st_job *job = t->job;
  struct st_commit_checkpoint *work = job->checkpoint;
  struct naming *n = &t->naming;
  *n = (struct naming){.c = t->c, .work = work, .named = st_set_new()};
  if (st_own_open(&n->own, t->c->a, t->c->server->fleet, job->host, job->err) < 0)
    return -1;
  t->taken = st_catalog_apply_checked(t->catalog, work->set, name_row, n, job->err) == 0;
  if (t->taken)
    return ST_COMMIT_DONE;
  if (work->missing.length > 0) {
    st_refuse(job->words, "%s", st_error_text(job->err));
    st_error_clear(job->err);
    return ST_COMMIT_MISSING;
  }
  return job->err->code != 0 ? -1 : refuse(job, ST_COMMIT_REFUSED, job->err);
}

static int take(struct taking *t)
{
  struct st_job *job = t->job;
  const struct st_changeset *set = job->checkpoint->set;
  struct st_header h;
  if ((set->proved ? st_header_parse : st_header_read)(&h, set->header.data, set->header.length,
                                                       job->err) < 0)
    return refuse(job, ST_COMMIT_REFUSED, job->err);
  if (open_catalog(t->c, job, &t->catalog) < 0)
    return -1;
  job->checkpoint->number = h.number;
  int r = is_there(t->catalog, &h, job->err);
  t->was_there = r > 0;
  if (r != 0)
    return r < 0 ? -1 : ST_COMMIT_DONE;
  if (h.number <= st_catalog_latest(t->catalog)) {
    st_fail(job->err, 0, "another checkpoint %lld is here", (long long)h.number);
    return refuse(job, ST_COMMIT_BEHIND, job->err);
  }
  return apply(t);
}

static void take_one(void *arg, size_t n)
{
  struct taking *t = &((struct taking *)arg)[n];
  t->job->result = take(t);
}

/* Each waits for its own catalog to be durable.  A host has one request at a time, so that no two
 * are of one catalog. */
void st_job_checkpoints(struct st_committer *c, struct st_job *jobs)
{
  size_t count = count_jobs(jobs), n = 0;
  ST_AUTO_FREE struct taking *all = st_calloc(count, sizeof(*all));
  for (struct st_job *job = jobs; job; job = job->next)
    all[n++] = (struct taking){.c = c, .job = job};
  st_at_once(count, ST_PARALLEL_MAX, take_one, all);
  for (struct taking *t = all; t < all + count; t++) {
    if (t->taken) {
      learn(c, t->job->host, t->catalog, t->job->checkpoint->set, &t->naming);
      st_metrics_add(c->server->metrics, ST_METRIC_CHECKPOINTS, 1);
    } else if (t->was_there) {
      learn(c, t->job->host, t->catalog, NULL, NULL);
    }
    taking_clear(t);
  }
}

/* ---- Epochs ------------------------------------------------------------------------------------
 */

/* Those that were put aside in the last day. */
static int count_epochs(struct st_committer *c, const char *host, unsigned *ret,
                        struct st_error *err)
{
  ST_AUTO_STRINGS epochs = {0};
  struct stat st;
  *ret = 0;
  if (st_archive_epochs(c->a, host, &epochs, err) < 0)
    return -1;
  for (size_t i = 0; i < epochs.count; i++) {
    ST_AUTO_FREE char *path = st_format("hosts/%s/epoch-%s", host, epochs.items[i]);
    *ret +=
        fstatat(c->a->dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime > time(NULL) - 86400;
  }
  return 0;
}

static int retire(struct st_committer *c, struct st_job *job)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *catalog = NULL;
  if (st_retire(c->a->dir, job->host, job->epoch - 1, job->err) < 0 ||
      open_catalog(c, job, &catalog) < 0)
    return -1;
  learn(c, job->host, catalog, NULL, NULL);
  st_log(ST_LOG_INFO, "host %s was set back: epoch %lld begins", job->host, (long long)job->epoch);
  return ST_COMMIT_DONE;
}

/* The epoch of the head that is here; 0: there is none. */
static int64_t epoch_here(struct st_catalog *catalog, struct st_error *err)
{
  struct st_checkpoint cp;
  if (st_catalog_latest(catalog) == 0)
    return 0;
  if (st_catalog_checkpoint(catalog, st_catalog_latest(catalog), &cp, err) < 0)
    return -1;
  int64_t epoch = cp.epoch;
  st_checkpoint_clear(&cp);
  return epoch;
}

static int commit_epoch(struct st_committer *c, struct st_job *job)
{
  struct st_catalog *catalog;
  unsigned today;
  if (open_catalog(c, job, &catalog) < 0)
    return -1;
  int64_t here = epoch_here(catalog, job->err);
  st_catalog_close(catalog);
  if (here < 0 || count_epochs(c, job->host, &today, job->err) < 0)
    return -1;
  if (here == 0) /* it was asked before, or there was nothing to put aside */
    return ST_COMMIT_DONE;
  if (job->epoch - 1 != here) { /* which is 1 at least; `here` may be as large as can be */
    st_fail(job->err, 0, "the archive's head is of epoch %lld", (long long)here);
    return refuse(job, ST_COMMIT_BEHIND, job->err);
  }
  if (today >= EPOCHS_A_DAY) {
    st_fail(job->err, 0, "the host was set back %u times in a day", today);
    return refuse(job, ST_COMMIT_BUSY, job->err);
  }
  return retire(c, job);
}

/* ---- What was lost -----------------------------------------------------------------------------
 */

struct looking {
  struct st_committer *c;
  struct st_buffer *ids;
};

static int look(void *arg, const struct st_id *id)
{
  struct looking *l = arg;
  if (!st_store_has_whole(l->c->a->store, id))
    st_wire_add_id(l->ids, id);
  return l->ids->length >= (size_t)ST_WIRE_IDS_MAX * ST_WIRE_ID_SIZE ? -1 : 0;
}

static int commit_lost(struct st_committer *c, struct st_job *job)
{
  struct looking l = {c, job->ids};
  ST_CLEANUP(st_catalog_closep) struct st_catalog *catalog = NULL;
  if (open_catalog(c, job, &catalog) < 0)
    return -1;
  st_buffer_clear(job->ids);
  if (st_store_lacks_packs(c->a->store) && st_store_forget_lost(c->a->store, job->err) < 0)
    return -1;
  if (st_catalog_objects(catalog, look, &l, job->err) < 0 && job->ids->length == 0)
    return -1;
  st_error_clear(job->err);
  if (job->ids->length > 0)
    return ST_COMMIT_DONE;
  if (st_archive_want(c->a, job->host, false, job->err) < 0)
    return -1;
  learn(c, job->host, catalog, NULL, NULL);
  return ST_COMMIT_DONE;
}

int st_job_one(struct st_committer *c, struct st_job *job)
{
  switch (job->kind) {
  case ST_JOB_EPOCH:
    return commit_epoch(c, job);
  case ST_JOB_LOST:
    return commit_lost(c, job);
  default:
    return st_fail(job->err, 0, "no such work");
  }
}
