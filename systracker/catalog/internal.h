/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * internal.h - what the files of the catalog share.
 *
 * SQL names: the catalog's own tables have no underscore in their names, tables of facts always
 * have one (PLUGIN_NAME), so that neither can take the other's.  Identifiers that come from
 * declarations were checked (table.c) and are quoted all the same; values are always bound.
 */
#ifndef ST_CATALOG_INTERNAL_H
#define ST_CATALOG_INTERNAL_H

#include "config.h"

#include <sqlite3.h>
#include <string.h>

#include "systracker/base/cbor.h"
#include "systracker/base/digest.h"
#include "systracker/base/set.h"
#include "systracker/base/sqlite.h"
#include "systracker/catalog/catalog.h"
#include "systracker/catalog/changeset.h"

#define ST_CATALOG_APPLICATION 0x53795472 /* "SyTr": tells a catalog from other SQLite files */
#define ST_MAX_COLUMNS 64                 /* of one table */

/* ---- Tables (table.c) ------------------------------------------------------------------------ */

/* Statements over one table, prepared when first needed. */
enum st_table_statement {
  ST_ROW_LAST,  /* key: the row that began last */
  ST_ROW_AT,    /* key, number: the row in force */
  ST_ROW_BEGIN, /* key, since, absent, values */
  ST_ROW_END,   /* key, until */
  ST_ROW_REOPEN,
  ST_ROW_DELETE,
  ST_LIVE_GET, /* key: the overlay's row */
  ST_LIVE_SET, /* key, since, ended, absent, values */
  ST_LIVE_DELETE,
  ST_ENDED_SINCE, /* since, number: what a body tells (changeset.c) */
  ST_BEGUN_SINCE,
  ST_ROW_OUTSIDE, /* number, path, "PATH/", "PATH0": a row in force that is not below (scan.c) */
  ST_TABLE_STATEMENTS,
};

/* A cursor over rows by path id. */
struct st_ahead {
  sqlite3_stmt *statement;
  bool open;
  int64_t behind, at; /* ids of the row before, and of the one that it stands on */
  int64_t last;       /* asked for */
  unsigned in_order;  /* questions */
};

struct st_sweep {
  struct st_set *seen; /* keys as CBOR; of entries: NULL, and */
  uint8_t *paths;      /* a bit for each path id */
  int64_t npaths;      /* room for so many */
  int64_t put, known;
  /* Under an overlay: rows that were put and are as they are stored, as long as they are few. */
  struct st_fact_row **same;
  size_t nsame;
  bool many;
};

struct st_table_full {
  struct st_catalog_table pub; /* first: a pointer to it is a pointer to us */
  int64_t id;                  /* in the file; 0: not there */
  size_t stored;               /* columns that the file's table has */
  int64_t *since;              /* of each column: the first checkpoint that could hold it */
  bool manifests;              /* some column is ST_MANIFEST */
  bool live;                   /* its overlay table is made; */
  bool said;                   /* something was said in it; */
  bool emptied;                /* and what it does not speak of is gone: nothing stored counts */
  sqlite3_stmt *statements[ST_TABLE_STATEMENTS];
  struct st_sweep *sweep;              /* open, or NULL */
  struct st_began *began;              /* rows of a first checkpoint (began.c), or NULL */
  struct st_first_rows *first;         /* of entries: what waits to be put (first.c), or NULL */
  struct st_ahead ahead;               /* of a scan's questions */
  const struct st_table_full *digests; /* st_catalog.digests */
  int64_t applied; /* the last checkpoint that began or ended rows of it here; 0: none */
};

static inline struct st_table_full *st_full(const struct st_catalog_table *table)
{
  return (struct st_table_full *)table;
}

static inline bool st_is_entry(const struct st_table_full *t)
{
  return t->pub.declaration.flags & ST_TABLE_ENTRY;
}

/* ---- The catalog ----------------------------------------------------------------------------- */

/* Statements over the catalog's own tables; texts in sql.c. */
enum st_fixed_statement {
  ST_LATEST,
  ST_CHECKPOINT_GET,
  ST_PATH_ID,
  ST_PATH_ADD,
  ST_PATH_ADD_NEW,
  ST_MANIFEST_ADD,
  ST_BUNCH_GET,
  ST_BUNCH_SET,
  ST_ADDED_GET,
  ST_ADDED_SET,
  ST_NODE_SET,
  ST_DATA_VERSION,
  ST_FIXED_STATEMENTS,
};

/* One table of a manifest as it is read. */
struct st_declared_table {
  struct st_table_full *t; /* NULL: unknown here */
  size_t ncolumns;
  int8_t columns[ST_MAX_COLUMNS]; /* which of t's each of its own is; -1: none */
  uint32_t *rows;                 /* where each begins in the bytes, by path */
  uint32_t count;
  uint8_t *seen; /* a bit for each, of the open sweep; NULL: none */
  /* Rows found last: the same or the next one is asked for most often, by who tells entries and by
   * who looks at them ahead. */
  uint32_t last[2];
  unsigned oldest; /* of these */
};

/* A manifest as it is read. */
struct st_declared {
  bool observed;
  struct st_buffer bytes;
  struct st_declared_table *tables;
  size_t count;
};

/* A manifest that a fact names. */
struct st_known {
  struct st_id id;
  bool observed;
  bool pinned;      /* nobody else has its bytes */
  uint32_t *hashes; /* in order: of its paths, and of the directories above them */
  size_t count;
  struct st_declared *declared; /* NULL: not read */
  struct st_read_job *job;      /* to be read ahead; NULL: not, or it was taken */
  uint32_t first_span, nspans;  /* of the catalog's spans */
};

