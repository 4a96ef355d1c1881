/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-places.c - where contents lie, looked up beside; and which files have which of them. */
#include "systracker/store/test-scratch.h"

#include "restore/contents.h"

#define CONTENTS 500
#define FILES 1200 /* the last of them have contents that others have, too */

static struct st_id ids[CONTENTS];

static void fill(struct scratch *s)
{
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  for (unsigned i = 0; i < CONTENTS; i++) {
    ST_AUTO_FREE char *text = st_format("%*u", 20 + (int)(i % 300), i);
    ids[i] = put(store, text, strlen(text), false, NULL);
  }
  OK(st_store_sync(store, err));
}

static struct st_id unknown(uint8_t n)
{
  struct st_id id = {.digest = {n, 1, 2, 3}};
  return id;
}

static struct st_places *look_up(struct scratch *s, struct st_store *store, bool beside)
{
  struct st_places *p = st_places_new();
  struct st_id none = unknown(200);
  for (unsigned i = 0; i < 2 * CONTENTS; i++) /* each comes twice */
    st_places_add(p, &ids[i * 7 % CONTENTS]);
  st_places_add(p, &none);
  if (beside)
    st_places_begin(p, s->dir, store);
  else
    OK(st_places_find(p, store, err));
  OK(st_places_wait(p, err));
  return p;
}

static void check_places(struct st_places *p, struct st_store *store)
{
  struct st_id none = unknown(200), other = unknown(201);
  assert_int_equal(st_places_count(p), CONTENTS + 1);
  for (unsigned i = 0; i < CONTENTS; i++) {
    const struct st_id *id = &ids[i];
    struct st_location at;
    OK(st_store_locate(store, &id, 1, &at, err));
    size_t number = st_places_number(p, id);
    assert_true(number < st_places_count(p));
    assert_int_equal(st_places_at(p, number)->pack, at.pack);
    assert_int_equal(st_places_at(p, number)->offset, at.offset);
    assert_true(at.pack > 0);
  }
  assert_int_equal(st_places_at(p, st_places_number(p, &none))->pack, 0);
  assert_true(st_places_number(p, &other) == SIZE_MAX);
}

static void test_found(void **state)
{
  fill(*state);
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(*state, ST_STORE_READ);
  for (int beside = 0; beside < 2; beside++) {
    ST_CLEANUP(st_places_freep) struct st_places *p = look_up(*state, store, beside);
    check_places(p, store);
  }
}

static void test_none(void **state)
{
  fill(*state);
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(*state, ST_STORE_READ);
  ST_CLEANUP(st_places_freep) struct st_places *p = st_places_new(), *unasked = st_places_new();
  assert_true(st_places_number(unasked, &ids[0]) == SIZE_MAX);
  OK(st_places_find(p, store, err));
  assert_int_equal(st_places_count(p), 0);
  assert_true(st_places_number(p, &ids[0]) == SIZE_MAX);
}

/* Each fifth file has none that counts. */
static const struct st_id *content_of(void *arg, size_t file)
{
  (void)arg;
  return file % 5 == 4 ? NULL : &ids[file % CONTENTS];
}

/* Each file is in one chain, that of its content, and in order. */
static void check_chains(const struct st_contents *c)
{
  bool seen[FILES] = {0};
  size_t total = 0;
  for (size_t i = 0; i < c->count; i++) {
    uint32_t before = 0;
    for (uint32_t f = c->items[i].file; f != ST_CONTENTS_END; f = c->next[f]) {
      assert_true(f < FILES && f >= before && !seen[f]);
      assert_true(st_id_equal(content_of(NULL, f), content_of(NULL, c->items[i].file)));
      seen[f] = true;
      before = f;
      total++;
    }
  }
  assert_int_equal(total, FILES / 5 * 4);
}

static void test_contents(void **state)
{
  fill(*state);
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(*state, ST_STORE_READ);
  ST_CLEANUP(st_places_freep) struct st_places *p = look_up(*state, store, true);
  const struct st_contents_of of = {p, FILES, content_of, NULL};
  ST_AUTO_CONTENTS c = {0};
  assert_true(st_contents_find(&c, &of));
  check_chains(&c);
  assert_int_equal(c.count, CONTENTS / 5 * 4);
  for (size_t i = 1; i < c.count; i++)
    assert_true(c.items[i].at.pack > c.items[i - 1].at.pack ||
                c.items[i].at.offset >= c.items[i - 1].at.offset);
  assert_int_equal(c.shares[c.nshares - 1].to, c.count);
}

static void test_not_looked_up(void **state)
{
  fill(*state);
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(*state, ST_STORE_READ);
  ST_CLEANUP(st_places_freep) struct st_places *p = st_places_new();
  const struct st_contents_of of = {p, FILES, content_of, NULL};
  ST_AUTO_CONTENTS c = {0};
  st_places_add(p, &ids[0]);
  OK(st_places_find(p, store, err));
  assert_false(st_contents_find(&c, &of));
  assert_int_equal(c.count, 0);
}

/* A pack that is damaged is no matter here; an index that cannot be read is said. */
static void test_fails(void **state)
{
  struct scratch *s = *state;
  fill(s);
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_READ);
  ST_CLEANUP(st_places_freep) struct st_places *p = st_places_new();
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_CLOSE int elsewhere = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  st_places_add(p, &ids[0]);
  st_places_begin(p, elsewhere, store);
  assert_true(st_places_wait(p, &err) < 0);
  assert_non_null(err.message);
  assert_true(st_places_number(p, &ids[0]) == SIZE_MAX);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_found, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_contents, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_not_looked_up, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_fails, set_up, tear_down),
  };
  st_digest_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
