/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live.h - the host's entries as they are at this moment, by descriptors below its root. */
#ifndef ST_RESTORE_LIVE_H
#define ST_RESTORE_LIVE_H

#include "restore/state.h"

/* The state, without the content's digest; type 0 where nothing is there (a directory above that is
 * missing or none included).  `accounts` (may be NULL) give the names. */
int st_live_state(int root, const char *path, const struct st_accounts *accounts,
                  struct st_state *ret, struct st_error *err);
/* Completes the state of a regular file by the digest of its content, plain (key NULL) or keyed. */
int st_live_digest(int root, const char *path, const uint8_t *key, struct st_state *state,
                   struct st_error *err);
/* Opens a regular file for reading; returns its descriptor. */
int st_live_open(int root, const char *path, struct st_error *err);
/* The names in a directory. */
int st_live_children(int root, const char *path, struct st_strings *ret, struct st_error *err);

#endif
