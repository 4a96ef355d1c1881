/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/scan/indexfile.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "systracker/base/file.h"

#define ST_INDEX_VERSION 5
#define ST_INDEX_ROOTLESS 4 /* the version before: it does not say of which root it is */
#define ST_LOG_VERSION 5
#define ST_LOG_VERSION_WHOLE 4 /* in which each path is whole */
/* Bytes of a path that the one before may lend it: so what is read takes no more than some 40 times
 * what a log does. */
#define ST_LOG_SHARED 4095
#define ST_INDEX_MOST ((uint64_t)1 << 36) /* bytes; a larger file is not ours */
#define ST_INDEX_TEMPORARY ".index"
#define ST_LOG_HEADER 8
#define ST_LOG_FIXED (sizeof(struct st_index_record) + ST_DIGEST_SIZE)
#define ST_BATCH 65536

struct index_header {
  char magic[4];
  uint32_t version;
  uint8_t head[ST_DIGEST_SIZE], scope[ST_DIGEST_SIZE];
  struct st_index_memos memos;
  uint64_t dirs, digests, table, length;
  uint32_t blocks_crc, table_crc, crc, root;
};

_Static_assert(sizeof(struct index_header) == 120 + sizeof(struct st_index_memos),
               "the index's header");
_Static_assert(sizeof(struct st_index_row) == 40, "a row of the index's table");
_Static_assert(sizeof(struct st_index_record) == 64, "a record of the index");

/* ---- Records --------------------------------------------------------------------------------- */

static uint32_t type_bits(char type)
{
  static const struct {
    char type;
    uint32_t bits;
  } types[] = {{'f', S_IFREG}, {'d', S_IFDIR}, {'l', S_IFLNK}, {'c', S_IFCHR},
               {'b', S_IFBLK}, {'p', S_IFIFO}, {'s', S_IFSOCK}};
  for (size_t i = 0; i < ST_COUNT(types); i++) {
    if (types[i].type == type)
      return types[i].bits;
  }
  return 0;
}

char st_index_type(const struct st_index_record *record)
{
  static const char types[16] = {
      [1] = 'p', [2] = 'c', [4] = 'd', [6] = 'b', [8] = 'f', [10] = 'l', [12] = 's'};
  char type = types[(le16toh(record->mode) >> 12) & 15];
  return type ? type : '?';
}

static bool is_device(char type)
{
  return type == 'c' || type == 'b';
}

void st_index_pack(struct st_index_record *r, const struct st_index_entry *e)
{
  const struct st_meta *m = &e->meta;
  r->inode = htole64(m->inode);
  r->size = htole64(is_device(m->type) ? m->rdev : m->size);
  r->mtime = htole64((uint64_t)m->mtime);
  r->ctime = htole64((uint64_t)m->ctime);
  r->mtime_nsec = htole32(m->mtime_nsec);
  r->ctime_nsec = htole32(m->ctime_nsec);
  r->mode = htole16((uint16_t)(type_bits(m->type) | m->mode));
  r->uid = htole32(m->uid);
  r->gid = htole32(m->gid);
  r->links = htole32(e->links);
  r->flags = (uint8_t)(e->flags & ~(unsigned)(ST_INDEX_FRESH | ST_INDEX_KEYED));
  if ((e->flags & ST_INDEX_HAS_DIGEST) && e->digest.keyed)
    r->flags |= ST_INDEX_KEYED;
  r->wanted = (uint8_t)e->wanted;
}

void st_index_unpack(const struct st_index_record *r, struct st_index_entry *ret)
{
  struct st_meta *m = &ret->meta;
  *ret = (struct st_index_entry){.flags = r->flags & ~(unsigned)ST_INDEX_KEYED,
                                 .wanted = r->wanted,
                                 .links = le32toh(r->links)};
  ret->digest.keyed = (r->flags & ST_INDEX_KEYED) != 0;
  m->type = st_index_type(r);
  m->mode = le16toh(r->mode) & 07777;
  m->uid = le32toh(r->uid);
  m->gid = le32toh(r->gid);
  m->mtime_nsec = le32toh(r->mtime_nsec);
  m->ctime_nsec = le32toh(r->ctime_nsec);
  m->mtime = (int64_t)le64toh(r->mtime);
  m->ctime = (int64_t)le64toh(r->ctime);
  m->inode = le64toh(r->inode);
  *(is_device(m->type) ? &m->rdev : &m->size) = le64toh(r->size);
}

