/* SPDX-License-Identifier: GPL-2.0-or-later */
/* accountlines.h - files of accounts for the time in which packages change: those that should be,
 * and behind them those that only the live system has, which what is removed still needs. */
#ifndef ST_RESTORE_ACCOUNTLINES_H
#define ST_RESTORE_ACCOUNTLINES_H

#include "restore/accounts.h"

/* Appends the target's content, and the lines of live names that it lacks, with their ids changed.
 * `path` says which file it is.  False: it lacks none, or is no such file; then nothing is
 * appended.
 */
bool st_account_lines_merge(const char *path, const struct st_buffer *target,
                            const struct st_buffer *live, const struct st_id_changes *changes,
                            struct st_buffer *out);

#endif
