/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.c - declared tables: checked, made, extended, and the SQL over them.
 *
 * Declarations are stored with the facts, with the first checkpoint that each column could be in,
 * so that the facts of a plug-in that is absent still read, and so that what was declared at an
 * old checkpoint can be told again.
 */
#include "systracker/catalog/internal.h"

/* ---- Finding --------------------------------------------------------------------------------- */

static struct st_table_full *find(struct st_catalog *c, const char *name, size_t *ret_place)
{
  size_t low = 0, high = c->count;

  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = strcmp(name, c->tables[middle]->pub.name);
    if (order == 0)
      return c->tables[middle];
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  if (ret_place)
    *ret_place = low;
  return NULL;
}

const struct st_catalog_table *st_catalog_table(struct st_catalog *c, const char *full_name)
{
  struct st_table_full *t = find(c, full_name, NULL);

  return t ? &t->pub : NULL;
}

const struct st_catalog_table *st_catalog_table_at(struct st_catalog *c, size_t n)
{
  return n < c->count ? &c->tables[n]->pub : NULL;
}

bool st_catalog_is_new_column(const struct st_catalog_table *table, size_t column, int64_t number)
{
  const struct st_table_full *t = st_full(table);

  return column < t->stored && t->since[column] == number && t->since[0] < number;
}

/* ---- In memory ------------------------------------------------------------------------------- */

static struct st_table_full *table_new(const char *plugin, const char *name, unsigned flags)
{
  struct st_table_full *t = st_calloc(1, sizeof(*t));

  t->pub.name = st_format("%s_%s", plugin, name);
  t->pub.plugin = st_strdup(plugin);
  t->pub.declaration.name = st_strdup(name);
  t->pub.declaration.flags = flags;
  t->pub.declaration.columns = st_calloc(ST_MAX_COLUMNS, sizeof(struct st_column));
  t->since = st_calloc(ST_MAX_COLUMNS, sizeof(*t->since));
  return t;
}

static void table_free(struct st_table_full *t)
{
  st_began_drop(t);
  st_table_forget(t);
  for (size_t i = 0; i < t->pub.declaration.ncolumns; i++)
    free((char *)t->pub.declaration.columns[i].name);
  free((void *)t->pub.declaration.columns);
  free((char *)t->pub.declaration.name);
  free(t->pub.name);
  free(t->pub.plugin);
  free(t->since);
  free(t);
}

/* The caller has checked that there is room, and that keys come first. */
static void append_column(struct st_table_full *t, const struct st_column *column, int64_t since)
{
  size_t at = t->pub.declaration.ncolumns++;
  struct st_column *mine = (struct st_column *)&t->pub.declaration.columns[at];

  *mine = *column;
  mine->name = st_strdup(column->name);
  t->since[at] = since;
  if (column->flags & ST_KEY)
    t->pub.nkeys++;
  if (column->flags & ST_MANIFEST)
    t->manifests = true;
}

static void insert(struct st_catalog *c, struct st_table_full *t)
{
  size_t place = 0;

  find(c, t->pub.name, &place);
  c->tables = st_realloc(c->tables, c->count + 1, sizeof(struct st_table_full *));
  memmove(&c->tables[place + 1], &c->tables[place], (c->count - place) * sizeof(*c->tables));
  c->tables[place] = t;
  c->count++;
}

void st_table_forget(struct st_table_full *t)
{
  for (size_t i = 0; i < ST_TABLE_STATEMENTS; i++) {
    sqlite3_finalize(t->statements[i]);
    t->statements[i] = NULL;
  }
  st_ahead_free(&t->ahead);
}

void st_tables_free(struct st_catalog *c)
{
  for (size_t i = 0; i < c->count; i++) {
    st_catalog_unsweep(c, &c->tables[i]->pub);
    table_free(c->tables[i]);
  }
  free(c->tables);
  c->tables = NULL;
  c->count = 0;
}

/* ---- Declarations checked -------------------------------------------------------------------- */

