/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "systracker/base/escape.h"

#define BENEATH (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define IN_ROOT (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

/* openat2(2) with its flags checked; again where the kernel asks for it, within reason: EAGAIN
 * means that something was renamed or mounted meanwhile. */
static int open_how(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
  struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC, .resolve = resolve};
  if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE)
    how.mode = mode;
  if (!(flags & O_PATH))
    how.flags |= O_LARGEFILE;
  for (int tries = 0;; tries++) {
    long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof how);
    if (fd >= 0)
      return (int)fd;
    if ((errno != EAGAIN && errno != EINTR) || tries == 100)
      return -errno;
  }
}

int st_check_kernel(struct st_error *err)
{
  ST_AUTO_CLOSE int fd = open_how(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0, RESOLVE_NO_MAGICLINKS);
  if (fd == -ENOSYS)
    return st_fail(err, 0, "the kernel has no openat2(2): Linux 5.6 or later is needed");
  return fd < 0 ? st_fail(err, -fd, "cannot open (/)") : 0;
}

/* The first part of `path`, shorter than PATH_MAX, opened; `path` then points behind it. */
static int open_piece(int dirfd, const char **path)
{
  size_t cut = PATH_MAX - 1;
  while (cut && (*path)[cut] != '/')
    cut--;
  if (!cut)
    return -ENAMETOOLONG;
  ST_AUTO_FREE char *piece = st_memdup(*path, cut);
  *path += cut + strspn(*path + cut, "/");
  return open_how(dirfd, piece, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, BENEATH);
}

static int open_below(int root, const char *path, int flags, mode_t mode, uint64_t resolve)
{
  ST_AUTO_CLOSE int piece = -1;
  path += strspn(path, "/");
  while (strlen(path) >= PATH_MAX) {
    int fd = open_piece(piece < 0 ? root : piece, &path);
    if (fd < 0)
      return fd;
    if (piece >= 0)
      close(piece);
    piece = fd;
    resolve = BENEATH;
  }
  return open_how(piece < 0 ? root : piece, *path ? path : ".", flags, mode, resolve);
}

int st_open_beneath(int root, const char *path, int flags, mode_t mode)
{
  return open_below(root, path, flags | O_NOFOLLOW, mode, BENEATH);
}

int st_open_in(int root, const char *path, int flags, mode_t mode)
{
  return open_below(root, path, flags, mode, IN_ROOT);
}

int st_open_parent(int root, const char *path, const char **ret_name)
{
  const char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  bool is_root = !path[strspn(path, "/")];
  if (!is_root && (!*name || !strcmp(name, ".") || !strcmp(name, "..")))
    return -EINVAL;
  *ret_name = name;
  ST_AUTO_FREE char *parent = st_memdup(path, (size_t)(name - path));
  return st_open_beneath(root, parent, O_PATH | O_DIRECTORY, 0);
}

/* How much to read next: what there is room for already, what fstat said at first, then ever more;
 * at most one byte more than allowed. */
static size_t next_room(int fd, size_t have, size_t left, const struct st_buffer *out)
{
  struct stat st;
  size_t room = have < 65536 ? 65536 : have;
  if (have && out->size - out->length > 1)
    room = out->size - out->length - 1;
  else if (!have && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0)
    room = (uint64_t)st.st_size < (1u << 30) ? (size_t)st.st_size + 1 : 1u << 30;
  if (room > left)
    room = left < SSIZE_MAX ? left + 1 : SSIZE_MAX;
  return room;
}

int st_read_all(int fd, size_t max, struct st_buffer *out, struct st_error *err)
{
  size_t have = 0;
  for (;;) {
    size_t room = next_room(fd, have, max - have, out);
    st_buffer_reserve(out, room);
    ssize_t n = read(fd, out->data + out->length, room);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return st_fail(err, errno, "cannot read");
    if (!n)
      return 0;
    if ((size_t)n > max - have)
      return st_fail(err, EFBIG, "cannot read more than %zu bytes", max);
    have += (size_t)n;
    out->length += (size_t)n;
    out->data[out->length] = 0;
  }
}

