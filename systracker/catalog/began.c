/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * began.c - the rows of a first checkpoint, kept in memory until it is made: to read all of them
 * back for the body and the state tree takes longer than to hash them, and nothing else can be done
 * meanwhile.
 *
 * Only tables of entries whose rows have all begun once: where the scan says a thing again, or
 * there are too many, they are read back as ever.
 */
#include "systracker/base/parallel.h"
#include "systracker/catalog/internal.h"

#define MOST_BYTES ((size_t)64 << 20) /* of one table's rows, as the body has them */

struct row {
  uint64_t at;                   /* of its bytes */
  uint32_t length, key, key_end; /* the path ends there, too */
  uint32_t path_length;
  uint32_t values; /* behind the key */
};

struct st_began {
  struct st_buffer bytes;
  struct row *rows;
  size_t count, room;
};

void st_began_drop(struct st_table_full *t)
{
  struct st_began *b = st_steal(&t->began);

  if (!b)
    return;
  st_buffer_free(&b->bytes);
  free(b->rows);
  free(b);
}

void st_began_start(struct st_catalog *c)
{
  for (size_t i = 0; i < c->count; i++) {
    struct st_table_full *t = c->tables[i];

    st_began_drop(t);
    if (c->writer && !c->replica && c->base == 0 && st_is_entry(t) && t->pub.nkeys == 1)
      t->began = st_calloc(1, sizeof(*t->began));
  }
}

void st_began_add(struct st_table_full *t, const struct st_value *row, bool absent)
{
  struct st_began *b = t->began;
  struct st_fact_row fact = {
      .table = &t->pub, .values = (struct st_value *)row, .present = !absent};
  struct st_body_place place;

  if (!b)
    return;
  if (b->bytes.length > MOST_BYTES) {
    st_began_drop(t);
    return;
  }
  if (b->count == b->room) {
    b->room = b->room ? 2 * b->room : 256;
    b->rows = st_realloc(b->rows, b->room, sizeof(*b->rows));
  }
  struct row *r = &b->rows[b->count++];
  r->at = b->bytes.length;
  st_body_begun(t, &fact, &b->bytes, &place);
  r->length = (uint32_t)(b->bytes.length - r->at);
  r->key = (uint32_t)(place.key - r->at);
  r->key_end = (uint32_t)(place.key_end - r->at);
  r->path_length = (uint32_t)row[0].u.bytes.length;
  r->values = (uint32_t)place.values;
}

/* All rows that the file has are in memory, too. */
int st_began_is_whole(struct st_catalog *c, const struct st_table_full *t, struct st_error *err)
{
  ST_AUTO_FREE char *sql = st_format("SELECT count(*) FROM \"%s\"", t->pub.name);
  int64_t count;

  if (!t->began)
    return 0;
  if (st_sql_number(c, sql, 0, &count, err) < 0)
    return -1;
  return count == (int64_t)t->began->count;
}

size_t st_began_count(const struct st_table_full *t)
{
  return t->began ? t->began->count : 0;
}

/* ---- In order -------------------------------------------------------------------------------- */

static int compare_paths(const struct st_began *b, uint32_t i, uint32_t k)
{
  const struct row *x = &b->rows[i], *y = &b->rows[k];
  const char *p = b->bytes.data + x->at + x->key_end - x->path_length;
  const char *q = b->bytes.data + y->at + y->key_end - y->path_length;
  size_t n = x->path_length < y->path_length ? x->path_length : y->path_length;
  int r = n ? memcmp(p, q, n) : 0;

  return r ? r : (x->path_length > y->path_length) - (x->path_length < y->path_length);
}

/* How many of `n` rows in order come before the row; `or_same`: or have its path. */
static size_t count_before(const struct st_began *b, const uint32_t *order, size_t n, uint32_t row,
                           bool or_same)
{
  size_t low = 0;

  while (low < n) {
    size_t middle = low + (n - low) / 2;
    int r = compare_paths(b, order[middle], row);
    if (r < 0 || (or_same && r == 0))
      low = middle + 1;
    else
      n = middle;
  }
  return low;
}

