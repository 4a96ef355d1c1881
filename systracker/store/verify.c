/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

/* verify.c - everything read again. */
#include <string.h>

#include "systracker/store/internal.h"

struct verify {
  struct st_store *store;
  void (*found)(void *arg, const char *words);
  void *arg;
  int count;
  struct st_pack *pack; /* being read */
  bool last;            /* it is the one that may be appended to meanwhile */
  uint64_t indexed;
};

static void report(struct verify *v, const char *words)
{
  if (v->count < INT32_MAX)
    v->count++;
  if (v->found)
    v->found(v->arg, words);
}

/* Whether the index says of the record what it says itself. */
static bool same_record(const struct st_record *a, const struct st_record *b)
{
  return a->encoding == b->encoding && a->has_base == b->has_base && a->raw == b->raw &&
         a->stored == b->stored &&
         (!a->has_base || (a->step == b->step && memcmp(a->base, b->base, sizeof a->base) == 0));
}

/* A record that the index does not have, has otherwise, or looks for where it is not: found here.
 */
static int meet_record(void *arg, const struct st_record *record, uint64_t offset,
                       struct st_error *err)
{
  struct verify *v = arg;
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  struct st_object_row row, here = {*record, v->pack->number, offset, false};
  struct st_record there;
  int r = st_object_index_find(v->store->index, &record->id, &row, err);
  if (r < 0)
    return r;
  bool here_too = r > 0 && row.pack == here.pack && row.offset == here.offset;
  if (here_too && same_record(&row.record, record))
    return 0;
  if (r > 0 && !here_too &&
      st_packs_read(&v->store->packs, row.pack, row.offset, row.record.stored, &there, &bytes,
                    NULL) == 0 &&
      st_id_equal(&there.id, &record->id))
    return 0;
  return st_object_index_add(v->store->index, &here, err);
}

/* What is torn at the end of the last pack was never whole, or is just being written. */
static bool is_unfinished(const struct verify *v, uint64_t from, uint64_t to, bool torn)
{
  return v->last && to == v->pack->size && from >= v->indexed && torn;
}

static int meet_gap(void *arg, uint64_t from, uint64_t to, bool torn, struct st_error *err)
{
  struct verify *v = arg;
  if (is_unfinished(v, from, to, torn))
    return 0;
  int r = st_object_index_explains(v->store->index, v->pack->number, from, to, err);
  if (r != 0)
    return r < 0 ? r : 0;
  ST_AUTO_FREE char *words = st_format("pack %s at %llu: %llu bytes are no records", v->pack->name,
                                       (unsigned long long)from, (unsigned long long)(to - from));
  report(v, words);
  return 0;
}

static int verify_header(struct verify *v, struct st_error *err)
{
  uint8_t identity[ST_PACK_IDENTITY_SIZE];
  v->indexed = 0;
  int known = st_object_index_pack(v->store->index, v->pack->number, identity, &v->indexed, err);
  if (known < 0)
    return -1;
  if (known > 0 && !v->pack->provable)
    st_pack_identify(v->pack, identity);
  if (!v->pack->flawed)
    return 0;
  ST_AUTO_FREE char *words =
      st_format("pack %s: its header is damaged%s", v->pack->name,
                v->pack->provable ? "" : ", so that nothing in it is proved");
  report(v, words);
  return 0;
}

static int verify_pack(struct verify *v, uint32_t number, bool last, struct st_error *err)
{
  ST_CLEANUP(st_pack_closep) struct st_pack *pack = NULL;
  int r = st_pack_open(&pack, v->store->packs.dirfd, number, false, err);
  if (r == -ENOENT && !v->store->write) {
    if (err)
      st_error_clear(err);
    return 0; /* it was repacked meanwhile */
  }
  if (r < 0)
    return -1;
  v->pack = pack;
  v->last = last;
  struct st_pack_visitor visitor = {meet_record, meet_gap, v};
  if (verify_header(v, err) < 0)
    return -1;
  if (v->indexed == ST_PACK_RETIRED)
    return 0;
  return pack->provable ? st_pack_scan(pack, 0, &visitor, err) : 0;
}

