/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/statoverrides.h"

#include "plugins/dpkg_track/lines.h"

bool statoverride_owner_ok(const char *name)
{
  return strlen(name) < 256 && *name != '-' && is_word(name, "/:");
}

/* Cuts off the first word; NULL: there is nothing behind it. */
static char *cut_word(char **rest)
{
  char *word = *rest, *blank = strchr(word, ' ');
  if (!blank)
    return NULL;
  *blank = 0;
  *rest = blank + 1;
  return word;
}

static bool parse_mode(const char *text, unsigned *ret)
{
  char *end;
  if (strspn(text, "01234567") != strlen(text) || strlen(text) > 8)
    return false;
  unsigned long mode = strtoul(text, &end, 8);
  *ret = (unsigned)mode;
  return end != text && mode <= 07777;
}

static int parse_line(const struct lines *l, char *line, struct statoverride *ret,
                      struct st_error *err)
{
  char *rest = line;
  ret->owner = cut_word(&rest);
  ret->group = ret->owner ? cut_word(&rest) : NULL;
  char *mode = ret->group ? cut_word(&rest) : NULL;
  ret->path = rest;
  if (!mode)
    return lines_bad(l, "not an owner, a group, a mode and a path", err);
  if (!statoverride_owner_ok(ret->owner) || !statoverride_owner_ok(ret->group))
    return lines_bad(l, "an owner or a group that cannot be", err);
  if (!parse_mode(mode, &ret->mode))
    return lines_bad(l, "a mode that cannot be", err);
  return *ret->path == '/' ? 0 : lines_bad(l, "not an absolute path", err);
}

static int by_path(const void *a, const void *b)
{
  return strcmp(((const struct statoverride *)a)->path, ((const struct statoverride *)b)->path);
}

int statoverrides_parse(struct statoverrides *ret, char *text, size_t length, const char *what,
                        struct st_error *err)
{
  struct lines l = {.next = text, .end = text + length, .what = what};
  struct statoverride o;
  char *line;
  int more;
  *ret = (struct statoverrides){0};
  while ((more = lines_next(&l, &line, err)) > 0) {
    if (parse_line(&l, line, &o, err) < 0)
      return -1;
    if (!array_room((void **)&ret->items, ret->count, sizeof(o)))
      return st_fail(err, 0, "out of memory");
    ret->items[ret->count++] = o;
  }
  if (more < 0)
    return -1;
  if (ret->count > 0)
    qsort(ret->items, ret->count, sizeof(o), by_path);
  for (size_t i = 1; i < ret->count; i++) {
    if (by_path(&ret->items[i - 1], &ret->items[i]) == 0)
      return st_fail(err, 0, "%s: a path stands there twice", what);
  }
  return 0;
}

const struct statoverride *statoverrides_find(const struct statoverrides *o, const char *path)
{
  struct statoverride key = {.path = (char *)path};
  return o->count > 0 ? bsearch(&key, o->items, o->count, sizeof(key), by_path) : NULL;
}
