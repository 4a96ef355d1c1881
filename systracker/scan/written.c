/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/scan/written.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "systracker/base/buffer.h"

#define SETTLED 2 /* seconds that an mtime has to be past: the coarsest of file systems' times */

struct file {
  uint64_t device, inode, size;
  int64_t mtime, ctime;
  uint32_t mtime_nsec, ctime_nsec;
  uint8_t digest[ST_DIGEST_SIZE];
};

struct st_written {
  pthread_mutex_t mutex;
  struct file *files;
  size_t count, size;
  bool sorted, stored;
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
  free(w->files);
  free(w);
}

static struct file file_of(const struct st_meta *m)
{
  return (struct file){
      .device = m->device,
      .inode = m->inode,
      .size = m->size,
      .mtime = m->mtime,
      .ctime = m->ctime,
      .mtime_nsec = m->mtime_nsec,
      .ctime_nsec = m->ctime_nsec,
  };
}

static void add(struct st_written *w, const struct file *f)
{
  if (w->count == w->size) {
    w->size = w->size ? 2 * w->size : 64;
    w->files = st_realloc(w->files, w->size, sizeof(*w->files));
  }
  w->files[w->count++] = *f;
  w->sorted = false;
}

/* An ACL that lets others write shows in the bits of the group. */
static bool is_ours(const struct st_meta *m)
{
  return (m->uid == 0 || m->uid == geteuid()) && !(m->mode & 022);
}

void st_written_add(struct st_written *w, const struct st_meta *meta, const struct st_id *digest)
{
  struct file f = file_of(meta);
  if (meta->type != 'f' || digest->keyed || !is_ours(meta) || meta->mtime >= time(NULL) - SETTLED)
    return;
  memcpy(f.digest, digest->digest, sizeof(f.digest));
  pthread_mutex_lock(&w->mutex);
  add(w, &f);
  pthread_mutex_unlock(&w->mutex);
}

static int by_inode(const void *a, const void *b)
{
  const struct file *x = a, *y = b;
  if (x->device != y->device)
    return x->device < y->device ? -1 : 1;
  return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static void sort(struct st_written *w)
{
  pthread_mutex_lock(&w->mutex);
  if (!w->sorted && w->count > 1)
    qsort(w->files, w->count, sizeof(*w->files), by_inode);
  w->sorted = true;
  pthread_mutex_unlock(&w->mutex);
}

static bool is_same(const struct file *a, const struct file *b)
{
  return a->size == b->size && a->mtime == b->mtime && a->mtime_nsec == b->mtime_nsec &&
         a->ctime == b->ctime && a->ctime_nsec == b->ctime_nsec;
}

/* The first of that inode, or where it would be: an inode may have been written more than once. */
static size_t first_of(const struct st_written *w, const struct file *f)
{
  size_t low = 0, high = w->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (by_inode(&w->files[middle], f) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

bool st_written_find(struct st_written *w, const struct st_meta *meta, struct st_id *ret)
{
  const struct file f = file_of(meta);
  sort(w);
  for (size_t i = first_of(w, &f); i < w->count && by_inode(&w->files[i], &f) == 0; i++) {
    if (!is_same(&w->files[i], &f))
      continue;
    *ret = (struct st_id){.keyed = false};
    memcpy(ret->digest, w->files[i].digest, sizeof(ret->digest));
    return true;
  }
  return false;
}

bool st_written_are_stored(const struct st_written *w)
{
  return w->stored;
}

size_t st_written_count(const struct st_written *w)
{
  return w->count;
}
