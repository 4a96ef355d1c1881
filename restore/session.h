/* SPDX-License-Identifier: GPL-2.0-or-later */
/* session.h - what a restore, an undo and a resumed one have in common: the host looked at, and the
 * way from a plan to a verified end. */
#ifndef ST_RESTORE_SESSION_H
#define ST_RESTORE_SESSION_H

#include "restore/gather.h"
#include "restore/report.h"
#include "restore/run.h"

struct st_session {
  const struct st_request *request;
  struct st_tracker *look;  /* scanned */
  struct st_tracker *write; /* holds the lock; NULL: a dry run */
  struct st_world world;
  int64_t checkpoint; /* 0: not of a checkpoint */
  char *chain; /* id of the other host whose checkpoint it is, or an older epoch; NULL: our own */
  bool exact, clone; /* the request's, or those of the journal that is gone on with */
  const struct st_journal *followed; /* that one; NULL: what the request says */
  bool unseen;                       /* some of what was asked for could not be looked at */
  bool kept_all;                     /* a checkpoint was made behind it, and missed nothing */
  size_t problems;                   /* of the phases before the entries: said already */
  struct st_written *written; /* contents put back, which are not read again; NULL: they are */
  struct st_places *places; /* where contents lie that are new, while they are looked up, or NULL */
};

/* Looks at the host (fetches the chain first, where the request says so); with `write` the store's
 * lock is taken first. */
int st_session_open(struct st_session *s, const struct st_request *r, bool write,
                    struct st_error *err);
void st_session_close(struct st_session *s);
/* The number that the request's checkpoint has. */
int st_session_resolve(struct st_session *s, struct st_error *err);
/* Scans, and asks what a plan must know; again after the restore, with everything fresh. */
int st_session_scan(struct st_session *s, struct st_error *err);
int st_session_reopen(struct st_session *s, struct st_error *err);
/* The same with the checkpoint and the ways of a journal's restore, which is borrowed. */
int st_session_follow(struct st_session *s, const struct st_journal *j, struct st_error *err);

/* What was asked for: entries at or below these (none: everything), and whether what plug-ins would
 * put back stays as it is. */
const struct st_strings *st_session_paths(const struct st_session *s);
bool st_session_without_plugins(const struct st_session *s);

/* Begins to look up where contents lie of which the plan may make new files, beside the plan,
 * unless that began when they were gathered; for a restore that changes nothing before it, and is
 * carried out. */
void st_session_look_up(struct st_session *s, struct st_gathered *g);

int st_session_plan(struct st_session *s, struct st_wishes *wishes, bool exact,
                    struct st_actions *ret, struct st_error *err);

/* Prints lines on standard error, each with the program's name. */
void st_session_say(const struct st_strings *lines);

/* Moves what is to be done out of the plan into a new journal; what is only said stays there. */
int st_session_journal(struct st_session *s, struct st_actions *actions, struct st_journal *ret,
                       struct st_error *err);
/* Moves what the plug-ins can do into the journal. */
void st_session_take_plugins(struct st_plan *from, struct st_plan *to);
/* Asks on a terminal, unless --yes.  False: no. */
bool st_session_confirm(const struct st_session *s, size_t actions);

/* Makes a checkpoint of all that is there now, named for `when` ("before", "after") the restore or
 * undo of the journal, and says so. */
int st_session_keep(struct st_session *s, const char *when, const struct st_journal *j,
                    int64_t *ret, struct st_error *err);

/* From a journal with its plan to the end: preflight, journal, apply, verify, summary.  Returns the
 * exit status.  `verify` fills in what is still to be done. */
struct st_session_end {
  int (*verify)(struct st_session *s, const struct st_journal *j, struct st_actions *ret,
                struct st_error *err);
  struct st_report_sum sum;
  bool resumed;
  bool by_facts; /* `verify` does not look at the journal's actions: they are freed before */
};
int st_session_go(struct st_session *s, struct st_journal *j, struct st_session_end *end,
                  struct st_error *err);
/* Preflight alone, of a dry run.  Returns the exit status. */
int st_session_dry_run(struct st_session *s, struct st_journal *j, struct st_report_sum *sum,
                       struct st_error *err);

/* That restore's journal, and that of the phases it was a part of, are undone. */
int st_session_close_undone(struct st_session *s, int64_t number, struct st_error *err);

/* Verifies by a journal's own states. */
int st_session_verify_journal(struct st_session *s, const struct st_journal *j,
                              struct st_actions *ret, struct st_error *err);

#endif
