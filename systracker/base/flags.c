/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/base/flags.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static const struct {
  uint32_t flag;
  const char *name;
} names[] = {
    {ST_FLAG_SECURE_DELETION, "secure-deletion"},
    {ST_FLAG_UNDELETABLE, "undeletable"},
    {ST_FLAG_COMPRESSED, "compressed"},
    {ST_FLAG_SYNC, "sync"},
    {ST_FLAG_IMMUTABLE, "immutable"},
    {ST_FLAG_APPEND, "append-only"},
    {ST_FLAG_NODUMP, "nodump"},
    {ST_FLAG_NOATIME, "noatime"},
    {ST_FLAG_JOURNAL_DATA, "journal-data"},
    {ST_FLAG_NOTAIL, "notail"},
    {ST_FLAG_DIRSYNC, "dirsync"},
    {ST_FLAG_TOPDIR, "topdir"},
    {ST_FLAG_NOCOW, "nocow"},
    {ST_FLAG_PROJECT_INHERIT, "project-inherit"},
};

/* What a file system says that has no such thing. */
static bool is_unknown(int code)
{
  return code == ENOTTY || code == EOPNOTSUPP || code == EINVAL || code == ENOSYS;
}

/* The kernel reads and writes an int, whatever the name of the request says. */
static int get_all(int fd, uint32_t *ret)
{
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
    return -errno;
  *ret = (uint32_t)flags;
  return 0;
}

int st_flags_get(int fd, uint32_t *ret)
{
  *ret = 0;
  int e = get_all(fd, ret);
  *ret &= ST_FLAGS_ALL;
  return e < 0 && !is_unknown(-e) ? e : 0;
}

static int open_for_flags(int dirfd, const char *name)
{
  const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  struct stat st;
  /* A device is never opened, even one that came meanwhile: by O_PATH first. */
  ST_AUTO_CLOSE int opened = *name ? openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
  int path = *name ? opened : dirfd;
  if (path < 0 || fstat(path, &st) < 0)
    return -errno;
  if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
    return -EINVAL;
  char link[32];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", path);
  int fd = open(link, (flags & ~O_NOFOLLOW) | O_NOATIME);
  if (fd < 0 && errno == EPERM)
    fd = open(link, flags & ~O_NOFOLLOW);
  return fd < 0 ? -errno : fd;
}

int st_flags_get_at(int dirfd, const char *name, uint32_t *ret)
{
  ST_AUTO_CLOSE int fd = open_for_flags(dirfd, name);
  return fd < 0 ? fd : st_flags_get(fd, ret);
}

int st_flags_set(int fd, uint32_t flags)
{
  uint32_t now = 0;
  int e = get_all(fd, &now);
  if (e < 0)
    return is_unknown(-e) && flags == 0 ? 0 : e;
  uint32_t wanted = (now & ~ST_FLAGS_ALL) | (flags & ST_FLAGS_ALL);
  if (wanted == now)
    return 0;
  int value = (int)wanted;
  if (ioctl(fd, FS_IOC_SETFLAGS, &value) < 0)
    return -errno;
  /* Some file systems pass over what they do not know. */
  e = get_all(fd, &now);
  return e < 0 ? e : (now & ST_FLAGS_ALL) == (flags & ST_FLAGS_ALL) ? 0 : -EOPNOTSUPP;
}

int st_flags_set_at(int dirfd, const char *name, uint32_t flags)
{
  ST_AUTO_CLOSE int fd = open_for_flags(dirfd, name);
  return fd < 0 ? fd : st_flags_set(fd, flags);
}

bool st_flags_may_lock(void)
{
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
  if (syscall(SYS_capget, &header, data) < 0)
    return false;
  return data[0].effective & (1U << CAP_LINUX_IMMUTABLE);
}

void st_flags_say(struct st_buffer *out, uint32_t before, uint32_t after)
{
  const char *space = "";
  for (size_t i = 0; i < ST_COUNT(names); i++) {
    if (!((before ^ after) & names[i].flag))
      continue;
    st_buffer_printf(out, "%s%c%s", space, after & names[i].flag ? '+' : '-', names[i].name);
    space = " ";
  }
}

const char *st_flags_name(uint32_t flags, size_t n)
{
  for (size_t i = 0; i < ST_COUNT(names); i++) {
    if ((flags & names[i].flag) && n-- == 0)
      return names[i].name;
  }
  return NULL;
}
