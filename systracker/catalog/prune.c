/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/catalog/prune.h"

#include <time.h>

#include "systracker/base/escape.h"
#include "systracker/base/log.h"
#include "systracker/catalog/internal.h"

#define SMALL_PAGES 8192 /* of the catalog's file: 32 MiB */

bool st_retention_is_set(const struct st_retention *keep)
{
  return keep->last > 0 || keep->daily > 0 || keep->weekly > 0 || keep->monthly > 0 ||
         keep->yearly > 0 || keep->tags.count > 0;
}

/* ---- Which ----------------------------------------------------------------------------------- */

void st_choices_free(struct st_choices *choices)
{
  free(choices->items);
  *choices = (struct st_choices){0};
}

/* Those whose facts are here, the newest first. */
static int list_held(struct st_catalog *c, struct st_choices *ret, struct st_error *err)
{
  ST_AUTO_STATEMENT *s =
      st_sql_prepare(c, "SELECT number, time FROM checkpoint ORDER BY number DESC", err);
  size_t room = 0;
  int r = s ? 0 : -1;

  while (r == 0 && (r = st_sql_step(c, s, err)) == 1) {
    int64_t number = sqlite3_column_int64(s, 0);
    r = 0;
    if (st_catalog_held(c, number) != ST_HELD)
      continue;
    if (ret->count == room) {
      room = room ? 2 * room : 64;
      ret->items = st_realloc(ret->items, room, sizeof(*ret->items));
    }
    ret->items[ret->count++] = (struct st_choice){number, sqlite3_column_int64(s, 1), 0};
  }
  return r;
}

/* What a time's day, week, month or year is counted by. */
static int64_t period_of(int64_t seconds, enum st_kept rule)
{
  time_t t = (time_t)seconds;
  struct tm tm;

  if (!localtime_r(&t, &tm))
    return 0;
  int64_t year = tm.tm_year, month = tm.tm_mon;
  if (rule == ST_KEPT_YEARLY)
    return year;
  if (rule == ST_KEPT_MONTHLY)
    return year * 12 + month;
  int64_t since_monday = (tm.tm_wday + 6) % 7;
  /* A number of its own for each day of some hundred thousand years. */
  int64_t day = year * 366 + tm.tm_yday;
  if (rule == ST_KEPT_DAILY)
    return day;
  tm.tm_mday -= (int)since_monday; /* the week's Monday, at noon: there is no change of the clock */
  tm.tm_hour = 12;
  tm.tm_isdst = -1;
  if (mktime(&tm) == (time_t)-1)
    return day - since_monday;
  return (int64_t)tm.tm_year * 366 + tm.tm_yday;
}

/* The newest of each of the last so many periods that have one.  The clock may have been set back:
 * a period that was met is told from all, not from the last alone. */
static void keep_periods(struct st_choices *choices, enum st_kept rule, int64_t count)
{
  ST_CLEANUP(st_set_freep) struct st_set *met = count > 0 ? st_set_new() : NULL;

  for (size_t i = 0; i < choices->count && count > 0; i++) {
    int64_t period = period_of(choices->items[i].time, rule);
    if (!st_set_add(met, &period, sizeof(period), 0))
      continue;
    choices->items[i].kept |= rule;
    count--;
  }
}

static void keep_number(struct st_choices *choices, int64_t number, enum st_kept why)
{
  for (size_t i = 0; i < choices->count; i++)
    if (choices->items[i].number == number)
      choices->items[i].kept |= why;
}

static int keep_tag(struct st_catalog *c, struct st_choices *choices, const char *name,
                    struct st_error *err)
{
  int64_t number;
  int r = st_tag_number(c, name, &number, err);

  if (r > 0)
    return st_refuse(err, "no tag %s to keep: nothing was pruned", st_quote(name));
  if (r == 0)
    keep_number(choices, number, ST_KEPT_TAG);
  return r;
}

