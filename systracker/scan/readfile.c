/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/scan/readfile.h"

#include <fcntl.h>
#include <string.h>

#include "systracker/base/file.h"

#define ST_READ_TRIES 3
#define ST_READ_PIECE 262144

/* Not by the last name alone: what was listed may have become a FIFO, a symlink or another file.
 * O_NOATIME is for owners and root only (open(2)). */
static int open_file(int dirfd, const char *name)
{
  const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  int fd = openat(dirfd, name, flags | O_NOATIME);
  if (fd < 0 && errno == EPERM)
    fd = openat(dirfd, name, flags);
  return fd < 0 ? -errno : fd;
}

static bool same_state(const struct st_meta *a, const struct st_meta *b)
{
  return a->inode == b->inode && a->size == b->size && a->mtime == b->mtime &&
         a->mtime_nsec == b->mtime_nsec && a->ctime == b->ctime && a->ctime_nsec == b->ctime_nsec;
}

void st_reader_free(struct st_reader *reader)
{
  free(reader->piece);
}

static int digest_all(struct st_file_read *r, struct st_reader *reader, int fd)
{
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(r->key);
  if (!reader->piece)
    reader->piece = st_malloc(ST_READ_PIECE);
  for (;;) {
    ssize_t n = read(fd, reader->piece, ST_READ_PIECE);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -errno;
    if (n == 0)
      break;
    st_digester_add(d, reader->piece, (size_t)n);
  }
  st_digester_final(d, r->digest.digest);
  r->digest.keyed = r->key != NULL;
  return 0;
}

/* At most one byte more than it should have: then it is growing, and is read again. */
static int read_content(struct st_file_read *r, int fd)
{
  size_t most = (size_t)r->meta.size + 1;
  st_buffer_clear(&r->data);
  st_buffer_reserve(&r->data, most);
  while (r->data.length < most) {
    ssize_t n = read(fd, r->data.data + r->data.length, most - r->data.length);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -errno;
    if (n == 0)
      break;
    r->data.length += (size_t)n;
  }
  st_id_of(&r->digest, r->key, r->data.data, r->data.length);
  return 0;
}

/* 0 read, 1 it changed meanwhile, or -errno. */
static int read_once(struct st_file_read *r, struct st_reader *reader, int fd)
{
  struct st_meta behind;
  if (lseek(fd, 0, SEEK_SET) < 0)
    return -errno;
  int e = r->content ? read_content(r, fd) : digest_all(r, reader, fd);
  if (e < 0)
    return e;
  e = st_meta_read(fd, "", &behind);
  if (e < 0)
    return e;
  bool same = same_state(&r->meta, &behind) && (!r->content || r->data.length == behind.size);
  r->meta = behind;
  return same ? 0 : 1;
}

static enum st_read_result unreadable(struct st_file_read *r, int code)
{
  char text[64];
  snprintf(r->why, sizeof(r->why), "cannot be read: %s", strerror_r(code, text, sizeof(text)));
  return ST_READ_UNREADABLE;
}

enum st_read_result st_file_read(struct st_file_read *r, struct st_reader *reader, int dirfd,
                                 const char *name)
{
  ST_AUTO_CLOSE int fd = open_file(dirfd, name);
  if (fd == -ENOENT || fd == -ELOOP || fd == -ENXIO)
    return ST_READ_VANISHED;
  if (fd < 0)
    return unreadable(r, -fd);
  struct st_meta now;
  int e = st_meta_read(fd, "", &now);
  if (e < 0)
    return unreadable(r, -e);
  if (now.type != 'f')
    return ST_READ_VANISHED;
  r->meta = now;
  for (int i = 0; i < ST_READ_TRIES; i++) {
    e = read_once(r, reader, fd);
    if (e == 0) {
      if (r->metadata)
        st_metadata_read(r->metadata, fd, dirfd, name, &r->meta, &r->xattrs);
      return ST_READ_DONE;
    }
    if (e < 0)
      return unreadable(r, -e);
  }
  snprintf(r->why, sizeof(r->why), "kept changing while it was read");
  return ST_READ_UNREADABLE;
}
