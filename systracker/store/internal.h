/* SPDX-License-Identifier: GPL-2.0-or-later */
/* internal.h - what the files of the store share: the open store, and steps of its work. */
#ifndef ST_STORE_INTERNAL_H
#define ST_STORE_INTERNAL_H

#include <pthread.h>

#include "systracker/store/bases.h"
#include "systracker/store/chunker.h"
#include "systracker/store/chunklist.h"
#include "systracker/store/delta.h"
#include "systracker/store/group.h"
#include "systracker/store/objectindex.h"
#include "systracker/store/packs.h"
#include "systracker/store/store.h"

struct st_store {
  bool write;
  const struct st_keys *keys; /* borrowed; NULL: secrets cannot be read or kept */
  const struct st_keys *also; /* of another host, to read with; NULL: none */
  pthread_mutex_t lock; /* of packs, index and idle, where several threads may call (store.h) */
  struct st_packs packs;
  struct st_object_index *index;
  uint32_t seen_pack; /* the last pack, and as far as it is in the index or was read */
  uint64_t seen_size;
  struct st_zstd **idle; /* contexts that no thread is using */
  size_t nidle;
  struct st_groups groups; /* a writer's */
  struct st_decoded_groups decoded;
  struct st_bases bases;
};

/* Held until the end of the block; never while another function of ours that takes it is called. */
static inline pthread_mutex_t *st_store_lock(struct st_store *store)
{
  pthread_mutex_lock(&store->lock);
  return &store->lock;
}

static inline void st_store_unlock(pthread_mutex_t **lock)
{
  pthread_mutex_unlock(*lock);
}
#define ST_HOLD_LOCK(store)                                                                        \
  ST_CLEANUP(st_store_unlock)                                                                      \
  __attribute__((unused)) pthread_mutex_t *held_ = st_store_lock(store)

/* A context for this thread, made where none is idle; to be given back. */
struct st_zstd *st_store_take_zstd(struct st_store *store);
void st_store_give_zstd(struct st_store *store, struct st_zstd *z);

/* Whether one record may be what the other is based on. */
static inline bool st_record_may_be_based(const struct st_record *record,
                                          const struct st_record *base)
{
  bool group = base->encoding == ST_ENCODING_GROUP;
  return base->step < record->step && base->encoding != ST_ENCODING_LIST &&
         group == (record->encoding == ST_ENCODING_PART) && !st_id_equal(&base->id, &record->id);
}

/* Whether the row's record lies within its pack. */
bool st_store_holds(struct st_store *store, const struct st_object_row *row);

/* What is known of an object, the lock held for the call: as st_object_index_find and _find_base.
 * `*ret_intact`: it is not damaged, and its record lies within its pack. */
int st_store_find(struct st_store *store, const struct st_id *id, struct st_object_row *ret,
                  bool *ret_intact, struct st_error *err);
int st_store_find_base(struct st_store *store, uint8_t keyed,
                       const uint8_t prefix[ST_RECORD_BASE_SIZE], const struct st_object_row *delta,
                       struct st_object_row *ret, int max, struct st_error *err);

/* Bytes at the end of the last pack that the file of the index may lack: to read them again takes a
 * fraction of a millisecond, to write the index each night four waits for the disk. */
#define ST_INDEX_LAG (64U << 10)

/* Brings the index up to what lies in the packs (catchup.c); a writer's is durable then but for
 * what may wait, and a torn record at the end of the last pack is cut off.  1: a reader's index is
 * of other packs. */
int st_store_catch_up(struct st_store *store, struct st_error *err);

/* What reading an object came to. */
enum st_read {
  ST_READ_OK = 0,
  ST_READ_DAMAGED = -1,
  ST_READ_FAILED = -3, /* something else failed: it says nothing of the object */
  ST_READ_LOCKED = -2, /* it needs a key, or a version of SysTracker, that we do not have */
};

/* Appends the content of a row's object, proved by its id (object.c).  A writer quarantines what it
 * finds damaged. */
enum st_read st_store_read_row(struct st_store *store, const struct st_object_row *row,
                               struct st_buffer *out, struct st_error *err);

/* Reads it for nothing but the proof. */
enum st_read st_store_prove_row(struct st_store *store, const struct st_object_row *row,
                                struct st_error *err);

/* The same of a record that is not in the store; a delta's base and a list's chunks have to be. */
enum st_read st_store_prove(struct st_store *store, const struct st_record *record,
                            const char *payload, struct st_error *err);

/* Appends the list (chunklist.h) of a row that is one; nothing of any other. */
int st_store_chunks(struct st_store *store, const struct st_object_row *row, struct st_buffer *out,
                    struct st_error *err);

/* Whether it may be kept here at all. */
int st_store_check_content(const struct st_store *store, const struct st_content *content,
                           struct st_error *err);
/* Keeps a large content's chunks, and prepares the list of them; writer.c. */
int st_store_prepare_chunks(struct st_store *store, const struct st_content *content,
                            struct st_prepared *ret, struct st_error *err);

/* The record of a content that is there already, as a delta of `base` at this step where that saves
 * enough, else whole (NULL: in any case); put.c. */
int st_store_encode(struct st_store *store, const struct st_content *content,
                    const struct st_object_row *base, unsigned step, struct st_prepared *ret,
                    struct st_error *err);

/* Appends a record as it is, and indexes it; the lock is not taken. */
int st_store_append_record(struct st_store *store, const struct st_record *record,
                           const char *payload, struct st_error *err);

/* Makes durable what was appended, and with it forgets these packs: their files are removed, and
 * nobody may be reading through this store meanwhile (store.c). */
int st_store_retire(struct st_store *store, const uint32_t *packs, size_t n, struct st_error *err);
/* Its second half. */
int st_store_remove_retired(struct st_store *store, const uint32_t *packs, size_t n,
                            struct st_error *err);

/* "object ID is not in the store"; returns -ENOENT. */
int st_store_fail_missing(const struct st_id *id, struct st_error *err);

/* After a failed write: forgets the objects that were appended and are not durable. */
void st_store_drop_lost(struct st_store *store);

#endif
