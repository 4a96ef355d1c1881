/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-prune.c - which checkpoints are pruned; that nothing else can be told apart afterwards; and
 * that a pruned chain travels. */
#include "systracker/catalog/test-two.h"

#include <time.h>

#include "systracker/catalog/prune.h"

/* ---- Which -------------------------------------------------------------------------------------
 */

static void at_time(struct fixture *f, int64_t time)
{
  struct st_checkpoint cp;

  start(f);
  ok(f, st_catalog_commit(f->c, &f->keys, time, NULL, false, &cp, &f->err));
  st_checkpoint_clear(&cp);
}

static void at(struct fixture *f, const char *text)
{
  struct tm tm = {0};

  assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
  at_time(f, timegm(&tm));
}

/* The numbers that are kept, the newest first. */
static void assert_kept(struct fixture *f, const struct st_retention *keep, const char *expected)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  ST_CLEANUP(st_choices_free) struct st_choices choices = {0};

  ok(f, st_prune_choose(f->c, keep, NULL, 0, &choices, &f->err));
  for (size_t i = 0; i < choices.count; i++)
    if (choices.items[i].kept)
      st_buffer_printf(&text, "%lld ", (long long)choices.items[i].number);
  assert_string_equal(text.data, expected);
}

static void test_rules(void **state)
{
  struct fixture *f = *state;

  at(f, "2024-11-01 03:00"); /* 1 */
  at(f, "2025-12-27 03:00"); /* 2, a Saturday */
  at(f, "2025-12-28 03:00"); /* 3, a Sunday */
  at(f, "2025-12-29 03:00"); /* 4, a Monday */
  at(f, "2025-12-31 03:00"); /* 5 */
  at(f, "2025-12-31 23:59"); /* 6 */
  at(f, "2026-01-01 00:00"); /* 7, the same week */
  at(f, "2026-01-04 03:00"); /* 8, its Sunday */
  at(f, "2026-01-05 03:00"); /* 9 */
  at(f, "2026-03-01 03:00"); /* 10 */
  assert_kept(f, &(struct st_retention){.last = 1}, "10 1 ");
  assert_kept(f, &(struct st_retention){.last = 3}, "10 9 8 1 ");
  assert_kept(f, &(struct st_retention){.last = 1000}, "10 9 8 7 6 5 4 3 2 1 ");
  assert_kept(f, &(struct st_retention){.daily = 5}, "10 9 8 7 6 1 ");
  assert_kept(f, &(struct st_retention){.daily = 6}, "10 9 8 7 6 4 1 ");
  assert_kept(f, &(struct st_retention){.weekly = 4}, "10 9 8 3 1 ");
  assert_kept(f, &(struct st_retention){.monthly = 3}, "10 9 6 1 ");
  assert_kept(f, &(struct st_retention){.yearly = 2}, "10 6 1 ");
  assert_kept(f, &(struct st_retention){.yearly = 9}, "10 6 1 ");
  assert_kept(f, &(struct st_retention){.daily = 2, .monthly = 2, .yearly = 2}, "10 9 6 1 ");
}

static void test_clock_set_back(void **state)
{
  struct fixture *f = *state;

  at(f, "2026-01-01 03:00");
  at(f, "2026-01-02 03:00");
  at(f, "2026-01-01 04:00");
  at(f, "2026-01-02 04:00");
  assert_kept(f, &(struct st_retention){.daily = 9}, "4 3 1 ");
}

static void test_tags(void **state)
{
  struct fixture *f = *state;
  ST_CLEANUP(st_choices_free) struct st_choices choices = {0};
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_retention keep = {0};

  for (int i = 0; i < 5; i++)
    at_time(f, 1000000 + i);
  ok(f, st_catalog_tag(f->c, "good", 3, false, &f->err));
  st_strings_add(&keep.tags, "good");
  assert_kept(f, &keep, "5 3 1 ");
  st_strings_add(&keep.tags, "goood");
  assert_int_equal(st_prune_choose(f->c, &keep, NULL, 0, &choices, &err), -1);
  assert_int_equal(err.status, ST_EXIT_INCOMPLETE);
  assert_non_null(strstr(err.message, "'goood'") ? err.message : strstr(err.message, "goood"));
  st_strings_free(&keep.tags);
}

/* ---- What is read afterwards -------------------------------------------------------------------
 */

