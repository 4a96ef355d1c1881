/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/incoming.h"

#include <fcntl.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/keys.h"

/* A kill may leave a file of st_incoming_file with its name. */
static int empty(int incoming, struct st_error *err)
{
  int fd = openat(incoming, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ST_AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
  if (!d)
    return st_fail(err, errno, "cannot list the folder incoming");
  for (struct dirent *e; (e = readdir(d));)
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
      unlinkat(incoming, e->d_name, 0);
  return 0;
}

int st_incoming_open(int archive_dirfd, struct st_error *err)
{
  if (st_make_dirs(archive_dirfd, "incoming", 0700, err) < 0)
    return st_wrap(err, "the archive cannot be written to");
  ST_AUTO_CLOSE int fd = st_open_beneath(archive_dirfd, "incoming", O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0)
    return st_fail(err, -fd, "cannot open the folder incoming");
  return empty(fd, err) < 0 ? -1 : st_steal_fd(&fd);
}

/* Where the file system has no files without a name, as NFS. */
static int named_file(int incoming, struct st_error *err)
{
  uint8_t random[16];
  char name[2 * sizeof(random) + 1];
  if (st_random(random, sizeof(random), err) < 0)
    return -1;
  st_hex(name, random, sizeof(random));
  int fd = openat(incoming, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd >= 0)
    unlinkat(incoming, name, 0);
  return fd;
}

int st_incoming_file(int incoming, struct st_error *err)
{
  int fd = openat(incoming, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
    fd = named_file(incoming, err);
  return fd >= 0 ? fd : st_fail(err, errno, "cannot make a temporary file in incoming");
}
