/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * access.h - who may do what: the file access.db of an archive (SQLite, 0600), with hosts and their
 * approval, users, groups, tokens.  Tokens and passwords are kept as digests alone (SHA-256 of
 * random tokens, Argon2id of passwords).  One for the server, opened once, used by all threads; the
 * programs of the administrator open it beside, and what they change holds from the next request.
 *
 * Sessions of hosts, logins, and what is counted against guessing are in memory, within bounds.
 */
#ifndef ARCHIVE_SYNC_SERVE_ACCESS_H
#define ARCHIVE_SYNC_SERVE_ACCESS_H

#include "archive-sync/signature.h"
#include "systracker/base/keys.h"
#include "systracker/base/text.h"

enum st_role { ST_ROLE_NONE, ST_ROLE_HOST, ST_ROLE_VIEWER, ST_ROLE_OPERATOR, ST_ROLE_ADMIN };

#define ST_ACCESS_NAME_SIZE 49    /* of users, groups, tokens, with the NUL */
#define ST_ACCESS_ADDRESS_SIZE 64 /* an address in text */
#define ST_ACCESS_TOKEN_SIZE 65   /* any token or session in text, with the NUL */

/* Who asks.  A host is never more than a host; people are never a host. */
struct st_identity {
  enum st_role role;          /* of people the highest they have anywhere: ask may_read ... */
  char host[ST_HOST_ID_SIZE]; /* whose session it is, "": a person's, or nobody's */
  uint8_t public_key[ST_PUBLIC_KEY_SIZE];
  bool pending;                /* a host that is not approved yet: within its quota */
  bool is_signed;              /* by the host's key: begin a session with the answer */
  char reads[ST_HOST_ID_SIZE]; /* by a restore token: this host's history, too; "": none */
  char user[64];               /* a person, or "token NAME" */
  char form_token[65];         /* what forms of this session carry against forgery; "" */
};

struct st_access;

/* Opens it, and makes it where it is not there.  A file that others may read is refused. */
int st_access_open(struct st_access **ret, int archive_dirfd, struct st_error *err);
void st_access_close(struct st_access *a);
ST_DEFINE_CLEANUP(struct st_access *, st_access_close)

/* What is said of who was let in, refused, approved, given a token: "info" or "warning".  Without
 * it that goes to the program's own log.  It is called with the access locked. */
typedef void st_access_say_fn(void *arg, const char *level, const char *message);
void st_access_on_event(struct st_access *a, st_access_say_fn *fn, void *arg);

/* Whether a signed request that is for `server` (join.h, st_join_server) is for this one.  Until
 * one is set, none is that says whom it is for. */
typedef bool st_access_server_fn(void *arg, const char *server);
void st_access_on_server(struct st_access *a, st_access_server_fn *fn, void *arg);

/* ---- Requests -----------------------------------------------------------------------------------
 */

struct st_request;
/* Finds out who asks: a session's bearer token, an API token, a login's cookie, or a signature by a
 * host's key (RFC 9421), which enrols it where it may.  Nobody: role NONE and 0.  A wrong or
 * expired credential: the reply is set (401, 403, 429), and 1.  A signature covers the body: where
 * st_access_needs_body, it is called when all of that is there, else before any of it. */
int st_access_identify(struct st_access *a, struct st_request *r, struct st_error *err);
/* Whether the request is signed.  Such a one is small: its body goes to memory, or is refused. */
bool st_access_needs_body(const struct st_request *r);

/* Whether they may read this host ("ID", or "ID/epoch-N"): hosts their own, people by role and
 * groups.  No, where it does not exist. */
bool st_access_may_read(struct st_access *a, const struct st_identity *who, const char *host);
/* The same of a host that is known to exist: cheap, for lists; and whether they may read all. */
bool st_access_may_see(struct st_access *a, const struct st_identity *who, const char *host);
bool st_access_sees_all(struct st_access *a, const struct st_identity *who);
/* Restore tokens for it, approving and denying it. */
bool st_access_may_operate(struct st_access *a, const struct st_identity *who, const char *host);

