/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packages.h - the packages' phase of a restore, from kept package files: by the root's own apt and
 * dpkg, or by librpm.  Which of them, the tables say that the checkpoint has (manager.h).
 */
#ifndef ST_RESTORE_PACKAGES_H
#define ST_RESTORE_PACKAGES_H

#include "restore/repository.h"
#include "systracker/tracker/tracker.h"

struct st_package_phase {
  struct st_tracker *tracker; /* scanned; borrowed */
  struct st_journal *journal; /* its `packages` are what is to be done; borrowed */
  struct st_repository repository;
};
void st_package_phase_close(struct st_package_phase *p);

/* Whether packages of this plug-in can be put back. */
bool st_package_plugin_is_known(const char *plugin);

/* One manager's packages at a checkpoint or ST_LIVE.  Refused where they could not be seen. */
int st_package_facts_read(struct st_tracker *t, int64_t number, enum st_package_manager manager,
                          struct st_package_facts *ret, struct st_error *err);

/* What leads from the packages of now to those of the checkpoint.  Refused where one of the two is
 * not known. */
int st_package_phase_find(struct st_tracker *t, int64_t checkpoint, struct st_package_steps *ret,
                          struct st_error *err);

/* Proves every package file that is needed, and lets the package manager test what it is to do; a
 * dry run leaves the root as it is.  `undo`: the package files
 * that going back takes are asked for, too.  Reasons against it go to `refusals`, one line each,
 * escaped; then, and after a dry run, there is no repository. */
int st_package_phase_preflight(struct st_package_phase *p, bool undo, bool dry_run,
                               struct st_strings *refusals, struct st_error *err);

/* Carries the steps out; the repository is gone afterwards.  Where something failed, the error says
 * it, and what the package manager said goes to `problems`. */
int st_package_phase_apply(struct st_package_phase *p, struct st_strings *problems,
                           struct st_error *err);

/* Before a restore that was interrupted goes on or back: removes what it left in the root, and lets
 * the package manager finish, or mend, what it began. */
int st_package_phase_recover(struct st_tracker *t, const struct st_journal *j,
                             struct st_strings *problems, struct st_error *err);

#endif
