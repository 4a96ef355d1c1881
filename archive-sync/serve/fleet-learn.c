/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fleet-learn.c - a host's new checkpoints, taken in row by row as their changesets tell them.
 *
 * What a night changed is written where it stands; what grows is `named`, by the ids of new
 * objects, and what is of paths, packages and versions that nobody had before.
 */
#include <string.h>
#include <time.h>

#include "archive-sync/serve/fleet-internal.h"
#include "systracker/base/escape.h"
#include "systracker/store/store.h"
#include "systracker/tracker/tracker.h"

#define DAY 86400
#define HOSTNAME "/etc/hostname"
#define HOSTNAME_MAX 1024

/* One host being learned. */
struct learner {
  struct st_fleet *f;
  struct st_catalog *c;
  struct st_fleet_entry *e; /* of our own until it is done */
  int64_t number, before;   /* being read; the last one before it whose facts are here */
  struct st_set *seen;      /* objects that it named already */
  struct st_buffer ids;
  bool ruled; /* rules of the host changed */
  bool has_name;
  struct st_id name; /* of the content of /etc/hostname */
};

static void learner_free(struct learner *l)
{
  if (l->e)
    st_fleet_entry_free(l->e);
  if (l->seen)
    st_set_free(l->seen);
  st_buffer_free(&l->ids);
}

/* ---- Objects -----------------------------------------------------------------------------------
 */

static void name_object(struct learner *l, const struct st_id *id)
{
  uint8_t bytes[ST_FLEET_ID_SIZE] = {id->keyed};
  memcpy(bytes + 1, id->digest, sizeof(id->digest));
  if (st_set_add(l->seen, bytes, sizeof(bytes), 0))
    st_buffer_append(&l->ids, bytes, sizeof(bytes));
}

static void name_objects(struct learner *l, const struct st_body_row *row)
{
  const struct st_table *d = &row->table->declaration;
  if (!row->begun || row->absent)
    return;
  for (size_t i = row->table->nkeys; i < d->ncolumns; i++)
    if ((d->columns[i].flags & (ST_OBJECT | ST_MANIFEST)) && row->values[i].type == ST_ID)
      name_object(l, &row->values[i].u.id);
}

static int64_t named_row(int64_t host, int64_t number)
{
  int64_t last = ((int64_t)1 << ST_FLEET_NUMBER_BITS) - 1;
  return (host << ST_FLEET_NUMBER_BITS) + (number < last ? number : last);
}

static int write_named(struct learner *l, struct st_error *err)
{
  if (l->ids.length == 0)
    return 0;
  sqlite3_stmt *s = st_fleet_statement(l->f, ST_FLEET_NAMED_ADD, err);
  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, named_row(l->e->id, l->number));
  sqlite3_bind_blob64(s, 2, l->ids.data, l->ids.length, SQLITE_STATIC);
  int r = st_fleet_run(s, err);
  st_buffer_clear(&l->ids);
  return r;
}

/* ---- Paths -------------------------------------------------------------------------------------
 */

struct fact {
  int64_t path, tables, until; /* until 0: it is so now */
  bool there, has_digest;
  uint8_t digest[ST_DIGEST_SIZE];
};

static int path_id(struct learner *l, const struct st_value *path, int64_t *ret,
                   struct st_error *err)
{
  sqlite3_stmt *s = st_fleet_statement(l->f, ST_FLEET_PATH_ID, err);
  if (!s)
    return -1;
  sqlite3_bind_blob64(s, 1, path->u.bytes.data, path->u.bytes.length, SQLITE_STATIC);
  int r = st_fleet_step(s, err);
  *ret = r == 1 ? sqlite3_column_int64(s, 0) : 0;
  sqlite3_reset(s);
  if (r != 0)
    return r < 0 ? -1 : 0;
  s = st_fleet_statement(l->f, ST_FLEET_PATH_ADD, err);
  if (!s)
    return -1;
  sqlite3_bind_blob64(s, 1, path->u.bytes.data, path->u.bytes.length, SQLITE_STATIC);
  r = st_fleet_run(s, err);
  *ret = sqlite3_last_insert_rowid(l->f->db);
  return r;
}

