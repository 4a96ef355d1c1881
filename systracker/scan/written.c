/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/scan/written.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "systracker/base/buffer.h"

#define SETTLED 2 /* seconds that an mtime has to be past: the coarsest of file systems' times */
#define NONE UINT32_MAX

struct noted {
  uint64_t device, inode, size;
  int64_t mtime, ctime;
  uint32_t mtime_nsec, ctime_nsec;
  uint32_t uid, gid, mode;
  uint32_t next; /* of the same slot, or NONE */
  char type;
  bool has_digest, plain;
  uint8_t digest[ST_DIGEST_SIZE];
};

struct st_written {
  pthread_mutex_t mutex;
  struct noted *items;
  uint32_t *slots; /* a power of two, not fewer than items: the last one noted of each */
  size_t count, size;
  bool stored, closed;
};

struct st_written *st_written_new(bool stored)
{
  struct st_written *w = st_calloc(1, sizeof(*w));
  w->stored = stored;
  pthread_mutex_init(&w->mutex, NULL);
  return w;
}

void st_written_free(struct st_written *w)
{
  if (!w)
    return;
  pthread_mutex_destroy(&w->mutex);
  free(w->items);
  free(w->slots);
  free(w);
}

static struct noted noted_of(const struct st_meta *m)
{
  return (struct noted){
      .device = m->device,
      .inode = m->inode,
      .size = m->size,
      .mtime = m->mtime,
      .ctime = m->ctime,
      .mtime_nsec = m->mtime_nsec,
      .ctime_nsec = m->ctime_nsec,
      .uid = m->uid,
      .gid = m->gid,
      .mode = m->mode,
      .type = m->type,
  };
}

/* ---- By inode -------------------------------------------------------------------------------- */

/* Inodes that were made one after the other are looked for so, mostly: their slots lie together. */
static size_t slot_of(const struct st_written *w, const struct noted *n)
{
  return (size_t)(n->inode + (n->device + (n->inode >> 32)) * UINT64_C(0x9e3779b97f4a7c15)) &
         (w->size - 1);
}

static void put_in_slot(struct st_written *w, uint32_t item)
{
  uint32_t *slot = &w->slots[slot_of(w, &w->items[item])];
  w->items[item].next = *slot;
  *slot = item;
}

/* `size`: a power of two. */
static void resize(struct st_written *w, size_t size)
{
  w->size = size;
  w->items = st_realloc(w->items, w->size, sizeof(*w->items));
  w->slots = st_realloc(w->slots, w->size, sizeof(*w->slots));
  memset(w->slots, 0xff, w->size * sizeof(*w->slots));
  for (size_t i = 0; i < w->count; i++)
    put_in_slot(w, (uint32_t)i);
}

static void add(struct st_written *w, const struct noted *n)
{
  if (w->count == NONE)
    return;
  if (w->count == w->size)
    resize(w, w->size ? 2 * w->size : 64);
  w->items[w->count] = *n;
  put_in_slot(w, (uint32_t)w->count++);
}

void st_written_reserve(struct st_written *w, size_t count)
{
  size_t size = 64;
  while (size < count && size <= NONE / 2)
    size *= 2;
  pthread_mutex_lock(&w->mutex);
  if (size > w->size)
    resize(w, size);
  pthread_mutex_unlock(&w->mutex);
}

/* ---- What may be trusted --------------------------------------------------------------------- */

/* An ACL that lets others write shows in the bits of the group; a symlink has none. */
static bool is_ours(const struct st_meta *m)
{
  return (m->uid == 0 || m->uid == geteuid()) && (m->type == 'l' || !(m->mode & 022));
}

/* A directory's time is that of what was last put into it. */
bool st_written_takes(const struct st_meta *m)
{
  if (m->type == 'd')
    return is_ours(m);
  return (m->type == 'f' || m->type == 'l') && is_ours(m) && m->mtime < time(NULL) - SETTLED;
}

void st_written_add(struct st_written *w, const struct st_meta *meta,
                    const struct st_written_entry *entry)
{
  struct noted n = noted_of(meta);
  if (!st_written_takes(meta) || (entry->has_digest && entry->digest.keyed))
    return;
  n.has_digest = entry->has_digest;
  n.plain = entry->plain;
  if (n.has_digest)
    memcpy(n.digest, entry->digest.digest, sizeof(n.digest));
  pthread_mutex_lock(&w->mutex);
  if (!w->closed)
    add(w, &n);
  pthread_mutex_unlock(&w->mutex);
}

static bool is_same(const struct noted *a, const struct noted *b)
{
  return a->inode == b->inode && a->device == b->device && a->type == b->type &&
         a->size == b->size && a->mtime == b->mtime && a->mtime_nsec == b->mtime_nsec &&
         a->ctime == b->ctime && a->ctime_nsec == b->ctime_nsec && a->mode == b->mode &&
         a->uid == b->uid && a->gid == b->gid;
}

bool st_written_find(const struct st_written *w, const struct st_meta *meta,
                     struct st_written_entry *ret)
{
  const struct noted n = noted_of(meta);
  if (w->count == 0)
    return false;
  for (uint32_t i = w->slots[slot_of(w, &n)]; i != NONE; i = w->items[i].next) {
    const struct noted *found = &w->items[i];
    if (!is_same(found, &n))
      continue;
    *ret = (struct st_written_entry){.has_digest = found->has_digest, .plain = found->plain};
    memcpy(ret->digest.digest, found->digest, sizeof(ret->digest.digest));
    return true;
  }
  return false;
}

void st_written_close(struct st_written *w)
{
  pthread_mutex_lock(&w->mutex);
  w->closed = true;
  pthread_mutex_unlock(&w->mutex);
}

void st_written_forget(struct st_written *w)
{
  pthread_mutex_lock(&w->mutex);
  free(st_steal(&w->items));
  free(st_steal(&w->slots));
  w->count = w->size = 0;
  w->closed = false;
  pthread_mutex_unlock(&w->mutex);
}

bool st_written_are_stored(const struct st_written *w)
{
  return w->stored;
}

size_t st_written_count(const struct st_written *w)
{
  return w->count;
}
