/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "archive-sync/destination.h"
#include "archive-sync/remote.h"
#include "archive-sync/upload.h"
#include "archive-sync/wire.h"
#include "systracker/base/age.h"
#include "systracker/base/escape.h"
#include "systracker/tracker/sealed.h"

#define REFILLS_MAX 100000 /* questions for what was lost, 4096 objects each */

/* Kept for the next time (st_remote_get). */
#define KEY "key"                     /* digest of the sealed data key that we sent */
#define SEALED_TO "sealed_to"         /* and to whom */
#define OFFERED "packages"            /* digest of all package files that were offered, */
#define OFFERED_THERE "packages_sent" /* and what the server said of them after that */

struct server {
  struct st_destination d;
  struct st_join join;
  struct st_remote *remote;
  struct st_push_head head;
  bool offer;                            /* package files that it may not have */
  char packages[2 * ST_DIGEST_SIZE + 1]; /* digest of ours */
};

static void close_server(struct st_destination *d)
{
  struct server *s = (struct server *)d;
  if (s->remote)
    st_remote_close(s->remote);
  st_join_clear(&s->join);
  free(s);
}

/* ---- What is there -----------------------------------------------------------------------------
 */

static char *question(struct server *s, struct st_error *err)
{
  struct st_checkpoint cp;
  struct st_catalog *c = s->d.push->t->catalog;
  char head[2 * ST_DIGEST_SIZE + 1];
  if (st_catalog_checkpoint(c, st_catalog_latest(c), &cp, err) < 0)
    return NULL;
  st_hex(head, cp.header_digest, ST_DIGEST_SIZE);
  char *text = st_format("{\"epoch\":%lld,\"number\":%lld,\"head\":\"%s\",\"packages\":\"%s\"}",
                         (long long)cp.epoch, (long long)cp.number, head, s->packages);
  st_checkpoint_clear(&cp);
  return text;
}

/* What the server has of package files may be more than is here by now: then what it said after
 * they were offered tells whether it still has them. */
static void take_packages(struct server *s, const char *there)
{
  const char *offered = st_remote_get(s->remote, OFFERED);
  const char *then = st_remote_get(s->remote, OFFERED_THERE);
  s->offer = *s->packages && strcmp(there, s->packages) != 0;
  if (!s->offer || !offered || strcmp(offered, s->packages) != 0)
    return;
  s->offer = then && *then && strcmp(then, there) != 0;
  if (!s->offer)
    st_remote_set(s->remote, OFFERED_THERE, there);
}

/* Our sealed key is another each time that it is made: so the one that is there is known by its
 * digest. */
static bool is_sealed(struct server *s, const char *there)
{
  const char *sent = st_remote_get(s->remote, KEY);
  return (*there && sent && strcmp(there, sent) == 0) ||
         st_remote_recipients(s->remote)->count == 0;
}

static int take_reply(struct server *s, const json_t *o, struct st_push_head *ret,
                      struct st_error *err)
{
  const char *head = json_string_value(json_object_get(o, "head"));
  const char *packages = json_string_value(json_object_get(o, "packages"));
  const char *key = json_string_value(json_object_get(o, "key"));
  ret->epoch = json_integer_value(json_object_get(o, "epoch"));
  ret->number = json_integer_value(json_object_get(o, "number"));
  ret->wanted = json_is_true(json_object_get(o, "wanted"));
  if (ret->epoch < 0 || ret->number < 0 ||
      (ret->number > 0 && (!head || !st_unhex(ret->digest, ST_DIGEST_SIZE, head))))
    return st_fail(err, 0, "the server said something else than what it has of this host");
  ret->sealed = is_sealed(s, key ? key : "");
  s->head = *ret;
  take_packages(s, packages ? packages : "");
  return 0;
}

static int look(struct st_destination *d, struct st_push_head *ret, struct st_error *err)
{
  struct server *s = (struct server *)d;
  if (st_upload_package_digest(d->push->t->store_dir, s->packages, err) < 0)
    return -1;
  ST_AUTO_FREE char *body = question(s, err);
  if (!body)
    return -1;
  ST_AUTO_REMOTE_CALL call = {.method = "POST",
                              .path = "/v1/sync",
                              .type = "application/json",
                              .body = body,
                              .length = strlen(body)};
  st_remote_opening(s->remote, call.method, call.path, body, call.length);
  if (st_remote_call(s->remote, &call, err) < 0)
    return -1;
  if (call.status != 200 && call.status != 202)
    return st_remote_fail(s->remote, &call, err);
  json_t *o = st_remote_json(&call);
  d->push->result->pending = call.status == 202;
  int r = take_reply(s, o, ret, err);
  json_decref(o);
  return r;
}

static int begin(struct st_destination *d, struct st_push_head *ret, struct st_error *err)
{
  (void)err;
  *ret = ((struct server *)d)->head;
  return 0;
}

/* ---- What is brought ---------------------------------------------------------------------------
 */

