/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * difference.c - what differs between two checkpoints, and the history of a path.
 *
 * Only keys whose rows began or ended between the two can differ, and paths of manifests that began
 * or ended; each of these is then read at both ends by the one accessor, and compared.
 */
#include "systracker/catalog/internal.h"

/* ---- Keys that may differ -------------------------------------------------------------------- */

void st_keylist_free(struct st_keylist *list)
{
  for (size_t i = 0; i < list->count; i++)
    st_fact_free(list->items[i].key);
  free(list->items);
  *list = (struct st_keylist){0};
}

void st_keylist_add(struct st_keylist *list, struct st_table_full *t, const struct st_value *key)
{
  if (list->count == list->size) {
    list->size = list->size ? 2 * list->size : 64;
    list->items = st_realloc(list->items, list->size, sizeof(*list->items));
  }
  list->items[list->count++] = (struct st_key){t, st_row_copy(t, key, t->pub.nkeys)};
}

/* `later`: after some checkpoint. */
static void changed_sql(struct st_buffer *sql, const struct st_table_full *t, bool stored,
                        bool overlay, bool later)
{
  static const char *const columns[] = {"since", "until"};

  if (stored && overlay && t->emptied) { /* all that was in force at either end, or between */
    st_buffer_append_string(sql, "SELECT ");
    st_table_select_key(sql, t);
    st_buffer_printf(sql,
                     " FROM \"%s\" t WHERE t.since <= ?2 AND (t.until IS NULL OR t.until > ?1)",
                     t->pub.name);
  }
  for (size_t i = 0; stored && !(overlay && t->emptied) && i < 2; i++) {
    st_buffer_append_string(sql, i ? " UNION SELECT " : "SELECT ");
    st_table_select_key(sql, t);
    st_buffer_printf(sql, " FROM \"%s\" t WHERE t.%s > ?1 AND t.%s <= ?2", t->pub.name, columns[i],
                     columns[i]);
    if (later && i == 0)
      st_buffer_append_string(sql, " AND t.since > 1");
  }
  if (!overlay)
    return;
  st_buffer_append_string(sql, stored ? " UNION SELECT " : "SELECT ");
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_buffer_printf(sql, "%s\"%s\"", i ? ", " : "", t->pub.declaration.columns[i].name);
  st_buffer_printf(sql, " FROM temp.\"live.%s\"", t->pub.name);
}

int st_keylist_changed(struct st_keylist *list, struct st_catalog *c, struct st_table_full *t,
                       int64_t after, int64_t upto, bool overlay, struct st_error *err)
{
  struct st_value key[ST_MAX_COLUMNS];
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;
  int r;

  changed_sql(&sql, t, t->stored > 0, overlay && t->live, after > 0);
  if (!sql.length)
    return 0;
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, sql.data, err);
  if (!s)
    return -1;
  if (t->stored) {
    sqlite3_bind_int64(s, 1, after);
    sqlite3_bind_int64(s, 2, upto);
  }
  while ((r = st_sql_step(c, s, err)) == 1) {
    for (size_t i = 0; i < t->pub.nkeys; i++)
      if (st_column_value(c, s, (int)i, t->pub.declaration.columns[i].type, &key[i], err) < 0)
        return -1;
    st_keylist_add(list, t, key);
  }
  return r;
}

static int add_expected(void *arg, struct st_table_full *t, const struct st_value *path,
                        struct st_error *err)
{
  (void)err;
  st_keylist_add(arg, t, path);
  return 0;
}

/* Entries first, by path and then table; the others by table and key. */
static int compare_keys(const void *a, const void *b)
{
  const struct st_key *x = a, *y = b;
  int r;

  if (st_is_entry(x->t) != st_is_entry(y->t))
    return st_is_entry(x->t) ? -1 : 1;
  if (st_is_entry(x->t) && (r = st_value_compare(&x->key->values[0], &y->key->values[0])) != 0)
    return r;
  if ((r = strcmp(x->t->pub.name, y->t->pub.name)) != 0)
    return r;
  return st_key_compare(x->t, x->key->values, y->key->values);
}

/* `others`: without tables of entries. */
static int collect(struct st_catalog *c, int64_t a, int64_t b, bool others, struct st_keylist *list,
                   struct st_error *err)
{
  struct st_at x = st_at(c, a), y = st_at(c, b);
  int64_t low = x.number < y.number ? x.number : y.number;
  int64_t high = x.number < y.number ? y.number : x.number;
  int r = 0;

