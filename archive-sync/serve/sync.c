/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sync.c - what hosts send (doc/formats, Wire). */
#include "archive-sync/serve/sync.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "archive-sync/serve/arrival.h"
#include "archive-sync/serve/objects.h"
#include "archive-sync/serve/sent.h"
#include "archive-sync/signature.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/tracker/sealed.h"

#define QUESTION_MAX 4096
#define SMALL_CHANGESET ((size_t)1 << 20) /* bytes; of its body, too */
#define AGE_LINE "age-encryption.org/v1\n"

/* ---- What requests have in common --------------------------------------------------------------
 */

static bool is_host(struct st_request *r)
{
  if (r->who.host[0])
    return true;
  st_reply_refuse(r, 403, "only hosts send to an archive");
  return false;
}

bool st_sending_begin(struct st_sending *s, struct st_request *r)
{
  s->r = r;
  if (!is_host(r))
    return false;
  if (!st_access_spend(r->server->access, &r->who, r->body_length)) {
    st_reply_refuse(r, 403, "this host is not approved yet, and has sent what it may until then");
    return false;
  }
  s->begun = st_hosts_begin(st_request_hosts(r), r->who.host);
  if (!s->begun)
    st_reply_refuse(r, 429, "another request of this host is under way");
  return s->begun;
}

void st_sending_end(struct st_sending *s)
{
  if (s->begun)
    st_hosts_end(st_request_hosts(s->r), s->r->who.host);
  s->begun = false;
}

int st_sent_body_open(struct st_sent_body *b, struct st_request *r, struct st_error *err)
{
  *b = (struct st_sent_body){.data = "", .length = 0};
  if (r->body_fd < 0) {
    b->data = r->body.data ? r->body.data : "";
    b->length = r->body.length;
    return 0;
  }
  if (r->body_length == 0)
    return 0;
  void *map = mmap(NULL, r->body_length, PROT_READ, MAP_PRIVATE, r->body_fd, 0);
  if (map == MAP_FAILED)
    return st_fail(err, errno, "cannot read what was sent");
  b->data = b->map = map;
  b->length = r->body_length;
  return 0;
}

void st_sent_body_close(struct st_sent_body *b)
{
  if (b->map)
    munmap(b->map, b->length);
  b->map = NULL;
}

json_t *st_request_json(struct st_request *r)
{
  json_t *o =
      json_loadb(r->body.data ? r->body.data : "", r->body.length, JSON_REJECT_DUPLICATES, NULL);
  if (json_is_object(o))
    return o;
  json_decref(o);
  st_reply_refuse(r, 400, "the request is not a JSON object");
  return NULL;
}

json_t *st_json_ids(const struct st_buffer *ids)
{
  json_t *list = json_array();
  for (size_t at = 0; at + ST_WIRE_ID_SIZE <= ids->length; at += ST_WIRE_ID_SIZE) {
    char hex[2 * ST_WIRE_ID_SIZE + 1];
    st_hex(hex, ids->data + at, ST_WIRE_ID_SIZE);
    json_array_append_new(list, json_string(hex));
  }
  return list;
}

int st_reply_missing(struct st_request *r, const struct st_error *words,
                     const struct st_buffer *ids)
{
  json_t *o = json_object();
  json_object_set_new(o, "error", json_string(st_error_text(words)));
  json_object_set_new(o, "missing", st_json_ids(ids));
  r->reply.status = 409;
  return st_reply_json(r, o);
}

int st_reply_commit(struct st_request *r, int outcome, const struct st_error *words)
{
  switch (outcome) {
  case ST_COMMIT_REFUSED:
    return st_reply_refuse(r, 400, "%s", st_error_text(words));
  case ST_COMMIT_BEHIND:
    return st_reply_refuse(r, 409, "%s", st_error_text(words));
  case ST_COMMIT_BUSY:
    return st_reply_refuse(r, 503, "%s",
                           words->message ? st_error_text(words) : "too much is to be done");
  default:
    return -1;
  }
}

/* ---- How it stands -----------------------------------------------------------------------------
 */

struct question {
  int64_t number;
  uint8_t head[ST_DIGEST_SIZE];
  const char *packages; /* borrowed */
};

