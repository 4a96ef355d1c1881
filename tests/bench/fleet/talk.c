/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/fleet/talk.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "archive-sync/signature.h"
#include "archive-sync/wire.h"
#include "systracker/base/escape.h"

static void decref(json_t **json)
{
  json_decref(*json);
}
#define AUTO_JSON ST_CLEANUP(decref) json_t

static json_t *parse(const struct fleet_answer *answer)
{
  return answer->body.length ? json_loadb(answer->body.data, answer->body.length, 0, NULL) : NULL;
}

int fleet_learn(struct fleet_server *server, struct st_error *err)
{
  ST_AUTO_ANSWER answer = {0};
  struct fleet_link link;
  const struct fleet_request ask = {.method = "GET", .target = "/v1/archive", .headers = ""};
  if (fleet_link_open(&link, server, 0, err) < 0)
    return -1;
  int r = fleet_link_call(&link, &ask, &answer, err);
  fleet_link_close(&link);
  if (r < 0)
    return -1;
  AUTO_JSON *json = parse(&answer);
  const char *id = json_string_value(json_object_get(json, "id"));
  if (answer.status != 200 || !id || strlen(id) != 32)
    return st_fail(err, 0, "the server did not say which archive it is (status %u)", answer.status);
  snprintf(server->archive, sizeof(server->archive), "%s", id);
  return 0;
}

/* ---- One request -------------------------------------------------------------------------------
 */

static int add_signature(struct fleet_talk *talk, const char *path, const void *body, size_t length,
                         struct st_buffer *headers, struct st_error *err)
{
  ST_CLEANUP(st_signature_headers_clear) struct st_signature_headers h = {0};
  const struct fleet_server *server = talk->link->server;
  const struct st_signed_request request = {.method = "POST",
                                            .path = path,
                                            .query = "",
                                            .body = body,
                                            .body_length = length,
                                            .archive = server->archive,
                                            .token = server->token};
  if (st_signature_make(&request, &talk->host->keys, time(NULL), &h, err) < 0)
    return -1;
  st_buffer_printf(headers,
                   "Content-Digest: %s\r\nSignature-Input: %s\r\nSignature: %s\r\n"
                   "Systracker-Archive: %s\r\n",
                   h.content_digest, h.input, h.signature, server->archive);
  if (server->token)
    st_buffer_printf(headers, "Systracker-Token: %s\r\n", server->token);
  talk->count->signatures++;
  return 0;
}

static int post_once(struct fleet_talk *talk, const char *path, const void *body, size_t length,
                     bool sign, struct fleet_answer *answer, struct st_error *err)
{
  ST_AUTO_BUFFER headers = ST_BUFFER_INIT;
  if (sign && add_signature(talk, path, body, length, &headers, err) < 0)
    return -1;
  if (!sign)
    st_buffer_printf(&headers, "Authorization: Bearer %s\r\n", talk->host->session);
  const struct fleet_request request = {"POST", path, headers.data, body, length};
  talk->count->requests++;
  if (fleet_link_call(talk->link, &request, answer, err) < 0)
    return -1;
  if (answer->session[0])
    memcpy(talk->host->session, answer->session, sizeof(answer->session));
  return 0;
}

/* With the session where there is one; where that has ended, or there is none, signed. */
static int post(struct fleet_talk *talk, const char *path, const void *body, size_t length,
                struct fleet_answer *answer, struct st_error *err)
{
  bool sign = !talk->host->session[0];
  if (post_once(talk, path, body, length, sign, answer, err) < 0)
    return -1;
  if (answer->status == 401 && !sign && post_once(talk, path, body, length, true, answer, err) < 0)
    return -1;
  return 0;
}

static int refused(const char *what, const struct fleet_answer *answer, struct st_error *err)
{
  ST_AUTO_FREE char *words = st_escaped(answer->body.data, answer->body.length);
  return st_fail(err, 0, "%s: the server answered %u: %.300s", what, answer->status, words);
}

/* ---- What the archive has ----------------------------------------------------------------------
 */

static int sync_with(struct fleet_talk *talk, int64_t number, const uint8_t head[ST_DIGEST_SIZE],
                     bool sign, struct fleet_answer *answer, struct st_error *err)
{
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  char hex[2 * ST_DIGEST_SIZE + 1];
  st_hex(hex, head, ST_DIGEST_SIZE);
  st_buffer_printf(&body, "{\"epoch\":1,\"number\":%" PRId64 ",\"head\":\"%s\",\"packages\":\"\"}",
                   number, hex);
  int r = sign ? post_once(talk, "/v1/sync", body.data, body.length, true, answer, err)
               : post(talk, "/v1/sync", body.data, body.length, answer, err);
  if (answer->sent > talk->count->most_sent)
    talk->count->most_sent = answer->sent;
  if (answer->received > talk->count->most_received)
    talk->count->most_received = answer->received;
  if (r == 0 && answer->status != 200)
    r = refused("sync", answer, err);
  return r;
}