/* A package that names a manifest, and when. */
struct st_span {
  uint32_t known; /* which manifest */
  uint32_t rank;  /* among all packages, by table and key */
  struct st_table_full *t;
  struct st_fact_row *key;
  int64_t since, until; /* INT64_MAX: still so */
  bool live;            /* it is said by the overlay */
  bool overlaid;        /* the overlay says something else of the package */
};

struct st_hash_place {
  uint32_t hash, place;
};

/* Manifests that may speak of a path, as places among those known. */
struct st_candidates {
  uint32_t *items;
  size_t count, size;
};

/* All that is known of manifests. */
struct st_manifests {
  bool checked; /* all that are named are known */
  bool learned; /* some by the scan that is open */
  struct st_known *items;
  size_t count;
  struct st_set *ids; /* -> place among the items */
  size_t nread;       /* of them are read, */
  size_t loaded;      /* with so many bytes */
  unsigned holders;   /* of what is read: nothing is unloaded meanwhile */

  /* Every hash of every one, in buckets; NULL: not yet. */
  struct st_hash_place *places;
  uint32_t *starts;
  unsigned asked; /* how often, without them */
  struct st_candidates candidates;

  bool has_spans;
  struct st_span *spans; /* by manifest */
  size_t nspans;

  /* The last answer: who expects something of a path. */
  bool has_winner;
  bool winner_overlay;
  int64_t winner_number;
  struct st_buffer winner_path;
  int64_t winner; /* place among the spans; -1: nobody */
};

/* A checkpoint whose facts are not here. */
struct st_gap {
  int64_t number;
  enum st_held why;
};

struct st_catalog {
  sqlite3 *db;
  int dir;    /* hosts/HOSTID */
  char *name; /* "hosts/HOSTID/catalog.db", for messages */
  char *host_id;
  bool writer, replica;
  struct st_sqlite_patience patience;
  sqlite3_stmt *fixed[ST_FIXED_STATEMENTS];
  struct st_table_full **tables; /* by name */
  size_t count;
  struct st_catalog_objects objects;
  struct st_catalog_durable durable;
  struct st_catalog_scope scope;

  /* The scan that is open: a writer's is checkpoint `number` in a transaction; a reader's is the
   * overlay over checkpoint `base`, and can be read until the next one. */
  bool scanning, overlay;
  int64_t base, number;
  int64_t epoch; /* the least of the checkpoint being made; 0: that of the one before */
  bool has_last_path;
  struct st_buffer last_path; /* the path looked up last, and its id */
  int64_t last_path_id;

  /* The table of digests, NULL: there is none; and what the row of it says that began last, which a
   * row of another table may repeat (repeated.c). */
  const struct st_table_full *digests;
  size_t digest_column;
  bool has_digest;
  int64_t digest_path;
  struct st_id digest;
  struct st_ahead ahead;    /* over paths */
  struct st_first *first;   /* of a first scan of the host itself, or NULL */
  struct st_beside *beside; /* what goes on beside it, or NULL (began.c) */

  struct st_gap *gaps; /* by number */
  size_t ngaps;
  bool wal;        /* a reader's view keeps no writer waiting */
  bool held;       /* st_catalog_hold: a read transaction is open */
  int64_t version; /* of the file, when what is cached was read; 0: never asked */

  /* As far as the chain file was completed by us: its length, and the last checkpoint in it. */
  int64_t chain_length, chain_number;

  struct st_manifests manifests;
  size_t reads_ahead;             /* bytes, at most (readahead.c); 0: none */
  struct st_readahead *readahead; /* of the open scan, or NULL */
};

/* Where a number is to be read: in the stored rows at `number`, under the overlay where so. */
struct st_at {
  int64_t number;
  bool overlay;
};
struct st_at st_at(struct st_catalog *c, int64_t number);

/* Another connection to the same file, to read facts by another thread: of the tables' declarations
 * nothing may change meanwhile.  Whoever closes it need not have opened it. */
int st_catalog_open_beside(struct st_catalog *ret, struct st_catalog *c, struct st_error *err);
void st_catalog_close_beside(struct st_catalog *c);

/* How a writer's transactions are written: a first checkpoint's straight into the file (catalog.c).
 */
void st_catalog_write_straight(struct st_catalog *c);
void st_catalog_write_logged(struct st_catalog *c);
/* What a first checkpoint has put so far is written to the file, which is SQLite's, or NULL. */
int st_catalog_flush(struct st_catalog *c, sqlite3_file **ret, struct st_error *err);
/* The disk has what was written to it before; so there is less to wait for when it is committed.
 * Any thread, whoever asks the catalog meanwhile, but not when it is closed.  A failure stands: the
 * disk says it once. */
int st_catalog_sync(const struct st_catalog *c, sqlite3_file *file, struct st_error *err);

/* ---- SQLite (sql.c) -------------------------------------------------------------------------- */

/* "WHAT: SQLite's words (hosts/HOSTID/catalog.db)"; returns -1. */
int st_sql_fail(struct st_catalog *c, const char *what, struct st_error *err);
int st_sql_exec(struct st_catalog *c, const char *sql, struct st_error *err);
/* A new statement, the caller's; NULL on error. */
sqlite3_stmt *st_sql_prepare(struct st_catalog *c, const char *sql, struct st_error *err);
/* A cached one; borrowed. */
sqlite3_stmt *st_sql_fixed(struct st_catalog *c, enum st_fixed_statement which,
                           struct st_error *err);
void st_sql_forget(struct st_catalog *c);
/* 1: a row, 0: done, negative: failed. */
int st_sql_step(struct st_catalog *c, sqlite3_stmt *s, struct st_error *err);
/* Steps a statement that yields no row, and resets it. */
int st_sql_run(struct st_catalog *c, sqlite3_stmt *s, struct st_error *err);
/* The one number that the SQL yields, `fallback` where it yields none or NULL. */
int st_sql_number(struct st_catalog *c, const char *sql, int64_t fallback, int64_t *ret,
                  struct st_error *err);

