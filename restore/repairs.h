/* SPDX-License-Identifier: GPL-2.0-or-later */
/* repairs.h - files of packages that are not as packaged: packages to be installed again, where no
 * manifest says what a kept package file has (frompackages.h); and what dpkg would overwrite for
 * good. */
#ifndef ST_RESTORE_REPAIRS_H
#define ST_RESTORE_REPAIRS_H

#include "restore/packageset.h"
#include "restore/plan.h"
#include "systracker/tracker/tracker.h"

/* Adds a step for each package that is the same at the checkpoint and now, has its file kept, and
 * owns a path of the plan's that cannot be put back and that dpkg finds changed or missing.  Where
 * dpkg cannot be asked, that is said, and there is none. */
void st_repairs_find(struct st_tracker *t, int64_t checkpoint, const struct st_actions *actions,
                     struct st_package_steps *steps);

/* What undo could not bring back, though package files are kept: files of packages that were
 * changed, are too large to be kept, and are not as the plan wants them.  A line each, escaped. */
int st_repairs_lost(struct st_tracker *t, const struct st_actions *actions,
                    struct st_strings *refusals, struct st_error *err);

#endif