int st_prune_choose(struct st_catalog *c, const struct st_retention *keep, const int64_t *undo,
                    size_t nundo, struct st_choices *ret, struct st_error *err)
{
  int r = list_held(c, ret, err);

  for (size_t i = 0; i < keep->tags.count && r == 0; i++)
    r = keep_tag(c, ret, keep->tags.items[i], err);
  if (r < 0 || ret->count == 0)
    return r;
  ret->items[0].kept |= ST_KEPT_LATEST;
  ret->items[ret->count - 1].kept |= ST_KEPT_BASELINE;
  for (size_t i = 0; i < ret->count && (int64_t)i < keep->last; i++)
    ret->items[i].kept |= ST_KEPT_LAST;
  keep_periods(ret, ST_KEPT_DAILY, keep->daily);
  keep_periods(ret, ST_KEPT_WEEKLY, keep->weekly);
  keep_periods(ret, ST_KEPT_MONTHLY, keep->monthly);
  keep_periods(ret, ST_KEPT_YEARLY, keep->yearly);
  for (size_t i = 0; i < nundo; i++)
    keep_number(ret, undo[i], ST_KEPT_UNDO);
  return 0;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* temp.pruning(number, next): those that go, each with the next one that is kept. */
static int fill_pruning(struct st_catalog *c, const struct st_choices *choices,
                        struct st_error *err)
{
  int64_t next = 0;
  int r = st_sql_exec(c,
                      "DROP TABLE IF EXISTS temp.pruning; CREATE TEMP TABLE pruning"
                      " (number INTEGER PRIMARY KEY, next INTEGER NOT NULL)",
                      err);

  if (r < 0)
    return r;
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, "INSERT INTO temp.pruning VALUES (?1, ?2)", err);
  if (!s)
    return -1;
  for (size_t i = 0; i < choices->count && r == 0; i++) { /* the newest is kept */
    if (choices->items[i].kept) {
      next = choices->items[i].number;
      continue;
    }
    sqlite3_bind_int64(s, 1, choices->items[i].number);
    sqlite3_bind_int64(s, 2, next);
    r = st_sql_run(c, s, err);
  }
  return r;
}

/* What lived only in those that go; then the ends of the rest.  A row that is left begins before
 * the next of its key, so that none takes another's place. */
static int move_rows(struct st_catalog *c, const struct st_table_full *t, int64_t *ret_rows,
                     struct st_error *err)
{
  const char *name = t->pub.name;
  ST_AUTO_FREE char *delete =
      st_format("DELETE FROM \"%s\" WHERE since > 1 AND since IN (SELECT number FROM temp.pruning)"
                " AND until IS NOT NULL"
                " AND (SELECT next FROM temp.pruning WHERE number = since) ="
                " ifnull((SELECT next FROM temp.pruning WHERE number = until), until)",
                name);
  ST_AUTO_FREE char *move =
      st_format("UPDATE \"%s\" SET until = (SELECT next FROM temp.pruning WHERE number = until)"
                " WHERE until IN (SELECT number FROM temp.pruning);"
                "UPDATE \"%s\" SET since = (SELECT next FROM temp.pruning WHERE number = since)"
                " WHERE since > 1 AND since IN (SELECT number FROM temp.pruning)",
                name, name);

  if (st_sql_exec(c, delete, err) < 0)
    return -1;
  *ret_rows += sqlite3_changes(c->db);
  return st_sql_exec(c, move, err);
}

/* `a."k1" = b."k1" AND ...` */
static void same_key(struct st_buffer *sql, const struct st_table_full *t, const char *a,
                     const char *b)
{
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_buffer_printf(sql, "%s%s.\"%s\" = %s.\"%s\"", i ? " AND " : "", a,
                     t->pub.declaration.columns[i].name, b, t->pub.declaration.columns[i].name);
}

/* temp.same: rows that begin where one of their key ends that says the same, as what was in between
 * is gone. */
static int find_same(struct st_catalog *c, const struct st_table_full *t, int64_t *ret_count,
                     struct st_error *err)
{
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;

  st_buffer_append_string(&sql,
                          "DROP TABLE IF EXISTS temp.same; CREATE TEMP TABLE same AS SELECT ");
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_buffer_printf(&sql, "b.\"%s\", ", t->pub.declaration.columns[i].name);
  st_buffer_printf(&sql,
                   "b.since FROM \"%s\" b CROSS JOIN \"%s\" a"
                   " WHERE b.since > 1 AND b.since IN (SELECT next FROM temp.pruning)"
                   " AND a.until = b.since AND ",
                   t->pub.name, t->pub.name);
  same_key(&sql, t, "a", "b");
  st_buffer_append_string(&sql, " AND a.absent = b.absent");
  for (size_t i = t->pub.nkeys; i < t->stored; i++) {
    st_buffer_append_string(&sql, " AND ");
    st_repeated_select(&sql, t, i, "a");
    st_buffer_append_string(&sql, " IS ");
    st_repeated_select(&sql, t, i, "b");
  }
  if (st_sql_exec(c, sql.data, err) < 0)
    return -1;
  return st_sql_number(c, "SELECT count(*) FROM temp.same", 0, ret_count, err);
}

