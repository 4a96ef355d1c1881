/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/thread.h"

#include <signal.h>

/* A fault whose signal is blocked kills, whatever handler there is (signal(7), mapped.h). */
static void but_faults(sigset_t *set)
{
  sigdelset(set, SIGBUS);
  sigdelset(set, SIGFPE);
  sigdelset(set, SIGILL);
  sigdelset(set, SIGSEGV);
  sigdelset(set, SIGTRAP);
}

/* The new thread inherits the mask (pthread_create(3)). */
bool st_thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg)
{
  sigset_t held, before;
  sigfillset(&held);
  but_faults(&held);
  pthread_sigmask(SIG_SETMASK, &held, &before);
  bool started = pthread_create(ret, NULL, fn, arg) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return started;
}
