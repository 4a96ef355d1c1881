/* SPDX-License-Identifier: GPL-2.0-or-later */
/* objectindex-internal.h - what the file of the index and its rows share. */
#ifndef ST_STORE_OBJECTINDEX_INTERNAL_H
#define ST_STORE_OBJECTINDEX_INTERNAL_H

#include "systracker/base/sqlite.h"
#include "systracker/store/objectindex.h"

struct st_set;

#define ST_OBJECT_INDEX_STATEMENTS 17

struct st_object_index {
  sqlite3 *db;
  struct st_sqlite_patience patience;
  sqlite3_stmt *statements[ST_OBJECT_INDEX_STATEMENTS];
  bool write;
  bool held;            /* a writer's view; see hold() */
  bool empty;           /* a writer's file has no object: it need not be asked */
  struct st_set *fresh; /* ids of all fresh rows, perhaps of some that went */
  int dirfd;            /* of packs/, borrowed; -1: in memory */
};

/* SQLite's last error, in words; -1.  A damaged file is not taken for a whole one next time. */
int st_object_index_fail(struct st_object_index *ix, struct st_error *err);
/* The file is damaged: why, and what comes of it; -1. */
int st_object_index_damaged(struct st_error *err, const char *why);
/* One or several statements that give no rows. */
int st_object_index_execute(struct st_object_index *ix, const char *text, struct st_error *err);

#endif
