/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * catalog.h - what was so, and when: facts in temporal tables, one SQLite file a host.
 *
 * A table that a plug-in declares becomes PLUGIN_NAME(key..., since, until, absent, value...).  A
 * row is in force at checkpoint N when since <= N and (until IS NULL or until > N).
 *
 * One accessor: the fact of a key at N is the stored row, else the expected fact, that is, what a
 * manifest named by a package fact in force at N says of it.  A stored row with `absent` says that
 * there is none although one is expected.  Everything reads through st_catalog_fact, _each,
 * _changes and _history.
 *
 * Live: N may be ST_LIVE, the state of a scan that is not (or not yet) a checkpoint: an overlay in
 * temporary tables over the latest checkpoint.
 */
#ifndef ST_CATALOG_CATALOG_H
#define ST_CATALOG_CATALOG_H

#include "systracker/base/keys.h"

#define ST_LIVE INT64_MAX
/* 2: facts of some checkpoint may not be in it; 3: the state tree's leaves lie in bunches; 4:
 * headers are stored in parts; 5: of manifests hashes of their paths are kept; 6: leaves that were
 * added to a bunch lie beside it; 7: an id that two tables say of a path is stored once.  A catalog
 * of an earlier schema is read as it is, and raised when it is opened to be written. */
#define ST_CATALOG_SCHEMA 7
#define ST_CATALOG_SCHEMA_GAPS 2
#define ST_CATALOG_SCHEMA_BUNCHES 3
#define ST_CATALOG_SCHEMA_PARTS 4
#define ST_CATALOG_SCHEMA_HASHES 5

struct st_catalog;

enum st_catalog_flags {
  ST_CATALOG_READ = 0,
  ST_CATALOG_WRITE = 1, /* the caller holds the store's lock; made where it is missing */
  /* Along with it: what was made elsewhere (an archive's, or brought by fetch).  Nothing of our own
   * is declared in it, and a new file has no WAL, which file systems shared by hosts cannot have.
   */
  ST_CATALOG_REPLICA = 2,
};

/* Opens hosts/HOSTID/ below the store's directory: catalog.db and chain.  `host_id` may go on with
 * "/epoch-N", where an archive keeps what a host that was set back had sent before.  -ENOENT when
 * there is none and flags do not make it.  A newer schema, or a file that is no catalog, is an
 * error in words.  A chain file that lags behind the catalog (a kill) is completed by a writer. */
int st_catalog_open(struct st_catalog **ret, int store_dirfd, const char *host_id,
                    enum st_catalog_flags flags, struct st_error *err);
void st_catalog_close(struct st_catalog *c);
ST_DEFINE_CLEANUP(struct st_catalog *, st_catalog_close)

struct st_fact_row;

/* Where manifests are read from and written to, as objects: the tracker binds the store. */
struct st_catalog_objects {
  int (*get)(void *arg, const struct st_id *id, struct st_buffer *out, struct st_error *err);
  void *arg;
};
void st_catalog_set_objects(struct st_catalog *c, const struct st_catalog_objects *objects);
/* `get` may be called by several threads at once, and by another thread while none of ours is
 * called; so manifests may be read before they are asked for, where there is a processor for it. */
void st_catalog_read_ahead(struct st_catalog *c);
/* The open scan will put or ask for facts of the path: what speaks of it is read meanwhile.  It
 * cannot fail, as that is done again when it is needed. */
void st_catalog_soon(struct st_catalog *c, const char *path);

/* Which of the paths that manifests speak of somebody looks after here: of the others nothing is
 * expected.  The tracker binds the rules and mounts; without it all is looked after. */
struct st_catalog_scope {
  /* Whether the path of a fact that a manifest declares is looked after at `number`, which is
   * ST_LIVE for the scan that is open.  1, 0, or negative. */
  int (*has)(void *arg, int64_t number, const struct st_fact_row *fact, struct st_error *err);
  /* Whether the same is looked after at both. */
  int (*same)(void *arg, int64_t a, int64_t b, struct st_error *err);
  /* Ends with NULL: the tables of facts by which it is known. */
  const char *const *tables;
  void *arg;
};
void st_catalog_set_scope(struct st_catalog *c, const struct st_catalog_scope *scope);

/* Asked right before a checkpoint is committed, when all but that is done: its end is the end of
 * what makes the objects durable that it names, which may go on beside until then. */
struct st_catalog_durable {
  int (*wait)(void *arg, struct st_error *err);
  void *arg;
};
/* NULL: nothing is asked. */
void st_catalog_set_durable(struct st_catalog *c, const struct st_catalog_durable *durable);

/* Forgets what was read of manifests and can be read again: for a catalog that stays open unused.
 */
void st_catalog_unload(struct st_catalog *c);

