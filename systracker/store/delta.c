/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/delta.h"

#include <string.h>
#include <zstd.h>

enum {
  LEVEL = 3,
  WINDOW_LOG_MIN = 10,
  WINDOW_LOG_MAX = 31,
  HEADER_SIZE = ST_ZSTD_FRONT, /* magic, descriptor, window */
};
#define SMALL (64U << 10)        /* new content and prefix together */
#define LONG_PREFIX (256U << 10) /* above this low levels miss most of a prefix */

/* Magic, and a descriptor that says: no checksum, content size or dictionary, not one segment. */
static const uint8_t front[5] = {0x28, 0xb5, 0x2f, 0xfd, 0};

struct st_zstd {
  ZSTD_CCtx *c;
  ZSTD_DCtx *d;
  struct st_buffer frame; /* one with its header */
};

unsigned st_delta_base_step(unsigned step)
{
  unsigned place = 1;
  while (step / place % 6 == 0)
    place *= 6;
  return step - place;
}

unsigned st_delta_depth(unsigned step)
{
  unsigned sum = 0;
  for (; step > 0; step /= 6)
    sum += step % 6;
  return sum;
}

struct st_zstd *st_zstd_new(void)
{
  struct st_zstd *z = st_calloc(1, sizeof *z);
  z->c = ZSTD_createCCtx();
  z->d = ZSTD_createDCtx();
  if (!z->c || !z->d)
    abort(); /* no memory, as in st_malloc */
  return z;
}

void st_zstd_free(struct st_zstd *z)
{
  ZSTD_freeCCtx(z->c);
  ZSTD_freeDCtx(z->d);
  st_buffer_free(&z->frame);
  free(z);
}

/* A window that reaches from the end of the content to the start of its prefix. */
static int window_log(uint64_t bytes)
{
  int log = WINDOW_LOG_MIN;
  while (log < WINDOW_LOG_MAX && (1ULL << log) < bytes)
    log++;
  return log;
}

/* Of small deltas the best way through all matches is looked for, which makes them a fifth shorter;
 * but of each place few: 1 % longer than level 19 makes them, in a third of its time. */
static void set_small(ZSTD_CCtx *c, int log)
{
  ZSTD_CCtx_setParameter(c, ZSTD_c_strategy, ZSTD_btopt);
  ZSTD_CCtx_setParameter(c, ZSTD_c_hashLog, log);
  ZSTD_CCtx_setParameter(c, ZSTD_c_chainLog, log);
  ZSTD_CCtx_setParameter(c, ZSTD_c_searchLog, 1);
  ZSTD_CCtx_setParameter(c, ZSTD_c_minMatch, 3);
  ZSTD_CCtx_setParameter(c, ZSTD_c_targetLength, 16);
}

static void set_prefix(ZSTD_CCtx *c, size_t length, const struct st_buffer *prefix)
{
  uint64_t both = (uint64_t)length + prefix->length;
  int log = window_log(both);
  ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, log);
  if (both <= SMALL)
    set_small(c, log);
  if (prefix->length > LONG_PREFIX)
    ZSTD_CCtx_setParameter(c, ZSTD_c_enableLongDistanceMatching, 1);
  ZSTD_CCtx_refPrefix(c, prefix->data, prefix->length);
}

int st_zstd_encode(struct st_zstd *z, const void *data, size_t length,
                   const struct st_buffer *prefix, struct st_buffer *out, struct st_error *err)
{
  ZSTD_CCtx_reset(z->c, ZSTD_reset_session_and_parameters);
  ZSTD_CCtx_setParameter(z->c, ZSTD_c_compressionLevel, LEVEL);
  ZSTD_CCtx_setParameter(z->c, ZSTD_c_checksumFlag, 0);
  ZSTD_CCtx_setParameter(z->c, ZSTD_c_contentSizeFlag, 0);
  ZSTD_CCtx_setParameter(z->c, ZSTD_c_dictIDFlag, 0);
  if (prefix)
    set_prefix(z->c, length, prefix);
  size_t room = ZSTD_compressBound(length);
  st_buffer_clear(&z->frame);
  st_buffer_reserve(&z->frame, room);
  size_t n = ZSTD_compress2(z->c, z->frame.data, room, data, length);
  if (ZSTD_isError(n))
    return st_fail(err, 0, "cannot compress: %s", ZSTD_getErrorName(n));
  if (n < HEADER_SIZE || memcmp(z->frame.data, front, sizeof front) != 0)
    return st_fail(err, 0, "cannot compress: the frame's header is another one than expected");
  st_buffer_append(out, z->frame.data + HEADER_SIZE, n - HEADER_SIZE);
  return 0;
}

/* The frame's header again (RFC 8878, 3.1.1.1), with a window that holds all there is. */
static void put_header(char out[ST_ZSTD_FRONT], uint64_t bytes)
{
  memcpy(out, front, sizeof front);
  out[sizeof front] = (char)((window_log(bytes) - WINDOW_LOG_MIN) << 3);
}

/* `frame` has room for its header at the front. */
static int decode(struct st_zstd *z, char *frame, size_t length, const struct st_buffer *prefix,
                  size_t raw, struct st_buffer *out, struct st_error *err)
{
  put_header(frame, raw + (prefix ? prefix->length : 0));
  ZSTD_DCtx_reset(z->d, ZSTD_reset_session_and_parameters);
  /* One call into a buffer of the right size: no window is allocated, whatever the frame says. */
  ZSTD_DCtx_setParameter(z->d, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
  if (prefix)
    ZSTD_DCtx_refPrefix(z->d, prefix->data, prefix->length);
  st_buffer_reserve(out, raw);
  size_t n = ZSTD_decompressDCtx(z->d, out->data + out->length, raw, frame, length);
  if (ZSTD_isError(n))
    return st_fail(err, 0, "cannot decompress: %s", ZSTD_getErrorName(n));
  if (n != raw)
    return st_fail(err, 0, "cannot decompress: %zu bytes where %zu were expected", n, raw);
  out->length += raw;
  out->data[out->length] = 0;
  return 0;
}

int st_zstd_decode(struct st_zstd *z, const void *blocks, size_t length,
                   const struct st_buffer *prefix, size_t raw, struct st_buffer *out,
                   struct st_error *err)
{
  static const char room[ST_ZSTD_FRONT];
  st_buffer_clear(&z->frame);
  st_buffer_append(&z->frame, room, sizeof room);
  st_buffer_append(&z->frame, blocks, length);
  return decode(z, z->frame.data, z->frame.length, prefix, raw, out, err);
}

int st_zstd_decode_there(struct st_zstd *z, char *blocks, size_t length, size_t raw,
                         struct st_buffer *out, struct st_error *err)
{
  return decode(z, blocks - ST_ZSTD_FRONT, length + ST_ZSTD_FRONT, NULL, raw, out, err);
}
