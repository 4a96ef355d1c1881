/* SPDX-License-Identifier: GPL-2.0-or-later */
/* run.h - a restore, an undo, and a restore that goes on, from beginning to end. */
#ifndef ST_RESTORE_RUN_H
#define ST_RESTORE_RUN_H

#include "restore/world.h"
#include "systracker/tracker/cli.h"

enum st_request_packages {
  ST_PACKAGES_UNSAID, /* exact with `exact`; else they and their files stay as they are */
  ST_PACKAGES_EXACT,  /* they become those of the checkpoint */
  ST_PACKAGES_KEEP,   /* those of the checkpoint are there afterwards; what need not go stays */
  ST_PACKAGES_NONE,   /* files alone, whosever they are; what plug-ins would put back stays */
};

struct st_request {
  const struct st_cli *cli;
  const char *checkpoint;
  const char *from, *host; /* an archive's URL; whose checkpoints: NULL our own */
  /* For a server's URL: what a join string has behind its "#" (malloc'ed), or the file that has it;
   * NULL: none. */
  char *join;
  const char *join_file;
  const char *recovery_key; /* file with the archive's recovery key; NULL: none */
  bool dry_run, yes, exact, no_undo, resume, status, force;
  bool numeric_owner;
  bool restart;        /* services that what was changed concerns */
  bool verify_full;    /* what was put back is read again */
  bool as_same, clone; /* what --as says; neither: clone on another host */
  enum st_request_packages packages;
  struct st_strings paths; /* normal */
};

/* Each returns the exit status (enum st_exit), or a negative number with an error. */
int st_run_restore(const struct st_request *r, struct st_error *err);
int st_run_undo(const struct st_request *r, struct st_error *err);
int st_run_resume(const struct st_request *r, struct st_error *err);
int st_run_status(const struct st_request *r, struct st_error *err);

#endif
