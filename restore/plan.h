/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan.h - from what should be and what is, to what is to be done: a pure function.
 *
 * It reads no file and no catalog.  What it must know of the host it asks through st_plan_world.
 */
#ifndef ST_RESTORE_PLAN_H
#define ST_RESTORE_PLAN_H

#include "restore/state.h"

enum st_action_kind {
  ST_ACTION_DELETE,
  ST_ACTION_CREATE,   /* nothing was there */
  ST_ACTION_REPLACE,  /* other content, target, device or type */
  ST_ACTION_METADATA, /* owner, mode, time */
  ST_ACTION_NOTE,     /* said, not done, and nothing is missing by that */
  ST_ACTION_CANNOT,   /* said, not done: the restore is incomplete */
};

/* One path, as it is and as it should be: a wish, until a plan says what is done about it. */
struct st_action {
  char *path;
  char *why; /* of NOTE and CANNOT: words, escaped */
  enum st_action_kind kind;
  bool selected; /* of a wish; false: a directory above one, made only where it is needed */
  struct st_state before, after;
};
/* Frees what it holds, not itself. */
void st_action_clear(struct st_action *a);

/* The memory of actions, each of which stays where it is until all are freed. */
struct st_action_blocks {
  struct st_action **items;
  size_t count, used; /* used: of the last one */
};

struct st_wishes {
  struct st_action **items;
  size_t count, size;
  struct st_action_blocks blocks;
  bool unsorted; /* some path does not come behind the one before it */
  bool last;     /* nobody needs them behind the plan, whose actions they may become */
};
#define ST_AUTO_WISHES ST_CLEANUP(st_wishes_free) struct st_wishes
void st_wishes_free(struct st_wishes *w);
/* Adds one; `path` is copied, the states are the caller's to fill. */
struct st_action *st_wishes_add(struct st_wishes *w, const char *path, bool selected);
/* The same of a path that becomes theirs. */
struct st_action *st_wishes_take(struct st_wishes *w, char *path, bool selected);
/* Moves those of `from` behind its own. */
void st_wishes_append(struct st_wishes *w, struct st_wishes *from);
/* Sorts by path and joins what was added twice (selected wins). */
void st_wishes_sort(struct st_wishes *w);
/* In what is sorted; NULL, SIZE_MAX: it is not there. */
struct st_action *st_wishes_find(const struct st_wishes *w, const char *path);
size_t st_wishes_index(const struct st_wishes *w, const char *path);

struct st_actions {
  struct st_action **items;
  size_t count, size;
  struct st_action_blocks blocks;
  size_t left; /* live paths that the target does not have, left without `exact` */
};
#define ST_AUTO_ACTIONS ST_CLEANUP(st_actions_free) struct st_actions
void st_actions_free(struct st_actions *a);
/* Makes room for so many more. */
void st_actions_reserve(struct st_actions *a, size_t more);
struct st_action *st_actions_add(struct st_actions *a, enum st_action_kind kind, const char *path);
/* What another one holds, which is theirs then. */
void st_actions_move(struct st_actions *a, const struct st_action *other);
/* How many are to be done, or cannot be. */
size_t st_actions_count(const struct st_actions *a, enum st_action_kind kind);
static inline bool st_action_is_done(const struct st_action *a)
{
  return a->kind <= ST_ACTION_METADATA;
}

/* What the plan must know of the host. */
struct st_plan_world {
  void *arg;
  /* Why the path may not be touched (deleted, if `deleting`): words, malloc'ed; NULL: it may.
   * `*ret_intended`: that is how it should be (a rule), and nothing is missing by it. */
  char *(*forbidden)(void *arg, const char *path, bool is_dir, bool deleting, bool *ret_intended);
  /* Names in the live directory, tracked or not. */
  int (*children)(void *arg, const char *path, struct st_strings *ret, struct st_error *err);
  /* The ids that these names have now; false: no such name. */
  bool (*uid)(void *arg, const char *name, uint32_t *ret);
  bool (*gid)(void *arg, const char *name, uint32_t *ret);
};

struct st_plan_options {
  bool exact;   /* delete what the target does not have */
  bool partial; /* some paths alone: what others share with them is not known */
  bool numeric; /* owners by number, whatever their names are here */
};

/* The plan, in the order in which it is carried out: deletions, deepest first; accounts; the others
 * by path, so that directories come before what they hold; then those that are put back as another
 * link to one of them, or to what is there; then what is only said.  `wishes` are
 * sorted; they are completed (ids by name, what the target does not know). */
int st_restore_plan(struct st_wishes *wishes, const struct st_plan_options *options,
                    const struct st_plan_world *world, struct st_actions *ret,
                    struct st_error *err);

/* Whether the path is one of the files that say who has an account: put back before all others. */
bool st_is_account_file(const char *path);

#endif
