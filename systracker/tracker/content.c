/* SPDX-License-Identifier: GPL-2.0-or-later */
/* content.c - the bytes of a file, then and now; and which rules speak of a path. */
#include <fcntl.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/tracker/packaged.h"
#include "systracker/tracker/tracker.h"

/* The first entry table that names an object for the path. */
static int find_object(struct st_tracker *t, int64_t number, const char *path, struct st_id *ret,
                       struct st_error *err)
{
  struct st_value key = st_path_value(path);
  const struct st_catalog_table *table;
  for (size_t n = 0; (table = st_catalog_table_at(t->catalog, n)); n++) {
    if (!(table->declaration.flags & ST_TABLE_ENTRY))
      continue;
    ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
    if (st_catalog_fact(t->catalog, number, table, &key, &fact, err) < 0)
      return -1;
    for (size_t i = 1; fact->present && i < table->declaration.ncolumns; i++) {
      if ((table->declaration.columns[i].flags & ST_OBJECT) && fact->values[i].type == ST_ID) {
        *ret = fact->values[i].u.id;
        return 1;
      }
    }
  }
  return 0;
}

/* The digest that the checkpoint knows of the path: 1; 0: it knows none. */
static int find_digest(struct st_tracker *t, int64_t number, const char *path, struct st_id *ret,
                       struct st_error *err)
{
  const struct st_catalog_table *table = st_catalog_table(t->catalog, "checksum_track_file");
  struct st_value key = st_path_value(path);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
  if (!table)
    return 0;
  if (st_catalog_fact(t->catalog, number, table, &key, &fact, err) < 0)
    return -1;
  if (!fact->present || fact->values[1].type != ST_ID)
    return 0;
  *ret = fact->values[1].u.id;
  return 1;
}

/* Whether any entry table knows the path at all. */
static int is_known(struct st_tracker *t, int64_t number, const char *path, struct st_error *err)
{
  struct st_value key = st_path_value(path);
  const struct st_catalog_table *table;
  for (size_t n = 0; (table = st_catalog_table_at(t->catalog, n)); n++) {
    ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
    if (!(table->declaration.flags & ST_TABLE_ENTRY))
      continue;
    if (st_catalog_fact(t->catalog, number, table, &key, &fact, err) < 0)
      return -1;
    if (fact->present)
      return 1;
  }
  return 0;
}

static int not_there(struct st_tracker *t, int64_t number, const char *path, struct st_error *err)
{
  int known = is_known(t, number, path, err);
  if (known < 0)
    return -1;
  if (known)
    st_refuse(err, "its content is not kept at checkpoint %lld (%s)", (long long)number,
              st_quote(path));
  else
    st_refuse(err, "there was no such path at checkpoint %lld (%s)", (long long)number,
              st_quote(path));
  return 1;
}

/* As its package has it: 1 and an error where the package file is not kept, 2 where the file is not
 * as its package has it, or of none. */
static int packaged_content(struct st_tracker *t, int64_t number, const char *path,
                            const struct st_id *id, st_piece_fn *fn, void *arg,
                            struct st_error *err)
{
  ST_AUTO_PACKAGED p = {0};
  if (id->keyed)
    return 2;
  int found = st_packaged_find(t, number, path, &p, err);
  if (found < 0)
    return -1;
  if (!found || !p.has_content || memcmp(p.content.digest, id->digest, ST_DIGEST_SIZE) != 0)
    return 2;
  int r = st_packaged_content(t, &p, fn, arg, err);
  if (r > 0)
    st_wrap(err, "it is as its package has it (%s)", st_quote(path));
  return r;
}

static int stored_content(struct st_tracker *t, const char *path, const struct st_id *id,
                          st_piece_fn *fn, void *arg, struct st_error *err)
{
  int r = st_store_get_to(t->store, id, fn, arg, err);
  if (r == -ENOENT) {
    st_error_clear(err);
    return st_fail(err, 0,
                   "its content was not fetched, or is lost: `systracker fetch` brings it from an "
                   "archive (%s)",
                   st_quote(path));
  }
  return r < 0 ? st_wrap(err, "%s", st_quote(path)) : 0;
}

