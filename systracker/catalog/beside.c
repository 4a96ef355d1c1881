/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/catalog/beside.h"

#include <stddef.h>

#include "systracker/base/buffer.h"
#include "systracker/base/thread.h"

struct st_beside {
  pthread_mutex_t mutex;
  pthread_cond_t given, done;
  struct st_beside_job *first, **end; /* those that wait */
  const struct st_beside_job *at;     /* the thread's; NULL: none */
  pthread_t thread;
  bool started, stop;
};

struct st_beside *st_beside_new(void)
{
  struct st_beside *b = st_calloc(1, sizeof(*b));

  pthread_mutex_init(&b->mutex, NULL);
  pthread_cond_init(&b->given, NULL);
  pthread_cond_init(&b->done, NULL);
  b->end = &b->first;
  return b;
}

/* With the mutex.  NULL: none waits. */
static struct st_beside_job *take(struct st_beside *b)
{
  struct st_beside_job *job = b->first;

  if (!job)
    return NULL;
  b->first = job->next;
  if (!b->first)
    b->end = &b->first;
  job->waits = false;
  return job;
}

static void *work(void *arg)
{
  struct st_beside *b = arg;
  struct st_beside_job *job;

  pthread_mutex_lock(&b->mutex);
  while (!b->stop) {
    if (!(job = take(b))) {
      pthread_cond_wait(&b->given, &b->mutex);
      continue;
    }
    b->at = job;
    pthread_mutex_unlock(&b->mutex);
    job->run(job);
    pthread_mutex_lock(&b->mutex);
    b->at = NULL;
    pthread_cond_broadcast(&b->done);
  }
  pthread_mutex_unlock(&b->mutex);
  return NULL;
}

void st_beside_free(struct st_beside *b)
{
  if (!b)
    return;
  pthread_mutex_lock(&b->mutex);
  b->stop = true;
  pthread_cond_signal(&b->given);
  pthread_mutex_unlock(&b->mutex);
  if (b->started)
    pthread_join(b->thread, NULL);
  pthread_cond_destroy(&b->given);
  pthread_cond_destroy(&b->done);
  pthread_mutex_destroy(&b->mutex);
  free(b);
}

void st_beside_give(struct st_beside *b, struct st_beside_job *job, bool now)
{
  pthread_mutex_lock(&b->mutex);
  job->next = NULL;
  job->waits = true;
  *b->end = job;
  b->end = &job->next;
  if (now && !b->started)
    b->started = st_thread_start(&b->thread, work, b);
  pthread_cond_signal(&b->given);
  pthread_mutex_unlock(&b->mutex);
}

/* With the mutex. */
static void remove_waiting(struct st_beside *b, struct st_beside_job *job)
{
  struct st_beside_job **p = &b->first;

  while (*p != job)
    p = &(*p)->next;
  *p = job->next;
  if (b->end == &job->next)
    b->end = p;
  job->waits = false;
}

void st_beside_take_back(struct st_beside *b, struct st_beside_job *job)
{
  pthread_mutex_lock(&b->mutex);
  if (job->waits)
    remove_waiting(b, job);
  while (b->at == job)
    pthread_cond_wait(&b->done, &b->mutex);
  pthread_mutex_unlock(&b->mutex);
}

void st_beside_finish(struct st_beside *b)
{
  struct st_beside_job *job;

  pthread_mutex_lock(&b->mutex);
  while ((job = take(b))) {
    pthread_mutex_unlock(&b->mutex);
    job->run(job);
    pthread_mutex_lock(&b->mutex);
  }
  while (b->at)
    pthread_cond_wait(&b->done, &b->mutex);
  pthread_mutex_unlock(&b->mutex);
}
