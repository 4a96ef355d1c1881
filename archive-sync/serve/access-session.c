/* SPDX-License-Identifier: GPL-2.0-or-later */
/* access-session.c - hosts once they are known: sessions, quota, which boot it is. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "archive-sync/serve/access-inside.h"
#include "systracker/base/base64.h"
#include "systracker/base/escape.h"

#define ID_BYTES ((ST_HOST_ID_SIZE - 1) / 2)
#define SECRET_BYTES 24
/* Two of them take turns: the one that was left came back, and then the other did. */
#define TWIN_RETURNS 2
#define TWIN_NOTICE (14 * 86400) /* seconds without another return, and it is forgotten */

static int refuse(struct st_access_refusal *why, unsigned status, const char *text)
{
  *why = (struct st_access_refusal){status, text};
  return 1;
}

/* ---- Two machines with one key ------------------------------------------------------------------
 */

static void leave(struct st_host *h, size_t back)
{
  struct st_left now;
  memcpy(now.instance, h->instance, sizeof(now.instance));
  memcpy(now.address, h->is.address, sizeof(now.address));
  memmove(h->left + 1, h->left, back * sizeof(*h->left));
  h->left[0] = now;
}

static size_t find_left(const struct st_host *h, const char *instance)
{
  size_t i = 0;
  while (i < ST_ACCESS_LEFT && strcmp(h->left[i].instance, instance) != 0)
    i++;
  return i;
}

static void notice_return(struct st_access *a, struct st_host *h, int64_t now)
{
  if (++h->returns < TWIN_RETURNS)
    return;
  if (!h->is.twins)
    st_access_note(
        a, true,
        "two machines use the key of host %s and take turns, from %s and %s: is one a copy?",
        h->is.id, h->is.address, h->left[0].address);
  h->is.twins = now;
  memcpy(h->is.twin, h->left[0].address, sizeof(h->is.twin));
}

static int write_instance(struct st_access *a, const struct st_host *h, struct st_error *err)
{
  ST_AUTO_BUFFER left = ST_BUFFER_INIT;
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  for (size_t i = 0; i < ST_ACCESS_LEFT && *h->left[i].instance; i++)
    st_buffer_printf(&left, "%s %s\n", h->left[i].instance, h->left[i].address);
  if (st_access_start(a, true, &in, err) < 0 ||
      st_access_run(a, err, NULL,
                    "UPDATE host SET instance = ?, address = ?, earlier = ?, returns = ?,"
                    " twins = ?, twin = ? WHERE id = ?",
                    "sssiiss", h->instance, h->is.address, left.data ? left.data : "", h->returns,
                    h->is.twins, h->is.twin, h->is.id) < 0)
    return -1;
  return st_access_commit(&in, err);
}

/* A boot that ended never comes back; a machine that was set back to a snapshot with its memory
 * does once, and then goes on. */
static int note_instance(struct st_access *a, struct st_host *h, const struct st_access_call *call,
                         struct st_error *err)
{
  const char *instance = call->instance;
  if (!instance || !st_instance_is(instance) || strcmp(instance, h->instance) == 0)
    return 0;
  size_t back = *h->instance ? find_left(h, instance) : ST_ACCESS_LEFT;
  if (h->is.twins && h->is.twins < call->now - TWIN_NOTICE)
    h->is.twins = h->returns = h->is.twin[0] = 0;
  if (*h->instance)
    leave(h, back < ST_ACCESS_LEFT ? back : ST_ACCESS_LEFT - 1);
  memcpy(h->instance, instance, sizeof(h->instance));
  st_access_copy(h->is.address, sizeof(h->is.address), call->peer);
  if (back < ST_ACCESS_LEFT)
    notice_return(a, h, call->now);
  return write_instance(a, h, err);
}

/* ---- Who it is ----------------------------------------------------------------------------------
 */

static bool is_within_requests(struct st_host *h, int64_t now)
{
  if (h->day != now / 86400) {
    h->day = now / 86400;
    h->requests = 0;
  }
  return h->requests++ < ST_PENDING_REQUESTS;
}

int st_access_greet(struct st_access *a, struct st_host *h, const struct st_access_call *call,
                    bool is_signed, struct st_identity *ret, struct st_access_refusal *why,
                    struct st_error *err)
{
  if (h->is.state == ST_HOST_DENIED)
    return refuse(why, 403, "the archive's administrator has denied this host");
  if (h->is.state == ST_HOST_PENDING && !is_within_requests(h, call->now))
    return refuse(why, 429, "the host waits for approval, and has asked too often today");
  *ret = (struct st_identity){
      .role = ST_ROLE_HOST, .pending = h->is.state == ST_HOST_PENDING, .is_signed = is_signed};
  memcpy(ret->host, h->is.id, sizeof(ret->host));
  memcpy(ret->public_key, h->key, sizeof(ret->public_key));
  if (h->reads_until > call->now)
    memcpy(ret->reads, h->reads, sizeof(ret->reads));
  return note_instance(a, h, call, err);
}

/* ---- Sessions -----------------------------------------------------------------------------------
 */