static bool good_name(const char *name)
{
  size_t n = name ? strlen(name) : 0;

  if (n == 0 || n > 64 || name[0] < 'a' || name[0] > 'z')
    return false;
  return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static bool is_reserved(const char *name)
{
  static const char *const names[] = {"since", "until", "absent", "ended", "rowid"};

  for (size_t i = 0; i < ST_COUNT(names); i++)
    if (strcmp(name, names[i]) == 0)
      return true;
  return false;
}

static int check_column(const struct st_table *table, size_t i, struct st_error *err)
{
  const struct st_column *column = &table->columns[i];
  bool key = column->flags & ST_KEY;

  if (!good_name(column->name) || is_reserved(column->name))
    return st_fail(err, 0, "table %s: column %zu has no proper name", table->name, i + 1);
  for (size_t k = 0; k < i; k++)
    if (strcmp(column->name, table->columns[k].name) == 0)
      return st_fail(err, 0, "table %s: two columns named %s", table->name, column->name);
  if (column->type <= ST_NULL || column->type > ST_ID)
    return st_fail(err, 0, "table %s: column %s has no type", table->name, column->name);
  if (key && i > 0 && !(table->columns[i - 1].flags & ST_KEY))
    return st_fail(err, 0, "table %s: key column %s behind others", table->name, column->name);
  if ((column->flags & ST_MANIFEST) && (table->flags & ST_TABLE_ENTRY))
    return st_fail(err, 0, "table %s: of entries, which have no manifests", table->name);
  if ((column->flags & (ST_OBJECT | ST_MANIFEST)) && (column->type != ST_ID || key))
    return st_fail(err, 0, "table %s: column %s names an object but is no id", table->name,
                   column->name);
  return 0;
}

static int check_table(const char *plugin, const struct st_table *table, struct st_error *err)
{
  int r = 0;

  if (!good_name(plugin) || !good_name(table->name))
    return st_fail(err, 0, "a table has no proper name");
  if (table->ncolumns == 0 || table->ncolumns > ST_MAX_COLUMNS)
    return st_fail(err, 0, "table %s: has to have 1 to %d columns", table->name, ST_MAX_COLUMNS);
  for (size_t i = 0; i < table->ncolumns && r == 0; i++)
    r = check_column(table, i, err);
  if (r < 0)
    return r;
  if (!(table->columns[0].flags & ST_KEY))
    return st_fail(err, 0, "table %s: has no key", table->name);
  bool path_key = table->columns[0].type == ST_PATH &&
                  (table->ncolumns == 1 || !(table->columns[1].flags & ST_KEY));
  if ((table->flags & ST_TABLE_ENTRY) && !path_key)
    return st_fail(err, 0, "table %s: of entries, but its key is not one path", table->name);
  return 0;
}

/* Whether `table` is what is known, with columns appended on either side at most. */
static int check_fits(const struct st_table_full *t, const char *plugin,
                      const struct st_table *table, struct st_error *err)
{
  const struct st_table *known = &t->pub.declaration;

  if (strcmp(t->pub.plugin, plugin) != 0)
    return st_fail(err, 0, "table %s: kept by plug-in %s already", t->pub.name, t->pub.plugin);
  if (known->flags != table->flags)
    return st_fail(err, 0, "table %s: declared with other flags before", t->pub.name);
  for (size_t i = 0; i < known->ncolumns || i < table->ncolumns; i++) {
    if (i < known->ncolumns && i < table->ncolumns) {
      const struct st_column *a = &known->columns[i], *b = &table->columns[i];
      if (strcmp(a->name, b->name) != 0 || a->type != b->type || a->flags != b->flags)
        return st_fail(err, 0, "table %s: column %s was declared otherwise before", t->pub.name,
                       a->name);
    } else {
      const struct st_table *longer = i < known->ncolumns ? known : table;
      if (longer->columns[i].flags & ST_KEY)
        return st_fail(err, 0, "table %s: another key than before", t->pub.name);
    }
  }
  return 0;
}

/* ---- Stored declarations --------------------------------------------------------------------- */

static int load_table(struct st_catalog *c, sqlite3_stmt *s, struct st_error *err)
{
  const char *plugin = (const char *)sqlite3_column_text(s, 1);
  const char *name = (const char *)sqlite3_column_text(s, 2);

  if (!good_name(plugin) || !good_name(name))
    return st_fail(err, 0, "catalog: a declaration is damaged (%s)", c->name);
  struct st_table_full *t = table_new(plugin, name, (unsigned)sqlite3_column_int64(s, 3));
  t->id = sqlite3_column_int64(s, 0);
  insert(c, t);
  return 0;
}

static int load_column(struct st_catalog *c, sqlite3_stmt *s, struct st_error *err)
{
  const char *table = (const char *)sqlite3_column_text(s, 0);
  struct st_table_full *t = table ? find(c, table, NULL) : NULL;
  struct st_column column = {
      .name = (const char *)sqlite3_column_text(s, 1),
      .type = (enum st_value_type)sqlite3_column_int(s, 2),
      .flags = (unsigned)sqlite3_column_int64(s, 3),
  };

  if (!t || !good_name(column.name) || t->pub.declaration.ncolumns >= ST_MAX_COLUMNS)
    return st_fail(err, 0, "catalog: a declaration is damaged (%s)", c->name);
  append_column(t, &column, sqlite3_column_int64(s, 4));
  t->stored++;
  if (check_column(&t->pub.declaration, t->stored - 1, NULL) < 0)
    return st_fail(err, 0, "catalog: a declaration is damaged (%s)", c->name);
  return 0;
}

static int load_each(struct st_catalog *c, const char *sql,
                     int (*load)(struct st_catalog *, sqlite3_stmt *, struct st_error *),
                     struct st_error *err)
{
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, sql, err);
  int r = s ? 0 : -1;

  while (r == 0 && (r = st_sql_step(c, s, err)) == 1)
    r = load(c, s, err);
  return r;
}

