/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gone.c - all that the tables of entries had, where nothing of it is there now: as a restore finds
 * it that begins with an empty root.
 *
 * Paths come in their order, their own index has them so, and mostly in that of their ids, by which
 * rows are stored: so a cursor a table reads them one after the other.  Where nobody writes
 * meanwhile, two threads do that beside each other, each by a connection of its own: the paths are
 * cut into two large parts and some small ones, of which each thread takes the next, so that both
 * end at about the same time.
 */
#include "systracker/catalog/internal.h"

#include <stdatomic.h>

#include "systracker/base/process.h"
#include "systracker/base/thread.h"

/* Who reads, by a connection that it alone reads by. */
struct teller {
  struct st_catalog *c;
  int64_t number;
  struct st_ahead *cursors; /* one a table */
  struct st_value values[ST_MAX_COLUMNS];
};

/* One range of the paths. */
struct part {
  const struct st_value *from, *to; /* `to` is not in it; NULL: no bound */
  st_change_fn *fn;
  void *arg;
};

static int tell_path(struct teller *t, const struct part *p, int64_t id,
                     const struct st_value *path, struct st_error *err)
{
  int r = 0;

  for (size_t i = 0; i < t->c->count && r == 0; i++) {
    struct st_table_full *table = t->c->tables[i];
    struct st_fact_row row = {.values = t->values};

    if (!st_is_entry(table) || !table->stored)
      continue;
    r = st_ahead_row_at(t->c, table, &t->cursors[i], t->number, path, id, &row, err);
    if (r <= ST_AHEAD_NONE) {
      r = r < 0 ? -1 : 0;
      continue;
    }
    const struct st_change change = {
        .table = table->pub.name, .declaration = &table->pub.declaration, .before = row.values};
    r = row.present ? p->fn(p->arg, &change, err) : 0;
  }
  return r;
}

static sqlite3_stmt *paths_of(struct st_catalog *c, const struct part *p, struct st_error *err)
{
  ST_AUTO_FREE char *sql =
      st_format("SELECT id, path FROM path%s%s%s ORDER BY path", p->from ? " WHERE path >= ?1" : "",
                p->to ? (p->from ? " AND" : " WHERE") : "", p->to ? " path < ?2" : "");
  sqlite3_stmt *s = st_sql_prepare(c, sql, err);

  if (s && p->from)
    st_bind(s, 1, p->from);
  if (s && p->to)
    st_bind(s, 2, p->to);
  return s;
}

static int tell_part(struct teller *t, const struct part *p, struct st_error *err)
{
  ST_AUTO_STATEMENT *s = paths_of(t->c, p, err);
  int r = s ? 0 : -1, have = 0;

  while (r == 0 && (have = st_sql_step(t->c, s, err)) > 0) {
    struct st_value path;

    r = st_column_value(t->c, s, 1, ST_PATH, &path, err);
    if (r == 0)
      r = tell_path(t, p, sqlite3_column_int64(s, 0), &path, err);
  }
  return have < 0 ? -1 : r;
}

/* ---- The parts ------------------------------------------------------------------------------- */

/* Where each part but the first begins, in hundredths of the ids, which mostly ascend as the paths
 * do. */
static const int begins[ST_CATALOG_PARTS - 1] = {44, 88, 91, 94, 97};

struct work {
  struct part parts[ST_CATALOG_PARTS];
  struct st_value bounds[ST_CATALOG_PARTS - 1];
  struct st_buffer bytes[ST_CATALOG_PARTS - 1]; /* of the bounds */
  size_t nbounds;
  int results[ST_CATALOG_PARTS];
  struct st_error errors[ST_CATALOG_PARTS];
  atomic_size_t next;
  atomic_bool ended; /* by what a part returned: those that nobody has begun are left */
};

static int by_path(const void *a, const void *b)
{
  return st_value_compare(a, b);
}

