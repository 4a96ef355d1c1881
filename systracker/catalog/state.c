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
 * Kept are the leaves' hashes, with as much of K as tells them apart, in a bunch for each of the
 * subtrees below the first few bits (and a small one of those added since), and the hashes of
 * those: a checkpoint costs its changes, the leaves of each subtree that they touch, and the nodes
 * above all subtrees.  There are as many subtrees as keep both small: the catalog of a small host
 * would consist of little else, and one of millions of facts would read long bunches.
 */

#include "systracker/base/process.h"
#include "systracker/base/thread.h"
#include "systracker/catalog/internal.h"

#define MOST_BITS 16
#define OLD_BITS 12    /* in the schema before */
#define MOST_LEAVES 96 /* in a bunch, on the average: more are split, to a quarter of that */
#define MOST_ADDED 8   /* to a bunch, before it is written anew */
#define FLUSH 524288   /* leaves gathered before they are written: 24 MiB */
#define TOGETHER ((size_t)256) /* subtrees that a thread makes at a time */
#define MOST_PARTS (((size_t)1 << MOST_BITS) / TOGETHER)
#define MOST_THREADS 8

struct leaves {
  struct st_leaf *items;
  size_t count, size;
};

static void leaves_free(struct leaves *l)
{
  free(l->items);
}

static struct st_leaf *leaves_add(struct leaves *l)
{
  if (l->count == l->size) {
    l->size = l->size ? 2 * l->size : 256;
    l->items = st_realloc(l->items, l->size, sizeof(*l->items));
  }
  l->items[l->count] = (struct st_leaf){0};
  return &l->items[l->count++];
}

static void fact_leaf(const struct st_table_full *t, const struct st_value *row, bool absent,
                      bool gone, struct st_buffer *bytes, struct st_leaf *out)
{
  size_t n = gone || absent ? t->pub.nkeys : st_row_length(t, row);
  uint8_t key[ST_DIGEST_SIZE], value[ST_DIGEST_SIZE];

  st_buffer_clear(bytes);
  st_buffer_append(bytes, t->pub.name, strlen(t->pub.name) + 1);
  st_key_encode(t, row, bytes);
  st_digest(key, bytes->data, bytes->length);
  memcpy(out->key, key, ST_LEAF_KEY);
  out->gone = gone;
  if (gone)
    return;
  st_buffer_clear(bytes);
  st_cbor_array(bytes, 1 + n - t->pub.nkeys);
  st_cbor_bool(bytes, absent);
  for (size_t i = t->pub.nkeys; i < n; i++)
    st_cbor_value(bytes, &row[i]);
  st_digest(value, bytes->data, bytes->length);
  st_tree_pair(out->hash, 0, key, value);
}

/* ---- Nodes that are kept ----------------------------------------------------------------------
 */

struct st_state {
  struct st_catalog *c;
  struct leaves leaves;              /* changed, to be written; */
  const struct st_leaf_piece **lent; /* and others, each of another fact that began */
  size_t nlent;
  struct st_buffer bytes;
  bool loaded;
  void (*before)(void *arg); /* the catalog is asked; NULL: nothing */
  void *before_arg;
  unsigned bits;
  struct st_node *nodes; /* of the subtrees, 1 << bits; NULL: there are none yet */
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
  free(s->lent);
  st_buffer_free(&s->bytes);
  free(s->nodes);
  free(s);
}

void st_state_set_before(struct st_state *s, void (*before)(void *arg), void *arg)
{
  s->before = before;
  s->before_arg = arg;
}

/* From here on the catalog is asked, and written to. */
static void begin_asking(struct st_state *s)
{
  void (*before)(void *) = st_steal(&s->before);

  if (before)
    before(s->before_arg);
}

static size_t count_nodes(const struct st_state *s)
{
  return s->nodes ? (size_t)1 << s->bits : 0;
}

