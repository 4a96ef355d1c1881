/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/gather.h"

#include <string.h>

#include "restore/frompackages.h"
#include "restore/links.h"
#include "restore/live.h"
#include "restore/report.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/flags.h"
#include "systracker/base/holes.h"
#include "systracker/base/xattr.h"

void st_gathered_free(struct st_gathered *g)
{
  st_places_free(st_steal(&g->places));
  st_wishes_free(&g->wishes);
  st_plan_clear(&g->plugins);
  st_plan_clear(&g->packages);
  st_plan_clear(&g->first);
}

/* The tables of entries that say what a restore puts back. */
enum { ENTRY, DIGEST, KEPT, FACTS };

static const char *const fact_tables[FACTS] = {
    [ENTRY] = "standard_track_entry",
    [DIGEST] = "checksum_track_file",
    [KEPT] = "config_track_file",
};

/* Their columns that count. */
enum column {
  TYPE,
  MODE,
  UID,
  GID,
  OWNER,
  GROUP,
  MTIME,
  MTIME_NSEC,
  RDEV,
  TARGET,
  LINK_GROUP,
  LINKS_OUTSIDE,
  FLAGS,
  XATTRS,
  HOLES,
  DIGEST_OF,
  SIZE,
  OBJECT,
  COLUMNS
};

static const struct {
  size_t fact;
  const char *name;
} columns[COLUMNS] = {
    [TYPE] = {ENTRY, "type"},
    [MODE] = {ENTRY, "mode"},
    [UID] = {ENTRY, "uid"},
    [GID] = {ENTRY, "gid"},
    [OWNER] = {ENTRY, "owner"},
    [GROUP] = {ENTRY, "group"},
    [MTIME] = {ENTRY, "mtime"},
    [MTIME_NSEC] = {ENTRY, "mtime_nsec"},
    [RDEV] = {ENTRY, "rdev"},
    [TARGET] = {ENTRY, "target"},
    [LINK_GROUP] = {ENTRY, "link_group"},
    [LINKS_OUTSIDE] = {ENTRY, "links_outside"},
    [FLAGS] = {ENTRY, "flags"},
    [XATTRS] = {ENTRY, "xattrs"},
    [HOLES] = {ENTRY, "holes"},
    [DIGEST_OF] = {DIGEST, "digest"},
    [SIZE] = {DIGEST, "size"},
    [OBJECT] = {KEPT, "object"},
};

/* What the catalog has of them, looked up once. */
struct facts {
  const struct st_catalog_table *tables[FACTS]; /* NULL: not in the catalog */
  size_t at[COLUMNS];                           /* SIZE_MAX: the table has no such column */
};

static size_t find_column(const struct st_catalog_table *table, const char *name)
{
  const struct st_table *d = table ? &table->declaration : NULL;
  for (size_t i = 0; d && i < d->ncolumns; i++) {
    if (strcmp(d->columns[i].name, name) == 0)
      return i;
  }
  return SIZE_MAX;
}

static void find_facts(struct facts *f, struct st_catalog *c)
{
  for (size_t i = 0; i < FACTS; i++)
    f->tables[i] = st_catalog_table(c, fact_tables[i]);
  for (size_t i = 0; i < COLUMNS; i++)
    f->at[i] = find_column(f->tables[columns[i].fact], columns[i].name);
}

/* How far a state is known. */
struct seen {
  bool fact[FACTS]; /* it was looked for: there or not */
  bool content;     /* some fact of a content is there */
};

/* ---- A state from facts ---------------------------------------------------------------------- */

/* A row of one of the tables. */
struct row {
  const struct facts *facts;
  const struct st_value *values;
};

/* The column's value; NULL where the column or the value is not there. */
static const struct st_value *column(const struct row *row, enum column c)
{
  size_t at = row->facts->at[c];
  return at == SIZE_MAX || row->values[at].type == ST_NULL ? NULL : &row->values[at];
}

static bool integer(const struct st_value *v, int64_t *ret)
{
  if (!v || v->type != ST_INTEGER)
    return false;
  *ret = v->u.integer;
  return true;
}

static char *string(const struct st_value *v)
{
  bool bytes = v && (v->type == ST_TEXT || v->type == ST_BYTES || v->type == ST_PATH);
  return bytes ? st_memdup(v->u.bytes.data, v->u.bytes.length) : NULL;
}

