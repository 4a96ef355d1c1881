/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/inscope.h"

#include <string.h>

#include "systracker/base/file.h"
#include "systracker/tracker/core.h"
#include "systracker/tracker/rules.h"

#define HELD 4  /* a comparison asks about two, a history about one after the other */
#define ASKED 8 /* checkpoints; they share what is held where nothing changed between them */

/* What decided at some checkpoints. */
struct looked_after {
  int64_t rules, mounts, unobserved; /* the last checkpoints that changed these facts */
  struct st_scope *scope;            /* NULL: this place is free */
  struct st_strings plugins;         /* in the order of the scope's bits */
  struct st_strings passed;          /* mount points that were not entered */
  uint8_t digest[ST_DIGEST_SIZE];
};

struct st_inscope {
  struct looked_after held[HELD];
  unsigned next; /* the place to be taken next */
  struct {
    int64_t number; /* 0: this place is free */
    unsigned held;
  } asked[ASKED];
  unsigned next_asked;
  struct looked_after live; /* of the scan */
};

static void clear(struct looked_after *l)
{
  if (l->scope)
    st_scope_free(l->scope);
  st_strings_free(&l->plugins);
  st_strings_free(&l->passed);
  *l = (struct looked_after){0};
}

void st_inscope_free(struct st_inscope *s)
{
  if (!s)
    return;
  for (size_t i = 0; i < HELD; i++)
    clear(&s->held[i]);
  clear(&s->live);
  free(s);
}

/* ---- Rules ----------------------------------------------------------------------------------- */

/* While it is put together: the rules of each plug-in, and the lists for all. */
struct making {
  struct looked_after *to;
  struct st_rules *rules[32];
  struct st_rules *excluded, *generated;
};

static struct st_rules *rules_of(struct making *m, const char *plugin)
{
  struct st_strings *names = &m->to->plugins;
  size_t i = 0;
  while (i < names->count && strcmp(names->items[i], plugin) != 0)
    i++;
  if (i == ST_COUNT(m->rules))
    return NULL;
  if (i == names->count) {
    st_strings_add(names, plugin);
    m->rules[i] = st_rules_new();
  }
  return m->rules[i];
}

/* A rule as facts have it (core.c). */
static int add_rule(void *arg, const char *plugin, const char *kind, const char *pattern,
                    const char *reason, struct st_error *err)
{
  struct making *m = arg;
  struct st_rules *rules = NULL;
  (void)reason;
  bool track = strcmp(kind, "track") == 0;
  if (*plugin && (track || strcmp(kind, "exclude") == 0))
    rules = rules_of(m, plugin);
  else if (strcmp(kind, "excluded") == 0)
    rules = m->excluded;
  else if (strcmp(kind, "generated") == 0)
    rules = m->generated;
  if (!rules)
    return 0;
  return st_rules_add(rules, track ? ST_RULE_TRACK : ST_RULE_EXCLUDE, pattern, "core_rule", NULL,
                      err);
}

/* The configuration's come in the order of the facts, so that the same rules are the same. */
struct listed {
  char *plugin, *kind, *pattern;
};

struct listed_rules {
  struct listed *items;
  size_t count;
};

static int list_rule(void *arg, const char *plugin, const char *kind, const char *pattern,
                     const char *reason, struct st_error *err)
{
  struct listed_rules *l = arg;
  (void)reason;
  (void)err;
  l->items = st_realloc(l->items, l->count + 1, sizeof(*l->items));
  l->items[l->count++] = (struct listed){st_strdup(plugin), st_strdup(kind), st_strdup(pattern)};
  return 0;
}

static int by_key(const void *a, const void *b)
{
  const struct listed *x = a, *y = b;
  int r = strcmp(x->plugin, y->plugin);
  if (r == 0)
    r = strcmp(x->kind, y->kind);
  return r ? r : strcmp(x->pattern, y->pattern);
}

/* A rule that stands there twice is one fact. */
static int add_listed(struct making *m, struct listed_rules *l, struct st_error *err)
{
  int r = 0;
  if (l->count > 0)
    qsort(l->items, l->count, sizeof(*l->items), by_key);
  for (size_t i = 0; i < l->count; i++) {
    const struct listed *rule = &l->items[i];
    if (r == 0 && (i == 0 || by_key(rule, rule - 1) != 0))
      r = add_rule(m, rule->plugin, rule->kind, rule->pattern, NULL, err);
  }
  return r;
}

static int add_configured(struct st_tracker *t, struct making *m, struct st_error *err)
{
  struct listed_rules l = {0};
  int r = st_core_each_rule(t, list_rule, &l, err);
  if (r == 0)
    r = add_listed(m, &l, err);
  for (size_t i = 0; i < l.count; i++) {
    free(l.items[i].plugin);
    free(l.items[i].kind);
    free(l.items[i].pattern);
  }
  free(l.items);
  return r;
}

