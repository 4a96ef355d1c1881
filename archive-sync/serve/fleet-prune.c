/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fleet-prune.c - what goes: of checkpoints that were pruned, and of hosts that are no more. */
#include <string.h>

#include "archive-sync/serve/fleet-internal.h"

/* ---- Objects -----------------------------------------------------------------------------------
 */

static int add_object(void *arg, const struct st_id *id)
{
  uint8_t bytes[ST_FLEET_ID_SIZE] = {id->keyed};
  memcpy(bytes + 1, id->digest, sizeof(id->digest));
  st_buffer_append(arg, bytes, sizeof(bytes));
  return 0;
}

/* All that the facts which are left name, in one row. */
static int name_again(struct st_fleet *f, const struct st_fleet_entry *e, struct st_catalog *c,
                      struct st_error *err)
{
  ST_AUTO_BUFFER ids = ST_BUFFER_INIT;
  int64_t first = e->id << ST_FLEET_NUMBER_BITS;
  ST_AUTO_FREE char *sql =
      st_format("DELETE FROM named WHERE id BETWEEN %lld AND %lld", (long long)first,
                (long long)(((e->id + 1) << ST_FLEET_NUMBER_BITS) - 1));
  sqlite3_stmt *s = st_fleet_statement(f, ST_FLEET_NAMED_ADD, err);
  if (!s || st_catalog_objects(c, add_object, &ids, err) < 0 || st_fleet_exec(f->db, sql, err) < 0)
    return -1;
  if (ids.length == 0)
    return 0;
  sqlite3_bind_int64(s, 1, first + 1);
  sqlite3_bind_blob64(s, 2, ids.data, ids.length, SQLITE_STATIC);
  return st_fleet_run(s, err);
}

/* ---- What is not so any more -------------------------------------------------------------------
 */

/* The latest checkpoint up to `number` whose facts are here; 0: none. */
static int64_t held_before(struct st_catalog *c, int64_t number)
{
  while (number > 0 && st_catalog_held(c, number) != ST_HELD)
    number--;
  return number;
}

/* Whether a fact of the path is stored at that checkpoint. */
static int is_stored(struct st_catalog *c, int64_t number, const struct st_value *path,
                     struct st_error *err)
{
  const struct st_catalog_table *table;
  for (size_t n = 0; (table = st_catalog_table_at(c, n)); n++) {
    ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
    if (!(table->declaration.flags & ST_TABLE_ENTRY))
      continue;
    if (st_catalog_fact(c, number, table, path, &fact, err) < 0)
      return -1;
    if (fact->present && !fact->expected)
      return 1;
  }
  return 0;
}

/* Statements on the row that was not so any more since a checkpoint: ?1 its path or package, ?2 the
 * host, ?3 the new number. */
struct moving {
  sqlite3_stmt *rows, *move, *drop;
};

static void moving_clear(struct moving *m)
{
  sqlite3_finalize(m->rows);
  sqlite3_finalize(m->move);
  sqlite3_finalize(m->drop);
}

static int moving_open(struct moving *m, struct st_fleet *f, const char *table, const char *key,
                       const char *what, struct st_error *err)
{
  ST_AUTO_FREE char *rows =
      st_format("SELECT t.%s, t.until, %s WHERE t.host = ?1 AND t.until IS NOT"
                " NULL",
                key, what);
  ST_AUTO_FREE char *move =
      st_format("UPDATE %s SET until = ?3 WHERE %s = ?1 AND host = ?2", table, key);
  ST_AUTO_FREE char *drop = st_format("DELETE FROM %s WHERE %s = ?1 AND host = ?2", table, key);
  m->rows = st_fleet_prepare(f->db, rows, err);
  m->move = m->rows ? st_fleet_prepare(f->db, move, err) : NULL;
  m->drop = m->move ? st_fleet_prepare(f->db, drop, err) : NULL;
  return m->drop ? 0 : -1;
}

/* `number` 0: it goes. */
static int move_row(const struct moving *m, int64_t key, int64_t host, int64_t number,
                    struct st_error *err)
{
  sqlite3_stmt *s = number ? m->move : m->drop;
  sqlite3_bind_int64(s, 1, key);
  sqlite3_bind_int64(s, 2, host);
  if (number)
    sqlite3_bind_int64(s, 3, number);
  return st_fleet_run(s, err);
}

