/* SPDX-License-Identifier: GPL-2.0-or-later */
/* upload.h - objects and package files, from a host to an archive's server.  Of each only what the
 * server says that it does not have from us: so what was interrupted goes on where it was. */
#ifndef ARCHIVE_SYNC_UPLOAD_H
#define ARCHIVE_SYNC_UPLOAD_H

#include "archive-sync/destination.h"
#include "archive-sync/remote.h"

/* In batches, bases and chunks before what needs them; durable there when it returns. */
int st_upload_objects(struct st_push *p, struct st_remote *r, const struct st_id *ids, size_t count,
                      struct st_error *err);

/* An id as JSON has it: wire.h's bytes in hexadecimal. */
int st_upload_parse_id(const json_t *text, struct st_id *ret, struct st_error *err);

/* Every kept package file.  One that the server has from another host is proved to be at hand, and
 * is not sent again. */
int st_upload_packages(struct st_push *p, struct st_remote *r, struct st_error *err);

/* SHA-256 of the digests of all kept package files, ascending, in hexadecimal; "" of none. */
int st_upload_package_digest(int store_dirfd, char ret[2 * ST_DIGEST_SIZE + 1],
                             struct st_error *err);

#endif