static void fill_id(const struct st_value *v, struct st_state *s)
{
  if (!v || v->type != ST_ID)
    return;
  s->digest = v->u.id;
  s->known |= ST_KNOWN_DIGEST;
}

/* Bytes of a column; false where it has none. */
static bool bytes(const struct st_value *v, const void **ret, size_t *length)
{
  if (!v || v->type != ST_BYTES)
    return false;
  *ret = v->u.bytes.data;
  *length = v->u.bytes.length;
  return true;
}

/* What stat does not say.  Lists that are none, of a chain made elsewhere, are not known. */
static void fill_more(const struct row *row, struct st_state *s)
{
  const void *data;
  size_t length;
  int64_t n;
  if (bytes(column(row, XATTRS), &data, &length) && st_xattrs_valid(data, length))
    st_state_set_xattrs(s, data, length);
  if (bytes(column(row, HOLES), &data, &length) && st_holes_valid(data, length))
    st_state_set_holes(s, data, length);
  if (integer(column(row, FLAGS), &n)) {
    s->flags = (uint32_t)n & ST_FLAGS_ALL;
    s->known |= ST_KNOWN_FLAGS;
  }
  if (bytes(column(row, LINK_GROUP), &data, &length) && !memchr(data, 0, length)) {
    s->links = length ? st_memdup(data, length) : NULL;
    bool outside = integer(column(row, LINKS_OUTSIDE), &n) && n > 0;
    s->links_outside = outside ? (uint64_t)n : 0;
    s->known |= ST_KNOWN_LINKS;
  }
}

static void fill_metadata(const struct row *row, struct st_state *s)
{
  int64_t n;
  const struct st_value *type = column(row, TYPE);
  s->type = type && type->type == ST_TEXT && type->u.bytes.length > 0
                ? *(const char *)type->u.bytes.data
                : 0;
  if (integer(column(row, MODE), &n)) {
    s->mode = (uint32_t)n;
    s->known |= ST_KNOWN_MODE;
  }
  if (integer(column(row, UID), &n)) {
    s->uid = (uint32_t)n;
    s->known |= ST_KNOWN_OWNER;
  }
  if (integer(column(row, GID), &n)) {
    s->gid = (uint32_t)n;
    s->known |= ST_KNOWN_GROUP;
  }
  s->owner = string(column(row, OWNER));
  s->group = string(column(row, GROUP));
  if (integer(column(row, MTIME), &s->mtime)) {
    s->mtime_nsec = integer(column(row, MTIME_NSEC), &n) ? (uint32_t)n : 0;
    s->known |= ST_KNOWN_TIME;
  }
  s->rdev = integer(column(row, RDEV), &n) ? (uint64_t)n : 0;
  s->target = string(column(row, TARGET));
  fill_more(row, s);
}

/* In any order; `values` NULL: there is none. */
static void fill_fact(const struct facts *facts, size_t which, const struct st_value *values,
                      struct seen *seen, struct st_state *s)
{
  const struct row row = {facts, values};
  int64_t size;
  seen->fact[which] = true;
  if (!values)
    return;
  if (which == ENTRY) {
    fill_metadata(&row, s);
    return;
  }
  seen->content = true;
  if (which == DIGEST)
    s->size = integer(column(&row, SIZE), &size) && size > 0 ? (uint64_t)size : 0;
  if (which == DIGEST && !s->kept)
    fill_id(column(&row, DIGEST_OF), s);
  const struct st_value *object = which == KEPT ? column(&row, OBJECT) : NULL;
  if (object) {
    s->kept = true;
    fill_id(object, s);
  }
}

/* Where facts are asked for. */
struct asked {
  struct st_tracker *tracker;
  const struct facts *facts;
  int64_t number;
};

static int ask(const struct asked *a, size_t which, const char *path, struct seen *seen,
               struct st_state *s, struct st_error *err)
{
  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
  const struct st_catalog_table *table = a->facts->tables[which];
  struct st_value key = st_path_value(path);
  if (seen->fact[which])
    return 0;
  if (table && st_catalog_fact(a->tracker->catalog, a->number, table, &key, &fact, err) < 0)
    return -1;
  fill_fact(a->facts, which, fact && fact->present ? fact->values : NULL, seen, s);
  return 0;
}

