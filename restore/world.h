/* SPDX-License-Identifier: GPL-2.0-or-later */
/* world.h - what a plan must know of the host, from its tracker: rules and mounts of now and of
 * then, what was not seen, accounts. */
#ifndef ST_RESTORE_WORLD_H
#define ST_RESTORE_WORLD_H

#include "restore/plan.h"
#include "systracker/tracker/tracker.h"

struct st_world_mount {
  char *path;
  bool entered;
};

struct st_world_mounts {
  struct st_world_mount *items;
  size_t count;
};

/* A path at or below which nothing is known for sure. */
struct st_world_gap {
  char *path; /* "": everything */
  char *reason;
};

struct st_world_gaps {
  struct st_world_gap *items;
  size_t count;
};

struct st_world {
  struct st_tracker *tracker; /* scanned; borrowed */
  int64_t checkpoint;         /* 0: an undo; rules do not matter then */
  char *store;                /* as a path below the root; NULL: it lies elsewhere */
  struct st_scope *scope_then;
  struct st_world_mounts mounts, mounts_then;
  struct st_world_gaps gaps, gaps_then;
  char *beside; /* names that begin so are ours, left by a killed restore; NULL: none */
  /* Whose store new contents are looked up in, as soon as it is known which; NULL: they are not. */
  const struct st_tracker *look_up;
  bool locked;         /* the checkpoint's secrets are sealed with a key that we do not have */
  bool alone;          /* the store's lock is held: nobody else writes to the catalog */
  bool clone;          /* files of machine identity stay as they are */
  bool leave_packaged; /* so do files that are as their packages have them, then and now */
  /* The file that says so is put back too, so ids of the checkpoint will be right: */
  bool users_fixed, groups_fixed;
};

int st_world_open(struct st_world *ret, struct st_tracker *t, int64_t checkpoint, bool clone,
                  struct st_error *err);
void st_world_close(struct st_world *w);
/* The plan's callbacks; `w` is borrowed. */
struct st_plan_world st_world_callbacks(struct st_world *w);
/* The live mount point that the path lies on; "/" where there is none below. */
const char *st_world_mount_of(const struct st_world *w, const char *path);

#endif
