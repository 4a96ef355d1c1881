/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sealed.h - another host's data key, as fetch brought it: hosts/HOSTID/key.age (recovery.h). */
#ifndef ST_TRACKER_SEALED_H
#define ST_TRACKER_SEALED_H

#include "systracker/base/recovery.h"

#define ST_SEALED_KEY "key.age"
#define ST_SEALED_KEY_MAX 65536 /* bytes */

/* Opens the host's with the identities in the file `recovery`, and puts the data key, and what is
 * derived from it, into `keys`; the rest of `keys` stays. */
int st_sealed_key_open(struct st_keys *keys, int store_dirfd, const char *host,
                       const char *recovery, struct st_error *err);

#endif
