/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-two.h - a host's catalog with a made-up history, and a copy of it elsewhere. */
#ifndef ST_CATALOG_TEST_TWO_H
#define ST_CATALOG_TEST_TWO_H

#include "systracker/catalog/test-support.h"

#define CHECKPOINTS 12

/* The host's own catalog, and a copy elsewhere. */
struct two {
  struct fixture own;
  char dir[128];
  int fd;
  struct st_catalog *copy;
};

static UNUSED void open_copy(struct two *t)
{
  st_catalog_close(t->copy);
  t->copy = NULL;
  ok(&t->own, st_catalog_open(&t->copy, t->fd, t->own.keys.host_id,
                              ST_CATALOG_WRITE | ST_CATALOG_REPLICA, &t->own.err));
}

static UNUSED int setup_two(void **state)
{
  struct two *t = st_calloc(1, sizeof(*t));
  const char *tmp = getenv("TMPDIR");

  fixture_open(&t->own);
  snprintf(t->dir, sizeof(t->dir), "%s/test-apply.XXXXXX", tmp ? tmp : "/tmp");
  assert_non_null(mkdtemp(t->dir));
  t->fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  open_copy(t);
  *state = t;
  return 0;
}

static UNUSED int teardown_two(void **state)
{
  struct two *t = *state;

  st_catalog_close(t->copy);
  remove_below(t->fd);
  rmdir(t->dir);
  fixture_close(&t->own);
  free(t);
  return 0;
}

/* ---- A history ---------------------------------------------------------------------------------
 */

static UNUSED unsigned dice(unsigned *seed, unsigned sides)
{
  *seed = *seed * 1103515245u + 12345u;
  return (*seed >> 16) % sides;
}

/* A row with the column that comes later; a table without it does not look at that. */
static UNUSED void put_full(struct fixture *f, const char *path, int64_t mode)
{
  struct st_value row[] = {st_path_value(path), st_text_value("f"), st_integer(mode),
                           st_null(),           st_null(),          st_integer(mode + 7)};

  ok(f, st_catalog_put(f->c, table(f, "fake_entry"), row, &f->err));
}

static UNUSED void one_step(struct fixture *f, unsigned *seed)
{
  char path[64], version[16];

  snprintf(path, sizeof(path), "/etc/%c/%u", 'a' + (char)dice(seed, 4), dice(seed, 25));
  snprintf(version, sizeof(version), "%u", dice(seed, 3));
  switch (dice(seed, 4)) {
  case 0:
    gone_entry(f, path);
    break;
  case 1:
    put_package(f, path, version, NULL);
    break;
  default:
    put_full(f, path, dice(seed, 3));
  }
}

static const struct st_column more_columns[] = {
    {"path", ST_PATH, ST_KEY},       {"type", ST_TEXT, 0},    {"mode", ST_INTEGER, ST_AS_MODE},
    {"mtime", ST_INTEGER, ST_QUIET}, {"target", ST_BYTES, 0}, {"flags", ST_INTEGER, 0},
};
static const struct st_table more_tables[] = {
    {"entry", ST_TABLE_ENTRY, ST_COUNT(more_columns), more_columns},
    {"another", ST_TABLE_ENTRY, 2, file_columns},
    {0},
};

/* Puts a column and a table to what was declared, half way. */
static UNUSED void make_history(struct fixture *f, unsigned seed)
{
  for (int n = 1; n <= CHECKPOINTS; n++) {
    if (n == CHECKPOINTS / 2)
      ok(f, st_catalog_declare(f->c, "fake", more_tables, &f->err));
    start(f);
    for (int i = 0; n != 4 && i < 40; i++)
      one_step(f, &seed);
    if (n == 3)
      ok(f, st_catalog_tag(f->c, "good", ST_LIVE, false, &f->err));
    if (n == 5)
      ok(f, st_catalog_untag(f->c, "good", &f->err));
    if (n == 6)
      ok(f, st_catalog_tag(f->c, "better", 2, false, &f->err));
    commit(f);
  }
}

static UNUSED int send(struct two *t, int64_t number, struct st_error *err)
{
  ST_AUTO_CHANGESET set = {0};

  ok(&t->own, st_changeset_read(t->own.c, number, &set, &t->own.err));
  return st_catalog_apply(t->copy, &set, err);
}

static UNUSED void send_all(struct two *t)
{
  for (int64_t n = st_catalog_latest(t->copy) + 1; n <= st_catalog_latest(t->own.c); n++)
    ok(&t->own, send(t, n, &t->own.err));
}

static UNUSED void count_damage(void *arg, const char *words)
{
  print_message("%s\n", words);
  ++*(int *)arg;
}

static UNUSED void assert_sound(struct two *t)
{
  int damage = 0;

  ok(&t->own, st_catalog_verify(t->copy, count_damage, &damage, &t->own.err));
  assert_int_equal(damage, 0);
}

static UNUSED char *changes_of(struct two *t, struct st_catalog *c, int64_t a, int64_t b)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;

  ok(&t->own, st_catalog_changes(c, a, b, note_change, &text, &t->own.err));
  return st_buffer_steal(&text, NULL);
}

static UNUSED void assert_same(struct two *t)
{
  int64_t latest = st_catalog_latest(t->own.c);

  assert_int_equal(st_catalog_latest(t->copy), latest);
  for (int64_t b = 1; b <= latest; b++) {
    struct st_checkpoint x, y;
    for (int64_t a = 0; a < b; a += 1 + a / 3) {
      ST_AUTO_FREE char *own = changes_of(t, t->own.c, a, b);
      ST_AUTO_FREE char *copy = changes_of(t, t->copy, a, b);
      assert_string_equal(own, copy);
    }
    ok(&t->own, st_catalog_checkpoint(t->own.c, b, &x, &t->own.err));
    ok(&t->own, st_catalog_checkpoint(t->copy, b, &y, &t->own.err));
    assert_memory_equal(x.state_root, y.state_root, ST_DIGEST_SIZE);
    assert_memory_equal(x.header_digest, y.header_digest, ST_DIGEST_SIZE);
    assert_int_equal(x.begun, y.begun);
    assert_int_equal(x.ended, y.ended);
    assert_int_equal(!x.tags, !y.tags);
    st_checkpoint_clear(&x);
    st_checkpoint_clear(&y);
  }
}

static UNUSED void refused(struct two *t, const struct st_changeset *set)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER before = ST_BUFFER_INIT, after = ST_BUFFER_INIT;
  int64_t latest = st_catalog_latest(t->copy);

  st_tables_encode(t->copy, INT64_MAX - 1, &before);
  assert_int_equal(st_catalog_apply(t->copy, set, &err), -1);
  assert_non_null(err.message);
  assert_int_equal(st_catalog_latest(t->copy), latest);
  st_tables_encode(t->copy, INT64_MAX - 1, &after);
  assert_int_equal(before.length, after.length);
  assert_memory_equal(before.data, after.data, after.length);
}

#define TWO(f) cmocka_unit_test_setup_teardown(f, setup_two, teardown_two)

#endif
