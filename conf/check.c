/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conf/check.h"

#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/text.h"

const char *const st_conf_list_names[ST_CONF_NLISTS + 1] = {"excluded", "generated", "secret",
                                                            "identity", NULL};

#define ST_LONGEST_NAME 63

/* ---- What was probably meant
 * --------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
  return a < b ? a : b;
}

/* Levenshtein's distance, by the two-row method (Wagner and Fischer, 1974). */
static size_t distance(const char *a, const char *b)
{
  size_t rows[2][ST_LONGEST_NAME + 1], n = strlen(b);
  if (strlen(a) > ST_LONGEST_NAME || n > ST_LONGEST_NAME)
    return SIZE_MAX;
  for (size_t k = 0; k <= n; k++)
    rows[0][k] = k;
  size_t i = 0;
  for (; a[i]; i++) {
    const size_t *before = rows[i % 2];
    size_t *now = rows[(i + 1) % 2];
    now[0] = i + 1;
    for (size_t k = 0; k < n; k++)
      now[k + 1] = least(before[k] + (a[i] != b[k]), least(before[k + 1], now[k]) + 1);
  }
  return rows[i % 2][n];
}

/* The nearest of the names, if it is near. */
struct guess {
  const char *name;
  size_t distance;
};

static void guess_from(struct guess *g, const char *wrong, const char *name)
{
  size_t d = distance(wrong, name);
  if (d < strlen(name) && d <= 2 && (!g->name || d < g->distance))
    *g = (struct guess){name, d};
}

/* ---- Names
 * ------------------------------------------------------------------------------------------ */

/* What may be set in a block. */
struct known {
  const char *const *names;       /* may be NULL */
  const struct st_option *schema; /* may be NULL */
  bool any;                       /* of a plug-in that is not there */
};

static const char *const file_names[] = {
    "store", "log", "min_free", "max_night", "package_caches", "checkpoint_after_transaction",
    NULL};
static const char *const plugin_names[] = {"track", "exclude", "secret", "reset", NULL};
static const char *const archive_names[] = {"url", NULL};
static const char *const prune_names[] = {"keep_last",     "keep_daily",  "keep_weekly",
                                          "keep_monthly",  "keep_yearly", "keep_tag",
                                          "keep_packages", NULL};
static const char *const entry_names[] = {"reason", NULL};
static const char *const block_names[] = {"plugin", "archive",  "excluded", "generated",
                                          "secret", "identity", "prune",    NULL};

static bool has_name(const char *const *names, const char *name)
{
  for (; *names; names++) {
    if (strcmp(*names, name) == 0)
      return true;
  }
  return false;
}

static struct known known_in(const struct st_source_block *b, st_conf_schema_fn *schema, void *arg)
{
  if (!*b->kind)
    return (struct known){.names = file_names};
  if (strcmp(b->kind, "archive") == 0)
    return (struct known){.names = archive_names};
  if (strcmp(b->kind, "prune") == 0)
    return (struct known){.names = prune_names};
  if (strcmp(b->kind, "plugin") != 0)
    return (struct known){.names = entry_names};
  const struct st_option *options = schema ? schema(arg, b->title) : NULL;
  return (struct known){plugin_names, options, options == NULL};
}

/* [a-z][a-z0-9_]*: what a plug-in and its options are called. */
static bool is_name(const char *name)
{
  return *name >= 'a' && *name <= 'z' &&
         name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == 0;
}

static bool is_known(const struct known *k, const char *name)
{
  if (has_name(k->names, name) || (k->any && is_name(name)))
    return true;
  return st_conf_option_type(k->schema, name) >= 0;
}

static int unknown(const struct st_source *s, int line, const char *what, const char *name,
                   const struct guess *g, struct st_error *err)
{
  if (!g->name)
    return st_source_fail(s->file, line, err, "unknown %s '%s'", what, st_quote(name));
  return st_source_fail(s->file, line, err, "unknown %s '%s', perhaps '%s' is meant", what,
                        st_quote(name), g->name);
}

static int check_name(const struct st_source *s, const struct st_source_name *n,
                      const struct known *k, struct st_error *err)
{
  struct guess g = {0};
  if (is_known(k, n->name))
    return 0;
  for (const char *const *known = k->names; *known; known++)
    guess_from(&g, n->name, *known);
  for (const struct st_option *o = k->schema; o && o->name; o++)
    guess_from(&g, n->name, o->name);
  return unknown(s, n->line, "option", n->name, &g, err);
}

static int check_twice(const struct st_source *s, size_t i, struct st_error *err)
{
  const struct st_source_name *n = &s->names[i];
  for (size_t k = 0; k < i; k++) {
    if (s->names[k].block == n->block && strcmp(s->names[k].name, n->name) == 0)
      return st_source_fail(s->file, n->line, err, "option '%s' is set twice", n->name);
  }
  return 0;
}

static int check_block(const struct st_source *s, const struct st_source_block *b,
                       struct st_error *err)
{
  struct guess g = {0};
  if (*b->kind && !has_name(block_names, b->kind)) {
    for (const char *const *known = block_names; *known; known++)
      guess_from(&g, b->kind, *known);
    return unknown(s, b->line, "block", b->kind, &g, err);
  }
  if (strcmp(b->kind, "plugin") == 0 && !is_name(b->title))
    return st_source_fail(s->file, b->line, err, "not a plug-in's name: '%s'", st_quote(b->title));
  return 0;
}

int st_conf_check_names(const struct st_source *s, st_conf_schema_fn *schema, void *arg,
                        struct st_error *err)
{
  for (size_t i = 0; i < s->nblocks; i++) {
    if (check_block(s, &s->blocks[i], err) < 0)
      return -1;
  }
  size_t block = SIZE_MAX;
  struct known k = {0};
  for (size_t i = 0; i < s->nnames; i++) {
    if (s->names[i].block != block)
      k = known_in(&s->blocks[block = s->names[i].block], schema, arg);
    if (check_name(s, &s->names[i], &k, err) < 0 || check_twice(s, i, err) < 0)
      return -1;
  }
  return 0;
}

/* ---- Values
 * --------------------------------------------------------------------------------------------- */

int st_conf_option_type(const struct st_option *schema, const char *name)
{
  if (has_name(st_conf_universal, name))
    return ST_OPT_LIST;
  for (; schema && schema->name; schema++) {
    if (strcmp(schema->name, name) == 0)
      return (int)schema->type;
  }
  return -1;
}

int st_conf_check_value(int type, const char *value, struct st_error *err)
{
  uint64_t size;
  int64_t number;
  bool boolean;
  switch (type) {
  case ST_OPT_SIZE:
    return st_parse_size(value, &size, err);
  case ST_OPT_NUMBER:
    return st_parse_number(value, &number, err);
  case ST_OPT_BOOL:
    return st_parse_bool(value, &boolean, err);
  default:
    return 0;
  }
}
