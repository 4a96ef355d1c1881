/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/objectindex.h"

#include <string.h>

#include "systracker/base/set.h"
#include "systracker/store/objectindex-internal.h"

#define ID_SIZE (1 + ST_DIGEST_SIZE)

static const char commit_sql[] =
    /* CROSS: the few fresh ones are looked up among all, never the other way round. */
    "INSERT OR REPLACE INTO main.replaced SELECT o.pack, o.offset, o.id FROM temp.fresh f"
    " CROSS JOIN main.object o ON o.id = f.id WHERE o.pack <> f.pack OR o.offset <> f.offset;"
    "INSERT OR REPLACE INTO main.object SELECT * FROM temp.fresh;"
    "INSERT OR REPLACE INTO main.pack SELECT * FROM temp.fresh_pack;"
    "DELETE FROM temp.fresh;"
    "DELETE FROM temp.fresh_pack;";

static const char retire_sql[] =
    "DELETE FROM main.object WHERE pack IN (SELECT number FROM temp.retired);"
    "DELETE FROM main.replaced WHERE pack IN (SELECT number FROM temp.retired);"
    "UPDATE main.pack SET indexed = 9223372036854775807"
    " WHERE number IN (SELECT number FROM temp.retired);";

enum statement {
  FIND,
  FROM,
  FIND_FRESH,
  FIND_BASE,
  BASES,
  NEXT,
  PACK,
  LAST_PACK,
  ADD,
  COVER,
  DROP,
  MARK,
  MARK_FRESH,
  EXPLAINS,
  TOTALS,
  EACH,
  RETIRE,
  NSTATEMENTS,
};

_Static_assert(NSTATEMENTS == ST_OBJECT_INDEX_STATEMENTS, "one of each is kept");

#define ROW "id, pack, offset, stored, raw, encoding, step, base, damaged"

static const char *const sql[NSTATEMENTS] = {
    [FIND] = "SELECT " ROW " FROM main.object WHERE id = ?1",
    [FROM] = "SELECT " ROW " FROM main.object WHERE id >= ?1 ORDER BY id",
    [FIND_FRESH] = "SELECT " ROW " FROM temp.fresh WHERE id = ?1",
    [FIND_BASE] = "SELECT id FROM (SELECT id, pack, offset FROM main.object"
                  " WHERE id BETWEEN ?1 AND ?2 UNION ALL SELECT id, pack, offset FROM temp.fresh"
                  " WHERE id BETWEEN ?1 AND ?2) GROUP BY id"
                  " ORDER BY min(pack > ?4 OR (pack = ?4 AND offset > ?5)), id LIMIT ?3",
    [BASES] = "SELECT " ROW " FROM main.object WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 2",
    [NEXT] = "SELECT min(id) FROM (SELECT min(id) AS id FROM main.object WHERE id > ?1"
             " UNION ALL SELECT min(id) FROM temp.fresh WHERE id > ?1)",
    [PACK] = "SELECT identity, indexed FROM main.pack WHERE number = ?1",
    [LAST_PACK] = "SELECT max(number) FROM main.pack",
    [ADD] = "INSERT OR REPLACE INTO temp.fresh (" ROW ")"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL)",
    [COVER] = "INSERT OR REPLACE INTO temp.fresh_pack VALUES (?1, ?2, ?3)",
    [DROP] = "DELETE FROM temp.fresh WHERE pack = ?1 AND offset >= ?2",
    [MARK] = "UPDATE main.object SET damaged = ?2 WHERE id = ?1 AND damaged IS NOT ?2",
    [MARK_FRESH] = "UPDATE temp.fresh SET damaged = ?2 WHERE id = ?1 AND damaged IS NOT ?2",
    [EXPLAINS] = "SELECT EXISTS (SELECT 1 FROM main.object WHERE pack = ?1 AND offset >= ?2"
                 " AND offset < ?3) OR EXISTS (SELECT 1 FROM main.replaced WHERE pack = ?1"
                 " AND offset >= ?2 AND offset < ?3)",
    [TOTALS] = "SELECT count(*), coalesce(sum(CASE encoding WHEN 3 THEN 0 ELSE raw END), 0)"
               " FROM (SELECT raw, encoding FROM main.object WHERE damaged IS NULL"
               " UNION ALL SELECT raw, encoding FROM temp.fresh f WHERE damaged IS NULL AND"
               " NOT EXISTS (SELECT 1 FROM main.object o WHERE o.id = f.id AND o.damaged IS NULL))"
               " WHERE encoding <> 5",
    [EACH] = "SELECT " ROW " FROM main.object ORDER BY id",
    [RETIRE] = "INSERT INTO temp.retired VALUES (?1)",
};

