/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-began.c - leaves made beside a first scan: whatever is said, taken back, or goes wrong
 * meanwhile, what is signed is what the file says, and no thread stays behind. */
#include "systracker/catalog/test-support.h"

#include <pthread.h>
#include <time.h>

#include "systracker/catalog/beside.h"

#define MANY 9000 /* facts of a table: some pieces, and a part of one */

static size_t count_threads(void)
{
  DIR *d = opendir("/proc/self/task");
  size_t n = 0;

  assert_non_null(d);
  while (readdir(d))
    n++;
  closedir(d);
  return n;
}

/* One that was joined may still be listed for a moment. */
static void assert_threads(size_t expected)
{
  const struct timespec moment = {.tv_nsec = 1000000};

  for (int i = 0; i < 10000 && count_threads() != expected; i++)
    nanosleep(&moment, NULL);
  assert_int_equal(count_threads(), expected);
}

static void path_of(char *out, size_t size, int i)
{
  snprintf(out, size, "/d%d/%d", i * 31 % 97, i);
}

static void put_file(struct fixture *f, const char *path, int i)
{
  struct st_id id = {.digest = {(uint8_t)i, (uint8_t)(i >> 8)}};
  struct st_value row[] = {st_path_value(path), st_id_value(&id)};

  ok(f, st_catalog_put(f->c, table(f, "fake_file"), row, &f->err));
}

/* Rows of two tables in turn, and of one whose rows are not kept in memory. */
static void put_many(struct fixture *f, int count)
{
  char path[64];

  for (int i = 0; i < count; i++) {
    path_of(path, sizeof(path), i);
    put_entry(f, path, "f", i);
    put_file(f, path, i);
    if (i % 100 == 0)
      put_package(f, path, "1", NULL);
  }
}

static bool is_kept(struct fixture *f, const char *name)
{
  return st_full(table(f, name))->began;
}

/* Of what was committed: the tree that is kept is that of the facts, and the body that was signed
 * is the one that they give. */
static void assert_sound(struct fixture *f, const struct st_checkpoint *cp)
{
  uint8_t root[ST_DIGEST_SIZE];

  ok(f, st_state_compute(f->c, cp->number, root, &f->err));
  assert_memory_equal(root, cp->state_root, sizeof(root));
  ok(f, st_state_read(f->c, root, &f->err));
  assert_memory_equal(root, cp->state_root, sizeof(root));
  ok(f, st_state_check(f->c, &f->err));
  assert_int_equal(st_catalog_verify(f->c, NULL, NULL, &f->err), 0);
}

static void commit_soundly(struct fixture *f, size_t threads)
{
  struct st_checkpoint cp = commit(f);

  assert_null(f->c->beside);
  assert_threads(threads);
  assert_sound(f, &cp);
}

static void test_several_pieces(void **state)
{
  static const int counts[] = {0, 1, 4095, 4096, 4097, MANY};
  size_t threads = count_threads();

  (void)state;
  for (size_t i = 0; i < ST_COUNT(counts); i++) {
    struct fixture f;
    fixture_open(&f);
    start(&f);
    put_many(&f, counts[i]);
    assert_true(is_kept(&f, "fake_entry") && is_kept(&f, "fake_file"));
    assert_int_equal(f.c->beside != NULL, counts[i] >= 4096); /* no thread for little */
    commit_soundly(&f, threads);
    start(&f);
    put_entry(&f, "/later", "f", 1);
    assert_null(f.c->beside);
    commit_soundly(&f, threads);
    fixture_close(&f);
  }
}

/* A fact whose leaf was made, or is being made, is said otherwise, or is gone. */
static void test_said_otherwise(void **state)
{
  struct fixture *f = *state;
  size_t threads = count_threads();
  char path[64];

  for (int again = 0; again < 4; again++) {
    start(f);
    put_many(f, MANY);
    path_of(path, sizeof(path), again * 2000);
    if (again % 2)
      gone_entry(f, path);
    else
      put_entry(f, path, "l", 1);
    assert_false(is_kept(f, "fake_entry"));
    assert_true(is_kept(f, "fake_file"));
    put_entry(f, "/more", "f", 3);
    assert_false(is_kept(f, "fake_entry"));
    if (again == 3)
      commit_soundly(f, threads);
    else
      st_catalog_rollback(f->c);
    assert_threads(threads);
  }
}

/* The scan ends in the middle: it failed, or the process is done with it. */
static void test_taken_back(void **state)
{
  struct fixture *f = *state;
  size_t threads = count_threads();

  for (int pieces = 0; pieces < 3; pieces++) {
    start(f);
    put_many(f, pieces * 4096 + 1);
    if (pieces == 1)
      start(f);
    else if (pieces == 2)
      reopen(f, ST_CATALOG_WRITE);
    else
      st_catalog_rollback(f->c);
    assert_null(f->c->beside);
    assert_threads(threads);
  }
  start(f);
  put_many(f, MANY);
  commit_soundly(f, threads);
}

/* The commit fails when leaves are made and bunches are to be written. */
static void test_commit_fails(void **state)
{
  struct fixture *f = *state;
  size_t threads = count_threads();
  struct st_checkpoint cp;

  ok(f, st_sql_exec(f->c, "ALTER TABLE bunch RENAME TO lost", &f->err));
  start(f);
  put_many(f, MANY);
  assert_true(st_catalog_commit(f->c, &f->keys, 5, NULL, false, &cp, &f->err) < 0);
  st_error_clear(&f->err);
  assert_null(f->c->beside);
  assert_threads(threads);
  reopen(f, ST_CATALOG_WRITE);
  ok(f, st_sql_exec(f->c, "ALTER TABLE lost RENAME TO bunch", &f->err));
  start(f);
  put_many(f, MANY);
  commit_soundly(f, threads);
}

