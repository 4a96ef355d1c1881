/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packs.h - all packs of a store together: reading from any, appending to the last. */
#ifndef ST_STORE_PACKS_H
#define ST_STORE_PACKS_H

#include "systracker/store/pack.h"

struct st_packs {
  int dirfd; /* of packs/; owned */
  bool write;
  uint64_t full;          /* bytes at which a pack is not appended to any more: ST_PACK_FULL */
  struct st_pack **items; /* open ones, in no order */
  size_t count;
  struct st_pack *current; /* appended to, one of the items; NULL: a new one will be made */
  uint32_t last;           /* highest number in use */
  uint32_t first;          /* lowest number appended to since the caller last set it; 0: none */
  /* Appended and not yet written: many small records cost one write.  Whole records only. */
  struct st_buffer pending;
  uint64_t appended;        /* bytes of records since it was opened */
  uint64_t flushed, synced; /* of the current pack: offset of `pending`; what is durable */
  uint64_t begun;           /* the disk was told to write so far */
  /* Of the current pack, what was there when it was opened, from `found` on, may be what a killed
   * writer did not sync: to be synced if somebody relies on it. */
  uint64_t found;
  bool relied;
  char *refused; /* a write failed, so said: nothing more is written */
  /* A reader's: what was read ahead, of small records that follow each other. */
  struct {
    uint32_t number;   /* of the pack; 0: nothing was */
    uint64_t at, next; /* where `bytes` begin; where the record read last ended */
    struct st_buffer bytes;
  } ahead;
};

/* Opens packs/ in the store's directory; a writer makes it.  -ENOENT for a reader without. */
int st_packs_open(struct st_packs *packs, int store_dirfd, bool write, struct st_error *err);
/* A writer's pending bytes are written, if they can be, but not synced. */
void st_packs_close(struct st_packs *packs);

/* Numbers of all packs there are, ascending; malloc'ed. */
int st_packs_list(struct st_packs *packs, uint32_t **ret, size_t *ret_count, struct st_error *err);

/* A pack by its number, borrowed until the next call.  -ENOENT when it is missing. */
int st_packs_get(struct st_packs *packs, uint32_t number, struct st_pack **ret,
                 struct st_error *err);
/* Appends to this pack from now on; what it has from `found` on may not be durable. */
int st_packs_continue(struct st_packs *packs, uint32_t number, uint64_t found,
                      struct st_error *err);

/* What lies there is named by what is going to be durable. */
void st_packs_rely(struct st_packs *packs, uint32_t number, uint64_t offset);
/* All that was there is: by the file of the index, or as nobody comes back to that pack. */
void st_packs_rely_on_all(struct st_packs *packs);

/* Whether these bytes lie within what the pack has. */
bool st_packs_hold(struct st_packs *packs, uint32_t number, uint64_t offset, uint64_t size);
/* Appends the record there, proved by its CRC, to `out`; `ret` is its head. */
int st_packs_read(struct st_packs *packs, uint32_t number, uint64_t offset, uint64_t stored,
                  struct st_record *ret, struct st_buffer *out, struct st_error *err);

/* The same to a reader, of a record whose head is known; its CRC is not looked at, so that the
 * caller has to prove what he makes of it.  What was read ahead a while ago may be there no more,
 * so that after a failure it is to be read by st_packs_read. */
int st_packs_read_ahead(struct st_packs *packs, uint32_t number, uint64_t offset,
                        const struct st_record *known, struct st_record *ret, struct st_buffer *out,
                        struct st_error *err);

/* Appends a record.  When anything cannot be written or synced, the current pack is cut back to
 * `synced` and no more is taken: what is on disk is then in doubt until it is opened again. */
int st_packs_append(struct st_packs *packs, const struct st_record *record, const void *payload,
                    uint32_t *ret_number, uint64_t *ret_offset, struct st_error *err);
/* Makes all that was appended durable. */
int st_packs_sync(struct st_packs *packs, struct st_error *err);

/* Appends to a new pack from now on, what was appended before being durable. */
int st_packs_leave(struct st_packs *packs, struct st_error *err);
/* Removes a pack's file; who has it open goes on reading it. */
int st_packs_remove(struct st_packs *packs, uint32_t number, struct st_error *err);

#endif
