/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/rules.h"

#include <limits.h>
#include <string.h>

#include "systracker/base/file.h"

static int add_option(struct st_rules *rules, enum st_rule_kind kind,
                      const struct st_conf_plugin *p, const char *name, struct st_error *err)
{
  const struct st_conf_option *o = st_conf_option(p, name);
  if (!o)
    return 0;
  ST_AUTO_FREE char *origin = st_format("%s:%d", o->place.file, o->place.line);
  for (size_t i = 0; i < o->values.count; i++) {
    if (st_rules_add(rules, kind, o->values.items[i], origin, NULL, err) < 0)
      return -1;
  }
  return 0;
}

static int add_list(struct st_rules *rules, enum st_rule_kind kind, const struct st_conf *conf,
                    enum st_conf_list list, struct st_error *err)
{
  for (size_t i = 0; i < conf->nlists[list]; i++) {
    const struct st_conf_entry *e = &conf->lists[list][i];
    ST_AUTO_FREE char *origin = st_format("%s:%d", e->place.file, e->place.line);
    if (st_rules_add(rules, kind, e->pattern, origin, e->reason, err) < 0)
      return -1;
  }
  return 0;
}

static struct st_rules *list_rules(const struct st_conf *conf, enum st_conf_list list,
                                   enum st_rule_kind kind, struct st_error *err)
{
  ST_CLEANUP(st_rules_freep) struct st_rules *rules = st_rules_new();
  if (add_list(rules, kind, conf, list, err) < 0)
    return NULL;
  return st_steal(&rules);
}

/* What a restore makes ready beside an entry (restore/journal.h), and a killed one leaves until it
 * goes on or back.  So long a pattern no other rule overrides. */
#define HEX "[0-9a-f]"
#define HEX4 HEX HEX HEX HEX
#define BESIDE "**/.systracker-" HEX4 HEX4 HEX4 HEX4 "-*"

int st_tracker_add_built_in(struct st_rules *generated, struct st_error *err)
{
  return st_rules_add(generated, ST_RULE_EXCLUDE, BESIDE, "built in",
                      "a restore makes it ready, and puts it in its place or removes it", err);
}

/* Bit i of the scope's masks is the i-th loaded plug-in, so each gets its rules, open or not. */
static int plugin_rules(struct st_tracker *t, struct st_loaded *l, struct st_error *err)
{
  ST_CLEANUP(st_rules_freep) struct st_rules *rules = st_rules_new();
  const struct st_conf_plugin *p = l->context.conf;
  if (p && l->open) {
    if (add_option(rules, ST_RULE_TRACK, p, "track", err) < 0 ||
        add_option(rules, ST_RULE_EXCLUDE, p, "exclude", err) < 0)
      return -1;
  }
  if (p && add_option(t->secret, ST_RULE_TRACK, p, "secret", err) < 0)
    return -1;
  st_scope_add(t->scope, st_steal(&rules));
  return 0;
}

void st_tracker_hide_store_from(struct st_tracker *t, struct st_scope *scope)
{
  char root[PATH_MAX], store[PATH_MAX];
  if (!t->store_path || !t->root_path || !realpath(t->root_path, root) ||
      !realpath(t->store_path, store))
    return;
  size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);
  if (strncmp(store, root, n) == 0 && store[n] == '/')
    st_scope_set_store(scope, store + n);
}

void st_tracker_hide_store(struct st_tracker *t)
{
  st_tracker_hide_store_from(t, t->scope);
}

int st_tracker_compile_rules(struct st_tracker *t, struct st_error *err)
{
  t->scope = st_scope_new();
  t->secret = list_rules(t->conf, ST_CONF_SECRET, ST_RULE_TRACK, err);
  t->identity = t->secret ? list_rules(t->conf, ST_CONF_IDENTITY, ST_RULE_TRACK, err) : NULL;
  t->excluded = t->identity ? list_rules(t->conf, ST_CONF_EXCLUDED, ST_RULE_EXCLUDE, err) : NULL;
  if (!t->excluded)
    return -1;
  st_scope_set_excluded(t->scope, t->excluded);
  t->generated = list_rules(t->conf, ST_CONF_GENERATED, ST_RULE_EXCLUDE, err);
  if (!t->generated || st_tracker_add_built_in(t->generated, err) < 0)
    return -1;
  st_scope_set_generated(t->scope, t->generated);
  for (size_t i = 0; i < t->host.count; i++) {
    if (plugin_rules(t, &t->host.plugins[i], err) < 0)
      return -1;
  }
  st_tracker_hide_store(t);
  return 0;
}

static void digest_text(struct st_digester *d, const char *s)
{
  st_digester_add(d, s ? s : "", s ? strlen(s) + 1 : 1);
}

static void digest_plugin(struct st_digester *d, const struct st_loaded *l)
{
  digest_text(d, l->name);
  digest_text(d, l->open ? l->plugin->version : "-");
  for (size_t i = 0; l->context.conf && i < l->context.conf->noptions; i++) {
    const struct st_conf_option *o = &l->context.conf->options[i];
    digest_text(d, o->name);
    for (size_t k = 0; k < o->values.count; k++)
      digest_text(d, o->values.items[k]);
  }
}

static int digest_account(void *arg, bool group, const char *name, uint32_t id)
{
  uint8_t bytes[] = {group, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                     (uint8_t)id};
  st_digester_add(arg, bytes, sizeof(bytes));
  digest_text(arg, name);
  return 0;
}

/* Of another root, the same path is another index's: a check sum is enough, as nobody but the
 * administrator names roots, and stat data are compared besides. */
uint32_t st_tracker_root_mark(const struct st_tracker *t)
{
  uint32_t mark = st_crc32c(0, t->root_path, strlen(t->root_path));
  return mark ? mark : 1;
}

void st_tracker_scope_digest(struct st_tracker *t, uint8_t out[ST_DIGEST_SIZE])
{
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  digest_text(d, "systracker scope 2");
  for (size_t i = 0; i < t->host.count; i++)
    digest_plugin(d, &t->host.plugins[i]);
  st_scope_digest(t->scope, d);
  st_rules_digest(t->secret, d);
  /* An entry's owner has another name when accounts changed, and its stat says nothing of that. */
  st_accounts_each(t->accounts, digest_account, d);
  st_digester_final(d, out);
}
