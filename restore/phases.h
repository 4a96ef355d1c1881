/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * phases.h - a restore that moves ids or changes packages: accounts, packages, a new look, a new
 * plan, entries.
 *
 * Where packages change, what was before is a checkpoint of its own, made first: to undo such a
 * restore is to restore that.  Else it is undone by its journals.  Ids go back by journal either
 * way.
 */
#ifndef ST_RESTORE_PHASES_H
#define ST_RESTORE_PHASES_H

#include "restore/session.h"

/* Whether the request means the packages too; and then, that what need not go stays. */
bool st_phases_wanted(const struct st_session *s);
bool st_phases_keep(const struct st_session *s);

/* What differs, as a restore in phases has it: from its checkpoint, or, of an undo by journals,
 * from those. */
int st_phases_gather(struct st_session *s, const struct st_journal *phases, struct st_gathered *ret,
                     struct st_error *err);

/* What packages need before the entries: diversions, moved from `g`, and the steps of the packages;
 * nothing where none differ.  Refused where they cannot be known. */
int st_phases_find(struct st_session *s, struct st_gathered *g, struct st_journal *ret,
                   struct st_error *err);

/* From a gathered difference to the verified end.  `j` has what st_phases_find found, its moves and
 * `undoes`; returns the exit status. */
int st_phases_run(struct st_session *s, struct st_gathered *g, struct st_journal *j,
                  struct st_error *err);

/* Goes on with one that was interrupted before its entries were journalled. */
int st_phases_resume(struct st_session *s, struct st_journal *j, struct st_error *err);

/* The journal whose checkpoint `before` undo goes back to, for a restore that `last` is or is part
 * of; number 0: it changed no packages. */
int st_phases_of(const struct st_session *s, const struct st_journal *last, struct st_journal *ret,
                 struct st_error *err);

#endif
