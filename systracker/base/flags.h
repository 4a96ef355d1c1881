/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flags.h - file flags (chattr(1), FS_IOC_GETFLAGS), of regular files and directories.
 *
 * Those alone that a user can set, and that mean the same on every file system; what the file
 * system sets for itself (extents, inline data, encrypted, verity, casefold, "does not compress")
 * is not among them.
 */
#ifndef ST_BASE_FLAGS_H
#define ST_BASE_FLAGS_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

enum st_file_flag {
  ST_FLAG_SECURE_DELETION = 0x1,
  ST_FLAG_UNDELETABLE = 0x2,
  ST_FLAG_COMPRESSED = 0x4,
  ST_FLAG_SYNC = 0x8,
  ST_FLAG_IMMUTABLE = 0x10,
  ST_FLAG_APPEND = 0x20,
  ST_FLAG_NODUMP = 0x40,
  ST_FLAG_NOATIME = 0x80,
  ST_FLAG_JOURNAL_DATA = 0x4000,
  ST_FLAG_NOTAIL = 0x8000,
  ST_FLAG_DIRSYNC = 0x10000,
  ST_FLAG_TOPDIR = 0x20000,
  ST_FLAG_NOCOW = 0x800000,
  ST_FLAG_PROJECT_INHERIT = 0x20000000,
};
/* These keep even root from changing the entry, and, of a directory, what lies in it. */
#define ST_FLAGS_LOCK (ST_FLAG_IMMUTABLE | ST_FLAG_APPEND)
#define ST_FLAGS_ALL 0x2083c0ffU

/* The flags of an open file or directory (not O_PATH); none where the file system knows none.
 * Returns 0 or -errno. */
int st_flags_get(int fd, uint32_t *ret);
/* Of a name in a directory, which is opened for it, whatever stands there by then (nothing waits,
 * no symlink is followed; "": what the descriptor is, O_PATH or not).  -EINVAL where that is
 * neither a regular file nor a directory. */
int st_flags_get_at(int dirfd, const char *name, uint32_t *ret);
/* Sets exactly these of ST_FLAGS_ALL, and leaves the file system's own; nothing is done where they
 * are so already.  Returns 0 or -errno. */
int st_flags_set(int fd, uint32_t flags);
int st_flags_set_at(int dirfd, const char *name, uint32_t flags);
/* Whether this process may set and take away ST_FLAGS_LOCK (CAP_LINUX_IMMUTABLE). */
bool st_flags_may_lock(void);

/* From one to the other in words: "+immutable -nodump". */
void st_flags_say(struct st_buffer *out, uint32_t before, uint32_t after);
/* The n-th of the flags that are set, by its name; NULL past the end. */
const char *st_flags_name(uint32_t flags, size_t n);

#endif
