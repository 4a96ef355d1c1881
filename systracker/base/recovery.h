/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recovery.h - a host's data key as it leaves the host: sealed to the archive's recovery key
 * (age.h).
 *
 * What is sealed is text, so that age(1) and an editor suffice to have the key back:
 *
 *   systracker data key 1
 *   host HOSTID
 *   key 64 hexadecimal digits
 */
#ifndef ST_BASE_RECOVERY_H
#define ST_BASE_RECOVERY_H

#include "systracker/base/age.h"

/* Appends the sealed form of keys->data_key, for each of the recipients. */
int st_recovery_seal(const struct st_keys *keys, const struct st_age_recipient *to, size_t count,
                     struct st_buffer *out, struct st_error *err);
/* Opens it.  `host_id` is the host that it should be of; another one's is an error.  `*ret`: see
 * st_keys_of_data_key; the caller wipes it. */
int st_recovery_open(const struct st_age_identities *ids, const void *data, size_t length,
                     const char *host_id, struct st_keys *ret, struct st_error *err);

#endif
