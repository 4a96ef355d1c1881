/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-readahead.c - manifests that are read before they are asked for: each once, not too many,
 * and what cannot be read is said as it is without.
 */
#include "systracker/catalog/test-support.h"

#include <pthread.h>

#define MANY 40

/* What the store is to the tracker; `damaged` cannot be read, `reads` are counted. */
static struct {
  struct st_id id;
  struct st_buffer data;
} objects[MANY];
static const struct st_id *damaged;
static int reads;

static int get_object(UNUSED void *arg, const struct st_id *id, struct st_buffer *out,
                      struct st_error *err)
{
  __atomic_add_fetch(&reads, 1, __ATOMIC_SEQ_CST);
  for (size_t i = 0; i < MANY; i++)
    if (st_id_equal(&objects[i].id, id) && id != damaged &&
        !(damaged && st_id_equal(id, damaged))) {
      st_buffer_append(out, objects[i].data.data, objects[i].data.length);
      return 0;
    }
  return st_fail(err, 0, "it is damaged");
}

static int reads_now(void)
{
  return __atomic_load_n(&reads, __ATOMIC_SEQ_CST);
}

static char *path_of(int i)
{
  return st_format("/usr/share/p%02d", i);
}

/* A package with one path, of its own mode. */
static void install(struct fixture *f, int i)
{
  ST_CLEANUP(st_manifest_freep) struct st_manifest *m = st_manifest_new(f->c, false);
  ST_AUTO_FREE char *path = path_of(i), *name = st_format("p%02d", i);
  struct st_value row[] = {st_path_value(path), st_text_value("f"), st_integer(i + 1)};
  struct st_buffer *data = &objects[i].data;

  ok(f, st_expect(m, "fake_entry", row, ST_COUNT(row), &f->err));
  st_buffer_clear(data);
  ok(f, st_manifest_encode(m, data, &f->err));
  st_id_of(&objects[i].id, NULL, data->data, data->length);
  ok(f, st_catalog_learn_manifest(f->c, &objects[i].id, data->data, data->length, &f->err));
  put_package(f, name, "1", &objects[i].id);
  assert_int_equal(put_entry(f, path, "f", i + 1), 0);
}

/* A catalog in which all are installed and none is read, and a scan of it. */
static void begin(struct fixture *f, enum st_catalog_flags flags, size_t most)
{
  const struct st_catalog_objects callbacks = {get_object, NULL};

  start(f);
  for (int i = 0; i < MANY; i++)
    install(f, i);
  commit(f);
  reopen(f, flags);
  st_catalog_set_objects(f->c, &callbacks);
  declare(f);
  f->c->reads_ahead = most; /* on one processor, too */
  reads = 0;
  damaged = NULL;
  start(f);
}

static void name_all(struct fixture *f)
{
  for (int i = 0; i < MANY; i++) {
    ST_AUTO_FREE char *path = path_of(i);
    st_catalog_soon(f->c, path);
    st_catalog_soon(f->c, path);
  }
  st_catalog_soon(f->c, "/usr/share/nobody's");
}

static void ask(struct fixture *f, int i)
{
  ST_AUTO_FREE char *path = path_of(i);

  assert_int_equal(mode_at(f, ST_LIVE, path), i + 1);
}

static void test_each_once(void **state)
{
  for (int flags = ST_CATALOG_READ; flags <= ST_CATALOG_WRITE; flags++) {
    struct fixture *f = *state;
    begin(f, flags, SIZE_MAX);
    name_all(f);
    for (int i = 0; i < MANY; i++)
      ask(f, i);
    assert_int_equal(reads_now(), MANY);
    name_all(f); /* nothing is left to be read */
    assert_null(f->c->manifests.items[0].job);
    st_catalog_rollback(f->c);
    teardown(state);
    setup(state);
  }
}

/* In another order than they were named in, and some of them never. */
static void test_other_order(void **state)
{
  struct fixture *f = *state;

  begin(f, ST_CATALOG_WRITE, SIZE_MAX);
  name_all(f);
  for (int i = MANY; i-- > MANY / 2;)
    ask(f, i);
  assert_in_range(reads_now(), MANY / 2, MANY);
  assert_int_equal(put_entry(f, "/usr/share/p00", "f", 1), 0);
  assert_int_equal(put_entry(f, "/usr/share/p01", "f", 99), 1);
  commit(f);
  assert_int_equal(mode_at(f, 2, "/usr/share/p00"), 1);
  assert_int_equal(mode_at(f, 2, "/usr/share/p01"), 99);
}

/* With room for one byte, one manifest at most is there that nobody has asked for. */
static void test_bounded(void **state)
{
  struct fixture *f = *state;

  begin(f, ST_CATALOG_WRITE, 1);
  name_all(f);
  for (int i = 0; i < MANY; i++) {
    assert_in_range(reads_now(), i, i + 1);
    ask(f, i);
  }
  assert_int_equal(reads_now(), MANY);
}

static void test_damaged(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_FREE char *without = NULL;
  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
  struct st_value key = st_path_value("/usr/share/p07");

  begin(f, ST_CATALOG_WRITE, SIZE_MAX);
  damaged = &objects[7].id;
  assert_true(st_catalog_fact(f->c, ST_LIVE, table(f, "fake_entry"), &key, &fact, &f->err) < 0);
  without = st_strdup(st_error_text(&f->err));
  st_error_clear(&f->err);
  name_all(f);
  for (int i = 0; i < MANY; i++) {
    if (i != 7)
      ask(f, i);
    else
      assert_true(st_catalog_fact(f->c, ST_LIVE, table(f, "fake_entry"), &key, &fact, &f->err) < 0);
  }
  assert_string_equal(st_error_text(&f->err), without);
  assert_non_null(strstr(without, "it is damaged"));
  st_error_clear(&f->err);
  damaged = NULL;
  ask(f, 7);
}

/* Outside of a scan, and where nothing may be read ahead, nothing is. */
static void test_not(void **state)
{
  struct fixture *f = *state;

  begin(f, ST_CATALOG_WRITE, 0);
  name_all(f);
  assert_null(f->c->readahead);
  f->c->reads_ahead = SIZE_MAX;
  st_catalog_rollback(f->c);
  name_all(f);
  assert_null(f->c->readahead);
  assert_int_equal(reads_now(), 0);
}

static int teardown_objects(void **state)
{
  for (size_t i = 0; i < MANY; i++)
    st_buffer_free(&objects[i].data);
  return teardown(state);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown_objects)
  const struct CMUnitTest tests[] = {
      test(test_each_once), test(test_other_order), test(test_bounded),
      test(test_damaged),   test(test_not),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
