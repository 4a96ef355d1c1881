/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/observe.h"

#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/thread.h"
#include "systracker/tracker/inscope.h"
#include "systracker/tracker/rules.h"

/* No content is larger, whatever a plug-in wants of it: the list of its chunks is held in memory.
 */
#define ST_MOST_CONTENT ((uint64_t)1 << 40)

/* ---- Not seen ---------------------------------------------------------------------------------
 */

static int note_missed(struct st_observation *o, const char *plugin, const char *path,
                       const char *why, struct st_error *err)
{
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  if (*plugin)
    st_buffer_printf(&words, "plug-in %s: ", plugin);
  st_buffer_append_string(&words, why);
  if (*path)
    st_buffer_printf(&words, " (%s)", st_quote(path));
  st_strings_take(&o->result->missed, st_buffer_steal(&words, NULL));
  o->result->incomplete = true;
  const char *reason = st_is_utf8(why, strlen(why)) ? why : "unknown";
  return st_core_unobserved(o->tracker, plugin, path, reason, err) < 0 ? -1 : 0;
}

int st_observe_missed(struct st_observation *o, const char *plugin, const char *path,
                      const char *why, struct st_error *err)
{
  if (*path) {
    st_set_add(o->unobserved, path, strlen(path), 0);
    if (!*plugin)
      st_inscope_unobserved(o->tracker, path);
  }
  return note_missed(o, plugin, path, why, err);
}

/* Whether the path or a directory above it was not seen. */
static bool is_unobserved(const struct st_observation *o, const char *path, size_t n)
{
  if (st_set_count(o->unobserved) == 0)
    return false;
  while (n > 0) {
    if (st_set_get(o->unobserved, path, n, NULL))
      return true;
    while (n > 0 && path[--n] != '/')
      ;
  }
  return st_set_get(o->unobserved, "/", 1, NULL);
}

/* ---- Tables of entries --------------------------------------------------------------------------
 */

typedef int table_fn(struct st_observation *o, struct st_part *part,
                     const struct st_catalog_table *table, void *arg, struct st_error *err);

static int each_entry_table(struct st_observation *o, struct st_part *part, table_fn *fn, void *arg,
                            struct st_error *err)
{
  for (const struct st_catalog_table **t = part->plugin->tables; *t; t++) {
    int r = (*t)->declaration.flags & ST_TABLE_ENTRY ? fn(o, part, *t, arg, err) : 0;
    if (r != 0)
      return r;
  }
  return 0;
}

static int begin_sweep(struct st_observation *o, struct st_part *part,
                       const struct st_catalog_table *table, void *arg, struct st_error *err)
{
  (void)part;
  (void)arg;
  return st_catalog_sweep(o->tracker->catalog, table, err);
}

static bool keep_unobserved(void *arg, const struct st_fact_row *fact)
{
  const struct st_value *path = &fact->values[0];
  return is_unobserved(arg, path->u.bytes.data, path->u.bytes.length);
}

static int end_sweep(struct st_observation *o, struct st_part *part,
                     const struct st_catalog_table *table, void *arg, struct st_error *err)
{
  (void)arg;
  bool all_seen = st_set_count(o->unobserved) == 0;
  if (!part->failed)
    return st_catalog_swept(o->tracker->catalog, table, all_seen ? NULL : keep_unobserved, o, err);
  st_catalog_unsweep(o->tracker->catalog, table);
  return 0;
}

static int each_swept_table(struct st_observation *o, table_fn *fn, struct st_error *err)
{
  for (size_t i = 0; o->sweeping && i < o->tracker->host.count; i++) {
    if (o->parts[i].plugin->open && each_entry_table(o, &o->parts[i], fn, NULL, err) < 0)
      return -1;
  }
  return 0;
}

/* ---- What the walk asks and tells
 * ------------------------------------------------------------------ */

