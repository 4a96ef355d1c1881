/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree.c - leaves and nodes of the state tree (state.c says what they are): sorted, and hashed.
 * Each by itself: many side by side (base/hashes.h) take longer where they are so short.
 */
#include "systracker/catalog/internal.h"

/* ---- Hashes ---------------------------------------------------------------------------------- */

#define PAIR_SIZE (1 + 2 * ST_DIGEST_SIZE)

void st_tree_pair(uint8_t out[ST_DIGEST_SIZE], uint8_t prefix, const uint8_t *a, const uint8_t *b)
{
  uint8_t bytes[PAIR_SIZE];

  bytes[0] = prefix;
  memcpy(bytes + 1, a, ST_DIGEST_SIZE);
  memcpy(bytes + 1 + ST_DIGEST_SIZE, b, ST_DIGEST_SIZE);
  st_digest(out, bytes, sizeof(bytes));
}

/* ---- Subtrees -------------------------------------------------------------------------------- */

struct st_node st_tree_join(const struct st_node *left, const struct st_node *right)
{
  struct st_node up = {.leaves = left->leaves + right->leaves};

  if (up.leaves == 1)
    memcpy(up.hash, left->leaves ? left->hash : right->hash, sizeof(up.hash));
  else if (up.leaves > 1)
    st_tree_pair(up.hash, 1, left->hash, right->hash);
  return up;
}

static bool is_right(const uint8_t *key, unsigned depth)
{
  return key[depth / 8] & (0x80 >> depth % 8);
}

/* The hash over `n` sorted leaves, each of so many bytes, with what is kept of K first. */
static void hash_tree(const uint8_t *leaves, size_t size, size_t n, unsigned depth,
                      uint8_t out[ST_DIGEST_SIZE])
{
  uint8_t pair[PAIR_SIZE] = {1};
  size_t middle = 0;

  if (n == 1) {
    memcpy(out, leaves + ST_LEAF_KEY, ST_DIGEST_SIZE);
    return;
  }
  if (n == 0 || depth >= 8 * ST_LEAF_KEY) {
    memset(out, 0, ST_DIGEST_SIZE);
    return;
  }
  while (middle < n && !is_right(leaves + middle * size, depth))
    middle++;
  hash_tree(leaves, size, middle, depth + 1, pair + 1);
  hash_tree(leaves + middle * size, size, n - middle, depth + 1, pair + 1 + ST_DIGEST_SIZE);
  st_digest(out, pair, sizeof(pair));
}

struct st_node st_tree(const struct st_leaf *leaves, size_t n, unsigned depth)
{
  struct st_node up = {.leaves = n};

  hash_tree((const uint8_t *)leaves, sizeof(*leaves), n, depth, up.hash);
  return up;
}

void st_trees(const uint8_t *leaves, const size_t *starts, size_t n, unsigned depth,
              struct st_node *ret)
{
  for (size_t i = 0; i < n; i++) {
    ret[i].leaves = starts[i + 1] - starts[i];
    hash_tree(leaves + starts[i] * ST_LEAF_SIZE, ST_LEAF_SIZE, starts[i + 1] - starts[i], depth,
              ret[i].hash);
  }
}

void st_tree_root(const struct st_node *nodes, size_t n, uint8_t root[ST_DIGEST_SIZE])
{
  ST_AUTO_FREE struct st_node *up = st_calloc(n + 1, sizeof(*up));

  if (n)
    memcpy(up, nodes, n * sizeof(*up));
  while ((n /= 2) > 0)
    for (size_t i = 0; i < n; i++)
      up[i] = st_tree_join(&up[2 * i], &up[2 * i + 1]);
  memcpy(root, up->hash, ST_DIGEST_SIZE);
}

/* ---- Leaves ------------------------------------------------------------------------------------
 */

int st_leaf_compare(const void *a, const void *b)
{
  return memcmp(a, b, ST_LEAF_KEY);
}

