/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transfer.h - objects from one store into another, record by record.
 *
 * A record travels as it is: a delta stays a delta, and a secret stays sealed, so that no key is
 * needed on either side.  A part of a group alone becomes an object of its own: groups are made of
 * what came to one store on one day, and another one has some of it from elsewhere.  What arrives
 * is proved before it is kept: plain content is decoded and hashed; a secret is decoded where the
 * key is at hand, and otherwise taken by its form alone (whoever has the key proves it when it is
 * read).
 */
#ifndef ST_STORE_TRANSFER_H
#define ST_STORE_TRANSFER_H

#include "systracker/store/record.h"
#include "systracker/store/store.h"

/* One object on its way. */
struct st_parcel {
  struct st_record record;
  struct st_buffer payload; /* record.stored bytes */
};
void st_parcel_clear(struct st_parcel *parcel);
#define ST_AUTO_PARCEL ST_CLEANUP(st_parcel_clear) struct st_parcel

/* Takes an object out as its record, proved by the pack's checksum.  -ENOENT when it is not there.
 */
int st_store_export(struct st_store *store, const struct st_id *id, struct st_parcel *ret,
                    struct st_error *err);

/* The same as a record that needs no other one: its content decoded and encoded again.  Of a list
 * of chunks the list. */
int st_store_export_whole(struct st_store *store, const struct st_id *id, struct st_parcel *ret,
                          struct st_error *err);
/* As st_store_export, but what is part of a group, which does not travel, comes whole. */
int st_store_export_alone(struct st_store *store, const struct st_id *id, struct st_parcel *ret,
                          struct st_error *err);

/* Keeps the object; does nothing where it is already there, intact.  A delta's base has to be there
 * before, at an earlier step of a chain that is not too long, and so do all chunks of a list:
 * otherwise it is refused, as is what proves to be something else than its id says.  The parcel may
 * come from a stranger. */
int st_store_import(struct st_store *store, const struct st_parcel *parcel, struct st_error *err);

/* The same of a parcel that st_store_prove_parcel, or the caller, has proved: no delta.  Where the
 * object is there already, nothing is done. */
int st_store_import_proved(struct st_store *store, const struct st_parcel *parcel,
                           struct st_error *err);
/* Proves it as st_store_import does, and keeps nothing; a reader will do. */
int st_store_prove_parcel(struct st_store *store, const struct st_parcel *parcel,
                          struct st_error *err);
/* Objects whose ids begin so, `max` at most: what a delta may name by that.  Returns how many. */
int st_store_begin_so(struct st_store *store, uint8_t keyed,
                      const uint8_t prefix[ST_RECORD_BASE_SIZE], struct st_id *ret, int max,
                      struct st_error *err);

/* Calls fn with each object that the one given is, or may be, a delta of, or a list of: none when
 * it is whole. Ends early when fn returns other than 0, with that. */
typedef int st_object_fn(void *arg, const struct st_id *id, struct st_error *err);
int st_store_bases(struct st_store *store, const struct st_id *id, st_object_fn *fn, void *arg,
                   struct st_error *err);

/* The same of the record that st_store_export_alone gives. */
int st_store_bases_alone(struct st_store *store, const struct st_id *id, st_object_fn *fn,
                         void *arg, struct st_error *err);

/* Whether the object is there along with all that it is made of: the chunks of a list, the bases of
 * a delta.  (Where a secret cannot be read, nothing else tells.) */
bool st_store_has_whole(struct st_store *store, const struct st_id *id);

/* Brings an object from one store to another, what it is a delta or a list of before it.  A delta
 * that does not fit there is kept whole instead, which for a secret needs the key in both stores.
 * Returns 1 when it was brought, 0 when it was there. */
int st_store_copy(struct st_store *to, struct st_store *from, const struct st_id *id,
                  struct st_error *err);

/* Calls fn with every object there is, by id. */
int st_store_each(struct st_store *store, st_object_fn *fn, void *arg, struct st_error *err);

/* Whether a pack that the index knows is missing, or shorter than it was. */
bool st_store_lacks_packs(struct st_store *store);
/* Forgets what was in such packs and is not there any more, so that it can be kept again; before
 * anything is put, and by one thread. */
int st_store_forget_lost(struct st_store *store, struct st_error *err);

/* Bytes of records that were appended since the store was opened. */
uint64_t st_store_appended(const struct st_store *store);
/* Bytes that the object takes in its pack, 0 when it is not there. */
uint64_t st_store_stored(struct st_store *store, const struct st_id *id);

#endif