static int note_fact(void *arg, const struct st_fact_row *fact, UNUSED struct st_error *err)
{
  st_key_encode(st_full(fact->table), fact->values, arg);
  for (size_t i = fact->table->nkeys; i < fact->table->declaration.ncolumns; i++)
    st_cbor_value(arg, &fact->values[i]);
  return 0;
}

/* All facts at a checkpoint. */
static void facts_at(struct fixture *f, int64_t number, struct st_buffer *out)
{
  const struct st_catalog_table *t;

  for (size_t i = 0; (t = st_catalog_table_at(f->c, i)); i++)
    ok(f, st_catalog_each(f->c, number, t, NULL, note_fact, out, &f->err));
}

struct seen {
  struct st_buffer facts[CHECKPOINTS + 1];
  char *changes[CHECKPOINTS + 1][CHECKPOINTS + 1];
};

static void see(struct fixture *f, struct seen *s)
{
  for (int b = 1; b <= CHECKPOINTS; b++) {
    if (st_catalog_held(f->c, b) != ST_HELD)
      continue;
    facts_at(f, b, &s->facts[b]);
    for (int a = 0; a < b; a++)
      if (st_catalog_held(f->c, a) == ST_HELD)
        s->changes[a][b] = changes(f, a, b);
  }
}

static void forget(struct seen *s)
{
  for (int b = 0; b <= CHECKPOINTS; b++) {
    st_buffer_free(&s->facts[b]);
    for (int a = 0; a <= CHECKPOINTS; a++)
      free(s->changes[a][b]);
  }
}

static void compare(struct fixture *f, const struct seen *before, const struct seen *after)
{
  for (int b = 1; b <= CHECKPOINTS; b++) {
    if (st_catalog_held(f->c, b) != ST_HELD)
      continue;
    assert_int_equal(before->facts[b].length, after->facts[b].length);
    assert_memory_equal(before->facts[b].data, after->facts[b].data, after->facts[b].length);
    for (int a = 0; a < b; a++)
      if (st_catalog_held(f->c, a) == ST_HELD)
        assert_string_equal(before->changes[a][b], after->changes[a][b]);
  }
}

static int note_history(void *arg, int64_t number, const struct st_change *change,
                        struct st_error *err)
{
  struct st_buffer *text = arg;

  st_buffer_printf(text, "%lld", (long long)number);
  return note_change(text, change, err);
}

static int note_of_path(void *arg, const struct st_change *change, struct st_error *err)
{
  struct {
    struct st_buffer *text;
    struct st_value path;
    int64_t number;
  } *n = arg;
  const struct st_value *row = change->after ? change->after : change->before;

  if (!(change->declaration->flags & ST_TABLE_ENTRY) || st_value_compare(&row[0], &n->path) != 0)
    return 0;
  st_buffer_printf(n->text, "%lld", (long long)n->number);
  return note_change(n->text, change, err);
}

/* The history of a path is what differs between one that is kept and the next. */
static void check_history(struct fixture *f, const char *path)
{
  ST_AUTO_BUFFER told = ST_BUFFER_INIT, expected = ST_BUFFER_INIT;
  struct {
    struct st_buffer *text;
    struct st_value path;
    int64_t number;
  } n = {&expected, st_path_value(path), 0};

  ok(f, st_catalog_history(f->c, path, note_history, &told, &f->err));
  for (n.number = CHECKPOINTS; n.number > 0; n.number = st_catalog_before(f->c, n.number))
    ok(f, st_catalog_changes(f->c, st_catalog_before(f->c, n.number), n.number, note_of_path, &n,
                             &f->err));
  assert_string_equal(told.data ? told.data : "", expected.data ? expected.data : "");
}

static void assert_sound_own(struct fixture *f)
{
  int damage = 0;

  ok(f, st_catalog_verify(f->c, count_damage, &damage, &f->err));
  assert_int_equal(damage, 0);
}

/* Keeps those whose bit is set, the first and the latest. */
static struct st_prune_result prune(struct fixture *f, unsigned bits)
{
  ST_CLEANUP(st_choices_free) struct st_choices choices = {0};
  struct st_prune_result result;

  ok(f, st_prune_choose(f->c, &(struct st_retention){0}, NULL, 0, &choices, &f->err));
  for (size_t i = 0; i < choices.count; i++)
    if (bits >> choices.items[i].number & 1)
      choices.items[i].kept |= ST_KEPT_LAST;
  ok(f, st_catalog_prune(f->c, &choices, &result, &f->err));
  ok(f, st_catalog_prune_commit(f->c, &f->err));
  st_strings_free(&result.tags);
  return result;
}

