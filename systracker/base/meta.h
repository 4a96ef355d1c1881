/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * meta.h - a file's metadata, read and put back.
 *
 * The struct is the whole of what is known of an entry without its content; later kinds of
 * metadata (ACLs, xattrs, flags) are added here and nowhere else.
 */
#ifndef ST_BASE_META_H
#define ST_BASE_META_H

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

/* Accounts of a root: names from its own etc/passwd and etc/group, never from NSS. */
struct st_accounts;
int st_accounts_read(struct st_accounts **ret, int root, struct st_error *err);
void st_accounts_free(struct st_accounts *a);
ST_DEFINE_CLEANUP(struct st_accounts *, st_accounts_free)
/* NULL: no such id.  Borrowed. */
const char *st_account_user(const struct st_accounts *a, uint32_t uid);
const char *st_account_group(const struct st_accounts *a, uint32_t gid);
/* false: no such name. */
bool st_account_uid(const struct st_accounts *a, const char *name, uint32_t *ret);
bool st_account_gid(const struct st_accounts *a, const char *name, uint32_t *ret);
/* Calls fn for each account; group: false for users. */
int st_accounts_each(const struct st_accounts *a,
                     int (*fn)(void *arg, bool group, const char *name, uint32_t id), void *arg);

#endif
