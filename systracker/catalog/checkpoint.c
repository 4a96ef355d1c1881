/* SPDX-License-Identifier: GPL-2.0-or-later */
/* checkpoint.c - checkpoints as they are listed and named: numbers, dates, tags. */
#include "systracker/catalog/internal.h"

#include "systracker/base/escape.h"
#include "systracker/base/text.h"

static const struct st_column tag_columns[] = {
    {"name", ST_TEXT, ST_KEY},
    {"checkpoint", ST_INTEGER, 0},
};

const struct st_table st_core_tables[] = {
    {"tag", 0, ST_COUNT(tag_columns), tag_columns},
    {0},
};

/* ---- Read ------------------------------------------------------------------------------------ */

void st_checkpoint_clear(struct st_checkpoint *cp)
{
  free(cp->message);
  free(cp->tags);
  *cp = (struct st_checkpoint){0};
}

int64_t st_catalog_latest(struct st_catalog *c)
{
  ST_AUTO_RESET *s = st_sql_fixed(c, ST_LATEST, NULL);

  return s && st_sql_step(c, s, NULL) == 1 ? sqlite3_column_int64(s, 0) : 0;
}

static void copy_digest(sqlite3_stmt *s, int at, uint8_t out[ST_DIGEST_SIZE])
{
  if (sqlite3_column_bytes(s, at) == ST_DIGEST_SIZE)
    memcpy(out, sqlite3_column_blob(s, at), ST_DIGEST_SIZE);
  else
    memset(out, 0, ST_DIGEST_SIZE);
}

void st_catalog_head(struct st_catalog *c, uint8_t out[ST_DIGEST_SIZE])
{
  ST_AUTO_STATEMENT *s =
      st_sql_prepare(c, "SELECT header_digest FROM checkpoint ORDER BY number DESC LIMIT 1", NULL);

  memset(out, 0, ST_DIGEST_SIZE);
  if (s && st_sql_step(c, s, NULL) == 1)
    copy_digest(s, 0, out);
}

static int no_checkpoint(struct st_catalog *c, const char *text, struct st_error *err)
{
  int64_t latest = st_catalog_latest(c);

  if (latest == 0)
    st_fail(err, 0, "no checkpoint %s: there is none yet", st_quote(text));
  else
    st_fail(err, 0, "no checkpoint %s (the latest is %lld)", st_quote(text), (long long)latest);
  return -ENOENT;
}

int st_catalog_checkpoint(struct st_catalog *c, int64_t number, struct st_checkpoint *ret,
                          struct st_error *err)
{
  ST_AUTO_RESET *s = st_sql_fixed(c, ST_CHECKPOINT_GET, err);
  int r;

  *ret = (struct st_checkpoint){0};
  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, number);
  if ((r = st_sql_step(c, s, err)) < 0)
    return r;
  if (r == 0) {
    ST_AUTO_FREE char *text = st_format("%lld", (long long)number);
    return no_checkpoint(c, text, err);
  }
  *ret = (struct st_checkpoint){
      .number = sqlite3_column_int64(s, 0),
      .time = sqlite3_column_int64(s, 1),
      .epoch = sqlite3_column_int64(s, 2),
      .incomplete = sqlite3_column_int(s, 3),
      .begun = sqlite3_column_int64(s, 4),
      .ended = sqlite3_column_int64(s, 5),
      .held = st_catalog_held(c, number),
  };
  copy_digest(s, 6, ret->state_root);
  copy_digest(s, 7, ret->header_digest);
  if (sqlite3_column_type(s, 8) != SQLITE_NULL)
    ret->message = st_strdup((const char *)sqlite3_column_text(s, 8));
  if (sqlite3_column_type(s, 9) != SQLITE_NULL)
    ret->tags = st_strdup((const char *)sqlite3_column_text(s, 9));
  return 0;
}

/* ---- Named ----------------------------------------------------------------------------------- */

/* The first number that the SQL yields for one parameter; 1: it yields none. */
static int ask(struct st_catalog *c, const char *sql, int64_t parameter, int64_t *ret,
               struct st_error *err)
{
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, sql, err);
  int r;

  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, parameter);
  if ((r = st_sql_step(c, s, err)) < 0)
    return r;
  if (r == 0 || sqlite3_column_type(s, 0) == SQLITE_NULL)
    return 1;
  *ret = sqlite3_column_int64(s, 0);
  return 0;
}