static void check_prune(struct fixture *f, unsigned bits)
{
  static struct seen before, after;

  memset(&before, 0, sizeof(before));
  memset(&after, 0, sizeof(after));
  see(f, &before);
  prune(f, bits);
  see(f, &after);
  compare(f, &before, &after);
  for (int i = 0; i < 100; i++) {
    char path[64];
    snprintf(path, sizeof(path), "/etc/%c/%d", 'a' + i % 4, i / 4);
    check_history(f, path);
  }
  assert_sound_own(f);
  forget(&before);
  forget(&after);
}

static void test_reads_the_same(UNUSED void **state)
{
  static const unsigned bits[] = {0, 0x0aa, 0x554, 0x0f0, 0xfbe, 0x040, 0x7fe, 0xc30};

  for (size_t i = 0; i < ST_COUNT(bits); i++) {
    struct fixture f;
    fixture_open(&f);
    make_history(&f, (unsigned)i * 17 + 3);
    check_prune(&f, bits[i]);
    /* Again, with less; after it was opened anew. */
    reopen(&f, ST_CATALOG_WRITE);
    check_prune(&f, bits[i] & 0x0f0);
    /* And on from there. */
    unsigned seed = 99;
    start(&f);
    for (int n = 0; n < 20; n++)
      one_step(&f, &seed);
    commit(&f);
    assert_sound_own(&f);
    fixture_close(&f);
  }
}

/* What came and went in between leaves nothing, not even its path. */
static void test_leaves_nothing(void **state)
{
  struct fixture *f = *state;

  start(f);
  put_entry(f, "/etc/stays", "f", 1);
  put_entry(f, "/etc/flaps", "f", 1);
  commit(f);
  for (int i = 0; i < 3; i++) {
    start(f);
    put_entry(f, "/etc/came", "f", i);
    put_entry(f, "/etc/flaps", "f", 10 + i);
    commit(f);
    start(f);
    gone_entry(f, "/etc/came");
    put_entry(f, "/etc/flaps", "f", 1);
    commit(f);
  }
  prune(f, 1u << 5);
  assert_int_equal(stored_rows(f, "fake_entry"), 2);
  assert_int_equal(stored_rows(f, "path"), 2);
  assert_changes(f, 1, 7, "");
  assert_sound_own(f);
}

static void test_answers(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  int64_t n;

  for (int i = 0; i < 6; i++)
    at_time(f, 1000000 + i * 86400);
  ok(f, st_catalog_tag(f->c, "mine", 3, false, &f->err));
  prune(f, 1u << 4);
  assert_int_equal(st_catalog_resolve(f->c, "3", &n, &err) < 0, 1);
  assert_non_null(strstr(err.message, "was pruned"));
  st_error_clear(&err);
  assert_int_equal(st_catalog_resolve(f->c, "mine", &n, &err) < 0, 1);
  ok(f, st_catalog_resolve(f->c, "latest~1", &n, &f->err));
  assert_int_equal(n, 4);
  ok(f, st_catalog_resolve(f->c, "latest~2", &n, &f->err));
  assert_int_equal(n, 1);
  st_error_clear(&err);
  assert_int_equal(st_catalog_resolve(f->c, "latest~3", &n, &err) < 0, 1);
  ok(f, st_catalog_resolve(f->c, "baseline", &n, &f->err));
  assert_int_equal(n, 1);
  ok(f, st_catalog_resolve(f->c, "1970-01-16", &n, &f->err)); /* 5 was made then */
  assert_int_equal(n, 4);
}

/* A reader that was open before answers as one that comes after. */
static void test_reader(void **state)
{
  struct fixture *f = *state;
  ST_CLEANUP(st_catalog_closep) struct st_catalog *reader = NULL;
  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_value key = st_path_value("/etc/came");

  for (int i = 0; i < 3; i++) {
    start(f);
    if (i == 1)
      put_entry(f, "/etc/came", "f", 1);
    else
      gone_entry(f, "/etc/came");
    commit(f);
  }
  ok(f, st_catalog_open(&reader, f->fd, f->keys.host_id, ST_CATALOG_READ, &f->err));
  const struct st_catalog_table *t = st_catalog_table(reader, "fake_entry");
  ok(f, st_catalog_fact(reader, 2, t, &key, &fact, &f->err));
  assert_true(fact->present);
  st_fact_free(st_steal(&fact));
  prune(f, 0);
  start(f);
  put_entry(f, "/etc/other", "f", 2); /* its path may have the number of the other now */
  commit(f);
  assert_int_equal(st_catalog_fact(reader, 2, t, &key, &fact, &err) < 0, 1);
  assert_non_null(strstr(err.message, "was pruned"));
  ok(f, st_catalog_fact(reader, 4, t, &key, &fact, &f->err));
  assert_false(fact->present);
}

