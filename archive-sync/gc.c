/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gc.c - what stays is what some chain names, or a host has sent lately, and may name with its next
 * checkpoint (hosts/HOSTID/sent).
 *
 * The archive's lock is held while anything is removed, so that no host is between its objects and
 * the checkpoint that names them.  Package files are sent without it: those of the last day stay.
 *
 * Of an object's id 8 bytes are remembered, as an archive may name tens of millions: another one
 * that begins with the same stays, too.
 */
#include "archive-sync/gc.h"

#include <string.h>
#include <time.h>

#include "archive-sync/administer.h"
#include "archive-sync/backup.h"
#include "archive-sync/serve/fleet.h"
#include "archive-sync/serve/sent.h"
#include "systracker/base/lock.h"
#include "systracker/base/set.h"
#include "systracker/store/packages.h"

#define LOCK_SECONDS 600 /* as long as sync waits by default */
#define MIN_AGE 86400    /* seconds, of package files */

struct garbage {
  struct st_archive *a;
  struct st_gc_result *result;
  int lock; /* against backups */
  struct st_packages *packages;
  uint64_t *objects; /* named; sorted up to `sorted` */
  size_t count, sorted, size;
  struct st_set *named;  /* packages: name, version and architecture, a NUL behind each */
  struct st_set *stamps; /* hosts as they were read */
};

static void garbage_free(struct garbage *g)
{
  st_cleanup_close(&g->lock);
  st_packages_closep(&g->packages);
  free(g->objects);
  st_set_free(g->named);
  st_set_free(g->stamps);
}

/* ---- Objects that are named --------------------------------------------------------------------
 */

static int compare_numbers(const void *x, const void *y)
{
  const uint64_t *a = x, *b = y;
  return (*a > *b) - (*a < *b);
}

static void sort_objects(struct garbage *g)
{
  size_t kept = 0;
  if (g->count > 0)
    qsort(g->objects, g->count, sizeof(*g->objects), compare_numbers);
  for (size_t i = 0; i < g->count; i++)
    if (i == 0 || g->objects[i] != g->objects[i - 1])
      g->objects[kept++] = g->objects[i];
  g->count = g->sorted = kept;
}

static uint64_t number_of(const struct st_id *id)
{
  uint64_t n;
  memcpy(&n, id->digest, sizeof(n));
  return n;
}

static int name_object(void *arg, const struct st_id *id)
{
  struct garbage *g = arg;
  if (g->count == g->size && g->count > 2 * g->sorted)
    sort_objects(g); /* hosts share many */
  if (g->count == g->size) {
    g->size = g->size ? 2 * g->size : 4096;
    g->objects = st_realloc(g->objects, g->size, sizeof(*g->objects));
  }
  g->objects[g->count++] = number_of(id);
  return 0;
}

static bool is_wanted(void *arg, const struct st_id *id)
{
  const struct garbage *g = arg;
  uint64_t n = number_of(id);
  return g->count > 0 &&
         bsearch(&n, g->objects, g->count, sizeof(*g->objects), compare_numbers) != NULL;
}

/* ---- Chains ------------------------------------------------------------------------------------
 */

static void package_words(struct st_buffer *out, const char *name, const char *version,
                          const char *architecture)
{
  st_buffer_append(out, name, strlen(name) + 1);
  st_buffer_append(out, version, strlen(version) + 1);
  st_buffer_append(out, architecture, strlen(architecture) + 1);
}

static int name_package(void *arg, const char *name, const char *version, const char *architecture)
{
  struct garbage *g = arg;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  package_words(&words, name, version, architecture);
  st_set_add(g->named, words.data, words.length, 0);
  return 0;
}

/* Unless it is as it was when it was read. */
static int read_chain(struct garbage *g, const char *host, struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  int64_t received, bytes, stamp = st_archive_stamp(g->a, host, &received, &bytes);
  uint64_t before;
  if (st_set_get(g->stamps, host, strlen(host), &before) && before == (uint64_t)stamp)
    return 0;
  int r = st_archive_catalog(g->a, host, ST_CATALOG_READ, &c, err);
  if (r == -ENOENT) { /* a host whose first sync was interrupted has none */
    st_error_clear(err);
    return 0;
  }
  if (r < 0 || st_catalog_objects(c, name_object, g, err) < 0 ||
      st_catalog_packages(c, name_package, g, err) < 0)
    return -1;
  st_set_add(g->stamps, host, strlen(host), (uint64_t)stamp);
  return 0;
}

