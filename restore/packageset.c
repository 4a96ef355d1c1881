/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/packageset.h"

#include <ctype.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/version.h"

/* ---- Lists ----------------------------------------------------------------------------------- */

void st_package_facts_free(struct st_package_facts *f)
{
  for (size_t i = 0; i < f->count; i++) {
    free(f->items[i].name);
    free(f->items[i].architecture);
    free(f->items[i].version);
    free(f->items[i].state);
    free(f->items[i].digest);
    free(f->items[i].key);
  }
  free(f->items);
  *f = (struct st_package_facts){0};
}

struct st_package_fact *st_package_facts_add(struct st_package_facts *f, const char *name,
                                             const char *architecture, const char *version,
                                             const char *state)
{
  if (f->count == f->size) {
    f->size = f->size ? 2 * f->size : 64;
    f->items = st_realloc(f->items, f->size, sizeof(*f->items));
  }
  struct st_package_fact *new = &f->items[f->count++];
  *new = (struct st_package_fact){.name = st_strdup(name),
                                  .architecture = st_strdup(architecture),
                                  .version = st_strdup(version),
                                  .state = st_strdup(state)};
  return new;
}

static void step_clear(struct st_package_step *s)
{
  free(s->name);
  free(s->architecture);
  free(s->before);
  free(s->after);
  free(s->digest);
  free(s->digest_before);
  free(s->key);
}

void st_package_steps_free(struct st_package_steps *s)
{
  for (size_t i = 0; i < s->count; i++)
    step_clear(&s->items[i]);
  free(s->items);
  *s = (struct st_package_steps){0};
}

struct st_package_step *st_package_steps_add(struct st_package_steps *s,
                                             const struct st_package_step *step)
{
  if (s->count == s->size) {
    s->size = s->size ? 2 * s->size : 32;
    s->items = st_realloc(s->items, s->size, sizeof(*s->items));
  }
  struct st_package_step *new = &s->items[s->count++];
  *new = *step;
  new->name = st_strdup(step->name);
  new->architecture = st_strdup(step->architecture);
  new->before = st_strdup(step->before);
  new->after = st_strdup(step->after);
  new->digest = step->digest ? st_strdup(step->digest) : NULL;
  new->digest_before = step->digest_before ? st_strdup(step->digest_before) : NULL;
  new->key = step->key ? st_strdup(step->key) : NULL;
  return new;
}

/* ---- What is to be done ---------------------------------------------------------------------- */

enum presence { GONE, CONFIG_FILES, UNFINISHED, INSTALLED };

/* The last word of dpkg's three.  Triggers that are pending are run by whatever apt does next. */
static enum presence presence_of(const struct st_package_fact *f)
{
  static const char *const installed[] = {"installed", "triggers-awaited", "triggers-pending"};
  const char *space = f ? strrchr(f->state, ' ') : NULL;
  const char *status = space ? space + 1 : "not-installed";
  for (size_t i = 0; i < ST_COUNT(installed); i++) {
    if (strcmp(status, installed[i]) == 0)
      return INSTALLED;
  }
  if (strcmp(status, "not-installed") == 0)
    return GONE;
  return strcmp(status, "config-files") == 0 ? CONFIG_FILES : UNFINISHED;
}

static enum st_package_step_kind kind_of_version(enum st_package_manager manager,
                                                 const char *before, const char *after)
{
  int c = st_package_version_compare(manager, before, after);
  return c < 0 ? ST_PACKAGE_UPGRADE : c > 0 ? ST_PACKAGE_DOWNGRADE : ST_PACKAGE_REPAIR;
}

static void find_one(const struct st_package_fact *target, const struct st_package_fact *live,
                     struct st_package_steps *ret)
{
  const struct st_package_fact *any = target ? target : live;
  enum presence then = presence_of(target), now = presence_of(live);
  struct st_package_step step = {
      .name = any->name,
      .architecture = any->architecture,
      .before = now == GONE ? "" : live->version,
      .after = then == GONE ? "" : target->version,
      .installed = now >= UNFINISHED,
  };
  bool same = strcmp(step.before, step.after) == 0;
  if (then == GONE && now == GONE)
    return;
  if (then == GONE)
    step.kind = ST_PACKAGE_PURGE;
  else if (then == CONFIG_FILES && now == CONFIG_FILES && same)
    return;
  else if (then == CONFIG_FILES)
    step.kind = step.installed && same ? ST_PACKAGE_REMOVE : ST_PACKAGE_REMNANT;
  else if (now == INSTALLED && same)
    return;
  else
    step.kind =
        step.installed ? kind_of_version(ST_DPKG, step.before, step.after) : ST_PACKAGE_INSTALL;
  st_package_steps_add(ret, &step);
}

