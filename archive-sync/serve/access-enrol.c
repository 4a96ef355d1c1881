/* SPDX-License-Identifier: GPL-2.0-or-later */
/* access-enrol.c - a request that a host's key has signed: replays, and who is let in. */
#include <inttypes.h>
#include <string.h>

#include "archive-sync/serve/access-inside.h"

static int refuse(struct st_access_refusal *why, unsigned status, const char *text)
{
  *why = (struct st_access_refusal){status, text};
  return 1;
}

/* ---- Replays ------------------------------------------------------------------------------------
 */

/* Those that are too old to be taken make room.  A host whose own requests leave no room has to
 * wait: there is nobody else whom it could keep out. */
static int remember_nonce(struct st_host *h, const struct st_signature_proof *proof, int64_t now,
                          struct st_access_refusal *why)
{
  uint8_t digest[ST_DIGEST_SIZE];
  uint64_t mark;
  struct st_nonce *room = NULL;
  st_digest(digest, proof->nonce, strlen(proof->nonce));
  memcpy(&mark, digest, sizeof(mark));
  if (!h->nonces)
    h->nonces = st_calloc(ST_ACCESS_NONCES, sizeof(*h->nonces));
  for (size_t i = 0; i < ST_ACCESS_NONCES; i++) {
    struct st_nonce *n = &h->nonces[i];
    if (n->created < now - ST_SIGNATURE_AGE)
      room = n;
    else if (n->mark == mark)
      return refuse(why, 401, "this signed request was taken before: sign another");
  }
  if (!room)
    return refuse(why, 429, "too many signed requests: use the session");
  *room = (struct st_nonce){mark, proof->created};
  return 0;
}

/* ---- Enrolment ----------------------------------------------------------------------------------
 */

/* What is asked, while it is decided. */
struct asking {
  struct st_access *a;
  const struct st_signature_proof *proof;
  const struct st_access_call *call;
  char id[ST_HOST_ID_SIZE];
  struct st_token *token; /* NULL: none, or none that may be used */
  struct st_host *host;   /* NULL: it is new */
};

static size_t count_pending(struct st_access *a)
{
  size_t n = 0;
  for (size_t i = 0; i < a->nhosts; i++)
    n += a->hosts[i]->is.state == ST_HOST_PENDING;
  return n;
}

/* What becomes of a host that is new or waits; `by`: why. */
static int decide(const struct asking *q, bool has_token, enum st_host_state *ret, const char **by,
                  struct st_access_refusal *why)
{
  enum st_enrolment mode = q->a->enrolment;
  bool restores = q->token && q->token->is.kind == ST_TOKEN_RESTORE;
  *ret = ST_HOST_APPROVED;
  *by = "token";
  if (restores || (q->token && mode != ST_ENROL_CLOSED))
    return 0;
  *by = "open enrolment";
  if (mode == ST_ENROL_OPEN)
    return 0;
  *ret = ST_HOST_PENDING;
  *by = "";
  if (q->host)
    return 0; /* it still waits */
  if (has_token && !q->token)
    return refuse(why, 403, "the token is not known, was revoked, or may not be used any more");
  if (mode == ST_ENROL_TOKEN)
    return refuse(why, 403, "the archive takes in new hosts with a join token");
  if (count_pending(q->a) >= ST_PENDING_HOSTS)
    return refuse(why, 429, "too many hosts wait for approval");
  return 0;
}

static int use_token(const struct asking *q, struct st_error *err)
{
  struct st_access *a = q->a;
  const struct st_access_token *t = &q->token->is;
  if (t->kind == ST_TOKEN_RESTORE)
    return st_access_run(a, err, NULL, "UPDATE token SET bound = ? WHERE name = ?", "ss", q->id,
                         t->name);
  if (t->uses < 0)
    return 0;
  return st_access_run(a, err, NULL, "UPDATE token SET uses = uses - 1 WHERE name = ?", "s",
                       t->name);
}

static int write_host(const struct asking *q, enum st_host_state state, const char *by,
                      struct st_error *err)
{
  if (!q->host)
    return st_access_run(
        q->a, err, NULL, "INSERT INTO host VALUES (?, ?, ?, ?, ?, ?, 0, '', '', '', 0, 0, '')",
        "sbiiss", q->id, q->proof->public_key, (int64_t)state, q->call->now, by, q->call->peer);
  return st_access_run(q->a, err, NULL, "UPDATE host SET key = ?, state = ?, by = ? WHERE id = ?",
                       "biss", q->proof->public_key, (int64_t)state, by, q->id);
}

