/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lock.h - one writer. */
#ifndef ST_BASE_LOCK_H
#define ST_BASE_LOCK_H

#include "systracker/base/error.h"

/* Takes the lock file of the directory (flock(2), so a killed holder leaves none), writing our pid
 * into it.  Held by another: refused, naming its pid.  Returns the descriptor; closing unlocks. */
int st_lock(int dirfd, const char *name, struct st_error *err);

#endif
