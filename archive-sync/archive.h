/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * archive.h - an archive in a directory: a store of many hosts, without a key of its own.
 *
 * It is laid out as every store is, plus the file `archive` that marks it:
 *
 *   archive               "SysTracker archive 1\n"; lines "NAME VALUE" may follow (recipient, id)
 *   hosts/HOSTID/         catalog.db and chain of each host; key.age is for its sealed data key
 *   hosts/HOSTID/wanted   verify missed something there: its next sync sends what is missing again
 *   hosts/HOSTID/epoch-N/ the same as a host had sent them before it was set back
 *   packs/  packages/     one copy of each object and package file, whoever sent it
 *   lock                  one writer
 */
#ifndef ARCHIVE_SYNC_ARCHIVE_H
#define ARCHIVE_SYNC_ARCHIVE_H

#include "systracker/catalog/changeset.h"
#include "systracker/store/transfer.h"

#define ST_ARCHIVE_ID_SIZE 33 /* 32 hexadecimal digits at random, and a NUL */

struct st_archive {
  char *path;
  int dir;
  int lock;                     /* -1: not held */
  bool marked;                  /* false: a host's own store */
  char id[ST_ARCHIVE_ID_SIZE];  /* "": it has none yet (st_archive_need_id) */
  struct st_strings recipients; /* "age1...": who can open the hosts' data keys (recovery.h) */
  struct st_store *store;       /* NULL until it is opened; NULL after that: it has no objects */
};

/* file:///PATH or a path as a path; malloc'ed.  Any other scheme is refused. */
int st_archive_path(const char *url, char **ret, struct st_error *err);
/* Makes an archive of a folder that is not there or is empty; `recipient`: of its recovery key,
 * NULL: none. */
int st_archive_init(const char *path, const char *recipient, struct st_error *err);
/* Opens the folder and reads its mark.  `any_store`: a host's own store will do, to look at. */
int st_archive_open(struct st_archive **ret, const char *url, bool any_store, struct st_error *err);
void st_archive_close(struct st_archive *a);
ST_DEFINE_CLEANUP(struct st_archive *, st_archive_close)
#define ST_AUTO_ARCHIVE ST_CLEANUP(st_archive_closep) struct st_archive

/* Gives it an id where it has none, as archives of before servers have; 0 where it has. */
int st_archive_need_id(struct st_archive *a, struct st_error *err);

/* Takes the lock; waits at most so long for whoever has it, having said so on standard error. */
int st_archive_lock(struct st_archive *a, unsigned seconds, struct st_error *err);
void st_archive_unlock(struct st_archive *a);
/* Opens the objects; `keys` as in st_store_open. */
int st_archive_objects(struct st_archive *a, enum st_store_flags flags, const struct st_keys *keys,
                       struct st_error *err);
/* A host's catalog, its manifests read from the archive. */
int st_archive_catalog(struct st_archive *a, const char *host, enum st_catalog_flags flags,
                       struct st_catalog **ret, struct st_error *err);

/* ---- Recovery keys ----------------------------------------------------------------------------
 */

/* Whose keys open the hosts' data keys, as it is now. */
int st_archive_recipients(const struct st_archive *a, struct st_strings *ret, struct st_error *err);
/* Says it anew, in one step; with the lock held.  Hosts seal their data keys to them with their
 * next sync. */
int st_archive_set_recipients(struct st_archive *a, const struct st_strings *recipients,
                              struct st_error *err);
/* Whether the data key in a host's folder was sealed after the recipients were last said. */
bool st_archive_is_sealed(int host_dir, int archive_dir);

/* ---- Hosts ------------------------------------------------------------------------------------
 */

/* The hosts that have checkpoints there, by id. */
int st_archive_hosts(struct st_archive *a, struct st_strings *ret, struct st_error *err);
/* A host's older epochs, as numbers in text, ascending; the folder is hosts/ID/epoch-N. */
int st_archive_epochs(struct st_archive *a, const char *host, struct st_strings *ret,
                      struct st_error *err);
/* What tells one state of a host's catalog from another: made of its file's inode, size and time.
 * 0: there is none.  When a checkpoint came last (the chain grows with each, and with nothing
 * else), and bytes of both. */
int64_t st_archive_stamp(struct st_archive *a, const char *host, int64_t *ret_received,
                         int64_t *ret_bytes);
/* Whether something that the host's checkpoints need was found missing or damaged; and noting so.
 */
bool st_archive_is_wanted(struct st_archive *a, const char *host);
int st_archive_want(struct st_archive *a, const char *host, bool wanted, struct st_error *err);
/* What the latest checkpoint has as /etc/hostname: malloc'ed, NULL where it is not kept. */
char *st_archive_host_name(struct st_archive *a, const char *host);
/* "ID", the beginning of one (st_host_id_begins), a name, each with or without "/epoch-N"; as "ID"
 * or "ID/epoch-N". */
int st_archive_find_host(struct st_archive *a, const char *text, char **ret, struct st_error *err);

/* ---- Two catalogs of one host
 * -------------------------------------------------------------------- */

enum st_relation {
  ST_SAME,
  ST_BEHIND,   /* `to` lacks what comes after its head */
  ST_AHEAD,    /* `to` has more */
  ST_DIVERGED, /* each has a checkpoint of its own of the same number */
};
/* How `to` stands to `from`. */
int st_relate(struct st_catalog *from, struct st_catalog *to, enum st_relation *ret,
              struct st_error *err);

/* Puts a host's catalog and chain aside as hosts/ID/epoch-N, where they stay readable.  A kill
 * leaves what can be done again.  The catalog must not be open. */
int st_retire(int store_dirfd, const char *host, int64_t epoch, struct st_error *err);

#endif
