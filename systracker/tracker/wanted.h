/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wanted.h - which objects and package files of a store something still names: facts of every host
 * that has a catalog there, and restores that can be undone or gone on with. */
#ifndef ST_TRACKER_WANTED_H
#define ST_TRACKER_WANTED_H

#include "systracker/base/set.h"
#include "systracker/store/packages.h"
#include "systracker/tracker/tracker.h"

/* An object as an element of the sets below: kind of id and digest. */
#define ST_WANTED_SIZE (1 + ST_DIGEST_SIZE)
bool st_wanted_has(void *set, const struct st_id *id); /* a st_store_wanted_fn */

/* Whether a set of packages has this one. */
bool st_wanted_has_package(const struct st_set *packages, const struct st_package *package);

/* Adds what facts name, in any folder of hosts/ that has a catalog, and what they name in `own`
 * (may be NULL) as it is read through that.  One that cannot be read is an error: nothing may then
 * be taken for unwanted. */
int st_wanted_by_hosts(int store_dir, struct st_catalog *own, const char *own_id,
                       struct st_set *ids, struct st_set *packages, struct st_error *err);

/* Checkpoints of this host that a restore needs. */
struct st_wanted_numbers {
  int64_t *items;
  size_t count;
};
void st_wanted_numbers_free(struct st_wanted_numbers *numbers);
/* Adds what journals name that were not undone; either may be NULL. */
int st_wanted_by_journals(int store_dir, struct st_set *ids, struct st_wanted_numbers *numbers,
                          struct st_error *err);

#endif
