/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-transfer.c - objects travel as their records, and are proved before they are kept. */
#include "systracker/store/test-scratch.h"

#include "systracker/store/transfer.h"

#define LENGTH 4096
#define REVISIONS 20

/* Two stores with keys of their own. */
struct pair {
  struct scratch *a, *b;
  struct st_store *from, *to;
};

static void open_pair(struct pair *p, const struct st_keys *to_keys)
{
  p->from = open_store(p->a, ST_STORE_WRITE);
  OK(st_store_open(&p->to, p->b->dir, ST_STORE_WRITE, to_keys, err));
}

static void close_pair(struct pair *p)
{
  st_store_close(p->from);
  st_store_close(p->to);
}

static int set_up_pair(void **state)
{
  struct pair *p = st_calloc(1, sizeof *p);
  st_digest_init();
  if (set_up((void **)&p->a) < 0 || set_up((void **)&p->b) < 0)
    return -1;
  *state = p;
  return 0;
}

static int tear_down_pair(void **state)
{
  struct pair *p = *state;
  tear_down((void **)&p->a);
  tear_down((void **)&p->b);
  free(p);
  return 0;
}

/* Revisions of one file, each a little different; `contents` is REVISIONS * LENGTH bytes. */
static void put_revisions(struct st_store *store, bool secret, uint8_t *contents, struct st_id *ids)
{
  for (int i = 0; i < REVISIONS; i++) {
    uint8_t *now = contents + (size_t)i * LENGTH;
    if (i == 0)
      noise(now, LENGTH, 7);
    else
      memcpy(now, now - LENGTH, LENGTH);
    now[(size_t)i * 100] ^= 0x55;
    ids[i] = put(store, now, LENGTH, secret, i > 0 ? &ids[i - 1] : NULL);
  }
  sync_store(store);
}

static int copy(struct pair *p, const struct st_id *id)
{
  int r = -1;
  OK(r = st_store_copy(p->to, p->from, id, err));
  return r;
}

static void test_deltas_travel_as_deltas(void **state)
{
  struct pair *p = *state;
  ST_AUTO_FREE uint8_t *contents = st_malloc((size_t)REVISIONS * LENGTH);
  struct st_id ids[REVISIONS];
  struct st_store_size from, to;

  open_pair(p, NULL);
  put_revisions(p->from, false, contents, ids);
  assert_true(row_of(p->from, &ids[REVISIONS - 1]).record.has_base);
  /* The last alone brings what it is a delta of, and no more. */
  assert_int_equal(copy(p, &ids[REVISIONS - 1]), 1);
  assert_true(row_of(p->to, &ids[REVISIONS - 1]).record.has_base);
  assert_int_equal(copy(p, &ids[REVISIONS - 1]), 0);
  for (int i = 0; i < REVISIONS; i++)
    copy(p, &ids[i]);
  sync_store(p->to);
  for (int i = 0; i < REVISIONS; i++)
    assert_holds(p->to, &ids[i], contents + (size_t)i * LENGTH, LENGTH);
  OK(st_store_size(p->from, &from, err));
  OK(st_store_size(p->to, &to, err));
  assert_int_equal(from.stored, to.stored);
  close_pair(p);
}

/* What needs no other record, for whoever may not have the base. */
static void test_deltas_exported_whole(void **state)
{
  struct pair *p = *state;
  ST_AUTO_FREE uint8_t *contents = st_malloc((size_t)REVISIONS * LENGTH);
  struct st_id ids[REVISIONS];

  open_pair(p, NULL);
  for (int secret = 0; secret < 2; secret++) {
    ST_AUTO_PARCEL alone = {0}, whole = {0};
    const struct st_id *id = &ids[REVISIONS - 1];
    put_revisions(p->from, secret, contents, ids);
    OK(st_store_export_alone(p->from, id, &alone, err));
    assert_int_equal(alone.record.encoding, ST_ENCODING_DELTA);
    OK(st_store_export_whole(p->from, id, &whole, err));
    assert_false(whole.record.has_base);
    OK(st_store_import(p->to, &whole, err));
    sync_store(p->to);
    if (!secret)
      assert_holds(p->to, id, contents + (size_t)(REVISIONS - 1) * LENGTH, LENGTH);
  }
  close_pair(p);
}