/* Of two runs, one behind the other, what lies between each other is merged. */
static void merge(const struct st_began *b, uint32_t *order, size_t middle, size_t end,
                  uint32_t *scratch)
{
  size_t from = count_before(b, order, middle, order[middle], true);
  size_t n = middle - from, i = 0, k = middle, to = from;

  if (n == 0)
    return;
  end = middle + count_before(b, order + middle, end - middle, order[middle - 1], false);
  memcpy(scratch, order + from, n * sizeof(*order));
  while (i < n)
    order[to++] =
        k == end || compare_paths(b, scratch[i], order[k]) <= 0 ? scratch[i++] : order[k++];
}

/* Where the runs begin that are in order as they are, and where the last one ends. */
static size_t find_runs(const struct st_began *b, uint32_t *runs)
{
  size_t n = 0;

  for (uint32_t i = 0; i < b->count; i++)
    if (i == 0 || compare_paths(b, i - 1, i) > 0)
      runs[n++] = i;
  runs[n] = (uint32_t)b->count;
  return n;
}

/* A scan tells nearly in the order of the bytes: but what is in "a" before "a-b". */
static uint32_t *in_order(const struct st_began *b)
{
  uint32_t *order = st_malloc(b->count * sizeof(*order));
  ST_AUTO_FREE uint32_t *scratch = st_malloc(b->count * sizeof(*scratch));
  ST_AUTO_FREE uint32_t *runs = st_malloc((b->count + 1) * sizeof(*runs));
  size_t n = find_runs(b, runs);

  for (uint32_t i = 0; i < b->count; i++)
    order[i] = i;
  while (n > 1) {
    size_t left = 0;
    for (size_t i = 0; i < n; i += 2) {
      uint32_t at = runs[i];
      if (i + 1 < n)
        merge(b, order + at, runs[i + 1] - at, runs[i + 2] - at, scratch);
      runs[left++] = at;
    }
    runs[left] = (uint32_t)b->count;
    n = left;
  }
  return order;
}

void st_began_write(const struct st_table_full *t, st_body_sink *sink, void *arg)
{
  const struct st_began *b = t->began;
  ST_AUTO_FREE uint32_t *order = in_order(b);

  for (size_t i = 0; i < b->count; i++)
    sink(arg, b->bytes.data + b->rows[order[i]].at, b->rows[order[i]].length);
}

/* ---- Leaves ---------------------------------------------------------------------------------- */

#define TOGETHER 128 /* rows whose leaves are hashed at a time */

struct leaves {
  const struct st_table_full *t;
  size_t first; /* row */
  struct st_leaf *to;
};

/* What K and V are the digests of (state.c): the table's name and the key, absent and the values.
 */
static void write_leaf(const struct st_table_full *t, const struct row *r, struct st_buffer *key,
                       struct st_buffer *value)
{
  const char *bytes = t->began->bytes.data + r->at;

  st_buffer_append(key, t->pub.name, strlen(t->pub.name) + 1);
  st_cbor_array(key, t->pub.nkeys);
  st_buffer_append(key, bytes + r->key, r->key_end - r->key);
  st_cbor_array(value, r->values);
  st_buffer_append(value, bytes + r->key_end, r->length - r->key_end);
}

/* Any thread. */
static void make_leaves(void *arg, size_t from, size_t to)
{
  const struct leaves *l = arg;
  ST_AUTO_BUFFER key = ST_BUFFER_INIT, value = ST_BUFFER_INIT;
  uint8_t k[ST_DIGEST_SIZE], v[ST_DIGEST_SIZE];

  for (size_t i = from; i < to; i++) {
    st_buffer_clear(&key);
    st_buffer_clear(&value);
    write_leaf(l->t, &l->t->began->rows[l->first + i], &key, &value);
    st_digest(k, key.data, key.length);
    st_digest(v, value.data, value.length);
    memcpy(l->to[i].key, k, ST_LEAF_KEY);
    st_tree_pair(l->to[i].hash, 0, k, v);
    l->to[i].gone = false;
  }
}

int st_began_leaves(const struct st_table_full *t, struct st_state *state, struct st_error *err)
{
  size_t count = t->began->count, n;

  for (size_t at = 0; at < count; at += n) {
    struct leaves leaves = {t, at, NULL};
    n = count - at < ST_STATE_ROOM ? count - at : ST_STATE_ROOM;
    if (st_state_room(state, n, &leaves.to, err) < 0)
      return -1;
    st_parallel(n, TOGETHER, make_leaves, &leaves);
  }
  return 0;
}