int fleet_poll(struct fleet_talk *talk, bool sign, struct st_error *err)
{
  ST_AUTO_ANSWER answer = {0};
  if (sync_with(talk, talk->host->number, talk->host->head, sign, &answer, err) < 0)
    return -1;
  return answer.body.length && memmem(answer.body.data, answer.body.length, "\"same\"", 6) ? 0 : 1;
}

/* ---- A checkpoint ------------------------------------------------------------------------------
 */

/* What is sent of one checkpoint. */
struct load {
  struct st_changeset set;
  struct st_parcel own;
  const struct st_parcel *shared;
  size_t count; /* of the shared ones */
};

static void load_clear(struct load *l)
{
  st_changeset_clear(&l->set);
  st_parcel_clear(&l->own);
}

static const struct st_parcel *parcel_at(const struct load *l, size_t n)
{
  return n < l->count ? &l->shared[n] : &l->own;
}

static int send_pack(struct fleet_talk *talk, const struct load *l, const uint8_t *bitmap,
                     struct st_error *err)
{
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  ST_AUTO_ANSWER answer = {0};
  size_t sent = 0;
  for (size_t i = 0; i <= l->count; i++) {
    if (bitmap[i / 8] >> (i % 8) & 1)
      continue;
    if (st_wire_add_parcel(&body, parcel_at(l, i), err) < 0)
      return -1;
    sent++;
  }
  if (sent == 0)
    return 0;
  if (post(talk, "/v1/sync/pack", body.data, body.length, &answer, err) < 0)
    return -1;
  talk->count->objects += sent;
  return answer.status == 200 ? 0 : refused("pack", &answer, err);
}

static int send_objects(struct fleet_talk *talk, const struct load *l, struct st_error *err)
{
  ST_AUTO_BUFFER ids = ST_BUFFER_INIT;
  ST_AUTO_ANSWER answer = {0};
  for (size_t i = 0; i <= l->count; i++)
    st_wire_add_id(&ids, &parcel_at(l, i)->record.id);
  if (post(talk, "/v1/sync/have", ids.data, ids.length, &answer, err) < 0)
    return -1;
  if (answer.status != 200 || answer.body.length < l->count / 8 + 1)
    return refused("have", &answer, err);
  return send_pack(talk, l, (const uint8_t *)answer.body.data, err);
}

static int send_checkpoint(struct fleet_talk *talk, const struct load *l, struct st_error *err)
{
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  ST_AUTO_ANSWER answer = {0};
  if (st_wire_add_changeset(&body, &l->set, err) < 0 ||
      post(talk, "/v1/sync/checkpoint", body.data, body.length, &answer, err) < 0)
    return -1;
  talk->count->checkpoints++;
  return answer.status == 200 ? 0 : refused("checkpoint", &answer, err);
}

/* The host is where the archive has it, once it has taken the checkpoint. */
static int push_next(struct fleet_talk *talk, const struct fleet_host *next, const struct load *l,
                     struct st_error *err)
{
  if (send_objects(talk, l, err) < 0 || send_checkpoint(talk, l, err) < 0)
    return -1;
  talk->host->number = next->number;
  memcpy(talk->host->head, next->head, ST_DIGEST_SIZE);
  return 0;
}

static int make_next(const struct fleet_talk *talk, struct fleet_host *next, struct load *l,
                     struct st_error *err)
{
  int64_t time = talk->first_day + next->number * FLEET_DAY;
  l->shared = fleet_template_parcels(talk->t, next->number + 1, &l->count);
  return fleet_next(next, talk->t, time, &l->set, &l->own, err);
}

/* A host that was ended between the archive's taking a checkpoint and our noting it asks for it
 * again, which the archive answers as before. */
int fleet_push(struct fleet_talk *talk, int64_t upto, struct st_error *err)
{
  ST_CLEANUP(load_clear) struct load l = {.count = 0};
  struct fleet_host next = *talk->host;
  bool asked = false;
  while (next.number < upto) {
    ST_AUTO_ANSWER answer = {0};
    if (make_next(talk, &next, &l, err) < 0)
      return -1;
    if (!asked && sync_with(talk, next.number, next.head, false, &answer, err) < 0)
      return -1;
    asked = true;
    if (push_next(talk, &next, &l, err) < 0)
      return -1;
  }
  return 0;
}
