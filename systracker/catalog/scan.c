/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scan.c - what a scan saw, against what is known.
 *
 * A writer's scan is checkpoint latest + 1 in one transaction; a reader's lies in overlay tables.
 * Whatever is said of a key, what the scan said of it before is taken back first: so saying a thing
 * again, or taking it back, leaves no trace.
 *
 * ST_NULL is "not captured".  A row that differs in nothing captured stands as it is stored; where
 * it has something that was not captured before, it is stored again, filled; where it differs, it
 * is stored as it was seen, without carrying over what was not captured now.
 */
#include "systracker/catalog/internal.h"

/* ---- Begun and forgotten --------------------------------------------------------------------- */

static void forget_cached(struct st_catalog *c)
{
  st_owners_forget(c);
  c->has_last_path = c->has_digest = false;
}

void st_scan_close_cursors(struct st_catalog *c)
{
  st_ahead_forget(&c->ahead);
  for (size_t i = 0; i < c->count; i++)
    st_ahead_forget(&c->tables[i]->ahead);
}

/* A reader beside a WAL keeps nobody waiting.  Where there is none, as in a first checkpoint, one
 * would keep the commit waiting: so the file is taken for ourselves now, when there is nothing to
 * lose.  Of an archive there are always some who look, for a moment each. */
static const char *begin_words(const struct st_catalog *c)
{
  if (!c->writer)
    return "BEGIN";
  return c->replica ? "BEGIN IMMEDIATE" : "BEGIN EXCLUSIVE";
}

int st_catalog_start(struct st_catalog *c, struct st_error *err)
{
  int r = 0;

  st_catalog_rollback(c);
  if (c->writer && !c->replica && st_tables_store(c, err) < 0)
    return -1;
  c->base = st_catalog_latest(c);
  c->number = c->base + 1;
  if (c->base == 0 && c->writer && !c->replica)
    st_catalog_write_straight(c);
  if (st_sql_exec(c, begin_words(c), err) < 0)
    return -1;
  c->scanning = true;
  c->manifests.learned = false;
  st_began_start(c);
  r = st_first_start(c, err);
  for (size_t i = 0; i < c->count && r == 0 && !c->writer; i++)
    r = st_table_make_live(c, c->tables[i], err);
  c->overlay = r == 0 && !c->writer;
  if (r < 0)
    st_catalog_rollback(c);
  return r;
}

void st_catalog_rollback(struct st_catalog *c)
{
  st_scan_close_cursors(c);
  st_first_end(c);
  st_readahead_stop(c);
  for (size_t i = 0; i < c->count; i++) {
    st_catalog_unsweep(c, &c->tables[i]->pub);
    c->tables[i]->emptied = false;
  }
  st_began_end(c);
  /* A reader's transaction is for one view of the catalog, and few locks: it has nothing to undo.
   */
  if (c->scanning)
    sqlite3_exec(c->db, c->writer ? "ROLLBACK" : "COMMIT", NULL, NULL, NULL);
  if (c->scanning && c->manifests.learned)
    st_known_drop(c); /* what was learned went with it */
  c->manifests.checked = false;
  c->scanning = c->overlay = false;
  forget_cached(c);
}

static int check_open(struct st_catalog *c, struct st_error *err)
{
  return c->scanning ? 0 : st_fail(err, 0, "catalog: no scan is open (%s)", c->name);
}

/* ---- One key: taken back, ended, begun ------------------------------------------------------- */

static int run_keyed(struct st_catalog *c, struct st_table_full *t, enum st_table_statement which,
                     const struct st_value *key, struct st_error *err)
{
  sqlite3_stmt *s = st_table_statement(c, t, which, err);

  if (!s)
    return -1;
  if (which == ST_LIVE_DELETE) {
    for (size_t i = 0; i < t->pub.nkeys; i++)
      st_bind(s, 1 + (int)i, &key[i]);
  } else {
    if (st_bind_key(c, s, 1, t, key, false, err) < 0)
      return -1;
    sqlite3_bind_int64(s, 1 + (int)t->pub.nkeys, c->number);
    st_began_drop(t);
    st_ahead_changed(&t->ahead);
    t->applied = c->number;
    if (which == ST_ROW_DELETE && st_repeated_taken_back(c, t, c->last_path_id, err) < 0)
      return -1;
  }
  return st_sql_run(c, s, err);
}

