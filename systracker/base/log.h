/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log.h - what happened, for the administrator: a file, or syslog (which the journal reads).
 * st_log() itself: plugin.h.  Never secrets; paths escaped. */
#ifndef ST_BASE_LOG_H
#define ST_BASE_LOG_H

#include "systracker/base/error.h"

/* `target`: "none", "syslog", "stderr" or an absolute path, opened for appending, 0600.  Levels
 * below `least` are dropped.  Warnings and errors also go to standard error as "systracker: ...",
 * unless it is the target. */
int st_log_open(const char *program, const char *target, enum st_log_level least,
                struct st_error *err);
void st_log_close(void);
/* --quiet: nothing but errors to standard error. */
void st_log_quiet(bool quiet);

#endif
