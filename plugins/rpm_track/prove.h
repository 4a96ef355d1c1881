/* SPDX-License-Identifier: GPL-2.0-or-later */
/* prove.h - SHA-256 of files whose packages have other digests. */
#ifndef ST_RPM_TRACK_PROVE_H
#define ST_RPM_TRACK_PROVE_H

#include "systracker/plugin.h"

/* What a package says of a file's content. */
struct declared {
  const char *path;   /* as the root's directories resolve it */
  const char *digest; /* a FIELD_OTHER (rpm/list.h) */
  int64_t size;       /* bytes */
};

/* Reads the file once, for both digests.  0: `*ret` is the SHA-256 of what the package brought; 1:
 * the file is not there, cannot be read, or is another by now. */
int prove(const struct st_context *ctx, const struct declared *d, struct st_id *ret);

#endif