/* What the stored row that began last says of itself. */
struct last {
  bool found, ended;
  int64_t since, until;
};

/* `*ret_open` gets a copy of the row if it was open before the scan, and still is. */
static int read_last(struct st_catalog *c, struct st_table_full *t, const struct st_value *key,
                     struct last *ret, struct st_fact_row **ret_open, struct st_error *err)
{
  ST_AUTO_RESET *s = st_table_statement(c, t, ST_ROW_LAST, err);
  int until = 2 + (int)t->pub.declaration.ncolumns;
  int r;

  *ret = (struct last){0};
  if (!s || st_bind_key(c, s, 1, t, key, false, err) < 0)
    return -1;
  if ((r = st_sql_step(c, s, err)) <= 0)
    return r;
  ret->found = true;
  ret->since = sqlite3_column_int64(s, 0);
  ret->ended = sqlite3_column_type(s, until) != SQLITE_NULL;
  ret->until = sqlite3_column_int64(s, until);
  return ret->ended || ret->since >= c->number ? 0 : st_fact_copy(c, s, t, ret_open, err);
}

/* What was in force before the scan. */
struct before {
  struct st_fact_row *fact; /* NULL: nothing */
  struct st_fact_row *own;  /* the same, or NULL: it is borrowed until something is written */
  struct st_fact_row row;   /* and lies here */
  struct st_value values[ST_MAX_COLUMNS];
};

static void before_clear(struct before *b)
{
  st_fact_free(b->own);
}

#define ST_AUTO_BEFORE ST_CLEANUP(before_clear) struct before

/* What a writer's scan said of the key lies among the stored rows. */
static int take_back_stored(struct st_catalog *c, struct st_table_full *t,
                            const struct st_value *key, struct st_fact_row **ret,
                            struct st_error *err)
{
  struct last last;

  if (read_last(c, t, key, &last, ret, err) < 0)
    return -1;
  if (last.found && last.since == c->number &&
      (run_keyed(c, t, ST_ROW_DELETE, key, err) < 0 || read_last(c, t, key, &last, ret, err) < 0))
    return -1;
  if (last.found && last.ended && last.until == c->number &&
      run_keyed(c, t, ST_ROW_REOPEN, key, err) < 0)
    return -1;
  if (*ret || !last.found || (last.ended && last.until != c->number))
    return 0;
  return st_stored_fact(c, (struct st_at){c->base, false}, t, key, ret, err);
}

/* Of an entry whose row is read ahead, the scan has written nothing. */
static int read_ahead(struct st_catalog *c, struct st_table_full *t, const struct st_value *path,
                      struct before *ret, struct st_error *err)
{
  int64_t id;

  if (!st_is_entry(t) || !t->stored || c->base == 0)
    return ST_AHEAD_UNKNOWN;
  if (st_path_id(c, path, false, &id, err) < 0)
    return -1;
  ret->row.values = ret->values;
  int r = id < 0 ? ST_AHEAD_NONE : st_ahead_row(c, t, path, id, &ret->row, err);
  if (r == ST_AHEAD_FOUND)
    ret->fact = &ret->row;
  return r;
}

/* Takes back what this scan said of the key, and yields the row that was open before it. */
static int take_back(struct st_catalog *c, struct st_table_full *t, const struct st_value *key,
                     struct before *ret, struct st_error *err)
{
  ret->fact = ret->own = NULL;
  if (c->overlay && t->said && run_keyed(c, t, ST_LIVE_DELETE, key, err) < 0)
    return -1;
  if (c->overlay && t->emptied)
    return 0;
  int unsaid = st_first_is_unsaid(c, t, key, err);
  if (unsaid != 0)
    return unsaid < 0 ? -1 : 0;
  int r = read_ahead(c, t, key, ret, err);
  if (r != ST_AHEAD_UNKNOWN)
    return r < 0 ? -1 : 0;
  r = c->overlay ? st_stored_fact(c, (struct st_at){c->base, false}, t, key, &ret->own, err)
                 : take_back_stored(c, t, key, &ret->own, err);
  ret->fact = ret->own;
  return r;
}

