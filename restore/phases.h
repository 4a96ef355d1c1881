/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * phases.h - a restore that changes packages: packages, a new look, a new plan, entries.
 *
 * What was before is a checkpoint of its own, made first: to undo such a restore is to restore
 * that.
 */
#ifndef ST_RESTORE_PHASES_H
#define ST_RESTORE_PHASES_H

#include "restore/session.h"

/* Whether the request means the packages too. */
bool st_phases_wanted(const struct st_session *s);

/* What is to be done before the entries: diversions, moved from `g`, and the steps of the packages;
 * nothing where none differ.  Refused where they cannot be known. */
int st_phases_find(struct st_session *s, struct st_gathered *g, struct st_journal *ret,
                   struct st_error *err);

/* From a gathered difference to the verified end.  `j` has what st_phases_find found, and `undoes`;
 * returns the exit status. */
int st_phases_run(struct st_session *s, struct st_gathered *g, struct st_journal *j,
                  struct st_error *err);

/* Goes on with one that was interrupted before its entries were journalled. */
int st_phases_resume(struct st_session *s, struct st_journal *j, struct st_error *err);

/* The journal whose checkpoint `before` undo goes back to, for a restore that `last` is or is part
 * of; number 0: it changed no packages. */
int st_phases_of(const struct st_session *s, const struct st_journal *last, struct st_journal *ret,
                 struct st_error *err);

#endif
