/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/scan/readfile.h"

#include <fcntl.h>
#include <string.h>

#include "systracker/base/file.h"

#define ST_READ_TRIES 4
#define ST_READ_PIECE 262144

/* Not by the last name alone: what was listed may have become a FIFO, a symlink or another file.
 * O_NOATIME is for owners and root only (open(2)). */
int st_file_open(int dirfd, const char *name)
{
  const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  int fd = openat(dirfd, name, flags | O_NOATIME);
  if (fd < 0 && errno == EPERM)
    fd = openat(dirfd, name, flags);
  return fd < 0 ? -errno : fd;
}

bool st_file_is_same(const struct st_meta *a, const struct st_meta *b)
{
  return a->inode == b->inode && a->size == b->size && a->mtime == b->mtime &&
         a->mtime_nsec == b->mtime_nsec && a->ctime == b->ctime && a->ctime_nsec == b->ctime_nsec;
}

void st_reader_free(struct st_reader *reader)
{
  free(reader->piece);
  st_buffer_free(&reader->content);
  st_digester_free(reader->digester);
  st_hashes_free(reader->hashes);
  free(reader->held);
}

/* Bytes, fewer at the end alone, or -errno. */
static ssize_t read_up_to(int fd, char *data, size_t most)
{
  size_t length = 0;
  while (length < most) {
    ssize_t n = read(fd, data + length, most - length);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -errno;
    length += (size_t)n;
    if (n == 0 || length < most) /* a regular file gives less at its end only */
      break;
  }
  return (ssize_t)length;
}

static struct st_digester *digester_of(const struct st_file_read *r, struct st_reader *reader)
{
  if (r->key)
    return st_digester_new(r->key);
  if (!reader->digester)
    reader->digester = st_digester_new(NULL);
  return reader->digester;
}

/* What is longer than one piece. */
static int digest_pieces(struct st_file_read *r, struct st_reader *reader, int fd, ssize_t n)
{
  struct st_digester *d = digester_of(r, reader);
  while (n > 0) {
    st_digester_add(d, reader->piece, (size_t)n);
    n = n < ST_READ_PIECE ? 0 : read_up_to(fd, reader->piece, ST_READ_PIECE);
  }
  st_digester_final(d, r->digest.digest);
  r->digest.keyed = r->key != NULL;
  if (d != reader->digester)
    st_digester_free(d);
  return n < 0 ? (int)n : 0;
}

static int digest_all(struct st_file_read *r, struct st_reader *reader, int fd)
{
  if (!reader->piece)
    reader->piece = st_malloc(ST_READ_PIECE);
  ssize_t n = read_up_to(fd, reader->piece, ST_READ_PIECE);
  if (n == ST_READ_PIECE)
    return digest_pieces(r, reader, fd, n);
  if (n >= 0)
    st_id_of(&r->digest, r->key, reader->piece, (size_t)n);
  return n < 0 ? (int)n : 0;
}

/* At most one byte more than it should have: then it is growing, and is read again. */
static int read_content(struct st_file_read *r, struct st_reader *reader, int fd)
{
  struct st_buffer *b = &reader->content;
  size_t most = (size_t)r->meta.size + 1;
  if (b->size > 4 * ST_READ_LARGE && most < b->size / 4)
    st_buffer_free(b);
  st_buffer_clear(b);
  st_buffer_reserve(b, most);
  ssize_t n = read_up_to(fd, b->data, most);
  if (n < 0)
    return (int)n;
  b->length = (size_t)n;
  st_id_of(&r->digest, r->key, b->data, b->length);
  r->needless = r->needed && !r->needed(r->arg, r);
  if (!r->needless)
    r->data = *b;
  return 0;
}

/* Who takes it does so as it is read: where it may be of no use, it is read for its digest first.
 */
static int read_large(struct st_file_read *r, struct st_reader *reader, int fd)
{
  if (r->needed) {
    int e = digest_all(r, reader, fd);
    r->needless = e == 0 && !r->needed(r->arg, r);
    if (e < 0 || r->needless)
      return e;
    if (lseek(fd, 0, SEEK_SET) < 0)
      return -errno;
  }
  int e = r->large(r->arg, fd, r);
  return e == 1 ? digest_all(r, reader, fd) : e;
}

/* ---- Files that are hashed at once ----------------------------------------------------------- */