static int damaged(struct st_catalog *c, struct st_error *err)
{
  return st_fail(err, 0, "catalog: the state tree is damaged, verify makes it again (%s)", c->name);
}

/* Room for the nodes of as many subtrees, all empty. */
static void set_bits(struct st_state *s, unsigned bits)
{
  free(s->nodes);
  s->bits = bits;
  s->nodes = st_calloc((size_t)1 << bits, sizeof(*s->nodes));
}

static int read_nodes(struct st_state *s, struct st_error *err)
{
  ST_AUTO_STATEMENT *all = st_sql_prepare(s->c, "SELECT prefix, leaves, hash FROM node", err);
  int r = all ? 0 : -1;

  while (r == 0 && (r = st_sql_step(s->c, all, err)) == 1) {
    int64_t prefix = sqlite3_column_int64(all, 0);
    if (prefix < 0 || (size_t)prefix >= count_nodes(s) ||
        sqlite3_column_bytes(all, 2) != ST_DIGEST_SIZE)
      return damaged(s->c, err);
    s->nodes[prefix].leaves = (uint64_t)sqlite3_column_int64(all, 1);
    memcpy(s->nodes[prefix].hash, sqlite3_column_blob(all, 2), ST_DIGEST_SIZE);
    r = 0;
  }
  return r;
}

/* Without nodes there are no leaves either. */
static int check_none(struct st_state *s, struct st_error *err)
{
  int64_t bunches;

  if (st_sql_number(s->c, "SELECT EXISTS (SELECT 1 FROM bunch)", 0, &bunches, err) < 0)
    return -1;
  return bunches == 0 ? 0 : damaged(s->c, err);
}

/* There is a row for each subtree: their number says how many bits tell them apart.  The schema
 * before left out those that are empty. */
static int load(struct st_state *s, struct st_error *err)
{
  int64_t version, rows;
  unsigned bits = 0;

  if (s->loaded)
    return 0;
  begin_asking(s);
  if (st_sql_number(s->c, "PRAGMA user_version", 0, &version, err) < 0 ||
      st_sql_number(s->c, "SELECT count(*) FROM node", 0, &rows, err) < 0)
    return -1;
  s->loaded = true;
  if (rows == 0)
    return version < ST_CATALOG_SCHEMA_BUNCHES ? 0 : check_none(s, err);
  if (version < ST_CATALOG_SCHEMA_BUNCHES)
    rows = 1 << OLD_BITS;
  while (bits < MOST_BITS && rows > INT64_C(1) << bits)
    bits++;
  if (rows != INT64_C(1) << bits)
    return damaged(s->c, err);
  set_bits(s, bits);
  return read_nodes(s, err);
}

static int write_node(struct st_state *s, size_t prefix, const struct st_node *node,
                      struct st_error *err)
{
  sqlite3_stmt *set = st_sql_fixed(s->c, ST_NODE_SET, err);

  if (!set)
    return -1;
  s->nodes[prefix] = *node;
  sqlite3_bind_int64(set, 1, (int64_t)prefix);
  sqlite3_bind_int64(set, 2, (int64_t)node->leaves);
  sqlite3_bind_blob(set, 3, node->hash, sizeof(node->hash), SQLITE_STATIC);
  return st_sql_run(s->c, set, err);
}

/* ---- Leaves that are kept ----------------------------------------------------------------------
 */

static int read_leaves(struct st_catalog *c, enum st_fixed_statement which, size_t prefix,
                       struct leaves *out, struct st_error *err)
{
  ST_AUTO_RESET *s = st_sql_fixed(c, which, err);
  int r;

  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, (int64_t)prefix);
  if ((r = st_sql_step(c, s, err)) <= 0)
    return r;
  size_t length = (size_t)sqlite3_column_bytes(s, 0);
  const uint8_t *bytes = sqlite3_column_blob(s, 0);
  if (length % ST_LEAF_SIZE != 0)
    return damaged(c, err);
  for (size_t at = 0; at < length; at += ST_LEAF_SIZE) {
    struct st_leaf *leaf = leaves_add(out);
    memcpy(leaf->key, bytes + at, ST_LEAF_KEY);
    memcpy(leaf->hash, bytes + at + ST_LEAF_KEY, ST_DIGEST_SIZE);
  }
  return 0;
}