/* Of a few, mostly. */
static void sort_part(uint8_t *leaves, size_t n)
{
  uint8_t leaf[ST_LEAF_SIZE];

  if (n > 64) {
    qsort(leaves, n, ST_LEAF_SIZE, st_leaf_compare);
    return;
  }
  for (size_t i = 1; i < n; i++) {
    size_t to = i;
    while (to > 0 &&
           st_leaf_compare(leaves + (to - 1) * ST_LEAF_SIZE, leaves + i * ST_LEAF_SIZE) > 0)
      to--;
    if (to == i)
      continue;
    memcpy(leaf, leaves + i * ST_LEAF_SIZE, ST_LEAF_SIZE);
    memmove(leaves + (to + 1) * ST_LEAF_SIZE, leaves + to * ST_LEAF_SIZE, (i - to) * ST_LEAF_SIZE);
    memcpy(leaves + to * ST_LEAF_SIZE, leaf, ST_LEAF_SIZE);
  }
}

size_t st_leaf_prefix(const uint8_t *key, unsigned bits)
{
  return ((size_t)key[0] << 8 | key[1]) >> (16 - bits);
}

void st_leaf_piece_free(struct st_leaf_piece *p)
{
  free(p->leaves);
  p->leaves = NULL;
}

static void put_leaf(uint8_t *to, const struct st_leaf *leaf)
{
  memcpy(to, leaf->key, ST_LEAF_KEY);
  memcpy(to + ST_LEAF_KEY, leaf->hash, ST_DIGEST_SIZE);
}

void st_leaves_divide(const struct st_leaf *leaves, size_t n, struct st_leaf_piece *ret)
{
  uint32_t at[257] = {0};

  for (size_t i = 0; i < n; i++)
    at[leaves[i].key[0] + 1]++;
  for (size_t i = 1; i < ST_COUNT(at); i++)
    at[i] += at[i - 1];
  memcpy(ret->starts, at, sizeof(at));
  ret->leaves = st_malloc(n * ST_LEAF_SIZE);
  for (size_t i = 0; i < n; i++)
    put_leaf(ret->leaves + at[leaves[i].key[0]]++ * ST_LEAF_SIZE, &leaves[i]);
}

void st_subtrees_free(struct st_subtrees *s)
{
  free(s->leaves);
  free(s->starts);
  s->leaves = NULL;
  s->starts = NULL;
}

/* Those that the subtrees' leaves are among: of whole first bytes, so that there are no others. */
static const uint8_t *among(const struct st_leaf_piece *piece, const struct st_subtrees *s,
                            size_t *ret_count)
{
  size_t from = (s->first << (16 - s->bits)) >> 8;
  size_t to = ((s->first + s->count) << (16 - s->bits)) >> 8;

  *ret_count = piece->starts[to] - piece->starts[from];
  return piece->leaves + piece->starts[from] * ST_LEAF_SIZE;
}

static size_t subtree_of(const struct st_subtrees *s, const uint8_t *leaf)
{
  return st_leaf_prefix(leaf, s->bits) - s->first;
}

static void count_leaves(const struct st_leaf_piece *piece, struct st_subtrees *s)
{
  size_t n;
  const uint8_t *leaf = among(piece, s, &n);

  for (; n > 0; n--, leaf += ST_LEAF_SIZE)
    s->starts[subtree_of(s, leaf) + 1]++;
}

static void copy_leaves(const struct st_leaf_piece *piece, struct st_subtrees *s)
{
  size_t n;
  const uint8_t *leaf = among(piece, s, &n);

  for (; n > 0; n--, leaf += ST_LEAF_SIZE)
    memcpy(s->leaves + s->starts[subtree_of(s, leaf)]++ * ST_LEAF_SIZE, leaf, ST_LEAF_SIZE);
}

void st_leaves_gather(const struct st_leaf_piece *const *pieces, size_t npieces,
                      struct st_subtrees *ret)
{
  size_t n = ret->count, *starts = ret->starts = st_calloc(n + 1, sizeof(*starts));

  for (size_t i = 0; i < npieces; i++)
    count_leaves(pieces[i], ret);
  for (size_t i = 1; i <= n; i++)
    starts[i] += starts[i - 1];
  ret->leaves = st_malloc(starts[n] * ST_LEAF_SIZE);
  for (size_t i = 0; i < npieces; i++)
    copy_leaves(pieces[i], ret);
  memmove(starts + 1, starts, n * sizeof(*starts)); /* each is where it ends, now */
  starts[0] = 0;
  for (size_t i = 0; i < n; i++)
    sort_part(ret->leaves + starts[i] * ST_LEAF_SIZE, starts[i + 1] - starts[i]);
}
