/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * repack.h - forgetting objects that nobody wants any more: packs are only ever appended to, so
 * what is still wanted of a pack moves into a new one, and the old one goes.
 *
 * Only packs where that pays are touched.  In each step
 *
 *   1. what stays is read, proved by its id, and appended to a new pack, which is synced and read
 *      again;
 *   2. one transaction of objects.db names the new places and forgets the old pack;
 *   3. the old pack's file is removed.
 *
 * A kill leaves the objects in the old place, or in both, or in the new one with a file to be
 * removed, which the next writer does.  A reader that has the old pack open goes on reading it; one
 * that comes too late asks the index again.
 *
 * Records move as they are.  A delta whose base is not wanted is made anew: of the nearest earlier
 * revision that is, else of the earliest one that was based on the same, else whole.  A secret that
 * cannot be read here (an archive has no key) keeps its base instead.
 *
 * What is damaged is never dropped: a pack that holds a damaged object which is wanted, or bytes
 * that nobody can explain, is left as it is.
 */
#ifndef ST_STORE_REPACK_H
#define ST_STORE_REPACK_H

#include "systracker/store/store.h"

/* Whether an object is still wanted.  What it is made of (its base) need not be named. */
typedef bool st_store_wanted_fn(void *arg, const struct st_id *id);

struct st_repack_options {
  bool dry_run;        /* counts alone */
  unsigned percent;    /* of a pack that has to be of no use for it to be written anew; 0: 30 */
  uint64_t least_free; /* bytes that have to stay free on the file system */
  /* What could not be repacked, and why (words, escaped); may be NULL. */
  void (*said)(void *arg, const char *words);
  void *arg;
};

struct st_repack_result {
  uint64_t objects, wanted;          /* all there are; those that are wanted */
  uint64_t unwanted, unwanted_bytes; /* those that are not, and bytes of their records */
  uint64_t packs;                    /* that were written anew, or would be */
  uint64_t moved, recoded;           /* records as they were; deltas made anew */
  uint64_t dropped;                  /* objects that are gone */
  uint64_t before, after;            /* bytes of all packs; after a dry run, about */
  uint64_t left;                     /* packs that were left because of damage */
};

/* The store is open to write.  After an error nothing is lost, and the next call goes on. */
int st_store_repack(struct st_store *store, st_store_wanted_fn *wanted, void *arg,
                    const struct st_repack_options *options, struct st_repack_result *ret,
                    struct st_error *err);

#endif