static int write_bunch(struct st_state *s, enum st_fixed_statement which, size_t prefix,
                       const void *bytes, size_t length, struct st_error *err)
{
  sqlite3_stmt *set = st_sql_fixed(s->c, which, err);

  if (!set)
    return -1;
  sqlite3_bind_int64(set, 1, (int64_t)prefix);
  sqlite3_bind_blob64(set, 2, bytes ? bytes : "", length, SQLITE_STATIC);
  return st_sql_run(s->c, set, err);
}

static int write_leaves(struct st_state *s, enum st_fixed_statement which, size_t prefix,
                        const struct leaves *leaves, struct st_error *err)
{
  st_buffer_clear(&s->bytes);
  st_buffer_reserve(&s->bytes, leaves->count * ST_LEAF_SIZE);
  for (size_t i = 0; i < leaves->count; i++) {
    st_buffer_append(&s->bytes, leaves->items[i].key, ST_LEAF_KEY);
    st_buffer_append(&s->bytes, leaves->items[i].hash, ST_DIGEST_SIZE);
  }
  return write_bunch(s, which, prefix, s->bytes.data, s->bytes.length, err);
}

/* Both are sorted; what changed takes the place of what was. */
static void merge(const struct leaves *old, const struct st_leaf *changed, size_t n,
                  struct leaves *out)
{
  size_t i = 0, k = 0;

  while (i < old->count || k < n) {
    int order = i == old->count ? 1 : k == n ? -1 : st_leaf_compare(&old->items[i], &changed[k]);

    if (order < 0)
      *leaves_add(out) = old->items[i];
    else if (!changed[k].gone)
      *leaves_add(out) = changed[k];
    i += order <= 0;
    k += order >= 0;
  }
}

/* Sorted leaves become the node of a subtree. */
static int set_node(struct st_state *s, size_t prefix, const struct leaves *leaves,
                    struct st_error *err)
{
  struct st_node node = st_tree(leaves->items, leaves->count, s->bits);

  return write_node(s, prefix, &node, err);
}

/* The same, and its bunch. */
static int set_bunch(struct st_state *s, size_t prefix, const struct leaves *leaves,
                     struct st_error *err)
{
  return write_leaves(s, ST_BUNCH_SET, prefix, leaves, err) < 0 ? -1
                                                                : set_node(s, prefix, leaves, err);
}

/* A subtree's leaves: those of its bunch, and those that were added since that was written. */
struct subtree {
  struct leaves bunch, added;
};

static void subtree_free(struct subtree *t)
{
  leaves_free(&t->bunch);
  leaves_free(&t->added);
}

static int read_subtree(struct st_state *s, size_t prefix, struct subtree *ret,
                        struct st_error *err)
{
  if (s->nodes[prefix].leaves == 0)
    return 0;
  if (read_leaves(s->c, ST_BUNCH_GET, prefix, &ret->bunch, err) < 0)
    return -1;
  if (ret->bunch.count == s->nodes[prefix].leaves)
    return 0;
  if (read_leaves(s->c, ST_ADDED_GET, prefix, &ret->added, err) < 0)
    return -1;
  return ret->bunch.count + ret->added.count == s->nodes[prefix].leaves ? 0 : damaged(s->c, err);
}

/* What changed in the bunch, and what in those added. */
static void divide(const struct leaves *bunch, const struct st_leaf *changed, size_t n,
                   struct subtree *ret)
{
  for (size_t i = 0; i < n; i++) {
    bool there = bunch->count && bsearch(&changed[i], bunch->items, bunch->count, sizeof(*changed),
                                         st_leaf_compare);
    *leaves_add(there ? &ret->bunch : &ret->added) = changed[i];
  }
}

