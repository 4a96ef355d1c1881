/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * places.h - where the paths of packages lie in this root: symlinks among their directories are
 * followed, as /bin is one where /usr is merged, below the root alone.
 *
 * What was resolved is remembered, so one of these serves one scan.  Not for several threads at
 * once.
 */
#ifndef ST_DPKG_TRACK_PLACES_H
#define ST_DPKG_TRACK_PLACES_H

#include <limits.h>

#include "systracker/plugin.h"

struct places;

/* `root`: a descriptor, borrowed.  NULL: out of memory. */
struct places *places_new(int root);
void places_free(struct places *p);

/* The path with its directories resolved, into `ret` (PATH_MAX bytes).  `follow`: a symlink at its
 * end is followed as well, where a directory lies behind it, as dpkg takes that for the directory.
 * Where links go in circles, or lead to too long a path, it stays as it is. */
int places_resolve(struct places *p, const char *path, bool follow, char *ret,
                   struct st_error *err);

/* A descriptor (borrowed, until the next call) of the directory that a resolved path lies in, and
 * its last part.  -ENOENT and the like as negative errno: it cannot be opened. */
int places_folder(struct places *p, const char *path, const char **ret_name);

#endif