/* ---- Statements -------------------------------------------------------------------------------
 */

static void reset(sqlite3_stmt **s)
{
  if (*s)
    sqlite3_reset(*s);
}
#define AUTO_STATEMENT ST_CLEANUP(reset) sqlite3_stmt

/* A prepared statement, ready for its values; NULL: failed. */
static sqlite3_stmt *prepare(struct st_object_index *ix, enum statement n, struct st_error *err)
{
  sqlite3_stmt **s = &ix->statements[n];
  if (!*s &&
      sqlite3_prepare_v3(ix->db, sql[n], -1, SQLITE_PREPARE_PERSISTENT, s, NULL) != SQLITE_OK) {
    st_object_index_fail(ix, err);
    return NULL;
  }
  sqlite3_clear_bindings(*s);
  return *s;
}

/* 1: a row; 0: done. */
static int step(struct st_object_index *ix, sqlite3_stmt *s, struct st_error *err)
{
  int r = sqlite3_step(s);
  if (r == SQLITE_ROW || r == SQLITE_DONE)
    return r == SQLITE_ROW;
  return st_object_index_fail(ix, err);
}

/* A writer holds its view of the file from one look to the next, as there is no other writer: locks
 * and checks of the file cost more than what is looked for. */
static void hold(struct st_object_index *ix)
{
  if (ix->write && !ix->held)
    ix->held = st_object_index_execute(ix, "BEGIN", NULL) == 0;
}

/* Before anything is written to the file.  What lies in temporary tables stays. */
static int release(struct st_object_index *ix, struct st_error *err)
{
  if (!ix->held)
    return 0;
  /* An error of reading may have ended it, and then nothing of them did stay: for good. */
  if (sqlite3_get_autocommit(ix->db))
    return st_fail(err, 0, "packs/objects.db could not be read a while ago");
  if (st_object_index_execute(ix, "COMMIT", err) < 0)
    return -1;
  ix->held = false;
  return 0;
}

static void id_bytes(uint8_t out[ID_SIZE], const struct st_id *id)
{
  out[0] = id->keyed;
  memcpy(out + 1, id->digest, ST_DIGEST_SIZE);
}

static void bind_id(sqlite3_stmt *s, int n, const struct st_id *id)
{
  uint8_t bytes[ID_SIZE];
  id_bytes(bytes, id);
  sqlite3_bind_blob(s, n, bytes, sizeof bytes, SQLITE_TRANSIENT);
}

static bool column_bytes(sqlite3_stmt *s, int n, void *out, size_t size)
{
  const void *data = sqlite3_column_blob(s, n);
  if (!data || (size_t)sqlite3_column_bytes(s, n) != size)
    return false;
  memcpy(out, data, size);
  return true;
}

static bool column_id(sqlite3_stmt *s, int n, struct st_id *ret)
{
  uint8_t bytes[ID_SIZE];
  if (!column_bytes(s, n, bytes, sizeof bytes) || bytes[0] > 1)
    return false;
  ret->keyed = bytes[0];
  memcpy(ret->digest, bytes + 1, ST_DIGEST_SIZE);
  return true;
}

