/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * began.c - the rows of a first checkpoint, kept in memory until it is made: to read all of them
 * back for the body and the state tree takes longer than to hash them, and nothing else can be done
 * meanwhile.
 *
 * Only tables of entries whose rows have all begun once: where the scan says a thing again, or
 * there are too many, they are read back as ever.
 */
#include "systracker/catalog/internal.h"

#define MOST_BYTES ((size_t)64 << 20) /* of one table's rows, as the body has them */

struct row {
  uint64_t at;              /* of its bytes */
  uint32_t length, key_end; /* the path ends there */
  uint32_t path_length;
  uint8_t leaf[ST_LEAF_SIZE];
};

struct st_began {
  struct st_buffer bytes, leaf;
  struct row *rows;
  size_t count, room;
};

void st_began_drop(struct st_table_full *t)
{
  struct st_began *b = st_steal(&t->began);

  if (!b)
    return;
  st_buffer_free(&b->bytes);
  st_buffer_free(&b->leaf);
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
  size_t key_end;

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
  st_body_begun(t, &fact, &b->bytes, &key_end);
  r->length = (uint32_t)(b->bytes.length - r->at);
  r->key_end = (uint32_t)(key_end - r->at);
  r->path_length = (uint32_t)row[0].u.bytes.length;
  st_state_leaf(t, &fact, &b->leaf, r->leaf);
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

/* ---- In order -------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b, void *arg)
{
  const struct row *x = a, *y = b;
  const struct st_began *began = arg;
  const char *p = began->bytes.data + x->at + x->key_end - x->path_length;
  const char *q = began->bytes.data + y->at + y->key_end - y->path_length;
  size_t n = x->path_length < y->path_length ? x->path_length : y->path_length;
  int r = n ? memcmp(p, q, n) : 0;

  return r ? r : (x->path_length > y->path_length) - (x->path_length < y->path_length);
}

int64_t st_began_write(struct st_table_full *t, st_body_sink *sink, void *arg)
{
  struct st_began *b = t->began;

  if (b->count > 1)
    qsort_r(b->rows, b->count, sizeof(*b->rows), by_path, b);
  for (size_t i = 0; i < b->count; i++)
    sink(arg, b->bytes.data + b->rows[i].at, b->rows[i].length);
  return (int64_t)b->count;
}

int st_began_leaves(const struct st_table_full *t, struct st_state *state, struct st_error *err)
{
  const struct st_began *b = t->began;
  int r = 0;

  for (size_t i = 0; i < b->count && r == 0; i++)
    r = st_state_add(state, b->rows[i].leaf, err);
  return r;
}

size_t st_began_count(const struct st_table_full *t)
{
  return t->began ? t->began->count : 0;
}
