/* SPDX-License-Identifier: GPL-2.0-or-later */
/* readfile.h - one regular file read once for all: digest, and content where it is wanted. */
#ifndef ST_SCAN_READFILE_H
#define ST_SCAN_READFILE_H

#include "systracker/base/hashes.h"
#include "systracker/base/keys.h"
#include "systracker/base/meta.h"
#include "systracker/scan/metadata.h"
#include "systracker/scan/walk.h"

enum st_read_result {
  ST_READ_DONE,
  ST_READ_VANISHED,   /* it is not there any more, or no regular file */
  ST_READ_UNREADABLE, /* `why` says it */
  ST_READ_HELD,       /* done but for `digest`, and what follows from it: see st_reader_hash */
};

#define ST_READ_MOST_HELD 240                /* files */
#define ST_READ_SMALL ((uint64_t)1 << 20)    /* bytes of the longest file that is held */
#define ST_READ_MOST_BYTES ((size_t)4 << 20) /* of all of them */

/* What one thread reads with; used again and again.  Zeros at first.  Small files without a key are
 * held, one behind the other, to be hashed at once. */
struct st_reader {
  char *piece;
  struct st_buffer content;
  struct st_digester *digester; /* without a key */
  struct st_hashes *hashes;
  char *held;
  size_t used, count; /* bytes and files held */
  struct st_hash contents[ST_READ_MOST_HELD];
  struct st_file_read *reads[ST_READ_MOST_HELD];
};
void st_reader_free(struct st_reader *reader);
/* Whether to hash what is held before the next file is read, for which there may be no room. */
bool st_reader_is_full(const struct st_reader *reader);

/* From here on content is not held in memory as a whole, where there is somebody to take it. */
#define ST_READ_LARGE ((uint64_t)4 << 20)

struct st_file_read {
  const uint8_t *key;    /* of a secret's digest, else NULL */
  bool content;          /* wanted */
  struct st_meta meta;   /* in: as it was seen; out: as it was when read */
  struct st_id digest;   /* out */
  struct st_buffer data; /* out, when wanted: lent by the reader until it reads the next one; empty
                          * where `large` took it */
  /* Reads a large content from its beginning, and gives it its id.  1: it does not want it; it is
   * called again where the file changed meanwhile.  May be NULL. */
  int (*large)(void *arg, int fd, struct st_file_read *read);
  /* Whether the content is of use, now that `digest` is known; where not, there is no `data`, and
   * `needless` is set.  NULL: it is. */
  bool (*needed)(void *arg, const struct st_file_read *read);
  void *arg;
  bool needless; /* out */
  bool held;     /* out: ST_READ_HELD was returned, or will be */
  /* Read from the same descriptor, where that is not NULL. */
  struct st_metadata *metadata;
  struct st_xattr_options xattrs;
  char why[128];
};

/* Reads it; what changes while it is read is read again, three times at most. */
enum st_read_result st_file_read(struct st_file_read *read, struct st_reader *reader, int dirfd,
                                 const char *name);

/* Opens a regular file for reading; what was one may be something else by now.  -errno. */
int st_file_open(int dirfd, const char *name);
/* Whether the content has not changed between the two. */
bool st_file_is_same(const struct st_meta *a, const struct st_meta *b);

/* Hashes the files that are held, and calls fn for each, in the order in which they were read: with
 * `digest`, `needless` and, until the next file is read, `data`. */
void st_reader_hash(struct st_reader *reader, void (*fn)(void *arg, struct st_file_read *read),
                    void *arg);

#endif
