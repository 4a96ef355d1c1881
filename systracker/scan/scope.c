/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scope.c - which plug-ins look at a path: their own rules against the lists that hold for all. */
#include <string.h>

#include "systracker/base/file.h"
#include "systracker/scan/walk.h"

#define ST_MOST_PLUGINS 32

struct st_scope {
  struct st_rules *plugins[ST_MOST_PLUGINS];
  unsigned count;
  struct st_rules *excluded, *generated;
  char *store;
};

struct st_scope *st_scope_new(void)
{
  return st_calloc(1, sizeof(struct st_scope));
}

void st_scope_free(struct st_scope *scope)
{
  for (unsigned i = 0; i < scope->count; i++)
    st_rules_free(scope->plugins[i]);
  if (scope->excluded)
    st_rules_free(scope->excluded);
  if (scope->generated)
    st_rules_free(scope->generated);
  free(scope->store);
  free(scope);
}

void st_scope_add(struct st_scope *scope, struct st_rules *rules)
{
  if (scope->count == ST_MOST_PLUGINS)
    abort(); /* the plug-in host refuses more */
  scope->plugins[scope->count++] = rules;
}

void st_scope_set_excluded(struct st_scope *scope, struct st_rules *excluded)
{
  scope->excluded = excluded;
}

void st_scope_set_generated(struct st_scope *scope, struct st_rules *generated)
{
  scope->generated = generated;
}

void st_scope_set_store(struct st_scope *scope, const char *path)
{
  free(scope->store);
  scope->store = st_strdup(path);
}

/* The longer pattern wins; at one length what excludes does. */
static bool overrides(const struct st_rule *rule, const struct st_rule *other)
{
  if (!rule || !other)
    return rule != NULL;
  size_t a = strlen(rule->pattern), b = strlen(other->pattern);
  return a != b ? a > b : rule->kind == ST_RULE_EXCLUDE;
}

/* What the lists for all say of the path. */
struct listed {
  const struct st_rule *rule;
  bool generated;
};

static struct listed match_lists(const struct st_scope *scope, const struct st_path_parts *path,
                                 bool is_dir)
{
  const struct st_rule *e =
      scope->excluded ? st_rules_match_parts(scope->excluded, path, is_dir) : NULL;
  const struct st_rule *g =
      scope->generated ? st_rules_match_parts(scope->generated, path, is_dir) : NULL;
  bool generated = overrides(g, e);
  return (struct listed){generated ? g : e, generated && g->kind == ST_RULE_EXCLUDE};
}

static struct st_scope_verdict judge(const struct st_scope *scope, unsigned bit,
                                     const struct listed *listed, const struct st_path_parts *path,
                                     bool is_dir)
{
  const struct st_rule *own = st_rules_match_parts(scope->plugins[bit], path, is_dir);
  if (!own)
    return (struct st_scope_verdict){.rule = NULL};
  bool by_list = overrides(listed->rule, own);
  const struct st_rule *rule = by_list ? listed->rule : own;
  return (struct st_scope_verdict){
      .plugins = rule->kind == ST_RULE_TRACK ? 1U << bit : 0,
      .generated = by_list && listed->generated,
      .rule = rule,
  };
}

static bool is_store(const struct st_scope *scope, const char *path)
{
  return scope->store && st_path_below(path, scope->store);
}

struct st_scope_verdict st_scope_match_plugin(const struct st_scope *scope, unsigned bit,
                                              const char *path, bool is_dir)
{
  if (bit >= scope->count || is_store(scope, path))
    return (struct st_scope_verdict){.rule = NULL};
  struct st_path_parts parts;
  st_path_parts_cut(&parts, path);
  struct listed listed = match_lists(scope, &parts, is_dir);
  struct st_scope_verdict v = judge(scope, bit, &listed, &parts, is_dir);
  st_path_parts_free(&parts);
  return v;
}

struct st_scope_verdict st_scope_match(const struct st_scope *scope, const char *path, bool is_dir)
{
  struct st_scope_verdict all = {.rule = NULL};
  if (is_store(scope, path))
    return all;
  struct st_path_parts parts;
  st_path_parts_cut(&parts, path);
  struct listed listed = match_lists(scope, &parts, is_dir);
  for (unsigned i = 0; i < scope->count; i++) {
    struct st_scope_verdict v = judge(scope, i, &listed, &parts, is_dir);
    if (!all.rule || (v.plugins && !all.plugins))
      all.rule = v.rule;
    all.plugins |= v.plugins;
    all.generated |= v.generated;
  }
  st_path_parts_free(&parts);
  return all;
}

bool st_scope_enter(const struct st_scope *scope, const char *path)
{
  if (is_store(scope, path))
    return false;
  for (unsigned i = 0; i < scope->count; i++) {
    if (st_rules_may_track_below(scope->plugins[i], path))
      return true;
  }
  return false;
}

bool st_scope_names(const struct st_scope *scope, const char *path)
{
  for (unsigned i = 0; i < scope->count; i++) {
    if (st_rules_names(scope->plugins[i], path))
      return true;
  }
  return false;
}

static int by_bytes(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

void st_scope_roots(const struct st_scope *scope, struct st_strings *out)
{
  ST_AUTO_STRINGS all = {0};
  for (unsigned i = 0; i < scope->count; i++)
    st_rules_roots(scope->plugins[i], &all);
  if (all.count > 1)
    qsort(all.items, all.count, sizeof(*all.items), by_bytes);
  for (size_t i = 0; i < all.count; i++) {
    bool below = false;
    for (size_t k = 0; k < out->count && !below; k++)
      below = st_path_below(all.items[i], out->items[k]);
    if (!below)
      st_strings_add(out, all.items[i]);
  }
}

void st_scope_digest(const struct st_scope *scope, struct st_digester *out)
{
  for (unsigned i = 0; i < scope->count; i++) {
    st_rules_digest(scope->plugins[i], out);
    st_digester_add(out, "\n", 1);
  }
  if (scope->excluded)
    st_rules_digest(scope->excluded, out);
  st_digester_add(out, "\n", 1);
  if (scope->generated)
    st_rules_digest(scope->generated, out);
}