/* ---- Finding ----------------------------------------------------------------------------------
 */

static bool read_row(sqlite3_stmt *s, struct st_object_row *ret)
{
  *ret = (struct st_object_row){0};
  struct st_record *r = &ret->record;
  int64_t pack = sqlite3_column_int64(s, 1), offset = sqlite3_column_int64(s, 2);
  int64_t stored = sqlite3_column_int64(s, 3), raw = sqlite3_column_int64(s, 4);
  int64_t encoding = sqlite3_column_int64(s, 5), number = sqlite3_column_int64(s, 6);
  if (!column_id(s, 0, &r->id) || pack < 1 || pack > UINT32_MAX || offset < 0 || stored < 0 ||
      stored > (int64_t)ST_RECORD_RAW_MAX + ST_SEAL_OVERHEAD || raw < 0 || encoding < 0 ||
      encoding > 7 || raw > (int64_t)st_record_raw_max((uint8_t)encoding) || number < 0 ||
      number > 215)
    return false;
  r->has_base = sqlite3_column_type(s, 7) != SQLITE_NULL;
  if (r->has_base != st_encoding_has_base((uint8_t)encoding))
    return false;
  if (r->has_base && !column_bytes(s, 7, r->base, sizeof r->base))
    return false;
  ret->pack = (uint32_t)pack;
  ret->offset = (uint64_t)offset;
  ret->damaged = sqlite3_column_type(s, 8) != SQLITE_NULL;
  r->stored = (uint64_t)stored;
  r->raw = (uint64_t)raw;
  r->encoding = (uint8_t)encoding;
  r->step = (uint8_t)number;
  return true;
}

static int find_in(struct st_object_index *ix, enum statement n, const struct st_id *id,
                   struct st_object_row *ret, struct st_error *err)
{
  hold(ix);
  AUTO_STATEMENT *s = prepare(ix, n, err);
  if (!s)
    return -1;
  bind_id(s, 1, id);
  int r = step(ix, s, err);
  if (r > 0 && !read_row(s, ret))
    return st_object_index_damaged(err, "a row makes no sense");
  return r;
}

int st_object_index_find(struct st_object_index *ix, const struct st_id *id,
                         struct st_object_row *ret, struct st_error *err)
{
  int durable = ix->empty ? 0 : find_in(ix, FIND, id, ret, err);
  if (durable < 0 || (durable > 0 && !ret->damaged) || !st_set_get(ix->fresh, id, sizeof *id, NULL))
    return durable;
  struct st_object_row fresh;
  int r = find_in(ix, FIND_FRESH, id, &fresh, err);
  if (r > 0)
    *ret = fresh;
  return r != 0 ? r : durable;
}

/* The rows that lie before the id are passed over; those of many are jumped over. */
#define PASSED_OVER 8

/* The first row at or behind the id, the statement being at one before it, or not begun: 1, 0. */
static int go_to(struct st_object_index *ix, sqlite3_stmt *s, const struct st_id *id, bool *at,
                 struct st_error *err)
{
  uint8_t bytes[ID_SIZE];
  id_bytes(bytes, id);
  for (unsigned passed = 0; *at; passed++) {
    const void *is = sqlite3_column_blob(s, 0);
    if (is && sqlite3_column_bytes(s, 0) == ID_SIZE && memcmp(is, bytes, ID_SIZE) >= 0)
      return 1;
    if (passed == PASSED_OVER)
      break;
    int r = step(ix, s, err);
    if (r <= 0)
      return r;
  }
  sqlite3_reset(s);
  bind_id(s, 1, id);
  int r = step(ix, s, err);
  *at = r > 0;
  return r;
}

