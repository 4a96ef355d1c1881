/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/places.h"

#include <endian.h>
#include <string.h>

#include "systracker/base/buffer.h"
#include "systracker/base/thread.h"

struct st_places {
  struct st_id *ids; /* as they were added; then each once, ascending */
  size_t count, size;
  struct st_location *at;
  uint32_t *first; /* of the ids that begin so (bucket_of): where they are; and the count */
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

void st_places_add_all(struct st_places *p, const struct st_id *ids, size_t n)
{
  if (p->size - p->count < n) {
    size_t twice = p->size ? 2 * p->size : 256;
    p->size = p->count + n > twice ? p->count + n : twice;
    p->ids = st_realloc(p->ids, p->size, sizeof(*p->ids));
  }
  if (n > 0)
    memcpy(&p->ids[p->count], ids, n * sizeof(*ids));
  p->count += n;
}

void st_places_add(struct st_places *p, const struct st_id *id)
{
  st_places_add_all(p, id, 1);
}

/* ---- Each once ------------------------------------------------------------------------------- */

/* What an id begins with ascends as they do. */
static uint64_t beginning_of(const struct st_id *id)
{
  uint64_t first;
  memcpy(&first, id->digest, sizeof(first));
  return (uint64_t)(id->keyed != 0) << 63 | be64toh(first) >> 1;
}

static size_t bucket_of(const struct st_places *p, const struct st_id *id)
{
  return (size_t)(beginning_of(id) >> (63 - p->bits));
}

/* About one of them in each bucket that plain ids are in. */
static size_t count_buckets(struct st_places *p)
{
  p->bits = 0;
  while ((size_t)1 << p->bits < p->count)
    p->bits++;
  return (size_t)2 << p->bits;
}

/* A copy, in the order of the buckets; first[n + 1] is where bucket n ends. */
static struct st_id *scatter(const struct st_places *p, size_t buckets, uint32_t *first)
{
  struct st_id *to = st_calloc(p->count + 1, sizeof(*to));
  for (size_t i = 0; i < p->count; i++)
    first[bucket_of(p, &p->ids[i]) + 2]++;
  for (size_t n = 2; n < buckets + 2; n++)
    first[n] += first[n - 1];
  for (size_t i = 0; i < p->count; i++)
    to[first[bucket_of(p, &p->ids[i]) + 1]++] = p->ids[i];
  return to;
}

static int by_id(const void *a, const void *b)
{
  return st_id_compare(a, b);
}

/* What ids begin with tells nearly all of them apart. */
static void sort(struct st_places *p)
{
  size_t buckets = count_buckets(p), from = 0, kept = 0;
  free(p->first);
  p->first = st_calloc(buckets + 2, sizeof(*p->first));
  struct st_id *ids = scatter(p, buckets, p->first);
  for (size_t n = 0; n < buckets; n++) {
    size_t to = p->first[n + 1];
    if (to - from > 1)
      qsort(&ids[from], to - from, sizeof(*ids), by_id);
    p->first[n] = (uint32_t)kept;
    for (size_t i = from; i < to; i++) {
      if (i == from || !st_id_equal(&ids[i], &ids[kept - 1]))
        ids[kept++] = ids[i];
    }
    from = to;
  }
  p->first[buckets] = (uint32_t)kept;
  free(p->ids);
  p->ids = ids;
  p->count = p->size = kept;
}

/* ---- Found by their ids ---------------------------------------------------------------------- */

size_t st_places_count(const struct st_places *p)
{
  return p->count;
}

size_t st_places_number(const struct st_places *p, const struct st_id *id)
{
  if (!p->at)
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
  struct st_location *at = st_calloc(p->count + 1, sizeof(*at));
  int r = st_store_locate(store, ids, p->count, at, err);
  free(p->at);
  p->at = r < 0 ? NULL : at;
  if (r < 0)
    free(at);
  return r < 0 ? -1 : 0;
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
  p->store_dir = store_dir;
  p->store = store;
  p->begun = st_thread_start(&p->thread, find_beside, p);
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
