/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include "systracker/base/buffer.h"
#include "systracker/base/escape.h"

/* The holder writes its pid only after it has the lock, so there may be none yet. */
static int refuse(int fd, const char *name, struct st_error *err)
{
  char text[32] = "";
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  long pid = n > 0 ? strtol(text, NULL, 10) : 0;
  if (pid > 0)
    return st_refuse(err, "the lock is held by process %ld (%s)", pid, st_quote(name));
  return st_refuse(err, "the lock is held by another process (%s)", st_quote(name));
}

int st_lock(int dirfd, const char *name, struct st_error *err)
{
  ST_AUTO_CLOSE int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return st_fail(err, errno, "cannot open the lock (%s)", st_quote(name));
  int r;
  do
    r = flock(fd, LOCK_EX | LOCK_NB);
  while (r < 0 && errno == EINTR);
  if (r < 0 && errno == EWOULDBLOCK)
    return refuse(fd, name, err);
  if (r < 0)
    return st_fail(err, errno, "cannot lock (%s)", st_quote(name));
  ST_AUTO_FREE char *pid = st_format("%ld\n", (long)getpid());
  /* The number is for people: without space for it the lock holds all the same. */
  if (ftruncate(fd, 0) == 0)
    r = dprintf(fd, "%s", pid);
  return st_steal_fd(&fd);
}
