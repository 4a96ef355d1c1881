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

/* Appends to `out` the fields of each file (list.h) that is expected to be there, by path, each
 * once, and says how many; to `notes` a note for each thing that had to be left out.  A header that
 * contradicts itself is an error. */
int rpm_files_put(const struct rpm_files_of *of, Header h, struct st_buffer *out,
                  struct st_buffer *notes, size_t *ret_count, struct st_error *err);

#endif
