/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/rpm_track/rpm/paths.h"

#include <string.h>
#include <sys/stat.h>

#include "systracker/base/buffer.h"
#include "systracker/base/set.h"

/* `known` has each folder as it was written, with the place of what it is. */
struct rpm_paths {
  struct st_set *known;
  struct st_strings folders;
};

struct rpm_paths *rpm_paths_new(void)
{
  struct rpm_paths *p = st_calloc(1, sizeof(*p));
  p->known = st_set_new();
  return p;
}

void rpm_paths_free(struct rpm_paths *p)
{
  if (!p)
    return;
  st_set_free(p->known);
  st_strings_free(&p->folders);
  free(p);
}

/* "/a/b": no empty parts, none that is "." or "..". */
static bool is_plain(const char *path)
{
  if (*path != '/' || strlen(path) >= 65536)
    return false;
  for (const char *s = path; *s == '/';) {
    size_t n = strcspn(++s, "/");
    if (n == 0 || (n == 1 && *s == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
      return n == 0 && s == path + 1 && *s == 0; /* the root itself */
    s += n;
  }
  return true;
}

/* What the last part leads to where it is a symlink to a directory. */
static char *follow(char *path)
{
  struct stat st;
  if (lstat(path, &st) < 0 || !S_ISLNK(st.st_mode))
    return path;
  char *real = realpath(path, NULL);
  if (!real || stat(real, &st) < 0 || !S_ISDIR(st.st_mode)) {
    free(real);
    return path;
  }
  free(path);
  return real;
}

static char *join(const char *folder, const char *name)
{
  return st_format("%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name);
}

/* `length` bytes of a plain path; borrowed. */
static const char *resolve_folder(struct rpm_paths *p, const char *path, size_t length)
{
  uint64_t place;
  if (length == 0)
    return "/";
  if (st_set_get(p->known, path, length, &place))
    return p->folders.items[place];
  const char *name = memrchr(path, '/', length);
  ST_AUTO_FREE char *last = st_memdup(name + 1, (size_t)(path + length - name - 1));
  const char *parent = resolve_folder(p, path, (size_t)(name - path));
  st_strings_take(&p->folders, follow(join(parent, last)));
  st_set_add(p->known, path, length, p->folders.count - 1);
  return p->folders.items[p->folders.count - 1];
}

char *rpm_paths_resolve(struct rpm_paths *p, const char *path, bool directory)
{
  if (!is_plain(path))
    return NULL;
  const char *name = strrchr(path, '/');
  if (directory)
    return st_strdup(resolve_folder(p, path, name[1] ? strlen(path) : 0));
  return join(resolve_folder(p, path, (size_t)(name - path)), name + 1);
}
