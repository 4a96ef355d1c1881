/* SPDX-License-Identifier: GPL-2.0-or-later */
/* locked.h - what the file flags keep a package manager from doing. */
#ifndef ST_RESTORE_LOCKED_H
#define ST_RESTORE_LOCKED_H

#include "restore/packageset.h"
#include "systracker/tracker/tracker.h"

/* Neither dpkg nor rpm unlocks what is immutable or append-only, and both fail over it half-way.
 * Such files, and folders with such files in them, of packages that the steps change are reasons
 * against it: of those that they have now, and of those that they have at the checkpoint. */
int st_locked_find(struct st_tracker *t, int64_t checkpoint, const struct st_package_steps *steps,
                   struct st_strings *refusals, struct st_error *err);

#endif