static int packages(struct st_destination *d, struct st_error *err)
{
  struct server *s = (struct server *)d;
  int64_t missing = d->push->result->missing;
  if (!s->offer || d->push->result->pending)
    return 0;
  if (st_upload_packages(d->push, s->remote, err) < 0)
    return -1;
  if (d->push->result->missing > missing)
    return 0;
  st_remote_set(s->remote, OFFERED, s->packages);
  st_remote_set(s->remote, OFFERED_THERE, "");
  return 0;
}

static int objects(struct st_destination *d, const struct st_id *ids, size_t count,
                   struct st_error *err)
{
  return st_upload_objects(d->push, ((struct server *)d)->remote, ids, count, err);
}

static int check_head(const struct server *s, const struct st_remote_call *call,
                      const struct st_push_head *head, struct st_error *err)
{
  ST_AUTO_CHANGESET set = {0};
  struct st_header h;
  char host[ST_HOST_ID_SIZE];
  if (st_wire_read_changeset(call->reply.data ? call->reply.data : "", call->reply.length, &set,
                             err) < 0 ||
      st_header_read(&h, set.header.data ? set.header.data : "", set.header.length, err) < 0)
    return -1;
  st_host_id(host, h.public_key);
  if (strcmp(host, s->d.push->keys.host_id) != 0 || h.epoch != head->epoch ||
      h.number != head->number || memcmp(h.digest, head->digest, ST_DIGEST_SIZE) != 0)
    return st_fail(err, 0, "the server showed another checkpoint than the one it names");
  return 0;
}

/* Our own chain is changed by what it says: so it has to show what only this host can have made. */
static int prove(struct st_destination *d, const struct st_push_head *head, struct st_error *err)
{
  struct server *s = (struct server *)d;
  ST_AUTO_FREE char *path =
      st_format("/v1/hosts/%s/changesets/%lld", d->push->keys.host_id, (long long)head->number);
  ST_AUTO_REMOTE_CALL call = {.method = "GET", .path = path, .max = ST_WIRE_CHANGESET_MAX};
  if (st_remote_call(s->remote, &call, err) < 0)
    return -1;
  return call.status == 200 ? check_head(s, &call, head, err)
                            : st_remote_fail(s->remote, &call, err);
}

static int retire(struct st_destination *d, int64_t epoch, struct st_error *err)
{
  struct server *s = (struct server *)d;
  ST_AUTO_FREE char *body = st_format("{\"epoch\":%lld}", (long long)epoch + 1);
  ST_AUTO_REMOTE_CALL call = {.method = "POST",
                              .path = "/v1/sync/epoch",
                              .type = "application/json",
                              .body = body,
                              .length = strlen(body)};
  if (st_remote_call(s->remote, &call, err) < 0)
    return -1;
  if (call.status != 200)
    return st_remote_fail(s->remote, &call, err);
  ST_AUTO_FREE char *again = question(s, err); /* our own head is another by now */
  if (!again)
    return -1;
  st_remote_opening(s->remote, "POST", "/v1/sync", again, strlen(again));
  return 0;
}

/* Asks once; 0: it lacks nothing. */
static int refill_some(struct server *s, struct st_error *err)
{
  ST_AUTO_REMOTE_CALL call = {.method = "POST", .path = "/v1/sync/lost", .body = ""};
  ST_AUTO_IDS ids = {0};
  if (st_remote_call(s->remote, &call, err) < 0)
    return -1;
  if (call.status != 200 || call.reply.length % ST_WIRE_ID_SIZE != 0)
    return st_remote_fail(s->remote, &call, err);
  for (size_t i = 0; i < call.reply.length / ST_WIRE_ID_SIZE; i++) {
    struct st_id id;
    if (st_wire_id_at(call.reply.data, call.reply.length, i, &id, err) < 0)
      return -1;
    st_ids_add(&ids, &id);
  }
  if (ids.count > 0 && objects(&s->d, ids.items, ids.count, err) < 0)
    return -1;
  return ids.count > 0;
}

/* What is not here any more either cannot be sent, and is asked for again and again. */
static int refill(struct st_destination *d, struct st_error *err)
{
  struct server *s = (struct server *)d;
  int64_t before = -1;
  int r = 1;
  for (int i = 0; r > 0 && i < REFILLS_MAX && before != d->push->result->objects; i++) {
    before = d->push->result->objects;
    r = refill_some(s, err);
  }
  return r < 0 ? -1 : 0;
}

static int post_checkpoint(struct server *s, const struct st_buffer *set,
                           struct st_remote_call *call, struct st_error *err)
{
  call->method = "POST";
  call->path = "/v1/sync/checkpoint";
  call->body = set->data;
  call->length = set->length;
  return st_remote_call(s->remote, call, err);
}

