/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/places.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_LINKS 40 /* on one way, as in the kernel */

/* A directory as packages spell it, and where it is; "" is the root. */
struct place {
  char *spelled, *resolved;
};

struct places {
  int root;
  void *tree;               /* of struct place, by what is spelled (tsearch(3)) */
  const struct place *last; /* paths of one directory come together */
  char folder[PATH_MAX];    /* what `fd` is */
  int fd;                   /* -1: none */
};

struct places *places_new(int root)
{
  struct places *p = calloc(1, sizeof(*p));
  if (p)
    *p = (struct places){.root = root, .fd = -1};
  return p;
}

static void free_place(void *arg)
{
  struct place *place = arg;
  free(place->spelled);
  free(place->resolved);
  free(place);
}

void places_free(struct places *p)
{
  if (!p)
    return;
  if (p->fd >= 0)
    close(p->fd);
  tdestroy(p->tree, free_place);
  free(p);
}

static int by_spelling(const void *a, const void *b)
{
  return strcmp(((const struct place *)a)->spelled, ((const struct place *)b)->spelled);
}

/* Below the root, and through no symlink: `path` was resolved.  A negative errno. */
static int open_resolved(const struct places *p, const char *path, int flags)
{
  struct open_how how = {
      .flags = (unsigned)(flags | O_CLOEXEC),
      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
  };
  long fd = syscall(SYS_openat2, p->root, *path ? path : "/", &how, sizeof(how));
  return fd < 0 ? -errno : (int)fd;
}

/* ---- Links ------------------------------------------------------------------------------------
 */

/* A path on its way: what is resolved, and what follows. */
struct way {
  char done[PATH_MAX], rest[PATH_MAX];
  unsigned links;
};

/* Of a path that is shorter than PATH_MAX. */
static void copy(char *to, const char *path)
{
  memcpy(to, path, strlen(path) + 1);
}

static bool append(char *to, const char *part, size_t n)
{
  size_t length = strlen(to);
  if (length + 1 + n >= PATH_MAX)
    return false;
  to[length] = '/';
  memcpy(to + length + 1, part, n);
  to[length + 1 + n] = 0;
  return true;
}

/* Where the symlink points; its length, 0: it is none. */
static size_t read_link(const struct places *p, const char *path, char *ret)
{
  int fd = open_resolved(p, path, O_PATH | O_NOFOLLOW);
  ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", ret, PATH_MAX - 1);
  if (fd >= 0)
    close(fd);
  ret[n > 0 ? n : 0] = 0;
  return n > 0 ? (size_t)n : 0;
}

static bool follow_link(struct way *w, const char *target)
{
  char rest[PATH_MAX];
  if (++w->links > MOST_LINKS ||
      snprintf(rest, sizeof(rest), "%s/%s", target, w->rest) >= (int)sizeof(rest))
    return false;
  copy(w->rest, rest);
  if (*target == '/')
    *w->done = 0;
  else
    *strrchr(w->done, '/') = 0;
  return true;
}

/* Takes one part of the path.  False: it does not resolve. */
static bool step(const struct places *p, struct way *w)
{
  char target[PATH_MAX];
  size_t n = strcspn(w->rest, "/"), m = n + (w->rest[n] == '/');
  char part[PATH_MAX];
  memcpy(part, w->rest, n);
  part[n] = 0;
  memmove(w->rest, w->rest + m, strlen(w->rest + m) + 1);
  if (n == 0 || strcmp(part, ".") == 0)
    return true;
  if (strcmp(part, "..") == 0) {
    if (*w->done)
      *strrchr(w->done, '/') = 0;
    return true;
  }
  if (!append(w->done, part, n))
    return false;
  return read_link(p, w->done, target) == 0 || follow_link(w, target);
}

/* ---- Directories ------------------------------------------------------------------------------
 */

static const struct place *known(struct places *p, const char *spelled)
{
  const struct place key = {.spelled = (char *)spelled};
  if (p->last && strcmp(p->last->spelled, spelled) == 0)
    return p->last;
  struct place *const *at = tfind(&key, &p->tree, by_spelling);
  if (at)
    p->last = *at;
  return at ? *at : NULL;
}

static const struct place *remember(struct places *p, const char *spelled, const char *resolved,
                                    struct st_error *err)
{
  struct place *place = malloc(sizeof(*place));
  if (place)
    *place = (struct place){strdup(spelled), strdup(resolved)};
  if (!place || !place->spelled || !place->resolved || !tsearch(place, &p->tree, by_spelling)) {
    if (place)
      free_place(place);
    st_fail(err, 0, "out of memory");
    return NULL;
  }
  return p->last = place;
}

/* Begins behind the directory above, where that one is known: most are, as packages list theirs
 * first. */
static void begin(struct places *p, const char *spelled, struct way *w)
{
  char above[PATH_MAX];
  const char *name = strrchr(spelled, '/');
  size_t n = name ? (size_t)(name - spelled) : 0;
  memcpy(above, spelled, n);
  above[n] = 0;
  const struct place *place = n > 0 ? known(p, above) : NULL;
  w->links = 0;
  copy(w->done, place ? place->resolved : "");
  copy(w->rest, place ? name + 1 : spelled);
}

/* `spelled` has less than PATH_MAX bytes. */
static const struct place *resolve_folder(struct places *p, const char *spelled,
                                          struct st_error *err)
{
  const struct place *place = known(p, spelled);
  struct way w;
  bool good = true;
  if (place)
    return place;
  begin(p, spelled, &w);
  while (good && *w.rest)
    good = step(p, &w);
  return remember(p, spelled, good ? w.done : spelled, err);
}

static bool is_folder(const struct places *p, const char *path)
{
  int fd = open_resolved(p, path, O_PATH | O_DIRECTORY);
  if (fd >= 0)
    close(fd);
  return fd >= 0;
}

int places_resolve(struct places *p, const char *path, bool follow, char *ret, struct st_error *err)
{
  char spelled[PATH_MAX];
  size_t length = strlen(path);
  const char *name = strrchr(path, '/');
  if (*path != '/' || length >= PATH_MAX)
    return st_fail(err, 0, "a path that cannot be");
  const struct place *place = NULL;
  if (follow) {
    copy(spelled, length == 1 ? "" : path);
    place = resolve_folder(p, spelled, err);
    if (!place)
      return -1;
    if (is_folder(p, place->resolved)) {
      copy(ret, *place->resolved ? place->resolved : "/");
      return 0;
    }
  }
  size_t n = (size_t)(name - path);
  memcpy(spelled, path, n);
  spelled[n] = 0;
  place = resolve_folder(p, spelled, err);
  if (!place)
    return -1;
  copy(ret, place->resolved);
  if (!append(ret, name + 1, strlen(name + 1)))
    copy(ret, path);
  return 0;
}

int places_folder(struct places *p, const char *path, const char **ret_name)
{
  const char *name = strrchr(path, '/');
  size_t n = (size_t)(name - path);
  *ret_name = name[1] ? name + 1 : ".";
  if (p->fd >= 0 && strncmp(p->folder, path, n) == 0 && p->folder[n] == 0)
    return p->fd;
  if (p->fd >= 0)
    close(p->fd);
  memcpy(p->folder, path, n);
  p->folder[n] = 0;
  p->fd = open_resolved(p, p->folder, O_PATH | O_DIRECTORY);
  return p->fd;
}
