/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-snapshot.c - checkpoints that are passed over: what is here is as it was, what is not is
 * said in words, and the state root proves the rest. */
#include "systracker/catalog/test-two.h"

static int take(struct two *t, struct st_catalog *from, struct st_catalog *to, int64_t number,
                struct st_error *err)
{
  ST_AUTO_CHANGESET set = {0};

  ok(&t->own, st_changeset_read_after(from, st_catalog_latest(to), number, &set, &t->own.err));
  return st_catalog_apply(to, &set, err);
}

static void assert_sound_in(struct two *t, struct st_catalog *c)
{
  int damage = 0;

  ok(&t->own, st_catalog_verify(c, count_damage, &damage, &t->own.err));
  assert_int_equal(damage, 0);
}

static bool is_here(struct st_catalog *c, int64_t number)
{
  return number == 0 || st_catalog_held(c, number) == ST_HELD;
}

/* All that is here is the same; whatever else is asked for is refused, and says so. */
static void assert_as_far(struct two *t, struct st_catalog *c)
{
  int64_t latest = st_catalog_latest(c);

  for (int64_t b = 1; b <= latest; b++)
    for (int64_t a = 0; a < b; a++) {
      ST_AUTO_BUFFER text = ST_BUFFER_INIT;
      ST_AUTO_ERROR err = ST_ERROR_INIT;
      int r = st_catalog_changes(c, a, b, note_change, &text, &err);

      assert_int_equal(r, is_here(c, a) && is_here(c, b) ? 0 : -1);
      if (r < 0)
        assert_non_null(strstr(st_error_text(&err), "the facts of checkpoint"));
      ST_AUTO_FREE char *own = changes_of(t, t->own.c, a, b);
      if (r == 0)
        assert_string_equal(own, text.data ? text.data : "");
    }
}

static void test_one_alone(void **state)
{
  struct two *t = *state;

  make_history(&t->own, 4);
  for (int64_t n = 1; n <= CHECKPOINTS; n += 3) {
    struct st_checkpoint cp;
    remove_below(openat(t->fd, "hosts", O_RDONLY | O_DIRECTORY));
    open_copy(t);
    ok(&t->own, take(t, t->own.c, t->copy, n, &t->own.err));
    assert_int_equal(st_catalog_latest(t->copy), n);
    assert_int_equal(st_catalog_before(t->copy, n), 0);
    assert_as_far(t, t->copy);
    open_copy(t);
    assert_as_far(t, t->copy);
    assert_sound(t);
    for (int64_t k = 1; k <= n; k++) { /* headers are all there */
      ok(&t->own, st_catalog_checkpoint(t->copy, k, &cp, &t->own.err));
      assert_int_equal(cp.held, k == n ? ST_HELD : ST_NOT_FETCHED);
      assert_int_equal(cp.time, 1000000 + k * 86400);
      st_checkpoint_clear(&cp);
    }
  }
}

static int count_one(void *arg, UNUSED int64_t number, UNUSED const struct st_change *change,
                     UNUSED struct st_error *err)
{
  ++*(int *)arg;
  return 0;
}

/* The whole history of a path that a snapshot has would be "it began with it", which is not so. */
static void test_words(void **state)
{
  struct two *t = *state;
  int64_t number;
  int count = 0;

  start(&t->own);
  put_full(&t->own, "/old", 1);
  commit(&t->own);
  start(&t->own);
  ok(&t->own, st_catalog_tag(t->own.c, "named", 1, false, &t->own.err));
  commit(&t->own);
  start(&t->own);
  put_full(&t->own, "/old", 2);
  commit(&t->own);
  ok(&t->own, take(t, t->own.c, t->copy, 2, &t->own.err));
  ok(&t->own, st_catalog_history(t->copy, "/old", count_one, &count, &t->own.err));
  assert_int_equal(count, 0);
  ok(&t->own, take(t, t->own.c, t->copy, 3, &t->own.err));
  ok(&t->own, st_catalog_history(t->copy, "/old", count_one, &count, &t->own.err));
  assert_int_equal(count, 1);
  static const char *const gone[] = {"1", "baseline", "named", "latest~2", "1970-01-13"};
  for (size_t i = 0; i < ST_COUNT(gone); i++) {
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    assert_int_equal(st_catalog_resolve(t->copy, gone[i], &number, &err), -1);
    assert_non_null(strstr(st_error_text(&err), "fetch --checkpoint 1 brings them"));
  }
  ok(&t->own, st_catalog_resolve(t->copy, "latest~1", &number, &t->own.err));
  assert_int_equal(number, 2);
}

