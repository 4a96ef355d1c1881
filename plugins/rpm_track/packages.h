/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packages.h - what `systracker-rpm list` prints, read. */
#ifndef ST_RPM_TRACK_PACKAGES_H
#define ST_RPM_TRACK_PACKAGES_H

#include "plugins/rpm_track/rpm/list.h"
#include "systracker/plugin.h"

/* The strings lie in the text. */
struct package {
  const char *field[PACKAGE_FIELDS];
  const char *files, *files_end; /* the fields of its files */
  size_t nfiles;
  char *instance; /* malloc'ed; "": it is the only one */
};

struct packages {
  char *text; /* malloc'ed; what all lies in */
  const char *cookie;
  struct package *items; /* by name, architecture, instance */
  size_t count;
};

/* Takes the text over, also where it fails.  What is not whole, or holds numbers that cannot be, is
 * an error.  What was left out is logged. */
int packages_parse(struct packages *ret, char *text, size_t length, struct st_error *err);
void packages_free(struct packages *p);
/* NULL: there is none. */
const struct package *packages_find(const struct packages *p, const char *name,
                                    const char *architecture, const char *instance);

/* What the package expects of its files; those whose digests are not SHA-256 are read. */
int packages_expect(const struct package *p, const struct st_context *ctx, struct st_manifest *out,
                    struct st_error *err);

#endif
