/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/transfer.h"

#include <string.h>

#include "systracker/store/internal.h"

#define CANDIDATES_MAX 4
/* Objects that one copy may look at: chains are 15 deltas long, and have one base each but where
 * somebody made ids that begin alike. */
#define COPIES_MAX 64

void st_parcel_clear(struct st_parcel *parcel)
{
  st_buffer_free(&parcel->payload);
}

static bool find(struct st_store *store, const struct st_id *id, struct st_object_row *ret)
{
  return st_object_index_find(store->index, id, ret, NULL) > 0 && !ret->damaged &&
         st_store_holds(store, ret);
}

/* ---- Out --------------------------------------------------------------------------------------
 */

int st_store_export(struct st_store *store, const struct st_id *id, struct st_parcel *ret,
                    struct st_error *err)
{
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  struct st_object_row row;
  if (!find(store, id, &row))
    return st_store_fail_missing(id, err);
  if (st_packs_read(&store->packs, row.pack, row.offset, row.record.stored, &ret->record, &bytes,
                    err) < 0)
    return st_wrap(err, "an object cannot be read");
  if (!st_id_equal(&ret->record.id, id))
    return st_fail(err, 0, "an object cannot be read: another record is there");
  size_t n = ret->record.stored, head = bytes.length - ST_RECORD_CRC_SIZE - n;
  st_buffer_clear(&ret->payload);
  st_buffer_append(&ret->payload, bytes.data + head, n);
  return 0;
}

static int encode_whole(struct st_store *store, const struct st_id *id, struct st_parcel *ret,
                        struct st_error *err)
{
  ST_AUTO_BUFFER data = ST_BUFFER_INIT;
  struct st_prepared prepared = {0};
  int r = st_store_get(store, id, &data, err);
  if (r < 0)
    return r;
  struct st_content content = {
      .data = data.data ? data.data : "", .length = data.length, .secret = id->keyed, .id = id};
  r = st_store_encode(store, &content, NULL, 0, &prepared, err);
  if (id->keyed && data.length > 0)
    explicit_bzero(data.data, data.length);
  if (r < 0)
    return r;
  st_buffer_free(&ret->payload);
  *ret = (struct st_parcel){prepared.record, prepared.payload};
  return 0;
}

int st_store_export_whole(struct st_store *store, const struct st_id *id, struct st_parcel *ret,
                          struct st_error *err)
{
  int r = st_store_export(store, id, ret, err);
  return r < 0 || !ret->record.has_base ? r : encode_whole(store, id, ret, err);
}

int st_store_export_alone(struct st_store *store, const struct st_id *id, struct st_parcel *ret,
                          struct st_error *err)
{
  int r = st_store_export(store, id, ret, err);
  return r < 0 || ret->record.encoding != ST_ENCODING_PART ? r : encode_whole(store, id, ret, err);
}

/* Those that may be the base of a record; of a row, when it is in the store. */
static int find_bases(struct st_store *store, const struct st_record *record,
                      const struct st_object_row *row, struct st_object_row ret[CANDIDATES_MAX],
                      struct st_error *err)
{
  int kept = 0, n;
  if (!record->has_base)
    return 0;
  n = st_object_index_find_base(store->index, record->id.keyed, record->base, row, ret,
                                CANDIDATES_MAX, err);
  for (int i = 0; i < n; i++) {
    if (st_record_may_be_based(record, &ret[i].record))
      ret[kept++] = ret[i];
  }
  return n < 0 ? n : kept;
}

static int each_chunk(const char *list, size_t length, uint8_t keyed, st_object_fn *fn, void *arg,
                      struct st_error *err)
{
  struct st_chunk chunk;
  size_t at = 0;
  int r = 0;
  while (r == 0 && st_chunklist_next(list, length, keyed, &at, &chunk) > 0)
    r = fn(arg, &chunk.id, err);
  return r;
}

int st_store_bases(struct st_store *store, const struct st_id *id, st_object_fn *fn, void *arg,
                   struct st_error *err)
{
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  struct st_object_row row, bases[CANDIDATES_MAX];
  if (!find(store, id, &row))
    return 0;
  if (st_store_chunks(store, &row, &list, err) < 0)
    return -1;
  int r = each_chunk(list.data, list.length, id->keyed, fn, arg, err);
  int n = r == 0 ? find_bases(store, &row.record, &row, bases, err) : 0;
  for (int i = 0; i < n && r == 0; i++)
    r = fn(arg, &bases[i].record.id, err);
  return n < 0 ? n : r;
}

int st_store_bases_alone(struct st_store *store, const struct st_id *id, st_object_fn *fn,
                         void *arg, struct st_error *err)
{
  struct st_object_row row;
  if (!find(store, id, &row) || row.record.encoding == ST_ENCODING_PART)
    return 0;
  return st_store_bases(store, id, fn, arg, err);
}

/* ---- In ----------------------------------------------------------------------------------------
 */

