/* SPDX-License-Identifier: GPL-2.0-or-later */
/* download.h - objects, from an archive's server to a host. */
#ifndef ARCHIVE_SYNC_DOWNLOAD_H
#define ARCHIVE_SYNC_DOWNLOAD_H

#include "archive-sync/remote.h"
#include "archive-sync/source.h"

/* Those that are not in the store yet, in batches, each proved; what the server lacks, or sends
 * damaged, is passed over.  `path`: "/v1/hosts/H/objects". */
int st_download_objects(struct st_pull *p, struct st_remote *r, const char *path,
                        const struct st_id *ids, size_t count, struct st_error *err);

/* A file that has no name, below the store's remote/; -1. */
int st_download_file(int store_dirfd, struct st_error *err);

#endif
