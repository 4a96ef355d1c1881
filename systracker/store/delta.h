/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * delta.h - content as a zstd frame (RFC 8878), by itself or with an earlier revision as prefix;
 * and which revision that is.
 *
 * Skip steps: revisions of a path are numbered in a series, 0 (kept whole) to 215.  The base of
 * step n is n - 6^i, where i is the place of the lowest digit of n, written in base 6, that is not
 * zero.  So the base of a step lies on the chain of the step before it, and a chain is as long as
 * the sum of the digits: at most 15.
 */
#ifndef ST_STORE_DELTA_H
#define ST_STORE_DELTA_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

#define ST_DELTA_STEPS 216
#define ST_DELTA_DEPTH_MAX 15

/* The base of a step, 1 to 215. */
unsigned st_delta_base_step(unsigned step);
/* Deltas to decode for a step. */
unsigned st_delta_depth(unsigned step);

/* Compressing and decompressing, with what is worth keeping between calls. */
struct st_zstd;
struct st_zstd *st_zstd_new(void);
void st_zstd_free(struct st_zstd *z);
ST_DEFINE_CLEANUP(struct st_zstd *, st_zstd_free)

/* Appends the blocks of a frame, without its header (pack.h); `prefix` may be NULL. */
int st_zstd_encode(struct st_zstd *z, const void *data, size_t length,
                   const struct st_buffer *prefix, struct st_buffer *out, struct st_error *err);

/* Appends what such blocks decode to: exactly `raw` bytes, or it is an error. */
int st_zstd_decode(struct st_zstd *z, const void *blocks, size_t length,
                   const struct st_buffer *prefix, size_t raw, struct st_buffer *out,
                   struct st_error *err);
/* The same without prefix or a copy of the blocks: the ST_ZSTD_FRONT bytes before them are written
 * to. */
#define ST_ZSTD_FRONT 6
int st_zstd_decode_there(struct st_zstd *z, char *blocks, size_t length, size_t raw,
                         struct st_buffer *out, struct st_error *err);

#endif
