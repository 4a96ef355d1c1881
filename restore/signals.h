/* SPDX-License-Identifier: GPL-2.0-or-later */
/* signals.h - SIGINT, SIGTERM and SIGHUP, held back while a restore is between two states and
 * looked for where it may stop. */
#ifndef ST_RESTORE_SIGNALS_H
#define ST_RESTORE_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

void st_signals_hold(sigset_t *ret_before); /* may be NULL */
bool st_signals_pending(void);

#endif
