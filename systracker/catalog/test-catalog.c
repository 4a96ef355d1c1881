/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-catalog.c - facts come, change and go; they are read and compared at any checkpoint. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "systracker/catalog/test-support.h"

static void test_facts_come_and_go(void **state)
{
  struct fixture *f = *state;

  start(f);
  assert_int_equal(put_entry(f, "/etc/a", "f", 0644), 1);
  assert_int_equal(put_entry(f, "/etc/b", "f", 0600), 1);
  struct st_checkpoint cp = commit(f);
  assert_int_equal(cp.number, 1);
  assert_int_equal(cp.begun, 2);

  start(f);
  assert_int_equal(put_entry(f, "/etc/a", "f", 0644), 0);
  assert_int_equal(put_entry(f, "/etc/b", "f", 0640), 1);
  cp = commit(f);
  assert_int_equal(cp.begun, 1);
  assert_int_equal(cp.ended, 0);

  start(f);
  assert_int_equal(gone_entry(f, "/etc/a"), 1);
  assert_int_equal(gone_entry(f, "/etc/never"), 0);
  cp = commit(f);
  assert_int_equal(cp.begun, 0);
  assert_int_equal(cp.ended, 1);

  assert_int_equal(mode_at(f, 1, "/etc/a"), 0644);
  assert_int_equal(mode_at(f, 2, "/etc/a"), 0644);
  assert_int_equal(mode_at(f, 3, "/etc/a"), -1);
  assert_int_equal(mode_at(f, 1, "/etc/b"), 0600);
  assert_int_equal(mode_at(f, 3, "/etc/b"), 0640);
  assert_int_equal(mode_at(f, ST_LIVE, "/etc/b"), 0640);
  assert_int_equal(mode_at(f, 0, "/etc/b"), -1);
}

static void test_nothing_changed_is_one_row(void **state)
{
  struct fixture *f = *state;
  struct st_checkpoint one, two;

  start(f);
  put_entry(f, "/a", "f", 1);
  one = commit(f);
  start(f);
  put_entry(f, "/a", "f", 1);
  assert_false(st_catalog_changed(f->c));
  int before = sqlite3_total_changes(f->c->db);
  two = commit(f);
  assert_int_equal(sqlite3_total_changes(f->c->db) - before, 1);
  assert_int_equal(two.begun + two.ended, 0);
  assert_memory_equal(one.state_root, two.state_root, ST_DIGEST_SIZE);
  assert_memory_not_equal(one.header_digest, two.header_digest, ST_DIGEST_SIZE);
}

/* A scan that says a thing twice, or takes it back, leaves nothing of the first time. */
static void test_last_word_counts(void **state)
{
  struct fixture *f = *state;

  start(f);
  put_entry(f, "/a", "f", 1);
  put_entry(f, "/b", "f", 1);
  commit(f);

  start(f);
  put_entry(f, "/a", "f", 2);
  put_entry(f, "/a", "f", 3);
  gone_entry(f, "/b");
  put_entry(f, "/b", "f", 1);
  put_entry(f, "/new", "f", 1);
  gone_entry(f, "/new");
  assert_true(st_catalog_changed(f->c));
  put_entry(f, "/a", "f", 1);
  assert_false(st_catalog_changed(f->c));
  commit(f);
  assert_int_equal(stored_rows(f, "fake_entry"), 2);
  assert_changes(f, 1, 2, "");
}

static void test_rollback_forgets(void **state)
{
  struct fixture *f = *state;

  start(f);
  put_entry(f, "/a", "f", 1);
  assert_int_equal(mode_at(f, ST_LIVE, "/a"), 1);
  st_catalog_rollback(f->c);
  assert_int_equal(mode_at(f, ST_LIVE, "/a"), -1);
  start(f);
  put_entry(f, "/a", "f", 2);
  commit(f);
  assert_int_equal(mode_at(f, 1, "/a"), 2);
}

