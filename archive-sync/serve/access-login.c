/* SPDX-License-Identifier: GPL-2.0-or-later */
/* access-login.c - people: name and password, and the cookie that stands for them. */
#include <inttypes.h>
#include <string.h>

#include "archive-sync/serve/access-inside.h"
#include "systracker/base/base64.h"
#include "systracker/base/escape.h"

#define LOGINS_OF_ONE 16 /* at once */
#define HASHING_MOST 4   /* passwords that are proved or wait for it */
#define ADDRESSES 20     /* of a user, from which he logged in */
#define SECRET_BYTES 30

static int refuse(struct st_access_refusal *why, unsigned status, const char *text)
{
  *why = (struct st_access_refusal){status, text};
  return 1;
}

/* ---- Cookies ------------------------------------------------------------------------------------
 */

/* "l", then the login's place and what is secret, in base64url. */
static struct st_login *find_login(struct st_access *a, const char *cookie)
{
  ST_AUTO_BUFFER raw = ST_BUFFER_INIT;
  uint8_t digest[ST_DIGEST_SIZE];
  uint16_t place;
  size_t n = strnlen(cookie, ST_ACCESS_TOKEN_SIZE);
  if (!a->logins || n < 2 || *cookie != 'l' || !st_unbase64url(&raw, cookie + 1, n - 1) ||
      raw.length != sizeof(place) + SECRET_BYTES)
    return NULL;
  memcpy(&place, raw.data, sizeof(place));
  explicit_bzero(raw.data, raw.length);
  st_digest(digest, cookie, n);
  struct st_login *l = &a->logins[place % ST_ACCESS_LOGINS];
  return l->expires && st_access_same(digest, l->digest, sizeof(digest)) ? l : NULL;
}

int st_access_by_cookie(struct st_access *a, const char *token, const struct st_access_call *call,
                        struct st_identity *ret, struct st_access_refusal *why,
                        struct st_error *err)
{
  *ret = (struct st_identity){0};
  ST_ACCESS_HOLD(a);
  if (st_access_refresh(a, err) < 0)
    return -1;
  const struct st_login *l = find_login(a, token);
  const struct st_user *u = l ? st_access_find_user(a, l->user) : NULL;
  if (!u || l->expires <= call->now || l->version != u->version)
    return refuse(why, 401, "the login is over: log in again");
  ret->role = st_access_highest_role(a, u);
  memcpy(ret->user, u->is.name, sizeof(u->is.name));
  memcpy(ret->form_token, l->form_token, sizeof(ret->form_token));
  return 0;
}

void st_access_logout(struct st_access *a, const char *cookie)
{
  ST_ACCESS_HOLD(a);
  struct st_login *l = find_login(a, cookie);
  if (l)
    explicit_bzero(l, sizeof(*l));
}

/* ---- Logging in ---------------------------------------------------------------------------------
 */

/* A free place; else the one that ends first, of the same user where he has many. */
static size_t find_place(struct st_access *a, const char *user, int64_t now)
{
  size_t mine = 0, first = SIZE_MAX, free_place = SIZE_MAX, own = SIZE_MAX;
  if (!a->logins)
    a->logins = st_calloc(ST_ACCESS_LOGINS, sizeof(*a->logins));
  for (size_t i = 0; i < ST_ACCESS_LOGINS; i++) {
    const struct st_login *l = &a->logins[i];
    if (l->expires <= now) {
      free_place = i;
      continue;
    }
    if (first == SIZE_MAX || l->expires < a->logins[first].expires)
      first = i;
    if (strcmp(l->user, user) != 0)
      continue;
    mine++;
    if (own == SIZE_MAX || l->expires < a->logins[own].expires)
      own = i;
  }
  if (mine >= LOGINS_OF_ONE)
    return own;
  return free_place != SIZE_MAX ? free_place : first;
}

static int make_login(struct st_access *a, const struct st_user *u, int64_t now,
                      char ret_cookie[ST_ACCESS_TOKEN_SIZE], struct st_error *err)
{
  uint8_t raw[sizeof(uint16_t) + SECRET_BYTES];
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  uint16_t place = (uint16_t)find_place(a, u->is.name, now);
  struct st_login *l = &a->logins[place];
  memset(l, 0, sizeof(*l));
  if (st_random(raw, sizeof(raw), err) < 0 || st_access_make_secret('f', l->form_token, err) < 0)
    return -1;
  memcpy(raw, &place, sizeof(place));
  st_buffer_append_byte(&text, 'l');
  st_base64url(&text, raw, sizeof(raw));
  memcpy(ret_cookie, text.data, text.length + 1);
  st_digest(l->digest, text.data, text.length);
  explicit_bzero(text.data, text.length);
  explicit_bzero(raw, sizeof(raw));
  memcpy(l->user, u->is.name, sizeof(l->user));
  l->version = u->version;
  l->expires = now + ST_ACCESS_LOGIN;
  return 0;
}

