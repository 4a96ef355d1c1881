/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/arrival.h"

#include <string.h>

#include "archive-sync/serve/objects.h"
#include "archive-sync/serve/sent.h"
#include "systracker/store/chunklist.h"
#include "systracker/store/delta.h"

#define LARGE ((uint64_t)4 << 20)
#define CANDIDATES_MAX 8
#define TRY_WORK 1024 /* bytes that a look at one record counts as, however short it is */
#define NOBODY UINT32_MAX

enum state { PROVED, THERE, REFUSED, LIST };

/* One record of the request. */
struct entry {
  size_t at;
  uint32_t alike; /* the one before whose id begins alike; NOBODY */
  enum state state;
  bool own;
};

struct proving {
  struct st_arrival *a;
  struct st_error *words;
  struct st_objects *objects;
  struct st_reader reader;
  struct st_own *own;
  struct st_zstd *zstd;
  struct entry *entries;
  uint32_t count;
  struct st_set *prefixes;  /* kind of id and its first bytes; number: the last entry so far */
  uint64_t work, list_work; /* bytes that were or will be decoded */
  bool large;               /* it may hold much in memory now */
};

static void proving_free(struct proving *p)
{
  if (p->large)
    st_objects_end_large(p->objects);
  st_reader_return(&p->reader);
  st_own_closep(&p->own);
  st_zstd_freep(&p->zstd);
  if (p->prefixes)
    st_set_free(p->prefixes);
  free(p->entries);
}

void st_arrival_clear(struct st_arrival *a)
{
  st_buffer_free(&a->refused);
  st_buffer_free(&a->missing);
}

static int refuse(struct proving *p, const char *why)
{
  st_refuse(p->words, "%s", why);
  return ST_COMMIT_REFUSED;
}

/* ---- What was sent -----------------------------------------------------------------------------
 */

static int read_entry(struct proving *p, uint32_t i, struct st_parcel *ret)
{
  size_t at = p->entries[i].at;
  return st_wire_parcel_at(p->a->data, p->a->length, &at, ret, NULL) == 1 ? 0 : -1;
}

static void prefix_key(uint8_t keyed, const uint8_t *prefix, uint8_t out[1 + ST_RECORD_BASE_SIZE])
{
  out[0] = keyed;
  memcpy(out + 1, prefix, ST_RECORD_BASE_SIZE);
}

static void note_entry(struct proving *p, size_t at, const struct st_id *id)
{
  uint8_t key[1 + ST_RECORD_BASE_SIZE];
  uint64_t before = NOBODY;
  prefix_key(id->keyed, id->digest, key);
  st_set_get(p->prefixes, key, sizeof(key), &before);
  if ((p->count & (p->count - 1)) == 0) /* room doubles */
    p->entries = st_realloc(p->entries, p->count ? 2 * (size_t)p->count : 1, sizeof(*p->entries));
  p->entries[p->count] = (struct entry){.at = at, .alike = (uint32_t)before};
  st_set_add(p->prefixes, key, sizeof(key), p->count++);
}

/* The whole is looked through before any of it costs much. */
static int scan(struct proving *p)
{
  ST_AUTO_PARCEL parcel = {0};
  size_t at = 0, begin;
  int r;
  while (begin = at,
         (r = st_wire_parcel_at(p->a->data, p->a->length, &at, &parcel, p->words)) > 0) {
    const struct st_record *record = &parcel.record;
    if (p->count == ST_WIRE_RECORDS_MAX)
      return refuse(p, "these are too many records at once");
    if (st_wire_check_record(record, p->words) < 0)
      return ST_COMMIT_REFUSED;
    p->work += st_wire_work(record);
    if (record->encoding == ST_ENCODING_LIST && !record->id.keyed)
      p->list_work += record->raw;
    if (p->work > ST_WIRE_WORK_MAX || p->list_work > ST_WIRE_LIST_RAW_MAX)
      return refuse(p, "these records are too much to decode at once");
    if (record->raw > LARGE && record->encoding != ST_ENCODING_LIST && !p->large) {
      st_objects_begin_large(p->objects);
      p->large = true;
    }
    note_entry(p, begin, &record->id);
  }
  p->work = 0; /* from here on: what was done */
  return r < 0 ? ST_COMMIT_REFUSED : ST_COMMIT_DONE;
}

/* ---- Decoded -----------------------------------------------------------------------------------
 */

static int decode(struct proving *p, const struct st_parcel *parcel, uint32_t before,
                  unsigned depth, struct st_buffer *out);

static bool is_content(const struct st_record *record, const struct st_buffer *out)
{
  struct st_id is;
  st_id_of(&is, NULL, out->data ? out->data : "", out->length);
  return out->length == record->raw && st_id_equal(&is, &record->id);
}

