/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/worker.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "systracker/base/buffer.h"

struct job {
  char name[65], from[65];
  void (*run)(void *arg), (*done)(void *arg);
  void *arg;
};

struct st_workers {
  pthread_mutex_t mutex;
  pthread_cond_t more;
  struct job *queue; /* a ring */
  size_t first, count, size;
  unsigned threads; /* that were started */
  bool ending;
  struct worker {
    pthread_t thread;
    struct st_workers *all;
    struct job job; /* that it has; run NULL: none */
  } * workers;
};

/* With the mutex held: waits for one; false: there is none, and none will come. */
static bool take(struct worker *self)
{
  struct st_workers *w = self->all;
  while (w->count == 0 && !w->ending)
    pthread_cond_wait(&w->more, &w->mutex);
  if (w->count == 0)
    return false;
  self->job = w->queue[w->first];
  w->first = (w->first + 1) % w->size;
  w->count--;
  return true;
}

static void *work(void *arg)
{
  struct worker *self = arg;
  struct st_workers *w = self->all;
  pthread_mutex_lock(&w->mutex);
  while (take(self)) {
    struct job job = self->job;
    pthread_mutex_unlock(&w->mutex);
    job.run(job.arg);
    pthread_mutex_lock(&w->mutex);
    self->job.run = NULL;
    pthread_mutex_unlock(&w->mutex);
    job.done(job.arg);
    pthread_mutex_lock(&w->mutex);
  }
  pthread_mutex_unlock(&w->mutex);
  return NULL;
}

int st_workers_start(struct st_workers **ret, unsigned threads, unsigned waiting,
                     struct st_error *err)
{
  ST_CLEANUP(st_workers_stopp) struct st_workers *w = st_calloc(1, sizeof(*w));
  pthread_mutex_init(&w->mutex, NULL);
  pthread_cond_init(&w->more, NULL);
  w->size = waiting;
  w->queue = st_calloc(waiting, sizeof(*w->queue));
  w->workers = st_calloc(threads, sizeof(*w->workers));
  for (; w->threads < threads; w->threads++) {
    struct worker *next = &w->workers[w->threads];
    next->all = w;
    int r = pthread_create(&next->thread, NULL, work, next);
    if (r != 0)
      return st_fail(err, r, "cannot start a thread");
  }
  *ret = st_steal(&w);
  return 0;
}

void st_workers_stop(struct st_workers *w)
{
  pthread_mutex_lock(&w->mutex);
  w->ending = true;
  pthread_cond_broadcast(&w->more);
  pthread_mutex_unlock(&w->mutex);
  for (unsigned i = 0; i < w->threads; i++)
    pthread_join(w->workers[i].thread, NULL);
  pthread_cond_destroy(&w->more);
  pthread_mutex_destroy(&w->mutex);
  free(w->workers);
  free(w->queue);
  free(w);
}

/* With the mutex held. */
static bool is_known(const struct st_workers *w, const char *name)
{
  for (size_t i = 0; i < w->count; i++)
    if (strcmp(w->queue[(w->first + i) % w->size].name, name) == 0)
      return true;
  for (unsigned i = 0; i < w->threads; i++)
    if (w->workers[i].job.run && strcmp(w->workers[i].job.name, name) == 0)
      return true;
  return false;
}

/* With the mutex held. */
static bool has_its_share(const struct st_workers *w, const struct job *job)
{
  size_t waiting = 0;
  for (size_t i = 0; i < w->count; i++) {
    const struct job *other = &w->queue[(w->first + i) % w->size];
    waiting += !*other->name && strcmp(other->from, job->from) == 0;
  }
  return !*job->name && waiting >= (w->size + 1) / 2;
}

enum st_submitted st_workers_submit(struct st_workers *w, const char *name, const char *from,
                                    void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
  struct job job = {.run = run, .done = done, .arg = arg};
  snprintf(job.name, sizeof(job.name), "%s", name);
  snprintf(job.from, sizeof(job.from), "%s", from);
  pthread_mutex_lock(&w->mutex);
  enum st_submitted result = *job.name && is_known(w, job.name)              ? ST_SUBMIT_BUSY
                             : w->count == w->size || has_its_share(w, &job) ? ST_SUBMIT_FULL
                                                                             : ST_SUBMITTED;
  if (result == ST_SUBMITTED) {
    w->queue[(w->first + w->count++) % w->size] = job;
    pthread_cond_signal(&w->more);
  }
  pthread_mutex_unlock(&w->mutex);
  return result;
}

bool st_workers_name(struct st_workers *w, const void *arg, const char *name)
{
  pthread_mutex_lock(&w->mutex);
  bool is_free = !is_known(w, name);
  for (unsigned i = 0; i < w->threads && is_free; i++) {
    struct job *job = &w->workers[i].job;
    if (job->run && job->arg == arg)
      snprintf(job->name, sizeof(job->name), "%s", name);
  }
  pthread_mutex_unlock(&w->mutex);
  return is_free;
}
