/* SPDX-License-Identifier: GPL-2.0-or-later */
/* filters.h - paths that dpkg was told to leave out of packages: path-exclude and path-include in
 * its configuration, with dpkg(1)'s own rules. */
#ifndef ST_DPKG_TRACK_FILTERS_H
#define ST_DPKG_TRACK_FILTERS_H

#include "systracker/plugin.h"

struct filter {
  char *pattern;
  bool include;
};

struct filters {
  struct filter *items;
  size_t count;
};

/* Those of /etc/dpkg/dpkg.cfg.d and /etc/dpkg/dpkg.cfg, in dpkg's order. */
int filters_read(struct filters *ret, const struct st_context *ctx, struct st_error *err);
void filters_clear(struct filters *f);

/* Adds those of one such file; `text` has a NUL behind it, and is written to. */
int filters_parse(struct filters *f, char *text, struct st_error *err);

/* Whether dpkg leaves an entry out.  `reincluded`: it is a directory or a symlink, which stays
 * where a pattern to include might lie below. */
bool filters_skip(const struct filters *f, const char *path, bool reincluded);

#endif