  for (size_t i = 0; i < c->count && r == 0; i++)
    if (!others || !st_is_entry(c->tables[i]))
      r = st_keylist_changed(list, c, c->tables[i], low, high, x.overlay || y.overlay, err);
  if (r == 0)
    r = st_manifest_changes(c, a, b, add_expected, list, err);
  if (r == 0)
    r = st_scope_changes(c, a, b, add_expected, list, err);
  if (list->count)
    qsort(list->items, list->count, sizeof(*list->items), compare_keys);
  return r;
}

/* ---- Differences ----------------------------------------------------------------------------- */

static bool is_nothing(const struct st_fact_row *fact)
{
  return !fact->present && fact->since == 0;
}

/* Whether the change of a package explains it: on both sides a manifest says it, or there is
 * nothing, and not for the reason that nobody looks after the path there. */
static int is_packaged(struct st_catalog *c, const struct st_fact_row *before, int64_t a,
                       const struct st_fact_row *after, int64_t b, struct st_error *err)
{
  ST_CLEANUP(st_fact_freep) struct st_fact_row *declared = NULL;
  struct st_table_full *t = st_full(after->table);

  if (!st_is_entry(t) || !(before->expected || is_nothing(before)) ||
      !(after->expected || is_nothing(after)))
    return 0;
  if (before->expected && after->expected)
    return 1;
  if (st_declared_fact(c, before->expected ? b : a, t, after->values, &declared, err) < 0)
    return -1;
  return declared == NULL;
}

/* Whether the host differs: that more is known of a package's manifest is no change of it. */
static bool differ(const struct st_table_full *t, const struct st_value *a,
                   const struct st_value *b)
{
  for (size_t i = t->pub.nkeys; i < t->pub.declaration.ncolumns; i++)
    if (!(t->pub.declaration.columns[i].flags & ST_MANIFEST) && st_value_differs(&a[i], &b[i]))
      return true;
  return false;
}

/* Whether the two differ, as a change. */
static bool make_change(const struct st_fact_row *before, const struct st_fact_row *after,
                        struct st_change *ret)
{
  const struct st_table_full *t = st_full(after->table);

  *ret = (struct st_change){
      .table = t->pub.name,
      .declaration = &t->pub.declaration,
      .before = before->present ? before->values : NULL,
      .after = after->present ? after->values : NULL,
  };
  if (!ret->before && !ret->after)
    return false;
  return !ret->before || !ret->after || differ(t, ret->before, ret->after);
}

static int compare_at(struct st_catalog *c, const struct st_key *key, int64_t a, int64_t b,
                      st_change_fn *fn, void *arg, struct st_error *err)
{
  ST_CLEANUP(st_fact_freep) struct st_fact_row *before = NULL, *after = NULL;
  struct st_change change;

  if (st_catalog_fact(c, a, &key->t->pub, key->key->values, &before, err) < 0 ||
      st_catalog_fact(c, b, &key->t->pub, key->key->values, &after, err) < 0)
    return -1;
  if (!make_change(before, after, &change))
    return 0;
  int packaged = is_packaged(c, before, a, after, b, err);
  change.packaged = packaged > 0;
  return packaged < 0 ? -1 : fn(arg, &change, err);
}

/* ---- All of the tables of entries is gone -----------------------------------------------------
 */

/* 1: nothing of them is there now, and nothing is expected. */
static int all_is_gone(struct st_catalog *c, int64_t b, struct st_error *err)
{
  int none = b == ST_LIVE && c->overlay ? st_manifests_none(c, err) : 0;
  if (none <= 0)
    return none;
  for (size_t i = 0; i < c->count; i++) {
    const struct st_table_full *t = c->tables[i];
    int64_t some = 0;

    if (!st_is_entry(t) || !t->live)
      continue;
    ST_AUTO_FREE char *sql =
        st_format("SELECT EXISTS (SELECT 1 FROM temp.\"live.%s\")", t->pub.name);
    if (st_sql_number(c, sql, 0, &some, err) < 0)
      return -1;
    if (some || (t->stored && !t->emptied))
      return 0;
  }
  return 1;
}

/* ---- All differences ------------------------------------------------------------------------- */

