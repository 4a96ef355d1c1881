/* SPDX-License-Identifier: GPL-2.0-or-later */
/* incoming.h - the archive's folder `incoming`, for what is being sent. */
#ifndef ARCHIVE_SYNC_SERVE_INCOMING_H
#define ARCHIVE_SYNC_SERVE_INCOMING_H

#include "systracker/base/error.h"

/* Opens the folder, made where it is not there, and removes what an earlier server left in it.
 * Returns the descriptor, or -1. */
int st_incoming_open(int archive_dirfd, struct st_error *err);
/* A new file in it that has no name: it goes with its descriptor. */
int st_incoming_file(int incoming, struct st_error *err);

#endif
