/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/packages.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/keys.h"

#define HEX (2 * ST_DIGEST_SIZE)
#define BLOCK (1 << 20)
#define NEW_PREFIX ".new-"
#define NEW_MAX_AGE 86400 /* seconds */
#define ASIDE_PREFIX ".damaged-"
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct st_packages {
  int store;                /* the store's directory */
  struct st_package *items; /* sorted */
  size_t count, size;
  struct st_strings strange; /* paths of what does not belong there */
};

void st_package_clear(struct st_package *p)
{
  free(p->name);
  free(p->version);
  free(p->architecture);
  free(p->kind);
}

void st_packages_close(struct st_packages *p)
{
  if (!p)
    return;
  for (size_t i = 0; i < p->count; i++)
    st_package_clear(&p->items[i]);
  free(p->items);
  st_strings_free(&p->strange);
  if (p->store >= 0)
    close(p->store);
  free(p);
}

/* ---- Names -------------------------------------------------------------------------------- */

static void add_part(struct st_buffer *out, const char *text)
{
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+~-";
  for (; *text; text++)
    if (strchr(plain, *text))
      st_buffer_append_byte(out, (uint8_t)*text);
    else
      st_buffer_printf(out, "%%%02x", (unsigned)(uint8_t)*text);
}

char *st_package_path(const struct st_package *p)
{
  char hex[HEX + 1];
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  st_hex(hex, p->digest, ST_DIGEST_SIZE);
  st_buffer_printf(&b, "%.2s/%s_", hex, hex);
  add_part(&b, p->name);
  st_buffer_append_byte(&b, '_');
  add_part(&b, p->version);
  st_buffer_append_byte(&b, '_');
  add_part(&b, p->architecture);
  st_buffer_printf(&b, ".%s", p->kind);
  return st_buffer_steal(&b, NULL);
}

/* Undoes add_part for n characters; NULL where it is empty or malformed.  malloc'ed. */
static char *take_part(const char *text, size_t n)
{
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  for (size_t i = 0; i < n; i++) {
    uint8_t byte = (uint8_t)text[i];
    if (byte == '%') {
      char hex[3] = {0};
      memcpy(hex, text + i + 1, n - i > 2 ? 2 : 0);
      if (!st_unhex(&byte, 1, hex) || !byte)
        return NULL;
      i += 2;
    }
    st_buffer_append_byte(&b, byte);
  }
  return b.length ? st_buffer_steal(&b, NULL) : NULL;
}

static char *take_until(const char **at, const char *end, char separator)
{
  const char *stop = memchr(*at, separator, (size_t)(end - *at));
  if (!stop)
    return NULL;
  char *part = take_part(*at, (size_t)(stop - *at));
  *at = stop + 1;
  return part;
}

static const char *const kinds[] = {"deb", "rpm", "repacked-deb", "repacked-rpm"};

static bool is_kind(const char *kind)
{
  for (size_t i = 0; i < ST_COUNT(kinds); i++)
    if (kind && !strcmp(kind, kinds[i]))
      return true;
  return false;
}

bool st_package_is_repacked(const struct st_package *package)
{
  return !strncmp(package->kind, "repacked-", 9);
}

/* A file's name as what it says; false unless it is one that path_of makes. */
static bool parse_name(struct st_package *ret, const char *folder, const char *name)
{
  char hex[HEX + 1] = {0};
  const char *dot = strrchr(name, '.');
  if (strlen(name) < HEX + 1 || name[HEX] != '_' || !dot || !is_kind(dot + 1))
    return false;
  memcpy(hex, name, HEX);
  if (!st_unhex(ret->digest, ST_DIGEST_SIZE, hex))
    return false;
  const char *at = name + HEX + 1;
  ret->name = take_until(&at, dot, '_');
  ret->version = ret->name ? take_until(&at, dot, '_') : NULL;
  ret->architecture = ret->version ? take_part(at, (size_t)(dot - at)) : NULL;
  ret->kind = st_strdup(dot + 1);
  if (!ret->architecture)
    return false;
  ST_AUTO_FREE char *full = st_format("%s/%s", folder, name);
  ST_AUTO_FREE char *again = st_package_path(ret);
  return !strcmp(full, again);
}

