/* SPDX-License-Identifier: GPL-2.0-or-later */
/* access-tokens.c - join, restore and API tokens. */
#include <inttypes.h>
#include <string.h>

#include "archive-sync/serve/access-inside.h"
#include "systracker/base/escape.h"

#define RESTORE_LIFE 86400   /* seconds, unless said */
#define FORGET_AFTER 7776000 /* seconds after it expired: 90 days */

static void read_token(struct st_token *t, sqlite3_stmt *s)
{
#define TEXT(column) ((const char *)sqlite3_column_text(s, column))
  const char *kind = TEXT(1);
  memset(t, 0, sizeof(*t));
  st_access_copy(t->is.name, sizeof(t->is.name), TEXT(0));
  t->is.kind = kind && strchr("jra", *kind) ? (enum st_token_kind) * kind : ST_TOKEN_JOIN;
  if (sqlite3_column_bytes(s, 2) == sizeof(t->digest))
    memcpy(t->digest, sqlite3_column_blob(s, 2), sizeof(t->digest));
  t->is.created = sqlite3_column_int64(s, 3);
  t->is.expires = sqlite3_column_int64(s, 4);
  t->is.uses = sqlite3_column_int64(s, 5);
  st_access_copy(t->is.host, sizeof(t->is.host), TEXT(6));
  st_access_copy(t->is.bound, sizeof(t->is.bound), TEXT(7));
  int64_t role = sqlite3_column_int64(s, 8);
  t->is.role = role >= ST_ROLE_VIEWER && role <= ST_ROLE_ADMIN ? (enum st_role)role : ST_ROLE_NONE;
  st_access_copy(t->is.group, sizeof(t->is.group), TEXT(9));
  st_access_copy(t->is.by, sizeof(t->is.by), TEXT(10));
  t->is.revoked = sqlite3_column_int64(s, 11) != 0;
#undef TEXT
}

/* Whose history a host may read besides its own. */
static void grant(struct st_access *a, const struct st_token *t)
{
  struct st_host *h = *t->is.bound ? st_access_find_host(a, t->is.bound) : NULL;
  if (!h || t->is.kind != ST_TOKEN_RESTORE || t->is.revoked || t->is.expires <= h->reads_until)
    return;
  memcpy(h->reads, t->is.host, sizeof(h->reads));
  h->reads_until = t->is.expires;
}

int st_access_load_tokens(struct st_access *a, struct st_error *err)
{
  ST_AUTO_ACCESS_STMT *s = NULL;
  int r;
  a->ntokens = 0;
  for (size_t i = 0; i < a->nhosts; i++)
    a->hosts[i]->reads_until = a->hosts[i]->reads[0] = 0;
  if (st_access_prepare(a, &s,
                        "SELECT name, kind, digest, created, expires, uses, host, bound, role,"
                        " \"group\", by, revoked FROM token ORDER BY name",
                        err) < 0)
    return -1;
  while ((r = sqlite3_step(s)) == SQLITE_ROW) {
    ST_GROW(a->tokens, a->ntokens, a->tokens_size);
    read_token(&a->tokens[a->ntokens], s);
    grant(a, &a->tokens[a->ntokens++]);
  }
  return r == SQLITE_DONE ? 0 : st_access_fail(a, "cannot read", err);
}

struct st_token *st_access_find_token(struct st_access *a, const char *text)
{
  uint8_t digest[ST_DIGEST_SIZE];
  struct st_token *found = NULL;
  st_digest(digest, text, strlen(text));
  for (size_t i = 0; i < a->ntokens; i++)
    if (st_access_same(digest, a->tokens[i].digest, sizeof(digest)))
      found = &a->tokens[i];
  return found && (char)found->is.kind == *text ? found : NULL;
}

bool st_access_token_is_good(const struct st_token *t, const char *host, int64_t now)
{
  if (t->is.revoked || (t->is.expires && t->is.expires <= now) || t->is.uses == 0)
    return false;
  return t->is.kind != ST_TOKEN_RESTORE || !*t->is.bound || strcmp(t->is.bound, host) == 0;
}

/* ---- For administrators -------------------------------------------------------------------------
 */

static struct st_token *find_by_name(struct st_access *a, const char *name)
{
  for (size_t i = 0; i < a->ntokens; i++)
    if (strcmp(a->tokens[i].is.name, name) == 0)
      return &a->tokens[i];
  return NULL;
}

static const char *kind_name(enum st_token_kind kind)
{
  return kind == ST_TOKEN_API ? "api" : kind == ST_TOKEN_RESTORE ? "restore" : "join";
}

/* "join-3": the first that is free. */
static void take_name(struct st_access *a, struct st_access_token *t)
{
  const char *kind = kind_name(t->kind);
  for (unsigned i = 1; *t->name == 0 || find_by_name(a, t->name); i++)
    snprintf(t->name, sizeof(t->name), "%s-%u", kind, i);
}

