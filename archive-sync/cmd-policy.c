/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "archive-sync/administer.h"
#include "archive-sync/policy.h"
#include "archive-sync/serve/privileges.h"

enum { OPT_ALL = 256, OPT_SILENT, OPT_AT };

struct options {
  struct st_retention keep;
  bool all;
  int64_t silent_after; /* 0: not said */
  int64_t prune_at;     /* -1: not said */
};

static void options_free(struct options *o)
{
  st_strings_free(&o->keep.tags);
}

static const struct st_cli_option table[] = {
    CMD_KEEP_OPTIONS,
    {"keep-all", OPT_ALL, NULL, "keep all: no checkpoint is pruned"},
    {"prune-at", OPT_AT, "HH:MM", "prune each night at that time, 04:00 unless it is set"},
    {"silent-after", OPT_SILENT, "HOURS",
     "call a host silent when it has sent no checkpoint for so long"},
    {NULL, 0, NULL, NULL},
};

static int set(void *arg, int letter, const char *value, struct st_error *err)
{
  struct options *o = arg;
  if (letter == OPT_ALL)
    o->all = true;
  else if (letter == OPT_AT)
    return st_policy_time(value, &o->prune_at, err) < 0 ? st_wrap(err, "--prune-at") : 0;
  else if (letter != OPT_SILENT)
    return cmd_keep_set(&o->keep, letter, value, err);
  else if (st_parse_number(value, &o->silent_after, err) < 0)
    return st_wrap(err, "--silent-after");
  else if (o->silent_after == 0)
    return st_fail(err, 0, "--silent-after takes a number of hours");
  return 0;
}

static const struct st_cli_verb verb = {
    .program = "systracker-archive",
    .name = "policy",
    .usage = "DIR",
    .summary = "say, or set, which checkpoints the server keeps",
    .options = table,
    .set = set,
};

static void report(const struct st_cli *cli, const struct st_policy *policy)
{
  if (cli->json) {
    st_cli_json(st_policy_json(policy));
    return;
  }
  ST_AUTO_FREE char *at = st_policy_say_time(policy->prune_at);
  ST_AUTO_FREE char *words = cmd_keep_words(&policy->keep);
  if (*words)
    printf("at %s, of each host the server keeps:%s\n", at, words);
  else
    printf("the server keeps all checkpoints\n");
  printf("a host that has sent no checkpoint for %" PRId64 " hours is called silent\n",
         policy->silent_after);
}

/* Rules replace those there are, all of them. */
static void change(struct st_policy *policy, struct options *o)
{
  if (o->all || st_retention_is_set(&o->keep)) {
    st_policy_clear(policy);
    policy->keep = o->keep;
    o->keep = (struct st_retention){0};
  }
  if (o->prune_at >= 0)
    policy->prune_at = o->prune_at;
  if (o->silent_after > 0)
    policy->silent_after = o->silent_after;
}

static int run_with(struct st_cli *cli, const char *dir, struct options *o, struct st_error *err)
{
  ST_AUTO_ARCHIVE *a = NULL;
  ST_AUTO_POLICY policy = {0};
  bool changes = o->all || o->silent_after > 0 || o->prune_at >= 0 || st_retention_is_set(&o->keep);
  if (o->all && st_retention_is_set(&o->keep))
    return st_fail(err, 0, "--keep-all goes with no other rule");
  if (st_archive_open(&a, dir, false, err) < 0 || st_privileges_follow(a->dir, err) < 0 ||
      (changes && st_archive_lock(a, 60, err) < 0) || st_policy_read(a, &policy, err) < 0)
    return -1;
  change(&policy, o);
  if (changes && st_policy_write(a, &policy, err) < 0)
    return -1;
  if (!changes || (!cli->quiet && !cli->json))
    report(cli, &policy);
  return ST_EXIT_OK;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_CLEANUP(options_free) struct options o = {.prune_at = -1};
  int first = st_cli_parse(cli, &verb, argc, argv, &o, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 1, 1, err) < 0)
    return -1;
  return run_with(cli, argv[first], &o, err);
}

const struct st_command archive_policy = {&verb, run};
