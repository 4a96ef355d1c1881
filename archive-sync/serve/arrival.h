/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arrival.h - records that a host sends: proved by the worker that took them in, then kept by the
 * committer.
 *
 * Each is decoded and hashed, also where the archive has that object from elsewhere: so that
 * nobody comes to own what he cannot show, and cannot tell what others sent.  A delta's base and a
 * list's chunks have to be this host's own.  Where a delta does not fit what lies here, though its
 * content is proved, it is encoded anew; a secret cannot be, and is asked for whole.
 */
#ifndef ARCHIVE_SYNC_SERVE_ARRIVAL_H
#define ARCHIVE_SYNC_SERVE_ARRIVAL_H

#include "archive-sync/serve/committer.h"

struct st_arrival {
  struct st_server *server; /* borrowed, as all of these */
  const char *host;
  const void *data; /* parcels */
  size_t length;
  uint64_t kept;            /* returned: objects that are the host's now */
  struct st_buffer refused; /* ids (wire.h): to be sent whole */
  struct st_buffer missing; /* of ST_COMMIT_MISSING: chunks that it did not send */
};
void st_arrival_clear(struct st_arrival *a);
#define ST_AUTO_ARRIVAL ST_CLEANUP(st_arrival_clear) struct st_arrival

/* enum st_commit, or negative; `words` is set where it is refused.  What is kept is durable. */
int st_arrive(struct st_arrival *a, struct st_error *words, struct st_error *err);

#endif
