/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/rpm_track/rpm/leftover.h"

#include <dirent.h>
#include <fcntl.h>
#include <rpm/rpmfiles.h>
#include <string.h>
#include <unistd.h>

#include "systracker/base/cleanup.h"

#define MARK 9 /* bytes of ";TTTTTTTT" */

void rpm_places_free(struct rpm_places *p)
{
  st_set_free(p->paths);
  st_set_free(p->seen);
  st_strings_free(&p->folders);
  *p = (struct rpm_places){0};
}

static void add_path(struct rpm_places *p, const char *path)
{
  const char *slash = strrchr(path, '/');
  size_t n = slash ? (size_t)(slash - path) : 0;
  st_set_add(p->paths, path, strlen(path), 0);
  if (n > 0 && st_set_add(p->seen, path, n, 0))
    st_strings_take(&p->folders, st_memdup(path, n));
}

void rpm_places_add(struct rpm_places *p, Header h)
{
  rpmfiles files = rpmfilesNew(NULL, h, RPMTAG_BASENAMES, 0);
  if (!p->paths) {
    p->paths = st_set_new();
    p->seen = st_set_new();
  }
  for (int i = 0; i < (int)rpmfilesFC(files); i++) {
    char *path = rpmfilesFN(files, i);
    if (path)
      add_path(p, path);
    free(path);
  }
  rpmfilesFree(files);
}

size_t rpm_leftover_of(const char *name)
{
  size_t n = strlen(name);
  if (n <= MARK || name[n - MARK] != ';' ||
      strspn(name + n - MARK + 1, "0123456789abcdef") != MARK - 1)
    return 0;
  return n - MARK;
}

static size_t clean_folder(const struct rpm_places *p, const char *folder)
{
  size_t removed = 0;
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ST_AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
  if (fd >= 0 && !d)
    close(fd);
  for (struct dirent *e; d && (e = readdir(d));) {
    size_t n = rpm_leftover_of(e->d_name);
    ST_AUTO_FREE char *path = st_format("%s/%.*s", folder, (int)n, e->d_name);
    if (n > 0 && st_set_get(p->paths, path, strlen(path), NULL))
      removed += unlinkat(fd, e->d_name, 0) == 0;
  }
  return removed;
}

size_t rpm_remove_leftovers(const struct rpm_places *p)
{
  size_t removed = 0;
  for (size_t i = 0; i < p->folders.count; i++)
    removed += clean_folder(p, p->folders.items[i]);
  return removed;
}
