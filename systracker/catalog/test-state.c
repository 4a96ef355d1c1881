/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-state.c - the state root follows the facts alone: as changed, and as from nothing. */
#include "systracker/catalog/test-support.h"

/* A small generator of our own, so that a failure is the same everywhere. */
static uint32_t seed;

static uint32_t dice(uint32_t n)
{
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % n;
}

static void random_change(struct fixture *f)
{
  char path[32];

  snprintf(path, sizeof(path), "/p/%u", dice(40));
  if (dice(3) == 0)
    gone_entry(f, path);
  else if (dice(4) == 0)
    put_package(f, path, dice(2) ? "1" : "2", NULL);
  else
    put_entry(f, path, "f", dice(3));
}

static void test_incremental_is_whole(void **state)
{
  struct fixture *f = *state;
  uint8_t root[ST_DIGEST_SIZE];

  seed = 42;
  for (int night = 1; night <= 300; night++) {
    start(f);
    for (uint32_t n = dice(5); n > 0; n--)
      random_change(f);
    struct st_checkpoint cp = commit(f);
    ok(f, st_state_compute(f->c, cp.number, root, &f->err));
    assert_memory_equal(root, cp.state_root, sizeof(root));
  }
  for (int64_t n = 1; n <= 300; n += 23) { /* also long after */
    struct st_checkpoint cp;
    ok(f, st_catalog_checkpoint(f->c, n, &cp, &f->err));
    ok(f, st_state_compute(f->c, n, root, &f->err));
    assert_memory_equal(root, cp.state_root, sizeof(root));
    st_checkpoint_clear(&cp);
  }
}

/* Two hosts, or one that was killed and its twin, that come to the same state by other ways. */
static void test_the_way_does_not_count(void **state)
{
  struct fixture *f = *state, twin;
  struct st_checkpoint a, b;

  start(f);
  put_entry(f, "/a", "f", 1);
  put_entry(f, "/b", "f", 1);
  commit(f);
  start(f);
  put_entry(f, "/c", "f", 1);
  gone_entry(f, "/b");
  put_entry(f, "/a", "f", 2);
  a = commit(f);

  fixture_open(&twin);
  start(&twin);
  put_entry(&twin, "/c", "f", 1);
  put_entry(&twin, "/a", "f", 2);
  b = commit(&twin);
  fixture_close(&twin);
  assert_memory_equal(a.state_root, b.state_root, ST_DIGEST_SIZE);

  start(f);
  put_entry(f, "/a", "f", 3);
  b = commit(f);
  assert_memory_not_equal(a.state_root, b.state_root, ST_DIGEST_SIZE);
  start(f);
  put_entry(f, "/a", "f", 2);
  b = commit(f);
  assert_memory_equal(a.state_root, b.state_root, ST_DIGEST_SIZE);
}

static void test_empty_and_one(void **state)
{
  static const uint8_t zeros[ST_DIGEST_SIZE];
  struct fixture *f = *state;
  struct st_checkpoint cp;

  start(f);
  cp = commit(f);
  assert_memory_equal(cp.state_root, zeros, sizeof(zeros));

  start(f);
  put_entry(f, "/a", "f", 0644);
  cp = commit(f);
  /* H(0x00, K, V), written out by hand from the rule in doc/formats. */
  static const char key[] = "fake_entry\0\x81\x42/a", value[] = "\x83\xf4\x61\x66\x19\x01\xa4";
  uint8_t bytes[1 + 2 * ST_DIGEST_SIZE] = {0}, root[ST_DIGEST_SIZE];
  st_digest(bytes + 1, key, sizeof(key) - 1);
  st_digest(bytes + 1 + ST_DIGEST_SIZE, value, sizeof(value) - 1);
  st_digest(root, bytes, sizeof(bytes));
  assert_memory_equal(cp.state_root, root, sizeof(root));

  start(f);
  gone_entry(f, "/a");
  cp = commit(f);
  assert_memory_equal(cp.state_root, zeros, sizeof(zeros));
}

