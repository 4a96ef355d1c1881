/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/commands/command.h"

#include <inttypes.h>

enum { OPT_TAG = 256, OPT_FULL };

static const struct st_cli_option options[] = {
    {"message", 'm', "TEXT", "say why, for the log"},
    {"tag", OPT_TAG, "NAME", "give the checkpoint a name"},
    {"full", OPT_FULL, NULL, "read every file again, whatever its times say"},
    {NULL, 0, NULL, NULL},
};

static int set(void *arg, int letter, const char *value, struct st_error *err)
{
  (void)err;
  struct st_checkpoint_options *o = arg;
  if (letter == 'm')
    o->message = value;
  else if (letter == OPT_TAG)
    o->tag = value;
  else
    o->full = true;
  return 0;
}

static const struct st_cli_verb verb = {
    .name = "checkpoint",
    .usage = "",
    .summary = "record the state of the host as the next checkpoint",
    .options = options,
    .set = set,
};

static void print_json(const struct st_checkpoint *cp, const struct st_scan_result *scan)
{
  json_t *o = cmd_checkpoint_json(cp);
  json_object_set_new(o, "changed", json_boolean(cp->begun > 0 || cp->ended > 0));
  json_object_set_new(o, "missed", st_json_words_each(&scan->missed));
  json_object_set_new(o, "entries", json_integer((json_int_t)scan->walk.entries));
  json_object_set_new(o, "looked_at", json_integer((json_int_t)scan->walk.looked_at));
  json_object_set_new(o, "read", json_integer((json_int_t)scan->walk.read));
  st_cli_json(o);
}

static void print_words(const struct st_checkpoint *cp)
{
  if (cp->begun == 0 && cp->ended == 0) {
    printf("checkpoint %" PRId64 ": nothing changed\n", cp->number);
    return;
  }
  ST_AUTO_FREE char *begun = cmd_count(cp->begun, "fact", "facts");
  printf("checkpoint %" PRId64 "%s: %s began, %" PRId64 " ended%s\n", cp->number,
         cp->number == 1 ? " (the baseline)" : "", begun, cp->ended,
         cp->incomplete ? "; incomplete" : "");
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  struct st_checkpoint_options o = {0};
  int first = st_cli_parse(cli, &verb, argc, argv, &o, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 0, 0, err) < 0)
    return -1;
  ST_AUTO_TRACKER *t = NULL;
  ST_AUTO_SCAN scan = {0};
  ST_AUTO_CHECKPOINT cp = {0};
  if (st_tracker_open(&t, &cli->tracker, ST_TRACKER_WRITE, err) < 0 ||
      st_tracker_checkpoint(t, &o, &scan, &cp, err) < 0)
    return -1;
  if (cli->json)
    print_json(&cp, &scan);
  else if (!cli->quiet)
    print_words(&cp);
  cmd_say_missed(&scan);
  return cp.incomplete || scan.incomplete ? ST_EXIT_INCOMPLETE : ST_EXIT_OK;
}

const struct st_command cmd_checkpoint = {&verb, run};
