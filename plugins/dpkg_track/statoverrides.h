/* SPDX-License-Identifier: GPL-2.0-or-later */
/* statoverrides.h - dpkg's file of owners and modes set by the administrator
 * (dpkg-statoverride(1)): a line "OWNER GROUP MODE PATH" each. */
#ifndef ST_DPKG_TRACK_STATOVERRIDES_H
#define ST_DPKG_TRACK_STATOVERRIDES_H

#include "systracker/plugin.h"

/* Strings lie in the text that was parsed. */
struct statoverride {
  char *path, *owner, *group; /* of the last two: a name, or "#" and a number */
  unsigned mode;              /* 07777 */
};

struct statoverrides {
  struct statoverride *items;
  size_t count;
};

/* `text` has a NUL behind its `length` bytes, is written to, and must outlive `ret`.  Whether it
 * succeeds or not, `ret->items` is to be freed. */
int statoverrides_parse(struct statoverrides *ret, char *text, size_t length, const char *what,
                        struct st_error *err);
/* NULL: there is none for it. */
const struct statoverride *statoverrides_find(const struct statoverrides *o, const char *path);

/* Whether it can be an owner or a group. */
bool statoverride_owner_ok(const char *name);

#endif
