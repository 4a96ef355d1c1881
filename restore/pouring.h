/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pouring.h - contents poured into the files of a stage that are to have them. */
#ifndef ST_RESTORE_POURING_H
#define ST_RESTORE_POURING_H

#include "restore/stage-internal.h"

/* A share of the contents: each is proved before the files that have it count as ready.  What is
 * wrong with one is said, of each of its files.  1: nothing more can be written, which is said, or
 * a signal came. */
int st_stage_put_share(struct st_stage *s, struct going *g, const struct st_share *share);

#endif