static int find_bound(struct st_catalog *c, sqlite3_stmt *s, struct work *w, int hundredth)
{
  struct st_value *path = &w->bounds[w->nbounds];
  struct st_buffer *bytes = &w->bytes[w->nbounds];

  sqlite3_reset(s);
  sqlite3_bind_int(s, 1, hundredth);
  int r = st_sql_step(c, s, NULL);
  if (r <= 0 || st_column_value(c, s, 0, ST_PATH, path, NULL) < 0)
    return -1;
  st_buffer_append(bytes, path->u.bytes.data, path->u.bytes.length);
  *path = st_bytes_value(ST_PATH, bytes->data ? bytes->data : "", bytes->length);
  w->nbounds++;
  return 0;
}

/* Wherever the bounds are, the parts between them are all the paths, in order. */
static int find_bounds(struct st_catalog *c, struct work *w)
{
  ST_AUTO_STATEMENT *s = st_sql_prepare(
      c,
      "SELECT path FROM path WHERE id >= (SELECT max(id) * ?1 / 100 FROM path) ORDER BY id"
      " LIMIT 1",
      NULL);

  for (size_t i = 0; s && i < ST_COUNT(begins); i++) {
    if (find_bound(c, s, w, begins[i]) < 0)
      return -1;
  }
  qsort(w->bounds, w->nbounds, sizeof(*w->bounds), by_path);
  return s ? 0 : -1;
}

static void cut(struct work *w, const struct st_gone *g)
{
  for (size_t i = 0; i <= w->nbounds; i++)
    w->parts[i] = (struct part){.from = i > 0 ? &w->bounds[i - 1] : NULL,
                                .to = i < w->nbounds ? &w->bounds[i] : NULL,
                                .fn = g->fn,
                                .arg = g->args[i]};
}

/* What lies before a part that was begun was begun, too, and comes to its end. */
static void tell(struct work *w, struct st_catalog *c, int64_t number)
{
  struct teller t = {.c = c, .number = number};
  size_t i;

  t.cursors = st_calloc(c->count + 1, sizeof(*t.cursors));
  while (!atomic_load(&w->ended) && (i = atomic_fetch_add(&w->next, 1)) <= w->nbounds) {
    w->results[i] = tell_part(&t, &w->parts[i], &w->errors[i]);
    if (w->results[i] != 0)
      atomic_store(&w->ended, true);
  }
  for (size_t k = 0; k < c->count; k++)
    st_ahead_free(&t.cursors[k]);
  free(t.cursors);
}

/* The first part that did not go well counts. */
static int result_of(struct work *w, struct st_error *err)
{
  int r = 0;

  for (size_t i = 0; i <= w->nbounds; i++) {
    if (r == 0 && w->results[i] != 0)
      r = w->results[i] < 0 ? st_error_move(err, &w->errors[i]) : w->results[i];
    st_error_clear(&w->errors[i]);
  }
  return r;
}

/* ---- By two threads -------------------------------------------------------------------------- */

/* The other thread. */
struct beside {
  struct st_catalog c;
  struct work *work;
  int64_t number;
  pthread_t thread;
};

static void *tell_beside(void *arg)
{
  struct beside *b = arg;

  tell(b->work, &b->c, b->number);
  return NULL;
}

/* Where it cannot be, one thread tells all, as one part. */
static bool begin_beside(struct beside *b, const struct st_gone *g)
{
  if (!g->alone || !g->c->wal || st_processors(2) < 2 || find_bounds(g->c, b->work) < 0 ||
      st_catalog_open_beside(&b->c, g->c, NULL) < 0)
    return false;
  cut(b->work, g);
  return st_thread_start(&b->thread, tell_beside, b);
}

int st_gone_tell(const struct st_gone *g, struct st_error *err)
{
  struct work w = {.nbounds = 0};
  struct beside b = {.work = &w, .number = g->number};
  bool begun = begin_beside(&b, g);

  if (!begun) {
    w.nbounds = 0;
    cut(&w, g);
  }
  tell(&w, g->c, g->number);
  if (begun)
    pthread_join(b.thread, NULL);
  int r = result_of(&w, err);
  st_catalog_close_beside(&b.c);
  for (size_t i = 0; i < ST_COUNT(w.bytes); i++)
    st_buffer_free(&w.bytes[i]);
  return r;
}