static bool read_question(json_t *o, struct question *ret)
{
  const char *head = json_string_value(json_object_get(o, "head"));
  json_t *number = json_object_get(o, "number"), *packages = json_object_get(o, "packages");
  *ret = (struct question){.number = json_integer_value(number),
                           .packages = packages ? json_string_value(packages) : ""};
  if (!json_is_integer(number) || ret->number < 0 || !ret->packages)
    return false;
  return head && (*head == 0 || st_unhex(ret->head, sizeof(ret->head), head));
}

static bool is_same(const struct question *q, const struct st_fleet_head *head,
                    const struct st_host_digests *digests)
{
  return q->number == head->number && !head->wanted &&
         (head->number == 0 || memcmp(q->head, head->digest, sizeof(q->head)) == 0) &&
         strcmp(q->packages, digests->packages) == 0;
}

/* All of it is hexadecimal or a number, and it is asked for more than anything else: written as it
 * is. */
static int describe(struct st_request *r, const struct st_fleet_head *head,
                    const struct st_host_digests *digests, const char *state)
{
  char hex[2 * ST_DIGEST_SIZE + 1] = "";
  struct st_buffer *out = &r->reply.body;
  if (head->number > 0)
    st_hex(hex, head->digest, ST_DIGEST_SIZE);
  r->reply.type = "application/json";
  st_buffer_clear(out);
  st_buffer_reserve(out, 512);
  st_buffer_printf(out, "{\"state\":\"%s\",\"epoch\":%lld,\"number\":%lld,\"head\":\"%s\",", state,
                   (long long)head->epoch, (long long)head->number, hex);
  st_buffer_printf(out, "\"wanted\":%s,\"packages\":\"%s\",\"key\":\"%s\"}\n",
                   head->wanted ? "true" : "false", digests->packages, digests->key);
  return 0;
}

static int begin_session(struct st_request *r, struct st_error *err)
{
  char token[65];
  int64_t expires;
  if (st_access_begin_session(r->server->access, &r->who, token, &expires, err) < 0)
    return -1;
  ST_AUTO_FREE char *text = st_format("%lld", (long long)expires);
  if (st_reply_header(r, "Systracker-Session", token) < 0 ||
      st_reply_header(r, "Systracker-Session-Expires", text) < 0)
    return -1;
  explicit_bzero(token, sizeof(token));
  return 0;
}

/* Nothing new costs no query, and no disk but the first time. */
static int poll(struct st_request *r, struct st_error *err)
{
  struct question q;
  struct st_fleet_head head = {0};
  struct st_host_digests digests;
  if (!is_host(r))
    return 0;
  json_t *o = st_request_json(r);
  if (!o)
    return 0;
  bool good = read_question(o, &q);
  int answer = good ? st_hosts_digests(st_request_hosts(r), r->who.host, &digests, err) : 0;
  if (good && answer == 0)
    st_fleet_head(r->server->fleet, r->who.host, &head);
  bool same = good && answer == 0 && is_same(&q, &head, &digests);
  json_decref(o);
  if (!good)
    return st_reply_refuse(r, 400, "number, head and packages are asked for");
  if (answer < 0 || (r->who.is_signed && begin_session(r, err) < 0))
    return -1;
  if (same)
    st_metrics_add(r->server->metrics, ST_METRIC_POLLS, 1);
  if (r->who.pending)
    r->reply.status = 202;
  return describe(r, &head, &digests, r->who.pending ? "pending" : same ? "same" : "new");
}

/* ---- Objects -----------------------------------------------------------------------------------
 */

static int answer_have(struct st_request *r, const struct st_own *own, struct st_store *store,
                       struct st_error *err)
{
  size_t n = r->body.length / ST_WIRE_ID_SIZE;
  struct st_buffer *out = &r->reply.body;
  struct st_id id;
  for (size_t i = 0; i < (n + 7) / 8; i++)
    st_buffer_append_byte(out, 0);
  for (size_t i = 0; i < n; i++) {
    if (st_wire_id_at(r->body.data, r->body.length, i, &id, err) < 0)
      return st_reply_refuse(r, 400, "%s", st_error_text(err));
    if (st_own_has(own, &id) && st_store_has_whole(store, &id))
      out->data[i / 8] |= (char)(1 << i % 8);
  }
  r->reply.type = "application/octet-stream";
  return 0;
}

