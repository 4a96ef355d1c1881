/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * objects.h - readers of the archive's store, for the server's workers: each has one to itself
 * while it needs it.
 *
 * The committer, gc and copies on the spot write meanwhile.  A reader sees what they commit; but
 * it is opened again where the index was made anew, and now and then, so that packs that gc removed
 * give their space back.
 */
#ifndef ARCHIVE_SYNC_SERVE_OBJECTS_H
#define ARCHIVE_SYNC_SERVE_OBJECTS_H

#include "archive-sync/archive.h"

struct st_objects;

/* `archive_dir` is borrowed for its life. */
struct st_objects *st_objects_new(int archive_dir);
void st_objects_free(struct st_objects *o);
ST_DEFINE_CLEANUP(struct st_objects *, st_objects_free)

struct st_reader {
  struct st_objects *objects;
  struct st_store *store;
  uint64_t index; /* which objects.db it reads */
  int64_t since;  /* seconds, monotonic */
};
int st_reader_borrow(struct st_objects *o, struct st_reader *ret, struct st_error *err);
void st_reader_return(struct st_reader *r);
#define ST_AUTO_READER ST_CLEANUP(st_reader_return) struct st_reader

/* Held by whoever has much in memory: contents above 4 MiB, bodies above 1 MiB.  One at a time. */
void st_objects_begin_large(struct st_objects *o);
void st_objects_end_large(struct st_objects *o);

#endif