int st_tables_load(struct st_catalog *c, struct st_error *err)
{
  if (load_each(c, "SELECT id, plugin, name, flags FROM declaration", load_table, err) < 0)
    return -1;
  int r = load_each(c,
                    "SELECT d.plugin || '_' || d.name, a.name, a.type, a.flags, a.since"
                    " FROM attribute a JOIN declaration d ON d.id = a.relation"
                    " ORDER BY a.relation, a.position",
                    load_column, err);
  st_repeated_find(c);
  return r;
}

/* ---- Made and extended ----------------------------------------------------------------------- */

static const char *sql_type(const struct st_column *column)
{
  switch (column->type) {
  case ST_INTEGER:
  case ST_PATH: /* its id */
    return "INTEGER";
  case ST_TEXT:
    return "TEXT";
  default:
    return "BLOB";
  }
}

/* What began with the first checkpoint is most of all there is, and is never looked for by that. */
void st_table_since_index(const struct st_table_full *t, struct st_buffer *sql)
{
  st_buffer_printf(sql, "CREATE INDEX \"%s.since\" ON \"%s\" (since) WHERE since > 1;", t->pub.name,
                   t->pub.name);
}

static void create_sql(const struct st_table_full *t, struct st_buffer *sql)
{
  const struct st_table *d = &t->pub.declaration;

  st_buffer_printf(sql, "CREATE TABLE \"%s\" (", t->pub.name);
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_buffer_printf(sql, "\"%s\" %s NOT NULL, ", d->columns[i].name, sql_type(&d->columns[i]));
  st_buffer_append_string(sql, "since INTEGER NOT NULL, until INTEGER, absent INTEGER NOT NULL");
  for (size_t i = t->pub.nkeys; i < d->ncolumns; i++)
    st_buffer_printf(sql, ", \"%s\" %s", d->columns[i].name, sql_type(&d->columns[i]));
  st_buffer_append_string(sql, ", PRIMARY KEY (");
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_buffer_printf(sql, "\"%s\", ", d->columns[i].name);
  st_buffer_printf(sql, "since)) WITHOUT ROWID;");
  st_table_since_index(t, sql);
  st_buffer_printf(sql, "CREATE INDEX \"%s.until\" ON \"%s\" (until) WHERE until IS NOT NULL;",
                   t->pub.name, t->pub.name);
}

static void index_sql(const struct st_table_full *t, size_t i, struct st_buffer *sql)
{
  const char *column = t->pub.declaration.columns[i].name;

  if (t->pub.declaration.columns[i].flags & ST_MANIFEST)
    st_buffer_printf(sql, "CREATE INDEX \"%s.%s\" ON \"%s\" (\"%s\") WHERE \"%s\" IS NOT NULL;",
                     t->pub.name, column, t->pub.name, column, column);
}

