/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_BYTES ((off_t)64 << 20) /* of one list */
#define AHEAD 64                     /* how far an order may be from the other's */

void listing_clear(struct listing *l)
{
  free(l->items);
  free(l->sorted);
  free(l->list);
  free(l->sums);
  *l = (struct listing){0};
}

/* ---- Files of the info folder -----------------------------------------------------------------
 */

static int open_named(int info, const char *name)
{
  return openat(info, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Its name has the architecture where several may be installed beside each other. */
static bool name_of(const struct package *p, bool full, const char *suffix, char ret[NAME_MAX + 1])
{
  return snprintf(ret, NAME_MAX + 1, "%s%s%s%s", p->name, full ? ":" : "",
                  full ? p->architecture : "", suffix) <= NAME_MAX;
}

static int info_open(int info, const struct package *p, const char *suffix, struct st_error *err)
{
  char file[NAME_MAX + 1];
  int fd = -1;
  errno = ENOENT;
  for (int i = 0; i < 2 && fd < 0 && errno == ENOENT; i++) {
    if (name_of(p, p->coinstallable == (i == 0), suffix, file))
      fd = open_named(info, file);
  }
  if (fd >= 0)
    return fd;
  int code = errno;
  st_fail(err, code, "cannot open dpkg's %.200s%s", p->name, suffix);
  return -code;
}

/* The whole file, with a NUL behind it. */
static int read_open(int fd, char **ret, size_t *ret_length, struct st_error *err)
{
  struct stat st;
  if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > MOST_BYTES)
    return st_fail(err, 0, "it is no file, or too large");
  char *text = malloc((size_t)st.st_size + 1);
  size_t length = 0;
  ssize_t n = text ? 1 : 0;
  while (n > 0 && length < (size_t)st.st_size) {
    n = read(fd, text + length, (size_t)st.st_size - length);
    length += n > 0 ? (size_t)n : 0;
  }
  if (!text || n < 0 || memchr(text, 0, length)) {
    free(text);
    return st_fail(err, 0, "it cannot be read, or has a NUL byte");
  }
  text[length] = 0;
  *ret = text;
  *ret_length = length;
  return 0;
}

int info_read(int info, const struct package *p, const char *suffix, char **ret, size_t *ret_length,
              struct st_error *err)
{
  int fd = info_open(info, p, suffix, err);
  if (fd < 0)
    return fd;
  int r = read_open(fd, ret, ret_length, NULL);
  close(fd);
  return r < 0 ? st_fail(err, 0, "cannot read dpkg's %.200s%s", p->name, suffix) : 0;
}

/* ---- The list ---------------------------------------------------------------------------------
 */

/* A directory may stand there with a slash at its end. */
static int take_lines(struct listing *l, size_t length, const char *name, struct st_error *err)
{
  size_t room = 0, n;
  for (char *s = l->list, *end = s + length, *stop; s < end; s = stop + 1) {
    stop = memchr(s, '\n', (size_t)(end - s));
    if (!stop)
      return st_fail(err, 0, "dpkg's list of package %.200s is cut off", name);
    for (n = (size_t)(stop - s); n > 1 && s[n - 1] == '/'; n--)
      ;
    if (*s != '/' || n >= PATH_MAX)
      return st_fail(err, 0, "dpkg's list of package %.200s has a path that cannot be", name);
    if (l->count == room) {
      room = room ? 2 * room : length / 48 + 16;
      struct listed *more = reallocarray(l->items, room, sizeof(*more));
      if (!more)
        return st_fail(err, 0, "out of memory");
      l->items = more;
    }
    s[n] = 0;
    l->items[l->count++] = (struct listed){.path = s, .length = n};
  }
  return 0;
}

/* ---- Finding ----------------------------------------------------------------------------------
 */

static int compare(const char *a, size_t n, const char *b, size_t m)
{
  int r = memcmp(a, b, n < m ? n : m);
  return r != 0 ? r : (n > m) - (n < m);
}

static int by_path(const void *a, const void *b)
{
  const struct listed *x = *(struct listed *const *)a, *y = *(struct listed *const *)b;
  return compare(x->path, x->length, y->path, y->length);
}

static bool sort(struct listing *l)
{
  l->sorted = calloc(l->count + 1, sizeof(struct listed *));
  for (size_t i = 0; l->sorted && i < l->count; i++)
    l->sorted[i] = &l->items[i];
  if (l->sorted)
    qsort(l->sorted, l->count, sizeof(struct listed *), by_path);
  return l->sorted != NULL;
}

static bool is_path(const struct listed *item, const char *path, size_t length)
{
  /* Neighbours differ at their ends. */
  return item->length == length && item->path[length - 1] == path[length - 1] &&
         memcmp(item->path, path, length) == 0;
}

struct listed *listing_find(struct listing *l, const char *path, size_t length)
{
  size_t stop = l->count - l->cursor > AHEAD ? l->cursor + AHEAD : l->count;
  for (size_t i = l->cursor; length > 0 && i < stop; i++) {
    if (is_path(&l->items[i], path, length)) {
      l->cursor = i + 1;
      return &l->items[i];
    }
  }
  struct listed key = {.path = path, .length = length}, *at = &key;
  if (l->count == 0 || (!l->sorted && !sort(l)))
    return NULL;
  struct listed *const *found = bsearch(&at, l->sorted, l->count, sizeof(struct listed *), by_path);
  if (found)
    l->cursor = (size_t)(*found - l->items) + 1;
  return found ? *found : NULL;
}

/* ---- The digests ------------------------------------------------------------------------------
 */

/* What are no digits prove nothing later, so they are not looked at here.
 *
 * Takes the next line "MD5  usr/bin/x" of `*rest`, and makes the path one as lists have it: that
 * changes a blank, or the slash of "./usr/bin/x".  NULL: there is none left; `*ret` NULL: the line
 * declares nothing of the package's paths. */
static const char *take_sum(struct listing *l, char **rest, struct listed **ret)
{
  char *line = *rest, *end = strchr(line, '\n');
  *ret = NULL;
  if (!end)
    return NULL;
  *rest = end + 1;
  size_t length = (size_t)(end - line), at = MD5_DIGITS;
  if (length < MD5_DIGITS + 2 || line[at] != ' ')
    return line;
  while (at < length && line[at] == ' ')
    at++;
  if (at == length)
    return line;
  if (length - at > 2 && line[at] == '.' && line[at + 1] == '/')
    at += 2;
  line[--at] = '/';
  *ret = listing_find(l, line + at, length - at);
  return line;
}

static void take_sums(struct listing *l)
{
  struct listed *item;
  char *rest = l->sums;
  l->cursor = 0;
  for (const char *line; (line = take_sum(l, &rest, &item));) {
    if (item)
      item->md5 = line;
  }
  l->cursor = 0;
}

bool listing_agrees(struct listing *l, char *sums)
{
  struct listed *item;
  bool agrees = true;
  l->cursor = 0;
  for (const char *line; (line = take_sum(l, &sums, &item));) {
    if (item && item->md5 && memcmp(item->md5, line, MD5_DIGITS) != 0)
      agrees = false;
  }
  l->cursor = 0;
  return agrees;
}

static int read_both(struct listing *l, int info, const struct package *p, struct st_error *err)
{
  size_t length;
  int r = info_read(info, p, ".list", &l->list, &length, err);
  if (r >= 0)
    r = take_lines(l, length, p->name, err);
  if (r < 0)
    return r;
  r = info_read(info, p, ".md5sums", &l->sums, &length, err);
  if (r >= 0)
    take_sums(l);
  return r == -ENOENT ? 0 : r;
}

int listing_read(struct listing *ret, int info, const struct package *p, struct st_error *err)
{
  *ret = (struct listing){0};
  int r = read_both(ret, info, p, err);
  if (r < 0)
    listing_clear(ret);
  return r;
}