static int verify_packs(struct verify *v, struct st_error *err)
{
  ST_AUTO_FREE uint32_t *numbers = NULL;
  size_t count;
  if (st_packs_list(&v->store->packs, &numbers, &count, err) < 0)
    return -1;
  for (size_t i = 0; i < count; i++) {
    if (verify_pack(v, numbers[i], i + 1 == count, err) < 0)
      return -1;
  }
  return 0;
}

/* Whether the record has moved since a reader found it, or one that it is based on may have. */
static bool find_elsewhere(struct st_store *store, struct st_object_row *row)
{
  struct st_object_row before = *row;
  return st_object_index_find(store->index, &before.record.id, row, NULL) > 0 &&
         (row->pack != before.pack || row->offset != before.offset || row->record.has_base);
}

/* A group is no object: what is damaged of it, its parts say. */
static int verify_object(struct verify *v, const struct st_id *id, struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_object_row row;
  int r = st_object_index_find(v->store->index, id, &row, err);
  if (r <= 0 || row.record.encoding == ST_ENCODING_GROUP)
    return r < 0 ? r : 0;
  enum st_read is = st_store_prove_row(v->store, &row, &why);
  if (is == ST_READ_DAMAGED && !v->store->write && find_elsewhere(v->store, &row)) {
    st_error_clear(&why);
    is = st_store_prove_row(v->store, &row, &why);
  }
  if (is == ST_READ_DAMAGED)
    report(v, st_error_text(&why));
  if (is == ST_READ_OK && row.damaged && v->store->write)
    return st_object_index_mark(v->store->index, id, NULL, err);
  return 0;
}

/* An object, and where it lies. */
struct place {
  struct st_id id;
  uint32_t pack;
  uint64_t offset;
};

struct places {
  struct place *items;
  size_t count, room;
};

static void places_free(struct places *p)
{
  free(p->items);
}

static int compare_places(const void *a, const void *b)
{
  const struct place *x = a, *y = b;
  if (x->pack != y->pack)
    return x->pack < y->pack ? -1 : 1;
  return (x->offset > y->offset) - (x->offset < y->offset);
}

static int list_places(struct verify *v, struct places *ret, struct st_error *err)
{
  struct st_object_row row;
  struct st_id id;
  int r = st_object_index_next(v->store->index, NULL, &id, err);
  for (; r > 0; r = st_object_index_next(v->store->index, &id, &id, err)) {
    if ((r = st_object_index_find(v->store->index, &id, &row, err)) < 0)
      return r;
    if (ret->count == ret->room) {
      ret->room = ret->room ? 2 * ret->room : 1024;
      ret->items = st_realloc(ret->items, ret->room, sizeof *ret->items);
    }
    ret->items[ret->count++] = (struct place){id, row.pack, row.offset};
  }
  if (ret->count > 1)
    qsort(ret->items, ret->count, sizeof *ret->items, compare_places);
  return r;
}

/* As they lie, so that a group is decoded once for all its parts. */
static int verify_objects(struct verify *v, struct st_error *err)
{
  ST_CLEANUP(places_free) struct places places = {0};
  int r = list_places(v, &places, err);
  for (size_t i = 0; i < places.count && r == 0; i++)
    r = verify_object(v, &places.items[i].id, err);
  return r;
}

int st_store_verify(struct st_store *store, void (*found)(void *arg, const char *words), void *arg,
                    struct st_error *err)
{
  struct verify v = {.store = store, .found = found, .arg = arg};
  if (store->write &&
      (st_store_sync(store, err) < 0 || st_object_index_check(store->index, err) < 0))
    return -1;
  if (verify_packs(&v, err) < 0 || verify_objects(&v, err) < 0 ||
      (store->write && st_store_sync(store, err) < 0))
    return -1;
  return v.count;
}
