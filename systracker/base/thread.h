/* SPDX-License-Identifier: GPL-2.0-or-later */
/* thread.h - a thread beside the one that calls. */
#ifndef ST_BASE_THREAD_H
#define ST_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Runs fn(arg) on a thread of its own, to be joined.  Signals that are sent to the process are not
 * for it: who holds them back for a while, as a restore does, would be ended by one that another
 * thread takes.  Its own faults are.  false: none can be made, and the caller does the work. */
bool st_thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg);

#endif
