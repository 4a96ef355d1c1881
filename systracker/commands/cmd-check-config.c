/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/commands/command.h"

#include <inttypes.h>

static const struct st_cli_verb verb = {
    .name = "check-config",
    .usage = "",
    .summary = "read the configuration and the plug-ins, and say what is wrong",
};

static void print_json(const struct st_tracker *t)
{
  for (size_t i = 0; i < t->conf->files.count; i++) {
    json_t *o = json_object();
    json_object_set_new(o, "file", st_json_path(t->conf->files.items[i]));
    st_cli_json(o);
  }
  for (size_t i = 0; i < t->host.count; i++) {
    const struct st_loaded *p = &t->host.plugins[i];
    json_t *o = json_object();
    json_object_set_new(o, "plugin", st_json_text(p->name));
    json_object_set_new(o, "version", st_json_text(p->plugin ? p->plugin->version : NULL));
    json_object_set_new(o, "description", st_json_text(p->plugin ? p->plugin->description : NULL));
    json_object_set_new(o, "why", p->why ? st_json_words(p->why) : json_null());
    st_cli_json(o);
  }
}

static void print_words(const struct st_tracker *t)
{
  for (size_t i = 0; i < t->conf->files.count; i++)
    printf("read %s\n", st_quote(t->conf->files.items[i]));
  for (size_t i = 0; i < t->host.count; i++) {
    const struct st_plugin *p = t->host.plugins[i].plugin;
    if (p)
      printf("plug-in %s %s: %s\n", st_quote(p->name), st_quote(p->version ? p->version : "?"),
             st_quote(p->description ? p->description : ""));
  }
}

/* A plug-in that cannot be used makes checkpoints incomplete: here it is an error. */
static int check_plugins(const struct st_tracker *t, struct st_error *err)
{
  for (size_t i = 0; i < t->host.count; i++) {
    const struct st_loaded *p = &t->host.plugins[i];
    if (p->why)
      return st_fail(err, 0, "cannot use the plug-in %s: %s", st_quote(p->name), p->why);
  }
  return 0;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  int first = st_cli_parse(cli, &verb, argc, argv, NULL, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 0, 0, err) < 0)
    return -1;
  ST_AUTO_TRACKER *t = NULL;
  if (st_tracker_open_config(&t, &cli->tracker, err) < 0)
    return -1;
  if (cli->json)
    print_json(t);
  else if (!cli->quiet)
    print_words(t);
  if (check_plugins(t, err) < 0)
    return -1;
  if (!cli->json && !cli->quiet)
    printf("configuration is fine\n");
  return ST_EXIT_OK;
}

const struct st_command cmd_check_config = {&verb, run};
