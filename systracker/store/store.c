/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <string.h>

#include "systracker/store/internal.h"

void st_store_close(struct st_store *store)
{
  st_groups_free(store);
  st_bases_free(store);
  st_packs_close(&store->packs);
  if (store->index)
    st_object_index_close(store->index);
  for (size_t i = 0; i < store->nidle; i++)
    st_zstd_free(store->idle[i]);
  free(store->idle);
  pthread_mutex_destroy(&store->lock);
  free(store);
}

static int open_index(struct st_store *store, struct st_error *err)
{
  enum st_object_index_mode mode = store->write ? ST_OBJECT_INDEX_WRITE : ST_OBJECT_INDEX_READ;
  if (st_object_index_open(&store->index, store->packs.dirfd, mode, err) < 0)
    return -1;
  int r = st_store_catch_up(store, err);
  if (r <= 0)
    return r;
  st_object_index_close(st_steal(&store->index));
  if (st_object_index_open(&store->index, store->packs.dirfd, ST_OBJECT_INDEX_MEMORY, err) < 0)
    return -1;
  return st_store_catch_up(store, err);
}

int st_store_open(struct st_store **ret, int dirfd, enum st_store_flags flags,
                  const struct st_keys *keys, struct st_error *err)
{
  ST_CLEANUP(st_store_closep) struct st_store *store = st_calloc(1, sizeof *store);
  store->write = flags & ST_STORE_WRITE;
  store->keys = keys;
  pthread_mutex_init(&store->lock, NULL);
  st_groups_init(store);
  int r = st_packs_open(&store->packs, dirfd, store->write, err);
  if (r < 0)
    return r;
  if (open_index(store, err) < 0)
    return -1;
  *ret = st_steal(&store);
  return 0;
}

int st_store_open_beside(struct st_store **ret, int dirfd, const struct st_store *other,
                         struct st_error *err)
{
  ST_CLEANUP(st_store_closep) struct st_store *store = NULL;
  if (st_store_open(&store, dirfd, ST_STORE_READ, other->keys, err) < 0 ||
      st_object_index_hold(store->index, err) < 0)
    return -1;
  store->also = other->also;
  *ret = st_steal(&store);
  return 0;
}

bool st_store_holds(struct st_store *store, const struct st_object_row *row)
{
  return st_packs_hold(&store->packs, row->pack, row->offset, st_record_size(&row->record));
}

static bool is_intact(struct st_store *store, const struct st_object_row *row)
{
  return !row->damaged && st_store_holds(store, row);
}

/* As the index says that others write, or, where it is in memory and nobody writes it, the folder.
 */
static int last_pack(struct st_store *store, uint32_t *ret)
{
  ST_AUTO_FREE uint32_t *numbers = NULL;
  size_t count;
  if (!st_object_index_is_in_memory(store->index))
    return st_object_index_last_pack(store->index, ret, NULL);
  int r = st_packs_list(&store->packs, &numbers, &count, NULL);
  *ret = r == 0 && count > 0 ? numbers[count - 1] : 0;
  return r;
}

/* Whether there is more than a reader has looked at: what a checkpoint puts need not be in the file
 * of the index. */
static bool has_more(struct st_store *store)
{
  struct st_pack *pack;
  uint32_t last = 0;
  if (store->write || last_pack(store, &last) < 0)
    return false;
  if (last > store->seen_pack)
    return true;
  return store->seen_pack > 0 && st_packs_get(&store->packs, store->seen_pack, &pack, NULL) == 0 &&
         st_pack_refresh(pack, NULL) == 0 && pack->size > store->seen_size;
}

int st_store_find(struct st_store *store, const struct st_id *id, struct st_object_row *ret,
                  bool *ret_intact, struct st_error *err)
{
  if (store->write && st_groups_hold(store, id, NULL) && st_groups_flush(store, err) < 0)
    return -1;
  ST_HOLD_LOCK(store);
  int r = st_object_index_find(store->index, id, ret, err);
  if (r == 0 && has_more(store) && st_store_catch_up(store, NULL) == 0)
    r = st_object_index_find(store->index, id, ret, err);
  /* It may have moved before a reader came to open its pack. */
  if (r > 0 && !store->write && !ret->damaged && !st_store_holds(store, ret)) {
    if (has_more(store))
      st_store_catch_up(store, NULL);
    r = st_object_index_find(store->index, id, ret, err);
  }
  if (r > 0)
    st_packs_rely(&store->packs, ret->pack, ret->offset);
  if (ret_intact)
    *ret_intact = r > 0 && is_intact(store, ret);
  return r;
}

int st_store_find_base(struct st_store *store, uint8_t keyed,
                       const uint8_t prefix[ST_RECORD_BASE_SIZE], const struct st_object_row *delta,
                       struct st_object_row *ret, int max, struct st_error *err)
{
  ST_HOLD_LOCK(store);
  return st_object_index_find_base(store->index, keyed, prefix, delta, ret, max, err);
}

static void take_location(void *arg, size_t i, const struct st_object_row *row)
{
  struct st_location *to = (struct st_location *)arg + i;
  *to = (struct st_location){
      .offset = row->offset,
      .raw = row->record.raw,
      .pack = row->pack,
      .stored = (uint32_t)row->record.stored,
      .encoding = row->record.encoding,
      .step = row->record.step,
  };
  memcpy(to->base, row->record.base, sizeof to->base);
}