/* How many bases were there, and the content where one of them is it. */
static bool decode_on(struct proving *p, const struct st_parcel *parcel,
                      const struct st_buffer *base, struct st_buffer *out)
{
  const struct st_record *record = &parcel->record;
  out->length = 0;
  p->work += record->raw;
  return base->length > 0 &&
         st_zstd_decode(p->zstd, parcel->payload.data, record->stored, base, record->raw, out,
                        NULL) == 0 &&
         is_content(record, out);
}

/* Whether one may be the base of another: what is refused is looked at once, not again for each way
 * that leads to it, as ids that begin alike are easily made. */
static bool may_be_base(struct proving *p, uint64_t at, uint32_t before)
{
  p->work += TRY_WORK;
  return at < before && p->entries[at].state != REFUSED;
}

/* 1: it is the content; 0: some base was there; -1: none. */
static int decode_on_sent(struct proving *p, const struct st_parcel *parcel, uint32_t before,
                          unsigned depth, struct st_buffer *out)
{
  uint8_t key[1 + ST_RECORD_BASE_SIZE];
  uint64_t at = NOBODY;
  int result = -1;
  prefix_key(0, parcel->record.base, key);
  if (depth > ST_DELTA_DEPTH_MAX)
    return -1;
  st_set_get(p->prefixes, key, sizeof(key), &at);
  for (unsigned tried = 0;
       at != NOBODY && tried < CANDIDATES_MAX && p->work <= 2 * ST_WIRE_WORK_MAX;
       at = p->entries[at].alike) {
    ST_AUTO_PARCEL base = {0};
    ST_AUTO_BUFFER content = ST_BUFFER_INIT;
    if (!may_be_base(p, at, before))
      continue;
    tried++;
    if (read_entry(p, (uint32_t)at, &base) < 0 ||
        decode(p, &base, (uint32_t)at, depth + 1, &content) != ST_COMMIT_DONE)
      continue;
    result = 0;
    if (decode_on(p, parcel, &content, out))
      return 1;
  }
  return result;
}

/* The same of what the host sent before. */
static int decode_on_kept(struct proving *p, const struct st_parcel *parcel, struct st_buffer *out)
{
  struct st_id ids[CANDIDATES_MAX];
  int result = -1;
  int n = st_store_begin_so(p->reader.store, 0, parcel->record.base, ids, CANDIDATES_MAX, NULL);
  for (int i = 0; i < n && p->work <= 2 * ST_WIRE_WORK_MAX; i++) {
    ST_AUTO_BUFFER content = ST_BUFFER_INIT;
    if (!st_own_has(p->own, &ids[i]))
      continue;
    int64_t length = st_store_length(p->reader.store, &ids[i]);
    if (length <= 0 || (uint64_t)length > ST_WIRE_RAW_MAX)
      continue;
    p->work += (uint64_t)length;
    if (st_store_get(p->reader.store, &ids[i], &content, NULL) < 0)
      continue;
    result = 0;
    if (decode_on(p, parcel, &content, out))
      return 1;
  }
  return result;
}

/* DONE: the content; REFUSED: it is not what its id says; MISSING: its base is not there. */
static int decode(struct proving *p, const struct st_parcel *parcel, uint32_t before,
                  unsigned depth, struct st_buffer *out)
{
  const struct st_record *record = &parcel->record;
  const char *payload = parcel->payload.data ? parcel->payload.data : "";
  if (record->id.keyed || record->encoding == ST_ENCODING_LIST)
    return ST_COMMIT_REFUSED;
  if (record->encoding == ST_ENCODING_DELTA) {
    int sent = decode_on_sent(p, parcel, before, depth, out);
    int kept = sent > 0 ? -1 : decode_on_kept(p, parcel, out);
    if (sent > 0 || kept > 0)
      return ST_COMMIT_DONE;
    return sent < 0 && kept < 0 ? ST_COMMIT_MISSING : ST_COMMIT_REFUSED;
  }
  out->length = 0;
  p->work += record->raw;
  if (record->encoding == ST_ENCODING_RAW)
    st_buffer_append(out, payload, record->stored);
  else if (st_zstd_decode(p->zstd, payload, record->stored, NULL, record->raw, out, NULL) < 0)
    return ST_COMMIT_REFUSED;
  return is_content(record, out) ? ST_COMMIT_DONE : ST_COMMIT_REFUSED;
}

/* ---- Proved ------------------------------------------------------------------------------------
 */

