/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/alternatives.h"

#include <errno.h>
#include <stdio.h>

#include "plugins/dpkg_track/lines.h"

#define MOST_SLAVES 1000
#define MOST_CHOICES 1000
#define MOST_SLAVE_TEXT ((size_t)16 << 20) /* bytes of all choices' slaves together */

struct slave {
  char *name, *link;
};

struct slaves {
  struct slave *items;
  size_t count, text; /* bytes that were written of them */
};

bool alternative_name_ok(const char *name)
{
  return strlen(name) < 256 && is_word(name, "/");
}

/* ---- Reading ---------------------------------------------------------------------------- */

static int read_path(struct lines *l, char **ret, struct st_error *err)
{
  if (lines_want(l, ret, err) < 0)
    return -1;
  return **ret == '/' ? 0 : lines_bad(l, "not an absolute path", err);
}

static int read_slaves(struct lines *l, struct slaves *slaves, struct st_error *err)
{
  for (;;) {
    struct slave s;
    if (lines_want(l, &s.name, err) < 0)
      return -1;
    if (*s.name == 0)
      return 0;
    if (!alternative_name_ok(s.name))
      return lines_bad(l, "a slave with a name that cannot be", err);
    if (read_path(l, &s.link, err) < 0)
      return -1;
    if (slaves->count == MOST_SLAVES)
      return lines_bad(l, "too many slaves", err);
    if (!array_room((void **)&slaves->items, slaves->count, sizeof(s)))
      return st_fail(err, 0, "out of memory");
    slaves->items[slaves->count++] = s;
  }
}

static int read_priority(struct lines *l, int64_t *ret, struct st_error *err)
{
  char *text, *end;
  if (lines_want(l, &text, err) < 0)
    return -1;
  errno = 0;
  long n = strtol(text, &end, 10);
  if (end == text || *end || errno || n < INT32_MIN || n > INT32_MAX)
    return lines_bad(l, "a priority that is no number", err);
  *ret = n;
  return 0;
}

static int print_slaves(struct lines *l, struct slaves *slaves, FILE *to, struct st_error *err)
{
  for (size_t i = 0; i < slaves->count; i++) {
    const struct slave *s = &slaves->items[i];
    char *path;
    if (lines_want(l, &path, err) < 0)
      return -1;
    if (*path == 0)
      continue;
    if (*path != '/')
      return lines_bad(l, "not an absolute path", err);
    int n = fprintf(to, "%s\n%s\n%s\n", s->name, s->link, path);
    slaves->text += n > 0 ? (size_t)n : 0;
    if (slaves->text > MOST_SLAVE_TEXT)
      return lines_bad(l, "too many slaves", err);
  }
  return 0;
}

/* The slaves of one choice, malloc'ed. */
static int read_choice_slaves(struct lines *l, struct slaves *slaves, char **ret,
                              struct st_error *err)
{
  size_t length;
  FILE *to = open_memstream(ret, &length);
  if (!to)
    return st_fail(err, errno, "cannot take slaves down");
  int r = print_slaves(l, slaves, to, err);
  if (fclose(to) != 0 && r == 0)
    r = st_fail(err, errno, "cannot take slaves down");
  return r;
}

static int check_new(const struct lines *l, const struct alternative *a, const char *path,
                     struct st_error *err)
{
  if (*path != '/')
    return lines_bad(l, "not an absolute path", err);
  if (a->count == MOST_CHOICES)
    return lines_bad(l, "too many choices", err);
  for (size_t i = 0; i < a->count; i++) {
    if (strcmp(a->choices[i].path, path) == 0)
      return lines_bad(l, "a choice that stands there twice", err);
  }
  return 0;
}

/* An empty line ends them, or the end of the file. */
static int read_choices(struct lines *l, struct slaves *slaves, struct alternative *a,
                        struct st_error *err)
{
  char *path;
  int more;
  while ((more = lines_next(l, &path, err)) > 0 && *path) {
    if (check_new(l, a, path, err) < 0)
      return -1;
    if (!array_room((void **)&a->choices, a->count, sizeof(*a->choices)))
      return st_fail(err, 0, "out of memory");
    struct choice *c = &a->choices[a->count++];
    *c = (struct choice){.path = path};
    if (read_priority(l, &c->priority, err) < 0 ||
        read_choice_slaves(l, slaves, &c->slaves, err) < 0)
      return -1;
  }
  return more < 0 ? -1 : 0;
}

static int read_mode(struct lines *l, const char **ret, struct st_error *err)
{
  char *mode;
  if (lines_want(l, &mode, err) < 0)
    return -1;
  *ret = mode;
  if (strcmp(mode, "auto") != 0 && strcmp(mode, "manual") != 0)
    return lines_bad(l, "neither auto nor manual", err);
  return 0;
}

int alternative_parse(struct alternative *ret, char *text, size_t length, const char *what,
                      struct st_error *err)
{
  struct lines l = {.next = text, .end = text + length, .what = what};
  struct slaves slaves = {0};
  *ret = (struct alternative){0};
  int r = read_mode(&l, &ret->mode, err);
  if (r == 0)
    r = read_path(&l, &ret->link, err);
  if (r == 0)
    r = read_slaves(&l, &slaves, err);
  if (r == 0)
    r = read_choices(&l, &slaves, ret, err);
  free(slaves.items);
  return r;
}

void alternative_free(struct alternative *a)
{
  for (size_t i = 0; i < a->count; i++)
    free(a->choices[i].slaves);
  free(a->choices);
  *a = (struct alternative){0};
}
