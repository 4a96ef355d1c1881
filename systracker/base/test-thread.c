/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <signal.h>

#include "systracker/base/test-scratch.h"
#include "systracker/base/thread.h"

static volatile sig_atomic_t taken;

static void take(int number)
{
  (void)number;
  taken++;
}

static int is_pending(int number)
{
  sigset_t set;
  sigpending(&set);
  return sigismember(&set, number);
}

/* Sent to the process while nobody else may take it. */
static void *send_to_all(void *arg)
{
  kill(getpid(), SIGTERM);
  *(int *)arg = is_pending(SIGTERM);
  return NULL;
}

/* What the caller holds back stays held back, and comes when the caller takes it. */
static void test_signals_wait_for_the_caller(void **state)
{
  (void)state;
  struct sigaction action = {.sa_handler = take}, old;
  sigset_t term, before;
  pthread_t thread;
  int pending = 0;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  assert_int_equal(sigaction(SIGTERM, &action, &old), 0);
  assert_int_equal(pthread_sigmask(SIG_BLOCK, &term, &before), 0);
  assert_true(st_thread_start(&thread, send_to_all, &pending));
  pthread_join(thread, NULL);
  assert_true(pending);
  assert_int_equal(taken, 0);
  assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
  assert_int_equal(taken, 1);
  assert_int_equal(sigaction(SIGTERM, &old, NULL), 0);
}

static void *tell_mask(void *arg)
{
  pthread_sigmask(SIG_SETMASK, NULL, arg);
  return NULL;
}

static void test_masks(void **state)
{
  (void)state;
  sigset_t its, before, behind;
  pthread_t thread;
  pthread_sigmask(SIG_SETMASK, NULL, &before);
  assert_true(st_thread_start(&thread, tell_mask, &its));
  pthread_join(thread, NULL);
  pthread_sigmask(SIG_SETMASK, NULL, &behind);
  for (int i = 1; i < SIGRTMIN; i++)
    assert_int_equal(sigismember(&before, i), sigismember(&behind, i));
  assert_true(sigismember(&its, SIGTERM) && sigismember(&its, SIGINT) &&
              sigismember(&its, SIGPIPE));
  assert_false(sigismember(&its, SIGBUS) || sigismember(&its, SIGSEGV));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_signals_wait_for_the_caller),
      cmocka_unit_test(test_masks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
