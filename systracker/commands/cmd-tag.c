/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/commands/command.h"

#include <inttypes.h>

enum { OPT_FORCE = 256 };

struct tag_options {
  bool delete, force;
};

static const struct st_cli_option options[] = {
    {"delete", 'd', NULL, "take the name away"},
    {"force", OPT_FORCE, NULL, "move a name that is taken"},
    {NULL, 0, NULL, NULL},
};

static int set(void *arg, int letter, const char *value, struct st_error *err)
{
  (void)value;
  (void)err;
  struct tag_options *o = arg;
  if (letter == 'd')
    o->delete = true;
  else
    o->force = true;
  return 0;
}

static const struct st_cli_verb verb = {
    .name = "tag",
    .usage = "[NAME [CHECKPOINT]]",
    .summary = "list the names of checkpoints, or give one (to the latest, unless said)",
    .options = options,
    .set = set,
};

static int print_tag(void *arg, const char *name, int64_t number)
{
  const struct st_cli *cli = arg;
  if (!cli->json)
    return printf("%s %" PRId64 "\n", st_quote(name), number) < 0 ? -1 : 0;
  json_t *o = json_object();
  json_object_set_new(o, "tag", st_json_path(name));
  json_object_set_new(o, "number", json_integer(number));
  return st_cli_json(o);
}

static int list(struct st_cli *cli, struct st_error *err)
{
  ST_AUTO_TRACKER *t = NULL;
  if (st_tracker_open(&t, &cli->tracker, ST_TRACKER_LOOK, err) < 0)
    return -1;
  return st_catalog_tags(t->catalog, print_tag, cli, err) < 0 ? -1 : ST_EXIT_OK;
}

static int change(struct st_cli *cli, const struct tag_options *o, const char *name,
                  const char *checkpoint, struct st_error *err)
{
  ST_AUTO_TRACKER *t = NULL;
  int64_t number;
  if (cmd_open_to_write(&t, cli, err) < 0)
    return -1;
  if (o->delete)
    return st_catalog_untag(t->catalog, name, err) < 0 ? -1 : ST_EXIT_OK;
  if (cmd_latest(t, err) < 0 || st_catalog_resolve(t->catalog, checkpoint, &number, err) < 0 ||
      st_catalog_tag(t->catalog, name, number, o->force, err) < 0)
    return -1;
  return ST_EXIT_OK;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  struct tag_options o = {0};
  int first = st_cli_parse(cli, &verb, argc, argv, &o, NULL, err);
  if (first < 0)
    return -1;
  int count = argc - first;
  bool changes = o.delete || o.force;
  if (st_cli_operands(&verb, count, changes ? 1 : 0, o.delete ? 1 : 2, err) < 0)
    return -1;
  if (count == 0)
    return list(cli, err);
  return change(cli, &o, argv[first], count > 1 ? argv[first + 1] : "latest", err);
}

const struct st_command cmd_tag = {&verb, run};
