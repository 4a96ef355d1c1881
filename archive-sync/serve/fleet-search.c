/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fleet-search.c - which hosts have a path, a package, a content.
 *
 * What is so now comes before what is not so any more; within each by path or package, then by the
 * hosts' names.  Rows are read as far as a page needs them.
 */
#include <string.h>

#include "archive-sync/serve/fleet-internal.h"
#include "systracker/base/digest.h"
#include "systracker/base/escape.h"
#include "systracker/base/version.h"

#define SEARCH_MAX 4096 /* bytes of what is searched for */
#define DIGITS_LEAST 8

/* One row that was found, on its way to a page. */
struct found {
  char host[ST_HOST_ID_SIZE];
  char *name;
  int64_t number;
  bool has_digest;
  uint8_t digest[ST_DIGEST_SIZE];
};

/* One search. */
struct search {
  struct st_fleet *f;
  sqlite3 *db;
  const struct st_fleet_query *q;
  st_fleet_hit_fn *fn;
  void *arg;
  bool now;    /* what is so now; else what was */
  size_t seen; /* that were found so far */
  /* Of the same path or package, to be sorted: */
  struct found *items;
  size_t count, size;
};

static void found_clear(struct search *s)
{
  for (size_t i = 0; i < s->count; i++)
    free(s->items[i].name);
  s->count = 0;
}

static void search_end(struct search *s)
{
  found_clear(s);
  free(s->items);
}

static bool is_full(const struct search *s)
{
  return s->q->limit > 0 && s->seen >= s->q->offset + s->q->limit;
}

/* Of a host that is there, and that who asks may see.  `until` 0: it is so now. */
static struct found *take(struct search *s, int64_t host, int64_t until)
{
  struct found item = {.number = until};
  bool there = false;
  pthread_rwlock_rdlock(&s->f->lock);
  const struct st_fleet_entry *e = st_fleet_by_id(s->f, host);
  if (e && !strchr(e->key, '/')) {
    there = true;
    snprintf(item.host, sizeof(item.host), "%.*s", ST_HOST_ID_SIZE - 1, e->key);
    item.name = st_strdup(e->name);
    item.number = until ? until : e->head.number;
  }
  pthread_rwlock_unlock(&s->f->lock);
  if (!there || (s->q->visible && !s->q->visible(s->q->arg, item.host))) {
    free(item.name);
    return NULL;
  }
  if (s->count == s->size) {
    s->size = s->size ? 2 * s->size : 64;
    s->items = st_realloc(s->items, s->size, sizeof(*s->items));
  }
  s->items[s->count++] = item;
  return &s->items[s->count - 1];
}

static int compare(const void *x, const void *y)
{
  const struct found *a = x, *b = y;
  int c = strcasecmp(a->name, b->name);
  return c ? c : strcmp(a->host, b->host);
}

/* Shows what was taken, as far as it belongs to the page; `hit` has what they have in common. */
static int show(struct search *s, struct st_fleet_hit hit, struct st_error *err)
{
  int r = 0;
  if (s->count > 0)
    qsort(s->items, s->count, sizeof(*s->items), compare);
  for (size_t i = 0; i < s->count && r == 0 && !is_full(s); i++) {
    const struct found *item = &s->items[i];
    char hex[2 * ST_DIGEST_SIZE + 1];
    if (s->seen++ < s->q->offset)
      continue;
    memcpy(hit.host, item->host, sizeof(hit.host));
    hit.name = item->name;
    hit.number = item->number;
    hit.now = s->now;
    st_hex(hex, item->digest, ST_DIGEST_SIZE);
    hit.digest = item->has_digest ? hex : NULL;
    r = s->fn(s->arg, &hit, err);
  }
  found_clear(s);
  return r;
}