static int begin_live(struct st_catalog *c, struct st_table_full *t, const struct st_value *row,
                      bool ended, bool absent, struct st_error *err)
{
  sqlite3_stmt *s = st_table_statement(c, t, ST_LIVE_SET, err);
  int keys = (int)t->pub.nkeys;

  if (!s)
    return -1;
  t->said = true;
  for (int i = 0; i < keys; i++)
    st_bind(s, 1 + i, &row[i]);
  sqlite3_bind_int64(s, keys + 1, c->number);
  sqlite3_bind_int(s, keys + 2, ended);
  sqlite3_bind_int(s, keys + 3, absent);
  for (int i = keys; i < (int)t->pub.declaration.ncolumns; i++) {
    struct st_value none = st_null();
    st_bind(s, i + 4, ended || absent ? &none : &row[i]);
  }
  return st_sql_run(c, s, err);
}

static int end_row(struct st_catalog *c, struct st_table_full *t, const struct st_value *key,
                   struct st_error *err)
{
  if (c->overlay)
    return begin_live(c, t, key, true, false, err);
  return run_keyed(c, t, ST_ROW_END, key, err);
}

/* The statement that begins a row, with all that it says; NULL: failed.  `*ret_path`: its id, of an
 * entry. */
static sqlite3_stmt *bind_row(struct st_catalog *c, struct st_table_full *t,
                              const struct st_value *row, bool absent, int64_t *ret_path,
                              struct st_error *err)
{
  int keys = (int)t->pub.nkeys;
  sqlite3_stmt *s = st_table_statement(c, t, ST_ROW_BEGIN, err);

  if (!s || st_bind_key(c, s, 1, t, row, true, err) < 0)
    return NULL;
  *ret_path = c->last_path_id;
  sqlite3_bind_int64(s, keys + 1, c->number);
  sqlite3_bind_int(s, keys + 2, absent);
  if (absent)
    return s;
  if (st_bind_values(c, s, keys + 3, t, row, err) < 0)
    return NULL;
  if (st_is_entry(t))
    st_repeated_bind(c, s, keys + 3, t, *ret_path, row);
  return s;
}

/* A row that begins now; `open`: another one is open and ends. */
static int begin_row(struct st_catalog *c, struct st_table_full *t, const struct st_value *row,
                     bool absent, bool open, struct st_error *err)
{
  int64_t path;

  if (c->overlay)
    return begin_live(c, t, row, false, absent, err);
  if (open && end_row(c, t, row, err) < 0)
    return -1;
  sqlite3_stmt *s = st_table_statement(c, t, ST_ROW_BEGIN, err);
  if (!s)
    return -1;
  st_ahead_changed(&t->ahead);
  t->applied = c->number;
  sqlite3_clear_bindings(s);
  if (!bind_row(c, t, row, absent, &path, err) || st_sql_run(c, s, err) < 0)
    return -1;
  st_first_said(t, path);
  st_repeated_note(c, t, path, absent ? NULL : row);
  st_began_add(t, row, absent);
  return 0;
}

/* ---- Put and gone ---------------------------------------------------------------------------- */

/* Whether the row has something that the old one did not capture; `merged` gets both together. */
static bool fills(const struct st_table_full *t, const struct st_value *old,
                  const struct st_value *row, struct st_value *merged)
{
  bool filled = false;

  for (size_t i = 0; i < t->pub.declaration.ncolumns; i++) {
    merged[i] = row[i].type == ST_NULL ? old[i] : row[i];
    filled = filled || (old[i].type == ST_NULL && row[i].type != ST_NULL);
  }
  return filled;
}

