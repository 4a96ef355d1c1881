/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * first.c - the rows of a first checkpoint, put many at a time.
 *
 * To run a statement for each row costs more than to put the row.  So new paths and rows of entries
 * wait in memory, and one statement takes all of a table that wait, out of a virtual table that is
 * nothing but this memory.  Whatever reads the file has them put first (sql.c, table.c), so nobody
 * can miss them.
 *
 * Nothing was there before, so the file is not asked whether it has a path or a row: a path is new
 * that comes behind all others in the order of a walk, or whose hash was not met, and a row whose
 * path was not said of the table.  Where that does not tell, the file is asked.
 */
#include "systracker/catalog/internal.h"

#define MOST_ROWS 256
#define ROOM ((size_t)64 << 10) /* for their bytes; more where one row has more */
#define MOST_ASKED 256          /* times that the file is asked for a path in vain */

/* What waits for one table. */
struct batch {
  size_t columns, count;
  struct st_value *values; /* row by row, as the file holds them */
  char *bytes;             /* of the values */
  size_t used, room;
  sqlite3_stmt *put;
};

struct st_first {
  struct st_buffer last;   /* the path of a row that is behind those of all others */
  struct st_filter *paths; /* that have an id but did not come as such, or all of them */
  bool all;
  unsigned asked;       /* of MOST_ASKED */
  bool of_row;          /* the path at hand is */
  int64_t next, stored; /* ids: to be given, and the last one in the file */
  struct batch new_paths;
  const struct batch *taken; /* by the statement that runs */
  bool failed;               /* something that waited is lost: so is the scan */
};

struct st_first_rows {
  struct batch batch;
  uint8_t *said; /* a bit for each path id that the table has, or had */
  size_t room;   /* bytes */
};

/* ---- The virtual table ----------------------------------------------------------------------- */

#define COLUMNS_8(n)                                                                               \
  "c" #n "0, c" #n "1, c" #n "2, c" #n "3, c" #n "4, c" #n "5, c" #n "6, c" #n "7"

static const char declared[] =
    "CREATE TABLE x (" COLUMNS_8(0) ", " COLUMNS_8(1) ", " COLUMNS_8(2) ", " COLUMNS_8(
        3) ", " COLUMNS_8(4) ", " COLUMNS_8(5) ", " COLUMNS_8(6) ", " COLUMNS_8(7) ")";
_Static_assert(ST_MAX_COLUMNS == 64, "so many are declared, and named in base 8");

struct waiting {
  sqlite3_vtab base; /* first: SQLite's */
  struct st_catalog *c;
};

struct waiting_cursor {
  sqlite3_vtab_cursor base;
  const struct batch *batch;
  size_t at;
};

static int waiting_connect(sqlite3 *db, void *arg, int argc, const char *const *argv,
                           sqlite3_vtab **ret, char **ret_words)
{
  (void)argc;
  (void)argv;
  (void)ret_words;
  int r = sqlite3_declare_vtab(db, declared);
  if (r != SQLITE_OK)
    return r;
  sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY); /* no schema that somebody made may use it */
  struct waiting *w = st_calloc(1, sizeof(*w));
  w->c = arg;
  *ret = &w->base;
  return SQLITE_OK;
}

static int waiting_disconnect(sqlite3_vtab *v)
{
  free(v);
  return SQLITE_OK;
}

static int waiting_plan(sqlite3_vtab *v, sqlite3_index_info *info)
{
  (void)v;
  info->estimatedRows = MOST_ROWS;
  return SQLITE_OK;
}

static int waiting_open(sqlite3_vtab *v, sqlite3_vtab_cursor **ret)
{
  (void)v;
  struct waiting_cursor *cursor = st_calloc(1, sizeof(*cursor));
  *ret = &cursor->base;
  return SQLITE_OK;
}

static int waiting_close(sqlite3_vtab_cursor *v)
{
  free(v);
  return SQLITE_OK;
}

static int waiting_filter(sqlite3_vtab_cursor *v, int plan, const char *words, int argc,
                          sqlite3_value **argv)
{
  struct waiting_cursor *cursor = (struct waiting_cursor *)v;
  const struct st_first *first = ((struct waiting *)v->pVtab)->c->first;

  (void)plan;
  (void)words;
  (void)argc;
  (void)argv;
  cursor->batch = first ? first->taken : NULL;
  cursor->at = 0;
  return cursor->batch ? SQLITE_OK : SQLITE_ERROR;
}

static int waiting_next(sqlite3_vtab_cursor *v)
{
  ((struct waiting_cursor *)v)->at++;
  return SQLITE_OK;
}

static int waiting_end(sqlite3_vtab_cursor *v)
{
  const struct waiting_cursor *cursor = (struct waiting_cursor *)v;

  return cursor->at >= cursor->batch->count;
}

