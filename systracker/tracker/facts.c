/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/facts.h"

#include <string.h>

#include "systracker/base/escape.h"

static bool has_bytes(const struct st_value *v)
{
  return v->type == ST_TEXT || v->type == ST_BYTES || v->type == ST_PATH;
}

static bool is_lent(const struct st_facts *facts, const void *p)
{
  return facts->few && (uintptr_t)p - (uintptr_t)facts->few < sizeof(*facts->few);
}

void st_facts_clear(struct st_facts *facts)
{
  for (size_t r = 0; r < facts->count; r++)
    if (!is_lent(facts, facts->rows[r].values))
      free(facts->rows[r].values);
  if (!is_lent(facts, facts->rows))
    free(facts->rows);
  if (facts->few)
    facts->few->used = 0;
  facts->rows = NULL;
  facts->count = 0;
}

bool st_value_equal(const struct st_value *a, const struct st_value *b)
{
  if (a->type != b->type)
    return false;
  if (a->type == ST_INTEGER)
    return a->u.integer == b->u.integer;
  if (a->type == ST_ID)
    return st_id_equal(&a->u.id, &b->u.id);
  return a->type == ST_NULL || (a->u.bytes.length == b->u.bytes.length &&
                                (a->u.bytes.length == 0 ||
                                 memcmp(a->u.bytes.data, b->u.bytes.data, a->u.bytes.length) == 0));
}

bool st_facts_equal(const struct st_facts *a, const struct st_facts *b)
{
  if (a->count != b->count)
    return false;
  for (size_t r = 0; r < a->count; r++) {
    if (a->rows[r].table != b->rows[r].table)
      return false;
    for (size_t i = 0; i < a->rows[r].table->declaration.ncolumns; i++) {
      if (!st_value_equal(&a->rows[r].values[i], &b->rows[r].values[i]))
        return false;
    }
  }
  return true;
}

/* ---- What plug-ins call ---------------------------------------------------------------- */

static const struct st_catalog_table *own_table(const struct st_facts *f, const char *name,
                                                struct st_error *err)
{
  for (const struct st_catalog_table **t = f->plugin->tables; t && *t; t++) {
    if (strcmp((*t)->declaration.name, name) == 0)
      return *t;
  }
  st_fail(err, 0, "plug-in %s: it declared no table %s", f->plugin->name, st_quote(name));
  return NULL;
}

/* Text that is no UTF-8 would be refused by every reader; names of accounts can be such. */
static int check_value(const struct st_column *c, const struct st_value *v, struct st_error *err)
{
  if (v->type == ST_NULL && !(c->flags & ST_KEY))
    return 0;
  if (v->type != c->type)
    return st_fail(err, 0, "column %s: a value of the wrong type", c->name);
  if (v->type == ST_TEXT && !st_is_utf8(v->u.bytes.data, v->u.bytes.length))
    return st_fail(err, 0, "column %s: text that is no UTF-8", c->name);
  return 0;
}

static int check_row(const struct st_facts *f, const struct st_catalog_table *t,
                     const struct st_value *row, size_t n, struct st_error *err)
{
  if (n != t->declaration.ncolumns)
    return st_fail(err, 0, "table %s: %zu values for %zu columns", t->name, n,
                   t->declaration.ncolumns);
  for (size_t i = 0; i < n; i++) {
    if (check_value(&t->declaration.columns[i], &row[i], err) < 0)
      return st_wrap(err, "table %s", t->name);
  }
  bool is_entry = t->declaration.flags & ST_TABLE_ENTRY;
  if (is_entry != (f->entry != NULL))
    return st_fail(err, 0, "table %s: a fact from the wrong callback", t->name);
  if (is_entry && (row[0].u.bytes.length != strlen(f->entry->path) ||
                   memcmp(row[0].u.bytes.data, f->entry->path, row[0].u.bytes.length) != 0))
    return st_fail(err, 0, "table %s: a fact of another path than asked", t->name);
  return 0;
}

