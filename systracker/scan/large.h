/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * large.h - within the scan: large files of which the digest alone is wanted.
 *
 * They are hashed ahead of their turn, side by side (base/hashes.h), mapped (base/mapped.h) instead
 * of read; in the ring there are never enough of them together.  One thread takes one after the
 * other, about in their order, so that who tells seldom waits for them; others do as well where
 * they have nothing else to do.  What was no good - it changed, it is gone, it cannot be mapped -
 * is read when its turn comes, as any other file.
 */
#ifndef ST_SCAN_LARGE_H
#define ST_SCAN_LARGE_H

#include "systracker/scan/readfile.h"
#include "systracker/scan/tree.h"

struct look;
struct looker;
struct large;

/* In the order in which they are told.  Guarded by the looker's mutex once there are threads. */
struct large_files {
  struct large *files;
  size_t count, size;
  uint64_t bytes;
  size_t put;      /* of them are in the ring, or were; atomic */
  size_t from, to; /* of them are hashed now: a lot, not too far ahead of what is told */
  struct large **sorted;
  size_t taken;    /* of that lot */
  uint64_t begun;  /* bytes of it, and of those before */
  uint64_t most;   /* bytes that are mapped at once, at most, by all threads */
  uint64_t mapped; /* bytes that are */
  unsigned busy;   /* threads that hash some; no more than there are processors */
};
void st_large_init(struct large_files *large);
void st_large_free(struct large_files *large);

/* Whether it is of a size that pays. */
bool st_large_is(const struct large_files *large, const struct st_item *item);
/* The next in their order.  All are added before the first is put. */
void st_large_add(struct large_files *large, struct st_node *node, const struct st_item *item);
/* When all are added: whether they are worth threads of their own.  One alone is read as ever. */
bool st_large_pay(struct large_files *large);
/* Of the next item that is put into the ring; NULL: it was not added. */
struct large *st_large_put(struct large_files *large, const struct st_item *item);

/* With the mutex: whether a thread may hash some of them; and that, until there are none, or, where
 * it is the thread that tells, until the head of the ring is done. */
bool st_large_is_due(const struct looker *l);
void st_large_do(struct looker *l, struct st_reader *reader);
/* With the mutex: whether it waits to be hashed. */
bool st_large_is_parked(const struct look *k);

/* false: it is not hashed yet, and st_look_go_on is called when it is. */
bool st_large_is_done(struct looker *l, struct look *k);
/* The file as it was then, and its digest; false: it has to be read. */
bool st_large_take(struct large *large, struct st_meta *ret, struct st_id *ret_digest);

#endif
