/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/owners.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/dpkg_track/lines.h"

#define MOST_BYTES ((off_t)64 << 20) /* of one list */
#define LIST ".list"
#define SUMS ".md5sums"

/* One package, by the name of its files in info/. */
struct listed {
  char *name;
  char *list, *sums; /* texts, lines terminated in place; `sums` NULL: not read yet, or none */
  struct timespec time;
  bool summed;
};

/* One path of one package. */
struct owned {
  const char *path; /* in its list's text */
  uint32_t package;
  const char *md5; /* in its sums' text */
};

struct owners {
  int info; /* the folder */
  struct listed *packages;
  size_t npackages;
  struct owned *items;
  size_t count;
  uint32_t *slots; /* by hash: 1 + the place in items; 0: free */
  size_t nslots;   /* a power of two */
  struct diversions diversions;
  char *diversions_text;
};

void owners_free(struct owners *o)
{
  if (!o)
    return;
  for (size_t i = 0; i < o->npackages; i++) {
    free(o->packages[i].name);
    free(o->packages[i].list);
    free(o->packages[i].sums);
  }
  if (o->info >= 0)
    close(o->info);
  free(o->packages);
  free(o->items);
  free(o->slots);
  free(o->diversions.items);
  free(o->diversions_text);
  free(o);
}

size_t owners_count(const struct owners *o)
{
  return o->npackages;
}

/* ---- Texts ------------------------------------------------------------------------------------
 */

static int read_open(int fd, char **ret, struct timespec *ret_time, const char *name,
                     struct st_error *err)
{
  struct stat st;
  if (fstat(fd, &st) < 0)
    return st_fail(err, errno, "cannot read dpkg's %.200s", name);
  if (!S_ISREG(st.st_mode) || st.st_size > MOST_BYTES)
    return st_fail(err, 0, "dpkg's %.200s is no file, or too large", name);
  char *text = malloc((size_t)st.st_size + 1);
  size_t length = 0;
  ssize_t n = text ? 1 : 0;
  while (n > 0 && length < (size_t)st.st_size) {
    n = read(fd, text + length, (size_t)st.st_size - length);
    length += n > 0 ? (size_t)n : 0;
  }
  if (!text || n < 0) {
    free(text);
    return st_fail(err, text ? errno : ENOMEM, "cannot read dpkg's %.200s", name);
  }
  text[length] = 0;
  *ret = text;
  if (ret_time)
    *ret_time = st.st_mtim;
  return 0;
}

/* -ENOENT: there is none. */
static int read_text(int info, const char *name, char **ret, struct timespec *ret_time,
                     struct st_error *err)
{
  int fd = openat(info, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT)
    return -ENOENT;
  if (fd < 0)
    return st_fail(err, errno, "cannot open dpkg's %.200s", name);
  int r = read_open(fd, ret, ret_time, name, err);
  close(fd);
  return r;
}

/* The next line, terminated in place; NULL at the end. */
static char *take_line(char **rest)
{
  char *line = *rest;
  if (!*line)
    return NULL;
  size_t n = strcspn(line, "\n");
  *rest = line + n + (line[n] == '\n');
  line[n] = 0;
  return line;
}

/* ---- The table --------------------------------------------------------------------------------
 */

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static uint64_t hash_of(const char *s)
{
  uint64_t h = 14695981039346656037u;
  for (; *s; s++)
    h = (h ^ (unsigned char)*s) * 1099511628211u;
  return h ^ h >> 32;
}

static int add_owned(struct owners *o, const char *path, uint32_t package, struct st_error *err)
{
  if (o->count >= UINT32_MAX / 4 || !array_room((void **)&o->items, o->count, sizeof(*o->items)))
    return st_fail(err, 0, "out of memory");
  o->items[o->count++] = (struct owned){path, package, NULL};
  return 0;
}

static int fill_slots(struct owners *o, struct st_error *err)
{
  o->nslots = 16;
  while (o->nslots < o->count * 2)
    o->nslots *= 2;
  o->slots = calloc(o->nslots, sizeof(*o->slots));
  if (!o->slots)
    return st_fail(err, 0, "out of memory");
  for (size_t i = 0; i < o->count; i++) {
    size_t at = hash_of(o->items[i].path) & (o->nslots - 1);
    while (o->slots[at])
      at = (at + 1) & (o->nslots - 1);
    o->slots[at] = (uint32_t)i + 1;
  }
  return 0;
}

/* Goes through the owners of a path: `*at` begins with SIZE_MAX.  NULL: no more. */
static struct owned *next_owner(const struct owners *o, const char *path, size_t *at)
{
  size_t mask = o->nslots - 1;
  for (*at = *at == SIZE_MAX ? hash_of(path) & mask : (*at + 1) & mask; o->slots[*at];
       *at = (*at + 1) & mask) {
    struct owned *item = &o->items[o->slots[*at] - 1];
    if (strcmp(item->path, path) == 0)
      return item;
  }
  return NULL;
}

/* ---- Reading ----------------------------------------------------------------------------------
 */

static int read_list(struct owners *o, const char *file, struct st_error *err)
{
  size_t n = strlen(file) - strlen(LIST);
  if (!array_room((void **)&o->packages, o->npackages, sizeof(*o->packages)))
    return st_fail(err, 0, "out of memory");
  struct listed p = {.name = strndup(file, n)};
  if (!p.name)
    return st_fail(err, 0, "out of memory");
  int r = read_text(o->info, file, &p.list, &p.time, err);
  if (r < 0) {
    free(p.name);
    return r == -ENOENT ? 0 : r; /* gone meanwhile */
  }
  uint32_t package = (uint32_t)o->npackages;
  o->packages[o->npackages++] = p;
  char *rest = p.list;
  for (char *line; r >= 0 && (line = take_line(&rest));)
    r = add_owned(o, line, package, err);
  return r;
}

