/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/diversions.h"

#include "plugins/dpkg_track/lines.h"

bool diversion_package_ok(const char *package)
{
  return strcmp(package, ":") == 0 || (strlen(package) < 256 && is_word(package, "/:"));
}

static int read_rest(struct lines *l, struct diversion *d, struct st_error *err)
{
  if (*d->path != '/')
    return lines_bad(l, "not an absolute path", err);
  if (lines_want(l, &d->to, err) < 0)
    return -1;
  if (*d->to != '/')
    return lines_bad(l, "not an absolute path", err);
  if (lines_want(l, &d->package, err) < 0)
    return -1;
  if (!diversion_package_ok(d->package))
    return lines_bad(l, "a package with a name that cannot be", err);
  return 0;
}

static int by_path(const void *a, const void *b)
{
  return strcmp(((const struct diversion *)a)->path, ((const struct diversion *)b)->path);
}

int diversions_parse(struct diversions *ret, char *text, size_t length, const char *what,
                     struct st_error *err)
{
  struct lines l = {.next = text, .end = text + length, .what = what};
  struct diversion d;
  int more;
  *ret = (struct diversions){0};
  while ((more = lines_next(&l, &d.path, err)) > 0) {
    if (read_rest(&l, &d, err) < 0)
      return -1;
    if (!array_room((void **)&ret->items, ret->count, sizeof(d)))
      return st_fail(err, 0, "out of memory");
    ret->items[ret->count++] = d;
  }
  if (more < 0)
    return -1;
  if (ret->count > 0)
    qsort(ret->items, ret->count, sizeof(d), by_path);
  for (size_t i = 1; i < ret->count; i++) {
    if (by_path(&ret->items[i - 1], &ret->items[i]) == 0)
      return st_fail(err, 0, "%s: a path is diverted twice", what);
  }
  return 0;
}

const struct diversion *diversions_find(const struct diversions *d, const char *path)
{
  struct diversion key = {.path = (char *)path};
  return d->count > 0 ? bsearch(&key, d->items, d->count, sizeof(key), by_path) : NULL;
}
