/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/world.h"

#include <limits.h>
#include <string.h>

#include "restore/live.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"

/* ---- The core's tables ----------------------------------------------------------------------- */

/* The bytes of a column, malloc'ed; "" where it has none. */
static char *column_string(const struct st_fact_row *fact, size_t n)
{
  const struct st_value *v = &fact->values[n];
  bool bytes = v->type == ST_TEXT || v->type == ST_BYTES || v->type == ST_PATH;
  return st_memdup(bytes ? v->u.bytes.data : "", bytes ? v->u.bytes.length : 0);
}

static int each_core(struct st_tracker *t, int64_t number, const char *name, st_fact_fn *fn,
                     void *arg, struct st_error *err)
{
  const struct st_catalog_table *table = st_catalog_table(t->catalog, name);
  return table ? st_catalog_each(t->catalog, number, table, NULL, fn, arg, err) : 0;
}

static int add_mount(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  struct st_world_mounts *m = arg;
  m->items = st_realloc(m->items, m->count + 1, sizeof(*m->items));
  m->items[m->count++] = (struct st_world_mount){
      .path = column_string(fact, 0),
      .entered = fact->values[2].type == ST_INTEGER && fact->values[2].u.integer,
  };
  return 0;
}

/* Only the plug-ins whose facts say what an entry is. */
static bool matters(const char *plugin)
{
  static const char *const plugins[] = {"", "standard_track", "checksum_track"};
  for (size_t i = 0; i < ST_COUNT(plugins); i++) {
    if (strcmp(plugin, plugins[i]) == 0)
      return true;
  }
  return false;
}

static int add_gap(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  struct st_world_gaps *g = arg;
  ST_AUTO_FREE char *plugin = column_string(fact, 0);
  if (!matters(plugin))
    return 0;
  g->items = st_realloc(g->items, g->count + 1, sizeof(*g->items));
  g->items[g->count++] = (struct st_world_gap){column_string(fact, 1), column_string(fact, 2)};
  return 0;
}

struct rules_then {
  struct st_rules *own, *excluded, *generated;
};

static int add_rule(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  struct rules_then *r = arg;
  ST_AUTO_FREE char *plugin = column_string(fact, 0), *kind = column_string(fact, 1),
                    *pattern = column_string(fact, 2);
  bool ours = strcmp(plugin, "standard_track") == 0;
  if (ours && strcmp(kind, "track") == 0)
    return st_rules_add(r->own, ST_RULE_TRACK, pattern, "then", NULL, err);
  if (ours && strcmp(kind, "exclude") == 0)
    return st_rules_add(r->own, ST_RULE_EXCLUDE, pattern, "then", NULL, err);
  if (!*plugin && strcmp(kind, "excluded") == 0)
    return st_rules_add(r->excluded, ST_RULE_EXCLUDE, pattern, "then", NULL, err);
  if (!*plugin && strcmp(kind, "generated") == 0)
    return st_rules_add(r->generated, ST_RULE_EXCLUDE, pattern, "then", NULL, err);
  return 0;
}

static int read_rules_then(struct st_world *w, struct st_error *err)
{
  struct rules_then r = {st_rules_new(), st_rules_new(), st_rules_new()};
  int result = each_core(w->tracker, w->checkpoint, ST_CORE_RULE, add_rule, &r, err);
  w->scope_then = st_scope_new();
  st_scope_set_excluded(w->scope_then, r.excluded);
  st_scope_set_generated(w->scope_then, r.generated);
  st_scope_add(w->scope_then, r.own);
  return result;
}

/* The store as a path below the root, where it lies there. */
static char *store_below(const struct st_tracker *t)
{
  char root[PATH_MAX], store[PATH_MAX];
  if (!realpath(t->root_path, root) || !realpath(t->store_path, store))
    return NULL;
  size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);
  return strncmp(store, root, n) == 0 && store[n] == '/' ? st_strdup(store + n) : NULL;
}

int st_world_open(struct st_world *ret, struct st_tracker *t, int64_t checkpoint, bool clone,
                  struct st_error *err)
{
  *ret = (struct st_world){
      .tracker = t, .checkpoint = checkpoint, .clone = clone, .store = store_below(t)};
  if (each_core(t, ST_LIVE, ST_CORE_MOUNT, add_mount, &ret->mounts, err) < 0 ||
      each_core(t, ST_LIVE, ST_CORE_UNOBSERVED, add_gap, &ret->gaps, err) < 0)
    return -1;
  if (checkpoint == 0)
    return 0;
  if (each_core(t, checkpoint, ST_CORE_MOUNT, add_mount, &ret->mounts_then, err) < 0 ||
      each_core(t, checkpoint, ST_CORE_UNOBSERVED, add_gap, &ret->gaps_then, err) < 0)
    return -1;
  return read_rules_then(ret, err);
}

static void free_mounts(struct st_world_mounts *m)
{
  for (size_t i = 0; i < m->count; i++)
    free(m->items[i].path);
  free(m->items);
}

static void free_gaps(struct st_world_gaps *g)
{
  for (size_t i = 0; i < g->count; i++) {
    free(g->items[i].path);
    free(g->items[i].reason);
  }
  free(g->items);
}