int st_tag_number(struct st_catalog *c, const char *name, int64_t *ret, struct st_error *err)
{
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, "SELECT number FROM tag WHERE name = ?1", err);
  int r;

  if (!s)
    return -1;
  sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
  if ((r = st_sql_step(c, s, err)) < 0)
    return r;
  if (r == 1)
    *ret = sqlite3_column_int64(s, 0);
  return r == 0;
}

/* The last one up to a number that was not pruned. */
static int64_t skip_pruned(struct st_catalog *c, int64_t number)
{
  while (st_catalog_held(c, number) == ST_PRUNED)
    number--;
  return number;
}

/* So many before the latest, those that were pruned not counted; 1: there are not so many. */
static int ask_back(struct st_catalog *c, int64_t back, int64_t *ret)
{
  *ret = st_catalog_latest(c);
  for (; back > 0 && *ret > 0; back--)
    *ret = skip_pruned(c, *ret - 1);
  return *ret < 1;
}

/* "latest", "latest~N", "baseline"; 1: none of them. */
static int ask_keyword(struct st_catalog *c, const char *text, int64_t *ret, struct st_error *err)
{
  int64_t back = 0;
  int r;

  if (strcmp(text, "baseline") == 0)
    r = ask(c, "SELECT min(number) FROM checkpoint", 0, ret, err);
  else if (strcmp(text, "latest") == 0)
    r = ask_back(c, 0, ret);
  else if (strncmp(text, "latest~", 7) != 0)
    return 1;
  else if (st_parse_number(text + 7, &back, err) < 0)
    return -1;
  else
    r = ask_back(c, back, ret);
  return r == 1 ? no_checkpoint(c, text, err) : r;
}

static bool is_number(const char *text)
{
  return *text && strspn(text, "0123456789") == strlen(text);
}

static int ask_number(struct st_catalog *c, const char *text, int64_t *ret, struct st_error *err)
{
  int64_t number;

  if (st_parse_number(text, &number, err) < 0)
    return -1;
  int r = ask(c, "SELECT number FROM checkpoint WHERE number = ?1", number, ret, err);
  return r == 1 ? no_checkpoint(c, text, err) : r;
}

static int ask_date(struct st_catalog *c, const char *text, int64_t *ret, struct st_error *err)
{
  int64_t time;
  int r = st_parse_date(text, &time, err);

  if (r != 0)
    return r < 0 ? r : no_checkpoint(c, text, err);
  r = ask(c,
          "SELECT number FROM checkpoint WHERE time <= ?1 ORDER BY time DESC, number DESC LIMIT 1",
          time, ret, err);
  *ret = r == 0 ? skip_pruned(c, *ret) : 0;
  if (r != 1)
    return r;
  st_fail(err, 0, "no checkpoint was made up to %s", st_quote(text));
  return -ENOENT;
}

static int ask_any(struct st_catalog *c, const char *text, int64_t *ret, struct st_error *err)
{
  int r;

  if (is_number(text))
    return ask_number(c, text, ret, err);
  if ((r = ask_keyword(c, text, ret, err)) != 1 || (r = st_tag_number(c, text, ret, err)) != 1)
    return r;
  return ask_date(c, text, ret, err);
}

int st_catalog_resolve(struct st_catalog *c, const char *text, int64_t *ret, struct st_error *err)
{
  int r = ask_any(c, text, ret, err);

  return r < 0 ? r : st_gap_check(c, *ret, err);
}

/* ---- Tags ------------------------------------------------------------------------------------ */

static bool is_plain(const char *name)
{
  for (const unsigned char *p = (const unsigned char *)name; *p; p++)
    if (*p <= ' ' || *p == 0x7f || strchr("/~,\"'\\", *p))
      return false;
  return true;
}

static int check_tag(const char *name, struct st_error *err)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  ST_AUTO_FREE char *shown = st_escaped(name, strlen(name));
  int64_t time;

  if (!*name || strlen(name) > 100 || *name == '-' || !is_plain(name) ||
      !st_is_utf8(name, strlen(name)) || strcmp(shown, name) != 0)
    return st_refuse(err, "a tag cannot be named so: '%s'", shown);
  if (is_number(name) || strcmp(name, "latest") == 0 || strcmp(name, "baseline") == 0 ||
      strcmp(name, "live") == 0 || st_parse_date(name, &time, &ignored) == 0)
    return st_refuse(err, "a tag cannot be named like a number, date or keyword: '%s'", shown);
  return 0;
}

