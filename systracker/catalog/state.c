/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state.c - the state root: a compact sparse Merkle tree over all stored facts in force.
 *
 * A fact is a leaf: K = SHA-256(table name, 0x00, key as a CBOR array), V = SHA-256(CBOR array of
 * absent and the value columns, without the nulls at its end).  The tree splits by the bits of K,
 * the highest of the first byte first: no leaf is 32 zero bytes, one leaf is SHA-256(0x00, K, V)
 * wherever it stands, more are SHA-256(0x01, left, right).  So the root depends on the facts alone
 * and not on how they came to be so.  (RFC 6962 2.1 for the prefixes; Dahlberg et al. 2016,
 * "Efficient Sparse Merkle Trees", for subtrees with one leaf.)
 *
 * Kept are the leaves, in a bunch for each of the 4096 subtrees below the first 12 bits, and every
 * node down to those: a checkpoint costs its changes, 1/4096 of the leaves for each subtree that
 * they touch, and the 12 nodes above it.
 */
#include "systracker/catalog/internal.h"

#define BITS 12
#define SUBTREES (1u << BITS)
#define FLUSH 262144 /* leaves gathered before they are written: 16 MiB */
#define ROOT 1       /* nodes by number: below n are 2n and 2n + 1, the subtrees from SUBTREES on */

struct leaf {
  uint8_t key[ST_DIGEST_SIZE], value[ST_DIGEST_SIZE];
  bool gone;
};

struct node {
  uint64_t leaves;
  uint8_t hash[ST_DIGEST_SIZE];
};

struct leaves {
  struct leaf *items;
  size_t count, size;
};

static void leaves_free(struct leaves *l)
{
  free(l->items);
}

static struct leaf *leaves_add(struct leaves *l)
{
  if (l->count == l->size) {
    l->size = l->size ? 2 * l->size : 256;
    l->items = st_realloc(l->items, l->size, sizeof(*l->items));
  }
  l->items[l->count] = (struct leaf){0};
  return &l->items[l->count++];
}

static int compare_leaves(const void *a, const void *b)
{
  return memcmp(((const struct leaf *)a)->key, ((const struct leaf *)b)->key, ST_DIGEST_SIZE);
}

/* ---- Hashes ---------------------------------------------------------------------------------- */

static void hash_pair(uint8_t out[ST_DIGEST_SIZE], uint8_t prefix, const uint8_t *a,
                      const uint8_t *b)
{
  uint8_t bytes[1 + 2 * ST_DIGEST_SIZE];

  bytes[0] = prefix;
  memcpy(bytes + 1, a, ST_DIGEST_SIZE);
  memcpy(bytes + 1 + ST_DIGEST_SIZE, b, ST_DIGEST_SIZE);
  st_digest(out, bytes, sizeof(bytes));
}

static struct node join(const struct node *left, const struct node *right)
{
  struct node up = {.leaves = left->leaves + right->leaves};

  if (up.leaves == 1)
    memcpy(up.hash, left->leaves ? left->hash : right->hash, sizeof(up.hash));
  else if (up.leaves > 1)
    hash_pair(up.hash, 1, left->hash, right->hash);
  return up;
}

/* The tree over sorted leaves that agree in their first `depth` bits; recursion ends where K's do
 * not agree any more, at 256 at the latest. */
static struct node tree(const struct leaf *leaves, size_t n, unsigned depth)
{
  struct node up = {.leaves = n};
  size_t middle = 0;

  if (n == 1)
    hash_pair(up.hash, 0, leaves->key, leaves->value);
  if (n <= 1 || depth >= 8 * ST_DIGEST_SIZE)
    return up;
  while (middle < n && !(leaves[middle].key[depth / 8] & (0x80 >> depth % 8)))
    middle++;
  struct node left = tree(leaves, middle, depth + 1);
  struct node right = tree(leaves + middle, n - middle, depth + 1);
  return join(&left, &right);
}

static void fact_leaf(const struct st_table_full *t, const struct st_value *row, bool absent,
                      bool gone, struct st_buffer *bytes, struct leaf *out)
{
  size_t n = gone || absent ? t->pub.nkeys : st_row_length(t, row);

  st_buffer_clear(bytes);
  st_buffer_append(bytes, t->pub.name, strlen(t->pub.name) + 1);
  st_key_encode(t, row, bytes);
  st_digest(out->key, bytes->data, bytes->length);
  out->gone = gone;
  if (gone)
    return;
  st_buffer_clear(bytes);
  st_cbor_array(bytes, 1 + n - t->pub.nkeys);
  st_cbor_bool(bytes, absent);
  for (size_t i = t->pub.nkeys; i < n; i++)
    st_cbor_value(bytes, &row[i]);
  st_digest(out->value, bytes->data, bytes->length);
}

