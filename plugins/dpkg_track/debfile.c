/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/debfile.h"

#include <gcrypt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "systracker/base/libarchive.h"

#define PIECE ((size_t)128 << 10)
#define MOST_SUMS ((int64_t)64 << 20)      /* bytes of md5sums */
#define MOST_ENTRIES 4000000               /* of a tree */
#define MOST_UNPACKED ((int64_t)128 << 30) /* bytes of a tree's archive */

/* A tar within the ar: libarchive asks for its bytes. */
struct member {
  struct archive *outer;
  char piece[PIECE];
};

struct reader {
  const struct deb_callbacks *callbacks;
  gcry_md_hd_t digester;
  uint64_t entries;
};

static int damaged(struct archive *a, struct st_error *err)
{
  const char *why = archive_error_string(a);
  return st_fail(err, 0, "the package file is damaged: %.200s", why ? why : "it cannot be read");
}

/* ---- Archives ---------------------------------------------------------------------------------
 */

static la_ssize_t read_piece(struct archive *inner, void *arg, const void **ret)
{
  struct member *m = arg;
  la_ssize_t n = archive_read_data(m->outer, m->piece, sizeof(m->piece));
  *ret = m->piece;
  if (n < 0)
    archive_set_error(inner, archive_errno(m->outer), "%s", archive_error_string(m->outer));
  return n < 0 ? ARCHIVE_FATAL : n;
}

/* By the member's name, as dpkg goes by it.  A compression that libarchive would run a program for
 * is refused. */
static int support(struct archive *a, const char *suffix, struct st_error *err)
{
  const struct {
    const char *suffix;
    int (*support)(struct archive *a);
  } known[] = {
      {"", archive_read_support_filter_none},      {".gz", archive_read_support_filter_gzip},
      {".xz", archive_read_support_filter_xz},     {".zst", archive_read_support_filter_zstd},
      {".bz2", archive_read_support_filter_bzip2}, {".lzma", archive_read_support_filter_lzma},
  };
  for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
    if (strcmp(suffix, known[i].suffix) == 0 && known[i].support(a) == ARCHIVE_OK)
      return 0;
  }
  return st_fail(err, 0, "the package file has a compression that is not known");
}

typedef int tar_fn(struct reader *r, struct archive *tar, struct archive_entry *entry,
                   struct st_error *err);

static int each_tar_entry(struct reader *r, struct archive *tar, tar_fn *fn, struct st_error *err)
{
  struct archive_entry *entry;
  int n;
  while ((n = archive_read_next_header(tar, &entry)) == ARCHIVE_OK || n == ARCHIVE_WARN) {
    if (++r->entries > MOST_ENTRIES || archive_entry_size(entry) > MOST_UNPACKED ||
        archive_filter_bytes(tar, 0) > MOST_UNPACKED)
      return st_fail(err, 0, "the package file is damaged: it holds too much");
    int stop = fn(r, tar, entry, err);
    if (stop != 0)
      return stop;
  }
  return n == ARCHIVE_EOF ? 0 : damaged(tar, err);
}

static int open_tar(struct archive *tar, struct member *m, const char *suffix, struct st_error *err)
{
  if (support(tar, suffix, err) < 0)
    return -1;
  if (archive_read_support_format_tar(tar) != ARCHIVE_OK ||
      archive_read_support_format_empty(tar) != ARCHIVE_OK ||
      archive_read_open(tar, m, NULL, read_piece, NULL) != ARCHIVE_OK)
    return damaged(tar, err);
  return 0;
}

static int read_tar(struct reader *r, struct archive *outer, const char *suffix, tar_fn *fn,
                    struct st_error *err)
{
  struct member *m = malloc(sizeof(*m));
  struct archive *tar = archive_read_new();
  int result = m && tar ? 0 : st_fail(err, 0, "out of memory");
  if (result == 0) {
    m->outer = outer;
    result = open_tar(tar, m, suffix, err);
  }
  if (result == 0)
    result = each_tar_entry(r, tar, fn, err);
  if (tar)
    archive_read_free(tar);
  free(m);
  return result;
}

/* ---- Control data -----------------------------------------------------------------------------
 */

static int take_md5sums(struct reader *r, struct archive *tar, struct archive_entry *entry,
                        struct st_error *err)
{
  const char *name = archive_entry_pathname(entry);
  int64_t size = archive_entry_size(entry);
  if (!name || (strcmp(name, "./md5sums") != 0 && strcmp(name, "md5sums") != 0) || size <= 0)
    return 0;
  if (size > MOST_SUMS)
    return st_fail(err, 0, "the package file is damaged: its md5sums are too large");
  char *text = malloc((size_t)size + 1);
  if (!text)
    return st_fail(err, 0, "out of memory");
  la_ssize_t n = archive_read_data(tar, text, (size_t)size);
  text[n == size ? n : 0] = 0;
  int result = n == size ? r->callbacks->md5sums(r->callbacks->arg, text, err) : damaged(tar, err);
  free(text);
  return result;
}

/* ---- The tree ---------------------------------------------------------------------------------
 */

