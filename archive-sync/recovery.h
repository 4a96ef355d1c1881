/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recovery.h - how secrets outlive their host: its data key lies in the archive, sealed to the
 * archive's recovery keys (age.h), as hosts/HOSTID/key.age.  Who holds a recovery key opens it with
 * `restore --recovery-key`, or with age(1); the archive itself cannot.
 */
#ifndef ARCHIVE_SYNC_RECOVERY_H
#define ARCHIVE_SYNC_RECOVERY_H

#include "archive-sync/archive.h"

/* Seals our data key to the archive's recipients, where that was not done yet or they changed.
 * 0: done, or there was nothing to do; 1: the archive names no recipient. */
int st_recovery_send(struct st_archive *a, const struct st_keys *keys, struct st_error *err);

/* Whether that is done, or cannot be. */
bool st_recovery_is_sent(struct st_archive *a, const char *host);

/* Brings a host's sealed data key along into a store.  1: the archive has none. */
int st_recovery_bring(struct st_archive *a, const char *host, int store_dirfd,
                      struct st_error *err);

#endif