static inline void st_sql_finalizep(sqlite3_stmt **s)
{
  sqlite3_finalize(*s);
}

static inline void st_sql_resetp(sqlite3_stmt **s)
{
  if (*s)
    sqlite3_reset(*s);
}

/* A statement that is the scope's own, and one that is borrowed from a cache. */
#define ST_AUTO_STATEMENT ST_CLEANUP(st_sql_finalizep) sqlite3_stmt
#define ST_AUTO_RESET ST_CLEANUP(st_sql_resetp) sqlite3_stmt

/* ---- Values, keys and rows (row.c) ----------------------------------------------------------- */

static inline bool st_has_bytes(const struct st_value *v)
{
  return v->type == ST_TEXT || v->type == ST_BYTES || v->type == ST_PATH;
}
int st_value_compare(const struct st_value *a, const struct st_value *b);
/* Whether they differ: ST_NULL never does. */
bool st_value_differs(const struct st_value *a, const struct st_value *b);
int st_key_compare(const struct st_table_full *t, const struct st_value *a,
                   const struct st_value *b);
/* Whether some value column differs. */
bool st_row_differs(const struct st_table_full *t, const struct st_value *a,
                    const struct st_value *b);
/* Types as declared, no ST_NULL in the key, texts that are texts, or an error. */
int st_key_check(const struct st_table_full *t, const struct st_value *key, struct st_error *err);
int st_row_check(const struct st_table_full *t, const struct st_value *row, struct st_error *err);

/* A copy with all its bytes in one piece of memory; `n` values are given, the rest ST_NULL. */
struct st_fact_row *st_row_copy(const struct st_table_full *t, const struct st_value *values,
                                size_t n);
/* The key as a CBOR array. */
void st_key_encode(const struct st_table_full *t, const struct st_value *key,
                   struct st_buffer *out);
/* How many values are left without the ST_NULLs at the end: what later columns do not change. */
size_t st_row_length(const struct st_table_full *t, const struct st_value *row);

int st_bind(sqlite3_stmt *s, int at, const struct st_value *value);
/* A key, or the value columns, as the file holds them: paths by id, which is made when `make`. */
int st_bind_key(struct st_catalog *c, sqlite3_stmt *s, int at, const struct st_table_full *t,
                const struct st_value *key, bool make, struct st_error *err);
int st_bind_values(struct st_catalog *c, sqlite3_stmt *s, int at, const struct st_table_full *t,
                   const struct st_value *row, struct st_error *err);
/* A value from a result's column, borrowed until the next step. */
int st_column_value(struct st_catalog *c, sqlite3_stmt *s, int at, enum st_value_type type,
                    struct st_value *ret, struct st_error *err);
/* The path's id; -1 when there is none and it is not made. */
int st_path_id(struct st_catalog *c, const struct st_value *path, bool make, int64_t *ret,
               struct st_error *err);
/* The same, of the file alone. */
int st_path_look_up(struct st_catalog *c, const struct st_value *path, int64_t *ret,
                    struct st_error *err);

/* ---- Tables (table.c) ------------------------------------------------------------------------ */

int st_tables_load(struct st_catalog *c, struct st_error *err);
/* A writer's file gets what was declared and could not be stored then: a checkpoint signs it. */
int st_tables_store(struct st_catalog *c, struct st_error *err);
void st_tables_free(struct st_catalog *c);
/* Forgets the prepared statements. */
void st_table_forget(struct st_table_full *t);
sqlite3_stmt *st_table_statement(struct st_catalog *c, struct st_table_full *t,
                                 enum st_table_statement which, struct st_error *err);
/* Appends `since, absent, all columns` as expressions over the row `t`, paths as bytes; a key that
 * is one path may be `p.path`, or left out (NULL). */
enum st_select { ST_SELECT_PATHS, ST_SELECT_JOINED, ST_SELECT_NO_PATH };
void st_table_select(struct st_buffer *sql, const struct st_table_full *t, enum st_select paths);
/* Appends `since, absent, all columns` of the overlay's table. */
void st_table_select_live(struct st_buffer *sql, const struct st_table_full *t);
/* Appends the key columns as expressions over `t`. */
void st_table_select_key(struct st_buffer *sql, const struct st_table_full *t);
/* Appends the SQL of the index of `since`: of rows that did not begin with checkpoint 1, so that a
 * query has to say `since > 1` for it to be used. */
void st_table_since_index(const struct st_table_full *t, struct st_buffer *sql);
int st_table_make_live(struct st_catalog *c, struct st_table_full *t, struct st_error *err);
/* The canonical encoding of what was declared at `number`. */
void st_tables_encode(struct st_catalog *c, int64_t number, struct st_buffer *out);

/* ---- Scans (scan.c) -------------------------------------------------------------------------- */

/* Nothing is read ahead any more. */
void st_scan_close_cursors(struct st_catalog *c);

/* ---- Ids that are said twice (repeated.c) ---------------------------------------------------- */

/* Tables were declared: which has the digests. */
void st_repeated_find(struct st_catalog *c);
/* Whether 0 may stand in the column. */
bool st_repeated_may_be(const struct st_table_full *t, size_t column);
/* Appends the column of the row `alias` as an expression, whatever stands there. */
void st_repeated_select(struct st_buffer *sql, const struct st_table_full *t, size_t column,
                        const char *alias);
/* A row of the scan begins: behind st_bind_values, which was told the same `at`; and once it has
 * begun (NULL: it says nothing). */
