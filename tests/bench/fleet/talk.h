/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * talk.h - the protocol as a made-up host speaks it (doc/formats.md): in the order, and with the
 * requests, of systracker-sync.
 */
#ifndef TESTS_BENCH_FLEET_TALK_H
#define TESTS_BENCH_FLEET_TALK_H

#include "tests/bench/fleet/link.h"
#include "tests/bench/fleet/template.h"

/* What one thread did; added up at the end. */
struct fleet_count {
  uint64_t requests, signatures, checkpoints, objects, most_sent, most_received;
};

struct fleet_talk {
  struct fleet_link *link;
  const struct fleet_template *t;
  struct fleet_host *host;
  struct fleet_count *count;
  int64_t first_day; /* seconds since 1970: of checkpoint 1; the others follow day by day */
};

/* Learns the archive's id. */
int fleet_learn(struct fleet_server *server, struct st_error *err);

/* Asks whether the archive has this host's latest checkpoint: 0, it has; 1, it has not. A session
 * that it has is used, unless `sign`. */
int fleet_poll(struct fleet_talk *talk, bool sign, struct st_error *err);
/* Sends all checkpoints up to this one that the archive has not. */
int fleet_push(struct fleet_talk *talk, int64_t upto, struct st_error *err);

#endif
