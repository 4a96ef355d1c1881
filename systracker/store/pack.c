/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/pack.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define HEADER_SIZE 32
#define WINDOW (1U << 20)
/* Bytes of false records that one scan checks before it gives the rest of the pack up: heads that
 * somebody put into his file on purpose must not make it endless. */
#define WORK_MAX (16ULL << 30)

static const char magic[8] = "STpack\r\n";

static void put_u32(uint8_t *out, uint32_t n)
{
  for (int i = 0; i < 4; i++)
    out[i] = (uint8_t)(n >> (8 * i));
}

static uint32_t get_u32(const uint8_t *in)
{
  return in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

void st_pack_name(char out[ST_PACK_NAME_SIZE], uint32_t number)
{
  snprintf(out, ST_PACK_NAME_SIZE, "%08u.pack", number);
}

uint32_t st_pack_number(const char *name)
{
  uint32_t n = 0;
  for (int i = 0; i < 8; i++) {
    if (name[i] < '0' || name[i] > '9')
      return 0;
    n = n * 10 + (uint32_t)(name[i] - '0');
  }
  return strcmp(name + 8, ".pack") == 0 ? n : 0;
}

static struct st_pack *new_pack(uint32_t number)
{
  struct st_pack *pack = st_calloc(1, sizeof *pack);
  pack->number = number;
  pack->fd = -1;
  st_pack_name(pack->name, number);
  return pack;
}

void st_pack_close(struct st_pack *pack)
{
  st_cleanup_close(&pack->fd);
  free(pack);
}

int st_pack_refresh(struct st_pack *pack, struct st_error *err)
{
  struct stat st;
  if (fstat(pack->fd, &st) < 0)
    return st_fail(err, errno, "cannot look at pack %s", pack->name);
  pack->size = (uint64_t)st.st_size;
  return 0;
}

void st_pack_identify(struct st_pack *pack, const uint8_t identity[ST_PACK_IDENTITY_SIZE])
{
  memmove(pack->identity, identity, ST_PACK_IDENTITY_SIZE);
  pack->seed = st_crc32c(0, identity, ST_PACK_IDENTITY_SIZE);
  pack->provable = true;
}

/* Version 0 stands for a copy of the header that is damaged. */
static uint32_t header_version(const uint8_t *header)
{
  if (memcmp(header, magic, sizeof magic) != 0 ||
      st_crc32c(0, header, HEADER_SIZE - 4) != get_u32(header + HEADER_SIZE - 4))
    return 0;
  return get_u32(header + 8);
}

static int read_header(struct st_pack *pack, struct st_error *err)
{
  uint8_t both[ST_PACK_HEADER_SIZE];
  if (pack->size < sizeof both) {
    pack->flawed = true;
    return 0;
  }
  if (st_pread_all(pack->fd, both, sizeof both, 0, err) < 0)
    return st_wrap(err, "cannot read pack %s", pack->name);
  for (const uint8_t *h = both; h < both + sizeof both; h += HEADER_SIZE) {
    uint32_t version = header_version(h);
    if (version > ST_PACK_VERSION)
      return st_fail(err, 0, "pack %s has format %u: a newer version of SysTracker wrote it",
                     pack->name, version);
    if (version > 0 && !pack->provable) {
      st_pack_identify(pack, h + 12);
      pack->version = version;
    }
    pack->flawed |= version == 0;
  }
  return 0;
}

int st_pack_open(struct st_pack **ret, int dirfd, uint32_t number, bool write, struct st_error *err)
{
  ST_CLEANUP(st_pack_closep) struct st_pack *pack = new_pack(number);
  pack->fd = openat(dirfd, pack->name, (write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC);
  if (pack->fd < 0) {
    int code = errno;
    st_fail(err, code == ENOENT ? 0 : code, "pack %s %s", pack->name,
            code == ENOENT ? "is missing" : "cannot be opened");
    return code == ENOENT ? -ENOENT : -1;
  }
  if (st_pack_refresh(pack, err) < 0 || read_header(pack, err) < 0)
    return -1;
  *ret = st_steal(&pack);
  return 0;
}

static int write_header(struct st_pack *pack, struct st_error *err)
{
  uint8_t both[ST_PACK_HEADER_SIZE];
  if (st_random(pack->identity, sizeof pack->identity, err) < 0)
    return -1;
  st_pack_identify(pack, pack->identity);
  memcpy(both, magic, sizeof magic);
  put_u32(both + 8, ST_PACK_VERSION);
  pack->version = ST_PACK_VERSION;
  memcpy(both + 12, pack->identity, ST_PACK_IDENTITY_SIZE);
  put_u32(both + HEADER_SIZE - 4, st_crc32c(0, both, HEADER_SIZE - 4));
  memcpy(both + HEADER_SIZE, both, HEADER_SIZE);
  if (st_write_all(pack->fd, both, sizeof both, err) < 0)
    return -1;
  if (fdatasync(pack->fd) < 0)
    return st_fail(err, errno, "cannot sync it");
  pack->size = sizeof both;
  return 0;
}

int st_pack_create(struct st_pack **ret, int dirfd, uint32_t number, struct st_error *err)
{
  ST_CLEANUP(st_pack_closep) struct st_pack *pack = new_pack(number);
  pack->fd = openat(dirfd, pack->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (pack->fd < 0)
    return st_fail(err, errno, "cannot make pack %s", pack->name);
  if (write_header(pack, err) < 0) {
    unlinkat(dirfd, pack->name, 0);
    return st_wrap(err, "cannot write pack %s", pack->name);
  }
  if (fsync(dirfd) < 0)
    return st_fail(err, errno, "cannot sync the folder of pack %s", pack->name);
  *ret = st_steal(&pack);
  return 0;
}

uint32_t st_pack_crc(const struct st_pack *pack, const void *data, size_t length)
{
  return st_crc32c(pack->seed, data, length);
}

int st_pack_prove(const struct st_pack *pack, const void *data, size_t length,
                  struct st_record *ret, struct st_error *err)
{
  if (st_record_decode(data, length, ret) <= 0 || st_record_size(ret) != length)
    return st_fail(err, 0, "no record is there");
  size_t body = length - ST_RECORD_CRC_SIZE;
  if (st_pack_crc(pack, data, body) != get_u32((const uint8_t *)data + body))
    return st_fail(err, 0, "its checksum is wrong");
  return 0;
}

int st_pack_read(struct st_pack *pack, uint64_t offset, uint64_t stored, struct st_buffer *out,
                 struct st_error *err)
{
  uint8_t head[ST_RECORD_HEAD_MAX];
  if (offset >= pack->size)
    return st_fail(err, 0, "the pack ends before it");
  uint64_t left = pack->size - offset;
  size_t n = left < sizeof head ? (size_t)left : sizeof head;
  if (st_pread_all(pack->fd, head, n, (off_t)offset, err) < 0)
    return -1;
  struct st_record record;
  if (st_record_decode(head, n, &record) <= 0)
    return st_fail(err, 0, "no record is there");
  if (record.stored != stored)
    return st_fail(err, 0, "another record is there");
  uint64_t size = st_record_size(&record);
  if (size > left)
    return st_fail(err, 0, "the pack ends within it");
  st_buffer_reserve(out, size);
  if (st_pread_all(pack->fd, out->data + out->length, size, (off_t)offset, err) < 0)
    return -1;
  out->length += size;
  out->data[out->length] = 0;
  return 0;
}

/* ---- Scanning ---------------------------------------------------------------------------- */

struct scan {
  struct st_pack *pack;
  uint64_t end;    /* of the file */
  uint8_t *window; /* WINDOW bytes, of which `have` were read from `at` */
  uint64_t at;
  size_t have;
  uint64_t work;
};

/* As many of `want` bytes (at most WINDOW) as the file has at an offset below its end. */
static int look(struct scan *s, uint64_t offset, size_t want, const uint8_t **ret, size_t *ret_n,
                struct st_error *err)
{
  if (want > s->end - offset)
    want = (size_t)(s->end - offset);
  if (offset < s->at || offset + want > s->at + s->have) {
    uint64_t n = s->end - offset < WINDOW ? s->end - offset : WINDOW;
    if (st_pread_all(s->pack->fd, s->window, n, (off_t)offset, err) < 0)
      return st_wrap(err, "cannot read pack %s", s->pack->name);
    s->at = offset;
    s->have = n;
  }
  *ret = s->window + (offset - s->at);
  *ret_n = want;
  return 0;
}

/* Whether the CRC is right of a record that lies wholly in the file: 1, 0. */
static int check_crc(struct scan *s, uint64_t offset, uint64_t size, struct st_error *err)
{
  const uint8_t *data;
  size_t n;
  uint64_t left = size - ST_RECORD_CRC_SIZE;
  uint32_t crc = s->pack->seed;
  for (; left > 0; left -= n, offset += n) {
    if (look(s, offset, left < WINDOW ? left : WINDOW, &data, &n, err) < 0)
      return -1;
    crc = st_crc32c(crc, data, n);
  }
  if (look(s, offset, ST_RECORD_CRC_SIZE, &data, &n, err) < 0)
    return -1;
  return get_u32(data) == crc;
}

/* 1: a record is at the offset; 0: none; `*torn` when it would go beyond the end. */
static int try_record(struct scan *s, uint64_t offset, struct st_record *ret, bool *torn,
                      struct st_error *err)
{
  const uint8_t *data;
  size_t n;
  if (look(s, offset, ST_RECORD_HEAD_MAX, &data, &n, err) < 0)
    return -1;
  int head = st_record_decode(data, n, ret);
  uint64_t size = head > 0 ? st_record_size(ret) : 0;
  *torn = head == 0 || size > s->end - offset;
  if (head <= 0 || *torn || !s->pack->provable || s->work > WORK_MAX)
    return 0;
  int r = check_crc(s, offset, size, err);
  if (r == 0)
    s->work += size;
  return r;
}

/* The next place after the offset where a record may begin, or the end. */
static int next_magic(struct scan *s, uint64_t offset, uint64_t *ret, struct st_error *err)
{
  const uint8_t *data;
  size_t n;
  for (offset++; offset < s->end; offset += n) {
    if (look(s, offset, 4096, &data, &n, err) < 0)
      return -1;
    const uint8_t *hit = memchr(data, 'S', n);
    if (hit) {
      *ret = offset + (uint64_t)(hit - data);
      return 0;
    }
  }
  *ret = s->end;
  return 0;
}

static int visit_all(struct scan *s, uint64_t at, const struct st_pack_visitor *visitor,
                     struct st_error *err)
{
  uint64_t gap = 0; /* where one began; no record is at 0 */
  bool gap_torn = false;
  while (at < s->end) {
    struct st_record record;
    bool torn;
    int r = try_record(s, at, &record, &torn, err);
    if (r < 0)
      return r;
    if (r == 0) {
      if (!gap) {
        gap = at;
        gap_torn = torn;
      }
      if (next_magic(s, at, &at, err) < 0)
        return -1;
      continue;
    }
    if (gap && visitor->gap(visitor->arg, gap, at, false, err) < 0)
      return -1;
    gap = 0;
    if (visitor->record(visitor->arg, &record, at, err) < 0)
      return -1;
    at += st_record_size(&record);
  }
  return gap ? visitor->gap(visitor->arg, gap, s->end, gap_torn, err) : 0;
}

int st_pack_scan(struct st_pack *pack, uint64_t from, const struct st_pack_visitor *visitor,
                 struct st_error *err)
{
  if (st_pack_refresh(pack, err) < 0)
    return -1;
  ST_AUTO_FREE uint8_t *window = st_malloc(WINDOW);
  struct scan s = {.pack = pack, .end = pack->size, .window = window};
  if (from < ST_PACK_HEADER_SIZE)
    from = ST_PACK_HEADER_SIZE;
  return visit_all(&s, from, visitor, err);
}
