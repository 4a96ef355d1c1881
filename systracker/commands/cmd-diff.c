/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/commands/command.h"

#include <inttypes.h>

static const struct st_cli_option options[] = {
    {"stat", CMD_OPT_STAT, NULL, "one line each, without the texts' differences, and a sum"},
    {"name-only", CMD_OPT_NAME_ONLY, NULL, "the names of what differs alone"},
    CMD_CHANGES_OPTIONS,
    {NULL, 0, NULL, NULL},
};

static const struct st_cli_verb verb = {
    .name = "diff",
    .usage = "[A [B]] [--] [PATH...]",
    .summary = "what changed from checkpoint A (latest) to B (the live system)",
    .options = options,
    .set = cmd_changes_set,
};

struct sides {
  int64_t numbers[2];
  int count;
};

/* One operand before "--": a checkpoint, or, where there is none of that name, a path. */
static int take_operand(struct st_cli *cli, struct st_tracker *t, const char *text, bool dashes,
                        struct sides *sides, struct st_strings *paths, struct st_error *err)
{
  int64_t number;
  if (*text == '/' && !dashes)
    return cmd_paths(cli, (char **)&text, 1, paths, err);
  if (paths->count > 0)
    return st_fail(err, 0, "checkpoints come before paths (%s)", st_quote(text));
  if (st_catalog_resolve(t->catalog, text, &number, err) < 0)
    return *text == '/' || *text == '.' ? st_fail(err, 0,
                                                  "no such checkpoint; paths stand after "
                                                  "-- (%s)",
                                                  st_quote(text))
                                        : -1;
  if (sides->count == 2)
    return st_fail(err, 0, "more than two checkpoints (%s)", st_quote(text));
  sides->numbers[sides->count++] = number;
  return 0;
}

static int take_operands(struct st_cli *cli, struct st_tracker *t, int count, char **operands,
                         int dashes, struct sides *sides, struct st_strings *paths,
                         struct st_error *err)
{
  int before = dashes < 0 ? count : dashes;
  for (int i = 0; i < before; i++)
    if (take_operand(cli, t, operands[i], dashes >= 0, sides, paths, err) < 0)
      return -1;
  return cmd_paths(cli, operands + before, count - before, paths, err);
}

/* What was not seen stands as it was, which looks like "same". */
static void warn_incomplete(struct st_tracker *t, const struct sides *sides)
{
  for (int i = 0; i < sides->count; i++) {
    ST_AUTO_CHECKPOINT cp = {0};
    ST_AUTO_ERROR ignored = ST_ERROR_INIT;
    if (st_catalog_checkpoint(t->catalog, sides->numbers[i], &cp, &ignored) == 0 && cp.incomplete)
      fprintf(stderr,
              "systracker: checkpoint %" PRId64 " is incomplete: what it did not see "
              "is shown as it was before (systracker show %" PRId64 ")\n",
              cp.number, cp.number);
  }
}

static int compare(struct st_cli *cli, struct st_tracker *t, struct sides *sides,
                   const struct st_render_options *o, struct st_error *err)
{
  ST_AUTO_SCAN scan = {0};
  bool live = sides->count < 2;
  if (sides->count == 0)
    sides->numbers[sides->count++] = st_catalog_latest(t->catalog);
  if (live && st_tracker_scan(t, &scan, err) < 0)
    return -1;
  pid_t pager = st_cli_pager(cli);
  int64_t count =
      st_render_changes(t, cli, sides->numbers[0], live ? ST_LIVE : sides->numbers[1], o, err);
  st_cli_pager_end(pager);
  warn_incomplete(t, sides);
  cmd_say_missed(&scan);
  if (count < 0)
    return -1;
  if (count > 0)
    return ST_EXIT_INCOMPLETE;
  return scan.incomplete ? ST_EXIT_TROUBLE : ST_EXIT_OK;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_AUTO_STRINGS paths = {0};
  struct st_render_options o = {.paths = &paths};
  struct sides sides = {0};
  int dashes;
  int first = st_cli_parse(cli, &verb, argc, argv, &o, &dashes, err);
  if (first < 0)
    return -1;
  o.patch = !o.stat && !o.name_only;
  ST_AUTO_TRACKER *t = NULL;
  if (st_tracker_open(&t, &cli->tracker, ST_TRACKER_LOOK, err) < 0 || cmd_latest(t, err) < 0 ||
      take_operands(cli, t, argc - first, argv + first, dashes, &sides, &paths, err) < 0)
    return -1;
  return compare(cli, t, &sides, &o, err);
}

const struct st_command cmd_diff = {&verb, run};
