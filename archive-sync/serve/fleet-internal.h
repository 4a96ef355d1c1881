/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fleet-internal.h - what the files of fleet.h share. */
#ifndef ARCHIVE_SYNC_SERVE_FLEET_INTERNAL_H
#define ARCHIVE_SYNC_SERVE_FLEET_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>

#include "archive-sync/serve/fleet.h"
#include "systracker/base/buffer.h"
#include "systracker/base/set.h"

#define ST_FLEET_FILE "fleet.db"
#define ST_FLEET_APPLICATION 0x53794665 /* "SyFe" */
#define ST_FLEET_SCHEMA 1
#define ST_FLEET_NIGHTS 30
#define ST_FLEET_KEY_SIZE (ST_HOST_ID_SIZE + 32) /* "ID" or "ID/epoch-N" */
#define ST_FLEET_ID_SIZE 33                      /* of an object: 1 for a keyed one, its digest */
#define ST_FLEET_NUMBER_BITS 24                  /* of a row of `named`: host << 24 | number */

/* What the row `host` has of one, in memory. */
struct st_fleet_entry {
  int64_t id; /* never used again for another state of the host */
  char key[ST_FLEET_KEY_SIZE];
  char *name; /* never NULL */
  struct st_fleet_head head;
  int64_t received, gaps, stamp, packages, deviations, files, bytes;
  bool incomplete;
  int64_t day;                      /* since 1970, of the last of `nights` */
  uint32_t nights[ST_FLEET_NIGHTS]; /* changes, the oldest first */

  /* Not in the file: */
  bool continued;                /* by another host */
  bool dirty;                    /* others do not see it yet */
  bool hidden;                   /* st_fleet_hide_secrets, since the server was started */
  bool lost;                     /* the file does not have all of it: it is learned anew */
  struct st_fleet_entry *epochs; /* of "ID": its older epochs, linked by this */
};

enum st_fleet_statement {
  ST_FLEET_TABLE_ADD,
  ST_FLEET_PATH_ID,
  ST_FLEET_PATH_ADD,
  ST_FLEET_FACT_GET,
  ST_FLEET_FACT_SET,
  ST_FLEET_PACKAGE_ID,
  ST_FLEET_PACKAGE_ADD,
  ST_FLEET_INSTALLED_GET,
  ST_FLEET_INSTALLED_SET,
  ST_FLEET_NAMED_ADD,
  ST_FLEET_HOST_ADD,
  ST_FLEET_HOST_SET,
  ST_FLEET_STATEMENTS
};

struct st_fleet_reader {
  sqlite3 *db;
  struct st_fleet_reader *next;
};

/* What is known of the objects of one host that was asked for lately, sorted. */
#define ST_FLEET_CACHED 64
struct st_fleet_names {
  char key[ST_FLEET_KEY_SIZE]; /* "": none */
  int64_t generation;
  uint64_t used;
  struct st_buffer ids;
};

struct st_fleet {
  struct st_archive *a; /* borrowed */
  int64_t silence;      /* seconds */
  bool beside;          /* of a program beside the server */
  bool damaged;         /* something failed: the file is read through when it is opened next */

  pthread_rwlock_t lock;         /* what is below, up to the next empty line */
  struct st_set *keys, *ids;     /* to index + 1 in `hosts`; 0: it is no more */
  struct st_fleet_entry **hosts; /* NULL: it is no more */
  size_t count, size;
  struct st_fleet_entry **dirty; /* what the open transaction changed */
  size_t ndirty, dirty_size;
  struct st_fleet_entry *orphans; /* epochs whose host is not known */

  pthread_mutex_t write; /* the connection that writes; comes before the others */
  sqlite3 *db;
  sqlite3_stmt *statements[ST_FLEET_STATEMENTS];
  bool open;              /* a transaction */
  bool forgot;            /* in it something went that others may have cached */
  struct st_set *tables;  /* names to bits */
  struct st_store *store; /* to read names of hosts; NULL: not open */

  pthread_mutex_t naming; /* st_fleet_names */
  sqlite3 *names_db;
  sqlite3_stmt *names, *generation;
  struct st_fleet_names cached[ST_FLEET_CACHED];
  uint64_t clock;