/* Not captured is neither a difference nor forgotten, until something differs. */
static void test_null_is_not_captured(void **state)
{
  struct fixture *f = *state;
  struct st_value row[] = {st_path_value("/a"), st_text_value("f"), st_integer(1), st_null(),
                           st_null()};
  const struct st_catalog_table *t = table(f, "fake_entry");

  start(f);
  ok(f, st_catalog_put(f->c, t, row, &f->err));
  commit(f);
  row[3] = st_integer(77);
  start(f);
  assert_int_equal(st_catalog_put(f->c, t, row, &f->err), 1); /* filled */
  commit(f);
  assert_changes(f, 1, 2, "");
  row[3] = st_null();
  start(f);
  assert_int_equal(st_catalog_put(f->c, t, row, &f->err), 0); /* stands */
  row[2] = st_integer(2);
  assert_int_equal(st_catalog_put(f->c, t, row, &f->err), 1);
  commit(f);
  assert_changes(f, 2, 3, "~/a=2 ");

  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
  ok(f, st_catalog_fact(f->c, 3, t, row, &fact, &f->err));
  assert_int_equal(fact->values[3].type, ST_NULL);
}

static bool keep_b(void *arg, const struct st_fact_row *fact)
{
  (void)arg;
  return memcmp(fact->values[0].u.bytes.data, "/b", 2) == 0;
}

static void test_sweep(void **state)
{
  struct fixture *f = *state;
  const struct st_catalog_table *t = table(f, "fake_entry");
  int64_t put, known;

  start(f);
  for (const char *const *p = (const char *const[]){"/a", "/b", "/c", "/d", NULL}; *p; p++)
    put_entry(f, *p, "f", 1);
  commit(f);

  start(f);
  ok(f, st_catalog_sweep(f->c, t, &f->err));
  put_entry(f, "/a", "f", 1);
  put_entry(f, "/a", "f", 1);
  put_entry(f, "/e", "f", 1);
  st_catalog_sweep_count(f->c, t, &put, &known);
  assert_int_equal(put, 2);
  assert_int_equal(known, 1);
  ok(f, st_catalog_swept(f->c, t, keep_b, NULL, &f->err));
  commit(f);
  assert_changes(f, 1, 2, "-/c -/d +/e=1 ");

  start(f);
  ok(f, st_catalog_sweep(f->c, t, &f->err));
  st_catalog_unsweep(f->c, t);
  assert_true(st_catalog_swept(f->c, t, NULL, NULL, &f->err) < 0);
  assert_false(st_catalog_changed(f->c));
  ok(f, st_catalog_sweep(f->c, t, &f->err));
  ok(f, st_catalog_swept(f->c, t, NULL, NULL, &f->err));
  commit(f);
  assert_changes(f, 2, 3, "-/a -/b -/e ");
}

#define MANY 400

static char *nth_path(int i)
{
  return st_format("/d%d/%03d", i / 50, i);
}

/* 1: a change was written; `mode` 0: it is gone. */
static int say(struct fixture *f, int i, int64_t mode)
{
  ST_AUTO_FREE char *path = nth_path(i);
  return mode ? put_entry(f, path, "f", mode) : gone_entry(f, path);
}

/* A scan of what is there, much in the order in which it came into the catalog, as `step` has it:
 * some is said twice, some is taken back, some skipped, some asked for out of turn. */
static void say_in_order(struct fixture *f, const int64_t before[MANY], const int64_t now[MANY],
                         int step)
{
  for (int i = 0; i < MANY; i++) {
    if (!now[i] && i % 3 > 0)
      continue; /* not met: the sweep finds it */
    if (i % 23 == step)
      say(f, i, now[i] + 5);
    if (i % 31 == step)
      say(f, i, 0);
    assert_int_equal(say(f, i, now[i]) == 1, now[i] != before[i]);
    if (i % 29 == step)
      assert_int_equal(say(f, (i * 7) % i, now[(i * 7) % i]) == 1,
                       now[(i * 7) % i] != before[(i * 7) % i]);
    if (i % 41 == step)
      say(f, i - step, now[i - step]);
  }
}

static void change_some(int64_t now[MANY], int step)
{
  for (int i = 0; i < MANY; i++) {
    if (i % 17 == step)
      now[i] = now[i] ? 0 : 1;
    if (i % 19 == step)
      now[i]++;
  }
}

