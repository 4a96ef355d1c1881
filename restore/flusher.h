/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flusher.h - the disk works while a restore decodes: a thread has file systems written back as
 * much is written to them.  Nothing relies on it: what has to be durable is synced at the end.  But
 * what the disk could not take is said once to whoever asks, so what was said here has to be kept.
 */
#ifndef ST_RESTORE_FLUSHER_H
#define ST_RESTORE_FLUSHER_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

struct st_flusher;
/* Its thread begins when there is something to do. */
struct st_flusher *st_flusher_new(void);
/* So many bytes were written to a file, which is open; any thread, never waits for the disk. */
void st_flusher_note(struct st_flusher *f, int fd, uint64_t bytes);
/* Waits for what was begun; nothing is begun any more.  Fails where something could not be written
 * back, which then may be lost. */
int st_flusher_end(struct st_flusher *f, struct st_error *err);
/* May be NULL. */
void st_flusher_free(struct st_flusher *f);

/* Makes all durable that was written to the file system of a descriptor. */
int st_flush(int fd, struct st_error *err);

#endif
