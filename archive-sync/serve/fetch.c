/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fetch.c - what hosts take: their own history, or the one that they may read (doc/formats, Wire).
 * Who may is looked at before (ST_ROUTE_HOST). */
#include <fcntl.h>
#include <string.h>

#include "archive-sync/serve/objects.h"
#include "archive-sync/serve/sent.h"
#include "archive-sync/serve/sync.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/tracker/sealed.h"

#define CANDIDATES_MAX 16

/* ---- The chain ---------------------------------------------------------------------------------
 */

/* 1: there is none, and the reply says so. */
static int open_catalog(struct st_request *r, struct st_catalog **ret, struct st_error *err)
{
  int result = st_catalog_open(ret, r->server->archive->dir, r->parts[0], ST_CATALOG_READ, err);
  if (result != -ENOENT)
    return result;
  st_error_clear(err);
  st_reply_refuse(r, 404, "there is no such host, or it has sent nothing yet");
  return 1;
}

static int chain(struct st_request *r, struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  struct st_checkpoint cp = {0};
  char hex[2 * ST_DIGEST_SIZE + 1] = "";
  int result = open_catalog(r, &c, err);
  if (result != 0)
    return result < 0 ? -1 : 0;
  int64_t latest = st_catalog_latest(c);
  if (latest > 0 && st_catalog_checkpoint(c, latest, &cp, err) < 0)
    return -1;
  if (latest > 0)
    st_hex(hex, cp.header_digest, ST_DIGEST_SIZE);
  json_t *o = json_object();
  json_object_set_new(o, "epoch", json_integer(cp.epoch));
  json_object_set_new(o, "number", json_integer(latest));
  json_object_set_new(o, "head", json_string(hex));
  st_checkpoint_clear(&cp);
  return st_reply_json(r, o);
}

static int read_changeset(struct st_request *r, struct st_catalog *c, int64_t after, int64_t number,
                          struct st_error *err)
{
  ST_AUTO_CHANGESET set = {0};
  if (number < 1 || number > st_catalog_latest(c) || after < 0 || after >= number)
    return st_reply_refuse(r, 404, "there is no such checkpoint");
  if (st_catalog_held(c, number) != ST_HELD)
    return st_reply_refuse(r, 404, "checkpoint %lld was pruned", (long long)number);
  r->reply.type = "application/cbor";
  return st_changeset_read_after(c, after, number, &set, err) < 0 ||
                 st_wire_add_changeset(&r->reply.body, &set, err) < 0
             ? -1
             : 0;
}

static int changeset(struct st_request *r, struct st_error *err)
{
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  const char *text = st_request_query(r, "after");
  int64_t number, after;
  struct st_objects *objects = st_committer_objects(r->server->committer);
  if (st_parse_number(r->parts[1], &number, NULL) < 0)
    return st_reply_refuse(r, 404, "there is no such checkpoint");
  int result = open_catalog(r, &c, err);
  if (result != 0)
    return result < 0 ? -1 : 0;
  after = number - 1;
  if (text && st_parse_number(text, &after, NULL) < 0)
    return st_reply_refuse(r, 400, "after is a number");
  st_objects_begin_large(objects); /* how large is not known before */
  result = read_changeset(r, c, after, number, err);
  st_objects_end_large(objects);
  return result;
}

static int epochs(struct st_request *r, struct st_error *err)
{
  ST_AUTO_STRINGS numbers = {0};
  ST_AUTO_FREE char *host = st_memdup(r->parts[0], strcspn(r->parts[0], "/"));
  if (st_archive_epochs(r->server->archive, host, &numbers, err) < 0)
    return -1;
  json_t *list = json_array(), *o = json_object();
  for (size_t i = 0; i < numbers.count; i++)
    json_array_append_new(list, json_integer(strtoll(numbers.items[i], NULL, 10)));
  json_object_set_new(o, "epochs", list);
  return st_reply_json(r, o);
}