/* For a reader with many questions: until it is let go, all of them are answered from one state of
 * the file, and the file is locked once and not for each.  Without a WAL a writer waits meanwhile:
 * for moments only.  Once it is held, holding it again does nothing. */
int st_catalog_hold(struct st_catalog *c, struct st_error *err);
void st_catalog_let_go(struct st_catalog *c);

/* ---- Tables -------------------------------------------------------------------------- */

/* A declared table, ours or stored; lives as long as the catalog.  `declaration.name` is the
 * plug-in's own short name. */
struct st_catalog_table {
  char *name;   /* full: PLUGIN_NAME */
  char *plugin; /* "core" for the core's own */
  struct st_table declaration;
  size_t nkeys;
};

/* Makes or extends a plug-in's tables (a writer), or checks that they fit (a reader keeps what is
 * stored, and for new ones makes overlay tables only).  Columns may be appended; anything else
 * that differs is an error. */
int st_catalog_declare(struct st_catalog *c, const char *plugin, const struct st_table *tables,
                       struct st_error *err);

const struct st_catalog_table *st_catalog_table(struct st_catalog *c, const char *full_name);
/* The n-th table by name, or NULL past the end; tables of absent plug-ins among them. */
const struct st_catalog_table *st_catalog_table_at(struct st_catalog *c, size_t n);

/* Whether the column came to the table with that checkpoint, later than the table itself: what
 * begins there has it in addition, and that is no change. */
bool st_catalog_is_new_column(const struct st_catalog_table *table, size_t column, int64_t number);

/* ---- Checkpoints ---------------------------------------------------------------------- */

/* Whether the facts of a checkpoint are here: its header always is. */
enum st_held {
  ST_HELD = 0,
  ST_NOT_FETCHED = 1, /* an archive has them */
  ST_PRUNED = 2,
};

struct st_checkpoint {
  int64_t number;
  int64_t time; /* seconds since 1970, when it began */
  int64_t epoch;
  bool incomplete; /* something was not seen: core_unobserved says what */
  int64_t begun,
      ended; /* facts; a changed one counts in `begun` alone; 0 where they are not here */
  uint8_t state_root[ST_DIGEST_SIZE];
  uint8_t header_digest[ST_DIGEST_SIZE]; /* of the signed header */
  char *message;                         /* NULL: none */
  char *tags;                            /* comma and space between; NULL: none */
  enum st_held held;
};
void st_checkpoint_clear(struct st_checkpoint *cp); /* frees the strings */

/* 0 when there is none yet. */
int64_t st_catalog_latest(struct st_catalog *c);
/* The chain's head: digest of the latest header, zeros when there is none. */
void st_catalog_head(struct st_catalog *c, uint8_t out[ST_DIGEST_SIZE]);
/* -ENOENT and an error when there is no such checkpoint. */
int st_catalog_checkpoint(struct st_catalog *c, int64_t number, struct st_checkpoint *ret,
                          struct st_error *err);
enum st_held st_catalog_held(const struct st_catalog *c, int64_t number);
/* The checkpoint that the changes of this one are counted from: the last one before it whose facts
 * are here.  0: none is, so that what changed is known of checkpoint 1 alone. */
int64_t st_catalog_before(const struct st_catalog *c, int64_t number);
/* A number, tag, latest, latest~N, baseline or date (the last one not after it) as a number; what
 * was pruned is counted by none but a number.  An error in words where the facts of that one are
 * not here. */
int st_catalog_resolve(struct st_catalog *c, const char *text, int64_t *ret, struct st_error *err);

/* Tags take effect at once, and become facts (core_tag) with the next checkpoint.  A name that
 * reads as a number, date or keyword is refused; so is one that is taken, unless `move`.  `number`
 * ST_LIVE: the checkpoint that is being made. */
int st_catalog_tag(struct st_catalog *c, const char *name, int64_t number, bool move,
                   struct st_error *err);
int st_catalog_untag(struct st_catalog *c, const char *name, struct st_error *err);
int st_catalog_tags(struct st_catalog *c, int (*fn)(void *arg, const char *name, int64_t number),
                    void *arg, struct st_error *err);

/* ---- Reading facts --------------------------------------------------------------------- */

struct st_fact_row {
  const struct st_catalog_table *table;
  struct st_value *values; /* all columns; a column that the row does not have is ST_NULL */
  bool present;  /* false: stored as absent (nothing is there though expected), or no fact */
  bool expected; /* it comes from a manifest */
  int64_t since; /* of a stored row; for an expected one, since its package's fact is */
};

/* The fact of a key (the first nkeys of `key`) at `number` or ST_LIVE.  Owned by the caller:
 * st_fact_free.  `present` false when there is none. */
int st_catalog_fact(struct st_catalog *c, int64_t number, const struct st_catalog_table *table,
                    const struct st_value *key, struct st_fact_row **ret, struct st_error *err);
