/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unified.h - what differs between two texts, as a unified diff.
 *
 * Most differences that are shown are a few lines of a configuration file.  These are found here:
 * starting diff(1) takes 1.5 ms for each, and loading and initialising libgit2 7 ms.
 */
#ifndef ST_BASE_UNIFIED_H
#define ST_BASE_UNIFIED_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

/* The unified diff of two contents, with three lines of context, as `diff -a -u` has it; where more
 * than a few hundred lines differ it is diff(1) that makes it.  The labels (escaped already) stand
 * in the header lines.  Appends; returns 0 same, 1 different, negative on error. */
int st_unified_diff(const void *old, size_t old_length, const char *old_label, const void *new_,
                    size_t new_length, const char *new_label, struct st_buffer *out,
                    struct st_error *err);

#endif