/* "./usr/bin/" as "/usr/bin", "./" as "/.".  False: it leads elsewhere, or is too long. */
static bool normal_path(const char *name, char ret[PATH_MAX])
{
  size_t n = 0;
  while (name && *name) {
    size_t part = strcspn(name, "/");
    if (part == 2 && name[0] == '.' && name[1] == '.')
      return false;
    if (part > 0 && !(part == 1 && *name == '.')) {
      if (n + 1 + part >= PATH_MAX)
        return false;
      ret[n++] = '/';
      memcpy(ret + n, name, part);
      n += part;
    }
    name += part + (name[part] == '/');
  }
  if (n == 0) {
    ret[n++] = '/';
    ret[n++] = '.';
  }
  ret[n] = 0;
  return name != NULL;
}

static int digest_data(struct reader *r, struct archive *tar, uint8_t ret[32], uint64_t *ret_size,
                       struct st_error *err)
{
  const void *piece;
  size_t n;
  la_int64_t offset;
  int more;
  gcry_md_reset(r->digester);
  *ret_size = 0;
  while ((more = archive_read_data_block(tar, &piece, &n, &offset)) == ARCHIVE_OK) {
    if ((uint64_t)offset != *ret_size)
      return st_fail(err, 0, "the package file is damaged: it has a sparse file");
    gcry_md_write(r->digester, piece, n);
    *ret_size += n;
  }
  if (more != ARCHIVE_EOF)
    return damaged(tar, err);
  memcpy(ret, gcry_md_read(r->digester, GCRY_MD_SHA256), 32);
  return 0;
}

static char type_of(struct archive_entry *entry)
{
  switch (archive_entry_filetype(entry)) {
  case AE_IFREG:
    return 'f';
  case AE_IFDIR:
    return 'd';
  case AE_IFLNK:
    return 'l';
  case AE_IFCHR:
    return 'c';
  case AE_IFBLK:
    return 'b';
  case AE_IFIFO:
    return 'p';
  default:
    return archive_entry_hardlink(entry) ? 'f' : 0;
  }
}

static int take_entry(struct reader *r, struct archive *tar, struct archive_entry *entry,
                      struct st_error *err)
{
  char path[PATH_MAX], hardlink[PATH_MAX];
  const char *link = archive_entry_hardlink(entry);
  struct deb_entry e = {
      .path = path,
      .type = type_of(entry),
      .mode = archive_entry_perm(entry) & 07777,
      .uid = archive_entry_uid(entry),
      .gid = archive_entry_gid(entry),
      .user = archive_entry_uname(entry),
      .group = archive_entry_gname(entry),
      .mtime = archive_entry_mtime(entry),
      .target = archive_entry_symlink(entry),
      .hardlink = link ? hardlink : NULL,
  };
  if (!e.type || !normal_path(archive_entry_pathname(entry), path) ||
      (link && !normal_path(link, hardlink)) || (e.type == 'l' && !e.target))
    return st_fail(err, 0, "the package file has an entry that cannot be");
  if (e.type == 'c' || e.type == 'b')
    e.rdev = archive_entry_rdev(entry);
  if (e.type == 'f' && !link && digest_data(r, tar, e.digest, &e.size, err) < 0)
    return -1;
  return r->callbacks->entry(r->callbacks->arg, &e, err);
}

/* ---- The package ------------------------------------------------------------------------------
 */

/* What follows a name's beginning; NULL: it begins otherwise. */
static const char *behind(const char *name, const char *begins)
{
  size_t n = strlen(begins);
  return strncmp(name, begins, n) == 0 ? name + n : NULL;
}

/* Members whose names are not known come before the tree, and are passed over (deb(5)). */
static int each_member(struct reader *r, struct archive *ar, struct st_error *err)
{
  struct archive_entry *entry;
  int n;
  while ((n = archive_read_next_header(ar, &entry)) == ARCHIVE_OK || n == ARCHIVE_WARN) {
    const char *name = archive_entry_pathname(entry), *suffix;
    int result = 0;
    if (name && (suffix = behind(name, "data.tar")))
      return read_tar(r, ar, suffix, take_entry, err);
    if (name && r->callbacks->md5sums && (suffix = behind(name, "control.tar")))
      result = read_tar(r, ar, suffix, take_md5sums, err);
    if (result != 0)
      return result;
  }
  return n == ARCHIVE_EOF ? st_fail(err, 0, "the package file is damaged: it has no tree")
                          : damaged(ar, err);
}

static int open_ar(struct archive *ar, int fd, struct st_error *err)
{
  if (archive_read_support_format_ar(ar) != ARCHIVE_OK ||
      archive_read_open_fd(ar, fd, PIECE) != ARCHIVE_OK)
    return damaged(ar, err);
  return 0;
}

int debfile_read(int fd, const struct deb_callbacks *callbacks, struct st_error *err)
{
  struct reader r = {.callbacks = callbacks};
  if (st_libarchive_load(err) < 0)
    return -1;
  gcry_check_version(NULL);
  if (gcry_md_open(&r.digester, GCRY_MD_SHA256, 0) != 0)
    return st_fail(err, 0, "cannot make digests");
  struct archive *ar = archive_read_new();
  int result = ar ? open_ar(ar, fd, err) : st_fail(err, 0, "out of memory");
  if (result == 0)
    result = each_member(&r, ar, err);
  if (ar)
    archive_read_free(ar);
  gcry_md_close(r.digester);
  return result;
}
