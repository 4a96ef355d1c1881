/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-first.c - what waits to be put by a first checkpoint is there for whoever asks, whatever is
 * said again, taken back, or fails. */
#include "systracker/catalog/test-support.h"

#define MANY 1500 /* more than wait at a time, of each table */

static const struct st_column place_columns[] = {
    {"path", ST_PATH, ST_KEY},
    {"beside", ST_PATH, 0},
    {"note", ST_TEXT, 0},
};
static const struct st_table place_tables[] = {
    {"place", ST_TABLE_ENTRY, ST_COUNT(place_columns), place_columns},
    {0},
};

static void put_target(struct fixture *f, const char *path, const void *data, size_t length)
{
  struct st_value row[] = {st_path_value(path), st_text_value("l"), st_integer(511), st_integer(7),
                           st_bytes_value(ST_BYTES, data, length)};

  ok(f, st_catalog_put(f->c, table(f, "fake_entry"), row, &f->err));
}

static void put_place(struct fixture *f, const char *path, const char *beside)
{
  struct st_value row[] = {st_path_value(path), st_path_value(beside), st_text_value("")};

  ok(f, st_catalog_put(f->c, table(f, "more_place"), row, &f->err));
}

static void path_of(char *out, size_t size, int i)
{
  snprintf(out, size, "/d%d/%d", i % 37, i);
}

static void put_many(struct fixture *f, int64_t mode)
{
  char path[64];

  for (int i = 0; i < MANY; i++) {
    path_of(path, sizeof(path), i);
    put_entry(f, path, "f", mode + i);
  }
}

static void assert_many(struct fixture *f, int64_t number, int64_t mode)
{
  char path[64];

  for (int i = 0; i < MANY; i++) {
    path_of(path, sizeof(path), i);
    assert_int_equal(mode_at(f, number, path), mode + i);
  }
}

static void assert_sound(struct fixture *f)
{
  uint8_t kept[ST_DIGEST_SIZE], computed[ST_DIGEST_SIZE];
  int64_t latest = st_catalog_latest(f->c);

  assert_int_equal(st_catalog_verify(f->c, NULL, NULL, &f->err), 0);
  ok(f, st_state_read(f->c, kept, &f->err));
  ok(f, st_state_compute(f->c, latest, computed, &f->err));
  assert_memory_equal(kept, computed, sizeof(kept));
}

static void test_many(void **state)
{
  struct fixture *f = *state;

  start(f);
  put_many(f, 1000);
  struct st_checkpoint cp = commit(f);
  assert_int_equal(cp.begun, MANY);
  assert_int_equal(stored_rows(f, "path"), MANY);
  assert_many(f, 1, 1000);
  assert_sound(f);
  start(f);
  put_many(f, 1000);
  cp = commit(f);
  assert_int_equal(cp.begun + cp.ended, 0);
  start(f);
  put_many(f, 2000);
  cp = commit(f);
  assert_int_equal(cp.begun, MANY);
  assert_int_equal(stored_rows(f, "path"), MANY);
  assert_many(f, 1, 1000);
  assert_many(f, 3, 2000);
  assert_sound(f);
}

/* While most of it waits. */
static void test_asked_meanwhile(void **state)
{
  struct fixture *f = *state;

  start(f);
  assert_false(st_catalog_changed(f->c));
  put_entry(f, "/a", "f", 1);
  assert_true(st_catalog_changed(f->c));
  put_entry(f, "/b", "f", 2);
  assert_int_equal(mode_at(f, ST_LIVE, "/a"), 1);
  assert_int_equal(mode_at(f, ST_LIVE, "/b"), 2);
  assert_int_equal(mode_at(f, ST_LIVE, "/c"), -1);
  put_many(f, 1000);
  assert_many(f, ST_LIVE, 1000);
  assert_int_equal(stored_rows(f, "fake_entry"), MANY + 2);
  commit(f);
  assert_sound(f);
}

static void test_said_again(void **state)
{
  struct fixture *f = *state;

  start(f);
  put_entry(f, "/same", "f", 1);
  put_entry(f, "/same", "f", 1);
  put_entry(f, "/other", "f", 1);
  put_entry(f, "/other", "f", 2);
  put_many(f, 1000);
  put_many(f, 3000);
  put_entry(f, "/same", "f", 1);
  struct st_checkpoint cp = commit(f);
  assert_int_equal(cp.begun, MANY + 2);
  assert_int_equal(cp.ended, 0);
  assert_int_equal(stored_rows(f, "path"), MANY + 2);
  assert_int_equal(mode_at(f, 1, "/same"), 1);
  assert_int_equal(mode_at(f, 1, "/other"), 2);
  assert_many(f, 1, 3000);
  assert_sound(f);
}

