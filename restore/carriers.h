/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carriers.h - every inode below a root that carries an id which moves, tracked or not. */
#ifndef ST_RESTORE_CARRIERS_H
#define ST_RESTORE_CARRIERS_H

#include "restore/moves.h"

struct st_carriers {
  int root;
  const char *root_path; /* what is also mounted outside of it is another system's */
  const struct st_account_facts *target, *live; /* whose ids none of those that make room may get */
  /* The list that is gone back on, and whether it was carried out to its end; NULL: none.  What it
   * names goes back to exactly what it was. */
  const struct st_moves *past;
  bool past_done;
};

/* Looks through all local file systems that are mounted below the root and nowhere else, and can be
 * written; others go to the list's `left`.  `ret` has its changes; those that make room get their
 * ids, and the list its moves, by path.  Changes nothing. */
int st_carriers_find(const struct st_carriers *c, struct st_moves *ret, struct st_error *err);

#endif
