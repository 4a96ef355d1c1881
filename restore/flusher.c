/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/flusher.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "systracker/base/thread.h"

#define LOST "not all that was written reached the disk, and may be lost"
#define EVERY ((uint64_t)128 << 20) /* bytes after which it is worth a file system's commit */

struct st_flusher {
  pthread_mutex_t lock;
  pthread_cond_t something;
  pthread_t thread;
  bool begun, ending;
  int fd; /* on the file system that is to be written back; -1: none, or it is being done */
  bool busy;
  int failed;     /* errno of what could not be written back; 0: all could */
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
  struct st_flusher *f = arg;
  for (int fd; (fd = take(f)) >= 0; close(fd))
    if (syncfs(fd) < 0)
      f->failed = errno; /* looked at when the thread has ended */
  return NULL;
}

static void begin(struct st_flusher *f, int fd)
{
  if (!f->begun && !st_thread_start(&f->thread, flush, f))
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
  if (f->bytes >= EVERY && !f->busy && !f->ending && f->fd < 0)
    begin(f, fd);
  pthread_mutex_unlock(&f->lock);
}

int st_flush(int fd, struct st_error *err)
{
  return syncfs(fd) < 0 ? st_fail(err, errno, "%s", LOST) : 0;
}

int st_flusher_end(struct st_flusher *f, struct st_error *err)
{
  pthread_mutex_lock(&f->lock);
  f->ending = true;
  pthread_cond_signal(&f->something);
  pthread_mutex_unlock(&f->lock);
  if (f->begun)
    pthread_join(f->thread, NULL);
  f->begun = false;
  if (f->fd >= 0)
    close(f->fd);
  f->fd = -1;
  return f->failed ? st_fail(err, f->failed, "%s", LOST) : 0;
}

void st_flusher_free(struct st_flusher *f)
{
  if (!f)
    return;
  st_flusher_end(f, NULL);
  pthread_cond_destroy(&f->something);
  pthread_mutex_destroy(&f->lock);
  free(f);
}