int st_object_index_find_all(struct st_object_index *ix, const struct st_id *const *ids, size_t n,
                             void (*found)(void *arg, size_t i, const struct st_object_row *row),
                             void *arg, struct st_error *err)
{
  hold(ix);
  AUTO_STATEMENT *s = prepare(ix, FROM, err);
  bool at = false;
  int r = s ? 1 : -1;
  for (size_t i = 0; i < n && r >= 0; i++) {
    struct st_object_row row = {0};
    r = r > 0 ? go_to(ix, s, ids[i], &at, err) : 0;
    if (r > 0 && !read_row(s, &row))
      return st_object_index_damaged(err, "a row makes no sense");
    bool is = r > 0 && st_id_equal(&row.record.id, ids[i]);
    if (r >= 0 && (!is || row.damaged)) {
      int other = st_object_index_find(ix, ids[i], &row, err);
      if (other < 0)
        return other;
      is = other > 0;
    }
    if (is)
      found(arg, i, &row);
  }
  return r < 0 ? r : 0;
}

/* Where it is the one that begins so, as it mostly is, and nothing is fresh: 1; negative; 0: it is
 * to be looked for. */
static int find_one_base(struct st_object_index *ix, const struct st_id *low,
                         const struct st_id *high, struct st_object_row *ret, struct st_error *err)
{
  struct st_object_row row;
  if (st_set_count(ix->fresh) > 0)
    return 0;
  hold(ix);
  AUTO_STATEMENT *s = prepare(ix, BASES, err);
  if (!s)
    return -1;
  bind_id(s, 1, low);
  bind_id(s, 2, high);
  int r = step(ix, s, err);
  if (r <= 0)
    return r;
  if (!read_row(s, &row))
    return st_object_index_damaged(err, "a row makes no sense");
  if ((r = step(ix, s, err)) != 0)
    return r < 0 ? r : 0;
  *ret = row;
  return 1;
}

int st_object_index_find_base(struct st_object_index *ix, uint8_t keyed,
                              const uint8_t prefix[ST_RECORD_BASE_SIZE],
                              const struct st_object_row *delta, struct st_object_row *ret, int max,
                              struct st_error *err)
{
  struct st_id low = {.keyed = keyed}, high = {.keyed = keyed};
  memset(high.digest, 0xff, sizeof high.digest);
  memcpy(low.digest, prefix, ST_RECORD_BASE_SIZE);
  memcpy(high.digest, prefix, ST_RECORD_BASE_SIZE);
  int found = max > 0 ? find_one_base(ix, &low, &high, ret, err) : 0;
  if (found != 0)
    return found;
  AUTO_STATEMENT *s = prepare(ix, FIND_BASE, err);
  if (!s)
    return -1;
  bind_id(s, 1, &low);
  bind_id(s, 2, &high);
  sqlite3_bind_int(s, 3, max);
  sqlite3_bind_int64(s, 4, delta ? delta->pack : UINT32_MAX);
  sqlite3_bind_int64(s, 5, delta ? (int64_t)delta->offset : 0);
  int count = 0, r;
  while ((r = step(ix, s, err)) > 0 && count < max) {
    struct st_id id;
    if (!column_id(s, 0, &id))
      return st_object_index_damaged(err, "a row makes no sense");
    if (st_object_index_find(ix, &id, &ret[count], err) > 0)
      count++;
  }
  return r < 0 ? r : count;
}

int st_object_index_next(struct st_object_index *ix, const struct st_id *after, struct st_id *ret,
                         struct st_error *err)
{
  AUTO_STATEMENT *s = prepare(ix, NEXT, err);
  if (!s)
    return -1;
  if (after)
    bind_id(s, 1, after);
  else
    sqlite3_bind_zeroblob(s, 1, 0);
  if (step(ix, s, err) < 0)
    return -1;
  if (sqlite3_column_type(s, 0) == SQLITE_NULL)
    return 0;
  return column_id(s, 0, ret) ? 1 : st_object_index_damaged(err, "a row makes no sense");
}

