/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * declared.c - one manifest as it is read: where each path's row lies in its bytes.
 *
 * The rows lie in order of table and path (doc/formats), so a path is searched for where it lies;
 * what a row says is decoded when it is asked for.
 */
#include "systracker/catalog/internal.h"

static int malformed(struct st_error *err)
{
  return st_fail(err, 0, "a manifest is malformed");
}

void st_declared_free(struct st_declared *d)
{
  if (!d)
    return;
  for (size_t i = 0; i < d->count; i++) {
    free(d->tables[i].rows);
    free(d->tables[i].seen);
  }
  free(d->tables);
  st_buffer_free(&d->bytes);
  free(d);
}

/* ---- The header ------------------------------------------------------------------------------ */

static int read_name(struct st_cbor *in, char out[ST_MAX_COLUMNS * 4], struct st_error *err)
{
  const char *text;
  size_t length;

  if (st_cbor_read_text(in, &text, &length, err) < 0)
    return -1;
  if (length >= (size_t)ST_MAX_COLUMNS * 4 || memchr(text, 0, length))
    return malformed(err);
  memcpy(out, text, length);
  out[length] = 0;
  return 0;
}

static int8_t find_column(const struct st_table_full *t, const char *name)
{
  for (size_t i = 0; t && i < t->pub.declaration.ncolumns; i++)
    if (strcmp(t->pub.declaration.columns[i].name, name) == 0)
      return (int8_t)i;
  return -1;
}

static int read_table(struct st_catalog *c, struct st_cbor *in, struct st_declared_table *table,
                      struct st_error *err)
{
  char name[ST_MAX_COLUMNS * 4];
  uint64_t n;

  if (st_cbor_read_array(in, &n, err) < 0 || n != 2 || read_name(in, name, err) < 0 ||
      st_cbor_read_array(in, &n, err) < 0 || n == 0 || n > ST_MAX_COLUMNS)
    return malformed(err);
  table->t = st_full(st_catalog_table(c, name));
  if (table->t && !st_is_entry(table->t))
    return malformed(err);
  table->ncolumns = n;
  for (size_t i = 0; i < n; i++) {
    if (read_name(in, name, err) < 0)
      return -1;
    table->columns[i] = find_column(table->t, name);
  }
  return table->t && table->columns[0] != 0 ? malformed(err) : 0;
}

static int read_header(struct st_catalog *c, struct st_declared *d, struct st_cbor *in,
                       struct st_error *err)
{
  char text[ST_MAX_COLUMNS * 4];
  int64_t version;
  uint64_t n;

  if (st_cbor_read_array(in, &n, err) < 0 || n != 4 || read_name(in, text, err) < 0 ||
      strcmp(text, ST_MANIFEST_FORMAT) != 0 || st_cbor_read_integer(in, &version, err) < 0)
    return malformed(err);
  if (version != ST_MANIFEST_VERSION)
    return st_fail(err, 0, "a manifest of version %lld, this SysTracker knows %d",
                   (long long)version, ST_MANIFEST_VERSION);
  if (read_name(in, text, err) < 0 || st_cbor_read_array(in, &n, err) < 0 || n > 4096)
    return malformed(err);
  d->observed = strcmp(text, "observed") == 0;
  d->tables = st_calloc(n ? n : 1, sizeof(*d->tables));
  d->count = n;
  for (size_t i = 0; i < n; i++)
    if (read_table(c, in, &d->tables[i], err) < 0)
      return -1;
  return 0;
}

/* ---- Where rows lie -------------------------------------------------------------------------- */

/* Passes over values, with what is in them. */
static bool skip_values(struct st_cbor *in, uint64_t count)
{
  unsigned type;
  uint64_t n;

  for (; count > 0; count--) {
    if (!st_cbor_take_head(in, &type, &n) || type == ST_CBOR_MAP || type == ST_CBOR_TAG)
      return false;
    if (type == ST_CBOR_ARRAY && (n > in->length || __builtin_add_overflow(count, n, &count)))
      return false;
    if (type != ST_CBOR_BYTES && type != ST_CBOR_TEXT)
      continue;
    if (n > in->length)
      return false;
    in->data += n;
    in->length -= n;
  }
  return true;
}

/* The path of a row, behind which its other values stand: `*ret_n` of them. */
static bool take_path(struct st_cbor *in, uint64_t *ret_table, uint64_t *ret_n,
                      struct st_value *ret)
{
  unsigned type;
  uint64_t length;

  if (!st_cbor_take_head(in, &type, ret_n) || type != ST_CBOR_ARRAY || *ret_n < 2 ||
      !st_cbor_take_head(in, &type, ret_table) || type != ST_CBOR_UNSIGNED ||
      !st_cbor_take_head(in, &type, &length) || type != ST_CBOR_BYTES || length > in->length)
    return false;
  *ret = st_bytes_value(ST_PATH, in->data, length);
  in->data += length;
  in->length -= length;
  *ret_n -= 2;
  return true;
}

static void add_place(struct st_declared_table *table, size_t at)
{
  if ((table->count & (table->count - 1)) == 0) /* a power of 2: full */
    table->rows =
        st_realloc(table->rows, table->count ? 2 * (size_t)table->count : 1, sizeof(*table->rows));
  table->rows[table->count++] = (uint32_t)at;
}

