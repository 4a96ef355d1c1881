/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * expire.h - hosts' checkpoints in an archive, pruned: by the rules of systracker prune, a host at
 * a time.  Headers stay, so that the chain holds and the host's next checkpoint follows; so do the
 * baseline and the latest.  Objects are gc's.
 */
#ifndef ARCHIVE_SYNC_EXPIRE_H
#define ARCHIVE_SYNC_EXPIRE_H

#include "archive-sync/archive.h"
#include "archive-sync/serve/fleet.h"
#include "systracker/catalog/prune.h"

struct st_expiry_options {
  const struct st_retention *keep;
  bool lazily; /* a host of which less than one in sixteen of what it keeps is to go is left: so
                * that what is kept of each night is not written anew each night */
  bool dry_run;
};

struct st_expiry {
  struct st_choices choices;     /* those whose facts were there */
  struct st_prune_result result; /* after a dry run, its `checkpoints` alone */
};
void st_expiry_clear(struct st_expiry *e);
#define ST_AUTO_EXPIRY ST_CLEANUP(st_expiry_clear) struct st_expiry

/* One host, "ID" or "ID/epoch-N"; the archive's lock is held unless it is a dry run.  Tags that
 * this host has not are passed over.  `fleet` (may be NULL) learns of it: before any object is
 * removed, it has to be flushed.  A kill leaves the catalog as it was, or pruned.  1: it has sent
 * nothing. */
int st_expire_host(struct st_archive *a, struct st_fleet *fleet, const char *host,
                   const struct st_expiry_options *options, struct st_expiry *ret,
                   struct st_error *err);

#endif
