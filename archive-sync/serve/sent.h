/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sent.h - lists of fixed-length items beside a host's catalog (doc/formats, Wire):
 *
 *   hosts/ID/sent      ids of objects that it sent and no checkpoint of it names yet
 *   hosts/ID/chunks    ids of what its objects are made of, and no checkpoint names by itself
 *   hosts/ID/packages  package files that it sent, or proved to have: digest of the content, digest
 *                      of the name
 *
 * Appended to and synced before anything is acknowledged; what a kill left of an item at the end is
 * passed over, and cut off by the next one.
 */
#ifndef ARCHIVE_SYNC_SERVE_SENT_H
#define ARCHIVE_SYNC_SERVE_SENT_H

#include "archive-sync/serve/fleet.h"
#include "archive-sync/wire.h"
#include "systracker/base/set.h"
#include "systracker/store/packages.h"

#define ST_SENT "sent"
#define ST_SENT_CHUNKS "chunks"
#define ST_SENT_PACKAGES "packages"

#define ST_SENT_AGE ((int64_t)7 * 86400) /* seconds that gc keeps `sent` after the last of it */

/* An item of ST_SENT_PACKAGES: the digests of a package file's content, and of its name. */
#define ST_SENT_CLAIM_SIZE ((size_t)2 * ST_DIGEST_SIZE)
void st_sent_claim(const struct st_package *p, uint8_t out[ST_SENT_CLAIM_SIZE]);
/* "NAME_VERSION_ARCHITECTURE.KIND": malloc'ed. */
char *st_sent_package_file(const struct st_package *p);

/* Bytes of one item of that list. */
size_t st_sent_item_size(const char *list);

/* Reads a list as it is; empty where there is none. */
int st_sent_read(int archive_dir, const char *host, const char *list, struct st_buffer *out,
                 struct st_error *err);
/* Appends items, durably; makes the host's folder where need be. */
int st_sent_add(int archive_dir, const char *host, const char *list, const void *items,
                size_t length, struct st_error *err);
/* Replaces all of it in one step; none: empties it. */
int st_sent_replace(int archive_dir, const char *host, const char *list, const void *items,
                    size_t length, struct st_error *err);

/* For gc, with the archive's lock held: calls fn with each id that hosts sent, where the last of a
 * host's is younger than ST_SENT_AGE; a list that is older is emptied. */
int st_sent_each(struct st_archive *a, int64_t now, int (*fn)(void *arg, const struct st_id *id),
                 void *arg, struct st_error *err);

/* For gc: package files of these claims are about to be removed, or were, so that no host has sent
 * them any more, and whoever has one still is asked for it again.  Durable.  A server that runs is
 * told by the times of packages/. */
int st_sent_drop_claims(struct st_archive *a, const struct st_set *gone, struct st_error *err);

/* ---- What is a host's own -----------------------------------------------------------------------
 */

/* What it sent or names, as it is now; for one request. */
struct st_own;
int st_own_open(struct st_own **ret, struct st_archive *a, struct st_fleet *f, const char *host,
                struct st_error *err);
void st_own_close(struct st_own *o);
ST_DEFINE_CLEANUP(struct st_own *, st_own_close)
bool st_own_has(const struct st_own *o, const struct st_id *id);
/* From now on it is the host's, for this one. */
void st_own_add(struct st_own *o, const struct st_id *id);

#endif
