/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-chain.c - kills leave the last checkpoint; whatever is changed behind our back is found. */
#include "systracker/catalog/test-support.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void make_night(struct fixture *f, int64_t n)
{
  char path[32];

  start(f);
  put_entry(f, "/a", "f", n);
  for (int i = 0; i < 20; i++) {
    snprintf(path, sizeof(path), "/n%lld/%d", (long long)n, i);
    put_entry(f, path, "f", i);
  }
  commit(f);
}

static void chain_file(struct fixture *f, struct st_buffer *out)
{
  st_buffer_clear(out);
  ok(f, st_read_file(f->c->dir, "chain", 1 << 20, out, &f->err));
}

static void set_chain(struct fixture *f, const void *data, size_t length)
{
  ok(f, st_write_file(f->c->dir, "chain", 0600, data, length, &f->err));
}

static void note(void *arg, const char *words)
{
  st_buffer_printf(arg, "%s\n", words);
}

/* What verify finds has to speak of this; NULL: nothing is found. */
static void assert_found(struct fixture *f, const char *words)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  int damage = st_catalog_verify(f->c, note, &text, &f->err);

  ok(f, damage);
  if (!words && damage)
    fail_msg("found: %s", text.data);
  if (words && (!damage || !strstr(text.data, words)))
    fail_msg("\"%s\" is not in: %s", words, damage ? text.data : "(nothing)");
}

/* ---- Kills ----------------------------------------------------------------------------------- */

static int countdown;

static int maybe_kill(UNUSED void *arg)
{
  if (--countdown <= 0)
    kill(getpid(), SIGKILL);
  return 0;
}