int st_write_all(int fd, const void *data, size_t length, struct st_error *err)
{
  const char *s = data;
  while (length) {
    ssize_t n = write(fd, s, length < SSIZE_MAX ? length : SSIZE_MAX);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return st_fail(err, errno, "cannot write");
    s += n;
    length -= (size_t)n;
  }
  return 0;
}

int st_pread_all(int fd, void *data, size_t length, off_t offset, struct st_error *err)
{
  char *s = data;
  while (length) {
    ssize_t n = pread(fd, s, length < SSIZE_MAX ? length : SSIZE_MAX, offset);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return st_fail(err, errno, "cannot read");
    if (!n)
      return st_fail(err, 0, "cannot read: the file ends %zu bytes early", length);
    s += n;
    offset += n;
    length -= (size_t)n;
  }
  return 0;
}

void st_remove_folder(int dirfd, const char *name, unsigned depth)
{
  int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  ST_AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
  if (fd >= 0 && !d)
    close(fd);
  for (struct dirent *e; d && (e = readdir(d));) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
      continue;
    if (unlinkat(fd, e->d_name, 0) < 0 && depth > 0)
      st_remove_folder(fd, e->d_name, depth - 1);
  }
  unlinkat(dirfd, name, AT_REMOVEDIR);
}

int st_read_file(int dirfd, const char *name, size_t max, struct st_buffer *out,
                 struct st_error *err)
{
  struct stat st;
  /* Not blocking, so that a FIFO in the file's place cannot hold us. */
  ST_AUTO_CLOSE int fd =
      openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 || fstat(fd, &st) < 0) {
    int code = errno;
    st_fail(err, code, "cannot open (%s)", st_quote(name));
    return code == ENOENT ? -ENOENT : -1;
  }
  if (!S_ISREG(st.st_mode))
    return st_fail(err, 0, "cannot read: not a regular file (%s)", st_quote(name));
  if (st_read_all(fd, max, out, err) < 0)
    return st_wrap(err, "%s", st_quote(name));
  return 0;
}

/* A file being written beside the one that it will be; removed unless it was handed on. */
struct beside {
  int dir;          /* of both; readable, so that it can be synced */
  const char *name; /* of the final file in `dir` */
  char *temporary;  /* likewise; NULL: nothing to remove */
};

static void beside_end(struct beside *b)
{
  if (b->temporary && b->dir >= 0)
    unlinkat(b->dir, b->temporary, 0);
  free(b->temporary);
  if (b->dir >= 0)
    close(b->dir);
}

static int beside_open(struct beside *b, int dirfd, const char *path, struct st_error *err)
{
  const char *slash = strrchr(path, '/');
  ST_AUTO_FREE char *parent = slash ? st_memdup(path, (size_t)(slash - path) + 1) : st_strdup(".");
  b->name = slash ? slash + 1 : path;
  b->dir = openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (b->dir < 0)
    return st_fail(err, errno, "cannot open the directory (%s)", st_quote(parent));
  return 0;
}

/* The content, synced, under the temporary name. */
static int beside_fill(struct beside *b, mode_t mode, const void *data, size_t length,
                       struct st_error *err)
{
  uint64_t random;
  if (getrandom(&random, sizeof random, 0) != sizeof random)
    return st_fail(err, errno, "cannot get random bytes");
  char *temporary = st_format("%s.%016" PRIx64 ".new", b->name, random);
  ST_AUTO_CLOSE int fd =
      openat(b->dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) {
    st_fail(err, errno, "cannot create (%s)", st_quote(temporary));
    free(temporary);
    return -1;
  }
  b->temporary = temporary;
  if (st_write_all(fd, data, length, err) < 0)
    return st_wrap(err, "%s", st_quote(temporary));
  if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
    return st_fail(err, errno, "cannot write (%s)", st_quote(temporary));
  return 0;
}

static int sync_dir(int dir, const char *name, struct st_error *err)
{
  if (fsync(dir) < 0)
    return st_fail(err, errno, "cannot sync the directory of (%s)", st_quote(name));
  return 0;
}

