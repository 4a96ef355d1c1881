/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rebuilddeb.c - a .deb from dpkg's database and the installed files (deb(5)). */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/libarchive.h"
#include "systracker/base/set.h"
#include "systracker/tracker/rebuild.h"

#define INFO "/var/lib/dpkg/info/"
#define DATABASE_MAX ((size_t)256 << 20)
#define BLOCK ((size_t)1 << 18)

struct deb {
  struct st_tracker *t;
  const struct st_installed *package;
  struct st_strings paths;  /* of its list */
  struct st_set *diverted;  /* a path of it -> the place of its other name in `others`, and 1 */
  struct st_strings others; /* where dpkg has put it */
  struct st_set *inodes;    /* of hard links -> the place of the first path, and 1 */
  struct archive *out;
  size_t missing;
};

static void deb_clear(struct deb *d)
{
  st_strings_free(&d->paths);
  st_strings_free(&d->others);
  st_set_free(d->diverted);
  st_set_free(d->inodes);
  if (d->out)
    archive_write_free(d->out);
}

/* ---- dpkg's database ---------------------------------------------------------------------------
 */

/* -ENOENT: it is not there. */
static int read_text(const struct deb *d, const char *path, struct st_buffer *out,
                     struct st_error *err)
{
  ST_AUTO_CLOSE int fd = st_open_in(d->t->root, path, O_RDONLY | O_NONBLOCK, 0);
  if (fd == -ENOENT)
    return -ENOENT;
  if (fd < 0)
    return st_fail(err, -fd, "cannot open (%s)", st_quote(path));
  if (st_read_all(fd, DATABASE_MAX, out, err) < 0)
    return st_wrap(err, "%s", st_quote(path));
  st_buffer_append(out, "", 1);
  out->length--;
  return 0;
}

/* A file of the package's own; several architectures have theirs by name. */
static int read_info(const struct deb *d, const char *what, struct st_buffer *out,
                     struct st_error *err)
{
  ST_AUTO_FREE char *one =
      st_format(INFO "%s:%s.%s", d->package->name, d->package->architecture, what);
  ST_AUTO_FREE char *any = st_format(INFO "%s.%s", d->package->name, what);
  int r = read_text(d, one, out, err);
  return r == -ENOENT ? read_text(d, any, out, err) : r;
}

static bool has_line(const char *stanza, const char *field, const char *value)
{
  ST_AUTO_FREE char *line = st_format("\n%s: %s\n", field, value);
  ST_AUTO_FREE char *text = st_format("\n%s\n", stanza);
  return strstr(text, line) != NULL;
}

static bool is_ours(const struct deb *d, const char *stanza)
{
  return has_line(stanza, "Package", d->package->name) &&
         has_line(stanza, "Version", d->package->version) &&
         has_line(stanza, "Architecture", d->package->architecture);
}

/* What dpkg itself put into the stanza is none of the package's. */
static void copy_fields(char *stanza, struct st_buffer *out)
{
  static const char *const of_dpkg[] = {
      "Status:", "Conffiles:", "Config-Version:", "Triggers-Pending:", "Triggers-Awaited:"};
  bool skip = false;
  for (char *line; (line = strsep(&stanza, "\n"));) {
    if (*line == ' ' || *line == '\t') {
      if (skip)
        continue;
    } else {
      skip = false;
      for (size_t i = 0; i < ST_COUNT(of_dpkg); i++)
        skip = skip || strncmp(line, of_dpkg[i], strlen(of_dpkg[i])) == 0;
    }
    if (!skip && *line)
      st_buffer_printf(out, "%s\n", line);
  }
}

static int read_control(const struct deb *d, struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_BUFFER status = ST_BUFFER_INIT;
  int r = read_text(d, "/var/lib/dpkg/status", &status, err);
  if (r < 0)
    return r == -ENOENT ? st_fail(err, 0, "there is no dpkg database") : r;
  for (char *at = status.data; at && *at;) {
    char *next = strstr(at, "\n\n");
    if (next)
      *next = 0;
    if (is_ours(d, at)) {
      copy_fields(at, out);
      st_buffer_append_string(
          out, "Systracker-Repacked: from the installed files, which may have been changed\n");
      return 0;
    }
    at = next ? next + 2 : NULL;
  }
  return st_fail(err, 0, "dpkg does not know it");
}