/* A few leaves that are new lie in a row of their own: a bunch that grows takes another page about
 * each fourth time, as the rows of a first checkpoint fill theirs. */
static int set_subtree(struct st_state *s, size_t prefix, const struct subtree *now,
                       const struct subtree *changed, bool had_added, struct st_error *err)
{
  ST_CLEANUP(leaves_free) struct leaves all = {0};
  const struct leaves none = {0};

  merge(&now->bunch, now->added.items, now->added.count, &all);
  if (now->bunch.count == 0 || now->added.count > MOST_ADDED) {
    if (had_added && write_leaves(s, ST_ADDED_SET, prefix, &none, err) < 0)
      return -1;
    return set_bunch(s, prefix, &all, err);
  }
  if (changed->bunch.count && write_leaves(s, ST_BUNCH_SET, prefix, &now->bunch, err) < 0)
    return -1;
  if (changed->added.count && write_leaves(s, ST_ADDED_SET, prefix, &now->added, err) < 0)
    return -1;
  return set_node(s, prefix, &all, err);
}

static int change_subtree(struct st_state *s, const struct st_leaf *leaves, size_t n,
                          struct st_error *err)
{
  ST_CLEANUP(subtree_free) struct subtree old = {0}, changed = {0}, now = {0};
  size_t prefix = st_leaf_prefix(leaves->key, s->bits);

  if (read_subtree(s, prefix, &old, err) < 0)
    return -1;
  divide(&old.bunch, leaves, n, &changed);
  merge(&old.bunch, changed.bunch.items, changed.bunch.count, &now.bunch);
  merge(&old.added, changed.added.items, changed.added.count, &now.added);
  return set_subtree(s, prefix, &now, &changed, old.added.count > 0, err);
}

/* ---- As many subtrees as there should be -------------------------------------------------------
 */

/* The leaves of a subtree go into several. */
static int split(struct st_state *s, size_t prefix, unsigned more, struct st_error *err)
{
  ST_CLEANUP(subtree_free) struct subtree old = {0};
  ST_CLEANUP(leaves_free) struct leaves all = {0};
  size_t at = 0, parts = (size_t)1 << more;

  if (read_leaves(s->c, ST_BUNCH_GET, prefix, &old.bunch, err) < 0 ||
      read_leaves(s->c, ST_ADDED_GET, prefix, &old.added, err) < 0)
    return -1;
  merge(&old.bunch, old.added.items, old.added.count, &all);
  for (size_t i = prefix * parts; i < (prefix + 1) * parts; i++) {
    struct leaves part = {.items = all.items + at};
    while (at < all.count && st_leaf_prefix(all.items[at].key, s->bits) == i)
      at++, part.count++;
    if (set_bunch(s, i, &part, err) < 0)
      return -1;
  }
  return at == all.count ? 0 : damaged(s->c, err);
}

static unsigned bits_for(uint64_t leaves)
{
  unsigned bits = 0;

  while (bits < MOST_BITS && leaves >> bits > MOST_LEAVES / 4)
    bits++;
  return bits;
}

/* From the last one on: what a subtree is split into takes no place that was not read yet. */
static int make_room(struct st_state *s, uint64_t leaves, struct st_error *err)
{
  size_t before = count_nodes(s);
  unsigned bits = bits_for(leaves), more = bits - s->bits;

  if (before && leaves >> s->bits <= MOST_LEAVES)
    return 0;
  if (before && bits <= s->bits)
    return 0;
  set_bits(s, bits);
  for (size_t i = before; i-- > 0;)
    if (split(s, i, more, err) < 0)
      return -1;
  if (before && st_sql_exec(s->c, "DELETE FROM added", err) < 0)
    return -1;
  return 0;
}

/* A subtree without leaves has a row, too: their number says how many there are. */
static int write_empty(struct st_state *s, size_t from, size_t to, struct st_error *err)
{
  const struct st_node none = {0};
  int r = 0;

  for (size_t i = from; i < to && r == 0; i++)
    r = write_node(s, i, &none, err);
  return r;
}

