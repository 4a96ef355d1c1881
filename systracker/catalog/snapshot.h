/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot.h - what taking in a changeset that passes over checkpoints needs beside the ordinary
 * (apply.c): the headers between, and a body that tells all facts rather than what changed.
 */
#ifndef ST_CATALOG_SNAPSHOT_H
#define ST_CATALOG_SNAPSHOT_H

#include "systracker/catalog/internal.h"

/* Calls fn with each header that is passed over, signature behind it, and why. */
typedef int st_between_fn(void *arg, enum st_held why, const void *data, size_t length,
                          struct st_error *err);
int st_between_each(const struct st_changeset *set, st_between_fn *fn, void *arg,
                    struct st_error *err);
/* Stores them as checkpoints without facts; the caller has proved them, and opened a transaction.
 */
int st_between_store(struct st_catalog *c, const struct st_changeset *set, struct st_error *err);

/* A snapshot, row by row, over the facts that are in force at `latest` (0: there are none). */
struct st_snapshot;
struct st_snapshot *st_snapshot_new(struct st_catalog *c, int64_t latest);
void st_snapshot_free(struct st_snapshot *s);
ST_DEFINE_CLEANUP(struct st_snapshot *, st_snapshot_free)
/* 1: it is new, or otherwise than what is stored; 0: it stands already. */
int st_snapshot_row(struct st_snapshot *s, const struct st_body_row *row, struct st_error *err);
/* Calls fn for each key in force at `latest` that the snapshot did not speak of. */
typedef int st_snapshot_end_fn(void *arg, struct st_table_full *t, const struct st_value *key,
                               struct st_error *err);
int st_snapshot_end(struct st_snapshot *s, st_snapshot_end_fn *fn, void *arg, struct st_error *err);

#endif
