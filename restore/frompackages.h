/* SPDX-License-Identifier: GPL-2.0-or-later */
/* frompackages.h - contents that a restore needs and only a kept package file has. */
#ifndef ST_RESTORE_FROMPACKAGES_H
#define ST_RESTORE_FROMPACKAGES_H

#include "restore/packageset.h"
#include "restore/preflight.h"

/* Whether the target's content is what a package of the checkpoint has at the path, and the package
 * file is kept; false where that cannot be found out. */
bool st_from_package_has(struct st_tracker *t, int64_t checkpoint, const char *path,
                         const struct st_id *id);

/* Brings the contents of the actions that are `in_package` into the store, from where preflight,
 * apply, resume and undo have them as any other; each package file is read once.  A dry run only
 * proves that they can be had.  Why not goes to `refusals`; what is refused, or was only proved,
 * stays `in_package`. */
int st_from_packages(const struct st_preflight *p, struct st_journal *j,
                     struct st_strings *refusals, struct st_error *err);

/* Leaves out of a plan what the packages' steps bring: of what is `in_package`, the files of
 * packages that a step is about. */
void st_from_packages_leave(struct st_tracker *t, int64_t checkpoint,
                            const struct st_package_steps *steps, struct st_actions *actions);

#endif
