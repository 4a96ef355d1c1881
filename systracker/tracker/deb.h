/* SPDX-License-Identifier: GPL-2.0-or-later */
/* deb.h - what a .deb says of itself, by dpkg-deb(1) of the running system. */
#ifndef ST_TRACKER_DEB_H
#define ST_TRACKER_DEB_H

#include "systracker/store/packages.h"

/* Reads name, version and architecture from the control data; the strings are the caller's
 * (st_deb_clear).  `name` is the file's, for messages. */
int st_deb_read(struct st_package *ret, int fd, const char *name, struct st_error *err);
void st_deb_clear(struct st_package *p);

#define ST_AUTO_DEB ST_CLEANUP(st_deb_clear) struct st_package

/* Opens a regular file, following symlinks: what the administrator or apt names is meant. */
int st_deb_open(int dirfd, const char *path, struct st_error *err);

#endif
