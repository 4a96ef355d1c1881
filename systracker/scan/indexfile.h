/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * indexfile.h - the index on disk.  Little-endian throughout.
 *
 *   index      header: "STIX", version u32 = 2, head [32], scope [32], count u64, body length u64,
 *              CRC-32C of the body u32, CRC-32C of the header before it u32; then the body: records
 *   index.new  "STIN", version u32 = 2, then for each record its length u32, CRC-32C u32, record
 *   record     shared u32 (bytes in common with the path before; 0 in index.new), rest u32,
 *              type u8, flags u8, wanted u8, keyed u8, mode u32, uid u32, gid u32,
 *              mtime_nsec u32, ctime_nsec u32, size u64, mtime i64, ctime i64, rdev u64, inode u64,
 *              links u32, digest [32] if the flag says so, rest of the path
 *
 * Readers take nothing on trust: what does not check is no index.
 */
#ifndef ST_SCAN_INDEXFILE_H
#define ST_SCAN_INDEXFILE_H

#include "systracker/scan/index.h"

struct st_index_item {
  struct st_index_entry entry;
  size_t order; /* in which it was added, while sorting */
  bool shared;  /* stands in `before` and `after`: freed with the former */
  bool seen;    /* of `before`: this walk put or kept it */
  char path[];
};

struct st_index_items {
  struct st_index_item **items;
  size_t count, size;
};

int st_index_compare(const char *a, const char *b); /* '/' below every other byte */
struct st_index_item *st_index_item_new(const char *path, const struct st_index_entry *entry);
void st_index_items_add(struct st_index_items *items, struct st_index_item *item);

/* Adds what the files hold; a file that is not right adds nothing (a log: what is whole of it). */
void st_index_read(int dir, struct st_index_items *items, uint8_t head[ST_DIGEST_SIZE],
                   uint8_t scope[ST_DIGEST_SIZE]);
void st_index_read_log(int dir, struct st_index_items *items);

int st_index_write(int dir, const struct st_index_items *items, const uint8_t head[ST_DIGEST_SIZE],
                   const uint8_t scope[ST_DIGEST_SIZE], struct st_error *err);
int st_index_rewrite_header(int dir, const uint8_t head[ST_DIGEST_SIZE],
                            const uint8_t scope[ST_DIGEST_SIZE], struct st_error *err);

/* The log of a scan: opened for appending behind what is whole of it; written in batches. */
int st_index_open_log(int dir, struct st_error *err);
int st_index_log(int fd, struct st_buffer *pending, const char *path,
                 const struct st_index_entry *entry, struct st_error *err);
void st_index_remove_log(int dir);

#endif