static void test_taken_back(void **state)
{
  struct fixture *f = *state;

  start(f);
  assert_int_equal(gone_entry(f, "/never"), 0);
  put_entry(f, "/gone", "f", 1);
  assert_int_equal(mode_at(f, ST_LIVE, "/gone"), 1);
  gone_entry(f, "/gone");
  assert_int_equal(mode_at(f, ST_LIVE, "/gone"), -1);
  put_entry(f, "/back", "f", 1);
  gone_entry(f, "/back");
  put_entry(f, "/back", "f", 2);
  put_entry(f, "/stays", "f", 3);
  ok(f, st_catalog_gone_below(f->c, "fake", "/back", &f->err));
  struct st_checkpoint cp = commit(f);
  assert_int_equal(cp.begun, 1);
  assert_int_equal(mode_at(f, 1, "/gone"), -1);
  assert_int_equal(mode_at(f, 1, "/back"), -1);
  assert_int_equal(mode_at(f, 1, "/stays"), 3);
  assert_sound(f);
}

/* Bytes of each length, none among them; and paths that are no key. */
static void test_values(void **state)
{
  struct fixture *f = *state;
  const size_t large = 300000;
  ST_AUTO_FREE char *bytes = st_malloc(large);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL, *place = NULL, *empty = NULL;
  struct st_value key = st_path_value("/large"), none = st_path_value("/none");

  memset(bytes, 'x', large);
  ok(f, st_catalog_declare(f->c, "more", place_tables, &f->err));
  start(f);
  put_target(f, "/none", "", 0);
  put_target(f, "/large", bytes, large);
  for (int i = 0; i < 100; i++) {
    ST_AUTO_FREE char *path = st_format("/some/%d", i);
    put_target(f, path, bytes, (size_t)i * 40);
    put_place(f, path, i % 2 ? "/large" : "/beside");
  }
  put_place(f, "/large", "/beside");
  commit(f);
  ok(f, st_catalog_fact(f->c, 1, table(f, "fake_entry"), &key, &fact, &f->err));
  assert_int_equal(fact->values[4].u.bytes.length, large);
  assert_memory_equal(fact->values[4].u.bytes.data, bytes, large);
  ok(f, st_catalog_fact(f->c, 1, table(f, "fake_entry"), &none, &empty, &f->err));
  assert_int_equal(empty->values[4].type, ST_BYTES);
  assert_int_equal(empty->values[4].u.bytes.length, 0);
  ok(f, st_catalog_fact(f->c, 1, table(f, "more_place"), &key, &place, &f->err));
  assert_string_equal(place->values[1].u.bytes.data, "/beside");
  assert_int_equal(place->values[2].type, ST_TEXT);
  assert_int_equal(stored_rows(f, "path"), 103);
  assert_sound(f);
}

static void test_taken_back_whole(void **state)
{
  struct fixture *f = *state;

  for (int i = 0; i < 2; i++) {
    start(f);
    put_many(f, 1000);
    put_entry(f, "/last", "f", 1);
    st_catalog_rollback(f->c);
    assert_int_equal(stored_rows(f, "path"), 0);
    assert_int_equal(stored_rows(f, "fake_entry"), 0);
  }
  start(f);
  put_entry(f, "/last", "f", 2);
  commit(f);
  assert_int_equal(stored_rows(f, "path"), 1);
  assert_int_equal(mode_at(f, 1, "/last"), 2);
  assert_sound(f);
}

/* That rows that waited could not be put may be met by somebody who makes nothing of it: the
 * checkpoint is refused all the same. */
static void test_lost(void **state)
{
  struct fixture *f = *state;
  struct st_checkpoint cp;

  start(f);
  put_entry(f, "/a", "f", 1);
  ok(f, st_sql_exec(f->c, "INSERT INTO path (path) VALUES (x'2f62')", &f->err));
  put_entry(f, "/c", "f", 1); /* its id is taken */
  st_catalog_changed(f->c);
  assert_true(st_catalog_commit(f->c, &f->keys, 1000000, NULL, false, &cp, &f->err) < 0);
  st_error_clear(&f->err);
  assert_int_equal(st_catalog_latest(f->c), 0);
  assert_int_equal(stored_rows(f, "path"), 0);
  start(f);
  put_entry(f, "/a", "f", 1);
  commit(f);
  assert_sound(f);
}

/* The table that rows are taken from is of no use to anybody else. */
static void test_own_alone(void **state)
{
  struct fixture *f = *state;
  int64_t n;

  start(f);
  put_entry(f, "/a", "f", 1);
  assert_true(st_sql_number(f->c, "SELECT count(*) FROM waiting", 0, &n, &f->err) < 0);
  st_error_clear(&f->err);
  commit(f);
  assert_true(st_sql_number(f->c, "SELECT count(*) FROM waiting", 0, &n, &f->err) < 0);
  st_error_clear(&f->err);
  assert_sound(f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_many, setup, teardown),
      cmocka_unit_test_setup_teardown(test_asked_meanwhile, setup, teardown),
      cmocka_unit_test_setup_teardown(test_said_again, setup, teardown),
      cmocka_unit_test_setup_teardown(test_taken_back, setup, teardown),
      cmocka_unit_test_setup_teardown(test_values, setup, teardown),
      cmocka_unit_test_setup_teardown(test_taken_back_whole, setup, teardown),
      cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
      cmocka_unit_test_setup_teardown(test_own_alone, setup, teardown),
  };
  return cmocka_run_group_tests_name("first", tests, NULL, NULL);
}
