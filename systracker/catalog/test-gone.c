/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-gone.c - all that there was is gone: told by one thread or two, it is the same. */
#include "systracker/catalog/test-support.h"

#define PATHS 400

/* Their ids are in another order than the paths are. */
static void path_of(char ret[32], unsigned i)
{
  snprintf(ret, 32, "/d/%03u", i * 7919 % PATHS);
}

static void put_file(struct fixture *f, const char *path, uint8_t content)
{
  struct st_id id = {.digest = {content}};
  struct st_value row[] = {st_path_value(path), st_id_value(&id)};

  ok(f, st_catalog_put(f->c, table(f, "fake_file"), row, &f->err));
}

/* Two checkpoints: of the second each fifth path is gone, and each third has another mode. */
static void make_two(struct fixture *f)
{
  char path[32];

  start(f);
  for (unsigned i = 0; i < PATHS; i++) {
    path_of(path, i);
    put_entry(f, path, "f", 1);
    if (i % 2 == 0)
      put_file(f, path, (uint8_t)i);
  }
  commit(f);
  start(f);
  for (unsigned i = 0; i < PATHS; i++) {
    path_of(path, i);
    if (i % 5 == 0)
      gone_entry(f, path);
    else if (i % 3 == 0)
      put_entry(f, path, "f", 2);
  }
  put_entry(f, "/d", "d", 1); /* first by path, with the last id */
  commit(f);
}

/* A reader's scan finds nothing. */
static void find_nothing(struct fixture *f)
{
  reopen(f, ST_CATALOG_READ);
  declare(f);
  start(f);
  ok(f, st_catalog_gone_below(f->c, NULL, "/d", &f->err));
  assert_true(st_full(table(f, "fake_entry"))->emptied);
}

static void test_by_two(void **state)
{
  struct fixture *f = *state;

  make_two(f);
  find_nothing(f);
  for (int64_t a = 1; a <= 2; a++) {
    ST_AUTO_BUFFER first = ST_BUFFER_INIT, rest = ST_BUFFER_INIT;
    void *const both[] = {&first, &rest};
    ST_AUTO_FREE char *all = changes(f, a, ST_LIVE);

    ok(f, st_catalog_changes_by_two(f->c, a, ST_LIVE, note_change, both, &f->err));
    st_buffer_append(&first, rest.data ? rest.data : "", rest.length);
    assert_string_equal(first.data, all);
    assert_true(strlen(all) > PATHS * sizeof("-/d/000"));
  }
}

/* Where something is there, as ever. */
static void test_not_all(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER first = ST_BUFFER_INIT, rest = ST_BUFFER_INIT;
  void *const both[] = {&first, &rest};

  make_two(f);
  find_nothing(f);
  put_entry(f, "/d/008", "f", 9);
  ok(f, st_catalog_changes_by_two(f->c, 2, ST_LIVE, note_change, both, &f->err));
  ST_AUTO_FREE char *all = changes(f, 2, ST_LIVE);
  assert_string_equal(first.data, all);
  assert_int_equal(rest.length, 0);
  assert_non_null(strstr(all, "~/d/008=9 "));
}

static int stop(void *arg, UNUSED const struct st_change *change, UNUSED struct st_error *err)
{
  return ++*(int *)arg < 50 ? 0 : 7;
}

static void test_stopped(void **state)
{
  struct fixture *f = *state;
  int told[2] = {0};
  void *const both[] = {&told[0], &told[1]};

  make_two(f);
  find_nothing(f);
  assert_int_equal(st_catalog_changes_by_two(f->c, 1, ST_LIVE, stop, both, &f->err), 7);
  assert_int_equal(told[0], 50);
}

/* Wherever a damaged row lies, it is an error, and in words. */
static void test_damaged(void **state)
{
  struct fixture *f = *state;

  make_two(f);
  for (int i = 0; i < 2; i++) {
    ST_AUTO_BUFFER first = ST_BUFFER_INIT, rest = ST_BUFFER_INIT;
    void *const both[] = {&first, &rest};
    ST_AUTO_FREE char *damage = st_format(
        "UPDATE fake_file SET object = x'00' WHERE path = (SELECT %s(path) FROM fake_file)",
        i ? "max" : "min");

    reopen(f, ST_CATALOG_WRITE);
    assert_int_equal(sqlite3_exec(f->c->db, damage, NULL, NULL, NULL), SQLITE_OK);
    find_nothing(f);
    assert_true(st_catalog_changes_by_two(f->c, 1, ST_LIVE, note_change, both, &f->err) < 0);
    assert_non_null(strstr(st_error_text(&f->err), "damaged"));
    st_error_clear(&f->err);
    reopen(f, ST_CATALOG_WRITE);
    assert_int_equal(
        sqlite3_exec(f->c->db, "UPDATE fake_file SET object = zeroblob(33)", NULL, NULL, NULL),
        SQLITE_OK);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_by_two, setup, teardown),
      cmocka_unit_test_setup_teardown(test_not_all, setup, teardown),
      cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
      cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