/* The bytes stay where they are while the statement runs. */
static int waiting_column(sqlite3_vtab_cursor *v, sqlite3_context *out, int i)
{
  const struct waiting_cursor *cursor = (struct waiting_cursor *)v;
  const struct batch *b = cursor->batch;
  const struct st_value *value = &b->values[cursor->at * b->columns + (size_t)i];

  switch ((size_t)i < b->columns ? value->type : ST_NULL) {
  case ST_INTEGER:
    sqlite3_result_int64(out, value->u.integer);
    break;
  case ST_TEXT:
    sqlite3_result_text64(out, value->u.bytes.data, value->u.bytes.length, SQLITE_STATIC,
                          SQLITE_UTF8);
    break;
  case ST_BYTES:
  case ST_PATH:
    sqlite3_result_blob64(out, value->u.bytes.data, value->u.bytes.length, SQLITE_STATIC);
    break;
  case ST_ID:
    sqlite3_result_blob(out, &value->u.id, sizeof(value->u.id), SQLITE_STATIC);
    break;
  case ST_NULL:
    break;
  }
  return SQLITE_OK;
}

static int waiting_rowid(sqlite3_vtab_cursor *v, sqlite3_int64 *ret)
{
  *ret = (sqlite3_int64)((struct waiting_cursor *)v)->at;
  return SQLITE_OK;
}

/* There without being created, as it cannot be. */
static const sqlite3_module waiting_module = {
    .xConnect = waiting_connect,
    .xDisconnect = waiting_disconnect,
    .xBestIndex = waiting_plan,
    .xOpen = waiting_open,
    .xClose = waiting_close,
    .xFilter = waiting_filter,
    .xNext = waiting_next,
    .xEof = waiting_end,
    .xColumn = waiting_column,
    .xRowid = waiting_rowid,
};

/* ---- What waits ------------------------------------------------------------------------------ */

static void batch_free(struct batch *b)
{
  sqlite3_finalize(b->put);
  free(b->values);
  free(b->bytes);
}

/* `sql` has the checkpoint's number for ?1, if at all. */
static int batch_make(struct st_catalog *c, struct batch *b, size_t columns, const char *sql,
                      struct st_error *err)
{
  b->columns = columns;
  b->values = st_calloc(MOST_ROWS * columns, sizeof(*b->values));
  b->room = ROOM;
  b->bytes = st_malloc(b->room);
  b->put = st_sql_prepare(c, sql, err);
  if (!b->put)
    return -1;
  if (sqlite3_bind_parameter_count(b->put) > 0)
    sqlite3_bind_int64(b->put, 1, c->number);
  return 0;
}

/* Rows go by the ids that were told before SQLite gave them. */
static int check_ids(struct st_catalog *c, struct st_error *err)
{
  struct st_first *first = c->first;

  first->stored += (int64_t)first->new_paths.count;
  if (sqlite3_last_insert_rowid(c->db) != first->stored)
    return st_fail(err, 0, "catalog: paths have other ids than they should (%s)", c->name);
  return 0;
}

/* A conflict cannot be; if it is, what was put of it is taken back with the scan. */
static int put_batch(struct st_catalog *c, struct batch *b, struct st_error *err)
{
  if (b->count == 0)
    return 0;
  c->first->taken = b;
  int r = st_sql_run(c, b->put, err);
  if (r == 0 && b == &c->first->new_paths)
    r = check_ids(c, err);
  if (r < 0)
    c->first->failed = true;
  c->first->taken = NULL;
  b->count = b->used = 0;
  return c->first->failed ? -1 : 0;
}

/* Nothing waits any more where it has to grow. */
static int make_room(struct st_catalog *c, struct batch *b, const struct st_value *const *row,
                     struct st_error *err)
{
  size_t need = 0;

  for (size_t i = 0; i < b->columns; i++)
    if (st_has_bytes(row[i]) && __builtin_add_overflow(need, row[i]->u.bytes.length, &need))
      abort(); /* more than the memory that it lies in */
  if ((b->count == MOST_ROWS || need > b->room - b->used) && put_batch(c, b, err) < 0)
    return -1;
  if (need > b->room) {
    b->bytes = st_realloc(b->bytes, need, 1);
    b->room = need;
  }
  return 0;
}

/* Each value from where it lies. */
static int batch_add(struct st_catalog *c, struct batch *b, const struct st_value *const *row,
                     struct st_error *err)
{
  if (make_room(c, b, row, err) < 0)
    return -1;
  struct st_value *to = &b->values[b->count++ * b->columns];
  for (size_t i = 0; i < b->columns; i++) {
    size_t length = st_has_bytes(row[i]) ? row[i]->u.bytes.length : 0;
    to[i] = *row[i];
    if (!st_has_bytes(row[i]))
      continue;
    to[i].u.bytes.data = b->bytes + b->used; /* of an empty string, too, which is not NULL */
    if (length)
      memcpy(b->bytes + b->used, row[i]->u.bytes.data, length);
    b->used += length;
  }
  return 0;
}