/* The digest lies in two columns: 8 bytes that are searched for, and the rest. */
static int64_t digest_number(const uint8_t *digest)
{
  uint64_t n = 0;
  for (int i = 0; i < 8; i++)
    n = n << 8 | digest[i];
  return (int64_t)n;
}

static void read_digest(sqlite3_stmt *s, struct fact *fact)
{
  const void *rest = sqlite3_column_blob(s, 3);
  uint64_t n = (uint64_t)sqlite3_column_int64(s, 2);
  if (!rest || sqlite3_column_bytes(s, 3) != ST_DIGEST_SIZE - 8)
    return;
  fact->has_digest = true;
  for (int i = 7; i >= 0; i--, n >>= 8)
    fact->digest[i] = (uint8_t)n;
  memcpy(fact->digest + 8, rest, ST_DIGEST_SIZE - 8);
}

static int read_fact(struct learner *l, const struct st_value *path, struct fact *ret,
                     struct st_error *err)
{
  *ret = (struct fact){0};
  sqlite3_stmt *s = st_fleet_statement(l->f, ST_FLEET_FACT_GET, err);
  if (!s || path_id(l, path, &ret->path, err) < 0)
    return -1;
  sqlite3_bind_int64(s, 1, ret->path);
  sqlite3_bind_int64(s, 2, l->e->id);
  int r = st_fleet_step(s, err);
  if (r == 1) {
    ret->there = true;
    ret->tables = sqlite3_column_int64(s, 0);
    ret->until = sqlite3_column_int64(s, 1);
    read_digest(s, ret);
  }
  sqlite3_reset(s);
  return r < 0 ? -1 : 0;
}

static int write_fact(struct learner *l, const struct fact *fact, struct st_error *err)
{
  sqlite3_stmt *s = st_fleet_statement(l->f, ST_FLEET_FACT_SET, err);
  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, fact->path);
  sqlite3_bind_int64(s, 2, l->e->id);
  sqlite3_bind_int64(s, 3, fact->tables);
  for (int i = 4; i <= 6; i++)
    sqlite3_bind_null(s, i);
  if (fact->until)
    sqlite3_bind_int64(s, 4, fact->until);
  if (fact->has_digest) {
    sqlite3_bind_int64(s, 5, digest_number(fact->digest));
    sqlite3_bind_blob(s, 6, fact->digest + 8, ST_DIGEST_SIZE - 8, SQLITE_STATIC);
  }
  return st_fleet_run(s, err);
}

/* Tables of more than 62 names share the last bit: what is in one of those may then stay noted as
 * being so after it went, and no more than that. */
static int table_bit(struct learner *l, const char *name, int64_t *ret, struct st_error *err)
{
  uint64_t bit;
  if (!st_set_get(l->f->tables, name, strlen(name), &bit)) {
    sqlite3_stmt *s = st_fleet_statement(l->f, ST_FLEET_TABLE_ADD, err);
    if (!s)
      return -1;
    sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
    if (st_fleet_run(s, err) < 0)
      return -1;
    bit = (uint64_t)sqlite3_last_insert_rowid(l->f->db);
    st_set_add(l->f->tables, name, strlen(name), bit);
  }
  *ret = (int64_t)1 << (bit < 62 ? bit : 62);
  return 0;
}

/* A digest of content, as a row has it: a secret's is none.  True where it says something of it. */
static bool row_digest(const struct st_body_row *row, struct fact *fact)
{
  const struct st_table *d = &row->table->declaration;
  for (size_t i = row->table->nkeys; i < d->ncolumns; i++) {
    const struct st_value *v = &row->values[i];
    if (d->columns[i].type != ST_ID || (d->columns[i].flags & ST_MANIFEST))
      continue;
    fact->has_digest = !row->absent && v->type == ST_ID && !v->u.id.keyed;
    if (fact->has_digest)
      memcpy(fact->digest, v->u.id.digest, ST_DIGEST_SIZE);
    if (row->absent || v->type == ST_ID)
      return true;
  }
  return false;
}

