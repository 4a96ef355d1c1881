/* SPDX-License-Identifier: GPL-2.0-or-later */
/* collect.c - `collect` of each plug-in: facts about what is no file, packages above all. */
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/tracker/observe.h"
#include "systracker/tracker/sweep.h"

/* ---- Manifests ---------------------------------------------------------------------------- */

static int manifest_column(const struct st_catalog_table *table)
{
  for (size_t i = table->nkeys; i < table->declaration.ncolumns; i++) {
    if (table->declaration.columns[i].flags & ST_MANIFEST)
      return (int)i;
  }
  return -1;
}

/* Whether the row is what was known, but for the manifest. */
static bool same_but_manifest(const struct st_row *row, const struct st_fact_row *known, int column)
{
  for (size_t i = 0; i < row->table->declaration.ncolumns; i++) {
    if ((int)i != column && !st_value_equal(&row->values[i], &known->values[i]))
      return false;
  }
  return known->present;
}

static int learn(struct st_observation *o, struct st_manifest *manifest, struct st_value *ret,
                 struct st_error *err)
{
  struct st_tracker *t = o->tracker;
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  struct st_id id;
  if (st_manifest_encode(manifest, &bytes, err) < 0)
    return -1;
  st_id_of(&id, NULL, bytes.data, bytes.length);
  if (o->keep && st_store_put(t->store, bytes.data, bytes.length, false, NULL, &id, err) < 0)
    return -1;
  *ret = st_id_value(&id);
  return st_catalog_learn_manifest(t->catalog, &id, bytes.data, bytes.length, err);
}

/* The text of that column, malloc'ed; NULL where there is none. */
static char *text_of(const struct st_row *row, const char *name)
{
  const struct st_table *d = &row->table->declaration;
  for (size_t i = 0; i < d->ncolumns; i++) {
    const struct st_value *v = &row->values[i];
    if (strcmp(d->columns[i].name, name) == 0 && v->type == ST_TEXT)
      return st_memdup(v->u.bytes.data, v->u.bytes.length);
  }
  return NULL;
}

static int is_kept(struct st_observation *o, const struct st_row *row, struct st_error *err)
{
  ST_AUTO_FREE char *name = text_of(row, "name");
  ST_AUTO_FREE char *version = text_of(row, "version");
  ST_AUTO_FREE char *architecture = text_of(row, "architecture");
  if (!name || !version || !architecture)
    return 0;
  const struct st_packages *packages = st_tracker_packages(o->tracker, err);
  if (!packages)
    return -1;
  return st_packages_find(packages, name, version, architecture) != NULL;
}

/* Whether a better manifest than the known one may be had: that was made from what was there, and
 * the package's file is kept now.  A look at the live system stays with what is known. */
static int may_be_better(struct st_observation *o, const struct st_row *row, int column,
                         struct st_error *err)
{
  const struct st_value *known = &row->values[column];
  if (!o->keep || known->type != ST_ID)
    return 0;
  int observed = st_catalog_is_observed(o->tracker->catalog, &known->u.id, err);
  return observed > 0 ? is_kept(o, row, err) : observed;
}

/* What the plug-in says of the row's package; a manifest takes the place of `better` alone where
 * that is set, and only if it is none of that kind.  1: the plug-in failed, with words in `why`. */
static int ask_expected(struct st_observation *o, struct st_part *part, struct st_row *row,
                        int column, bool better, struct st_error *why, struct st_error *err)
{
  const struct st_plugin *p = part->plugin->plugin;
  struct st_value known = row->values[column];
  ST_CLEANUP(st_manifest_freep) struct st_manifest *m = st_manifest_new(o->tracker->catalog, false);
  row->values[column] = st_null();
  int r = p->expected(part->plugin->self, row->table->declaration.name, row->values, m, why);
  row->values[column] = known;
  if (r != 0 || (better && st_manifest_is_observed(m)))
    return r < 0;
  return learn(o, m, &row->values[column], err);
}

/* Whether a package of which nothing was known is to be asked for again: where rules or plug-ins
 * are others than they were, as an older plug-in may have known less. */
static int may_be_known(struct st_observation *o, const struct st_row *row, int column,
                        struct st_error *err)
{
  if (row->values[column].type == ST_NULL)
    return o->keep && !o->current;
  return may_be_better(o, row, column, err);
}

/* A package whose row says nothing of its manifest keeps the one it had; a new or changed one is
 * asked for.  1: the plug-in failed. */
