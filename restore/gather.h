/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gather.h - what a restore wishes for: from the facts of a checkpoint, or from a journal. */
#ifndef ST_RESTORE_GATHER_H
#define ST_RESTORE_GATHER_H

#include "restore/journal.h"
#include "restore/places.h"
#include "restore/world.h"

struct st_gathered {
  struct st_wishes wishes;
  struct st_plan plugins;   /* of tables that are not of entries */
  struct st_plan packages;  /* of tables of packages: done after them, and only with them */
  struct st_plan first;     /* the administrator's diversions: done before the packages */
  struct st_places *places; /* of new contents, while they are looked up; NULL: they are not */
};
#define ST_AUTO_GATHERED ST_CLEANUP(st_gathered_free) struct st_gathered
void st_gathered_free(struct st_gathered *g);

/* All that differs between the world's checkpoint and the live system, at or below one of `paths`
 * (empty: everywhere, and what is no entry too).  Sets the world's users_fixed and groups_fixed. */
int st_gather_checkpoint(struct st_world *world, const struct st_strings *paths,
                         struct st_gathered *ret, struct st_error *err);

/* A path that neither the checkpoint nor the live system knows, nor anything below it: refused. */
int st_gather_check_path(struct st_world *world, const char *path, struct st_error *err);

/* The paths of a journal's actions: to what they were before (`back`), or to what they were to
 * become.  Sets users_fixed and groups_fixed as well. */
int st_gather_journal(struct st_world *world, const struct st_journal *j, bool back,
                      struct st_wishes *ret, struct st_error *err);

/* Appends a line for each path that is no longer as the journal's restore left it. */
int st_gather_conflicts(struct st_world *world, const struct st_journal *j, struct st_strings *ret,
                        struct st_error *err);

#endif
