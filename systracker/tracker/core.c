/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/core.h"

#include <string.h>

#include "systracker/base/escape.h"

#define COLUMNS(a) .ncolumns = ST_COUNT(a), .columns = a

static const struct st_column rule_columns[] = {
    {"plugin", ST_TEXT, ST_KEY},
    {"kind", ST_TEXT, ST_KEY},
    {"pattern", ST_BYTES, ST_KEY},
    {"reason", ST_TEXT, 0},
};
static const struct st_column mount_columns[] = {
    {"path", ST_PATH, ST_KEY},
    {"fstype", ST_TEXT, 0},
    {"entered", ST_INTEGER, 0},
};
static const struct st_column plugin_columns[] = {
    {"name", ST_TEXT, ST_KEY},
    {"version", ST_TEXT, 0},
    {"result", ST_TEXT, 0},
};
static const struct st_column unobserved_columns[] = {
    {"plugin", ST_TEXT, ST_KEY},
    {"path", ST_PATH, ST_KEY},
    {"reason", ST_TEXT, 0},
};
static const struct st_column account_columns[] = {
    {"kind", ST_TEXT, ST_KEY},
    {"name", ST_BYTES, ST_KEY},
    {"id", ST_INTEGER, 0},
};

static const struct st_table tables[] = {
    {.name = "rule", COLUMNS(rule_columns)},
    {.name = "mount", COLUMNS(mount_columns)},
    {.name = "plugin", COLUMNS(plugin_columns)},
    {.name = "unobserved", COLUMNS(unobserved_columns)},
    {.name = "account", COLUMNS(account_columns)},
    {0},
};

/* Looked up once, as every entry speaks of them. */
static void find_tables(struct st_tracker *t, struct st_loaded *l)
{
  size_t count = 0;
  while (l->plugin->tables[count].name)
    count++;
  free(l->tables);
  l->tables = st_calloc(count + 1, sizeof(*l->tables));
  for (size_t i = 0; i < count; i++) {
    ST_AUTO_FREE char *full = st_format("%s_%s", l->name, l->plugin->tables[i].name);
    l->tables[i] = st_catalog_table(t->catalog, full);
  }
}

int st_core_declare(struct st_tracker *t, struct st_error *err)
{
  if (st_catalog_declare(t->catalog, "core", tables, err) < 0)
    return -1;
  for (size_t i = 0; i < t->host.count; i++) {
    struct st_loaded *l = &t->host.plugins[i];
    if (!l->open)
      continue;
    if (st_catalog_declare(t->catalog, l->name, l->plugin->tables, err) == 0) {
      find_tables(t, l);
      continue;
    }
    /* Its tables do not fit what it kept before: as good as absent, and said so. */
    free(l->why);
    l->why = st_strdup(st_error_text(err));
    st_error_clear(err);
    if (l->plugin->close)
      l->plugin->close(l->self);
    l->open = false;
  }
  return 0;
}

static int put(struct st_tracker *t, const char *table, const struct st_value *row,
               struct st_error *err)
{
  return st_catalog_put(t->catalog, st_catalog_table(t->catalog, table), row, err);
}

static const char *const swept[] = {ST_CORE_RULE, ST_CORE_MOUNT, ST_CORE_PLUGIN, ST_CORE_UNOBSERVED,
                                    ST_CORE_ACCOUNT};

int st_core_begin(struct st_tracker *t, struct st_error *err)
{
  for (size_t i = 0; i < ST_COUNT(swept); i++) {
    if (st_catalog_sweep(t->catalog, st_catalog_table(t->catalog, swept[i]), err) < 0)
      return -1;
  }
  return 0;
}

int st_core_end(struct st_tracker *t, bool (*keep_mount)(void *, const struct st_fact_row *),
                void *arg, struct st_error *err)
{
  for (size_t i = 0; i < ST_COUNT(swept); i++) {
    const struct st_catalog_table *table = st_catalog_table(t->catalog, swept[i]);
    bool mounts = strcmp(swept[i], ST_CORE_MOUNT) == 0;
    if (st_catalog_swept(t->catalog, table, mounts ? keep_mount : NULL, arg, err) < 0)
      return -1;
  }
  return 0;
}

/* ---- Rules --------------------------------------------------------------------------------- */

static int add_secret(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  const struct st_value *v = fact->values;
  (void)err;
  if (v[1].type != ST_TEXT || v[1].u.bytes.length != 6 ||
      memcmp(v[1].u.bytes.data, "secret", 6) != 0 || v[2].type != ST_BYTES)
    return 0;
  ST_AUTO_FREE char *pattern = st_memdup(v[2].u.bytes.data, v[2].u.bytes.length);
  ST_AUTO_ERROR malformed = ST_ERROR_INIT; /* it matches nothing */
  st_rules_add(arg, ST_RULE_TRACK, pattern, ST_CORE_RULE, NULL, &malformed);
  return 0;
}