static void take_digest(struct found *item, sqlite3_stmt *s, int first)
{
  const void *rest = sqlite3_column_blob(s, first + 1);
  uint64_t n = (uint64_t)sqlite3_column_int64(s, first);
  if (!rest || sqlite3_column_bytes(s, first + 1) != ST_DIGEST_SIZE - 8)
    return;
  for (int i = 7; i >= 0; i--, n >>= 8)
    item->digest[i] = (uint8_t)n;
  memcpy(item->digest + 8, rest, ST_DIGEST_SIZE - 8);
  item->has_digest = true;
}

/* First what is so now, then what was. */
static int search(struct st_fleet *f, const struct st_fleet_query *query, st_fleet_hit_fn *fn,
                  void *arg, int (*run)(struct search *s, const void *what, struct st_error *err),
                  const void *what, struct st_error *err)
{
  struct st_fleet_reader *reader = st_fleet_borrow(f, err);
  if (!reader)
    return -1;
  ST_CLEANUP(search_end)
  struct search s = {.f = f, .db = reader->db, .q = query, .fn = fn, .arg = arg, .now = true};
  int r = run(&s, what, err);
  s.now = false;
  if (r == 0 && !is_full(&s))
    r = run(&s, what, err);
  st_fleet_give_back(f, reader);
  return r;
}

/* ---- Patterns ----------------------------------------------------------------------------------
 */

/* "*" is any bytes, "?" one; a backslash takes the next one as it is. */
static bool matches(const char *p, const char *end, const char *t, size_t n)
{
  const char *star = NULL, *at = NULL, *stop = t + n;
  while (t < stop) {
    const char *literal = p < end && *p == '\\' && p + 1 < end ? p + 1 : p;
    if (p < end && *p == '*') {
      star = ++p;
      at = t;
    } else if (p < end && ((literal == p && *p == '?') || *literal == *t)) {
      p = literal + 1;
      t++;
    } else if (star) {
      p = star;
      t = ++at;
    } else {
      return false;
    }
  }
  while (p < end && *p == '*')
    p++;
  return p == end;
}

/* What every match begins with; false: the pattern matches nothing else. */
static bool literal_prefix(const char *p, struct st_buffer *out)
{
  for (; *p; p++) {
    if (*p == '*' || *p == '?')
      return true;
    if (*p == '\\' && p[1])
      p++;
    st_buffer_append_byte(out, (uint8_t)*p);
  }
  return false;
}

/* The least string that is greater than all that begin with it; false: there is none. */
static bool after_prefix(struct st_buffer *prefix)
{
  while (prefix->length > 0 && (uint8_t)prefix->data[prefix->length - 1] == 0xff)
    prefix->length--;
  if (prefix->length > 0)
    prefix->data[prefix->length - 1]++;
  return prefix->length > 0;
}

/* Rows of `named` text or bytes that may match: SELECT with "COLUMN >= ?1 AND COLUMN < ?2". */
static void bind_range(sqlite3_stmt *s, const char *pattern, bool text)
{
  ST_AUTO_BUFFER low = ST_BUFFER_INIT, high = ST_BUFFER_INIT;
  bool open = literal_prefix(pattern, &low);
  st_buffer_append(&high, low.data ? low.data : "", low.length);
  if (!open)
    st_buffer_append_byte(&high, 0);
  bool bounded = !open || after_prefix(&high);
  const char *data = low.data ? low.data : "";
  if (text)
    sqlite3_bind_text(s, 1, data, (int)low.length, SQLITE_TRANSIENT);
  else
    sqlite3_bind_blob(s, 1, data, (int)low.length, SQLITE_TRANSIENT);
  if (!bounded && !text)
    sqlite3_bind_blob(s, 2, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, SQLITE_STATIC);
  else if (!bounded)
    sqlite3_bind_blob(s, 2, "", 0, SQLITE_STATIC); /* every blob comes after every text */
  else if (text)
    sqlite3_bind_text(s, 2, high.data, (int)high.length, SQLITE_TRANSIENT);
  else
    sqlite3_bind_blob(s, 2, high.data, (int)high.length, SQLITE_TRANSIENT);
}