/* ---- Nodes that are kept ----------------------------------------------------------------------
 */

struct st_state {
  struct st_catalog *c;
  struct leaves leaves; /* changed, to be written */
  struct st_buffer bytes;
  struct node nodes[2 * SUBTREES]; /* by number, where known */
  bool known[2 * SUBTREES], dirty[2 * SUBTREES];
};

struct st_state *st_state_new(struct st_catalog *c)
{
  struct st_state *s = st_calloc(1, sizeof(*s));

  s->c = c;
  return s;
}

void st_state_free(struct st_state *s)
{
  leaves_free(&s->leaves);
  st_buffer_free(&s->bytes);
  free(s);
}

static unsigned prefix_of(const uint8_t *key)
{
  return (unsigned)key[0] << 4 | key[1] >> 4;
}

static int damaged(struct st_catalog *c, struct st_error *err)
{
  return st_fail(err, 0, "catalog: the state tree is damaged (%s)", c->name);
}

/* Subtrees are stored by prefix, what is above them under its negative number. */
static int64_t stored_number(unsigned number)
{
  return number >= SUBTREES ? (int64_t)number - SUBTREES : -(int64_t)number;
}

static int read_node(struct st_state *s, unsigned number, struct st_error *err)
{
  ST_AUTO_RESET *get = st_sql_fixed(s->c, ST_NODE_GET, err);
  struct node *node = &s->nodes[number];
  int r;

  if (s->known[number])
    return 0;
  if (!get)
    return -1;
  sqlite3_bind_int64(get, 1, stored_number(number));
  if ((r = st_sql_step(s->c, get, err)) < 0)
    return r;
  if (r == 1 && sqlite3_column_bytes(get, 1) != ST_DIGEST_SIZE)
    return damaged(s->c, err);
  if (r == 1) { /* otherwise nothing is below it */
    node->leaves = (uint64_t)sqlite3_column_int64(get, 0);
    memcpy(node->hash, sqlite3_column_blob(get, 1), ST_DIGEST_SIZE);
  }
  s->known[number] = true;
  return 0;
}

static int write_node(struct st_state *s, unsigned number, const struct node *node,
                      struct st_error *err)
{
  sqlite3_stmt *set = st_sql_fixed(s->c, ST_NODE_SET, err);

  if (!set)
    return -1;
  s->nodes[number] = *node;
  s->known[number] = s->dirty[number] = true;
  sqlite3_bind_int64(set, 1, stored_number(number));
  sqlite3_bind_int64(set, 2, (int64_t)node->leaves);
  sqlite3_bind_blob(set, 3, node->hash, sizeof(node->hash), SQLITE_STATIC);
  return st_sql_run(s->c, set, err);
}

/* The nodes above what was written. */
static int update_above(struct st_state *s, struct st_error *err)
{
  for (unsigned n = SUBTREES - 1; n >= ROOT; n--) {
    if (!s->dirty[2 * n] && !s->dirty[2 * n + 1])
      continue;
    if (read_node(s, 2 * n, err) < 0 || read_node(s, 2 * n + 1, err) < 0)
      return -1;
    struct node node = join(&s->nodes[2 * n], &s->nodes[2 * n + 1]);
    if (write_node(s, n, &node, err) < 0)
      return -1;
  }
  return 0;
}

/* ---- Leaves that are kept ----------------------------------------------------------------------
 */

/* K and V of each, one behind the other, by K. */
#define PAIR ((size_t)2 * ST_DIGEST_SIZE)

static int read_bunch(struct st_catalog *c, unsigned prefix, struct leaves *out,
                      struct st_error *err)
{
  ST_AUTO_RESET *s = st_sql_fixed(c, ST_BUNCH_GET, err);
  int r;

  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, prefix);
  if ((r = st_sql_step(c, s, err)) <= 0)
    return r;
  size_t length = (size_t)sqlite3_column_bytes(s, 0);
  const uint8_t *bytes = sqlite3_column_blob(s, 0);
  if (length % PAIR != 0)
    return damaged(c, err);
  for (size_t at = 0; at < length; at += PAIR) {
    struct leaf *leaf = leaves_add(out);
    memcpy(leaf->key, bytes + at, ST_DIGEST_SIZE);
    memcpy(leaf->value, bytes + at + ST_DIGEST_SIZE, ST_DIGEST_SIZE);
  }
  return 0;
}

