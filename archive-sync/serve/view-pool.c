/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * view-pool.c - views that were closed, for whoever looks at the same host next: mostly who looks
 * at one page of a host looks at another one, and to know its manifests takes longer than a page
 * may.
 */
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "archive-sync/serve/view-internal.h"

#define IDLE_MAX 4
#define IDLE_SECONDS 60

struct st_hostviews {
  struct st_archive *archive;
  pthread_mutex_t lock;
  struct st_hostview *idle[IDLE_MAX]; /* oldest first */
  size_t count;
};

struct st_hostviews *st_hostviews_new(struct st_archive *a)
{
  struct st_hostviews *p = st_calloc(1, sizeof(*p));
  p->archive = a;
  pthread_mutex_init(&p->lock, NULL);
  return p;
}

void st_hostviews_free(struct st_hostviews *p)
{
  for (size_t i = 0; i < p->count; i++)
    st_hostview_free(p->idle[i]);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

/* ---- Whether it is still what it was ------------------------------------------------------------
 */

static int64_t now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec;
}

/* The catalog as its files are, and which index the objects have: gc makes that anew. */
static bool read_stamp(const struct st_archive *a, const char *host, struct st_view_stamp *ret)
{
  ST_AUTO_FREE char *path = st_format("hosts/%s/catalog.db", host);
  ST_AUTO_FREE char *log = st_format("%s-wal", path);
  struct stat catalog, wal = {0}, index = {0};
  if (fstatat(a->dir, path, &catalog, AT_SYMLINK_NOFOLLOW) < 0)
    return false;
  fstatat(a->dir, log, &wal, AT_SYMLINK_NOFOLLOW);
  fstatat(a->dir, "packs/objects.db", &index, AT_SYMLINK_NOFOLLOW);
  *ret = (struct st_view_stamp){
      .dev = catalog.st_dev,
      .ino = catalog.st_ino,
      .index = index.st_ino,
      .size = catalog.st_size,
      .seconds = catalog.st_mtim.tv_sec,
      .nsec = catalog.st_mtim.tv_nsec,
      .wal_size = wal.st_size,
      .wal_seconds = wal.st_mtim.tv_sec,
      .wal_nsec = wal.st_mtim.tv_nsec,
  };
  return true;
}

/* There is no padding in it. */
static bool is_same(const struct st_view_stamp *a, const struct st_view_stamp *b)
{
  return memcmp(a, b, sizeof(*a)) == 0;
}

/* ---- Borrowed and given back --------------------------------------------------------------------
 */

static struct st_hostview *take_at(struct st_hostviews *p, size_t i)
{
  struct st_hostview *v = p->idle[i];
  memmove(&p->idle[i], &p->idle[i + 1], (p->count - i - 1) * sizeof(struct st_hostview *));
  p->count--;
  return v;
}

static struct st_hostview *take(struct st_hostviews *p, const char *host)
{
  struct st_hostview *v = NULL;
  pthread_mutex_lock(&p->lock);
  for (size_t i = 0; i < p->count && !v; i++)
    if (strcmp(p->idle[i]->host, host) == 0)
      v = take_at(p, i);
  pthread_mutex_unlock(&p->lock);
  return v;
}

/* One that is too old, or NULL. */
static struct st_hostview *take_old(struct st_hostviews *p, size_t most)
{
  struct st_hostview *v = NULL;
  pthread_mutex_lock(&p->lock);
  if (p->count > most || (p->count > 0 && now() - p->idle[0]->used > IDLE_SECONDS))
    v = take_at(p, 0);
  pthread_mutex_unlock(&p->lock);
  return v;
}

static void drop_old(struct st_hostviews *p, size_t most)
{
  for (struct st_hostview *v; (v = take_old(p, most));)
    st_hostview_free(v);
}

int st_hostviews_open(struct st_hostviews *p, const char *host, struct st_hostview **ret,
                      struct st_error *err)
{
  struct st_view_stamp stamp = {0};
  bool stamped = st_view_is_host(host) && read_stamp(p->archive, host, &stamp);
  drop_old(p, IDLE_MAX);
  struct st_hostview *v = stamped ? take(p, host) : NULL;
  if (v && is_same(&v->stamp, &stamp) && st_catalog_hold(v->t->catalog, NULL) == 0) {
    *ret = v;
    return 0;
  }
  if (v)
    st_hostview_free(v);
  int r = st_hostview_open(ret, p->archive, host, err);
  /* As it was before it was opened: what came since is noticed.  An older epoch has the rules for
   * secrets of today, which its stamp does not speak of. */
  if (r == 0 && stamped && !strchr(host, '/')) {
    (*ret)->pool = p;
    (*ret)->stamp = stamp;
  }
  return r;
}

void st_hostviews_return(struct st_hostviews *p, struct st_hostview *v)
{
  st_catalog_let_go(v->t->catalog);
  st_tracker_forget_packages(v->t);
  st_catalog_unload(v->t->catalog);
  drop_old(p, IDLE_MAX - 1);
  v->used = now();
  pthread_mutex_lock(&p->lock);
  bool room = p->count < IDLE_MAX;
  if (room)
    p->idle[p->count++] = v;
  pthread_mutex_unlock(&p->lock);
  if (!room)
    st_hostview_free(v);
}