/* Whatever is read ahead, it is as if each were asked for. */
static void test_in_order(void **state)
{
  struct fixture *f = *state;
  const struct st_catalog_table *t = table(f, "fake_entry");
  int64_t before[MANY] = {0}, now[MANY];

  for (int n = 1; n < 12; n++) {
    memcpy(now, before, sizeof(now));
    change_some(now, n == 1 ? 0 : n);
    for (int i = 0; n == 1 && i < MANY; i++)
      now[i] = i % 5 == 0 ? 0 : 1;
    bool live = n % 4 == 3;
    if (live) {
      reopen(f, ST_CATALOG_READ);
      declare(f);
      t = table(f, "fake_entry");
    }
    start(f);
    ok(f, st_catalog_sweep(f->c, t, &f->err));
    say_in_order(f, before, now, n);
    ok(f, st_catalog_swept(f->c, t, NULL, NULL, &f->err));
    for (int i = 0; i < MANY; i++) {
      ST_AUTO_FREE char *path = nth_path(i);
      assert_int_equal(mode_at(f, ST_LIVE, path), now[i] ? now[i] : -1);
    }
    if (live) {
      reopen(f, ST_CATALOG_WRITE);
      declare(f);
      t = table(f, "fake_entry");
      continue;
    }
    int64_t changed = 0;
    for (int i = 0; i < MANY; i++)
      changed += now[i] != before[i];
    struct st_checkpoint cp = commit(f);
    assert_int_equal(cp.begun + cp.ended, changed);
    memcpy(before, now, sizeof(before));
  }
}

static void test_gone_below(void **state)
{
  struct fixture *f = *state;
  struct st_id id = {0};
  struct st_value file[] = {st_path_value("/d/x"), st_id_value(&id)};

  start(f);
  for (const char *const *p =
           (const char *const[]){"/d", "/d-e", "/d.e", "/d/x", "/d/x/y", "/d0", "/e", NULL};
       *p; p++)
    put_entry(f, *p, "f", 1);
  ok(f, st_catalog_put(f->c, table(f, "fake_file"), file, &f->err));
  commit(f);
  start(f);
  ok(f, st_catalog_gone_below(f->c, "other", "/d", &f->err));
  assert_false(st_catalog_changed(f->c));
  ok(f, st_catalog_gone_below(f->c, "fake", "/d", &f->err));
  commit(f);
  assert_changes(f, 1, 2, "-/d -/d/x -/d/x -/d/x/y ");
  start(f);
  ok(f, st_catalog_gone_below(f->c, NULL, "/", &f->err));
  commit(f);
  assert_changes(f, 2, 3, "-/d-e -/d.e -/d0 -/e ");
}

static int collect(void *arg, const struct st_fact_row *fact, UNUSED struct st_error *err)
{
  st_buffer_append(arg, fact->values[0].u.bytes.data, fact->values[0].u.bytes.length);
  st_buffer_append_byte(arg, ' ');
  return 0;
}

static int stop_at_once(UNUSED void *arg, UNUSED const struct st_fact_row *fact,
                        UNUSED struct st_error *err)
{
  return 7;
}

static void test_each_in_order(void **state)
{
  struct fixture *f = *state;
  const struct st_catalog_table *t = table(f, "fake_entry");
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;

  start(f);
  put_entry(f, "/z", "f", 1);
  put_entry(f, "/\xff\n", "f", 1);
  put_entry(f, "/a/b", "f", 1);
  put_entry(f, "/a", "d", 1);
  put_entry(f, "/a-b", "d", 1);
  commit(f);
  ok(f, st_catalog_each(f->c, 1, t, NULL, collect, &text, &f->err));
  assert_string_equal(text.data, "/a /a-b /a/b /z /\xff\n ");
  st_buffer_clear(&text);
  ok(f, st_catalog_each(f->c, 1, t, "/a/", collect, &text, &f->err));
  assert_string_equal(text.data, "/a /a/b ");
  assert_int_equal(st_catalog_each(f->c, 1, t, NULL, stop_at_once, NULL, &f->err), 7);
}

static void test_changes_both_ways(void **state)
{
  struct fixture *f = *state;

  start(f);
  put_entry(f, "/b", "f", 1);
  put_package(f, "tool", "1", NULL);
  commit(f);
  start(f);
  put_entry(f, "/b", "f", 2);
  put_entry(f, "/a", "f", 1);
  commit(f);
  start(f);
  put_entry(f, "/b", "f", 1);
  gone_entry(f, "/a");
  put_package(f, "tool", "2", NULL);
  commit(f);
  assert_changes(f, 0, 1, "+/b=1 +tool ");
  assert_changes(f, 1, 2, "+/a=1 ~/b=2 ");
  assert_changes(f, 2, 1, "-/a ~/b=1 ");
  assert_changes(f, 1, 3, "~tool ");
  assert_changes(f, 3, 0, "-/b -tool ");
  assert_changes(f, 2, 2, "");
  start(f);
  put_entry(f, "/live", "f", 5);
  assert_changes(f, 3, ST_LIVE, "+/live=5 ");
  assert_changes(f, ST_LIVE, 3, "-/live ");
  assert_changes(f, ST_LIVE, 2, "+/a=1 ~/b=2 -/live ~tool ");
  st_catalog_rollback(f->c);
  assert_changes(f, 3, ST_LIVE, "");
}