/* Every so many steps of SQLite's machine, over the scan and the commit. */
static void test_killed_anywhere(void **state)
{
  struct fixture *f = *state;
  struct st_checkpoint twin_cp;
  int64_t latest = 1;

  make_night(f, 1);
  st_catalog_close(st_steal(&f->c));
  for (int steps = 1, killed = 1; killed; steps += 1 + steps / 3) {
    pid_t child = fork();
    if (child == 0) {
      reopen(f, ST_CATALOG_WRITE);
      countdown = steps;
      sqlite3_progress_handler(f->c->db, 50, maybe_kill, NULL);
      make_night(f, 2);
      _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    killed = WIFSIGNALED(status);
    reopen(f, ST_CATALOG_WRITE);
    latest = st_catalog_latest(f->c);
    assert_true(latest == 1 || (!killed && latest == 2));
    assert_found(f, NULL);
    st_catalog_close(st_steal(&f->c));
  }
  assert_int_equal(latest, 2);
  reopen(f, ST_CATALOG_WRITE);
  ok(f, st_catalog_checkpoint(f->c, 2, &twin_cp, &f->err));

  struct fixture twin; /* that was never killed */
  fixture_open(&twin);
  make_night(&twin, 1);
  start(&twin);
  make_night(&twin, 2);
  struct st_checkpoint cp;
  ok(&twin, st_catalog_checkpoint(twin.c, 2, &cp, &twin.err));
  assert_memory_equal(cp.state_root, twin_cp.state_root, ST_DIGEST_SIZE);
  st_checkpoint_clear(&cp);
  st_checkpoint_clear(&twin_cp);
  fixture_close(&twin);
}

/* Between the commit and the chain, or while the chain is written: any length of the file. */
static void test_chain_is_completed(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER whole = ST_BUFFER_INIT, now = ST_BUFFER_INIT;

  for (int i = 1; i <= 3; i++)
    make_night(f, i);
  chain_file(f, &whole);
  for (size_t n = 0; n <= whole.length; n += 1 + n % 7) {
    set_chain(f, whole.data, n);
    if (n + 1 < whole.length)
      assert_found(f, "chain: ");
    reopen(f, ST_CATALOG_WRITE);
    chain_file(f, &now);
    assert_int_equal(now.length, whole.length);
    assert_memory_equal(now.data, whole.data, whole.length);
  }
  unlinkat(f->c->dir, "chain", 0);
  reopen(f, ST_CATALOG_WRITE);
  assert_found(f, NULL);
  st_buffer_append(&whole, "\x40\x00\x00\x00torn", 8); /* a commit that never came to be */
  set_chain(f, whole.data, whole.length);
  reopen(f, ST_CATALOG_WRITE);
  chain_file(f, &now);
  assert_int_equal(now.length, whole.length - 8);
}

/* ---- Tampering ------------------------------------------------------------------------------- */

static void assert_no_writer(struct fixture *f)
{
  struct st_catalog *c = NULL;

  st_error_clear(&f->err);
  assert_true(st_catalog_open(&c, f->fd, f->keys.host_id, ST_CATALOG_WRITE, &f->err) < 0);
  assert_non_null(strstr(st_error_text(&f->err), "chain"));
}

static void test_chain_flipped(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER chain = ST_BUFFER_INIT;

  for (int i = 1; i <= 3; i++)
    make_night(f, i);
  assert_found(f, NULL);
  chain_file(f, &chain);
  for (size_t at = 0; at < chain.length; at += 11) {
    chain.data[at] ^= 0x20;
    set_chain(f, chain.data, chain.length);
    assert_found(f, "chain");
    chain.data[at] ^= 0x20;
  }
  chain.data[chain.length / 2] ^= 1;
  set_chain(f, chain.data, chain.length);
  assert_no_writer(f);
}

static size_t record_at(int n)
{
  return strlen("SysTracker chain 2\n") + (size_t)n * ST_DIGEST_SIZE;
}

static void test_chain_spliced(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER chain = ST_BUFFER_INIT, bad = ST_BUFFER_INIT;

  for (int i = 1; i <= 3; i++)
    make_night(f, i);
  chain_file(f, &chain);
  size_t one = record_at(1), two = record_at(2);

  st_buffer_append(&bad, chain.data, one); /* the second is left out */
  st_buffer_append(&bad, chain.data + two, chain.length - two);
  set_chain(f, bad.data, bad.length);
  assert_found(f, "chain: its record 2 is not checkpoint 2");
  assert_no_writer(f);

  st_buffer_clear(&bad); /* the last one twice */
  st_buffer_append(&bad, chain.data, chain.length);
  st_buffer_append(&bad, chain.data + two, chain.length - two);
  set_chain(f, bad.data, bad.length);
  assert_found(f, "chain: has records after");
  assert_no_writer(f);
}

/* Each change of the catalog itself, by somebody who can write SQL. */
static void test_catalog_changed(void **state)
{
  static const struct {
    const char *change, *undo, *words;
  } cases[] = {
      {"UPDATE fake_entry SET mode = 777 WHERE since = 2 AND mode = 2",
       "UPDATE fake_entry SET mode = 2 WHERE since = 2 AND mode = 777",
       "checkpoint 2: its facts are not those"},
      {"UPDATE fake_entry SET until = 3 WHERE until = 2",
       "UPDATE fake_entry SET until = 2 WHERE until = 3 AND since = 1", "do not follow each other"},
      {"UPDATE checkpoint SET message = 'x' WHERE number = 2",
       "UPDATE checkpoint SET message = NULL WHERE number = 2", "checkpoint 2: header: "},
      {"UPDATE checkpoint SET time = time + 1 WHERE number = 1",
       "UPDATE checkpoint SET time = time - 1 WHERE number = 1", "checkpoint 1: header: "},
      {"UPDATE attribute SET flags = 8 WHERE name = 'mode'",
       "UPDATE attribute SET flags = 16 WHERE name = 'mode'", "its tables are not those"},
      {"UPDATE path SET path = x'2f62' WHERE path = x'2f61'",
       "UPDATE path SET path = x'2f61' WHERE path = x'2f62'", "its facts are not those"},
      {"DELETE FROM checkpoint WHERE number = 2", NULL, "checkpoint 3: header: "},
  };
  struct fixture *f = *state;

  for (int i = 1; i <= 3; i++)
    make_night(f, i);
  for (size_t i = 0; i < ST_COUNT(cases); i++) {
    ok(f, st_sql_exec(f->c, cases[i].change, &f->err));
    reopen(f, ST_CATALOG_READ);
    assert_found(f, cases[i].words);
    if (!cases[i].undo)
      break;
    reopen(f, ST_CATALOG_WRITE);
    ok(f, st_sql_exec(f->c, cases[i].undo, &f->err));
    reopen(f, ST_CATALOG_WRITE);
    assert_found(f, NULL);
  }
}

/* A row that is no longer read by any body: the root knows. */
static void test_state_changed(void **state)
{
  struct fixture *f = *state;

  make_night(f, 1);
  make_night(f, 2);
  ok(f, st_sql_exec(f->c, "UPDATE node SET hash = zeroblob(32)", &f->err));
  assert_found(f, "its state tree is not that of its facts");
  ok(f, st_sql_exec(f->c, "DELETE FROM fake_entry WHERE since = 1", &f->err));
  assert_found(f, "checkpoint 2: its state root is not that of its facts");
}

/* What a first checkpoint is signed with comes from memory where it can, and is what the file says.
 */
static void test_first_from_memory(void **state)
{
  static const char *const paths[] = {"/a", "/a/b", "/a/b/c", "/a-b", "/a.c", "/b", "/A", "/"};
  struct fixture *f = *state;
  const struct st_table_full *t;

  for (int again = 0; again < 3; again++) {
    start(f);
    t = st_full(st_catalog_table(f->c, "fake_entry"));
    assert_non_null(t->began);
    for (size_t i = 0; i < ST_COUNT(paths); i++)
      put_entry(f, paths[i], "f", (int64_t)i);
    assert_int_equal(st_began_count(t), ST_COUNT(paths));
    if (again == 1) /* said otherwise: it is read back */
      put_entry(f, paths[2], "f", 77);
    assert_int_equal(t->began != NULL, again != 1);
    if (again < 2) {
      st_catalog_rollback(f->c);
      assert_null(t->began);
    }
  }
  commit(f);
  assert_null(t->began);
  assert_found(f, NULL);
  start(f);
  assert_null(t->began);
  put_entry(f, "/c", "f", 1);
  commit(f);
  assert_found(f, NULL);
}

/* A table that has rows though there is no checkpoint is read back, as memory has not all of it. */
static void test_first_not_alone(void **state)
{
  struct fixture *f = *state;

  ok(f, st_sql_exec(f->c,
                    "INSERT INTO path (id, path) VALUES (1, CAST('/old' AS BLOB));"
                    "INSERT INTO fake_entry (path, since, absent, type) VALUES (1, 1, 0, 'f')",
                    &f->err));
  start(f);
  assert_null(st_full(st_catalog_table(f->c, "fake_entry"))->began);
  assert_non_null(st_full(st_catalog_table(f->c, "fake_file"))->began);
  put_entry(f, "/new", "f", 1);
  commit(f);
  assert_found(f, NULL);
}

/* Any name that a path may have, in no order, some of them long, many more than wait at a time:
 * what is signed out of memory is what the file says. */
static void test_first_odd_names(void **state)
{
  static const char bytes[] = {'a',  '-',  '/', '.',        '0',        1,
                               '\t', '\n', '"', (char)0x7f, (char)0x80, (char)0xff};
  struct fixture *f = *state;
  ST_AUTO_FREE char *path = st_malloc(70000);
  uint32_t random = 1;

  start(f);
  const struct st_table_full *t = st_full(st_catalog_table(f->c, "fake_entry"));
  for (int i = 0; i < 3000; i++) {
    size_t n = i % 700 == 699 ? 65536 : (size_t)(i % 9);
    path[0] = '/';
    for (size_t k = 1; k <= n; k++) {
      random = random * 1664525 + 1013904223;
      path[k] = bytes[(random >> 16) % sizeof(bytes)];
    }
    snprintf(path + n + 1, 12, "%d", i); /* none of them twice */
    put_entry(f, path, i % 5 ? "f" : "", i % 7 ? i : -i);
  }
  assert_int_equal(st_began_count(t), 3000);
  commit(f);
  assert_found(f, NULL);
}

/* The disk is full in the middle of a scan: what was put is taken back, and the same process can go
 * on. */
static void test_first_on_full_disk(void **state)
{
  struct fixture *f = *state;
  const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  struct rlimit full = {100000, RLIM_INFINITY};
  char path[32];

  signal(SIGXFSZ, SIG_IGN);
  for (int again = 0; again < 2; again++) {
    start(f);
    ok(f, st_sql_exec(f->c, "PRAGMA cache_size = 4", &f->err)); /* pages are written now */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, again ? &none : &full), 0);
    int r = 0;
    for (int i = 0; i < 5000 && r >= 0; i++) {
      snprintf(path, sizeof(path), "/%d", i);
      const struct st_value row[] = {st_path_value(path), st_text_value("f"), st_integer(i),
                                     st_null(), st_null()};
      r = st_catalog_put(f->c, table(f, "fake_entry"), row, &f->err);
    }
    assert_int_equal(r < 0, again == 0);
    if (again)
      break;
    assert_int_not_equal(f->err.code, 0);
    st_error_clear(&f->err);
    st_catalog_rollback(f->c);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
  }
  commit(f);
  assert_found(f, NULL);
  reopen(f, ST_CATALOG_READ);
  assert_int_equal(mode_at(f, 1, "/4999"), 4999);
}