static int find_rows(struct st_declared *d, struct st_cbor *in, struct st_error *err)
{
  struct st_value before = st_null(), path;
  uint64_t last = 0, at, n;

  while (!st_cbor_at_end(in)) {
    size_t begin = d->bytes.length - in->length;

    if (!take_path(in, &at, &n, &path) || at < last || at >= d->count ||
        n >= d->tables[at].ncolumns || !skip_values(in, n))
      return malformed(err);
    if (at == last && before.type == ST_PATH && st_value_compare(&before, &path) >= 0)
      return malformed(err);
    add_place(&d->tables[at], begin);
    before = path;
    last = at;
  }
  return 0;
}

static int prove(const struct st_declared *d, struct st_error *err)
{
  struct st_value values[ST_MAX_COLUMNS];

  for (size_t i = 0; i < d->count; i++)
    for (uint32_t k = 0; d->tables[i].t && k < d->tables[i].count; k++)
      if (st_declared_row(d, &d->tables[i], k, values, err) < 0 ||
          st_row_check(d->tables[i].t, values, err) < 0)
        return -1;
  return 0;
}

int st_declared_read(struct st_catalog *c, struct st_buffer *bytes, bool proved,
                     struct st_declared **ret, struct st_error *err)
{
  ST_CLEANUP(st_declared_freep) struct st_declared *d = st_calloc(1, sizeof(*d));

  if (bytes->length > UINT32_MAX)
    return malformed(err);
  d->bytes = *bytes;
  *bytes = ST_BUFFER_INIT;
  struct st_cbor in = {(const uint8_t *)d->bytes.data, d->bytes.length};
  if (read_header(c, d, &in, err) < 0 || find_rows(d, &in, err) < 0 ||
      (!proved && prove(d, err) < 0))
    return -1;
  *ret = st_steal(&d);
  return 0;
}

/* ---- Asked ----------------------------------------------------------------------------------- */

struct st_declared_table *st_declared_of(const struct st_declared *d, const struct st_table_full *t)
{
  for (size_t i = 0; i < d->count; i++)
    if (d->tables[i].t == t)
      return &d->tables[i];
  return NULL;
}

void st_declared_path(const struct st_declared *d, const struct st_declared_table *table,
                      uint32_t row, struct st_value *ret)
{
  struct st_cbor in = {(const uint8_t *)d->bytes.data + table->rows[row],
                       d->bytes.length - table->rows[row]};
  uint64_t at, n;

  take_path(&in, &at, &n, ret); /* it went well before */
}

static int compare_row(const struct st_declared *d, const struct st_declared_table *table,
                       uint32_t row, const struct st_value *path)
{
  struct st_value here;

  st_declared_path(d, table, row, &here);
  return st_value_compare(&here, path);
}

/* Whether it is one that was found last, or the next one. */
static bool search_near(const struct st_declared *d, struct st_declared_table *table,
                        const struct st_value *path, uint32_t *ret)
{
  for (size_t i = 0; i < ST_COUNT(table->last); i++) {
    uint32_t row = table->last[i];
    int r = row < table->count ? compare_row(d, table, row, path) : 1;

    if (r < 0 && ++row < table->count)
      r = compare_row(d, table, row, path);
    if (r != 0)
      continue;
    *ret = table->last[i] = row;
    return true;
  }
  return false;
}

bool st_declared_search(const struct st_declared *d, struct st_declared_table *table,
                        const struct st_value *path, uint32_t *ret)
{
  uint32_t low = 0, high = table->count;

  if (search_near(d, table, path, ret))
    return true;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    int r = compare_row(d, table, middle, path);

    if (r == 0) {
      *ret = table->last[table->oldest] = middle;
      table->oldest = (table->oldest + 1) % ST_COUNT(table->last);
      return true;
    }
    if (r < 0)
      low = middle + 1;
    else
      high = middle;
  }
  *ret = low;
  return false;
}

bool st_declared_has(const struct st_declared *d, const struct st_value *path)
{
  uint32_t row;

  for (size_t i = 0; i < d->count; i++)
    if (d->tables[i].t && st_declared_search(d, &d->tables[i], path, &row))
      return true;
  return false;
}

int st_declared_row(const struct st_declared *d, const struct st_declared_table *table,
                    uint32_t row, struct st_value *values, struct st_error *err)
{
  const struct st_column *columns = table->t->pub.declaration.columns;
  struct st_cbor in = {(const uint8_t *)d->bytes.data + table->rows[row],
                       d->bytes.length - table->rows[row]};
  uint64_t at, n;

  for (size_t i = 0; i < table->t->pub.declaration.ncolumns; i++)
    values[i] = st_null();
  take_path(&in, &at, &n, &values[0]);
  for (uint64_t i = 1; i <= n; i++) {
    int place = table->columns[i];

    if (place < 0 ? !skip_values(&in, 1)
                  : st_cbor_read_value(&in, columns[place].type, &values[place], err) < 0)
      return malformed(err);
  }
  return 0;
}

