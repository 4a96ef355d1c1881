/* SPDX-License-Identifier: GPL-2.0-or-later */
/* repackplan.h - what repacking a store would do: every object, what it is based on, and which
 * packs it pays to write anew.  In memory, 96 bytes an object. */
#ifndef ST_STORE_REPACKPLAN_H
#define ST_STORE_REPACKPLAN_H

#include "systracker/store/internal.h"
#include "systracker/store/repack.h"

#define ST_NO_ENTRY UINT32_MAX

enum st_entry_flags {
  ST_ENTRY_WANTED = 1,
  ST_ENTRY_PINNED = 2,    /* not wanted, but something that stays is a delta of it */
  ST_ENTRY_MOVED = 4,     /* its record is in a new pack */
  ST_ENTRY_AMBIGUOUS = 8, /* several objects may be its base */
  ST_ENTRY_DAMAGED = 16,
  ST_ENTRY_DELTA = 32,
  ST_ENTRY_GONE = 64, /* dropped */
};

/* An object. */
struct st_plan_entry {
  struct st_id id;
  uint8_t flags, step, encoding;
  uint8_t base_id[ST_RECORD_BASE_SIZE];
  uint32_t pack;
  uint32_t base; /* place of what it is a delta of; ST_NO_ENTRY: nothing, missing, or ambiguous */
  uint32_t heir; /* of what is not wanted, and no delta: the object that others are based on then */
  uint64_t offset, stored, raw;
  uint64_t used; /* of a group: bytes of its parts that are wanted */
};

struct st_plan_pack {
  uint32_t number;
  uint64_t size;   /* of the file */
  uint64_t wanted; /* bytes of the records that are wanted */
  bool chosen;     /* it pays to write it anew */
  bool retiring;   /* in this step */
  const char *why; /* it was left because of this; NULL: was not */
};

struct st_plan {
  struct st_store *store;
  struct st_plan_entry *entries; /* by id */
  uint32_t count;
  size_t room;
  uint32_t *places;           /* entries by pack and offset */
  struct st_plan_pack *packs; /* by number */
  size_t npacks;
};

/* Reads the index and asks for each object; everything is durable before. */
int st_plan_make(struct st_plan *plan, struct st_store *store, st_store_wanted_fn *wanted,
                 void *arg, unsigned percent, struct st_error *err);
void st_plan_free(struct st_plan *plan);

struct st_plan_pack *st_plan_pack_of(struct st_plan *plan, const struct st_plan_entry *e);
/* The entry as the index has it. */
void st_plan_row(const struct st_plan_entry *e, struct st_object_row *ret);
uint64_t st_plan_size(const struct st_plan_entry *e);
/* Whether its record will be there, somewhere, when the packs that are retiring are gone. */
bool st_plan_stays(struct st_plan *plan, const struct st_plan_entry *e);
/* Calls fn with each that may be the base of the entry. */
void st_plan_bases(struct st_plan *plan, const struct st_plan_entry *e,
                   void (*fn)(struct st_plan *plan, struct st_plan_entry *base, void *arg),
                   void *arg);
/* Keeps all that the entry is based on. */
void st_plan_pin_bases(struct st_plan *plan, struct st_plan_entry *e);
/* Whether an entry that is wanted would lose its base. */
bool st_plan_loses_base(struct st_plan *plan, const struct st_plan_entry *e);
/* What such an entry is to be based on; NULL: nothing. */
struct st_plan_entry *st_plan_new_base(struct st_plan *plan, struct st_plan_entry *e);

#endif
