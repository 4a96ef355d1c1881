/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/objects.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#define IDLE_MAX 8
#define AGE_MAX 60 /* seconds */

struct st_objects {
  int dir;
  pthread_mutex_t lock, large;
  struct st_reader idle[IDLE_MAX];
  size_t nidle;
};

struct st_objects *st_objects_new(int archive_dir)
{
  struct st_objects *o = st_calloc(1, sizeof(*o));
  o->dir = archive_dir;
  pthread_mutex_init(&o->lock, NULL);
  pthread_mutex_init(&o->large, NULL);
  return o;
}

void st_objects_free(struct st_objects *o)
{
  for (size_t i = 0; i < o->nidle; i++)
    st_store_close(o->idle[i].store);
  pthread_mutex_destroy(&o->lock);
  pthread_mutex_destroy(&o->large);
  free(o);
}

static int64_t now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec;
}

static uint64_t index_file(struct st_objects *o)
{
  struct stat st;
  return fstatat(o->dir, "packs/objects.db", &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 0;
}

/* All that are of an index which was replaced, or old, are closed: they hold packs that gc removed,
 * whose space is not free before. */
static bool take_idle(struct st_objects *o, uint64_t index, struct st_reader *ret)
{
  struct st_reader old[IDLE_MAX];
  size_t nold = 0, kept = 0;
  pthread_mutex_lock(&o->lock);
  for (size_t i = 0; i < o->nidle; i++) {
    const struct st_reader *r = &o->idle[i];
    if (r->index == index && index != 0 && now() - r->since < AGE_MAX)
      o->idle[kept++] = *r;
    else
      old[nold++] = *r;
  }
  bool any = kept > 0;
  if (any)
    *ret = o->idle[--kept];
  o->nidle = kept;
  pthread_mutex_unlock(&o->lock);
  while (nold > 0)
    st_store_close(old[--nold].store);
  return any;
}

int st_reader_borrow(struct st_objects *o, struct st_reader *ret, struct st_error *err)
{
  uint64_t index = index_file(o);
  if (take_idle(o, index, ret))
    return 0;
  *ret = (struct st_reader){.objects = o, .index = index, .since = now()};
  if (st_store_open(&ret->store, o->dir, ST_STORE_READ, NULL, err) < 0) {
    ret->store = NULL;
    return st_wrap(err, "cannot read the archive's objects");
  }
  return 0;
}

void st_reader_return(struct st_reader *r)
{
  struct st_objects *o = r->objects;
  if (!r->store)
    return;
  pthread_mutex_lock(&o->lock);
  bool keep = o->nidle < IDLE_MAX;
  if (keep)
    o->idle[o->nidle++] = *r;
  pthread_mutex_unlock(&o->lock);
  if (!keep)
    st_store_close(r->store);
  r->store = NULL;
}

void st_objects_begin_large(struct st_objects *o)
{
  pthread_mutex_lock(&o->large);
}

void st_objects_end_large(struct st_objects *o)
{
  pthread_mutex_unlock(&o->large);
}