/* Three lines each: the path, its other name, the package that it is not moved away for. */
static int read_diversions(struct deb *d, struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  int r = read_text(d, "/var/lib/dpkg/diversions", &text, err);
  char *rest = text.data;
  while (r == 0 && rest && *rest) {
    const char *from = strsep(&rest, "\n");
    const char *to = rest ? strsep(&rest, "\n") : NULL;
    const char *owner = rest ? strsep(&rest, "\n") : NULL;
    if (!owner || strcmp(owner, d->package->name) == 0)
      continue;
    st_strings_add(&d->others, to);
    st_set_add(d->diverted, from, strlen(from), d->others.count);
  }
  return r == -ENOENT ? 0 : r;
}

static int read_list(struct deb *d, struct st_error *err)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  int r = read_info(d, "list", &text, err);
  if (r < 0)
    return r == -ENOENT ? st_fail(err, 0, "dpkg has no list of its files") : r;
  for (char *rest = text.data; rest && *rest;) {
    const char *line = strsep(&rest, "\n");
    if (*line == '/')
      st_strings_add(&d->paths, line);
  }
  return 0;
}

/* ---- A tar archive -----------------------------------------------------------------------------
 */

static int archive_fail(struct archive *a, struct st_error *err)
{
  const char *why = archive_error_string(a);
  return st_fail(err, archive_errno(a) == ENOSPC ? ENOSPC : 0, "cannot write the package: %s",
                 why ? why : "unknown error");
}

static int begin_tar(struct deb *d, int fd, bool xz, struct st_error *err)
{
  if (st_libarchive_load(err) < 0)
    return -1;
  d->out = archive_write_new();
  int r = xz ? archive_write_add_filter_xz(d->out) : archive_write_add_filter_gzip(d->out);
  if (r == ARCHIVE_OK && xz)
    archive_write_set_filter_option(d->out, "xz", "compression-level", "3");
  if (r != ARCHIVE_OK || archive_write_set_format_gnutar(d->out) != ARCHIVE_OK ||
      archive_write_set_bytes_in_last_block(d->out, 1) != ARCHIVE_OK ||
      archive_write_open_fd(d->out, fd) != ARCHIVE_OK)
    return archive_fail(d->out, err);
  return 0;
}

static int end_tar(struct deb *d, struct st_error *err)
{
  int r = archive_write_close(d->out) == ARCHIVE_OK ? 0 : archive_fail(d->out, err);
  archive_write_free(d->out);
  d->out = NULL;
  return r;
}

static inline void entry_freep(struct archive_entry **e)
{
  archive_entry_free(*e);
}

static int put_text(struct deb *d, const char *name, mode_t mode, const struct st_buffer *text,
                    struct st_error *err)
{
  ST_CLEANUP(entry_freep) struct archive_entry *e = archive_entry_new();
  archive_entry_set_pathname(e, name);
  archive_entry_set_filetype(e, AE_IFREG);
  archive_entry_set_perm(e, mode);
  archive_entry_set_size(e, (la_int64_t)text->length);
  archive_entry_set_mtime(e, time(NULL), 0);
  if (archive_write_header(d->out, e) != ARCHIVE_OK ||
      archive_write_data(d->out, text->data, text->length) != (la_ssize_t)text->length)
    return archive_fail(d->out, err);
  return 0;
}

static int put_control(struct deb *d, struct st_error *err)
{
  static const struct {
    const char *name;
    mode_t mode;
  } parts[] = {{"preinst", 0755}, {"postinst", 0755},  {"prerm", 0755},     {"postrm", 0755},
               {"config", 0755},  {"templates", 0644}, {"conffiles", 0644}, {"triggers", 0644},
               {"shlibs", 0644},  {"symbols", 0644},   {"md5sums", 0644}};
  ST_AUTO_BUFFER control = ST_BUFFER_INIT;
  if (read_control(d, &control, err) < 0 || put_text(d, "./control", 0644, &control, err) < 0)
    return -1;
  for (size_t i = 0; i < ST_COUNT(parts); i++) {
    ST_AUTO_BUFFER text = ST_BUFFER_INIT;
    ST_AUTO_FREE char *name = st_format("./%s", parts[i].name);
    int r = read_info(d, parts[i].name, &text, err);
    if (r == 0)
      r = put_text(d, name, parts[i].mode, &text, err);
    if (r < 0 && r != -ENOENT)
      return r;
  }
  return 0;
}