void st_fact_free(struct st_fact_row *fact);
ST_DEFINE_CLEANUP(struct st_fact_row *, st_fact_free)

/* What the manifests in force at `number` (or ST_LIVE) say of a path's content, whether or not
 * anybody looks after the path here.  `ret_owned`: some manifest speaks of the path.  1: `ret` is
 * the digest that is expected; 0: there is none. */
int st_catalog_expected_content(struct st_catalog *c, int64_t number, const char *path,
                                bool *ret_owned, struct st_id *ret, struct st_error *err);

/* What a manifest in force says of a key of an entry table, whether or not a stored row deviates
 * from it; `*ret` is NULL where none does. */
int st_catalog_expected(struct st_catalog *c, int64_t number, const struct st_catalog_table *table,
                        const struct st_value *key, struct st_fact_row **ret, struct st_error *err);
/* The package's fact whose manifest is in force for the path; `*ret` is NULL where none is. */
int st_catalog_expecting(struct st_catalog *c, int64_t number, const char *path,
                         struct st_fact_row **ret, struct st_error *err);

/* All facts (present ones) of a table at `number` in key order; of ST_TABLE_ENTRY tables only
 * those at or below `top` when that is not NULL.  `fact` is valid during the call alone.  Ends
 * early when fn returns other than 0, with that. */
typedef int st_fact_fn(void *arg, const struct st_fact_row *fact, struct st_error *err);
int st_catalog_each(struct st_catalog *c, int64_t number, const struct st_catalog_table *table,
                    const char *top, st_fact_fn *fn, void *arg, struct st_error *err);

/* The last checkpoint not after `number` with which a row of the table began or ended; 0: none. */
int st_catalog_last_change(struct st_catalog *c, const struct st_catalog_table *table,
                           int64_t number, int64_t *ret, struct st_error *err);

/* The stored rows alone, by key: those that say that something expected is absent among them (not
 * `present`), what manifests say not.  Of entry tables these are the deviations, and what no
 * manifest speaks of. */
int st_catalog_each_stored(struct st_catalog *c, int64_t number,
                           const struct st_catalog_table *table, st_fact_fn *fn, void *arg,
                           struct st_error *err);

/* Differences between `a` (0: nothing) and `b` (may be ST_LIVE): entries first, by path and then
 * table; then the other tables by name and key.  A column that is ST_NULL on either side does not
 * differ.  Rows that became known by a new column alone are left out. */
typedef int st_change_fn(void *arg, const struct st_change *change, struct st_error *err);
int st_catalog_changes(struct st_catalog *c, int64_t a, int64_t b, st_change_fn *fn, void *arg,
                       struct st_error *err);
/* The same for who holds the store's lock, and has so since the scan began, so that nobody commits:
 * where all entries that there were are gone, and nothing is expected, which `*ret_gone` says, two
 * threads tell of them, in parts.  What is told with args[i] comes before what is told with
 * args[i + 1], and is told in order, one by one.  What is no entry comes behind all, with args[0];
 * so does all else, where it is not so. */
#define ST_CATALOG_PARTS 6
int st_catalog_changes_by_parts(struct st_catalog *c, int64_t a, int64_t b, st_change_fn *fn,
                                void *const args[ST_CATALOG_PARTS], bool *ret_gone,
                                struct st_error *err);

/* The history of one path in all entry tables, newest first: fn gets the checkpoint at which the
 * change came, and the change.  Where checkpoints were passed over, the next one whose facts are
 * here; what came with the first one is not known unless that is checkpoint 1. */
typedef int st_history_fn(void *arg, int64_t number, const struct st_change *change,
                          struct st_error *err);
int st_catalog_history(struct st_catalog *c, const char *path, st_history_fn *fn, void *arg,
                       struct st_error *err);

/* Why a path was not observed at `number`, in any plug-in's eyes (core_unobserved, the path itself
 * or a directory above): malloc'ed words, or NULL when it was. */
char *st_catalog_unobserved(struct st_catalog *c, int64_t number, const char *path);

/* ---- Writing: a scan, then a checkpoint or nothing --------------------------------------- */

/* Begins a scan.  With ST_CATALOG_WRITE its number is latest + 1 and a transaction is open;
 * otherwise it goes to the overlay that ST_LIVE reads.  One at a time. */
int st_catalog_start(struct st_catalog *c, struct st_error *err);

/* "It is so": a whole row.  Equal to what is known (or expected): nothing is written.  Returns 1
 * when it was a change. */
int st_catalog_put(struct st_catalog *c, const struct st_catalog_table *table,
                   const struct st_value *row, struct st_error *err);
/* "It is gone": ends the fact, or begins an `absent` one where it is still expected.  No error when
 * there was none.  Returns 1 when it was a change. */
int st_catalog_gone(struct st_catalog *c, const struct st_catalog_table *table,
                    const struct st_value *key, struct st_error *err);
