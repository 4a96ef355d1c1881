/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/scan/large.h"

#include <string.h>

#include "systracker/base/file.h"
#include "systracker/base/mapped.h"
#include "systracker/scan/look.h"

/* Of one thread.  Longer files are no faster among so few; see doc/performance.md. */
#define ST_LARGE_TOGETHER 48                  /* files, open and mapped */
#define ST_LARGE_MAPPED ((uint64_t)128 << 20) /* bytes */
#define ST_LARGE_LONGEST ((uint64_t)24 << 20) /* bytes */
#define ST_LARGE_FROM ((uint64_t)256 << 10)   /* bytes: shorter ones are copied as fast */

#define ST_LARGE_LOT ((uint64_t)1 << 30) /* bytes; a kill may lose the digests of two lots */

/* What was found out of a file that was the same before and behind. */
struct found {
  struct st_meta meta;
  uint8_t digest[ST_DIGEST_SIZE];
};

struct large {
  struct st_node *node;
  const struct st_item *item;
  enum look_state state;
  struct look *parked; /* what waits for it */
  struct found *found; /* NULL: it is no good, or was taken */
};

/* While it is hashed. */
struct mapping {
  int fd;
  struct st_meta before;
  struct st_mapped mapped;
  struct found *found;
};

void st_large_free(struct large_files *s)
{
  for (size_t i = 0; i < s->count; i++)
    free(s->files[i].found);
  free(s->files);
  free(s->sorted);
}

/* ---- In their order -------------------------------------------------------------------------- */

static uint64_t size_of(const struct large *f)
{
  return f->item->meta.size;
}

bool st_large_is(const struct st_item *item)
{
  return item->kind == ST_ITEM_LOOK && item->meta.type == 'f' && item->meta.size >= ST_LARGE_FROM &&
         item->meta.size <= ST_LARGE_LONGEST;
}

void st_large_add(struct large_files *s, struct st_node *node, const struct st_item *item)
{
  if (s->count == s->size) {
    s->size = s->size ? 2 * s->size : 64;
    s->files = st_realloc(s->files, s->size, sizeof(*s->files));
  }
  s->files[s->count++] = (struct large){.node = node, .item = item};
  s->bytes += item->meta.size;
}

bool st_large_pay(struct large_files *s)
{
  if (s->count < 2)
    s->count = 0;
  return s->count > 0 && s->bytes >= ST_READ_LARGE;
}

struct large *st_large_put(struct large_files *s, const struct st_item *item)
{
  if (s->put == s->count || s->files[s->put].item != item)
    return NULL;
  return &s->files[__atomic_fetch_add(&s->put, 1, __ATOMIC_RELAXED)];
}

/* ---- In lots, by size ------------------------------------------------------------------------ */

static int by_size(const void *a, const void *b)
{
  uint64_t x = size_of(*(struct large *const *)a), y = size_of(*(struct large *const *)b);
  return x < y ? 1 : x > y ? -1 : 0;
}

static bool is_lot_taken(const struct large_files *s)
{
  return s->taken == s->to - s->from;
}

/* The next lot is begun when what is told has come to the one before. */
bool st_large_is_due(const struct looker *l)
{
  const struct large_files *s = &l->large;
  if (s->busy >= l->w->threads)
    return false;
  return !is_lot_taken(s) ||
         (s->to < s->count && (s->to == 0 || __atomic_load_n(&s->put, __ATOMIC_RELAXED) > s->from));
}

static void begin_lot(struct large_files *s)
{
  uint64_t bytes = 0;
  s->from = s->to;
  s->taken = 0;
  do
    bytes += size_of(&s->files[s->to++]);
  while (s->to < s->count && bytes + size_of(&s->files[s->to]) <= ST_LARGE_LOT);
  s->sorted = st_realloc(s->sorted, s->to - s->from, sizeof(struct large *));
  for (size_t i = s->from; i < s->to; i++)
    s->sorted[i - s->from] = &s->files[i];
  qsort(s->sorted, s->to - s->from, sizeof(struct large *), by_size);
}

/* Neighbours, so many as may be mapped at once. */
static size_t take_some(struct large_files *s, struct large **group)
{
  uint64_t bytes = 0;
  size_t n = 0;
  if (is_lot_taken(s))
    begin_lot(s);
  while (n < ST_LARGE_TOGETHER && !is_lot_taken(s)) {
    struct large *f = s->sorted[s->taken];
    bytes += size_of(f);
    if (n > 0 && bytes > ST_LARGE_MAPPED)
      break;
    f->state = LOOK_TAKEN;
    group[n++] = f;
    s->taken++;
  }
  return n;
}