static unsigned want(void *arg, uint32_t plugins, const struct st_entry *entry)
{
  struct st_observation *o = arg;
  unsigned wanted = 0;
  for (size_t i = 0; i < o->tracker->host.count; i++) {
    struct st_loaded *l = o->parts[i].plugin;
    if ((plugins & (1U << l->bit)) && l->open)
      wanted |= l->plugin->want ? l->plugin->want(l->self, entry) : ST_WANT_ENTRY;
  }
  if (entry->type == 'f' && (wanted & (ST_WANT_DIGEST | ST_WANT_CONTENT | ST_WANT_UNEXPECTED)) &&
      st_rules_match(o->tracker->secret, entry->path, false))
    wanted |= ST_WANT_SECRET;
  return wanted;
}

/* The path's facts that were not said again have ended; of an unreadable file they stand. */
static int end_unsaid(struct st_observation *o, struct st_part *part,
                      const struct st_catalog_table *table, void *arg, struct st_error *err)
{
  (void)part;
  const struct st_facts *facts = arg;
  for (size_t i = 0; i < facts->count; i++) {
    if (facts->rows[i].table == table)
      return 0;
  }
  if (facts->entry->unreadable)
    return 0;
  struct st_value key = st_path_value(facts->entry->path);
  return st_catalog_gone(o->tracker->catalog, table, &key, err) < 0 ? -1 : 0;
}

static int put_entry(struct st_observation *o, struct st_part *part, struct st_facts *facts,
                     struct st_error *err)
{
  for (size_t i = 0; i < facts->count; i++) {
    if (st_catalog_put(o->tracker->catalog, facts->rows[i].table, facts->rows[i].values, err) < 0)
      return -1;
  }
  return each_entry_table(o, part, end_unsaid, facts, err);
}

static int ask(struct st_observation *o, struct st_part *part, const struct st_entry *entry,
               struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_loaded *l = part->plugin;
  struct st_facts facts = {
      .tracker = o->tracker, .plugin = l, .entry = entry, .keep = o->keep, .few = &o->few};
  int r;
  if (l->plugin->entry(l->self, entry, &facts, &why) < 0) {
    part->failed = true;
    o->again = true;
    st_wrap(&why, "%s", st_quote(entry->path));
    r = st_observe_missed(o, l->name, "", st_error_text(&why), err);
  } else {
    r = put_entry(o, part, &facts, err);
  }
  st_facts_clear(&facts);
  return r;
}

/* A path that this plug-in's rules do not track (any more) has no facts with it. */
static int forget(struct st_observation *o, struct st_part *part, const struct st_entry *entry,
                  struct st_error *err)
{
  struct st_facts nothing = {.tracker = o->tracker, .plugin = part->plugin};
  struct st_entry seen = *entry;
  seen.unreadable = false;
  nothing.entry = &seen;
  return each_entry_table(o, part, end_unsaid, &nothing, err);
}

/* What the manifests in force say of it. */
static int add_expected(struct st_observation *o, struct st_entry *e, struct st_error *err)
{
  struct st_id digest;
  int r =
      st_catalog_expected_content(o->tracker->catalog, ST_LIVE, e->path, &e->owned, &digest, err);
  e->as_expected = r > 0 && e->has_digest && st_id_equal(&e->digest, &digest);
  return r < 0 ? r : 0;
}

static int tell_entry(struct st_observation *o, uint32_t plugins, const struct st_entry *e,
                      struct st_error *err)
{
  struct st_entry seen = *e;
  if (add_expected(o, &seen, err) < 0)
    return -1;
  if (e->type != 'd' && st_set_count(o->unobserved) > 0 &&
      st_set_get(o->unobserved, e->path, strlen(e->path), NULL)) {
    seen.unreadable = true;
    seen.has_digest = seen.has_object = false;
  }
  for (size_t i = 0; i < o->tracker->host.count; i++) {
    struct st_part *part = &o->parts[i];
    if (part->failed || !part->plugin->plugin->entry)
      continue;
    bool tracked = plugins & (1U << part->plugin->bit);
    if ((tracked ? ask : forget)(o, part, &seen, err) < 0)
      return -1;
  }
  return 0;
}