/* The path and everything below it is gone, from all entry tables of the plug-in (NULL: of all). */
int st_catalog_gone_below(struct st_catalog *c, const char *plugin, const char *path,
                          struct st_error *err);

/* Sweep: between these two, every key that is not put is gone at the end, except those for which
 * `keep` (may be NULL) says true; `fact` is the row as it was.  Sweeps of several tables may be
 * open at once.  `st_catalog_unsweep` forgets one: what was not put stands as it is. */
int st_catalog_sweep(struct st_catalog *c, const struct st_catalog_table *table,
                     struct st_error *err);
int st_catalog_swept(struct st_catalog *c, const struct st_catalog_table *table,
                     bool (*keep)(void *arg, const struct st_fact_row *fact), void *arg,
                     struct st_error *err);
void st_catalog_unsweep(struct st_catalog *c, const struct st_catalog_table *table);
/* How many rows of the table the open sweep has seen put, and how many of them were in force at
 * the checkpoint before; for the rule that packages do not vanish all at once. */
void st_catalog_sweep_count(struct st_catalog *c, const struct st_catalog_table *table,
                            int64_t *ret_put, int64_t *ret_known);

/* Paths that a manifest which begins or ends with this scan speaks of (rule (c) of the walk). */
int st_catalog_manifest_paths(struct st_catalog *c, int (*fn)(void *arg, const char *path),
                              void *arg, struct st_error *err);

/* A manifest being written: rows of any entry table. */
struct st_manifest;
struct st_manifest *st_manifest_new(struct st_catalog *c, bool observed);
void st_manifest_free(struct st_manifest *m);
ST_DEFINE_CLEANUP(struct st_manifest *, st_manifest_free)
/* st_expect(): plugin.h.  The finished manifest's bytes (doc/formats), rows in canonical order. */
int st_manifest_encode(struct st_manifest *m, struct st_buffer *out, struct st_error *err);
/* Makes the derived index know it, so that put and gone of this scan compare with it; done by the
 * tracker before the package fact that names it is put.  Known already: nothing. */
int st_catalog_learn_manifest(struct st_catalog *c, const struct st_id *id, const void *data,
                              size_t length, struct st_error *err);

bool st_manifest_is_observed(const struct st_manifest *m);
/* Whether a manifest that some fact names was made from what was there: 1; 0: it was not, or is not
 * known. */
int st_catalog_is_observed(struct st_catalog *c, const struct st_id *manifest,
                           struct st_error *err);

/* Whether the scan so far found any change. */
bool st_catalog_changed(struct st_catalog *c);

/* Makes the checkpoint: builds its changeset's digest and the state root, signs the header, and
 * commits; then appends the header to `chain`.  All objects must be durable before. */
int st_catalog_commit(struct st_catalog *c, const struct st_keys *keys, int64_t time,
                      const char *message, bool incomplete, struct st_checkpoint *ret,
                      struct st_error *err);
/* Forgets the scan. */
void st_catalog_rollback(struct st_catalog *c);

/* Makes a checkpoint of the facts as they stand, which opens a new epoch: what follows is told from
 * checkpoints of the same numbers that were made before the host was set back.  Its time is that of
 * the checkpoint before, as nothing was looked at.  There has to be one. */
int st_catalog_open_epoch(struct st_catalog *c, const struct st_keys *keys, int64_t epoch,
                          const char *message, struct st_checkpoint *ret, struct st_error *err);

/* Every object id that any fact in any checkpoint names in an ST_OBJECT or ST_MANIFEST column. */
int st_catalog_objects(struct st_catalog *c, int (*fn)(void *arg, const struct st_id *id),
                       void *arg, struct st_error *err);

/* Every package that any checkpoint has, once for each table: from tables of packages
 * (ST_TABLE_PACKAGES) with text columns `name`, `version` and `architecture`. */
typedef int st_package_name_fn(void *arg, const char *name, const char *version,
                               const char *architecture);
int st_catalog_packages(struct st_catalog *c, st_package_name_fn *fn, void *arg,
                        struct st_error *err);

/* ---- Changesets and the chain -------------------------------------------------------------- */

/* The body of a checkpoint's changeset, uncompressed (doc/formats); the same bytes each time. */
int st_changeset_body(struct st_catalog *c, int64_t number, struct st_buffer *out,
                      struct st_error *err);
/* The signed header: its bytes as they were signed, and the signature. */
int st_changeset_header(struct st_catalog *c, int64_t number, struct st_buffer *out,
                        struct st_error *err);

/* SQLite's own check, the chain's signatures and links, every changeset against its header, and the
 * state root of the latest checkpoint from its facts.  Damage goes to `found`; returns its count.
 */
int st_catalog_verify(struct st_catalog *c, void (*found)(void *arg, const char *words), void *arg,
                      struct st_error *err);

#endif
