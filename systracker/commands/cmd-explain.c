/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/commands/command.h"

#include <inttypes.h>
#include <string.h>

#include "systracker/base/file.h"
#include "systracker/base/meta.h"
#include "systracker/tracker/pathfacts.h"

static const struct st_cli_verb verb = {
    .name = "explain",
    .usage = "PATH",
    .summary = "whether a path is tracked, by which rule, and what is known and kept of it",
};

static const char *const list_names[ST_CONF_NLISTS] = {
    [ST_CONF_EXCLUDED] = "excluded",
    [ST_CONF_GENERATED] = "generated",
    [ST_CONF_SECRET] = "secret",
    [ST_CONF_IDENTITY] = "identity",
};

struct explained {
  struct st_tracker *t;
  const char *path;
  bool is_dir;
  int64_t latest; /* 0: no checkpoint */
};

/* As it is now; where it is gone, as it was. */
static bool is_directory(const struct explained *e)
{
  struct st_meta meta;
  const char *name;
  ST_AUTO_CLOSE int parent = st_open_parent(e->t->root, e->path, &name);
  if (parent >= 0 && st_meta_read(parent, name, &meta) == 0)
    return meta.type == 'd';
  return false;
}

/* Plug-ins that look at entries at all. */
static bool has_entries(struct st_tracker *t, const char *plugin)
{
  const struct st_loaded *l = st_host_find(&t->host, plugin);
  for (const struct st_table *d = l && l->plugin ? l->plugin->tables : NULL; d && d->name; d++)
    if (d->flags & ST_TABLE_ENTRY)
      return true;
  return false;
}

/* ---- Words ----------------------------------------------------------------------------------- */

static void print_rule(const struct st_rule *rule)
{
  if (!rule) {
    printf("no rule speaks of it\n");
    return;
  }
  printf("%s (%s)", st_quote(rule->pattern), st_quote(rule->origin));
  if (rule->reason)
    printf(": %s", st_quote(rule->reason));
  putchar('\n');
}

static void print_rules(const struct explained *e)
{
  struct st_tracked tracked;
  for (size_t n = 0; st_tracker_tracked(e->t, n, e->path, e->is_dir, &tracked); n++) {
    if (!has_entries(e->t, tracked.plugin))
      continue;
    printf("  %s by %s: ", tracked.tracked ? "tracked" : "not tracked", tracked.plugin);
    print_rule(tracked.rule);
  }
  for (int list = 0; list < ST_CONF_NLISTS; list++) {
    const struct st_rule *rule =
        st_tracker_listed(e->t, (enum st_conf_list)list, e->path, e->is_dir);
    if (rule) {
      printf("  listed as %s: ", list_names[list]);
      print_rule(rule);
    }
  }
}

static void print_fact(const struct st_fact_row *fact, bool secret)
{
  const struct st_table *d = &fact->table->declaration;
  printf("  %s, since checkpoint %" PRId64 "%s%s:", fact->table->name, fact->since,
         fact->expected ? ", as its package expects" : "", secret ? ", a secret" : "");
  const char *between = " ";
  for (size_t i = 1; i < d->ncolumns; i++) {
    const struct st_value *v = &fact->values[i];
    if (v->type == ST_NULL || (d->columns[i].flags & ST_DERIVED) ||
        (v->type == ST_ID && (d->columns[i].flags & ST_OBJECT)))
      continue;
    if (secret && v->type != ST_TEXT)
      continue;
    ST_AUTO_BUFFER words = ST_BUFFER_INIT;
    st_render_value(&d->columns[i], v, &words);
    printf("%s%s %s", between, d->columns[i].name, words.data);
    between = ", ";
  }
  putchar('\n');
}

/* ---- Facts
 * -------------------------------------------------------------------------------- */

static void print_package(const struct st_path_facts *k)
{
  if (!k->package.name)
    return;
  ST_AUTO_FREE char *name = st_packaged_name(&k->package);
  printf("  expected by the package %s, since checkpoint %" PRId64 ": %s\n", name, k->package.since,
         k->observed ? "as it was when it was first seen, as no package file was kept"
                     : "as the package declares it");
}

