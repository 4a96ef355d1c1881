/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/places.h"

#include <endian.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "restore/signals.h"
#include "systracker/base/buffer.h"

struct st_places {
  struct st_id *ids; /* as they were added; then each once, ascending */
  size_t count, size;
  struct st_location *at;
  uint32_t *first; /* of ids that begin so (bucket_of): the first one's number; and the count */
  unsigned bits;
  /* The thread: */
  bool begun;
  pthread_t thread;
  int store_dir;
  struct st_store *store;
  int result;
  struct st_error error;
};

struct st_places *st_places_new(void)
{
  return st_calloc(1, sizeof(struct st_places));
}

void st_places_free(struct st_places *p)
{
  if (!p)
    return;
  if (p->begun)
    pthread_join(p->thread, NULL);
  st_error_clear(&p->error);
  free(p->ids);
  free(p->at);
  free(p->first);
  free(p);
}

void st_places_add(struct st_places *p, const struct st_id *id)
{
  if (p->count == p->size) {
    p->size = p->size ? 2 * p->size : 256;
    p->ids = st_realloc(p->ids, p->size, sizeof(*p->ids));
  }
  p->ids[p->count++] = *id;
}

/* ---- Each once ------------------------------------------------------------------------------- */

/* What an id begins with tells nearly all of them apart; it ascends as they do. */
static uint64_t beginning_of(const struct st_id *id)
{
  uint64_t first;
  memcpy(&first, id->digest, sizeof(first));
  return (uint64_t)(id->keyed != 0) << 63 | be64toh(first) >> 1;
}

struct key {
  uint64_t begins;
  const struct st_id *id;
};

static int by_id(const void *a, const void *b)
{
  const struct key *x = a, *y = b;
  if (x->begins != y->begins)
    return x->begins < y->begins ? -1 : 1;
  return st_id_compare(x->id, y->id);
}

static void sort(struct st_places *p)
{
  ST_AUTO_FREE struct key *keys = st_calloc(p->count + 1, sizeof(*keys));
  struct st_id *sorted = st_calloc(p->count + 1, sizeof(*sorted));
  size_t kept = 0;
  for (size_t i = 0; i < p->count; i++)
    keys[i] = (struct key){beginning_of(&p->ids[i]), &p->ids[i]};
  qsort(keys, p->count, sizeof(*keys), by_id);
  for (size_t i = 0; i < p->count; i++) {
    if (kept == 0 || !st_id_equal(keys[i].id, &sorted[kept - 1]))
      sorted[kept++] = *keys[i].id;
  }
  free(p->ids);
  p->ids = sorted;
  p->count = p->size = kept;
}

/* ---- Found by their ids ---------------------------------------------------------------------- */

static size_t bucket_of(const struct st_places *p, const struct st_id *id)
{
  return (size_t)(beginning_of(id) >> (63 - p->bits));
}

/* About one of them in each bucket that plain ids are in. */
static void make_buckets(struct st_places *p)
{
  size_t at = 0;
  p->bits = 0;
  while ((size_t)1 << p->bits < p->count)
    p->bits++;
  size_t buckets = (size_t)2 << p->bits;
  free(p->first);
  p->first = st_calloc(buckets + 1, sizeof(*p->first));
  for (size_t i = 0; i < p->count; i++) {
    for (size_t bucket = bucket_of(p, &p->ids[i]); at <= bucket; at++)
      p->first[at] = (uint32_t)i;
  }
  for (; at <= buckets; at++)
    p->first[at] = (uint32_t)p->count;
}

size_t st_places_count(const struct st_places *p)
{
  return p->count;
}

size_t st_places_number(const struct st_places *p, const struct st_id *id)
{
  if (!p->first)
    return SIZE_MAX;
  size_t bucket = bucket_of(p, id);
  for (size_t i = p->first[bucket]; i < p->first[bucket + 1]; i++) {
    if (st_id_equal(&p->ids[i], id))
      return i;
  }
  return SIZE_MAX;
}

const struct st_location *st_places_at(const struct st_places *p, size_t number)
{
  return &p->at[number];
}

/* ---- Looked up ------------------------------------------------------------------------------- */

int st_places_find(struct st_places *p, struct st_store *store, struct st_error *err)
{
  sort(p);
  ST_AUTO_FREE const struct st_id **ids = st_calloc(p->count + 1, sizeof(*ids));
  for (size_t i = 0; i < p->count; i++)
    ids[i] = &p->ids[i];
  free(p->at);
  p->at = st_calloc(p->count + 1, sizeof(*p->at));
  if (st_store_locate(store, ids, p->count, p->at, err) < 0)
    return -1;
  make_buckets(p);
  return 0;
}

static void *find_beside(void *arg)
{
  struct st_places *p = arg;
  ST_CLEANUP(st_store_closep) struct st_store *store = NULL;
  p->result = st_store_open_beside(&store, p->store_dir, p->store, &p->error);
  if (p->result == 0)
    p->result = st_places_find(p, store, &p->error);
  return NULL;
}

void st_places_begin(struct st_places *p, int store_dir, struct st_store *store)
{
  sigset_t before;
  p->store_dir = store_dir;
  p->store = store;
  st_signals_hold(&before);
  p->begun = pthread_create(&p->thread, NULL, find_beside, p) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int st_places_wait(struct st_places *p, struct st_error *err)
{
  if (p->begun)
    pthread_join(p->thread, NULL);
  p->begun = false;
  if (p->result == 0)
    return 0;
  p->result = 0;
  return st_error_move(err, &p->error);
}
