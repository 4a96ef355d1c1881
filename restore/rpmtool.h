/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rpmtool.h - systracker-rpm, which has librpm in it, asked for a transaction. */
#ifndef ST_RESTORE_RPMTOOL_H
#define ST_RESTORE_RPMTOOL_H

#include "systracker/tracker/rpmrequest.h"
#include "systracker/tracker/tracker.h"

/* Runs `systracker-rpm transaction MODE` on the root to its end.  It is in a session of its own,
 * and goes on when we are killed: half a transaction serves nobody.  `answer` and `log` (what rpm
 * and scriptlets said) are appended to.  Returns 0 or 1, its exit status; negative: trouble, with
 * its words. */
int st_rpm_transaction(struct st_tracker *t, const char *mode, const struct st_rpm_request *request,
                       struct st_buffer *answer, struct st_buffer *log, struct st_error *err);

#endif
