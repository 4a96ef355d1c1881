/* SPDX-License-Identifier: GPL-2.0-or-later */
/* leftover.h - what a killed transaction leaves: files under the names that librpm writes them by,
 * PATH;TTTTTTTT, before it renames them (TTTTTTTT: its time in hexadecimal). */
#ifndef ST_RPM_LEFTOVER_H
#define ST_RPM_LEFTOVER_H

#include <rpm/header.h>

#include "systracker/base/buffer.h"
#include "systracker/base/set.h"

/* Paths of packages' files, and the folders that they lie in. */
struct rpm_places {
  struct st_set *paths, *seen; /* `seen`: folders */
  struct st_strings folders;
};
#define ST_AUTO_RPM_PLACES ST_CLEANUP(rpm_places_free) struct rpm_places
void rpm_places_free(struct rpm_places *p);
void rpm_places_add(struct rpm_places *p, Header h);

/* Removes what was left beside these paths, in our own root; returns how many. */
size_t rpm_remove_leftovers(const struct rpm_places *p);

/* The length of the name before the mark; 0: it is no such name. */
size_t rpm_leftover_of(const char *name);

#endif
