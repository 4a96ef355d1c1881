/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/lots.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/processors.h"

#define MOST_THREADS 7 /* beside the one that asks */

/* What is to be done with it next, or now. */
enum lot_state { GATHER, GATHERING, PROVE, DONE };

struct lot {
  struct lot *next; /* of those behind it */
  enum lot_state state;
  struct proofs proofs;
  size_t begun, busy;      /* proofs that somebody took, and slices that are not done */
  size_t first, count;     /* of packages in the database */
  struct making makings[]; /* without a package: there is none */
};

struct lots {
  const struct dpkg_track *d;
  const struct maker *mine; /* of the thread that asks */
  pthread_mutex_t lock;     /* of the list and of states */
  pthread_cond_t changed;
  struct lot *list;
  unsigned count; /* in the list; changed by the thread that asks alone */
  bool stop;
  struct maker makers[MOST_THREADS]; /* what was made borrows from them */
  pthread_t threads[MOST_THREADS];
  unsigned nthreads, nmakers;
};

/* ---- Makers -----------------------------------------------------------------------------------
 */

int maker_open(struct maker *m, const struct dpkg_track *d, struct st_error *err)
{
  *m = (struct maker){0};
  if (view_open(&m->view, d, err) < 0)
    return -1;
  m->prover = st_prover_new(d->ctx);
  return 0;
}

void maker_close(struct maker *m)
{
  view_free(m->view);
  st_prover_free(m->prover);
  *m = (struct maker){0};
}

/* ---- One lot ----------------------------------------------------------------------------------
 */

static void clear_making(struct making *m)
{
  manifest_clear(&m->manifest);
  listing_clear(&m->listing);
  m->package = NULL;
}

static void free_lot(struct lot *lot)
{
  for (size_t i = 0; i < lot->count; i++)
    clear_making(&lot->makings[i]);
  proofs_clear(&lot->proofs);
  free(lot);
}

/* Whoever asks for what could not be made here makes it himself, and is told why not. */
static void gather(struct lot *lot, const struct maker *maker)
{
  for (size_t i = 0; i < lot->count; i++) {
    struct making *m = &lot->makings[i];
    m->view = maker->view;
    if (m->package &&
        (m->view->info < 0 || listing_read(&m->listing, m->view->info, m->package, NULL) < 0 ||
         gather_what_is_there(m, NULL) < 0))
      clear_making(m);
  }
  if (proofs_list(&lot->proofs, lot->makings, lot->count, NULL) == 0)
    return;
  proofs_clear(&lot->proofs);
  for (size_t i = 0; i < lot->count; i++)
    clear_making(&lot->makings[i]);
}

/* ---- Several ----------------------------------------------------------------------------------
 */

/* The lock is held, but while something takes its time. */
static void gather_lot(struct lots *l, struct lot *lot, const struct maker *maker)
{
  lot->state = GATHERING;
  pthread_mutex_unlock(&l->lock);
  gather(lot, maker);
  pthread_mutex_lock(&l->lock);
  lot->state = lot->proofs.count > 0 ? PROVE : DONE;
  pthread_cond_broadcast(&l->changed);
}

static void prove_slice(struct lots *l, struct lot *lot, const struct maker *maker)
{
  size_t from = lot->begun, end = proofs_slice(&lot->proofs, from);
  lot->begun = end;
  lot->busy++;
  pthread_mutex_unlock(&l->lock);
  st_prove(maker->prover, lot->proofs.items + from, end - from);
  pthread_mutex_lock(&l->lock);
  if (--lot->busy > 0 || lot->begun < lot->proofs.count)
    return;
  proofs_take(&lot->proofs);
  proofs_clear(&lot->proofs);
  lot->state = DONE;
  pthread_cond_broadcast(&l->changed);
}

/* Some of what will be asked for first.  false: there is nothing to be done. */
static bool do_some(struct lots *l, const struct maker *maker)
{
  for (struct lot *lot = l->list; lot; lot = lot->next) {
    if (lot->state == GATHER)
      gather_lot(l, lot, maker);
    else if (lot->state == PROVE && lot->begun < lot->proofs.count)
      prove_slice(l, lot, maker);
    else
      continue;
    return true;
  }
  return false;
}