static int store_column(struct st_catalog *c, const struct st_table_full *t, size_t i,
                        struct st_error *err)
{
  const struct st_column *column = &t->pub.declaration.columns[i];
  ST_AUTO_STATEMENT *s =
      st_sql_prepare(c,
                     "INSERT INTO attribute (relation, position, name, type, flags, since)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                     err);

  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, t->id);
  sqlite3_bind_int64(s, 2, (int64_t)i);
  sqlite3_bind_text(s, 3, column->name, -1, SQLITE_STATIC);
  sqlite3_bind_int64(s, 4, column->type);
  sqlite3_bind_int64(s, 5, column->flags);
  sqlite3_bind_int64(s, 6, t->since[i]);
  return st_sql_run(c, s, err);
}

static int store_declaration(struct st_catalog *c, struct st_table_full *t, struct st_error *err)
{
  ST_AUTO_STATEMENT *s =
      st_sql_prepare(c, "INSERT INTO declaration (plugin, name, flags) VALUES (?1, ?2, ?3)", err);

  if (!s)
    return -1;
  sqlite3_bind_text(s, 1, t->pub.plugin, -1, SQLITE_STATIC);
  sqlite3_bind_text(s, 2, t->pub.declaration.name, -1, SQLITE_STATIC);
  sqlite3_bind_int64(s, 3, t->pub.declaration.flags);
  if (st_sql_run(c, s, err) < 0)
    return -1;
  t->id = sqlite3_last_insert_rowid(c->db);
  return 0;
}

/* Brings the file's table to what is declared in memory. */
static int store_table(struct st_catalog *c, struct st_table_full *t, struct st_error *err)
{
  const struct st_table *d = &t->pub.declaration;
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;
  bool made = t->id == 0;

  if (made) {
    if (store_declaration(c, t, err) < 0)
      return -1;
    create_sql(t, &sql);
  }
  for (size_t i = t->stored; i < d->ncolumns; i++) {
    if (!made)
      st_buffer_printf(&sql, "ALTER TABLE \"%s\" ADD COLUMN \"%s\" %s;", t->pub.name,
                       d->columns[i].name, sql_type(&d->columns[i]));
    index_sql(t, i, &sql);
    if (store_column(c, t, i, err) < 0)
      return -1;
  }
  if (st_sql_exec(c, sql.data, err) < 0)
    return -1;
  t->stored = d->ncolumns;
  st_repeated_find(c);
  st_readahead_stop(c);
  st_known_unload(c); /* what manifests say of it was passed over while it was unknown */
  return 0;
}

/* Takes the declaration over in memory; yields whether the file's table has to follow. */
static int declare_one(struct st_catalog *c, const char *plugin, const struct st_table *table,
                       struct st_table_full **ret, struct st_error *err)
{
  ST_AUTO_FREE char *name = st_format("%s_%s", plugin, table->name);
  struct st_table_full *t = find(c, name, NULL);

  if (t && check_fits(t, plugin, table, err) < 0)
    return -1;
  if (!t) {
    t = table_new(plugin, table->name, table->flags);
    insert(c, t);
  }
  for (size_t i = t->pub.declaration.ncolumns; i < table->ncolumns; i++)
    append_column(t, &table->columns[i], st_catalog_latest(c) + 1);
  *ret = t;
  return 0;
}

static int extend(struct st_catalog *c, struct st_table_full *t, struct st_error *err)
{
  if (t->id && t->stored == t->pub.declaration.ncolumns)
    return 0;
  st_table_forget(t);
  if (!c->writer)
    return 0;
  if (st_sql_exec(c, "SAVEPOINT declare", err) < 0)
    return -1;
  int64_t id = t->id;
  size_t stored = t->stored;
  if (store_table(c, t, err) == 0 && st_sql_exec(c, "RELEASE declare", err) == 0)
    return 0;
  sqlite3_exec(c->db, "ROLLBACK TO declare; RELEASE declare", NULL, NULL, NULL);
  st_table_forget(t);
  t->id = id;
  t->stored = stored;
  return -1;
}

int st_tables_store(struct st_catalog *c, struct st_error *err)
{
  for (size_t i = 0; i < c->count; i++)
    if (extend(c, c->tables[i], err) < 0)
      return -1;
  return 0;
}

