/* SPDX-License-Identifier: GPL-2.0-or-later */
/* row.c - values, keys and rows: compared, checked, copied, encoded, and as the file holds them. */
#include "systracker/catalog/internal.h"

#include "systracker/base/escape.h"

static int compare_integers(int64_t a, int64_t b)
{
  return (a > b) - (a < b);
}

static int compare_bytes(const struct st_value *a, const struct st_value *b)
{
  size_t n = a->u.bytes.length < b->u.bytes.length ? a->u.bytes.length : b->u.bytes.length;
  int r = n ? memcmp(a->u.bytes.data, b->u.bytes.data, n) : 0;

  return r ? r : (a->u.bytes.length > b->u.bytes.length) - (a->u.bytes.length < b->u.bytes.length);
}

int st_value_compare(const struct st_value *a, const struct st_value *b)
{
  if (a->type != b->type)
    return a->type < b->type ? -1 : 1;
  switch (a->type) {
  case ST_NULL:
    return 0;
  case ST_INTEGER:
    return compare_integers(a->u.integer, b->u.integer);
  case ST_ID:
    if (a->u.id.keyed != b->u.id.keyed)
      return a->u.id.keyed < b->u.id.keyed ? -1 : 1;
    return memcmp(a->u.id.digest, b->u.id.digest, sizeof(a->u.id.digest));
  default:
    return compare_bytes(a, b);
  }
}

bool st_value_differs(const struct st_value *a, const struct st_value *b)
{
  return a->type != ST_NULL && b->type != ST_NULL && st_value_compare(a, b) != 0;
}

int st_key_compare(const struct st_table_full *t, const struct st_value *a,
                   const struct st_value *b)
{
  int r = 0;

  for (size_t i = 0; i < t->pub.nkeys && r == 0; i++)
    r = st_value_compare(&a[i], &b[i]);
  return r;
}

bool st_row_differs(const struct st_table_full *t, const struct st_value *a,
                    const struct st_value *b)
{
  for (size_t i = t->pub.nkeys; i < t->pub.declaration.ncolumns; i++)
    if (st_value_differs(&a[i], &b[i]))
      return true;
  return false;
}

static int check_value(const struct st_table_full *t, size_t i, const struct st_value *v,
                       struct st_error *err)
{
  const struct st_column *column = &t->pub.declaration.columns[i];

  if (v->type != column->type)
    return st_fail(err, 0, "fact: a value of the wrong type (%s.%s)", t->pub.name, column->name);
  if (v->type == ST_TEXT && !st_is_utf8(v->u.bytes.data, v->u.bytes.length))
    return st_fail(err, 0, "fact: a text that is no UTF-8 (%s.%s)", t->pub.name, column->name);
  if (v->type == ST_PATH && memchr(v->u.bytes.data, 0, v->u.bytes.length))
    return st_fail(err, 0, "fact: a path with a NUL (%s.%s)", t->pub.name, column->name);
  if (v->type == ST_ID && v->u.id.keyed > 1)
    return st_fail(err, 0, "fact: an id of unknown kind (%s.%s)", t->pub.name, column->name);
  return 0;
}

/* Most are of types of which any value will do. */
static bool is_plain(const struct st_column *column, const struct st_value *v)
{
  return v->type == ST_NULL
             ? !(column->flags & ST_KEY)
             : v->type == column->type && (v->type == ST_INTEGER || v->type == ST_BYTES);
}

static int check_values(const struct st_table_full *t, const struct st_value *values, size_t n,
                        struct st_error *err)
{
  const struct st_column *columns = t->pub.declaration.columns;

  for (size_t i = 0; i < n; i++)
    if (!is_plain(&columns[i], &values[i]) && check_value(t, i, &values[i], err) < 0)
      return -1;
  return 0;
}

int st_key_check(const struct st_table_full *t, const struct st_value *key, struct st_error *err)
{
  return check_values(t, key, t->pub.nkeys, err);
}

int st_row_check(const struct st_table_full *t, const struct st_value *row, struct st_error *err)
{
  return check_values(t, row, t->pub.declaration.ncolumns, err);
}

/* Each copy has a NUL behind it, so that paths and texts can be used as strings. */
static size_t bytes_needed(const struct st_value *values, size_t n)
{
  size_t need = 0;

  for (size_t i = 0; i < n; i++)
    if (st_has_bytes(&values[i]) &&
        (__builtin_add_overflow(need, values[i].u.bytes.length, &need) ||
         __builtin_add_overflow(need, 1, &need)))
      abort(); /* more than the memory that it lies in */
  return need;
}

