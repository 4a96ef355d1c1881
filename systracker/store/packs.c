/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/packs.h"

#include <fcntl.h>
#include <string.h>

#include "systracker/base/file.h"
#include "systracker/base/log.h"

#define PENDING_MAX (1U << 20)
#define WRITE_BACK (8U << 20) /* bytes after which the disk is told to begin */
#define OPEN_MAX_PACKS 128    /* descriptors held; well below the usual limit of 1024 */
#define AHEAD (64U << 10)     /* bytes that are read at once, of records much smaller than that */

int st_packs_open(struct st_packs *packs, int store_dirfd, bool write, struct st_error *err)
{
  *packs = (struct st_packs){.dirfd = -1, .write = write, .full = ST_PACK_FULL};
  if (write && st_make_dirs(store_dirfd, "packs", 0700, err) < 0)
    return -1;
  packs->dirfd = openat(store_dirfd, "packs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (packs->dirfd < 0) {
    int code = errno;
    st_fail(err, code, "cannot open the store's folder packs");
    return code == ENOENT ? -ENOENT : -1;
  }
  return 0;
}

static int write_at(int fd, const void *data, size_t length, uint64_t offset)
{
  for (size_t done = 0; done < length;) {
    ssize_t n = pwrite(fd, (const char *)data + done, length - done, (off_t)(offset + done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n < 0 ? -errno : -EIO;
    done += (size_t)n;
  }
  return 0;
}

/* After a failure: back to what is known to be durable. */
static int abandon(struct st_packs *packs, int code, const char *what, struct st_error *err)
{
  st_fail(err, code, "%s pack %s", what, packs->current->name);
  if (ftruncate(packs->current->fd, (off_t)packs->synced) < 0)
    st_log(ST_LOG_WARNING, "cannot cut pack %s back: %s", packs->current->name, strerror(errno));
  packs->current->size = packs->flushed = packs->begun = packs->synced;
  st_buffer_clear(&packs->pending);
  packs->refused = st_format("%s pack %s: %s", what, packs->current->name, strerror(code));
  return -1;
}

/* The disk writes while we compress, so that the sync at the end has little left to wait for
 * (sync_file_range(2)).  It promises nothing: what fails is seen by that sync. */
static void begin_writing(struct st_packs *packs)
{
  if (packs->flushed - packs->begun < WRITE_BACK)
    return;
  sync_file_range(packs->current->fd, (off_t)packs->begun, (off_t)(packs->flushed - packs->begun),
                  SYNC_FILE_RANGE_WRITE);
  packs->begun = packs->flushed;
}

static int flush(struct st_packs *packs, struct st_error *err)
{
  if (packs->pending.length == 0)
    return 0;
  int r = write_at(packs->current->fd, packs->pending.data, packs->pending.length, packs->flushed);
  if (r < 0)
    return abandon(packs, -r, "cannot write", err);
  packs->flushed += packs->pending.length;
  packs->current->size = packs->flushed;
  st_buffer_clear(&packs->pending);
  begin_writing(packs);
  return 0;
}

void st_packs_close(struct st_packs *packs)
{
  if (packs->current && !packs->refused)
    flush(packs, NULL);
  for (size_t i = 0; i < packs->count; i++)
    st_pack_close(packs->items[i]);
  free(packs->items);
  free(packs->refused);
  st_buffer_free(&packs->pending);
  st_buffer_free(&packs->ahead.bytes);
  st_cleanup_close(&packs->dirfd);
}

static int by_number(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

int st_packs_list(struct st_packs *packs, uint32_t **ret, size_t *ret_count, struct st_error *err)
{
  ST_AUTO_FREE uint32_t *numbers = NULL;
  size_t count = 0;
  ST_AUTO_CLOSE int fd = openat(packs->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ST_AUTO_CLOSEDIR DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (!dir)
    return st_fail(err, errno, "cannot list the store's folder packs");
  st_steal_fd(&fd);
  struct dirent *entry;
  while (errno = 0, (entry = readdir(dir))) {
    uint32_t number = st_pack_number(entry->d_name);
    if (number == 0)
      continue;
    numbers = st_realloc(numbers, count + 1, sizeof *numbers);
    numbers[count++] = number;
  }
  if (errno)
    return st_fail(err, errno, "cannot list the store's folder packs");
  if (count > 1)
    qsort(numbers, count, sizeof *numbers, by_number);
  *ret = st_steal(&numbers);
  *ret_count = count;
  return 0;
}

static void close_all_but_current(struct st_packs *packs)
{
  for (size_t i = 0; i < packs->count; i++) {
    if (packs->items[i] != packs->current)
      st_pack_close(packs->items[i]);
  }
  packs->count = 0;
  if (packs->current)
    packs->items[packs->count++] = packs->current;
}

static void add(struct st_packs *packs, struct st_pack *pack)
{
  if (packs->count >= OPEN_MAX_PACKS)
    close_all_but_current(packs);
  packs->items = st_realloc(packs->items, packs->count + 1, sizeof(struct st_pack *));
  packs->items[packs->count++] = pack;
}

int st_packs_get(struct st_packs *packs, uint32_t number, struct st_pack **ret,
                 struct st_error *err)
{
  for (size_t i = 0; i < packs->count; i++) {
    if (packs->items[i]->number == number) {
      *ret = packs->items[i];
      return 0;
    }
  }
  int r = st_pack_open(ret, packs->dirfd, number, packs->write, err);
  if (r == 0)
    add(packs, *ret);
  return r;
}

int st_packs_continue(struct st_packs *packs, uint32_t number, uint64_t found, struct st_error *err)
{
  struct st_pack *pack;
  if (st_packs_get(packs, number, &pack, err) < 0 || st_pack_refresh(pack, err) < 0)
    return -1;
  packs->current = pack;
  packs->flushed = packs->begun = packs->synced = pack->size;
  packs->found = found;
  return 0;
}

void st_packs_rely(struct st_packs *packs, uint32_t number, uint64_t offset)
{
  if (packs->current && packs->current->number == number && offset >= packs->found)
    packs->relied = true;
}

void st_packs_rely_on_all(struct st_packs *packs)
{
  packs->relied |= packs->current && packs->found < packs->synced;
}

static uint64_t size_of(const struct st_packs *packs, const struct st_pack *pack)
{
  return pack == packs->current ? packs->flushed + packs->pending.length : pack->size;
}

bool st_packs_hold(struct st_packs *packs, uint32_t number, uint64_t offset, uint64_t size)
{
  struct st_pack *pack;
  uint64_t end;
  if (__builtin_add_overflow(offset, size, &end) || st_packs_get(packs, number, &pack, NULL) < 0)
    return false;
  if (end > size_of(packs, pack) && pack != packs->current)
    st_pack_refresh(pack, NULL); /* somebody else appends to it */
  return end <= size_of(packs, pack);
}

static int read_pending(struct st_packs *packs, uint64_t offset, struct st_buffer *out,
                        struct st_error *err)
{
  struct st_record record;
  uint64_t at = offset - packs->flushed;
  if (at >= packs->pending.length)
    return st_fail(err, 0, "the pack ends before it");
  const char *data = packs->pending.data + at;
  size_t left = packs->pending.length - at;
  if (st_record_decode((const uint8_t *)data, left, &record) <= 0 || st_record_size(&record) > left)
    return st_fail(err, 0, "no record is there");
  st_buffer_append(out, data, st_record_size(&record));
  return 0;
}

int st_packs_read(struct st_packs *packs, uint32_t number, uint64_t offset, uint64_t stored,
                  struct st_record *ret, struct st_buffer *out, struct st_error *err)
{
  struct st_pack *pack;
  size_t start = out->length;
  if (st_packs_get(packs, number, &pack, err) < 0)
    return -1;
  int r;
  if (pack == packs->current && offset >= packs->flushed) {
    r = read_pending(packs, offset, out, err);
  } else {
    st_packs_hold(packs, number, offset, stored + ST_RECORD_HEAD_MAX + ST_RECORD_CRC_SIZE);
    r = st_pack_read(pack, offset, stored, out, err);
  }
  if (r < 0)
    return r;
  return st_pack_prove(pack, out->data + start, out->length - start, ret, err);
}

/* ---- Reading ahead ------------------------------------------------------------------------- */

static bool is_ahead(const struct st_packs *packs, uint32_t number, uint64_t offset, uint64_t size)
{
  uint64_t at = packs->ahead.at, n = packs->ahead.bytes.length;
  return packs->ahead.number == number && offset >= at && offset - at <= n &&
         size <= n - (offset - at);
}

/* As much as is read at once, or the pack has. */
static int fill_ahead(struct st_packs *packs, const struct st_pack *pack, uint64_t offset,
                      struct st_error *err)
{
  struct st_buffer *b = &packs->ahead.bytes;
  uint64_t left = pack->size - offset, n = left < AHEAD ? left : AHEAD;
  st_buffer_clear(b);
  st_buffer_reserve(b, AHEAD);
  packs->ahead.number = 0;
  if (st_pread_all(pack->fd, b->data, n, (off_t)offset, err) < 0)
    return -1;
  b->length = n;
  packs->ahead.number = pack->number;
  packs->ahead.at = offset;
  return 0;
}

/* The first of several small ones that follow each other is read with those behind it. */
static int read_bytes(struct st_packs *packs, uint32_t number, uint64_t offset, uint64_t size,
                      struct st_buffer *out, struct st_error *err)
{
  struct st_pack *pack;
  bool follows = offset == packs->ahead.next && size < AHEAD / 16;
  packs->ahead.next = offset + size;
  if (is_ahead(packs, number, offset, size)) {
    st_buffer_append(out, packs->ahead.bytes.data + (offset - packs->ahead.at), size);
    return 0;
  }
  if (!st_packs_hold(packs, number, offset, size) || st_packs_get(packs, number, &pack, err) < 0)
    return st_fail(err, 0, "the pack ends before it");
  if (follows && fill_ahead(packs, pack, offset, err) == 0)
    return read_bytes(packs, number, offset, size, out, err);
  st_buffer_reserve(out, size);
  if (st_pread_all(pack->fd, out->data + out->length, size, (off_t)offset, err) < 0)
    return -1;
  out->length += size;
  out->data[out->length] = 0;
  return 0;
}

int st_packs_read_ahead(struct st_packs *packs, uint32_t number, uint64_t offset,
                        const struct st_record *known, struct st_record *ret, struct st_buffer *out,
                        struct st_error *err)
{
  size_t start = out->length;
  uint64_t size = st_record_size(known);
  if (read_bytes(packs, number, offset, size, out, err) < 0)
    return -1;
  if (st_record_decode((const uint8_t *)out->data + start, size, ret) <= 0 ||
      st_record_size(ret) != size)
    return st_fail(err, 0, "another record is there");
  return 0;
}

/* ---- Appending ----------------------------------------------------------------------------- */

static int sync_current(struct st_packs *packs, struct st_error *err)
{
  if (!packs->current)
    return 0;
  if (flush(packs, err) < 0)
    return -1;
  if (packs->flushed == packs->synced && !packs->relied)
    return 0;
  if (fdatasync(packs->current->fd) < 0)
    return abandon(packs, errno, "cannot sync", err);
  packs->synced = packs->found = packs->flushed;
  packs->relied = false;
  return 0;
}

static int next_pack(struct st_packs *packs, struct st_error *err)
{
  struct st_pack *pack;
  st_packs_rely_on_all(packs);
  if (sync_current(packs, err) < 0 || st_pack_create(&pack, packs->dirfd, packs->last + 1, err) < 0)
    return -1;
  packs->last = pack->number;
  add(packs, pack);
  packs->current = pack;
  packs->flushed = packs->begun = packs->synced = packs->found = pack->size;
  return 0;
}

static int check_writable(struct st_packs *packs, struct st_error *err)
{
  if (!packs->write)
    return st_fail(err, 0, "the store was opened for reading");
  if (packs->refused)
    return st_fail(err, 0, "the store takes no more after an earlier failure (%s)", packs->refused);
  return 0;
}

static void append_bytes(struct st_packs *packs, const struct st_record *record,
                         const void *payload)
{
  uint8_t head[ST_RECORD_HEAD_MAX];
  struct st_buffer *out = &packs->pending;
  size_t start = out->length;
  st_buffer_reserve(out, st_record_size(record));
  st_buffer_append(out, head, st_record_encode(head, record));
  if (record->stored > 0)
    st_buffer_append(out, payload, record->stored);
  uint32_t crc = st_pack_crc(packs->current, out->data + start, out->length - start);
  for (int i = 0; i < ST_RECORD_CRC_SIZE; i++)
    st_buffer_append_byte(out, (uint8_t)(crc >> (8 * i)));
  packs->appended += out->length - start;
}

int st_packs_append(struct st_packs *packs, const struct st_record *record, const void *payload,
                    uint32_t *ret_number, uint64_t *ret_offset, struct st_error *err)
{
  if (check_writable(packs, err) < 0)
    return -1;
  if ((!packs->current || size_of(packs, packs->current) >= packs->full) &&
      next_pack(packs, err) < 0)
    return -1;
  *ret_number = packs->current->number;
  *ret_offset = packs->flushed + packs->pending.length;
  if (packs->first == 0)
    packs->first = packs->current->number;
  append_bytes(packs, record, payload);
  return packs->pending.length >= PENDING_MAX ? flush(packs, err) : 0;
}

int st_packs_sync(struct st_packs *packs, struct st_error *err)
{
  return check_writable(packs, err) < 0 ? -1 : sync_current(packs, err);
}

/* ---- Leaving and removing ------------------------------------------------------------------ */

int st_packs_leave(struct st_packs *packs, struct st_error *err)
{
  st_packs_rely_on_all(packs);
  if (st_packs_sync(packs, err) < 0)
    return -1;
  packs->current = NULL;
  return 0;
}

static void forget(struct st_packs *packs, uint32_t number)
{
  for (size_t i = 0; i < packs->count; i++) {
    if (packs->items[i]->number != number)
      continue;
    if (packs->items[i] == packs->current)
      packs->current = NULL;
    st_pack_close(packs->items[i]);
    packs->items[i] = packs->items[--packs->count];
    return;
  }
}

int st_packs_remove(struct st_packs *packs, uint32_t number, struct st_error *err)
{
  char name[ST_PACK_NAME_SIZE];
  st_pack_name(name, number);
  forget(packs, number);
  if (unlinkat(packs->dirfd, name, 0) < 0 && errno != ENOENT)
    return st_fail(err, errno, "cannot remove pack %s", name);
  return 0;
}