/* Asks for what the difference did not bring along. */
static int complete(const struct asked *a, const char *path, struct seen *seen, struct st_state *s,
                    struct st_error *err)
{
  if (ask(a, ENTRY, path, seen, s, err) < 0)
    return -1;
  if (s->type != 0 && s->type != 'f')
    return 0;
  if (ask(a, DIGEST, path, seen, s, err) < 0 || ask(a, KEPT, path, seen, s, err) < 0)
    return -1;
  if (s->type == 0 && seen->content)
    s->type = 'f'; /* not tracked by standard_track: content alone is known */
  /* Kept for another path or time is as good. */
  if (s->type == 'f' && (s->known & ST_KNOWN_DIGEST) && !s->kept) {
    s->kept = st_store_has(a->tracker->store, &s->digest);
    s->in_package = !s->kept && a->number != ST_LIVE &&
                    st_from_package_has(a->tracker, a->number, path, &s->digest);
    s->kept |= s->in_package;
  }
  return 0;
}

/* The digest of the live file in the kind of the other state's; a file that cannot be read now
 * stays without one. */
static void digest_like(struct st_world *w, const char *path, const struct st_state *other,
                        struct st_state *live)
{
  if (live->type != 'f' || other->type != 'f' || !(other->known & ST_KNOWN_DIGEST))
    return;
  if ((live->known & ST_KNOWN_DIGEST) && live->digest.keyed == other->digest.keyed)
    return;
  const uint8_t *key = other->digest.keyed ? w->tracker->keys.id_key : NULL;
  st_live_digest(w->tracker->root, path, key, live, NULL);
}

/* Of what is there, facts know the content alone: nobody tracks its metadata, which an undo has to
 * know all the same; or it is gone, and only a plug-in that failed did not see that. */
static int look_at_bare(struct st_world *w, const char *path, struct st_action *wish,
                        struct st_error *err)
{
  struct st_state live;
  if (st_live_state(w->tracker->root, path, NULL, &live, err) < 0)
    return -1;
  if (live.type != 0 && (wish->after.known & ST_KNOWN_MODE)) {
    st_state_clear(&live);
    return 0;
  }
  if (live.type != 0) {
    live.digest = wish->before.digest;
    live.known |= wish->before.known;
  }
  st_state_clear(&wish->before);
  wish->before = live;
  return 0;
}

/* What is known of the two states of a wish. */
struct known {
  struct seen target, live;
  bool whole; /* where all that there was is gone, there is nothing more to ask */
  bool in;    /* what it lies in is a wish, too */
};

/* Of a path that a package declares, attributes that policy sets are no facts. */
static int leave_policy(struct st_world *w, int64_t number, const char *path, struct st_state *s,
                        struct st_error *err)
{
  bool owned;
  struct st_id digest;
  if (!(s->known & ST_KNOWN_XATTRS))
    return 0;
  if (st_catalog_expected_content(w->tracker->catalog, number, path, &owned, &digest, err) < 0)
    return -1;
  s->known |= owned ? ST_KNOWN_NO_POLICY : 0;
  return 0;
}

static int complete_wish(struct st_world *w, const struct facts *facts, struct st_action *wish,
                         struct known *known, struct st_error *err)
{
  const char *path = wish->path;
  const struct asked then = {w->tracker, facts, w->checkpoint}, now = {w->tracker, facts, ST_LIVE};
  if (complete(&then, path, &known->target, &wish->after, err) < 0 ||
      complete(&now, path, &known->live, &wish->before, err) < 0 ||
      leave_policy(w, w->checkpoint, path, &wish->after, err) < 0 ||
      leave_policy(w, ST_LIVE, path, &wish->before, err) < 0)
    return -1;
  wish->after.locked = w->locked && wish->after.digest.keyed;
  if (wish->before.type != 0 && !(wish->before.known & ST_KNOWN_MODE) &&
      look_at_bare(w, path, wish, err) < 0)
    return -1;
  digest_like(w, path, &wish->after, &wish->before);
  return 0;
}

/* The directories above that are missing, or are none.  Those that differ are among the first
 * `sorted` wishes, and have their own turn. */
