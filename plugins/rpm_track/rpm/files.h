/* SPDX-License-Identifier: GPL-2.0-or-later */
/* files.h - what a package's header declares of its files. */
#ifndef ST_RPM_FILES_H
#define ST_RPM_FILES_H

#include <rpm/header.h>

#include "plugins/rpm_track/rpm/paths.h"
#include "systracker/base/accounts.h"
#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

/* Whose files; all borrowed. */
struct rpm_files_of {
  struct rpm_paths *paths;
  const struct st_accounts *accounts; /* the root's own */
  const char *package;                /* its name, for words */
};

/* What is said of a package's files. */
struct rpm_files {
  struct st_buffer fields; /* of each (list.h) that is expected to be there, by path, each once */
  size_t count;            /* of these files */
  struct st_buffer flags;  /* of all that have any: FIELD_FLAGS */
};
#define ST_AUTO_RPM_FILES ST_CLEANUP(rpm_files_clear) struct rpm_files
void rpm_files_clear(struct rpm_files *f);

/* Appends to `notes` a note for each thing that had to be left out.  A header that contradicts
 * itself is an error. */
int rpm_files_put(const struct rpm_files_of *of, Header h, struct rpm_files *out,
                  struct st_buffer *notes, struct st_error *err);

#endif
