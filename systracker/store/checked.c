/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/checked.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/file.h"

/* Nanoseconds: more than the coarsest times that file systems keep, and more than the kernel's
 * clock ticks, where they keep parts of a second. */
#define SETTLED 2000000000
#define SETTLED_FINE 100000000
#define MAX_NOTE 512

static int64_t nanoseconds(const struct timespec *t)
{
  return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

/* NULL: it cannot be looked at.  `*ret_settled`: from when on no change can come with its times. */
static char *note_of(int dirfd, const char *name, int64_t *ret_settled)
{
  struct stat st;
  if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
    return NULL;
  int64_t changed = nanoseconds(&st.st_ctim), written = nanoseconds(&st.st_mtim);
  bool fine = st.st_ctim.tv_nsec != 0 && st.st_mtim.tv_nsec != 0;
  *ret_settled = (changed > written ? changed : written) + (fine ? SETTLED_FINE : SETTLED);
  return st_format("SysTracker checked 1\ninode %llu size %lld mtime %lld.%09ld ctime %lld.%09ld\n",
                   (unsigned long long)st.st_ino, (long long)st.st_size,
                   (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec,
                   st.st_ctim.tv_nsec);
}

static bool is_noted(int dirfd, const char *note_name, const char *note)
{
  ST_AUTO_BUFFER noted = ST_BUFFER_INIT;
  return st_read_file(dirfd, note_name, MAX_NOTE, &noted, NULL) == 0 &&
         noted.length == strlen(note) && memcmp(noted.data, note, noted.length) == 0;
}

bool st_checked_is(int dirfd, const char *name)
{
  int64_t settled;
  ST_AUTO_FREE char *note = note_of(dirfd, name, &settled);
  ST_AUTO_FREE char *note_name = st_format("%s.checked", name);
  return note && is_noted(dirfd, note_name, note);
}

/* Not synced: one that is torn or old differs from what the file is, and is not believed. */
void st_checked_note(int dirfd, const char *name, const struct timespec *now)
{
  int64_t settled;
  ST_AUTO_FREE char *note = note_of(dirfd, name, &settled);
  ST_AUTO_FREE char *note_name = st_format("%s.checked", name);
  if (!note || settled > nanoseconds(now))
    return;
  ST_AUTO_CLOSE int fd =
      openat(dirfd, note_name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd >= 0)
    st_write_all(fd, note, strlen(note), NULL);
}

void st_checked_forget(int dirfd, const char *name)
{
  ST_AUTO_FREE char *note_name = st_format("%s.checked", name);
  unlinkat(dirfd, note_name, 0);
}
