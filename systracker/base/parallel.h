/* SPDX-License-Identifier: GPL-2.0-or-later */
/* parallel.h - work that falls into pieces, done by several threads. */
#ifndef ST_BASE_PARALLEL_H
#define ST_BASE_PARALLEL_H

#include <stddef.h>

/* Calls fn for pieces of [0, count), at most `piece` long, by as many threads as there are
 * processors that we may use, the caller's among them; returns when all are done.  Which thread
 * does what is not said; where none can be made, the caller's does all. */
typedef void st_parallel_fn(void *arg, size_t from, size_t to);
void st_parallel(size_t count, size_t piece, st_parallel_fn *fn, void *arg);

#endif