static int move_path(const struct moving *m, int64_t host, struct st_catalog *c,
                     struct st_error *err)
{
  int64_t key = sqlite3_column_int64(m->rows, 0), until = sqlite3_column_int64(m->rows, 1);
  int64_t number = held_before(c, until);
  const struct st_value path = {
      .type = ST_PATH,
      .u.bytes = {sqlite3_column_blob(m->rows, 2), (size_t)sqlite3_column_bytes(m->rows, 2)}};
  if (number == until)
    return 0;
  int r = number ? is_stored(c, number, &path, err) : 0;
  return r < 0 ? -1 : move_row(m, key, host, r ? number : 0, err);
}

static int move_paths(struct st_fleet *f, const struct st_fleet_entry *e, struct st_catalog *c,
                      struct st_error *err)
{
  ST_CLEANUP(moving_clear) struct moving m = {0};
  int r = moving_open(&m, f, "fact", "path",
                      "p.path FROM fact t CROSS JOIN path p ON p.id = t.path", err);
  if (r == 0)
    sqlite3_bind_int64(m.rows, 1, e->id);
  while (r == 0 && (r = st_fleet_step(m.rows, err)) == 1)
    r = move_path(&m, e->id, c, err);
  return r;
}

struct packages {
  struct st_set *names; /* that some checkpoint has */
};

static void package_words(struct st_buffer *b, const char *name, const char *version,
                          const char *architecture)
{
  st_buffer_append(b, name, strlen(name) + 1);
  st_buffer_append(b, version, strlen(version) + 1);
  st_buffer_append(b, architecture, strlen(architecture) + 1);
}

static int add_package(void *arg, const char *name, const char *version, const char *architecture)
{
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  package_words(&b, name, version, architecture);
  st_set_add(arg, b.data, b.length, 0);
  return 0;
}

static const char *text(sqlite3_stmt *s, int column)
{
  const char *t = (const char *)sqlite3_column_text(s, column);
  return t ? t : "";
}

static int move_package(const struct moving *m, int64_t host, struct st_catalog *c,
                        const struct st_set *names, struct st_error *err)
{
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  int64_t key = sqlite3_column_int64(m->rows, 0), until = sqlite3_column_int64(m->rows, 1);
  int64_t number = held_before(c, until);
  if (number == until)
    return 0;
  package_words(&b, text(m->rows, 2), text(m->rows, 3), text(m->rows, 4));
  return move_row(m, key, host, st_set_get(names, b.data, b.length, NULL) ? number : 0, err);
}

static int move_packages(struct st_fleet *f, const struct st_fleet_entry *e, struct st_catalog *c,
                         struct st_error *err)
{
  ST_CLEANUP(moving_clear) struct moving m = {0};
  ST_CLEANUP(st_set_freep) struct st_set *names = st_set_new();
  int r = moving_open(&m, f, "installed", "package",
                      "p.name, p.version, p.architecture"
                      " FROM installed t CROSS JOIN package p ON p.id = t.package",
                      err);
  if (r == 0)
    r = st_catalog_packages(c, add_package, names, err);
  if (r == 0)
    sqlite3_bind_int64(m.rows, 1, e->id);
  while (r == 0 && (r = st_fleet_step(m.rows, err)) == 1)
    r = move_package(&m, e->id, c, names, err);
  return r;
}

int st_fleet_learn_pruned(struct st_fleet *f, const struct st_fleet_entry *e, struct st_catalog *c,
                          struct st_error *err)
{
  return name_again(f, e, c, err) < 0 || move_paths(f, e, c, err) < 0 ? -1
                                                                      : move_packages(f, e, c, err);
}

/* ---- Hosts that are no more --------------------------------------------------------------------
 */

int st_fleet_sweep(struct st_fleet *f, struct st_error *err)
{
  ST_AUTO_FLEET_STATEMENT *s = st_fleet_prepare(
      f->db,
      "SELECT 1 FROM sqlite_sequence WHERE name = 'host'"
      " AND seq > (SELECT count(*) FROM host) + (SELECT value FROM meta WHERE name = 'swept')",
      err);
  int r = s ? st_fleet_step(s, err) : -1;
  if (r != 1)
    return r;
  sqlite3_reset(s);
  return st_fleet_exec(
      f->db,
      "BEGIN IMMEDIATE;"
      "DELETE FROM fact WHERE host NOT IN (SELECT id FROM host);"
      "DELETE FROM installed WHERE host NOT IN (SELECT id FROM host);"
      "DELETE FROM named WHERE id >> 24 NOT IN (SELECT id FROM host);"
      "DELETE FROM path WHERE id NOT IN (SELECT path FROM fact);"
      "DELETE FROM package WHERE id NOT IN (SELECT package FROM installed);"
      "UPDATE meta SET value = (SELECT seq FROM sqlite_sequence WHERE name = 'host')"
      " - (SELECT count(*) FROM host) WHERE name = 'swept';"
      "COMMIT",
      err);
}