/* A session for the host that signed this request; the token is for the answer alone. */
int st_access_begin_session(struct st_access *a, const struct st_identity *who, char ret_token[65],
                            int64_t *ret_expires, struct st_error *err);
/* What a host sends that is not approved: false when that is more than its quota, and always true
 * for those that are.  Call it before bytes are kept. */
bool st_access_spend(struct st_access *a, const struct st_identity *who, uint64_t bytes);

/* ---- The same without libmicrohttpd: for login.c, tests and the above
 * ----------------------------
 */

/* 0: `*ret` is who it is (role NONE: nobody).  1: refused, and why. */
struct st_access_refusal {
  unsigned status;  /* of HTTP */
  const char *text; /* for the client; a constant */
};
/* `instance`: the header Systracker-Instance (instance.h), NULL: none.  `now`: seconds since 1970.
 */
struct st_access_call {
  const char *peer, *instance;
  int64_t now;
};
int st_access_by_bearer(struct st_access *a, const char *token, const struct st_access_call *call,
                        struct st_identity *ret, struct st_access_refusal *why,
                        struct st_error *err);
int st_access_by_cookie(struct st_access *a, const char *token, const struct st_access_call *call,
                        struct st_identity *ret, struct st_access_refusal *why,
                        struct st_error *err);
int st_access_by_signature(struct st_access *a, const struct st_signed_request *request,
                           const char *content_digest, const char *input, const char *signature,
                           const struct st_access_call *call, struct st_identity *ret,
                           struct st_access_refusal *why, struct st_error *err);
/* Checks name and password; the cookie's value.  1: refused. */
int st_access_login(struct st_access *a, const char *user, const char *password, const char *peer,
                    int64_t now, char ret_cookie[ST_ACCESS_TOKEN_SIZE],
                    struct st_access_refusal *why, struct st_error *err);
void st_access_logout(struct st_access *a, const char *cookie);

/* ---- Hosts --------------------------------------------------------------------------------------
 */

enum st_enrolment { ST_ENROL_TOKEN, ST_ENROL_OPEN, ST_ENROL_CLOSED };
enum st_host_state { ST_HOST_PENDING, ST_HOST_APPROVED, ST_HOST_DENIED };

const char *st_enrolment_name(enum st_enrolment e); /* "token", "open", "closed" */
bool st_enrolment_of(const char *name, enum st_enrolment *ret);
enum st_enrolment st_access_enrolment(struct st_access *a);
int st_access_set_enrolment(struct st_access *a, enum st_enrolment e, struct st_error *err);

struct st_access_host {
  char id[ST_HOST_ID_SIZE];
  enum st_host_state state;
  int64_t since; /* it asked first */
  char by[80];   /* "token NAME", "open enrolment", who approved or denied; "" */
  char address[ST_ACCESS_ADDRESS_SIZE]; /* of its latest instance (st_access_call) */
  int64_t bytes;                        /* sent before it was approved */
  char continues[ST_HOST_ID_SIZE];      /* it goes on for this one: by a restore token; "" */
  char continued[ST_HOST_ID_SIZE];      /* another goes on for it */
  int64_t twins;                        /* two machines use its key, seen at this time; 0: no */
  char twin[ST_ACCESS_ADDRESS_SIZE];    /* the other one's address */
};
const char *st_host_state_name(enum st_host_state s); /* "pending", "approved", "denied" */
/* False: it never asked. */
bool st_access_host(struct st_access *a, const char *id, struct st_access_host *ret);
/* Every host in that state, or (-1) in any, by id; while another thread may change some. */
typedef int st_access_host_fn(void *arg, const struct st_access_host *host, struct st_error *err);
int st_access_hosts(struct st_access *a, int state, st_access_host_fn *fn, void *arg,
                    struct st_error *err);
