/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * known.c - the manifests that facts name, and which of them may speak of a path.
 *
 * Of each the catalog keeps hashes of its paths and of the directories above them (table
 * `manifest`, derived); the manifests themselves are objects, read when one is asked for and held
 * in memory.  A reader whose catalog does not have the hashes, an archive's for example, makes them
 * in memory.
 */
#include "systracker/catalog/internal.h"

#include <endian.h>

#include "systracker/base/escape.h"

#define MOST_LOADED ((size_t)128 << 20) /* bytes of manifests in memory */
#define SCANS 32                        /* look-ups before all hashes are put in order */
#define BUCKET_BITS 16

/* ---- In memory ------------------------------------------------------------------------------- */

static void unload(struct st_manifests *m, struct st_known *k)
{
  if (!k->declared)
    return;
  m->nread--;
  m->loaded -= k->declared->bytes.length;
  st_declared_free(st_steal(&k->declared));
}

static void forget_order(struct st_manifests *m)
{
  free(m->places);
  free(m->starts);
  m->places = NULL;
  m->starts = NULL;
  m->asked = 0;
}

void st_known_drop(struct st_catalog *c)
{
  struct st_manifests *m = &c->manifests;

  st_readahead_stop(c);
  st_owners_forget(c);
  forget_order(m);
  for (size_t i = 0; i < m->count; i++) {
    unload(m, &m->items[i]);
    free(m->items[i].hashes);
  }
  free(m->items);
  if (m->ids)
    st_set_free(m->ids);
  free(m->candidates.items);
  st_buffer_free(&m->winner_path);
  *m = (struct st_manifests){.holders = m->holders};
}

void st_known_unload(struct st_catalog *c)
{
  for (size_t i = 0; i < c->manifests.count; i++)
    if (!c->manifests.items[i].pinned)
      unload(&c->manifests, &c->manifests.items[i]);
  c->manifests.has_winner = false;
}

void st_catalog_unload(struct st_catalog *c)
{
  if (c->manifests.holders == 0)
    st_known_unload(c);
}

static void keep_read(struct st_manifests *m, struct st_known *k, struct st_declared *d)
{
  k->declared = d;
  m->nread++;
  m->loaded += d->bytes.length;
}

/* Takes the hashes over. */
static struct st_known *add(struct st_manifests *m, const struct st_id *id, bool observed,
                            uint32_t *hashes, size_t count)
{
  if ((m->count & (m->count - 1)) == 0) /* a power of 2: full */
    m->items = st_realloc(m->items, m->count ? 2 * m->count : 1, sizeof(*m->items));
  struct st_known *k = &m->items[m->count];

  *k = (struct st_known){.id = *id, .observed = observed, .hashes = hashes, .count = count};
  if (!m->ids)
    m->ids = st_set_new();
  st_set_add(m->ids, id, sizeof(*id), m->count++);
  forget_order(m);
  m->has_winner = false;
  return k;
}

struct st_known *st_known_find(struct st_catalog *c, const struct st_id *id)
{
  struct st_manifests *m = &c->manifests;
  uint64_t place;

  return m->ids && st_set_get(m->ids, id, sizeof(*id), &place) ? &m->items[place] : NULL;
}

/* ---- In the file ----------------------------------------------------------------------------- */

static int store(struct st_catalog *c, const struct st_known *k, struct st_error *err)
{
  struct st_value id = st_id_value(&k->id);
  ST_AUTO_FREE uint32_t *bytes = st_calloc(k->count + 1, sizeof(*bytes));
  ST_AUTO_RESET *s = st_sql_fixed(c, ST_MANIFEST_ADD, err);

  if (!s)
    return -1;
  for (size_t i = 0; i < k->count; i++)
    bytes[i] = htole32(k->hashes[i]);
  st_bind(s, 1, &id);
  sqlite3_bind_int(s, 2, k->observed);
  sqlite3_bind_blob64(s, 3, bytes, k->count * sizeof(*bytes), SQLITE_STATIC);
  return st_sql_run(c, s, err);
}

static int take_row(struct st_catalog *c, sqlite3_stmt *s, struct st_error *err)
{
  struct st_value id;

  if (st_column_value(c, s, 0, ST_ID, &id, err) < 0)
    return -1;
  if (id.type != ST_ID || st_known_find(c, &id.u.id))
    return 0;
  size_t count = (size_t)sqlite3_column_bytes(s, 2) / sizeof(uint32_t);
  uint32_t *hashes = st_calloc(count + 1, sizeof(*hashes));
  if (count)
    memcpy(hashes, sqlite3_column_blob(s, 2), count * sizeof(*hashes));
  for (size_t i = 0; i < count; i++)
    hashes[i] = le32toh(hashes[i]);
  add(&c->manifests, &id.u.id, sqlite3_column_int(s, 1) != 0, hashes, count);
  return 0;
}

