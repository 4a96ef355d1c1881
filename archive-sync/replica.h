/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replica.h - the local copy of a chain that was fetched: extended in its place, or made anew
 * beside it and put there in one step.
 */
#ifndef ARCHIVE_SYNC_REPLICA_H
#define ARCHIVE_SYNC_REPLICA_H

#include "archive-sync/archive.h"

struct st_replica {
  int store_dir;            /* borrowed */
  const char *host;         /* its id, or ID/epoch-N; borrowed */
  struct st_catalog *there; /* the archive's, borrowed */
  struct st_catalog *here;  /* to be written; NULL: there is none yet */
  bool diverged;            /* what is here does not follow from what is there: it is put aside */
  int64_t first, last;      /* checkpoints whose facts were brought; 0: none */
  int64_t retired;          /* the epoch that was put aside; 0: none */
};

/* Opens what is here, where there is something, and finds how it stands to what is there. */
int st_replica_open(struct st_replica *r, struct st_error *err);
void st_replica_close(struct st_replica *r);
/* Whether the facts of all checkpoints up to its latest are here. */
bool st_replica_is_whole(const struct st_replica *r);

/* Brings the facts of these checkpoints, ascending, along with those that are here: of others up to
 * the last one there are headers.  Objects have to be durable before.  What fails leaves what was
 * there, and no folder where there was none. */
int st_replica_bring(struct st_replica *r, const int64_t *numbers, size_t count,
                     struct st_error *err);

#endif
