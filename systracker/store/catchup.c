/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

/* catchup.c - from what the index knows to what lies in the packs. */
#include <string.h>

#include "systracker/base/log.h"
#include "systracker/store/internal.h"
#include "systracker/store/tail.h"

struct catch_up {
  struct st_store *store;
  struct st_pack *pack;
  bool known;       /* the index knows the pack, as it is */
  uint64_t indexed; /* bytes it covers */
  uint64_t records;
  uint64_t gap; /* where a gap begins that runs to the end, 0: none */
  bool torn;
};

/* What came of it. */
struct caught {
  bool open;      /* more may be appended to the last pack */
  uint64_t found; /* what that has from here on is not in the file of the index */
  bool waits;     /* and was not synced */
  bool due;       /* the file of the index has to be written */
};

static int add_record(void *arg, const struct st_record *record, uint64_t offset,
                      struct st_error *err)
{
  struct catch_up *c = arg;
  struct st_object_row row = {.record = *record, .pack = c->pack->number, .offset = offset};
  c->records++;
  return st_object_index_add(c->store->index, &row, err);
}

static int note_gap(void *arg, uint64_t from, uint64_t to, bool torn, struct st_error *err)
{
  (void)err;
  struct catch_up *c = arg;
  c->gap = to == c->pack->size ? from : 0;
  c->torn = torn;
  return 0;
}

/* 1: the reader's index is of other packs. */
static int ask_index(struct catch_up *c, struct st_error *err)
{
  uint8_t identity[ST_PACK_IDENTITY_SIZE];
  struct st_object_index *index = c->store->index;
  int r = st_object_index_pack(index, c->pack->number, identity, &c->indexed, err);
  if (r <= 0)
    return r;
  if (!c->pack->provable)
    st_pack_identify(c->pack, identity);
  c->known = memcmp(identity, c->pack->identity, sizeof identity) == 0;
  if (c->known)
    return 0;
  c->indexed = 0;
  if (!c->store->write)
    return 1;
  st_log(ST_LOG_WARNING, "pack %s is another one than it was, and is indexed again", c->pack->name);
  return st_object_index_forget(index, c->pack->number, err);
}

/* What a killed writer left goes: what begins a record that the file ends within, or follows the
 * last record that was ever synced and indexed.  But objects.db may lack records that were synced,
 * and one of those may be damaged: that stays, and verify says so. */
static int cut_tail(struct catch_up *c, struct st_error *err)
{
  if (!c->gap || !(c->torn || c->known))
    return 0;
  unsigned long long bytes = c->pack->size - c->gap;
  int damaged = st_tail_is_damaged(c->pack, c->gap, c->torn, err);
  if (damaged < 0)
    return -1;
  if (damaged) {
    st_log(ST_LOG_WARNING, "pack %s: %llu bytes at its end are damaged, and stay as they are",
           c->pack->name, bytes);
    return 0;
  }
  st_log(ST_LOG_INFO, "pack %s: a torn record of %llu bytes at its end is cut off", c->pack->name,
         bytes);
  if (ftruncate(c->pack->fd, (off_t)c->gap) < 0 || fsync(c->pack->fd) < 0)
    return st_fail(err, errno, "cannot cut the torn record off pack %s", c->pack->name);
  c->pack->size = c->gap;
  c->gap = 0;
  return 0;
}

/* What was found becomes durable before the index names it; a little of it may wait. */
static int settle(struct catch_up *c, bool last, struct caught *ret, struct st_error *err)
{
  if (last && cut_tail(c, err) < 0)
    return -1;
  bool waits = last && c->known && !c->gap && c->pack->size - c->indexed < ST_INDEX_LAG;
  if (!waits && fdatasync(c->pack->fd) < 0)
    return st_fail(err, errno, "cannot sync pack %s", c->pack->name);
  if (st_object_index_cover(c->store->index, c->pack, c->pack->size, err) < 0)
    return -1;
  ret->waits = waits;
  ret->due |= !waits;
  if (!waits && c->records > 0)
    st_log(ST_LOG_INFO, "pack %s: %llu records are indexed again", c->pack->name,
           (unsigned long long)c->records);
  return 0;
}