static int fill_manifest(struct st_observation *o, struct st_part *part, struct st_row *row,
                         struct st_error *why, struct st_error *err)
{
  int column = manifest_column(row->table);
  if (!part->plugin->plugin->expected || column < 0 || row->values[column].type != ST_NULL)
    return 0;
  struct st_catalog *c = o->tracker->catalog;
  ST_CLEANUP(st_fact_freep) struct st_fact_row *known = NULL;
  int64_t latest = st_catalog_latest(c);
  if (latest > 0 && st_catalog_fact(c, latest, row->table, row->values, &known, err) < 0)
    return -1;
  bool same = known && same_but_manifest(row, known, column);
  if (same)
    row->values[column] = known->values[column];
  int r = same ? may_be_known(o, row, column, err) : 1;
  bool better = row->values[column].type != ST_NULL;
  return r > 0 ? ask_expected(o, part, row, column, better, why, err) : r;
}

static int fill_manifests(struct st_observation *o, struct st_part *part, struct st_error *why,
                          struct st_error *err)
{
  int r = 0;
  for (size_t i = 0; i < part->collected.count && r == 0; i++)
    r = fill_manifest(o, part, &part->collected.rows[i], why, err);
  return r;
}

/* ---- Packages do not vanish all at once ------------------------------------------------------ */

static int count_row(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)fact;
  (void)err;
  ++*(int64_t *)arg;
  return 0;
}

static int any_known(struct st_catalog *c, const struct st_catalog_table *table,
                     const struct st_facts *facts, struct st_error *err)
{
  for (size_t i = 0; i < facts->count; i++) {
    ST_CLEANUP(st_fact_freep) struct st_fact_row *known = NULL;
    if (facts->rows[i].table != table)
      continue;
    if (st_catalog_fact(c, st_catalog_latest(c), table, facts->rows[i].values, &known, err) < 0)
      return -1;
    if (known->present)
      return 1;
  }
  return 0;
}

static int check_packages(struct st_observation *o, const struct st_catalog_table *table,
                          const struct st_facts *facts, struct st_error *err)
{
  struct st_catalog *c = o->tracker->catalog;
  int64_t latest = st_catalog_latest(c), count = 0;
  if (!(table->declaration.flags & ST_TABLE_PACKAGES) || latest == 0)
    return 0;
  int known = any_known(c, table, facts, err);
  if (known != 0)
    return known < 0 ? known : 0;
  if (st_catalog_each(c, latest, table, NULL, count_row, &count, err) < 0)
    return -1;
  if (count == 0)
    return 0;
  return st_fail(err, 0, "none of the %lld packages known before is in the package database",
                 (long long)count);
}

/* ---- One plug-in ------------------------------------------------------------------------------
 */

static const struct st_catalog_table *table_of(struct st_observation *o, struct st_loaded *l,
                                               const struct st_table *table)
{
  ST_AUTO_FREE char *full = st_format("%s_%s", l->name, table->name);
  return st_catalog_table(o->tracker->catalog, full);
}

static int check_tables(struct st_observation *o, struct st_part *part, struct st_error *err)
{
  for (const struct st_table *t = part->plugin->plugin->tables; t->name; t++) {
    const struct st_catalog_table *table = table_of(o, part->plugin, t);
    if (!(t->flags & ST_TABLE_ENTRY) && check_packages(o, table, &part->collected, err) < 0)
      return -1;
  }
  return 0;
}

static int put_table(struct st_observation *o, struct st_part *part,
                     const struct st_catalog_table *table, struct st_error *err)
{
  struct st_catalog *c = o->tracker->catalog;
  if (st_catalog_sweep(c, table, err) < 0)
    return -1;
  for (size_t i = 0; i < part->collected.count; i++) {
    struct st_row *row = &part->collected.rows[i];
    if (row->table != table)
      continue;
    if (st_catalog_put(c, table, row->values, err) < 0)
      return -1;
  }
  return st_catalog_swept(c, table, NULL, NULL, err);
}

static int put_collected(struct st_observation *o, struct st_part *part, struct st_error *err)
{
  for (const struct st_table *t = part->plugin->plugin->tables; t->name; t++) {
    const struct st_catalog_table *table = table_of(o, part->plugin, t);
    if (!(t->flags & ST_TABLE_ENTRY) && put_table(o, part, table, err) < 0)
      return -1;
  }
  return 0;
}

static struct st_facts new_facts(struct st_observation *o, struct st_part *part)
{
  return (struct st_facts){.tracker = o->tracker, .plugin = part->plugin, .keep = o->keep};
}

static int fail_part(struct st_observation *o, struct st_part *part, struct st_error *why,
                     struct st_error *err)
{
  part->failed = true;
  o->again = true;
  return st_observe_missed(o, part->plugin->name, "", st_error_text(why), err);
}

/* ---- Nothing changed ------------------------------------------------------------------------- */

static uint8_t *kept_memo(struct st_observation *o, const struct st_part *part)
{
  unsigned bit = part->plugin->bit;
  return bit < ST_INDEX_MEMOS ? st_index_memos(o->index)->digests[bit] : NULL;
}

