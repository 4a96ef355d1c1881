/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/database.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_STATUS ((size_t)512 << 20) /* bytes of a file; Debian's whole archive is 60 MB */
#define MOST_LIST ((size_t)16 << 20)    /* of diversions, of statoverride */
#define MOST_UPDATES 10000
#define MOST_ALTERNATIVES 10000
#define TRIES 5

/* ---- Packages --------------------------------------------------------------------------- */

void database_free(struct database *db)
{
  for (size_t i = 0; i < db->ntexts; i++)
    free(db->texts[i]);
  free(db->texts);
  packages_free(&db->packages);
  *db = (struct database){0};
}

/* Reads a file whose text lives as long as the database.  -ENOENT as st_read_in_root. */
static int read_text(const struct dpkg_track *d, struct database *db, const char *path,
                     size_t *length, struct st_error *err)
{
  char **texts = reallocarray(db->texts, db->ntexts + 1, sizeof(*texts));
  if (!texts)
    return st_fail(err, 0, "out of memory");
  db->texts = texts;
  int r = st_read_in_root(d->ctx, path, MOST_STATUS, &texts[db->ntexts], length, err);
  if (r >= 0)
    db->ntexts++;
  return r;
}

/* dpkg takes only names that are all digits for entries of its journal. */
static int is_update(const struct dirent *entry)
{
  const char *s = entry->d_name;
  while (isdigit((unsigned char)*s))
    s++;
  return *s == 0 && s > entry->d_name;
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
  size_t n = strlen((*a)->d_name), m = strlen((*b)->d_name);
  return n != m ? (n < m ? -1 : 1) : strcmp((*a)->d_name, (*b)->d_name);
}

static int read_update(const struct dpkg_track *d, struct database *db, const char *name,
                       struct st_error *err)
{
  char path[PATH_MAX];
  size_t length;
  if (snprintf(path, sizeof(path), "%s/%s", d->updates, name) >= (int)sizeof(path))
    return st_fail(err, 0, "the path of dpkg's journal is too long");
  int r = read_text(d, db, path, &length, err);
  if (r < 0)
    return r;
  return packages_update(&db->packages, db->texts[db->ntexts - 1], length, path, err);
}

static int read_listed(const struct dpkg_track *d, struct database *db, struct dirent **names,
                       int count, struct st_error *err)
{
  if (count > MOST_UPDATES)
    return st_fail(err, 0, "dpkg's journal has more than %d files (%s)", MOST_UPDATES, d->updates);
  for (int i = 0; i < count; i++) {
    int r = read_update(d, db, names[i]->d_name, err);
    if (r < 0)
      return r;
  }
  return 0;
}

/* The journal: what dpkg did since it last wrote its status file.  -ENOENT: a file went away. */
static int read_updates(const struct dpkg_track *d, struct database *db, struct st_error *err)
{
  struct dirent **names = NULL;
  char here[32];
  int fd = st_open_in_root(d->ctx, d->updates, err);
  if (fd < 0)
    return fd == -ENOENT ? 0 : fd;
  snprintf(here, sizeof(here), "/proc/self/fd/%d", fd);
  int count = scandir(here, &names, is_update, by_number);
  int r = count < 0 ? st_fail(err, errno, "cannot list dpkg's journal (%s)", d->updates)
                    : read_listed(d, db, names, count, err);
  for (int i = 0; i < count; i++)
    free(names[i]);
  free(names);
  close(fd);
  return r;
}

/* A file that is not there is empty. */
static int read_or_empty(const struct dpkg_track *d, const char *path, size_t max, char **ret,
                         size_t *length, struct st_error *err)
{
  int r = st_read_in_root(d->ctx, path, max, ret, length, err);
  if (r != -ENOENT)
    return r;
  *length = 0;
  *ret = calloc(1, 1);
  return *ret ? 0 : st_fail(err, 0, "out of memory");
}

/* Nothing of the marks' text is kept. */
static int read_marks(const struct dpkg_track *d, struct database *db, struct st_error *err)
{
  char *text = NULL;
  size_t length;
  int r = read_or_empty(d, APT_MARKS, MOST_STATUS, &text, &length, err);
  if (r >= 0)
    r = packages_mark(&db->packages, text, length, APT_MARKS, err);
  free(text);
  return r;
}

/* What tells one status file from the next: dpkg writes a new one beside and renames it. */
static int status_identity(const struct dpkg_track *d, struct stat *ret, struct st_error *err)
{
  int fd = st_open_in_root(d->ctx, d->status, err);
  if (fd < 0)
    return fd;
  int r = fstat(fd, ret);
  close(fd);
  return r < 0 ? st_fail(err, errno, "cannot look at dpkg's status (%s)", d->status) : 0;
}