static int note_history(void *arg, int64_t number, const struct st_change *change,
                        struct st_error *err)
{
  st_buffer_printf(arg, "%lld", (long long)number);
  return note_change(arg, change, err);
}

static void test_history(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;

  for (int i = 1; i <= 6; i++) {
    start(f);
    if (i == 4)
      gone_entry(f, "/a");
    else
      put_entry(f, "/a", "f", i / 2);
    put_entry(f, "/other", "f", i);
    commit(f);
  }
  ok(f, st_catalog_history(f->c, "/a", note_history, &text, &f->err));
  assert_string_equal(text.data, "6~/a=3 5+/a=2 4-/a 2~/a=1 1+/a=0 ");
}

/* ---- What a reader without the lock sees ----------------------------------------------------- */

static void scan_something(struct fixture *f)
{
  start(f);
  ok(f, st_catalog_sweep(f->c, table(f, "fake_package"), &f->err));
  put_package(f, "new", "1", NULL);
  ok(f, st_catalog_swept(f->c, table(f, "fake_package"), NULL, NULL, &f->err));
  put_entry(f, "/same", "f", 1);
  put_entry(f, "/changed", "f", 2);
  put_entry(f, "/back", "f", 9);
  put_entry(f, "/back", "f", 1);
  put_entry(f, "/new", "f", 3);
  gone_entry(f, "/gone");
  ok(f, st_catalog_gone_below(f->c, NULL, "/dir", &f->err));
}

static void test_overlay_as_commit(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER live = ST_BUFFER_INIT, committed = ST_BUFFER_INIT;

  start(f);
  for (const char *const *p =
           (const char *const[]){"/same", "/changed", "/back", "/gone", "/dir", "/dir/a", NULL};
       *p; p++)
    put_entry(f, *p, "f", 1);
  put_package(f, "old", "1", NULL);
  commit(f);

  reopen(f, ST_CATALOG_READ);
  declare(f);
  scan_something(f);
  ST_AUTO_FREE char *forth = changes(f, 1, ST_LIVE), *back = changes(f, ST_LIVE, 1);
  ok(f, st_catalog_each(f->c, ST_LIVE, table(f, "fake_entry"), NULL, collect, &live, &f->err));
  assert_string_equal(forth, "~/changed=2 -/dir -/dir/a -/gone +/new=3 +new -old ");
  assert_int_equal(mode_at(f, ST_LIVE, "/gone"), -1);
  assert_int_equal(mode_at(f, 1, "/gone"), 1);
  assert_int_equal(mode_at(f, ST_LIVE, "/new"), 3);
  struct st_checkpoint cp;
  assert_true(st_catalog_commit(f->c, &f->keys, 1, NULL, false, &cp, &f->err) < 0);
  start(f); /* another scan forgets the first */
  assert_changes(f, 1, ST_LIVE, "");

  reopen(f, ST_CATALOG_WRITE);
  scan_something(f);
  commit(f);
  ST_AUTO_FREE char *forth2 = changes(f, 1, 2), *back2 = changes(f, 2, 1);
  ok(f, st_catalog_each(f->c, 2, table(f, "fake_entry"), NULL, collect, &committed, &f->err));
  assert_string_equal(forth, forth2);
  assert_string_equal(back, back2);
  assert_string_equal(live.data, committed.data);
}

static bool keep_none(void *arg, const struct st_fact_row *fact)
{
  (void)arg, (void)fact;
  return false;
}

/* A root that has next to nothing.  `said`: how much of it. */
static void scan_next_to_nothing(struct fixture *f, int said, bool one_by_one)
{
  static const char *const names[] = {"fake_entry", "fake_file"};

  start(f);
  for (size_t i = 0; i < 2; i++)
    ok(f, st_catalog_sweep(f->c, table(f, names[i]), &f->err));
  if (said > 0)
    put_entry(f, "/dir", "f", 1);
  if (said > 1) {
    put_entry(f, "/changed", "f", 2);
    put_entry(f, "/new", "f", 3);
    put_entry(f, "/back", "f", 1);
    put_entry(f, "/back", "f", 9);
    put_entry(f, "/over", "f", 1);
    gone_entry(f, "/over");
  }
  for (size_t i = 0; i < 2; i++)
    ok(f, st_catalog_swept(f->c, table(f, names[i]), one_by_one ? keep_none : NULL, NULL, &f->err));
}

