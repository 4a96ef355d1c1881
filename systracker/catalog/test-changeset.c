/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-changeset.c - bodies: the same bytes each time, read back whole, and hostile ones refused.
 */
#include "systracker/catalog/test-support.h"

static const struct st_catalog_table *known_table(void *arg, const char *name)
{
  struct fixture *f = arg;

  return st_catalog_table(f->c, name);
}

static int note_row(void *arg, const struct st_body_row *row, UNUSED struct st_error *err)
{
  struct st_buffer *text = arg;

  st_buffer_printf(text, "%c%s:", !row->begun ? '-' : row->absent ? '0' : '+', row->table->name);
  st_buffer_append(text, row->values[0].u.bytes.data, row->values[0].u.bytes.length);
  if (row->begun && row->table->declaration.ncolumns > 2 && row->values[2].type == ST_INTEGER)
    st_buffer_printf(text, "=%lld", (long long)row->values[2].u.integer);
  st_buffer_append_byte(text, ' ');
  return 0;
}

struct reading {
  struct fixture *f;
  struct st_buffer text;
};

static const struct st_catalog_table *reading_table(void *arg, const char *name)
{
  return known_table(((struct reading *)arg)->f, name);
}

static int reading_row(void *arg, const struct st_body_row *row, struct st_error *err)
{
  return note_row(&((struct reading *)arg)->text, row, err);
}

static int read_body(struct fixture *f, const void *data, size_t length, struct st_buffer *text)
{
  struct reading r = {.f = f};

  st_error_clear(&f->err);
  int result = st_body_read(data, length, reading_table, reading_row, &r, &f->err);
  st_buffer_append(text, r.text.data ? r.text.data : "", r.text.length);
  st_buffer_free(&r.text);
  return result;
}

static void assert_body(struct fixture *f, int64_t number, const char *expected)
{
  ST_AUTO_BUFFER body = ST_BUFFER_INIT, text = ST_BUFFER_INIT;

  ok(f, st_changeset_body(f->c, number, &body, &f->err));
  ok(f, read_body(f, body.data, body.length, &text));
  assert_string_equal(text.data ? text.data : "", expected);
}

static void make_two(struct fixture *f)
{
  start(f);
  put_entry(f, "/b", "f", 1);
  put_entry(f, "/a/x", "f", 1);
  put_entry(f, "/a-x", "f", 1);
  put_package(f, "tool", "1", NULL);
  commit(f);
  start(f);
  gone_entry(f, "/a-x");
  gone_entry(f, "/a/x");
  put_entry(f, "/b", "f", 2);
  put_entry(f, "/\xff", "f", 3);
  commit(f);
}

static void test_round_trip(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER before = ST_BUFFER_INIT, after = ST_BUFFER_INIT;

  make_two(f);
  assert_body(f, 1, "+fake_entry:/a-x=1 +fake_entry:/a/x=1 +fake_entry:/b=1 +fake_package:tool ");
  assert_body(f, 2, "-fake_entry:/a-x -fake_entry:/a/x +fake_entry:/b=2 +fake_entry:/\xff=3 ");
  ok(f, st_changeset_body(f->c, 2, &before, &f->err));
  start(f);
  gone_entry(f, "/b");
  put_entry(f, "/a-x", "f", 9);
  commit(f);
  reopen(f, ST_CATALOG_READ);
  ok(f, st_changeset_body(f->c, 2, &after, &f->err));
  assert_int_equal(before.length, after.length);
  assert_memory_equal(before.data, after.data, after.length);
  assert_true(st_changeset_body(f->c, 9, &after, &f->err) < 0);

  start(f);
  st_catalog_rollback(f->c);
}

static void test_nothing_is_nothing(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;

  make_two(f);
  start(f);
  commit(f);
  ok(f, st_changeset_body(f->c, 3, &body, &f->err));
  assert_int_equal(body.length, 0);
  assert_body(f, 3, "");
}

/* Cut anywhere: refused, but where a row ends. */
static void test_truncated(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  size_t taken = 0;

  make_two(f);
  ok(f, st_changeset_body(f->c, 2, &body, &f->err));
  for (size_t n = 1; n < body.length; n++) {
    ST_AUTO_BUFFER text = ST_BUFFER_INIT;
    ST_AUTO_FREE char *exact = st_malloc(n); /* so that a read past its end is found */
    memcpy(exact, body.data, n);
    taken += read_body(f, exact, n, &text) == 0;
  }
  assert_int_equal(taken, 3);
}

