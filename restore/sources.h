/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sources.h - where the package files that a restore takes come from: the store, or else the root's
 * own sources, in that very version, by its own apt; or else the store again, where it has one that
 * was put together from what was installed. */
#ifndef ST_RESTORE_SOURCES_H
#define ST_RESTORE_SOURCES_H

#include "restore/packageset.h"
#include "systracker/tracker/tracker.h"

/* Fills in the steps' sources; no network is used.  What cannot be asked has none. */
void st_sources_find(struct st_tracker *t, struct st_package_steps *steps);

/* Fetches what is obtainable for the steps, and for going back where `undo`, into the store; apt
 * has compared each file with what its lists promise.  What does not come is no error here: the
 * steps then say that it is missing, or repacked. */
int st_sources_fetch(struct st_tracker *t, struct st_package_steps *steps, bool undo,
                     struct st_error *err);

/* What the root's own lists say of the package file of `after`, malloc'ed; 1: nothing. */
int st_sources_show(struct st_tracker *t, const struct st_package_step *step, char **ret,
                    struct st_error *err);

#endif
