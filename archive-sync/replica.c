/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/replica.h"

#include <fcntl.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define BESIDE "new" /* the folder, in the host's, in which a catalog is made */

static int open_here(struct st_replica *r, struct st_error *err)
{
  return st_catalog_open(&r->here, r->store_dir, r->host, ST_CATALOG_WRITE | ST_CATALOG_REPLICA,
                         err);
}

/* To write makes what is missing: so it has to be there. */
static bool is_there(const struct st_replica *r)
{
  static const char *const names[] = {"catalog.db", "chain"};
  for (size_t i = 0; i < ST_COUNT(names); i++) {
    ST_AUTO_FREE char *path = st_format("hosts/%s/%s", r->host, names[i]);
    if (faccessat(r->store_dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
      return true;
  }
  return false;
}

int st_replica_open(struct st_replica *r, struct st_error *err)
{
  enum st_relation relation;
  if (!is_there(r))
    return 0;
  if (open_here(r, err) < 0 || st_relate(r->there, r->here, &relation, err) < 0)
    return -1;
  r->diverged = relation == ST_DIVERGED;
  return 0;
}

void st_replica_close(struct st_replica *r)
{
  if (r->here)
    st_catalog_close(r->here);
  r->here = NULL;
}

static int64_t latest_here(const struct st_replica *r)
{
  return r->here && !r->diverged ? st_catalog_latest(r->here) : 0;
}

bool st_replica_is_whole(const struct st_replica *r)
{
  for (int64_t n = latest_here(r); n > 0; n--)
    if (st_catalog_held(r->here, n) != ST_HELD)
      return false;
  return true;
}

/* ---- One after the other -----------------------------------------------------------------------
 */

static bool has(struct st_catalog *c, int64_t number)
{
  return c && number <= st_catalog_latest(c) && st_catalog_held(c, number) == ST_HELD;
}

static int take(struct st_replica *r, struct st_catalog *to, int64_t number, struct st_error *err)
{
  ST_AUTO_CHANGESET set = {0};
  struct st_catalog *from = has(r->there, number) ? r->there : r->here;
  if (st_changeset_read_after(from, st_catalog_latest(to), number, &set, err) < 0)
    return -1;
  return st_catalog_apply(to, &set, err);
}

static void note(struct st_replica *r, int64_t number)
{
  if (r->first == 0)
    r->first = number;
  r->last = number;
}

static int extend(struct st_replica *r, const int64_t *numbers, size_t count, struct st_error *err)
{
  for (size_t i = 0; i < count; i++) {
    if (take(r, r->here, numbers[i], err) < 0)
      return -1;
    note(r, numbers[i]);
  }
  return 0;
}

/* ---- Made anew ---------------------------------------------------------------------------------
 */

static void remove_beside(const struct st_replica *r)
{
  static const char *const names[] = {"catalog.db", "catalog.db-journal", "chain", ""};
  for (size_t i = 0; i < ST_COUNT(names); i++) {
    ST_AUTO_FREE char *path = st_format("hosts/%s/" BESIDE "/%s", r->host, names[i]);
    unlinkat(r->store_dir, path, *names[i] ? 0 : AT_REMOVEDIR);
  }
  ST_AUTO_FREE char *host = st_format("hosts/%s", r->host);
  unlinkat(r->store_dir, host, AT_REMOVEDIR); /* where nothing else is in it */
  char *epoch = strchr(host + strlen("hosts/"), '/');
  if (epoch) {
    *epoch = 0;
    unlinkat(r->store_dir, host, AT_REMOVEDIR);
  }
}

/* Those that are here along with the new ones. */
static int fill(struct st_replica *r, struct st_catalog *beside, const int64_t *numbers,
                size_t count, struct st_error *err)
{
  int64_t latest = latest_here(r), last = count > 0 ? numbers[count - 1] : 0;
  size_t next = 0;
  for (int64_t n = 1; n <= latest || n <= last; n++) {
    bool is_new = next < count && numbers[next] == n;
    next += is_new;
    if (!is_new && !(n <= latest && has(r->here, n)))
      continue;
    if (take(r, beside, n, err) < 0)
      return -1;
    if (is_new)
      note(r, n);
  }
  return 0;
}

static int open_folder(const struct st_replica *r, const char *below, struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_format("hosts/%s%s", r->host, below);
  int fd = st_open_beneath(r->store_dir, folder, O_RDONLY | O_DIRECTORY, 0);
  return fd < 0 ? st_fail(err, -fd, "cannot open (%s)", st_quote(folder)) : fd;
}

static int put_aside(struct st_replica *r, struct st_error *err)
{
  struct st_checkpoint cp;
  if (strchr(r->host, '/'))
    return st_refuse(err, "the older epoch that is here is another than the archive's (%s)",
                     r->host);
  if (st_catalog_checkpoint(r->here, st_catalog_latest(r->here), &cp, err) < 0)
    return -1;
  r->retired = cp.epoch;
  st_checkpoint_clear(&cp);
  st_replica_close(r);
  return st_retire(r->store_dir, r->host, r->retired, err);
}

/* The chain that is here is the beginning of the new one, which a writer completes. */
static int install(struct st_replica *r, struct st_error *err)
{
  ST_AUTO_CLOSE int to = open_folder(r, "", err);
  ST_AUTO_CLOSE int from = to < 0 ? -1 : open_folder(r, "/" BESIDE, err);
  if (from < 0 || (r->diverged && put_aside(r, err) < 0))
    return -1;
  st_replica_close(r);
  if (renameat(from, "catalog.db", to, "catalog.db") < 0 || fsync(to) < 0 ||
      renameat(from, "chain", to, "chain") < 0 || fsync(to) < 0)
    return st_fail(err, errno, "cannot put the fetched catalog in its place");
  r->diverged = false;
  return 0;
}

static int make_beside(struct st_replica *r, const int64_t *numbers, size_t count,
                       struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *beside = NULL;
  ST_AUTO_FREE char *name = st_format("%s/" BESIDE, r->host);
  remove_beside(r);
  if (st_catalog_open(&beside, r->store_dir, name, ST_CATALOG_WRITE | ST_CATALOG_REPLICA, err) < 0)
    return -1;
  return fill(r, beside, numbers, count, err);
}

int st_replica_bring(struct st_replica *r, const int64_t *numbers, size_t count,
                     struct st_error *err)
{
  if (count == 0)
    return 0;
  if (r->here && !r->diverged && numbers[0] > latest_here(r))
    return extend(r, numbers, count, err);
  int result = make_beside(r, numbers, count, err);
  if (result == 0)
    result = install(r, err);
  remove_beside(r);
  return result < 0 ? -1 : open_here(r, err);
}
