/* SPDX-License-Identifier: GPL-2.0-or-later */
/* privileges.h - what the server gives up before it listens to anybody. */
#ifndef ARCHIVE_SYNC_SERVE_PRIVILEGES_H
#define ARCHIVE_SYNC_SERVE_PRIVILEGES_H

#include "systracker/base/error.h"

/* The user that serves where neither the folder's owner nor an option says another. */
#define ST_SERVE_USER "systracker-archive"

/* As root: becomes `user`, or where that is NULL the folder's owner, or where that is root
 * ST_SERVE_USER, with that user's groups and no capability.  That root goes on as root has to be
 * said expressly.  As anybody else: an error where `user` is another.
 * Then nobody may look into the process or get rights by running something. */
int st_privileges_drop(int archive_dirfd, const char *user, struct st_error *err);

/* What writes into an archive beside the server: as root, becomes the folder's owner, so that the
 * server can read and write what it leaves there.  Where that is root, or as anybody else, nothing.
 */
int st_privileges_follow(int archive_dirfd, struct st_error *err);

#endif