/* All that can be asked of it. */
static void note_all(struct fixture *f, struct st_buffer *out)
{
  static const char *const paths[] = {"/dir",  "/dir/a", "/changed", "/new",
                                      "/back", "/over",  "/old"};

  for (int64_t n = 0; n <= 3; n++) {
    ST_AUTO_FREE char *forth = changes(f, n, ST_LIVE), *back = changes(f, ST_LIVE, n);
    st_buffer_printf(out, "%lld: %s| %s\n", (long long)n, forth, back);
  }
  for (size_t i = 0; i < ST_COUNT(paths); i++)
    st_buffer_printf(out, "%s=%lld ", paths[i], (long long)mode_at(f, ST_LIVE, paths[i]));
  ok(f, st_catalog_each(f->c, ST_LIVE, table(f, "fake_entry"), NULL, collect, out, &f->err));
  ok(f, st_catalog_each(f->c, ST_LIVE, table(f, "fake_entry"), "/dir", collect, out, &f->err));
  ok(f, st_catalog_each(f->c, ST_LIVE, table(f, "fake_file"), NULL, collect, out, &f->err));
  st_buffer_printf(out, "%d", st_catalog_changed(f->c));
}

/* Whether each row is said to be gone, or all at once, is the same. */
static void test_next_to_nothing(void **state)
{
  struct fixture *f = *state;
  struct st_id id = {0};

  for (int n = 1; n <= 3; n++) {
    start(f);
    for (const char *const *p = (const char *const[]){"/dir", "/dir/a", "/changed", "/back",
                                                      "/over", "/dir-", "/dir/b\xff", NULL};
         *p; p++) {
      struct st_value row[] = {st_path_value(*p), st_id_value(&id)};
      put_entry(f, *p, "f", n > 1 && **p + n == 'a' ? n : 1);
      ok(f, st_catalog_put(f->c, table(f, "fake_file"), row, &f->err));
    }
    if (n == 1)
      put_entry(f, "/old", "f", 1);
    else
      gone_entry(f, "/old");
    put_package(f, "p", n == 1 ? "1" : "2", NULL);
    commit(f);
  }
  reopen(f, ST_CATALOG_READ);
  declare(f);
  for (int said = 0; said < 3; said++) {
    ST_AUTO_BUFFER one_by_one = ST_BUFFER_INIT, at_once = ST_BUFFER_INIT;
    scan_next_to_nothing(f, said, true);
    note_all(f, &one_by_one);
    scan_next_to_nothing(f, said, false);
    assert_true(st_full(table(f, "fake_entry"))->emptied);
    note_all(f, &at_once);
    assert_string_equal(at_once.data, one_by_one.data);
  }
  start(f); /* the next scan begins anew */
  assert_changes(f, 3, ST_LIVE, "");
}

/* A folder that is gone with all that was known, or with a part of it. */
static void test_folder_gone(void **state)
{
  static const char *const gone[] = {"/top", "/top/a", "/to", "/top/a/b"};
  struct fixture *f = *state;

  for (int n = 1; n <= 2; n++) {
    start(f);
    put_entry(f, "/top", "d", n);
    put_entry(f, "/top/a", "d", 1);
    put_entry(f, "/top/a/b", "f", 1);
    if (n == 1)
      put_entry(f, "/other", "f", 1); /* not in force any more */
    else
      gone_entry(f, "/other");
    commit(f);
  }
  reopen(f, ST_CATALOG_READ);
  declare(f);
  for (size_t i = 0; i < ST_COUNT(gone); i++)
    for (int said = 0; said < 2; said++) {
      start(f);
      if (said)
        put_entry(f, "/top/new", "f", 1);
      ok(f, st_catalog_gone_below(f->c, "fake", gone[i], &f->err));
      assert_int_equal(st_full(table(f, "fake_entry"))->emptied, i == 0 && !said);
      ST_AUTO_FREE char *now = changes(f, 2, ST_LIVE);
      assert_int_equal(strstr(now, "/top/a/b") != NULL, i != 2);
      assert_int_equal(strstr(now, "/top/new") != NULL, said && i != 0);
      assert_null(strstr(now, "/other"));
      if (i == 0 && !said) {
        put_entry(f, "/top", "d", 2);
        ST_AUTO_FREE char *then = changes(f, 2, ST_LIVE);
        assert_non_null(strstr(then, "/top/a"));
        assert_null(strstr(then, "/top "));
      }
    }
}

