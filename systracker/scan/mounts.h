/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mounts.h - what mountinfo(5) says of a mount id. */
#ifndef ST_SCAN_MOUNTS_H
#define ST_SCAN_MOUNTS_H

#include "systracker/base/buffer.h"

struct st_mounts;
struct st_mounts *st_mounts_read(void); /* of this process; empty where it cannot be read */
void st_mounts_free(struct st_mounts *m);
ST_DEFINE_CLEANUP(struct st_mounts *, st_mounts_free)
/* The type of file system, or "unknown". */
const char *st_mounts_type(const struct st_mounts *m, uint64_t mount_id);
/* Whether the same file system is mounted at a place that is not below `root`, too. */
bool st_mounts_outside(const struct st_mounts *m, uint64_t mount_id, const char *root);

#endif