/* Writes what follows from the row seen, the one stored, and the one expected (either may be
 * NULL).  Returns 1 when something was written. */
static int settle(struct st_catalog *c, struct st_table_full *t, const struct st_value *row,
                  const struct st_fact_row *old, const struct st_fact_row *expected,
                  struct st_error *err)
{
  struct st_value merged[ST_MAX_COLUMNS];
  int r = 0;

  if (expected && !st_row_differs(t, row, expected->values)) {
    if (!old)
      return 0;
    r = end_row(c, t, row, err);
  } else if (!old || !old->present || st_row_differs(t, row, old->values)) {
    r = begin_row(c, t, row, false, old != NULL, err);
  } else if (fills(t, old->values, row, merged)) {
    ST_CLEANUP(st_fact_freep)
    struct st_fact_row *whole =
        st_row_copy(t, merged, t->pub.declaration.ncolumns); /* the old one may be borrowed */
    r = begin_row(c, t, whole->values, false, true, err);
  } else {
    return 0;
  }
  return r < 0 ? r : 1;
}

/* Whether the sweep has not seen the path before.  What has no id has no row either. */
static bool see_path(struct st_sweep *sweep, int64_t id)
{
  const int64_t most = INT64_C(1) << 40; /* ids are given in turn */

  if (id < 0 || id >= most)
    return true;
  if (id >= sweep->npaths) {
    size_t old = (size_t)sweep->npaths / 8, room = ((size_t)id / 8 + 1) * 2;
    sweep->paths = st_realloc(sweep->paths, room, 1);
    memset(sweep->paths + old, 0, room - old);
    sweep->npaths = (int64_t)room * 8;
  }
  uint8_t *bits = &sweep->paths[id / 8], bit = (uint8_t)(1 << (id % 8));
  bool fresh = !(*bits & bit);
  *bits |= bit;
  return fresh;
}

/* The open sweep learns of a key that was put; `known`: it was in force before. */
static int note_put(struct st_catalog *c, struct st_table_full *t, const struct st_value *key,
                    bool known, struct st_error *err)
{
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  int64_t id;
  bool fresh;

  if (!t->sweep)
    return 0;
  if (st_is_entry(t)) {
    if (st_path_id(c, &key[0], false, &id, err) < 0)
      return -1;
    fresh = see_path(t->sweep, id);
  } else {
    st_key_encode(t, key, &bytes);
    fresh = st_set_add(t->sweep->seen, bytes.data, bytes.length, 0);
  }
  t->sweep->put += fresh;
  t->sweep->known += fresh && known;
  return 0;
}

#define FEW 64

/* It is as it is stored: should the table be emptied, it has to be said again. */
static void note_same(struct st_table_full *t, const struct st_fact_row *old)
{
  struct st_sweep *sweep = t->sweep;

  if (!sweep || !old || sweep->many)
    return;
  sweep->many = sweep->nsame == FEW;
  if (sweep->many)
    return;
  sweep->same = st_realloc(sweep->same, sweep->nsame + 1, sizeof(struct st_fact_row *));
  struct st_fact_row *copy = st_row_copy(t, old->values, t->pub.declaration.ncolumns);
  copy->since = old->since;
  copy->present = old->present;
  sweep->same[sweep->nsame++] = copy;
}

/* Whether no row of the table can have been there before the scan. */
static bool is_first(const struct st_catalog *c, const struct st_table_full *t)
{
  return c->base == 0 && !c->overlay && !t->manifests;
}

/* Runs the statement that begins a row, which the file itself may refuse. */
static int try_begin(struct st_catalog *c, struct st_table_full *t, const struct st_value *row,
                     int64_t *ret_path, struct st_error *err)
{
  ST_AUTO_RESET *s = bind_row(c, t, row, false, ret_path, err);

  if (!s)
    return -1;
  int r = sqlite3_step(s);
  if (r == SQLITE_CONSTRAINT)
    return 0;
  return r == SQLITE_DONE ? 1 : st_sql_fail(c, "catalog", err);
}

