/* SPDX-License-Identifier: GPL-2.0-or-later */
/* manifest.h - the rows of a manifest as they are gathered: what a package has at each path of this
 * root, as standard_track and checksum_track would see it (doc/formats). */
#ifndef ST_DPKG_TRACK_MANIFEST_H
#define ST_DPKG_TRACK_MANIFEST_H

#include "systracker/plugin.h"

/* What one path is expected to be.  The strings are copied. */
struct expectation {
  char *path;                /* absolute, as this root's directories resolve it */
  char type;                 /* as in struct st_entry; 0: nothing but that it is there */
  uint32_t mode, uid, gid;   /* mode: 07777 */
  const char *owner, *group; /* not copied; NULL: nobody has that number */
  int64_t mtime;
  uint32_t mtime_nsec;
  uint64_t rdev;
  char *target;            /* of l */
  uint64_t group_of_links; /* entries of one number, not 0, are one inode */
  bool has_digest;
  struct st_id digest;
  uint64_t size;   /* bytes; with has_digest */
  const char *md5; /* not copied; digits: the content is to be proved by it; NULL: it is not */
};

struct manifest {
  struct expectation *items;
  size_t count;
};

int manifest_add(struct manifest *m, const struct expectation *e, struct st_error *err);
void manifest_clear(struct manifest *m);

/* Hands all to SysTracker.  Of several of one path counts the one that would be there: packages
 * made for both kinds of /usr have a symlink beside the file that it points to. */
int manifest_tell(struct manifest *m, struct st_manifest *out, struct st_error *err);

#endif