/* ---- The files --------------------------------------------------------------------------------
 */

static int put_content(struct deb *d, int fd, uint64_t size, const char *path, struct st_error *err)
{
  ST_AUTO_FREE char *block = st_malloc(BLOCK);
  while (size > 0) {
    ssize_t n = read(fd, block, size < BLOCK ? size : BLOCK);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return st_fail(err, n < 0 ? errno : 0, "cannot read it whole (%s)", st_quote(path));
    if (archive_write_data(d->out, block, (size_t)n) != n)
      return archive_fail(d->out, err);
    size -= (uint64_t)n;
  }
  return 0;
}

/* The first path of the same inode, or NULL. */
static const char *linked_to(struct deb *d, const struct stat *st, size_t index)
{
  uint64_t key[2] = {st->st_dev, st->st_ino}, first;
  if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
    return NULL;
  if (st_set_get(d->inodes, key, sizeof(key), &first))
    return d->paths.items[first - 1];
  st_set_add(d->inodes, key, sizeof(key), index + 1);
  return NULL;
}

static void describe(struct archive_entry *e, const char *path, const struct stat *st,
                     const struct st_accounts *accounts)
{
  ST_AUTO_FREE char *name = st_format(".%s", strcmp(path, "/.") == 0 ? "/" : path);
  const char *owner = st_account_user(accounts, st->st_uid);
  const char *group = st_account_group(accounts, st->st_gid);
  archive_entry_copy_stat(e, st);
  archive_entry_set_pathname(e, name);
  archive_entry_set_atime(e, 0, 0);
  archive_entry_unset_atime(e);
  archive_entry_unset_ctime(e);
  if (owner)
    archive_entry_set_uname(e, owner);
  if (group)
    archive_entry_set_gname(e, group);
}

static int put_link(struct archive_entry *e, int dir, const char *name, struct st_error *err)
{
  char target[PATH_MAX];
  ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);
  if (n < 0)
    return st_fail(err, errno, "cannot read the link (%s)", st_quote(name));
  target[n] = 0;
  archive_entry_set_symlink(e, target);
  return 0;
}

/* What the package has as a folder may be a symlink to one here (/bin): it stays a folder. */
static void see_folder(const struct deb *d, size_t index, const char *real, struct stat *st)
{
  const char *path = d->paths.items[index];
  size_t n = strlen(path);
  bool folder = false;
  for (size_t i = index + 1; S_ISLNK(st->st_mode) && !folder && i < d->paths.count; i++)
    folder = strncmp(d->paths.items[i], path, n) == 0 && d->paths.items[i][n] == '/';
  ST_AUTO_CLOSE int fd = folder ? st_open_in(d->t->root, real, O_PATH | O_DIRECTORY, 0) : -1;
  if (fd >= 0)
    fstat(fd, st);
}

