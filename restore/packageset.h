/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packageset.h - from the packages that should be and those that are, to what is to be done: pure
 * functions over what dpkg_track and rpm_track keep.
 */
#ifndef ST_RESTORE_PACKAGESET_H
#define ST_RESTORE_PACKAGESET_H

#include "systracker/base/buffer.h"

enum st_package_manager {
  ST_DPKG,
  ST_RPM,
  ST_NMANAGERS,
};

/* One package as its manager knows it. */
struct st_package_fact {
  char *name, *architecture, *version; /* version "": none */
  char *state;                         /* dpkg's: "install ok installed" */
  char *digest;                        /* rpm's: SHA-256 of the header; "": not known */
  char *key;                           /* a public key of rpm's, in armour; NULL: none */
  bool beside; /* of a name of which several versions may be there at once */
};

struct st_package_facts {
  enum st_package_manager manager;
  struct st_package_fact *items;
  size_t count, size;
};
#define ST_AUTO_PACKAGE_FACTS ST_CLEANUP(st_package_facts_free) struct st_package_facts
void st_package_facts_free(struct st_package_facts *f);
/* Adds one; all four are copied.  What is rpm's own is set in it. */
struct st_package_fact *st_package_facts_add(struct st_package_facts *f, const char *name,
                                             const char *architecture, const char *version,
                                             const char *state);

enum st_package_step_kind {
  ST_PACKAGE_INSTALL,
  ST_PACKAGE_UPGRADE,
  ST_PACKAGE_DOWNGRADE,
  ST_PACKAGE_REPAIR,  /* the same version, whose installation was not finished */
  ST_PACKAGE_REMOVE,  /* its configuration files stay */
  ST_PACKAGE_PURGE,   /* nothing stays */
  ST_PACKAGE_REMNANT, /* only its configuration files are to be there: installed, then removed */
  ST_PACKAGE_NKINDS,
};

/* Where a package file comes from. */
enum st_package_source {
  ST_PACKAGE_NO_SOURCE,  /* none is needed, or nobody asked */
  ST_PACKAGE_KEPT,       /* in the store */
  ST_PACKAGE_REPACKED,   /* the store has one that was put together again, and nobody its own */
  ST_PACKAGE_OBTAINABLE, /* not kept; the root's own sources have it, by their lists */
  ST_PACKAGE_UNFETCHED,  /* they have it by their lists, and it did not come */
  ST_PACKAGE_MISSING,
};

struct st_package_step {
  enum st_package_manager manager;
  enum st_package_step_kind kind;
  char *name, *architecture;
  char *before, *after; /* versions; "": not there, neither its configuration files */
  bool installed;       /* its files are there now */
  /* Where packages are kept: it is done only if another needs it; and it does.  Not journalled. */
  bool optional, needed;
  /* rpm's, of the headers of `after` and `before`; "" or NULL: not known.  Not journalled. */
  char *digest, *digest_before;
  char *key; /* rpm's: the public key that is to be there, in armour */
  /* Of the package files of `after` and, for undo, of `before`; not journalled: */
  enum st_package_source source, source_before;
};

struct st_package_steps {
  struct st_package_step *items;
  size_t count, size;
};
#define ST_AUTO_PACKAGE_STEPS ST_CLEANUP(st_package_steps_free) struct st_package_steps
void st_package_steps_free(struct st_package_steps *s);
struct st_package_step *st_package_steps_add(struct st_package_steps *s,
                                             const struct st_package_step *step); /* copies */

/* What leads from `live` to `target`, both of one manager; sorts both.  By name and architecture;
 * of rpm's, several versions of one may be there at once. */
void st_package_steps_find(struct st_package_facts *target, struct st_package_facts *live,
                           struct st_package_steps *ret);

/* Where packages are to be kept: what would go or be an older one becomes optional, and what would
 * only leave configuration files is left out.  False: nothing but that is left. */
bool st_package_steps_keep(struct st_package_steps *s);
/* Whether it is done, as far as is known. */
bool st_package_step_counts(const struct st_package_step *s);
/* Optional steps whose package one of the lines names become needed; returns how many did. */
size_t st_package_steps_need(struct st_package_steps *s, const struct st_strings *lines);
/* Takes away what does not count; then nothing is optional any more. */
void st_package_steps_settle(struct st_package_steps *s);

/* Whether the package file of `after` is needed. */
bool st_package_step_installs(const struct st_package_step *s);
/* Whether undo needs the package file of `before`. */
bool st_package_step_loses(const struct st_package_step *s);

/* "upgrade" and its like. */
const char *st_package_step_verb(const struct st_package_step *s);
/* "package nano 7.2-1 → 7.2-2  (kept)", escaped; malloc'ed. */
char *st_package_step_words(const struct st_package_step *s);

/* "kept" and its like; NULL: no package file is needed, or nobody asked. */
const char *st_package_source_word(const struct st_package_step *s);

/* The name by which apt and dpkg know it: with the architecture, unless that is "all". */
char *st_package_full_name(const char *name, const char *architecture);

/* Whether names, architecture and versions are such as the manager allows: nothing else reaches a
 * command line or a file of apt's.  (Debian Policy 5.6.1, 5.6.12; for rpm, whose names reach
 * neither: words without spaces, slashes and control characters.) */
bool st_package_step_valid(const struct st_package_step *s);
/* Of rpm's, a public key: it has no package file. */
bool st_package_step_is_key(const struct st_package_step *s);

/* Less than, equal to or greater than 0, as the manager orders versions. */
int st_package_version_compare(enum st_package_manager manager, const char *a, const char *b);

/* "dpkg", "rpm". */
const char *st_package_manager_name(enum st_package_manager manager);

#endif