static void test_undone(void **state)
{
  struct fixture *f = *state;
  ST_CLEANUP(st_choices_free) struct st_choices choices = {0};
  struct st_prune_result result;

  make_history(f, 8);
  int64_t rows = stored_rows(f, "fake_entry");
  ok(f, st_prune_choose(f->c, &(struct st_retention){0}, NULL, 0, &choices, &f->err));
  ok(f, st_catalog_prune(f->c, &choices, &result, &f->err));
  st_prune_result_free(&result);
  assert_true(stored_rows(f, "fake_entry") < rows);
  st_catalog_prune_undo(f->c);
  assert_int_equal(stored_rows(f, "fake_entry"), rows);
  assert_int_equal(st_catalog_held(f->c, 5), ST_HELD);
  assert_sound_own(f);
}

static void test_refuses_ends(void **state)
{
  struct fixture *f = *state;
  struct st_choice items[] = {{2, 0, 0}, {1, 0, ST_KEPT_BASELINE}};
  struct st_choices choices = {items, 2};
  struct st_prune_result result;
  ST_AUTO_ERROR err = ST_ERROR_INIT;

  at_time(f, 1);
  at_time(f, 2);
  assert_int_equal(st_catalog_prune(f->c, &choices, &result, &err), -1);
  assert_int_equal(st_catalog_held(f->c, 2), ST_HELD);
}

/* ---- Elsewhere ---------------------------------------------------------------------------------
 */

/* As sync does: each that is here, on what is there. */
static void bring(struct two *t)
{
  int64_t latest = st_catalog_latest(t->own.c);

  for (int64_t n = 1; n <= latest; n++) {
    ST_AUTO_CHANGESET set = {0};
    int64_t there = st_catalog_latest(t->copy);
    if (n <= there || st_catalog_held(t->own.c, n) != ST_HELD)
      continue;
    ok(&t->own, st_changeset_read_after(t->own.c, there, n, &set, &t->own.err));
    ok(&t->own, st_catalog_apply(t->copy, &set, &t->own.err));
  }
}

static void assert_same_kept(struct two *t)
{
  for (int64_t b = 1; b <= CHECKPOINTS; b++)
    for (int64_t a = 0; a < b; a++) {
      if (st_catalog_held(t->own.c, a) != ST_HELD || st_catalog_held(t->own.c, b) != ST_HELD)
        continue;
      ST_AUTO_FREE char *own = changes_of(t, t->own.c, a, b);
      ST_AUTO_FREE char *copy = changes_of(t, t->copy, a, b);
      assert_string_equal(own, copy);
    }
}

static void test_to_nothing(void **state)
{
  struct two *t = *state;

  make_history(&t->own, 5);
  prune(&t->own, 0x490);
  bring(t);
  assert_sound(t);
  assert_same_kept(t);
  assert_int_equal(st_catalog_held(t->copy, 5), ST_PRUNED);
}

/* What is there keeps its own, whether its latest is still kept here or not. */
static void test_to_what_has_more(void **state)
{
  struct two *t = *state;

  make_history(&t->own, 6);
  for (int64_t n = 1; n <= 7; n++)
    ok(&t->own, send(t, n, &t->own.err));
  prune(&t->own, 0x210);
  bring(t);
  assert_sound(t);
  assert_same_kept(t);
  for (int64_t n = 1; n <= 7; n++)
    assert_int_equal(st_catalog_held(t->copy, n), ST_HELD);
  assert_int_equal(st_catalog_held(t->copy, 8), ST_PRUNED);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
      cmocka_unit_test_setup_teardown(test_clock_set_back, setup, teardown),
      cmocka_unit_test_setup_teardown(test_tags, setup, teardown),
      cmocka_unit_test(test_reads_the_same),
      cmocka_unit_test_setup_teardown(test_leaves_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
      cmocka_unit_test_setup_teardown(test_reader, setup, teardown),
      cmocka_unit_test_setup_teardown(test_undone, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refuses_ends, setup, teardown),
      TWO(test_to_nothing),
      TWO(test_to_what_has_more),
  };

  setenv("TZ", "UTC", 1);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
