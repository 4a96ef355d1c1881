/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/push.h"

#include <string.h>

#include "archive-sync/destination.h"
#include "systracker/base/escape.h"

void st_destination_close(struct st_destination *d)
{
  d->ops->close(d);
}

static void push_free(struct st_push *p)
{
  if (p->t)
    st_tracker_close(p->t);
  st_keys_wipe(&p->keys);
}

/* ---- Objects -----------------------------------------------------------------------------------
 */

void st_push_passed_over(struct st_push *p, const struct st_error *why)
{
  p->result->missing++;
  fprintf(stderr, "systracker: not sent: %s\n", st_error_text(why));
}

int st_push_explain(struct st_push *p, const struct st_id *id)
{
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int r = st_store_get(p->t->store, id, &content, &why);
  if (content.length > 0)
    explicit_bzero(content.data, content.length);
  if (r >= 0)
    return 0;
  st_push_passed_over(p, &why);
  return 1;
}

static int add_row(void *arg, const struct st_body_row *row, struct st_error *err)
{
  const struct st_table *d = &row->table->declaration;
  (void)err;
  if (!row->begun || row->absent)
    return 0;
  for (size_t i = row->table->nkeys; i < d->ncolumns; i++)
    if ((d->columns[i].flags & (ST_OBJECT | ST_MANIFEST)) && row->values[i].type == ST_ID)
      st_ids_add(arg, &row->values[i].u.id);
  return 0;
}

/* ---- Checkpoints -------------------------------------------------------------------------------
 */

struct naming {
  struct st_catalog *catalog;
  struct st_ids ids;
};

static void naming_clear(struct naming *n)
{
  st_ids_clear(&n->ids);
}

static const struct st_catalog_table *table_of(void *arg, const char *name)
{
  return st_catalog_table(((struct naming *)arg)->catalog, name);
}

static int add_named(void *arg, const struct st_body_row *row, struct st_error *err)
{
  return add_row(&((struct naming *)arg)->ids, row, err);
}

static int send_checkpoint(struct st_push *p, struct st_destination *d, int64_t after,
                           int64_t number, struct st_error *err)
{
  ST_AUTO_CHANGESET set = {0};
  ST_CLEANUP(naming_clear) struct naming named = {.catalog = p->t->catalog};
  if (st_changeset_read_after(p->t->catalog, after, number, &set, err) < 0 ||
      st_body_read(set.body.data ? set.body.data : "", set.body.length, table_of, add_named, &named,
                   err) < 0 ||
      d->ops->objects(d, named.ids.items, named.ids.count, err) < 0 ||
      d->ops->checkpoint(d, &set, err) < 0)
    return -1;
  if (p->result->first == 0)
    p->result->first = number;
  p->result->last = number;
  return 0;
}

static int send_checkpoints(struct st_push *p, struct st_destination *d, int64_t after,
                            struct st_error *err)
{
  int64_t latest = st_catalog_latest(p->t->catalog);
  for (int64_t n = after + 1; n <= latest; n++) {
    if (st_catalog_held(p->t->catalog, n) != ST_HELD)
      continue;
    if (send_checkpoint(p, d, after, n, err) < 0)
      return -1;
    after = n;
  }
  return 0;
}

/* ---- Set back ----------------------------------------------------------------------------------
 */

static int open_own(struct st_push *p, struct st_error *err)
{
  if (p->t)
    st_tracker_close(st_steal(&p->t));
  return st_tracker_open(&p->t, &p->cli->tracker, ST_TRACKER_LOOK, err);
}

/* The new epoch is recorded in our own chain, by a checkpoint that says why.  One that was opened
 * by a sync that did not come to its end will do. */
static int open_epoch(struct st_push *p, int64_t there, int64_t epoch, struct st_error *err)
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

static int set_back(struct st_push *p, struct st_destination *d, struct st_push_head *head,
                    struct st_error *err)
{
  if (d->ops->prove && d->ops->prove(d, head, err) < 0)
    return st_wrap(err, "the archive says that this store was set back, and that is not proved");
  if (open_epoch(p, head->number, head->epoch, err) < 0 || d->ops->retire(d, head->epoch, err) < 0)
    return -1;
  p->result->set_back = head->number;
  p->result->epoch = head->epoch + 1;
  head->number = 0;
  return 0;
}

/* How the archive's chain stands to ours. */
static int relate(struct st_push *p, const struct st_push_head *head, enum st_relation *ret,
                  struct st_error *err)
{
  struct st_checkpoint cp;
  int64_t latest = st_catalog_latest(p->t->catalog);
  *ret = head->number == latest ? ST_SAME : head->number < latest ? ST_BEHIND : ST_AHEAD;
  if (head->number == 0 || *ret == ST_AHEAD)
    return 0;
  if (st_catalog_checkpoint(p->t->catalog, head->number, &cp, err) < 0)
    return -1;
  if (memcmp(cp.header_digest, head->digest, ST_DIGEST_SIZE) != 0)
    *ret = ST_DIVERGED;
  st_checkpoint_clear(&cp);
  return 0;
}

/* ---- The whole ---------------------------------------------------------------------------------
 */

static int send(struct st_push *p, struct st_destination *d, struct st_error *err)
{
  struct st_push_head head = {0};
  enum st_relation relation;
  if (d->ops->begin(d, &head, err) < 0 || relate(p, &head, &relation, err) < 0)
    return -1;
  if ((relation == ST_AHEAD || relation == ST_DIVERGED) && set_back(p, d, &head, err) < 0)
    return -1;
  if ((head.wanted && d->ops->refill(d, err) < 0) || send_checkpoints(p, d, head.number, err) < 0)
    return -1;
  int sealed = d->ops->seal(d, err);
  p->result->unsealed = sealed > 0;
  return sealed < 0 ? -1 : 0;
}

static int open_destination(struct st_destination **ret, struct st_push *p, const char *url,
                            const char *behind, struct st_error *err)
{
  ST_AUTO_JOIN join = {0};
  if (!st_join_is_remote(url))
    return st_destination_directory(ret, p, url, err);
  return st_join_parse(&join, url, behind, err) < 0 ? -1
                                                    : st_destination_server(ret, p, &join, err);
}

int st_push(const struct st_cli *cli, const char *url, const char *behind, unsigned wait,
            struct st_push_result *ret, struct st_error *err)
{
  ST_CLEANUP(push_free) struct st_push p = {.cli = cli, .wait = wait, .result = ret};
  ST_CLEANUP(st_destination_closep) struct st_destination *d = NULL;
  struct st_push_head head = {0};
  enum st_relation relation;
  *ret = (struct st_push_result){0};
  if (open_own(&p, err) < 0)
    return -1;
  p.keys = p.t->keys;
  if (st_catalog_latest(p.t->catalog) == 0)
    return st_fail(err, 0, "there is no checkpoint yet to send");
  if (open_destination(&d, &p, url, behind, err) < 0 || d->ops->look(d, &head, err) < 0 ||
      d->ops->packages(d, err) < 0 || relate(&p, &head, &relation, err) < 0)
    return -1;
  return relation == ST_SAME && head.sealed && !head.wanted ? 0 : send(&p, d, err);
}
