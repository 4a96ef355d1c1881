/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/workers.h"

#include <stdatomic.h>

#include "systracker/base/process.h"
#include "systracker/base/thread.h"

#define SHARE 16 /* indexes that a thread takes at once: neighbours lie in the same directory */

struct crew {
  const struct st_workers *w;
  atomic_size_t next;
  atomic_int ended; /* what `one` returned, not 0 */
};

struct worker {
  struct crew *crew;
  unsigned number;
  struct st_store *store;
  pthread_t thread;
};

/* The first one that is not 0 counts. */
static void end(struct crew *c, int result)
{
  int none = 0;
  if (result != 0)
    atomic_compare_exchange_strong(&c->ended, &none, result);
}

static void work_units(struct worker *me)
{
  struct crew *c = me->crew;
  size_t i;
  while (!atomic_load(&c->ended) && (i = atomic_fetch_add(&c->next, 1)) < c->w->count)
    end(c, c->w->unit(c->w->arg, me->store, me->number, i));
}

static void *work(void *arg)
{
  struct worker *me = arg;
  struct crew *c = me->crew;
  size_t from;
  if (c->w->unit) {
    work_units(me);
    return NULL;
  }
  while (!atomic_load(&c->ended) && (from = atomic_fetch_add(&c->next, SHARE)) < c->w->count) {
    size_t to = from + SHARE < c->w->count ? from + SHARE : c->w->count;
    if (c->w->some && !atomic_load(&c->ended))
      end(c, c->w->some(c->w->arg, me->store, from, to));
    for (size_t i = from; i < to && !c->w->some; i++) {
      if (atomic_load(&c->ended))
        return NULL;
      end(c, c->w->one(c->w->arg, me->store, i));
    }
  }
  return NULL;
}

static size_t count_threads(const struct st_workers *w)
{
  size_t n = st_processors(ST_WORKERS_MOST);
  size_t shares = w->unit ? w->count + 1 : w->count / SHARE + 1;
  return n < shares ? n : shares;
}

/* A thread that cannot be started is done without: the first one is our own. */
static void run_crew(struct worker *workers, size_t n)
{
  size_t started = 1;
  while (started < n && st_thread_start(&workers[started].thread, work, &workers[started]))
    started++;
  work(&workers[0]);
  for (size_t i = 1; i < started; i++)
    pthread_join(workers[i].thread, NULL);
}

int st_workers_run(const struct st_workers *w, struct st_error *err)
{
  struct crew crew = {.w = w};
  struct worker workers[ST_WORKERS_MOST] = {0};
  size_t n = count_threads(w), open = 0;
  int r = 0;
  while (open < n && r == 0) {
    workers[open].crew = &crew;
    workers[open].number = (unsigned)open;
    r = w->store ? st_store_open_beside(&workers[open].store, w->store_dir, w->store, err) : 0;
    open += r == 0;
  }
  if (r == 0)
    run_crew(workers, n);
  for (size_t i = 0; i < open; i++)
    if (workers[i].store)
      st_store_close(workers[i].store);
  return r < 0 ? r : atomic_load(&crew.ended);
}