static void note_name(struct learner *l, const struct st_body_row *row)
{
  const struct st_table *d = &row->table->declaration;
  for (size_t i = row->table->nkeys; i < d->ncolumns && row->begun && !row->absent; i++)
    if ((d->columns[i].flags & ST_OBJECT) && row->values[i].type == ST_ID &&
        !row->values[i].u.id.keyed) {
      l->has_name = true;
      l->name = row->values[i].u.id;
    }
}

static bool is_hostname(const struct st_value *path)
{
  return path->u.bytes.length == strlen(HOSTNAME) &&
         memcmp(path->u.bytes.data, HOSTNAME, strlen(HOSTNAME)) == 0;
}

static int learn_path(struct learner *l, const struct st_body_row *row, struct st_error *err)
{
  struct fact was, is;
  int64_t bit;
  if (is_hostname(row->values))
    note_name(l, row);
  if (table_bit(l, row->table->name, &bit, err) < 0 || read_fact(l, row->values, &was, err) < 0)
    return -1;
  is = was;
  is.tables = row->begun ? was.tables | bit : was.tables & ~bit;
  is.until = is.tables ? 0 : was.tables ? l->before : was.until;
  l->e->deviations += (is.tables != was.tables) * (row->begun ? 1 : -1);
  l->e->files += (is.tables != 0) - (was.tables != 0);
  struct fact said = is;
  if (row->begun && row_digest(row, &said))
    is = said;
  bool same = was.there && is.tables == was.tables && is.until == was.until &&
              is.has_digest == was.has_digest &&
              memcmp(is.digest, was.digest, sizeof(is.digest)) == 0;
  return same || (!was.there && !row->begun) ? 0 : write_fact(l, &is, err);
}

/* ---- Packages ----------------------------------------------------------------------------------
 */

struct package {
  char *name, *version, *architecture;
  bool rpm;
};

static void package_clear(struct package *p)
{
  free(p->name);
  free(p->version);
  free(p->architecture);
}

static char *text_of(const struct st_catalog_table *table, const struct st_value *values,
                     const char *column)
{
  for (size_t i = 0; i < table->declaration.ncolumns; i++)
    if (strcmp(table->declaration.columns[i].name, column) == 0 && values[i].type == ST_TEXT)
      return st_memdup(values[i].u.bytes.data, values[i].u.bytes.length);
  return NULL;
}

/* dpkg's "want eflag status": of some, configuration files are all that is left. */
static bool is_removed(const char *state)
{
  const char *status = state ? strrchr(state, ' ') : NULL;
  return status && (!strcmp(status, " config-files") || !strcmp(status, " not-installed"));
}

/* False: it says of no package that it is installed. */
static bool read_package(const struct st_catalog_table *table, const struct st_value *values,
                         struct package *ret)
{
  ST_AUTO_FREE char *state = text_of(table, values, "state");
  ret->name = text_of(table, values, "name");
  ret->version = text_of(table, values, "version");
  ret->architecture = text_of(table, values, "architecture");
  ret->rpm = strcmp(table->plugin, "rpm_track") == 0;
  if (!ret->architecture)
    ret->architecture = st_strdup("");
  return ret->name && ret->version && !is_removed(state);
}

static void bind_package(sqlite3_stmt *s, const struct package *p)
{
  sqlite3_bind_text(s, 1, p->name, -1, SQLITE_STATIC);
  sqlite3_bind_text(s, 2, p->version, -1, SQLITE_STATIC);
  sqlite3_bind_text(s, 3, p->architecture, -1, SQLITE_STATIC);
  sqlite3_bind_int(s, 4, p->rpm);
}