static int write_bunch(struct st_state *s, unsigned prefix, const struct leaves *leaves,
                       struct st_error *err)
{
  sqlite3_stmt *set = st_sql_fixed(s->c, ST_BUNCH_SET, err);

  if (!set)
    return -1;
  st_buffer_clear(&s->bytes);
  st_buffer_reserve(&s->bytes, leaves->count * PAIR);
  for (size_t i = 0; i < leaves->count; i++) {
    st_buffer_append(&s->bytes, leaves->items[i].key, ST_DIGEST_SIZE);
    st_buffer_append(&s->bytes, leaves->items[i].value, ST_DIGEST_SIZE);
  }
  sqlite3_bind_int64(set, 1, prefix);
  sqlite3_bind_blob64(set, 2, s->bytes.data ? s->bytes.data : "", s->bytes.length, SQLITE_STATIC);
  return st_sql_run(s->c, set, err);
}

/* Both are sorted; what changed takes the place of what was. */
static void merge(const struct leaves *old, const struct leaf *changed, size_t n,
                  struct leaves *out)
{
  size_t i = 0, k = 0;

  while (i < old->count || k < n) {
    int order = i == old->count ? 1 : k == n ? -1 : compare_leaves(&old->items[i], &changed[k]);

    if (order < 0)
      *leaves_add(out) = old->items[i];
    else if (!changed[k].gone)
      *leaves_add(out) = changed[k];
    i += order <= 0;
    k += order >= 0;
  }
}

static int change_bunch(struct st_state *s, const struct leaf *changed, size_t n,
                        struct st_error *err)
{
  ST_CLEANUP(leaves_free) struct leaves old = {0}, new = {0};
  unsigned prefix = prefix_of(changed->key);

  if (read_bunch(s->c, prefix, &old, err) < 0)
    return -1;
  merge(&old, changed, n, &new);
  if (write_bunch(s, prefix, &new, err) < 0)
    return -1;
  struct node node = tree(new.items, new.count, BITS);
  return write_node(s, SUBTREES + prefix, &node, err);
}

static int flush(struct st_state *s, struct st_error *err)
{
  struct leaf *items = s->leaves.items;
  size_t count = s->leaves.count, first = 0;
  int r = 0;

  if (count)
    qsort(items, count, sizeof(*items), compare_leaves);
  for (size_t i = 1; i <= count && r == 0; i++) {
    if (i < count && prefix_of(items[i].key) == prefix_of(items[first].key))
      continue;
    r = change_bunch(s, items + first, i - first, err);
    first = i;
  }
  s->leaves.count = 0;
  return r;
}

int st_state_note(void *state, struct st_table_full *t, const struct st_fact_row *row, bool ended,
                  struct st_error *err)
{
  struct st_state *s = state;

  fact_leaf(t, row->values, !row->present, ended, &s->bytes, leaves_add(&s->leaves));
  return s->leaves.count < FLUSH ? 0 : flush(s, err);
}

/* ---- The schema before ------------------------------------------------------------------------
 */

/* The leaves of one subtree go into their bunch. */
static int take_subtree(struct st_state *s, struct leaves *leaves, struct st_error *err)
{
  int r = leaves->count ? change_bunch(s, leaves->items, leaves->count, err) : 0;

  leaves->count = 0;
  return r;
}

static int take_old_leaves(struct st_state *s, struct st_error *err)
{
  ST_AUTO_STATEMENT *all = st_sql_prepare(s->c, "SELECT key, value FROM leaf ORDER BY key", err);
  ST_CLEANUP(leaves_free) struct leaves leaves = {0};
  int r = all ? 0 : -1;

  while (r == 0 && (r = st_sql_step(s->c, all, err)) == 1) {
    if (sqlite3_column_bytes(all, 0) != ST_DIGEST_SIZE ||
        sqlite3_column_bytes(all, 1) != ST_DIGEST_SIZE)
      return damaged(s->c, err);
    const uint8_t *key = sqlite3_column_blob(all, 0);
    bool other = leaves.count && prefix_of(key) != prefix_of(leaves.items->key);
    r = other ? take_subtree(s, &leaves, err) : 0;
    struct leaf *leaf = leaves_add(&leaves);
    memcpy(leaf->key, key, ST_DIGEST_SIZE);
    memcpy(leaf->value, sqlite3_column_blob(all, 1), ST_DIGEST_SIZE);
  }
  return r == 0 ? take_subtree(s, &leaves, err) : r;
}