struct starting {
  struct lots *l;
  const struct maker *maker;
};

static void *make_lots(void *arg)
{
  struct starting s = *(struct starting *)arg;
  free(arg);
  pthread_mutex_lock(&s.l->lock);
  while (!s.l->stop) {
    if (!do_some(s.l, s.maker))
      pthread_cond_wait(&s.l->changed, &s.l->lock);
  }
  pthread_mutex_unlock(&s.l->lock);
  return NULL;
}

static bool start_thread(struct lots *l, struct maker *maker)
{
  struct starting *s = malloc(sizeof(*s));
  if (!s)
    return false;
  *s = (struct starting){l, maker};
  if (pthread_create(&l->threads[l->nthreads], NULL, make_lots, s) == 0)
    return true;
  free(s);
  return false;
}

/* Signals are for the thread that called us. */
static void start_threads(struct lots *l)
{
  sigset_t all, before;
  unsigned more = processors_at_most(MOST_THREADS + 1) - 1;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (l->nthreads < more && maker_open(&l->makers[l->nmakers], l->d, NULL) == 0 &&
         start_thread(l, &l->makers[l->nmakers++]))
    l->nthreads++;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct lots *lots_new(const struct dpkg_track *d, const struct maker *mine)
{
  struct lots *l = calloc(1, sizeof(*l));
  if (!l)
    return NULL;
  l->d = d;
  l->mine = mine;
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->changed, NULL);
  start_threads(l);
  return l;
}

static void drop_first(struct lots *l)
{
  struct lot *lot = l->list;
  l->list = lot->next;
  l->count--;
  free_lot(lot);
}

void lots_free(struct lots *l)
{
  if (!l)
    return;
  pthread_mutex_lock(&l->lock);
  l->stop = true;
  pthread_cond_broadcast(&l->changed);
  pthread_mutex_unlock(&l->lock);
  for (unsigned i = 0; i < l->nthreads; i++)
    pthread_join(l->threads[i], NULL);
  while (l->list)
    drop_first(l);
  for (unsigned i = 0; i < l->nmakers; i++)
    maker_close(&l->makers[i]);
  pthread_cond_destroy(&l->changed);
  pthread_mutex_destroy(&l->lock);
  free(l);
}

/* One for each thread, one for who asks, and one for whoever is done first. */
bool lots_have_room(const struct lots *l)
{
  return l->count < l->nthreads + 2;
}

void lots_add(struct lots *l, size_t first, size_t count, const bool *wanted)
{
  struct lot *lot = calloc(1, sizeof(*lot) + count * sizeof(*lot->makings)), **at = &l->list;
  if (!lot)
    return;
  lot->first = first;
  lot->count = count;
  for (size_t i = 0; i < count; i++)
    lot->makings[i].package = wanted[i] ? &l->d->database.packages.items[first + i] : NULL;
  pthread_mutex_lock(&l->lock);
  while (*at)
    at = &(*at)->next;
  *at = lot;
  l->count++;
  pthread_cond_broadcast(&l->changed);
  pthread_mutex_unlock(&l->lock);
}

/* With the lock held; who waits helps, with others too, which will be asked for as well. */
static void wait_for(struct lots *l, const struct lot *lot)
{
  while (lot->state != DONE) {
    if (!do_some(l, l->mine))
      pthread_cond_wait(&l->changed, &l->lock);
  }
}

static bool take(struct lots *l, size_t place, struct making *ret)
{
  struct lot *lot = l->list;
  if (!lot || lot->first > place)
    return false;
  wait_for(l, lot);
  struct making *m = &lot->makings[place - lot->first];
  *ret = *m;
  *m = (struct making){0};
  if (place + 1 == lot->first + lot->count)
    drop_first(l);
  return ret->package != NULL;
}

bool lots_take(struct lots *l, size_t place, struct making *ret)
{
  pthread_mutex_lock(&l->lock);
  while (l->list && l->list->first + l->list->count <= place) {
    wait_for(l, l->list); /* it may be in the making */
    drop_first(l);
  }
  bool taken = take(l, place, ret);
  pthread_mutex_unlock(&l->lock);
  return taken;
}