static int package_id(struct learner *l, const struct package *p, int64_t *ret,
                      struct st_error *err)
{
  sqlite3_stmt *s = st_fleet_statement(l->f, ST_FLEET_PACKAGE_ID, err);
  if (!s)
    return -1;
  bind_package(s, p);
  int r = st_fleet_step(s, err);
  *ret = r == 1 ? sqlite3_column_int64(s, 0) : 0;
  sqlite3_reset(s);
  if (r != 0)
    return r < 0 ? -1 : 0;
  s = st_fleet_statement(l->f, ST_FLEET_PACKAGE_ADD, err);
  if (!s)
    return -1;
  bind_package(s, p);
  r = st_fleet_run(s, err);
  *ret = sqlite3_last_insert_rowid(l->f->db);
  return r;
}

/* `until` 0: it is installed now. */
static int set_installed(struct learner *l, const struct package *p, int64_t until,
                         struct st_error *err)
{
  int64_t id;
  sqlite3_stmt *get = st_fleet_statement(l->f, ST_FLEET_INSTALLED_GET, err);
  sqlite3_stmt *set = get ? st_fleet_statement(l->f, ST_FLEET_INSTALLED_SET, err) : NULL;
  if (!set || package_id(l, p, &id, err) < 0)
    return -1;
  sqlite3_bind_int64(get, 1, id);
  sqlite3_bind_int64(get, 2, l->e->id);
  int r = st_fleet_step(get, err);
  bool was = r == 1 && sqlite3_column_type(get, 0) == SQLITE_NULL;
  sqlite3_reset(get);
  if (r < 0 || was == (until == 0))
    return r < 0 ? -1 : 0;
  l->e->packages += until == 0 ? 1 : -1;
  sqlite3_bind_int64(set, 1, id);
  sqlite3_bind_int64(set, 2, l->e->id);
  sqlite3_bind_null(set, 3);
  if (until)
    sqlite3_bind_int64(set, 3, until);
  return st_fleet_run(set, err);
}

/* The row says what is now; what was is asked of the catalog. */
static int learn_package(struct learner *l, const struct st_body_row *row, struct st_error *err)
{
  ST_CLEANUP(st_fact_freep) struct st_fact_row *before = NULL;
  ST_CLEANUP(package_clear) struct package was = {0}, is = {0};
  if (l->before > 0 && st_catalog_fact(l->c, l->before, row->table, row->values, &before, err) < 0)
    return -1;
  bool had = before && before->present && read_package(row->table, before->values, &was);
  bool has = row->begun && !row->absent && read_package(row->table, row->values, &is);
  if (had && set_installed(l, &was, l->before, err) < 0)
    return -1;
  return has ? set_installed(l, &is, 0, err) : 0;
}

/* ---- Checkpoints -------------------------------------------------------------------------------
 */

static int learn_row(void *arg, const struct st_body_row *row, struct st_error *err)
{
  struct learner *l = arg;
  unsigned flags = row->table->declaration.flags;
  name_objects(l, row);
  l->ruled |= row->begun && strcmp(row->table->name, ST_CORE_RULE) == 0;
  if (flags & ST_TABLE_PACKAGES)
    return learn_package(l, row, err);
  return (flags & ST_TABLE_ENTRY) && row->values[0].type == ST_PATH ? learn_path(l, row, err) : 0;
}

static const struct st_catalog_table *table_of(void *arg, const char *name)
{
  return st_catalog_table(((struct learner *)arg)->c, name);
}

static void count_changes(struct st_fleet_entry *e, const struct st_checkpoint *cp)
{
  int64_t day = cp->time / DAY, changes = cp->begun + cp->ended;
  if (day > e->day) {
    int64_t by = day - e->day < ST_FLEET_NIGHTS ? day - e->day : ST_FLEET_NIGHTS;
    size_t left = (size_t)(ST_FLEET_NIGHTS - by);
    memmove(e->nights, e->nights + by, left * sizeof(*e->nights));
    memset(e->nights + left, 0, (size_t)by * sizeof(*e->nights));
    e->day = day;
  }
  int64_t at = ST_FLEET_NIGHTS - 1 - (e->day - day);
  if (at >= 0 && cp->number > 1)
    e->nights[at] += (uint32_t)(changes < UINT32_MAX - e->nights[at] ? changes : 0);
}

