/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * access.h - who may do what: the file access.db of an archive (SQLite, 0600), with hosts and their
 * approval, users, groups, tokens.  Tokens and passwords are kept as digests alone (SHA-256 of
 * random tokens, Argon2id of passwords).  One for the server, opened once, used by all threads; the
 * programs of the administrator open it beside.
 */
#ifndef ARCHIVE_SYNC_SERVE_ACCESS_H
#define ARCHIVE_SYNC_SERVE_ACCESS_H

#include "systracker/base/keys.h"
#include "systracker/base/text.h"

enum st_role { ST_ROLE_NONE, ST_ROLE_HOST, ST_ROLE_VIEWER, ST_ROLE_OPERATOR, ST_ROLE_ADMIN };

/* Who asks.  A host is never more than a host; people are never a host. */
struct st_identity {
  enum st_role role;
  char host[ST_HOST_ID_SIZE]; /* whose session it is, "": a person's, or nobody's */
  uint8_t public_key[ST_PUBLIC_KEY_SIZE];
  bool pending;                /* a host that is not approved yet: within its quota */
  char reads[ST_HOST_ID_SIZE]; /* by a restore token: this host's history, too; "": none */
  char user[64];               /* a person, or "token NAME" */
  char form_token[65];         /* what forms of this session carry against forgery; "" */
};

struct st_access;

int st_access_open(struct st_access **ret, int archive_dirfd, struct st_error *err);
void st_access_close(struct st_access *a);
ST_DEFINE_CLEANUP(struct st_access *, st_access_close)

struct st_request;
/* Finds out who asks: a session's bearer token, an API token, a login's cookie, or a signature by a
 * host's key (RFC 9421), which enrols it where it may.  Nobody: role NONE and 0.  A wrong or
 * expired credential: the reply is set (401 or 403), and 1. */
int st_access_identify(struct st_access *a, struct st_request *r, struct st_error *err);

/* Whether they may read this host ("ID", or "ID/epoch-N"): hosts their own, people by role and
 * groups.  No, where it does not exist. */
bool st_access_may_read(struct st_access *a, const struct st_identity *who, const char *host);
bool st_access_may_operate(struct st_access *a, const struct st_identity *who, const char *host);

/* A session for the host that signed this request; the token is for the answer alone. */
int st_access_begin_session(struct st_access *a, const struct st_identity *who, char ret_token[65],
                            int64_t *ret_expires, struct st_error *err);

#endif
