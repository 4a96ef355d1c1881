/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checked.h - that a file was found whole, until it changes: "NAME.checked" beside it tells what
 * its stat data were then.
 *
 * It saves a check that reads all of the file, where the file is as it was.  Bytes that rot on the
 * disk show in no stat data: `verify` looks for those.
 */
#ifndef ST_STORE_CHECKED_H
#define ST_STORE_CHECKED_H

#include <stdbool.h>
#include <time.h>

/* Whether the file is as it was when it was noted. */
bool st_checked_is(int dirfd, const char *name);
/* Notes it, at `now` (CLOCK_REALTIME), unless the file is so new that a change could come with the
 * same times.  Best effort: what cannot be written is checked again next time. */
void st_checked_note(int dirfd, const char *name, const struct timespec *now);
/* It was found otherwise. */
void st_checked_forget(int dirfd, const char *name);

#endif