/* What the server has lost since it said that it has it. */
static int send_missing(struct server *s, const struct st_remote_call *call, struct st_error *err)
{
  ST_AUTO_IDS ids = {0};
  json_t *o = st_remote_json(call), *list = json_object_get(o, "missing"), *one;
  size_t i;
  int r = 0;
  json_array_foreach(list, i, one)
  {
    struct st_id id;
    if ((r = st_upload_parse_id(one, &id, err)) < 0)
      break;
    st_ids_add(&ids, &id);
  }
  if (r == 0 && ids.count == 0)
    r = st_remote_fail(s->remote, call, err);
  json_decref(o);
  return r == 0 ? objects(&s->d, ids.items, ids.count, err) : r;
}

static int checkpoint(struct st_destination *d, const struct st_changeset *set,
                      struct st_error *err)
{
  struct server *s = (struct server *)d;
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  if (st_wire_add_changeset(&body, set, err) < 0)
    return -1;
  for (int tries = 0;; tries++) {
    ST_AUTO_REMOTE_CALL call = {0};
    if (post_checkpoint(s, &body, &call, err) < 0)
      return -1;
    if (call.status == 200)
      return 0;
    if (call.status != 409 || tries == 2)
      return st_remote_fail(s->remote, &call, err);
    if (send_missing(s, &call, err) < 0)
      return -1;
  }
}

/* ---- Our data key ------------------------------------------------------------------------------
 */

static int seal_to(struct server *s, const struct st_strings *names, struct st_buffer *sealed,
                   struct st_error *err)
{
  struct st_age_recipient to[ST_AGE_RECIPIENTS];
  size_t count = names->count < ST_AGE_RECIPIENTS ? names->count : ST_AGE_RECIPIENTS;
  for (size_t i = 0; i < count; i++)
    if (st_age_recipient(&to[i], names->items[i], err) < 0)
      return -1;
  return st_recovery_seal(&s->d.push->keys, to, count, sealed, err);
}

static int send_key(struct server *s, const struct st_strings *names, struct st_error *err)
{
  ST_AUTO_BUFFER sealed = ST_BUFFER_INIT;
  uint8_t digest[ST_DIGEST_SIZE];
  char hex[2 * ST_DIGEST_SIZE + 1];
  if (seal_to(s, names, &sealed, err) < 0)
    return -1;
  ST_AUTO_REMOTE_CALL call = {
      .method = "PUT", .path = "/v1/sync/key", .body = sealed.data, .length = sealed.length};
  if (st_remote_call(s->remote, &call, err) < 0)
    return -1;
  if (call.status != 200)
    return st_remote_fail(s->remote, &call, err);
  st_digest(digest, sealed.data, sealed.length);
  st_hex(hex, digest, sizeof(digest));
  st_remote_set(s->remote, KEY, hex);
  return 0;
}

/* Whoever has taken a server over can name a key of his own: so that it changed is said. */
static void say_recipients(const struct server *s, const char *before, const char *now)
{
  if (before && strcmp(before, now) != 0)
    fprintf(stderr,
            "systracker: %s names other recovery keys than before, which open this host's secrets "
            "there from now on: %.*s\n",
            st_quote(st_remote_address(s->remote)), (int)strlen(now) - 1, now);
}

/* The archive's recipients may have changed, which is asked for where there is something to send
 * anyhow. */
static int seal(struct st_destination *d, struct st_error *err)
{
  struct server *s = (struct server *)d;
  ST_AUTO_BUFFER names = ST_BUFFER_INIT;
  if (st_remote_ask(s->remote, err) < 0)
    return -1;
  const struct st_strings *to = st_remote_recipients(s->remote);
  for (size_t i = 0; i < to->count; i++)
    st_buffer_printf(&names, "%s ", to->items[i]);
  if (to->count == 0)
    return 1;
  const char *before = st_remote_get(s->remote, SEALED_TO);
  if (s->head.sealed && before && strcmp(before, names.data) == 0)
    return 0;
  if (send_key(s, to, err) < 0)
    return -1;
  say_recipients(s, before, names.data);
  st_remote_set(s->remote, SEALED_TO, names.data);
  return 0;
}

int st_destination_server(struct st_destination **ret, struct st_push *p,
                          const struct st_join *join, struct st_error *err)
{
  static const struct st_destination_ops ops = {
      .look = look,
      .packages = packages,
      .begin = begin,
      .prove = prove,
      .retire = retire,
      .objects = objects,
      .refill = refill,
      .checkpoint = checkpoint,
      .seal = seal,
      .close = close_server,
  };
  struct server *s = st_calloc(1, sizeof(*s));
  s->d = (struct st_destination){&ops, p};
  st_join_copy(&s->join, join);
  struct st_remote_options options = {
      .join = &s->join, .store_dir = p->t->store_dir, .keys = &p->keys, .wait = p->wait};
  if (st_remote_open(&s->remote, &options, err) < 0) {
    close_server(&s->d);
    return -1;
  }
  *ret = &s->d;
  return 0;
}