int st_core_secret_rules(struct st_catalog *c, struct st_rules *rules, struct st_error *err)
{
  const struct st_catalog_table *table = st_catalog_table(c, ST_CORE_RULE);
  int64_t latest = st_catalog_latest(c);
  if (!table || table->declaration.ncolumns < 3 || latest == 0 ||
      st_catalog_held(c, latest) != ST_HELD)
    return 0;
  return st_catalog_each(c, latest, table, NULL, add_secret, rules, err);
}

static int plugin_rules(const struct st_conf_plugin *p, st_core_rule_fn *fn, void *arg,
                        struct st_error *err)
{
  int r = 0;
  for (size_t k = 0; st_conf_universal[k]; k++) {
    const struct st_conf_option *o = st_conf_option(p, st_conf_universal[k]);
    for (size_t i = 0; o && i < o->values.count && r == 0; i++)
      r = fn(arg, p->name, o->name, o->values.items[i], NULL, err);
  }
  return r;
}

int st_core_each_rule(struct st_tracker *t, st_core_rule_fn *fn, void *arg, struct st_error *err)
{
  static const char *const lists[ST_CONF_NLISTS] = {"excluded", "generated", "secret", "identity"};
  int r = 0;
  for (size_t i = 0; i < t->conf->nplugins && r == 0; i++)
    r = plugin_rules(&t->conf->plugins[i], fn, arg, err);
  for (size_t k = 0; k < ST_CONF_NLISTS; k++) {
    for (size_t i = 0; i < t->conf->nlists[k] && r == 0; i++) {
      const struct st_conf_entry *e = &t->conf->lists[k][i];
      r = fn(arg, "", lists[k], e->pattern, e->reason, err);
    }
  }
  return r;
}

static int put_rule(void *arg, const char *plugin, const char *kind, const char *pattern,
                    const char *reason, struct st_error *err)
{
  struct st_value row[] = {
      st_text_value(plugin), st_text_value(kind), st_string_value(ST_BYTES, pattern),
      st_text_value(reason && st_is_utf8(reason, strlen(reason)) ? reason : "")};
  return put(arg, ST_CORE_RULE, row, err) < 0 ? -1 : 0;
}

int st_core_rules(struct st_tracker *t, struct st_error *err)
{
  return st_core_each_rule(t, put_rule, t, err);
}

/* ---- Accounts, mounts, plug-ins ---------------------------------------------------------------
 */

struct account_arg {
  struct st_tracker *t;
  struct st_error *err;
};

static int put_account(void *arg, bool group, const char *name, uint32_t id)
{
  struct account_arg *a = arg;
  struct st_value row[] = {st_text_value(group ? "group" : "user"), st_string_value(ST_BYTES, name),
                           st_integer(id)};
  int r = put(a->t, ST_CORE_ACCOUNT, row, a->err);
  return r < 0 ? r : 0;
}

int st_core_accounts(struct st_tracker *t, struct st_error *err)
{
  struct account_arg arg = {t, err};
  return st_accounts_each(t->accounts, put_account, &arg);
}

int st_core_mount(struct st_tracker *t, const struct st_mount *mount, struct st_error *err)
{
  struct st_value row[] = {st_path_value(mount->path), st_text_value(mount->fstype),
                           st_integer(mount->entered)};
  return put(t, ST_CORE_MOUNT, row, err);
}

int st_core_plugin(struct st_tracker *t, const char *name, const char *version, const char *result,
                   struct st_error *err)
{
  struct st_value row[] = {st_text_value(name), st_text_value(version), st_text_value(result)};
  return put(t, ST_CORE_PLUGIN, row, err);
}

int st_core_unobserved(struct st_tracker *t, const char *plugin, const char *path,
                       const char *reason, struct st_error *err)
{
  struct st_value row[] = {st_text_value(plugin), st_path_value(path), st_text_value(reason)};
  return put(t, ST_CORE_UNOBSERVED, row, err);
}

struct mounts_arg {
  bool entered;
  struct st_strings *out;
};

static int add_mount(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  const struct mounts_arg *a = arg;
  const struct st_value *path = &fact->values[0], *entered = &fact->values[2];
  bool was_entered = entered->type != ST_INTEGER || entered->u.integer != 0;
  if (was_entered == a->entered)
    st_strings_take(a->out, st_memdup(path->u.bytes.data, path->u.bytes.length));
  return 0;
}

int st_core_known_mounts(struct st_tracker *t, bool entered, struct st_strings *out,
                         struct st_error *err)
{
  int64_t latest = st_catalog_latest(t->catalog);
  if (latest == 0)
    return 0;
  struct mounts_arg arg = {entered, out};
  return st_catalog_each(t->catalog, latest, st_catalog_table(t->catalog, ST_CORE_MOUNT), NULL,
                         add_mount, &arg, err);
}
