/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * notice.h - the last phase of a restore before it is verified: systemd reads its units again, and
 * the services whose files or packages were changed are named, or restarted with --restart.  Of the
 * running system alone: in another root nothing runs.
 */
#ifndef ST_RESTORE_NOTICE_H
#define ST_RESTORE_NOTICE_H

#include "restore/session.h"

/* Whether the request can be followed: refused is --restart where no systemd runs, and in another
 * root than the running system's.  Before anything is changed. */
int st_notice_check(const struct st_session *s, struct st_error *err);

/* Of a dry run: names the services that run with what the actions and steps (may be NULL) would
 * change. */
int st_notice_plan(struct st_session *s, const struct st_actions *actions,
                   const struct st_package_steps *steps, struct st_error *err);

/* After the entries were put; the session has looked at the system behind the packages.  What fails
 * is said; returns how much did. */
size_t st_notice_give(struct st_session *s, const struct st_journal *j);

#endif