int st_first_put(struct st_catalog *c, struct st_error *err)
{
  struct st_first *first = c->first;

  if (!first || first->taken)
    return 0;
  if (first->failed)
    return st_fail(err, 0, "catalog: rows could not be put before (%s)", c->name);
  int r = put_batch(c, &first->new_paths, err);
  for (size_t i = 0; i < c->count && r == 0; i++)
    if (c->tables[i]->first)
      r = put_batch(c, &c->tables[i]->first->batch, err);
  return r;
}

/* ---- Begun and ended ------------------------------------------------------------------------- */

static void rows_free(struct st_first_rows *rows)
{
  if (!rows)
    return;
  batch_free(&rows->batch);
  free(rows->said);
  free(rows);
}

void st_first_end(struct st_catalog *c)
{
  struct st_first *first = st_steal(&c->first);

  for (size_t i = 0; i < c->count; i++)
    rows_free(st_steal(&c->tables[i]->first));
  if (!first)
    return;
  batch_free(&first->new_paths);
  st_buffer_free(&first->last);
  st_filter_free(first->paths);
  free(first);
}

/* `c00` in base 8, as they are declared. */
static void column(struct st_buffer *sql, size_t i)
{
  st_buffer_printf(sql, "c%zo%zo", i / 8, i % 8);
}

/* In the order of the file's columns: then SQLite does not copy each value to another place. */
static void put_sql(struct st_buffer *sql, const struct st_table_full *t)
{
  const struct st_table *d = &t->pub.declaration;

  st_buffer_printf(sql, "INSERT OR FAIL INTO \"%s\" (\"%s\", since, until, absent", t->pub.name,
                   d->columns[0].name);
  for (size_t i = 1; i < d->ncolumns; i++)
    st_buffer_printf(sql, ", \"%s\"", d->columns[i].name);
  st_buffer_append_string(sql, ") SELECT c00, ?1, NULL, 0");
  for (size_t i = 1; i < d->ncolumns; i++) {
    st_buffer_append_string(sql, ", ");
    column(sql, i);
  }
  st_buffer_append_string(sql, " FROM waiting");
}

static int rows_make(struct st_catalog *c, struct st_table_full *t, struct st_error *err)
{
  ST_AUTO_BUFFER sql = ST_BUFFER_INIT;

  if (!st_is_entry(t) || t->stored != t->pub.declaration.ncolumns)
    return 0;
  put_sql(&sql, t);
  t->first = st_calloc(1, sizeof(*t->first));
  return batch_make(c, &t->first->batch, t->stored, sql.data, err);
}

int st_first_start(struct st_catalog *c, struct st_error *err)
{
  int64_t some;

  if (!c->writer || c->replica || c->base != 0)
    return 0;
  if (st_sql_number(c, "SELECT EXISTS (SELECT 1 FROM path)", 1, &some, err) < 0)
    return -1;
  if (some)
    return 0;
  if (sqlite3_create_module_v2(c->db, "waiting", &waiting_module, c, NULL) != SQLITE_OK)
    return st_sql_fail(c, "catalog", err);
  struct st_first *first = st_calloc(1, sizeof(*first));
  first->paths = st_filter_new();
  first->next = 1;
  c->first = first;
  int r = batch_make(c, &first->new_paths, 1,
                     /* Ids that SQLite gives, in turn, go to the end without being looked for. */
                     "INSERT OR FAIL INTO path (path) SELECT c00 FROM waiting", err);
  for (size_t i = 0; i < c->count && r == 0; i++)
    r = rows_make(c, c->tables[i], err);
  return r;
}

/* ---- Paths ----------------------------------------------------------------------------------- */

/* What a directory holds comes right behind it. */
static unsigned rank(char c)
{
  return c == '/' ? 0 : 1U + (unsigned char)c;
}

/* In the order of a walk, and not the same. */
static bool is_behind(const struct st_value *path, const struct st_buffer *last)
{
  const char *a = last->data, *b = path->u.bytes.data;
  size_t i = 0, n = last->length < path->u.bytes.length ? last->length : path->u.bytes.length;

  while (i + sizeof(uint64_t) <= n && memcmp(a + i, b + i, sizeof(uint64_t)) == 0)
    i += sizeof(uint64_t);
  while (i < n && a[i] == b[i])
    i++;
  return i < n ? rank(a[i]) < rank(b[i]) : i < path->u.bytes.length;
}

