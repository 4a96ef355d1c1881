/* SPDX-License-Identifier: GPL-2.0-or-later */
/* paths.h - how the root's directories spell a package's paths: where /bin is a symlink to usr/bin,
 * a package's /bin/ls is /usr/bin/ls. */
#ifndef ST_RPM_PATHS_H
#define ST_RPM_PATHS_H

#include <stdbool.h>

#include "systracker/base/cleanup.h"

struct rpm_paths; /* what was resolved so far */
struct rpm_paths *rpm_paths_new(void);
void rpm_paths_free(struct rpm_paths *p);
ST_DEFINE_CLEANUP(struct rpm_paths *, rpm_paths_free)

/* The path with its directories resolved, and itself where it is a directory's (`directory`) and
 * leads to one.  Symlinks are followed below our own "/", which is the root's.  What is not there
 * stands as it was written.  malloc'ed; NULL: not absolute, or with "." or ".." in it. */
char *rpm_paths_resolve(struct rpm_paths *p, const char *path, bool directory);

#endif
