/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * owners.h - which packages a path belongs to by dpkg's lists, and what they declare of its content
 * (info/NAME.list, info/NAME.md5sums, diversions).
 *
 * Not for several threads at once.
 */
#ifndef ST_DPKG_TRACK_OWNERS_H
#define ST_DPKG_TRACK_OWNERS_H

#include <time.h>

#include "plugins/dpkg_track/database.h"

struct owners;

/* Reads all lists and the diversions.  A root without lists has none: owners_count is 0. */
int owners_read(struct owners **ret, const struct dpkg_track *d, struct st_error *err);
void owners_free(struct owners *o);
size_t owners_count(const struct owners *o); /* packages that have a list */

#define MOST_OWNERS 8
#define MD5_DIGITS 32

/* What is said of one path, under the name by which its packages know it. */
struct claims {
  size_t count;
  const char *md5[MOST_OWNERS]; /* MD5_DIGITS, not terminated; NULL: nothing is declared */
  struct timespec listed;       /* when dpkg last wrote one of the lists: after their files */
  bool diverted;                /* dpkg puts its file elsewhere, or another one here */
};

/* The packages that own it; `md5` is filled in only when `declared`. */
int owners_ask(struct owners *o, const char *path, bool declared, struct claims *ret,
               struct st_error *err);

#endif