/* A pack that was being made when its writer was killed. */
static int remove_stillborn(struct st_store *store, const struct st_pack *pack,
                            struct st_error *err)
{
  if (unlinkat(store->packs.dirfd, pack->name, 0) < 0)
    return st_fail(err, errno, "cannot remove the empty pack %s", pack->name);
  return 0;
}

/* A pack whose objects are elsewhere or forgotten: its remover was killed before it was done. */
static int remove_retired(struct st_store *store, const struct st_pack *pack, struct st_error *err)
{
  if (!store->write)
    return 0;
  st_log(ST_LOG_INFO, "pack %s is of no use any more, and is removed", pack->name);
  return st_store_remove_retired(store, &pack->number, 1, err);
}

/* What the index does not cover. */
static int scan_rest(struct catch_up *c, struct st_error *err)
{
  struct st_object_index *index = c->store->index;
  struct st_pack_visitor visitor = {add_record, note_gap, c};
  if (st_object_index_begin(index, err) < 0)
    return -1;
  int r = st_pack_scan(c->pack, c->indexed, &visitor, err);
  return st_object_index_end(index, r < 0 ? NULL : err) < 0 ? -1 : r;
}

/* So far it was looked at: there is no more before it has grown, or another follows. */
static void note_seen(struct st_store *store, const struct st_pack *pack)
{
  store->seen_pack = pack->number;
  store->seen_size = pack->size;
}

static int catch_up_pack(struct st_store *store, uint32_t number, bool last, struct caught *ret,
                         struct st_error *err)
{
  ST_CLEANUP(st_pack_closep) struct st_pack *pack = NULL;
  if (st_pack_open(&pack, store->packs.dirfd, number, store->write, err) < 0)
    return -1;
  struct catch_up c = {.store = store, .pack = pack};
  int r = ask_index(&c, err);
  if (r != 0)
    return r;
  if (c.known && c.indexed == ST_PACK_RETIRED)
    return remove_retired(store, pack, err);
  note_seen(store, pack);
  if (!pack->provable) {
    bool stillborn = store->write && last && pack->size <= ST_PACK_HEADER_SIZE;
    return stillborn ? remove_stillborn(store, pack, err) : 0;
  }
  if (pack->size > c.indexed &&
      (scan_rest(&c, err) < 0 || (store->write && settle(&c, last, ret, err) < 0)))
    return -1;
  note_seen(store, pack);
  ret->found = c.indexed < pack->size ? c.indexed : pack->size;
  ret->open =
      !c.gap && !pack->flawed && pack->size >= c.indexed && pack->version == ST_PACK_VERSION;
  return 0;
}

static int catch_up_all(struct st_store *store, const uint32_t *numbers, size_t count,
                        struct caught *ret, struct st_error *err)
{
  for (size_t i = 0; i < count; i++) {
    ret->open = false;
    int r = catch_up_pack(store, numbers[i], i + 1 == count, ret, err);
    if (r != 0)
      return r;
  }
  return 0;
}

/* Nobody is to append to that pack and sync it then, or the index names it now. */
static int sync_found(struct st_store *store, uint32_t number, struct caught *c,
                      struct st_error *err)
{
  struct st_pack *pack;
  if (st_packs_get(&store->packs, number, &pack, err) < 0)
    return -1;
  if (fdatasync(pack->fd) < 0)
    return st_fail(err, errno, "cannot sync pack %s", pack->name);
  c->found = pack->size;
  return 0;
}

int st_store_catch_up(struct st_store *store, struct st_error *err)
{
  ST_AUTO_FREE uint32_t *numbers = NULL;
  size_t count;
  struct caught caught = {0};
  if (st_packs_list(&store->packs, &numbers, &count, err) < 0)
    return -1;
  int r = catch_up_all(store, numbers, count, &caught, err);
  if (r != 0 || !store->write)
    return r;
  uint32_t indexed;
  if (st_object_index_last_pack(store->index, &indexed, err) < 0)
    return -1;
  uint32_t last = count > 0 ? numbers[count - 1] : 0;
  store->packs.last = last > indexed ? last : indexed;
  bool goes_on = caught.open && last == store->packs.last;
  if (caught.waits && (caught.due || !goes_on) && sync_found(store, last, &caught, err) < 0)
    return -1;
  if (goes_on && st_packs_continue(&store->packs, last, caught.found, err) < 0)
    return -1;
  return caught.due ? st_object_index_commit(store->index, err) : 0;
}