void st_repeated_bind(struct st_catalog *c, sqlite3_stmt *s, int at, const struct st_table_full *t,
                      int64_t path, const struct st_value *row);
/* Whether the value of that column is the digest that the row of digests of the path has. */
bool st_repeated_is(const struct st_catalog *c, const struct st_table_full *t, size_t column,
                    int64_t path, const struct st_value *value);
void st_repeated_note(struct st_catalog *c, const struct st_table_full *t, int64_t path,
                      const struct st_value *row);
/* A row that began with the scan is going to be taken back. */
int st_repeated_taken_back(struct st_catalog *c, const struct st_table_full *t, int64_t path,
                           struct st_error *err);
/* Spells out what rows `t` repeat of which `where`, in SQL, holds; and the other way. */
int st_repeated_spell(struct st_catalog *c, const char *where, struct st_error *err);
int st_repeated_shorten(struct st_catalog *c, const char *where, struct st_error *err);

/* ---- Facts (fact.c) -------------------------------------------------------------------------- */

/* The stored row (absent ones too) in force, copied; NULL when there is none. */
int st_stored_fact(struct st_catalog *c, struct st_at at, struct st_table_full *t,
                   const struct st_value *key, struct st_fact_row **ret, struct st_error *err);
/* Calls fn for each stored row in force, absent ones too, in key order; of entries those whose path
 * lies in [low, high), where they are not NULL. */
struct st_rows {
  struct st_catalog *c;
  struct st_table_full *t;
  sqlite3_stmt *statement;
  struct st_fact_row row; /* the present one; its values are borrowed until the next */
};
int st_rows_open(struct st_rows *rows, struct st_catalog *c, int64_t number,
                 struct st_table_full *t, const struct st_value *low, const struct st_value *high,
                 struct st_error *err);
int st_rows_next(struct st_rows *rows, struct st_error *err); /* 1: there is one */
void st_rows_close(struct st_rows *rows);
/* The stored rows of one entry, for who asks for earlier and earlier checkpoints: one statement,
 * and the path is looked up once.  Nothing is written meanwhile. */
struct st_revisions {
  struct st_catalog *c;
  struct st_table_full *t;
  const struct st_value *path; /* borrowed */
  sqlite3_stmt *statement;
  int at; /* 1: it stands on a row; 0: there are no more */
};
int st_revisions_open(struct st_revisions *r, struct st_catalog *c, struct st_table_full *t,
                      int64_t id, const struct st_value *path, struct st_error *err);
/* As st_stored_fact; no later one than was asked for before. */
int st_revisions_at(struct st_revisions *r, int64_t number, struct st_fact_row **ret,
                    struct st_error *err);
void st_revisions_close(struct st_revisions *r);
/* The row that a statement of st_table_select stands on, copied. */
int st_fact_copy(struct st_catalog *c, sqlite3_stmt *s, struct st_table_full *t,
                 struct st_fact_row **ret, struct st_error *err);
/* A result of st_table_select, from the column `at` on: `values` are borrowed until the next step.
 */
int st_fact_read(struct st_catalog *c, sqlite3_stmt *s, int at, const struct st_table_full *t,
                 struct st_fact_row *fact, struct st_error *err);

/* ---- Reading ahead (ahead.c) ----------------------------------------------------------------- */

/* The id of the path, if a cursor stands on it: 1; else 0, and the id that was found is to be told.
 * While a scan is open. */
int st_ahead_path(struct st_catalog *c, const struct st_value *path, int64_t *ret,
                  struct st_error *err);
int st_ahead_path_was(struct st_catalog *c, int64_t id, struct st_error *err);
/* The row of an entry that was in force before the scan; `values` of `ret` have room for all
 * columns, and are borrowed until the next call for the table, or the next row that is written. */
enum { ST_AHEAD_UNKNOWN, ST_AHEAD_NONE, ST_AHEAD_FOUND };
int st_ahead_row(struct st_catalog *c, struct st_table_full *t, const struct st_value *path,
                 int64_t id, struct st_fact_row *ret, struct st_error *err);
/* The row in force at a checkpoint, by a cursor of the caller's, {0} at first: never unknown.
 * Borrowed until the next call with that cursor; cheap where ids are mostly asked for in their
 * order. */
int st_ahead_row_at(struct st_catalog *c, struct st_table_full *t, struct st_ahead *a,
                    int64_t number, const struct st_value *path, int64_t id,
                    struct st_fact_row *ret, struct st_error *err);
/* Rows of the table are about to be written. */
void st_ahead_changed(struct st_ahead *a);
/* Nothing is open any more, or prepared either. */
void st_ahead_forget(struct st_ahead *a);
void st_ahead_free(struct st_ahead *a);

/* ---- Manifests as they are read (declared.c) ------------------------------------------------- */

#define ST_MANIFEST_FORMAT "systracker-manifest"
#define ST_MANIFEST_VERSION 1

typedef int st_expected_path_fn(void *arg, struct st_table_full *t, const struct st_value *path,
                                struct st_error *err);

/* Takes the bytes over.  `proved`: its rows were looked through before.  Of the catalog only the
 * tables are looked at, so any thread may do it while none is declared. */
int st_declared_read(struct st_catalog *c, struct st_buffer *bytes, bool proved,
                     struct st_declared **ret, struct st_error *err);
void st_declared_free(struct st_declared *d);
ST_DEFINE_CLEANUP(struct st_declared *, st_declared_free)
/* What it says of a table; NULL: nothing. */
struct st_declared_table *st_declared_of(const struct st_declared *d,
                                         const struct st_table_full *t);
/* Borrowed, as long as the manifest is there. */
void st_declared_path(const struct st_declared *d, const struct st_declared_table *table,
                      uint32_t row, struct st_value *ret);