static int was_here(struct st_access *a, const char *user, const char *peer, bool *ret,
                    struct st_error *err)
{
  ST_AUTO_ACCESS_STMT *s = NULL;
  if (st_access_prepare(a, &s, "SELECT 1 FROM user_address WHERE user = ? AND address = ?", err) <
      0)
    return -1;
  sqlite3_bind_text(s, 1, user, -1, SQLITE_TRANSIENT);
  sqlite3_bind_text(s, 2, peer, -1, SQLITE_TRANSIENT);
  *ret = sqlite3_step(s) == SQLITE_ROW;
  return 0;
}

static int note_address(struct st_access *a, const char *user, const char *peer, int64_t now,
                        struct st_error *err)
{
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  if (st_access_start(a, true, &in, err) < 0 ||
      st_access_run(a, err, NULL, "INSERT OR REPLACE INTO user_address VALUES (?, ?, ?)", "ssi",
                    user, peer, now) < 0 ||
      st_access_run(a, err, NULL,
                    "DELETE FROM user_address WHERE user = ?1 AND address NOT IN (SELECT address"
                    " FROM user_address WHERE user = ?1 ORDER BY time DESC LIMIT ?2)",
                    "si", user, (int64_t)ADDRESSES) < 0)
    return -1;
  return st_access_commit(&in, err);
}

/* What is needed to prove the password without holding the lock. */
struct attempt {
  const char *user, *password, *peer;
  int64_t now;
  bool known;      /* the user logged in from there before */
  char *encoded;   /* NULL: there is no such user */
  int64_t version; /* of the user's password then */
};

static int begin(struct st_access *a, struct attempt *t, struct st_access_refusal *why,
                 struct st_error *err)
{
  ST_ACCESS_HOLD(a);
  if (st_access_refresh(a, err) < 0 || was_here(a, t->user, t->peer, &t->known, err) < 0)
    return -1;
  if (st_guesses_wait(a->guesses, t->user, t->peer, t->known, t->now) > 0)
    return refuse(why, 429, "too many wrong passwords: wait a minute");
  /* Counted as wrong until it is right: many at once are many. */
  st_guesses_wrong(a->guesses, t->user, t->peer, t->known, t->now);
  const struct st_user *u = st_access_find_user(a, t->user);
  t->encoded = u ? st_strdup(u->password) : NULL;
  t->version = u ? u->version : 0;
  return 0;
}

static int end(struct st_access *a, const struct attempt *t, char ret_cookie[ST_ACCESS_TOKEN_SIZE],
               struct st_access_refusal *why, struct st_error *err)
{
  ST_ACCESS_HOLD(a);
  st_guesses_right(a->guesses, NULL, t->peer);
  st_guesses_right(a->guesses, t->user, NULL);
  st_guesses_right(a->guesses, t->user, t->peer);
  if (!t->known && note_address(a, t->user, t->peer, t->now, err) < 0)
    return -1;
  const struct st_user *u = st_access_find_user(a, t->user);
  if (!u || u->version != t->version)
    return refuse(why, 401, "name or password is wrong");
  st_access_note(a, false, "%s has logged in from %s", u->is.name, t->peer);
  return make_login(a, u, t->now, ret_cookie, err);
}

/* One at a time, as each takes 32 MiB; few wait. */
static int prove(struct st_access *a, const struct attempt *t, struct st_access_refusal *why)
{
  bool good = false;
  if (__atomic_add_fetch(&a->hashing, 1, __ATOMIC_RELAXED) <= HASHING_MOST) {
    pthread_mutex_lock(&a->hash_lock);
    good = st_password_is(t->encoded, t->password);
    pthread_mutex_unlock(&a->hash_lock);
    refuse(why, 401, "name or password is wrong");
  } else {
    refuse(why, 503, "too many log in just now: try again");
  }
  __atomic_sub_fetch(&a->hashing, 1, __ATOMIC_RELAXED);
  return good ? 0 : 1;
}

static void note_refused(struct st_access *a, const struct attempt *t,
                         const struct st_access_refusal *why)
{
  ST_ACCESS_HOLD(a);
  st_access_note(a, false, "a login as %s from %s was refused: %s", st_quote(t->user), t->peer,
                 why->text);
}

int st_access_login(struct st_access *a, const char *user, const char *password, const char *peer,
                    int64_t now, char ret_cookie[ST_ACCESS_TOKEN_SIZE],
                    struct st_access_refusal *why, struct st_error *err)
{
  struct attempt t = {.user = user, .password = password, .peer = peer, .now = now};
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  if (st_access_check_name("user", user, &ignored) < 0)
    return refuse(why, 401, "name or password is wrong");
  int r = begin(a, &t, why, err);
  if (r == 0)
    r = prove(a, &t, why);
  ST_AUTO_FREE char *encoded = t.encoded;
  if (r == 1)
    note_refused(a, &t, why);
  return r ? r : end(a, &t, ret_cookie, why, err);
}