/* Begins a row of a first checkpoint without asking what there was.  0: the scan has spoken of the
 * key before. */
static int begin_first(struct st_catalog *c, struct st_table_full *t, const struct st_value *row,
                       struct st_error *err)
{
  int64_t path;
  int r = (t->first ? st_first_row : try_begin)(c, t, row, &path, err);

  if (r <= 0)
    return r;
  st_repeated_note(c, t, path, row);
  st_began_add(t, row, false);
  return 1;
}

/* The same for what is as expected: nothing is written, if nothing was written of the path. */
static int pass_first(struct st_catalog *c, const struct st_value *row, struct st_error *err)
{
  int64_t path;

  return st_path_id(c, &row[0], false, &path, err) < 0 ? -1 : path < 0;
}

/* 1: it is done, and `ret` says whether it was a change. */
static int put_first(struct st_catalog *c, struct st_table_full *t, const struct st_value *row,
                     const struct st_fact_row *expected, int *ret, struct st_error *err)
{
  if (!is_first(c, t))
    return 0;
  *ret = !expected || st_row_differs(t, row, expected->values);
  int r = *ret ? begin_first(c, t, row, err) : pass_first(c, row, err);
  if (r > 0 && t->sweep)
    t->sweep->put++;
  return r;
}

static int put_known(struct st_catalog *c, struct st_table_full *t, const struct st_value *row,
                     const struct st_fact_row *expected, struct st_error *err)
{
  ST_AUTO_BEFORE before;

  if (take_back(c, t, row, &before, err) < 0)
    return -1;
  const struct st_fact_row *old = before.fact;
  if ((old || !expected) && note_put(c, t, row, old && old->present, err) < 0)
    return -1;
  int r = settle(c, t, row, old, expected, err);
  if (r == 0 && c->overlay)
    note_same(t, old);
  if (r > 0 && t->manifests)
    st_owners_forget(c);
  return r;
}

int st_catalog_put(struct st_catalog *c, const struct st_catalog_table *table,
                   const struct st_value *row, struct st_error *err)
{
  struct st_table_full *t = st_full(table);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *expected = NULL;
  int changed;

  /* What is put is looked after, so nobody is asked whether it is. */
  if (check_open(c, err) < 0 || st_row_check(t, row, err) < 0 ||
      st_declared_fact(c, ST_LIVE, t, row, &expected, err) < 0)
    return -1;
  if (expected && t->sweep && st_expected_mark(c, t, row, err) < 0)
    return -1;
  int r = put_first(c, t, row, expected, &changed, err);
  if (r != 0)
    return r < 0 ? r : changed;
  return put_known(c, t, row, expected, err);
}

int st_catalog_gone(struct st_catalog *c, const struct st_catalog_table *table,
                    const struct st_value *key, struct st_error *err)
{
  struct st_table_full *t = st_full(table);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *expected = NULL;
  ST_AUTO_BEFORE before;
  int r;

  before.own = NULL;
  if (check_open(c, err) < 0 || st_key_check(t, key, err) < 0 ||
      take_back(c, t, key, &before, err) < 0 ||
      st_expected_fact(c, ST_LIVE, t, key, &expected, err) < 0)
    return -1;
  const struct st_fact_row *old = before.fact;
  if (expected ? old && !old->present : !old)
    return 0;
  if (expected)
    r = begin_row(c, t, key, true, old != NULL, err);
  else
    r = end_row(c, t, key, err);
  if (t->manifests)
    st_owners_forget(c);
  return r < 0 ? r : 1;
}

/* ---- Many keys at once ----------------------------------------------------------------------- */

static int remember(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  st_keylist_add(arg, st_full(fact->table), fact->values);
  return 0;
}

static int all_gone(struct st_catalog *c, const struct st_keylist *list, struct st_error *err)
{
  int r = 0;

  for (size_t i = 0; i < list->count && r >= 0; i++)
    r = st_catalog_gone(c, &list->items[i].t->pub, list->items[i].key->values, err);
  return r < 0 ? r : 0;
}