static void test_reader_beside_writer(void **state)
{
  struct fixture *f = *state, reader = *f;

  start(f);
  put_entry(f, "/a", "f", 1);
  commit(f);
  start(f);
  put_entry(f, "/a", "f", 2);

  reader.c = NULL;
  reopen(&reader, ST_CATALOG_READ);
  assert_int_equal(st_catalog_latest(reader.c), 1);
  assert_int_equal(mode_at(&reader, ST_LIVE, "/a"), 1);
  commit(f);
  assert_int_equal(st_catalog_latest(reader.c), 2);
  assert_int_equal(mode_at(&reader, ST_LIVE, "/a"), 2);
  st_catalog_close(reader.c);
}

/* ---- Declarations ---------------------------------------------------------------------------- */

static const struct st_column longer_columns[] = {
    {"path", ST_PATH, ST_KEY},       {"type", ST_TEXT, 0},    {"mode", ST_INTEGER, ST_AS_MODE},
    {"mtime", ST_INTEGER, ST_QUIET}, {"target", ST_BYTES, 0}, {"flags", ST_INTEGER, 0},
};
static const struct st_table longer_tables[] = {
    {"entry", ST_TABLE_ENTRY, ST_COUNT(longer_columns), longer_columns},
    {0},
};

static int put_longer(struct fixture *f, const char *path, int64_t mode, int64_t flags)
{
  struct st_value row[] = {st_path_value(path), st_text_value("f"), st_integer(mode),
                           st_null(),           st_null(),          st_integer(flags)};
  int r = st_catalog_put(f->c, table(f, "fake_entry"), row, &f->err);

  ok(f, r);
  return r;
}

static void test_column_appended(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER before = ST_BUFFER_INIT, after = ST_BUFFER_INIT;

  start(f);
  put_entry(f, "/a", "f", 1);
  put_entry(f, "/b", "f", 1);
  commit(f);
  ok(f, st_changeset_body(f->c, 1, &before, &f->err));

  /* A reader with the newer plug-in, on the older store. */
  reopen(f, ST_CATALOG_READ);
  ok(f, st_catalog_declare(f->c, "fake", longer_tables, &f->err));
  start(f);
  put_longer(f, "/a", 1, 8);
  put_longer(f, "/b", 2, 8);
  assert_changes(f, 1, ST_LIVE, "~/b=2 ");

  reopen(f, ST_CATALOG_WRITE);
  ok(f, st_catalog_declare(f->c, "fake", longer_tables, &f->err));
  start(f);
  assert_int_equal(put_longer(f, "/a", 1, 8), 1);
  assert_int_equal(put_longer(f, "/b", 2, 8), 1);
  commit(f);
  assert_changes(f, 1, 2, "~/b=2 ");
  assert_int_equal(mode_at(f, 1, "/a"), 1);

  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
  struct st_value key = st_path_value("/a");
  ok(f, st_catalog_fact(f->c, 1, table(f, "fake_entry"), &key, &fact, &f->err));
  assert_int_equal(fact->values[5].type, ST_NULL);
  ok(f, st_changeset_body(f->c, 1, &after, &f->err));
  assert_int_equal(before.length, after.length);
  assert_memory_equal(before.data, after.data, after.length);

  /* The older plug-in again: what is stored stays as it is. */
  reopen(f, ST_CATALOG_WRITE);
  declare(f);
  assert_int_equal(table(f, "fake_entry")->declaration.ncolumns, 6);
}

/* The disk is full while a table is declared: nothing stays half done, and it is made up for. */
static void test_declared_on_full_disk(void **state)
{
  struct fixture *f = *state;
  static const struct st_column columns[] = {{"name", ST_TEXT, ST_KEY}};
  static const struct st_table more[] = {{"more", 0, 1, columns}, {0}};
  const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  struct rlimit full = {1, RLIM_INFINITY};
  const struct st_value row[] = {st_text_value("a")};

  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
  assert_true(st_catalog_declare(f->c, "late", more, &f->err) < 0);
  assert_true(st_catalog_start(f->c, &f->err) < 0);
  assert_null(strstr(st_error_text(&f->err), "within a transaction"));
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
  st_error_clear(&f->err);
  start(f);
  assert_int_equal(st_catalog_put(f->c, table(f, "late_more"), row, &f->err), 1);
  commit(f);
  reopen(f, ST_CATALOG_READ);
  assert_non_null(table(f, "late_more"));
}

