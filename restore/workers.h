/* SPDX-License-Identifier: GPL-2.0-or-later */
/* workers.h - the same done to each of many, by a few threads. */
#ifndef ST_RESTORE_WORKERS_H
#define ST_RESTORE_WORKERS_H

#include "systracker/store/store.h"

#define ST_WORKERS_MOST 8 /* threads: more would wait for the same disk */

struct st_workers {
  int store_dir; /* borrowed */
  /* Whose keys the threads' own readers of the store have; borrowed; NULL: they need none. */
  struct st_store *store;
  size_t count;
  /* Called once for each index below `count`, in no order, from several threads; `store` is the
   * thread's own reader, of what was synced before.  Not 0: nobody begins another. */
  int (*one)(void *arg, struct st_store *store, size_t index);
  /* In the place of `one`: for all from `from` up to `to`, which is not among them. */
  int (*some)(void *arg, struct st_store *store, size_t from, size_t to);
  /* In the place of both: one by one in this order, for indexes that are much work each; `thread`:
   * whose turn it is, below ST_WORKERS_MOST. */
  int (*unit)(void *arg, struct st_store *store, unsigned thread, size_t index);
  void *arg;
};

/* Returns when all threads have ended: 0, or what the first `one` returned that was not 0; negative
 * with a message: a reader could not be opened, and nothing was begun. */
int st_workers_run(const struct st_workers *w, struct st_error *err);

#endif