int st_catalog_declare(struct st_catalog *c, const char *plugin, const struct st_table *tables,
                       struct st_error *err)
{
  if (c->scanning)
    return st_fail(err, 0, "tables cannot be declared during a scan (%s)", plugin);
  for (const struct st_table *table = tables; table->name; table++) {
    struct st_table_full *t;
    if (check_table(plugin, table, err) < 0 || declare_one(c, plugin, table, &t, err) < 0 ||
        extend(c, t, err) < 0)
      return st_wrap(err, "plug-in %s", plugin);
  }
  return 0;
}

/* ---- SQL over a table ------------------------------------------------------------------------ */

static void select_column(struct st_buffer *sql, const struct st_table_full *t, size_t i)
{
  const struct st_column *column = &t->pub.declaration.columns[i];

  if (i >= t->stored)
    st_buffer_append_string(sql, "NULL");
  else if (column->type == ST_PATH)
    st_buffer_printf(sql, "(SELECT path FROM path WHERE id = t.\"%s\")", column->name);
  else
    st_repeated_select(sql, t, i, "t");
}

void st_table_select(struct st_buffer *sql, const struct st_table_full *t, enum st_select paths)
{
  st_buffer_append_string(sql, "t.since, t.absent");
  for (size_t i = 0; i < t->pub.declaration.ncolumns; i++) {
    st_buffer_append_string(sql, ", ");
    if (i == 0 && paths != ST_SELECT_PATHS)
      st_buffer_append_string(sql, paths == ST_SELECT_JOINED ? "p.path" : "NULL");
    else
      select_column(sql, t, i);
  }
}

void st_table_select_live(struct st_buffer *sql, const struct st_table_full *t)
{
  st_buffer_append_string(sql, "t.since, t.absent");
  for (size_t i = 0; i < t->pub.declaration.ncolumns; i++)
    st_buffer_printf(sql, ", t.\"%s\"", t->pub.declaration.columns[i].name);
}

void st_table_select_key(struct st_buffer *sql, const struct st_table_full *t)
{
  for (size_t i = 0; i < t->pub.nkeys; i++) {
    st_buffer_append_string(sql, i ? ", " : "");
    select_column(sql, t, i);
  }
}

/* `"k1" = ?1 AND "k2" = ?2` */
static void where_key(struct st_buffer *sql, const struct st_table_full *t)
{
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_buffer_printf(sql, "%s\"%s\" = ?%zu", i ? " AND " : " WHERE ",
                     t->pub.declaration.columns[i].name, i + 1);
}

/* Parameters in the order: keys, since, absent, values; the overlay has `ended` before absent. */
static void insert_sql(struct st_buffer *sql, const struct st_table_full *t, bool live)
{
  const struct st_table *d = &t->pub.declaration;
  size_t parameters = d->ncolumns + (live ? 3 : 2);

  st_buffer_printf(sql, live ? "INSERT OR REPLACE INTO temp.\"live.%s\" (" : "INSERT INTO \"%s\" (",
                   t->pub.name);
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_buffer_printf(sql, "\"%s\", ", d->columns[i].name);
  st_buffer_append_string(sql, live ? "since, ended, absent" : "since, absent");
  for (size_t i = t->pub.nkeys; i < d->ncolumns; i++)
    st_buffer_printf(sql, ", \"%s\"", d->columns[i].name);
  st_buffer_append_string(sql, ") VALUES (");
  for (size_t i = 0; i < parameters; i++)
    st_buffer_append_string(sql, i ? ", ?" : "?");
  st_buffer_append_string(sql, ")");
}

static void get_sql(struct st_buffer *sql, const struct st_table_full *t,
                    enum st_table_statement which)
{
  st_buffer_append_string(sql, "SELECT ");
  if (which == ST_LIVE_GET) {
    st_table_select_live(sql, t);
    st_buffer_printf(sql, ", t.ended FROM temp.\"live.%s\" t", t->pub.name);
    where_key(sql, t);
    return;
  }
  st_table_select(sql, t, ST_SELECT_PATHS);
  st_buffer_printf(sql, ", t.until FROM \"%s\" t", t->pub.name);
  where_key(sql, t);
  if (which == ST_ROW_AT)
    st_buffer_printf(sql, " AND since <= ?%zu", t->pub.nkeys + 1);
  st_buffer_append_string(sql, " ORDER BY since DESC LIMIT 1");
}