struct st_fact_row *st_row_copy(const struct st_table_full *t, const struct st_value *values,
                                size_t n)
{
  size_t columns = t->pub.declaration.ncolumns;
  size_t head = sizeof(struct st_fact_row) + columns * sizeof(struct st_value);
  struct st_fact_row *fact = st_malloc(head + bytes_needed(values, n));
  char *free_bytes = (char *)fact + head;

  *fact = (struct st_fact_row){.table = &t->pub, .values = (struct st_value *)(fact + 1)};
  for (size_t i = 0; i < columns; i++) {
    struct st_value *v = &fact->values[i];

    *v = i < n ? values[i] : st_null();
    if (!st_has_bytes(v))
      continue;
    if (v->u.bytes.length)
      memcpy(free_bytes, v->u.bytes.data, v->u.bytes.length);
    free_bytes[v->u.bytes.length] = 0;
    v->u.bytes.data = free_bytes;
    free_bytes += v->u.bytes.length + 1;
  }
  return fact;
}

void st_fact_free(struct st_fact_row *fact)
{
  free(fact);
}

void st_key_encode(const struct st_table_full *t, const struct st_value *key, struct st_buffer *out)
{
  st_cbor_array(out, t->pub.nkeys);
  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_cbor_value(out, &key[i]);
}

size_t st_row_length(const struct st_table_full *t, const struct st_value *row)
{
  size_t n = t->pub.declaration.ncolumns;

  while (n > t->pub.nkeys && row[n - 1].type == ST_NULL)
    n--;
  return n;
}

_Static_assert(sizeof(struct st_id) == 1 + ST_DIGEST_SIZE, "an id is stored as it lies in memory");

/* The empty string is not NULL; SQLite takes a null pointer for it. */
static const void *some_pointer(const struct st_value *v)
{
  return v->u.bytes.length ? v->u.bytes.data : "";
}

int st_bind(sqlite3_stmt *s, int at, const struct st_value *v)
{
  switch (v->type) {
  case ST_INTEGER:
    return sqlite3_bind_int64(s, at, v->u.integer);
  case ST_TEXT:
    return sqlite3_bind_text64(s, at, some_pointer(v), v->u.bytes.length, SQLITE_STATIC,
                               SQLITE_UTF8);
  case ST_BYTES:
  case ST_PATH:
    return sqlite3_bind_blob64(s, at, some_pointer(v), v->u.bytes.length, SQLITE_STATIC);
  case ST_ID:
    return sqlite3_bind_blob(s, at, &v->u.id, sizeof(v->u.id), SQLITE_STATIC);
  case ST_NULL:
    break;
  }
  return sqlite3_bind_null(s, at);
}

static int bind_stored(struct st_catalog *c, sqlite3_stmt *s, int at, const struct st_value *v,
                       bool make, struct st_error *err)
{
  int64_t id;

  if (v->type == ST_PATH) {
    if (st_path_id(c, v, make, &id, err) < 0)
      return -1;
    return sqlite3_bind_int64(s, at, id) == SQLITE_OK ? 0 : st_sql_fail(c, "catalog", err);
  }
  return st_bind(s, at, v) == SQLITE_OK ? 0 : st_sql_fail(c, "catalog", err);
}

int st_bind_key(struct st_catalog *c, sqlite3_stmt *s, int at, const struct st_table_full *t,
                const struct st_value *key, bool make, struct st_error *err)
{
  int r = 0;

  for (size_t i = 0; i < t->pub.nkeys && r == 0; i++)
    r = bind_stored(c, s, at + (int)i, &key[i], make, err);
  return r;
}

int st_bind_values(struct st_catalog *c, sqlite3_stmt *s, int at, const struct st_table_full *t,
                   const struct st_value *row, struct st_error *err)
{
  int r = 0;

  for (size_t i = t->pub.nkeys; i < t->pub.declaration.ncolumns && r == 0; i++)
    r = bind_stored(c, s, at + (int)(i - t->pub.nkeys), &row[i], true, err);
  return r;
}

static int damaged(struct st_catalog *c, struct st_error *err)
{
  return st_fail(err, 0, "catalog: a value is damaged (%s)", c->name);
}

static int id_of(struct st_catalog *c, sqlite3_value *v, struct st_value *ret, struct st_error *err)
{
  const uint8_t *bytes = sqlite3_value_blob(v);

  if (!bytes || sqlite3_value_bytes(v) != 1 + (int)sizeof(ret->u.id.digest))
    return damaged(c, err);
  ret->type = ST_ID;
  ret->u.id.keyed = bytes[0];
  memcpy(ret->u.id.digest, bytes + 1, sizeof(ret->u.id.digest));
  return 0;
}

