/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lots.h - manifests made ahead from what is there, lots of packages at a time: by threads, and by
 * who asks, while that has to wait.  Contents of many packages are proved together, as that is what
 * a first checkpoint takes its time for.
 */
#ifndef ST_DPKG_TRACK_LOTS_H
#define ST_DPKG_TRACK_LOTS_H

#include "plugins/dpkg_track/making.h"

int maker_open(struct maker *m, const struct dpkg_track *d, struct st_error *err);
void maker_close(struct maker *m);

struct lots;
/* NULL: out of memory.  Both are borrowed. */
struct lots *lots_new(const struct dpkg_track *d, const struct maker *mine);
void lots_free(struct lots *l); /* may be NULL */

/* Whether one more lot may be begun: of those that were, few are left to be asked for. */
bool lots_have_room(const struct lots *l);
/* Begins the next lot, of the packages of the database from `first` on; of which of them
 * (`wanted`), those that are not have no manifest. */
void lots_add(struct lots *l, size_t first, size_t count, const bool *wanted);

/* What was made of that package, the caller's to clear; false: nothing.  Packages are asked for in
 * their order: those before it are not kept any longer. */
bool lots_take(struct lots *l, size_t place, struct making *ret);

#endif
