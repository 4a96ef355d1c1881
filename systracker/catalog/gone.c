/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gone.c - all that the tables of entries had, where nothing of it is there now: as a restore finds
 * it that begins with an empty root.
 *
 * Paths come in their order, their own index has them so, and mostly in that of their ids, by which
 * rows are stored: so a cursor a table reads them one after the other.  Two threads do that beside
 * each other, each from a path on and by a connection of its own, where nobody writes meanwhile.
 */
#include "systracker/catalog/internal.h"

#include <pthread.h>

#include "systracker/base/process.h"

/* One range of the paths. */
struct part {
  struct st_catalog *c; /* its connection is read by this part alone */
  int64_t number;
  const struct st_value *from, *to; /* `to` is not in it; NULL: no bound */
  struct st_ahead *cursors;         /* one a table */
  struct st_value values[ST_MAX_COLUMNS];
  st_change_fn *fn;
  void *arg;
};

static int tell_path(struct part *p, int64_t id, const struct st_value *path, struct st_error *err)
{
  int r = 0;

  for (size_t i = 0; i < p->c->count && r == 0; i++) {
    struct st_table_full *t = p->c->tables[i];
    struct st_fact_row row = {.values = p->values};

    if (!st_is_entry(t) || !t->stored)
      continue;
    r = st_ahead_row_at(p->c, t, &p->cursors[i], p->number, path, id, &row, err);
    if (r <= ST_AHEAD_NONE) {
      r = r < 0 ? -1 : 0;
      continue;
    }
    const struct st_change change = {
        .table = t->pub.name, .declaration = &t->pub.declaration, .before = row.values};
    r = row.present ? p->fn(p->arg, &change, err) : 0;
  }
  return r;
}

static sqlite3_stmt *paths_of(const struct part *p, struct st_error *err)
{
  sqlite3_stmt *s = st_sql_prepare(p->c,
                                   p->from ? "SELECT id, path FROM path WHERE path >= ?1"
                                             " ORDER BY path"
                                   : p->to ? "SELECT id, path FROM path WHERE path < ?1"
                                             " ORDER BY path"
                                           : "SELECT id, path FROM path ORDER BY path",
                                   err);

  if (s && (p->from || p->to))
    st_bind(s, 1, p->from ? p->from : p->to);
  return s;
}

static int tell_part(struct part *p, struct st_error *err)
{
  ST_AUTO_STATEMENT *s = paths_of(p, err);
  int r = s ? 0 : -1, have = 0;

  p->cursors = st_calloc(p->c->count + 1, sizeof(*p->cursors));
  while (r == 0 && (have = st_sql_step(p->c, s, err)) > 0) {
    struct st_value path;

    r = st_column_value(p->c, s, 1, ST_PATH, &path, err);
    if (r == 0)
      r = tell_path(p, sqlite3_column_int64(s, 0), &path, err);
  }
  for (size_t i = 0; i < p->c->count; i++)
    st_ahead_free(&p->cursors[i]);
  free(p->cursors);
  return have < 0 ? -1 : r;
}

/* ---- By two threads -------------------------------------------------------------------------- */

/* The second part, and the thread that tells it. */
struct beside {
  struct st_catalog c;
  struct part part;
  struct st_value middle;
  struct st_buffer bytes; /* of the path in the middle */
  pthread_t thread;
  int result;
  struct st_error error;
};

static void *tell_beside(void *arg)
{
  struct beside *b = arg;

  b->result = tell_part(&b->part, &b->error);
  return NULL;
}

/* A path about the middle, as ids mostly are in the order of paths: 1, or 0: there is none. */
static int find_middle(struct st_catalog *c, struct beside *b, struct st_error *err)
{
  ST_AUTO_STATEMENT *s = st_sql_prepare(
      c, "SELECT path FROM path WHERE id >= (SELECT max(id) / 2 FROM path) ORDER BY id LIMIT 1",
      err);
  int r = s ? st_sql_step(c, s, err) : -1;

  if (r <= 0 || st_column_value(c, s, 0, ST_PATH, &b->middle, err) < 0)
    return r <= 0 ? r : -1;
  st_buffer_append(&b->bytes, b->middle.u.bytes.data, b->middle.u.bytes.length);
  b->middle = st_bytes_value(ST_PATH, b->bytes.data ? b->bytes.data : "", b->bytes.length);
  return 1;
}

/* Whether another thread tells the second half.  Where it cannot, one tells all. */
static bool begin_beside(struct beside *b, const struct st_gone *g)
{
  if (!g->alone || !g->c->wal || st_processors(2) < 2 || find_middle(g->c, b, NULL) <= 0 ||
      st_catalog_open_beside(&b->c, g->c, NULL) < 0)
    return false;
  b->part = (struct part){
      .c = &b->c, .number = g->number, .from = &b->middle, .fn = g->fn, .arg = g->args[1]};
  return pthread_create(&b->thread, NULL, tell_beside, b) == 0;
}

int st_gone_tell(const struct st_gone *g, struct st_error *err)
{
  struct beside b = {.error = ST_ERROR_INIT};
  bool begun = begin_beside(&b, g);
  struct part first = {.c = g->c,
                       .number = g->number,
                       .to = begun ? &b.middle : NULL,
                       .fn = g->fn,
                       .arg = g->args[0]};
  int r = tell_part(&first, err);

  if (begun)
    pthread_join(b.thread, NULL);
  if (begun && r == 0 && b.result != 0)
    r = b.result < 0 ? st_error_move(err, &b.error) : b.result;
  st_error_clear(&b.error);
  st_catalog_close_beside(&b.c);
  st_buffer_free(&b.bytes);
  return r;
}
