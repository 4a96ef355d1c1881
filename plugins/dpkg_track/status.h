/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status.h - dpkg's status file and the files of updates/: stanzas of "Field: value" lines, parted
 * by empty ones (deb822(5)), read as dpkg reads them.
 *
 * Whatever dpkg refuses is refused here too, in words with the line's number: a status file that
 * is cut off must not look like packages that are gone.
 */
#ifndef ST_DPKG_TRACK_STATUS_H
#define ST_DPKG_TRACK_STATUS_H

#include "systracker/plugin.h"

/* One package; the strings lie in the text that was parsed. */
struct package {
  char *name;
  char *architecture; /* "" when the stanza names none */
  char *version;      /* NULL: none */
  char *state;        /* want, flag and status, e.g. "install ok installed" */
  bool installed;     /* its status is not not-installed */
  bool coinstallable; /* Multi-Arch: same */
  bool automatic;     /* marked so by apt: installed for others' sake (packages_mark) */
  size_t line;        /* where its stanza begins */
  const char *conffiles, *conffiles_end; /* lines of its Conffiles field (conffile_next) */
};

/* One configuration file, as dpkg last took it from the package. */
struct conffile {
  const char *path; /* absolute */
  size_t length;
  const char *md5; /* MD5_DIGITS, not terminated */
  bool obsolete;   /* the package does not have it any more */
};
#define MD5_DIGITS 32

struct packages {
  struct package *items;
  size_t count, size;
  size_t sorted; /* that many are in order of name and architecture; updates may add others */
};

/* Adds the packages of a status file, sorted by name and architecture.  `text` has a NUL behind its
 * `length` bytes, is written to, and must outlive the packages.  `what` names it in errors. */
int packages_parse(struct packages *packages, char *text, size_t length, const char *what,
                   struct st_error *err);

/* Applies a file of updates/, one stanza (more are taken as well): it replaces the package's entry
 * as dpkg does, also where the architecture of its only instance has changed. */
int packages_update(struct packages *packages, char *text, size_t length, const char *what,
                    struct st_error *err);

/* Takes over the marks of apt's extended_states, stanzas as well; `text` as above.  A package that
 * is not in it is not automatic. */
int packages_mark(struct packages *packages, char *text, size_t length, const char *what,
                  struct st_error *err);

/* The entry of that name and architecture; NULL: none. */
const struct package *packages_find(const struct packages *packages, const char *name,
                                    const char *architecture);

/* Goes through a package's configuration files: `*at` begins as NULL.  Those whose digest dpkg does
 * not know (yet) are passed over.  false: no more. */
bool conffile_next(const struct package *p, const char **at, struct conffile *ret);

/* Frees the array; the texts are the caller's. */
void packages_free(struct packages *packages);

#endif
