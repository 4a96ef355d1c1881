/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gc.c - what no chain of an archive names goes: objects that an interrupted sync left, or whose
 * checkpoints are gone, and package files.
 *
 * The archive's lock is held, so that no host is between its objects and the checkpoint that names
 * them.  Package files are sent without it: those of the last day stay.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "archive-sync/administer.h"
#include "archive-sync/packagefiles.h"
#include "systracker/base/escape.h"
#include "systracker/base/set.h"
#include "systracker/base/text.h"
#include "systracker/store/repack.h"

#define LOCK_SECONDS 600 /* as long as sync waits by default */
#define MIN_AGE 86400    /* seconds, of package files */

struct garbage {
  struct st_archive *a;
  struct st_packages *packages;
  struct st_catalog *c;   /* being read */
  struct st_set *objects; /* named: kind of id and digest */
  struct st_set *named;   /* packages: name, version and architecture, a NUL behind each */
  int64_t files, left;    /* package files removed; unnamed, and too young */
  uint64_t file_bytes;
  struct st_repack_result repacked;
};

static void garbage_free(struct garbage *g)
{
  st_packages_closep(&g->packages);
  if (g->objects)
    st_set_free(g->objects);
  if (g->named)
    st_set_free(g->named);
}

/* ---- What is named ------------------------------------------------------------------------------
 */

static void id_bytes(const struct st_id *id, uint8_t out[33])
{
  out[0] = id->keyed;
  memcpy(out + 1, id->digest, 32);
}

static int name_object(void *arg, const struct st_id *id)
{
  struct garbage *g = arg;
  uint8_t bytes[33];
  id_bytes(id, bytes);
  st_set_add(g->objects, bytes, sizeof(bytes), 0);
  return 0;
}

static void package_words(const struct st_package *p, struct st_buffer *out)
{
  st_buffer_append(out, p->name, strlen(p->name) + 1);
  st_buffer_append(out, p->version, strlen(p->version) + 1);
  st_buffer_append(out, p->architecture, strlen(p->architecture) + 1);
}

static int name_package(void *arg, const struct st_body_row *row, struct st_error *err)
{
  (void)err;
  struct garbage *g = arg;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  const struct st_package *p =
      row->begun && !row->absent ? st_package_of_row(g->packages, row->table, row->values) : NULL;
  if (!p)
    return 0;
  package_words(p, &words);
  st_set_add(g->named, words.data, words.length, 0);
  return 0;
}

static const struct st_catalog_table *table_of(void *arg, const char *name)
{
  return st_catalog_table(((struct garbage *)arg)->c, name);
}

static int read_chain(struct garbage *g, struct st_error *err)
{
  int64_t latest = st_catalog_latest(g->c);
  if (st_catalog_objects(g->c, name_object, g, err) < 0)
    return -1;
  for (int64_t n = 1; n <= latest; n++) {
    ST_AUTO_BUFFER body = ST_BUFFER_INIT;
    if (st_catalog_held(g->c, n) != ST_HELD)
      continue;
    if (st_changeset_body(g->c, n, &body, err) < 0 ||
        st_body_read(body.data ? body.data : "", body.length, table_of, name_package, g, err) < 0)
      return -1;
  }
  return 0;
}

/* A chain that cannot be read may name anything: then nothing is removed. */
static int read_chains(struct garbage *g, const struct st_strings *hosts, struct st_error *err)
{
  for (size_t i = 0; i < hosts->count; i++) {
    ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
    int r = st_archive_catalog(g->a, hosts->items[i], ST_CATALOG_READ, &c, err);
    if (r == -ENOENT) { /* a host whose first sync was interrupted has none */
      st_error_clear(err);
      continue;
    }
    g->c = c;
    if (r < 0 || read_chain(g, err) < 0)
      return st_wrap(err, "nothing was removed: host %s", hosts->items[i]);
  }
  return 0;
}

/* ---- What is not --------------------------------------------------------------------------------
 */

static bool is_wanted(void *arg, const struct st_id *id)
{
  struct garbage *g = arg;
  uint8_t bytes[33];
  id_bytes(id, bytes);
  return st_set_get(g->objects, bytes, sizeof(bytes), NULL);
}

static int remove_packages(struct garbage *g, struct st_error *err)
{
  const struct st_package *p;
  uint64_t aside;
  int64_t before = (int64_t)time(NULL) - MIN_AGE;
  for (size_t n = 0; (p = st_packages_at(g->packages, n)); n++) {
    ST_AUTO_BUFFER words = ST_BUFFER_INIT;
    package_words(p, &words);
    if (st_set_get(g->named, words.data, words.length, NULL))
      continue;
    int r = st_packages_remove(g->packages, p, before, err);
    if (r < 0)
      return -1;
    g->files += r;
    g->file_bytes += r ? p->size : 0;
    g->left += !r;
  }
  g->files += st_packages_drop_aside(g->packages, true, &aside);
  g->file_bytes += aside;
  return 0;
}

static void say(void *arg, const char *words)
{
  (void)arg;
  fflush(stdout);
  fprintf(stderr, "systracker: %s\n", words);
}

/* ---- The whole ----------------------------------------------------------------------------------
 */

static void report(const struct st_cli *cli, const struct garbage *g)
{
  const struct st_repack_result *r = &g->repacked;
  uint64_t freed = r->before > r->after ? r->before - r->after : 0;
  if (cli->json) {
    json_t *o = json_object();
    json_object_set_new(o, "unneeded", json_integer((json_int_t)r->unwanted));
    json_object_set_new(o, "removed", json_integer((json_int_t)r->dropped));
    json_object_set_new(o, "bytes", json_integer((json_int_t)freed));
    json_object_set_new(o, "packages", json_integer(g->files));
    json_object_set_new(o, "package_bytes", json_integer((json_int_t)g->file_bytes));
    st_cli_json(o);
    return;
  }
  if (cli->quiet)
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

static int collect(struct garbage *g, struct st_error *err)
{
  const struct st_repack_options options = {.percent = 1, .said = say};
  ST_AUTO_STRINGS hosts = {0};
  g->objects = st_set_new();
  g->named = st_set_new();
  if (st_packages_open(&g->packages, g->a->dir, err) < 0 ||
      st_administer_list(g->a, &hosts, err) < 0 || read_chains(g, &hosts, err) < 0 ||
      remove_packages(g, err) < 0)
    return -1;
  return st_store_repack(g->a->store, is_wanted, g, &options, &g->repacked, err);
}

int st_administer_gc(struct st_cli *cli, const char *dir, struct st_error *err)
{
  ST_AUTO_ARCHIVE *a = NULL;
  if (st_archive_open(&a, dir, false, err) < 0 || st_archive_lock(a, LOCK_SECONDS, err) < 0 ||
      st_archive_objects(a, ST_STORE_WRITE, NULL, err) < 0)
    return -1;
  ST_CLEANUP(garbage_free) struct garbage g = {.a = a};
  if (collect(&g, err) < 0)
    return -1;
  report(cli, &g);
  return g.repacked.left > 0 ? ST_EXIT_INCOMPLETE : ST_EXIT_OK;
}