static int check_token(struct st_access *a, struct st_access_token *t, int64_t now,
                       struct st_error *err)
{
  uint8_t raw[(ST_HOST_ID_SIZE - 1) / 2];
  if (*t->name && st_access_check_name("token", t->name, err) < 0)
    return -1;
  if (*t->name && find_by_name(a, t->name))
    return st_refuse(err, "there is a token of this name already (%s)", t->name);
  if (t->kind == ST_TOKEN_RESTORE && !st_unhex(raw, sizeof(raw), t->host))
    return st_refuse(err, "a restore token is for a host, named by its whole id");
  if (t->kind == ST_TOKEN_API && (t->role < ST_ROLE_VIEWER || t->role > ST_ROLE_ADMIN))
    return st_refuse(err, "a token for the API has a role: viewer, operator or admin");
  if (*t->group && (t->kind != ST_TOKEN_API || t->role == ST_ROLE_ADMIN))
    return st_refuse(err, "a group's token is one for the API, of a viewer or operator");
  if (*t->group && !st_strings_has(&a->groups, t->group))
    return st_refuse(err, "there is no such group (%s)", st_quote(t->group));
  if (t->expires && t->expires <= now)
    return st_refuse(err, "the token would have expired already");
  if (a->ntokens >= ST_ACCESS_TOKENS)
    return st_refuse(err, "there are %d tokens already", ST_ACCESS_TOKENS);
  take_name(a, t);
  return 0;
}

static int insert_token(struct st_access *a, const struct st_access_token *t, const char *secret,
                        int64_t now, struct st_error *err)
{
  uint8_t digest[ST_DIGEST_SIZE];
  const char kind[2] = {(char)t->kind};
  st_digest(digest, secret, strlen(secret));
  if (st_access_run(a, err, NULL, "DELETE FROM token WHERE expires != 0 AND expires < ?", "i",
                    now - FORGET_AFTER) < 0)
    return -1;
  return st_access_run(
      a, err, NULL, "INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, '', ?, ?, ?, 0)", "ssbiiisiss",
      t->name, kind, digest, now, t->expires, t->uses, t->host, (int64_t)t->role, t->group, t->by);
}

int st_access_add_token(struct st_access *a, const struct st_access_token *token, int64_t now,
                        char ret_token[ST_ACCESS_TOKEN_SIZE], struct st_error *err)
{
  struct st_access_token t = *token;
  char secret[ST_ACCESS_TOKEN_SIZE];
  if (t.kind == ST_TOKEN_RESTORE && !t.expires)
    t.expires = now + RESTORE_LIFE;
  if (t.kind != ST_TOKEN_JOIN)
    t.uses = -1;
  ST_ACCESS_HOLD(a);
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  if (st_access_start(a, false, &in, err) < 0 || check_token(a, &t, now, err) < 0 ||
      st_access_make_secret((char)t.kind, secret, err) < 0 ||
      insert_token(a, &t, secret, now, err) < 0 || st_access_commit(&in, err) < 0)
    return -1;
  st_access_note(a, false, "the token %s (%s) is made by %s%s%s", t.name, kind_name(t.kind), t.by,
                 *t.host ? " for host " : "", t.host);
  memcpy(ret_token, secret, sizeof(secret));
  explicit_bzero(secret, sizeof(secret));
  a->seen = -1;
  return st_access_refresh(a, err);
}

int st_access_revoke_token(struct st_access *a, const char *name, struct st_error *err)
{
  int changes;
  ST_ACCESS_HOLD(a);
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  if (st_access_start(a, false, &in, err) < 0 ||
      st_access_run(a, err, &changes, "UPDATE token SET revoked = 1 WHERE name = ?", "s", name) < 0)
    return -1;
  if (changes == 0)
    return st_refuse(err, "there is no such token (%s)", st_quote(name));
  if (st_access_commit(&in, err) < 0)
    return -1;
  st_access_note(a, false, "the token %s is revoked", name);
  a->seen = -1;
  return st_access_refresh(a, err);
}

int st_access_tokens(struct st_access *a, st_access_token_fn *fn, void *arg, struct st_error *err)
{
  ST_AUTO_FREE struct st_access_token *list = NULL;
  size_t n;
  {
    ST_ACCESS_HOLD(a);
    if (st_access_refresh(a, err) < 0)
      return -1;
    n = a->ntokens;
    list = st_calloc(n + 1, sizeof(*list));
    for (size_t i = 0; i < n; i++)
      list[i] = a->tokens[i].is;
  }
  for (size_t i = 0; i < n; i++)
    if (fn(arg, &list[i], err) < 0)
      return -1;
  return 0;
}
