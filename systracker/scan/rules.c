/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rules.c - patterns in the order in which they decide: the first one that matches has the say. */
#include "systracker/scan/rules.h"

#include <string.h>

#include "systracker/base/file.h"

struct compiled {
  struct st_rule rule;
  struct st_pattern *pattern;
  size_t length; /* of the pattern, as written */
};

struct st_rules {
  struct compiled **rules;
  size_t count;
};

struct st_rules *st_rules_new(void)
{
  return st_calloc(1, sizeof(struct st_rules));
}

static void compiled_free(struct compiled *c)
{
  free(c->rule.pattern);
  free(c->rule.origin);
  free(c->rule.reason);
  if (c->pattern)
    st_pattern_free(c->pattern);
  free(c);
}
ST_DEFINE_CLEANUP(struct compiled *, compiled_free)

void st_rules_free(struct st_rules *rules)
{
  if (!rules)
    return;
  for (size_t i = 0; i < rules->count; i++)
    compiled_free(rules->rules[i]);
  free(rules->rules);
  free(rules);
}

/* Whether a rule added after `other` decides before it. */
static bool goes_before(const struct compiled *rule, const struct compiled *other)
{
  if (rule->length != other->length)
    return rule->length > other->length;
  return rule->rule.kind == ST_RULE_EXCLUDE || other->rule.kind == ST_RULE_TRACK;
}

static void insert(struct st_rules *rules, struct compiled *rule)
{
  size_t at = 0;
  while (at < rules->count && !goes_before(rule, rules->rules[at]))
    at++;
  rules->rules = st_realloc(rules->rules, rules->count + 1, sizeof(struct compiled *));
  memmove(&rules->rules[at + 1], &rules->rules[at],
          (rules->count - at) * sizeof(struct compiled *));
  rules->rules[at] = rule;
  rules->count++;
}

int st_rules_add(struct st_rules *rules, enum st_rule_kind kind, const char *pattern,
                 const char *origin, const char *reason, struct st_error *err)
{
  ST_CLEANUP(compiled_freep) struct compiled *c = st_calloc(1, sizeof(*c));
  bool turned = pattern[0] == '!';
  if (turned)
    kind = kind == ST_RULE_TRACK ? ST_RULE_EXCLUDE : ST_RULE_TRACK;
  if (st_pattern_compile(&c->pattern, pattern + turned, err) < 0)
    return st_wrap(err, "%s", origin);
  c->rule = (struct st_rule){kind, st_strdup(pattern), st_strdup(origin),
                             reason ? st_strdup(reason) : NULL};
  c->length = strlen(pattern);
  insert(rules, st_steal(&c));
  return 0;
}

static size_t first_match(const struct st_rules *rules, const struct st_path_parts *path,
                          bool is_dir)
{
  size_t i = 0;
  while (i < rules->count && !st_pattern_match(rules->rules[i]->pattern, path, is_dir))
    i++;
  return i;
}

const struct st_rule *st_rules_match_parts(const struct st_rules *rules,
                                           const struct st_path_parts *path, bool is_dir)
{
  size_t i = first_match(rules, path, is_dir);
  return i < rules->count ? &rules->rules[i]->rule : NULL;
}

const struct st_rule *st_rules_match(const struct st_rules *rules, const char *path, bool is_dir)
{
  struct st_path_parts parts;
  if (rules->count == 0)
    return NULL;
  st_path_parts_cut(&parts, path);
  const struct st_rule *rule = st_rules_match_parts(rules, &parts, is_dir);
  st_path_parts_free(&parts);
  return rule;
}

/* A rule that matches the directory holds below it too, so only those can change what it says that
 * come before it. */
bool st_rules_may_track_below(const struct st_rules *rules, const char *path)
{
  struct st_path_parts parts;
  st_path_parts_cut(&parts, path);
  size_t decider = first_match(rules, &parts, true);
  bool may = false;
  for (size_t i = 0; i < decider && !may; i++) {
    const struct compiled *c = rules->rules[i];
    may = c->rule.kind == ST_RULE_TRACK && st_pattern_may_match_below(c->pattern, &parts);
  }
  st_path_parts_free(&parts);
  return may;
}

/* Takes away what lies below the new root. */
static void add_root(struct st_strings *roots, const char *root)
{
  size_t kept = 0;
  for (size_t i = 0; i < roots->count; i++) {
    if (st_path_below(root, roots->items[i]))
      return;
  }
  for (size_t i = 0; i < roots->count; i++) {
    if (st_path_below(roots->items[i], root))
      free(roots->items[i]);
    else
      roots->items[kept++] = roots->items[i];
  }
  roots->count = kept;
  st_strings_add(roots, root);
}

void st_rules_roots(const struct st_rules *rules, struct st_strings *out)
{
  for (size_t i = 0; i < rules->count; i++) {
    if (rules->rules[i]->rule.kind == ST_RULE_TRACK)
      add_root(out, st_pattern_beginning(rules->rules[i]->pattern));
  }
}

bool st_rules_names(const struct st_rules *rules, const char *path)
{
  for (size_t i = 0; i < rules->count; i++) {
    const struct compiled *c = rules->rules[i];
    if (c->rule.kind == ST_RULE_TRACK && st_path_below(st_pattern_beginning(c->pattern), path))
      return true;
  }
  return false;
}

/* In the order in which they decide: a file that was only rearranged is no change. */
void st_rules_digest(const struct st_rules *rules, struct st_digester *out)
{
  for (size_t i = 0; i < rules->count; i++) {
    const struct compiled *c = rules->rules[i];
    st_digester_add(out, c->rule.kind == ST_RULE_TRACK ? "+" : "-", 1);
    st_digester_add(out, c->rule.pattern, c->length + 1);
  }
}
