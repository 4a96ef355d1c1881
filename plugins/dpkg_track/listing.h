/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listing.h - the paths that dpkg has noted for a package, and what it knows of their content:
 * info/NAME[:ARCHITECTURE].list and .md5sums.
 */
#ifndef ST_DPKG_TRACK_LISTING_H
#define ST_DPKG_TRACK_LISTING_H

#include "plugins/dpkg_track/status.h"

/* One path, as the package spells it. */
struct listed {
  const char *path; /* absolute; the root is "/." */
  size_t length;
  const char *md5; /* MD5_DIGITS, not terminated; NULL: nothing is declared */
  size_t mark;     /* the caller's; 0 at first */
};

struct listing {
  struct listed *items;
  size_t count;
  size_t cursor;          /* the place behind what was found last */
  struct listed **sorted; /* made where the order does not help */
  char *list, *sums;      /* the texts; `sums` NULL: there are none */
};

/* Reads both from dpkg's info folder (a descriptor).  A package without a list has none: -ENOENT.
 */
int listing_read(struct listing *ret, int info, const struct package *p, struct st_error *err);
void listing_clear(struct listing *l);

/* The path of `length` bytes; NULL: the package does not have it.  Cheap where paths are asked for
 * in about the order of the list, as packages and their md5sums have them. */
struct listed *listing_find(struct listing *l, const char *path, size_t length);

/* Whether other md5sums of the package, as its file has them, declare the same of every path that
 * both speak of.  The text has a NUL behind it, and is written to. */
bool listing_agrees(struct listing *l, char *sums);

/* Reads a package's file in dpkg's info folder whole: malloc'ed, a NUL behind it.  -ENOENT: there
 * is none. */
int info_read(int info, const struct package *p, const char *suffix, char **ret, size_t *ret_length,
              struct st_error *err);

#endif
