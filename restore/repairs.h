/* SPDX-License-Identifier: GPL-2.0-or-later */
/* repairs.h - packages to be installed again, as files of theirs are not what they were and their
 * content can be had from the kept package file alone. */
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

#endif