/* ---- Hashing some of them -------------------------------------------------------------------- */

static int open_it(const struct looker *l, const struct large *f)
{
  const char *name;
  ST_AUTO_BUFFER path = ST_BUFFER_INIT;
  st_node_path(f->node, st_index_new_name(f->node->fresh, f->item->record), &path);
  ST_AUTO_CLOSE int dir = st_open_parent(l->w->o->root, path.data, &name);
  return dir < 0 ? dir : st_file_open(dir, name);
}

/* One that has grown is mapped no further than others were chosen for. */
static bool map(const struct looker *l, const struct large *f, struct mapping *m)
{
  m->fd = open_it(l, f);
  if (m->fd < 0 || st_meta_read(m->fd, "", &m->before) < 0 || m->before.type != 'f' ||
      m->before.size > ST_LARGE_LONGEST || st_mapped_open(&m->mapped, m->fd, m->before.size) < 0)
    return false;
  st_mapped_fetch(&m->mapped);
  m->found = st_malloc(sizeof(*m->found));
  return true;
}

static void unmap(struct mapping *m)
{
  struct found *found = m->found;
  if (found && (!st_mapped_is_whole(&m->mapped) || st_meta_read(m->fd, "", &found->meta) < 0 ||
                !st_file_is_same(&m->before, &found->meta))) {
    free(found);
    m->found = NULL;
  }
  st_mapped_close(&m->mapped);
  if (m->fd >= 0)
    close(m->fd);
}

static void hash(struct looker *l, struct st_reader *reader, struct large **group, size_t count)
{
  struct st_hash contents[ST_LARGE_TOGETHER];
  size_t n = 0;
  ST_AUTO_FREE struct mapping *mappings = st_calloc(count, sizeof(*mappings));
  if (!reader->hashes)
    reader->hashes = st_hashes_new();
  for (size_t i = 0; i < count; i++) {
    struct mapping *m = &mappings[i];
    if (map(l, group[i], m))
      contents[n++] = (struct st_hash){m->mapped.data, m->mapped.length, m->found->digest};
  }
  st_hashes_compute(reader->hashes, contents, n);
  for (size_t i = 0; i < count; i++) {
    unmap(&mappings[i]);
    group[i]->found = mappings[i].found;
  }
}

void st_large_do(struct looker *l, struct st_reader *reader)
{
  struct large *group[ST_LARGE_TOGETHER];
  struct look *parked[ST_LARGE_TOGETHER];
  size_t count = take_some(&l->large, group);
  l->large.busy++;
  pthread_mutex_unlock(&l->mutex);
  hash(l, reader, group, count);
  pthread_mutex_lock(&l->mutex);
  l->large.busy--;
  for (size_t i = 0; i < count; i++) {
    group[i]->state = LOOK_DONE;
    parked[i] = group[i]->parked;
  }
  pthread_mutex_unlock(&l->mutex);
  for (size_t i = 0; i < count; i++) {
    if (parked[i])
      st_look_go_on(l, parked[i], reader);
  }
  st_look_hash(l, reader);
  pthread_mutex_lock(&l->mutex);
  if (l->idle > 0 && st_large_is_due(l))
    pthread_cond_signal(&l->more);
}

/* ---- When its turn comes --------------------------------------------------------------------- */

bool st_large_is_parked(const struct look *k)
{
  return k->large && k->large->parked == k && k->large->state != LOOK_DONE;
}

bool st_large_is_done(struct looker *l, struct look *k)
{
  pthread_mutex_lock(&l->mutex);
  bool done = k->large->state == LOOK_DONE;
  if (!done)
    k->large->parked = k;
  pthread_mutex_unlock(&l->mutex);
  return done;
}

bool st_large_take(struct large *f, struct st_meta *ret, struct st_id *ret_digest)
{
  ST_AUTO_FREE struct found *found = st_steal(&f->found);
  if (!found)
    return false;
  *ret = found->meta;
  *ret_digest = (struct st_id){0};
  memcpy(ret_digest->digest, found->digest, ST_DIGEST_SIZE);
  return true;
}
