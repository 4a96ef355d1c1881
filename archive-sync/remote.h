/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * remote.h - an archive's server, as a host speaks to it: HTTPS by libcurl, the server known by its
 * pinned key or by the system's certificate authorities, the host by its signature (signature.h)
 * and then by a session.
 *
 * What is known of each server is kept in the store, remote/NAME.json (0600, doc/formats): its
 * address, its recipients, the session.  A server that is down, busy or restarted is asked again,
 * for as long as `wait` says; every request of ours may be repeated.
 */
#ifndef ARCHIVE_SYNC_REMOTE_H
#define ARCHIVE_SYNC_REMOTE_H

#include <jansson.h>

#include "archive-sync/join.h"
#include "systracker/base/keys.h"

#define ST_REMOTE_DIR "remote"

struct st_remote;

struct st_remote_options {
  const struct st_join *join;
  int store_dir; /* borrowed for the call */
  const struct st_keys *keys;
  unsigned wait; /* seconds without any progress, after which it is given up */
};

/* Finds what is known of the server, and asks it who it is where nothing is.  Join string and keys
 * are borrowed for its life. */
int st_remote_open(struct st_remote **ret, const struct st_remote_options *options,
                   struct st_error *err);
void st_remote_close(struct st_remote *r);
ST_DEFINE_CLEANUP(struct st_remote *, st_remote_close)

/* ---- Requests ----------------------------------------------------------------------------------
 */

struct st_remote_call {
  const char *method, *path; /* the path with the query */
  const char *type;          /* of the body; NULL: application/octet-stream */
  const void *body;          /* in memory */
  size_t length;
  int file;             /* the body from a file, from its beginning; 0: `body` */
  uint64_t file_length; /* bytes */
  int to;               /* the reply goes to a file, at its offset; 0: to `reply` */
  uint64_t max;         /* bytes of reply; 0: 1 MiB */
  long status;          /* returned: 2xx, 404, 409 or 410 */
  struct st_buffer reply;
};
void st_remote_call_clear(struct st_remote_call *call);
#define ST_AUTO_REMOTE_CALL ST_CLEANUP(st_remote_call_clear) struct st_remote_call

/* Every other status is an error, in the server's words and ours. */
int st_remote_call(struct st_remote *r, struct st_remote_call *call, struct st_error *err);
/* The reply as JSON, NULL where it is none. */
json_t *st_remote_json(const struct st_remote_call *call);
/* "the server answered 404: words"; returns -1. */
int st_remote_fail(const struct st_remote *r, const struct st_remote_call *call,
                   struct st_error *err);

/* The request that can be repeated whenever the server wants to be shown who asks: method and path
 * are constants, the body is copied. */
void st_remote_opening(struct st_remote *r, const char *method, const char *path, const void *body,
                       size_t length);

/* ---- What is known of the server ---------------------------------------------------------------
 */

const char *st_remote_address(const struct st_remote *r);
bool st_remote_has_token(const struct st_remote *r, char kind);
/* Asks again who it is: recipients may have changed. */
int st_remote_ask(struct st_remote *r, struct st_error *err);
const struct st_strings *st_remote_recipients(const struct st_remote *r);
/* A value that is kept for the next time, under a name of the caller's; NULL: none. */
const char *st_remote_get(const struct st_remote *r, const char *name);
void st_remote_set(struct st_remote *r, const char *name, const char *value);
/* Writes what is known, where it changed; done at the end. */
int st_remote_save(struct st_remote *r, struct st_error *err);

#endif
