/* SPDX-License-Identifier: GPL-2.0-or-later */
/* installed.h - the packages that a checkpoint knows as installed, and the files kept of them. */
#ifndef ST_TRACKER_INSTALLED_H
#define ST_TRACKER_INSTALLED_H

#include "systracker/store/packages.h"
#include "systracker/tracker/tracker.h"

struct st_installed {
  char *name, *version, *architecture;
  const struct st_package *kept;     /* borrowed; NULL: its file is not kept */
  const struct st_package *repacked; /* borrowed: put together again from what was installed */
  bool rpm;                          /* one of rpm's; else of dpkg's */
  char *header;                      /* rpm: the digest of its header, hexadecimal; or NULL */
};

struct st_installed_list {
  struct st_installed *items; /* by plug-in's table, then by its key */
  size_t count;
};

void st_installed_clear(struct st_installed_list *list);
#define ST_AUTO_INSTALLED ST_CLEANUP(st_installed_clear) struct st_installed_list

/* Whether it is that package: rpm's epoch 0 is written or not. */
bool st_installed_is(const struct st_installed *p, const struct st_package *package);

/* From every table of packages (ST_TABLE_PACKAGES with text columns `name`, `version` and
 * `architecture`).  What has no architecture, as the keys in rpm's database, never had a file.
 * Where it has a column `state`, dpkg's, those of which only configuration files are left do not
 * count: no file would be needed to have them so. */
int st_tracker_installed(struct st_tracker *t, int64_t number, const struct st_packages *packages,
                         struct st_installed_list *ret, struct st_error *err);

/* Adds what a row of such a table says, unless it needs no file. */
void st_installed_add(struct st_installed_list *list, const struct st_packages *packages,
                      const struct st_fact_row *fact);

#endif
