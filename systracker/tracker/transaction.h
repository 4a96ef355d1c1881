/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transaction.h - a checkpoint after a package manager's transaction, asked for by its hook.
 *
 * It is made in the background by `systracker checkpoint --after PID`, which waits for the package
 * manager to end: only then is everything written that belongs to the transaction (apt's marks, the
 * history of dnf).  Nothing here fails or holds up a package manager.
 */
#ifndef ST_TRACKER_TRANSACTION_H
#define ST_TRACKER_TRANSACTION_H

#include <sys/types.h>

#include "conf/conf.h"
#include "systracker/tracker/tracker.h"

/* A command line (strings, each with a NUL behind, as /proc/PID/cmdline has it) as one line of
 * UTF-8 to read: the program without its folder and its interpreter, words quoted as a shell needs
 * it. What may be a password is "***": of a URL all before the "@", and what is given to an option
 * called so.  malloc'ed; "" where there is none. */
char *st_command_words(const char *data, size_t length);

/* The process that runs the hook which runs us: our nearest ancestor that is no shell; and its
 * command line, malloc'ed words as above ("a package transaction" where it cannot be read). */
pid_t st_transaction_manager(void);
char *st_transaction_words(pid_t pid);

/* Starts it.  `root`, `store`: as `systracker --root --store` take them; NULL: the running system
 * and the configured store. */
int st_transaction_checkpoint(pid_t manager, const char *words, const char *root, const char *store,
                              struct st_error *err);

/* The waiting: for the process to end, a minute at most.  1: another waits already, whose
 * checkpoint will do. */
int st_transaction_wait(const struct st_tracker_options *options, pid_t manager,
                        struct st_error *err);
/* Says in the log, which is all that a hook's checkpoint has to say it to, why it was not made. */
void st_transaction_missed(const struct st_tracker_options *options, const struct st_error *why);

#endif
