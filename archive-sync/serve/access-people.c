/* SPDX-License-Identifier: GPL-2.0-or-later */
/* access-people.c - users and groups, and what they may do with which hosts. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "archive-sync/serve/access-inside.h"
#include "systracker/base/escape.h"

#define TOKEN_USER "token "

static const char *const roles[] = {"none", "host", "viewer", "operator", "admin"};

const char *st_role_name(enum st_role r)
{
  return roles[r];
}

bool st_role_of(const char *name, enum st_role *ret)
{
  for (size_t i = 0; i < ST_COUNT(roles); i++)
    if (i != ST_ROLE_HOST && strcmp(name, roles[i]) == 0) {
      *ret = (enum st_role)i;
      return true;
    }
  return false;
}

/* ---- In memory ----------------------------------------------------------------------------------
 */

static void free_users(struct st_access *a)
{
  for (size_t i = 0; i < a->nusers; i++)
    free(a->users[i].password);
  a->nusers = 0;
}

void st_access_free_people(struct st_access *a)
{
  free_users(a);
  free(a->users);
  free(a->members);
  st_strings_free(&a->groups);
  if (a->group_hosts)
    st_set_free(a->group_hosts);
}

#define TEXT(column) ((const char *)sqlite3_column_text(s, column))

static enum st_role read_role(sqlite3_stmt *s, int column)
{
  int64_t r = sqlite3_column_int64(s, column);
  return r >= ST_ROLE_VIEWER && r <= ST_ROLE_ADMIN ? (enum st_role)r : ST_ROLE_NONE;
}

static int load_users(struct st_access *a, struct st_error *err)
{
  ST_AUTO_ACCESS_STMT *s = NULL;
  int r;
  free_users(a);
  if (st_access_prepare(a, &s, "SELECT name, role, password, version, created FROM user ORDER BY 1",
                        err) < 0)
    return -1;
  while ((r = sqlite3_step(s)) == SQLITE_ROW) {
    ST_GROW(a->users, a->nusers, a->users_size);
    struct st_user *u = &a->users[a->nusers++];
    memset(u, 0, sizeof(*u));
    st_access_copy(u->is.name, sizeof(u->is.name), TEXT(0));
    u->is.role = read_role(s, 1);
    u->password = st_strdup(TEXT(2) ? TEXT(2) : "");
    u->version = sqlite3_column_int64(s, 3);
    u->is.created = sqlite3_column_int64(s, 4);
  }
  return r == SQLITE_DONE ? 0 : st_access_fail(a, "cannot read", err);
}

static int load_groups(struct st_access *a, struct st_error *err)
{
  ST_AUTO_ACCESS_STMT *s = NULL;
  int r;
  st_strings_free(&a->groups);
  a->groups = (struct st_strings){0};
  a->nmembers = 0;
  if (a->group_hosts)
    st_set_free(a->group_hosts);
  a->group_hosts = st_set_new();
  if (st_access_prepare(a, &s,
                        "SELECT name, NULL, NULL, 0 FROM \"group\" UNION ALL"
                        " SELECT \"group\", host, NULL, 0 FROM group_host UNION ALL"
                        " SELECT \"group\", NULL, user, role FROM group_user",
                        err) < 0)
    return -1;
  while ((r = sqlite3_step(s)) == SQLITE_ROW) {
    const char *group = TEXT(0) ? TEXT(0) : "";
    if (TEXT(1)) {
      ST_AUTO_FREE char *key = st_format("%s/%s", group, TEXT(1));
      st_set_add(a->group_hosts, key, strlen(key), 0);
    } else if (TEXT(2)) {
      ST_GROW(a->members, a->nmembers, a->members_size);
      struct st_member *m = &a->members[a->nmembers++];
      st_access_copy(m->group, sizeof(m->group), group);
      st_access_copy(m->user, sizeof(m->user), TEXT(2));
      m->role = read_role(s, 3);
    } else {
      st_strings_add(&a->groups, group);
    }
  }
  return r == SQLITE_DONE ? 0 : st_access_fail(a, "cannot read", err);
}
#undef TEXT

int st_access_load_people(struct st_access *a, struct st_error *err)
{
  return load_users(a, err) < 0 || load_groups(a, err) < 0 ? -1 : 0;
}

struct st_user *st_access_find_user(struct st_access *a, const char *name)
{
  for (size_t i = 0; i < a->nusers; i++)
    if (strcmp(a->users[i].is.name, name) == 0)
      return &a->users[i];
  return NULL;
}