static int learn_body(struct learner *l, const struct st_buffer *body, struct st_error *err)
{
  return st_body_read(body->data ? body->data : "", body->length, table_of, learn_row, l, err) < 0
             ? -1
             : write_named(l, err);
}

static int learn_checkpoint(struct learner *l, int64_t number, const struct st_changeset *set,
                            struct st_error *err)
{
  ST_CLEANUP(st_checkpoint_clear) struct st_checkpoint cp = {0};
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  struct st_fleet_entry *e = l->e;
  l->number = number;
  l->before = st_catalog_before(l->c, number);
  if (st_catalog_checkpoint(l->c, number, &cp, err) < 0 ||
      (!set && st_changeset_body(l->c, number, &body, err) < 0) ||
      learn_body(l, set ? &set->body : &body, err) < 0)
    return -1;
  count_changes(e, &cp);
  e->head.epoch = cp.epoch;
  e->head.number = number;
  e->head.time = cp.time;
  memcpy(e->head.digest, cp.header_digest, ST_DIGEST_SIZE);
  e->incomplete = cp.incomplete;
  return 0;
}

/* ---- The name ----------------------------------------------------------------------------------
 */

static int read_object(struct st_fleet *f, const struct st_id *id, struct st_buffer *out)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  if (f->store && st_store_get(f->store, id, out, &ignored) >= 0)
    return 0;
  /* What came since it was opened is not in it. */
  if (f->store)
    st_store_close(st_steal(&f->store));
  st_buffer_clear(out);
  st_error_clear(&ignored);
  return st_store_open(&f->store, f->a->dir, ST_STORE_READ, NULL, &ignored) < 0
             ? -1
             : st_store_get(f->store, id, out, &ignored);
}

static void learn_name(struct learner *l)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  if (!l->has_name || read_object(l->f, &l->name, &text) < 0 || text.length > HOSTNAME_MAX)
    return;
  free(l->e->name);
  l->e->name = st_escaped(text.data ? text.data : "", text.data ? strcspn(text.data, " \t\n") : 0);
}

/* ---- The host ----------------------------------------------------------------------------------
 */

static int write_host(struct learner *l, struct st_error *err)
{
  const struct st_fleet_entry *e = l->e;
  const int64_t rest[] = {e->gaps,  e->stamp, e->packages, e->deviations,
                          e->files, e->bytes, e->day};
  sqlite3_stmt *s = st_fleet_statement(l->f, ST_FLEET_HOST_SET, err);
  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, e->id);
  sqlite3_bind_text(s, 2, e->name, -1, SQLITE_STATIC);
  sqlite3_bind_int64(s, 3, e->head.epoch);
  sqlite3_bind_int64(s, 4, e->head.number);
  sqlite3_bind_int64(s, 5, e->head.time);
  sqlite3_bind_blob(s, 6, e->head.digest, ST_DIGEST_SIZE, SQLITE_STATIC);
  sqlite3_bind_int64(s, 7, e->received);
  sqlite3_bind_int(s, 8, e->incomplete);
  for (size_t i = 0; i < ST_COUNT(rest); i++)
    sqlite3_bind_int64(s, 9 + (int)i, rest[i]);
  sqlite3_bind_blob(s, 16, e->nights, sizeof(e->nights), SQLITE_STATIC);
  return st_fleet_run(s, err);
}

static int add_host(struct learner *l, const char *key, struct st_error *err)
{
  sqlite3_stmt *s = st_fleet_statement(l->f, ST_FLEET_HOST_ADD, err);
  l->e = st_calloc(1, sizeof(*l->e));
  snprintf(l->e->key, sizeof(l->e->key), "%s", key);
  l->e->name = st_strdup("");
  if (!s)
    return -1;
  sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
  if (st_fleet_run(s, err) < 0)
    return -1;
  l->e->id = sqlite3_last_insert_rowid(l->f->db);
  return 0;
}

