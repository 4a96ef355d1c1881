/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/scan/indexfile.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>

#include "systracker/base/file.h"

#define ST_INDEX_VERSION 2
#define ST_INDEX_MOST ((size_t)1 << 32) /* bytes; a larger file is not ours */
#define ST_INDEX_HEADER 96
#define ST_LOG_HEADER 8
#define ST_LOG_BATCH 65536
#define ST_RECORD_FIXED 76

/* ---- Numbers -------------------------------------------------------------------------------- */

static void put32(struct st_buffer *b, uint32_t n)
{
  n = htole32(n);
  st_buffer_append(b, &n, sizeof(n));
}

static void put64(struct st_buffer *b, uint64_t n)
{
  n = htole64(n);
  st_buffer_append(b, &n, sizeof(n));
}

static uint32_t get32(const uint8_t *p)
{
  uint32_t n;
  memcpy(&n, p, sizeof(n));
  return le32toh(n);
}

static uint64_t get64(const uint8_t *p)
{
  uint64_t n;
  memcpy(&n, p, sizeof(n));
  return le64toh(n);
}

/* ---- Records --------------------------------------------------------------------------------- */

static void put_record(struct st_buffer *b, const char *path, size_t shared,
                       const struct st_index_entry *e)
{
  const struct st_meta *m = &e->meta;
  size_t rest = strlen(path) - shared;
  put32(b, (uint32_t)shared);
  put32(b, (uint32_t)rest);
  st_buffer_append_byte(b, (uint8_t)m->type);
  st_buffer_append_byte(b, (uint8_t)e->flags);
  st_buffer_append_byte(b, (uint8_t)e->wanted);
  st_buffer_append_byte(b, e->digest.keyed);
  put32(b, m->mode);
  put32(b, m->uid);
  put32(b, m->gid);
  put32(b, m->mtime_nsec);
  put32(b, m->ctime_nsec);
  put64(b, m->size);
  put64(b, (uint64_t)m->mtime);
  put64(b, (uint64_t)m->ctime);
  put64(b, m->rdev);
  put64(b, m->inode);
  put32(b, e->links);
  if (e->flags & ST_INDEX_HAS_DIGEST)
    st_buffer_append(b, e->digest.digest, ST_DIGEST_SIZE);
  st_buffer_append(b, path + shared, rest);
}

static void get_fixed(const uint8_t *p, struct st_index_entry *e)
{
  struct st_meta *m = &e->meta;
  *e = (struct st_index_entry){.flags = p[9], .wanted = p[10]};
  e->digest.keyed = p[11];
  m->type = (char)p[8];
  m->mode = get32(p + 12);
  m->uid = get32(p + 16);
  m->gid = get32(p + 20);
  m->mtime_nsec = get32(p + 24);
  m->ctime_nsec = get32(p + 28);
  m->size = get64(p + 32);
  m->mtime = (int64_t)get64(p + 40);
  m->ctime = (int64_t)get64(p + 48);
  m->rdev = get64(p + 56);
  m->inode = get64(p + 64);
  e->links = get32(p + 72);
}

/* Reads one record; `path` holds the path before and then this one.  Returns its length, or 0 when
 * it is not right. */
static size_t get_record(const uint8_t *p, size_t left, struct st_buffer *path,
                         struct st_index_entry *e)
{
  if (left < ST_RECORD_FIXED)
    return 0;
  size_t shared = get32(p), rest = get32(p + 4), length = ST_RECORD_FIXED;
  get_fixed(p, e);
  if (e->flags & ST_INDEX_HAS_DIGEST) {
    if (left - length < ST_DIGEST_SIZE)
      return 0;
    memcpy(e->digest.digest, p + length, ST_DIGEST_SIZE);
    length += ST_DIGEST_SIZE;
  }
  if (shared > path->length || rest > left - length || memchr(p + length, 0, rest))
    return 0;
  path->length = shared;
  st_buffer_append(path, p + length, rest);
  return path->length > 0 && path->data[0] == '/' ? length + rest : 0;
}

/* ---- The index
 * ----------------------------------------------------------------------------------- */

static void make_header(struct st_buffer *b, const uint8_t head[ST_DIGEST_SIZE],
                        const uint8_t scope[ST_DIGEST_SIZE], uint64_t count, uint64_t length,
                        uint32_t crc)
{
  st_buffer_append(b, "STIX", 4);
  put32(b, ST_INDEX_VERSION);
  st_buffer_append(b, head, ST_DIGEST_SIZE);
  st_buffer_append(b, scope, ST_DIGEST_SIZE);
  put64(b, count);
  put64(b, length);
  put32(b, crc);
  put32(b, st_crc32c(0, b->data, b->length));
}

static bool header_is_right(const uint8_t *p, size_t length)
{
  return length >= ST_INDEX_HEADER && memcmp(p, "STIX", 4) == 0 &&
         get32(p + 4) == ST_INDEX_VERSION && get32(p + 92) == st_crc32c(0, p, 92) &&
         get64(p + 80) == length - ST_INDEX_HEADER &&
         get32(p + 88) == st_crc32c(0, p + ST_INDEX_HEADER, length - ST_INDEX_HEADER);
}

static bool get_items(const uint8_t *p, size_t left, uint64_t count, struct st_index_items *items)
{
  ST_AUTO_BUFFER path = ST_BUFFER_INIT;
  struct st_index_entry e;
  for (; count > 0; count--) {
    size_t n = get_record(p, left, &path, &e);
    if (n == 0)
      return false;
    st_index_items_add(items, st_index_item_new(path.data, &e));
    p += n;
    left -= n;
  }
  return left == 0;
}