static void test_absent_plugin_still_reads(void **state)
{
  struct fixture *f = *state;

  start(f);
  put_entry(f, "/a", "f", 1);
  commit(f);
  start(f);
  put_entry(f, "/a", "f", 2);
  commit(f);
  reopen(f, ST_CATALOG_READ);
  assert_int_equal(mode_at(f, 1, "/a"), 1);
  assert_changes(f, 1, 2, "~/a=2 ");
  assert_string_equal(table(f, "fake_entry")->plugin, "fake");
  assert_string_equal(table(f, "fake_entry")->declaration.name, "entry");
}

static void assert_refused(struct fixture *f, const char *plugin, struct st_table t,
                           const char *words)
{
  const struct st_table tables[] = {t, {0}};

  assert_true(st_catalog_declare(f->c, plugin, tables, &f->err) < 0);
  if (!strstr(st_error_text(&f->err), words))
    fail_msg("\"%s\" does not say \"%s\"", st_error_text(&f->err), words);
}

static void test_bad_declarations(void **state)
{
  struct fixture *f = *state;
  const struct st_column no_key[] = {{"a", ST_TEXT, 0}};
  const struct st_column evil[] = {{"a\" --", ST_TEXT, ST_KEY}};
  const struct st_column reserved[] = {{"since", ST_TEXT, ST_KEY}};
  const struct st_column late_key[] = {
      {"a", ST_TEXT, ST_KEY}, {"b", ST_TEXT, 0}, {"c", ST_TEXT, ST_KEY}};
  const struct st_column object[] = {{"a", ST_TEXT, ST_KEY}, {"b", ST_TEXT, ST_OBJECT}};
  const struct st_column other[] = {{"path", ST_PATH, ST_KEY}, {"type", ST_INTEGER, 0}};

  assert_refused(f, "x", (struct st_table){"t", 0, 1, no_key}, "no key");
  assert_refused(f, "x", (struct st_table){"t", 0, 1, evil}, "proper name");
  assert_refused(f, "x", (struct st_table){"t", 0, 1, reserved}, "proper name");
  assert_refused(f, "x", (struct st_table){"t", 0, 3, late_key}, "behind others");
  assert_refused(f, "x", (struct st_table){"t", 0, 2, object}, "no id");
  assert_refused(f, "x", (struct st_table){"Bad", 0, 1, object}, "proper name");
  assert_refused(f, "x", (struct st_table){"t", ST_TABLE_ENTRY, 1, object}, "not one path");
  assert_refused(f, "fake", (struct st_table){"entry", ST_TABLE_ENTRY, 2, other},
                 "declared otherwise");
  assert_refused(f, "fake", (struct st_table){"entry", 0, 2, entry_columns}, "other flags");
}

static void test_bad_rows(void **state)
{
  struct fixture *f = *state;
  const struct st_catalog_table *t = table(f, "fake_entry");
  struct st_value row[] = {st_path_value("/a"), st_text_value("f"), st_integer(1), st_null(),
                           st_null()};

  assert_true(st_catalog_put(f->c, t, row, &f->err) < 0); /* no scan */
  start(f);
  row[0] = st_null();
  assert_true(st_catalog_put(f->c, t, row, &f->err) < 0);
  row[0] = st_path_value("/a");
  row[1] = st_text_value("\xff");
  assert_true(st_catalog_put(f->c, t, row, &f->err) < 0);
  row[1] = st_integer(1);
  assert_true(st_catalog_put(f->c, t, row, &f->err) < 0);
  row[1] = st_text_value("f");
  row[0] = st_bytes_value(ST_PATH, "/a\0b", 4);
  assert_true(st_catalog_put(f->c, t, row, &f->err) < 0);
  assert_false(st_catalog_changed(f->c));
  row[0] = st_path_value("/a");
  row[4] = st_bytes_value(ST_BYTES, NULL, 0);
  ok(f, st_catalog_put(f->c, t, row, &f->err));
  commit(f);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
  ok(f, st_catalog_fact(f->c, 1, t, row, &fact, &f->err));
  assert_int_equal(fact->values[4].type, ST_BYTES); /* empty is not NULL */
  assert_int_equal(fact->values[4].u.bytes.length, 0);
}