/* It goes on for the host that its restore token names, whose history it may read meanwhile. */
static int write_continues(const struct asking *q, struct st_error *err)
{
  if (!q->token || q->token->is.kind != ST_TOKEN_RESTORE || strcmp(q->token->is.host, q->id) == 0)
    return 0;
  return st_access_run(q->a, err, NULL, "UPDATE host SET continues = ? WHERE id = ?", "ss",
                       q->token->is.host, q->id);
}

/* The same in memory. */
static void note(struct asking *q, enum st_host_state state, const char *by)
{
  if (!q->host) {
    q->host = st_access_new_host(q->a, q->id);
    q->host->is.since = q->call->now;
    st_access_copy(q->host->is.address, sizeof(q->host->is.address), q->call->peer);
  }
  struct st_host *h = q->host;
  h->is.state = state;
  h->has_key = true;
  memcpy(h->key, q->proof->public_key, sizeof(h->key));
  st_access_copy(h->is.by, sizeof(h->is.by), by);
  struct st_access_token *t = q->token ? &q->token->is : NULL;
  if (t && t->kind == ST_TOKEN_JOIN && t->uses > 0)
    t->uses--;
  if (!t || t->kind != ST_TOKEN_RESTORE)
    return;
  memcpy(t->bound, q->id, sizeof(t->bound));
  memcpy(h->reads, t->host, sizeof(h->reads));
  h->reads_until = t->expires;
  struct st_host *old = strcmp(t->host, q->id) ? st_access_find_host(q->a, t->host) : NULL;
  if (strcmp(t->host, q->id) != 0)
    memcpy(h->is.continues, t->host, sizeof(h->is.continues));
  if (old)
    memcpy(old->is.continued, q->id, sizeof(old->is.continued));
}

static int let_in(struct asking *q, enum st_host_state state, const char *by, struct st_error *err)
{
  ST_AUTO_FREE char *said =
      strcmp(by, "token") == 0 ? st_format("token %s", q->token->is.name) : st_strdup(by);
  if ((q->token && use_token(q, err) < 0) || write_host(q, state, said, err) < 0 ||
      write_continues(q, err) < 0)
    return -1;
  bool is_new = !q->host;
  note(q, state, said);
  st_access_note(q->a, false, "%s %s %s from %s%s%s%s%s", is_new ? "a new host" : "the host", q->id,
                 state == ST_HOST_PENDING ? "waits for approval" : "is let in", q->call->peer,
                 *said ? " by " : "", said, *q->host->is.continues ? ", and continues " : "",
                 q->host->is.continues);
  return 0;
}

/* A token that this host needs now: one that was used for it already does nothing more, one for
 * joining is of no use to who is in. */
static bool is_wanted(const struct asking *q, const struct st_token *t)
{
  if (t->is.kind == ST_TOKEN_RESTORE)
    return strcmp(t->is.bound, q->id) != 0;
  return t->is.kind == ST_TOKEN_JOIN && (!q->host || q->host->is.state == ST_HOST_PENDING);
}

/* Whether a restore token is presented that it may not use: it would find nothing to read. */
static bool is_others(const struct asking *q, const char *token)
{
  const struct st_token *t = token && *token == 'r' ? st_access_find_token(q->a, token) : NULL;
  if (!token || *token != 'r')
    return false;
  return !t ||
         (strcmp(t->is.bound, q->id) != 0 && !st_access_token_is_good(t, q->id, q->call->now));
}

