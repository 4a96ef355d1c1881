/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * repository.h - a repository of kept package files for the apt of one root, in a folder of its own
 * there for the time of a restore: /var/lib/systracker-restore.TOKEN.
 */
#ifndef ST_RESTORE_REPOSITORY_H
#define ST_RESTORE_REPOSITORY_H

#include "restore/journal.h"
#include "systracker/store/packages.h"

struct st_repository {
  int dir;                /* the folder, -1: none */
  char *path;             /* of it, within the root */
  struct st_buffer index; /* the file Packages */
  size_t count;
  uint64_t bytes;     /* of the package files */
  uint64_t installed; /* bytes that they say they need */
};
#define ST_REPOSITORY_INIT                                                                         \
  {                                                                                                \
    .dir = -1                                                                                      \
  }

/* Makes the folder; one of the same name goes first. */
int st_repository_make(struct st_repository *r, int root, const struct st_journal *j,
                       struct st_error *err);
/* The same for a dry run, which changes nothing of the root: from here on this process lives in a
 * mount namespace of its own, where the folder is one of memory over the root's /var/cache/apt. The
 * index stays; package files are not copied. */
int st_repository_make_private(struct st_repository *r, int root, struct st_error *err);
/* Proves a kept file, that it is the package it is kept as included; with a folder it is copied
 * there, and gets a place in the index if it is `offered` to apt. */
int st_repository_add(struct st_repository *r, const struct st_packages *kept,
                      const struct st_package *package, bool offered, struct st_error *err);
/* Proves a kept file: it is whole, and has the digest that it is kept under. */
int st_repository_prove(const struct st_packages *kept, const struct st_package *package,
                        struct st_error *err);
/* For a simulation: a place in the index, if `offered`, for a file that is only promised; `control`
 * is its paragraph of a repository's index. */
int st_repository_promise(struct st_repository *r, const char *control, bool offered,
                          struct st_error *err);
/* Writes what apt reads. */
int st_repository_finish(struct st_repository *r, struct st_error *err);
/* The name in the folder of the n-th file added; malloc'ed. */
char *st_repository_file(size_t n);
/* Removes the folder with all that is in it; also what a killed restore of this journal left. */
void st_repository_remove(int root, const struct st_journal *j);
void st_repository_close(struct st_repository *r);

/* The paragraph of one file in Packages: the control data with what apt must know of the file.  An
 * error where the control data are not one paragraph. */
int st_repository_paragraph(struct st_buffer *out, const char *control, size_t length,
                            const char *filename, uint64_t size, const uint8_t *digest,
                            struct st_error *err);
/* The value of a field of one paragraph, malloc'ed; NULL: it has none. */
char *st_control_field(const char *control, size_t length, const char *field);

#endif
