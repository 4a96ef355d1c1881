/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * index.h - what the walk saw last time: a cache of stat data and digests, directory by directory.
 *
 * Disposable: without it everything is looked at and read again, and nothing else is lost.  It is
 * bound to the chain's head, and to a digest of the rules and plug-ins (the scope).  Where either
 * differs it serves as a cache of digests alone.  And it is of one root: of another one it says
 * what the checkpoint knows, not what is there.  The file is mapped, and what did not change is
 * compared where it lies.  During a walk digests also go to `index.new`, so that after a kill
 * nothing already hashed is hashed again; entries read from there are "fresh": indexed after the
 * last committed checkpoint, and must be looked at (rule (b)).
 *
 * A directory is known by its position (in walk order: its subtree is the run behind it).  Position
 * 0 is no directory: its records are the roots, named by their whole paths.
 *
 * Threads: while a walk runs, any may read; st_index_replace and what is done to a new directory
 * are for the one thread that has that directory at hand; everything else is for one thread.
 */
#ifndef ST_SCAN_INDEX_H
#define ST_SCAN_INDEX_H

#include "systracker/base/digest.h"
#include "systracker/base/meta.h"

enum st_index_entry_flags {
  ST_INDEX_HAS_DIGEST = 1,
  ST_INDEX_HAS_OBJECT = 2, /* its content was put in the store under that digest */
  ST_INDEX_UNSETTLED = 4,  /* its times were not older than the clock at the scan's start, or it was
                            * not seen as a whole: read, or listed, again */
  ST_INDEX_FRESH = 8,      /* set on reading: from a scan that was not committed */
  ST_INDEX_KEYED = 16,     /* the digest is that of a secret */
  ST_INDEX_ENTERED = 32,   /* a directory of which the index knows what is in it */
  ST_INDEX_PASSED = 64,    /* a directory that nobody tracks, though something below it may be */
  ST_INDEX_PLAIN = 128,    /* it was looked at, and has nothing but what stat says (metadata.h) */
};

struct st_index_entry {
  struct st_meta meta; /* links, mount_id, blocks and device are not kept */
  struct st_id digest; /* of a regular file's content; of a symlink's target */
  unsigned wanted;     /* enum st_want: what was asked when it was read */
  unsigned flags;
  uint32_t links; /* digest of what links.h said of it; 0: alone */
};

/* One entry as it is on disk: little-endian; 64 bytes. */
struct st_index_record {
  uint64_t inode;
  uint64_t size; /* of devices: their number, which have no size */
  uint64_t mtime, ctime;
  uint32_t mtime_nsec, ctime_nsec;
  uint32_t uid, gid;
  uint32_t name;   /* where in the directory's names; it ends with a NUL */
  uint32_t digest; /* which of the directory's digests */
  uint32_t links;
  uint16_t mode; /* with the type, as stat(2) has it */
  uint8_t flags; /* but ST_INDEX_FRESH */
  uint8_t wanted;
};

#define ST_INDEX_NONE UINT32_MAX /* no such position, record or digest */

/* A directory as the index has it; borrowed from it. */
struct st_index_dir {
  const struct st_index_record *records; /* by the bytes of their names */
  const char *names;
  uint32_t count;
  uint32_t ndigests;
  uint32_t generated; /* names that were left out as generated */
  uint32_t position;
  uint32_t subtree; /* directories at and below it: the next one beside it is so much further */
  const uint8_t *digests;
  uint32_t digests_crc;
};

/* What became of a directory that a record has: what is at a position before, or a new one. */
struct st_index_link {
  uint32_t position;
  struct st_index_new *fresh; /* goes before the position */
};

/* A directory as this walk saw it. */
struct st_index_new {
  struct st_index_record *records;
  uint32_t count, size;
  struct st_buffer names;
  uint8_t *digests;
  uint32_t ndigests, size_digests;
  struct st_index_link *links; /* one for each record with ST_INDEX_ENTERED, in their order */
  uint32_t nlinks, size_links;
  uint32_t generated;
  struct st_index_new *next; /* of all, to free them */
};

/* What plug-ins know their own state again by: a digest for each, zeros where there is none.  They
 * are bound to head and scope as all of the index is. */
#define ST_INDEX_MEMOS 32
struct st_index_memos {
  uint8_t digests[ST_INDEX_MEMOS][ST_DIGEST_SIZE];
};

struct st_index;

/* Loads `index` (and what a killed walk left in `index.new`) of the store's directory.  A missing,
 * foreign, newer or damaged one is empty, not an error.  Digests are checked when they are used. */
int st_index_open(struct st_index **ret, int store_dirfd, struct st_error *err);
void st_index_close(struct st_index *index);
ST_DEFINE_CLEANUP(struct st_index *, st_index_close)

/* Whether what it says may be trusted for skipping: same head, same scope, nothing fresh. */
bool st_index_is_current(const struct st_index *index, const uint8_t head[ST_DIGEST_SIZE],
                         const uint8_t scope[ST_DIGEST_SIZE]);
