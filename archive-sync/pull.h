/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pull.h - fetch: a chain from an archive comes into the local store, beside the host's own. */
#ifndef ARCHIVE_SYNC_PULL_H
#define ARCHIVE_SYNC_PULL_H

#include "archive-sync/archive.h"
#include "systracker/tracker/cli.h"

struct st_pull_options {
  const char *host;               /* NULL: this one, or the only one there is */
  const char *checkpoint;         /* NULL: all; else this one alone, and no object besides */
  const struct st_strings *paths; /* objects of these and what lies below alone; empty: all */
  const char *behind;             /* what a join string has behind its "#" (join.h); NULL: none */
  unsigned wait;                  /* seconds, for a server */
};

struct st_pull_result {
  char host[ST_HOST_ID_SIZE + 32]; /* its id, or ID/epoch-N */
  int64_t first, last;             /* checkpoints brought; first 0: none, they were here */
  bool alone;                      /* of those before it, headers were brought at most */
  int64_t packages;                /* package files brought */
  int64_t objects, missing;        /* brought; not in the archive, or damaged there */
  int64_t retired; /* the epoch that was put aside, as the archive has another; 0: none */
};

int st_pull(const struct st_cli *cli, const char *url, const struct st_pull_options *options,
            struct st_pull_result *ret, struct st_error *err);

#endif
