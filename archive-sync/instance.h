/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * instance.h - which running system this is, as a host tells an archive's server in the header
 * Systracker-Instance: a digest of the boot's id and of when the first process started, so that
 * containers of one kernel differ.
 *
 * A copied disk copies every file, a key and any id beside it; what it cannot copy is the boot.  A
 * boot that ended never comes back, so the server knows of two machines with one key when two take
 * turns.  Nothing can be read from the digest.
 */
#ifndef ARCHIVE_SYNC_INSTANCE_H
#define ARCHIVE_SYNC_INSTANCE_H

#include <stdbool.h>

#define ST_INSTANCE_SIZE 33 /* 32 hexadecimal digits and a NUL */

/* False: it cannot be told here (no /proc); no header is sent then. */
bool st_instance(char ret[ST_INSTANCE_SIZE]);
/* Whether the text is one. */
bool st_instance_is(const char *text);

#endif
