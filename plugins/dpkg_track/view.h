/* SPDX-License-Identifier: GPL-2.0-or-later */
/* view.h - what of the root decides where the files of packages lie and what they are like there:
 * symlinks among directories, accounts, dpkg's filters and diversions.  As one scan finds it. */
#ifndef ST_DPKG_TRACK_VIEW_H
#define ST_DPKG_TRACK_VIEW_H

#include <sys/stat.h>

#include "plugins/dpkg_track/accounts.h"
#include "plugins/dpkg_track/database.h"
#include "plugins/dpkg_track/filters.h"
#include "plugins/dpkg_track/places.h"

struct view {
  const struct st_context *ctx;
  int info; /* dpkg's folder of lists; -1: there is none */
  struct places *places;
  struct accounts accounts;
  struct filters filters;
  struct diversions diversions;
  char *diversions_text;
};

int view_open(struct view **ret, const struct dpkg_track *d, struct st_error *err);
void view_free(struct view *v);

/* Where the package's path lies in this root, into `ret` (PATH_MAX bytes).  `folder`: it is a
 * directory in the package; none is diverted, and a symlink to one stands for it. */
int view_place(struct view *v, const char *package, const char *path, bool folder, char *ret,
               struct st_error *err);

/* lstat(2) of a place; a negative errno. */
int view_stat(struct view *v, const char *place, struct stat *ret);

#endif
