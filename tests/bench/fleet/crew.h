/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crew.h - threads that do many like things, each measured, and what all of it took: by the clock,
 * of processors by us and by the server, and of the server's memory.
 */
#ifndef TESTS_BENCH_FLEET_CREW_H
#define TESTS_BENCH_FLEET_CREW_H

#include "tests/bench/fleet/talk.h"

/* What a thread keeps between two of its tasks. */
struct fleet_hand {
  void *arg;
  struct fleet_link link; /* fd -1: not open */
  struct fleet_count count;
};
typedef int fleet_task_fn(struct fleet_hand *hand, uint64_t n, struct st_error *err);

struct fleet_crew {
  fleet_task_fn *task;
  void *arg;
  uint64_t tasks;
  unsigned threads;
  long pid; /* the server's; 0: not known */
};

struct fleet_result {
  double wall_s, cpu_s, server_cpu_s, others; /* seconds; processors that others kept busy */
  double peak_mb;                             /* of the server, so far */
  double median_ms, most_ms, p99_ms;          /* of a task */
  struct fleet_count count;
};

/* Does the tasks 0, 1, ... in about this order.  The first failure ends all. */
int fleet_crew_run(const struct fleet_crew *crew, struct fleet_result *ret, struct st_error *err);

#endif