/* From the newest on, so that several in a row become one. */
static int join_same(struct st_catalog *c, const struct st_table_full *t, struct st_error *err)
{
  const char *name = t->pub.name;
  ST_AUTO_BUFFER key = ST_BUFFER_INIT;
  int r;

  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_buffer_printf(&key, "\"%s\" = ?%zu AND ", t->pub.declaration.columns[i].name, i + 1);
  int since = (int)t->pub.nkeys + 1;
  ST_AUTO_FREE char *extend =
      st_format("UPDATE \"%s\" SET until = (SELECT until FROM \"%s\" WHERE %s since = ?%d)"
                " WHERE %s until = ?%d",
                name, name, key.data, since, key.data, since);
  ST_AUTO_FREE char *delete =
      st_format("DELETE FROM \"%s\" WHERE %s since = ?%d", name, key.data, since);
  ST_AUTO_STATEMENT *rows = st_sql_prepare(c, "SELECT * FROM temp.same ORDER BY since DESC", err);
  ST_AUTO_STATEMENT *first = rows ? st_sql_prepare(c, extend, err) : NULL;
  ST_AUTO_STATEMENT *second = first ? st_sql_prepare(c, delete, err) : NULL;
  if (!second)
    return -1;
  while ((r = st_sql_step(c, rows, err)) == 1) {
    for (int i = 1; i <= since; i++) {
      sqlite3_bind_value(first, i, sqlite3_column_value(rows, i - 1));
      sqlite3_bind_value(second, i, sqlite3_column_value(rows, i - 1));
    }
    if (st_sql_run(c, first, err) < 0 || st_sql_run(c, second, err) < 0)
      return -1;
  }
  return r;
}

/* Whether a row began or ended with one that goes: of most tables none did in a night. */
static int is_touched(struct st_catalog *c, const struct st_table_full *t, int64_t *ret,
                      struct st_error *err)
{
  const char *name = t->pub.name;
  ST_AUTO_FREE char *sql =
      st_format("SELECT EXISTS (SELECT 1 FROM \"%s\" WHERE since > 1"
                " AND since IN (SELECT number FROM temp.pruning)) OR EXISTS (SELECT 1 FROM \"%s\""
                " WHERE until IN (SELECT number FROM temp.pruning))",
                name, name);

  return st_sql_number(c, sql, 0, ret, err);
}

static int prune_table(struct st_catalog *c, const struct st_table_full *t, int64_t *ret_rows,
                       struct st_error *err)
{
  int64_t same, touched;

  if (is_touched(c, t, &touched, err) < 0)
    return -1;
  if (!touched)
    return 0;
  if (move_rows(c, t, ret_rows, err) < 0 || find_same(c, t, &same, err) < 0)
    return -1;
  *ret_rows += same;
  return same > 0 ? join_same(c, t, err) : 0;
}

/* ---- What is left over ----------------------------------------------------------------------- */

/* Derived rows of manifests that no fact names any more. */
static int forget_manifests(struct st_catalog *c, struct st_error *err)
{
  ST_AUTO_BUFFER named = ST_BUFFER_INIT;

  for (size_t i = 0; i < c->count; i++)
    for (size_t k = 0; c->tables[i]->manifests && k < c->tables[i]->stored; k++) {
      const struct st_column *column = &c->tables[i]->pub.declaration.columns[k];
      if (column->flags & ST_MANIFEST)
        st_buffer_printf(&named, "%sSELECT \"%s\" FROM \"%s\" WHERE \"%s\" IS NOT NULL",
                         named.length ? " UNION ALL " : "", column->name, c->tables[i]->pub.name,
                         column->name);
    }
  if (!named.length)
    return 0;
  ST_AUTO_FREE char *sql = st_format("DELETE FROM manifest WHERE id NOT IN (%s)", named.data);
  st_known_drop(c);
  return st_sql_exec(c, sql, err);
}

static int forget_paths(struct st_catalog *c, struct st_error *err)
{
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;

  st_buffer_append_string(&sql, "DELETE FROM path WHERE id NOT IN (SELECT 0 WHERE 0");
  for (size_t i = 0; i < c->count; i++)
    for (size_t k = 0; k < c->tables[i]->stored; k++) {
      const struct st_column *column = &c->tables[i]->pub.declaration.columns[k];
      if (column->type == ST_PATH)
        st_buffer_printf(&sql, " UNION ALL SELECT \"%s\" FROM \"%s\" WHERE \"%s\" IS NOT NULL",
                         column->name, c->tables[i]->pub.name, column->name);
    }
  st_buffer_append_string(&sql, ")");
  c->has_last_path = false;
  return st_sql_exec(c, sql.data, err);
}

static int forget_tags(struct st_catalog *c, struct st_strings *ret, struct st_error *err)
{
  ST_AUTO_STATEMENT *s =
      st_sql_prepare(c,
                     "SELECT name FROM tag WHERE number IN (SELECT number FROM temp.pruning)"
                     " ORDER BY name",
                     err);
  int r = s ? 0 : -1;

  while (r == 0 && (r = st_sql_step(c, s, err)) == 1) {
    st_strings_add(ret, (const char *)sqlite3_column_text(s, 0));
    r = 0;
  }
  return r < 0 ? r
               : st_sql_exec(c, "DELETE FROM tag WHERE number IN (SELECT number FROM temp.pruning)",
                             err);
}