static void print_content(const struct explained *e, const struct st_path_facts *k)
{
  ST_AUTO_FREE char *size = st_format_size(k->kept_length > 0 ? (uint64_t)k->kept_length : 0);
  if (k->kept && k->secret)
    printf("  content: kept, sealed\n");
  else if (k->kept)
    printf("  content: kept (%s)\n", size);
  else if (k->as_packaged)
    printf("  content: as its package has it, whose file is %s\n",
           k->package_kept ? "kept" : "not kept (systracker packages --fetch-missing)");
  else if (k->count > 0 && !e->is_dir)
    printf("  content: not kept\n");
}

static void print_known(struct explained *e, const struct st_path_facts *k)
{
  for (size_t i = 0; i < k->count; i++)
    print_fact(k->facts[i], st_path_facts_hide(k, k->facts[i]));
  if (k->count == 0)
    printf("  nothing is known of it at checkpoint %" PRId64 "\n", e->latest);
  print_package(k);
  print_content(e, k);
  if (k->unobserved)
    printf("  not seen at checkpoint %" PRId64 ": %s\n", e->latest, k->unobserved);
}

/* ---- JSON
 * --------------------------------------------------------------------------------- */

static void set_rule(json_t *o, const struct st_rule *rule)
{
  json_object_set_new(o, "pattern", st_json_text(rule ? rule->pattern : NULL));
  json_object_set_new(o, "origin", st_json_text(rule ? rule->origin : NULL));
  json_object_set_new(o, "reason", st_json_text(rule ? rule->reason : NULL));
}

static json_t *plugins_json(const struct explained *e)
{
  json_t *array = json_array();
  struct st_tracked tracked;
  for (size_t n = 0; st_tracker_tracked(e->t, n, e->path, e->is_dir, &tracked); n++) {
    if (!has_entries(e->t, tracked.plugin))
      continue;
    json_t *o = json_object();
    json_object_set_new(o, "plugin", st_json_text(tracked.plugin));
    json_object_set_new(o, "tracked", json_boolean(tracked.tracked));
    set_rule(o, tracked.rule);
    json_array_append_new(array, o);
  }
  return array;
}

static json_t *lists_json(const struct explained *e)
{
  json_t *array = json_array();
  for (int list = 0; list < ST_CONF_NLISTS; list++) {
    const struct st_rule *rule =
        st_tracker_listed(e->t, (enum st_conf_list)list, e->path, e->is_dir);
    if (!rule)
      continue;
    json_t *o = json_object();
    json_object_set_new(o, "list", json_string(list_names[list]));
    set_rule(o, rule);
    json_array_append_new(array, o);
  }
  return array;
}

static int explain(struct st_cli *cli, struct explained *e, struct st_error *err)
{
  ST_AUTO_PATH_FACTS known = {0};
  if (e->latest > 0 && st_path_facts_read(e->t, e->latest, e->path, &known, err) < 0)
    return -1;
  if (cli->json) {
    json_t *o = json_object();
    json_object_set_new(o, "path", st_json_path(e->path));
    json_object_set_new(o, "plugins", plugins_json(e));
    json_object_set_new(o, "lists", lists_json(e));
    if (e->latest > 0)
      st_path_facts_json(&known, o);
    return st_cli_json(o);
  }
  printf("%s\n", st_quote(e->path));
  print_rules(e);
  if (e->latest > 0)
    print_known(e, &known);
  else
    printf("  there is no checkpoint yet\n");
  return 0;
}

/* Rules can be told without a store; why there are no facts is said. */
static int open_any(struct st_cli *cli, struct explained *e, struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (st_tracker_open(&e->t, &cli->tracker, ST_TRACKER_LOOK, &why) >= 0) {
    e->latest = st_catalog_latest(e->t->catalog);
    return 0;
  }
  if (st_tracker_open_config(&e->t, &cli->tracker, err) < 0)
    return -1;
  fprintf(stderr, "systracker: only the rules are told: %s\n", st_error_text(&why));
  return 0;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  int first = st_cli_parse(cli, &verb, argc, argv, NULL, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 1, 1, err) < 0)
    return -1;
  ST_AUTO_FREE char *path = NULL;
  struct explained e = {0};
  if (st_cli_path(cli, argv[first], &path, err) < 0 || open_any(cli, &e, err) < 0)
    return -1;
  e.path = path;
  e.is_dir = is_directory(&e);
  int r = explain(cli, &e, err);
  st_tracker_close(e.t);
  return r < 0 ? -1 : ST_EXIT_OK;
}

const struct st_command cmd_explain = {&verb, run};