static void drop_items(struct st_index_items *items)
{
  while (items->count > 0)
    free(items->items[--items->count]);
}

void st_index_read(int dir, struct st_index_items *items, uint8_t head[ST_DIGEST_SIZE],
                   uint8_t scope[ST_DIGEST_SIZE])
{
  ST_AUTO_BUFFER file = ST_BUFFER_INIT;
  if (st_read_file(dir, "index", ST_INDEX_MOST, &file, NULL) < 0)
    return;
  const uint8_t *p = (const uint8_t *)file.data;
  if (!header_is_right(p, file.length))
    return;
  if (!get_items(p + ST_INDEX_HEADER, file.length - ST_INDEX_HEADER, get64(p + 72), items)) {
    drop_items(items);
    return;
  }
  memcpy(head, p + 8, ST_DIGEST_SIZE);
  memcpy(scope, p + 40, ST_DIGEST_SIZE);
}

static size_t common(const char *a, const char *b)
{
  size_t n = 0;
  while (a[n] && a[n] == b[n])
    n++;
  return n;
}

int st_index_write(int dir, const struct st_index_items *items, const uint8_t head[ST_DIGEST_SIZE],
                   const uint8_t scope[ST_DIGEST_SIZE], struct st_error *err)
{
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  ST_AUTO_BUFFER file = ST_BUFFER_INIT;
  const char *before = "";
  for (size_t i = 0; i < items->count; i++) {
    const struct st_index_item *item = items->items[i];
    put_record(&body, item->path, common(before, item->path), &item->entry);
    before = item->path;
  }
  uint32_t crc = st_crc32c(0, body.data, body.length);
  make_header(&file, head, scope, items->count, body.length, crc);
  st_buffer_append(&file, body.data, body.length);
  return st_write_file(dir, "index", 0600, file.data, file.length, err);
}

int st_index_rewrite_header(int dir, const uint8_t head[ST_DIGEST_SIZE],
                            const uint8_t scope[ST_DIGEST_SIZE], struct st_error *err)
{
  uint8_t old[ST_INDEX_HEADER];
  ST_AUTO_BUFFER header = ST_BUFFER_INIT;
  ST_AUTO_CLOSE int fd = openat(dir, "index", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return st_fail(err, errno, "cannot open the index");
  if (st_pread_all(fd, old, sizeof(old), 0, err) < 0)
    return -1;
  make_header(&header, head, scope, get64(old + 72), get64(old + 80), get32(old + 88));
  if (pwrite(fd, header.data, header.length, 0) != (ssize_t)header.length || fdatasync(fd) < 0)
    return st_fail(err, errno, "cannot write the index");
  return 0;
}

/* ---- The log of a scan
 * ------------------------------------------------------------------------------ */

/* Adds the whole records, and returns how many bytes they take with the header; 0: no log. */
static size_t read_log(const uint8_t *p, size_t length, struct st_index_items *items)
{
  size_t at = ST_LOG_HEADER;
  if (length < ST_LOG_HEADER || memcmp(p, "STIN", 4) != 0 || get32(p + 4) != ST_INDEX_VERSION)
    return 0;
  while (length - at >= 8) {
    ST_AUTO_BUFFER path = ST_BUFFER_INIT;
    struct st_index_entry e;
    size_t n = get32(p + at);
    if (n > length - at - 8 || st_crc32c(0, p + at + 8, n) != get32(p + at + 4) ||
        get_record(p + at + 8, n, &path, &e) != n)
      break;
    e.flags |= ST_INDEX_FRESH;
    if (items)
      st_index_items_add(items, st_index_item_new(path.data, &e));
    at += 8 + n;
  }
  return at;
}

void st_index_read_log(int dir, struct st_index_items *items)
{
  ST_AUTO_BUFFER file = ST_BUFFER_INIT;
  if (st_read_file(dir, "index.new", ST_INDEX_MOST, &file, NULL) == 0)
    read_log((const uint8_t *)file.data, file.length, items);
}

int st_index_open_log(int dir, struct st_error *err)
{
  ST_AUTO_BUFFER file = ST_BUFFER_INIT;
  ST_AUTO_CLOSE int fd = openat(dir, "index.new", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return st_fail(err, errno, "cannot open index.new");
  if (st_read_all(fd, ST_INDEX_MOST, &file, err) < 0)
    return -1;
  size_t whole = read_log((const uint8_t *)file.data, file.length, NULL);
  if (ftruncate(fd, (off_t)whole) < 0 || lseek(fd, (off_t)whole, SEEK_SET) < 0)
    return st_fail(err, errno, "cannot cut index.new");
  uint32_t version = htole32(ST_INDEX_VERSION);
  if (whole == 0 &&
      (st_write_all(fd, "STIN", 4, err) < 0 || st_write_all(fd, &version, 4, err) < 0))
    return -1;
  return st_steal_fd(&fd);
}

int st_index_log(int fd, struct st_buffer *pending, const char *path,
                 const struct st_index_entry *entry, struct st_error *err)
{
  ST_AUTO_BUFFER record = ST_BUFFER_INIT;
  put_record(&record, path, 0, entry);
  put32(pending, (uint32_t)record.length);
  put32(pending, st_crc32c(0, record.data, record.length));
  st_buffer_append(pending, record.data, record.length);
  if (pending->length < ST_LOG_BATCH)
    return 0;
  if (st_write_all(fd, pending->data, pending->length, err) < 0)
    return st_wrap(err, "index.new");
  st_buffer_clear(pending);
  return 0;
}

void st_index_remove_log(int dir)
{
  unlinkat(dir, "index.new", 0);
}
