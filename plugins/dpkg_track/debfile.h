/* SPDX-License-Identifier: GPL-2.0-or-later */
/* debfile.h - what a binary package holds (deb(5)), read by libarchive. */
#ifndef ST_DPKG_TRACK_DEBFILE_H
#define ST_DPKG_TRACK_DEBFILE_H

#include "systracker/plugin.h"

/* One entry of the package's tree; all of it is valid during the call alone. */
struct deb_entry {
  const char *path;         /* absolute, without a slash at its end; "/." is the root */
  char type;                /* as in struct st_entry; 'f' too where `hardlink` is set */
  uint32_t mode;            /* 07777 */
  int64_t uid, gid;         /* as the archive has them */
  const char *user, *group; /* likewise; NULL: no name */
  int64_t mtime;            /* seconds since 1970 */
  uint64_t rdev;            /* of c and b */
  const char *target;       /* of l */
  const char *hardlink;     /* the path of which it is another name; NULL: none */
  uint64_t size;            /* bytes, of f */
  uint8_t digest[32];       /* SHA-256, of f without `hardlink` */
};

struct deb_callbacks {
  void *arg;
  /* The md5sums of the control data (a NUL behind it; written to at will), before any entry.
   * Not called where the package has none.  1: the rest is not wanted. */
  int (*md5sums)(void *arg, char *text, struct st_error *err);
  int (*entry)(void *arg, const struct deb_entry *entry, struct st_error *err);
};

/* Reads the package from where the descriptor stands.  0; 1 as `md5sums` said; negative: it is
 * damaged, or a callback failed. */
int debfile_read(int fd, const struct deb_callbacks *callbacks, struct st_error *err);

#endif
