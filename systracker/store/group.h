/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * group.h - small contents that are kept together.
 *
 * By itself a small file compresses badly: most of what it says was said by the one before it.  So
 * new small contents of a checkpoint are compressed together, in the order in which they come, up
 * to 256 KiB: a record (ST_ENCODING_GROUP), and for each content a record that says where in it it
 * begins (ST_ENCODING_PART) and carries its own id.  To read one, as much is decoded; who reads
 * several one after the other finds the group decoded already.  A secret never gets into a group.
 *
 * A content that waits for its group counts as kept; what the group comes to is not known before it
 * is full, or the store is synced.  Threads that prepare contents compress groups that are full.
 */
#ifndef ST_STORE_GROUP_H
#define ST_STORE_GROUP_H

#include <pthread.h>

#include "systracker/store/store.h"

#define ST_GROUP_RAW ((size_t)256 << 10)       /* bytes of contents, at most */
#define ST_GROUP_MEMBER_RAW ((size_t)64 << 10) /* of one of them: less than this */

/* Contents that wait, the one that is being filled last; under the store's lock. */
#define ST_GROUPS_WAITING 8
struct st_group;
struct st_groups {
  struct st_group *items[ST_GROUPS_WAITING];
  size_t count;
  pthread_cond_t written; /* one has gone */
};

/* Groups that were decoded last; under the store's lock. */
#define ST_GROUPS_DECODED 8
struct st_decoded {
  struct st_id id;
  struct st_buffer content;
  uint64_t used; /* when it was last; 0: nothing is here */
};
struct st_decoded_groups {
  struct st_decoded items[ST_GROUPS_DECODED];
  uint64_t clock;
};

void st_groups_init(struct st_store *store);
void st_groups_free(struct st_store *store);

/* Whether the content is of a kind that goes into groups. */
bool st_group_takes(const struct st_content *content);
/* Whether it waits in one, and how many bytes it has then. */
bool st_groups_hold(struct st_store *store, const struct st_id *id, uint64_t *ret_length);
/* Lets a content wait, unless it does already or is in the store; its payload is the content. */
int st_groups_put(struct st_store *store, const struct st_prepared *prepared, struct st_error *err);
/* Compresses and keeps one that is full, where there is any. */
int st_groups_work(struct st_store *store, struct st_error *err);
/* Keeps all that waits. */
int st_groups_flush(struct st_store *store, struct st_error *err);

/* Appends a part from a group that was decoded lately, and whose id begins so; it is the caller's
 * to prove it.  False: there is none. */
bool st_decoded_take(struct st_store *store, const uint8_t prefix[ST_RECORD_BASE_SIZE],
                     uint64_t offset, uint64_t length, struct st_buffer *out);
/* Keeps the content of a group for those that follow; it is taken. */
void st_decoded_keep(struct st_store *store, const struct st_id *id, struct st_buffer *content);

#endif