static uint64_t count_leaves(const struct st_state *s)
{
  uint64_t leaves = s->leaves.count;

  for (size_t i = 0; i < s->nlent; i++)
    leaves += s->lent[i]->starts[256];
  for (size_t i = 0; i < count_nodes(s); i++)
    leaves += s->nodes[i].leaves;
  return leaves;
}

/* ---- Changes -----------------------------------------------------------------------------------
 */

/* Sorted leaves; `all`: there is no subtree yet. */
static int change_all(struct st_state *s, const struct st_leaf *items, size_t count, bool all,
                      struct st_error *err)
{
  size_t first = 0, next = 0;

  for (size_t i = 1; i <= count; i++) {
    size_t prefix = st_leaf_prefix(items[first].key, s->bits);
    if (i < count && st_leaf_prefix(items[i].key, s->bits) == prefix)
      continue;
    if ((all && write_empty(s, next, prefix, err) < 0) ||
        change_subtree(s, items + first, i - first, err) < 0)
      return -1;
    first = i;
    next = prefix + 1;
  }
  return all ? write_empty(s, next, count_nodes(s), err) : 0;
}

/* Subtrees are made a part at a time, by all threads; the one that may ask the catalog puts those
 * of a part as soon as all before it are put, and makes others where there is none. */
struct part {
  struct st_subtrees subtrees;
  bool made;
};

struct planting {
  struct st_state *s;
  const struct st_leaf_piece **pieces;
  size_t npieces;
  pthread_mutex_t mutex;
  pthread_cond_t made;
  size_t count, next; /* parts, and the one that nobody has taken */
  struct part parts[MOST_PARTS];
};

static void make_part(const struct planting *p, struct st_subtrees *part)
{
  st_leaves_gather(p->pieces, p->npieces, part);
  st_trees(part->leaves, part->starts, part->count, part->bits, p->s->nodes + part->first);
}

/* With the mutex.  false: all are taken. */
static bool make_next(struct planting *p)
{
  if (p->next == p->count)
    return false;
  struct part *part = &p->parts[p->next++];
  pthread_mutex_unlock(&p->mutex);
  make_part(p, &part->subtrees);
  pthread_mutex_lock(&p->mutex);
  part->made = true;
  pthread_cond_signal(&p->made);
  return true;
}

static void *make_parts(void *arg)
{
  struct planting *p = arg;

  pthread_mutex_lock(&p->mutex);
  while (make_next(p))
    ;
  pthread_mutex_unlock(&p->mutex);
  return NULL;
}

static void wait_for_part(struct planting *p, const struct part *part)
{
  pthread_mutex_lock(&p->mutex);
  while (!part->made)
    if (!make_next(p))
      pthread_cond_wait(&p->made, &p->mutex);
  pthread_mutex_unlock(&p->mutex);
}

static int write_bunches(struct st_state *s, const struct st_subtrees *t, struct st_error *err)
{
  for (size_t i = 0; i < t->count; i++) {
    size_t at = t->starts[i] * ST_LEAF_SIZE, end = t->starts[i + 1] * ST_LEAF_SIZE;
    if (end > at && write_bunch(s, ST_BUNCH_SET, t->first + i, t->leaves + at, end - at, err) < 0)
      return -1;
  }
  return 0;
}

static int write_parts(struct planting *p, struct st_error *err)
{
  struct st_state *s = p->s;

  for (size_t i = 0; i < p->count; i++) {
    struct part *part = &p->parts[i];
    wait_for_part(p, part);
    if (i == 0)
      begin_asking(s);
    if (write_bunches(s, &part->subtrees, err) < 0)
      return -1;
    st_subtrees_free(&part->subtrees);
  }
  for (size_t i = 0; i < count_nodes(s); i++)
    if (write_node(s, i, &s->nodes[i], err) < 0)
      return -1;
  return 0;
}

