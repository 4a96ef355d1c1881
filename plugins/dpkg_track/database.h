/* SPDX-License-Identifier: GPL-2.0-or-later */
/* database.h - dpkg's and apt's files as they are in the root under watch. */
#ifndef ST_DPKG_TRACK_DATABASE_H
#define ST_DPKG_TRACK_DATABASE_H

#include <limits.h>

#include "plugins/dpkg_track/alternatives.h"
#include "plugins/dpkg_track/diversions.h"
#include "plugins/dpkg_track/statoverrides.h"
#include "plugins/dpkg_track/status.h"

#define APT_MARKS "/var/lib/apt/extended_states"
#define ALTERNATIVE_LINKS "/etc/alternatives"

/* The packages as one look found them. */
struct database {
  struct packages packages;
  char **texts; /* what the packages' strings lie in */
  size_t ntexts;
};

struct view;
struct readahead;
struct lots;
struct st_prover;

/* What one thread makes manifests with. */
struct maker {
  struct view *view;
  struct st_prover *prover;
};

/* The plug-in, open: where its files are within the root. */
struct dpkg_track {
  const struct st_context *ctx;
  char folder[PATH_MAX], status[PATH_MAX], updates[PATH_MAX], info[PATH_MAX];
  char alternatives[PATH_MAX], diversions[PATH_MAX], statoverride[PATH_MAX];
  uint64_t max_size; /* bytes, of a deviating file */
  bool any;          /* dpkg knows of packages here, as `collect` found */
  bool read;         /* `database` is of this scan */
  struct database database;
  struct maker maker;      /* of this scan, for `expected`; empty: not needed yet */
  struct readahead *ahead; /* package files that `expected` will be asked for; NULL: none */
  struct lots *lots;       /* manifests likewise, where there are no files */
  size_t asked;            /* behind the place in `database` that was asked for last */
  size_t looked, begun;    /* behind those of which files were looked for, or lots begun */
  unsigned in_a_row;       /* places asked for one after the other */
};

/* Packages and apt's marks of them.  dpkg's lock is never taken: while it works, the status file
 * and its journal are read again until they belong together.  -ENOENT: there is no status file. */
int database_read(const struct dpkg_track *d, struct database *db, struct st_error *err);
void database_free(struct database *db);

/* What else there is; a file that is not there holds nothing, as it does for dpkg.  `*text` is what
 * the strings lie in; it and the items are to be freed, also after a failure. */
int read_diversions(const struct dpkg_track *d, struct diversions *ret, char **text,
                    struct st_error *err);
int read_statoverrides(const struct dpkg_track *d, struct statoverrides *ret, char **text,
                       struct st_error *err);
/* -ENOENT: there is none of that name. */
int read_alternative(const struct dpkg_track *d, const char *name, struct alternative *ret,
                     char **text, struct st_error *err);
/* Where /etc/alternatives/NAME points, "" when it is no symlink; `ret` has PATH_MAX bytes. */
int read_value(const struct dpkg_track *d, const char *name, char *ret, struct st_error *err);

/* Names of all alternatives, in order. */
typedef int name_fn(void *arg, const char *name, struct st_error *err);
int each_alternative(const struct dpkg_track *d, name_fn *fn, void *arg, struct st_error *err);

#endif
