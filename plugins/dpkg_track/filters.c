/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/filters.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/dpkg_track/lines.h"

#define FOLDER "/etc/dpkg/dpkg.cfg.d"
#define FILE_BEHIND "/etc/dpkg/dpkg.cfg"
#define MOST_CONFIG ((size_t)1 << 20) /* bytes of one file */

void filters_clear(struct filters *f)
{
  for (size_t i = 0; i < f->count; i++)
    free(f->items[i].pattern);
  free(f->items);
  *f = (struct filters){0};
}

/* ---- dpkg's configuration ---------------------------------------------------------------------
 */

static bool is_option_letter(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

static bool is_blank(char c)
{
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Quotes around the whole are taken off; where one has no other, dpkg would not run at all. */
static char *without_quotes(char *value)
{
  size_t n = strlen(value);
  if (*value != '"' && *value != '\'')
    return value;
  if (n < 2 || value[n - 1] != *value)
    return NULL;
  value[n - 1] = 0;
  return value + 1;
}

static int take_line(struct filters *f, char *line, struct st_error *err)
{
  size_t n = strlen(line);
  while (n > 0 && is_blank(line[n - 1]))
    line[--n] = 0;
  char *value = line;
  while (is_option_letter(*value))
    value++;
  if (*line == '#' || !*value)
    return 0;
  *value++ = 0;
  bool include = strcmp(line, "path-include") == 0;
  if (!include && strcmp(line, "path-exclude") != 0)
    return 0;
  value += *value == '=';
  while (is_blank(*value))
    value++;
  value = without_quotes(value);
  if (!value)
    return 0;
  char *pattern = strdup(value);
  if (!pattern || !array_room((void **)&f->items, f->count, sizeof(*f->items))) {
    free(pattern);
    return st_fail(err, 0, "out of memory");
  }
  f->items[f->count++] = (struct filter){pattern, include};
  return 0;
}

int filters_parse(struct filters *f, char *text, struct st_error *err)
{
  int r = 0;
  for (char *line; r == 0 && (line = strsep(&text, "\n"));)
    r = take_line(f, line, err);
  return r;
}

static int read_file(struct filters *f, const struct st_context *ctx, const char *path,
                     struct st_error *err)
{
  char *text = NULL;
  size_t length;
  int r = st_read_in_root(ctx, path, MOST_CONFIG, &text, &length, err);
  if (r >= 0)
    r = filters_parse(f, text, err);
  free(text);
  return r == -ENOENT ? 0 : r;
}

/* As dpkg: letters, digits, "_" and "-". */
static int is_config(const struct dirent *entry)
{
  const char *s = entry->d_name;
  while (is_option_letter(*s) || *s == '_')
    s++;
  return *s == 0;
}

static int read_folder(struct filters *f, const struct st_context *ctx, struct st_error *err)
{
  struct dirent **names = NULL;
  char here[32];
  int r = 0, fd = st_open_in_root(ctx, FOLDER, err);
  if (fd < 0)
    return fd == -ENOENT ? 0 : -1;
  snprintf(here, sizeof(here), "/proc/self/fd/%d", fd);
  int count = scandir(here, &names, is_config, alphasort);
  if (count < 0)
    r = st_fail(err, errno, "cannot list dpkg's configuration (%s)", FOLDER);
  for (int i = 0; i < count; i++) {
    char path[sizeof(FOLDER) + NAME_MAX + 2];
    snprintf(path, sizeof(path), "%s/%s", FOLDER, names[i]->d_name);
    if (r == 0)
      r = read_file(f, ctx, path, err);
    free(names[i]);
  }
  free(names);
  close(fd);
  return r;
}

int filters_read(struct filters *ret, const struct st_context *ctx, struct st_error *err)
{
  *ret = (struct filters){0};
  return read_folder(ret, ctx, err) < 0 ? -1 : read_file(ret, ctx, FILE_BEHIND, err);
}

/* ---- Matching ---------------------------------------------------------------------------------
 */

/* Whether the pattern, up to its first wildcard, begins the path (dpkg(1), --path-exclude). */
static bool may_lie_below(const char *pattern, const char *path)
{
  size_t n = strcspn(pattern, "*?[\\");
  while (n > 0 && pattern[n - 1] == '/')
    n--;
  return strncmp(path, pattern, n) == 0;
}

bool filters_skip(const struct filters *f, const char *path, bool reincluded)
{
  bool skip = false;
  for (size_t i = 0; i < f->count; i++) {
    if (fnmatch(f->items[i].pattern, path, 0) == 0)
      skip = !f->items[i].include; /* the last one decides */
  }
  for (size_t i = 0; i < f->count && skip && reincluded; i++) {
    if (f->items[i].include && may_lie_below(f->items[i].pattern, path))
      skip = false;
  }
  return skip;
}