static int add_parents(struct st_world *w, const struct facts *facts, const char *path,
                       struct st_set *seen, struct st_wishes *out, size_t sorted,
                       struct st_error *err)
{
  const struct asked then = {w->tracker, facts, w->checkpoint};
  ST_AUTO_FREE char *parent = st_strdup(path);
  for (char *slash; (slash = strrchr(parent, '/')) && slash != parent;) {
    *slash = 0;
    const struct st_wishes differing = {.items = out->items, .count = sorted};
    if (!st_set_add(seen, parent, strlen(parent), 0) || st_wishes_find(&differing, parent))
      return 0;
    struct st_state live;
    if (st_live_state(w->tracker->root, parent, NULL, &live, err) < 0)
      return -1;
    if (live.type == 'd') {
      st_state_clear(&live);
      return 0;
    }
    struct st_action *wish = st_wishes_add(out, parent, false);
    wish->before = live;
    struct seen none = {0};
    if (complete(&then, parent, &none, &wish->after, err) < 0)
      return -1;
  }
  return 0;
}

/* ---- What differs ---------------------------------------------------------------------------- */

/* Of some part of the paths, by one thread. */
struct gathering {
  struct st_world *world;
  const struct st_strings *selection;
  struct known *known;    /* of the wishes, one each, in order of paths */
  size_t size;            /* of them, allocated */
  size_t done;            /* of the wishes: nothing more is told of them */
  struct st_set *dirs;    /* wishes for directories */
  struct st_id *contents; /* new ones, that are looked up */
  size_t ncontents, size_contents;
  struct st_gathered *out;
  struct facts facts;
};

static bool is_selected(const struct st_strings *selection, const char *path)
{
  for (size_t i = 0; i < selection->count; i++) {
    if (st_path_below(path, selection->items[i]))
      return true;
  }
  return selection->count == 0;
}

static bool is_path_of(const struct st_action *w, const struct st_value *path)
{
  size_t n = path->u.bytes.length;
  return strncmp(w->path, path->u.bytes.data, n) == 0 && w->path[n] == 0;
}

/* Whether what is above the two is the same: mostly so of neighbours. */
static bool in_one_directory(const char *a, const char *b)
{
  size_t n = (size_t)(strrchr(a, '/') - a);
  return strncmp(a, b, n + 1) == 0 && !strchr(b + n + 1, '/');
}

/* A directory comes before what lies in it.  A catalog that somebody else made may have paths that
 * lie in none. */
static bool lies_in_wish(const struct gathering *g, size_t i)
{
  const char *path = g->out->wishes.items[i]->path;
  const char *before = i > 0 ? g->out->wishes.items[i - 1]->path : "";
  if (*path != '/')
    return false;
  if (*before == '/' && in_one_directory(before, path))
    return g->known[i - 1].in;
  return st_set_get(g->dirs, path, (size_t)(strrchr(path, '/') - path), NULL);
}

static void add_content(struct gathering *g, const struct st_id *id)
{
  if (g->ncontents == g->size_contents) {
    g->size_contents = g->size_contents ? 2 * g->size_contents : 256;
    g->contents = st_realloc(g->contents, g->size_contents, sizeof(*g->contents));
  }
  g->contents[g->ncontents++] = *id;
}

/* All that was to be told of the last wish was told.  What of it needs no more than that, if all
 * that there was is gone, is looked at while it is at hand. */
static void end_wish(struct gathering *g)
{
  size_t i = g->out->wishes.count - 1;
  if (g->done == g->out->wishes.count)
    return;
  g->done = i + 1;
  struct st_action *w = g->out->wishes.items[i];
  struct st_state *t = &w->after;
  bool content = t->type == 'f' && (t->known & ST_KNOWN_DIGEST);
  g->known[i].in = lies_in_wish(g, i);
  g->known[i].whole = t->type != 0 && w->before.type == 0 && (!content || t->kept);
  t->locked = g->world->locked && t->digest.keyed;
  if (t->type == 'd')
    st_set_add(g->dirs, w->path, strlen(w->path), 0);
  if (g->known[i].whole && content && !t->digest.keyed && g->world->look_up)
    add_content(g, &t->digest);
}

