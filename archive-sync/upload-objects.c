/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "archive-sync/upload.h"
#include "archive-sync/wire.h"
#include "systracker/base/escape.h"

#define PACK_SIZE ((size_t)8 << 20) /* bytes that are gathered before they are sent */

/* Records on their way. */
struct pack {
  struct st_push *push;
  struct st_remote *remote;
  struct st_buffer bytes;
  size_t records;
  uint64_t work; /* that proving them takes there */
};

static void pack_clear(struct pack *k)
{
  st_buffer_free(&k->bytes);
}

/* ---- What the server has -----------------------------------------------------------------------
 */

/* Appends those of at most ST_WIRE_IDS_MAX ids that it does not have. */
static int ask_some(struct st_remote *r, const struct st_id *ids, size_t count, struct st_ids *ret,
                    struct st_error *err)
{
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  ST_AUTO_REMOTE_CALL call = {.method = "POST", .path = "/v1/sync/have"};
  for (size_t i = 0; i < count; i++)
    st_wire_add_id(&body, &ids[i]);
  call.body = body.data;
  call.length = body.length;
  if (st_remote_call(r, &call, err) < 0)
    return -1;
  if (call.status != 200)
    return st_remote_fail(r, &call, err);
  if (call.reply.length != (count + 7) / 8)
    return st_fail(err, 0, "the server said something else than what it has");
  for (size_t i = 0; i < count; i++)
    if (!((uint8_t)call.reply.data[i / 8] >> i % 8 & 1))
      st_ids_add(ret, &ids[i]);
  return 0;
}

static int ask(struct st_remote *r, const struct st_id *ids, size_t count, struct st_ids *ret,
               struct st_error *err)
{
  for (size_t at = 0; at < count; at += ST_WIRE_IDS_MAX) {
    size_t n = count - at < ST_WIRE_IDS_MAX ? count - at : ST_WIRE_IDS_MAX;
    if (ask_some(r, ids + at, n, ret, err) < 0)
      return -1;
  }
  return 0;
}

/* ---- What has to be there before ---------------------------------------------------------------
 */

struct needs {
  struct st_store *store;
  struct st_set *seen;
  struct st_ids order; /* bases and chunks before what needs them */
  unsigned depth;
};

static void needs_clear(struct needs *n)
{
  st_ids_clear(&n->order);
  if (n->seen)
    st_set_free(n->seen);
}

/* Chains are 16 long, and below a list. */
static int add_needed(void *arg, const struct st_id *id, struct st_error *err)
{
  struct needs *n = arg;
  if (n->depth > 32 || !st_set_add(n->seen, id, sizeof(*id), 0))
    return 0;
  n->depth++;
  int r = st_store_bases_alone(n->store, id, add_needed, n, err);
  n->depth--;
  if (r == 0)
    st_ids_add(&n->order, id);
  return r;
}

/* Those of `ids` and what they need that the server does not have, in order. */
static int complete(struct pack *k, const struct st_ids *ids, struct st_ids *ret,
                    struct st_error *err)
{
  ST_CLEANUP(needs_clear)
  struct needs n = {.store = k->push->t->store, .seen = st_set_new()};
  for (size_t i = 0; i < ids->count; i++) {
    ST_AUTO_ERROR ignored = ST_ERROR_INIT; /* exporting it will say it */
    if (add_needed(&n, &ids->items[i], &ignored) < 0)
      st_ids_add(&n.order, &ids->items[i]);
  }
  if (n.order.count > ids->count)
    return ask(k->remote, n.order.items, n.order.count, ret, err);
  for (size_t i = 0; i < n.order.count; i++)
    st_ids_add(ret, &n.order.items[i]);
  return 0;
}

/* ---- Sending -----------------------------------------------------------------------------------
 */

int st_upload_parse_id(const json_t *text, struct st_id *ret, struct st_error *err)
{
  uint8_t bytes[ST_WIRE_ID_SIZE];
  const char *hex = json_string_value(text);
  if (!hex || !st_unhex(bytes, sizeof(bytes), hex))
    return st_fail(err, 0, "the server named an object that is none");
  return st_wire_id_at(bytes, sizeof(bytes), 0, ret, err);
}

