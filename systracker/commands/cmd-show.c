/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/commands/command.h"

#include <inttypes.h>

static const struct st_cli_verb verb = {
    .name = "show",
    .usage = "CHECKPOINT",
    .summary = "one checkpoint: what it is, what it covers, what changed with it",
    .options = cmd_changes_options,
    .set = cmd_changes_set,
};

/* ---- Scope: rows of the core's tables -------------------------------------------------------- */

/* Columns 0 to n - 1 of the row, as words. */
static int print_row(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  const struct st_table *d = &fact->table->declaration;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  for (size_t i = 0; i < d->ncolumns; i++) {
    const struct st_value *v = &fact->values[i];
    if (v->type == ST_NULL || (v->type != ST_INTEGER && v->u.bytes.length == 0))
      continue;
    st_buffer_append_string(&words, words.length > 0 ? " " : "");
    st_render_value(&d->columns[i], v, &words);
  }
  printf("%-12s%s\n", (const char *)arg, words.data ? words.data : "");
  return 0;
}

static int print_mount(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)arg;
  (void)err;
  const struct st_column *columns = fact->table->declaration.columns;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  st_render_value(&columns[0], &fact->values[0], &words);
  st_buffer_append_string(&words, " ");
  st_render_value(&columns[1], &fact->values[1], &words);
  bool entered = fact->values[2].type == ST_INTEGER && fact->values[2].u.integer != 0;
  printf("%-12s%s%s\n", "mount", words.data, entered ? "" : ", not entered");
  return 0;
}

static int each_core(struct st_tracker *t, int64_t number, const char *table, st_fact_fn *fn,
                     void *arg, struct st_error *err)
{
  const struct st_catalog_table *found = st_catalog_table(t->catalog, table);
  return found ? st_catalog_each(t->catalog, number, found, NULL, fn, arg, err) : 0;
}

/* Columns that an older version did not have: filled in here, which is no change. */
static void print_new_columns(struct st_tracker *t, int64_t number)
{
  const struct st_catalog_table *table;
  for (size_t n = 0; (table = st_catalog_table_at(t->catalog, n)); n++) {
    const char *between = NULL;
    for (size_t i = 0; i < table->declaration.ncolumns; i++) {
      if (!st_catalog_is_new_column(table, i, number))
        continue;
      if (!between)
        printf("%-12s%s:", "captured", table->name);
      printf("%s %s", between ? between : "", table->declaration.columns[i].name);
      between = ",";
    }
    if (between)
      printf(", from here on\n");
  }
}