/* What is lent, as far as it goes. */
static void *room_for(struct st_facts *facts, size_t size)
{
  struct st_few_facts *few = facts->few;
  if (!few || size > sizeof(few->bytes) - few->used)
    return st_malloc(size);
  void *room = few->bytes + few->used;
  few->used += size + (-size % _Alignof(struct st_value));
  return room;
}

/* The values, and behind them their bytes, each with a NUL, in one piece of memory. */
static struct st_value *copy(struct st_facts *facts, const struct st_value *row, size_t n)
{
  size_t size = n * sizeof(*row);
  for (size_t i = 0; i < n; i++)
    size += has_bytes(&row[i]) ? row[i].u.bytes.length + 1 : 0;
  struct st_value *values = room_for(facts, size);
  char *bytes = (char *)(values + n);
  memcpy(values, row, n * sizeof(*row));
  for (size_t i = 0; i < n; i++) {
    size_t length = has_bytes(&row[i]) ? row[i].u.bytes.length : 0;
    if (!has_bytes(&row[i]))
      continue;
    if (length > 0)
      memcpy(bytes, row[i].u.bytes.data, length);
    bytes[length] = 0;
    values[i].u.bytes.data = bytes;
    bytes += length + 1;
  }
  return values;
}

/* Of few rows what is lent serves; then they are copied out of it. */
static void make_room(struct st_facts *facts)
{
  if (facts->few && facts->count < ST_FEW_ROWS) {
    facts->rows = facts->few->rows;
  } else if (is_lent(facts, facts->rows)) {
    struct st_row *rows = st_calloc(facts->count + 1, sizeof(*rows));
    memcpy(rows, facts->rows, facts->count * sizeof(*rows));
    facts->rows = rows;
  } else {
    facts->rows = st_realloc(facts->rows, facts->count + 1, sizeof(*facts->rows));
  }
}

void st_facts_add(struct st_facts *facts, const struct st_catalog_table *table,
                  const struct st_value *row)
{
  make_room(facts);
  facts->rows[facts->count++] =
      (struct st_row){table, copy(facts, row, table->declaration.ncolumns)};
}

int st_fact(struct st_facts *out, const char *table, const struct st_value *row, size_t ncolumns,
            struct st_error *err)
{
  const struct st_catalog_table *t = own_table(out, table, err);
  if (!t || check_row(out, t, row, ncolumns, err) < 0)
    return -1;
  st_facts_add(out, t, row);
  return 0;
}

static int column_index(const struct st_catalog_table *t, const char *name, struct st_error *err)
{
  for (size_t i = 0; i < t->declaration.ncolumns; i++) {
    const struct st_column *c = &t->declaration.columns[i];
    if (strcmp(c->name, name) == 0 && (c->flags & ST_OBJECT))
      return (int)i;
  }
  return st_fail(err, 0, "table %s: column %s names no object", t->name, st_quote(name));
}

int st_keep(struct st_facts *out, const char *table, const char *column, const struct st_value *row,
            size_t ncolumns, const void *data, size_t length, struct st_id *ret,
            struct st_error *err)
{
  const struct st_catalog_table *t = own_table(out, table, err);
  if (!t)
    return -1;
  int i = column_index(t, column, err);
  if (i < 0 || check_row(out, t, row, ncolumns, err) < 0)
    return -1;
  if (!out->keep) {
    st_id_of(ret, NULL, data, length);
    st_tracker_hold(out->tracker, ret, data, length);
    return 0;
  }
  struct st_tracker *tr = out->tracker;
  ST_CLEANUP(st_fact_freep) struct st_fact_row *before = NULL;
  if (st_catalog_fact(tr->catalog, st_catalog_latest(tr->catalog), t, row, &before, err) < 0)
    return -1;
  bool known = before->present && before->values[i].type == ST_ID;
  return st_store_put(tr->store, data, length, false, known ? &before->values[i].u.id : NULL, ret,
                      err);
}
