/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/checked.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/file.h"

#define SETTLED 2 /* seconds: more than the coarsest times that file systems keep */
#define MAX_NOTE 512

/* NULL: it cannot be looked at. */
static char *note_of(int dirfd, const char *name, int64_t *ret_changed)
{
  struct stat st;
  if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
    return NULL;
  *ret_changed = st.st_ctim.tv_sec > st.st_mtim.tv_sec ? st.st_ctim.tv_sec : st.st_mtim.tv_sec;
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
  int64_t changed;
  ST_AUTO_FREE char *note = note_of(dirfd, name, &changed);
  ST_AUTO_FREE char *note_name = st_format("%s.checked", name);
  return note && is_noted(dirfd, note_name, note);
}

/* Not synced: one that is torn or old differs from what the file is, and is not believed. */
void st_checked_note(int dirfd, const char *name, int64_t now)
{
  int64_t changed;
  ST_AUTO_FREE char *note = note_of(dirfd, name, &changed);
  ST_AUTO_FREE char *note_name = st_format("%s.checked", name);
  if (!note || changed + SETTLED > now)
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
