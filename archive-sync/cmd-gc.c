/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "archive-sync/administer.h"
#include "archive-sync/gc.h"
#include "archive-sync/serve/privileges.h"
#include "systracker/base/text.h"

static void report_json(const struct st_gc_result *g, uint64_t freed)
{
  const struct st_repack_result *r = &g->repacked;
  json_t *o = json_object();
  json_object_set_new(o, "unneeded", json_integer((json_int_t)r->unwanted));
  json_object_set_new(o, "removed", json_integer((json_int_t)r->dropped));
  json_object_set_new(o, "bytes", json_integer((json_int_t)freed));
  json_object_set_new(o, "packages", json_integer(g->files));
  json_object_set_new(o, "package_bytes", json_integer((json_int_t)g->file_bytes));
  st_cli_json(o);
}

void st_administer_gc_report(const struct st_cli *cli, const struct st_gc_result *g)
{
  const struct st_repack_result *r = &g->repacked;
  uint64_t freed = r->before > r->after ? r->before - r->after : 0;
  if (cli->json)
    report_json(g, freed);
  if (cli->json || cli->quiet)
    return;
  ST_AUTO_FREE char *size = st_format_size(freed), *files = st_format_size(g->file_bytes);
  printf("removed %" PRIu64 " objects (%s) and %" PRId64 " package files (%s)", r->dropped, size,
         g->files, files);
  if (r->unwanted > r->dropped)
    printf("; %" PRIu64 " objects are needed by none and were left", r->unwanted - r->dropped);
  if (g->left > 0)
    printf("; %" PRId64 " package files of the last day were left", g->left);
  putchar('\n');
}

int st_administer_gc(struct st_cli *cli, const char *dir, struct st_error *err)
{
  ST_AUTO_ARCHIVE *a = NULL;
  struct st_gc_result result;
  if (st_archive_open(&a, dir, false, err) < 0 || st_privileges_follow(a->dir, err) < 0 ||
      st_gc(a, 1, &result, err) < 0)
    return -1;
  st_administer_gc_report(cli, &result);
  return result.repacked.left > 0 ? ST_EXIT_INCOMPLETE : ST_EXIT_OK;
}
