/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "archive-sync/administer.h"
#include "archive-sync/backup.h"

static const struct st_cli_verb verb = {
    .program = "systracker-archive",
    .name = "backup",
    .usage = "DIR TO",
    .summary = "copy the archive, while hosts send to it",
};

static void report(const struct st_cli *cli, const struct st_backup_result *r)
{
  if (cli->json) {
    json_t *o = json_object();
    json_object_set_new(o, "hosts", json_integer(r->hosts));
    json_object_set_new(o, "files", json_integer(r->files));
    json_object_set_new(o, "bytes", json_integer((json_int_t)r->bytes));
    st_cli_json(o);
  } else if (!cli->quiet) {
    ST_AUTO_FREE char *size = st_format_size(r->bytes);
    ST_AUTO_FREE char *chains = cmd_count(r->hosts, "chain", "chains");
    printf("copied what is new of %s: %" PRId64 " files (%s)\n", chains, r->files, size);
  }
}

static int run(struct st_cli *cli, int argc, char **argv, struct st_error *err)
{
  ST_AUTO_ARCHIVE *a = NULL;
  struct st_backup_result result;
  int first = st_cli_parse(cli, &verb, argc, argv, NULL, NULL, err);
  if (first < 0 || st_cli_operands(&verb, argc - first, 2, 2, err) < 0 ||
      st_archive_open(&a, argv[first], false, err) < 0 ||
      st_backup(a, argv[first + 1], &result, err) < 0)
    return -1;
  report(cli, &result);
  return ST_EXIT_OK;
}

const struct st_command archive_backup = {&verb, run};
