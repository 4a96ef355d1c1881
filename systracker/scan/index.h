/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * index.h - what the walk saw last time: a cache of stat data and digests.
 *
 * Disposable: without it everything is looked at and read again, and nothing else is lost.  It is
 * bound to the chain's head, and to a digest of the rules and plug-ins (the scope).  Where either
 * differs it serves as a cache of digests alone.  During a walk entries also go to `index.new`, so
 * that after a kill nothing already hashed is hashed again; they are then "fresh": indexed after
 * the last committed checkpoint, and must be looked at (rule (b)).
 */
#ifndef ST_SCAN_INDEX_H
#define ST_SCAN_INDEX_H

#include "systracker/base/digest.h"
#include "systracker/base/meta.h"

enum st_index_entry_flags {
  ST_INDEX_HAS_DIGEST = 1,
  ST_INDEX_HAS_OBJECT = 2, /* its content was put in the store under that digest */
  ST_INDEX_UNSETTLED =
      4,              /* its times were not older than the clock at the scan's start: read again */
  ST_INDEX_FRESH = 8, /* set on reading: from a scan that was not committed */
};

struct st_index_entry {
  struct st_meta meta; /* links, mount_id, blocks and device are not kept */
  struct st_id digest;
  unsigned wanted; /* enum st_want: what was asked when it was read */
  unsigned flags;
  uint32_t links; /* digest of what links.h said of it; 0: alone */
};

struct st_index;

/* Loads `index` (and what a killed walk left in `index.new`) of the store's directory.  A missing,
 * foreign, newer or damaged one is empty, not an error. */
int st_index_open(struct st_index **ret, int store_dirfd, struct st_error *err);
void st_index_close(struct st_index *index);
ST_DEFINE_CLEANUP(struct st_index *, st_index_close)

/* Whether what it says may be trusted for skipping: same head, same scope, nothing fresh. */
bool st_index_is_current(const struct st_index *index, const uint8_t head[ST_DIGEST_SIZE],
                         const uint8_t scope[ST_DIGEST_SIZE]);

/* As it was before this walk; NULL: not there. */
const struct st_index_entry *st_index_find(const struct st_index *index, const char *path);
size_t st_index_count(const struct st_index *index);

/* The paths of the entries directly in the directory as it was, in byte order of their names. */
int st_index_children(const struct st_index *index, const char *directory,
                      int (*fn)(void *arg, const char *path, const struct st_index_entry *entry),
                      void *arg);

/* Begins the next one.  `persist`: write `index.new` along (a checkpoint, not a status). */
int st_index_start(struct st_index *index, bool persist, struct st_error *err);
/* The entry as it is now; entries that are not put again are not in the next one. */
int st_index_put(struct st_index *index, const char *path, const struct st_index_entry *entry,
                 struct st_error *err);
/* Takes over everything at and below a path as it was, but what this walk has put already: it was
 * not observed. */
int st_index_keep_below(struct st_index *index, const char *path, struct st_error *err);
/* Calls fn for what was there before and was neither put nor kept since, topmost paths alone;
 * `partly`: something below was put or kept. */
int st_index_missing(const struct st_index *index,
                     int (*fn)(void *arg, const char *path, bool partly), void *arg);
/* Whether this walk put or kept the path. */
bool st_index_was_put(const struct st_index *index, const char *path);
/* Replaces `index` by the new one, bound to this head and scope; removes `index.new`.  Where
 * nothing but the head changed, only the header is written. */
int st_index_commit(struct st_index *index, const uint8_t head[ST_DIGEST_SIZE],
                    const uint8_t scope[ST_DIGEST_SIZE], struct st_error *err);

#endif