int st_tracker_content(struct st_tracker *t, int64_t number, const char *path, bool secrets,
                       st_piece_fn *fn, void *arg, struct st_error *err)
{
  struct st_id id;
  int kept = find_object(t, number, path, &id, err);
  int found = kept == 0 ? find_digest(t, number, path, &id, err) : kept;
  if (found <= 0)
    return found < 0 ? found : not_there(t, number, path, err);
  if ((id.keyed || st_tracker_listed(t, ST_CONF_SECRET, path, false)) && !secrets) {
    st_refuse(err, "it is a secret (%s)", st_quote(path));
    return 1;
  }
  if (st_store_has(t->store, &id))
    return stored_content(t, path, &id, fn, arg, err);
  int r = packaged_content(t, number, path, &id, fn, arg, err);
  if (r != 2)
    return r;
  return kept ? stored_content(t, path, &id, fn, arg, err) : not_there(t, number, path, err);
}

int st_tracker_live_content(struct st_tracker *t, const char *path, size_t max,
                            struct st_buffer *out, struct st_error *err)
{
  struct stat st;
  ST_AUTO_CLOSE int fd =
      st_open_beneath(t->root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0);
  if (fd < 0)
    return st_fail(err, -fd, "cannot open (%s)", st_quote(path));
  if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
    return st_fail(err, 0, "is no regular file (%s)", st_quote(path));
  return st_read_all(fd, max, out, err);
}

/* ---- Live content that is no file ------------------------------------------------------------ */

int st_tracker_live_object(const struct st_tracker *t, const struct st_id *id,
                           struct st_buffer *out)
{
  for (size_t i = 0; i < t->nlive_objects; i++) {
    const struct st_live_object *o = &t->live_objects[i];
    if (!st_id_equal(&o->id, id))
      continue;
    st_buffer_append(out, o->data, o->length);
    return 0;
  }
  return 1;
}

void st_tracker_hold(struct st_tracker *t, const struct st_id *id, const void *data, size_t length)
{
  if (st_store_has(t->store, id))
    return;
  t->live_objects = st_realloc(t->live_objects, t->nlive_objects + 1, sizeof(*t->live_objects));
  t->live_objects[t->nlive_objects++] =
      (struct st_live_object){*id, st_memdup(data, length), length};
}

void st_tracker_forget(struct st_tracker *t)
{
  for (size_t i = 0; i < t->nlive_objects; i++)
    free(t->live_objects[i].data);
  free(t->live_objects);
  t->live_objects = NULL;
  t->nlive_objects = 0;
}

/* ---- Rules --------------------------------------------------------------------------------- */

bool st_tracker_tracked(struct st_tracker *t, size_t n, const char *path, bool is_dir,
                        struct st_tracked *ret)
{
  if (n >= t->host.count)
    return false;
  *ret = (struct st_tracked){.plugin = t->host.plugins[n].name};
  struct st_scope_verdict v = st_scope_match_plugin(t->scope, t->host.plugins[n].bit, path, is_dir);
  ret->tracked = v.plugins != 0;
  ret->rule = v.rule;
  return true;
}

const struct st_rule *st_tracker_listed(struct st_tracker *t, enum st_conf_list list,
                                        const char *path, bool is_dir)
{
  const struct st_rules *lists[ST_CONF_NLISTS] = {
      [ST_CONF_EXCLUDED] = t->excluded,
      [ST_CONF_GENERATED] = t->generated,
      [ST_CONF_SECRET] = t->secret,
      [ST_CONF_IDENTITY] = t->identity,
  };
  /* An archive has the facts of its hosts, and no configuration. */
  return lists[list] ? st_rules_match(lists[list], path, is_dir) : NULL;
}
