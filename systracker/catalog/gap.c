/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gap.c - checkpoints of which only the signed header is here, and not the facts.
 *
 * The table is made with the first of them, and the schema's version goes up with it: a program
 * that does not know of it would tell wrong differences.
 */
#include "systracker/catalog/internal.h"

int st_gaps_load(struct st_catalog *c, struct st_error *err)
{
  int64_t version;

  c->ngaps = 0;
  if (st_sql_number(c, "PRAGMA user_version", 0, &version, err) < 0)
    return -1;
  if (version < ST_CATALOG_SCHEMA_GAPS)
    return 0;
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, "SELECT number, why FROM gap ORDER BY number", err);
  int r = s ? 0 : -1;
  while (r == 0 && (r = st_sql_step(c, s, err)) == 1) {
    if ((c->ngaps & (c->ngaps - 1)) == 0) /* room doubles */
      c->gaps = st_realloc(c->gaps, c->ngaps ? 2 * c->ngaps : 1, sizeof(*c->gaps));
    c->gaps[c->ngaps++] =
        (struct st_gap){sqlite3_column_int64(s, 0), (enum st_held)sqlite3_column_int(s, 1)};
    r = 0;
  }
  return r;
}

/* `values`: rows of number and why. */
static int add(struct st_catalog *c, const char *values, struct st_error *err)
{
  ST_AUTO_FREE char *sql =
      st_format("CREATE TABLE IF NOT EXISTS gap (number INTEGER PRIMARY KEY, why INTEGER NOT NULL);"
                "PRAGMA user_version = %d; INSERT OR REPLACE INTO gap (number, why) %s",
                ST_CATALOG_SCHEMA, values);

  return st_sql_exec(c, sql, err) < 0 ? -1 : st_gaps_load(c, err);
}

int st_gap_add(struct st_catalog *c, int64_t number, enum st_held why, struct st_error *err)
{
  ST_AUTO_FREE char *values = st_format("VALUES (%lld, %d)", (long long)number, (int)why);

  return add(c, values, err);
}

int st_gaps_pruned(struct st_catalog *c, struct st_error *err)
{
  ST_AUTO_FREE char *values = st_format("SELECT number, %d FROM temp.pruning", ST_PRUNED);

  return add(c, values, err);
}

static const struct st_gap *find(const struct st_catalog *c, int64_t number)
{
  size_t low = 0, high = c->ngaps;

  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (c->gaps[middle].number == number)
      return &c->gaps[middle];
    if (c->gaps[middle].number < number)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

enum st_held st_catalog_held(const struct st_catalog *c, int64_t number)
{
  const struct st_gap *gap = find(c, number);

  return gap ? gap->why : ST_HELD;
}

int64_t st_catalog_before(const struct st_catalog *c, int64_t number)
{
  while (number > 0 && find(c, --number))
    ;
  return number;
}

int st_gap_check(const struct st_catalog *c, int64_t number, struct st_error *err)
{
  const struct st_gap *gap = number == ST_LIVE ? NULL : find(c, number);

  if (!gap)
    return 0;
  if (gap->why == ST_PRUNED)
    return st_fail(err, 0, "checkpoint %lld was pruned: only its header is left",
                   (long long)number);
  return st_fail(err, 0,
                 "the facts of checkpoint %lld are not here: fetch --checkpoint %lld brings them, "
                 "and fetch without --checkpoint those of all",
                 (long long)number, (long long)number);
}