/* Paths that lie outside come from their own index: there are mostly few, or the first has a row.
 */
static sqlite3_stmt *outside(struct st_catalog *c, struct st_table_full *t, struct st_error *err)
{
  sqlite3_stmt **kept = &t->statements[ST_ROW_OUTSIDE];
  const char *key = t->pub.declaration.columns[0].name;
  ST_AUTO_FREE char *row = st_format("EXISTS (SELECT 1 FROM \"%s\" t WHERE t.\"%s\" = p.id AND"
                                     " t.since <= ?1 AND (t.until IS NULL OR t.until > ?1))",
                                     t->pub.name, key);
  ST_AUTO_FREE char *sql =
      *kept ? NULL
            : st_format("SELECT 1 FROM path p WHERE p.path < ?3 AND p.path <> ?2 AND %s UNION ALL"
                        " SELECT 1 FROM path p WHERE p.path >= ?4 AND %s LIMIT 1",
                        row, row);

  if (!*kept)
    *kept = st_sql_prepare(c, sql, err);
  return *kept;
}

/* All that is stored of the table, and in force, is at or below the path: a tracked folder is gone.
 * As in empty(), a reader need not write down of each row that it is gone.  1: done. */
static int empty_below(struct st_catalog *c, struct st_table_full *t, const char *path,
                       struct st_error *err)
{
  if (!c->overlay || !t->stored || t->emptied || t->said || t->sweep || path[1] == 0)
    return 0;
  int none = st_manifests_none(c, err);
  ST_AUTO_RESET *s = none > 0 ? outside(c, t, err) : NULL;
  if (!s)
    return none > 0 ? -1 : none;
  ST_AUTO_FREE char *low = st_format("%s/", path), *high = st_format("%s0", path); /* '/' + 1 */
  struct st_value bounds[] = {st_path_value(path), st_path_value(low), st_path_value(high)};
  sqlite3_bind_int64(s, 1, c->base);
  for (int i = 0; i < 3; i++)
    st_bind(s, 2 + i, &bounds[i]);
  int some = st_sql_step(c, s, err);
  t->emptied = some == 0;
  return some < 0 ? -1 : t->emptied;
}

int st_catalog_gone_below(struct st_catalog *c, const char *plugin, const char *path,
                          struct st_error *err)
{
  ST_CLEANUP(st_keylist_free) struct st_keylist list = {0};
  int r = check_open(c, err);

  for (size_t i = 0; i < c->count && r == 0; i++) {
    struct st_table_full *t = c->tables[i];

    if (!st_is_entry(t) || (plugin && strcmp(t->pub.plugin, plugin) != 0))
      continue;
    r = empty_below(c, t, path, err);
    if (r == 0)
      r = st_catalog_each(c, ST_LIVE, &t->pub, path, remember, &list, err);
    else if (r > 0)
      r = 0;
  }
  return r < 0 ? r : all_gone(c, &list, err);
}

int st_catalog_sweep(struct st_catalog *c, const struct st_catalog_table *table,
                     struct st_error *err)
{
  struct st_table_full *t = st_full(table);

  if (check_open(c, err) < 0)
    return -1;
  st_catalog_unsweep(c, table);
  t->sweep = st_calloc(1, sizeof(*t->sweep));
  if (!st_is_entry(t))
    t->sweep->seen = st_set_new();
  c->manifests.holders++; /* the marks lie in what is read of them */
  return 0;
}

void st_catalog_unsweep(struct st_catalog *c, const struct st_catalog_table *table)
{
  struct st_table_full *t = st_full(table);

  if (!t->sweep)
    return;
  c->manifests.holders--;
  st_expected_unmark(c, t);
  for (size_t i = 0; i < t->sweep->nsame; i++)
    st_fact_free(t->sweep->same[i]);
  free(t->sweep->same);
  st_set_free(t->sweep->seen);
  free(t->sweep->paths);
  free(st_steal(&t->sweep));
}

