/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/commands/command.h"

#include <inttypes.h>

enum { OPT_TIMES = 256 };

struct log_options {
  int64_t limit; /* 0: none */
  bool times;
};

static const struct st_cli_option options[] = {
    {"number", 'n', "N", "show the newest N alone"},
    {"times", OPT_TIMES, NULL, "of paths: show changes of times alone, too"},
    {NULL, 0, NULL, NULL},
};

static int set(void *arg, int letter, const char *value, struct st_error *err)
{
  struct log_options *o = arg;
  if (letter == OPT_TIMES) {
    o->times = true;
    return 0;
  }
  return st_parse_number(value, &o->limit, err) < 0 ? st_wrap(err, "--number") : 0;
}

static const struct st_cli_verb verb = {
    .name = "log",
    .usage = "[PATH...]",
    .summary = "the checkpoints, newest first, or the history of these paths",
    .options = options,
    .set = set,
};

/* ---- Checkpoints ----------------------------------------------------------------------------- */

static void print_checkpoint(struct st_tracker *t, const struct st_checkpoint *cp)
{
  ST_AUTO_FREE char *time = st_format_time(cp->time);
  printf("%4" PRId64 "  %s  ", cp->number, time);
  if (cp->held != ST_HELD)
    printf("not here");
  else if (cp->number > 1 && st_catalog_before(t->catalog, cp->number) == 0)
    printf("%" PRId64 " facts, all there were", cp->begun);
  else if (cp->begun == 0 && cp->ended == 0)
    printf("nothing changed");
  else
    printf("%" PRId64 " began, %" PRId64 " ended", cp->begun, cp->ended);
  if (cp->incomplete)
    printf("  incomplete");
  if (cp->tags)
    printf("  (%s)", st_quote(cp->tags));
  if (cp->message)
    printf("  %s", st_quote(cp->message));
  putchar('\n');
}

static int log_checkpoints(struct st_cli *cli, struct st_tracker *t, int64_t limit,
                           struct st_error *err)
{
  int64_t latest = st_catalog_latest(t->catalog);
  for (int64_t n = latest, shown = 0; n > 0 && (limit == 0 || shown < limit); n--) {
    ST_AUTO_CHECKPOINT cp = {0};
    if (st_catalog_held(t->catalog, n) == ST_PRUNED)
      continue;
    if (st_catalog_checkpoint(t->catalog, n, &cp, err) < 0)
      return -1;
    shown++;
    if (cli->json)
      st_cli_json(cmd_checkpoint_json(&cp));
    else
      print_checkpoint(t, &cp);
  }
  return 0;
}

/* ---- Paths ----------------------------------------------------------------------------------- */

/* What was passed over has no history. */
static int64_t not_fetched(struct st_tracker *t)
{
  int64_t latest = st_catalog_latest(t->catalog), count = 0;
  for (int64_t n = 1; n < latest; n++)
    count += st_catalog_held(t->catalog, n) == ST_NOT_FETCHED;
  return count;
}

static void warn_gaps(struct st_tracker *t)
{
  int64_t count = not_fetched(t);
  if (count > 0)
    fprintf(stderr,
            "systracker: %" PRId64 " of the %" PRId64
            " checkpoints are not here, and what changed with them is not known: fetch without "
            "--checkpoint brings them\n",
            count, st_catalog_latest(t->catalog));
}

static int log_paths(struct st_cli *cli, struct st_tracker *t, const struct log_options *o,
                     const struct st_strings *paths, struct st_error *err)
{
  for (size_t i = 0; i < paths->count; i++) {
    const char *path = paths->items[i];
    int64_t shown = st_render_history(t, cli, path, o->limit, o->times, err);
    if (shown < 0)
      return -1;
    if (shown == 0 && !cli->json && !cli->quiet)
      printf(not_fetched(t) > 0 ? "no change of %s is known\n" : "nothing is known of %s\n",
             st_quote(path));
  }
  return 0;
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_AUTO_STRINGS paths = {0};
  struct log_options o = {0};
  int first = st_cli_parse(cli, &verb, argc, argv, &o, NULL, err);
  if (first < 0 || cmd_paths(cli, argv + first, argc - first, &paths, err) < 0)
    return -1;
  ST_AUTO_TRACKER *t = NULL;
  if (st_tracker_open(&t, &cli->tracker, ST_TRACKER_LOOK, err) < 0 || cmd_latest(t, err) < 0)
    return -1;
  pid_t pager = st_cli_pager(cli);
  int r =
      paths.count > 0 ? log_paths(cli, t, &o, &paths, err) : log_checkpoints(cli, t, o.limit, err);
  st_cli_pager_end(pager);
  warn_gaps(t);
  return r < 0 ? -1 : ST_EXIT_OK;
}

const struct st_command cmd_log = {&verb, run};