bool st_package_of_name(struct st_package *ret, const char *name)
{
  const char folder[3] = {name[0], name[0] ? name[1] : 0, 0};
  *ret = (struct st_package){0};
  return parse_name(ret, folder, name);
}

/* ---- Reading the folder ------------------------------------------------------------------- */

static int compare_words(const struct st_package *a, const struct st_package *b)
{
  int r = strcmp(a->name, b->name);
  if (!r)
    r = strcmp(a->version, b->version);
  return r ? r : strcmp(a->architecture, b->architecture);
}

static int compare(const void *x, const void *y)
{
  const struct st_package *a = x, *b = y;
  int r = compare_words(a, b);
  if (!r)
    r = memcmp(a->digest, b->digest, ST_DIGEST_SIZE);
  return r ? r : strcmp(a->kind, b->kind);
}

static void take(struct st_packages *p, const struct st_package *item)
{
  if (p->count == p->size) {
    p->size = p->size ? 2 * p->size : 64;
    p->items = st_realloc(p->items, p->size, sizeof *p->items);
  }
  p->items[p->count++] = *item;
}

static void read_entry(struct st_packages *p, int dir, const char *folder, const char *name)
{
  struct st_package item = {0};
  struct stat st;
  bool regular = !fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode);
  if (regular && parse_name(&item, folder, name)) {
    item.size = (uint64_t)st.st_size;
    take(p, &item);
    return;
  }
  st_package_clear(&item);
  st_strings_take(&p->strange, st_format("%s/%s/%s", ST_PACKAGES_DIR, folder, name));
}

static bool is_dots(const char *name)
{
  return !strcmp(name, ".") || !strcmp(name, "..");
}

/* The entries of packages/ab. */
static int read_folder(struct st_packages *p, int top, const char *folder, struct st_error *err)
{
  int fd = openat(top, folder, DIR_FLAGS);
  ST_AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
  if (!d)
    return st_fail(err, errno, "cannot read the packages (%s/%s)", ST_PACKAGES_DIR,
                   st_quote(folder));
  errno = 0;
  for (struct dirent *e; (e = readdir(d)); errno = 0)
    if (!is_dots(e->d_name))
      read_entry(p, fd, folder, e->d_name);
  return errno ? st_fail(err, errno, "cannot read the packages (%s/%s)", ST_PACKAGES_DIR,
                         st_quote(folder))
               : 0;
}

/* A package being written, by somebody, or by one who was killed. */
static bool is_new(const char *name)
{
  return !strncmp(name, NEW_PREFIX, strlen(NEW_PREFIX));
}

/* One that was damaged, and put aside. */
static bool is_aside(const char *name)
{
  return !strncmp(name, ASIDE_PREFIX, strlen(ASIDE_PREFIX));
}

static int read_top(struct st_packages *p, DIR *d, struct st_error *err)
{
  errno = 0;
  for (struct dirent *e; (e = readdir(d)); errno = 0) {
    uint8_t byte;
    if (is_dots(e->d_name) || is_new(e->d_name) || is_aside(e->d_name))
      continue;
    if (!st_unhex(&byte, 1, e->d_name))
      st_strings_take(&p->strange, st_format("%s/%s", ST_PACKAGES_DIR, e->d_name));
    else if (read_folder(p, dirfd(d), e->d_name, err) < 0)
      return -1;
  }
  return errno ? st_fail(err, errno, "cannot read the packages (" ST_PACKAGES_DIR ")") : 0;
}

