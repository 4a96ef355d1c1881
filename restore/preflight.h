/* SPDX-License-Identifier: GPL-2.0-or-later */
/* preflight.h - everything that can be known to go wrong is known before anything is changed. */
#ifndef ST_RESTORE_PREFLIGHT_H
#define ST_RESTORE_PREFLIGHT_H

#include "restore/journal.h"
#include "restore/stage.h"
#include "restore/world.h"

struct st_preflight {
  struct st_world *world;
  struct st_store *store; /* the writer's, or a reader's for a dry run */
  bool dry_run;           /* nothing is put into the store */
  bool keep;              /* what is overwritten goes into the store, for undo */
  bool unchanged;         /* live states must be what the plan saw; false: a resumed restore */
  struct st_stage *stage; /* filled at the end, when all else is well; NULL: nothing is */
};

/* Whether the action puts a content there, not another link to one. */
bool st_preflight_needs_content(const struct st_action *a);

/* Looks at each of the journal's actions; completes their states before (the digest of what was put
 * into the store) and the directories touched.  Why not goes to `refusals`, one line a reason,
 * escaped: then nothing may be changed.  1: a signal came.  Negative: an error of another kind. */
int st_preflight(const struct st_preflight *p, struct st_journal *j, struct st_strings *refusals,
                 struct st_error *err);

#endif