static char *text_of(const struct st_value *v)
{
  bool bytes = v->type == ST_TEXT || v->type == ST_BYTES || v->type == ST_PATH;
  return bytes ? st_memdup(v->u.bytes.data, v->u.bytes.length) : st_strdup("");
}

static int add_fact(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  ST_AUTO_FREE char *plugin = text_of(&fact->values[0]);
  ST_AUTO_FREE char *kind = text_of(&fact->values[1]);
  ST_AUTO_FREE char *pattern = text_of(&fact->values[2]);
  return add_rule(arg, plugin, kind, pattern, NULL, err);
}

/* The scope takes them over, whatever came of it. */
static void finish(struct making *m, struct st_tracker *t)
{
  struct st_scope *scope = m->to->scope = st_scope_new();
  for (size_t i = 0; i < m->to->plugins.count; i++)
    st_scope_add(scope, m->rules[i]);
  st_scope_set_excluded(scope, m->excluded);
  st_scope_set_generated(scope, m->generated);
  st_tracker_hide_store_from(t, scope);
}

static int make_rules(struct st_tracker *t, int64_t number, struct looked_after *to,
                      struct st_error *err)
{
  struct making m = {.to = to, .excluded = st_rules_new(), .generated = st_rules_new()};
  const struct st_catalog_table *table = st_catalog_table(t->catalog, ST_CORE_RULE);
  int r = st_tracker_add_built_in(m.generated, err);
  if (r == 0 && number == ST_LIVE && t->conf)
    r = add_configured(t, &m, err);
  else if (r == 0 && table)
    r = st_catalog_each(t->catalog, number, table, NULL, add_fact, &m, err);
  finish(&m, t);
  return r < 0 ? st_wrap(err, "rules of checkpoint %lld", (long long)number) : 0;
}

/* ---- Mounts ---------------------------------------------------------------------------------- */

static void remove_path(struct st_strings *paths, const char *path)
{
  size_t kept = 0;
  for (size_t i = 0; i < paths->count; i++) {
    if (st_path_below(paths->items[i], path))
      free(paths->items[i]);
    else
      paths->items[kept++] = paths->items[i];
  }
  paths->count = kept;
}

static int add_passed(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  const struct st_value *entered = &fact->values[2];
  if (entered->type == ST_INTEGER && entered->u.integer == 0)
    st_strings_take(arg, text_of(&fact->values[0]));
  return 0;
}

/* What no plug-in observed stands as it was, so it is not out of scope either. */
static int remove_unobserved(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  ST_AUTO_FREE char *path = text_of(&fact->values[1]);
  if (fact->values[0].u.bytes.length == 0 && *path)
    remove_path(arg, path);
  return 0;
}

static int read_mounts(struct st_tracker *t, int64_t number, struct looked_after *to,
                       struct st_error *err)
{
  struct st_catalog *c = t->catalog;
  const struct st_catalog_table *mounts = st_catalog_table(c, ST_CORE_MOUNT);
  const struct st_catalog_table *unobserved = st_catalog_table(c, ST_CORE_UNOBSERVED);
  if (mounts && st_catalog_each(c, number, mounts, NULL, add_passed, &to->passed, err) < 0)
    return -1;
  if (to->passed.count == 0 || !unobserved)
    return 0;
  return st_catalog_each(c, number, unobserved, NULL, remove_unobserved, &to->passed, err);
}