static int key(struct st_request *r, struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_format("hosts/%.*s", (int)strcspn(r->parts[0], "/"), r->parts[0]);
  ST_AUTO_CLOSE int dir =
      st_open_beneath(r->server->archive->dir, folder, O_RDONLY | O_DIRECTORY, 0);
  int result =
      dir < 0 ? -ENOENT : st_read_file(dir, ST_SEALED_KEY, ST_SEALED_KEY_MAX, &r->reply.body, err);
  if (result == -ENOENT) {
    st_error_clear(err);
    return st_reply_refuse(r, 404, "no key of this host was sealed for this archive");
  }
  r->reply.type = "application/octet-stream";
  return result;
}

/* ---- Objects -----------------------------------------------------------------------------------
 */

/* One answer. */
struct taking {
  struct st_request *r;
  struct st_store *store;
  struct st_own *own;
  struct st_set *done; /* ids that are in it, or cannot be */
  bool full;
};

static void taking_free(struct taking *t)
{
  st_own_closep(&t->own);
  if (t->done)
    st_set_free(t->done);
}

static bool is_first(struct taking *t, const struct st_id *id)
{
  uint8_t bytes[ST_WIRE_ID_SIZE];
  bytes[0] = id->keyed;
  memcpy(bytes + 1, id->digest, ST_DIGEST_SIZE);
  return st_set_add(t->done, bytes, sizeof(bytes), 0);
}

static int add_object(struct taking *t, const struct st_id *id, unsigned depth,
                      struct st_error *err);

/* All that a delta may name by its base has to be the host's, or it comes whole: so that what
 * others have is neither handed out nor told. */
static int add_bases(struct taking *t, const struct st_record *record, unsigned depth,
                     struct st_error *err)
{
  struct st_id ids[CANDIDATES_MAX];
  int n = st_store_begin_so(t->store, record->id.keyed, record->base, ids, CANDIDATES_MAX, err);
  for (int i = 0; i < n; i++)
    if (!st_own_has(t->own, &ids[i]))
      return 1;
  for (int i = 0; i < n; i++)
    if (add_object(t, &ids[i], depth + 1, err) < 0)
      return -1;
  return n < 0 ? -1 : 0;
}

/* Where the disk is full the answer ends with what is in the file, or still fits into memory: the
 * host asks again for what was left out. */
static void spill(struct taking *t, size_t least)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  struct st_reply *reply = &t->r->reply;
  if (reply->body.length < least || st_reply_spill(t->r, &ignored) == 0)
    return;
  t->full = true;
  if (reply->fd >= 0)
    st_buffer_clear(&reply->body);
}

static int add_parcel(struct taking *t, struct st_parcel *parcel, struct st_error *err)
{
  struct st_reply *reply = &t->r->reply;
  uint64_t size = st_record_size(&parcel->record);
  uint64_t length = reply->length + reply->body.length;
  if (t->full || (length > 0 && length + size > ST_WIRE_PACK_MAX)) {
    t->full = true; /* what comes behind may need it */
    return 0;
  }
  if (st_wire_add_parcel(&reply->body, parcel, err) < 0)
    return -1;
  spill(t, ST_REPLY_SPILL);
  return 0;
}

/* What cannot be read is left out: there is no other answer for what is damaged and what never was
 * here. */
static int add_object(struct taking *t, const struct st_id *id, unsigned depth,
                      struct st_error *err)
{
  ST_AUTO_PARCEL parcel = {0};
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  if (t->full || !st_own_has(t->own, id) || !is_first(t, id) ||
      st_store_export_alone(t->store, id, &parcel, &ignored) < 0)
    return 0;
  if (parcel.record.has_base) {
    int foreign = depth > 16 ? 1 : add_bases(t, &parcel.record, depth, err);
    if (foreign < 0)
      return -1;
    if (foreign && st_store_export_whole(t->store, id, &parcel, &ignored) < 0)
      return 0;
  }
  return add_parcel(t, &parcel, err);
}

static int add_all(struct taking *t, struct st_error *err)
{
  struct st_request *r = t->r;
  struct st_id id;
  r->reply.type = "application/octet-stream";
  for (size_t n = 0; n < r->body.length / ST_WIRE_ID_SIZE && !t->full; n++) {
    if (st_wire_id_at(r->body.data, r->body.length, n, &id, NULL) < 0)
      return st_reply_refuse(r, 400, "an id is of no known kind");
    if (add_object(t, &id, 0, err) < 0)
      return -1;
  }
  if (r->reply.fd >= 0 && r->reply.body.length > 0)
    spill(t, 1);
  return 0;
}

