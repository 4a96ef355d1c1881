/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * expectations.c - what the manifests in force say of a table, in the order of the paths: each is
 * in that order, and they are merged.
 */
#include "systracker/catalog/internal.h"

/* A place in one manifest. */
struct st_cursor {
  struct st_declared *d;
  struct st_declared_table *table;
  uint32_t row;
  struct st_value path; /* of the row */
};

/* ---- A heap, the least path on top ----------------------------------------------------------- */

static bool is_less(const struct st_cursor *a, const struct st_cursor *b)
{
  return st_value_compare(&a->path, &b->path) < 0;
}

static void swap(struct st_cursor *a, struct st_cursor *b)
{
  struct st_cursor c = *a;

  *a = *b;
  *b = c;
}

static void sink(struct st_expectations *e)
{
  struct st_cursor *heap = e->cursors;

  for (size_t i = 0, k; (k = 2 * i + 1) < e->count; i = k) {
    if (k + 1 < e->count && is_less(&heap[k + 1], &heap[k]))
      k++;
    if (!is_less(&heap[k], &heap[i]))
      return;
    swap(&heap[k], &heap[i]);
  }
}

static void rise(struct st_expectations *e, size_t i)
{
  for (size_t above; i > 0 && is_less(&e->cursors[i], &e->cursors[above = (i - 1) / 2]); i = above)
    swap(&e->cursors[i], &e->cursors[above]);
}

/* Whether the cursor stands on a row, and that is not past the end of what is asked for. */
static bool stand(const struct st_expectations *e, struct st_cursor *cursor)
{
  if (cursor->row >= cursor->table->count)
    return false;
  st_declared_path(cursor->d, cursor->table, cursor->row, &cursor->path);
  return e->high.type == ST_NULL || st_value_compare(&cursor->path, &e->high) < 0;
}

static void advance(struct st_expectations *e)
{
  e->cursors[0].row++;
  if (!stand(e, &e->cursors[0]))
    e->cursors[0] = e->cursors[--e->count];
  sink(e);
}

/* ---- Opened and closed ----------------------------------------------------------------------- */

static int add_manifest(struct st_expectations *e, size_t place, const struct st_value *low,
                        struct st_error *err)
{
  struct st_catalog *c = e->c;
  struct st_known *k = &c->manifests.items[place];
  struct st_declared *d;

  if (!st_owner_of(c, k, st_at(c, e->number)))
    return 0;
  if (st_known_declared(c, k, &d, err) < 0)
    return -1;
  struct st_cursor cursor = {.d = d, .table = st_declared_of(d, e->t)};
  if (!cursor.table)
    return 0;
  st_declared_search(d, cursor.table, low, &cursor.row);
  if (!stand(e, &cursor))
    return 0;
  if ((e->count & (e->count - 1)) == 0) /* a power of 2: full */
    e->cursors = st_realloc(e->cursors, e->count ? 2 * e->count : 1, sizeof(*e->cursors));
  e->cursors[e->count] = cursor;
  rise(e, e->count++);
  return 0;
}

/* Those of a directory are its own and what lies below it; of "" all. */
static int add_manifests(struct st_expectations *e, const char *top, size_t length,
                         struct st_error *err)
{
  struct st_manifests *m = &e->c->manifests;
  const struct st_value low = st_bytes_value(ST_PATH, top, length);
  int r = 0;

  if (length == 0) {
    for (size_t i = 0; i < m->count && r == 0; i++)
      r = add_manifest(e, i, &low, err);
    return r;
  }
  const struct st_candidates *list = st_known_candidates(e->c, top, length, true);
  for (size_t i = 0; i < list->count && r == 0; i++)
    r = add_manifest(e, list->items[i], &low, err);
  return r;
}

int st_expectations_open(struct st_expectations *e, struct st_catalog *c, int64_t number,
                         struct st_table_full *t, const char *top, struct st_error *err)
{
  size_t length = strlen(top);

  while (length > 0 && top[length - 1] == '/')
    length--;
  *e = (struct st_expectations){.c = c, .number = number, .t = t};
  c->manifests.holders++;
  if (!st_is_entry(t) || t->since[0] > number)
    return 0;
  if (st_owners_load(c, err) < 0)
    return -1;
  if (length > 0) {
    st_buffer_append(&e->end, top, length);
    st_buffer_append_byte(&e->end, '/' + 1); /* behind all that lies below */
    e->high = st_bytes_value(ST_PATH, e->end.data, e->end.length);
  }
  return add_manifests(e, top, length, err);
}

void st_expectations_close(struct st_expectations *e)
{
  if (!e->c) /* it was never opened */
    return;
  e->c->manifests.holders--;
  free(e->cursors);
  st_buffer_free(&e->end);
  st_fact_free(e->fact);
}

/* ---- The next one ---------------------------------------------------------------------------- */

/* What is expected of the path, whichever of the manifests says it. */
static int take(struct st_expectations *e, const struct st_value *path, struct st_error *err)
{
  if (e->all)
    return st_declared_fact(e->c, e->number, e->t, path, &e->fact, err);
  return st_expected_fact(e->c, e->number, e->t, path, &e->fact, err);
}

int st_expectations_next(struct st_expectations *e, struct st_error *err)
{
  st_fact_free(st_steal(&e->fact));
  while (!e->fact && e->count > 0) {
    struct st_value path = e->cursors[0].path;

    while (e->count > 0 && st_value_compare(&e->cursors[0].path, &path) == 0)
      advance(e);
    if (take(e, &path, err) < 0)
      return -1;
  }
  return 0;
}
