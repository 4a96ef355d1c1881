/* SPDX-License-Identifier: GPL-2.0-or-later */
/* root.h - the root that systracker-rpm works on, and the rpm database in it.
 *
 * librpm is told all by the running system's own configuration, which is read before the root is
 * entered: macros of the root are never read, as they may run commands. */
#ifndef ST_RPM_ROOT_H
#define ST_RPM_ROOT_H

#include <rpm/rpmlog.h>
#include <rpm/rpmts.h>
#include <sys/stat.h>

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

#define RPM_ROOT_FD 3 /* where systracker-rpm is given the root's directory */

/* What librpm said since the last clear: the first error, without a newline. */
struct rpm_words {
  struct st_buffer error;
  bool strict; /* a warning is one, too */
};
/* Takes librpm's messages from now on; `words` lives as long as the program calls librpm. */
void rpm_words_take(struct rpm_words *words);
/* st_fail with what librpm said, where it said anything. */
int rpm_words_fail(const struct rpm_words *words, struct st_error *err, const char *what);

/* Reads the running system's rpm configuration, then makes the root our own "/" (chroot(2); in a
 * user namespace of our own for who is not root).  Nothing of the root is run or loaded. */
int rpm_root_enter(int fd, const struct rpm_words *words, struct st_error *err);

/* A database of rpm's as it lies in the root. */
struct rpm_database {
  char *folder;        /* absolute */
  const char *file;    /* its main file's name */
  const char *backend; /* as %_db_backend has it; static */
};
#define ST_AUTO_RPM_DATABASE ST_CLEANUP(rpm_database_free) struct rpm_database
void rpm_database_free(struct rpm_database *db);

/* Looks where rpm may have it, or only in `folder` where that is not NULL.  Returns 1 when there is
 * none.  After rpm_root_enter. */
int rpm_database_find(const char *folder, struct rpm_database *ret, struct st_error *err);
/* Sets rpm's own macros to that database: rpmts opens it, whatever the configuration says. */
void rpm_database_use(const struct rpm_database *db);

/* Opens it for reading alone.  Nothing is written, made or locked (readonly.h).  A database that
 * this librpm cannot read is an error in words. */
int rpm_database_read(const struct rpm_database *db, struct rpm_words *words, rpmts *ret,
                      struct st_error *err);

static inline void rpmts_freep(rpmts *ts)
{
  if (*ts)
    rpmtsFree(*ts);
}
#define ST_AUTO_RPMTS ST_CLEANUP(rpmts_freep) rpmts

/* What tells whether rpm wrote to what was read meanwhile: its main file, and the head of sqlite's
 * log, which changes when the log begins anew. */
struct rpm_identity {
  struct stat st;
  uint8_t log[32];
};
int rpm_database_identity(const struct rpm_database *db, struct rpm_identity *ret,
                          struct st_error *err);
bool rpm_identity_equal(const struct rpm_identity *a, const struct rpm_identity *b);

#endif