/* Alone until that pays. */
bool st_reader_is_full(const struct st_reader *reader)
{
  size_t most = reader->hashes && st_hashes_lanes(reader->hashes) > 1 ? ST_READ_MOST_HELD : 1;
  return reader->count >= most || reader->used + ST_READ_SMALL >= ST_READ_MOST_BYTES;
}

/* One that is not so long as it should be, and has not changed, is no file of the usual kind: it is
 * read as a stream. */
static int read_whole(struct st_file_read *r, struct st_reader *reader, int fd)
{
  if (!reader->held)
    reader->held = st_malloc(ST_READ_MOST_BYTES);
  if (!reader->hashes)
    reader->hashes = st_hashes_new();
  size_t length = (size_t)r->meta.size;
  ssize_t n = read_up_to(fd, reader->held + reader->used, length + 1);
  r->held = n == (ssize_t)length;
  if (n < 0 || r->held)
    return n < 0 ? (int)n : 0;
  if (lseek(fd, 0, SEEK_SET) < 0 && errno != ESPIPE) /* a FIFO by now is found out behind */
    return -errno;
  return 0;
}

static void hold(struct st_file_read *r, struct st_reader *reader)
{
  r->digest.keyed = false;
  reader->reads[reader->count] = r;
  reader->contents[reader->count++] = (struct st_hash){
      .data = reader->held + reader->used,
      .length = (size_t)r->meta.size,
      .digest = r->digest.digest,
  };
  reader->used += ((size_t)r->meta.size + 64) & ~(size_t)63;
}

static void let_go(struct st_file_read *r, const struct st_hash *content)
{
  if (!r->content)
    return;
  r->needless = r->needed && !r->needed(r->arg, r);
  if (!r->needless)
    r->data = (struct st_buffer){.data = (char *)content->data, .length = content->length};
}

void st_reader_hash(struct st_reader *reader, void (*fn)(void *arg, struct st_file_read *read),
                    void *arg)
{
  if (reader->count > 0)
    st_hashes_compute(reader->hashes, reader->contents, reader->count);
  for (size_t i = 0; i < reader->count; i++) {
    let_go(reader->reads[i], &reader->contents[i]);
    fn(arg, reader->reads[i]);
  }
  reader->count = reader->used = 0;
}

/* ---- One file -------------------------------------------------------------------------------- */

static int read_somehow(struct st_file_read *r, struct st_reader *reader, int fd)
{
  r->data = ST_BUFFER_INIT;
  r->needless = r->held = false;
  if (!r->key && r->meta.size <= ST_READ_SMALL && !st_reader_is_full(reader)) {
    int e = read_whole(r, reader, fd);
    if (e < 0 || r->held)
      return e;
  }
  if (!r->content)
    return digest_all(r, reader, fd);
  if (r->meta.size < ST_READ_LARGE || !r->large)
    return read_content(r, reader, fd);
  return read_large(r, reader, fd);
}

/* 0 read, 1 it changed meanwhile, or -errno. */
static int read_once(struct st_file_read *r, struct st_reader *reader, int fd)
{
  struct st_meta behind;
  int e = read_somehow(r, reader, fd);
  if (e < 0)
    return e;
  e = st_meta_read(fd, "", &behind);
  if (e < 0)
    return e;
  bool same =
      st_file_is_same(&r->meta, &behind) && (!r->data.data || r->data.length == behind.size);
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
  ST_AUTO_CLOSE int fd = st_file_open(dirfd, name);
  if (fd == -ENOENT || fd == -ELOOP || fd == -ENXIO)
    return ST_READ_VANISHED;
  if (fd < 0)
    return unreadable(r, -fd);
  /* What was seen a moment ago is as good for a small file, which is soon read again. */
  int e = r->meta.size < ST_READ_LARGE ? 0 : st_meta_read(fd, "", &r->meta);
  for (int i = 0; i < ST_READ_TRIES && e >= 0 && r->meta.type == 'f'; i++) {
    if (i > 0 && lseek(fd, 0, SEEK_SET) < 0)
      return unreadable(r, errno);
    e = read_once(r, reader, fd);
    if (e != 0)
      continue;
    if (r->metadata)
      st_metadata_read(r->metadata, fd, dirfd, name, &r->meta, &r->xattrs);
    if (r->held)
      hold(r, reader);
    return r->held ? ST_READ_HELD : ST_READ_DONE;
  }
  if (e < 0)
    return unreadable(r, -e);
  if (r->meta.type != 'f')
    return ST_READ_VANISHED;
  snprintf(r->why, sizeof(r->why), "kept changing while it was read");
  return ST_READ_UNREADABLE;
}