static int check_text(const char *text, struct st_error *err)
{
  size_t n = strlen(text);
  if (n == 0 || n > SEARCH_MAX)
    return st_refuse(err, "there is nothing to search for, or too much");
  return 0;
}

/* ---- Paths -------------------------------------------------------------------------------------
 */

static int hosts_of_path(struct search *s, sqlite3_stmt *rows, sqlite3_stmt *path,
                         struct st_error *err)
{
  struct st_fleet_hit hit = {.path = sqlite3_column_blob(path, 1),
                             .path_length = (size_t)sqlite3_column_bytes(path, 1)};
  int r;
  sqlite3_bind_int64(rows, 1, sqlite3_column_int64(path, 0));
  while ((r = st_fleet_step(rows, err)) == 1) {
    struct found *item = take(s, sqlite3_column_int64(rows, 0), sqlite3_column_int64(rows, 1));
    if (item)
      take_digest(item, rows, 2);
  }
  sqlite3_reset(rows);
  return r < 0 ? -1 : show(s, hit, err);
}

static int find_path(struct search *s, const void *what, struct st_error *err)
{
  const char *pattern = what, *end = pattern + strlen(pattern);
  ST_AUTO_FLEET_STATEMENT *paths = st_fleet_prepare(
      s->db, "SELECT id, path FROM path WHERE path >= ?1 AND path < ?2 ORDER BY path", err);
  ST_AUTO_FLEET_STATEMENT *rows = st_fleet_prepare(
      s->db,
      s->now ? "SELECT host, 0, digest, rest FROM fact WHERE path = ?1 AND until IS NULL"
             : "SELECT host, until, digest, rest FROM fact WHERE path = ?1 AND until IS NOT NULL",
      err);
  int r = paths && rows ? 0 : -1;
  if (r == 0)
    bind_range(paths, pattern, false);
  while (r == 0 && !is_full(s) && (r = st_fleet_step(paths, err)) == 1) {
    const char *path = sqlite3_column_blob(paths, 1);
    size_t n = (size_t)sqlite3_column_bytes(paths, 1);
    r = matches(pattern, end, path ? path : "", n) ? hosts_of_path(s, rows, paths, err) : 0;
  }
  return r;
}

int st_fleet_find_path(struct st_fleet *f, const char *pattern, const struct st_fleet_query *query,
                       st_fleet_hit_fn *fn, void *arg, struct st_error *err)
{
  return check_text(pattern, err) < 0 ? -1 : search(f, query, fn, arg, find_path, pattern, err);
}

/* ---- Packages ----------------------------------------------------------------------------------
 */

enum relation { ANY, LESS, LESS_EQUAL, EQUAL, GREATER_EQUAL, GREATER };

struct wanted {
  char *name; /* may be a pattern */
  enum relation relation;
  char *version;
};

static void wanted_clear(struct wanted *w)
{
  free(w->name);
  free(w->version);
}

/* dpkg's own words, "<<" and ">>", are understood, too. */
static const struct {
  const char *text;
  enum relation relation;
} relations[] = {{"<<", LESS},          {"<=", LESS_EQUAL}, {"<", LESS},   {">>", GREATER},
                 {">=", GREATER_EQUAL}, {">", GREATER},     {"==", EQUAL}, {"=", EQUAL}};

static int parse_wanted(const char *text, struct wanted *ret, struct st_error *err)
{
  const char *rest = text + strspn(text, " \t");
  size_t n = strcspn(rest, " \t<>=");
  ret->name = st_memdup(rest, n);
  rest += n;
  rest += strspn(rest, " \t");
  for (size_t i = 0; i < ST_COUNT(relations) && ret->relation == ANY && *rest; i++)
    if (strncmp(rest, relations[i].text, strlen(relations[i].text)) == 0) {
      ret->relation = relations[i].relation;
      rest += strlen(relations[i].text);
    }
  rest += strspn(rest, " \t");
  ret->version = st_memdup(rest, strcspn(rest, " \t"));
  rest += strlen(ret->version);
  rest += strspn(rest, " \t");
  if (n == 0 || *rest || (ret->relation == ANY) != (*ret->version == 0))
    return st_refuse(err, "NAME, or NAME and one of < <= = >= > and a version, is a package (%s)",
                     st_quote(text));
  return 0;
}

