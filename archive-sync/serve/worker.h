/* SPDX-License-Identifier: GPL-2.0-or-later */
/* worker.h - threads for what takes its time, and a queue before them that has an end. */
#ifndef ARCHIVE_SYNC_SERVE_WORKER_H
#define ARCHIVE_SYNC_SERVE_WORKER_H

#include <stdbool.h>

#include "systracker/base/cleanup.h"
#include "systracker/base/error.h"

struct st_workers;

/* So many threads, so many jobs at most that wait. */
int st_workers_start(struct st_workers **ret, unsigned threads, unsigned waiting,
                     struct st_error *err);
/* Waits for all jobs, ends the threads. */
void st_workers_stop(struct st_workers *w);
ST_DEFINE_CLEANUP(struct st_workers *, st_workers_stop)

enum st_submitted {
  ST_SUBMITTED,
  ST_SUBMIT_FULL, /* too many wait */
  ST_SUBMIT_BUSY, /* one of this name waits or runs */
};
/* Has `run(arg)` called by a thread, and `done(arg)` behind it.  `name`: of these one at a time
 * waits or is in `run`; "": any number, but of those from one place (`from`) at most half of all
 * that may wait.  Both are copied, at most 64 bytes count. */
enum st_submitted st_workers_submit(struct st_workers *w, const char *name, const char *from,
                                    void (*run)(void *arg), void (*done)(void *arg), void *arg);
/* Called within `run`: the job of that argument, which was submitted as "", has this name from here
 * on.  False: another one of the name waits or runs. */
bool st_workers_name(struct st_workers *w, const void *arg, const char *name);

#endif