/* What the file knows and we do not. */
static int load_stored(struct st_catalog *c, struct st_error *err)
{
  int64_t version;
  int r;

  if (st_sql_number(c, "PRAGMA user_version", 0, &version, err) < 0)
    return -1;
  if (version < ST_CATALOG_SCHEMA_HASHES)
    return 0;
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, "SELECT id, observed, paths FROM manifest", err);
  if (!s)
    return -1;
  while ((r = st_sql_step(c, s, err)) == 1)
    if (take_row(c, s, err) < 0)
      return -1;
  return r;
}

int st_manifests_forget(struct st_catalog *c, struct st_error *err)
{
  st_known_drop(c);
  return st_sql_exec(c, "DELETE FROM manifest", err);
}

/* ---- Learned --------------------------------------------------------------------------------- */

static int name_manifest(const struct st_id *id, struct st_error *err)
{
  char hex[2 * ST_DIGEST_SIZE + 1];

  st_hex(hex, id->digest, sizeof(id->digest));
  return st_wrap(err, "manifest %.16s", hex);
}

int st_catalog_learn_manifest(struct st_catalog *c, const struct st_id *id, const void *data,
                              size_t length, struct st_error *err)
{
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  struct st_manifests *m = &c->manifests;
  struct st_declared *d;
  size_t count;

  if (st_manifests_check(c, err) < 0)
    return -1;
  if (st_known_find(c, id))
    return 0;
  st_buffer_append(&bytes, data, length);
  if (st_declared_read(c, &bytes, false, &d, err) < 0)
    return name_manifest(id, err);
  uint32_t *hashes = st_declared_hashes(d, &count);
  struct st_known *k = add(m, id, d->observed, hashes, count);
  keep_read(m, k, d);
  k->pinned = !c->writer; /* the store does not have it */
  m->learned = m->learned || c->scanning;
  return c->writer ? store(c, k, err) : 0;
}

static int fetch(struct st_catalog *c, const struct st_id *id, struct st_buffer *out,
                 struct st_error *err)
{
  if (!c->objects.get)
    return st_fail(err, 0, "a manifest that is named by a fact is not at hand (%s)", c->name);
  return c->objects.get(c->objects.arg, id, out, err) < 0 ? st_wrap(err, "manifest") : 0;
}

/* One that a fact names and nobody knows. */
static int learn_missing(struct st_catalog *c, const struct st_id *id, struct st_error *err)
{
  ST_AUTO_BUFFER data = ST_BUFFER_INIT;
  struct st_manifests *m = &c->manifests;

  if (fetch(c, id, &data, err) < 0 ||
      st_catalog_learn_manifest(c, id, data.data ? data.data : "", data.length, err) < 0)
    return -1;
  struct st_known *k = st_known_find(c, id);
  k->pinned = false;
  if (m->loaded > MOST_LOADED)
    unload(m, k);
  return 0;
}

static int find_missing(struct st_catalog *c, const struct st_table_full *t, size_t column,
                        struct st_buffer *ret, struct st_error *err)
{
  const char *name = t->pub.declaration.columns[column].name;
  ST_AUTO_FREE char *sql = st_format("SELECT DISTINCT \"%s\" FROM \"%s\" WHERE \"%s\" IS NOT NULL",
                                     name, t->pub.name, name);
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, sql, err);
  struct st_value id;
  int r = s ? 0 : -1;

  while (r == 0 && (r = st_sql_step(c, s, err)) == 1) {
    r = st_column_value(c, s, 0, ST_ID, &id, err);
    if (r == 0 && id.type == ST_ID && !st_known_find(c, &id.u.id))
      st_buffer_append(ret, &id.u.id, sizeof(id.u.id));
  }
  return r;
}

static int missing(struct st_catalog *c, struct st_buffer *ret, struct st_error *err)
{
  int r = 0;

  st_buffer_clear(ret);
  for (size_t i = 0; i < c->count; i++) {
    const struct st_table_full *t = c->tables[i];

    for (size_t k = 0; t->manifests && k < t->stored && r == 0; k++)
      if (t->pub.declaration.columns[k].flags & ST_MANIFEST)
        r = find_missing(c, t, k, ret, err);
  }
  return r;
}

int st_manifests_check(struct st_catalog *c, struct st_error *err)
{
  struct st_manifests *m = &c->manifests;
  ST_AUTO_BUFFER ids = ST_BUFFER_INIT;

  if (m->checked)
    return 0;
  if (missing(c, &ids, err) < 0)
    return -1;
  if (ids.length && (load_stored(c, err) < 0 || missing(c, &ids, err) < 0))
    return -1;
  m->checked = true;
  for (size_t i = 0; i < ids.length; i += sizeof(struct st_id)) {
    struct st_id id;
    memcpy(&id, ids.data + i, sizeof(id));
    if (learn_missing(c, &id, err) < 0) {
      m->checked = false;
      return -1;
    }
  }
  return 0;
}

int st_manifests_none(struct st_catalog *c, struct st_error *err)
{
  return st_manifests_check(c, err) < 0 ? -1 : c->manifests.count == 0;
}

int st_catalog_is_observed(struct st_catalog *c, const struct st_id *manifest, struct st_error *err)
{
  if (st_manifests_check(c, err) < 0)
    return -1;
  const struct st_known *k = st_known_find(c, manifest);
  return k && k->observed;
}

/* ---- Verified -------------------------------------------------------------------------------- */