int st_package_by_digest(int store_dirfd, const uint8_t digest[ST_DIGEST_SIZE],
                         int (*fn)(void *arg, const struct st_package *package), void *arg)
{
  char hex[HEX + 1], folder[] = "ab";
  st_hex(hex, digest, ST_DIGEST_SIZE);
  memcpy(folder, hex, 2);
  ST_AUTO_FREE char *path = st_format(ST_PACKAGES_DIR "/%s", folder);
  int fd = openat(store_dirfd, path, DIR_FLAGS), r = 0;
  ST_AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
  for (struct dirent *e; d && r == 0 && (e = readdir(d));) {
    struct st_package item = {0};
    struct stat st;
    if (strncmp(e->d_name, hex, HEX) == 0 && parse_name(&item, folder, e->d_name) &&
        !fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode)) {
      item.size = (uint64_t)st.st_size;
      r = fn(arg, &item);
    }
    st_package_clear(&item);
  }
  return r;
}

int st_packages_open_unlisted(struct st_packages **ret, int store_dirfd, struct st_error *err)
{
  struct st_packages *p = st_calloc(1, sizeof *p);
  *ret = p;
  p->store = fcntl(store_dirfd, F_DUPFD_CLOEXEC, 0);
  if (p->store >= 0)
    return 0;
  st_packages_close(st_steal(ret));
  return st_fail(err, errno, "cannot open the packages");
}

int st_packages_open(struct st_packages **ret, int store_dirfd, struct st_error *err)
{
  ST_CLEANUP(st_packages_closep) struct st_packages *p = NULL;
  if (st_packages_open_unlisted(&p, store_dirfd, err) < 0)
    return -1;
  int fd = openat(p->store, ST_PACKAGES_DIR, DIR_FLAGS);
  if (fd < 0 && errno != ENOENT)
    return st_fail(err, errno, "cannot open the packages (" ST_PACKAGES_DIR ")");
  if (fd >= 0) {
    ST_AUTO_CLOSEDIR DIR *d = fdopendir(fd);
    if (!d || read_top(p, d, err) < 0)
      return d ? -1 : st_fail(err, errno, "cannot read the packages (" ST_PACKAGES_DIR ")");
  }
  if (p->count)
    qsort(p->items, p->count, sizeof *p->items, compare);
  *ret = st_steal(&p);
  return 0;
}

void st_packages_told(struct st_packages **ret, const struct st_strings *names)
{
  struct st_packages *p = st_calloc(1, sizeof *p);
  p->store = -1;
  for (size_t i = 0; i < names->count; i++) {
    struct st_package item;
    if (st_package_of_name(&item, names->items[i]))
      take(p, &item);
    else
      st_package_clear(&item);
  }
  if (p->count > 1)
    qsort(p->items, p->count, sizeof *p->items, compare);
  *ret = p;
}

const struct st_package *st_packages_at(const struct st_packages *p, size_t n)
{
  return n < p->count ? &p->items[n] : NULL;
}