static int enrol_in(struct asking *q, const char *token, struct st_access_refusal *why,
                    struct st_error *err)
{
  enum st_host_state state;
  const char *by;
  struct st_token *t = token ? st_access_find_token(q->a, token) : NULL;
  if (is_others(q, token))
    return refuse(why, 403,
                  "the restore token is not known, was revoked, has expired, or another host "
                  "used it");
  bool bound = t && t->is.kind == ST_TOKEN_RESTORE && strcmp(t->is.bound, q->id) == 0;
  if (t && is_wanted(q, t) && st_access_token_is_good(t, q->id, q->call->now))
    q->token = t;
  bool in = q->host && q->host->is.state == ST_HOST_APPROVED && q->host->has_key;
  if (in && !q->token)
    return 0;
  if (in || (q->host && q->host->is.state == ST_HOST_APPROVED)) {
    ST_AUTO_FREE char *said = st_strdup(q->host->is.by);
    return let_in(q, ST_HOST_APPROVED, said, err);
  }
  int r = decide(q, token && !bound, &state, &by, why);
  if (r == 0 && q->host && state == ST_HOST_PENDING && q->host->has_key)
    return 0;
  return r ? r : let_in(q, state, by, err);
}

/* Whether nothing at all has to be written: the case of every night. */
static bool is_settled(const struct asking *q, const char *token)
{
  const struct st_host *h = q->host;
  return h && h->has_key && h->is.state == ST_HOST_APPROVED && (!token || *token != 'r');
}

/* What may be lost with the power: the host is let in again by what let it in. */
static bool is_repeatable(const struct asking *q, const char *token)
{
  const struct st_token *t = token ? st_access_find_token(q->a, token) : NULL;
  return !token || (t && t->is.kind == ST_TOKEN_JOIN && t->is.uses < 0);
}

static int enrol(struct asking *q, const char *token, struct st_access_refusal *why,
                 struct st_error *err)
{
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  if (q->host && q->host->is.state == ST_HOST_DENIED)
    return refuse(why, 403, "the archive's administrator has denied this host");
  if (is_settled(q, token))
    return 0;
  if (st_access_start(q->a, is_repeatable(q, token), &in, err) < 0)
    return -1;
  q->host = st_access_find_host(q->a, q->id); /* of what is in the file now */
  if (q->host && q->host->is.state == ST_HOST_DENIED)
    return refuse(why, 403, "the archive's administrator has denied this host");
  int r = enrol_in(q, token, why, err);
  if (r < 0)
    return -1;
  return st_access_commit(&in, err) < 0 ? -1 : r;
}

/* ---- A signed request ---------------------------------------------------------------------------
 */

static int prove(struct st_access *a, const struct st_signed_request *request,
                 const char *content_digest, const char *input, const char *signature, int64_t now,
                 struct st_signature_proof *ret, struct st_access_refusal *why)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  if (*a->archive == 0 || strcmp(request->archive, a->archive) != 0)
    return refuse(why, 401, "the request is signed for another archive");
  if (request->server && !(a->is_server && a->is_server(a->is_server_arg, request->server)))
    return refuse(
        why, 421,
        "the request is signed for another server: where the host's join string is right, "
        "this one has to be told by serve --public as whom the host knows it");
  if (st_signature_check(request, content_digest, input, signature, now, ret, &err) < 0) {
    int64_t off = ret->created > now ? ret->created - now : now - ret->created;
    if (ret->created && off > ST_SIGNATURE_AGE)
      return refuse(why, 401, "the request was signed at another time: are both clocks right?");
    return refuse(why, 401, "the request's signature is wrong");
  }
  if (ret->created < a->started) /* its nonce may have been seen before that */
    return refuse(why, 401, "the request was signed before the server started: sign it again");
  return 0;
}

int st_access_by_signature(struct st_access *a, const struct st_signed_request *request,
                           const char *content_digest, const char *input, const char *signature,
                           const struct st_access_call *call, struct st_identity *ret,
                           struct st_access_refusal *why, struct st_error *err)
{
  struct st_signature_proof proof;
  *ret = (struct st_identity){0};
  int r = prove(a, request, content_digest, input, signature, call->now, &proof, why);
  if (r)
    return r;
  struct asking q = {.a = a, .proof = &proof, .call = call};
  st_host_id(q.id, proof.public_key);
  ST_ACCESS_HOLD(a);
  if (st_access_refresh(a, err) < 0)
    return -1;
  q.host = st_access_find_host(a, q.id);
  if (q.host && (r = remember_nonce(q.host, &proof, call->now, why)))
    return r;
  bool is_new = !q.host;
  r = enrol(&q, request->token, why, err);
  if (r)
    return r;
  if (is_new && (r = remember_nonce(q.host, &proof, call->now, why)))
    return r;
  return st_access_greet(a, q.host, call, true, ret, why, err);
}