bool st_first_may_have(const struct st_catalog *c, const struct st_value *path)
{
  const struct st_first *first = c->first;

  return (!first->all && !is_behind(path, &first->last)) ||
         st_filter_may_have(first->paths, path->u.bytes.data, path->u.bytes.length);
}

/* They come in another order: from now on their hashes tell. */
static int note_all(struct st_catalog *c, struct st_error *err)
{
  struct st_first *first = c->first;
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, "SELECT path FROM path", err);
  int r = s ? 0 : -1;

  while (r == 0 && (r = st_sql_step(c, s, err)) == 1) {
    const void *path = sqlite3_column_blob(s, 0);
    st_filter_add(first->paths, path ? path : "", (size_t)sqlite3_column_bytes(s, 0));
    r = 0;
  }
  first->all = r == 0;
  return r;
}

/* `*ret` is -1 where it has no id. */
static int ask_file(struct st_catalog *c, const struct st_value *path, int64_t *ret,
                    struct st_error *err)
{
  struct st_first *first = c->first;

  *ret = -1;
  if (!st_first_may_have(c, path))
    return 0;
  if (st_path_look_up(c, path, ret, err) < 0)
    return -1;
  first->asked += *ret < 0;
  return first->asked == MOST_ASKED && !first->all ? note_all(c, err) : 0;
}

/* It has an id from now on.  The paths of rows are those that a walk comes to. */
static void note_path(struct st_first *first, const struct st_value *path, bool of_row)
{
  bool behind = of_row && is_behind(path, &first->last);

  if (behind) {
    st_buffer_clear(&first->last);
    st_buffer_append(&first->last, path->u.bytes.data, path->u.bytes.length);
  }
  if (!behind || first->all)
    st_filter_add(first->paths, path->u.bytes.data, path->u.bytes.length);
}

int st_first_path(struct st_catalog *c, const struct st_value *path, int64_t *ret,
                  struct st_error *err)
{
  struct st_first *first = c->first;

  if (ask_file(c, path, ret, err) < 0)
    return -1;
  if (*ret >= 0)
    return 0;
  *ret = first->next++;
  note_path(first, path, first->of_row);
  return batch_add(c, &first->new_paths, &path, err);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static bool is_said(const struct st_first_rows *rows, int64_t id)
{
  return (size_t)id / 8 < rows->room && (rows->said[id / 8] & 1 << (id % 8));
}

static void say(struct st_first_rows *rows, int64_t id)
{
  size_t at = (size_t)id / 8;

  if (at >= rows->room) {
    size_t room = 2 * at + 1024;
    rows->said = st_realloc(rows->said, room, 1);
    memset(rows->said + rows->room, 0, room - rows->room);
    rows->room = room;
  }
  rows->said[at] |= (uint8_t)(1 << (id % 8));
}

void st_first_said(struct st_table_full *t, int64_t path)
{
  if (t->first)
    say(t->first, path);
}

int st_first_is_unsaid(struct st_catalog *c, const struct st_table_full *t,
                       const struct st_value *path, struct st_error *err)
{
  int64_t id;

  if (!t->first)
    return 0;
  if (st_path_id(c, path, false, &id, err) < 0)
    return -1;
  return id < 0 || !is_said(t->first, id);
}

/* The values as the file holds them: those of the row, or `made` in their place. */
static int stored(struct st_catalog *c, const struct st_table_full *t, int64_t path,
                  const struct st_value *row, struct st_value *made, const struct st_value **ret,
                  struct st_error *err)
{
  int64_t id;

  made[0] = st_integer(path);
  ret[0] = &made[0];
  for (size_t i = 1; i < t->pub.declaration.ncolumns; i++) {
    ret[i] = &row[i];
    if (row[i].type == ST_PATH) {
      if (st_path_id(c, &row[i], true, &id, err) < 0)
        return -1;
      made[i] = st_integer(id);
      ret[i] = &made[i];
    } else if (row[i].type == ST_ID && st_repeated_is(c, t, i, path, &row[i])) {
      made[i] = st_integer(0);
      ret[i] = &made[i];
    }
  }
  return 0;
}

int st_first_row(struct st_catalog *c, struct st_table_full *t, const struct st_value *row,
                 int64_t *ret_path, struct st_error *err)
{
  const struct st_value *values[ST_MAX_COLUMNS];
  struct st_value made[ST_MAX_COLUMNS];

  c->first->of_row = true;
  int r = st_path_id(c, &row[0], true, ret_path, err);
  c->first->of_row = false;
  if (r < 0)
    return -1;
  if (is_said(t->first, *ret_path))
    return 0;
  say(t->first, *ret_path);
  if (stored(c, t, *ret_path, row, made, values, err) < 0 ||
      batch_add(c, &t->first->batch, values, err) < 0)
    return -1;
  return 1;
}