/* A secret is taken by its form; but its base has to be there, and the host's. */
static bool has_own_base(struct proving *p, const struct st_record *record, uint32_t before)
{
  uint8_t key[1 + ST_RECORD_BASE_SIZE];
  struct st_id ids[CANDIDATES_MAX];
  uint64_t at = NOBODY;
  prefix_key(1, record->base, key);
  st_set_get(p->prefixes, key, sizeof(key), &at);
  for (; at != NOBODY && p->work <= 2 * ST_WIRE_WORK_MAX; at = p->entries[at].alike)
    if (may_be_base(p, at, before))
      return true;
  int n = st_store_begin_so(p->reader.store, 1, record->base, ids, CANDIDATES_MAX, NULL);
  for (int i = 0; i < n; i++)
    if (st_own_has(p->own, &ids[i]))
      return true;
  return false;
}

static int prove_entry(struct proving *p, uint32_t i)
{
  ST_AUTO_PARCEL parcel = {0};
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  struct entry *e = &p->entries[i];
  if (read_entry(p, i, &parcel) < 0)
    return refuse(p, "a record cannot be read again");
  const struct st_record *record = &parcel.record;
  e->own = st_own_has(p->own, &record->id);
  if (e->own && st_store_has_whole(p->reader.store, &record->id)) {
    e->state = THERE;
    return ST_COMMIT_DONE;
  }
  if (record->encoding == ST_ENCODING_LIST) {
    e->state = LIST;
    return ST_COMMIT_DONE;
  }
  if (record->id.keyed) {
    e->state = !record->has_base || has_own_base(p, record, i) ? PROVED : REFUSED;
    return ST_COMMIT_DONE;
  }
  int r = decode(p, &parcel, i, 0, &content);
  e->state = r == ST_COMMIT_MISSING ? REFUSED : PROVED;
  return r == ST_COMMIT_REFUSED ? refuse(p, "an object's content is not what its id says")
                                : ST_COMMIT_DONE;
}

static int prove_all(struct proving *p)
{
  int r = ST_COMMIT_DONE;
  for (uint32_t i = 0; i < p->count && r == ST_COMMIT_DONE; i++)
    r = prove_entry(p, i);
  return r;
}

/* ---- Kept --------------------------------------------------------------------------------------
 */

/* What is given to the committer together. */
struct batch {
  struct st_proved *items;
  uint32_t *entries; /* whose each is */
  bool *refused;
  size_t count;
  struct st_buffer data; /* of those that were encoded anew; empty: as they were sent */
};

static void batch_free(struct batch *b)
{
  free(b->items);
  free(b->entries);
  free(b->refused);
  st_buffer_free(&b->data);
}
#define AUTO_BATCH ST_CLEANUP(batch_free) struct batch

static void batch_new(struct proving *p, struct batch *b)
{
  size_t room = p->count > 0 ? p->count : 1;
  b->items = st_calloc(room, sizeof(*b->items));
  b->entries = st_calloc(room, sizeof(*b->entries));
  b->refused = st_calloc(room, sizeof(*b->refused));
}

static void batch_add(struct proving *p, struct batch *b, uint32_t i, size_t at)
{
  b->items[b->count] = (struct st_proved){at, p->entries[i].own};
  b->entries[b->count++] = i;
}

static void count_entry(struct proving *p, uint32_t i)
{
  ST_AUTO_PARCEL parcel = {0};
  if (read_entry(p, i, &parcel) < 0)
    return;
  if (p->entries[i].state == REFUSED) {
    st_wire_add_id(&p->a->refused, &parcel.record.id);
    return;
  }
  p->a->kept++;
  st_own_add(p->own, &parcel.record.id);
}

static int commit(struct proving *p, struct batch *b, struct st_error *err)
{
  bool anew = b->data.length > 0;
  struct st_commit_records work = {.host = p->a->host,
                                   .data = anew ? b->data.data : p->a->data,
                                   .length = anew ? b->data.length : p->a->length,
                                   .items = b->items,
                                   .count = b->count,
                                   .ret_refused = b->refused};
  if (b->count == 0)
    return ST_COMMIT_DONE;
  int r = st_commit_records(p->a->server->committer, &work, p->words, err);
  for (size_t n = 0; n < b->count && r == ST_COMMIT_DONE; n++)
    if (b->refused[n])
      p->entries[b->entries[n]].state = REFUSED;
  return r;
}

/* A delta that does not fit here, though it is what it says: whole. */
static int encode_anew(struct proving *p, uint32_t i, struct batch *b, struct st_error *err)
{
  ST_AUTO_PARCEL parcel = {0}, whole = {0};
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  if (read_entry(p, i, &parcel) < 0 || parcel.record.id.keyed ||
      decode(p, &parcel, i, 0, &content) != ST_COMMIT_DONE)
    return 0;
  whole.record = (struct st_record){.id = parcel.record.id, .raw = content.length};
  whole.record.encoding = ST_ENCODING_ZSTD;
  if (st_zstd_encode(p->zstd, content.data, content.length, NULL, &whole.payload, err) < 0)
    return -1;
  if (whole.payload.length >= content.length) {
    whole.record.encoding = ST_ENCODING_RAW;
    st_buffer_clear(&whole.payload);
    st_buffer_append(&whole.payload, content.data, content.length);
  }
  whole.record.stored = whole.payload.length;
  p->entries[i].state = PROVED;
  batch_add(p, b, i, b->data.length);
  return st_wire_add_parcel(&b->data, &whole, err);
}