void st_catalog_sweep_count(struct st_catalog *c, const struct st_catalog_table *table,
                            int64_t *ret_put, int64_t *ret_known)
{
  const struct st_sweep *sweep = st_full(table)->sweep;

  (void)c;
  *ret_put = sweep ? sweep->put : 0;
  *ret_known = sweep ? sweep->known : 0;
}

struct unseen {
  int64_t number; /* of the scan */
  struct st_sweep *sweep;
  struct st_keylist list;
  bool (*keep)(void *arg, const struct st_fact_row *fact);
  void *arg;
};

static int remember_unseen(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  struct unseen *u = arg;
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;

  if (fact->since == u->number) /* put_first does not note its keys */
    return 0;
  st_key_encode(st_full(fact->table), fact->values, &bytes);
  if (st_set_get(u->sweep->seen, bytes.data, bytes.length, NULL))
    return 0;
  return u->keep && u->keep(u->arg, fact) ? 0 : remember(&u->list, fact, err);
}

/* Says of a stored row that it is so, unless the scan has said something of its key since. */
static int say_same(struct st_catalog *c, struct st_table_full *t, const struct st_fact_row *row,
                    struct st_error *err)
{
  ST_AUTO_RESET *s = st_table_statement(c, t, ST_LIVE_GET, err);

  if (!s)
    return -1;
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_bind(s, 1 + (int)i, &row->values[i]);
  int r = st_sql_step(c, s, err);
  if (r != 0)
    return r < 0 ? -1 : 0;
  return begin_live(c, t, row->values, false, false, err);
}

/* A reader whose root has next to nothing of a table (one that is restored anew) does not write
 * down of each row that it is gone.  1: done. */
static int empty(struct st_catalog *c, struct st_table_full *t, struct st_error *err)
{
  const struct st_sweep *sweep = t->sweep;

  if (!c->overlay || !st_is_entry(t) || sweep->many)
    return 0;
  int none = st_manifests_none(c, err);
  if (none <= 0)
    return none;
  for (size_t i = 0; i < sweep->nsame; i++)
    if (say_same(c, t, sweep->same[i], err) < 0)
      return -1;
  t->emptied = true;
  return 1;
}

/* Whether every row that was in force has been put: then none of them has to be looked for. */
static int all_put(struct st_catalog *c, const struct st_table_full *t, struct st_error *err)
{
  int64_t rows = 0;

  if (!t->stored)
    return 1;
  ST_AUTO_FREE char *sql = st_format(
      "SELECT count(*) FROM \"%s\" WHERE since <= %lld AND (until IS NULL OR until > %lld)",
      t->pub.name, (long long)c->base, (long long)c->base);
  return st_sql_number(c, sql, 0, &rows, err) < 0 ? -1 : rows == t->sweep->known;
}

static bool is_seen(const struct st_sweep *sweep, int64_t id)
{
  return id < sweep->npaths && (sweep->paths[id / 8] & 1 << (id % 8));
}

static int remember_path(struct st_catalog *c, struct st_table_full *t, struct unseen *u,
                         sqlite3_stmt *path, int64_t id, struct st_error *err)
{
  struct st_value values[ST_MAX_COLUMNS] = {st_null()};
  const struct st_fact_row fact = {.table = &t->pub, .values = values};

  sqlite3_bind_int64(path, 1, id);
  if (st_sql_step(c, path, err) < 0 || st_column_value(c, path, 0, ST_PATH, &values[0], err) < 0)
    return -1;
  int r = values[0].type == ST_NULL || (u->keep && u->keep(u->arg, &fact))
              ? 0
              : remember(&u->list, &fact, err);
  sqlite3_reset(path);
  return r;
}

