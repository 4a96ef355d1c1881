/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * manager.h - the line between a restore of packages and the package manager that does it.
 *
 * On this side of it (packages.c): which packages differ, what is to be done, where the package
 * files come from, the space, the order of things.  On the other (apt.c, rpm.c): whether the
 * manager would do it, the doing, and what a kill left.  Each goes through the journal's steps that
 * are its own.
 */
#ifndef ST_RESTORE_MANAGER_H
#define ST_RESTORE_MANAGER_H

#include "restore/packages.h"

struct st_package_work {
  const char *plugin, *table; /* who knows what is installed */
  /* Proves the package files, undo's included where `undo`, and asks the manager what it would do.
   * A dry run leaves the root as it is.  Reasons against it go to `refusals`. */
  int (*check)(struct st_package_phase *p, const struct st_packages *kept, bool undo, bool dry_run,
               struct st_strings *refusals, struct st_error *err);
  int (*apply)(struct st_package_phase *p, struct st_strings *problems, struct st_error *err);
  /* Waits for what still runs of a restore that was killed, and mends what it left. */
  int (*recover)(struct st_tracker *t, const struct st_journal *j, struct st_strings *problems,
                 struct st_error *err);
};
extern const struct st_package_work st_apt_work, st_rpm_work;

/* ---- What they have in common ---------------------------------------------------------------- */

#define ST_PACKAGES_ELSE "--packages=none leaves packages alone"

/* "package NAME: why". */
void st_package_refuse(struct st_strings *refusals, const struct st_package_step *s,
                       const char *why);
/* The kept file to install this version of the step's package from: its own, or where nobody has
 * that, by `source`, one that was put together again; NULL: none. */
const struct st_package *st_package_file_of(const struct st_packages *kept,
                                            const struct st_package_step *s, const char *version,
                                            enum st_package_source source);
/* Why there is no package file of `after`; malloc'ed. */
char *st_package_why_missing(const struct st_package_step *s);
/* Why undo would have none of `before`; malloc'ed. */
char *st_package_why_no_undo(const struct st_package_step *s, const char *why);
/* Bytes that come to the file systems of /usr and /var/lib. */
void st_package_check_space(struct st_tracker *t, uint64_t needed, struct st_strings *refusals);
/* The last lines of what a program said, each escaped and indented. */
void st_package_say_log(const void *data, size_t length, struct st_strings *ret);

#endif
