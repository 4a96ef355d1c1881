/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clock - for LD_PRELOAD: a program's clock that is CLOCK_OFF seconds ahead (or, below zero,
 * behind). Time namespaces leave this clock as it is.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SEEN __attribute__((visibility("default")))

static time_t off(void)
{
  const char *text = getenv("CLOCK_OFF");
  return text ? strtol(text, NULL, 10) : 0;
}

SEEN int clock_gettime(clockid_t clock, struct timespec *ret)
{
  int r = (int)syscall(SYS_clock_gettime, clock, ret);
  if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    ret->tv_sec += off();
  return r;
}

SEEN time_t time(time_t *ret)
{
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (ret)
    *ret = now.tv_sec;
  return now.tv_sec;
}

SEEN int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  *ret = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return 0;
}