void st_world_close(struct st_world *w)
{
  free(w->store);
  free(w->beside);
  if (w->scope_then)
    st_scope_free(w->scope_then);
  free_mounts(&w->mounts);
  free_mounts(&w->mounts_then);
  free_gaps(&w->gaps);
  free_gaps(&w->gaps_then);
  *w = (struct st_world){0};
}

/* ---- What may not be touched ------------------------------------------------------------------
 */

/* The innermost mount point at or above the path, or NULL. */
static const struct st_world_mount *mount_above(const struct st_world_mounts *m, const char *path)
{
  const struct st_world_mount *found = NULL;
  for (size_t i = 0; i < m->count; i++) {
    if (st_path_below(path, m->items[i].path) &&
        (!found || strlen(m->items[i].path) > strlen(found->path)))
      found = &m->items[i];
  }
  return found;
}

const char *st_world_mount_of(const struct st_world *w, const char *path)
{
  const struct st_world_mount *m = mount_above(&w->mounts, path);
  return m ? m->path : "/";
}

static const char *gap_above(const struct st_world_gaps *g, const char *path)
{
  for (size_t i = 0; i < g->count; i++) {
    if (!*g->items[i].path || st_path_below(path, g->items[i].path))
      return g->items[i].reason;
  }
  return NULL;
}

static char *forbidden_by_mounts(const struct st_world *w, const char *path, bool deleting)
{
  const struct st_world_mount *m = mount_above(&w->mounts, path);
  if (m && !m->entered)
    return st_format("another file system is mounted at %s", st_quote(m->path));
  if (m && deleting && strcmp(m->path, path) == 0)
    return st_strdup("it is a mount point");
  m = deleting ? mount_above(&w->mounts_then, path) : NULL;
  if (m && !m->entered)
    return st_format("another file system was mounted at %s then", st_quote(m->path));
  return NULL;
}

static char *forbidden_by_gaps(const struct st_world *w, const char *path, bool deleting)
{
  const char *why = gap_above(&w->gaps, path);
  if (why)
    return st_format("it could not be seen: %s", why);
  why = deleting ? gap_above(&w->gaps_then, path) : NULL;
  return why ? st_format("it could not be seen then: %s", why) : NULL;
}

static char *forbidden_by_rules(const struct st_world *w, const char *path, bool is_dir,
                                bool deleting, bool *ret_intended)
{
  *ret_intended = true;
  if (w->clone && st_tracker_listed(w->tracker, ST_CONF_IDENTITY, path, is_dir))
    return st_strdup("it is the machine's identity, and stays");
  struct st_scope_verdict now = st_scope_match(w->tracker->scope, path, is_dir);
  if (now.generated)
    return st_strdup("it is generated, and made again rather than restored");
  if (now.plugins == 0)
    return st_strdup("the rules of now do not track it");
  if (deleting && st_scope_match(w->scope_then, path, is_dir).plugins == 0)
    return st_strdup("the rules of then did not track it");
  *ret_intended = false;
  return NULL;
}

/* As st_normal_path leaves it: a catalog that somebody else made may have others. */
static bool is_normal(const char *path)
{
  if (*path != '/')
    return false;
  for (const char *at = path; at; at = strchr(at + 1, '/')) {
    const char *name = at + 1;
    size_t n = *name == '.' ? 1 + (name[1] == '.') : 0; /* "." or "..", if that is all of it */
    if (name[n] == '/' || (!name[n] && name[0] != 0 && n > 0) || (!*name && at != path))
      return false;
  }
  return true;
}

static char *forbidden(void *arg, const char *path, bool is_dir, bool deleting, bool *ret_intended)
{
  const struct st_world *w = arg;
  *ret_intended = false;
  if (!is_normal(path))
    return st_strdup("it is no path in its normal form");
  *ret_intended = true;
  if (deleting && strcmp(path, "/") == 0)
    return st_strdup("it is the root");
  if (w->store && (st_path_below(path, w->store) || (deleting && st_path_below(w->store, path))))
    return st_strdup("the store lies there");
  *ret_intended = false;
  char *why = forbidden_by_mounts(w, path, deleting);
  if (why || w->checkpoint == 0)
    return why;
  why = forbidden_by_gaps(w, path, deleting);
  return why ? why : forbidden_by_rules(w, path, is_dir, deleting, ret_intended);
}

/* ---- The plan's other questions ---------------------------------------------------------------
 */

static int children(void *arg, const char *path, struct st_strings *ret, struct st_error *err)
{
  const struct st_world *w = arg;
  ST_AUTO_STRINGS all = {0};
  if (st_live_children(w->tracker->root, path, &all, err) < 0)
    return -1;
  for (size_t i = 0; i < all.count; i++) {
    if (!w->beside || strncmp(all.items[i], w->beside, strlen(w->beside)) != 0)
      st_strings_add(ret, all.items[i]);
  }
  return 0;
}

static bool uid(void *arg, const char *name, uint32_t *ret)
{
  const struct st_world *w = arg;
  return !w->users_fixed && st_account_uid(w->tracker->accounts, name, ret);
}

static bool gid(void *arg, const char *name, uint32_t *ret)
{
  const struct st_world *w = arg;
  return !w->groups_fixed && st_account_gid(w->tracker->accounts, name, ret);
}

struct st_plan_world st_world_callbacks(struct st_world *w)
{
  return (struct st_plan_world){w, forbidden, children, uid, gid};
}