void st_declared_mark(struct st_declared_table *table, uint32_t row)
{
  if (!table->seen)
    table->seen = st_calloc(table->count / 8 + 1, 1);
  table->seen[row / 8] |= (uint8_t)(1U << row % 8);
}

bool st_declared_is_marked(const struct st_declared_table *table, uint32_t row)
{
  return table->seen && (table->seen[row / 8] & 1U << row % 8);
}

/* ---- Two of them ----------------------------------------------------------------------------- */

static int rows_differ(const struct st_declared *a, const struct st_declared_table *x, uint32_t i,
                       const struct st_declared *b, const struct st_declared_table *y, uint32_t k,
                       struct st_error *err)
{
  struct st_value before[ST_MAX_COLUMNS], after[ST_MAX_COLUMNS];

  if (st_declared_row(a, x, i, before, err) < 0 || st_declared_row(b, y, k, after, err) < 0)
    return -1;
  for (size_t n = 1; n < x->t->pub.declaration.ncolumns; n++)
    if (st_value_compare(&before[n], &after[n]) != 0)
      return 1;
  return 0;
}

/* Of one table; either may be missing. */
static int compare_tables(const struct st_declared *a, const struct st_declared_table *x,
                          const struct st_declared *b, const struct st_declared_table *y,
                          st_expected_path_fn *fn, void *arg, struct st_error *err)
{
  struct st_table_full *t = x ? x->t : y->t;
  uint32_t i = 0, k = 0, m = x ? x->count : 0, n = y ? y->count : 0;
  struct st_value left, right;
  int r = 0;

  while (r == 0 && (i < m || k < n)) {
    if (i < m)
      st_declared_path(a, x, i, &left);
    if (k < n)
      st_declared_path(b, y, k, &right);
    int order = i == m ? 1 : k == n ? -1 : st_value_compare(&left, &right);
    int differ = order == 0 ? rows_differ(a, x, i, b, y, k, err) : 1;

    if (differ < 0)
      return -1;
    if (differ)
      r = fn(arg, t, order <= 0 ? &left : &right, err);
    i += order <= 0;
    k += order >= 0;
  }
  return r;
}

int st_declared_compare(const struct st_declared *a, const struct st_declared *b,
                        st_expected_path_fn *fn, void *arg, struct st_error *err)
{
  int r = 0;

  for (size_t i = 0; a && i < a->count && r == 0; i++)
    if (a->tables[i].t)
      r = compare_tables(a, &a->tables[i], b, b ? st_declared_of(b, a->tables[i].t) : NULL, fn, arg,
                         err);
  for (size_t i = 0; b && i < b->count && r == 0; i++)
    if (b->tables[i].t && !(a && st_declared_of(a, b->tables[i].t)))
      r = compare_tables(a, NULL, b, &b->tables[i], fn, arg, err);
  return r;
}

/* ---- Hashes ---------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

  return (x > y) - (x < y);
}

struct hashes {
  uint32_t *items;
  size_t count, size;
};

static void add_hash(struct hashes *h, uint32_t hash)
{
  if (h->count == h->size) {
    h->size = h->size ? 2 * h->size : 256;
    h->items = st_realloc(h->items, h->size, sizeof(*h->items));
  }
  h->items[h->count++] = hash;
}

/* Of the path, and of the directories above but "/", as far as they are not those of the path
 * before. */
static void hash_path(struct hashes *h, const struct st_value *path, const struct st_value *before)
{
  const char *bytes = path->u.bytes.data, *old = before->u.bytes.data;
  size_t length = path->u.bytes.length, begin = 0, same = 0;
  size_t most = before->type != ST_PATH           ? 0
                : length < before->u.bytes.length ? length
                                                  : before->u.bytes.length;
  uint32_t hash = 0;

  while (same < most && bytes[same] == old[same])
    same++;
  for (size_t i = 1; i < length; i++) {
    if (bytes[i] != '/')
      continue;
    hash = st_crc32c(hash, bytes + begin, i - begin);
    begin = i;
    if (i >= same)
      add_hash(h, hash & ~ST_HASH_OWN);
  }
  add_hash(h, st_crc32c(hash, bytes + begin, length - begin) | ST_HASH_OWN);
}

uint32_t *st_declared_hashes(const struct st_declared *d, size_t *ret_count)
{
  struct hashes h = {0};
  size_t kept = 0;

  for (size_t i = 0; i < d->count; i++) {
    struct st_value path, before = st_null();
    for (uint32_t k = 0; k < d->tables[i].count; k++) {
      st_declared_path(d, &d->tables[i], k, &path);
      hash_path(&h, &path, &before);
      before = path;
    }
  }
  if (h.count)
    qsort(h.items, h.count, sizeof(*h.items), by_number);
  for (size_t i = 0; i < h.count; i++) { /* each once, as its own where it is */
    if (kept > 0 && (h.items[i] & ~ST_HASH_OWN) == (h.items[kept - 1] & ~ST_HASH_OWN))
      h.items[kept - 1] = h.items[i];
    else
      h.items[kept++] = h.items[i];
  }
  *ret_count = kept;
  return h.items;
}
