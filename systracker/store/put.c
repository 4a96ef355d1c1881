/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

/* put.c - one object: from content to record, and into a pack. */
#include <string.h>

#include "systracker/base/log.h"
#include "systracker/store/internal.h"

void st_prepared_clear(struct st_prepared *prepared)
{
  st_buffer_free(&prepared->payload);
}

/* ---- Preparing: by any thread, each with a context of its own ------------------------------- */

struct preparing {
  struct st_store *store;
  struct st_zstd *zstd;
  const void *data;
  struct st_prepared *to;
};

/* The one object whose id begins so. */
static bool find_only(struct st_store *store, uint8_t keyed, const uint8_t *prefix,
                      struct st_object_row *ret)
{
  struct st_object_row rows[2];
  if (st_store_find_base(store, keyed, prefix, NULL, rows, 2, NULL) != 1)
    return false;
  *ret = rows[0];
  return !ret->damaged;
}

/* The record, on the chain of the revision before, that the next step is based on.  Where that one
 * is gone (pruned, or written again after damage) the chain goes on below it, and is shorter.  It
 * begins with a whole record, or with a part of a group, which counts as step 1. */
static bool find_base(struct st_store *store, const struct st_id *previous, bool secret,
                      struct st_object_row *ret, unsigned *ret_step)
{
  struct st_object_row row;
  if ((previous->keyed == 1) != secret || !find_only(store, secret, previous->digest, &row) ||
      !st_id_equal(&row.record.id, previous))
    return false;
  unsigned step = row.record.step + 1U;
  if (step >= ST_DELTA_STEPS)
    return false;
  unsigned want = st_delta_base_step(step);
  while (row.record.step > want && row.record.encoding != ST_ENCODING_PART) {
    unsigned from = row.record.step;
    if (!row.record.has_base || !find_only(store, secret, row.record.base, &row) ||
        row.record.step >= from)
      return false;
  }
  *ret = row;
  *ret_step = step;
  return row.record.encoding != ST_ENCODING_LIST && row.record.encoding != ST_ENCODING_GROUP;
}

/* A delta is worth its chain when it saves a quarter. */
static bool saves_enough(size_t delta, size_t plain)
{
  return delta <= plain - plain / 4;
}

/* So small beside the content that this need not be compressed to know. */
static bool is_tiny(size_t delta, size_t raw)
{
  return delta <= 256 && delta <= raw / 64;
}

static bool decodes_back(struct preparing *p, const struct st_buffer *frame,
                         const struct st_buffer *prefix)
{
  ST_AUTO_BUFFER back = ST_BUFFER_INIT;
  size_t n = p->to->record.raw;
  return st_zstd_decode(p->zstd, frame->data, frame->length, prefix, n, &back, NULL) == 0 &&
         back.length == n && memcmp(back.data, p->data, n) == 0;
}

static void take_payload(struct st_prepared *to, struct st_buffer *payload)
{
  st_buffer_free(&to->payload);
  to->payload = *payload;
  *payload = ST_BUFFER_INIT;
}

/* Whatever is wrong with the base: the content is kept whole instead. */
static bool make_delta(struct preparing *p, const struct st_object_row *base,
                       struct st_buffer *prefix, struct st_buffer *ret)
{
  return st_store_read_row(p->store, base, prefix, NULL) == ST_READ_OK && prefix->length > 0 &&
         st_zstd_encode(p->zstd, p->data, p->to->record.raw, prefix, ret, NULL) == 0;
}

static void take_delta(struct preparing *p, const struct st_object_row *base, unsigned step,
                       struct st_buffer *frame)
{
  struct st_record *record = &p->to->record;
  record->encoding = ST_ENCODING_DELTA;
  record->has_base = true;
  record->step = (uint8_t)step;
  memcpy(record->base, base->record.id.digest, ST_RECORD_BASE_SIZE);
  take_payload(p->to, frame);
}

static int encode_whole(struct preparing *p, struct st_error *err)
{
  struct st_record *record = &p->to->record;
  struct st_buffer *payload = &p->to->payload;
  if (record->raw == 0)
    return 0;
  record->encoding = ST_ENCODING_ZSTD;
  if (st_zstd_encode(p->zstd, p->data, record->raw, NULL, payload, err) < 0)
    return -1;
  if (payload->length < record->raw)
    return 0;
  record->encoding = ST_ENCODING_RAW;
  st_buffer_clear(payload);
  st_buffer_append(payload, p->data, record->raw);
  return 0;
}

static int seal(struct preparing *p, struct st_error *err)
{
  ST_AUTO_BUFFER sealed = ST_BUFFER_INIT;
  uint8_t aad[ST_RECORD_AAD_SIZE];
  struct st_prepared *to = p->to;
  st_record_aad(aad, &to->record);
  if (st_seal(p->store->keys, aad, sizeof aad, to->payload.data, to->payload.length, &sealed, err) <
      0)
    return -1;
  take_payload(to, &sealed);
  return 0;
}

