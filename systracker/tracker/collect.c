/* SPDX-License-Identifier: GPL-2.0-or-later */
/* collect.c - `collect` of each plug-in: facts about what is no file, packages above all. */
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/tracker/observe.h"

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

/* A package whose row says nothing of its manifest keeps the one it had; a new or changed one is
 * asked for. */
static int fill_manifest(struct st_observation *o, struct st_part *part, struct st_row *row,
                         struct st_error *err)
{
  int column = manifest_column(row->table);
  const struct st_plugin *p = part->plugin->plugin;
  if (!p->expected || column < 0 || row->values[column].type != ST_NULL)
    return 0;
  struct st_catalog *c = o->tracker->catalog;
  ST_CLEANUP(st_fact_freep) struct st_fact_row *known = NULL;
  int64_t latest = st_catalog_latest(c);
  if (latest > 0 && st_catalog_fact(c, latest, row->table, row->values, &known, err) < 0)
    return -1;
  if (known && same_but_manifest(row, known, column)) {
    row->values[column] = known->values[column];
    return 0;
  }
  ST_CLEANUP(st_manifest_freep) struct st_manifest *m = st_manifest_new(c, false);
  int r = p->expected(part->plugin->self, row->table->declaration.name, row->values, m, err);
  if (r != 0)
    return r < 0 ? r : 0;
  return learn(o, m, &row->values[column], err);
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
    if (fill_manifest(o, part, row, err) < 0)
      return -1;
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

static int collect_one(struct st_observation *o, struct st_part *part, struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_loaded *l = part->plugin;
  part->collected = new_facts(o, part);
  if (!l->plugin->collect)
    return 0;
  if (l->plugin->collect(l->self, &part->collected, &why) < 0 || check_tables(o, part, &why) < 0)
    return fail_part(o, part, &why, err);
  return put_collected(o, part, err);
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

static bool keeps_packages(const struct st_plugin *p)
{
  for (const struct st_table *t = p->tables; t->name; t++) {
    if (t->flags & ST_TABLE_PACKAGES)
      return true;
  }
  return false;
}

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

static int collect_one_again(struct st_observation *o, struct st_part *part, struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_loaded *l = part->plugin;
  struct st_facts again = new_facts(o, part);
  bool same = l->plugin->collect(l->self, &again, &why) == 0 && same_rows(&part->collected, &again);
  st_facts_clear(&again);
  if (same)
    return 0;
  o->again = true;
  return st_observe_missed(o, l->name, "", "packages changed while the checkpoint was made", err);
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