/* In the order of their ids, as they are stored: what was seen is only counted off. */
static int each_entry(struct st_catalog *c, struct st_table_full *t, struct unseen *u,
                      struct st_error *err)
{
  ST_AUTO_FREE char *sql = st_format(
      "SELECT \"%s\", since FROM \"%s\" WHERE since <= ?1 AND (until IS NULL OR until > ?1)",
      t->pub.declaration.columns[0].name, t->pub.name);
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, sql, err);
  ST_AUTO_STATEMENT *path = st_sql_prepare(c, "SELECT path FROM path WHERE id = ?1", err);
  int r = s && path ? 0 : -1, have = 0;

  if (r == 0)
    sqlite3_bind_int64(s, 1, st_at(c, ST_LIVE).number);
  while (r == 0 && (have = st_sql_step(c, s, err)) > 0) {
    int64_t id = sqlite3_column_int64(s, 0);
    /* put_first does not note its keys */
    if (sqlite3_column_int64(s, 1) != u->number && !is_seen(u->sweep, id))
      r = remember_path(c, t, u, path, id, err);
  }
  return have < 0 ? have : r;
}

/* Absent ones, too: where nothing is expected any more, there is nothing to be absent. */
static int each_stored(struct st_catalog *c, struct st_table_full *t, struct unseen *u,
                       struct st_error *err)
{
  struct st_rows rows;
  int all = all_put(c, t, err), have = 0;

  if (all != 0)
    return all < 0 ? -1 : 0;
  if (st_is_entry(t))
    return each_entry(c, t, u, err);
  int r = st_rows_open(&rows, c, ST_LIVE, t, NULL, NULL, err);
  while (r == 0 && (have = st_rows_next(&rows, err)) > 0)
    r = remember_unseen(u, &rows.row, err);
  st_rows_close(&rows);
  return have < 0 ? have : r;
}

static int remember_unmarked(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  struct unseen *u = arg;

  return u->keep && u->keep(u->arg, fact) ? 0 : remember(&u->list, fact, err);
}

int st_catalog_swept(struct st_catalog *c, const struct st_catalog_table *table,
                     bool (*keep)(void *arg, const struct st_fact_row *fact), void *arg,
                     struct st_error *err)
{
  struct unseen u = {.number = c->number, .sweep = st_full(table)->sweep, .keep = keep, .arg = arg};

  if (!u.sweep)
    return st_fail(err, 0, "catalog: no sweep is open (%s)", table->name);
  /* In a first checkpoint nothing was there that could be gone. */
  bool first = is_first(c, st_full(table));
  int r = first || keep ? 0 : empty(c, st_full(table), err);
  if (r == 0 && !first)
    r = each_stored(c, st_full(table), &u, err);
  if (r == 0)
    r = st_expected_unmarked(c, st_full(table), remember_unmarked, &u, err);
  else if (r > 0)
    r = 0;
  if (r == 0)
    r = all_gone(c, &u.list, err);
  st_keylist_free(&u.list);
  st_catalog_unsweep(c, table);
  return r;
}

/* ---- Whether anything changed ---------------------------------------------------------------- */

static char *changed_sql(const struct st_catalog *c, const struct st_table_full *t)
{
  long long n = c->number;

  if (c->overlay && t->emptied) /* all that was in force, if anything was */
    return st_format("SELECT EXISTS (SELECT 1 FROM \"%s\" WHERE until IS NULL)", t->pub.name);
  if (c->overlay)
    return st_format("SELECT 1 FROM temp.\"live.%s\" LIMIT 1", t->pub.name);
  return st_format("SELECT EXISTS (SELECT 1 FROM \"%s\" WHERE since = %lld%s) OR"
                   " EXISTS (SELECT 1 FROM \"%s\" WHERE until = %lld)",
                   t->pub.name, n, n > 1 ? " AND since > 1" : "", t->pub.name, n);
}

static bool table_changed(struct st_catalog *c, const struct st_table_full *t)
{
  ST_AUTO_FREE char *sql = changed_sql(c, t);
  int64_t n = 0;

  if (c->overlay ? !t->live : !t->stored)
    return false;
  return st_sql_number(c, sql, 0, &n, NULL) == 0 && n != 0;
}

bool st_catalog_changed(struct st_catalog *c)
{
  for (size_t i = 0; c->scanning && i < c->count; i++)
    if (table_changed(c, c->tables[i]))
      return true;
  return false;
}
