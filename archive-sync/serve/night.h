/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * night.h - what the server does by itself: each night it prunes its hosts by the archive's policy
 * and removes what nothing names any more; and it goes by the policy's word for what is silent.
 *
 * A process of its own does the pruning (systracker-archive prune): it takes the archive's lock in
 * turns, as any program beside the server does, its memory is given back, and what goes wrong there
 * does not end the server.
 */
#ifndef ARCHIVE_SYNC_SERVE_NIGHT_H
#define ARCHIVE_SYNC_SERVE_NIGHT_H

#include "archive-sync/serve/server.h"

struct st_night;

/* The policy is read now, and once a minute.  `server` is borrowed: its archive and fleet are open.
 */
int st_night_start(struct st_night **ret, struct st_server *server, struct st_error *err);
/* A prune that is under way is ended; the next one goes on. */
void st_night_stop(struct st_night *n);
ST_DEFINE_CLEANUP(struct st_night *, st_night_stop)

/* When it is that time of day (minutes after midnight, local) next, after `now`. */
int64_t st_night_next(int64_t now, int64_t minutes);

#endif