/* So many that subtrees are split, at once and later. */
static void test_grows(void **state)
{
  struct fixture *f = *state;
  uint8_t root[ST_DIGEST_SIZE];
  char path[32];

  for (int night = 1; night <= 4; night++) {
    start(f);
    for (int i = 0; i < 30 * night * night * night; i++) {
      snprintf(path, sizeof(path), "/%d/%d", night, i);
      put_entry(f, path, "f", 0644);
    }
    struct st_checkpoint cp = commit(f);
    ok(f, st_state_compute(f->c, cp.number, root, &f->err));
    assert_memory_equal(root, cp.state_root, sizeof(root));
    ok(f, st_state_read(f->c, root, &f->err));
    assert_memory_equal(root, cp.state_root, sizeof(root));
  }
}

/* Made anew from the facts, it is the same. */
static void test_rebuilt(void **state)
{
  struct fixture *f = *state;
  uint8_t root[ST_DIGEST_SIZE];

  seed = 7;
  start(f);
  for (int i = 0; i < 200; i++)
    random_change(f);
  struct st_checkpoint cp = commit(f);
  ok(f, st_sql_exec(f->c, "DELETE FROM bunch WHERE prefix % 2", &f->err));
  ok(f, st_state_rebuild(f->c, &f->err));
  assert_int_equal(st_state_read(f->c, root, &f->err), 0);
  assert_memory_equal(root, cp.state_root, sizeof(root));
  start(f);
  for (int i = 0; i < 20; i++)
    random_change(f);
  cp = commit(f);
  ok(f, st_state_compute(f->c, cp.number, root, &f->err));
  assert_memory_equal(root, cp.state_root, sizeof(root));
}

static void pass_over(void *arg, const char *words)
{
  (void)arg;
  (void)words;
}

/* Leaves that are lost, or others, do not become a root that is signed. */
static void test_damaged_leaves(void **state)
{
  static const char *const damage[] = {
      "DELETE FROM added",
      "DELETE FROM node",
      "DELETE FROM bunch WHERE length(leaves) > 0",
      "UPDATE added SET leaves = zeroblob(length(leaves))",
      "UPDATE bunch SET leaves = zeroblob(length(leaves))",
  };
  struct fixture *f = *state;

  start(f);
  for (int i = 0; i < 12; i++) {
    ST_AUTO_FREE char *path = st_format("/%d", i);
    put_entry(f, path, "f", 0644);
  }
  commit(f);
  start(f);
  put_entry(f, "/new", "f", 0644);
  commit(f);
  assert_int_equal(st_catalog_verify(f->c, NULL, NULL, &f->err), 0);
  for (size_t i = 0; i < ST_COUNT(damage); i++) {
    ok(f, st_sql_exec(f->c, "SAVEPOINT damage", &f->err));
    ok(f, st_sql_exec(f->c, damage[i], &f->err));
    assert_true(sqlite3_changes(f->c->db) > 0);
    assert_true(st_catalog_verify(f->c, pass_over, NULL, &f->err) > 0);
    ok(f, st_sql_exec(f->c, "ROLLBACK TO damage; RELEASE damage", &f->err));
  }
  for (size_t i = 0; i < 2; i++) {
    const char *path = i ? "/later" : "/newer";
    struct st_checkpoint cp;
    ok(f, st_sql_exec(f->c, i ? "DELETE FROM node" : "DELETE FROM added", &f->err));
    start(f);
    put_entry(f, path, "f", 0644);
    assert_int_equal(st_catalog_commit(f->c, &f->keys, 5, NULL, false, &cp, &f->err), -1);
    assert_non_null(strstr(st_error_text(&f->err), "the state tree is damaged"));
    st_error_clear(&f->err);
    assert_int_equal(st_catalog_verify(f->c, pass_over, NULL, &f->err), 1);
    assert_int_equal(st_catalog_verify(f->c, NULL, NULL, &f->err), 0);
    start(f);
    put_entry(f, path, "f", 0644);
    commit(f);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_incremental_is_whole, setup, teardown),
      cmocka_unit_test_setup_teardown(test_the_way_does_not_count, setup, teardown),
      cmocka_unit_test_setup_teardown(test_damaged_leaves, setup, teardown),
      cmocka_unit_test_setup_teardown(test_empty_and_one, setup, teardown),
      cmocka_unit_test_setup_teardown(test_grows, setup, teardown),
      cmocka_unit_test_setup_teardown(test_rebuilt, setup, teardown),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