static void test_any_byte(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;

  make_two(f);
  ok(f, st_changeset_body(f->c, 1, &body, &f->err));
  for (size_t at = 0; at < body.length; at++)
    for (int bit = 0; bit < 8; bit++) {
      ST_AUTO_BUFFER text = ST_BUFFER_INIT;
      body.data[at] ^= (char)(1 << bit);
      read_body(f, body.data, body.length, &text); /* refused or not: nothing worse */
      body.data[at] ^= (char)(1 << bit);
    }
}

static void assert_refused(struct fixture *f, const struct st_buffer *body, const char *words)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;

  if (read_body(f, body->data, body->length, &text) == 0)
    fail_msg("taken, though: %s", words);
  if (!strstr(st_error_text(&f->err), words))
    fail_msg("\"%s\" does not say \"%s\"", st_error_text(&f->err), words);
}

static void add_table(struct st_buffer *out, const char *name)
{
  st_cbor_array(out, 1);
  st_cbor_string(out, name);
}

static void add_ended(struct st_buffer *out, const char *path)
{
  st_cbor_array(out, 2);
  st_cbor_integer(out, 0);
  st_cbor_bytes(out, path, strlen(path));
}

static void add_begun(struct st_buffer *out, const char *path, bool absent, int values)
{
  st_cbor_array(out, 3 + (uint64_t)values);
  st_cbor_integer(out, 1);
  st_cbor_bytes(out, path, strlen(path));
  st_cbor_bool(out, absent);
  for (int i = 0; i < values; i++)
    i == 0 ? st_cbor_string(out, "f") : st_cbor_null(out);
}

static void test_not_canonical(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;

  add_ended(&b, "/a");
  assert_refused(f, &b, "a row of no table");
  st_buffer_clear(&b);
  add_table(&b, "fake_entry");
  assert_refused(f, &b, "without rows");
  add_table(&b, "fake_file");
  assert_refused(f, &b, "without rows");
  st_buffer_clear(&b);
  add_table(&b, "no_such");
  assert_refused(f, &b, "not declared");
  st_buffer_clear(&b);
  add_table(&b, "fake_entry");
  add_ended(&b, "/b");
  add_ended(&b, "/a");
  assert_refused(f, &b, "not in order");
  st_buffer_clear(&b);
  add_table(&b, "fake_entry");
  add_begun(&b, "/b", false, 1);
  add_ended(&b, "/c");
  assert_refused(f, &b, "not in order");
  st_buffer_clear(&b);
  add_table(&b, "fake_entry");
  add_ended(&b, "/c");
  add_table(&b, "core_tag");
  assert_refused(f, &b, "not in order");
  st_buffer_clear(&b);
  add_table(&b, "fake_entry");
  add_begun(&b, "/b", false, 2);
  assert_refused(f, &b, "longer than it has to be");
  st_buffer_clear(&b);
  add_table(&b, "fake_entry");
  add_begun(&b, "/b", true, 1);
  assert_refused(f, &b, "longer than it has to be");
  st_buffer_clear(&b);
  add_table(&b, "fake_entry");
  add_begun(&b, "/b", false, 60);
  assert_refused(f, &b, "wrong form");
  st_buffer_clear(&b);
  st_buffer_append(&b, "\x9b\xff\xff\xff\xff\xff\xff\xff\xff", 9); /* 2^64 - 1 items */
  assert_refused(f, &b, "");
}

static void test_declarations(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER one = ST_BUFFER_INIT, again = ST_BUFFER_INIT;
  static const struct st_column columns[] = {{"k", ST_TEXT, ST_KEY}};
  static const struct st_table more[] = {{"more", 0, 1, columns}, {0}};

  make_two(f);
  ok(f, st_changeset_declarations(f->c, 2, &one, &f->err));
  ok(f, st_catalog_declare(f->c, "other", more, &f->err));
  ok(f, st_changeset_declarations(f->c, 2, &again, &f->err));
  assert_int_equal(one.length, again.length);
  assert_memory_equal(one.data, again.data, one.length);
  st_buffer_clear(&again);
  ok(f, st_changeset_declarations(f->c, 3, &again, &f->err));
  assert_true(again.length > one.length);
}

/* ---- The first one ----------------------------------------------------------------------------
 */