static int compare_facts(const void *a, const void *b)
{
  const struct st_package_fact *x = a, *y = b;
  int c = strcmp(x->name, y->name);
  if (!c)
    c = strcmp(x->architecture, y->architecture);
  return c;
}

static void sort(struct st_package_facts *f)
{
  if (f->count > 0)
    qsort(f->items, f->count, sizeof(*f->items), compare_facts);
}

static void find_dpkg(const struct st_package_facts *target, const struct st_package_facts *live,
                      struct st_package_steps *ret)
{
  for (size_t i = 0, k = 0; i < target->count || k < live->count;) {
    const struct st_package_fact *t = i < target->count ? &target->items[i] : NULL;
    const struct st_package_fact *l = k < live->count ? &live->items[k] : NULL;
    int c = !t ? 1 : !l ? -1 : compare_facts(t, l);
    find_one(c <= 0 ? t : NULL, c >= 0 ? l : NULL, ret);
    i += c <= 0;
    k += c >= 0;
  }
}

/* ---- Several versions at once ---------------------------------------------------------------- */

/* Packages of one name and architecture. */
struct group {
  const struct st_package_fact *items;
  size_t count;
};

static struct group group_at(const struct st_package_facts *f, size_t at)
{
  struct group g = {f->items + at, 0};
  while (at + g.count < f->count && compare_facts(g.items, &g.items[g.count]) == 0)
    g.count++;
  return g;
}

static const struct st_package_fact *find_version(const struct group *g, const char *version)
{
  for (size_t i = 0; i < g->count; i++) {
    if (strcmp(g->items[i].version, version) == 0)
      return &g->items[i];
  }
  return NULL;
}

static void add_rpm(struct st_package_steps *ret, enum st_package_step_kind kind,
                    const struct st_package_fact *then, const struct st_package_fact *now)
{
  const struct st_package_fact *any = then ? then : now;
  struct st_package_step step = {
      .manager = ST_RPM,
      .kind = kind,
      .name = any->name,
      .architecture = any->architecture,
      .before = now ? now->version : (char *)"",
      .after = then ? then->version : (char *)"",
      .installed = now != NULL,
      .digest = then ? then->digest : NULL,
      .digest_before = now ? now->digest : NULL,
      .key = then ? then->key : NULL,
  };
  st_package_steps_add(ret, &step);
}

static bool same_build(const struct st_package_fact *a, const struct st_package_fact *b)
{
  return !a->digest || !b->digest || !*a->digest || !*b->digest ||
         strcmp(a->digest, b->digest) == 0;
}

/* One in the place of another; what is there beside others comes and goes by itself.  Where two are
 * there of a name that has one, a transaction was killed: the one that stays is put there again, as
 * files of the other may lie in the place of its own. */
static void find_group(const struct group *then, const struct group *now,
                       struct st_package_steps *ret)
{
  bool single = then->count == 1 && !then->items[0].beside;
  if (single && now->count == 1 && !now->items[0].beside &&
      strcmp(then->items[0].version, now->items[0].version) != 0) {
    add_rpm(ret, kind_of_version(ST_RPM, now->items[0].version, then->items[0].version),
            &then->items[0], &now->items[0]);
    return;
  }
  for (size_t i = 0; i < now->count; i++) {
    if (!find_version(then, now->items[i].version))
      add_rpm(ret, ST_PACKAGE_PURGE, NULL, &now->items[i]);
  }
  for (size_t i = 0; i < then->count; i++) {
    const struct st_package_fact *is = find_version(now, then->items[i].version);
    if (!is)
      add_rpm(ret, ST_PACKAGE_INSTALL, &then->items[i], NULL);
    else if (!same_build(&then->items[i], is) || (single && now->count > 1))
      add_rpm(ret, ST_PACKAGE_REPAIR, &then->items[i], is);
  }
}

