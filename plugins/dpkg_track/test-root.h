/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-root.h - what unit tests share: a scratch root of a Debian system, removed at the end. */
#ifndef DPKG_TRACK_TEST_ROOT_H
#define DPKG_TRACK_TEST_ROOT_H

#include "plugins/test-host.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct root {
  char path[64];
  int fd;
};

static inline void put(const struct root *root, const char *path, const char *text, time_t mtime)
{
  int fd = openat(root->fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  struct timespec times[2] = {{.tv_sec = mtime}, {.tv_sec = mtime}};
  assert_int_equal(futimens(fd, times), 0);
  close(fd);
}

static inline int set_up(void **state)
{
  static const char *const folders[] = {"usr",
                                        "usr/bin",
                                        "var",
                                        "var/lib",
                                        "var/lib/dpkg",
                                        "var/lib/dpkg/info",
                                        "var/lib/dpkg/updates"};
  const char *tmp = getenv("TMPDIR");
  struct root *root = calloc(1, sizeof(*root));
  snprintf(root->path, sizeof(root->path), "%s/st-dpkg-XXXXXX",
           tmp && strlen(tmp) < 40 ? tmp : "/tmp");
  assert_non_null(mkdtemp(root->path));
  root->fd = open(root->path, O_RDONLY | O_DIRECTORY);
  for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
    assert_int_equal(mkdirat(root->fd, folders[i], 0755), 0);
  *state = root;
  return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
  (void)st;
  (void)flag;
  (void)ftw;
  return remove(path);
}

static inline int tear_down(void **state)
{
  struct root *root = *state;
  close(root->fd);
  int r = nftw(root->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
  free(root);
  return r;
}

#endif