/* The wish of that path: the last one, or a new one; NULL: it was not asked for. */
static struct st_action *wish_of(struct gathering *g, const struct st_value *path)
{
  struct st_wishes *out = &g->out->wishes;
  if (out->count > 0 && is_path_of(out->items[out->count - 1], path))
    return out->items[out->count - 1];
  end_wish(g);
  ST_AUTO_FREE char *copy = st_memdup(path->u.bytes.data, path->u.bytes.length);
  if (!is_selected(g->selection, copy))
    return NULL;
  if (out->count == g->size) {
    g->size = g->size ? 2 * g->size : 64;
    g->known = st_realloc(g->known, g->size, sizeof(*g->known));
  }
  g->known[out->count] = (struct known){0};
  return st_wishes_take(out, st_steal(&copy), true);
}

static void gather_entry(struct gathering *g, const struct st_change *change)
{
  const struct st_value *key = change->before ? change->before : change->after;
  struct st_action *wish = wish_of(g, key);
  if (!wish)
    return;
  struct known *known = &g->known[g->out->wishes.count - 1];
  size_t which = 0;
  while (which < FACTS &&
         (!g->facts.tables[which] || change->table != g->facts.tables[which]->name))
    which++;
  if (which == FACTS)
    return;
  fill_fact(&g->facts, which, change->before, &known->target, &wish->after);
  fill_fact(&g->facts, which, change->after, &known->live, &wish->before);
}

/* Whether the table is of a plug-in of packages: what belongs to them without being a file is put
 * back where they are. */
static bool is_of_packages(struct st_catalog *c, const struct st_catalog_table *table)
{
  const struct st_catalog_table *other;
  for (size_t i = 0; (other = st_catalog_table_at(c, i)); i++) {
    if (strcmp(other->plugin, table->plugin) == 0 && (other->declaration.flags & ST_TABLE_PACKAGES))
      return true;
  }
  return false;
}

static bool is_administrators(const struct st_table *d, const struct st_value *row)
{
  for (size_t i = 0; row && i < d->ncolumns; i++) {
    if (strcmp(d->columns[i].name, "package") == 0)
      return row[i].type == ST_TEXT && row[i].u.bytes.length == 1 &&
             memcmp(row[i].u.bytes.data, ":", 1) == 0;
  }
  return !row;
}

/* A diversion that no package asked for: dpkg has to know it before it unpacks.  The others come
 * and go by their packages' own scripts. */
static bool goes_first(const struct st_change *change)
{
  return strcmp(change->table, "dpkg_track_diversion") == 0 &&
         is_administrators(change->declaration, change->before) &&
         is_administrators(change->declaration, change->after);
}

/* What is no entry belongs to a whole restore alone. */
static int gather_other(struct gathering *g, const struct st_change *change, struct st_error *err)
{
  struct st_tracker *t = g->world->tracker;
  const struct st_catalog_table *table = st_catalog_table(t->catalog, change->table);
  if (g->selection->count > 0 || !table || strcmp(table->plugin, "core") == 0)
    return 0;
  struct st_change back = *change;
  back.before = change->after;
  back.after = change->before;
  struct st_plan *out = goes_first(change)                  ? &g->out->first
                        : is_of_packages(t->catalog, table) ? &g->out->packages
                                                            : &g->out->plugins;
  return st_tracker_plan(t, &back, out, err);
}

static int gather_change(void *arg, const struct st_change *change, struct st_error *err)
{
  struct gathering *g = arg;
  if (!(change->declaration->flags & ST_TABLE_ENTRY))
    return gather_other(g, change, err);
  if (!change->packaged || !g->world->leave_packaged)
    gather_entry(g, change);
  return 0;
}

/* Whether the plan is going to put this file's content back. */
static bool is_put_back(const struct st_wishes *wishes, const char *path)
{
  const struct st_action *w = st_wishes_find(wishes, path);
  return w && w->selected && w->after.type == 'f' && w->after.kept &&
         (st_state_differences(&w->after, &w->before) & ST_DIFFERS_SUBSTANCE);
}

static void fix_accounts(struct st_world *world, const struct st_wishes *wishes)
{
  world->users_fixed = is_put_back(wishes, "/etc/passwd");
  world->groups_fixed = is_put_back(wishes, "/etc/group");
}

/* Of paths that were asked for alone: what they are linked to, to know whether it is as it should.
 */
