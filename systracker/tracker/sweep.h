/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sweep.h - package files that the package managers' caches still have, of installed packages whose
 * file is not kept yet.
 *
 * A cache is looked through by names, as apt and dnf give them (NAME_VERSION_ARCHITECTURE.deb,
 * NAME-VERSION-RELEASE.ARCHITECTURE.rpm), so a file is opened only where it is wanted; one that
 * turned out to be something else is remembered in the store, `swept.deb` and `swept.rpm`, by its
 * path and what stat says, and not read again.
 */
#ifndef ST_TRACKER_SWEEP_H
#define ST_TRACKER_SWEEP_H

#include "systracker/tracker/installed.h"

/* Keeps them from the configured folders of the root (package_caches).  The list is of one package
 * manager.  A file that cannot be kept is logged, and is no error.  Returns how many are new in the
 * store; the tracker's own view of package files is forgotten then. */
int st_sweep_caches(struct st_tracker *t, const struct st_installed_list *list,
                    struct st_error *err);

#endif