static void test_first_said_twice(void **state)
{
  struct fixture *f = *state;

  start(f);
  put_entry(f, "/b", "f", 1);
  put_entry(f, "/a", "f", 1);
  put_entry(f, "/b", "f", 2);
  put_entry(f, "/c", "f", 3);
  commit(f);
  assert_found(f, NULL);
}

static void test_headers(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER one = ST_BUFFER_INIT, two = ST_BUFFER_INIT;
  struct st_header a, b;

  make_night(f, 1);
  make_night(f, 2);
  ok(f, st_changeset_header(f->c, 1, &one, &f->err));
  ok(f, st_changeset_header(f->c, 2, &two, &f->err));
  ok(f, st_header_read(&a, one.data, one.length, &f->err));
  ok(f, st_header_read(&b, two.data, two.length, &f->err));
  ok(f, st_header_follows(&a, NULL, &f->err));
  ok(f, st_header_follows(&b, &a, &f->err));
  assert_true(st_header_follows(&b, NULL, &f->err) < 0);
  assert_true(st_header_follows(&a, &b, &f->err) < 0);
  assert_true(st_header_follows(&a, &a, &f->err) < 0);
  assert_memory_equal(a.public_key, f->keys.public_key, ST_PUBLIC_KEY_SIZE);
  for (size_t n = 0; n < one.length; n++)
    assert_true(st_header_read(&a, one.data, n, &f->err) < 0);
  for (size_t at = 0; at < one.length; at += 3) {
    one.data[at] ^= 4;
    assert_true(st_header_read(&a, one.data, one.length, &f->err) < 0);
    one.data[at] ^= 4;
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_killed_anywhere, setup, teardown),
      cmocka_unit_test_setup_teardown(test_chain_is_completed, setup, teardown),
      cmocka_unit_test_setup_teardown(test_chain_flipped, setup, teardown),
      cmocka_unit_test_setup_teardown(test_chain_spliced, setup, teardown),
      cmocka_unit_test_setup_teardown(test_catalog_changed, setup, teardown),
      cmocka_unit_test_setup_teardown(test_state_changed, setup, teardown),
      cmocka_unit_test_setup_teardown(test_first_from_memory, setup, teardown),
      cmocka_unit_test_setup_teardown(test_first_not_alone, setup, teardown),
      cmocka_unit_test_setup_teardown(test_first_odd_names, setup, teardown),
      cmocka_unit_test_setup_teardown(test_first_on_full_disk, setup, teardown),
      cmocka_unit_test_setup_teardown(test_first_said_twice, setup, teardown),
      cmocka_unit_test_setup_teardown(test_headers, setup, teardown),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