static void count_piece(void *arg, const void *data, size_t length)
{
  (void)arg, (void)data, (void)length;
}

/* What came with a checkpoint is now counted from the last one before it that is kept. */
static int count_again(struct st_catalog *c, int64_t number, struct st_error *err)
{
  int64_t begun, ended;

  if (st_body_write_counted(c, number, count_piece, NULL, NULL, NULL, &begun, &ended, err) < 0)
    return -1;
  ST_AUTO_FREE char *sql =
      st_format("UPDATE checkpoint SET begun = %lld, ended = %lld WHERE number = %lld",
                (long long)begun, (long long)ended, (long long)number);
  return st_sql_exec(c, sql, err);
}

static int recount(struct st_catalog *c, const struct st_choices *choices, struct st_error *err)
{
  int r = 0;

  for (size_t i = 0; i + 1 < choices->count && r == 0; i++)
    if (choices->items[i].kept && !choices->items[i + 1].kept)
      r = count_again(c, choices->items[i].number, err);
  return r;
}

/* ---- The whole ------------------------------------------------------------------------------- */

void st_prune_result_free(struct st_prune_result *result)
{
  st_strings_free(&result->tags);
}

static int prune(struct st_catalog *c, const struct st_choices *choices,
                 struct st_prune_result *ret, struct st_error *err)
{
  /* Rows that may be deleted, begin later, or repeat what such a row says. */
  static const char touched[] = "t.since > 1 AND t.since IN (SELECT number FROM temp.pruning"
                                " UNION SELECT next FROM temp.pruning)";

  if (fill_pruning(c, choices, err) < 0 || st_repeated_spell(c, touched, err) < 0)
    return -1;
  for (size_t i = 0; i < c->count; i++)
    if (c->tables[i]->stored && prune_table(c, c->tables[i], &ret->rows, err) < 0)
      return -1;
  if (st_repeated_shorten(c, touched, err) < 0)
    return -1;
  if (forget_tags(c, &ret->tags, err) < 0 || forget_manifests(c, err) < 0 ||
      forget_paths(c, err) < 0 || st_gaps_pruned(c, err) < 0)
    return -1;
  return recount(c, choices, err);
}

/* Gives back what the file does not need any more, where that is a good part of it; it can do so
 * the next time as well. */
static void shrink(struct st_catalog *c)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  int64_t pages, unused;

  if (st_sql_number(c, "PRAGMA page_count", 0, &pages, &ignored) < 0 ||
      st_sql_number(c, "PRAGMA freelist_count", 0, &unused, &ignored) < 0 || unused <= pages / 4)
    return;
  st_sql_forget(c);
  for (size_t i = 0; i < c->count; i++)
    st_table_forget(c->tables[i]);
  /* Its copy is in memory where that is small. */
  const char *vacuum = pages <= SMALL_PAGES
                           ? "VACUUM"
                           : "PRAGMA temp_store = FILE; VACUUM; PRAGMA temp_store = MEMORY";
  if (st_sql_exec(c, vacuum, &ignored) < 0)
    st_log(ST_LOG_INFO, "%s", st_error_text(&ignored));
}

static int check(const struct st_catalog *c, const struct st_choices *choices, struct st_error *err)
{
  if (!c->writer || c->scanning)
    return st_fail(err, 0, "catalog: it cannot be written to now (%s)", c->name);
  if (choices->count > 0 && (!choices->items[0].kept || !choices->items[choices->count - 1].kept))
    return st_fail(err, 0, "the first and the latest checkpoint cannot be pruned");
  return 0;
}

void st_catalog_prune_undo(struct st_catalog *c)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;

  sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
  st_owners_forget(c);
  st_gaps_load(c, &ignored);
}

int st_catalog_prune(struct st_catalog *c, const struct st_choices *choices,
                     struct st_prune_result *ret, struct st_error *err)
{
  *ret = (struct st_prune_result){0};
  if (check(c, choices, err) < 0)
    return -1;
  for (size_t i = 0; i < choices->count; i++)
    ret->checkpoints += choices->items[i].kept == 0;
  if (st_sql_exec(c, "BEGIN IMMEDIATE", err) < 0)
    return -1;
  if (ret->checkpoints > 0 && prune(c, choices, ret, err) < 0) {
    st_catalog_prune_undo(c);
    return st_wrap(err, "nothing was pruned");
  }
  st_owners_forget(c);
  return 0;
}

int st_catalog_prune_commit(struct st_catalog *c, struct st_error *err)
{
  if (st_sql_exec(c, "COMMIT", err) < 0) {
    st_catalog_prune_undo(c);
    return st_wrap(err, "nothing was pruned");
  }
  shrink(c);
  return 0;
}