/* Of which root it is, as it was read, and to be set for the next one: a check sum of its path; 0:
 * that is not known. */
uint32_t *st_index_root(struct st_index *index);
/* As they were read, to be changed for the next one. */
struct st_index_memos *st_index_memos(struct st_index *index);
/* Entries that somebody tracks, and those that are fresh. */
size_t st_index_count(const struct st_index *index);

/* ---- As it was before this walk -------------------------------------------------------------- */

/* Position 0 is there unless the index is empty: false then. */
bool st_index_dir(const struct st_index *index, uint32_t position, struct st_index_dir *ret);
/* The record of that name, or ST_INDEX_NONE. */
uint32_t st_index_search(const struct st_index_dir *dir, const char *name);
const char *st_index_name(const struct st_index_dir *dir, uint32_t record);
/* Whether the stat data are those of the record (never the device number). */
bool st_index_same(const struct st_index_record *record, const struct st_meta *meta);
/* Whether all but inode and ctime are, and of a directory but what changes with what is in it. */
bool st_index_alike(const struct st_index_record *record, const struct st_meta *meta);
char st_index_type(const struct st_index_record *record);
/* A record in full, without its digest where those of the directory are damaged. */
void st_index_read(const struct st_index_dir *dir, uint32_t record, bool digests_good,
                   struct st_index_entry *ret);
bool st_index_digests_good(const struct st_index_dir *dir);
/* By its path; true: it is there.  Fresh ones go before the others.  `ret_position` (may be NULL):
 * of the directory that it is, else ST_INDEX_NONE. */
bool st_index_find(const struct st_index *index, const char *path, struct st_index_entry *ret,
                   uint32_t *ret_position);
/* The same, fresh ones alone: cheap where there are none. */
bool st_index_find_fresh(const struct st_index *index, const char *path,
                         struct st_index_entry *ret);

/* ---- The next one ---------------------------------------------------------------------------- */

/* Begins it.  `persist`: write `index.new` along (a checkpoint, not a status). */
int st_index_start(struct st_index *index, bool persist, struct st_error *err);
/* A new directory, empty; the index owns it once it was given to st_index_replace or st_index_own.
 */
struct st_index_new *st_index_new_dir(void);
/* A copy of the one at a position, with its links.  It has to be given to st_index_replace. */
struct st_index_new *st_index_copy(const struct st_index *index, uint32_t position);
const char *st_index_new_name(const struct st_index_new *dir, uint32_t record);
/* What st_index_entry.meta keeps of it. */
void st_index_new_meta(const struct st_index_new *dir, uint32_t record, struct st_meta *ret);
uint32_t st_index_new_search(const struct st_index_new *dir, const char *name);
/* Room for so many entries more, and the bytes of their names; more may be added. */
void st_index_reserve(struct st_index_new *dir, uint32_t count, size_t names);
/* Appends an entry; names have to come in the order of their bytes.  Returns its record. */
uint32_t st_index_add(struct st_index_new *dir, const char *name, size_t length,
                      const struct st_index_entry *entry);
/* Takes a record of an old directory over as it is.  `digests_good`: as st_index_digests_good. */
void st_index_take(struct st_index_new *dir, const struct st_index_dir *old, uint32_t record,
                   bool digests_good);
/* What became of the directory of the last record, which was entered. */
void st_index_add_link(struct st_index_new *dir, uint32_t position);
/* The entry as it was looked at; NULL: it vanished. */
void st_index_set(struct st_index_new *dir, uint32_t record, const struct st_index_entry *entry);
/* The directory at that position is now this one. */
void st_index_replace(struct st_index *index, uint32_t position, struct st_index_new *dir);
/* Owned and freed by the index; any thread. */
void st_index_own(struct st_index *index, struct st_index_new *dir);
/* What st_index_replace said of the position; NULL: it stays as it was. */
struct st_index_new *st_index_replaced(const struct st_index *index, uint32_t position);

/* Notes in index.new what was read. */
int st_index_log(struct st_index *index, const char *path, const struct st_index_entry *entry,
                 struct st_error *err);
/* Whether the next one has the path. */
bool st_index_was_put(const struct st_index *index, const char *path);
/* Writes all of the new one but what binds it, beside, so that this may be done by another thread
 * while the head is being made; nothing else is done to the index meanwhile.  It need not be
 * called.  The new one's memory is given back: behind it only st_index_commit, once, and closing it
 * are left. */
int st_index_prepare(struct st_index *index, struct st_error *err);
/* Replaces `index` by the new one, bound to this head and scope; removes `index.new`.  Where
 * nothing but the head changed, only the header is written.  Not synced: it is disposable, and what
 * a power cut leaves of it does not check. */
int st_index_commit(struct st_index *index, const uint8_t head[ST_DIGEST_SIZE],
                    const uint8_t scope[ST_DIGEST_SIZE], struct st_error *err);

#endif