/* Nobody takes up more, where the catalog failed. */
static void give_up(struct planting *p)
{
  pthread_mutex_lock(&p->mutex);
  p->next = p->count;
  pthread_mutex_unlock(&p->mutex);
}

static int make_and_write(struct planting *p, struct st_error *err)
{
  pthread_t threads[MOST_THREADS];
  unsigned started = 0, more = st_processors(MOST_THREADS) - 1;

  pthread_mutex_init(&p->mutex, NULL);
  pthread_cond_init(&p->made, NULL);
  while (started < more && started + 1 < p->count &&
         st_thread_start(&threads[started], make_parts, p))
    started++;
  int r = write_parts(p, err);
  give_up(p);
  while (started > 0)
    pthread_join(threads[--started], NULL);
  pthread_cond_destroy(&p->made);
  pthread_mutex_destroy(&p->mutex);
  return r;
}

static void planting_free(struct planting *p)
{
  for (size_t i = 0; i < p->count; i++)
    st_subtrees_free(&p->parts[i].subtrees);
  free(p->pieces);
  free(p);
}
ST_DEFINE_CLEANUP(struct planting *, planting_free)

static struct planting *planting_new(struct st_state *s, const struct st_leaf_piece *noted)
{
  struct planting *p = st_calloc(1, sizeof(*p));
  size_t left = count_nodes(s), n = left < TOGETHER ? left : TOGETHER;

  p->s = s;
  p->pieces = st_malloc((s->nlent + 1) * sizeof(*p->pieces));
  if (s->nlent)
    memcpy(p->pieces, s->lent, s->nlent * sizeof(*p->pieces));
  p->npieces = s->nlent;
  p->pieces[p->npieces++] = noted;
  for (p->count = left / n; left > 0; left -= n)
    p->parts[left / n - 1].subtrees = (struct st_subtrees){s->bits, left - n, n, NULL, NULL};
  return p;
}

/* The first leaves of all: there is nothing to read. */
static int plant(struct st_state *s, struct st_error *err)
{
  ST_CLEANUP(st_leaf_piece_free) struct st_leaf_piece noted = {0};

  st_leaves_divide(s->leaves.items, s->leaves.count, &noted);
  set_bits(s, bits_for(count_leaves(s)));
  leaves_free(&s->leaves);
  s->leaves = (struct leaves){0};
  ST_CLEANUP(planting_freep) struct planting *p = planting_new(s, &noted);
  s->nlent = 0;
  return make_and_write(p, err);
}

static bool any_gone(const struct leaves *l)
{
  for (size_t i = 0; i < l->count; i++)
    if (l->items[i].gone)
      return true;
  return false;
}

static int change_noted(struct st_state *s, bool all, struct st_error *err)
{
  struct leaves *l = &s->leaves;

  if (l->count == 0)
    return 0;
  begin_asking(s);
  if (make_room(s, count_leaves(s), err) < 0)
    return -1;
  qsort(l->items, l->count, sizeof(*l->items), st_leaf_compare);
  if (change_all(s, l->items, l->count, all, err) < 0)
    return -1;
  l->count = 0;
  return 0;
}

/* Where a tree was planted before: they are as any that are noted. */
static int change_lent(struct st_state *s, struct st_error *err)
{
  for (; s->nlent > 0; s->nlent--) {
    const struct st_leaf_piece *piece = s->lent[s->nlent - 1];
    for (size_t i = 0; i < piece->starts[256]; i++) {
      struct st_leaf *leaf = leaves_add(&s->leaves);
      memcpy(leaf->key, piece->leaves + i * ST_LEAF_SIZE, ST_LEAF_KEY);
      memcpy(leaf->hash, piece->leaves + i * ST_LEAF_SIZE + ST_LEAF_KEY, ST_DIGEST_SIZE);
      if (s->leaves.count == FLUSH && change_noted(s, false, err) < 0)
        return -1;
    }
  }
  return change_noted(s, false, err);
}