/* One path, whose directories are followed as dpkg does (/bin is a link, perhaps). */
static int put_path(struct deb *d, size_t index, struct st_error *err)
{
  const char *path = d->paths.items[index], *real = path;
  uint64_t other;
  struct stat st;
  if (st_set_get(d->diverted, path, strlen(path), &other))
    real = d->others.items[other - 1];
  const char *slash = strrchr(real, '/');
  ST_AUTO_FREE char *folder = st_format("%.*s", (int)(slash - real) + 1, real);
  ST_AUTO_CLOSE int dir = st_open_in(d->t->root, folder, O_PATH | O_DIRECTORY, 0);
  const char *name = slash[1] ? slash + 1 : ".";
  if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISSOCK(st.st_mode)) {
    d->missing++;
    return 0;
  }
  see_folder(d, index, real, &st);
  ST_CLEANUP(entry_freep) struct archive_entry *e = archive_entry_new();
  ST_AUTO_CLOSE int fd =
      S_ISREG(st.st_mode) ? openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
  if (S_ISREG(st.st_mode) && (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))
    return st_fail(err, errno, "cannot open it (%s)", st_quote(real));
  describe(e, path, &st, d->t->accounts);
  const char *first = linked_to(d, &st, index);
  if (first) {
    ST_AUTO_FREE char *target = st_format(".%s", first);
    archive_entry_set_hardlink(e, target);
    archive_entry_unset_size(e);
  } else if (S_ISLNK(st.st_mode) && put_link(e, dir, name, err) < 0) {
    return -1;
  }
  if (archive_write_header(d->out, e) != ARCHIVE_OK)
    return archive_fail(d->out, err);
  return first || fd < 0 ? 0 : put_content(d, fd, (uint64_t)st.st_size, real, err);
}

/* ---- The package ------------------------------------------------------------------------------
 */

static int new_file(const struct deb *d, struct st_error *err)
{
  int fd = openat(d->t->store_dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  return fd < 0 ? st_fail(err, errno, "cannot make a file in the store") : fd;
}

static int make_part(struct deb *d, bool control, struct st_error *err)
{
  ST_AUTO_CLOSE int fd = new_file(d, err);
  if (fd < 0 || begin_tar(d, fd, !control, err) < 0)
    return -1;
  if (control && put_control(d, err) < 0)
    return -1;
  for (size_t i = 0; !control && i < d->paths.count; i++)
    if (put_path(d, i, err) < 0)
      return -1;
  return end_tar(d, err) < 0 ? -1 : st_steal_fd(&fd);
}

/* A member of the ar archive around it. */
static int put_member(int out, const char *name, int fd, const void *data, size_t length,
                      struct st_error *err)
{
  struct stat st = {.st_size = (off_t)length};
  ST_AUTO_FREE char *block = st_malloc(BLOCK);
  if (fd >= 0 && fstat(fd, &st) < 0)
    return st_fail(err, errno, "cannot look at a part of the package");
  ST_AUTO_FREE char *header =
      st_format("%-16s%-12lld%-6d%-6d%-8o%-10lld`\n", name, (long long)time(NULL), 0, 0, 0100644U,
                (long long)st.st_size);
  if (st_write_all(out, header, strlen(header), err) < 0 ||
      (data && st_write_all(out, data, length, err) < 0))
    return -1;
  for (off_t at = 0; fd >= 0 && at < st.st_size;) {
    size_t n = st.st_size - at < (off_t)BLOCK ? (size_t)(st.st_size - at) : BLOCK;
    if (st_pread_all(fd, block, n, at, err) < 0 || st_write_all(out, block, n, err) < 0)
      return -1;
    at += (off_t)n;
  }
  return st.st_size % 2 ? st_write_all(out, "\n", 1, err) : 0;
}

static int make(struct deb *d, struct st_error *err)
{
  if (read_list(d, err) < 0 || read_diversions(d, err) < 0)
    return -1;
  ST_AUTO_CLOSE int control = make_part(d, true, err);
  ST_AUTO_CLOSE int data = control < 0 ? -1 : make_part(d, false, err);
  ST_AUTO_CLOSE int out = data < 0 ? -1 : new_file(d, err);
  if (out < 0 || st_write_all(out, "!<arch>\n", 8, err) < 0 ||
      put_member(out, "debian-binary", -1, "2.0\n", 4, err) < 0 ||
      put_member(out, "control.tar.gz", control, NULL, 0, err) < 0 ||
      put_member(out, "data.tar.xz", data, NULL, 0, err) < 0)
    return -1;
  return st_steal_fd(&out);
}

int st_rebuild_deb(struct st_tracker *t, const struct st_installed *package, struct st_rebuilt *ret,
                   struct st_error *err)
{
  ST_CLEANUP(deb_clear)
  struct deb d = {.t = t, .package = package, .diverted = st_set_new(), .inodes = st_set_new()};
  ret->fd = make(&d, err);
  ret->missing = d.missing;
  return ret->fd < 0 ? -1 : 0;
}