/* The path's row: true; else the first one behind it. */
bool st_declared_search(const struct st_declared *d, struct st_declared_table *table,
                        const struct st_value *path, uint32_t *ret);
/* Whether it speaks of the path, in any table. */
bool st_declared_has(const struct st_declared *d, const struct st_value *path);
/* All columns of the table, borrowed. */
int st_declared_row(const struct st_declared *d, const struct st_declared_table *table,
                    uint32_t row, struct st_value *values, struct st_error *err);
/* The open sweep has seen the row. */
void st_declared_mark(struct st_declared_table *table, uint32_t row);
bool st_declared_is_marked(const struct st_declared_table *table, uint32_t row);
/* Calls fn for what the two do not say alike; either may be NULL. */
int st_declared_compare(const struct st_declared *a, const struct st_declared *b,
                        st_expected_path_fn *fn, void *arg, struct st_error *err);
/* Of its paths and of the directories above them, in order, each once; malloc'ed.  CRC-32C, but for
 * the lowest bit: */
#define ST_HASH_OWN UINT32_C(1) /* it is one of its paths */
uint32_t *st_declared_hashes(const struct st_declared *d, size_t *ret_count);

/* ---- Which manifests there are (known.c) ----------------------------------------------------- */

#define ST_MANIFEST_SCHEMA                                                                         \
  "CREATE TABLE manifest (id BLOB PRIMARY KEY, observed INTEGER NOT NULL, paths BLOB NOT NULL)"    \
  " WITHOUT ROWID;"

/* Makes sure that every manifest that a fact names is known. */
int st_manifests_check(struct st_catalog *c, struct st_error *err);
/* Whether there are none, so that nothing is expected. */
int st_manifests_none(struct st_catalog *c, struct st_error *err);
/* Empties what is derived of them. */
int st_manifests_forget(struct st_catalog *c, struct st_error *err);
/* Compares what the file knows of each with what it says; what is wrong is made again by a writer.
 */
int st_known_verify(struct st_catalog *c, void (*found)(void *arg, const struct st_id *id),
                    void *arg, struct st_error *err);
/* Forgets what is in memory: all; or what can be read again. */
void st_known_drop(struct st_catalog *c);
void st_known_unload(struct st_catalog *c);
/* NULL: it is not known.  Valid until the next one is learned. */
struct st_known *st_known_find(struct st_catalog *c, const struct st_id *id);
/* As it is read; borrowed, until another one is asked for and nobody holds them. */
int st_known_declared(struct st_catalog *c, struct st_known *k, struct st_declared **ret,
                      struct st_error *err);
/* Those that may speak of the path, and of something `below` it.  Valid until the next call. */
const struct st_candidates *st_known_candidates(struct st_catalog *c, const void *path,
                                                size_t length, bool below);

/* ---- Manifests that will be asked for (readahead.c) ------------------------------------------ */

/* To be read by another thread: it is not read, and has no job. */
void st_readahead_add(struct st_catalog *c, struct st_known *k);
/* The caller's; NULL: it was not begun, or could not be read. */
struct st_declared *st_readahead_take(struct st_catalog *c, struct st_known *k);
/* No manifest is being read any more, and what was read ahead is gone. */
void st_readahead_stop(struct st_catalog *c);

/* ---- Whose manifest is in force (owner.c) ---------------------------------------------------- */

int st_owners_load(struct st_catalog *c, struct st_error *err);
/* Owners may have changed: a package's fact began or ended in the scan. */
void st_owners_forget(struct st_catalog *c);
bool st_in_force(const struct st_span *span, struct st_at at);
/* The span of a manifest that is in force, the highest rank of several; NULL: none is. */
const struct st_span *st_owner_of(struct st_catalog *c, const struct st_known *k, struct st_at at);
/* Who expects something of the path: of the manifests in force that speak of it, that of the
 * package whose table and key sort last.  1, or 0: nobody does. */
int st_winner(struct st_catalog *c, int64_t number, const struct st_value *path,
              const struct st_span **ret, struct st_declared **ret_declared, struct st_error *err);

/* Whose word is looked for first, of those that may speak of the path in the open scan.  1, or 0:
 * nobody does, or all manifests are read. */
int st_first_owner(struct st_catalog *c, const struct st_value *path, struct st_known **ret,
                   struct st_error *err);

/* ---- Expected facts (expected.c) ------------------------------------------------------------- */

/* What the manifests in force say of a path; NULL: nothing. */
int st_declared_fact(struct st_catalog *c, int64_t number, struct st_table_full *t,
                     const struct st_value *key, struct st_fact_row **ret, struct st_error *err);
/* The same where somebody looks after the path. */
int st_expected_fact(struct st_catalog *c, int64_t number, struct st_table_full *t,
                     const struct st_value *key, struct st_fact_row **ret, struct st_error *err);
/* The open sweep of the table has seen what is expected of the path. */
int st_expected_mark(struct st_catalog *c, struct st_table_full *t, const struct st_value *path,
                     struct st_error *err);
/* Calls fn for what is expected, not stored, and was not marked. */
int st_expected_unmarked(struct st_catalog *c, struct st_table_full *t, st_fact_fn *fn, void *arg,
                         struct st_error *err);
/* Forgets the marks. */
void st_expected_unmark(struct st_catalog *c, const struct st_table_full *t);
/* Calls fn for what the manifest of a package says at only one of the two, or otherwise. */
int st_manifest_changes(struct st_catalog *c, int64_t a, int64_t b, st_expected_path_fn *fn,
                        void *arg, struct st_error *err);
/* Whether somebody looks after the path of a declared fact. */
int st_in_scope(struct st_catalog *c, int64_t number, const struct st_fact_row *fact,
                struct st_error *err);
