/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tools.h - programs of the root's own that are asked, in a mount namespace where it is another
 * root than the running system's. */
#ifndef ST_RESTORE_TOOLS_H
#define ST_RESTORE_TOOLS_H

#include "systracker/tracker/tracker.h"

/* Adds these, which end with NULL. */
void st_tools_add(struct st_strings *to, const char *const *words);

/* Runs the command; as st_run and st_run_in, what it says is at most 16 MiB. */
int st_tools_run(struct st_tracker *t, const struct st_strings *words, char **ret,
                 size_t *ret_length, struct st_error *err);

/* What a program says to one argument. */
int st_tools_ask(struct st_tracker *t, const char *program, const char *argument, char **ret,
                 size_t *ret_length, struct st_error *err);

#endif
