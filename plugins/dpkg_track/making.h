/* SPDX-License-Identifier: GPL-2.0-or-later */
/* making.h - one package's manifest in the making, from its file (packaged.c) or from what is there
 * (observed.c). */
#ifndef ST_DPKG_TRACK_MAKING_H
#define ST_DPKG_TRACK_MAKING_H

#include "plugins/dpkg_track/listing.h"
#include "plugins/dpkg_track/manifest.h"
#include "plugins/dpkg_track/unpacked.h"
#include "plugins/dpkg_track/view.h"

struct making {
  struct view *view;
  const struct package *package;
  struct listing listing;
  struct manifest manifest;
};

/* From its file.  1: that is not what dpkg unpacked. */
int make_from_file(struct making *m, struct unpacked *u, struct st_error *err);
int make_from_what_is_there(struct making *m, struct st_error *err);

#endif