/* Whether what is known of it is what it says.  A manifest that cannot be read is the store's
 * damage. */
static bool is_right(struct st_catalog *c, struct st_known *k)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  struct st_declared *d;
  size_t count;

  if (st_known_declared(c, k, &d, &ignored) < 0)
    return true;
  ST_AUTO_FREE uint32_t *hashes = st_declared_hashes(d, &count);
  return d->observed == k->observed && count == k->count &&
         (count == 0 || memcmp(hashes, k->hashes, count * sizeof(*hashes)) == 0);
}

int st_known_verify(struct st_catalog *c, void (*found)(void *arg, const struct st_id *id),
                    void *arg, struct st_error *err)
{
  struct st_manifests *m = &c->manifests;
  int damaged = 0;

  st_known_drop(c);
  if (!c->objects.get || load_stored(c, err) < 0) /* what is missing is none the worse for it */
    return c->objects.get ? -1 : 0;
  for (size_t i = 0; i < m->count; i++) {
    if (is_right(c, &m->items[i]))
      continue;
    damaged++;
    found(arg, &m->items[i].id);
  }
  if (damaged == 0)
    return 0;
  /* It is made again from the manifests when it is asked for. */
  return c->writer ? st_manifests_forget(c, err) : (st_known_drop(c), 0);
}

/* ---- Read ------------------------------------------------------------------------------------ */

int st_known_declared(struct st_catalog *c, struct st_known *k, struct st_declared **ret,
                      struct st_error *err)
{
  struct st_manifests *m = &c->manifests;
  ST_AUTO_BUFFER data = ST_BUFFER_INIT;

  *ret = k->declared;
  if (k->declared)
    return 0;
  if (m->loaded > MOST_LOADED && m->holders == 0)
    st_known_unload(c);
  *ret = st_readahead_take(c, k);
  if (!*ret && fetch(c, &k->id, &data, err) < 0)
    return -1;
  /* Its bytes are those of its id, and were proved when they were first seen. */
  if (!*ret && st_declared_read(c, &data, true, ret, err) < 0)
    return name_manifest(&k->id, err);
  keep_read(m, k, *ret);
  return 0;
}

/* ---- By path --------------------------------------------------------------------------------- */

static void add_candidate(struct st_manifests *m, size_t place)
{
  struct st_candidates *list = &m->candidates;

  if (list->count == list->size) {
    list->size = list->size ? 2 * list->size : 64;
    list->items = st_realloc(list->items, list->size, sizeof(*list->items));
  }
  list->items[list->count++] = (uint32_t)place;
}

/* All hashes, those with the same upper bits together. */
static void put_in_order(struct st_manifests *m)
{
  const size_t buckets = (size_t)1 << BUCKET_BITS;
  size_t total = 0;

  for (size_t i = 0; i < m->count; i++)
    total += m->items[i].count;
  m->starts = st_calloc(buckets + 2, sizeof(*m->starts));
  m->places = st_calloc(total + 1, sizeof(*m->places));
  uint32_t *next = m->starts + 1; /* becomes the beginning of the next one as it is filled */
  for (size_t i = 0; i < m->count; i++)
    for (size_t k = 0; k < m->items[i].count; k++)
      next[(m->items[i].hashes[k] >> (32 - BUCKET_BITS)) + 1]++;
  for (size_t b = 1; b <= buckets; b++)
    next[b] += next[b - 1];
  for (size_t i = 0; i < m->count; i++)
    for (size_t k = 0; k < m->items[i].count; k++) {
      uint32_t hash = m->items[i].hashes[k];
      m->places[next[hash >> (32 - BUCKET_BITS)]++] = (struct st_hash_place){hash, (uint32_t)i};
    }
}

static void candidates_in_order(struct st_manifests *m, uint32_t hash)
{
  uint32_t bucket = hash >> (32 - BUCKET_BITS);

  for (uint32_t i = m->starts[bucket]; i < m->starts[bucket + 1]; i++)
    if (m->places[i].hash == hash)
      add_candidate(m, m->places[i].place);
}

static bool has_hash(const struct st_known *k, uint32_t hash)
{
  size_t low = 0, high = k->count;

  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (k->hashes[middle] < hash)
      low = middle + 1;
    else
      high = middle;
  }
  return low < k->count && k->hashes[low] == hash;
}

static void add_candidates(struct st_manifests *m, uint32_t hash)
{
  if (m->places) {
    candidates_in_order(m, hash);
    return;
  }
  for (size_t i = 0; i < m->count; i++)
    if (has_hash(&m->items[i], hash))
      add_candidate(m, i);
}

const struct st_candidates *st_known_candidates(struct st_catalog *c, const void *path,
                                                size_t length, bool below)
{
  struct st_manifests *m = &c->manifests;
  uint32_t hash = st_crc32c(0, path, length);

  m->candidates.count = 0;
  if (!m->places && ++m->asked > SCANS)
    put_in_order(m);
  add_candidates(m, hash | ST_HASH_OWN);
  if (below)
    add_candidates(m, hash & ~ST_HASH_OWN);
  return &m->candidates;
}
