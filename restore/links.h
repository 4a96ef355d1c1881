/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links.h - which of the paths of a plan are links to one inode at this moment. */
#ifndef ST_RESTORE_LINKS_H
#define ST_RESTORE_LINKS_H

#include "restore/journal.h"

/* Fills in the live groups of the wishes, made from a journal: only its paths, and those that its
 * states name as the first of a group, can be told to be one. */
void st_links_look(int root, const struct st_journal *j, struct st_wishes *wishes);

#endif
