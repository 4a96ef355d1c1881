/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * committer.h - the one thread that changes packs and catalogs, for all hosts.
 *
 * What hosts send is proved by the workers that took it in, and then waits here.  The committer
 * takes all that waits as one batch: the records of every host, one sync, the hosts' lists of what
 * they sent, and only then their checkpoints; and then all are told.  It holds the archive's lock
 * while it has work, and lets go of it now and then, so that gc, verify and copies on the spot come
 * to theirs; if somebody else had the lock meanwhile, the store is opened again.
 */
#ifndef ARCHIVE_SYNC_SERVE_COMMITTER_H
#define ARCHIVE_SYNC_SERVE_COMMITTER_H

#include "archive-sync/serve/server.h"

struct st_committer;

/* Starts it; `server` is borrowed, its archive and fleet have to be open.  One for the server, kept
 * in server->committer. */
int st_committer_open(struct st_committer **ret, struct st_server *server, struct st_error *err);
/* Finishes what waits, and ends.  No handler may be under way any more. */
void st_committer_close(struct st_committer *c);
ST_DEFINE_CLEANUP(struct st_committer *, st_committer_close)

/* ---- Work, given by handlers that run on workers ------------------------------------------------
 */

enum st_commit {
  ST_COMMIT_DONE = 0,
  ST_COMMIT_REFUSED = 1, /* what was sent is not right: `words` says why, for the client too */
  ST_COMMIT_MISSING = 2, /* of a checkpoint: `missing` */
  ST_COMMIT_BUSY = 3,    /* too much waits, or somebody else has the archive for long */
  ST_COMMIT_BEHIND = 4,  /* of a checkpoint or epoch: it does not follow what is here */
};

/* One that is to be kept of a host's parcels (arrival.h): proved as far as it can be. */
struct st_proved {
  size_t at; /* where it begins */
  bool own;  /* the host had it before */
};
/* Records that a host sent. */
struct st_commit_records {
  const char *host;
  const void *data; /* parcels (wire.h) */
  size_t length;
  const struct st_proved *items; /* what a delta or a list needs comes before it */
  size_t count;
  bool *ret_refused; /* [count]: a delta that does not fit here, or a secret that is another's */
};
/* One checkpoint. */
struct st_commit_checkpoint {
  const char *host;
  const struct st_changeset *set;
  int64_t number;           /* returned */
  struct st_buffer missing; /* ids (wire.h), ST_WIRE_IDS_MAX at most */
};

/* What handlers share: readers of objects, and what is known of each host. */
struct st_objects *st_committer_objects(struct st_committer *c);
struct st_hosts *st_committer_hosts(struct st_committer *c);

/* Each waits until it is durable, or refused; a negative return is an error of ours.  `words` is
 * set where it is refused. */
int st_commit_records(struct st_committer *c, struct st_commit_records *work,
                      struct st_error *words, struct st_error *err);
int st_commit_checkpoint(struct st_committer *c, struct st_commit_checkpoint *work,
                         struct st_error *words, struct st_error *err);
/* Puts the host's chain aside, which is of epoch `epoch` - 1. */
int st_commit_epoch(struct st_committer *c, const char *host, int64_t epoch, struct st_error *words,
                    struct st_error *err);
/* Objects of the host that are not there any more, ST_WIRE_IDS_MAX at most; where there are none,
 * nothing is wanted of it any more. */
int st_commit_lost(struct st_committer *c, const char *host, struct st_buffer *ret_ids,
                   struct st_error *words, struct st_error *err);

#endif
