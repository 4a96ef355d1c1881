/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/fingerprint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gcrypt.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct making {
  const struct dpkg_track *d;
  gcry_md_hd_t digester;
  struct timespec now; /* by the clock that files get their times from */
  struct fingerprint *to;
};

static bool is_over(const struct timespec *time, const struct timespec *now)
{
  return time->tv_sec != now->tv_sec ? time->tv_sec < now->tv_sec : time->tv_nsec < now->tv_nsec;
}

/* NULL: it is not there.  Never the device: its number may be another after a reboot. */
static void add_stat(struct making *m, const struct stat *st)
{
  uint64_t parts[6] = {0};
  if (st) {
    const uint64_t seen[6] = {st->st_ino,
                              (uint64_t)st->st_size,
                              (uint64_t)st->st_mtim.tv_sec,
                              (uint64_t)st->st_mtim.tv_nsec,
                              (uint64_t)st->st_ctim.tv_sec,
                              (uint64_t)st->st_ctim.tv_nsec};
    memcpy(parts, seen, sizeof(parts));
    if (!is_over(&st->st_mtim, &m->now) || !is_over(&st->st_ctim, &m->now))
      m->to->settled = false;
  }
  gcry_md_write(m->digester, parts, sizeof(parts));
}

/* 1: it is there, 0: it is not; with its size. */
static int add_path(struct making *m, const char *path, off_t *ret_size, struct st_error *err)
{
  struct stat st;
  int fd = st_open_in_root(m->d->ctx, path, err);
  if (fd < 0 && fd != -ENOENT)
    return -1;
  int r = fd < 0 ? 0 : fstat(fd, &st) == 0 ? 1 : -1;
  if (fd >= 0)
    close(fd);
  if (r < 0)
    return st_fail(err, errno, "cannot look at one of dpkg's files (%s)", path);
  add_stat(m, r > 0 ? &st : NULL);
  if (ret_size)
    *ret_size = r > 0 ? st.st_size : 0;
  return r;
}

/* Each file as well: an editor may write into one without replacing it. */
static int add_files(struct making *m, const char *path, struct st_error *err)
{
  int fd = st_open_in_root(m->d->ctx, path, err);
  DIR *folder = fd < 0 ? NULL : fdopendir(fd);
  struct stat st;
  if (!folder) {
    if (fd >= 0)
      close(fd);
    return fd == -ENOENT ? 0 : st_fail(err, errno, "cannot list a folder of dpkg's (%s)", path);
  }
  errno = 0;
  for (struct dirent *e; (e = readdir(folder)); errno = 0) {
    if (*e->d_name == '.')
      continue;
    gcry_md_write(m->digester, e->d_name, strlen(e->d_name) + 1);
    add_stat(m, fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? &st : NULL);
  }
  int code = errno;
  closedir(folder);
  return code ? st_fail(err, code, "cannot list a folder of dpkg's (%s)", path) : 0;
}

static int add_all(struct making *m, struct st_error *err)
{
  const struct dpkg_track *d = m->d;
  const char *const paths[] = {d->updates,      d->info,   d->diversions,    d->statoverride,
                               d->alternatives, APT_MARKS, ALTERNATIVE_LINKS};
  off_t size;
  if (add_path(m, d->status, &size, err) < 0)
    return -1;
  m->to->any = size > 0;
  for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
    if (add_path(m, paths[i], NULL, err) < 0)
      return -1;
  }
  return add_files(m, d->updates, err) < 0 ? -1 : add_files(m, d->alternatives, err);
}

int fingerprint_make(const struct dpkg_track *d, struct fingerprint *ret, struct st_error *err)
{
  struct making m = {.d = d, .to = ret};
  *ret = (struct fingerprint){.settled = true};
  gcry_check_version(NULL);
  clock_gettime(CLOCK_REALTIME_COARSE, &m.now);
  if (gcry_md_open(&m.digester, GCRY_MD_SHA256, 0) != 0)
    return st_fail(err, 0, "cannot make digests");
  int r = add_all(&m, err);
  memcpy(ret->digest, gcry_md_read(m.digester, GCRY_MD_SHA256), sizeof(ret->digest));
  gcry_md_close(m.digester);
  return r;
}
