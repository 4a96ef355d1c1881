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
 * Leaves are kept, and the 4096 subtrees below the first 12 bits: a checkpoint costs its changes
 * and 1/4096 of the leaves for each subtree that they touch.
 */
#include "systracker/catalog/internal.h"

#define BITS 12
#define SUBTREES (1u << BITS)
#define FLUSH 65536 /* leaves gathered before they are written: 4 MiB */

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

/* ---- Kept leaves and subtrees ---------------------------------------------------------------- */

struct st_state {
  struct st_catalog *c;
  struct leaves leaves; /* changed, to be written */
  struct st_buffer bytes;
  uint8_t dirty[SUBTREES / 8];
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

static int write_leaf(struct st_catalog *c, const struct leaf *leaf, struct st_error *err)
{
  sqlite3_stmt *s = st_sql_fixed(c, leaf->gone ? ST_LEAF_DELETE : ST_LEAF_SET, err);

  if (!s)
    return -1;
  sqlite3_bind_blob(s, 1, leaf->key, ST_DIGEST_SIZE, SQLITE_STATIC);
  if (!leaf->gone)
    sqlite3_bind_blob(s, 2, leaf->value, ST_DIGEST_SIZE, SQLITE_STATIC);
  return st_sql_run(c, s, err);
}

/* Writes what was gathered, in the order of the keys: that is several times faster. */
static int flush(struct st_state *s, struct st_error *err)
{
  int r = 0;

  if (s->leaves.count)
    qsort(s->leaves.items, s->leaves.count, sizeof(*s->leaves.items), compare_leaves);
  for (size_t i = 0; i < s->leaves.count && r == 0; i++) {
    unsigned prefix = prefix_of(s->leaves.items[i].key);
    s->dirty[prefix / 8] |= (uint8_t)(1u << prefix % 8);
    r = write_leaf(s->c, &s->leaves.items[i], err);
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

/* The subtree of one prefix, from its leaves. */
static int compute_subtree(struct st_catalog *c, unsigned prefix, struct node *ret,
                           struct st_error *err)
{
  ST_CLEANUP(leaves_free) struct leaves leaves = {0};
  uint8_t low[ST_DIGEST_SIZE] = {0}, high[ST_DIGEST_SIZE];
  ST_AUTO_RESET *s = st_sql_fixed(c, ST_LEAF_RANGE, err);
  int r;

  if (!s)
    return -1;
  memset(high, 0xff, sizeof(high));
  low[0] = high[0] = (uint8_t)(prefix >> 4);
  low[1] = (uint8_t)(prefix << 4);
  high[1] = (uint8_t)(prefix << 4 | 0x0f);
  sqlite3_bind_blob(s, 1, low, sizeof(low), SQLITE_STATIC);
  sqlite3_bind_blob(s, 2, high, sizeof(high), SQLITE_STATIC);
  while ((r = st_sql_step(c, s, err)) == 1) {
    struct leaf *leaf = leaves_add(&leaves);
    if (sqlite3_column_bytes(s, 0) != ST_DIGEST_SIZE ||
        sqlite3_column_bytes(s, 1) != ST_DIGEST_SIZE)
      return st_fail(err, 0, "catalog: the state tree is damaged (%s)", c->name);
    memcpy(leaf->key, sqlite3_column_blob(s, 0), ST_DIGEST_SIZE);
    memcpy(leaf->value, sqlite3_column_blob(s, 1), ST_DIGEST_SIZE);
  }
  if (r == 0)
    *ret = tree(leaves.items, leaves.count, BITS);
  return r;
}

static int write_node(struct st_catalog *c, unsigned prefix, const struct node *node,
                      struct st_error *err)
{
  sqlite3_stmt *s = st_sql_fixed(c, ST_NODE_SET, err);

  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, prefix);
  sqlite3_bind_int64(s, 2, (int64_t)node->leaves);
  sqlite3_bind_blob(s, 3, node->hash, sizeof(node->hash), SQLITE_STATIC);
  return st_sql_run(c, s, err);
}

static int update_subtrees(struct st_state *s, struct st_error *err)
{
  struct node node;

  for (unsigned prefix = 0; prefix < SUBTREES; prefix++)
    if (s->dirty[prefix / 8] >> prefix % 8 & 1)
      if (compute_subtree(s->c, prefix, &node, err) < 0 || write_node(s->c, prefix, &node, err) < 0)
        return -1;
  return 0;
}

/* The root above the subtrees, which it overwrites. */
static void join_subtrees(struct node nodes[SUBTREES], uint8_t root[ST_DIGEST_SIZE])
{
  for (unsigned n = SUBTREES / 2; n > 0; n /= 2)
    for (unsigned i = 0; i < n; i++)
      nodes[i] = join(&nodes[2 * i], &nodes[2 * i + 1]);
  memcpy(root, nodes[0].hash, ST_DIGEST_SIZE);
}

int st_state_read(struct st_catalog *c, uint8_t root[ST_DIGEST_SIZE], struct st_error *err)
{
  ST_AUTO_FREE struct node *nodes = st_calloc(SUBTREES, sizeof(*nodes));
  ST_AUTO_STATEMENT *s = st_sql_prepare(c, "SELECT prefix, leaves, hash FROM node", err);
  int r = s ? 0 : -1;

  while (r == 0 && (r = st_sql_step(c, s, err)) == 1) {
    int64_t prefix = sqlite3_column_int64(s, 0);
    if (prefix < 0 || prefix >= SUBTREES || sqlite3_column_bytes(s, 2) != ST_DIGEST_SIZE)
      return st_fail(err, 0, "catalog: the state tree is damaged (%s)", c->name);
    nodes[prefix].leaves = (uint64_t)sqlite3_column_int64(s, 1);
    memcpy(nodes[prefix].hash, sqlite3_column_blob(s, 2), ST_DIGEST_SIZE);
    r = 0;
  }
  if (r == 0)
    join_subtrees(nodes, root);
  return r;
}

int st_state_root(struct st_state *s, uint8_t root[ST_DIGEST_SIZE], struct st_error *err)
{
  if (flush(s, err) < 0 || update_subtrees(s, err) < 0)
    return -1;
  return st_state_read(s->c, root, err);
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
