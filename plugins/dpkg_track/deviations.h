/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * deviations.h - regular files that no package has, or that are not what their packages declare:
 * their content cannot be had from a package file, so it is kept.
 *
 * What dpkg wrote last before it wrote the package's list is taken for what the package brought; of
 * what changed since (ctime), the content is compared with info/NAME.md5sums.  A file of which no
 * package declares an MD5 does not deviate.
 */
#ifndef ST_DPKG_TRACK_DEVIATIONS_H
#define ST_DPKG_TRACK_DEVIATIONS_H

#include "plugins/dpkg_track/database.h"

struct deviations;

struct deviations *deviations_new(void);
void deviations_free(struct deviations *v);
/* Before a walk: what dpkg says is read again at the first question. */
void deviations_forget(struct deviations *v);

/* `want` and `entry` of plugin.h. */
unsigned dpkg_want(void *self, const struct st_entry *e);
int dpkg_entry(void *self, const struct st_entry *e, struct st_facts *out, struct st_error *err);

#endif