static void change_sql(struct st_buffer *sql, const struct st_table_full *t,
                       enum st_table_statement which)
{
  const char *change = which == ST_ROW_DELETE    ? "DELETE FROM \"%s\""
                       : which == ST_LIVE_DELETE ? "DELETE FROM temp.\"live.%s\""
                       : which == ST_ROW_REOPEN  ? "UPDATE \"%s\" SET until = NULL"
                                                 : "UPDATE \"%s\" SET until = ?";

  if (which == ST_ROW_END) {
    st_buffer_printf(sql, "UPDATE \"%s\" SET until = ?%zu", t->pub.name, t->pub.nkeys + 1);
    where_key(sql, t);
    st_buffer_append_string(sql, " AND until IS NULL");
    return;
  }
  st_buffer_printf(sql, change, t->pub.name);
  where_key(sql, t);
  if (which != ST_LIVE_DELETE)
    st_buffer_printf(sql, " AND %s = ?%zu", which == ST_ROW_DELETE ? "since" : "until",
                     t->pub.nkeys + 1);
}

sqlite3_stmt *st_table_statement(struct st_catalog *c, struct st_table_full *t,
                                 enum st_table_statement which, struct st_error *err)
{
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;

  if (which != ST_ROW_BEGIN && st_first_put(c, err) < 0)
    return NULL;
  if (t->statements[which])
    return t->statements[which];
  if (which == ST_ROW_LAST || which == ST_ROW_AT || which == ST_LIVE_GET)
    get_sql(&sql, t, which);
  else if (which == ST_ROW_BEGIN || which == ST_LIVE_SET)
    insert_sql(&sql, t, which == ST_LIVE_SET);
  else
    change_sql(&sql, t, which);
  t->statements[which] = st_sql_prepare(c, sql.data, err);
  return t->statements[which];
}

/* Keys as they are, paths as bytes: a reader cannot give new paths an id. */
int st_table_make_live(struct st_catalog *c, struct st_table_full *t, struct st_error *err)
{
  const struct st_table *d = &t->pub.declaration;
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;

  st_buffer_printf(&sql, "DROP TABLE IF EXISTS temp.\"live.%s\"; CREATE TEMP TABLE \"live.%s\" (",
                   t->pub.name, t->pub.name);
  for (size_t i = 0; i < d->ncolumns; i++)
    st_buffer_printf(&sql, "\"%s\", ", d->columns[i].name);
  st_buffer_append_string(&sql, "since, ended, absent, PRIMARY KEY (");
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_buffer_printf(&sql, "%s\"%s\"", i ? ", " : "", d->columns[i].name);
  st_buffer_append_string(&sql, ")) WITHOUT ROWID");
  st_table_forget(t);
  if (st_sql_exec(c, sql.data, err) < 0)
    return -1;
  t->live = true;
  t->emptied = t->said = false;
  return 0;
}

/* ---- What was declared ----------------------------------------------------------------------- */

static size_t columns_at(const struct st_table_full *t, int64_t number)
{
  size_t n = 0;

  while (n < t->stored && t->since[n] <= number)
    n++;
  return n;
}

static void encode_table(const struct st_table_full *t, size_t n, struct st_buffer *out)
{
  const struct st_table *d = &t->pub.declaration;

  st_cbor_array(out, 4);
  st_cbor_string(out, t->pub.plugin);
  st_cbor_string(out, d->name);
  st_cbor_integer(out, d->flags);
  st_cbor_array(out, n);
  for (size_t i = 0; i < n; i++) {
    st_cbor_array(out, 3);
    st_cbor_string(out, d->columns[i].name);
    st_cbor_integer(out, d->columns[i].type);
    st_cbor_integer(out, d->columns[i].flags);
  }
}

void st_tables_encode(struct st_catalog *c, int64_t number, struct st_buffer *out)
{
  size_t count = 0;

  for (size_t i = 0; i < c->count; i++)
    count += columns_at(c->tables[i], number) > 0;
  st_cbor_array(out, count);
  for (size_t i = 0; i < c->count; i++)
    if (columns_at(c->tables[i], number) > 0)
      encode_table(c->tables[i], columns_at(c->tables[i], number), out);
}

int st_changeset_declarations(struct st_catalog *c, int64_t number, struct st_buffer *out,
                              struct st_error *err)
{
  if (number < 1)
    return st_fail(err, 0, "no checkpoint %lld", (long long)number);
  st_tables_encode(c, number, out);
  return 0;
}