static void test_any_of_them(void **state)
{
  struct two *t = *state;
  unsigned seed = 77;

  make_history(&t->own, 7);
  for (int round = 0; round < 12; round++) {
    remove_below(openat(t->fd, "hosts", O_RDONLY | O_DIRECTORY));
    open_copy(t);
    for (int64_t n = 1; n <= CHECKPOINTS; n++)
      if (n == CHECKPOINTS || dice(&seed, 3) == 0)
        ok(&t->own, take(t, t->own.c, t->copy, n, &t->own.err));
    assert_as_far(t, t->copy);
    assert_sound(t);
  }
}

/* Who gives has not what the taker has last: a snapshot, over what is there. */
static void test_over_another(void **state)
{
  struct two *t = *state;
  struct st_catalog *third = NULL;

  make_history(&t->own, 11);
  ok(&t->own, take(t, t->own.c, t->copy, 2, &t->own.err));
  ok(&t->own, take(t, t->own.c, t->copy, 5, &t->own.err));
  ok(&t->own, take(t, t->own.c, t->copy, 11, &t->own.err));
  assert_int_equal(mkdirat(t->fd, "third", 0700), 0);
  ST_AUTO_CLOSE int fd = openat(t->fd, "third", O_RDONLY | O_DIRECTORY);
  ok(&t->own, st_catalog_open(&third, fd, t->own.keys.host_id,
                              ST_CATALOG_WRITE | ST_CATALOG_REPLICA, &t->own.err));
  for (int64_t n = 1; n <= 3; n++)
    ok(&t->own, take(t, t->own.c, third, n, &t->own.err));
  ok(&t->own, take(t, t->copy, third, 5, &t->own.err));
  ok(&t->own, take(t, t->copy, third, 11, &t->own.err));
  ok(&t->own, take(t, t->own.c, third, 12, &t->own.err));
  assert_as_far(t, third);
  assert_sound_in(t, third);
  st_catalog_close(third);
}

static void flip_all(struct two *t, struct st_changeset *set, struct st_buffer *part)
{
  for (size_t i = 0; i < part->length; i += 1 + part->length / 24) {
    part->data[i] ^= 4;
    refused(t, set);
    part->data[i] ^= 4;
    part->length--;
    refused(t, set);
    part->length++;
  }
}

static void test_refused(void **state)
{
  struct two *t = *state;
  ST_AUTO_CHANGESET set = {0}, whole = {0};
  struct st_buffer none = ST_BUFFER_INIT;

  make_history(&t->own, 3);
  for (int64_t n = 5; n <= 9; n += 4) { /* a snapshot, and what is merged */
    ok(&t->own,
       st_changeset_read_after(t->own.c, st_catalog_latest(t->copy), n, &set, &t->own.err));
    flip_all(t, &set, &set.header);
    flip_all(t, &set, &set.declarations);
    flip_all(t, &set, &set.between);
    flip_all(t, &set, &set.body);
    struct st_buffer between = set.between;
    set.between = none; /* a header is missing */
    refused(t, &set);
    set.between = between;
    set.since += 1;
    refused(t, &set);
    set.since -= 1;
    ok(&t->own, st_changeset_read(t->own.c, n, &whole, &t->own.err));
    struct st_buffer body = set.body;
    set.body = whole.body; /* what was signed, but not all */
    refused(t, &set);
    set.body = body;
    ok(&t->own, st_catalog_apply(t->copy, &set, &t->own.err));
    refused(t, &set);
  }
  assert_sound(t);
  assert_as_far(t, t->copy);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      TWO(test_one_alone),    TWO(test_words),   TWO(test_any_of_them),
      TWO(test_over_another), TWO(test_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
