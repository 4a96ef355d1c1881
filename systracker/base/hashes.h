/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hashes.h - SHA-256 of several contents at once, on one processor.
 *
 * A vector unit hashes up to 16 messages side by side, one a lane.  All lanes together do twice as
 * much as SHA instructions, a lane alone a seventh: so it pays for many contents, none of them much
 * longer than the others, and each has to lie in memory as a whole.  It is libipsec-mb that does
 * it, loaded when it is first worth it.  Where that is not there, or would take longer, contents
 * are hashed one by one, as st_digest does.
 */
#ifndef ST_BASE_HASHES_H
#define ST_BASE_HASHES_H

#include "systracker/base/digest.h"

/* One content, and where its digest goes.  `data` may be NULL where there is none of it. */
struct st_hash {
  const void *data;
  size_t length;
  uint8_t *digest; /* out: ST_DIGEST_SIZE */
};

/* What one thread hashes with; used again and again. */
struct st_hashes;
struct st_hashes *st_hashes_new(void);
void st_hashes_free(struct st_hashes *h);
ST_DEFINE_CLEANUP(struct st_hashes *, st_hashes_free)

/* Hashes them all, in whatever order. */
void st_hashes_compute(struct st_hashes *h, const struct st_hash *contents, size_t count);

/* Contents that come one after the other: a lane that is free is filled by the next one, so that
 * none waits until there is nothing more.  They had better not end with the longest. */
enum st_hash_next {
  ST_HASH_NONE,  /* for now, or for good: the stream ends when all is done that was taken */
  ST_HASH_LATER, /* when another one is done */
  ST_HASH_TAKEN,
};
struct st_hash_source {
  /* `content` stays until it is done; `rest`: bytes that are to come behind it, `longest` of them
   * in one content, by which it is told whether a lane pays. */
  enum st_hash_next (*next)(void *arg, const struct st_hash **ret_content, uint64_t *ret_rest,
                            uint64_t *ret_longest);
  /* Of each that was taken, in whatever order.  Neither hashes anything by the same `st_hashes`. */
  void (*done)(void *arg, const struct st_hash *content);
  void *arg;
};
void st_hashes_stream(struct st_hashes *h, const struct st_hash_source *source);

/* How many contents, behind one that takes long, are begun before it is done: what is told of those
 * to come need not go further. */
#define ST_HASHES_BEHIND 200

/* How many contents of one length fill the lanes: so many, or better some times that, are worth
 * waiting for.  1: one by one is as good; always so until 2 MiB were hashed, as to start the
 * library costs what it saves by then. */
size_t st_hashes_lanes(const struct st_hashes *h);

/* For tests: to hash by this alone, whatever it costs.  false: not with this processor or build. */
enum st_hashes_by { ST_HASHES_ONE_BY_ONE, ST_HASHES_SHA, ST_HASHES_AVX2, ST_HASHES_AVX512 };
bool st_hashes_use(struct st_hashes *h, enum st_hashes_by by);

/* How many of the longest are better hashed one by one.  `sorted` has the longest first, and a lane
 * takes `cost` tenths of the time that a content takes which is hashed by itself. */
size_t st_hashes_apart(const struct st_hash *const *sorted, size_t count, size_t lanes,
                       unsigned cost);

#endif
