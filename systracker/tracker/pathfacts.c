/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/pathfacts.h"

#include <string.h>

#include "systracker/tracker/render-internal.h"

void st_path_facts_clear(struct st_path_facts *f)
{
  for (size_t i = 0; i < f->count; i++)
    st_fact_free(f->facts[i]);
  st_packaged_clear(&f->package);
  free(f->unobserved);
}

/* ---- Read ---------------------------------------------------------------------------------------
 */

static bool is_secret(const struct st_fact_row *fact)
{
  const struct st_change change = {
      .table = fact->table->name, .declaration = &fact->table->declaration, .after = fact->values};
  return st_change_is_secret(&change);
}

static void look_for_object(struct st_tracker *t, const struct st_fact_row *fact,
                            struct st_path_facts *f)
{
  const struct st_table *d = &fact->table->declaration;
  for (size_t i = 0; i < d->ncolumns; i++) {
    const struct st_value *v = &fact->values[i];
    if (!(d->columns[i].flags & ST_OBJECT) || v->type != ST_ID || !st_store_has(t->store, &v->u.id))
      continue;
    f->kept = true;
    f->kept_length = st_store_length(t->store, &v->u.id);
  }
}

/* Whether the digest is the one that the package declares. */
static void compare_digest(const struct st_fact_row *fact, struct st_path_facts *f)
{
  const struct st_table *d = &fact->table->declaration;
  for (size_t i = 0; i < d->ncolumns; i++)
    if (strcmp(d->columns[i].name, "digest") == 0 && fact->values[i].type == ST_ID)
      f->as_packaged = f->package.has_content && !fact->values[i].u.id.keyed &&
                       memcmp(fact->values[i].u.id.digest, f->package.content.digest,
                              sizeof(f->package.content.digest)) == 0;
}

static int find_package(struct st_tracker *t, const char *path, struct st_path_facts *f,
                        struct st_error *err)
{
  int found = st_packaged_find(t, f->number, path, &f->package, err);
  if (found <= 0)
    return found;
  f->observed = st_packaged_is_observed(t, &f->package);
  int kept = st_packaged_is_kept(t, &f->package, err);
  f->package_kept = kept > 0;
  for (size_t i = 0; i < f->count; i++)
    compare_digest(f->facts[i], f);
  return kept;
}

static int read_facts(struct st_tracker *t, const char *path, struct st_path_facts *f,
                      struct st_error *err)
{
  struct st_value key = st_path_value(path);
  const struct st_catalog_table *table;
  bool by_rule = t->secret && st_rules_match(t->secret, path, false);
  for (size_t n = 0; f->count < ST_COUNT(f->facts) && (table = st_catalog_table_at(t->catalog, n));
       n++) {
    ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
    if (!(table->declaration.flags & ST_TABLE_ENTRY))
      continue;
    if (st_catalog_fact(t->catalog, f->number, table, &key, &fact, err) < 0)
      return -1;
    if (!fact->present)
      continue;
    f->secret |= is_secret(fact) || (by_rule && st_table_has_ids(&fact->table->declaration));
    look_for_object(t, fact, f);
    f->facts[f->count++] = st_steal(&fact);
  }
  return find_package(t, path, f, err) < 0 ? -1 : 0;
}

int st_path_facts_read(struct st_tracker *t, int64_t number, const char *path,
                       struct st_path_facts *ret, struct st_error *err)
{
  *ret = (struct st_path_facts){.number = number};
  if (read_facts(t, path, ret, err) < 0) {
    st_path_facts_clear(ret);
    *ret = (struct st_path_facts){0};
    return -1;
  }
  ret->unobserved = st_catalog_unobserved(t->catalog, number, path);
  return 0;
}

/* ---- Told ---------------------------------------------------------------------------------------
 */

bool st_path_facts_hide(const struct st_path_facts *f, const struct st_fact_row *fact)
{
  return f->secret && st_table_has_ids(&fact->table->declaration);
}

const char *st_path_facts_source(const struct st_path_facts *f)
{
  if (f->kept)
    return "store";
  return f->as_packaged && f->package_kept ? "package file" : NULL;
}

static json_t *fact_json(const struct st_path_facts *f, const struct st_fact_row *fact)
{
  const struct st_change change = {
      .table = fact->table->name, .declaration = &fact->table->declaration, .after = fact->values};
  json_t *o = json_object();
  json_object_set_new(o, "table", json_string(fact->table->name));
  json_object_set_new(o, "since", json_integer(fact->since));
  json_object_set_new(o, "expected", json_boolean(fact->expected));
  if (st_path_facts_hide(f, fact)) {
    json_object_set_new(o, "secret", json_true());
    return o;
  }
  json_t *row = st_render_json(NULL, &change, true), *columns = json_object();
  const char *name;
  json_t *pair;
  json_object_foreach(json_object_get(row, "columns"), name, pair)
      json_object_set(columns, name, json_array_get(pair, 1));
  json_decref(row);
  json_object_set_new(o, "columns", columns);
  return o;
}

static json_t *package_json(const struct st_path_facts *f)
{
  if (!f->package.name)
    return json_null();
  json_t *o = st_packaged_json(&f->package);
  json_object_set_new(o, "since", json_integer(f->package.since));
  json_object_set_new(o, "manifest", json_string(f->observed ? "observed" : "package"));
  json_object_set_new(o, "file", json_string(f->package_kept ? "kept" : "missing"));
  return o;
}

void st_path_facts_json(const struct st_path_facts *f, json_t *o)
{
  const char *source = st_path_facts_source(f);
  json_t *facts = json_array();
  for (size_t i = 0; i < f->count; i++)
    json_array_append_new(facts, fact_json(f, f->facts[i]));
  json_object_set_new(o, "checkpoint", json_integer(f->number));
  json_object_set_new(o, "facts", facts);
  json_object_set_new(o, "secret", json_boolean(f->secret));
  json_object_set_new(o, "kept", json_boolean(f->kept));
  json_object_set_new(o, "package", package_json(f));
  json_object_set_new(o, "content", source ? json_string(source) : json_null());
  json_object_set_new(o, "unobserved", f->unobserved ? st_json_words(f->unobserved) : json_null());
}
