/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * prune.h - forgetting checkpoints: which ones, and how.
 *
 * The headers of all stay, so the chain holds; numbers stay.  Of a checkpoint that is pruned the
 * facts go: what lived only in such ones is deleted, and what began or ended with one does so with
 * the next that is kept.  Whatever is read at those that are kept is what it was.
 */
#ifndef ST_CATALOG_PRUNE_H
#define ST_CATALOG_PRUNE_H

#include "systracker/base/text.h"
#include "systracker/catalog/catalog.h"

/* How many to keep; 0: none by this rule.  Each rule counts for itself. */
struct st_retention {
  int64_t last;                           /* the newest ones */
  int64_t daily, weekly, monthly, yearly; /* the newest of each of so many that have one */
  struct st_strings tags;                 /* those that have one of these */
};

/* Whether any rule keeps something. */
bool st_retention_is_set(const struct st_retention *keep);

enum st_kept {
  ST_KEPT_BASELINE = 1,
  ST_KEPT_LATEST = 2,
  ST_KEPT_LAST = 4,
  ST_KEPT_DAILY = 8,
  ST_KEPT_WEEKLY = 16,
  ST_KEPT_MONTHLY = 32,
  ST_KEPT_YEARLY = 64,
  ST_KEPT_TAG = 128,
  ST_KEPT_UNDO = 256, /* what the last restore changed is put back from it */
};

struct st_choice {
  int64_t number, time;
  unsigned kept; /* enum st_kept; 0: it goes */
};
struct st_choices {
  struct st_choice *items; /* those whose facts are here, the newest first */
  size_t count;
};
void st_choices_free(struct st_choices *choices);

/* Applies the rules.  Days, weeks (from Monday), months and years are those of local time.
 * `undo`: `nundo` checkpoints that are needed besides, those that exist.  A tag that does not is an
 * error. */
int st_prune_choose(struct st_catalog *c, const struct st_retention *keep, const int64_t *undo,
                    size_t nundo, struct st_choices *ret, struct st_error *err);

struct st_prune_result {
  int64_t checkpoints;    /* that were pruned */
  int64_t rows;           /* of facts that were deleted */
  struct st_strings tags; /* that named them, and are gone too */
};
void st_prune_result_free(struct st_prune_result *result);

/* Prunes those of the choices that are not kept.  What is read through this catalog afterwards is
 * so already, for all others only with the commit.  It is open to write, and no scan is open.
 * Manifests that no fact names any more are forgotten; objects are the caller's. */
int st_catalog_prune(struct st_catalog *c, const struct st_choices *choices,
                     struct st_prune_result *ret, struct st_error *err);
int st_catalog_prune_commit(struct st_catalog *c, struct st_error *err);
void st_catalog_prune_undo(struct st_catalog *c);

#endif
