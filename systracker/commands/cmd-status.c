/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/commands/command.h"

#include <inttypes.h>

static const struct st_cli_verb verb = {
    .name = "status",
    .usage = "[PATH...]",
    .summary = "what differs now from the latest checkpoint",
    .options = cmd_changes_options,
    .set = cmd_changes_set,
};

/* Nothing differs: said with the checkpoint's date, so that "same" means something. */
static int say_same(struct st_tracker *t, int64_t latest, const struct st_scan_result *scan,
                    struct st_error *err)
{
  ST_AUTO_CHECKPOINT cp = {0};
  if (st_catalog_checkpoint(t->catalog, latest, &cp, err) < 0)
    return -1;
  ST_AUTO_FREE char *time = st_format_time(cp.time);
  printf("nothing%s differs from checkpoint %" PRId64 " (%s)\n",
         scan->incomplete ? " that was seen" : "", latest, time);
  return 0;
}

static int compare(struct st_cli *cli, const struct st_render_options *o, struct st_error *err)
{
  ST_AUTO_TRACKER *t = NULL;
  ST_AUTO_SCAN scan = {0};
  if (st_tracker_open(&t, &cli->tracker, ST_TRACKER_LOOK, err) < 0)
    return -1;
  int64_t latest = cmd_latest(t, err);
  if (latest < 0 || st_tracker_scan(t, &scan, err) < 0)
    return -1;
  pid_t pager = st_cli_pager(cli);
  int64_t count = st_render_changes(t, cli, latest, ST_LIVE, o, err);
  int r = 0;
  if (count == 0 && !cli->json && !cli->quiet)
    r = say_same(t, latest, &scan, err);
  st_cli_pager_end(pager);
  cmd_say_missed(&scan);
  if (count < 0 || r < 0)
    return -1;
  if (count > 0)
    return ST_EXIT_INCOMPLETE;
  /* As diff(1) does: what could not be read is not the same. */
  return scan.incomplete ? ST_EXIT_TROUBLE : ST_EXIT_OK;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_AUTO_STRINGS paths = {0};
  struct st_render_options o = {.stat = true, .paths = &paths};
  int first = st_cli_parse(cli, &verb, argc, argv, &o, NULL, err);
  if (first < 0 || cmd_paths(cli, argv + first, argc - first, &paths, err) < 0)
    return -1;
  return compare(cli, &o, err);
}

const struct st_command cmd_status = {&verb, run};
