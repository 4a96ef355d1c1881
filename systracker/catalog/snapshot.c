/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot.c - changesets that pass over checkpoints: headers between, and what a body without them
 * is taken in with.
 *
 * Of a checkpoint that is passed over nothing but the header travels.  The body that follows tells
 * what changed since an earlier checkpoint (merged), or all facts (a snapshot, since 0).  Neither
 * is what the header was signed over; the state root proves both.
 *
 * Between: for each checkpoint passed over, why its facts do not come (8 bits: enum st_held), then
 * its record.
 */
#include "systracker/catalog/snapshot.h"

#include "systracker/base/escape.h"

/* ---- Read out -------------------------------------------------------------------------------- */

struct between {
  struct st_catalog *c;
  struct st_buffer *out;
  int64_t number; /* ends before this one */
};

static int add_between(void *arg, int64_t number, const void *data, size_t length,
                       struct st_error *err)
{
  struct between *b = arg;

  (void)err;
  if (number >= b->number)
    return 1;
  enum st_held held = st_catalog_held(b->c, number);
  st_buffer_append_byte(b->out, (char)(held == ST_HELD ? ST_NOT_FETCHED : held));
  st_chain_record(b->out, data, length);
  return 0;
}

static void append(void *arg, const void *data, size_t length)
{
  st_buffer_append(arg, data, length);
}

int st_changeset_read_after(struct st_catalog *c, int64_t after, int64_t number,
                            struct st_changeset *ret, struct st_error *err)
{
  struct between b = {c, &ret->between, number};

  if (after < 0 || after >= number)
    return st_fail(err, 0, "checkpoint %lld does not come after %lld", (long long)number,
                   (long long)after);
  if (after == number - 1 && st_catalog_held(c, after) == ST_HELD)
    return st_changeset_read(c, number, ret, err);
  st_buffer_clear(&ret->header);
  st_buffer_clear(&ret->declarations);
  st_buffer_clear(&ret->body);
  st_buffer_clear(&ret->between);
  ret->since = st_catalog_held(c, after) == ST_HELD ? after : 0;
  if (st_gap_check(c, number, err) < 0 || st_changeset_header(c, number, &ret->header, err) < 0 ||
      st_changeset_declarations(c, number, &ret->declarations, err) < 0 ||
      st_headers_each(c, after, add_between, &b, err) < 0)
    return -1;
  return st_body_write_since(c, ret->since, number, append, &ret->body, err);
}

/* ---- Headers between, taken in --------------------------------------------------------------- */

int st_between_each(const struct st_changeset *set, st_between_fn *fn, void *arg,
                    struct st_error *err)
{
  const char *record;
  size_t length;
  int r = 0;

  for (size_t at = 0; at < set->between.length && r == 0; at += 5 + length) {
    int why = set->between.data[at];

    if (why != ST_NOT_FETCHED && why != ST_PRUNED)
      return st_fail(err, 0, "a header is passed over for a reason that is not known");
    r = st_chain_next(&set->between, at + 1, &record, &length, err);
    if (r > 0)
      return st_fail(err, 0, "the headers that are passed over end within one");
    if (r == 0)
      r = fn(arg, (enum st_held)why, record, length, err);
  }
  return r;
}

static int store_between(void *arg, enum st_held why, const void *data, size_t length,
                         struct st_error *err)
{
  struct st_catalog *c = arg;
  struct st_buffer header = {.data = (char *)data, .length = length}; /* borrowed */
  struct st_header h;

  if (st_header_read(&h, data, length, err) < 0)
    return -1;
  ST_AUTO_FREE char *message = h.message ? st_memdup(h.message, h.message_length) : NULL;
  struct st_checkpoint cp = {.number = h.number,
                             .time = h.time,
                             .epoch = h.epoch,
                             .incomplete = h.incomplete,
                             .message = message};
  memcpy(cp.state_root, h.state_root, ST_DIGEST_SIZE);
  memcpy(cp.header_digest, h.digest, ST_DIGEST_SIZE);
  if (st_checkpoint_store(c, &cp, &header, err) < 0)
    return -1;
  return st_gap_add(c, h.number, why, err);
}

int st_between_store(struct st_catalog *c, const struct st_changeset *set, struct st_error *err)
{
  return st_between_each(set, store_between, c, err);
}

/* ---- A snapshot over what is there ----------------------------------------------------------- */

struct st_snapshot {
  struct st_catalog *c;
  int64_t latest;      /* in force before */
  struct st_set *seen; /* "TABLE", 0, key as CBOR; NULL: there was nothing before */
  struct st_buffer bytes;
};

struct st_snapshot *st_snapshot_new(struct st_catalog *c, int64_t latest)
{
  struct st_snapshot *s = st_calloc(1, sizeof(*s));

  s->c = c;
  s->latest = latest;
  s->seen = latest > 0 ? st_set_new() : NULL;
  return s;
}

void st_snapshot_free(struct st_snapshot *s)
{
  if (!s)
    return;
  if (s->seen)
    st_set_free(s->seen);
  st_buffer_free(&s->bytes);
  free(s);
}

static void encode_key(struct st_snapshot *s, const struct st_table_full *t,
                       const struct st_value *key)
{
  st_buffer_clear(&s->bytes);
  st_buffer_append(&s->bytes, t->pub.name, strlen(t->pub.name) + 1);
  st_key_encode(t, key, &s->bytes);
}

/* What was not captured then is not the same as what is now: the state root tells them apart. */
static bool is_same(const struct st_table_full *t, const struct st_fact_row *known,
                    const struct st_body_row *row)
{
  if (known->present == row->absent)
    return false;
  for (size_t i = t->pub.nkeys; !row->absent && i < t->pub.declaration.ncolumns; i++)
    if (st_value_compare(&known->values[i], &row->values[i]) != 0)
      return false;
  return true;
}

int st_snapshot_row(struct st_snapshot *s, const struct st_body_row *row, struct st_error *err)
{
  struct st_table_full *t = st_full(row->table);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *known = NULL;

  if (!s->seen)
    return 1;
  encode_key(s, t, row->values);
  st_set_add(s->seen, s->bytes.data, s->bytes.length, 0);
  if (st_stored_fact(s->c, (struct st_at){s->latest, false}, t, row->values, &known, err) < 0)
    return -1;
  return !known || !is_same(t, known, row);
}

static int end_unseen(struct st_snapshot *s, struct st_table_full *t, st_snapshot_end_fn *fn,
                      void *arg, struct st_error *err)
{
  ST_CLEANUP(st_keylist_free) struct st_keylist list = {0};
  struct st_rows rows;
  int r = st_rows_open(&rows, s->c, s->latest, t, NULL, NULL, err);

  while (r == 0 && (r = st_rows_next(&rows, err)) == 1) {
    encode_key(s, t, rows.row.values);
    if (!st_set_get(s->seen, s->bytes.data, s->bytes.length, NULL))
      st_keylist_add(&list, t, rows.row.values);
    r = 0;
  }
  st_rows_close(&rows);
  for (size_t i = 0; i < list.count && r == 0; i++)
    r = fn(arg, t, list.items[i].key->values, err);
  return r;
}

int st_snapshot_end(struct st_snapshot *s, st_snapshot_end_fn *fn, void *arg, struct st_error *err)
{
  int r = 0;

  for (size_t i = 0; s->seen && i < s->c->count && r == 0; i++)
    if (s->c->tables[i]->stored)
      r = end_unseen(s, s->c->tables[i], fn, arg, err);
  return r;
}