/* After a transaction was lost, numbers of hosts in memory may be given out again. */
static int add_free_host(struct learner *l, const char *key, struct st_error *err)
{
  ST_AUTO_FREE char *sql = st_format("DELETE FROM host WHERE host = '%s'", key);
  while (add_host(l, key, err) == 0) {
    if (!st_fleet_by_id(l->f, l->e->id))
      return 0;
    st_fleet_entry_free(st_steal(&l->e));
    if (st_fleet_exec(l->f->db, sql, err) < 0)
      return -1;
  }
  return -1;
}

static int64_t count_gaps(struct st_catalog *c)
{
  int64_t gaps = 0, latest = st_catalog_latest(c);
  for (int64_t n = 1; n < latest; n++)
    gaps += st_catalog_held(c, n) != ST_HELD;
  return gaps;
}

/* Whether what the catalog has follows from what is known: else it is another epoch's, or what is
 * known can not be told from what came since. */
static int is_continued(struct st_catalog *c, const struct st_fleet_entry *e, bool *ret,
                        struct st_error *err)
{
  ST_CLEANUP(st_checkpoint_clear) struct st_checkpoint cp = {0};
  int64_t number = e->head.number;
  *ret = number > 0 && number <= st_catalog_latest(c) && st_catalog_held(c, number) == ST_HELD;
  if (!*ret)
    return 0;
  if (st_catalog_checkpoint(c, number, &cp, err) < 0)
    return -1;
  *ret = memcmp(cp.header_digest, e->head.digest, ST_DIGEST_SIZE) == 0;
  return 0;
}

/* The row of what was known goes; or, where it is an older epoch now, stays under that name. */
static int set_aside(struct learner *l, const struct st_fleet_entry *e, char ret_key[],
                     struct st_error *err)
{
  int64_t received, bytes;
  if (e->lost) { /* its number may be another's in the file */
    ST_AUTO_FREE char *drop = st_format("DELETE FROM host WHERE host = '%s'", e->key);
    *ret_key = 0;
    return st_fleet_exec(l->f->db, drop, err);
  }
  ST_AUTO_FREE char *key = st_format("%s/epoch-%lld", e->key, (long long)e->head.epoch);
  bool epoch = !strchr(e->key, '/') && strlen(key) < ST_FLEET_KEY_SIZE &&
               !st_fleet_find(l->f, key) && st_archive_stamp(l->f->a, key, &received, &bytes) != 0;
  snprintf(ret_key, ST_FLEET_KEY_SIZE, "%s", epoch ? key : "");
  ST_AUTO_FREE char *sql =
      epoch ? st_format("UPDATE host SET host = '%s', stamp = 0 WHERE id = %lld", key,
                        (long long)e->id)
            : st_format("DELETE FROM named WHERE id BETWEEN %lld AND %lld;"
                        "DELETE FROM host WHERE id = %lld",
                        (long long)(e->id << ST_FLEET_NUMBER_BITS),
                        (long long)(((e->id + 1) << ST_FLEET_NUMBER_BITS) - 1), (long long)e->id);
  return st_fleet_exec(l->f->db, sql, err);
}

static void copy_entry(struct st_fleet_entry *to, const struct st_fleet_entry *from)
{
  *to = *from;
  to->name = st_strdup(from->name);
}