/* `alone`: nobody commits meanwhile. */
static int tell_changes(struct st_catalog *c, int64_t a, int64_t b, bool alone, st_change_fn *fn,
                        void *const *args, bool *ret_gone, struct st_error *err)
{
  ST_CLEANUP(st_keylist_free) struct st_keylist list = {0};
  const struct st_gone all = {c, st_at(c, a).number, alone, fn, args};
  ST_AUTO_VIEW view;

  if (st_view_begin(&view, c, err) < 0 || st_gap_check(c, a, err) < 0 ||
      st_gap_check(c, b, err) < 0)
    return -1;
  int gone = all_is_gone(c, b, err);
  int r = gone < 0 ? -1 : gone ? st_gone_tell(&all, err) : 0;
  *ret_gone = gone > 0;
  if (r == 0)
    r = collect(c, a, b, gone, &list, err);
  for (size_t i = 0; i < list.count && r == 0; i++)
    if (i == 0 || compare_keys(&list.items[i], &list.items[i - 1]) != 0)
      r = compare_at(c, &list.items[i], a, b, fn, args[0], err);
  return r;
}

int st_catalog_changes(struct st_catalog *c, int64_t a, int64_t b, st_change_fn *fn, void *arg,
                       struct st_error *err)
{
  bool gone;

  return tell_changes(c, a, b, false, fn, &arg, &gone, err);
}

int st_catalog_changes_by_parts(struct st_catalog *c, int64_t a, int64_t b, st_change_fn *fn,
                                void *const args[ST_CATALOG_PARTS], bool *ret_gone,
                                struct st_error *err)
{
  return tell_changes(c, a, b, true, fn, args, ret_gone, err);
}

int st_catalog_last_change(struct st_catalog *c, const struct st_catalog_table *table,
                           int64_t number, int64_t *ret, struct st_error *err)
{
  const char *name = table->name;
  long long n = number;

  *ret = 0;
  if (!st_full(table)->stored)
    return 0;
  ST_AUTO_FREE char *sql = st_format(
      "SELECT max(n) FROM (SELECT max(since) AS n FROM \"%s\" WHERE since <= %lld UNION ALL"
      " SELECT max(until) FROM \"%s\" WHERE until <= %lld)",
      name, n, name, n);
  return st_sql_number(c, sql, 0, ret, err);
}

/* ---- The history of a path ------------------------------------------------------------------- */

struct numbers {
  int64_t *items;
  size_t count, size;
};

static void numbers_free(struct numbers *n)
{
  free(n->items);
}

static void add_number(void *arg, int64_t number)
{
  struct numbers *n = arg;

  if (n->count == n->size) {
    n->size = n->size ? 2 * n->size : 64;
    n->items = st_realloc(n->items, n->size, sizeof(*n->items));
  }
  n->items[n->count++] = number;
}

static int newest_first(const void *a, const void *b)
{
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

  return (x < y) - (x > y);
}

static int stored_history(struct st_catalog *c, const struct st_table_full *t, int64_t path,
                          struct numbers *ret, struct st_error *err)
{
  ST_AUTO_FREE char *sql =
      st_format("SELECT since, until FROM \"%s\" WHERE \"%s\" = %lld", t->pub.name,
                t->pub.declaration.columns[0].name, (long long)path);
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, sql, err);
  int r = s ? 0 : -1;

  while (r == 0 && (r = st_sql_step(c, s, err)) == 1) {
    add_number(ret, sqlite3_column_int64(s, 0));
    if (sqlite3_column_type(s, 1) != SQLITE_NULL)
      add_number(ret, sqlite3_column_int64(s, 1));
    r = 0;
  }
  return r;
}

/* Checkpoints with which it may have changed what is looked after. */
static int scope_history(struct st_catalog *c, struct numbers *ret, struct st_error *err)
{
  int r = 0;

  for (const char *const *name = c->scope.tables; name && *name && r == 0; name++) {
    const struct st_catalog_table *table = st_catalog_table(c, *name);
    int64_t number = st_catalog_latest(c);

    while (table && r == 0 && number > 0) {
      r = st_catalog_last_change(c, table, number, &number, err);
      if (r == 0 && number > 0)
        add_number(ret, number--);
    }
  }
  return r;
}

/* Checkpoints at which something of the path may have changed, newest first, with repetitions. */
static int path_history(struct st_catalog *c, int64_t id, const struct st_value *path,
                        struct numbers *ret, struct st_error *err)
{
  int r = 0;

  for (size_t i = 0; i < c->count && r == 0; i++)
    if (st_is_entry(c->tables[i]) && c->tables[i]->stored && id >= 0)
      r = stored_history(c, c->tables[i], id, ret, err);
  size_t stored = ret->count;
  if (r == 0)
    r = st_expected_history(c, path, add_number, ret, err);
  if (r == 0 && ret->count > stored)
    r = scope_history(c, ret, err);
  if (ret->count)
    qsort(ret->items, ret->count, sizeof(*ret->items), newest_first);
  return r;
}