/* No thread can be started: nobody's stack is as large. */
static void test_without_threads(void **state)
{
  struct fixture *f = *state;
  size_t threads = count_threads();
  pthread_attr_t before, huge;

  assert_int_equal(pthread_getattr_default_np(&before), 0);
  assert_int_equal(pthread_attr_init(&huge), 0);
  assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 50), 0);
  assert_int_equal(pthread_setattr_default_np(&huge), 0);
  start(f);
  put_many(f, MANY);
  assert_threads(threads);
  commit_soundly(f, threads);
  assert_int_equal(pthread_setattr_default_np(&before), 0);
  pthread_attr_destroy(&huge);
  pthread_attr_destroy(&before);
}

/* ---- Leaves lent to the tree ----------------------------------------------------------------- */

#define LEAVES 5000

static void make_leaves(struct st_leaf *leaves)
{
  for (size_t i = 0; i < LEAVES; i++) {
    st_digest(leaves[i].hash, &i, sizeof(i));
    memcpy(leaves[i].key, leaves[i].hash, ST_LEAF_KEY);
    leaves[i].gone = false;
  }
}

/* The root over leaves that come in pieces of such lengths, each after the tree was planted by
 * those before, or all at once. */
static void root_of(struct fixture *f, const size_t *lengths, size_t count, bool at_once,
                    uint8_t root[ST_DIGEST_SIZE])
{
  static struct st_leaf leaves[LEAVES];
  struct st_leaf_piece pieces[8] = {0};
  struct st_state *s = st_state_new(f->c);
  size_t at = 0;

  make_leaves(leaves);
  ok(f, st_sql_exec(f->c, "SAVEPOINT tree", &f->err));
  for (size_t i = 0; i < count; i++) {
    st_leaves_divide(leaves + at, lengths[i], &pieces[i]);
    st_state_lend(s, &pieces[i]);
    if (!at_once)
      ok(f, st_state_root(s, root, &f->err));
    at += lengths[i];
  }
  assert_int_equal(at, LEAVES);
  ok(f, st_state_root(s, root, &f->err));
  ok(f, st_state_check(f->c, &f->err));
  ok(f, st_sql_exec(f->c, "ROLLBACK TO tree; RELEASE tree", &f->err));
  for (size_t i = 0; i < count; i++)
    st_leaf_piece_free(&pieces[i]);
  st_state_free(s);
}

static void test_lent(void **state)
{
  static const size_t one[] = {LEAVES}, some[] = {0, 1, 2999, 0, 2000}, few[] = {4990, 10};
  struct fixture *f = *state;
  uint8_t root[ST_DIGEST_SIZE], other[ST_DIGEST_SIZE];

  root_of(f, one, ST_COUNT(one), true, root);
  for (int at_once = 0; at_once < 2; at_once++) {
    root_of(f, some, ST_COUNT(some), at_once, other);
    assert_memory_equal(root, other, sizeof(root));
    root_of(f, few, ST_COUNT(few), at_once, other);
    assert_memory_equal(root, other, sizeof(root));
  }
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

#define JOBS 49 /* the last one is taken back, too */

struct counted {
  struct st_beside_job job; /* first */
  unsigned times;
};

static void count_one(struct st_beside_job *job)
{
  ((struct counted *)job)->times++;
}

static void test_jobs(void **state)
{
  (void)state;
  for (int now = 0; now < 2; now++) {
    for (int finished = 0; finished < 2; finished++) {
      struct st_beside *b = st_beside_new();
      struct counted jobs[JOBS] = {0};
      for (size_t i = 0; i < JOBS; i++) {
        jobs[i].job.run = count_one;
        st_beside_give(b, &jobs[i].job, now);
      }
      for (size_t i = 0; i < JOBS; i += 3) {
        st_beside_take_back(b, &jobs[i].job);
        assert_true(jobs[i].times <= (unsigned)now);
      }
      if (finished)
        st_beside_finish(b);
      for (size_t i = 0; i < JOBS; i++) {
        st_beside_take_back(b, &jobs[i].job);
        assert_true(jobs[i].times <= 1);
        assert_true(!finished || i % 3 == 0 || jobs[i].times == 1);
      }
      st_beside_free(b);
    }
  }
}

static void *do_nothing(void *arg)
{
  return arg;
}

int main(void)
{
  pthread_t first;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_several_pieces),
      cmocka_unit_test_setup_teardown(test_said_otherwise, setup, teardown),
      cmocka_unit_test_setup_teardown(test_taken_back, setup, teardown),
      cmocka_unit_test_setup_teardown(test_commit_fails, setup, teardown),
      cmocka_unit_test_setup_teardown(test_without_threads, setup, teardown),
      cmocka_unit_test_setup_teardown(test_lent, setup, teardown),
      cmocka_unit_test(test_jobs),
  };

  /* A sanitizer starts a thread of its own with the first one. */
  if (pthread_create(&first, NULL, do_nothing, NULL) == 0)
    pthread_join(first, NULL);
  return cmocka_run_group_tests_name("began", tests, NULL, NULL);
}
