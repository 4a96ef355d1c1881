/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clone.h - an archive of thousands of hosts with long histories, made in minutes: one host's
 * catalog is taken in as any is; the others' are copies of it, with the headers that each has
 * signed itself.  So all have the same facts, and the archive is sound all the same.
 */
#ifndef TESTS_BENCH_FLEET_CLONE_H
#define TESTS_BENCH_FLEET_CLONE_H

#include "tests/bench/fleet/template.h"

/* Takes in all checkpoints up to `upto` that the host's catalog in the archive's folder has not. */
int fleet_apply(int dir, struct fleet_host *host, const struct fleet_template *t, int64_t first_day,
                int64_t upto, struct st_error *err);
/* Keeps what those checkpoints name in the archive's packs. */
int fleet_keep(int dir, const struct fleet_template *t, const struct fleet_host *host, int64_t upto,
               struct st_error *err);
/* Makes `host`, of which there is nothing, from `model`, which is at its latest. */
int fleet_clone(int dir, struct fleet_host *host, const struct fleet_host *model,
                const struct fleet_template *t, int64_t first_day, struct st_error *err);

#endif