static void test_secrets_travel_sealed(void **state)
{
  struct pair *p = *state;
  ST_AUTO_FREE uint8_t *contents = st_malloc((size_t)REVISIONS * LENGTH);
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  struct st_id ids[REVISIONS];

  open_pair(p, NULL);
  put_revisions(p->from, true, contents, ids);
  for (int i = 0; i < REVISIONS; i++)
    assert_int_equal(copy(p, &ids[i]), 1);
  sync_store(p->to);
  assert_int_equal(st_store_get(p->to, &ids[0], &out, NULL), -1);
  close_pair(p);

  /* Who has the key reads them there. */
  struct st_store *store;
  OK(st_store_open(&store, p->b->dir, ST_STORE_READ, &p->a->keys, err));
  for (int i = 0; i < REVISIONS; i++)
    assert_holds(store, &ids[i], contents + (size_t)i * LENGTH, LENGTH);
  st_store_close(store);
}

static void refused(struct pair *p, const struct st_parcel *parcel)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_int_equal(st_store_import(p->to, parcel, &err), -1);
  assert_non_null(err.message);
  assert_false(st_store_has(p->to, &parcel->record.id));
}

static void test_forgeries_are_refused(void **state)
{
  struct pair *p = *state;
  ST_AUTO_FREE uint8_t *contents = st_malloc((size_t)REVISIONS * LENGTH);
  struct st_id ids[REVISIONS];
  ST_AUTO_PARCEL parcel = {0};

  open_pair(p, NULL);
  put_revisions(p->from, false, contents, ids);

  OK(st_store_export(p->from, &ids[1], &parcel, err));
  assert_true(parcel.record.has_base);
  refused(p, &parcel); /* its base is not there */

  OK(st_store_export(p->from, &ids[0], &parcel, err));
  for (size_t i = 0; i < parcel.payload.length; i += 97) {
    parcel.payload.data[i] ^= 1;
    refused(p, &parcel);
    parcel.payload.data[i] ^= 1;
  }
  struct st_record good = parcel.record;
  parcel.record.id.digest[3] ^= 1;
  refused(p, &parcel);
  parcel.record = good;
  parcel.record.raw--;
  refused(p, &parcel);
  parcel.record.raw = ST_RECORD_RAW_MAX + 1;
  refused(p, &parcel);
  parcel.record = good;
  parcel.record.stored--;
  refused(p, &parcel);
  parcel.record = good;
  parcel.record.encoding = 3;
  refused(p, &parcel);
  parcel.record = good;
  parcel.record.id.keyed = 2;
  refused(p, &parcel);
  parcel.record = good;
  OK(st_store_import(p->to, &parcel, err));
  assert_holds(p->to, &ids[0], contents, LENGTH);
  close_pair(p);
}

/* The base stands there at a step that the delta cannot be based on: it is kept whole. */
static void test_delta_that_does_not_fit(void **state)
{
  struct pair *p = *state;
  ST_AUTO_FREE uint8_t *contents = st_malloc((size_t)REVISIONS * LENGTH);
  struct st_id ids[REVISIONS];

  open_pair(p, NULL);
  put_revisions(p->from, false, contents, ids);
  /* There, revision 0 came after revision 5. */
  struct st_id five = put(p->to, contents + (size_t)5 * LENGTH, LENGTH, false, NULL);
  struct st_id zero = put(p->to, contents, LENGTH, false, &five);
  assert_true(st_id_equal(&zero, &ids[0]));
  assert_int_equal(row_of(p->to, &ids[0]).record.step, 1);
  assert_int_equal(copy(p, &ids[1]), 1);
  assert_false(row_of(p->to, &ids[1]).record.has_base);
  for (int i = 0; i < REVISIONS; i++)
    copy(p, &ids[i]);
  for (int i = 0; i < REVISIONS; i++)
    assert_holds(p->to, &ids[i], contents + (size_t)i * LENGTH, LENGTH);
  close_pair(p);
}

static void test_damage_stays_at_home(void **state)
{
  struct pair *p = *state;
  uint8_t content[LENGTH];
  ST_AUTO_ERROR err = ST_ERROR_INIT;

  noise(content, sizeof content, 3);
  open_pair(p, NULL);
  struct st_id id = put(p->from, content, sizeof content, false, NULL);
  sync_store(p->from);
  close_pair(p);
  flip(p->a, PACK, size_of(p->a, PACK) - 100);
  open_pair(p, NULL);
  assert_true(st_store_copy(p->to, p->from, &id, &err) < 0);
  assert_non_null(err.message);
  assert_false(st_store_has(p->to, &id));
  close_pair(p);
}

#define PAIR(f) cmocka_unit_test_setup_teardown(f, set_up_pair, tear_down_pair)

int main(void)
{
  const struct CMUnitTest tests[] = {
      PAIR(test_deltas_travel_as_deltas), PAIR(test_secrets_travel_sealed),
      PAIR(test_forgeries_are_refused),   PAIR(test_delta_that_does_not_fit),
      PAIR(test_damage_stays_at_home),    PAIR(test_deltas_exported_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
