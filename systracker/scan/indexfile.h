/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * indexfile.h - the index on disk.  Little-endian throughout; 8-byte alignment.
 *
 *   index      header, blocks, digests, table
 *   header     "STIX", version u32 = 5, head [32], scope [32], memos [32][32], directories u64,
 * offset of the digests u64, of the table u64, length of the file u64, CRC-32C of the blocks u32,
 * of the table u32, of the header but itself u32, root u32 block      one directory: records
 * (struct st_index_record), then their names, each with a NUL, then zeros up to 8 bytes digests one
 * directory's: 32 bytes each table      a row for each directory, in walk order; a directory's
 * subtree is the run behind it: offset of its block u64, of its digests u64, records u32, bytes of
 * names u32, digests u32, directories at and below it u32, names left out as generated u32, CRC-32C
 * of its digests u32 index.new  "STIN", version u32 = 5, then for each entry its length u32,
 * CRC-32C u32, and: record, whose name says how many bytes of the path are as in the entry before,
 * digest [32], and the rest of the path.  In version 4 each path is whole.
 *
 * Readers take nothing on trust: what does not check is no index.  Digests are checked for
 * themselves, directory by directory, when they are used.
 */
#ifndef ST_SCAN_INDEXFILE_H
#define ST_SCAN_INDEXFILE_H

#include "systracker/scan/index.h"

struct st_index_row {
  uint64_t block, digests;
  uint32_t count, names, ndigests, subtree, generated, digests_crc;
};

struct st_index_file {
  const uint8_t *data; /* mapped; NULL: there is none */
  size_t length;
  const struct st_index_row *rows; /* in `data` */
  uint32_t ndirs;
  uint8_t head[ST_DIGEST_SIZE], scope[ST_DIGEST_SIZE];
  uint32_t root; /* 0: not known */
  struct st_index_memos memos;
};

/* What it is bound to, and says besides of all. */
struct st_index_binding {
  const uint8_t *head, *scope; /* ST_DIGEST_SIZE */
  uint32_t root;
  const struct st_index_memos *memos;
};

/* Maps and checks it; what is not right is none. */
void st_index_file_open(struct st_index_file *file, int dir);
void st_index_file_close(struct st_index_file *file);
void st_index_file_dir(const struct st_index_file *file, uint32_t position,
                       struct st_index_dir *ret);
int st_index_file_rebind(int dir, const struct st_index_binding *binding, struct st_error *err);

void st_index_pack(struct st_index_record *record, const struct st_index_entry *entry);
void st_index_unpack(const struct st_index_record *record, struct st_index_entry *ret);

/* Writing one: all blocks, then all digests, each directory in the same order; then the end. */
struct st_index_writer {
  int dir, fd;
  struct st_buffer pending;
  uint64_t at;           /* bytes written or pending */
  uint64_t digests;      /* where they begin */
  uint32_t crc;          /* of the blocks */
  struct st_buffer rows; /* struct st_index_row */
};
int st_index_writer_open(struct st_index_writer *w, int dir, struct st_error *err);
void st_index_writer_close(struct st_index_writer *w);
int st_index_writer_append(struct st_index_writer *w, const void *data, size_t length,
                           struct st_error *err);
int st_index_writer_finish(struct st_index_writer *w, const struct st_index_binding *binding,
                           struct st_error *err);

/* The log of a scan: opened for appending behind what is whole of it; written in batches, or at
 * once. */
struct st_index_log {
  int fd;                   /* index.new, -1: not opened yet */
  struct st_buffer pending; /* to be written */
  struct st_buffer last;    /* the path of the entry before, since it was opened */
};
int st_index_log_open(struct st_index_log *log, int dir, struct st_error *err);
void st_index_log_close(struct st_index_log *log);
int st_index_log_append(struct st_index_log *log, const char *path,
                        const struct st_index_entry *entry, bool now, struct st_error *err);
/* Calls fn for what is whole of it. */
void st_index_log_read(int dir,
                       void (*fn)(void *arg, const char *path, const struct st_index_entry *entry),
                       void *arg);
void st_index_log_remove(int dir);

#endif