static int store_tag(struct st_catalog *c, const char *name, int64_t number, struct st_error *err)
{
  ST_AUTO_STATEMENT *s =
      st_sql_prepare(c, "INSERT OR REPLACE INTO tag (name, number) VALUES (?1, ?2)", err);

  if (!s)
    return -1;
  sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
  sqlite3_bind_int64(s, 2, number);
  return st_sql_run(c, s, err);
}

int st_catalog_tag(struct st_catalog *c, const char *name, int64_t number, bool move,
                   struct st_error *err)
{
  bool open = c->scanning && !c->overlay;
  int64_t taken, found;
  int r;

  if (check_tag(name, err) < 0)
    return -1;
  if (number == ST_LIVE && !open)
    return st_fail(err, 0, "tag %s: no checkpoint is being made", name);
  if (number == ST_LIVE)
    number = c->number;
  else if ((r = ask(c, "SELECT number FROM checkpoint WHERE number = ?1", number, &found, err)) !=
           0)
    return r < 0 ? r : st_fail(err, 0, "no checkpoint %lld to tag", (long long)number);
  if ((r = st_tag_number(c, name, &taken, err)) < 0)
    return r;
  if (r == 0 && taken != number && !move)
    return st_refuse(err, "tag %s is taken: it names checkpoint %lld", name, (long long)taken);
  return store_tag(c, name, number, err);
}

int st_catalog_untag(struct st_catalog *c, const char *name, struct st_error *err)
{
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, "DELETE FROM tag WHERE name = ?1", err);

  if (!s)
    return -1;
  sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
  if (st_sql_run(c, s, err) < 0)
    return -1;
  return sqlite3_changes(c->db) ? 0 : st_fail(err, 0, "no tag %s", st_quote(name));
}

int st_catalog_tags(struct st_catalog *c, int (*fn)(void *arg, const char *name, int64_t number),
                    void *arg, struct st_error *err)
{
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, "SELECT name, number FROM tag ORDER BY name", err);
  int r = s ? 0 : -1;

  while (r == 0 && (r = st_sql_step(c, s, err)) == 1)
    r = fn(arg, (const char *)sqlite3_column_text(s, 0), sqlite3_column_int64(s, 1));
  return r;
}

struct tag_facts {
  struct st_catalog *c;
  const struct st_catalog_table *table;
  struct st_error *err;
};

static int put_tag(void *arg, const char *name, int64_t number)
{
  struct tag_facts *f = arg;
  struct st_value row[] = {st_text_value(name), st_integer(number)};
  int r = st_catalog_put(f->c, f->table, row, f->err);

  return r < 0 ? r : 0;
}

int st_tags_put(struct st_catalog *c, struct st_error *err)
{
  struct tag_facts f = {c, st_catalog_table(c, "core_tag"), err};

  if (st_catalog_sweep(c, f.table, err) < 0 || st_catalog_tags(c, put_tag, &f, err) < 0)
    return -1;
  return st_catalog_swept(c, f.table, NULL, NULL, err);
}

/* ---- What was not observed ------------------------------------------------------------------- */

struct unobserved {
  const char *path;
  size_t path_column, reason_column;
  char *words;
};

static bool column_named(const struct st_catalog_table *table, const char *name, size_t *ret)
{
  for (*ret = 0; *ret < table->declaration.ncolumns; ++*ret)
    if (strcmp(table->declaration.columns[*ret].name, name) == 0)
      return true;
  return false;
}

static bool is_below(const char *path, const void *top, size_t n)
{
  while (n > 0 && ((const char *)top)[n - 1] == '/')
    n--;
  return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == 0);
}

static int find_unobserved(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  struct unobserved *u = arg;
  const struct st_value *top = &fact->values[u->path_column];
  const struct st_value *why = &fact->values[u->reason_column];

  (void)err;
  if (top->type != ST_NULL && !is_below(u->path, top->u.bytes.data, top->u.bytes.length))
    return 0;
  u->words = why->type == ST_TEXT ? st_memdup(why->u.bytes.data, why->u.bytes.length)
                                  : st_strdup("not observed");
  return 1;
}

char *st_catalog_unobserved(struct st_catalog *c, int64_t number, const char *path)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  const struct st_catalog_table *table = st_catalog_table(c, "core_unobserved");
  struct unobserved u = {.path = path};

  if (!table || !column_named(table, "path", &u.path_column) ||
      !column_named(table, "reason", &u.reason_column))
    return NULL;
  st_catalog_each(c, number, table, NULL, find_unobserved, &u, &ignored);
  return u.words;
}