int st_object_index_each(struct st_object_index *ix,
                         int (*fn)(void *arg, const struct st_object_row *row,
                                   struct st_error *err),
                         void *arg, struct st_error *err)
{
  struct st_object_row row;
  AUTO_STATEMENT *s = prepare(ix, EACH, err);
  int r = s ? 0 : -1;
  while (r == 0 && (r = step(ix, s, err)) > 0)
    r = read_row(s, &row) ? fn(arg, &row, err)
                          : st_object_index_damaged(err, "a row makes no sense");
  return r;
}

int st_object_index_totals(struct st_object_index *ix, uint64_t *ret_objects, uint64_t *ret_raw,
                           struct st_error *err)
{
  AUTO_STATEMENT *s = prepare(ix, TOTALS, err);
  if (!s || step(ix, s, err) < 0)
    return -1;
  *ret_objects = (uint64_t)sqlite3_column_int64(s, 0);
  *ret_raw = (uint64_t)sqlite3_column_int64(s, 1);
  return 0;
}

/* ---- Packs ------------------------------------------------------------------------------------
 */

int st_object_index_pack(struct st_object_index *ix, uint32_t number,
                         uint8_t ret_identity[ST_PACK_IDENTITY_SIZE], uint64_t *ret_indexed,
                         struct st_error *err)
{
  AUTO_STATEMENT *s = prepare(ix, PACK, err);
  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, number);
  int r = step(ix, s, err);
  if (r <= 0)
    return r;
  int64_t indexed = sqlite3_column_int64(s, 1);
  if (!column_bytes(s, 0, ret_identity, ST_PACK_IDENTITY_SIZE) || indexed < 0)
    return st_object_index_damaged(err, "a row makes no sense");
  *ret_indexed = (uint64_t)indexed;
  return 1;
}

int st_object_index_last_pack(struct st_object_index *ix, uint32_t *ret, struct st_error *err)
{
  AUTO_STATEMENT *s = prepare(ix, LAST_PACK, err);
  if (!s || step(ix, s, err) < 0)
    return -1;
  *ret = (uint32_t)sqlite3_column_int64(s, 0);
  return 0;
}

int st_object_index_forget(struct st_object_index *ix, uint32_t number, struct st_error *err)
{
  ST_AUTO_FREE char *text = st_format("BEGIN IMMEDIATE;"
                                      "DELETE FROM main.object WHERE pack = %u;"
                                      "DELETE FROM main.replaced WHERE pack = %u;"
                                      "DELETE FROM main.pack WHERE number = %u;"
                                      "COMMIT;",
                                      number, number, number);
  if (release(ix, err) < 0)
    return -1;
  if (st_object_index_execute(ix, text, err) == 0)
    return 0;
  st_object_index_execute(ix, "ROLLBACK", NULL);
  return -1;
}

/* ---- Writing ----------------------------------------------------------------------------------
 */

int st_object_index_begin(struct st_object_index *ix, struct st_error *err)
{
  return st_object_index_execute(ix, "SAVEPOINT many", err);
}

int st_object_index_end(struct st_object_index *ix, struct st_error *err)
{
  return st_object_index_execute(ix, "RELEASE many", err);
}

int st_object_index_add(struct st_object_index *ix, const struct st_object_row *row,
                        struct st_error *err)
{
  const struct st_record *r = &row->record;
  AUTO_STATEMENT *s = prepare(ix, ADD, err);
  if (!s)
    return -1;
  st_set_add(ix->fresh, &r->id, sizeof r->id, 0);
  bind_id(s, 1, &r->id);
  sqlite3_bind_int64(s, 2, row->pack);
  sqlite3_bind_int64(s, 3, (int64_t)row->offset);
  sqlite3_bind_int64(s, 4, (int64_t)r->stored);
  sqlite3_bind_int64(s, 5, (int64_t)r->raw);
  sqlite3_bind_int(s, 6, r->encoding);
  sqlite3_bind_int(s, 7, r->step);
  if (r->has_base)
    sqlite3_bind_blob(s, 8, r->base, sizeof r->base, SQLITE_TRANSIENT);
  return step(ix, s, err);
}