  pthread_mutex_t pool;
  struct st_fleet_reader *idle;
};

/* ---- SQLite (fleet-file.c) ---------------------------------------------------------------------
 */

static inline void st_fleet_finalizep(sqlite3_stmt **s)
{
  sqlite3_finalize(*s);
}
#define ST_AUTO_FLEET_STATEMENT ST_CLEANUP(st_fleet_finalizep) sqlite3_stmt

int st_fleet_fail(sqlite3 *db, struct st_error *err);
int st_fleet_exec(sqlite3 *db, const char *sql, struct st_error *err);
sqlite3_stmt *st_fleet_prepare(sqlite3 *db, const char *sql, struct st_error *err);
/* Of the writer; prepared once.  Reset by whoever stepped it. */
sqlite3_stmt *st_fleet_statement(struct st_fleet *f, enum st_fleet_statement which,
                                 struct st_error *err);
/* 1: a row; 0: there are no more. */
int st_fleet_step(sqlite3_stmt *s, struct st_error *err);
/* Steps a statement that yields nothing, and resets it. */
int st_fleet_run(sqlite3_stmt *s, struct st_error *err);
/* Opens the file, made anew where it is missing, damaged or of another version. */
int st_fleet_file_open(struct st_fleet *f, struct st_error *err);
/* The same beside a server that may run, which alone makes it anew: 1: there is none. */
int st_fleet_file_beside(struct st_fleet *f, struct st_error *err);
int st_fleet_file_reader(struct st_fleet *f, sqlite3 **ret, struct st_error *err);
void st_fleet_file_close(struct st_fleet *f);
/* A transaction of the writer. */
int st_fleet_begin(struct st_fleet *f, struct st_error *err);
/* SQLite rolled it back by itself, as on a full disk: whose hosts it had are learned anew with the
 * next that comes of them.  With `write` held. */
void st_fleet_lose(struct st_fleet *f);

/* A reader of one's own for a while; NULL: an error. */
struct st_fleet_reader *st_fleet_borrow(struct st_fleet *f, struct st_error *err);
void st_fleet_give_back(struct st_fleet *f, struct st_fleet_reader *r);

/* ---- Hosts in memory (fleet.c)
 * -------------------------------------------------------------------
 */

/* Under the lock; NULL: there is none. */
struct st_fleet_entry *st_fleet_find(struct st_fleet *f, const char *key);
struct st_fleet_entry *st_fleet_by_id(struct st_fleet *f, int64_t id);
/* Takes it over. */
void st_fleet_put(struct st_fleet *f, struct st_fleet_entry *e);
/* Takes it out; the caller's now. */
void st_fleet_drop(struct st_fleet *f, struct st_fleet_entry *e);
void st_fleet_entry_free(struct st_fleet_entry *e);
ST_DEFINE_CLEANUP(struct st_fleet_entry *, st_fleet_entry_free)
/* Notes what the open transaction changes; and forgets that. */
void st_fleet_mark(struct st_fleet *f, struct st_fleet_entry *e);
void st_fleet_unmark(struct st_fleet *f, struct st_fleet_entry *e);
int st_fleet_read_tables(struct st_fleet *f, struct st_error *err);
bool st_fleet_is_silent(const struct st_fleet *f, const struct st_fleet_entry *e, int64_t now);
/* Forgets what is known of a host's objects (fleet-names.c). */
void st_fleet_names_drop(struct st_fleet *f, const char *key);
void st_fleet_names_free(struct st_fleet *f);

/* After the prune of a catalog (fleet-prune.c): what only pruned checkpoints had goes. */
int st_fleet_learn_pruned(struct st_fleet *f, const struct st_fleet_entry *e, struct st_catalog *c,
                          struct st_error *err);
/* Forgets the digests of what is gone and what the host's latest rules call a secret; `host`: of
 * its entry (fleet-secret.c). */
int st_fleet_hide_secrets(struct st_fleet *f, int64_t host, struct st_catalog *c,
                          struct st_error *err);
/* Rows of hosts that are no more. */
int st_fleet_sweep(struct st_fleet *f, struct st_error *err);

#endif