enum st_role st_access_highest_role(struct st_access *a, const struct st_user *u)
{
  enum st_role role = u->is.role;
  for (size_t i = 0; i < a->nmembers; i++)
    if (strcmp(a->members[i].user, u->is.name) == 0 && a->members[i].role > role)
      role = a->members[i].role;
  return role;
}

/* ---- What they may do ---------------------------------------------------------------------------
 */

static bool group_has(struct st_access *a, const char *group, const char *host)
{
  char key[ST_ACCESS_NAME_SIZE + ST_HOST_ID_SIZE];
  int n = snprintf(key, sizeof(key), "%s/%.32s", group, host); /* without "/epoch-N" */
  return n > 0 && st_set_get(a->group_hosts, key, (size_t)n, NULL);
}

/* A token's role is its own; a person's is what the list of users says by now. */
static enum st_role role_of_token(struct st_access *a, const char *name, const char *host)
{
  for (size_t i = 0; i < a->ntokens; i++) {
    const struct st_access_token *t = &a->tokens[i].is;
    if (t->kind != ST_TOKEN_API || strcmp(t->name, name) != 0)
      continue;
    bool in = *t->group == 0 || (host && group_has(a, t->group, host));
    return in && !t->revoked ? t->role : ST_ROLE_NONE;
  }
  return ST_ROLE_NONE;
}

/* `host` NULL: with all hosts. */
static enum st_role role_with(struct st_access *a, const struct st_identity *who, const char *host)
{
  if (strncmp(who->user, TOKEN_USER, strlen(TOKEN_USER)) == 0)
    return role_of_token(a, who->user + strlen(TOKEN_USER), host);
  const struct st_user *u = *who->user ? st_access_find_user(a, who->user) : NULL;
  enum st_role role = u ? u->is.role : ST_ROLE_NONE;
  for (size_t i = 0; u && host && i < a->nmembers; i++) {
    const struct st_member *m = &a->members[i];
    if (m->role > role && strcmp(m->user, who->user) == 0 && group_has(a, m->group, host))
      role = m->role;
  }
  return role;
}

/* "ID" or "ID/epoch-N". */
static bool is_host_name(const char *host)
{
  size_t n = strspn(host, "0123456789abcdef");
  if (n != ST_HOST_ID_SIZE - 1)
    return false;
  host += n;
  if (*host == 0)
    return true;
  n = strlen("/epoch-");
  return strncmp(host, "/epoch-", n) == 0 && host[n] &&
         strspn(host + n, "0123456789") == strlen(host + n);
}

static bool is_own(const char *own, const char *host)
{
  return *own && strncmp(own, host, ST_HOST_ID_SIZE - 1) == 0;
}

bool st_access_may_see(struct st_access *a, const struct st_identity *who, const char *host)
{
  if (!is_host_name(host))
    return false;
  if (who->role == ST_ROLE_HOST)
    return is_own(who->host, host) || is_own(who->reads, host);
  ST_ACCESS_HOLD(a);
  return role_with(a, who, host) >= ST_ROLE_VIEWER;
}

bool st_access_sees_all(struct st_access *a, const struct st_identity *who)
{
  ST_ACCESS_HOLD(a);
  return who->role >= ST_ROLE_VIEWER && role_with(a, who, NULL) >= ST_ROLE_VIEWER;
}

