/* SPDX-License-Identifier: GPL-2.0-or-later */
/* parallel.h - several like things at once, where each waits for the disk most of its time: by more
 * threads than there are processors, which systracker/base/parallel.h has no use for. */
#ifndef ARCHIVE_SYNC_SERVE_PARALLEL_H
#define ARCHIVE_SYNC_SERVE_PARALLEL_H

#include <stddef.h>

#define ST_PARALLEL_MAX 8

/* Calls fn once for each of the numbers below `count`, by as many as `threads` threads (the caller
 * among them), in about this order; returns when all have ended.  Where a thread cannot be started,
 * the others do its part. */
void st_at_once(size_t count, unsigned threads, void (*fn)(void *arg, size_t n), void *arg);

#endif