static int raise_schema(struct st_catalog *c, struct st_error *err)
{
  ST_CLEANUP(st_state_freep) struct st_state *s = st_state_new(c);
  ST_AUTO_FREE char *done =
      st_format("DROP TABLE leaf; PRAGMA user_version = %d", ST_CATALOG_SCHEMA_BUNCHES);

  if (st_sql_exec(c,
                  "CREATE TABLE bunch (prefix INTEGER PRIMARY KEY, leaves BLOB NOT NULL);"
                  "CREATE TABLE IF NOT EXISTS gap (number INTEGER PRIMARY KEY,"
                  " why INTEGER NOT NULL); DELETE FROM node",
                  err) < 0 ||
      take_old_leaves(s, err) < 0 || update_above(s, err) < 0)
    return -1;
  return st_sql_exec(c, done, err);
}

static int schema_version(struct st_catalog *c, int64_t *ret, struct st_error *err)
{
  return st_sql_number(c, "PRAGMA user_version", 0, ret, err);
}

int st_state_raise(struct st_catalog *c, struct st_error *err)
{
  int64_t version;

  if (schema_version(c, &version, err) < 0)
    return -1;
  if (version >= ST_CATALOG_SCHEMA_BUNCHES)
    return 0;
  if (st_sql_exec(c, "BEGIN IMMEDIATE", err) < 0)
    return -1;
  if (raise_schema(c, err) < 0) {
    sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return st_wrap(err, "cannot bring the catalog to this version");
  }
  return st_sql_exec(c, "COMMIT", err);
}

/* ---- The root ---------------------------------------------------------------------------------
 */

int st_state_root(struct st_state *s, uint8_t root[ST_DIGEST_SIZE], struct st_error *err)
{
  if (flush(s, err) < 0 || update_above(s, err) < 0 || read_node(s, ROOT, err) < 0)
    return -1;
  memcpy(root, s->nodes[ROOT].hash, ST_DIGEST_SIZE);
  return 0;
}

int st_state_read(struct st_catalog *c, uint8_t root[ST_DIGEST_SIZE], struct st_error *err)
{
  ST_CLEANUP(st_state_freep) struct st_state *s = st_state_new(c);
  bool disagree = false;
  int64_t version;

  if (schema_version(c, &version, err) < 0)
    return -1;
  /* From the subtrees, so that what is kept above them is proved. */
  for (unsigned n = 2 * SUBTREES - 1; n >= SUBTREES; n--)
    if (read_node(s, n, err) < 0)
      return -1;
  for (unsigned n = SUBTREES - 1; n >= ROOT; n--) {
    struct node node = join(&s->nodes[2 * n], &s->nodes[2 * n + 1]);
    if (read_node(s, n, err) < 0)
      return -1;
    if (memcmp(node.hash, s->nodes[n].hash, sizeof(node.hash)) != 0)
      disagree = version >= ST_CATALOG_SCHEMA_BUNCHES;
    s->nodes[n] = node;
  }
  memcpy(root, s->nodes[ROOT].hash, ST_DIGEST_SIZE);
  return disagree;
}

int st_state_update(struct st_catalog *c, int64_t number, uint8_t root[ST_DIGEST_SIZE],
                    struct st_error *err)
{
  ST_CLEANUP(st_state_freep) struct st_state *s = st_state_new(c);
  int r = st_changed_each(c, number, st_state_note, s, err);

  return r == 0 ? st_state_root(s, root, err) : r;
}

/* ---- From nothing but the facts -------------------------------------------------------------- */

static int add_table(struct st_catalog *c, int64_t number, struct st_table_full *t,
                     struct leaves *leaves, struct st_error *err)
{
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  struct st_rows rows;
  int r = st_rows_open(&rows, c, number, t, NULL, NULL, err);

  while (r == 0 && (r = st_rows_next(&rows, err)) == 1) {
    fact_leaf(t, rows.row.values, !rows.row.present, false, &bytes, leaves_add(leaves));
    r = 0;
  }
  st_rows_close(&rows);
  return r;
}

int st_state_compute(struct st_catalog *c, int64_t number, uint8_t root[ST_DIGEST_SIZE],
                     struct st_error *err)
{
  ST_CLEANUP(leaves_free) struct leaves leaves = {0};
  int r = 0;

  for (size_t i = 0; i < c->count && r == 0; i++)
    r = add_table(c, number, c->tables[i], &leaves, err);
  if (leaves.count)
    qsort(leaves.items, leaves.count, sizeof(*leaves.items), compare_leaves);
  struct node top = tree(leaves.items, leaves.count, 0);
  memcpy(root, top.hash, ST_DIGEST_SIZE);
  return r;
}
