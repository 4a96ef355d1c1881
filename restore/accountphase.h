/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * accountphase.h - the first phase of a restore: the files that say who has an account, and every
 * inode that carries an id which is another one by them.
 */
#ifndef ST_RESTORE_ACCOUNTPHASE_H
#define ST_RESTORE_ACCOUNTPHASE_H

#include "restore/session.h"

/* Which ids move, and what carries them: of accounts whose files the gathered difference puts back;
 * none where none differs.  `past`: of an undo, the journal of the phases that it undoes, whose
 * moves go back; else NULL. */
int st_account_phase_find(struct st_session *s, const struct st_journal *past, struct st_moves *ret,
                          struct st_error *err);

/* Lets the wishes' live owners be what they are when the list was carried out; not those of files
 * of accounts, which are put back before. */
void st_account_phase_translate(const struct st_moves *moves, struct st_wishes *wishes);

/* Lets the wishes' targets, which are of the accounts as they are when it was carried out, be what
 * they were before: by number. */
void st_account_phase_translate_back(const struct st_moves *moves, struct st_wishes *wishes);

/* Takes what is to be done to files of accounts out of a plan, into the journal, whose list no
 * longer names them.  Reasons against it go to `refusals`. */
void st_account_phase_take(struct st_actions *actions, struct st_journal *j,
                           struct st_strings *refusals);

/* Where packages are to change: lets the journal's files of accounts keep, behind what is put back,
 * those that only the live system has; what is removed needs them to the end.  The entries put the
 * files back without them.  After preflight. */
int st_account_phase_keep(struct st_session *s, struct st_journal *j, struct st_error *err);

/* What moves, printed. */
void st_account_phase_report(const struct st_session *s, const struct st_moves *moves);

/* Carries it out, for the first time or again.  Where it came to its end, that is in the journal.
 * 1: interrupted, and said so. */
int st_account_phase_apply(struct st_session *s, struct st_journal *j, bool resumed,
                           struct st_error *err);

#endif
