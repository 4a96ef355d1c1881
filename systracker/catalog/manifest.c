/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * manifest.c - what a package expects of its paths, written.
 *
 * A manifest is an object: a CBOR sequence of a header and rows in one canonical order, so that two
 * hosts with the same package have the same object (doc/formats).
 */
#include "systracker/catalog/internal.h"

#include "systracker/base/escape.h"

struct expect {
  struct st_table_full *t;
  struct st_fact_row *row;
};

struct st_manifest {
  struct st_catalog *c;
  bool observed;
  struct expect *rows;
  size_t count, size;
};

struct st_manifest *st_manifest_new(struct st_catalog *c, bool observed)
{
  struct st_manifest *m = st_calloc(1, sizeof(*m));

  m->c = c;
  m->observed = observed;
  return m;
}

void st_manifest_free(struct st_manifest *m)
{
  if (!m)
    return;
  for (size_t i = 0; i < m->count; i++)
    st_fact_free(m->rows[i].row);
  free(m->rows);
  free(m);
}

void st_manifest_observed(struct st_manifest *m)
{
  m->observed = true;
}

bool st_manifest_is_observed(const struct st_manifest *m)
{
  return m->observed;
}

/* A table that nobody declared has no facts to compare with: the row is dropped. */
int st_expect(struct st_manifest *m, const char *full_table, const struct st_value *row,
              size_t ncolumns, struct st_error *err)
{
  struct st_table_full *t = st_full(st_catalog_table(m->c, full_table));

  if (!t)
    return 0;
  if (!st_is_entry(t))
    return st_fail(err, 0, "manifest: %s is no table of entries", full_table);
  if (ncolumns == 0 || ncolumns > t->pub.declaration.ncolumns)
    return st_fail(err, 0, "manifest: a row of %zu columns (%s)", ncolumns, full_table);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *copy = st_row_copy(t, row, ncolumns);
  if (st_row_check(t, copy->values, err) < 0)
    return st_wrap(err, "manifest");
  if (m->count == m->size) {
    m->size = m->size ? 2 * m->size : 256;
    m->rows = st_realloc(m->rows, m->size, sizeof(*m->rows));
  }
  m->rows[m->count++] = (struct expect){t, st_steal(&copy)};
  return 0;
}

static int compare_rows(const void *a, const void *b)
{
  const struct expect *x = a, *y = b;
  int r = strcmp(x->t->pub.name, y->t->pub.name);

  return r ? r : st_value_compare(&x->row->values[0], &y->row->values[0]);
}

/* How many columns some row of the table (which begins at `first`) speaks of. */
static size_t used_columns(const struct st_manifest *m, size_t first, size_t *ret_next)
{
  size_t used = 0, i = first;

  for (; i < m->count && m->rows[i].t == m->rows[first].t; i++) {
    size_t n = st_row_length(m->rows[i].t, m->rows[i].row->values);
    used = n > used ? n : used;
  }
  *ret_next = i;
  return used;
}

static void encode_header(const struct st_manifest *m, struct st_buffer *out)
{
  size_t tables = 0, next;

  for (size_t i = 0; i < m->count; i = next, tables++)
    used_columns(m, i, &next);
  st_cbor_array(out, 4);
  st_cbor_string(out, ST_MANIFEST_FORMAT);
  st_cbor_integer(out, ST_MANIFEST_VERSION);
  st_cbor_string(out, m->observed ? "observed" : "package");
  st_cbor_array(out, tables);
  for (size_t i = 0; i < m->count; i = next) {
    const struct st_table_full *t = m->rows[i].t;
    size_t used = used_columns(m, i, &next);

    st_cbor_array(out, 2);
    st_cbor_string(out, t->pub.name);
    st_cbor_array(out, used);
    for (size_t k = 0; k < used; k++)
      st_cbor_string(out, t->pub.declaration.columns[k].name);
  }
}

int st_manifest_encode(struct st_manifest *m, struct st_buffer *out, struct st_error *err)
{
  int64_t table = 0;

  if (m->count > 0)
    qsort(m->rows, m->count, sizeof(*m->rows), compare_rows);
  encode_header(m, out);
  for (size_t i = 0; i < m->count; i++) {
    const struct expect *e = &m->rows[i];
    size_t n = st_row_length(e->t, e->row->values);

    if (i > 0 && compare_rows(e, e - 1) == 0)
      return st_fail(err, 0, "manifest: two rows of one path (%s)",
                     st_quote(e->row->values[0].u.bytes.data));
    if (i > 0 && e->t != (e - 1)->t)
      table++;
    st_cbor_array(out, n + 1);
    st_cbor_integer(out, table);
    for (size_t k = 0; k < n; k++)
      st_cbor_value(out, &e->row->values[k]);
  }
  return 0;
}