/* What st_unchanged compares with, from the last checkpoint. */
static void begin_memo(struct st_observation *o, struct st_part *part)
{
  static const uint8_t none[ST_DIGEST_SIZE];
  struct st_memo *memo = part->plugin->context.memo;
  uint8_t *kept = kept_memo(o, part);
  *memo = (struct st_memo){0};
  if (!kept)
    return;
  memo->has_known =
      o->current && !o->elsewhere && !o->full && memcmp(kept, none, ST_DIGEST_SIZE) != 0;
  memcpy(memo->known, kept, ST_DIGEST_SIZE);
  if (!memo->has_known)
    memcpy(kept, none, ST_DIGEST_SIZE);
}

/* The rows became facts. */
static void keep_memo(struct st_observation *o, struct st_part *part)
{
  struct st_memo *memo = part->plugin->context.memo;
  uint8_t *kept = kept_memo(o, part);
  if (!memo->has_given)
    memset(memo->given, 0, ST_DIGEST_SIZE);
  memcpy(memo->known, memo->given, ST_DIGEST_SIZE);
  memo->has_known = memo->has_given;
  if (kept)
    memcpy(kept, memo->given, ST_DIGEST_SIZE);
}

/* 0, ST_UNCHANGED, or negative. */
static int call_collect(struct st_part *part, struct st_facts *facts, struct st_error *why)
{
  struct st_loaded *l = part->plugin;
  struct st_memo *memo = l->context.memo;
  memo->has_given = memo->was_same = false;
  int r = l->plugin->collect(l->self, facts, why);
  if (r == ST_UNCHANGED && (!memo->was_same || facts->count > 0))
    return st_fail(why, 0, "it says that nothing changed, but was not told so");
  return r > 0 && r != ST_UNCHANGED ? 0 : r;
}

struct better {
  struct st_observation *o;
  struct st_facts rows;
};

static int note_better(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  struct better *b = arg;
  const struct st_row row = {fact->table, fact->values};
  int r = may_be_better(b->o, &row, manifest_column(fact->table), err);
  if (r > 0)
    st_facts_add(&b->rows, fact->table, fact->values);
  return r < 0 ? r : 0;
}

/* Of packages that are as they were, better manifests than they had. */
static int put_better(struct st_observation *o, struct st_part *part, struct st_facts *rows,
                      struct st_error *why, struct st_error *err)
{
  int r = 0;
  for (size_t i = 0; i < rows->count && r == 0; i++) {
    struct st_row *row = &rows->rows[i];
    r = ask_expected(o, part, row, manifest_column(row->table), true, why, err);
    if (r == 0 && st_catalog_put(o->tracker->catalog, row->table, row->values, err) < 0)
      return -1;
  }
  return r;
}

/* 1: the plug-in failed. */
static int keep_known(struct st_observation *o, struct st_part *part, struct st_error *why,
                      struct st_error *err)
{
  struct better b = {.o = o};
  struct st_catalog *c = o->tracker->catalog;
  int r = 0;
  for (const struct st_catalog_table **t = part->plugin->tables; *t && r == 0; t++) {
    bool has = !((*t)->declaration.flags & ST_TABLE_ENTRY) && manifest_column(*t) >= 0;
    if (has && o->keep && part->plugin->plugin->expected)
      r = st_catalog_each(c, st_catalog_latest(c), *t, NULL, note_better, &b, err);
  }
  if (r == 0)
    r = put_better(o, part, &b.rows, why, err);
  st_facts_clear(&b.rows);
  return r;
}

static bool keeps_packages(const struct st_plugin *p)
{
  for (const struct st_table *t = p->tables; t->name; t++) {
    if (t->flags & ST_TABLE_PACKAGES)
      return true;
  }
  return false;
}

/* ---- Package files that caches still have ------------------------------------------------------
 */

struct known {
  struct st_installed_list list;
  const struct st_packages *packages;
};

static int on_known(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  struct known *k = arg;
  st_installed_add(&k->list, k->packages, fact);
  return 0;
}

/* The plug-in's packages, as it told them now, or as they are known. */
static int gather_known(struct st_observation *o, struct st_part *part, struct known *k,
                        struct st_error *err)
{
  struct st_catalog *c = o->tracker->catalog;
  k->packages = st_tracker_packages(o->tracker, err);
  if (!k->packages)
    return -1;
  for (const struct st_catalog_table **t = part->plugin->tables; part->unchanged && *t; t++)
    if (((*t)->declaration.flags & ST_TABLE_PACKAGES) &&
        st_catalog_each(c, st_catalog_latest(c), *t, NULL, on_known, k, err) < 0)
      return -1;
  for (size_t i = 0; i < part->collected.count; i++) {
    const struct st_row *row = &part->collected.rows[i];
    const struct st_fact_row fact = {.table = row->table, .values = row->values};
    if (row->table->declaration.flags & ST_TABLE_PACKAGES)
      st_installed_add(&k->list, k->packages, &fact);
  }
  return 0;
}

