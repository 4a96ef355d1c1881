/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/base/sqlite.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "systracker/base/escape.h"
#include "systracker/base/log.h"

#define SAY_AFTER 3000 /* ms */
#define MOST_PAUSE 100 /* ms, between two tries */

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

/* ---- Patience -------------------------------------------------------------------------------- */

static int64_t now(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Without /proc/self/fd in it, by which it may have been opened. */
static char *file_of(sqlite3 *db)
{
  const char *name = sqlite3_db_filename(db, "main");
  char *real = name && *name ? realpath(name, NULL) : NULL;

  return real ? real : st_strdup(name ? name : "");
}

static void say(const struct st_sqlite_patience *p)
{
  ST_AUTO_FREE char *file = file_of(p->db);

  st_log(ST_LOG_WARNING,
         "waiting for another program that holds %s, for %u seconds at most ('fuser -v' with this "
         "name tells which)",
         st_quote(file), p->seconds);
}

/* SQLite's busy handler: `tries` is 0 when it begins to wait. */
static int wait_more(void *arg, int tries)
{
  struct st_sqlite_patience *p = arg;
  long pause = tries < MOST_PAUSE ? tries + 1 : MOST_PAUSE;
  int64_t waited;

  if (tries == 0) {
    p->since = now();
    p->said = false;
  }
  waited = now() - p->since;
  if (waited >= (int64_t)p->seconds * 1000)
    return 0;
  if (waited >= SAY_AFTER && !p->said) {
    p->said = true;
    say(p);
  }
  nanosleep(&(struct timespec){.tv_nsec = pause * 1000000}, NULL);
  return 1;
}

void st_sqlite_be_patient(sqlite3 *db, struct st_sqlite_patience *p, unsigned seconds)
{
  *p = (struct st_sqlite_patience){.db = db, .seconds = seconds};
  sqlite3_busy_handler(db, wait_more, p);
}

char *st_sqlite_words(sqlite3 *db)
{
  if ((sqlite3_errcode(db) & 0xff) != SQLITE_BUSY)
    return st_strdup(sqlite3_errmsg(db));
  ST_AUTO_FREE char *file = file_of(db);
  return st_format("another program holds the file: end it, then run this again ('fuser -v %s' "
                   "tells which)",
                   st_quote(file));
}
