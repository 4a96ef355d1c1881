/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bases.h - contents that deltas were decoded from lately, in a few MiB of memory.
 *
 * Two revisions that are compared have most of their chain in common, and often one is the base of
 * the other.  What is held here was not proved each by itself: whoever takes it proves what is
 * made of it.  No secret is held.
 */
#ifndef ST_STORE_BASES_H
#define ST_STORE_BASES_H

#include "systracker/base/buffer.h"
#include "systracker/base/digest.h"

struct st_store;

#define ST_BASES_MAX 16                    /* contents */
#define ST_BASES_BYTES ((size_t)4 << 20)   /* of all of them */
#define ST_BASES_EACH (ST_BASES_BYTES / 4) /* of one */

/* Under the store's lock. */
struct st_base {
  struct st_id id;
  struct st_buffer content;
  uint64_t used; /* when it was last; 0: nothing is here */
};
struct st_bases {
  struct st_base items[ST_BASES_MAX];
  size_t bytes;
  uint64_t clock;
};

void st_bases_free(struct st_store *store);
/* Appends the content of this id.  False: it is not held. */
bool st_bases_take(struct st_store *store, const struct st_id *id, struct st_buffer *out);
/* Holds a content instead of those that were not used for longest; it is taken, where it is held.
 */
void st_bases_keep(struct st_store *store, const struct st_id *id, struct st_buffer *content);
/* The same, but it is copied. */
void st_bases_copy(struct st_store *store, const struct st_id *id, const void *data, size_t length);

#endif
