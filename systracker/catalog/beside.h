/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * beside.h - work that goes on beside a scan, in a thread of its own.
 *
 * Jobs are done one after the other, in the order in which they were given.  What was not begun can
 * be taken back, or is done by whoever needs it: so nothing depends on the thread, nor on whether
 * there is one.
 */
#ifndef ST_CATALOG_BESIDE_H
#define ST_CATALOG_BESIDE_H

#include <stdbool.h>

#include "systracker/base/cleanup.h"

/* Part of what a job is about; whoever gives it owns it, and keeps it until it is done or taken
 * back.  Zeros and `run` are all that it needs to begin with. */
struct st_beside_job {
  void (*run)(struct st_beside_job *job); /* any thread */
  struct st_beside_job *next;
  bool waits;
};

struct st_beside;
struct st_beside *st_beside_new(void);
/* Nothing waits any more: all is done, or taken back. */
void st_beside_free(struct st_beside *b);
ST_DEFINE_CLEANUP(struct st_beside *, st_beside_free)

/* The job waits; with `now` for the thread, which is started when there is none yet. */
void st_beside_give(struct st_beside *b, struct st_beside_job *job, bool now);
/* It does not wait any more, and nobody is at it: it is done, or will not be. */
void st_beside_take_back(struct st_beside *b, struct st_beside_job *job);
/* All that were given are done, by the caller as well as by the thread. */
void st_beside_finish(struct st_beside *b);

#endif