static void find_rpm(const struct st_package_facts *target, const struct st_package_facts *live,
                     struct st_package_steps *ret)
{
  for (size_t i = 0, k = 0; i < target->count || k < live->count;) {
    struct group t = i < target->count ? group_at(target, i) : (struct group){0};
    struct group l = k < live->count ? group_at(live, k) : (struct group){0};
    int c = !t.count ? 1 : !l.count ? -1 : compare_facts(t.items, l.items);
    t.count = c <= 0 ? t.count : 0;
    l.count = c >= 0 ? l.count : 0;
    find_group(&t, &l, ret);
    i += t.count;
    k += l.count;
  }
}

void st_package_steps_find(struct st_package_facts *target, struct st_package_facts *live,
                           struct st_package_steps *ret)
{
  sort(target);
  sort(live);
  if (target->manager == ST_RPM)
    find_rpm(target, live, ret);
  else
    find_dpkg(target, live, ret);
}

/* ---- What is kept ---------------------------------------------------------------------------- */

static void filter(struct st_package_steps *s, bool (*stays)(const struct st_package_step *))
{
  size_t kept = 0;
  for (size_t i = 0; i < s->count; i++) {
    if (stays(&s->items[i]))
      s->items[kept++] = s->items[i];
    else
      step_clear(&s->items[i]);
  }
  s->count = kept;
}

static bool is_no_remnant(const struct st_package_step *s)
{
  return s->kind != ST_PACKAGE_REMNANT;
}

bool st_package_steps_keep(struct st_package_steps *s)
{
  bool some = false;
  filter(s, is_no_remnant);
  for (size_t i = 0; i < s->count; i++) {
    enum st_package_step_kind kind = s->items[i].kind;
    s->items[i].optional =
        kind == ST_PACKAGE_DOWNGRADE || kind == ST_PACKAGE_REMOVE || kind == ST_PACKAGE_PURGE;
    some |= !s->items[i].optional;
  }
  return some;
}

bool st_package_step_counts(const struct st_package_step *s)
{
  return !s->optional || s->needed;
}

static bool is_of_word(char c)
{
  return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '+';
}

/* The name by itself; a version, an architecture or a parenthesis may follow. */
static bool names(const char *line, const char *name)
{
  size_t n = strlen(name);
  for (const char *at = line; n > 0 && (at = strstr(at, name)); at += n) {
    if ((at == line || !is_of_word(at[-1])) && !is_of_word(at[n]))
      return true;
  }
  return false;
}

size_t st_package_steps_need(struct st_package_steps *s, const struct st_strings *lines)
{
  size_t more = 0;
  for (size_t i = 0; i < s->count; i++) {
    struct st_package_step *step = &s->items[i];
    for (size_t k = 0; !st_package_step_counts(step) && k < lines->count; k++) {
      step->needed = names(lines->items[k], step->name);
      more += step->needed;
    }
  }
  return more;
}

void st_package_steps_settle(struct st_package_steps *s)
{
  filter(s, st_package_step_counts);
  for (size_t i = 0; i < s->count; i++)
    s->items[i].optional = s->items[i].needed = false;
}

bool st_package_step_installs(const struct st_package_step *s)
{
  return s->kind != ST_PACKAGE_REMOVE && s->kind != ST_PACKAGE_PURGE;
}

bool st_package_step_loses(const struct st_package_step *s)
{
  bool same = s->kind == ST_PACKAGE_REPAIR &&
              strcmp(s->digest ? s->digest : "", s->digest_before ? s->digest_before : "") == 0;
  return *s->before && !same;
}

/* ---- Words ----------------------------------------------------------------------------------- */

const char *st_package_step_verb(const struct st_package_step *s)
{
  static const char *const verbs[] = {"install", "upgrade", "downgrade", "repair",
                                      "remove",  "purge",   "remnant"};
  /* What rpm removes leaves nothing to be purged. */
  return verbs[s->manager == ST_RPM && s->kind == ST_PACKAGE_PURGE ? ST_PACKAGE_REMOVE : s->kind];
}