static int add_leader(struct gathering *g, const struct st_action *w, struct st_set *seen,
                      struct st_error *err)
{
  const char *path = w->after.links;
  if (g->selection->count == 0 || !path || !st_set_add(seen, path, strlen(path), 0))
    return 0;
  struct known known = {0};
  struct st_action *leader = st_wishes_add(&g->out->wishes, path, false);
  return complete_wish(g->world, &g->facts, leader, &known, err);
}

static int make_wish(struct gathering *g, size_t i, bool gone, struct st_error *err)
{
  if (gone && g->known[i].whole)
    return 0;
  return complete_wish(g->world, &g->facts, g->out->wishes.items[i], &g->known[i], err);
}

/* `sorted`: of the wishes, those that differ; others come behind them. */
static int make_wishes(struct gathering *g, bool gone, struct st_error *err)
{
  struct st_wishes *out = &g->out->wishes;
  ST_CLEANUP(st_set_freep) struct st_set *seen = st_set_new(), *leaders = st_set_new();
  for (size_t i = 0, n = out->count; i < n; i++) {
    if (make_wish(g, i, gone, err) < 0)
      return -1;
    const struct st_action *w = out->items[i];
    bool made = !g->known[i].in && w->after.type != 0 && w->before.type == 0;
    if (made && add_parents(g->world, &g->facts, w->path, seen, out, n, err) < 0)
      return -1;
    if (g->selection->count > 0 && add_leader(g, w, leaders, err) < 0)
      return -1;
  }
  st_wishes_sort(out);
  fix_accounts(g->world, out);
  return 0;
}

/* ---- By parts -------------------------------------------------------------------------------- */

/* What was gathered of one part, behind those before it. */
static void join(struct gathering *g, struct gathering *part)
{
  size_t count = g->out->wishes.count, more = part->out->wishes.count;
  if (more == 0)
    return;
  g->known = st_realloc(g->known, count + more, sizeof(*g->known));
  memcpy(&g->known[count], part->known, more * sizeof(*g->known));
  st_wishes_append(&g->out->wishes, &part->out->wishes);
}

/* Looks them up beside all that comes. */
static void look_up(struct gathering *parts, size_t n)
{
  const struct st_tracker *t = parts[0].world->look_up;
  struct st_places *places = st_places_new();
  for (size_t i = 0; i < n; i++)
    st_places_add_all(places, parts[i].contents, parts[i].ncontents);
  if (st_places_count(places) > 0)
    st_places_begin(places, t->store_dir, t->store);
  parts[0].out->places = places;
}

static void free_parts(struct gathering *parts, struct st_gathered *outs)
{
  for (size_t i = 0; i < ST_CATALOG_PARTS; i++) {
    free(parts[i].known);
    free(parts[i].contents);
    st_set_free(parts[i].dirs);
    if (i > 0)
      st_gathered_free(&outs[i]);
  }
}

static int gather_parts(struct gathering *parts, struct st_error *err)
{
  const struct st_world *w = parts[0].world;
  struct st_catalog *c = w->tracker->catalog;
  void *args[ST_CATALOG_PARTS];
  bool gone = false;
  for (size_t i = 0; i < ST_CATALOG_PARTS; i++)
    args[i] = &parts[i];
  int r = w->alone ? st_catalog_changes_by_parts(c, w->checkpoint, ST_LIVE, gather_change, args,
                                                 &gone, err)
                   : st_catalog_changes(c, w->checkpoint, ST_LIVE, gather_change, &parts[0], err);
  for (size_t i = 0; i < ST_CATALOG_PARTS; i++)
    end_wish(&parts[i]);
  if (r >= 0 && gone && w->look_up)
    look_up(parts, ST_CATALOG_PARTS);
  for (size_t i = 1; i < ST_CATALOG_PARTS; i++)
    join(&parts[0], &parts[i]);
  return r < 0 ? -1 : make_wishes(&parts[0], gone, err);
}

int st_gather_checkpoint(struct st_world *world, const struct st_strings *paths,
                         struct st_gathered *ret, struct st_error *err)
{
  struct gathering parts[ST_CATALOG_PARTS] = {{.world = world, .selection = paths, .out = ret}};
  struct st_gathered outs[ST_CATALOG_PARTS] = {0};
  find_facts(&parts[0].facts, world->tracker->catalog);
  for (size_t i = 0; i < ST_CATALOG_PARTS; i++) {
    if (i > 0)
      parts[i] = parts[0];
    parts[i].dirs = st_set_new();
    parts[i].out = i > 0 ? &outs[i] : ret;
  }
  int r = gather_parts(parts, err);
  free_parts(parts, outs);
  return r;
}

