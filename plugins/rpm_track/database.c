/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/rpm_track/database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugins/values.h"

/* As rpm/root.c. */
static const char *const folders[] = {"/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm"};
static const char *const files[] = {"rpmdb.sqlite", "Packages.db", "Packages"};

static bool is_over(const struct timespec *t, const struct timespec *now)
{
  return t->tv_sec != now->tv_sec ? t->tv_sec < now->tv_sec : t->tv_nsec < now->tv_nsec;
}

/* Neither the device's number nor the access time is of the file. */
static void add_file(struct database *db, const struct stat *st, const struct timespec *now)
{
  size_t n = strlen(db->identity);
  snprintf(db->identity + n, sizeof(db->identity) - n, " %llu %lld %lld.%09ld %lld.%09ld",
           (unsigned long long)st->st_ino, (long long)st->st_size, (long long)st->st_mtim.tv_sec,
           st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
  db->settled &= is_over(&st->st_mtim, now) && is_over(&st->st_ctim, now);
}

/* SQLite's log is empty after a clean end, and then it says nothing: who only reads touches it. */
static void add_log(struct database *db, int fd, const char *file, const struct timespec *now)
{
  char name[64];
  struct stat st;
  snprintf(name, sizeof(name), "%s-wal", file);
  if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0)
    add_file(db, &st, now);
}

static bool look_in(int fd, struct database *db)
{
  struct stat st;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now); /* the clock of files' times */
  for (size_t i = 0; i < COUNT(files); i++) {
    if (fstatat(fd, files[i], &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
      continue;
    snprintf(db->identity, sizeof(db->identity), "files %s", files[i]);
    db->settled = true;
    add_file(db, &st, &now);
    add_log(db, fd, files[i], &now);
    return true;
  }
  return false;
}

/* 1: it is not there. */
static int look_at(const struct st_context *ctx, const char *folder, struct database *ret,
                   struct st_error *err)
{
  int fd = st_open_in_root(ctx, folder, err);
  if (fd == -ENOENT || fd == -ENOTDIR)
    return 1;
  if (fd < 0)
    return fd;
  bool found = look_in(fd, ret);
  close(fd);
  ret->folder = folder;
  return found ? 0 : 1;
}

int database_look(const struct st_context *ctx, const char *folder, struct database *ret,
                  struct st_error *err)
{
  int r = 1;
  *ret = (struct database){0};
  if (folder)
    return look_at(ctx, folder, ret, err);
  for (size_t i = 0; i < COUNT(folders) && r == 1; i++)
    r = look_at(ctx, folders[i], ret, err);
  return r;
}