static bool same_status(const struct stat *a, const struct stat *b)
{
  return a->st_ino == b->st_ino && a->st_size == b->st_size &&
         a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* One look: 0, -ENOENT (no status file, or dpkg moved on meanwhile), or another negative number. */
static int read_once(const struct dpkg_track *d, struct database *db, bool *ret_moved,
                     struct st_error *err)
{
  struct stat before, after;
  size_t length;
  *ret_moved = false;
  int r = status_identity(d, &before, err);
  if (r < 0)
    return r;
  r = read_text(d, db, d->status, &length, err);
  if (r < 0)
    return r;
  if (packages_parse(&db->packages, db->texts[0], length, d->status, err) < 0)
    return -1;
  r = read_updates(d, db, err);
  if (r >= 0)
    r = read_marks(d, db, err);
  *ret_moved =
      r == -ENOENT || status_identity(d, &after, NULL) < 0 || !same_status(&before, &after);
  return *ret_moved ? -ENOENT : r;
}

int database_read(const struct dpkg_track *d, struct database *db, struct st_error *err)
{
  bool moved = false;
  for (int i = 0; i < TRIES; i++) {
    database_free(db);
    int r = read_once(d, db, &moved, err);
    if (!moved)
      return r;
  }
  return st_fail(err, 0, "dpkg's status kept changing while it was read (%s)", d->status);
}

/* ---- Diversions and overrides ----------------------------------------------------------- */

int read_diversions(const struct dpkg_track *d, struct diversions *ret, char **text,
                    struct st_error *err)
{
  size_t length;
  *ret = (struct diversions){0};
  *text = NULL;
  int r = read_or_empty(d, d->diversions, MOST_LIST, text, &length, err);
  return r < 0 ? r : diversions_parse(ret, *text, length, d->diversions, err);
}

int read_statoverrides(const struct dpkg_track *d, struct statoverrides *ret, char **text,
                       struct st_error *err)
{
  size_t length;
  *ret = (struct statoverrides){0};
  *text = NULL;
  int r = read_or_empty(d, d->statoverride, MOST_LIST, text, &length, err);
  return r < 0 ? r : statoverrides_parse(ret, *text, length, d->statoverride, err);
}

/* ---- Alternatives ----------------------------------------------------------------------- */

int read_alternative(const struct dpkg_track *d, const char *name, struct alternative *ret,
                     char **text, struct st_error *err)
{
  char path[PATH_MAX];
  size_t length;
  *ret = (struct alternative){0};
  *text = NULL;
  if (snprintf(path, sizeof(path), "%s/%s", d->alternatives, name) >= (int)sizeof(path))
    return st_fail(err, 0, "the path of an alternative is too long");
  int r = st_read_in_root(d->ctx, path, MOST_ALTERNATIVE, text, &length, err);
  return r < 0 ? r : alternative_parse(ret, *text, length, path, err);
}

int read_value(const struct dpkg_track *d, const char *name, char *ret, struct st_error *err)
{
  *ret = 0;
  int fd = st_open_in_root(d->ctx, ALTERNATIVE_LINKS, err);
  if (fd < 0)
    return fd == -ENOENT ? 0 : fd;
  ssize_t n = readlinkat(fd, name, ret, PATH_MAX - 1);
  int code = errno;
  close(fd);
  ret[n > 0 ? n : 0] = 0;
  if (n < 0 && code != ENOENT && code != EINVAL && code != ENOTDIR)
    return st_fail(err, code, "cannot read an alternative's link (%s/%s)", ALTERNATIVE_LINKS, name);
  return 0;
}

/* As update-alternatives, which passes over its own temporary files. */
static int is_alternative(const struct dirent *entry)
{
  static const char temporary[] = ".dpkg-tmp";
  const char *s = entry->d_name;
  size_t n = strlen(s), m = sizeof(temporary) - 1;
  return strcmp(s, ".") != 0 && strcmp(s, "..") != 0 &&
         !(n >= m && strcmp(s + n - m, temporary) == 0);
}

static int each_name(const struct dpkg_track *d, struct dirent **names, int count, name_fn *fn,
                     void *arg, struct st_error *err)
{
  if (count > MOST_ALTERNATIVES)
    return st_fail(err, 0, "more than %d alternatives (%s)", MOST_ALTERNATIVES, d->alternatives);
  for (int i = 0; i < count; i++) {
    if (!alternative_name_ok(names[i]->d_name))
      return st_fail(err, 0, "an alternative with a name that cannot be (%s)", d->alternatives);
    int r = fn(arg, names[i]->d_name, err);
    if (r < 0 && r != -ENOENT) /* it went meanwhile */
      return r;
  }
  return 0;
}

int each_alternative(const struct dpkg_track *d, name_fn *fn, void *arg, struct st_error *err)
{
  struct dirent **names = NULL;
  char here[32];
  int fd = st_open_in_root(d->ctx, d->alternatives, err);
  if (fd < 0)
    return fd == -ENOENT ? 0 : fd;
  snprintf(here, sizeof(here), "/proc/self/fd/%d", fd);
  int count = scandir(here, &names, is_alternative, alphasort);
  int r = count < 0 ? st_fail(err, errno, "cannot list the alternatives (%s)", d->alternatives)
                    : each_name(d, names, count, fn, arg, err);
  for (int i = 0; i < count; i++)
    free(names[i]);
  free(names);
  close(fd);
  return r;
}