int st_object_index_cover(struct st_object_index *ix, const struct st_pack *pack, uint64_t indexed,
                          struct st_error *err)
{
  AUTO_STATEMENT *s = prepare(ix, COVER, err);
  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, pack->number);
  sqlite3_bind_blob(s, 2, pack->identity, sizeof pack->identity, SQLITE_TRANSIENT);
  sqlite3_bind_int64(s, 3, (int64_t)indexed);
  return step(ix, s, err);
}

int st_object_index_drop(struct st_object_index *ix, uint32_t pack, uint64_t offset,
                         struct st_error *err)
{
  AUTO_STATEMENT *s = prepare(ix, DROP, err);
  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, pack);
  sqlite3_bind_int64(s, 2, (int64_t)offset);
  return step(ix, s, err);
}

/* `more`: to be done in the same transaction; NULL: nothing. */
static int commit(struct st_object_index *ix, const char *more, struct st_error *err)
{
  if (release(ix, err) < 0 || st_object_index_execute(ix, "BEGIN IMMEDIATE", err) < 0)
    return -1;
  if (st_object_index_execute(ix, commit_sql, err) == 0 &&
      (!more || st_object_index_execute(ix, more, err) == 0) &&
      st_object_index_execute(ix, "COMMIT", err) == 0) {
    st_set_free(ix->fresh);
    ix->fresh = st_set_new();
    ix->empty = false;
    return 0;
  }
  if (!sqlite3_get_autocommit(ix->db))
    st_object_index_execute(ix, "ROLLBACK", NULL);
  return -1;
}

int st_object_index_commit(struct st_object_index *ix, struct st_error *err)
{
  return commit(ix, NULL, err);
}

int st_object_index_retire(struct st_object_index *ix, const uint32_t *packs, size_t n,
                           struct st_error *err)
{
  if (st_object_index_execute(ix, "DELETE FROM temp.retired", err) < 0)
    return -1;
  for (size_t i = 0; i < n; i++) {
    AUTO_STATEMENT *s = prepare(ix, RETIRE, err);
    if (!s)
      return -1;
    sqlite3_bind_int64(s, 1, packs[i]);
    if (step(ix, s, err) < 0)
      return -1;
  }
  return commit(ix, retire_sql, err);
}

int st_object_index_forget_retired(struct st_object_index *ix, struct st_error *err)
{
  if (release(ix, err) < 0)
    return -1;
  return st_object_index_execute(ix,
                                 "DELETE FROM main.pack WHERE indexed = 9223372036854775807"
                                 " AND number < (SELECT max(number) FROM main.pack)",
                                 err);
}

static int mark_in(struct st_object_index *ix, enum statement n, const struct st_id *id,
                   const char *why, struct st_error *err)
{
  AUTO_STATEMENT *s = prepare(ix, n, err);
  if (!s)
    return -1;
  bind_id(s, 1, id);
  if (why)
    sqlite3_bind_text(s, 2, why, -1, SQLITE_TRANSIENT);
  return step(ix, s, err);
}

int st_object_index_mark(struct st_object_index *ix, const struct st_id *id, const char *why,
                         struct st_error *err)
{
  if (!ix->write)
    return 0;
  int r = release(ix, err);
  if (r == 0)
    r = mark_in(ix, MARK, id, why, err);
  return r < 0 ? r : mark_in(ix, MARK_FRESH, id, why, err);
}

int st_object_index_explains(struct st_object_index *ix, uint32_t pack, uint64_t from, uint64_t to,
                             struct st_error *err)
{
  AUTO_STATEMENT *s = prepare(ix, EXPLAINS, err);
  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, pack);
  sqlite3_bind_int64(s, 2, (int64_t)from);
  sqlite3_bind_int64(s, 3, (int64_t)to);
  return step(ix, s, err) < 0 ? -1 : sqlite3_column_int(s, 0);
}
