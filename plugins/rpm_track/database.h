/* SPDX-License-Identifier: GPL-2.0-or-later */
/* database.h - where the root has rpm's database, and whether it is still the one that was read. */
#ifndef ST_RPM_TRACK_DATABASE_H
#define ST_RPM_TRACK_DATABASE_H

#include "systracker/plugin.h"

struct database {
  const char *folder; /* where it is; borrowed */
  char identity[512]; /* what stat says of its files, as one text */
  bool settled;       /* all their times are over: what is written from now on has others */
};

/* Looks where rpm may have it, or only in `folder` where that is not NULL.  1: there is none. */
int database_look(const struct st_context *ctx, const char *folder, struct database *ret,
                  struct st_error *err);

#endif