int st_store_locate(struct st_store *store, const struct st_id *const *ids, size_t n,
                    struct st_location *ret, struct st_error *err)
{
  if (store->write && st_groups_flush(store, err) < 0)
    return -1;
  for (size_t i = 0; i < n; i++)
    ret[i] = (struct st_location){0};
  ST_HOLD_LOCK(store);
  return st_object_index_find_all(store->index, ids, n, take_location, ret, err);
}

bool st_store_has(struct st_store *store, const struct st_id *id)
{
  struct st_object_row row;
  bool intact;
  return st_groups_hold(store, id, NULL) ||
         (st_store_find(store, id, &row, &intact, NULL) > 0 && intact);
}

int64_t st_store_length(struct st_store *store, const struct st_id *id)
{
  struct st_object_row row;
  uint64_t length;
  bool intact;
  if (st_groups_hold(store, id, &length))
    return (int64_t)length;
  return st_store_find(store, id, &row, &intact, NULL) > 0 && intact ? (int64_t)row.record.raw : -1;
}

struct st_zstd *st_store_take_zstd(struct st_store *store)
{
  ST_HOLD_LOCK(store);
  return store->nidle > 0 ? store->idle[--store->nidle] : st_zstd_new();
}

void st_store_give_zstd(struct st_store *store, struct st_zstd *z)
{
  ST_HOLD_LOCK(store);
  store->idle = st_realloc(store->idle, store->nidle + 1, sizeof(struct st_zstd *));
  store->idle[store->nidle++] = z;
}

/* Packs that were appended to, all of them synced now. */
static int cover_packs(struct st_store *store, struct st_error *err)
{
  struct st_packs *packs = &store->packs;
  for (uint32_t n = packs->first; n != 0 && n <= packs->last; n++) {
    struct st_pack *pack;
    if (st_packs_get(packs, n, &pack, err) < 0 ||
        st_object_index_cover(store->index, pack, pack->size, err) < 0)
      return -1;
  }
  return 0;
}

static int sync_packs(struct st_store *store, struct st_error *err)
{
  if (st_packs_sync(&store->packs, err) < 0) {
    st_store_drop_lost(store);
    return -1;
  }
  return cover_packs(store, err);
}

int st_store_sync(struct st_store *store, struct st_error *err)
{
  st_packs_rely_on_all(&store->packs);
  if (st_groups_flush(store, err) < 0 || sync_packs(store, err) < 0 ||
      st_object_index_commit(store->index, err) < 0)
    return -1;
  store->packs.first = 0;
  return 0;
}

/* Whether what the file of the index lacks lies at the end of one pack that it knows, and is
 * little.
 */
static bool index_may_wait(struct st_store *store)
{
  const struct st_packs *packs = &store->packs;
  uint8_t identity[ST_PACK_IDENTITY_SIZE];
  uint64_t indexed;
  return packs->first == 0 ||
         (packs->current && packs->first == packs->current->number &&
          st_object_index_pack(store->index, packs->first, identity, &indexed, NULL) > 0 &&
          indexed <= packs->current->size && packs->current->size - indexed < ST_INDEX_LAG);
}

int st_store_sync_packs(struct st_store *store, struct st_error *err)
{
  if (st_groups_flush(store, err) < 0 || sync_packs(store, err) < 0)
    return -1;
  return index_may_wait(store) ? 0 : st_store_sync(store, err);
}

/* Once their files are gone for good, the index may forget them. */
int st_store_remove_retired(struct st_store *store, const uint32_t *packs, size_t n,
                            struct st_error *err)
{
  for (size_t i = 0; i < n; i++)
    if (st_packs_remove(&store->packs, packs[i], err) < 0)
      return -1;
  if (fsync(store->packs.dirfd) < 0)
    return st_fail(err, errno, "cannot sync the folder of the packs");
  return st_object_index_forget_retired(store->index, err);
}

int st_store_retire(struct st_store *store, const uint32_t *packs, size_t n, struct st_error *err)
{
  st_packs_rely_on_all(&store->packs);
  if (sync_packs(store, err) < 0 || st_object_index_retire(store->index, packs, n, err) < 0)
    return -1;
  store->packs.first = 0;
  return n > 0 ? st_store_remove_retired(store, packs, n, err) : 0;
}

void st_store_drop_lost(struct st_store *store)
{
  const struct st_packs *packs = &store->packs;
  if (packs->refused && packs->current)
    st_object_index_drop(store->index, packs->current->number, packs->synced, NULL);
}

int st_store_size(struct st_store *store, struct st_store_size *ret, struct st_error *err)
{
  ST_AUTO_FREE uint32_t *numbers = NULL;
  size_t count;
  *ret = (struct st_store_size){0};
  if (st_object_index_totals(store->index, &ret->objects, &ret->raw, err) < 0 ||
      st_packs_list(&store->packs, &numbers, &count, err) < 0)
    return -1;
  ret->packs = count;
  ret->stored = store->packs.pending.length;
  for (size_t i = 0; i < count; i++) {
    struct st_pack *pack;
    if (st_packs_get(&store->packs, numbers[i], &pack, err) < 0 || st_pack_refresh(pack, err) < 0)
      return -1;
    ret->stored += pack->size;
  }
  return 0;
}