#define PATHS 1500 /* more than are hashed at a time */

/* Above "a" there is what is in it, and "a-b", which comes between both. */
static void nth_path(char out[64], unsigned n)
{
  static const char *const forms[] = {"/d%u", "/d%u/x", "/d%u-x", "/d%u/x/y", "/d%u.x"};

  snprintf(out, 64, forms[n % 5], n / 5);
}

/* Nearly in order, as a scan tells; the other way; in no order. */
static unsigned place(unsigned how, unsigned n)
{
  return how == 0 ? n : how == 1 ? PATHS - 1 - n : n * 701 % PATHS;
}

/* What is hashed out of memory, by several threads, is what is read back. */
static void assert_as_stored(struct fixture *f, const struct st_checkpoint *cp)
{
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  uint8_t digest[ST_DIGEST_SIZE];
  sqlite3_stmt *s = st_sql_prepare(f->c, "SELECT body FROM checkpoint WHERE number = 1", &f->err);

  assert_non_null(s);
  assert_int_equal(st_sql_step(f->c, s, &f->err), 1);
  ok(f, st_changeset_body(f->c, 1, &body, &f->err));
  st_digest(digest, body.data, body.length);
  assert_int_equal(sqlite3_column_bytes(s, 0), ST_DIGEST_SIZE);
  assert_memory_equal(sqlite3_column_blob(s, 0), digest, ST_DIGEST_SIZE);
  sqlite3_finalize(s);
  ok(f, st_state_compute(f->c, 1, digest, &f->err));
  assert_memory_equal(cp->state_root, digest, ST_DIGEST_SIZE);
  ok(f, st_state_check(f->c, &f->err));
}

static void put_file(struct fixture *f, const char *path, unsigned n)
{
  struct st_id id = {.digest = {(uint8_t)n, (uint8_t)(n >> 8)}};
  struct st_value row[] = {st_path_value(path), st_id_value(&id)};

  ok(f, st_catalog_put(f->c, table(f, "fake_file"), row, &f->err));
}

static void test_first(void **state)
{
  struct fixture f;
  char path[64];

  (void)state;
  for (unsigned how = 0; how < 3; how++) {
    fixture_open(&f);
    start(&f);
    for (unsigned n = 0; n < PATHS; n++) {
      nth_path(path, place(how, n));
      put_entry(&f, path, "f", (int64_t)n * n * n);
      put_file(&f, path, place(how, n));
    }
    put_package(&f, "tool", "1", NULL);
    struct st_checkpoint cp = commit(&f);
    assert_int_equal(cp.begun, 2 * PATHS + 1);
    assert_as_stored(&f, &cp);
    fixture_close(&f);
  }
}

/* Rows that are not in memory, and more of them than are held. */
static void test_first_long(void **state)
{
  static const struct st_column columns[] = {{"name", ST_TEXT, ST_KEY}, {"words", ST_TEXT, 0}};
  static const struct st_table tables[] = {{"words", 0, ST_COUNT(columns), columns}, {0}};
  struct fixture *f = *state;
  ST_AUTO_FREE char *words = st_malloc(65536);

  memset(words, 'x', 65535);
  words[65535] = 0;
  ok(f, st_catalog_declare(f->c, "able", tables, &f->err));
  ok(f, st_catalog_declare(f->c, "zebra", tables, &f->err));
  start(f);
  for (char name[] = "a"; *name <= 'z'; ++*name) {
    for (char second[] = {*name, 'a', 0}; second[1] <= 'd'; second[1]++) {
      struct st_value row[] = {st_text_value(second), st_text_value(words)};
      ok(f, st_catalog_put(f->c, table(f, "able_words"), row, &f->err));
      ok(f, st_catalog_put(f->c, table(f, "zebra_words"), row, &f->err));
      put_entry(f, second, "f", *name);
    }
  }
  struct st_checkpoint cp = commit(f);
  assert_as_stored(f, &cp);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
      cmocka_unit_test_setup_teardown(test_nothing_is_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown(test_truncated, setup, teardown),
      cmocka_unit_test_setup_teardown(test_any_byte, setup, teardown),
      cmocka_unit_test_setup_teardown(test_not_canonical, setup, teardown),
      cmocka_unit_test_setup_teardown(test_declarations, setup, teardown),
      cmocka_unit_test(test_first),
      cmocka_unit_test_setup_teardown(test_first_long, setup, teardown),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
