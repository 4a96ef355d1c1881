/* SPDX-License-Identifier: GPL-2.0-or-later */
/* set.h - a set of byte strings; each may carry one number.  Its hash is keyed at random, so keys
 * chosen by others cannot make it slow. */
#ifndef ST_BASE_SET_H
#define ST_BASE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "systracker/base/cleanup.h"

struct st_set;
struct st_set *st_set_new(void);
void st_set_free(struct st_set *s);
ST_DEFINE_CLEANUP(struct st_set *, st_set_free)
/* Adds a copy; true when it was not there.  Sets the number either way. */
bool st_set_add(struct st_set *s, const void *data, size_t n, uint64_t number);
/* Whether it is there; `ret_number` may be NULL. */
bool st_set_get(const struct st_set *s, const void *data, size_t n, uint64_t *ret_number);
size_t st_set_count(const struct st_set *s);

/* Short hashes of byte strings alone, 4 bytes each: what is not among them was surely never added.
 */
struct st_filter;
struct st_filter *st_filter_new(void);
void st_filter_free(struct st_filter *f);
ST_DEFINE_CLEANUP(struct st_filter *, st_filter_free)
/* True when it was surely not there. */
bool st_filter_add(struct st_filter *f, const void *data, size_t n);
bool st_filter_may_have(const struct st_filter *f, const void *data, size_t n);

#endif
