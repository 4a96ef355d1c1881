/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * alternatives.h - the files of /var/lib/dpkg/alternatives/ (update-alternatives(1)): the mode, the
 * link, its slaves' names and links, an empty line; then for each choice its path, its priority and
 * a path, or nothing, for each slave; an empty line.
 */
#ifndef ST_DPKG_TRACK_ALTERNATIVES_H
#define ST_DPKG_TRACK_ALTERNATIVES_H

#include "systracker/plugin.h"

#define MOST_ALTERNATIVE                                                                           \
  ((size_t)1 << 20) /* bytes of a file; the largest of Debian's have 10 KB                         \
                     */

struct choice {
  char *path;
  int64_t priority;
  char *slaves; /* "NAME\nLINK\nPATH\n" of each slave that this choice has, in the file's order */
};

/* Strings lie in the text that was parsed, but for `slaves`. */
struct alternative {
  const char *mode; /* "auto" or "manual" */
  char *link;
  struct choice *choices;
  size_t count;
};

/* Whether it can be the name of an alternative or slave. */
bool alternative_name_ok(const char *name);

/* `text` has a NUL behind its `length` bytes, is written to, and must outlive `ret`.  Whether it
 * succeeds or not, `ret` is to be freed. */
int alternative_parse(struct alternative *ret, char *text, size_t length, const char *what,
                      struct st_error *err);
void alternative_free(struct alternative *a);

#endif
