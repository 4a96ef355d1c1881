/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * meta.h - what stat says of a file, read and put back.
 *
 * What it does not say is in files of their own: xattr.h (ACLs among them), flags.h, holes.h.
 */
#ifndef ST_BASE_META_H
#define ST_BASE_META_H

#include "systracker/base/accounts.h"
#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

struct st_meta {
  char type; /* f d l c b p s, as find's %y */
  uint32_t mode;
  uint32_t uid, gid;
  uint64_t size;
  int64_t mtime, ctime; /* seconds */
  uint32_t mtime_nsec, ctime_nsec;
  uint64_t rdev;
  uint64_t inode;
  uint64_t mount_id; /* 0 where the kernel does not say */
  uint32_t links;
  uint64_t blocks; /* of 512 bytes, that it takes up */
  uint64_t device; /* that it lies on, as makedev(3) gives it: only within one walk */
};

/* statx(2) of a name in a directory, not following a symlink; name "" is the descriptor itself.
 * Returns 0 or -errno. */
int st_meta_read(int dirfd, const char *name, struct st_meta *out);

/* The target of a symlink, any length; malloc'ed.  Returns 0 or -errno. */
int st_read_link(int dirfd, const char *name, char **ret);

/* Owner, mode and times of what `fd` (may be O_PATH) or `name` in it is: chown first, as it drops
 * setuid, then the mode (not of symlinks), then mtime unless `keep_time`.  atime is left alone. */
int st_meta_apply(int dirfd, const char *name, const struct st_meta *meta, bool keep_time,
                  struct st_error *err);

/* The same of a regular file or directory that is open for reading or writing: fewer calls.
 * `*ret`: as it is behind the last of them. */
int st_meta_apply_open(int fd, const struct st_meta *meta, bool keep_time, struct st_meta *ret,
                       struct st_error *err);

#endif