static int by_bytes(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void set_digest(struct looked_after *l)
{
  if (l->passed.count > 1)
    qsort(l->passed.items, l->passed.count, sizeof(*l->passed.items), by_bytes);
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  for (size_t i = 0; i < l->plugins.count; i++)
    st_digester_add(d, l->plugins.items[i], strlen(l->plugins.items[i]) + 1);
  st_scope_digest(l->scope, d);
  for (size_t i = 0; i < l->passed.count; i++)
    st_digester_add(d, l->passed.items[i], strlen(l->passed.items[i]) + 1);
  st_digester_final(d, l->digest);
}

/* ---- At a checkpoint ------------------------------------------------------------------------- */

static int last_change(struct st_tracker *t, const char *name, int64_t number, int64_t *ret,
                       struct st_error *err)
{
  const struct st_catalog_table *table = st_catalog_table(t->catalog, name);
  *ret = 0;
  return table ? st_catalog_last_change(t->catalog, table, number, ret, err) : 0;
}

/* NULL: it was not asked for. */
static struct looked_after *find_number(struct st_inscope *s, int64_t number)
{
  for (size_t i = 0; i < ASKED; i++)
    if (s->asked[i].number == number)
      return &s->held[s->asked[i].held];
  return NULL;
}

static struct looked_after *remember(struct st_inscope *s, int64_t number, unsigned held)
{
  s->asked[s->next_asked].number = number;
  s->asked[s->next_asked].held = held;
  s->next_asked = (s->next_asked + 1) % ASKED;
  return &s->held[held];
}

/* Whatever decided at another checkpoint, where nothing changed between the two; HELD: none. */
static unsigned find_same(const struct st_inscope *s, const struct looked_after *as)
{
  unsigned i = 0;
  while (i < HELD && !(s->held[i].scope && s->held[i].rules == as->rules &&
                       s->held[i].mounts == as->mounts && s->held[i].unobserved == as->unobserved))
    i++;
  return i;
}

/* In the place of another one. */
static unsigned hold(struct st_inscope *s, const struct looked_after *fresh)
{
  unsigned place = s->next;
  s->next = (s->next + 1) % HELD;
  for (size_t i = 0; i < ASKED; i++)
    if (s->asked[i].held == place)
      s->asked[i].number = 0;
  clear(&s->held[place]);
  s->held[place] = *fresh;
  return place;
}

static int load_at(struct st_tracker *t, int64_t number, struct looked_after **ret,
                   struct st_error *err)
{
  struct st_inscope *s = t->inscope;
  struct looked_after fresh = {0};
  if ((*ret = find_number(s, number)))
    return 0;
  if (last_change(t, ST_CORE_RULE, number, &fresh.rules, err) < 0 ||
      last_change(t, ST_CORE_MOUNT, number, &fresh.mounts, err) < 0 ||
      last_change(t, ST_CORE_UNOBSERVED, number, &fresh.unobserved, err) < 0)
    return -1;
  unsigned place = find_same(s, &fresh);
  if (place == HELD) {
    if (make_rules(t, number, &fresh, err) < 0 || read_mounts(t, number, &fresh, err) < 0) {
      clear(&fresh);
      return -1;
    }
    set_digest(&fresh);
    place = hold(s, &fresh);
  }
  *ret = remember(s, number, place);
  return 0;
}

static int load(struct st_tracker *t, int64_t number, struct looked_after **ret,
                struct st_error *err)
{
  if (number != ST_LIVE)
    return load_at(t, number, ret, err);
  *ret = &t->inscope->live;
  if (!(*ret)->scope && make_rules(t, number, *ret, err) < 0)
    return -1;
  return 0;
}

/* ---- What the catalog asks ------------------------------------------------------------------- */

/* The plug-in's place; -1: it has no rules, so it tracks nothing. */
static int bit_of(const struct looked_after *l, const char *plugin)
{
  for (size_t i = 0; i < l->plugins.count; i++)
    if (strcmp(l->plugins.items[i], plugin) == 0)
      return (int)i;
  return -1;
}

/* Rules may speak of directories alone. */
static bool is_directory(const struct st_fact_row *fact)
{
  const struct st_table *d = &fact->table->declaration;
  for (size_t i = 1; i < d->ncolumns; i++) {
    const struct st_value *v = &fact->values[i];
    if (strcmp(d->columns[i].name, "type") == 0 && v->type == ST_TEXT)
      return v->u.bytes.length == 1 && *(const char *)v->u.bytes.data == 'd';
  }
  return false;
}

static bool is_passed(const struct looked_after *l, const char *path)
{
  for (size_t i = 0; i < l->passed.count; i++)
    if (st_path_below(path, l->passed.items[i]) && strcmp(path, l->passed.items[i]) != 0)
      return true;
  return false;
}

static int has(void *arg, int64_t number, const struct st_fact_row *fact, struct st_error *err)
{
  struct looked_after *l;
  if (load(arg, number, &l, err) < 0)
    return -1;
  const char *path = fact->values[0].u.bytes.data;
  int bit = bit_of(l, fact->table->plugin);
  return bit >= 0 && !is_passed(l, path) &&
         st_scope_match_plugin(l->scope, (unsigned)bit, path, is_directory(fact)).plugins != 0;
}

static int same(void *arg, int64_t a, int64_t b, struct st_error *err)
{
  struct looked_after *x, *y;
  if (load(arg, a, &x, err) < 0)
    return -1;
  uint8_t digest[ST_DIGEST_SIZE];
  if (a == ST_LIVE)
    set_digest(x);
  memcpy(digest, x->digest, sizeof(digest));
  if (load(arg, b, &y, err) < 0)
    return -1;
  if (b == ST_LIVE)
    set_digest(y);
  return memcmp(digest, y->digest, sizeof(digest)) == 0;
}

void st_inscope_bind(struct st_tracker *t)
{
  static const char *const tables[] = {ST_CORE_RULE, ST_CORE_MOUNT, ST_CORE_UNOBSERVED, NULL};
  const struct st_catalog_scope scope = {has, same, tables, t};
  t->inscope = st_calloc(1, sizeof(*t->inscope));
  st_catalog_set_scope(t->catalog, &scope);
}

/* ---- The scan -------------------------------------------------------------------------------- */

void st_inscope_begin(struct st_tracker *t)
{
  clear(&t->inscope->live);
}

void st_inscope_passed(struct st_tracker *t, const char *path)
{
  st_strings_add(&t->inscope->live.passed, path);
}

void st_inscope_unobserved(struct st_tracker *t, const char *path)
{
  remove_path(&t->inscope->live.passed, path);
}
