/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/signals.h"

#include <stddef.h>

void st_signals_hold(sigset_t *ret_before)
{
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, ret_before);
}

bool st_signals_pending(void)
{
  sigset_t pending;
  return sigpending(&pending) == 0 &&
         (sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM) ||
          sigismember(&pending, SIGHUP));
}