static int have(struct st_request *r, struct st_error *err)
{
  ST_AUTO_SENDING sending = {0};
  ST_CLEANUP(st_own_closep) struct st_own *own = NULL;
  ST_AUTO_READER reader = {0};
  if (r->body.length % ST_WIRE_ID_SIZE != 0 ||
      r->body.length > (size_t)ST_WIRE_IDS_MAX * ST_WIRE_ID_SIZE)
    return st_reply_refuse(r, 400, "these are no ids, or too many");
  if (!st_sending_begin(&sending, r))
    return 0;
  if (st_own_open(&own, r->server->archive, r->server->fleet, r->who.host, err) < 0 ||
      st_reader_borrow(st_committer_objects(r->server->committer), &reader, err) < 0)
    return -1;
  return answer_have(r, own, reader.store, err);
}

static int pack(struct st_request *r, struct st_error *err)
{
  ST_AUTO_SENDING sending = {0};
  ST_AUTO_BODY body = {0};
  ST_AUTO_ERROR words = ST_ERROR_INIT;
  if (!st_sending_begin(&sending, r))
    return 0;
  if (st_sent_body_open(&body, r, err) < 0)
    return -1;
  ST_AUTO_ARRIVAL a = {
      .server = r->server, .host = r->who.host, .data = body.data, .length = body.length};
  int outcome = st_arrive(&a, &words, err);
  if (outcome == ST_COMMIT_MISSING)
    return st_reply_missing(r, &words, &a.missing);
  if (outcome != ST_COMMIT_DONE)
    return st_reply_commit(r, outcome, &words);
  json_t *o = json_object();
  json_object_set_new(o, "kept", json_integer((json_int_t)a.kept));
  json_object_set_new(o, "refused", st_json_ids(&a.refused));
  return st_reply_json(r, o);
}

static int lost(struct st_request *r, struct st_error *err)
{
  ST_AUTO_SENDING sending = {0};
  ST_AUTO_ERROR words = ST_ERROR_INIT;
  struct st_fleet_head head = {0};
  r->reply.type = "application/octet-stream";
  if (!st_sending_begin(&sending, r))
    return 0;
  if (!st_fleet_head(r->server->fleet, r->who.host, &head) || head.number == 0)
    return 0;
  int outcome = st_commit_lost(r->server->committer, r->who.host, &r->reply.body, &words, err);
  return outcome == ST_COMMIT_DONE ? 0 : st_reply_commit(r, outcome, &words);
}

/* ---- Checkpoints -------------------------------------------------------------------------------
 */

static int commit_checkpoint(struct st_request *r, const struct st_changeset *set,
                             struct st_error *err)
{
  ST_AUTO_ERROR words = ST_ERROR_INIT;
  struct st_commit_checkpoint work = {.host = r->who.host, .set = set};
  int outcome = st_commit_checkpoint(r->server->committer, &work, &words, err);
  if (outcome == ST_COMMIT_MISSING)
    st_reply_missing(r, &words, &work.missing);
  else if (outcome != ST_COMMIT_DONE)
    outcome = st_reply_commit(r, outcome, &words);
  else {
    json_t *o = json_object();
    json_object_set_new(o, "number", json_integer(work.number));
    st_reply_json(r, o);
  }
  st_buffer_free(&work.missing);
  return outcome < 0 ? -1 : 0;
}

/* What this cannot prove is left to the catalog, which says what is wrong. */
static bool is_proved(const struct st_changeset *set)
{
  struct st_header h;
  const struct st_buffer *header = &set->header;
  return st_header_parse(&h, header->data, header->length, NULL) == 0 &&
         st_signature_is(h.public_key, header->data, header->length - ST_SIGNATURE_SIZE,
                         h.signature);
}

static int take_changeset(struct st_request *r, const struct st_sent_body *body,
                          struct st_error *err)
{
  ST_AUTO_CHANGESET set = {0};
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (st_wire_read_changeset(body->data, body->length, &set, &why) < 0)
    return st_reply_refuse(r, 400, "%s", st_error_text(&why));
  set.proved = is_proved(&set);
  return commit_checkpoint(r, &set, err);
}

/* What is large is one at a time. */
static int checkpoint(struct st_request *r, struct st_error *err)
{
  ST_AUTO_SENDING sending = {0};
  ST_AUTO_BODY body = {0};
  struct st_objects *objects = st_committer_objects(r->server->committer);
  if (!st_sending_begin(&sending, r))
    return 0;
  if (st_sent_body_open(&body, r, err) < 0)
    return -1;
  bool large = body.length > SMALL_CHANGESET ||
               st_wire_changeset_body(body.data, body.length) > SMALL_CHANGESET;
  if (large)
    st_objects_begin_large(objects);
  int result = take_changeset(r, &body, err);
  if (large)
    st_objects_end_large(objects);
  return result;
}

