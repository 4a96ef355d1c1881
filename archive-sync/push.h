/* SPDX-License-Identifier: GPL-2.0-or-later */
/* push.h - sync: the host's new checkpoints go to an archive. */
#ifndef ARCHIVE_SYNC_PUSH_H
#define ARCHIVE_SYNC_PUSH_H

#include "archive-sync/archive.h"
#include "systracker/tracker/cli.h"

struct st_push_result {
  int64_t first, last; /* checkpoints sent; first 0: none, there was nothing new */
  int64_t objects;
  int64_t packages;        /* package files sent */
  uint64_t bytes;          /* that they take: in the archive's packs, or on the way to a server */
  int64_t missing;         /* objects that the host itself does not have any more, or damaged */
  int64_t set_back, epoch; /* it was set back: the archive's number of checkpoints, the new epoch */
  bool unsealed; /* the archive names no recipient, so nobody else can open this host's secrets */
  bool pending;  /* the server has not approved this host yet */
};

/* Sends objects first, each checkpoint after what it names.  What a killed one has sent is not sent
 * again.  Where the archive's head is not an ancestor of ours, a new epoch begins.  `behind`: what
 * a join string has behind its "#", for a URL without (join.h); may be NULL. */
int st_push(const struct st_cli *cli, const char *url, const char *behind, unsigned wait,
            struct st_push_result *ret, struct st_error *err);

#endif