/* The first of these words that was put together again, or was not. */
static const struct st_package *find(const struct st_packages *p, const struct st_package *key,
                                     bool repacked)
{
  size_t low = 0, high = p->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (compare_words(&p->items[middle], key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  while (low < p->count && !compare_words(&p->items[low], key)) {
    if (st_package_is_repacked(&p->items[low]) == repacked)
      return &p->items[low];
    low++;
  }
  return NULL;
}

const struct st_package *st_packages_find(const struct st_packages *p, const char *name,
                                          const char *version, const char *architecture)
{
  const struct st_package key = {(char *)name, (char *)version, (char *)architecture, NULL, {0}, 0};
  return find(p, &key, false);
}

const struct st_package *st_packages_find_repacked(const struct st_packages *p, const char *name,
                                                   const char *version, const char *architecture)
{
  const struct st_package key = {(char *)name, (char *)version, (char *)architecture, NULL, {0}, 0};
  return find(p, &key, true);
}

const struct st_package *st_packages_next(const struct st_packages *p,
                                          const struct st_package *package)
{
  bool repacked = st_package_is_repacked(package);
  for (size_t n = (size_t)(package - p->items) + 1;
       n < p->count && !compare_words(&p->items[n], package); n++)
    if (st_package_is_repacked(&p->items[n]) == repacked)
      return &p->items[n];
  return NULL;
}

/* ---- Keeping ------------------------------------------------------------------------------ */

/* A file being written in packages/; removed at the end, as it has its own name then. */
struct new_file {
  int dir, fd;
  char name[32];
};

static void new_file_end(struct new_file *f)
{
  if (f->fd >= 0) {
    unlinkat(f->dir, f->name, 0);
    close(f->fd);
  }
  if (f->dir >= 0)
    close(f->dir);
}

/* Removes what was being written by one who was killed. */
static void remove_stale(int dir)
{
  int fd = openat(dir, ".", DIR_FLAGS);
  ST_AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
  time_t now = time(NULL);
  struct stat st;
  for (struct dirent *e; d && (e = readdir(d));)
    if (is_new(e->d_name) && !fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
        st.st_mtime + NEW_MAX_AGE < now)
      unlinkat(dir, e->d_name, 0);
}

static int new_file_open(struct new_file *f, int store, struct st_error *err)
{
  uint64_t random;
  if (st_make_dirs(store, ST_PACKAGES_DIR, 0700, err) < 0 ||
      st_random(&random, sizeof random, err) < 0)
    return -1;
  f->dir = openat(store, ST_PACKAGES_DIR, DIR_FLAGS);
  if (f->dir < 0)
    return st_fail(err, errno, "cannot open the packages (" ST_PACKAGES_DIR ")");
  remove_stale(f->dir);
  snprintf(f->name, sizeof f->name, NEW_PREFIX "%016" PRIx64, random);
  f->fd = openat(f->dir, f->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (f->fd < 0)
    return st_fail(err, errno, "cannot create (" ST_PACKAGES_DIR "/%s)", f->name);
  return fchmod(f->fd, 0600) < 0 ? st_fail(err, errno, "cannot set the mode") : 0;
}

/* Reads from `from` to its end, digests, and writes to `to` unless that is -1. */
static int digest_file(int from, int to, uint8_t digest[ST_DIGEST_SIZE], uint64_t *ret_size,
                       struct st_error *err)
{
  ST_AUTO_FREE char *block = st_malloc(BLOCK);
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  off_t at = 0;
  for (;;) {
    ssize_t n = pread(from, block, BLOCK, at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return st_fail(err, errno, "cannot read the package file");
    if (!n)
      break;
    st_digester_add(d, block, (size_t)n);
    if (to >= 0 && st_write_all(to, block, (size_t)n, err) < 0)
      return st_wrap(err, "a package file");
    at += n;
  }
  st_digester_final(d, digest);
  *ret_size = (uint64_t)at;
  return 0;
}

/* The new file's content, digest and size.  What is digested is what is kept, whatever becomes of
 * the other file meanwhile. */
static int fill(const struct new_file *f, int from, struct st_package *is, struct st_error *err)
{
  bool shared = !ioctl(f->fd, FICLONE, from);
  if (digest_file(shared ? f->fd : from, shared ? -1 : f->fd, is->digest, &is->size, err) < 0)
    return -1;
  if (fsync(f->fd) < 0)
    return st_fail(err, errno, "cannot write the package file");
  return 0;
}

/* Whether the file of that name has this content. */
static bool is_intact(int dir, const char *path, const uint8_t expected[ST_DIGEST_SIZE])
{
  uint8_t digest[ST_DIGEST_SIZE];
  uint64_t size;
  ST_AUTO_CLOSE int fd = st_open_beneath(dir, path, O_RDONLY | O_NONBLOCK, 0);
  return fd >= 0 && digest_file(fd, -1, digest, &size, NULL) >= 0 &&
         !memcmp(digest, expected, sizeof digest);
}

/* Gives it its name.  1: there was one of that name, intact; a damaged one is replaced. */
static int publish(const struct new_file *f, const struct st_package *is, struct st_error *err)
{
  ST_AUTO_FREE char *path = st_package_path(is);
  char folder[3] = {path[0], path[1], 0};
  if (strlen(path) > NAME_MAX + sizeof folder)
    return st_fail(err, ENAMETOOLONG, "the package's name is too long");
  if (st_make_dirs(f->dir, folder, 0700, err) < 0)
    return -1;
  bool there = linkat(f->dir, f->name, f->dir, path, 0) < 0;
  if (there && errno != EEXIST)
    return st_fail(err, errno, "cannot create (" ST_PACKAGES_DIR "/%s)", st_quote(path));
  bool intact = there && is_intact(f->dir, path, is->digest);
  if (there && !intact && renameat(f->dir, f->name, f->dir, path) < 0)
    return st_fail(err, errno, "cannot replace (" ST_PACKAGES_DIR "/%s)", st_quote(path));
  ST_AUTO_CLOSE int parent = openat(f->dir, folder, DIR_FLAGS);
  if (parent < 0 || fsync(parent) < 0)
    return st_fail(err, errno, "cannot sync (" ST_PACKAGES_DIR "/%s)", folder);
  return intact;
}

static bool is_word(const char *text)
{
  return text && *text;
}

static int check_source(const struct st_packages *p, int fd, const struct st_package *is,
                        uint64_t least_free, struct st_error *err)
{
  struct stat st;
  uint64_t space, need;
  if (!is_word(is->name) || !is_word(is->version) || !is_word(is->architecture) ||
      !is_kind(is->kind))
    return st_fail(err, 0, "a package without a name, version, architecture or kind");
  if (fstat(fd, &st) < 0)
    return st_fail(err, errno, "cannot look at the package file");
  if (!S_ISREG(st.st_mode))
    return st_fail(err, 0, "the package file is not a regular file");
  if (st_free_space(p->store, &space, err) < 0)
    return -1;
  if (__builtin_add_overflow((uint64_t)st.st_size, least_free, &need) || space < need)
    return st_fail(err, ENOSPC, "cannot keep the package file");
  return 0;
}

/* The item equal to `is`, or NULL. */
static struct st_package *listed(const struct st_packages *p, const struct st_package *is)
{
  return p->count ? bsearch(is, p->items, p->count, sizeof *p->items, compare) : NULL;
}

bool st_packages_has(const struct st_packages *p, const struct st_package *is)
{
  return listed(p, is) != NULL;
}

static void add_item(struct st_packages *p, const struct st_package *is)
{
  struct st_package item = *is, *there = listed(p, is);
  if (there) {
    there->size = is->size;
    return;
  }
  item.name = st_strdup(is->name);
  item.version = st_strdup(is->version);
  item.architecture = st_strdup(is->architecture);
  item.kind = st_strdup(is->kind);
  take(p, &item);
  qsort(p->items, p->count, sizeof *p->items, compare);
}

/* `expected`: the digest that it has to have, or NULL. */
static int keep(struct st_packages *p, int fd, const struct st_package *is, const uint8_t *expected,
                uint64_t least_free, struct st_error *err)
{
  ST_CLEANUP(new_file_end) struct new_file f = {.dir = -1, .fd = -1};
  struct st_package item = *is;
  if (check_source(p, fd, is, least_free, err) < 0 || new_file_open(&f, p->store, err) < 0 ||
      fill(&f, fd, &item, err) < 0)
    return -1;
  if (expected && memcmp(expected, item.digest, sizeof item.digest) != 0)
    return st_fail(err, 0, "the package file is damaged");
  int r = publish(&f, &item, err);
  if (r >= 0)
    add_item(p, &item);
  return r;
}

int st_packages_keep(struct st_packages *p, int fd, const struct st_package *is,
                     uint64_t least_free, struct st_error *err)
{
  return keep(p, fd, is, NULL, least_free, err);
}

int st_packages_receive(struct st_packages *p, int fd, const struct st_package *is,
                        uint64_t least_free, struct st_error *err)
{
  const struct st_package expected = *is;
  return keep(p, fd, is, expected.digest, least_free, err);
}

/* ---- Reading them again --------------------------------------------------------------------- */

int st_packages_read(const struct st_packages *p, const struct st_package *package,
                     struct st_error *err)
{
  ST_AUTO_FREE char *name = st_package_path(package);
  ST_AUTO_FREE char *path = st_format(ST_PACKAGES_DIR "/%s", name);
  int fd = st_open_beneath(p->store, path, O_RDONLY, 0);
  return fd < 0 ? st_fail(err, -fd, "cannot open a package file (%s)", st_quote(path)) : fd;
}

/* NULL, or why the file is not what its name says: malloc'ed words. */
static char *damage_of(const struct st_packages *p, const struct st_package *package)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  uint8_t digest[ST_DIGEST_SIZE];
  uint64_t size;
  ST_AUTO_CLOSE int fd = st_packages_read(p, package, &err);
  if (fd < 0 || digest_file(fd, -1, digest, &size, &err) < 0)
    return st_strdup(st_error_text(&err));
  if (!memcmp(digest, package->digest, sizeof digest))
    return NULL;
  ST_AUTO_FREE char *path = st_package_path(package);
  return st_format("a package file has another digest than its name says (" ST_PACKAGES_DIR "/%s)",
                   st_quote(path));
}

/* Somebody may have put an intact one in its place meanwhile: that goes back. */
static int put_aside(const struct st_packages *p, const struct st_package *package)
{
  char hex[HEX + 1];
  ST_AUTO_FREE char *path = st_package_path(package);
  ST_AUTO_CLOSE int dir = openat(p->store, ST_PACKAGES_DIR, DIR_FLAGS);
  if (dir < 0)
    return -1;
  st_hex(hex, package->digest, ST_DIGEST_SIZE);
  ST_AUTO_FREE char *aside = st_format(ASIDE_PREFIX "%s", hex);
  if (renameat(dir, path, dir, aside) < 0)
    return -1;
  return is_intact(dir, aside, package->digest) ? renameat(dir, aside, dir, path) : 0;
}

int st_packages_verify(const struct st_packages *p, bool aside,
                       void (*found)(void *arg, const char *words), void *arg, struct st_error *err)
{
  int count = 0;
  (void)err;
  for (size_t i = 0; i < p->strange.count; i++, count++) {
    ST_AUTO_FREE char *words = st_format("no package file (%s)", st_quote(p->strange.items[i]));
    found(arg, words);
  }
  for (size_t i = 0; i < p->count; i++) {
    ST_AUTO_FREE char *words = damage_of(p, &p->items[i]);
    if (!words)
      continue;
    found(arg, words);
    count++;
    if (aside && put_aside(p, &p->items[i]) < 0)
      return st_fail(err, errno, "cannot put a damaged package file aside");
  }
  return count;
}

/* ---- Removing them --------------------------------------------------------------------------- */

bool st_packages_is_older(const struct st_packages *p, const struct st_package *package,
                          int64_t older_than)
{
  ST_AUTO_FREE char *name = st_package_path(package);
  ST_AUTO_CLOSE int dir = openat(p->store, ST_PACKAGES_DIR, DIR_FLAGS);
  struct stat st;
  return dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime < older_than;
}

int st_packages_remove(const struct st_packages *p, const struct st_package *package,
                       int64_t older_than, struct st_error *err)
{
  ST_AUTO_FREE char *name = st_package_path(package);
  ST_AUTO_CLOSE int dir = openat(p->store, ST_PACKAGES_DIR, DIR_FLAGS);
  struct stat st;
  if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : st_fail(err, errno, "cannot look at (%s)", st_quote(name));
  if (st.st_mtime >= older_than)
    return 0;
  if (unlinkat(dir, name, 0) < 0)
    return st_fail(err, errno, "cannot remove (" ST_PACKAGES_DIR "/%s)", st_quote(name));
  return 1;
}

int64_t st_packages_drop_aside(const struct st_packages *p, bool remove, uint64_t *ret_bytes)
{
  int fd = openat(p->store, ST_PACKAGES_DIR, DIR_FLAGS);
  ST_AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
  int64_t count = 0;
  struct stat st;
  *ret_bytes = 0;
  for (struct dirent *e; d && (e = readdir(d));) {
    if (!is_aside(e->d_name) || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        (remove && unlinkat(fd, e->d_name, 0) < 0))
      continue;
    count++;
    *ret_bytes += (uint64_t)st.st_size;
  }
  return count;
}