static int entry(void *arg, uint32_t plugins, const struct st_entry *e, struct st_error *err)
{
  struct st_observation *o = arg;
  pthread_mutex_lock(&o->lock);
  int r = tell_entry(o, plugins, e, err);
  pthread_mutex_unlock(&o->lock);
  return r;
}

/* The revision before: what any plug-in's fact of the path names today. */
static int previous(struct st_tracker *t, int64_t latest, const char *path, bool secret,
                    struct st_id *ret, struct st_error *err)
{
  struct st_value key = st_path_value(path);
  const struct st_catalog_table *table;
  for (size_t n = 0; (table = st_catalog_table_at(t->catalog, n)); n++) {
    ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
    if (!(table->declaration.flags & ST_TABLE_ENTRY))
      continue;
    for (size_t i = 1; i < table->declaration.ncolumns; i++) {
      if (!(table->declaration.columns[i].flags & ST_OBJECT))
        continue;
      if (!fact && st_catalog_fact(t->catalog, latest, table, &key, &fact, err) < 0)
        return -1;
      if (fact->present && fact->values[i].type == ST_ID && fact->values[i].u.id.keyed == secret) {
        *ret = fact->values[i].u.id;
        return 1;
      }
    }
  }
  return 0;
}

/* 1: so much more would leave less than min_free. */
static int lacks_space(struct st_tracker *t, uint64_t more, struct st_error *err)
{
  uint64_t space;
  if (st_free_space(t->store_dir, &space, err) < 0)
    return -1;
  return space < t->conf->min_free || space - t->conf->min_free < more;
}

/* Why so much more is not to be kept; NULL: it is. */
static int over_limit(const struct st_observation *o, size_t length, const char **ret,
                      struct st_error *err)
{
  struct st_tracker *t = o->tracker;
  int lacks = lacks_space(t, o->ahead_bytes + length, err);
  if (lacks > 0)
    *ret = "not kept: less than min_free would be left";
  else if (lacks == 0 && o->kept_bytes + length > t->conf->max_night)
    *ret = "not kept: more new content than max_night allows";
  return lacks < 0 ? -1 : 0;
}

/* A content on its way from the thread that read it to the store. */
struct kept {
  const char *why_not;
  size_t length;
  struct st_prepared prepared;
};

static void drop_kept(void *arg, void *prepared)
{
  (void)arg;
  struct kept *kept = prepared;
  st_prepared_clear(&kept->prepared);
  free(kept);
}

/* Counts it against the limits, or says why it is not to be kept. */
static int count_ahead(struct st_observation *o, struct kept *kept, struct st_error *err)
{
  pthread_mutex_lock(&o->counting);
  int r = over_limit(o, kept->length, &kept->why_not, err);
  if (r == 0 && !kept->why_not) {
    o->kept_bytes += kept->length;
    o->ahead_bytes += kept->length;
  }
  pthread_mutex_unlock(&o->counting);
  return r;
}

/* The limits, and the revision before.  The catalog is asked by one thread at a time, which waits
 * for the one that tells: not where there is nothing to ask for. */
static int ask_first(struct st_observation *o, const struct st_entry *e, struct kept *kept,
                     bool secret, struct st_id *before, struct st_error *err)
{
  int r = count_ahead(o, kept, err);
  if (r < 0 || kept->why_not || o->latest == 0)
    return r;
  pthread_mutex_lock(&o->lock);
  r = previous(o->tracker, o->latest, e->path, secret, before, err);
  pthread_mutex_unlock(&o->lock);
  return r;
}

/* The store has it. */
static void costs_nothing(struct st_observation *o, struct kept *kept)
{
  pthread_mutex_lock(&o->counting);
  o->ahead_bytes -= kept->length;
  o->kept_bytes -= kept->length;
  pthread_mutex_unlock(&o->counting);
  kept->length = 0;
}