/* As rpm compares a dependency's version: a release that is not given is any. */
static int compare_rpm(const char *version, const char *wanted)
{
  ST_AUTO_FREE char *alone = st_strdup(version);
  char *release = strrchr(alone, '-');
  if (release && !strchr(wanted, '-'))
    *release = 0;
  return st_rpm_version_compare(alone, wanted);
}

static bool is_wanted(const struct wanted *w, const char *version, bool rpm)
{
  if (w->relation == ANY)
    return true;
  int c = rpm ? compare_rpm(version, w->version) : st_version_compare(version, w->version);
  switch (w->relation) {
  case LESS:
    return c < 0;
  case LESS_EQUAL:
    return c <= 0;
  case EQUAL:
    return c == 0;
  case GREATER_EQUAL:
    return c >= 0;
  default:
    return c > 0;
  }
}

static int hosts_of_package(struct search *s, sqlite3_stmt *rows, sqlite3_stmt *package,
                            struct st_error *err)
{
  struct st_fleet_hit hit = {.package = (const char *)sqlite3_column_text(package, 1),
                             .version = (const char *)sqlite3_column_text(package, 2)};
  int r;
  sqlite3_bind_int64(rows, 1, sqlite3_column_int64(package, 0));
  while ((r = st_fleet_step(rows, err)) == 1)
    take(s, sqlite3_column_int64(rows, 0), sqlite3_column_int64(rows, 1));
  sqlite3_reset(rows);
  return r < 0 ? -1 : show(s, hit, err);
}

static int find_package(struct search *s, const void *what, struct st_error *err)
{
  const struct wanted *w = what;
  ST_AUTO_FLEET_STATEMENT *packages =
      st_fleet_prepare(s->db,
                       "SELECT id, name, version, rpm FROM package WHERE name >= ?1 AND name < ?2"
                       " ORDER BY name, version, architecture",
                       err);
  ST_AUTO_FLEET_STATEMENT *rows = st_fleet_prepare(
      s->db,
      s->now ? "SELECT host, 0 FROM installed WHERE package = ?1 AND until IS NULL"
             : "SELECT host, until FROM installed WHERE package = ?1 AND until IS NOT NULL",
      err);
  int r = packages && rows ? 0 : -1;
  if (r == 0)
    bind_range(packages, w->name, true);
  while (r == 0 && !is_full(s) && (r = st_fleet_step(packages, err)) == 1) {
    const char *name = (const char *)sqlite3_column_text(packages, 1);
    const char *version = (const char *)sqlite3_column_text(packages, 2);
    bool rpm = sqlite3_column_int(packages, 3) != 0;
    r = matches(w->name, w->name + strlen(w->name), name, strlen(name)) &&
                is_wanted(w, version, rpm)
            ? hosts_of_package(s, rows, packages, err)
            : 0;
  }
  return r;
}

int st_fleet_find_package(struct st_fleet *f, const char *text, const struct st_fleet_query *query,
                          st_fleet_hit_fn *fn, void *arg, struct st_error *err)
{
  ST_CLEANUP(wanted_clear) struct wanted w = {0};
  return check_text(text, err) < 0 || parse_wanted(text, &w, err) < 0
             ? -1
             : search(f, query, fn, arg, find_package, &w, err);
}

/* ---- Contents ----------------------------------------------------------------------------------
 */

