/* SPDX-License-Identifier: GPL-2.0-or-later */
/* diversions.h - dpkg's file of diversions (dpkg-divert(1)): three lines each, the path, where it
 * is diverted to, and the package that asked for it, ":" being the administrator. */
#ifndef ST_DPKG_TRACK_DIVERSIONS_H
#define ST_DPKG_TRACK_DIVERSIONS_H

#include "systracker/plugin.h"

/* Strings lie in the text that was parsed. */
struct diversion {
  char *path, *to, *package;
};

struct diversions {
  struct diversion *items;
  size_t count;
};

/* `text` has a NUL behind its `length` bytes, is written to, and must outlive `ret`.  Whether it
 * succeeds or not, `ret->items` is to be freed. */
int diversions_parse(struct diversions *ret, char *text, size_t length, const char *what,
                     struct st_error *err);
/* NULL: it is not diverted. */
const struct diversion *diversions_find(const struct diversions *d, const char *path);

/* Whether it can be the name of a package, or ":". */
bool diversion_package_ok(const char *package);

#endif