static int print_header(struct st_tracker *t, const struct st_checkpoint *cp, struct st_error *err)
{
  char root[2 * ST_DIGEST_SIZE + 1];
  st_hex(root, cp->state_root, ST_DIGEST_SIZE);
  ST_AUTO_FREE char *time = st_format_time(cp->time);
  printf("%-12s%" PRId64 "%s\n%-12s%s\n", "checkpoint", cp->number,
         cp->incomplete ? " (incomplete)" : "", "date", time);
  if (cp->message)
    printf("%-12s%s\n", "message", st_quote(cp->message));
  if (cp->tags)
    printf("%-12s%s\n", "tags", st_quote(cp->tags));
  printf("%-12s%s\n%-12s%" PRId64 " began, %" PRId64 " ended", "state root", root, "facts",
         cp->begun, cp->ended);
  int64_t before = st_catalog_before(t->catalog, cp->number);
  if (before != cp->number - 1 && before > 0)
    printf(" since checkpoint %" PRId64, before);
  putchar('\n');
  print_new_columns(t, cp->number);
  if (each_core(t, cp->number, ST_CORE_PLUGIN, print_row, (void *)"plug-in", err) < 0 ||
      each_core(t, cp->number, ST_CORE_MOUNT, print_mount, NULL, err) < 0 ||
      each_core(t, cp->number, ST_CORE_UNOBSERVED, print_row, (void *)"not seen", err) < 0)
    return -1;
  return 0;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* A row as an object of its columns. */
static int add_row(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  const struct st_table *d = &fact->table->declaration;
  json_t *o = json_object();
  for (size_t i = 0; i < d->ncolumns; i++) {
    const struct st_value *v = &fact->values[i];
    json_t *value = v->type == ST_NULL      ? json_null()
                    : v->type == ST_INTEGER ? json_integer(v->u.integer)
                                            : st_json_bytes(v->u.bytes.data, v->u.bytes.length);
    json_object_set_new(o, d->columns[i].name, value);
  }
  return json_array_append_new(arg, o);
}

static json_t *new_columns_json(struct st_tracker *t, int64_t number)
{
  json_t *o = json_object();
  const struct st_catalog_table *table;
  for (size_t n = 0; (table = st_catalog_table_at(t->catalog, n)); n++) {
    json_t *list = json_array();
    for (size_t i = 0; i < table->declaration.ncolumns; i++) {
      if (st_catalog_is_new_column(table, i, number))
        json_array_append_new(list, json_string(table->declaration.columns[i].name));
    }
    if (json_array_size(list) > 0)
      json_object_set(o, table->name, list);
    json_decref(list);
  }
  return o;
}

static int print_header_json(struct st_tracker *t, const struct st_checkpoint *cp,
                             struct st_error *err)
{
  json_t *o = cmd_checkpoint_json(cp);
  json_t *plugins = json_array(), *mounts = json_array(), *unobserved = json_array();
  json_object_set_new(o, "captured", new_columns_json(t, cp->number));
  json_object_set_new(o, "plugins", plugins);
  json_object_set_new(o, "mounts", mounts);
  json_object_set_new(o, "unobserved", unobserved);
  int r = 0;
  if (each_core(t, cp->number, ST_CORE_PLUGIN, add_row, plugins, err) < 0 ||
      each_core(t, cp->number, ST_CORE_MOUNT, add_row, mounts, err) < 0 ||
      each_core(t, cp->number, ST_CORE_UNOBSERVED, add_row, unobserved, err) < 0)
    r = -1;
  if (r == 0)
    return st_cli_json(o);
  json_decref(o);
  return r;
}

static int show(struct st_cli *cli, struct st_tracker *t, int64_t number,
                const struct st_render_options *o, struct st_error *err)
{
  ST_AUTO_CHECKPOINT cp = {0};
  if (st_catalog_checkpoint(t->catalog, number, &cp, err) < 0)
    return -1;
  if ((cli->json ? print_header_json(t, &cp, err) : print_header(t, &cp, err)) < 0)
    return -1;
  int64_t before = st_catalog_before(t->catalog, number);
  if (number > 1 && before == 0)
    fprintf(stderr,
            "systracker: the facts of the checkpoints before %" PRId64
            " are not here, so what changed with it is not known: fetch without --checkpoint "
            "brings them\n",
            number);
  if (before == 0) /* everything began with 1: diff lists that where it matters */
    return 0;
  if (!cli->json)
    putchar('\n');
  return st_render_changes(t, cli, before, number, o, err) < 0 ? -1 : 0;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  struct st_render_options o = {.stat = true};
  int64_t number;
  int first = st_cli_parse(cli, &verb, argc, argv, &o, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 1, 1, err) < 0)
    return -1;
  o.stat = !cli->json;
  ST_AUTO_TRACKER *t = NULL;
  if (st_tracker_open(&t, &cli->tracker, ST_TRACKER_LOOK, err) < 0 || cmd_latest(t, err) < 0 ||
      st_catalog_resolve(t->catalog, argv[first], &number, err) < 0)
    return -1;
  pid_t pager = st_cli_pager(cli);
  int r = show(cli, t, number, &o, err);
  st_cli_pager_end(pager);
  return r < 0 ? -1 : ST_EXIT_OK;
}

const struct st_command cmd_show = {&verb, run};