/* Calls fn for the paths of which something is expected at only one of the two, though the same
 * manifests are in force. */
int st_scope_changes(struct st_catalog *c, int64_t a, int64_t b, st_expected_path_fn *fn, void *arg,
                     struct st_error *err);
/* Checkpoints at which a package that speaks of the path began or ended. */
int st_expected_history(struct st_catalog *c, const struct st_value *path,
                        void (*fn)(void *arg, int64_t number), void *arg, struct st_error *err);

/* What manifests in force declare of a table, in the order of the paths, those in [low, high). */
struct st_expectations {
  struct st_catalog *c;
  int64_t number;
  struct st_table_full *t;
  bool all;                  /* what nobody looks after, too */
  struct st_cursor *cursors; /* a heap, the least path on top */
  size_t count;
  struct st_buffer end;
  struct st_value high;     /* in `end`; ST_NULL: there is none */
  struct st_fact_row *fact; /* the present one, or NULL: past the end */
};
/* At or below `top` alone, unless that is "".  Nothing is unloaded until it is closed. */
int st_expectations_open(struct st_expectations *e, struct st_catalog *c, int64_t number,
                         struct st_table_full *t, const char *top, struct st_error *err);
int st_expectations_next(struct st_expectations *e, struct st_error *err);
void st_expectations_close(struct st_expectations *e);

/* ---- Leaves and nodes of the state tree (tree.c) --------------------------------------------- */

/* Who could make two K that agree in as many bytes could break more than this. */
#define ST_LEAF_KEY 16
struct st_leaf {
  uint8_t key[ST_LEAF_KEY], hash[ST_DIGEST_SIZE]; /* as they are kept */
  bool gone;
};
/* As leaves are kept, one behind the other: what is kept of K, and the hash. */
#define ST_LEAF_SIZE ((size_t)ST_LEAF_KEY + ST_DIGEST_SIZE)

struct st_node {
  uint64_t leaves;
  uint8_t hash[ST_DIGEST_SIZE];
};

/* SHA-256(prefix, a, b). */
void st_tree_pair(uint8_t out[ST_DIGEST_SIZE], uint8_t prefix, const uint8_t *a, const uint8_t *b);
struct st_node st_tree_join(const struct st_node *left, const struct st_node *right);
/* The tree over sorted leaves that agree in their first `depth` bits; recursion ends where K's do
 * not agree any more, at the end of what is kept of them at the latest. */
struct st_node st_tree(const struct st_leaf *leaves, size_t n, unsigned depth);
/* The same of many subtrees, over leaves as they are kept: subtree i has those from starts[i] to
 * starts[i + 1]. */
void st_trees(const uint8_t *leaves, const size_t *starts, size_t n, unsigned depth,
              struct st_node *ret);
/* Of all subtrees, a power of two or none. */
void st_tree_root(const struct st_node *nodes, size_t n, uint8_t root[ST_DIGEST_SIZE]);

/* By K, of either kind. */
int st_leaf_compare(const void *a, const void *b);
/* The first bits of K, at most 16. */
size_t st_leaf_prefix(const uint8_t *key, unsigned bits);
/* Leaves as they are kept, in order of the first byte of K alone. */
struct st_leaf_piece {
  uint8_t *leaves;      /* NULL: none */
  uint32_t starts[257]; /* where those of each first byte begin */
};
/* Fills it; `n` is less than 2^32. */
void st_leaves_divide(const struct st_leaf *leaves, size_t n, struct st_leaf_piece *ret);
void st_leaf_piece_free(struct st_leaf_piece *p);
/* Subtrees next to each other, that all leaves of some first bytes are below. */
struct st_subtrees {
  unsigned bits; /* that tell subtrees apart */
  size_t first, count;
  uint8_t *leaves; /* as they are kept, by subtree; malloc'ed */
  size_t *starts;  /* where those of each begin, one more than subtrees; malloc'ed */
};
/* The leaves of the first `count` of them (a power of two, or all where there are 256 or fewer)
 * from `first` on, out of all pieces; sorted. */
void st_leaves_gather(const struct st_leaf_piece *const *pieces, size_t npieces,
                      struct st_subtrees *ret);
void st_subtrees_free(struct st_subtrees *s);

/* ---- The state tree (state.c) ---------------------------------------------------------------- */

/* Brings the leaves of keys that changed up to date: each is noted (an st_changed_fn; the argument
 * is the state), then the root is asked for. */
struct st_state;
struct st_state *st_state_new(struct st_catalog *c);
void st_state_free(struct st_state *s);
ST_DEFINE_CLEANUP(struct st_state *, st_state_free)
int st_state_note(void *state, struct st_table_full *t, const struct st_fact_row *row, bool ended,
                  struct st_error *err);
/* Reads what is kept, so that it need not be before it is written to. */
int st_state_load(struct st_state *s, struct st_error *err);
/* From now on the catalog is not asked before `before` was called, once. */
void st_state_set_before(struct st_state *s, void (*before)(void *arg), void *arg);
int st_state_root(struct st_state *s, uint8_t root[ST_DIGEST_SIZE], struct st_error *err);
/* The same for all that changed at `number`. */
int st_state_update(struct st_catalog *c, int64_t number, uint8_t root[ST_DIGEST_SIZE],
                    struct st_error *err);