bool st_index_same(const struct st_index_record *r, const struct st_meta *m)
{
  return le64toh(r->inode) == m->inode && le64toh(r->mtime) == (uint64_t)m->mtime &&
         le64toh(r->ctime) == (uint64_t)m->ctime && le32toh(r->mtime_nsec) == m->mtime_nsec &&
         le32toh(r->ctime_nsec) == m->ctime_nsec && le32toh(r->uid) == m->uid &&
         le32toh(r->gid) == m->gid && (le16toh(r->mode) & 07777) == m->mode &&
         st_index_type(r) == m->type &&
         le64toh(r->size) == (is_device(m->type) ? m->rdev : m->size);
}

bool st_index_alike(const struct st_index_record *r, const struct st_meta *m)
{
  struct st_meta known = *m;
  known.inode = le64toh(r->inode);
  known.ctime = (int64_t)le64toh(r->ctime);
  known.ctime_nsec = le32toh(r->ctime_nsec);
  if (m->type == 'd') {
    known.size = le64toh(r->size);
    known.mtime = (int64_t)le64toh(r->mtime);
    known.mtime_nsec = le32toh(r->mtime_nsec);
  }
  return st_index_same(r, &known);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static uint64_t block_length(const struct st_index_row *row)
{
  uint64_t n = (uint64_t)le32toh(row->count) * sizeof(struct st_index_record) + le32toh(row->names);
  return (n + 7) & ~(uint64_t)7;
}

/* Where the next directory's block and digests have to be. */
struct expected {
  uint64_t block, digests;
};

/* Block by block, without gaps, in the order of the rows: so a subtree is one run of bytes. */
static bool row_is_right(const struct st_index_row *row, const struct index_header *h,
                         struct expected *e)
{
  uint64_t length = block_length(row), bytes = (uint64_t)le32toh(row->ndigests) * ST_DIGEST_SIZE;
  if (le64toh(row->block) != e->block || length > le64toh(h->digests) - e->block ||
      le64toh(row->digests) != e->digests || bytes > le64toh(h->table) - e->digests)
    return false;
  e->block += length;
  e->digests += bytes;
  return true;
}

/* One record; `before` (NULL at first) is the name before its own. */
static bool record_is_right(const struct st_index_record *r, const char *names,
                            const struct st_index_row *row, bool root, const char *before)
{
  uint32_t at = le32toh(r->name), size = le32toh(row->names);
  const char *end = at < size ? memchr(names + at, 0, size - at) : NULL;
  size_t n = end ? (size_t)(end - (names + at)) : 0;
  if (n == 0)
    return false;
  if (root ? names[at] != '/' : memchr(names + at, '/', n) != NULL)
    return false;
  if (before && strcmp(before, names + at) >= 0)
    return false;
  if ((r->flags & ST_INDEX_HAS_DIGEST) && le32toh(r->digest) >= le32toh(row->ndigests))
    return false;
  return !(r->flags & (ST_INDEX_ENTERED | ST_INDEX_PASSED)) || st_index_type(r) == 'd';
}

/* Its records, and that the directories in it fill the run behind it. */
static bool dir_is_right(const struct st_index_file *f, uint32_t p)
{
  const struct st_index_row *row = &f->rows[p];
  uint32_t subtree = le32toh(row->subtree), next = p + 1;
  if (subtree == 0 || subtree > f->ndirs - p)
    return false;
  uint32_t count = le32toh(row->count), end = p + subtree;
  const struct st_index_record *r = (const void *)(f->data + le64toh(row->block));
  const char *names = (const char *)(r + count), *before = NULL;
  for (uint32_t i = 0; i < count; i++, r++) {
    if (!record_is_right(r, names, row, p == 0, before))
      return false;
    before = names + le32toh(r->name);
    if (!(r->flags & ST_INDEX_ENTERED))
      continue;
    if (next >= end || le32toh(f->rows[next].subtree) > end - next)
      return false;
    next += le32toh(f->rows[next].subtree);
  }
  return next == end;
}

/* What it says of itself does not count. */
static uint32_t crc_of_header(const struct index_header *h)
{
  uint32_t crc = st_crc32c(0, h, offsetof(struct index_header, crc));
  bool rootless = le32toh(h->version) == ST_INDEX_ROOTLESS;
  return rootless ? crc : st_crc32c(crc, &h->root, sizeof(h->root));
}

static bool is_known_version(const struct index_header *h)
{
  uint32_t version = le32toh(h->version);
  return version == ST_INDEX_VERSION || (version == ST_INDEX_ROOTLESS && h->root == 0);
}

static bool header_is_right(const struct index_header *h, uint64_t length)
{
  uint64_t digests = le64toh(h->digests), table = le64toh(h->table), dirs = le64toh(h->dirs);
  return memcmp(h->magic, "STIX", 4) == 0 && is_known_version(h) &&
         le32toh(h->crc) == crc_of_header(h) && le64toh(h->length) == length &&
         digests >= sizeof(*h) && digests <= table && table <= length && digests % 8 == 0 &&
         table % 8 == 0 && dirs > 0 && dirs < ST_INDEX_NONE &&
         length - table == dirs * sizeof(struct st_index_row);
}

static bool dirs_are_right(const struct st_index_file *f, const struct index_header *h)
{
  struct expected e = {sizeof(*h), le64toh(h->digests)};
  for (uint32_t p = 0; p < f->ndirs; p++) {
    if (!row_is_right(&f->rows[p], h, &e) || !dir_is_right(f, p))
      return false;
  }
  return e.block == le64toh(h->digests) && e.digests == le64toh(h->table) &&
         le32toh(f->rows[0].subtree) == f->ndirs;
}

/* All but the digests. */
static bool is_right(struct st_index_file *f)
{
  const struct index_header *h = (const void *)f->data;
  if (f->length < sizeof(*h) || !header_is_right(h, f->length))
    return false;
  uint64_t digests = le64toh(h->digests), table = le64toh(h->table);
  if (le32toh(h->blocks_crc) != st_crc32c(0, f->data + sizeof(*h), digests - sizeof(*h)) ||
      le32toh(h->table_crc) != st_crc32c(0, f->data + table, f->length - table))
    return false;
  f->rows = (const void *)(f->data + table);
  f->ndirs = (uint32_t)le64toh(h->dirs);
  if (!dirs_are_right(f, h))
    return false;
  memcpy(f->head, h->head, ST_DIGEST_SIZE);
  memcpy(f->scope, h->scope, ST_DIGEST_SIZE);
  f->root = le32toh(h->root);
  f->memos = h->memos;
  return true;
}

void st_index_file_open(struct st_index_file *f, int dir)
{
  struct stat st;
  *f = (struct st_index_file){0};
  ST_AUTO_CLOSE int fd = openat(dir, "index", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
      (uint64_t)st.st_size > ST_INDEX_MOST)
    return;
  f->length = (size_t)st.st_size;
  void *data = mmap(NULL, f->length, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED)
    return;
  f->data = data;
  if (!is_right(f))
    st_index_file_close(f);
}

void st_index_file_close(struct st_index_file *f)
{
  if (f->data)
    munmap((void *)f->data, f->length);
  *f = (struct st_index_file){0};
}

void st_index_file_dir(const struct st_index_file *f, uint32_t position, struct st_index_dir *ret)
{
  const struct st_index_row *row = &f->rows[position];
  *ret = (struct st_index_dir){
      .records = (const void *)(f->data + le64toh(row->block)),
      .count = le32toh(row->count),
      .ndigests = le32toh(row->ndigests),
      .generated = le32toh(row->generated),
      .position = position,
      .subtree = le32toh(row->subtree),
      .digests = f->data + le64toh(row->digests),
      .digests_crc = le32toh(row->digests_crc),
  };
  ret->names = (const char *)(ret->records + ret->count);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void end_header(struct index_header *h, const struct st_index_binding *binding)
{
  h->version = htole32(ST_INDEX_VERSION);
  h->memos = *binding->memos;
  memcpy(h->head, binding->head, ST_DIGEST_SIZE);
  memcpy(h->scope, binding->scope, ST_DIGEST_SIZE);
  h->root = htole32(binding->root);
  h->crc = htole32(crc_of_header(h));
}

static int put_header(int fd, const struct index_header *h, struct st_error *err)
{
  if (pwrite(fd, h, sizeof(*h), 0) != (ssize_t)sizeof(*h))
    return st_fail(err, errno, "cannot write the index");
  return 0;
}

int st_index_file_rebind(int dir, const struct st_index_binding *binding, struct st_error *err)
{
  struct index_header h;
  ST_AUTO_CLOSE int fd = openat(dir, "index", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return st_fail(err, errno, "cannot open the index");
  if (st_pread_all(fd, &h, sizeof(h), 0, err) < 0)
    return -1;
  end_header(&h, binding);
  return put_header(fd, &h, err);
}

int st_index_writer_open(struct st_index_writer *w, int dir, struct st_error *err)
{
  const struct index_header none = {.version = 0};
  *w = (struct st_index_writer){.dir = dir};
  w->fd =
      openat(dir, ST_INDEX_TEMPORARY, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (w->fd < 0)
    return st_fail(err, errno, "cannot make the index");
  st_buffer_reserve(&w->pending, 2 * ST_BATCH);
  st_buffer_append(&w->pending, &none, sizeof(none));
  w->at = sizeof(none);
  return 0;
}

void st_index_writer_close(struct st_index_writer *w)
{
  if (w->fd >= 0) {
    close(w->fd);
    unlinkat(w->dir, ST_INDEX_TEMPORARY, 0);
  }
  st_buffer_free(&w->pending);
  st_buffer_free(&w->rows);
}

static int flush(struct st_index_writer *w, struct st_error *err)
{
  int r = st_write_all(w->fd, w->pending.data, w->pending.length, err);
  st_buffer_clear(&w->pending);
  return r < 0 ? st_wrap(err, "index") : 0;
}

int st_index_writer_append(struct st_index_writer *w, const void *data, size_t length,
                           struct st_error *err)
{
  if (w->digests == 0)
    w->crc = st_crc32c(w->crc, data, length);
  w->at += length;
  if (length < ST_BATCH) {
    st_buffer_append(&w->pending, data, length);
    return w->pending.length < ST_BATCH ? 0 : flush(w, err);
  }
  if (flush(w, err) < 0)
    return -1;
  return st_write_all(w->fd, data, length, err) < 0 ? st_wrap(err, "index") : 0;
}

int st_index_writer_finish(struct st_index_writer *w, const struct st_index_binding *binding,
                           struct st_error *err)
{
  struct index_header h = {
      .magic = {'S', 'T', 'I', 'X'},
      .dirs = htole64(w->rows.length / sizeof(struct st_index_row)),
      .digests = htole64(w->digests),
      .table = htole64(w->at),
      .length = htole64(w->at + w->rows.length),
      .blocks_crc = htole32(w->crc),
      .table_crc = htole32(st_crc32c(0, w->rows.data, w->rows.length)),
  };
  end_header(&h, binding);
  if (st_index_writer_append(w, w->rows.data, w->rows.length, err) < 0 || flush(w, err) < 0 ||
      put_header(w->fd, &h, err) < 0)
    return -1;
  if (renameat(w->dir, ST_INDEX_TEMPORARY, w->dir, "index") < 0)
    return st_fail(err, errno, "cannot replace the index");
  close(st_steal_fd(&w->fd));
  return 0;
}

/* ---- The log of a scan ----------------------------------------------------------------------- */

struct log_reader {
  void (*fn)(void *arg, const char *path, const struct st_index_entry *entry); /* may be NULL */
  void *arg;
  struct st_buffer path; /* of the entry before */
};

static uint32_t get32(const uint8_t *p)
{
  uint32_t n;
  memcpy(&n, p, sizeof(n));
  return le32toh(n);
}

/* The path begins as the one before it, of so many bytes. */
static bool read_path(struct log_reader *reader, uint32_t shared, const uint8_t *rest, size_t n)
{
  struct st_buffer *path = &reader->path;
  if (shared > path->length || shared > ST_LOG_SHARED || memchr(rest, 0, n))
    return false;
  path->length = shared;
  st_buffer_append(path, rest, n);
  st_buffer_append(path, "", 1);
  path->length--;
  return path->data[0] == '/';
}

static bool read_entry(struct log_reader *reader, const uint8_t *p, size_t n)
{
  struct st_index_record record;
  struct st_index_entry e;
  if (n <= ST_LOG_FIXED)
    return false;
  memcpy(&record, p, sizeof(record));
  if (!read_path(reader, le32toh(record.name), p + ST_LOG_FIXED, n - ST_LOG_FIXED))
    return false;
  st_index_unpack(&record, &e);
  memcpy(e.digest.digest, p + sizeof(record), ST_DIGEST_SIZE);
  e.flags |= ST_INDEX_FRESH;
  if (reader->fn)
    reader->fn(reader->arg, reader->path.data, &e);
  return true;
}

static bool is_log(const uint8_t *p, size_t length)
{
  if (length < ST_LOG_HEADER || memcmp(p, "STIN", 4) != 0)
    return false;
  uint32_t version = get32(p + 4);
  return version == ST_LOG_VERSION || version == ST_LOG_VERSION_WHOLE;
}

/* Returns how many bytes are whole, with the header; 0: no log. */
static size_t read_log(const uint8_t *p, size_t length, struct log_reader *reader)
{
  size_t at = ST_LOG_HEADER;
  if (!is_log(p, length))
    return 0;
  while (length - at >= 8) {
    size_t n = get32(p + at);
    if (n > length - at - 8 || st_crc32c(0, p + at + 8, n) != get32(p + at + 4) ||
        !read_entry(reader, p + at + 8, n))
      break;
    at += 8 + n;
  }
  st_buffer_free(&reader->path);
  return at;
}

void st_index_log_read(int dir,
                       void (*fn)(void *arg, const char *path, const struct st_index_entry *entry),
                       void *arg)
{
  ST_AUTO_BUFFER file = ST_BUFFER_INIT;
  struct log_reader reader = {.fn = fn, .arg = arg};
  if (st_read_file(dir, "index.new", ST_INDEX_MOST, &file, NULL) == 0)
    read_log((const uint8_t *)file.data, file.length, &reader);
}

/* What a log of the version before has is right in this one, too. */
static int begin_log(int fd, const uint8_t *p, size_t whole, struct st_error *err)
{
  uint32_t header[2] = {0, htole32(ST_LOG_VERSION)};
  memcpy(header, "STIN", 4);
  if (whole > 0 && memcmp(p, header, sizeof(header)) == 0)
    return 0;
  if (lseek(fd, 0, SEEK_SET) < 0)
    return st_fail(err, errno, "cannot begin index.new");
  return st_write_all(fd, header, sizeof(header), err);
}

int st_index_log_open(struct st_index_log *log, int dir, struct st_error *err)
{
  ST_AUTO_BUFFER file = ST_BUFFER_INIT;
  struct log_reader nobody = {0};
  ST_AUTO_CLOSE int fd = openat(dir, "index.new", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return st_fail(err, errno, "cannot open index.new");
  if (st_read_all(fd, ST_INDEX_MOST, &file, err) < 0)
    return -1;
  size_t whole = read_log((const uint8_t *)file.data, file.length, &nobody);
  /* A file that was cut to nothing, even where it had nothing, is written out by ext4 when it is
   * closed (ext4(5), auto_da_alloc). */
  if (file.length != whole && ftruncate(fd, (off_t)whole) < 0)
    return st_fail(err, errno, "cannot cut index.new");
  if (begin_log(fd, (const uint8_t *)file.data, whole, err) < 0)
    return -1;
  if (lseek(fd, 0, SEEK_END) < 0)
    return st_fail(err, errno, "cannot go on with index.new");
  log->fd = st_steal_fd(&fd);
  return 0;
}

void st_index_log_close(struct st_index_log *log)
{
  if (log->fd >= 0)
    close(log->fd);
  log->fd = -1;
  st_buffer_free(&log->pending);
  st_buffer_free(&log->last);
}

static void put32(struct st_buffer *b, uint32_t n)
{
  n = htole32(n);
  st_buffer_append(b, &n, sizeof(n));
}

/* How many bytes the path has from the one before it, which is this one from here on.  One at least
 * is its own. */
static size_t take_shared(struct st_buffer *last, const char *path, size_t length)
{
  size_t n = 0, most = last->length < length ? last->length : length - 1;
  if (most > ST_LOG_SHARED)
    most = ST_LOG_SHARED;
  while (n < most && last->data[n] == path[n])
    n++;
  last->length = n;
  st_buffer_append(last, path + n, length - n);
  return n;
}

int st_index_log_append(struct st_index_log *log, const char *path,
                        const struct st_index_entry *entry, bool now, struct st_error *err)
{
  struct st_buffer *pending = &log->pending;
  struct st_index_record record = {0};
  size_t length = strlen(path), shared = take_shared(&log->last, path, length);
  size_t n = ST_LOG_FIXED + length - shared, at = pending->length;
  st_index_pack(&record, entry);
  record.name = htole32((uint32_t)shared);
  put32(pending, (uint32_t)n);
  put32(pending, 0);
  st_buffer_append(pending, &record, sizeof(record));
  st_buffer_append(pending, entry->digest.digest, ST_DIGEST_SIZE);
  st_buffer_append(pending, path + shared, length - shared);
  uint32_t crc = htole32(st_crc32c(0, pending->data + at + 8, n));
  memcpy(pending->data + at + 4, &crc, sizeof(crc));
  if (pending->length < ST_BATCH && !now)
    return 0;
  if (st_write_all(log->fd, pending->data, pending->length, err) < 0) {
    st_index_log_close(log); /* what was torn is cut off when it is opened again */
    return st_wrap(err, "index.new");
  }
  st_buffer_clear(pending);
  return 0;
}

void st_index_log_remove(int dir)
{
  unlinkat(dir, "index.new", 0);
}
