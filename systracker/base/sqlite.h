/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sqlite.h - SQLite as this program uses it. */
#ifndef ST_BASE_SQLITE_H
#define ST_BASE_SQLITE_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

/* sqlite3_open_v2, with no count of the memory that SQLite takes: nobody asks for it, and it costs
 * two mutexes a row.  Returns SQLite's code; `*ret` is to be closed in any case, and has the words
 * of what failed. */
int st_sqlite_open(const char *path, int flags, sqlite3 **ret);

/* Seconds that a writer waits for another program to let go of a file: long enough for whoever
 * copies or looks at it, short enough for the timer's next run. */
#define ST_SQLITE_PATIENCE 600

struct st_sqlite_patience {
  sqlite3 *db;
  unsigned seconds;
  int64_t since; /* ms of the monotonic clock */
  bool said;
};

/* In place of sqlite3_busy_timeout: after some seconds of waiting a warning says what for. `p` is
 * the caller's, and stays where it is while the database is open. */
void st_sqlite_be_patient(sqlite3 *db, struct st_sqlite_patience *p, unsigned seconds);

/* What failed last, as sqlite3_errmsg has it; of a file that others hold, what helps.  The
 * caller's. */
char *st_sqlite_words(sqlite3 *db);

#endif