static int flush(struct st_state *s, struct st_error *err)
{
  if (s->leaves.count == 0 && s->nlent == 0)
    return 0;
  if (load(s, err) < 0)
    return -1;
  bool all = !s->nodes;
  if (all && !any_gone(&s->leaves))
    return plant(s, err);
  return change_noted(s, all, err) < 0 ? -1 : change_lent(s, err);
}

void st_state_lend(struct st_state *s, const struct st_leaf_piece *piece)
{
  if ((s->nlent & (s->nlent - 1)) == 0)
    s->lent = st_realloc(s->lent, s->nlent ? 2 * s->nlent : 1, sizeof(*s->lent));
  s->lent[s->nlent++] = piece;
}

int st_state_note(void *state, struct st_table_full *t, const struct st_fact_row *row, bool ended,
                  struct st_error *err)
{
  struct st_state *s = state;

  fact_leaf(t, row->values, !row->present, ended, &s->bytes, leaves_add(&s->leaves));
  return s->leaves.count < FLUSH ? 0 : flush(s, err);
}

/* ---- The root ---------------------------------------------------------------------------------
 */

int st_state_load(struct st_state *s, struct st_error *err)
{
  return load(s, err);
}

int st_state_root(struct st_state *s, uint8_t root[ST_DIGEST_SIZE], struct st_error *err)
{
  if (flush(s, err) < 0 || load(s, err) < 0)
    return -1;
  st_tree_root(s->nodes, count_nodes(s), root);
  return 0;
}

int st_state_read(struct st_catalog *c, uint8_t root[ST_DIGEST_SIZE], struct st_error *err)
{
  ST_CLEANUP(st_state_freep) struct st_state *s = st_state_new(c);

  return st_state_root(s, root, err);
}

static int check_subtree(struct st_state *s, size_t prefix, struct st_error *err)
{
  ST_CLEANUP(subtree_free) struct subtree t = {0};
  ST_CLEANUP(leaves_free) struct leaves all = {0};

  if (read_subtree(s, prefix, &t, err) < 0)
    return -1;
  merge(&t.bunch, t.added.items, t.added.count, &all);
  struct st_node node = st_tree(all.items, all.count, s->bits);
  bool same = node.leaves == s->nodes[prefix].leaves &&
              memcmp(node.hash, s->nodes[prefix].hash, sizeof(node.hash)) == 0;
  return same ? 0 : damaged(s->c, err);
}

int st_state_check(struct st_catalog *c, struct st_error *err)
{
  ST_CLEANUP(st_state_freep) struct st_state *s = st_state_new(c);
  int64_t version;

  if (st_sql_number(c, "PRAGMA user_version", 0, &version, err) < 0 || load(s, err) < 0)
    return -1;
  if (version < ST_CATALOG_SCHEMA_BUNCHES)
    return 0;
  for (size_t i = 0; i < count_nodes(s); i++)
    if (check_subtree(s, i, err) < 0)
      return -1;
  return 0;
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
    qsort(leaves.items, leaves.count, sizeof(*leaves.items), st_leaf_compare);
  struct st_node top = st_tree(leaves.items, leaves.count, 0);
  memcpy(root, top.hash, ST_DIGEST_SIZE);
  return r;
}

int st_state_rebuild(struct st_catalog *c, struct st_error *err)
{
  ST_CLEANUP(st_state_freep) struct st_state *s = st_state_new(c);
  uint8_t root[ST_DIGEST_SIZE];
  int64_t latest = st_catalog_latest(c);
  int r = st_sql_exec(c, "DELETE FROM bunch; DELETE FROM added; DELETE FROM node", err);

  for (size_t i = 0; i < c->count && r == 0 && latest > 0; i++)
    r = add_table(c, latest, c->tables[i], &s->leaves, err);
  return r < 0 ? r : st_state_root(s, root, err);
}