/* `by`: who does it.  A host that never asked can be approved by its id; approving takes the notice
 * of two machines away, denying ends sessions at once. */
int st_access_approve(struct st_access *a, const char *id, const char *by, struct st_error *err);
int st_access_deny(struct st_access *a, const char *id, const char *by, struct st_error *err);

/* ---- Tokens -------------------------------------------------------------------------------------
 */

enum st_token_kind { ST_TOKEN_JOIN = 'j', ST_TOKEN_RESTORE = 'r', ST_TOKEN_API = 'a' };

struct st_access_token {
  char name[ST_ACCESS_NAME_SIZE];
  enum st_token_kind kind;
  int64_t created, expires;        /* 0: never */
  int64_t uses;                    /* join: how often it may still be used; -1: any number */
  char host[ST_HOST_ID_SIZE];      /* restore: whose history may be read */
  char bound[ST_HOST_ID_SIZE];     /* restore: the host that used it; "": none yet */
  enum st_role role;               /* API */
  char group[ST_ACCESS_NAME_SIZE]; /* API: its hosts alone; "": all */
  char by[64];
  bool revoked;
};
/* Makes one of `t` (name, "" takes one; kind; expires, 0: for restore in 24 hours; uses; host,
 * role, group; by); the token itself is in `ret_token` alone. */
int st_access_add_token(struct st_access *a, const struct st_access_token *t, int64_t now,
                        char ret_token[ST_ACCESS_TOKEN_SIZE], struct st_error *err);
int st_access_revoke_token(struct st_access *a, const char *name, struct st_error *err);
typedef int st_access_token_fn(void *arg, const struct st_access_token *t, struct st_error *err);
int st_access_tokens(struct st_access *a, st_access_token_fn *fn, void *arg, struct st_error *err);

/* ---- People -------------------------------------------------------------------------------------
 */

#define ST_PASSWORD_MIN 8    /* bytes */
#define ST_PASSWORD_MAX 1024 /* bytes */

const char *st_role_name(enum st_role r); /* "none", "host", "viewer", "operator", "admin" */
bool st_role_of(const char *name, enum st_role *ret); /* of people: none and from viewer on */

struct st_access_user {
  char name[ST_ACCESS_NAME_SIZE];
  enum st_role role; /* for all hosts; NONE: by groups alone */
  int64_t created;
};
int st_access_add_user(struct st_access *a, const char *name, enum st_role role,
                       const char *password, struct st_error *err);
/* Ends the user's logins. */
int st_access_set_password(struct st_access *a, const char *name, const char *password,
                           struct st_error *err);
int st_access_set_role(struct st_access *a, const char *name, enum st_role role,
                       struct st_error *err);
int st_access_remove_user(struct st_access *a, const char *name, struct st_error *err);
typedef int st_access_user_fn(void *arg, const struct st_access_user *u, struct st_error *err);
int st_access_users(struct st_access *a, st_access_user_fn *fn, void *arg, struct st_error *err);

/* Groups: hosts, and users who are viewers or operators of them. */
int st_access_add_group(struct st_access *a, const char *group, struct st_error *err);
int st_access_remove_group(struct st_access *a, const char *group, struct st_error *err);
int st_access_group_host(struct st_access *a, const char *group, const char *host, bool in,
                         struct st_error *err);
/* NONE: no longer. */
int st_access_group_user(struct st_access *a, const char *group, const char *user,
                         enum st_role role, struct st_error *err);
struct st_access_member {
  const char *group;
  const char *host; /* NULL: a user; both NULL: the group itself, before its members */
  const char *user;
  enum st_role role; /* the user's */
};
typedef int st_access_member_fn(void *arg, const struct st_access_member *m, struct st_error *err);
int st_access_groups(struct st_access *a, st_access_member_fn *fn, void *arg, struct st_error *err);

#endif