/* ---- Chunks of what came by another way --------------------------------------------------------
 */

struct chunks {
  struct st_store *store;
  struct st_own *own;
  struct st_buffer ids;
};

static int add_chunk(void *arg, const struct st_id *id, struct st_error *err)
{
  struct chunks *k = arg;
  (void)err;
  if (st_own_has(k->own, id))
    return 0;
  st_own_add(k->own, id);
  st_wire_add_id(&k->ids, id);
  return 0;
}

static int add_chunks(void *arg, const struct st_id *id)
{
  struct chunks *k = arg;
  if (st_store_length(k->store, id) >= (int64_t)4 << 20)
    st_store_bases(k->store, id, add_chunk, k, NULL);
  return 0;
}

/* What a copy on the spot brought has no list of chunks, or a part of one: it is completed from
 * what the host names, once in the server's life. */
static int complete_chunks(struct taking *t, const char *host, struct st_error *err)
{
  struct st_request *r = t->r;
  int archive = r->server->archive->dir;
  ST_CLEANUP(st_catalog_closep) struct st_catalog *c = NULL;
  struct chunks k = {.store = t->store, .own = t->own};
  if (st_hosts_seen(st_request_hosts(r), r->parts[0]))
    return 0;
  int result = st_catalog_open(&c, archive, r->parts[0], ST_CATALOG_READ, err);
  if (result == 0 && (result = st_catalog_objects(c, add_chunks, &k, err)) == 0)
    result = st_sent_add(archive, host, ST_SENT_CHUNKS, k.ids.data, k.ids.length, err);
  st_buffer_free(&k.ids);
  if (result == 0)
    st_hosts_see(st_request_hosts(r), r->parts[0]);
  return result;
}

static int objects(struct st_request *r, struct st_error *err)
{
  ST_AUTO_READER reader = {0};
  ST_AUTO_FREE char *host = st_memdup(r->parts[0], strcspn(r->parts[0], "/"));
  if (r->body.length % ST_WIRE_ID_SIZE != 0 ||
      r->body.length > (size_t)ST_WIRE_IDS_MAX * ST_WIRE_ID_SIZE)
    return st_reply_refuse(r, 400, "these are no ids, or too many");
  if (st_reader_borrow(st_committer_objects(r->server->committer), &reader, err) < 0)
    return -1;
  ST_CLEANUP(taking_free)
  struct taking t = {.r = r, .store = reader.store, .done = st_set_new()};
  if (st_own_open(&t.own, r->server->archive, r->server->fleet, host, err) < 0 ||
      complete_chunks(&t, host, err) < 0)
    return -1;
  return add_all(&t, err);
}

#define LIST ST_ROUTE_WORK | ST_ROUTE_HOST
#define RAW LIST | ST_ROUTE_RAW
#define IDS_MAX ((uint64_t)ST_WIRE_IDS_MAX * ST_WIRE_ID_SIZE)

/* Heads and lists may be had by viewers, too: pages show as much. */
const struct st_route st_fetch_routes[] = {
    {"GET", "/v1/hosts/*/chain", ST_ROLE_HOST, LIST, ST_BODY_NONE, 0, chain},
    {"GET", "/v1/hosts/*/changesets/*", ST_ROLE_HOST, RAW, ST_BODY_NONE, 0, changeset},
    {"POST", "/v1/hosts/*/objects", ST_ROLE_HOST, RAW, ST_BODY_MEMORY, IDS_MAX, objects},
    {"GET", "/v1/hosts/*/packages", ST_ROLE_HOST, LIST, ST_BODY_NONE, 0, st_fetch_packages},
    {"GET", "/v1/hosts/*/packages/*", ST_ROLE_HOST, RAW, ST_BODY_NONE, 0, st_fetch_package},
    {"GET", "/v1/hosts/*/key", ST_ROLE_HOST, RAW, ST_BODY_NONE, 0, key},
    {"GET", "/v1/hosts/*/epochs", ST_ROLE_HOST, LIST, ST_BODY_NONE, 0, epochs},
    {0},
};
