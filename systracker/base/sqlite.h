/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sqlite.h - SQLite as this program uses it. */
#ifndef ST_BASE_SQLITE_H
#define ST_BASE_SQLITE_H

#include <sqlite3.h>

/* sqlite3_open_v2, with no count of the memory that SQLite takes: nobody asks for it, and it costs
 * two mutexes a row.  Returns SQLite's code; `*ret` is to be closed in any case, and has the words
 * of what failed. */
int st_sqlite_open(const char *path, int flags, sqlite3 **ret);

#endif
