/* SPDX-License-Identifier: GPL-2.0-or-later */
/* diverted.h - which paths of which packages are diverted. */
#ifndef ST_DPKG_TRACK_DIVERTED_H
#define ST_DPKG_TRACK_DIVERTED_H

#include "plugins/dpkg_track/diversions.h"
#include "plugins/dpkg_track/lines.h"
#include "plugins/dpkg_track/status.h"

struct diverted {
  struct diversions diversions;
  char *text;                    /* what their strings lie in */
  bool of_length[MOST_LINE + 1]; /* whether a diverted path is that long: few lines are */
};

/* Where the package's paths are diverted to, by others than itself: "PATH\nTO\n" of each in the
 * order of its list (in dpkg's info folder, a descriptor), malloc'ed; "" where none is. */
int diverted_paths(const struct diverted *d, int info, const struct package *p, char **ret,
                   struct st_error *err);

#endif