struct digits {
  uint8_t low[ST_DIGEST_SIZE], high[ST_DIGEST_SIZE]; /* both are among them */
};

static int parse_digits(const char *hex, struct digits *ret, struct st_error *err)
{
  char low[2 * ST_DIGEST_SIZE + 1], high[2 * ST_DIGEST_SIZE + 1];
  size_t n = strlen(hex);
  if (n < DIGITS_LEAST || n >= sizeof(low) || strspn(hex, "0123456789abcdefABCDEF") != n)
    return st_refuse(err, "%d to %d hexadecimal digits begin a digest (%s)", DIGITS_LEAST,
                     2 * ST_DIGEST_SIZE, st_quote(hex));
  memset(low, '0', sizeof(low) - 1);
  memset(high, 'f', sizeof(high) - 1);
  low[sizeof(low) - 1] = high[sizeof(high) - 1] = 0;
  for (size_t i = 0; i < n; i++)
    low[i] = high[i] = (char)(hex[i] >= 'A' && hex[i] <= 'F' ? hex[i] + ('a' - 'A') : hex[i]);
  st_unhex(ret->low, sizeof(ret->low), low);
  st_unhex(ret->high, sizeof(ret->high), high);
  return 0;
}

static int64_t number_of(const uint8_t *digest)
{
  uint64_t n = 0;
  for (int i = 0; i < 8; i++)
    n = n << 8 | digest[i];
  return (int64_t)n;
}

static bool is_between(const struct digits *d, const struct found *item)
{
  return memcmp(item->digest, d->low, ST_DIGEST_SIZE) >= 0 &&
         memcmp(item->digest, d->high, ST_DIGEST_SIZE) <= 0;
}

/* Rows come by path: those of one are shown together. */
static int find_digest(struct search *s, const void *what, struct st_error *err)
{
  const struct digits *d = what;
  ST_AUTO_BUFFER path = ST_BUFFER_INIT;
  ST_AUTO_FREE char *sql =
      st_format("SELECT p.path, t.host, coalesce(t.until, 0), t.digest, t.rest FROM fact t"
                " CROSS JOIN path p ON p.id = t.path"
                " WHERE t.digest BETWEEN ?1 AND ?2 AND t.until IS %s ORDER BY p.path",
                s->now ? "NULL" : "NOT NULL");
  ST_AUTO_FLEET_STATEMENT *rows = st_fleet_prepare(s->db, sql, err);
  int r = rows ? 0 : -1;
  if (r == 0) {
    sqlite3_bind_int64(rows, 1, number_of(d->low));
    sqlite3_bind_int64(rows, 2, number_of(d->high));
  }
  while (r == 0 && !is_full(s) && (r = st_fleet_step(rows, err)) == 1) {
    const char *data = sqlite3_column_blob(rows, 0);
    size_t n = (size_t)sqlite3_column_bytes(rows, 0);
    r = 0;
    if (n != path.length || memcmp(data ? data : "", path.data ? path.data : "", n) != 0) {
      r = show(s, (struct st_fleet_hit){.path = path.data, .path_length = path.length}, err);
      st_buffer_clear(&path);
      st_buffer_append(&path, data ? data : "", n);
    }
    struct found *item = take(s, sqlite3_column_int64(rows, 1), sqlite3_column_int64(rows, 2));
    if (!item)
      continue;
    take_digest(item, rows, 3);
    if (!item->has_digest || !is_between(d, item)) {
      free(item->name);
      s->count--;
    }
  }
  return r < 0 ? r
               : show(s, (struct st_fleet_hit){.path = path.data, .path_length = path.length}, err);
}

int st_fleet_find_digest(struct st_fleet *f, const char *hex, const struct st_fleet_query *query,
                         st_fleet_hit_fn *fn, void *arg, struct st_error *err)
{
  struct digits d;
  return parse_digits(hex, &d, err) < 0 ? -1 : search(f, query, fn, arg, find_digest, &d, err);
}