static int encode_whole_or_delta(struct preparing *p, const struct st_object_row *base,
                                 unsigned step, struct st_error *err)
{
  ST_AUTO_BUFFER prefix = ST_BUFFER_INIT;
  ST_AUTO_BUFFER frame = ST_BUFFER_INIT;
  bool worth = base && make_delta(p, base, &prefix, &frame);
  bool whole = !worth || !is_tiny(frame.length, p->to->record.raw);
  if (whole && encode_whole(p, err) < 0)
    return -1;
  if (!worth || (whole && !saves_enough(frame.length, p->to->payload.length)))
    return 0;
  if (decodes_back(p, &frame, &prefix)) {
    take_delta(p, base, step, &frame);
    return 0;
  }
  st_log(ST_LOG_WARNING, "a delta did not decode to what it was made from, and is not kept");
  return whole ? 0 : encode_whole(p, err);
}

static int encode(struct preparing *p, const struct st_object_row *base, unsigned step,
                  struct st_error *err)
{
  if (encode_whole_or_delta(p, base, step, err) < 0)
    return -1;
  if (p->to->id.keyed && seal(p, err) < 0)
    return -1;
  p->to->record.stored = p->to->payload.length;
  return 0;
}

int st_store_check_content(const struct st_store *store, const struct st_content *content,
                           struct st_error *err)
{
  if (!store->write)
    return st_fail(err, 0, "cannot keep an object: the store was opened for reading");
  if (content->secret && !store->keys)
    return st_fail(err, 0, "cannot keep a secret: there is no key");
  return 0;
}

int st_store_prepare(struct st_store *store, const struct st_content *content,
                     struct st_prepared *ret, struct st_error *err)
{
  *ret = (struct st_prepared){0};
  if (st_store_check_content(store, content, err) < 0)
    return -1;
  const void *data = content->length > 0 ? content->data : "";
  if (content->id)
    ret->id = *content->id;
  else
    st_id_of(&ret->id, content->secret ? store->keys->id_key : NULL, data, content->length);
  struct st_object_row row;
  bool group = st_group_takes(content);
  if (content->group && st_groups_work(store, err) < 0)
    return -1;
  ret->known = group && st_groups_hold(store, &ret->id, NULL);
  int found = ret->known ? 1 : st_store_find(store, &ret->id, &row, &ret->known, err);
  if (found < 0 || ret->known)
    return found < 0 ? -1 : 0;
  if (content->length >= ST_CHUNK_FROM && !content->chunk)
    return st_store_prepare_chunks(store, content, ret, err);
  /* Written again after damage: whole, so that no chain can come to loop. */
  struct st_object_row base;
  unsigned step = 0;
  bool based = !found && content->previous &&
               find_base(store, content->previous, content->secret, &base, &step);
  if (group && !found && !based) {
    ret->group = true;
    st_buffer_append(&ret->payload, data, content->length);
    return 0;
  }
  struct st_content as_it_is = {
      .data = data, .length = content->length, .secret = content->secret, .id = &ret->id};
  return st_store_encode(store, &as_it_is, based ? &base : NULL, step, ret, err);
}

int st_store_encode(struct st_store *store, const struct st_content *content,
                    const struct st_object_row *base, unsigned step, struct st_prepared *ret,
                    struct st_error *err)
{
  struct preparing p = {store, st_store_take_zstd(store), content->data, ret};
  ret->id = *content->id;
  ret->record = (struct st_record){.id = ret->id, .raw = content->length};
  int r = encode(&p, base, step, err);
  st_store_give_zstd(store, p.zstd);
  if (r < 0)
    st_prepared_clear(ret);
  return r;
}

/* ---- Appending -------------------------------------------------------------------------------
 */

int st_store_append_record(struct st_store *store, const struct st_record *record,
                           const char *payload, struct st_error *err)
{
  struct st_object_row row = {.record = *record};
  if (st_packs_append(&store->packs, record, payload, &row.pack, &row.offset, err) < 0) {
    st_store_drop_lost(store);
    return -1;
  }
  return st_object_index_add(store->index, &row, err);
}

int st_store_append(struct st_store *store, const struct st_prepared *prepared,
                    struct st_error *err)
{
  struct st_object_row row;
  if (prepared->known)
    return 0;
  if (prepared->group)
    return st_groups_put(store, prepared, err);
  ST_HOLD_LOCK(store);
  int r = st_object_index_find(store->index, &prepared->id, &row, err);
  if (r < 0 || (r > 0 && !row.damaged && st_store_holds(store, &row)))
    return r < 0 ? -1 : 0;
  return st_store_append_record(store, &prepared->record, prepared->payload.data, err);
}

int st_store_put(struct st_store *store, const void *data, size_t length, bool secret,
                 const struct st_id *previous, struct st_id *ret, struct st_error *err)
{
  ST_AUTO_PREPARED prepared = {0};
  struct st_content content = {
      .data = data, .length = length, .secret = secret, .previous = previous};
  if (st_store_prepare(store, &content, &prepared, err) < 0)
    return -1;
  *ret = prepared.id;
  return st_store_append(store, &prepared, err);
}
