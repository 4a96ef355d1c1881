/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/parallel.h"

#include <pthread.h>
#include <stdatomic.h>

struct crew {
  _Atomic size_t next;
  size_t count;
  void (*fn)(void *arg, size_t n);
  void *arg;
};

static void *work(void *arg)
{
  struct crew *crew = arg;
  for (size_t n; (n = atomic_fetch_add(&crew->next, 1)) < crew->count;)
    crew->fn(crew->arg, n);
  return NULL;
}

void st_at_once(size_t count, unsigned threads, void (*fn)(void *arg, size_t n), void *arg)
{
  struct crew crew = {.count = count, .fn = fn, .arg = arg};
  pthread_t started[ST_PARALLEL_MAX];
  size_t most = threads < ST_PARALLEL_MAX ? threads : ST_PARALLEL_MAX, n = 0;
  while (n + 1 < most && n + 1 < count && pthread_create(&started[n], NULL, work, &crew) == 0)
    n++;
  work(&crew);
  while (n > 0)
    pthread_join(started[--n], NULL);
}
