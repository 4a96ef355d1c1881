/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/parallel.h"

#include <stdatomic.h>

#include "systracker/base/process.h"
#include "systracker/base/thread.h"

#define MOST_THREADS 8

struct work {
  size_t count, piece;
  st_parallel_fn *fn;
  void *arg;
  atomic_size_t next; /* the first that nobody has taken */
};

static void *take_pieces(void *arg)
{
  struct work *w = arg;
  size_t from;
  while ((from = atomic_fetch_add(&w->next, w->piece)) < w->count)
    w->fn(w->arg, from, w->count - from < w->piece ? w->count : from + w->piece);
  return NULL;
}

void st_parallel(size_t count, size_t piece, st_parallel_fn *fn, void *arg)
{
  struct work w = {.count = count, .piece = piece, .fn = fn, .arg = arg};
  pthread_t threads[MOST_THREADS];
  unsigned made = 0, more = count > piece ? st_processors(MOST_THREADS) - 1 : 0;
  while (made < more && st_thread_start(&threads[made], take_pieces, &w))
    made++;
  take_pieces(&w);
  while (made > 0)
    pthread_join(threads[--made], NULL);
}