/* "s", then the host's id and what is secret, in base64url. */
static bool session_host(const char *token, char ret[ST_HOST_ID_SIZE])
{
  ST_AUTO_BUFFER raw = ST_BUFFER_INIT;
  size_t n = strnlen(token, ST_ACCESS_TOKEN_SIZE);
  if (n < 2 || *token != 's' || !st_unbase64url(&raw, token + 1, n - 1) ||
      raw.length != ID_BYTES + SECRET_BYTES)
    return false;
  st_hex(ret, raw.data, ID_BYTES);
  explicit_bzero(raw.data, raw.length);
  return true;
}

int st_access_by_session(struct st_access *a, const char *token, const struct st_access_call *call,
                         struct st_identity *ret, struct st_access_refusal *why,
                         struct st_error *err)
{
  char id[ST_HOST_ID_SIZE];
  uint8_t digest[ST_DIGEST_SIZE];
  bool good = false;
  st_digest(digest, token, strlen(token));
  struct st_host *h = session_host(token, id) ? st_access_find_host(a, id) : NULL;
  for (size_t i = 0; h && i < ST_ACCESS_SESSIONS; i++)
    good |= st_access_same(digest, h->sessions[i].digest, sizeof(digest)) &&
            h->sessions[i].expires > call->now;
  if (!good)
    return refuse(why, 401, "the session is over, or never was: sign a request");
  return st_access_greet(a, h, call, false, ret, why, err);
}

static int make_session(const char *id, char ret[ST_ACCESS_TOKEN_SIZE], struct st_error *err)
{
  uint8_t raw[ID_BYTES + SECRET_BYTES];
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  if (!st_unhex(raw, ID_BYTES, id) || st_random(raw + ID_BYTES, SECRET_BYTES, err) < 0)
    return st_wrap(err, "cannot begin a session");
  st_buffer_append_byte(&text, 's');
  st_base64url(&text, raw, sizeof(raw));
  memcpy(ret, text.data, text.length + 1);
  explicit_bzero(raw, sizeof(raw));
  explicit_bzero(text.data, text.length);
  return 0;
}

int st_access_begin_session_at(struct st_access *a, const struct st_identity *who, int64_t now,
                               char ret_token[ST_ACCESS_TOKEN_SIZE], int64_t *ret_expires,
                               struct st_error *err)
{
  if (!*who->host || make_session(who->host, ret_token, err) < 0)
    return -1;
  ST_ACCESS_HOLD(a);
  struct st_host *h = st_access_find_host(a, who->host);
  if (!h || h->is.state == ST_HOST_DENIED)
    return st_fail(err, 0, "the host is gone");
  struct st_session *oldest = h->sessions;
  for (size_t i = 1; i < ST_ACCESS_SESSIONS; i++)
    if (h->sessions[i].expires < oldest->expires)
      oldest = &h->sessions[i];
  st_digest(oldest->digest, ret_token, strlen(ret_token));
  oldest->expires = *ret_expires = now + ST_ACCESS_LIFE;
  return 0;
}

int st_access_begin_session(struct st_access *a, const struct st_identity *who, char ret_token[65],
                            int64_t *ret_expires, struct st_error *err)
{
  return st_access_begin_session_at(a, who, time(NULL), ret_token, ret_expires, err);
}

/* ---- Quota --------------------------------------------------------------------------------------
 */

bool st_access_spend(struct st_access *a, const struct st_identity *who, uint64_t bytes)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT; /* what cannot be counted is not taken */
  ST_ACCESS_HOLD(a);
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  struct st_host *h = st_access_find_host(a, who->host);
  int64_t all = 0;
  if (!h || h->is.state != ST_HOST_PENDING)
    return h != NULL;
  for (size_t i = 0; i < a->nhosts; i++)
    if (a->hosts[i]->is.state == ST_HOST_PENDING)
      all += a->hosts[i]->is.bytes;
  if (bytes > ST_PENDING_BYTES || h->is.bytes + (int64_t)bytes > ST_PENDING_BYTES ||
      all + (int64_t)bytes > ST_PENDING_ALL)
    return false;
  if (st_access_start(a, true, &in, &ignored) < 0 ||
      st_access_run(a, &ignored, NULL, "UPDATE host SET bytes = bytes + ? WHERE id = ?", "is",
                    (int64_t)bytes, who->host) < 0 ||
      st_access_commit(&in, &ignored) < 0)
    return false;
  h = st_access_find_host(a, who->host); /* it may have been read again */
  h->is.bytes += (int64_t)bytes;
  return true;
}

/* ---- Any bearer token ---------------------------------------------------------------------------
 */

int st_access_by_bearer(struct st_access *a, const char *token, const struct st_access_call *call,
                        struct st_identity *ret, struct st_access_refusal *why,
                        struct st_error *err)
{
  *ret = (struct st_identity){0};
  ST_ACCESS_HOLD(a);
  if (st_access_refresh(a, err) < 0)
    return -1;
  return *token == 'a' ? st_access_by_api_token(a, token, call, ret, why, err)
                       : st_access_by_session(a, token, call, ret, why, err);
}
