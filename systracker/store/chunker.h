/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chunker.h - where a large content is cut, so that what is the same in two of them is cut alike.
 *
 * FastCDC: a gear hash rolls over the bytes, and a cut is where enough of its bits are zero (W. Xia
 * et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage
 * Systems", IEEE TPDS 31(9), 2020).  Table, lengths and masks are part of the format: with others,
 * nothing would be found again of what was cut before.
 */
#ifndef ST_STORE_CHUNKER_H
#define ST_STORE_CHUNKER_H

#include <stddef.h>
#include <stdint.h>

#define ST_CHUNK_MIN (512U << 10)
#define ST_CHUNK_AVERAGE (1U << 20)
#define ST_CHUNK_MAX (4U << 20)
/* A content of fewer bytes is kept as one object: up to here deltas serve better. */
#define ST_CHUNK_FROM (4U << 20)

/* Length of the first chunk of some bytes: all that is left of the content, or ST_CHUNK_MAX of it
 * at least. */
size_t st_chunk_cut(const void *data, size_t length);

#endif
