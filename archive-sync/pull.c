/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/pull.h"

#include <string.h>

#include "archive-sync/replica.h"
#include "archive-sync/source.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"

struct pull {
  struct st_pull p;
  struct st_source *source;
  struct st_catalog *there;
  struct st_replica replica;
  const struct st_packages *packages_there; /* the source's */
  struct st_packages *packages_here;
  struct st_ids ids; /* what a body names */
  bool *found;       /* of each path that was asked for */
};

void st_source_close(struct st_source *s)
{
  s->ops->close(s);
}

static void pull_free(struct pull *p)
{
  st_packages_closep(&p->packages_here);
  st_replica_close(&p->replica);
  st_ids_clear(&p->ids);
  free(p->found);
  if (p->there)
    st_catalog_close(p->there);
  if (p->source)
    st_source_close(p->source);
  if (p->p.t)
    st_tracker_close(p->p.t);
}

void st_pull_passed_over(struct st_pull *p, const struct st_error *why)
{
  p->result->missing++;
  fprintf(stderr, "systracker: not fetched: %s\n", st_error_text(why));
}

/* ---- Objects -----------------------------------------------------------------------------------
 */

static bool is_wanted(struct pull *p, const struct st_catalog_table *table,
                      const struct st_value *row, const struct st_column *column)
{
  const struct st_strings *paths = p->p.options->paths;
  if (!paths || paths->count == 0 || (column->flags & ST_MANIFEST))
    return true;
  if (!(table->declaration.flags & ST_TABLE_ENTRY))
    return false;
  ST_AUTO_FREE char *path = st_memdup(row[0].u.bytes.data, row[0].u.bytes.length);
  bool wanted = false;
  for (size_t i = 0; i < paths->count; i++) {
    if (!st_path_below(path, paths->items[i]))
      continue;
    wanted = p->found[i] = true;
  }
  return wanted;
}

/* Where the archive does not have the package's file, other places may. */
static int bring_package(struct pull *p, const struct st_catalog_table *table,
                         const struct st_value *row, struct st_error *err)
{
  const struct st_package *package = st_package_of_row(p->packages_there, table, row);
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (!package || (p->p.options->paths && p->p.options->paths->count > 0))
    return 0;
  int r = p->source->ops->package(p->source, p->packages_here, package, &why);
  p->p.result->packages += r > 0;
  if (r < 0 && why.code != 0)
    return st_fail(err, 0, "%s", st_error_text(&why));
  if (r < 0)
    st_pull_passed_over(&p->p, &why);
  return 0;
}

static int bring_row(struct pull *p, const struct st_catalog_table *table,
                     const struct st_value *row, struct st_error *err)
{
  const struct st_table *d = &table->declaration;
  for (size_t i = table->nkeys; i < d->ncolumns; i++)
    if ((d->columns[i].flags & (ST_OBJECT | ST_MANIFEST)) && row[i].type == ST_ID &&
        is_wanted(p, table, row, &d->columns[i]))
      st_ids_add(&p->ids, &row[i].u.id);
  return bring_package(p, table, row, err);
}

static int bring_body_row(void *arg, const struct st_body_row *row, struct st_error *err)
{
  return row->begun && !row->absent ? bring_row(arg, row->table, row->values, err) : 0;
}

static const struct st_catalog_table *table_of(void *arg, const char *name)
{
  return st_catalog_table(((struct pull *)arg)->there, name);
}

/* What a body names; all of it is in memory, so that no host that sends meanwhile has to wait. */
static int bring_named(struct pull *p, const struct st_buffer *body, struct st_error *err)
{
  if (st_body_read(body->data ? body->data : "", body->length, table_of, bring_body_row, p, err) <
      0)
    return -1;
  int r = p->source->ops->objects(p->source, p->ids.items, p->ids.count, err);
  st_ids_clear(&p->ids);
  return r;
}

static int bring_body(struct pull *p, int64_t number, struct st_error *err)
{
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  return st_changeset_body(p->there, number, &body, err) < 0 ? -1 : bring_named(p, &body, err);
}

static int bring_one(struct pull *p, int64_t number, struct st_error *err)
{
  ST_AUTO_CHANGESET set = {0};
  return st_changeset_read_after(p->there, 0, number, &set, err) < 0
             ? -1
             : bring_named(p, &set.body, err);
}

/* Those of all checkpoints up to `last`, or of that one alone. */
static int bring_objects(struct pull *p, int64_t last, struct st_error *err)
{
  int r = p->p.options->checkpoint ? bring_one(p, last, err) : 0;
  for (int64_t n = 1; n <= last && r == 0 && !p->p.options->checkpoint; n++)
    if (st_catalog_held(p->there, n) == ST_HELD)
      r = bring_body(p, n, err);
  return r < 0 ? -1 : st_store_sync(p->p.t->store, err);
}

/* ---- Paths that nobody knows -------------------------------------------------------------------
 */

static int is_known(struct pull *p, int64_t number, const char *path, struct st_error *err)
{
  const struct st_catalog_table *table;
  struct st_value key = st_path_value(path);
  for (size_t n = 0; (table = st_catalog_table_at(p->there, n)); n++) {
    ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
    if (!(table->declaration.flags & ST_TABLE_ENTRY))
      continue;
    if (st_catalog_fact(p->there, number, table, &key, &fact, err) < 0)
      return -1;
    if (fact->present)
      return 1;
  }
  return 0;
}

