/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-repeated.c - an id that two tables say of a path is stored once, and read as if it were
 * stored twice: whatever is said again, taken back, or pruned. */
#include "systracker/catalog/prune.h"
#include "systracker/catalog/test-support.h"

#define PATHS 12
#define NIGHTS 60

static const struct st_column digest_columns[] = {
    {"path", ST_PATH, ST_KEY},
    {"size", ST_INTEGER, 0},
    {"digest", ST_ID, 0},
};
static const struct st_table sums_tables[] = {
    {"digest", ST_TABLE_ENTRY, ST_COUNT(digest_columns), digest_columns},
    {0},
};

static struct st_id id_of(unsigned n)
{
  struct st_id id = {.keyed = n % 7 == 0};

  st_digest(id.digest, &n, sizeof(n));
  return id;
}

static void declare_sums(struct fixture *f)
{
  ok(f, st_catalog_declare(f->c, "sums", sums_tables, &f->err));
}

static void put_digest(struct fixture *f, const char *path, unsigned n)
{
  struct st_id id = id_of(n);
  struct st_value row[] = {st_path_value(path), st_integer(5), n ? st_id_value(&id) : st_null()};

  ok(f, st_catalog_put(f->c, table(f, "sums_digest"), row, &f->err));
}

static void put_object(struct fixture *f, const char *path, unsigned n)
{
  struct st_id id = id_of(n);
  struct st_value row[] = {st_path_value(path), n ? st_id_value(&id) : st_null()};

  ok(f, st_catalog_put(f->c, table(f, "fake_file"), row, &f->err));
}

static void assert_id(struct fixture *f, int64_t number, const char *name, const char *path,
                      unsigned n)
{
  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
  struct st_value key = st_path_value(path);
  struct st_id id = id_of(n);

  ok(f, st_catalog_fact(f->c, number, table(f, name), &key, &fact, &f->err));
  const struct st_value *value = &fact->values[fact->table->declaration.ncolumns - 1];
  assert_int_equal(value->type, n ? ST_ID : ST_NULL);
  if (n)
    assert_true(st_id_equal(&value->u.id, &id));
}

static int64_t repeated(struct fixture *f)
{
  int64_t n;

  ok(f, st_sql_number(f->c, "SELECT count(*) FROM fake_file WHERE typeof(object) = 'integer'", 0,
                      &n, &f->err));
  return n;
}

static int count_object(void *arg, const struct st_id *id)
{
  const struct st_id one = id_of(1), two = id_of(2);

  *(int *)arg += st_id_equal(id, &one) ? 1 : st_id_equal(id, &two) ? 100 : 10000;
  return 0;
}

static void assert_clean(struct fixture *f)
{
  assert_int_equal(st_catalog_verify(f->c, NULL, NULL, &f->err), 0);
}

static void test_stored_once(void **state)
{
  struct fixture *f = *state;
  int objects = 0;

  declare_sums(f);
  for (int64_t night = 1; night <= 2; night++) {
    start(f);
    put_digest(f, "/same", 1);
    put_object(f, "/same", 1);
    put_digest(f, "/other", (unsigned)night);
    put_object(f, "/other", 2);
    put_object(f, "/alone", 1);
    commit(f);
  }
  assert_int_equal(repeated(f), 1);
  for (int64_t night = 1; night <= 2; night++) {
    assert_id(f, night, "fake_file", "/same", 1);
    assert_id(f, night, "fake_file", "/other", 2);
    assert_id(f, night, "fake_file", "/alone", 1);
  }
  ok(f, st_catalog_objects(f->c, count_object, &objects, &f->err));
  assert_int_equal(objects, 101);
  assert_clean(f);
  reopen(f, ST_CATALOG_READ);
  assert_id(f, 1, "fake_file", "/same", 1);
  assert_clean(f);
}

/* In the first checkpoint, and in another one. */
static void test_taken_back(void **state)
{
  struct fixture *f = *state;

  declare_sums(f);
  for (unsigned night = 1; night <= 2; night++) {
    start(f);
    put_digest(f, "/a", night);
    put_object(f, "/a", night);
    put_digest(f, "/a", 10 + night);
    put_digest(f, "/b", night);
    put_object(f, "/b", night);
    put_digest(f, "/b", night);
    put_object(f, "/b", night);
    commit(f);
    assert_id(f, night, "sums_digest", "/a", 10 + night);
    assert_id(f, night, "fake_file", "/a", night);
    assert_id(f, night, "fake_file", "/b", night);
  }
  assert_int_equal(repeated(f), 2);
  assert_clean(f);
}

/* What began before there was a table of digests stays as it is. */
static void test_declared_later(void **state)
{
  struct fixture *f = *state;

  start(f);
  put_object(f, "/a", 1);
  commit(f);
  declare_sums(f);
  start(f);
  put_digest(f, "/a", 1);
  put_object(f, "/a", 1);
  put_digest(f, "/b", 2);
  put_object(f, "/b", 2);
  commit(f);
  assert_int_equal(repeated(f), 1);
  assert_id(f, 1, "fake_file", "/a", 1);
  assert_id(f, 2, "fake_file", "/a", 1);
  assert_id(f, 2, "fake_file", "/b", 2);
  assert_clean(f);
}