char *st_package_full_name(const char *name, const char *architecture)
{
  bool all = strcmp(architecture, "all") == 0 || !*architecture;
  return all ? st_strdup(name) : st_format("%s:%s", name, architecture);
}

static void say(struct st_buffer *out, const char *before, const char *bytes)
{
  st_buffer_append_string(out, before);
  st_escape(out, bytes, strlen(bytes));
}

const char *st_package_source_word(const struct st_package_step *s)
{
  static const char *const words[] = {
      [ST_PACKAGE_KEPT] = "kept",
      [ST_PACKAGE_REPACKED] = "repacked",
      [ST_PACKAGE_OBTAINABLE] = "obtainable",
      [ST_PACKAGE_UNFETCHED] = "missing",
      [ST_PACKAGE_MISSING] = "missing",
  };
  return st_package_step_installs(s) ? words[s->source] : NULL;
}

static void say_source(struct st_buffer *out, const struct st_package_step *s)
{
  const char *word = st_package_source_word(s);
  if (!word)
    return;
  if (s->source == ST_PACKAGE_OBTAINABLE)
    word = "to be fetched from its own sources";
  else if (s->source == ST_PACKAGE_REPACKED)
    word = "repacked: put together again from what was installed";
  st_buffer_printf(out, "  (%s)", word);
}

char *st_package_step_words(const struct st_package_step *s)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  say(&out, "package ", s->name);
  switch (s->kind) {
  case ST_PACKAGE_INSTALL:
    say(&out, " installed ", s->after);
    break;
  case ST_PACKAGE_REPAIR:
    say(&out, " installed again ", s->after);
    break;
  case ST_PACKAGE_REMOVE:
    st_buffer_append_string(&out, " removed, its configuration files stay");
    break;
  case ST_PACKAGE_PURGE:
    st_buffer_append_string(&out,
                            s->installed ? " removed" : " purged: its configuration files go");
    break;
  case ST_PACKAGE_REMNANT:
    say(&out, " installed ", s->after);
    st_buffer_append_string(&out, " and removed: its configuration files stay");
    break;
  default:
    say(&out, " ", s->before);
    say(&out, " → ", s->after);
  }
  say_source(&out, s);
  return st_buffer_steal(&out, NULL);
}

/* ---- Names and versions ---------------------------------------------------------------------- */

static bool only(const char *s, const char *allowed)
{
  for (; *s; s++) {
    bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9');
    if (!plain && !strchr(allowed, *s))
      return false;
  }
  return true;
}

static bool valid_version(const char *v)
{
  return !*v || ((*v >= '0' && *v <= '9') && only(v, ".+-~:"));
}

/* rpm's words. */
static bool is_word(const char *s)
{
  for (; *s; s++) {
    if ((unsigned char)*s <= ' ' || *s == '/' || *s == 0x7f)
      return false;
  }
  return true;
}

bool st_package_step_valid(const struct st_package_step *s)
{
  if (s->manager == ST_RPM)
    return (unsigned)s->kind < ST_PACKAGE_NKINDS && *s->name && is_word(s->name) &&
           is_word(s->architecture) && is_word(s->before) && is_word(s->after) &&
           (*s->after || !st_package_step_installs(s));
  return (unsigned)s->kind < ST_PACKAGE_NKINDS && isalnum((unsigned char)*s->name) &&
         only(s->name, "+-.") && isalnum((unsigned char)*s->architecture) &&
         only(s->architecture, "-") && valid_version(s->before) && valid_version(s->after) &&
         (*s->after || !st_package_step_installs(s));
}

bool st_package_step_is_key(const struct st_package_step *s)
{
  return s->manager == ST_RPM && strcmp(s->name, "gpg-pubkey") == 0;
}

const char *st_package_manager_name(enum st_package_manager manager)
{
  return manager == ST_RPM ? "rpm" : "dpkg";
}

int st_package_version_compare(enum st_package_manager manager, const char *a, const char *b)
{
  return manager == ST_RPM ? st_rpm_version_compare(a, b) : st_version_compare(a, b);
}
