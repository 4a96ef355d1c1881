/* SPDX-License-Identifier: GPL-2.0-or-later */
/* apply.h - carries a journalled plan out, below the root's descriptor alone. */
#ifndef ST_RESTORE_APPLY_H
#define ST_RESTORE_APPLY_H

#include "restore/journal.h"
#include "restore/stage.h"
#include "restore/world.h"

struct st_apply {
  struct st_tracker *tracker; /* the root, and the plug-ins */
  struct st_store *store;
  int store_dir;
  struct st_journal *journal;
  struct st_strings *problems; /* what could not be done, one line each, escaped */
  struct st_written *written;  /* notes what was put with its content; may be NULL */
  struct st_stage *stage;      /* what was made ready before; may be NULL */
  bool stays_open;             /* the journal stays `applying` at the end: more is to follow */
};

/* Ends with 0 when it went to its end (`problems` may say that something was not done); 1 when it
 * was interrupted by a signal, or stopped as nothing more can be written: then the journal stays
 * `applying`; 1, too, where the disk did not keep what was written: then it is `lost`, and one that
 * is put anew from the first action on, but for what is deleted.  What is done already is
 * recognized and left, so that it serves for a resumed one too.  SIGINT, SIGTERM and SIGHUP are
 * held back during it and looked for between actions. */
int st_apply(const struct st_apply *a, struct st_error *err);

/* Removes the files beside that a killed restore left under their temporary names. */
void st_apply_sweep(const struct st_apply *a);

#endif