static bool is_list(const char *name)
{
  size_t n = strlen(name), m = strlen(LIST);
  return n > m && strcmp(name + n - m, LIST) == 0;
}

static int read_lists(struct owners *o, struct st_error *err)
{
  int again = openat(o->info, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *folder = again < 0 ? NULL : fdopendir(again);
  int r = 0;
  if (!folder) {
    if (again >= 0)
      close(again);
    return st_fail(err, errno, "cannot list dpkg's info folder");
  }
  errno = 0;
  for (struct dirent *e; r >= 0 && (e = readdir(folder)); errno = 0) {
    if (is_list(e->d_name))
      r = read_list(o, e->d_name, err);
  }
  if (r >= 0 && errno)
    r = st_fail(err, errno, "cannot list dpkg's info folder");
  closedir(folder);
  return r;
}

static int read_all(struct owners *o, const struct dpkg_track *d, struct st_error *err)
{
  o->info = st_open_in_root(d->ctx, d->info, err);
  if (o->info < 0 && o->info != -ENOENT)
    return -1;
  if (o->info >= 0 && read_lists(o, err) < 0)
    return -1;
  if (read_diversions(d, &o->diversions, &o->diversions_text, err) < 0)
    return -1;
  return fill_slots(o, err);
}

int owners_read(struct owners **ret, const struct dpkg_track *d, struct st_error *err)
{
  struct owners *o = calloc(1, sizeof(*o));
  if (!o)
    return st_fail(err, 0, "out of memory");
  o->info = -1;
  if (read_all(o, d, err) < 0) {
    owners_free(o);
    return -1;
  }
  *ret = o;
  return 0;
}

/* ---- Declarations -----------------------------------------------------------------------------
 */

/* A line "MD5  usr/bin/x": the path as the list has it, but for its first slash. */
static void take_sum(struct owners *o, uint32_t package, char *line)
{
  if (strspn(line, "0123456789abcdef") != MD5_DIGITS || line[MD5_DIGITS] != ' ')
    return;
  char *path = line + MD5_DIGITS + strspn(line + MD5_DIGITS, " ") - 1;
  *path = '/'; /* over the last blank */
  size_t at = SIZE_MAX;
  for (struct owned *item; (item = next_owner(o, path, &at));) {
    if (item->package == package)
      item->md5 = line;
  }
}

static int read_sums(struct owners *o, uint32_t package, struct st_error *err)
{
  struct listed *p = &o->packages[package];
  char name[NAME_MAX + 1];
  if (p->summed)
    return 0;
  if (snprintf(name, sizeof(name), "%s" SUMS, p->name) >= (int)sizeof(name))
    return st_fail(err, 0, "a package with too long a name");
  int r = read_text(o->info, name, &p->sums, NULL, err);
  if (r < 0 && r != -ENOENT)
    return r;
  p->summed = true;
  char *rest = p->sums;
  for (char *line; rest && (line = take_line(&rest));)
    take_sum(o, package, line);
  return 0;
}

/* ---- Questions --------------------------------------------------------------------------------
 */

static bool is_later(const struct timespec *a, const struct timespec *b)
{
  return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static int claim(struct owners *o, const char *path, bool declared, struct claims *ret,
                 struct st_error *err)
{
  size_t at = SIZE_MAX;
  for (struct owned *item; (item = next_owner(o, path, &at)) && ret->count < MOST_OWNERS;) {
    if (declared && read_sums(o, item->package, err) < 0)
      return -1;
    const struct listed *p = &o->packages[item->package];
    if (is_later(&p->time, &ret->listed))
      ret->listed = p->time;
    ret->md5[ret->count++] = item->md5;
  }
  return 0;
}

/* Where /usr is merged, packages may still know /usr/bin/x as /bin/x. */
static const char *without_usr(const char *path)
{
  static const char *const folders[] = {"bin/", "sbin/", "lib/", "lib32/", "lib64/", "libx32/"};
  if (strncmp(path, "/usr/", 5) != 0)
    return NULL;
  for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
    if (strncmp(path + 5, folders[i], strlen(folders[i])) == 0)
      return path + 4;
  }
  return NULL;
}

/* The path under which the packages know what lies here, which is another where it is diverted. */
static const char *original(const struct owners *o, const char *path, bool *ret_diverted)
{
  *ret_diverted = diversions_find(&o->diversions, path) != NULL;
  for (size_t i = 0; i < o->diversions.count; i++) {
    if (strcmp(o->diversions.items[i].to, path) != 0)
      continue;
    *ret_diverted = true;
    return o->diversions.items[i].path;
  }
  return path;
}

int owners_ask(struct owners *o, const char *path, bool declared, struct claims *ret,
               struct st_error *err)
{
  *ret = (struct claims){0};
  const char *spellings[] = {path, without_usr(path)};
  for (size_t i = 0; i < 2 && spellings[i]; i++) {
    bool diverted;
    if (claim(o, original(o, spellings[i], &diverted), declared, ret, err) < 0)
      return -1;
    ret->diverted |= diverted;
  }
  return 0;
}
