/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/flusher.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#define EVERY ((uint64_t)128 << 20) /* bytes after which it is worth a file system's commit */

struct st_flusher {
  pthread_mutex_t lock;
  pthread_cond_t something;
  pthread_t thread;
  bool begun, ending;
  int fd; /* on the file system that is to be written back; -1: none, or it is being done */
  bool busy;
  uint64_t bytes; /* since it was begun last */
};

struct st_flusher *st_flusher_new(void)
{
  struct st_flusher *f = st_calloc(1, sizeof(*f));
  pthread_mutex_init(&f->lock, NULL);
  pthread_cond_init(&f->something, NULL);
  f->fd = -1;
  return f;
}

/* The next one; -1: there will be none. */
static int take(struct st_flusher *f)
{
  pthread_mutex_lock(&f->lock);
  f->busy = false;
  while (f->fd < 0 && !f->ending)
    pthread_cond_wait(&f->something, &f->lock);
  int fd = f->ending ? -1 : f->fd;
  f->busy = fd >= 0;
  f->fd = fd >= 0 ? -1 : f->fd;
  pthread_mutex_unlock(&f->lock);
  return fd;
}

static void *flush(void *arg)
{
  for (int fd; (fd = take(arg)) >= 0; close(fd))
    syncfs(fd);
  return NULL;
}

static void begin(struct st_flusher *f, int fd)
{
  if (!f->begun && pthread_create(&f->thread, NULL, flush, f) != 0)
    return;
  f->begun = true;
  f->bytes = 0;
  f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  pthread_cond_signal(&f->something);
}

void st_flusher_note(struct st_flusher *f, int fd, uint64_t bytes)
{
  pthread_mutex_lock(&f->lock);
  f->bytes += bytes;
  if (f->bytes >= EVERY && !f->busy && f->fd < 0)
    begin(f, fd);
  pthread_mutex_unlock(&f->lock);
}

void st_flusher_free(struct st_flusher *f)
{
  if (!f)
    return;
  pthread_mutex_lock(&f->lock);
  f->ending = true;
  pthread_cond_signal(&f->something);
  pthread_mutex_unlock(&f->lock);
  if (f->begun)
    pthread_join(f->thread, NULL);
  if (f->fd >= 0)
    close(f->fd);
  pthread_cond_destroy(&f->something);
  pthread_mutex_destroy(&f->lock);
  free(f);
}
