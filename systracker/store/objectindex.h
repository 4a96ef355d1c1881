/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * objectindex.h - packs/objects.db: where each object is.  Derived: packs/ alone rebuild it.
 *
 * SQLite, with a rollback journal rather than WAL: there is one short transaction a checkpoint, and
 * a reader then needs to write nothing, on a read-only file system either.  application_id "STob",
 * user_version 3 (2 was the same without groups, 1 without lists of chunks either; a writer brings
 * them up):
 *
 *   pack      number, identity, indexed (bytes of the file that the index covers)
 *   object    id (kind of id and digest, 33 bytes), pack, offset, stored, raw, encoding, step,
 *             base (4 bytes or NULL), damaged (why, or NULL).  The depth follows from the step.
 *   replaced  pack, offset, id: records that were damaged, and whose object was written again
 *
 * What is not durable yet, and what a reader found behind the index, lies in temporary tables of
 * the same shape ("fresh").
 */
#ifndef ST_STORE_OBJECTINDEX_H
#define ST_STORE_OBJECTINDEX_H

#include "systracker/store/pack.h"

struct st_object_index;

#define ST_PACK_RETIRED ((uint64_t)INT64_MAX)

struct st_object_row {
  struct st_record record;
  uint32_t pack;
  uint64_t offset;
  bool damaged;
};

enum st_object_index_mode {
  ST_OBJECT_INDEX_READ, /* in memory where the file is missing, or cannot be read without writing */
  ST_OBJECT_INDEX_MEMORY, /* nothing is known; all is to be found in the packs */
  ST_OBJECT_INDEX_WRITE,  /* made where it is missing, made again where it is damaged */
};

/* Whether a writer's file is whole, however long ago it was found so: it is read through.  Damaged:
 * an error, and the next writer makes it again. */
int st_object_index_check(struct st_object_index *ix, struct st_error *err);

/* `dirfd` of packs/, borrowed until it is closed.  To a reader, a damaged file is an error. */
int st_object_index_open(struct st_object_index **ret, int dirfd, enum st_object_index_mode mode,
                         struct st_error *err);
void st_object_index_close(struct st_object_index *ix);
ST_DEFINE_CLEANUP(struct st_object_index *, st_object_index_close)

/* A reader's that no file is behind: what others write does not come to it. */
bool st_object_index_is_in_memory(const struct st_object_index *ix);
/* A reader's: stays as it is now, until it is closed. */
int st_object_index_hold(struct st_object_index *ix, struct st_error *err);

/* 1: found; 0: not there.  An undamaged row goes before a damaged one. */
int st_object_index_find(struct st_object_index *ix, const struct st_id *id,
                         struct st_object_row *ret, struct st_error *err);
/* The same of many, whose ids ascend; `found` is told of each that is there. */
int st_object_index_find_all(struct st_object_index *ix, const struct st_id *const *ids, size_t n,
                             void (*found)(void *arg, size_t i, const struct st_object_row *row),
                             void *arg, struct st_error *err);
/* Those objects, `max` at most, whose ids begin so, and first those that lie before `delta` (may be
 * NULL), which they may be the base of; returns how many. */
int st_object_index_find_base(struct st_object_index *ix, uint8_t keyed,
                              const uint8_t prefix[ST_RECORD_BASE_SIZE],
                              const struct st_object_row *delta, struct st_object_row *ret, int max,
                              struct st_error *err);
/* The object with the next id after this one (NULL: the first): 1, or 0 past the end. */
int st_object_index_next(struct st_object_index *ix, const struct st_id *after, struct st_id *ret,
                         struct st_error *err);

/* What the durable index knows of a pack: 1, or 0 when it does not know it. */
int st_object_index_pack(struct st_object_index *ix, uint32_t number,
                         uint8_t ret_identity[ST_PACK_IDENTITY_SIZE], uint64_t *ret_indexed,
                         struct st_error *err);
int st_object_index_last_pack(struct st_object_index *ix, uint32_t *ret, struct st_error *err);
/* Forgets a pack and its objects: another file has its name now. */
int st_object_index_forget(struct st_object_index *ix, uint32_t number, struct st_error *err);

/* A fresh row, instead of any fresh one of the same id. */
int st_object_index_add(struct st_object_index *ix, const struct st_object_row *row,
                        struct st_error *err);
/* How far a pack is covered once this is committed. */
int st_object_index_cover(struct st_object_index *ix, const struct st_pack *pack, uint64_t indexed,
                          struct st_error *err);
/* What is added between the two is added at once, which is much faster. */
int st_object_index_begin(struct st_object_index *ix, struct st_error *err);
int st_object_index_end(struct st_object_index *ix, struct st_error *err);
/* Drops fresh rows at or behind an offset. */
int st_object_index_drop(struct st_object_index *ix, uint32_t pack, uint64_t offset,
                         struct st_error *err);
/* Makes the fresh rows durable; their records must be so. */
int st_object_index_commit(struct st_object_index *ix, struct st_error *err);

/* The same, and in the same transaction forgets these packs and the objects that still are in them:
 * their files are going to be removed.  Until that is done the index keeps in mind that they are of
 * no use: a pack that is indexed up to ST_PACK_RETIRED. */
int st_object_index_retire(struct st_object_index *ix, const uint32_t *packs, size_t n,
                           struct st_error *err);
/* Forgets retired packs, their files being gone; but not the last number, which is not used again.
 */
int st_object_index_forget_retired(struct st_object_index *ix, struct st_error *err);

/* Calls fn with every durable object, by id; ends early when it returns other than 0, with that. */
int st_object_index_each(struct st_object_index *ix,
                         int (*fn)(void *arg, const struct st_object_row *row,
                                   struct st_error *err),
                         void *arg, struct st_error *err);

/* Quarantines an object, or (why NULL) takes it out again.  A reader does
 * neither. */
int st_object_index_mark(struct st_object_index *ix, const struct st_id *id, const char *why,
                         struct st_error *err);
/* Whether damage in this range of a pack is that of objects known to the index: 1, 0. */
int st_object_index_explains(struct st_object_index *ix, uint32_t pack, uint64_t from, uint64_t to,
                             struct st_error *err);

/* Number of objects that are not damaged, and the bytes of their contents; groups are none. */
int st_object_index_totals(struct st_object_index *ix, uint64_t *ret_objects, uint64_t *ret_raw,
                           struct st_error *err);

#endif
