/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rebuild.h - a package file put together again from what is installed, where the package's own is
 * neither kept nor to be had.
 *
 * It holds the files as they are now, changes of them included, and says so in itself (the field
 * Systracker-Repacked of a .deb's control data, the tag Cookie of an .rpm); the store keeps it
 * under a kind of its own.  It is for having the package back at all, never for knowing what it
 * was.
 */
#ifndef ST_TRACKER_REBUILD_H
#define ST_TRACKER_REBUILD_H

#include "systracker/tracker/installed.h"

struct st_rebuilt {
  int fd;         /* the file, without a name; the caller's */
  size_t missing; /* paths of the package that are not there, and so not in it */
};

/* `package` is installed.  Its files are read below the root, by no program of the root's. */
int st_rebuild_deb(struct st_tracker *t, const struct st_installed *package, struct st_rebuilt *ret,
                   struct st_error *err);
int st_rebuild_rpm(struct st_tracker *t, const struct st_installed *package, struct st_rebuilt *ret,
                   struct st_error *err);

#endif