/* Leaves that were not there before and are not noted; borrowed until the root is there. */
void st_state_lend(struct st_state *s, const struct st_leaf_piece *piece);
/* Makes the tree that is kept anew from the facts of the latest checkpoint. */
int st_state_rebuild(struct st_catalog *c, struct st_error *err);
/* The root of the tree that is kept. */
int st_state_read(struct st_catalog *c, uint8_t root[ST_DIGEST_SIZE], struct st_error *err);
/* Whether its leaves are those that its nodes are over: the next checkpoint goes by them. */
int st_state_check(struct st_catalog *c, struct st_error *err);
/* The root over all facts stored at `number`, from nothing but them. */
int st_state_compute(struct st_catalog *c, int64_t number, uint8_t root[ST_DIGEST_SIZE],
                     struct st_error *err);

/* ---- Checkpoints, changesets, the chain ------------------------------------------------------ */

/* Keys whose facts began or ended in (after, upto], under an overlay also those in it; sorted as
 * st_catalog_changes is, each once (difference.c). */
struct st_key {
  struct st_table_full *t;
  struct st_fact_row *key;
};
struct st_keylist {
  struct st_key *items;
  size_t count, size;
};
void st_keylist_free(struct st_keylist *list);
void st_keylist_add(struct st_keylist *list, struct st_table_full *t, const struct st_value *key);
int st_keylist_changed(struct st_keylist *list, struct st_catalog *c, struct st_table_full *t,
                       int64_t after, int64_t upto, bool overlay, struct st_error *err);

/* The checkpoint that has this tag: 0; 1: none has. */
int st_tag_number(struct st_catalog *c, const char *name, int64_t *ret, struct st_error *err);
/* Puts what changed among the tags as facts into the open scan (checkpoint.c). */
int st_tags_put(struct st_catalog *c, struct st_error *err);
extern const struct st_table st_core_tables[];

/* Leaves that came to a bunch since it was written. */
#define ST_ADDED_SCHEMA                                                                            \
  "CREATE TABLE IF NOT EXISTS added (prefix INTEGER PRIMARY KEY, leaves BLOB NOT NULL);"

/* The header is stored in parts: `body`, `signature`, and where they are others than those of the
 * checkpoint before, `declarations` and `public_key`; the rest stands in other columns. */
#define ST_CHECKPOINT_TABLE                                                                        \
  "checkpoint (number INTEGER PRIMARY KEY, time INTEGER NOT NULL, epoch INTEGER NOT NULL,"         \
  " message TEXT, incomplete INTEGER NOT NULL, begun INTEGER NOT NULL, ended INTEGER NOT NULL,"    \
  " state_root BLOB NOT NULL, header_digest BLOB NOT NULL, body BLOB NOT NULL,"                    \
  " signature BLOB NOT NULL, declarations BLOB, public_key BLOB)"

/* Brings a writer's catalog to this schema (raise.c). */
int st_catalog_raise(struct st_catalog *c, struct st_error *err);

/* The row of a checkpoint, as the open transaction makes it; those before it are there (commit.c).
 */
int st_checkpoint_store(struct st_catalog *c, const struct st_checkpoint *cp,
                        const struct st_buffer *header, struct st_error *err);

/* What began and ended with a checkpoint, as a body tells it: by table, the keys that ended without
 * another row that begins, then the rows that began, each by key.  `row` is borrowed; of an ended
 * one it has the key alone (changeset.c). */
typedef int st_changed_fn(void *arg, struct st_table_full *t, const struct st_fact_row *row,
                          bool ended, struct st_error *err);
int st_changed_each(struct st_catalog *c, int64_t number, st_changed_fn *fn, void *arg,
                    struct st_error *err);
/* The same between `since` (0: from nothing, so that it is all rows in force) and `number`. */
int st_changed_since(struct st_catalog *c, int64_t since, int64_t number, st_changed_fn *fn,
                     void *arg, struct st_error *err);
/* Streams the body in pieces; the other one also counts its rows, and shows each to `also` (may be
 * NULL). */
typedef void st_body_sink(void *arg, const void *data, size_t length);
int st_body_write(struct st_catalog *c, int64_t number, st_body_sink *sink, void *arg,
                  struct st_error *err);
int st_body_write_counted(struct st_catalog *c, int64_t number, st_body_sink *sink, void *arg,
                          st_changed_fn *also, void *also_arg, int64_t *ret_begun,
                          int64_t *ret_ended, struct st_error *err);

/* The same of the scan that is open, where it is a first one: of a table whose rows are in memory
 * (began.c) they are not read back, but the table is handed on in their place.  Of the others each
 * row goes to `state`, too. */
typedef void st_body_table_sink(void *arg, struct st_table_full *t);
int st_body_write_first(struct st_catalog *c, st_body_sink *sink, st_body_table_sink *table,
                        void *arg, struct st_state *state, int64_t *ret_begun,
                        struct st_error *err);

int st_body_write_since(struct st_catalog *c, int64_t since, int64_t number, st_body_sink *sink,
                        void *arg, struct st_error *err);
/* The same of the tables alone that `number` was applied to; each row goes to `state`, too. */
int st_body_write_applied(struct st_catalog *c, int64_t since, int64_t number, st_body_sink *sink,
                          void *arg, struct st_state *state, struct st_error *err);

/* Appends the row of a body that tells that a row began; where its key begins and ends, and how
 * many values follow, `absent` among them. */
struct st_body_place {
  size_t key, key_end, values;
};
void st_body_begun(const struct st_table_full *t, const struct st_fact_row *row,
                   struct st_buffer *out, struct st_body_place *ret);

/* ---- The digests of a first checkpoint (baseline.c) -------------------------------------------
 */

/* Of the body of the scan that is open, and over all its facts; how many began. */
int st_baseline_digest(struct st_catalog *c, uint8_t body[ST_DIGEST_SIZE],
                       uint8_t state_root[ST_DIGEST_SIZE], int64_t *ret_begun,
                       struct st_error *err);

/* ---- Rows of a first checkpoint, in memory (began.c) ----------------------------------------- */

