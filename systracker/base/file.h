/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * file.h - files by descriptor, below a root.
 *
 * Hostile paths: whatever lies below the root may be changed by others while we look.  So every
 * path is resolved by openat2(2) from the root's descriptor, with RESOLVE_IN_ROOT or without any
 * symlink, and things are then done to descriptors or to one last name in an open directory.
 */
#ifndef ST_BASE_FILE_H
#define ST_BASE_FILE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

/* Whether the kernel has openat2(2) (Linux 5.6); without it every open below fails with -ENOSYS, so
 * a program asks once at its start. */
int st_check_kernel(struct st_error *err);

/* Removes a folder and what is in it, folders of `depth` levels among it, as far as that goes.
 * Follows no symlink. */
void st_remove_folder(int dirfd, const char *name, unsigned depth);

/* Opens `path` (absolute or relative, taken below `root`) without following any symlink, its
 * last part included (flags get O_NOFOLLOW | O_CLOEXEC).  Returns the descriptor, or -errno. */
int st_open_beneath(int root, const char *path, int flags, mode_t mode);
/* The same, but symlinks are followed, inside the root (RESOLVE_IN_ROOT); not in a path longer than
 * PATH_MAX, which is opened in pieces. */
int st_open_in(int root, const char *path, int flags, mode_t mode);
/* Opens the directory that holds `path`, with O_PATH, following no symlink; `*ret_name` points at
 * the last part, inside `path`, "" when that is the root itself.  Longer than PATH_MAX works.
 * "." or ".." as the last part, or a slash at the end, is -EINVAL.  Returns it or -errno. */
int st_open_parent(int root, const char *path, const char **ret_name);

/* Reads all of it, at most `max` bytes (more is an error), appending. */
int st_read_all(int fd, size_t max, struct st_buffer *out, struct st_error *err);
/* Writes all of it. */
int st_write_all(int fd, const void *data, size_t length, struct st_error *err);
/* The same at an offset, the descriptor's own left alone. */
int st_pread_all(int fd, void *data, size_t length, off_t offset, struct st_error *err);

/* Reads a whole file in a directory.  -ENOENT when it is not there. */
int st_read_file(int dirfd, const char *name, size_t max, struct st_buffer *out,
                 struct st_error *err);
/* Replaces a file in one step: beside, synced, renamed, directory synced. */
int st_write_file(int dirfd, const char *name, mode_t mode, const void *data, size_t length,
                  struct st_error *err);

/* The same for a file that must not be there yet: -EEXIST. */
int st_create_file(int dirfd, const char *name, mode_t mode, const void *data, size_t length,
                   struct st_error *err);

/* mkdir -p below dirfd with this mode; each part is no symlink. */
int st_make_dirs(int dirfd, const char *path, mode_t mode, struct st_error *err);
/* Free bytes of the file system for us. */
int st_free_space(int fd, uint64_t *ret, struct st_error *err);

/* "/a//b/./c/" as "/a/b/c"; ".." is an error, and so is what is not absolute. */
int st_normal_path(const char *path, char **ret, struct st_error *err);
/* Whether `path` is `top` or lies below it. */
bool st_path_below(const char *path, const char *top);

#endif