/* Everything is written; then memory changes. */
static void publish(struct learner *l, struct st_fleet_entry *old, const char *aside)
{
  struct st_fleet *f = l->f;
  struct st_fleet_entry *e = st_steal(&l->e);
  pthread_rwlock_wrlock(&f->lock);
  if (old && old->id == e->id) {
    free(old->name);
    e->epochs = old->epochs;
    e->continued = old->continued;
    e->dirty = old->dirty;
    *old = *e;
    free(e);
    e = old;
  } else {
    if (old) {
      st_fleet_drop(f, old);
      e->epochs = old->epochs;
      e->continued = old->continued;
      old->epochs = NULL;
    }
    st_fleet_put(f, e);
    if (old && *aside) {
      snprintf(old->key, sizeof(old->key), "%s", aside);
      old->stamp = 0;
      st_fleet_put(f, old);
    } else if (old) {
      st_fleet_unmark(f, old);
      st_fleet_entry_free(old);
    }
  }
  st_fleet_mark(f, e);
  pthread_rwlock_unlock(&f->lock);
}

static int learn_all(struct learner *l, int64_t known, const struct st_changeset *set,
                     struct st_error *err)
{
  int64_t latest = st_catalog_latest(l->c), gaps = count_gaps(l->c);
  bool one = set && set->between.length == 0 && known == latest - 1;
  bool pruned = known > 0 && gaps != l->e->gaps;
  l->seen = st_set_new();
  for (int64_t n = known + 1; n <= latest; n++)
    if (st_catalog_held(l->c, n) == ST_HELD && learn_checkpoint(l, n, one ? set : NULL, err) < 0)
      return -1;
  l->e->gaps = gaps;
  if (pruned && st_fleet_learn_pruned(l->f, l->e, l->c, err) < 0)
    return -1;
  l->f->forgot |= pruned;
  if ((l->ruled || !l->e->hidden) && st_fleet_hide_secrets(l->f, l->e->id, l->c, err) < 0)
    return -1;
  l->e->hidden = true;
  learn_name(l);
  l->e->stamp = st_archive_stamp(l->f->a, l->e->key, &l->e->received, &l->e->bytes);
  return write_host(l, err);
}

static int learn(struct learner *l, const char *key, const struct st_changeset *set,
                 struct st_error *err)
{
  struct st_fleet_entry *old = st_fleet_find(l->f, key);
  char aside[ST_FLEET_KEY_SIZE] = "";
  bool follows = false;
  if (old && !old->lost && is_continued(l->c, old, &follows, err) < 0)
    return -1;
  if (old && follows) {
    l->e = st_calloc(1, sizeof(*l->e));
    copy_entry(l->e, old);
  } else if ((old && set_aside(l, old, aside, err) < 0) || add_free_host(l, key, err) < 0) {
    return -1;
  }
  if (learn_all(l, follows ? old->head.number : 0, set, err) < 0)
    return -1;
  l->f->forgot |= old && !follows;
  publish(l, old, aside);
  return 0;
}

/* All of a host or nothing, within the transaction that is open. */
int st_fleet_learn_set(struct st_fleet *f, const char *host, struct st_catalog *c,
                       const struct st_changeset *set, struct st_error *err)
{
  ST_CLEANUP(learner_free) struct learner l = {.f = f, .c = c};
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  if (strlen(host) >= ST_FLEET_KEY_SIZE)
    return st_fail(err, 0, "the host's id is too long (%s)", st_quote(host));
  pthread_mutex_lock(&f->write);
  int r = st_fleet_begin(f, err);
  if (r == 0)
    r = st_fleet_exec(f->db, "SAVEPOINT learn", err);
  if (r == 0) {
    r = learn(&l, host, set, err);
    st_fleet_exec(f->db, r < 0 ? "ROLLBACK TO learn; RELEASE learn" : "RELEASE learn", &ignored);
  }
  if (r < 0)
    st_fleet_read_tables(f, &ignored);
  f->damaged |= r < 0;
  pthread_mutex_unlock(&f->write);
  st_fleet_names_drop(f, host);
  return r < 0 ? st_wrap(err, "host %s", st_quote(host)) : 0;
}

int st_fleet_learn(struct st_fleet *f, const char *host, struct st_catalog *c, struct st_error *err)
{
  return st_fleet_learn_set(f, host, c, NULL, err);
}