/* The column is looked up once: its connection has no mutex (SQLITE_OPEN_NOMUTEX), so that its
 * value need not be a protected one. */
int st_column_value(struct st_catalog *c, sqlite3_stmt *s, int at, enum st_value_type type,
                    struct st_value *ret, struct st_error *err)
{
  sqlite3_value *v = sqlite3_column_value(s, at);
  int stored = sqlite3_value_type(v);

  ret->type = ST_NULL;
  if (stored == SQLITE_NULL)
    return 0;
  if (type == ST_ID)
    return id_of(c, v, ret, err);
  if (type == ST_INTEGER && stored == SQLITE_INTEGER) {
    ret->type = ST_INTEGER;
    ret->u.integer = sqlite3_value_int64(v);
    return 0;
  }
  if (type == ST_INTEGER || stored != (type == ST_TEXT ? SQLITE_TEXT : SQLITE_BLOB))
    return damaged(c, err);

  const void *data = type == ST_TEXT ? (const void *)sqlite3_value_text(v) : sqlite3_value_blob(v);
  ret->type = type;
  ret->u.bytes.data = data ? data : "";
  ret->u.bytes.length = (size_t)sqlite3_value_bytes(v);
  return 0;
}

/* Plug-ins speak of one path one after the other, and one fact takes several statements. */
static bool is_last_path(const struct st_catalog *c, const struct st_value *path)
{
  return c->has_last_path && c->last_path.length == path->u.bytes.length &&
         (path->u.bytes.length == 0 ||
          memcmp(c->last_path.data, path->u.bytes.data, path->u.bytes.length) == 0);
}

static void set_last_path(struct st_catalog *c, const struct st_value *path, int64_t id)
{
  st_buffer_clear(&c->last_path);
  st_buffer_append(&c->last_path, some_pointer(path), path->u.bytes.length);
  c->has_last_path = true;
  c->last_path_id = id;
}

int st_path_look_up(struct st_catalog *c, const struct st_value *path, int64_t *ret,
                    struct st_error *err)
{
  ST_AUTO_RESET *get = st_sql_fixed(c, ST_PATH_ID, err);

  if (!get || st_bind(get, 1, path) != SQLITE_OK)
    return -1;
  int r = st_sql_step(c, get, err);
  if (r >= 0)
    *ret = r ? sqlite3_column_int64(get, 0) : -1;
  return r < 0 ? r : 0;
}

/* `*ret` is -1 so far. */
static int find_path(struct st_catalog *c, const struct st_value *path, int64_t *ret,
                     struct st_error *err)
{
  if (c->first && !st_first_may_have(c, path))
    return 0;
  int r = c->scanning ? st_ahead_path(c, path, ret, err) : 0;
  if (r != 0)
    return r < 0 ? -1 : 0;
  if (st_path_look_up(c, path, ret, err) < 0)
    return -1;
  return c->scanning ? st_ahead_path_was(c, *ret, err) : 0;
}

/* -1: it is there already, where it is added without having been looked for. */
static int add_path(struct st_catalog *c, const struct st_value *path, bool looked_for,
                    int64_t *ret, struct st_error *err)
{
  sqlite3_stmt *add = st_sql_fixed(c, looked_for ? ST_PATH_ADD : ST_PATH_ADD_NEW, err);

  if (!add || st_bind(add, 1, path) != SQLITE_OK || st_sql_run(c, add, err) < 0)
    return -1;
  *ret = sqlite3_changes(c->db) > 0 ? sqlite3_last_insert_rowid(c->db) : -1;
  return 0;
}

/* In the first checkpoint nearly all are new, and are not looked for first. */
static int make_path(struct st_catalog *c, const struct st_value *path, int64_t *ret,
                     struct st_error *err)
{
  bool first = c->base == 0;

  if (c->first)
    return st_first_path(c, path, ret, err);
  if (first && add_path(c, path, false, ret, err) < 0)
    return -1;
  if ((!first || *ret < 0) && find_path(c, path, ret, err) < 0)
    return -1;
  return *ret < 0 ? add_path(c, path, true, ret, err) : 0;
}

int st_path_id(struct st_catalog *c, const struct st_value *path, bool make, int64_t *ret,
               struct st_error *err)
{
  if (is_last_path(c, path) && (c->last_path_id >= 0 || !make)) {
    *ret = c->last_path_id;
    return 0;
  }
  *ret = -1;
  if (make ? make_path(c, path, ret, err) < 0 : find_path(c, path, ret, err) < 0)
    return -1;
  if (!is_last_path(c, path)) /* `path` may be its own */
    set_last_path(c, path, *ret);
  c->last_path_id = *ret;
  return 0;
}