/* What does not depend on who made the record: all bounds that the format has. */
static int check_form(const struct st_parcel *parcel, struct st_error *err)
{
  uint8_t head[ST_RECORD_HEAD_MAX];
  struct st_record again;
  if (!st_encoding_is_known(parcel->record.encoding))
    return st_fail(err, 0, "only a newer version of SysTracker can read it");
  if (parcel->record.encoding == ST_ENCODING_GROUP || parcel->record.encoding == ST_ENCODING_PART)
    return st_fail(err, 0, "groups are of one store alone");
  if (parcel->record.has_base != (parcel->record.encoding == ST_ENCODING_DELTA) ||
      parcel->record.id.keyed > 1 || parcel->record.raw > ST_RECORD_LIST_RAW_MAX ||
      parcel->payload.length != parcel->record.stored)
    return st_fail(err, 0, "its record is malformed");
  size_t n = st_record_encode(head, &parcel->record);
  if (st_record_decode(head, n, &again) != (int)n)
    return st_fail(err, 0, "its record is malformed");
  return 0;
}

/* Whether some base leads to a whole record in at most `left` more deltas. */
static bool chain_ends(struct st_store *store, const struct st_record *record,
                       const struct st_object_row *row, unsigned left, unsigned *budget)
{
  struct st_object_row bases[CANDIDATES_MAX];
  if (!record->has_base)
    return true;
  if (record->encoding == ST_ENCODING_PART)
    left = 1; /* whatever the chain was: it ends here */
  if (left == 0 || *budget == 0)
    return false;
  --*budget;
  int n = find_bases(store, record, row, bases, NULL);
  for (int i = 0; i < n; i++)
    if (!bases[i].damaged && st_store_holds(store, &bases[i]) &&
        chain_ends(store, &bases[i].record, &bases[i], left - 1, budget))
      return true;
  return false;
}

static int check_chunk(void *arg, const struct st_id *id, struct st_error *err)
{
  struct st_store *store = arg;
  struct st_object_row row;
  unsigned budget = COPIES_MAX;
  (void)err;
  return !find(store, id, &row) ||
         !chain_ends(store, &row.record, &row, ST_DELTA_DEPTH_MAX, &budget);
}

bool st_store_has_whole(struct st_store *store, const struct st_id *id)
{
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  struct st_object_row row;
  if (!find(store, id, &row) || st_store_chunks(store, &row, &list, NULL) < 0)
    return false;
  return check_chunk(store, id, NULL) == 0 &&
         each_chunk(list.data, list.length, id->keyed, check_chunk, store, NULL) == 0;
}

static int prove(struct st_store *store, const struct st_parcel *parcel, struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  unsigned budget = COPIES_MAX;
  if (check_form(parcel, err) < 0)
    return -1;
  if (!chain_ends(store, &parcel->record, NULL, ST_DELTA_DEPTH_MAX, &budget))
    return st_fail(err, 0, "it is a delta of what is not there");
  enum st_read r = st_store_prove(store, &parcel->record,
                                  parcel->payload.data ? parcel->payload.data : "", &why);
  if (r == ST_READ_OK || (r == ST_READ_LOCKED && parcel->record.id.keyed))
    return 0;
  return st_fail(err, 0, "%s", st_error_text(&why));
}

int st_store_import(struct st_store *store, const struct st_parcel *parcel, struct st_error *err)
{
  struct st_object_row row;
  if (!store->write)
    return st_fail(err, 0, "cannot keep an object: the store was opened for reading");
  if (find(store, &parcel->record.id, &row))
    return 0;
  /* Written again after damage: whole, so that no chain can come to loop (as in st_store_put). */
  if (parcel->record.has_base &&
      st_object_index_find(store->index, &parcel->record.id, &row, NULL) > 0)
    return st_fail(err, 0, "an object was not taken: it is damaged here, and this is a delta");
  if (prove(store, parcel, err) < 0)
    return st_wrap(err, "an object was not taken");
  return st_store_append_record(store, &parcel->record,
                                parcel->payload.data ? parcel->payload.data : "", err);
}

int st_store_import_proved(struct st_store *store, const struct st_parcel *parcel,
                           struct st_error *err)
{
  struct st_object_row row;
  if (!store->write || parcel->record.has_base)
    return st_fail(err, 0, "cannot keep an object: it is not proved, or the store is read");
  if (check_form(parcel, err) < 0)
    return st_wrap(err, "an object was not taken");
  if (find(store, &parcel->record.id, &row))
    return 0;
  return st_store_append_record(store, &parcel->record,
                                parcel->payload.data ? parcel->payload.data : "", err);
}

int st_store_prove_parcel(struct st_store *store, const struct st_parcel *parcel,
                          struct st_error *err)
{
  return prove(store, parcel, err);
}

int st_store_begin_so(struct st_store *store, uint8_t keyed,
                      const uint8_t prefix[ST_RECORD_BASE_SIZE], struct st_id *ret, int max,
                      struct st_error *err)
{
  struct st_object_row rows[16];
  if (max > (int)ST_COUNT(rows))
    max = ST_COUNT(rows);
  int n = st_store_find_base(store, keyed, prefix, NULL, rows, max, err);
  for (int i = 0; i < n; i++)
    ret[i] = rows[i].record.id;
  return n;
}

