/* SPDX-License-Identifier: GPL-2.0-or-later */
/* places.h - where contents lie in the store: asked for together, by a thread beside what else
 * there is to do before the first of them is read. */
#ifndef ST_RESTORE_PLACES_H
#define ST_RESTORE_PLACES_H

#include "systracker/store/store.h"

struct st_places;
struct st_places *st_places_new(void);
/* Waits for who looks them up. */
void st_places_free(struct st_places *p);
ST_DEFINE_CLEANUP(struct st_places *, st_places_free)

/* One that is to be looked up, copied; the same one may come more than once. */
void st_places_add(struct st_places *p, const struct st_id *id);
void st_places_add_all(struct st_places *p, const struct st_id *ids, size_t n);

/* Looks all of them up, by this store. */
int st_places_find(struct st_places *p, struct st_store *store, struct st_error *err);
/* Begins to do so, by a reader and a thread of its own, which signals do not end; `store` may be
 * used meanwhile.  What is put to it then need not be found. */
void st_places_begin(struct st_places *p, int store_dir, struct st_store *store);
/* Waits until that is done; what went wrong is told once. */
int st_places_wait(struct st_places *p, struct st_error *err);

/* How many were added; when that is done, how many contents they are. */
size_t st_places_count(const struct st_places *p);
/* When that is done: the number of a content, less than their count; SIZE_MAX: it was not looked
 * up. */
size_t st_places_number(const struct st_places *p, const struct st_id *id);
/* Where it lies; one that is not in the store has a place, too (st_store_locate). */
const struct st_location *st_places_at(const struct st_places *p, size_t number);

#endif