static int check_paths(struct pull *p, int64_t last, struct st_error *err)
{
  const struct st_strings *paths = p->p.options->paths;
  for (size_t i = 0; paths && i < paths->count; i++) {
    int known = p->found[i] ? 1 : is_known(p, last, paths->items[i], err);
    if (known < 0)
      return -1;
    if (known)
      continue;
    p->p.result->missing++;
    fprintf(stderr, "systracker: not fetched: there was no such path at checkpoint %lld (%s)\n",
            (long long)last, st_quote(paths->items[i]));
  }
  return 0;
}

/* ---- Checkpoints -------------------------------------------------------------------------------
 */

/* Earlier ones are not wanted, unless they are all here: then what comes between is brought, too.
 * Our own chain has no gaps but those that prune made. */
static bool is_alone(const struct pull *p)
{
  const struct st_replica *r = &p->replica;
  return p->p.options->checkpoint && strcmp(p->p.result->host, p->p.t->keys.host_id) != 0 &&
         !(r->here && !r->diverged && st_replica_is_whole(r));
}

static bool is_here(const struct pull *p, int64_t number)
{
  const struct st_replica *r = &p->replica;
  return r->here && !r->diverged && number <= st_catalog_latest(r->here) &&
         st_catalog_held(r->here, number) == ST_HELD;
}

/* What we pruned ourselves is not brought again by the way. */
static bool is_gone(const struct pull *p, int64_t number)
{
  const struct st_replica *r = &p->replica;
  return st_catalog_held(p->there, number) != ST_HELD ||
         (r->here && !r->diverged && st_catalog_held(r->here, number) == ST_PRUNED);
}

static int bring_checkpoints(struct pull *p, int64_t last, struct st_error *err)
{
  ST_AUTO_FREE int64_t *numbers = st_calloc((size_t)last + 1, sizeof(*numbers));
  size_t count = 0;
  p->p.result->alone = is_alone(p);
  for (int64_t n = p->p.result->alone ? last : 1; n <= last; n++)
    if (!is_here(p, n) && !is_gone(p, n))
      numbers[count++] = n;
  int r = st_replica_bring(&p->replica, numbers, count, err);
  p->p.result->first = p->replica.first;
  p->p.result->last = p->replica.last;
  p->p.result->retired = p->replica.retired;
  return r < 0 ? st_wrap(err, "the archive") : 0;
}

static int bring(struct pull *p, struct st_error *err)
{
  int64_t last = st_catalog_latest(p->there);
  if (p->p.options->checkpoint &&
      st_catalog_resolve(p->there, p->p.options->checkpoint, &last, err) < 0)
    return -1;
  if (!p->source->is_here && st_replica_open(&p->replica, err) < 0)
    return -1;
  /* The host itself was set back. */
  if (p->replica.diverged && strcmp(p->p.result->host, p->p.t->keys.host_id) == 0)
    return st_refuse(err, "the archive has checkpoints of this host that do not follow its own: "
                          "nothing was fetched; sync opens a new epoch");
  if (bring_objects(p, last, err) < 0 || check_paths(p, last, err) < 0 ||
      (!p->source->is_here && bring_checkpoints(p, last, err) < 0))
    return -1;
  ST_AUTO_FREE char *id = st_memdup(p->p.result->host, strcspn(p->p.result->host, "/"));
  return p->source->ops->key(p->source, id, err) < 0 ? -1 : 0;
}

/* A host that is named is looked for before a store is made, where that can be done. */
static int open_both(struct pull *p, const struct st_cli *cli, struct st_error *err)
{
  int chosen = p->source->ops->choose(p->source, true, err);
  if (chosen < 0 || st_tracker_open_store(&p->p.t, &cli->tracker, err) < 0)
    return -1;
  if ((chosen > 0 && p->source->ops->choose(p->source, false, err) < 0) ||
      p->source->ops->open(p->source, &p->there, &p->packages_there, err) < 0 ||
      st_packages_open(&p->packages_here, p->p.t->store_dir, err) < 0)
    return -1;
  p->replica = (struct st_replica){
      .store_dir = p->p.t->store_dir, .host = p->p.result->host, .there = p->there};
  return 0;
}

static int open_source(struct pull *p, const char *url, struct st_error *err)
{
  ST_AUTO_JOIN join = {0};
  if (!st_join_is_remote(url))
    return st_source_directory(&p->source, &p->p, url, err);
  return st_join_parse(&join, url, p->p.options->behind, err) < 0
             ? -1
             : st_source_server(&p->source, &p->p, &join, err);
}

int st_pull(const struct st_cli *cli, const char *url, const struct st_pull_options *options,
            struct st_pull_result *ret, struct st_error *err)
{
  ST_CLEANUP(pull_free) struct pull p = {.p = {.options = options, .result = ret}};
  *ret = (struct st_pull_result){0};
  p.found = st_calloc(options->paths ? options->paths->count + 1 : 1, sizeof(*p.found));
  if (open_source(&p, url, err) < 0 || open_both(&p, cli, err) < 0)
    return -1;
  return bring(&p, err);
}