/* Of the path in one table. */
struct in_table {
  struct st_revisions revisions;
  struct st_fact_row *later; /* what held before the change told last; NULL: not known */
};

struct history {
  struct st_catalog *c;
  const struct st_value *path;
  st_history_fn *fn;
  void *arg;
  int64_t number;
  struct in_table *tables; /* as the catalog's; of entries alone */
};

static void history_clear(struct history *h)
{
  for (size_t i = 0; i < h->c->count; i++) {
    st_fact_free(h->tables[i].later);
    st_revisions_close(&h->tables[i].revisions);
  }
  free(h->tables);
}

static int history_open(struct history *h, int64_t id, struct st_error *err)
{
  struct st_catalog *c = h->c;
  int r = 0;

  h->tables = st_calloc(c->count + 1, sizeof(*h->tables));
  for (size_t i = 0; i < c->count && r == 0; i++)
    if (st_is_entry(c->tables[i]))
      r = st_revisions_open(&h->tables[i].revisions, c, c->tables[i], id, h->path, err);
  return r;
}

/* As st_catalog_fact; no later one than was asked for before. */
static int fact_at(struct history *h, size_t i, int64_t number, struct st_fact_row **ret,
                   struct st_error *err)
{
  struct st_table_full *t = h->c->tables[i];

  if (st_gap_check(h->c, number, err) < 0 ||
      st_revisions_at(&h->tables[i].revisions, number, ret, err) < 0 ||
      (!*ret && st_expected_fact(h->c, number, t, h->path, ret, err) < 0))
    return -1;
  if (!*ret)
    *ret = st_row_copy(t, h->path, 1);
  return 0;
}

/* A row is in force from `since` on, whatever else is expected. */
static bool held_at(const struct st_fact_row *fact, int64_t number)
{
  return !fact->expected && fact->since > 0 && fact->since <= number;
}

/* What came with the checkpoint in one table.  What held before the next change, told before this
 * one, is what holds after it; but what was expected depends on the checkpoint, too. */
static int history_in(struct history *h, size_t i, int64_t before, struct st_error *err)
{
  struct st_fact_row **later = &h->tables[i].later;
  ST_CLEANUP(st_fact_freep) struct st_fact_row *after = st_steal(later);
  struct st_change change;

  if (after && after->expected)
    st_fact_free(st_steal(&after));
  if (!after && fact_at(h, i, h->number, &after, err) < 0)
    return -1;
  if (held_at(after, before)) {
    *later = st_steal(&after);
    return 0;
  }
  if (fact_at(h, i, before, later, err) < 0)
    return -1;
  if (!make_change(*later, after, &change))
    return 0;
  int packaged = is_packaged(h->c, *later, before, after, h->number, err);
  change.packaged = packaged > 0;
  return packaged < 0 ? -1 : h->fn(h->arg, h->number, &change, err);
}

/* What came with one checkpoint; of a snapshot nobody knows. */
static int history_at(struct history *h, struct st_error *err)
{
  int64_t before = st_catalog_before(h->c, h->number);
  int r = 0;

  if (before == 0 && h->number != 1)
    return 0;
  for (size_t i = 0; i < h->c->count && r == 0; i++)
    if (st_is_entry(h->c->tables[i]))
      r = history_in(h, i, before, err);
  return r;
}

int st_catalog_history(struct st_catalog *c, const char *path, st_history_fn *fn, void *arg,
                       struct st_error *err)
{
  ST_CLEANUP(numbers_free) struct numbers numbers = {0};
  struct st_value value = st_path_value(path);
  struct history h = {.c = c, .path = &value, .fn = fn, .arg = arg};
  int64_t id;
  ST_AUTO_VIEW view;

  if (st_view_begin(&view, c, err) < 0 || st_path_id(c, &value, false, &id, err) < 0)
    return -1;
  int64_t latest = st_catalog_latest(c);
  int r = path_history(c, id, &value, &numbers, err);
  if (r == 0)
    r = history_open(&h, id, err);
  for (size_t i = 0; i < numbers.count && r == 0; i++) {
    h.number = numbers.items[i];
    if (h.number <= latest && (i == 0 || h.number != numbers.items[i - 1]))
      r = history_at(&h, err);
  }
  if (h.tables)
    history_clear(&h);
  return r;
}
