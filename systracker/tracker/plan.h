/* SPDX-License-Identifier: GPL-2.0-or-later */
/* plan.h - the plug-ins' own part of a restore: what their `plan` callbacks say (plugin.h). */
#ifndef ST_TRACKER_PLAN_H
#define ST_TRACKER_PLAN_H

#include "systracker/tracker/tracker.h"

struct st_plan_item {
  char *plugin;  /* whose; its `apply` gets `data` */
  char *words;   /* one line, escaped */
  bool possible; /* false: it is said, and not done */
  void *data;
  size_t length;
};

struct st_plan {
  struct st_plan_item *items;
  size_t count;
  const char *plugin; /* who is being asked, while it is asked */
};

void st_plan_clear(struct st_plan *plan);

/* Asks the plug-in of the change's table; where it is absent or has no `plan`, one impossible item
 * with the change in words is added.  Not for ST_TABLE_ENTRY tables. */
int st_tracker_plan(struct st_tracker *t, const struct st_change *change, struct st_plan *out,
                    struct st_error *err);
/* Runs the item's `apply`, or `verify` (0 as it should be, 1 not: words appended). */
int st_tracker_plan_apply(struct st_tracker *t, const struct st_plan_item *item,
                          struct st_error *err);
int st_tracker_plan_verify(struct st_tracker *t, const struct st_plan_item *item,
                           struct st_buffer *words, struct st_error *err);

#endif