int st_write_file(int dirfd, const char *name, mode_t mode, const void *data, size_t length,
                  struct st_error *err)
{
  ST_CLEANUP(beside_end) struct beside b = {.dir = -1};
  if (beside_open(&b, dirfd, name, err) < 0 || beside_fill(&b, mode, data, length, err) < 0)
    return -1;
  if (renameat(b.dir, b.temporary, b.dir, b.name) < 0)
    return st_fail(err, errno, "cannot replace (%s)", st_quote(name));
  free(st_steal(&b.temporary));
  return sync_dir(b.dir, name, err);
}

int st_create_file(int dirfd, const char *name, mode_t mode, const void *data, size_t length,
                   struct st_error *err)
{
  ST_CLEANUP(beside_end) struct beside b = {.dir = -1};
  if (beside_open(&b, dirfd, name, err) < 0 || beside_fill(&b, mode, data, length, err) < 0)
    return -1;
  if (linkat(b.dir, b.temporary, b.dir, b.name, 0) < 0) {
    int code = errno;
    st_fail(err, code, "cannot create (%s)", st_quote(name));
    return code == EEXIST ? -EEXIST : -1;
  }
  return sync_dir(b.dir, name, err);
}

/* One directory of st_make_dirs: made with exactly this mode unless it is there.  Returns it. */
static int make_dir(int parent, const char *name, mode_t mode, struct st_error *err)
{
  bool made = !mkdirat(parent, name, 0700);
  if (!made && errno != EEXIST)
    return st_fail(err, errno, "cannot make the directory (%s)", st_quote(name));
  int flags = made ? O_RDONLY : O_PATH;
  ST_AUTO_CLOSE int fd = openat(parent, name, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return st_fail(err, errno, "cannot open the directory (%s)", st_quote(name));
  if (made && fchmod(fd, mode) < 0)
    return st_fail(err, errno, "cannot set the directory's mode (%s)", st_quote(name));
  if (made) {
    ST_AUTO_CLOSE int up = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (up < 0 || fsync(up) < 0)
      return st_fail(err, errno, "cannot sync the directory of (%s)", st_quote(name));
  }
  return st_steal_fd(&fd);
}

int st_make_dirs(int dirfd, const char *path, mode_t mode, struct st_error *err)
{
  bool from_root = dirfd == AT_FDCWD && *path == '/';
  ST_AUTO_CLOSE int at = openat(dirfd, from_root ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (at < 0)
    return st_fail(err, errno, "cannot open the directory to make (%s) in", st_quote(path));
  ST_AUTO_FREE char *copy = st_strdup(path);
  char *rest = NULL;
  for (char *name = strtok_r(copy, "/", &rest); name; name = strtok_r(NULL, "/", &rest)) {
    if (!strcmp(name, ".."))
      return st_fail(err, 0, "cannot make a directory with .. in its path (%s)", st_quote(path));
    int next = make_dir(at, name, mode, err);
    if (next < 0)
      return st_wrap(err, "%s", st_quote(path));
    close(at);
    at = next;
  }
  return 0;
}

int st_free_space(int fd, uint64_t *ret, struct st_error *err)
{
  struct statvfs s;
  if (fstatvfs(fd, &s) < 0)
    return st_fail(err, errno, "cannot tell the free space");
  if (__builtin_mul_overflow((uint64_t)s.f_bavail, (uint64_t)s.f_frsize, ret))
    *ret = UINT64_MAX;
  return 0;
}

int st_normal_path(const char *path, char **ret, struct st_error *err)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  if (*path != '/')
    return st_fail(err, 0, "not an absolute path (%s)", st_quote(path));
  for (const char *s = path + strspn(path, "/"); *s; s += strspn(s, "/")) {
    size_t n = strcspn(s, "/");
    if (n == 2 && !memcmp(s, "..", 2))
      return st_fail(err, 0, "a path must not hold .. (%s)", st_quote(path));
    if (n != 1 || *s != '.') {
      st_buffer_append_byte(&out, '/');
      st_buffer_append(&out, s, n);
    }
    s += n;
  }
  if (!out.length)
    st_buffer_append_byte(&out, '/');
  *ret = st_buffer_steal(&out, NULL);
  return 0;
}

bool st_path_below(const char *path, const char *top)
{
  size_t n = strlen(top);
  while (n && top[n - 1] == '/')
    n--;
  return !strncmp(path, top, n) && (path[n] == '/' || !path[n]);
}
