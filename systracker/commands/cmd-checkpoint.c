/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/commands/command.h"

#include <inttypes.h>
#include <limits.h>

#include "systracker/base/text.h"
#include "systracker/tracker/transaction.h"

enum { OPT_TAG = 256, OPT_FULL, OPT_AFTER };

static const struct st_cli_option options[] = {
    {"message", 'm', "TEXT", "say why, for the log"},
    {"tag", OPT_TAG, "NAME", "give the checkpoint a name"},
    {"full", OPT_FULL, NULL, "read every file again, whatever its times say"},
    {"after", OPT_AFTER, "PID", "first wait for that process to end, a minute at most"},
    {NULL, 0, NULL, NULL},
};

struct request {
  struct st_checkpoint_options options;
  int64_t after; /* a process; 0: none */
};

static int set(void *arg, int letter, const char *value, struct st_error *err)
{
  struct request *request = arg;
  struct st_checkpoint_options *o = &request->options;
  if (letter == OPT_AFTER)
    return st_parse_number(value, &request->after, err) < 0 ? st_wrap(err, "--after") : 0;
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

static int make(struct st_cli *cli, const struct st_checkpoint_options *o, struct st_error *err)
{
  ST_AUTO_TRACKER *t = NULL;
  ST_AUTO_SCAN scan = {0};
  ST_AUTO_CHECKPOINT cp = {0};
  if (st_tracker_open(&t, &cli->tracker, ST_TRACKER_WRITE, err) < 0 ||
      st_tracker_checkpoint(t, o, &scan, &cp, err) < 0)
    return -1;
  if (cli->json)
    print_json(&cp, &scan);
  else if (!cli->quiet)
    print_words(&cp);
  cmd_say_missed(&scan);
  return cp.incomplete || scan.incomplete ? ST_EXIT_INCOMPLETE : ST_EXIT_OK;
}

static int wait_after(struct st_cli *cli, int64_t pid, struct st_error *err)
{
  if (pid == 0)
    return 0;
  if (pid > INT_MAX)
    return st_fail(err, 0, "--after: there is no such process");
  return st_transaction_wait(&cli->tracker, (pid_t)pid, err);
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  struct request o = {0};
  int first = st_cli_parse(cli, &verb, argc, argv, &o, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 0, 0, err) < 0)
    return -1;
  int r = wait_after(cli, o.after, err);
  if (r != 0)
    return r < 0 ? r : ST_EXIT_OK;
  r = make(cli, &o.options, err);
  if (r < 0 && o.after)
    st_transaction_missed(&cli->tracker, err);
  return r;
}

const struct st_command cmd_checkpoint = {&verb, run};