static int keep_anew(struct proving *p, const struct batch *first, struct st_error *err)
{
  AUTO_BATCH b = {0};
  batch_new(p, &b);
  for (size_t n = 0; n < first->count; n++)
    if (first->refused[n] && b.data.length < ST_WIRE_PACK_MAX &&
        encode_anew(p, first->entries[n], &b, err) < 0)
      return -1;
  return commit(p, &b, err);
}

static int keep_proved(struct proving *p, struct st_error *err)
{
  AUTO_BATCH b = {0};
  batch_new(p, &b);
  for (uint32_t i = 0; i < p->count; i++)
    if (p->entries[i].state == PROVED)
      batch_add(p, &b, i, p->entries[i].at);
  int r = commit(p, &b, err);
  if (r == ST_COMMIT_DONE)
    r = keep_anew(p, &b, err);
  for (uint32_t i = 0; i < p->count && r == ST_COMMIT_DONE; i++)
    if (p->entries[i].state != LIST)
      count_entry(p, i);
  return r;
}

/* ---- Lists of chunks ---------------------------------------------------------------------------
 */

static int check_chunks(struct proving *p, const struct st_parcel *parcel)
{
  const struct st_record *record = &parcel->record;
  const char *list = parcel->payload.data ? parcel->payload.data : "";
  struct st_chunk chunk;
  size_t at = 0, before = p->a->missing.length;
  if (!st_chunklist_fits(record, list, record->stored))
    return refuse(p, "a list of chunks is malformed");
  while (st_chunklist_next(list, record->stored, record->id.keyed, &at, &chunk) > 0)
    if (!st_own_has(p->own, &chunk.id) &&
        p->a->missing.length < (size_t)ST_WIRE_IDS_MAX * ST_WIRE_ID_SIZE)
      st_wire_add_id(&p->a->missing, &chunk.id);
  if (p->a->missing.length == before)
    return ST_COMMIT_DONE;
  st_refuse(p->words, "a chunk of a list was not sent");
  return ST_COMMIT_MISSING;
}

static int prove_list(struct proving *p, uint32_t i)
{
  ST_AUTO_PARCEL parcel = {0};
  if (read_entry(p, i, &parcel) < 0)
    return refuse(p, "a record cannot be read again");
  int r = check_chunks(p, &parcel);
  if (r != ST_COMMIT_DONE)
    return r;
  return st_store_prove_parcel(p->reader.store, &parcel, p->words) < 0 ? ST_COMMIT_REFUSED
                                                                       : ST_COMMIT_DONE;
}

/* Behind the rest, which holds their chunks and is committed by now. */
static int keep_lists(struct proving *p, struct st_error *err)
{
  AUTO_BATCH b = {0};
  int r = ST_COMMIT_DONE;
  batch_new(p, &b);
  for (uint32_t i = 0; i < p->count && r == ST_COMMIT_DONE; i++) {
    if (p->entries[i].state != LIST)
      continue;
    if ((r = prove_list(p, i)) == ST_COMMIT_DONE)
      batch_add(p, &b, i, p->entries[i].at);
  }
  if (r == ST_COMMIT_DONE)
    r = commit(p, &b, err);
  for (size_t n = 0; n < b.count && r == ST_COMMIT_DONE; n++)
    count_entry(p, b.entries[n]);
  return r;
}

/* ---- The whole ---------------------------------------------------------------------------------
 */

int st_arrive(struct st_arrival *a, struct st_error *words, struct st_error *err)
{
  struct st_server *server = a->server;
  ST_CLEANUP(proving_free)
  struct proving p = {.a = a,
                      .words = words,
                      .objects = st_committer_objects(server->committer),
                      .prefixes = st_set_new(),
                      .zstd = st_zstd_new()};
  int r = scan(&p);
  if (r != ST_COMMIT_DONE)
    return r;
  if (st_own_open(&p.own, server->archive, server->fleet, a->host, err) < 0 ||
      st_reader_borrow(p.objects, &p.reader, err) < 0)
    return -1;
  if ((r = prove_all(&p)) != ST_COMMIT_DONE || (r = keep_proved(&p, err)) != ST_COMMIT_DONE)
    return r;
  return keep_lists(&p, err);
}
