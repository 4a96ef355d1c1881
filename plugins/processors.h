/* SPDX-License-Identifier: GPL-2.0-or-later */
/* processors.h - how many threads are worth having; for the plug-ins of this folder, inline, so
 * that each still needs nothing but plugin.h. */
#ifndef ST_PLUGINS_PROCESSORS_H
#define ST_PLUGINS_PROCESSORS_H

#include <sched.h>

/* On how many processors we may run (sched_setaffinity(2)), which may be fewer than there are; at
 * least 1, at most `most`. */
static inline unsigned processors_at_most(unsigned most)
{
  cpu_set_t cpus;
  int n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  return n < 1 ? 1 : (unsigned)n < most ? (unsigned)n : most;
}

#endif
