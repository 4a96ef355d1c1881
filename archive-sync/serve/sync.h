/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sync.h - what requests of hosts have in common: sync.c, sync-packages.c, fetch.c. */
#ifndef ARCHIVE_SYNC_SERVE_SYNC_H
#define ARCHIVE_SYNC_SERVE_SYNC_H

#include "archive-sync/serve/committer.h"
#include "archive-sync/serve/hosts.h"
#include "archive-sync/serve/request.h"

/* A request of a host that sends: one at a time, within its quota.  False: the reply is set. */
struct st_sending {
  struct st_request *r;
  bool begun;
};
bool st_sending_begin(struct st_sending *s, struct st_request *r);
void st_sending_end(struct st_sending *s);
#define ST_AUTO_SENDING ST_CLEANUP(st_sending_end) struct st_sending

static inline struct st_hosts *st_request_hosts(const struct st_request *r)
{
  return st_committer_hosts(r->server->committer);
}

/* All of a body, mapped or in memory. */
struct st_sent_body {
  const void *data;
  size_t length;
  void *map;
};
int st_sent_body_open(struct st_sent_body *b, struct st_request *r, struct st_error *err);
void st_sent_body_close(struct st_sent_body *b);
#define ST_AUTO_BODY ST_CLEANUP(st_sent_body_close) struct st_sent_body

/* The body as a JSON object; NULL: it is none, and the reply says so. */
json_t *st_request_json(struct st_request *r);

/* The reply for an outcome of the committer that is not DONE. */
int st_reply_commit(struct st_request *r, int outcome, const struct st_error *words);
/* {"error", "missing": [ids]}. */
int st_reply_missing(struct st_request *r, const struct st_error *words,
                     const struct st_buffer *ids);
/* Ids (wire.h) as an array of 66 hexadecimal digits each. */
json_t *st_json_ids(const struct st_buffer *ids);

/* sync-packages.c */
int st_sync_packages(struct st_request *r, struct st_error *err);
int st_sync_packages_proof(struct st_request *r, struct st_error *err);
int st_sync_packages_put(struct st_request *r, struct st_error *err);
/* Which of the kept files are the host's: to list them, and to read one. */
int st_fetch_packages(struct st_request *r, struct st_error *err);
int st_fetch_package(struct st_request *r, struct st_error *err);

#endif
