/* SPDX-License-Identifier: GPL-2.0-or-later */
/* moving.h - moves inodes along, as a journalled list says. */
#ifndef ST_RESTORE_MOVING_H
#define ST_RESTORE_MOVING_H

#include "restore/moves.h"

/* Sets the owners of the list, each by a descriptor of its own that no symlink led to, and puts
 * back what chown(2) drops: setuid, setgid, capabilities.  What is done already is recognized and
 * left. What has neither the owner before nor that after was changed by somebody and is left; that,
 * and what cannot be changed, goes to `problems`; what is gone is gone.  All is durable in the end.
 * 1: stopped, as a signal came or nothing more can be written. */
int st_moving_apply(int root, const struct st_moves *m, bool (*is_interrupted)(void),
                    struct st_strings *problems);

#endif
