/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * began.c - the rows of a first checkpoint, kept in memory until it is made: to read all of them
 * back for the body and the state tree takes longer than to hash them, and nothing else can be done
 * meanwhile.
 *
 * Only tables of entries whose rows have all begun once: where the scan says a thing again, or
 * there are too many, they are read back as ever.
 */
#include "systracker/catalog/beside.h"
#include "systracker/catalog/internal.h"

#define MOST_BYTES ((size_t)64 << 20) /* of one table's rows, as the body has them */

#define ROWS 4096     /* of a piece */
#define ROW_BYTES 128 /* about as many as one has; what is not used takes no memory */

struct row {
  uint32_t at, length;   /* of its bytes; no piece has more than MOST_BYTES before its last row */
  uint32_t key, key_end; /* the path ends there, too */
  uint32_t path_length;
  uint32_t values; /* behind the key */
};

/* Rows as they came.  Once they are as many as there may be nothing of them changes, and their
 * leaves are made beside the scan. */
struct piece {
  struct st_beside_job job; /* first: a pointer to it is a pointer to us */
  const struct st_table_full *t;
  struct st_buffer bytes;
  struct row *rows;
  size_t count;
  bool given;
  struct st_leaf_piece leaves;
};

struct st_began {
  struct st_catalog *c;
  struct piece **pieces;
  size_t npieces;
  size_t count, bytes; /* rows, and of all of them */
};

static void make_leaves(struct st_beside_job *job);

static struct st_beside *beside(struct st_catalog *c)
{
  if (!c->beside)
    c->beside = st_beside_new();
  return c->beside;
}

/* `now`: while the scan goes on. */
static void piece_give(struct st_catalog *c, struct piece *p, bool now)
{
  p->given = true;
  st_beside_give(beside(c), &p->job, now);
}

static void piece_free(struct st_catalog *c, struct piece *p)
{
  if (p->given)
    st_beside_take_back(beside(c), &p->job);
  st_buffer_free(&p->bytes);
  free(p->rows);
  st_leaf_piece_free(&p->leaves);
  free(p);
}

static void empty_piece(struct st_beside_job *job)
{
  struct piece *p = (struct piece *)job;

  st_buffer_free(&p->bytes);
  free(st_steal(&p->rows));
  st_leaf_piece_free(&p->leaves);
}

/* Of few there is no thread that could. */
void st_began_release(struct st_catalog *c)
{
  for (size_t i = 0; i < c->count; i++) {
    const struct st_began *b = c->tables[i]->began;
    for (size_t k = 0; b && b->npieces > 1 && k < b->npieces; k++) {
      b->pieces[k]->job.run = empty_piece;
      piece_give(c, b->pieces[k], true);
    }
  }
}

void st_began_drop(struct st_table_full *t)
{
  struct st_began *b = st_steal(&t->began);

  if (!b)
    return;
  for (size_t i = 0; i < b->npieces; i++)
    piece_free(b->c, b->pieces[i]);
  free(b->pieces);
  free(b);
}

void st_began_end(struct st_catalog *c)
{
  for (size_t i = 0; i < c->count; i++)
    st_began_drop(c->tables[i]);
  st_beside_free(st_steal(&c->beside));
}

/* Then what begins is all that it has.  Where that cannot be told, the scan will say why. */
static bool is_empty(struct st_catalog *c, const struct st_table_full *t)
{
  ST_AUTO_FREE char *sql = st_format("SELECT EXISTS (SELECT 1 FROM \"%s\")", t->pub.name);
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;
  int64_t some;

  return st_sql_number(c, sql, 0, &some, &ignored) == 0 && !some;
}

void st_began_start(struct st_catalog *c)
{
  st_began_end(c);
  for (size_t i = 0; i < c->count; i++) {
    struct st_table_full *t = c->tables[i];

    if (!c->writer || c->replica || c->base != 0 || !st_is_entry(t) || t->pub.nkeys != 1 ||
        !t->stored || !is_empty(c, t))
      continue;
    t->began = st_calloc(1, sizeof(*t->began));
    t->began->c = c;
  }
}

static struct piece *piece_new(const struct st_table_full *t)
{
  struct st_began *b = t->began;
  struct piece *p = st_calloc(1, sizeof(*p));

  p->job.run = make_leaves;
  p->t = t;
  p->rows = st_malloc(ROWS * sizeof(*p->rows));
  st_buffer_reserve(&p->bytes, (size_t)ROWS * ROW_BYTES);
  if ((b->npieces & (b->npieces - 1)) == 0)
    b->pieces = st_realloc(b->pieces, b->npieces ? 2 * b->npieces : 1, sizeof(struct piece *));
  return b->pieces[b->npieces++] = p;
}

