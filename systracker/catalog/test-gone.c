/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-gone.c - all that there was is gone: told as one part or by two threads, it is the same. */
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

/* What was told of the parts, one behind the other. */
struct told {
  struct st_buffer parts[ST_CATALOG_PARTS];
  struct st_buffer all;
  bool gone;
};

static void told_free(struct told *t)
{
  for (size_t i = 0; i < ST_CATALOG_PARTS; i++)
    st_buffer_free(&t->parts[i]);
  st_buffer_free(&t->all);
}

static int tell(struct fixture *f, int64_t a, struct told *t)
{
  void *args[ST_CATALOG_PARTS];

  *t = (struct told){0};
  for (size_t i = 0; i < ST_CATALOG_PARTS; i++)
    args[i] = &t->parts[i];
  int r = st_catalog_changes_by_parts(f->c, a, ST_LIVE, note_change, args, &t->gone, &f->err);
  for (size_t i = 0; i < ST_CATALOG_PARTS; i++)
    st_buffer_append(&t->all, t->parts[i].data ? t->parts[i].data : "", t->parts[i].length);
  return r;
}

static void test_by_parts(void **state)
{
  struct fixture *f = *state;

  make_two(f);
  find_nothing(f);
  for (int64_t a = 1; a <= 2; a++) {
    ST_CLEANUP(told_free) struct told t;
    ST_AUTO_FREE char *all = changes(f, a, ST_LIVE);

    ok(f, tell(f, a, &t));
    assert_true(t.gone);
    assert_string_equal(t.all.data, all);
    assert_true(strlen(all) > PATHS * sizeof("-/d/000"));
  }
}

/* Fewer paths than there are parts; none at all. */
static void test_few(void **state)
{
  struct fixture *f = *state;

  start(f);
  put_entry(f, "/d", "d", 1);
  commit(f);
  start(f);
  put_entry(f, "/d/x", "f", 1);
  put_file(f, "/d/x", 1);
  commit(f);
  find_nothing(f);
  for (int64_t a = 1; a <= 2; a++) {
    ST_CLEANUP(told_free) struct told t;
    ST_AUTO_FREE char *all = changes(f, a, ST_LIVE);

    ok(f, tell(f, a, &t));
    assert_string_equal(t.all.data, all);
  }
}

/* Where something is there, as ever. */
static void test_not_all(void **state)
{
  struct fixture *f = *state;
  ST_CLEANUP(told_free) struct told t;

  make_two(f);
  find_nothing(f);
  put_entry(f, "/d/008", "f", 9);
  ok(f, tell(f, 2, &t));
  ST_AUTO_FREE char *all = changes(f, 2, ST_LIVE);
  assert_false(t.gone);
  assert_string_equal(t.parts[0].data, all);
  for (size_t i = 1; i < ST_CATALOG_PARTS; i++)
    assert_int_equal(t.parts[i].length, 0);
  assert_non_null(strstr(all, "~/d/008=9 "));
}

static int stop(void *arg, UNUSED const struct st_change *change, UNUSED struct st_error *err)
{
  return ++*(int *)arg < 20 ? 0 : 7;
}

static void test_stopped(void **state)
{
  struct fixture *f = *state;
  int told[ST_CATALOG_PARTS] = {0};
  void *args[ST_CATALOG_PARTS];
  bool gone;

  make_two(f);
  find_nothing(f);
  for (size_t i = 0; i < ST_CATALOG_PARTS; i++)
    args[i] = &told[i];
  assert_int_equal(st_catalog_changes_by_parts(f->c, 1, ST_LIVE, stop, args, &gone, &f->err), 7);
  assert_int_equal(told[0], 20);
}

/* Wherever a damaged row lies, it is an error, and in words. */
static void test_damaged(void **state)
{
  struct fixture *f = *state;

  make_two(f);
  for (int i = 0; i < 2; i++) {
    ST_CLEANUP(told_free) struct told t;
    ST_AUTO_FREE char *damage = st_format(
        "UPDATE fake_file SET object = x'00' WHERE path = (SELECT %s(path) FROM fake_file)",
        i ? "max" : "min");

    reopen(f, ST_CATALOG_WRITE);
    assert_int_equal(sqlite3_exec(f->c->db, damage, NULL, NULL, NULL), SQLITE_OK);
    find_nothing(f);
    assert_true(tell(f, 1, &t) < 0);
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
      cmocka_unit_test_setup_teardown(test_by_parts, setup, teardown),
      cmocka_unit_test_setup_teardown(test_few, setup, teardown),
      cmocka_unit_test_setup_teardown(test_not_all, setup, teardown),
      cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
      cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
