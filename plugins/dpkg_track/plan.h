/* SPDX-License-Identifier: GPL-2.0-or-later */
/* plan.h - what of a restore is dpkg_track's. */
#ifndef ST_DPKG_TRACK_PLAN_H
#define ST_DPKG_TRACK_PLAN_H

#include "systracker/plugin.h"

/* As `plan` of plugin.h.  Packages themselves are said only: to install and remove them is
 * SysTracker's; what is planned of them, marks and selections, counts once they are there. */
int dpkg_plan(void *self, const struct st_change *c, struct st_plan *out, struct st_error *err);

#endif
