/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fingerprint.h - what tells whether dpkg's and apt's files are as they were, without reading them:
 * inode, size and times of each, and of the folders in which their files are replaced by renaming.
 */
#ifndef ST_DPKG_TRACK_FINGERPRINT_H
#define ST_DPKG_TRACK_FINGERPRINT_H

#include "plugins/dpkg_track/database.h"

struct fingerprint {
  uint8_t digest[32]; /* SHA-256 */
  bool settled;       /* whatever changes from now on will have other times */
  bool any;           /* there is a status file with something in it */
};

int fingerprint_make(const struct dpkg_track *d, struct fingerprint *ret, struct st_error *err);

#endif