/* A table that was there before gets an id later: what was stored goes by the old ones. */
static void test_column_later(void **state)
{
  static const struct st_column columns[] = {
      {"path", ST_PATH, ST_KEY}, {"size", ST_INTEGER, 0}, {"sum", ST_ID, 0}};
  struct st_table tables[] = {{"older", ST_TABLE_ENTRY, 2, columns}, {0}};
  struct fixture *f = *state;

  ok(f, st_catalog_declare(f->c, "other", tables, &f->err));
  declare_sums(f);
  start(f);
  put_digest(f, "/a", 1);
  put_object(f, "/a", 1);
  commit(f);
  assert_int_equal(repeated(f), 1);
  tables[0].ncolumns = 3;
  ok(f, st_catalog_declare(f->c, "other", tables, &f->err));
  assert_id(f, 1, "fake_file", "/a", 1);
  start(f);
  put_digest(f, "/b", 2);
  put_object(f, "/b", 2);
  commit(f);
  assert_int_equal(repeated(f), 2);
  reopen(f, ST_CATALOG_READ);
  assert_id(f, 1, "fake_file", "/a", 1);
  assert_id(f, 2, "fake_file", "/b", 2);
  assert_clean(f);
}

static void pass_over(void *arg, const char *words)
{
  (void)arg;
  (void)words;
}

/* An id that is lost is no reason to take its object for one that nobody names. */
static void test_digest_lost(void **state)
{
  struct fixture *f = *state;
  int objects = 0;

  declare_sums(f);
  start(f);
  put_digest(f, "/a", 1);
  put_object(f, "/a", 1);
  commit(f);
  ok(f, st_sql_exec(f->c, "DELETE FROM sums_digest", &f->err));
  for (int i = 0; i < 2; i++) { /* nor do those who spell it out forget that there was one */
    assert_int_equal(st_catalog_objects(f->c, count_object, &objects, &f->err), -1);
    assert_non_null(strstr(st_error_text(&f->err), "damaged"));
    st_error_clear(&f->err);
    ok(f, st_repeated_spell(f->c, "t.since > 0", &f->err));
  }
  assert_true(st_catalog_verify(f->c, pass_over, NULL, &f->err) > 0);
}

/* ---- Against what was said ---------------------------------------------------------------------
 */

static uint32_t seed;

static unsigned dice(unsigned n)
{
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % n;
}

struct said {
  unsigned digest[PATHS], object[PATHS];
};

static void assert_said(struct fixture *f, int64_t night, const struct said *said)
{
  for (unsigned i = 0; i < PATHS; i++) {
    ST_AUTO_FREE char *path = st_format("/p/%u", i);

    assert_id(f, night, "sums_digest", path, said->digest[i]);
    assert_id(f, night, "fake_file", path, said->object[i]);
  }
}

static void live_a_night(struct fixture *f, struct said *said)
{
  start(f);
  for (unsigned n = 1 + dice(6); n > 0; n--) {
    unsigned i = dice(PATHS), of = 1 + dice(4);
    ST_AUTO_FREE char *path = st_format("/p/%u", i);

    if (dice(8)) {
      put_digest(f, path, of);
      said->digest[i] = of;
    }
    if (dice(4)) {
      said->object[i] = dice(5) ? of : 1 + dice(4);
      put_object(f, path, said->object[i]);
    }
  }
  commit(f);
}

static void test_nights(void **state)
{
  struct fixture *f = *state;
  static struct said said[NIGHTS + 1];
  ST_CLEANUP(st_choices_free) struct st_choices choices = {0};
  struct st_retention keep = {.last = 1};
  struct st_prune_result result;

  seed = 7;
  declare_sums(f);
  for (int64_t night = 1; night <= NIGHTS; night++) {
    said[night] = said[night - 1];
    live_a_night(f, &said[night]);
  }
  assert_true(repeated(f) > 20);
  for (int64_t night = 1; night <= NIGHTS; night++)
    assert_said(f, night, &said[night]);
  assert_clean(f);

  ok(f, st_prune_choose(f->c, &keep, NULL, 0, &choices, &f->err));
  for (size_t i = 0; i < choices.count; i++)
    if (!dice(3))
      choices.items[i].kept |= ST_KEPT_LAST;
  ok(f, st_catalog_prune(f->c, &choices, &result, &f->err));
  ok(f, st_catalog_prune_commit(f->c, &f->err));
  st_prune_result_free(&result);
  assert_true(repeated(f) > 5);
  for (size_t i = 0; i < choices.count; i++)
    if (choices.items[i].kept)
      assert_said(f, choices.items[i].number, &said[choices.items[i].number]);
  assert_clean(f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_stored_once, setup, teardown),
      cmocka_unit_test_setup_teardown(test_taken_back, setup, teardown),
      cmocka_unit_test_setup_teardown(test_declared_later, setup, teardown),
      cmocka_unit_test_setup_teardown(test_column_later, setup, teardown),
      cmocka_unit_test_setup_teardown(test_digest_lost, setup, teardown),
      cmocka_unit_test_setup_teardown(test_nights, setup, teardown),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