/* The first checkpoint's pages go straight into the file: who looks meanwhile does not wait, and is
 * told that there is none. */
static void test_looked_at_while_first(void **state)
{
  struct fixture *f = *state;
  char path[32];
  int64_t wal;

  start(f);
  ok(f, st_sql_exec(f->c, "PRAGMA cache_size = 4", &f->err)); /* pages are written now */
  for (int i = 0; i < 2000; i++) {
    snprintf(path, sizeof(path), "/%d/with/some/length", i);
    put_entry(f, path, "f", i);
  }
  pid_t pid = fork();
  if (!pid) {
    struct st_catalog *c;
    struct st_error err = ST_ERROR_INIT;
    _exit(st_catalog_open(&c, f->fd, f->keys.host_id, ST_CATALOG_READ, &err) == -ENOENT ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  commit(f);
  ok(f,
     st_sql_number(f->c, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", 0, &wal, &f->err));
  assert_int_equal(wal, 1);
  reopen(f, ST_CATALOG_READ);
  assert_int_equal(mode_at(f, 1, "/1999/with/some/length"), 1999);
}

/* Whether another process is told that somebody writes to the file: SQLite's byte for that, which
 * the file format's documentation has. */
static bool is_locked_for_others(struct fixture *f)
{
  ST_AUTO_FREE char *path = st_format("hosts/%s/catalog.db", f->keys.host_id);
  int status;
  pid_t pid = fork();
  if (!pid) {
    struct flock reserved = {.l_type = F_WRLCK, .l_start = 0x40000001, .l_len = 1};
    int fd = openat(f->fd, path, O_RDWR);
    _exit(fd >= 0 && fcntl(fd, F_GETLK, &reserved) == 0 && reserved.l_type != F_UNLCK ? 0 : 1);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status == 0;
}

/* A process that closes any descriptor of a file gives up its locks of it (fcntl(2)): who looks in
 * the same process must not do so, or another one would take the journal for a killed one's. */
static void test_looked_at_by_who_writes(void **state)
{
  struct fixture *f = *state;
  struct st_catalog *c;

  start(f);
  put_entry(f, "/etc", "d", 0755);
  assert_true(is_locked_for_others(f));
  if (st_catalog_open(&c, f->fd, f->keys.host_id, ST_CATALOG_READ, &f->err) == 0)
    st_catalog_close(c);
  st_error_clear(&f->err);
  assert_true(is_locked_for_others(f));
  commit(f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_looked_at_while_first, setup, teardown),
      cmocka_unit_test_setup_teardown(test_declared_on_full_disk, setup, teardown),
      cmocka_unit_test_setup_teardown(test_looked_at_by_who_writes, setup, teardown),
      cmocka_unit_test_setup_teardown(test_facts_come_and_go, setup, teardown),
      cmocka_unit_test_setup_teardown(test_nothing_changed_is_one_row, setup, teardown),
      cmocka_unit_test_setup_teardown(test_last_word_counts, setup, teardown),
      cmocka_unit_test_setup_teardown(test_rollback_forgets, setup, teardown),
      cmocka_unit_test_setup_teardown(test_null_is_not_captured, setup, teardown),
      cmocka_unit_test_setup_teardown(test_sweep, setup, teardown),
      cmocka_unit_test_setup_teardown(test_in_order, setup, teardown),
      cmocka_unit_test_setup_teardown(test_gone_below, setup, teardown),
      cmocka_unit_test_setup_teardown(test_each_in_order, setup, teardown),
      cmocka_unit_test_setup_teardown(test_changes_both_ways, setup, teardown),
      cmocka_unit_test_setup_teardown(test_history, setup, teardown),
      cmocka_unit_test_setup_teardown(test_overlay_as_commit, setup, teardown),
      cmocka_unit_test_setup_teardown(test_next_to_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown(test_folder_gone, setup, teardown),
      cmocka_unit_test_setup_teardown(test_reader_beside_writer, setup, teardown),
      cmocka_unit_test_setup_teardown(test_column_appended, setup, teardown),
      cmocka_unit_test_setup_teardown(test_absent_plugin_still_reads, setup, teardown),
      cmocka_unit_test_setup_teardown(test_bad_declarations, setup, teardown),
      cmocka_unit_test_setup_teardown(test_bad_rows, setup, teardown),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