/* ---- From one to another -----------------------------------------------------------------------
 */

struct copying {
  struct st_store *to, *from;
  unsigned left;
};

static int copy(struct copying *c, const struct st_id *id, struct st_error *err);

/* Where the delta does not fit: the content, kept whole. */
static int copy_whole(struct copying *c, const struct st_id *id, struct st_error *err)
{
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  struct st_id kept;
  if (st_store_get(c->from, id, &content, err) < 0)
    return -1;
  int r = st_store_put(c->to, content.data, content.length, id->keyed, NULL, &kept, err);
  if (id->keyed && content.length > 0)
    explicit_bzero(content.data, content.length);
  if (r == 0 && !st_id_equal(&kept, id))
    return st_fail(err, 0, "a secret was not taken: the key there is another");
  return r;
}

static int copy_base(void *arg, const struct st_id *id, struct st_error *err)
{
  (void)err;
  ST_AUTO_ERROR ignored = ST_ERROR_INIT; /* the delta will be refused */
  copy(arg, id, &ignored);
  return 0;
}

/* A chunk has bases of its own, if any. */
static int copy_chunk(void *arg, const struct st_id *id, struct st_error *err)
{
  struct copying *c = arg;
  struct copying one = {c->to, c->from, COPIES_MAX};
  return copy(&one, id, err) < 0 ? -1 : 0;
}

static int copy_parts(struct copying *c, const struct st_id *id, const struct st_parcel *parcel,
                      struct st_error *err)
{
  const struct st_record *record = &parcel->record;
  if (record->encoding != ST_ENCODING_LIST)
    return st_store_bases(c->from, id, copy_base, c, err);
  return each_chunk(parcel->payload.data, record->stored, record->id.keyed, copy_chunk, c, err);
}

static int copy(struct copying *c, const struct st_id *id, struct st_error *err)
{
  ST_AUTO_PARCEL parcel = {0};
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (st_store_has_whole(c->to, id))
    return 0;
  if (c->left == 0)
    return st_fail(err, 0, "an object has too many bases");
  c->left--;
  int r = st_store_export(c->from, id, &parcel, err);
  if (r < 0)
    return r;
  /* A group has what else was new on that day, which the other store may have in another one. */
  if (parcel.record.encoding == ST_ENCODING_PART)
    return copy_whole(c, id, err) < 0 ? -1 : 1;
  if ((r = copy_parts(c, id, &parcel, err)) < 0)
    return r;
  if (st_store_import(c->to, &parcel, &why) == 0)
    return 1;
  if (!parcel.record.has_base)
    return st_fail(err, 0, "%s", st_error_text(&why));
  return copy_whole(c, id, err) < 0 ? -1 : 1;
}

int st_store_copy(struct st_store *to, struct st_store *from, const struct st_id *id,
                  struct st_error *err)
{
  struct copying c = {to, from, COPIES_MAX};
  return copy(&c, id, err);
}

/* ---- All of them -------------------------------------------------------------------------------
 */

int st_store_each(struct st_store *store, st_object_fn *fn, void *arg, struct st_error *err)
{
  struct st_id id;
  int r = st_object_index_next(store->index, NULL, &id, err);
  while (r > 0) {
    int done = fn(arg, &id, err);
    if (done != 0)
      return done;
    r = st_object_index_next(store->index, &id, &id, err);
  }
  return r;
}

uint64_t st_store_appended(const struct st_store *store)
{
  return store->packs.appended;
}

uint64_t st_store_stored(struct st_store *store, const struct st_id *id)
{
  struct st_object_row row;
  return find(store, id, &row) ? st_record_size(&row.record) : 0;
}

/* ---- Packs that were lost ----------------------------------------------------------------------
 */

static bool is_lost(struct st_store *store, uint32_t number)
{
  uint8_t identity[ST_PACK_IDENTITY_SIZE];
  struct st_pack *pack;
  uint64_t indexed;
  if (st_object_index_pack(store->index, number, identity, &indexed, NULL) <= 0)
    return false;
  if (st_packs_get(&store->packs, number, &pack, NULL) < 0)
    return true;
  st_pack_refresh(pack, NULL);
  return pack->size < indexed;
}

bool st_store_lacks_packs(struct st_store *store)
{
  ST_HOLD_LOCK(store);
  uint32_t last = 0;
  bool lost = false;
  if (st_object_index_last_pack(store->index, &last, NULL) < 0)
    return false;
  for (uint32_t n = 1; n <= last && !lost; n++)
    lost = is_lost(store, n);
  return lost;
}

int st_store_forget_lost(struct st_store *store, struct st_error *err)
{
  uint32_t last = 0;
  int r = st_object_index_last_pack(store->index, &last, err);
  for (uint32_t n = 1; n <= last && r == 0; n++)
    if (is_lost(store, n))
      r = st_object_index_forget(store->index, n, err);
  return r == 0 ? st_store_catch_up(store, err) : r;
}
