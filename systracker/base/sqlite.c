/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/base/sqlite.h"

#include <pthread.h>

/* Too late where something else in this process has begun to use SQLite: then it counts. */
static void configure(void)
{
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int st_sqlite_open(const char *path, int flags, sqlite3 **ret)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;

  pthread_once(&once, configure);
  return sqlite3_open_v2(path, ret, flags, NULL);
}