static int epoch(struct st_request *r, struct st_error *err)
{
  ST_AUTO_SENDING sending = {0};
  ST_AUTO_ERROR words = ST_ERROR_INIT;
  if (!st_sending_begin(&sending, r))
    return 0;
  json_t *o = st_request_json(r);
  if (!o)
    return 0;
  int64_t number = json_integer_value(json_object_get(o, "epoch"));
  json_decref(o);
  if (number < 2)
    return st_reply_refuse(r, 400, "an epoch after the first is asked for");
  int outcome = st_commit_epoch(r->server->committer, r->who.host, number, &words, err);
  if (outcome != ST_COMMIT_DONE)
    return st_reply_commit(r, outcome, &words);
  o = json_object();
  json_object_set_new(o, "epoch", json_integer(number));
  return st_reply_json(r, o);
}

/* ---- The sealed key ----------------------------------------------------------------------------
 */

static int keep_key(struct st_request *r, struct st_error *err)
{
  ST_AUTO_FREE char *folder = st_format("hosts/%s", r->who.host);
  int archive = r->server->archive->dir;
  if (st_make_dirs(archive, folder, 0700, err) < 0)
    return -1;
  ST_AUTO_CLOSE int dir = st_open_beneath(archive, folder, O_RDONLY | O_DIRECTORY, 0);
  if (dir < 0)
    return st_fail(err, -dir, "cannot open (%s)", folder);
  return st_write_file(dir, ST_SEALED_KEY, 0600, r->body.data, r->body.length, err);
}

static int key(struct st_request *r, struct st_error *err)
{
  ST_AUTO_SENDING sending = {0};
  size_t n = strlen(AGE_LINE);
  uint8_t digest[ST_DIGEST_SIZE];
  char hex[2 * ST_DIGEST_SIZE + 1];
  if (r->body.length <= n || memcmp(r->body.data, AGE_LINE, n) != 0)
    return st_reply_refuse(r, 400, "this is no file of age");
  if (!st_sending_begin(&sending, r))
    return 0;
  if (keep_key(r, err) < 0)
    return -1;
  st_hosts_changed(st_request_hosts(r), r->who.host);
  st_digest(digest, r->body.data, r->body.length);
  st_hex(hex, digest, sizeof(digest));
  json_t *o = json_object();
  json_object_set_new(o, "key", json_string(hex));
  return st_reply_json(r, o);
}

#define IDS_MAX ((uint64_t)ST_WIRE_IDS_MAX * ST_WIRE_ID_SIZE)

/* What is sent must not wait until others read what they asked for. */
#define SEND ST_ROUTE_WORK | ST_ROUTE_BRIEF

const struct st_route st_sync_routes[] = {
    {"POST", "/v1/sync", ST_ROLE_HOST, ST_ROUTE_BRIEF, ST_BODY_MEMORY, QUESTION_MAX, poll},
    {"POST", "/v1/sync/have", ST_ROLE_HOST, SEND, ST_BODY_MEMORY, IDS_MAX, have},
    {"POST", "/v1/sync/pack", ST_ROLE_HOST, SEND, ST_BODY_FILE, ST_WIRE_PACK_MAX, pack},
    {"POST", "/v1/sync/lost", ST_ROLE_HOST, SEND, ST_BODY_MEMORY, 0, lost},
    {"POST", "/v1/sync/checkpoint", ST_ROLE_HOST, SEND, ST_BODY_FILE, ST_WIRE_CHANGESET_MAX,
     checkpoint},
    {"POST", "/v1/sync/epoch", ST_ROLE_HOST, SEND, ST_BODY_MEMORY, QUESTION_MAX, epoch},
    {"PUT", "/v1/sync/key", ST_ROLE_HOST, SEND, ST_BODY_MEMORY, ST_SEALED_KEY_MAX, key},
    {"POST", "/v1/sync/packages", ST_ROLE_HOST, SEND, ST_BODY_MEMORY, (uint64_t)1 << 20,
     st_sync_packages},
    {"POST", "/v1/sync/packages/proof", ST_ROLE_HOST, SEND, ST_BODY_MEMORY, QUESTION_MAX,
     st_sync_packages_proof},
    {"PUT", "/v1/sync/packages/*", ST_ROLE_HOST, SEND, ST_BODY_FILE, (uint64_t)2 << 30,
     st_sync_packages_put},
    {0},
};
