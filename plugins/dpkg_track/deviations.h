/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * deviations.h - regular files whose content is not what a package expects there: it cannot be had
 * from a package file, so it is kept.
 *
 * What is expected is SysTracker's to know, from the manifests of all package managers.
 */
#ifndef ST_DPKG_TRACK_DEVIATIONS_H
#define ST_DPKG_TRACK_DEVIATIONS_H

#include "systracker/plugin.h"

/* `want` and `entry` of plugin.h. */
unsigned dpkg_want(void *self, const struct st_entry *e);
int dpkg_entry(void *self, const struct st_entry *e, struct st_facts *out, struct st_error *err);

#endif