/* Where the next row goes. */
static struct piece *piece_at(const struct st_table_full *t)
{
  const struct st_began *b = t->began;

  return b->npieces > 0 && !b->pieces[b->npieces - 1]->given ? b->pieces[b->npieces - 1]
                                                             : piece_new(t);
}

static const struct row *row_at(const struct st_began *b, size_t i)
{
  return &b->pieces[i / ROWS]->rows[i % ROWS];
}

static const char *bytes_at(const struct st_began *b, size_t i)
{
  return b->pieces[i / ROWS]->bytes.data + row_at(b, i)->at;
}

static void piece_add(struct piece *p, const struct st_value *row, bool absent)
{
  struct st_fact_row fact = {
      .table = &p->t->pub, .values = (struct st_value *)row, .present = !absent};
  struct st_body_place place;
  struct row *r = &p->rows[p->count++];

  r->at = (uint32_t)p->bytes.length;
  st_body_begun(p->t, &fact, &p->bytes, &place);
  r->length = (uint32_t)(p->bytes.length - r->at);
  r->key = (uint32_t)(place.key - r->at);
  r->key_end = (uint32_t)(place.key_end - r->at);
  r->path_length = (uint32_t)row[0].u.bytes.length;
  r->values = (uint32_t)place.values;
}

void st_began_add(struct st_table_full *t, const struct st_value *row, bool absent)
{
  struct st_began *b = t->began;

  if (!b)
    return;
  if (b->bytes > MOST_BYTES) {
    st_began_drop(t);
    return;
  }
  struct piece *p = piece_at(t);
  piece_add(p, row, absent);
  b->count++;
  b->bytes += p->rows[p->count - 1].length;
  if (p->count == ROWS)
    piece_give(b->c, p, true);
}

size_t st_began_count(const struct st_table_full *t)
{
  return t->began ? t->began->count : 0;
}

/* ---- In order -------------------------------------------------------------------------------- */

static int compare_paths(const struct st_began *b, uint32_t i, uint32_t k)
{
  const struct row *x = row_at(b, i), *y = row_at(b, k);
  const char *p = bytes_at(b, i) + x->key_end - x->path_length;
  const char *q = bytes_at(b, k) + y->key_end - y->path_length;
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
    sink(arg, bytes_at(b, order[i]), row_at(b, order[i])->length);
}

/* ---- Leaves ---------------------------------------------------------------------------------- */

/* What K and V are the digests of (state.c): the table's name and the key, absent and the values.
 */
static void write_leaf(const struct piece *p, const struct row *r, struct st_buffer *key,
                       struct st_buffer *value)
{
  const char *bytes = p->bytes.data + r->at;

  st_buffer_clear(key);
  st_buffer_append(key, p->t->pub.name, strlen(p->t->pub.name) + 1);
  st_cbor_array(key, p->t->pub.nkeys);
  st_buffer_append(key, bytes + r->key, r->key_end - r->key);
  st_buffer_clear(value);
  st_cbor_array(value, r->values);
  st_buffer_append(value, bytes + r->key_end, r->length - r->key_end);
}

/* Any thread. */
static void make_leaves(struct st_beside_job *job)
{
  struct piece *p = (struct piece *)job;
  ST_AUTO_FREE struct st_leaf *leaves = st_malloc(p->count * sizeof(*leaves));
  ST_AUTO_BUFFER key = ST_BUFFER_INIT, value = ST_BUFFER_INIT;
  uint8_t k[ST_DIGEST_SIZE], v[ST_DIGEST_SIZE];

  for (size_t i = 0; i < p->count; i++) {
    write_leaf(p, &p->rows[i], &key, &value);
    st_digest(k, key.data, key.length);
    st_digest(v, value.data, value.length);
    memcpy(leaves[i].key, k, ST_LEAF_KEY);
    st_tree_pair(leaves[i].hash, 0, k, v);
  }
  st_leaves_divide(leaves, p->count, &p->leaves);
}

/* Of the last piece of each table they are left to be made, and of few others. */
void st_began_finish(struct st_catalog *c)
{
  for (size_t i = 0; i < c->count; i++) {
    const struct st_began *b = c->tables[i]->began;
    if (b && b->npieces > 0 && !b->pieces[b->npieces - 1]->given)
      piece_give(c, b->pieces[b->npieces - 1], false);
  }
  if (c->beside)
    st_beside_finish(c->beside);
}

void st_began_leaves(const struct st_table_full *t, struct st_state *state)
{
  for (size_t i = 0; i < t->began->npieces; i++)
    st_state_lend(state, &t->began->pieces[i]->leaves);
}
