/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stage.h - directories that a restore makes anew are made ready as whole trees, before anything
 * is changed: beside their place, where root alone may enter, and renamed when they are put.
 *
 * So each content is decoded once, and proved as it is written.  In them goes what is new and
 * simple; other links of an inode, secrets, files of accounts, and whatever a file system does not
 * take as it is, are put afterwards, one by one (put.h).
 *
 * STORE/journal/staged says where they are, so that what a kill leaves is found: doc/formats.
 */
#ifndef ST_RESTORE_STAGE_H
#define ST_RESTORE_STAGE_H

#include "restore/journal.h"
#include "restore/places.h"
#include "systracker/scan/written.h"
#include "systracker/store/store.h"

struct st_stage_options {
  int root, store_dir;        /* descriptors, borrowed */
  struct st_store *store;     /* that contents come from */
  struct st_written *written; /* notes what is ready; may be NULL */
  struct st_journal *journal; /* its token, and its actions as they are now */
  /* Contents that are being looked up already, of which those of the actions should be; taken over.
   * NULL: none are. */
  struct st_places *places;
};

/* Which actions can be made ready; touches nothing. */
struct st_stage;
struct st_stage *st_stage_new(const struct st_stage_options *options);

/* Whether the action's content is proved when it is made ready. */
bool st_stage_takes(const struct st_stage *stage, size_t action);

/* Begins to look up where their contents lie, unless that is known, and puts them in order, beside
 * what else is looked at before.  What lies in the store is synced by then. */
void st_stage_look_up(struct st_stage *stage);

/* Makes them ready, sets the sizes of their states after, and drafts the journal meanwhile: so what
 * is to be known before is in it.  What is wrong with a content, or that nothing can be written,
 * goes to `refusals`, escaped.  1: a signal came. */
int st_stage_fill(struct st_stage *stage, struct st_strings *refusals, struct st_error *err);

/* Whether what was written back beside reached the disk, as far as the sync of a file system that
 * follows would not say so.  Waits for it. */
int st_stage_flushed(struct st_stage *stage, struct st_error *err);

/* Whether the action is carried out by that: of a directory on top it is, now. */
bool st_stage_place(struct st_stage *stage, size_t action);

/* Whether a directory that was put so has its metadata, and nothing more is put into it. */
bool st_stage_finished(const struct st_stage *stage, size_t action);

/* Removes what was made ready and has not been put.  May be NULL. */
void st_stage_free(struct st_stage *stage);
ST_DEFINE_CLEANUP(struct st_stage *, st_stage_free)

/* Removes what a killed restore had made ready, if it is still what it was. */
void st_stage_sweep(int root, int store_dir);

#endif
