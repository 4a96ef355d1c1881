/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/meta.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "systracker/base/escape.h"

#ifndef STATX_MNT_ID /* Linux 5.8; older C libraries do not name it */
#define STATX_MNT_ID 0x1000U
#define st_statx_mount_id(s) ((s)->__statx_pad2[0], (uint64_t)0)
#else
#define st_statx_mount_id(s) ((s)->stx_mnt_id)
#endif

static char type_letter(uint32_t mode)
{
  char type = st_entry_type(mode);
  return type ? type : '?';
}

int st_meta_read(int dirfd, const char *name, struct st_meta *out)
{
  struct statx s;
  int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);
  if (statx(dirfd, name, flags, STATX_BASIC_STATS | STATX_MNT_ID, &s) < 0)
    return -errno;
  *out = (struct st_meta){
      .type = type_letter(s.stx_mode),
      .mode = s.stx_mode & 07777,
      .uid = s.stx_uid,
      .gid = s.stx_gid,
      .size = s.stx_size,
      .mtime = s.stx_mtime.tv_sec,
      .mtime_nsec = s.stx_mtime.tv_nsec,
      .ctime = s.stx_ctime.tv_sec,
      .ctime_nsec = s.stx_ctime.tv_nsec,
      .inode = s.stx_ino,
      .mount_id = s.stx_mask & STATX_MNT_ID ? st_statx_mount_id(&s) : 0,
      .links = s.stx_nlink,
      .blocks = s.stx_blocks,
      .device = makedev(s.stx_dev_major, s.stx_dev_minor),
  };
  if (out->type == 'c' || out->type == 'b')
    out->rdev = makedev(s.stx_rdev_major, s.stx_rdev_minor);
  return 0;
}

int st_read_link(int dirfd, const char *name, char **ret)
{
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  for (size_t size = 256;; size *= 2) {
    if (size > 1u << 24)
      return -ENAMETOOLONG;
    st_buffer_reserve(&b, size);
    ssize_t n = readlinkat(dirfd, name, b.data, size);
    if (n < 0)
      return -errno;
    if ((size_t)n < size) { /* otherwise there may be more */
      b.data[n] = 0;
      b.length = (size_t)n;
      *ret = st_buffer_steal(&b, NULL);
      return 0;
    }
  }
}

/* The name that an O_PATH descriptor has for the calls that refuse such a descriptor.  It leads to
 * the very inode, and where that is a symlink, to no other. */
#define PROC_PATH_SIZE 32

static void proc_path(char out[PROC_PATH_SIZE], int fd)
{
  snprintf(out, PROC_PATH_SIZE, "/proc/self/fd/%d", fd);
}

static int apply_owner(int fd, const struct st_meta *now, const struct st_meta *meta)
{
  if (now->uid == meta->uid && now->gid == meta->gid)
    return 0;
  uid_t uid = now->uid == meta->uid ? (uid_t)-1 : meta->uid;
  gid_t gid = now->gid == meta->gid ? (gid_t)-1 : meta->gid;
  return fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
}

/* chown may have dropped setuid and setgid, so the mode is read again. */
static int apply_mode(int fd, const struct st_meta *meta)
{
  char path[PROC_PATH_SIZE];
  struct st_meta now;
  int r = st_meta_read(fd, "", &now);
  if (r < 0) {
    errno = -r;
    return -1;
  }
  if (now.type == 'l' || now.mode == meta->mode)
    return 0;
  proc_path(path, fd);
  return chmod(path, meta->mode);
}

static int apply_time(int fd, const struct st_meta *now, const struct st_meta *meta)
{
  char path[PROC_PATH_SIZE];
  if (now->mtime == meta->mtime && now->mtime_nsec == meta->mtime_nsec)
    return 0;
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                              {.tv_sec = meta->mtime, .tv_nsec = meta->mtime_nsec}};
  proc_path(path, fd);
  return utimensat(AT_FDCWD, path, times, 0);
}

static int apply(int fd, const char *name, const struct st_meta *meta, bool keep_time,
                 struct st_error *err)
{
  struct st_meta now;
  int r = st_meta_read(fd, "", &now);
  if (r < 0)
    return st_fail(err, -r, "cannot look at (%s)", st_quote(name));
  if (meta->type && meta->type != now.type)
    return st_fail(err, 0, "cannot set owner and mode: it is of type %c, not %c (%s)", now.type,
                   meta->type, st_quote(name));
  if (apply_owner(fd, &now, meta) < 0)
    return st_fail(err, errno, "cannot set the owner to %u:%u (%s)", meta->uid, meta->gid,
                   st_quote(name));
  if (apply_mode(fd, meta) < 0)
    return st_fail(err, errno, "cannot set the mode to %04o (%s)", meta->mode, st_quote(name));
  if (!keep_time && apply_time(fd, &now, meta) < 0)
    return st_fail(err, errno, "cannot set the time (%s)", st_quote(name));
  return 0;
}

int st_meta_apply(int dirfd, const char *name, const struct st_meta *meta, bool keep_time,
                  struct st_error *err)
{
  if (!*name)
    return apply(dirfd, "this entry", meta, keep_time, err);
  ST_AUTO_CLOSE int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return st_fail(err, errno, "cannot open (%s)", st_quote(name));
  return apply(fd, name, meta, keep_time, err);
}

/* chown may have dropped setuid and setgid; neither call changes the mtime. */
static int apply_open(int fd, const struct st_meta *now, const struct st_meta *meta,
                      struct st_error *err)
{
  bool owner = now->uid != meta->uid || now->gid != meta->gid;
  if (owner && apply_owner(fd, now, meta) < 0)
    return st_fail(err, errno, "cannot set the owner to %u:%u (this entry)", meta->uid, meta->gid);
  if ((now->mode != meta->mode || (owner && (meta->mode & 07000))) && fchmod(fd, meta->mode) < 0)
    return st_fail(err, errno, "cannot set the mode to %04o (this entry)", meta->mode);
  return 0;
}

static int read_open(int fd, struct st_meta *ret, struct st_error *err)
{
  int e = st_meta_read(fd, "", ret);
  return e < 0 ? st_fail(err, -e, "cannot look at (this entry)") : 0;
}

int st_meta_apply_open(int fd, const struct st_meta *meta, bool keep_time, struct st_meta *ret,
                       struct st_error *err)
{
  const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                    {.tv_sec = meta->mtime, .tv_nsec = meta->mtime_nsec}};
  if (!keep_time && futimens(fd, times) < 0)
    return st_fail(err, errno, "cannot set the time (this entry)");
  if (read_open(fd, ret, err) < 0)
    return -1;
  if (ret->uid == meta->uid && ret->gid == meta->gid && ret->mode == meta->mode)
    return 0;
  return apply_open(fd, ret, meta, err) < 0 ? -1 : read_open(fd, ret, err);
}