static int add_record(struct pack *k, const struct st_id *id, bool whole, struct st_error *err);

static int resend_whole(struct pack *k, const json_t *refused, struct st_error *err)
{
  const json_t *one;
  size_t i;
  json_array_foreach(refused, i, one)
  {
    struct st_id id;
    if (st_upload_parse_id(one, &id, err) < 0 || add_record(k, &id, true, err) < 0)
      return -1;
  }
  return 0;
}

static int flush(struct pack *k, bool again, struct st_error *err)
{
  ST_AUTO_REMOTE_CALL call = {
      .method = "POST", .path = "/v1/sync/pack", .body = k->bytes.data, .length = k->bytes.length};
  if (k->records == 0)
    return 0;
  if (st_remote_call(k->remote, &call, err) < 0)
    return -1;
  if (call.status != 200)
    return st_remote_fail(k->remote, &call, err);
  json_t *o = st_remote_json(&call), *refused = json_object_get(o, "refused");
  size_t left = json_array_size(refused);
  k->push->result->bytes += k->bytes.length;
  k->push->result->objects += (int64_t)(k->records - (left < k->records ? left : k->records));
  st_buffer_clear(&k->bytes);
  k->records = 0;
  k->work = 0;
  int r = 0;
  if (left > 0)
    r = again ? st_fail(err, 0, "the server does not take %zu objects that it needs", left)
              : resend_whole(k, refused, err);
  json_decref(o);
  return r == 0 && left > 0 ? flush(k, true, err) : r;
}

static int export(struct pack *k, const struct st_id *id, bool whole, struct st_parcel *ret,
                  struct st_error *err)
{
  struct st_store *store = k->push->t->store;
  int r = whole ? st_store_export_whole(store, id, ret, err)
                : st_store_export_alone(store, id, ret, err);
  return r == 0 ? st_wire_check_record(&ret->record, err) : r;
}

/* 1: it was passed over. */
static int add_record(struct pack *k, const struct st_id *id, bool whole, struct st_error *err)
{
  ST_AUTO_PARCEL parcel = {0};
  if (export(k, id, whole, &parcel, err) < 0) {
    if (!st_push_explain(k->push, id))
      return -1;
    st_error_clear(err);
    return 1;
  }
  uint64_t work = st_wire_work(&parcel.record), size = st_record_size(&parcel.record);
  if ((k->work + work > ST_WIRE_WORK_MAX || k->bytes.length + size > ST_WIRE_PACK_MAX) &&
      flush(k, whole, err) < 0)
    return -1;
  if (st_wire_add_parcel(&k->bytes, &parcel, err) < 0)
    return -1;
  k->records++;
  k->work += work;
  return 0;
}

static int send_some(struct pack *k, const struct st_id *ids, size_t count, struct st_error *err)
{
  ST_AUTO_IDS lacking = {0}, all = {0};
  if (ask_some(k->remote, ids, count, &lacking, err) < 0 || complete(k, &lacking, &all, err) < 0)
    return -1;
  for (size_t i = 0; i < all.count; i++) {
    if (add_record(k, &all.items[i], false, err) < 0 ||
        (k->bytes.length >= PACK_SIZE && flush(k, false, err) < 0))
      return -1;
  }
  return 0;
}

int st_upload_objects(struct st_push *p, struct st_remote *r, const struct st_id *ids, size_t count,
                      struct st_error *err)
{
  ST_CLEANUP(pack_clear) struct pack k = {.push = p, .remote = r};
  for (size_t at = 0; at < count; at += ST_WIRE_IDS_MAX) {
    size_t n = count - at < ST_WIRE_IDS_MAX ? count - at : ST_WIRE_IDS_MAX;
    if (send_some(&k, ids + at, n, err) < 0)
      return -1;
  }
  return flush(&k, false, err);
}