static int found_one(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)arg;
  (void)fact;
  (void)err;
  return 1;
}

int st_gather_check_path(struct st_world *world, const char *path, struct st_error *err)
{
  struct st_catalog *c = world->tracker->catalog;
  const struct st_catalog_table *table;
  for (size_t n = 0; (table = st_catalog_table_at(c, n)); n++) {
    if (!(table->declaration.flags & ST_TABLE_ENTRY))
      continue;
    int r = st_catalog_each(c, world->checkpoint, table, path, found_one, NULL, err);
    if (r == 0)
      r = st_catalog_each(c, ST_LIVE, table, path, found_one, NULL, err);
    if (r != 0)
      return r < 0 ? -1 : 0;
  }
  return st_refuse(
      err, "%s is tracked neither at checkpoint %lld nor now: `systracker explain` says why",
      st_quote(path), (long long)world->checkpoint);
}

/* ---- From a journal -------------------------------------------------------------------------- */

static int live_of(struct st_world *w, const char *path, const struct st_state *like,
                   const struct st_state *else_like, struct st_state *ret, struct st_error *err)
{
  if (st_live_state(w->tracker->root, path, w->tracker->accounts, ret, err) < 0)
    return -1;
  digest_like(w, path, like->type == 'f' ? like : else_like, ret);
  return 0;
}

int st_gather_journal(struct st_world *world, const struct st_journal *j, bool back,
                      struct st_wishes *ret, struct st_error *err)
{
  for (size_t i = 0; i < j->actions.count; i++) {
    const struct st_action *a = j->actions.items[i];
    const struct st_state *target = back ? &a->before : &a->after;
    struct st_action *w = st_wishes_add(ret, a->path, true);
    st_state_copy(&w->after, target);
    if (live_of(world, a->path, target, back ? &a->after : &a->before, &w->before, err) < 0)
      return -1;
    /* A directory's time is put back where it is made anew, and is otherwise nobody's matter. */
    if (w->before.type == 'd' && w->after.type == 'd')
      w->after.known &= ~(unsigned)ST_KNOWN_TIME;
  }
  st_wishes_sort(ret);
  st_links_look(world->tracker->root, j, ret);
  fix_accounts(world, ret);
  return 0;
}

/* In what the live state is not what the action left; 0 also where it was never carried out. */
static int conflict_of(struct st_world *w, const struct st_action *a, enum st_journal_state state,
                       unsigned *ret, struct st_error *err)
{
  struct st_state live;
  bool interrupted = st_journal_is_open(state);
  *ret = 0;
  if (live_of(w, a->path, &a->after, &a->before, &live, err) < 0)
    return -1;
  unsigned mask = interrupted ? ST_DIFFERS_CONTENTS : ~(unsigned)ST_DIFFERS_HOLES;
  if (live.type == 'd')
    mask &= ~(unsigned)ST_DIFFERS_TIME;
  unsigned d = st_state_differences(&a->after, &live) & mask;
  bool between = interrupted && live.type == 0 && a->kind == ST_ACTION_REPLACE;
  if (d != 0 && !between && !(state == ST_JOURNAL_LOST && st_state_is_torn(&a->after, &live))) {
    digest_like(w, a->path, &a->before, &live);
    *ret = (st_state_differences(&a->before, &live) & mask) ? d : 0;
  }
  st_state_clear(&live);
  return 0;
}

int st_gather_conflicts(struct st_world *world, const struct st_journal *j, struct st_strings *ret,
                        struct st_error *err)
{
  for (size_t i = 0; i < j->actions.count; i++) {
    const struct st_action *a = j->actions.items[i];
    unsigned d;
    if (conflict_of(world, a, j->state, &d, err) < 0)
      return -1;
    if (d == 0)
      continue;
    ST_AUTO_FREE char *words = st_report_differences(d);
    st_strings_take(ret, st_format("%s: changed since (%s)", st_quote(a->path), words));
  }
  return 0;
}