/* Before manifests are asked for, as a package's own file makes the better one.  What goes wrong
 * here is no reason to have no checkpoint. */
static void sweep_caches(struct st_observation *o, struct st_part *part)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (!o->keep || o->tracker->conf->caches.count == 0 || !keeps_packages(part->plugin->plugin))
    return;
  struct known k = {0};
  if (gather_known(o, part, &k, &why) < 0 || st_sweep_caches(o->tracker, &k.list, &why) < 0)
    st_log(ST_LOG_WARNING, "package files of caches are not kept: %s", st_error_text(&why));
  st_installed_clear(&k.list);
}

static int collect_one(struct st_observation *o, struct st_part *part, struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  part->collected = new_facts(o, part);
  if (!part->plugin->plugin->collect)
    return 0;
  begin_memo(o, part);
  int r = call_collect(part, &part->collected, &why);
  part->unchanged = r == ST_UNCHANGED;
  if (r < 0 || (!part->unchanged && check_tables(o, part, &why) < 0))
    return fail_part(o, part, &why, err);
  sweep_caches(o, part);
  r = (part->unchanged ? keep_known : fill_manifests)(o, part, &why, err);
  if (r != 0)
    return r < 0 ? r : fail_part(o, part, &why, err);
  if (part->unchanged)
    return 0;
  if (put_collected(o, part, err) < 0)
    return -1;
  keep_memo(o, part);
  return 0;
}

int st_observe_collect(struct st_observation *o, struct st_error *err)
{
  for (size_t i = 0; i < o->tracker->host.count; i++) {
    struct st_part *part = &o->parts[i];
    if (!part->failed && collect_one(o, part, err) < 0)
      return st_wrap(err, "plug-in %s", part->plugin->name);
  }
  return 0;
}

/* ---- Behind the walk: did a package transaction run meanwhile? ----------------------------------
 */

/* The manifests' columns were filled in for the first time's rows, so they are left out. */
static bool same_rows(const struct st_facts *before, const struct st_facts *after)
{
  if (before->count != after->count)
    return false;
  for (size_t r = 0; r < before->count; r++) {
    const struct st_catalog_table *table = before->rows[r].table;
    int skip = manifest_column(table);
    if (table != after->rows[r].table)
      return false;
    for (size_t i = 0; i < table->declaration.ncolumns; i++) {
      if ((int)i != skip && !st_value_equal(&before->rows[r].values[i], &after->rows[r].values[i]))
        return false;
    }
  }
  return true;
}

/* Whether these rows are the facts: where the first call said that nothing had changed. */
static int same_as_known(struct st_observation *o, struct st_part *part,
                         const struct st_facts *after, struct st_error *err)
{
  struct st_catalog *c = o->tracker->catalog;
  int64_t known_rows = 0;
  for (const struct st_catalog_table **t = part->plugin->tables; *t; t++) {
    bool entries = (*t)->declaration.flags & ST_TABLE_ENTRY;
    if (!entries && st_catalog_each(c, ST_LIVE, *t, NULL, count_row, &known_rows, err) < 0)
      return -1;
  }
  if (known_rows != (int64_t)after->count)
    return 0;
  for (size_t i = 0; i < after->count; i++) {
    const struct st_row *row = &after->rows[i];
    ST_CLEANUP(st_fact_freep) struct st_fact_row *known = NULL;
    if (st_catalog_fact(c, ST_LIVE, row->table, row->values, &known, err) < 0)
      return -1;
    if (!same_but_manifest(row, known, manifest_column(row->table)))
      return 0;
  }
  return 1;
}

static int collect_one_again(struct st_observation *o, struct st_part *part, struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_facts again = new_facts(o, part);
  int r = call_collect(part, &again, &why);
  int same = r == ST_UNCHANGED;
  if (r == 0 && part->unchanged)
    same = same_as_known(o, part, &again, err);
  else if (r == 0)
    same = same_rows(&part->collected, &again);
  st_facts_clear(&again);
  if (same != 0)
    return same < 0 ? -1 : 0;
  o->again = true;
  return st_observe_missed(o, part->plugin->name, "",
                           "packages changed while the checkpoint was made", err);
}

int st_observe_collect_again(struct st_observation *o, struct st_error *err)
{
  for (size_t i = 0; i < o->tracker->host.count; i++) {
    struct st_part *part = &o->parts[i];
    if (part->failed || !part->plugin->plugin->collect || !keeps_packages(part->plugin->plugin))
      continue;
    if (collect_one_again(o, part, err) < 0)
      return -1;
  }
  return 0;
}