/* What is read is what it gets, up to the length that it should have and one byte more. */
static int stream(struct st_store_writer *writer, const struct st_walk_content *c,
                  struct st_error *err)
{
  const size_t size = 1 << 18;
  ST_AUTO_FREE char *piece = st_malloc(size);
  for (size_t left = c->length + 1; left > 0;) {
    ssize_t n = read(c->fd, piece, left < size ? left : size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno == EPERM ? -EIO : -errno;
    if (n == 0)
      break;
    left -= (size_t)n;
    if (st_store_writer_add(writer, piece, (size_t)n, err) < 0)
      return -1;
  }
  return 0;
}

/* A large content goes into the store as it is read. */
static int keep_large(struct st_observation *o, const struct st_walk_content *c, struct kept *kept,
                      const struct st_id *before, struct st_error *err)
{
  ST_CLEANUP(st_store_writer_freep) struct st_store_writer *writer = NULL;
  if (st_store_writer_new(&writer, o->tracker->store, c->secret, before, err) < 0)
    return -1;
  int r = stream(writer, c, err);
  if (r == 0)
    r = st_store_writer_finish(writer, c->id, err);
  costs_nothing(o, kept);
  pthread_mutex_lock(&o->counting);
  o->kept_bytes += st_store_writer_kept(writer);
  pthread_mutex_unlock(&o->counting);
  kept->prepared.known = true;
  return r;
}

/* Any thread.  What the store has, and what is over a limit, is not compressed. */
static int prepare(void *arg, const struct st_entry *e, const struct st_walk_content *c, void **ret,
                   struct st_error *err)
{
  struct st_observation *o = arg;
  struct st_id before;
  if (!o->keep)
    return c->fd >= 0;
  struct kept *kept = *ret = st_calloc(1, sizeof(*kept));
  kept->length = c->length;
  int known = ask_first(o, e, kept, c->secret, &before, err);
  if (known < 0 || kept->why_not)
    return known < 0 ? -1 : c->fd >= 0;
  if (c->fd >= 0)
    return keep_large(o, c, kept, known ? &before : NULL, err);
  const struct st_content content = {
      .data = c->data,
      .length = c->length,
      .secret = c->secret,
      .id = c->id,
      .previous = known ? &before : NULL,
      .group = true,
  };
  if (st_store_prepare(o->tracker->store, &content, &kept->prepared, err) < 0)
    return -1;
  if (kept->prepared.known)
    costs_nothing(o, kept);
  return 0;
}

/* Over a limit: it is noted, the entry then counts as unreadable, and is tried again. */
static int pass_over(struct st_observation *o, const struct st_entry *e, const struct kept *kept,
                     struct st_error *err)
{
  if (st_store_has(o->tracker->store, &e->digest))
    return 0; /* it costs nothing */
  o->again = true;
  pthread_mutex_lock(&o->lock);
  int r = st_observe_missed(o, "", e->path, kept->why_not, err);
  pthread_mutex_unlock(&o->lock);
  return r < 0 ? -1 : 0;
}

static int keep_content(struct st_observation *o, const struct kept *kept, struct st_error *err)
{
  pthread_mutex_lock(&o->counting);
  o->ahead_bytes -= kept->length;
  pthread_mutex_unlock(&o->counting);
  return st_store_append(o->tracker->store, &kept->prepared, err);
}

static int content(void *arg, const struct st_entry *e, const struct st_walk_content *c,
                   struct st_id *ret, struct st_error *err)
{
  struct st_observation *o = arg;
  const struct kept *kept = c->prepared;
  (void)ret; /* the digest that was read is the id */
  if (!kept)
    return 0;
  int r = kept->why_not ? pass_over(o, e, kept, err) : keep_content(o, kept, err);
  drop_kept(o, c->prepared);
  return r;
}

/* Any thread.  Where the catalog cannot be asked, the content is kept. */
static bool expects(void *arg, const char *path, const struct st_id *digest)
{
  struct st_observation *o = arg;
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  struct st_id expected;
  bool owned;
  pthread_mutex_lock(&o->lock);
  int r =
      st_catalog_expected_content(o->tracker->catalog, ST_LIVE, path, &owned, &expected, &ignored);
  pthread_mutex_unlock(&o->lock);
  return r > 0 && st_id_equal(digest, &expected);
}

static void soon(void *arg, const char *path)
{
  struct st_observation *o = arg;
  pthread_mutex_lock(&o->lock);
  st_catalog_soon(o->tracker->catalog, path);
  pthread_mutex_unlock(&o->lock);
}

static bool has(void *arg, const struct st_id *id)
{
  struct st_observation *o = arg;
  return st_store_has(o->tracker->store, id);
}

static bool forced(void *arg, const char *path)
{
  struct st_observation *o = arg;
  return st_set_get(o->forced, path, strlen(path), NULL);
}

static int gone(void *arg, const char *path, struct st_error *err)
{
  struct st_observation *o = arg;
  for (size_t i = 0; i < o->tracker->host.count; i++) {
    struct st_part *part = &o->parts[i];
    if (!part->failed &&
        st_catalog_gone_below(o->tracker->catalog, part->plugin->name, path, err) < 0)
      return -1;
  }
  return 0;
}

static int unobserved(void *arg, const char *path, const char *why, struct st_error *err)
{
  struct st_observation *o = arg;
  pthread_mutex_lock(&o->lock);
  int r = st_observe_missed(o, "", path, why, err);
  pthread_mutex_unlock(&o->lock);
  return r;
}

static int mount(void *arg, const struct st_mount *m, struct st_error *err)
{
  struct st_observation *o = arg;
  st_set_add(o->mounts, m->path, strlen(m->path), 0);
  pthread_mutex_lock(&o->lock);
  if (!m->entered && !is_unobserved(o, m->path, strlen(m->path)))
    st_inscope_passed(o->tracker, m->path);
  int r = st_core_mount(o->tracker, m, err) < 0 ? -1 : 0;
  pthread_mutex_unlock(&o->lock);
  return r;
}

/* ---- The scan
 * --------------------------------------------------------------------------------------- */

static uint32_t timeless(const struct st_host *host)
{
  uint32_t bits = 0;
  for (size_t i = 0; i < host->count; i++) {
    const struct st_loaded *l = &host->plugins[i];
    bits |= l->plugin && (l->plugin->flags & ST_PLUGIN_TIMELESS) ? 1U << l->bit : 0;
  }
  return bits;
}

static int walk(struct st_observation *o, struct st_error *err)
{
  struct st_tracker *t = o->tracker;
  ST_AUTO_STRINGS mounts = {0};
  if (st_core_known_mounts(t, true, &mounts, err) < 0)
    return -1;
  struct st_walk_options options = {
      .root = t->root,
      .scope = t->scope,
      .index = o->index,
      .current = o->current,
      .elsewhere = o->elsewhere,
      .timeless = timeless(&t->host),
      .full = o->full,
      .accounts = t->accounts,
      .keys = &t->keys,
      .other_keys = t->other_keys,
      .mounts = &mounts,
      .max_content = ST_MOST_CONTENT,
      .written = t->written,
      .proved = t->proved,
  };
  struct st_walk_callbacks callbacks = {o,         want,    entry,      content, has,
                                        forced,    gone,    unobserved, mount,   prepare,
                                        drop_kept, expects, soon};
  if (o->latest == 0)
    callbacks.soon = NULL; /* what manifests there are was just made */
  if (st_set_count(o->forced) == 0)
    callbacks.forced = NULL; /* no path has to be made to ask for it */
  st_written_close(t->proved);
  int r = st_walk(&options, &callbacks, &o->result->walk, err);
  st_written_forget(t->proved);
  return r;
}

static int begin_parts(struct st_observation *o, struct st_error *err)
{
  struct st_host *host = &o->tracker->host;
  o->parts = st_calloc(host->count + 1, sizeof(*o->parts));
  for (size_t i = 0; i < host->count; i++) {
    struct st_loaded *l = &host->plugins[i];
    o->parts[i] = (struct st_part){.plugin = l, .failed = !l->open};
    if (l->open)
      continue;
    if (st_observe_missed(o, l->name, "", l->why ? l->why : "is not in use", err) < 0)
      return -1;
  }
  return 0;
}

static int end_parts(struct st_observation *o, struct st_error *err)
{
  for (size_t i = 0; i < o->tracker->host.count; i++) {
    struct st_loaded *l = o->parts[i].plugin;
    if (st_core_plugin(o->tracker, l->name, l->plugin ? l->plugin->version : "",
                       o->parts[i].failed ? "failed" : "ok", err) < 0)
      return -1;
  }
  return 0;
}

static int add_forced(void *arg, const char *path)
{
  st_set_add(arg, path, strlen(path), 0);
  return 0;
}

/* What a manifest speaks of and the walk did not meet is absent, where somebody looks after it. */
struct absent_arg {
  struct st_observation *o;
  struct st_error *err;
};

static int gone_at(struct st_observation *o, struct st_part *part,
                   const struct st_catalog_table *table, void *arg, struct st_error *err)
{
  (void)part;
  int r = st_catalog_gone(o->tracker->catalog, table, arg, err);
  return r < 0 ? r : 0;
}

static int add_absent(void *arg, const char *path)
{
  struct absent_arg *a = arg;
  struct st_observation *o = a->o;
  struct st_value key = st_path_value(path);
  if (st_index_was_put(o->index, path) || is_unobserved(o, path, strlen(path)))
    return 0;
  for (size_t i = 0; i < o->tracker->host.count; i++) {
    struct st_part *part = &o->parts[i];
    if (!part->failed && each_entry_table(o, part, gone_at, &key, a->err) < 0)
      return -1;
  }
  return 0;
}

/* Of another root the index says what the checkpoint knows, all the same, to which what a restore
 * put there can be compared. */
static bool is_of_use(struct st_observation *o)
{
  const struct st_tracker *t = o->tracker;
  uint32_t *root = st_index_root(o->index), own = st_tracker_root_mark(t);
  o->elsewhere = *root != own;
  *root = own;
  return !o->elsewhere || (t->written && st_written_count(t->written) > 0);
}

static int open_index(struct st_observation *o, struct st_error *err)
{
  struct st_tracker *t = o->tracker;
  uint8_t head[ST_DIGEST_SIZE];
  if (st_index_open(&o->index, t->store_dir, err) < 0)
    return -1;
  st_catalog_head(t->catalog, head);
  st_tracker_scope_digest(t, o->scope);
  o->current = is_of_use(o) && st_index_is_current(o->index, head, o->scope);
  o->sweeping = !o->current;
  return st_index_start(o->index, o->keep, err);
}

struct uncovered {
  struct st_observation *o;
  struct st_strings paths;
};

static int add_uncovered(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  struct uncovered *u = arg;
  (void)err;
  if (fact->expected)
    st_strings_take(&u->paths,
                    st_memdup(fact->values[0].u.bytes.data, fact->values[0].u.bytes.length));
  return 0;
}

static int find_uncovered(struct st_observation *o, struct st_part *part,
                          const struct st_catalog_table *table, void *arg, struct st_error *err)
{
  struct uncovered *u = arg;
  (void)part;
  return st_catalog_each(o->tracker->catalog, ST_LIVE, table, u->paths.items[0], add_uncovered, u,
                         err);
}

/* Below a mount point that has no mount any more packages expect what was not looked after. */
static int look_below(struct st_observation *o, const char *path, struct st_error *err)
{
  struct uncovered u = {.o = o};
  struct absent_arg absent = {o, err};
  int r = 0;
  st_strings_add(&u.paths, path);
  for (size_t i = 0; i < o->tracker->host.count && r == 0; i++) {
    if (!o->parts[i].failed)
      r = each_entry_table(o, &o->parts[i], find_uncovered, &u, err);
  }
  for (size_t i = 1; i < u.paths.count && r == 0; i++)
    r = add_absent(&absent, u.paths.items[i]);
  st_strings_free(&u.paths);
  return r;
}

/* Of a mount that was not entered nothing is known, and what it hid is seen again: so it is not
 * waited for, but that it went is said, this once. */
static int say_gone_mounts(struct st_observation *o, struct st_error *err)
{
  ST_AUTO_STRINGS mounts = {0};
  if (st_core_known_mounts(o->tracker, false, &mounts, err) < 0)
    return -1;
  for (size_t i = 0; i < mounts.count; i++) {
    const char *path = mounts.items[i];
    if (st_set_get(o->mounts, path, strlen(path), NULL) || is_unobserved(o, path, strlen(path)))
      continue;
    if (look_below(o, path, err) < 0 ||
        note_missed(o, "", path, "what was mounted there is not mounted any more", err) < 0)
      return -1;
  }
  return 0;
}

static int observe(struct st_observation *o, struct st_error *err)
{
  struct st_tracker *t = o->tracker;
  if (begin_parts(o, err) < 0 || st_core_rules(t, err) < 0 || st_core_accounts(t, err) < 0)
    return -1;
  if (st_observe_collect(o, err) < 0)
    return -1;
  /* Where all is looked at, what manifests speak of is, too. */
  if (!o->sweeping && st_catalog_manifest_paths(t->catalog, add_forced, o->forced, err) < 0)
    return -1;
  if (each_swept_table(o, begin_sweep, err) < 0 || walk(o, err) < 0 ||
      each_swept_table(o, end_sweep, err) < 0)
    return -1;
  struct absent_arg absent = {o, err};
  if (!o->sweeping && st_catalog_manifest_paths(t->catalog, add_absent, &absent, err) < 0)
    return -1;
  if (st_observe_collect_again(o, err) < 0)
    return -1;
  return end_parts(o, err);
}

/* A tracker may live long enough for its accounts to change: a restore puts them back. */
static int read_accounts(struct st_tracker *t, struct st_error *err)
{
  struct st_accounts *fresh;
  if (st_accounts_read(&fresh, t->root, err) < 0)
    return -1;
  st_accounts_free(t->accounts);
  t->accounts = fresh;
  return 0;
}

int st_observe(struct st_observation *o, struct st_error *err)
{
  o->unobserved = st_set_new();
  o->forced = st_set_new();
  o->mounts = st_set_new();
  pthread_mutex_init(&o->lock, NULL);
  pthread_mutex_init(&o->counting, NULL);
  st_observe_closed(o->tracker);
  o->latest = st_catalog_latest(o->tracker->catalog);
  st_inscope_begin(o->tracker);
  if (read_accounts(o->tracker, err) < 0 || open_index(o, err) < 0 ||
      st_core_begin(o->tracker, err) < 0 || observe(o, err) < 0)
    return -1;
  if (say_gone_mounts(o, err) < 0)
    return -1;
  return st_core_end(o->tracker, keep_unobserved, o, err);
}

static void *close_index(void *index)
{
  st_index_close(index);
  return NULL;
}

void st_observe_closed(struct st_tracker *t)
{
  if (t->closes)
    pthread_join(t->closing, NULL);
  t->closes = false;
}

/* Where the index was replaced, the old one's pages and blocks are given back with it, which takes
 * as long as closing the catalog. */
static void close_beside(struct st_tracker *t, struct st_index *index)
{
  st_observe_closed(t);
  t->closes = index && st_thread_start(&t->closing, close_index, index);
  if (!t->closes)
    st_index_close(index);
}

void st_observation_clear(struct st_observation *o)
{
  for (size_t i = 0; o->parts && i < o->tracker->host.count; i++)
    st_facts_clear(&o->parts[i].collected);
  free(o->parts);
  st_set_free(o->unobserved);
  st_set_free(o->forced);
  st_set_free(o->mounts);
  pthread_mutex_destroy(&o->lock);
  pthread_mutex_destroy(&o->counting);
  close_beside(o->tracker, o->index);
}