/* A chain that cannot be read may name anything: then nothing is removed. */
static int read_chains(struct garbage *g, struct st_error *err)
{
  ST_AUTO_STRINGS hosts = {0};
  if (st_administer_list(g->a, &hosts, err) < 0)
    return -1;
  for (size_t i = 0; i < hosts.count; i++)
    if (read_chain(g, hosts.items[i], err) < 0)
      return st_wrap(err, "nothing was removed: host %s", hosts.items[i]);
  return 0;
}

/* ---- What is not -------------------------------------------------------------------------------
 */

static bool is_unnamed(const struct garbage *g, const struct st_package *p)
{
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  package_words(&words, p->name, p->version, p->architecture);
  return !st_set_get(g->named, words.data, words.length, NULL);
}

/* Before the files, durably: a kill between would leave claims of what is gone, for ever, and no
 * host be asked for it again; a file whose claims are gone is sent or proved anew.  And behind
 * them: a host that was proving one meanwhile has claimed it. */
static int drop_claims(struct garbage *g, struct st_set *gone, int64_t before, struct st_error *err)
{
  const struct st_package *p;
  uint8_t claim[ST_SENT_CLAIM_SIZE];
  for (size_t n = 0; (p = st_packages_at(g->packages, n)); n++)
    if (is_unnamed(g, p) && st_packages_is_older(g->packages, p, before)) {
      st_sent_claim(p, claim);
      st_set_add(gone, claim, sizeof(claim), 0);
    }
  return st_set_count(gone) > 0 ? st_sent_drop_claims(g->a, gone, err) : 0;
}

static int remove_packages(struct garbage *g, struct st_error *err)
{
  const struct st_package *p;
  uint64_t aside;
  int64_t before = (int64_t)time(NULL) - MIN_AGE;
  ST_CLEANUP(st_set_freep) struct st_set *gone = st_set_new();
  if (drop_claims(g, gone, before, err) < 0)
    return -1;
  for (size_t n = 0; (p = st_packages_at(g->packages, n)); n++) {
    if (!is_unnamed(g, p))
      continue;
    int r = st_packages_remove(g->packages, p, before, err);
    if (r < 0)
      return -1;
    g->result->files += r;
    g->result->file_bytes += r ? p->size : 0;
    g->result->left += !r;
  }
  g->result->files += st_packages_drop_aside(g->packages, true, &aside);
  g->result->file_bytes += aside;
  return st_set_count(gone) > 0 ? st_sent_drop_claims(g->a, gone, err) : 0;
}

static void say(void *arg, const char *words)
{
  (void)arg;
  fflush(stdout);
  fprintf(stderr, "systracker: %s\n", words);
}

/* ---- The whole ---------------------------------------------------------------------------------
 */

/* A server that runs beside answers by its index whether a host has an object: that comes to know
 * first what was pruned. */
static int tell_fleet(struct st_archive *a, struct st_error *err)
{
  ST_CLEANUP(st_fleet_closep) struct st_fleet *fleet = NULL;
  return st_fleet_open_beside(&fleet, a, err) < 0 ? st_wrap(err, "nothing was removed") : 0;
}

static int collect(struct garbage *g, unsigned percent, struct st_error *err)
{
  const struct st_repack_options options = {.percent = percent, .said = say};
  g->lock = st_lock(g->a->dir, ST_BACKUP_LOCK, err);
  if (g->lock < 0)
    return st_wrap(err, "nothing was removed: a backup is being made");
  if (read_chains(g, err) < 0 || st_archive_lock(g->a, LOCK_SECONDS, err) < 0 ||
      st_archive_objects(g->a, ST_STORE_WRITE, NULL, err) < 0 || tell_fleet(g->a, err) < 0 ||
      read_chains(g, err) < 0 || st_sent_each(g->a, time(NULL), name_object, g, err) < 0 ||
      st_packages_open(&g->packages, g->a->dir, err) < 0 || remove_packages(g, err) < 0)
    return -1;
  sort_objects(g);
  return st_store_repack(g->a->store, is_wanted, g, &options, &g->result->repacked, err);
}

int st_gc(struct st_archive *a, unsigned percent, struct st_gc_result *ret, struct st_error *err)
{
  *ret = (struct st_gc_result){0};
  ST_CLEANUP(garbage_free)
  struct garbage g = {
      .a = a, .lock = -1, .result = ret, .named = st_set_new(), .stamps = st_set_new()};
  return collect(&g, percent, err);
}
