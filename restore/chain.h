/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chain.h - whose checkpoints: our own, or those of another host, brought from an archive. */
#ifndef ST_RESTORE_CHAIN_H
#define ST_RESTORE_CHAIN_H

#include "restore/run.h"

/* Fetches what --from and --host name, and gives the id of the host (malloc'ed); NULL: it is our
 * own.  An older epoch is "ID/epoch-N", our own, too.  `restore` has one way in: whatever it
 * restores is in the local store by then. */
int st_chain_choose(const struct st_request *r, char **ret, struct st_error *err);

#endif