/* A scan begins: rows of the tables that are empty are kept, where there was no checkpoint before.
 */
void st_began_start(struct st_catalog *c);
/* A row has begun in the file, for good so far. */
void st_began_add(struct st_table_full *t, const struct st_value *row, bool absent);
/* They are not kept any more: something else was done to the table. */
void st_began_drop(struct st_table_full *t);
/* The scan is over: none are, and nothing goes on beside it. */
void st_began_end(struct st_catalog *c);
/* Their leaves were made, and nothing more is asked of them: what they took is given back, beside
 * what follows. */
void st_began_release(struct st_catalog *c);
/* How many: all that the table has.  0: none, or they are not kept. */
size_t st_began_count(const struct st_table_full *t);
/* Writes them as a body has them; any thread. */
void st_began_write(const struct st_table_full *t, st_body_sink *sink, void *arg);
/* Of all tables that are kept the leaves are there, most of which were made while the scan went on.
 * No row begins any more. */
void st_began_finish(struct st_catalog *c);
/* Lends them; the table stands until the root is there. */
void st_began_leaves(const struct st_table_full *t, struct st_state *state);

/* ---- Rows of a first checkpoint, put many at a time (first.c) -------------------------------- */

/* A scan has begun: where there was nothing before, paths and rows of entries wait from now on. */
int st_first_start(struct st_catalog *c, struct st_error *err);
/* Puts all that waits, as somebody is going to read it.  A failure stands: the scan cannot be
 * committed any more. */
int st_first_put(struct st_catalog *c, struct st_error *err);
/* The scan is over; what waits is dropped. */
void st_first_end(struct st_catalog *c);
/* Where st_catalog.first is set: whether the path may have an id; its id, which is made. */
bool st_first_may_have(const struct st_catalog *c, const struct st_value *path);
int st_first_path(struct st_catalog *c, const struct st_value *path, int64_t *ret,
                  struct st_error *err);
/* Where st_table_full.first is set: the row waits to begin; `*ret_path`: its id.  1, or 0:
 * something was said of the path before, the file has to be asked. */
int st_first_row(struct st_catalog *c, struct st_table_full *t, const struct st_value *row,
                 int64_t *ret_path, struct st_error *err);
/* Another way a row of the path begins in the table. */
void st_first_said(struct st_table_full *t, int64_t path);
/* 1: the table surely never had a row of the path. */
int st_first_is_unsaid(struct st_catalog *c, const struct st_table_full *t,
                       const struct st_value *path, struct st_error *err);

/* ---- All that is gone (gone.c) --------------------------------------------------------------- */

/* Tells each row of the tables of entries that was in force at `number` as a change to nothing. */
struct st_gone {
  struct st_catalog *c;
  int64_t number;
  bool alone; /* nobody commits meanwhile: two threads may read */
  st_change_fn *fn;
  void *const *args; /* ST_CATALOG_PARTS, of one part of the paths each */
};
int st_gone_tell(const struct st_gone *g, struct st_error *err);

/* ---- A reader's view (view.c) ---------------------------------------------------------------- */

/* What is read until the end of the scope is one state of the file, whoever writes to it meanwhile;
 * what was cached of an older one is forgotten.  A writer's is always so, and so is a scan's. */
struct st_view {
  struct st_catalog *c; /* NULL: there is nothing to end */
};
int st_view_begin(struct st_view *view, struct st_catalog *c, struct st_error *err);
/* The same for what waits for nobody: without a WAL writers wait for its end. */
int st_view_hold(struct st_view *view, struct st_catalog *c, struct st_error *err);
void st_view_end(struct st_view *view);
#define ST_AUTO_VIEW ST_CLEANUP(st_view_end) struct st_view

/* ---- Checkpoints whose facts are not here (gap.c) -------------------------------------------- */

int st_gaps_load(struct st_catalog *c, struct st_error *err);
/* Notes one; the caller has stored its header, and takes away what only it had. */
int st_gap_add(struct st_catalog *c, int64_t number, enum st_held why, struct st_error *err);
/* Notes those that temp.pruning lists (prune.c). */
int st_gaps_pruned(struct st_catalog *c, struct st_error *err);
/* An error in words, unless the facts are here; ST_LIVE always are. */
int st_gap_check(const struct st_catalog *c, int64_t number, struct st_error *err);

/* ---- The chain ------------------------------------------------------------------------------- */

/* One record as it travels: length, header, signature. */
void st_chain_record(struct st_buffer *out, const void *data, size_t length);
/* The record at `at`: header and signature, borrowed; 4 bytes more are taken.  1: the bytes end
 * before it does. */
int st_chain_next(const struct st_buffer *chain, size_t at, const char **ret, size_t *ret_length,
                  struct st_error *err);
/* Appends what the chain file lacks; anything else that differs is an error (chain.c). */
int st_chain_complete(struct st_catalog *c, struct st_error *err);
/* Calls fn with each record of the chain file: the digest of a header with its signature.  1: the
 * file ends within a record. */
typedef int st_chain_fn(void *arg, const uint8_t digest[ST_DIGEST_SIZE], struct st_error *err);
int st_chain_each(struct st_catalog *c, st_chain_fn *fn, void *arg, struct st_error *err);
/* What a header takes from the one before this number: its digest, declarations and public key;
 * zeros where there is none. */
int st_header_before(struct st_catalog *c, int64_t number, struct st_header *ret,
                     struct st_error *err);
/* Each checkpoint's header, signature behind it, as the catalog has it. */
typedef int st_header_fn(void *arg, int64_t number, const void *data, size_t length,
                         struct st_error *err);
int st_headers_each(struct st_catalog *c, int64_t after, st_header_fn *fn, void *arg,
                    struct st_error *err);

#endif