bool st_access_may_read(struct st_access *a, const struct st_identity *who, const char *host)
{
  if (!st_access_may_see(a, who, host))
    return false;
  ST_AUTO_FREE char *folder = st_format("hosts/%s", host);
  return faccessat(a->dir, folder, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool st_access_may_operate(struct st_access *a, const struct st_identity *who, const char *host)
{
  if (who->role < ST_ROLE_OPERATOR || !is_host_name(host))
    return false;
  ST_ACCESS_HOLD(a);
  return role_with(a, who, host) >= ST_ROLE_OPERATOR;
}

int st_access_by_api_token(struct st_access *a, const char *token,
                           const struct st_access_call *call, struct st_identity *ret,
                           struct st_access_refusal *why, struct st_error *err)
{
  (void)err;
  const struct st_token *t = st_access_find_token(a, token);
  if (!t || t->is.kind != ST_TOKEN_API || !st_access_token_is_good(t, "", call->now)) {
    *why = (struct st_access_refusal){401, "the token is not known, was revoked, or has expired"};
    return 1;
  }
  *ret = (struct st_identity){.role = t->is.role};
  snprintf(ret->user, sizeof(ret->user), TOKEN_USER "%s", t->is.name);
  return 0;
}

/* ---- Users --------------------------------------------------------------------------------------
 */

static int new_version(int64_t *ret, struct st_error *err)
{
  if (st_random(ret, sizeof(*ret), err) < 0)
    return -1;
  *ret &= INT64_MAX;
  return 0;
}

int st_access_add_user(struct st_access *a, const char *name, enum st_role role,
                       const char *password, struct st_error *err)
{
  ST_AUTO_FREE char *encoded = NULL;
  int64_t version;
  if (st_access_check_name("user", name, err) < 0 || new_version(&version, err) < 0 ||
      st_password_hash(password, &encoded, err) < 0)
    return -1;
  ST_ACCESS_HOLD(a);
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  if (st_access_start(a, false, &in, err) < 0)
    return -1;
  if (st_access_find_user(a, name))
    return st_refuse(err, "there is a user of this name already (%s)", name);
  if (st_access_run(a, err, NULL, "INSERT INTO user VALUES (?, ?, ?, ?, ?)", "sisii", name,
                    (int64_t)role, encoded, version, (int64_t)time(NULL)) < 0 ||
      st_access_commit(&in, err) < 0)
    return -1;
  st_access_note(a, false, "the user %s is there now, role %s", name, roles[role]);
  a->seen = -1;
  return st_access_refresh(a, err);
}

static int no_such(const char *what, const char *name, struct st_error *err)
{
  return st_refuse(err, "there is no such %s (%s)", what, st_quote(name));
}

/* Ends a change of one row, or says that there is none. */
static int finish(struct st_access **in, int changes, const char *what, const char *name,
                  struct st_error *err)
{
  struct st_access *a = *in;
  if (changes == 0)
    return no_such(what, name, err);
  if (st_access_commit(in, err) < 0)
    return -1;
  st_access_note(a, false, "the %s %s was changed", what, name);
  a->seen = -1;
  return st_access_refresh(a, err);
}

int st_access_set_password(struct st_access *a, const char *name, const char *password,
                           struct st_error *err)
{
  ST_AUTO_FREE char *encoded = NULL;
  int64_t version;
  int changes;
  if (new_version(&version, err) < 0 || st_password_hash(password, &encoded, err) < 0)
    return -1;
  ST_ACCESS_HOLD(a);
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  if (st_access_start(a, false, &in, err) < 0 ||
      st_access_run(a, err, &changes, "UPDATE user SET password = ?, version = ? WHERE name = ?",
                    "sis", encoded, version, name) < 0)
    return -1;
  return finish(&in, changes, "user", name, err);
}

int st_access_set_role(struct st_access *a, const char *name, enum st_role role,
                       struct st_error *err)
{
  int changes;
  ST_ACCESS_HOLD(a);
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  if (st_access_start(a, false, &in, err) < 0 ||
      st_access_run(a, err, &changes, "UPDATE user SET role = ? WHERE name = ?", "is",
                    (int64_t)role, name) < 0)
    return -1;
  return finish(&in, changes, "user", name, err);
}

int st_access_remove_user(struct st_access *a, const char *name, struct st_error *err)
{
  int changes;
  ST_ACCESS_HOLD(a);
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  if (st_access_start(a, false, &in, err) < 0 ||
      st_access_run(a, err, NULL, "DELETE FROM group_user WHERE user = ?", "s", name) < 0 ||
      st_access_run(a, err, NULL, "DELETE FROM user_address WHERE user = ?", "s", name) < 0 ||
      st_access_run(a, err, &changes, "DELETE FROM user WHERE name = ?", "s", name) < 0)
    return -1;
  return finish(&in, changes, "user", name, err);
}

int st_access_users(struct st_access *a, st_access_user_fn *fn, void *arg, struct st_error *err)
{
  ST_AUTO_FREE struct st_access_user *list = NULL;
  size_t n;
  {
    ST_ACCESS_HOLD(a);
    if (st_access_refresh(a, err) < 0)
      return -1;
    n = a->nusers;
    list = st_calloc(n + 1, sizeof(*list));
    for (size_t i = 0; i < n; i++)
      list[i] = a->users[i].is;
  }
  for (size_t i = 0; i < n; i++)
    if (fn(arg, &list[i], err) < 0)
      return -1;
  return 0;
}

/* ---- Groups -------------------------------------------------------------------------------------
 */

int st_access_add_group(struct st_access *a, const char *group, struct st_error *err)
{
  if (st_access_check_name("group", group, err) < 0)
    return -1;
  ST_ACCESS_HOLD(a);
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  if (st_access_start(a, false, &in, err) < 0)
    return -1;
  if (st_strings_has(&a->groups, group))
    return st_refuse(err, "there is a group of this name already (%s)", group);
  if (st_access_run(a, err, NULL, "INSERT INTO \"group\" VALUES (?)", "s", group) < 0)
    return -1;
  return finish(&in, 1, "group", group, err);
}

/* Tokens of the group alone have nothing to see then: they are revoked. */
int st_access_remove_group(struct st_access *a, const char *group, struct st_error *err)
{
  int changes;
  ST_ACCESS_HOLD(a);
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  if (st_access_start(a, false, &in, err) < 0 ||
      st_access_run(a, err, NULL, "DELETE FROM group_host WHERE \"group\" = ?", "s", group) < 0 ||
      st_access_run(a, err, NULL, "DELETE FROM group_user WHERE \"group\" = ?", "s", group) < 0 ||
      st_access_run(a, err, NULL,
                    "UPDATE token SET revoked = 1 WHERE \"group\" = ? AND \"group\" != ''", "s",
                    group) < 0 ||
      st_access_run(a, err, &changes, "DELETE FROM \"group\" WHERE name = ?", "s", group) < 0)
    return -1;
  return finish(&in, changes, "group", group, err);
}

int st_access_group_host(struct st_access *a, const char *group, const char *host, bool in_it,
                         struct st_error *err)
{
  int changes;
  if (!is_host_name(host) || strchr(host, '/'))
    return st_refuse(err, "a host's id has 32 hexadecimal digits (%s)", st_quote(host));
  ST_ACCESS_HOLD(a);
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  if (st_access_start(a, false, &in, err) < 0)
    return -1;
  if (!st_strings_has(&a->groups, group))
    return no_such("group", group, err);
  if (st_access_run(a, err, &changes,
                    in_it ? "INSERT OR REPLACE INTO group_host VALUES (?, ?)"
                          : "DELETE FROM group_host WHERE \"group\" = ? AND host = ?",
                    "ss", group, host) < 0)
    return -1;
  return finish(&in, changes, "host in the group", host, err);
}

int st_access_group_user(struct st_access *a, const char *group, const char *user,
                         enum st_role role, struct st_error *err)
{
  int changes;
  if (role != ST_ROLE_NONE && role != ST_ROLE_VIEWER && role != ST_ROLE_OPERATOR)
    return st_refuse(err, "of a group one is viewer, operator or none");
  ST_ACCESS_HOLD(a);
  ST_AUTO_ACCESS_CHANGE *in = NULL;
  if (st_access_start(a, false, &in, err) < 0)
    return -1;
  if (!st_strings_has(&a->groups, group))
    return no_such("group", group, err);
  if (role != ST_ROLE_NONE && !st_access_find_user(a, user))
    return no_such("user", user, err);
  if (st_access_run(a, err, &changes, "DELETE FROM group_user WHERE \"group\" = ? AND user = ?",
                    "ss", group, user) < 0)
    return -1;
  if (role != ST_ROLE_NONE &&
      st_access_run(a, err, &changes, "INSERT INTO group_user VALUES (?, ?, ?)", "ssi", group, user,
                    (int64_t)role) < 0)
    return -1;
  return finish(&in, changes, "user in the group", user, err);
}

int st_access_groups(struct st_access *a, st_access_member_fn *fn, void *arg, struct st_error *err)
{
  ST_AUTO_ACCESS_STMT *s = NULL;
  int r;
  ST_ACCESS_HOLD(a);
  if (st_access_prepare(a, &s,
                        "SELECT name, NULL, NULL, 0 FROM \"group\" UNION ALL"
                        " SELECT \"group\", host, NULL, 0 FROM group_host UNION ALL"
                        " SELECT \"group\", NULL, user, role FROM group_user ORDER BY 1, 2, 3",
                        err) < 0)
    return -1;
  while ((r = sqlite3_step(s)) == SQLITE_ROW) {
    const struct st_access_member m = {(const char *)sqlite3_column_text(s, 0),
                                       (const char *)sqlite3_column_text(s, 1),
                                       (const char *)sqlite3_column_text(s, 2), read_role(s, 3)};
    if (fn(arg, &m, err) < 0)
      return -1;
  }
  return r == SQLITE_DONE ? 0 : st_access_fail(a, "cannot read", err);
}
