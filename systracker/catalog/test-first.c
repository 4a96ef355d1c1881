/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-first.c - what waits to be put by a first checkpoint is there for whoever asks, whatever is
 * said again, taken back, or fails. */
#include "systracker/catalog/test-support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "systracker/base/log.h"

#define MANY 1500 /* more than wait at a time, of each table */

static const struct st_column place_columns[] = {
    {"path", ST_PATH, ST_KEY},
    {"beside", ST_PATH, 0},
    {"note", ST_TEXT, 0},
};
static const struct st_table place_tables[] = {
    {"place", ST_TABLE_ENTRY, ST_COUNT(place_columns), place_columns},
    {0},
};

static void put_target(struct fixture *f, const char *path, const void *data, size_t length)
{
  struct st_value row[] = {st_path_value(path), st_text_value("l"), st_integer(511), st_integer(7),
                           st_bytes_value(ST_BYTES, data, length)};

  ok(f, st_catalog_put(f->c, table(f, "fake_entry"), row, &f->err));
}

static void put_place(struct fixture *f, const char *path, const char *beside)
{
  struct st_value row[] = {st_path_value(path), st_path_value(beside), st_text_value("")};

  ok(f, st_catalog_put(f->c, table(f, "more_place"), row, &f->err));
}

static void path_of(char *out, size_t size, int i)
{
  snprintf(out, size, "/d%d/%d", i % 37, i);
}

static void put_many(struct fixture *f, int64_t mode)
{
  char path[64];

  for (int i = 0; i < MANY; i++) {
    path_of(path, sizeof(path), i);
    put_entry(f, path, "f", mode + i);
  }
}

static void assert_many(struct fixture *f, int64_t number, int64_t mode)
{
  char path[64];

  for (int i = 0; i < MANY; i++) {
    path_of(path, sizeof(path), i);
    assert_int_equal(mode_at(f, number, path), mode + i);
  }
}

static void assert_sound(struct fixture *f)
{
  uint8_t kept[ST_DIGEST_SIZE], computed[ST_DIGEST_SIZE];
  int64_t latest = st_catalog_latest(f->c);

  assert_int_equal(st_catalog_verify(f->c, NULL, NULL, &f->err), 0);
  ok(f, st_state_read(f->c, kept, &f->err));
  ok(f, st_state_compute(f->c, latest, computed, &f->err));
  assert_memory_equal(kept, computed, sizeof(kept));
}

static void test_many(void **state)
{
  struct fixture *f = *state;

  start(f);
  put_many(f, 1000);
  struct st_checkpoint cp = commit(f);
  assert_int_equal(cp.begun, MANY);
  assert_int_equal(stored_rows(f, "path"), MANY);
  assert_many(f, 1, 1000);
  assert_sound(f);
  start(f);
  put_many(f, 1000);
  cp = commit(f);
  assert_int_equal(cp.begun + cp.ended, 0);
  start(f);
  put_many(f, 2000);
  cp = commit(f);
  assert_int_equal(cp.begun, MANY);
  assert_int_equal(stored_rows(f, "path"), MANY);
  assert_many(f, 1, 1000);
  assert_many(f, 3, 2000);
  assert_sound(f);
}

/* While most of it waits. */
static void test_asked_meanwhile(void **state)
{
  struct fixture *f = *state;

  start(f);
  assert_false(st_catalog_changed(f->c));
  put_entry(f, "/a", "f", 1);
  assert_true(st_catalog_changed(f->c));
  put_entry(f, "/b", "f", 2);
  assert_int_equal(mode_at(f, ST_LIVE, "/a"), 1);
  assert_int_equal(mode_at(f, ST_LIVE, "/b"), 2);
  assert_int_equal(mode_at(f, ST_LIVE, "/c"), -1);
  put_many(f, 1000);
  assert_many(f, ST_LIVE, 1000);
  assert_int_equal(stored_rows(f, "fake_entry"), MANY + 2);
  commit(f);
  assert_sound(f);
}

static void test_said_again(void **state)
{
  struct fixture *f = *state;

  start(f);
  put_entry(f, "/same", "f", 1);
  put_entry(f, "/same", "f", 1);
  put_entry(f, "/other", "f", 1);
  put_entry(f, "/other", "f", 2);
  put_many(f, 1000);
  put_many(f, 3000);
  put_entry(f, "/same", "f", 1);
  struct st_checkpoint cp = commit(f);
  assert_int_equal(cp.begun, MANY + 2);
  assert_int_equal(cp.ended, 0);
  assert_int_equal(stored_rows(f, "path"), MANY + 2);
  assert_int_equal(mode_at(f, 1, "/same"), 1);
  assert_int_equal(mode_at(f, 1, "/other"), 2);
  assert_many(f, 1, 3000);
  assert_sound(f);
}

static void test_taken_back(void **state)
{
  struct fixture *f = *state;

  start(f);
  assert_int_equal(gone_entry(f, "/never"), 0);
  put_entry(f, "/gone", "f", 1);
  assert_int_equal(mode_at(f, ST_LIVE, "/gone"), 1);
  gone_entry(f, "/gone");
  assert_int_equal(mode_at(f, ST_LIVE, "/gone"), -1);
  put_entry(f, "/back", "f", 1);
  gone_entry(f, "/back");
  put_entry(f, "/back", "f", 2);
  put_entry(f, "/stays", "f", 3);
  ok(f, st_catalog_gone_below(f->c, "fake", "/back", &f->err));
  struct st_checkpoint cp = commit(f);
  assert_int_equal(cp.begun, 1);
  assert_int_equal(mode_at(f, 1, "/gone"), -1);
  assert_int_equal(mode_at(f, 1, "/back"), -1);
  assert_int_equal(mode_at(f, 1, "/stays"), 3);
  assert_sound(f);
}

/* Whether a path is new, its place among the others tells for the most part. */
static const char *const in_order[] = {"/",    "/a",      "/a/b",     "/a/b/c", "/a/b-c",
                                       "/a!b", "/a\377b", "/a\377b/", "/b"};

static void assert_ids(struct fixture *f, size_t paths)
{
  ST_AUTO_STATEMENT *s =
      st_sql_prepare(f->c, "SELECT count(*), count(DISTINCT path), max(id) FROM path", &f->err);

  assert_non_null(s);
  assert_int_equal(st_sql_step(f->c, s, &f->err), 1);
  for (int i = 0; i < 3; i++)
    assert_int_equal(sqlite3_column_int64(s, i), paths);
}

static void put_turned(struct fixture *f, int64_t mode, bool backwards)
{
  for (size_t i = 0; i < ST_COUNT(in_order); i++)
    put_entry(f, in_order[backwards ? ST_COUNT(in_order) - 1 - i : i], "f", mode + (int64_t)i);
}

static void test_in_order(void **state)
{
  struct fixture *f = *state;
  const size_t count = ST_COUNT(in_order);

  ok(f, st_catalog_declare(f->c, "more", place_tables, &f->err));
  start(f);
  put_place(f, "/a/b-b", "/a"); /* before the walk comes to either */
  put_turned(f, 10, false);
  for (size_t i = 0; i < count; i++)
    put_place(f, in_order[i], in_order[count - 1 - i]);
  put_place(f, "/c", "/a/b/b"); /* between those that were there, and behind them */
  put_entry(f, "/a/b/b", "f", 5);
  put_entry(f, "/a/b-b", "f", 6);
  commit(f);
  assert_ids(f, count + 3);
  for (size_t i = 0; i < count; i++)
    assert_int_equal(mode_at(f, 1, in_order[i]), 10 + i);
  assert_int_equal(mode_at(f, 1, "/a/b/b"), 5);
  assert_int_equal(mode_at(f, 1, "/a/b-b"), 6);
  assert_sound(f);
}

/* One that is told first and lies behind all others, and others in no order at all. */
static void test_in_no_order(void **state)
{
  struct fixture *f = *state;

  ok(f, st_catalog_declare(f->c, "more", place_tables, &f->err));
  start(f);
  put_place(f, "/z", "/y");
  put_turned(f, 10, true);
  put_many(f, 1000); /* one directory after the other, in turn */
  put_turned(f, 20, false);
  put_place(f, "/y", "/d36/36");
  put_place(f, "/zz", "/zzz");
  put_entry(f, "/zzz", "f", 7);
  put_entry(f, "/zzy", "f", 8);
  commit(f);
  assert_ids(f, ST_COUNT(in_order) + MANY + 5);
  assert_many(f, 1, 1000);
  for (size_t i = 0; i < ST_COUNT(in_order); i++)
    assert_int_equal(mode_at(f, 1, in_order[i]), 20 + i);
  assert_int_equal(mode_at(f, 1, "/zzz"), 7);
  assert_int_equal(mode_at(f, 1, "/zzy"), 8);
  assert_sound(f);
}

/* Bytes of each length, none among them; and paths that are no key. */
static void test_values(void **state)
{
  struct fixture *f = *state;
  const size_t large = 300000;
  ST_AUTO_FREE char *bytes = st_malloc(large);
  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL, *place = NULL, *empty = NULL;
  struct st_value key = st_path_value("/large"), none = st_path_value("/none");

  memset(bytes, 'x', large);
  ok(f, st_catalog_declare(f->c, "more", place_tables, &f->err));
  start(f);
  put_target(f, "/none", "", 0);
  put_target(f, "/large", bytes, large);
  for (int i = 0; i < 100; i++) {
    ST_AUTO_FREE char *path = st_format("/some/%d", i);
    put_target(f, path, bytes, (size_t)i * 40);
    put_place(f, path, i % 2 ? "/large" : "/beside");
  }
  put_place(f, "/large", "/beside");
  commit(f);
  ok(f, st_catalog_fact(f->c, 1, table(f, "fake_entry"), &key, &fact, &f->err));
  assert_int_equal(fact->values[4].u.bytes.length, large);
  assert_memory_equal(fact->values[4].u.bytes.data, bytes, large);
  ok(f, st_catalog_fact(f->c, 1, table(f, "fake_entry"), &none, &empty, &f->err));
  assert_int_equal(empty->values[4].type, ST_BYTES);
  assert_int_equal(empty->values[4].u.bytes.length, 0);
  ok(f, st_catalog_fact(f->c, 1, table(f, "more_place"), &key, &place, &f->err));
  assert_string_equal(place->values[1].u.bytes.data, "/beside");
  assert_int_equal(place->values[2].type, ST_TEXT);
  assert_int_equal(stored_rows(f, "path"), 103);
  assert_sound(f);
}

static void test_taken_back_whole(void **state)
{
  struct fixture *f = *state;

  for (int i = 0; i < 2; i++) {
    start(f);
    put_many(f, 1000);
    put_entry(f, "/last", "f", 1);
    st_catalog_rollback(f->c);
    assert_int_equal(stored_rows(f, "path"), 0);
    assert_int_equal(stored_rows(f, "fake_entry"), 0);
  }
  start(f);
  put_entry(f, "/last", "f", 2);
  commit(f);
  assert_int_equal(stored_rows(f, "path"), 1);
  assert_int_equal(mode_at(f, 1, "/last"), 2);
  assert_sound(f);
}

/* That rows that waited could not be put may be met by somebody who makes nothing of it: the
 * checkpoint is refused all the same. */
static void test_lost(void **state)
{
  struct fixture *f = *state;
  struct st_checkpoint cp;

  start(f);
  put_entry(f, "/a", "f", 1);
  ok(f, st_sql_exec(f->c, "INSERT INTO path (path) VALUES (x'2f62')", &f->err));
  put_entry(f, "/c", "f", 1); /* its id is taken */
  st_catalog_changed(f->c);
  assert_true(st_catalog_commit(f->c, &f->keys, 1000000, NULL, false, &cp, &f->err) < 0);
  st_error_clear(&f->err);
  assert_int_equal(st_catalog_latest(f->c), 0);
  assert_int_equal(stored_rows(f, "path"), 0);
  start(f);
  put_entry(f, "/a", "f", 1);
  commit(f);
  assert_sound(f);
}

/* The next time that the catalog's file is synced, the disk has lost it, and says so once. */
static atomic_bool lose;

static bool is_catalog(int fd)
{
  char name[64], path[512] = "";

  snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
  ssize_t n = readlink(name, path, sizeof(path) - 1);
  return n > 0 && strcmp(basename(path), "catalog.db") == 0;
}

/* In place of libc's, for SQLite as well. */
__attribute__((visibility("default"))) int fdatasync(int fd)
{
  if (is_catalog(fd) && atomic_exchange(&lose, false)) {
    errno = EIO;
    return -1;
  }
  return (int)syscall(SYS_fdatasync, fd);
}

/* There is no room in the catalog's file; or a thread beside writes to it, and takes its time. */
static atomic_bool full, slow, beside;

__attribute__((visibility("default"))) ssize_t pwrite64(int fd, const void *data, size_t length,
                                                        off64_t at)
{
  if (full && is_catalog(fd)) {
    errno = ENOSPC;
    return -1;
  }
  if (slow && gettid() != getpid() && is_catalog(fd)) {
    const struct timespec some = {0, 50000000};
    slow = false;
    beside = true;
    nanosleep(&some, NULL);
    beside = false;
  }
  return syscall(SYS_pwrite64, fd, data, length, at);
}

/* Whoever it is told to, a thread beside or the commit: there is no checkpoint. */
static void test_disk_lost_it(void **state)
{
  struct fixture *f = *state;
  struct st_checkpoint cp;

  start(f);
  put_many(f, 1000);
  lose = true;
  assert_true(st_catalog_commit(f->c, &f->keys, 1000000, NULL, false, &cp, &f->err) < 0);
  assert_false(lose);
  assert_int_equal(f->err.code, EIO);
  st_error_clear(&f->err);
  assert_int_equal(st_catalog_latest(f->c), 0);
  assert_int_equal(stored_rows(f, "path"), 0);
  start(f);
  put_many(f, 1000);
  commit(f);
  assert_many(f, 1, 1000);
  assert_sound(f);
}

/* The thread beside can write nothing to the file: who waits for it is told. */
static void test_disk_is_full(void **state)
{
  struct fixture *f = *state;
  struct st_checkpoint cp;

  start(f);
  put_many(f, 1000);
  full = true;
  int r = st_catalog_commit(f->c, &f->keys, 1000000, NULL, false, &cp, &f->err);
  full = false;
  assert_true(r < 0);
  assert_non_null(strstr(f->err.message, "full"));
  st_error_clear(&f->err);
  assert_int_equal(st_catalog_latest(f->c), 0);
  start(f);
  put_many(f, 1000);
  commit(f);
  assert_many(f, 1, 1000);
  assert_sound(f);
}

static int count_asked(UNUSED unsigned what, void *arg, UNUSED void *statement, UNUSED void *text)
{
  *(unsigned *)arg += beside;
  return 0;
}

/* The connection is one thread's at a time. */
static void test_written_beside(void **state)
{
  struct fixture *f = *state;
  unsigned asked = 0;

  start(f);
  put_many(f, 1000);
  sqlite3_trace_v2(f->c->db, SQLITE_TRACE_STMT, count_asked, &asked);
  slow = true;
  commit(f);
  assert_false(slow);
  assert_int_equal(asked, 0);
  sqlite3_trace_v2(f->c->db, 0, NULL, NULL);
}

/* The table that rows are taken from is of no use to anybody else. */
static void test_own_alone(void **state)
{
  struct fixture *f = *state;
  int64_t n;

  start(f);
  put_entry(f, "/a", "f", 1);
  assert_true(st_sql_number(f->c, "SELECT count(*) FROM waiting", 0, &n, &f->err) < 0);
  st_error_clear(&f->err);
  commit(f);
  assert_true(st_sql_number(f->c, "SELECT count(*) FROM waiting", 0, &n, &f->err) < 0);
  st_error_clear(&f->err);
  assert_sound(f);
}

/* ---- Other programs -------------------------------------------------------------------------- */

/* Another program looks into the catalog, by SQLite alone, until the test lets it go.  It is this
 * one, run anew: after fork(2) alone SQLite would take the locks of the test for its own. */
struct other {
  pid_t pid;
  int tells, waits; /* pipes */
};

static void wait_for(int fd)
{
  char c;
  (void)!read(fd, &c, 1);
}

/* `argv`: the file.  Ends with SQLite's code of its look. */
static int be_other(char *const *argv)
{
  sqlite3 *db;
  int r = sqlite3_open_v2(argv[0], &db, SQLITE_OPEN_READONLY, NULL);

  if (r == SQLITE_OK)
    r = sqlite3_exec(db, "BEGIN; SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
  (void)!write(STDOUT_FILENO, "", 1);
  wait_for(STDIN_FILENO);
  sqlite3_close(db);
  return r;
}

static struct other look(struct fixture *f)
{
  ST_AUTO_FREE char *path = st_format("%s/hosts/%s/catalog.db", f->dir, f->keys.host_id);
  int in[2], out[2];

  assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
  struct other o = {fork(), in[1], out[0]};
  if (!o.pid) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    execl("/proc/self/exe", "other", path, NULL);
    _exit(126);
  }
  close(in[0]);
  close(out[1]);
  wait_for(o.waits); /* until it has looked, or ended */
  return o;
}

static void let_go(const struct other *o, int expected)
{
  int status;

  close(o->tells);
  close(o->waits);
  assert_int_equal(waitpid(o->pid, &status, 0), o->pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), expected);
}

/* Who comes while it is made, and stays until it is made, takes nothing from it. */
static void test_read_meanwhile(void **state)
{
  struct fixture *f = *state;

  start(f);
  put_entry(f, "/a", "f", 1);
  struct other o = look(f);
  commit(f);
  let_go(&o, SQLITE_BUSY);
  assert_int_equal(mode_at(f, 1, "/a"), 1);
}

struct watch {
  struct fixture *f;
  struct other other;
  bool said;
};

/* Lets the other program go when the log says that it is waited for. */
static void *let_go_when_said(void *arg)
{
  struct watch *w = arg;
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;

  do {
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    st_buffer_clear(&text);
    if (st_read_file(w->f->fd, "log", 1 << 20, &text, NULL) < 0)
      return NULL;
  } while (!strstr(text.data, "waiting for another program that holds"));
  w->said = strstr(text.data, "/catalog.db");
  close(w->other.tells);
  return NULL;
}

/* A killed first checkpoint leaves no WAL behind: who reads then is waited for. */
static void test_waits_for_reader(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_FREE char *log = st_format("%s/log", f->dir);
  pthread_t thread;

  ok(f, st_sql_exec(f->c, "PRAGMA journal_mode = DELETE", &f->err));
  ok(f, st_log_open("test", log, ST_LOG_INFO, &f->err));
  st_log(ST_LOG_INFO, "begun");
  struct watch w = {f, look(f), false};
  assert_int_equal(pthread_create(&thread, NULL, let_go_when_said, &w), 0);
  start(f);
  pthread_join(thread, NULL);
  st_log_close();
  assert_true(w.said);
  w.other.tells = -1;
  let_go(&w.other, SQLITE_OK);
  put_entry(f, "/a", "f", 1);
  commit(f);
  assert_int_equal(mode_at(f, 1, "/a"), 1);
}

/* Who does not let go: it is said what helps, and the next one is made. */
static void test_gives_up(void **state)
{
  struct fixture *f = *state;

  ok(f, st_sql_exec(f->c, "PRAGMA journal_mode = DELETE", &f->err));
  st_sqlite_be_patient(f->c->db, &f->c->patience, 0);
  struct other o = look(f);
  assert_true(st_sql_exec(f->c, "BEGIN EXCLUSIVE", &f->err) < 0);
  assert_non_null(strstr(st_error_text(&f->err), "'fuser -v /"));
  st_error_clear(&f->err);
  let_go(&o, SQLITE_OK);
  start(f);
  put_entry(f, "/a", "f", 1);
  commit(f);
  assert_int_equal(mode_at(f, 1, "/a"), 1);
}

int main(int argc, char **argv)
{
  if (argc > 1)
    return be_other(argv + 1);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_read_meanwhile, setup, teardown),
      cmocka_unit_test_setup_teardown(test_waits_for_reader, setup, teardown),
      cmocka_unit_test_setup_teardown(test_gives_up, setup, teardown),
      cmocka_unit_test_setup_teardown(test_many, setup, teardown),
      cmocka_unit_test_setup_teardown(test_asked_meanwhile, setup, teardown),
      cmocka_unit_test_setup_teardown(test_said_again, setup, teardown),
      cmocka_unit_test_setup_teardown(test_taken_back, setup, teardown),
      cmocka_unit_test_setup_teardown(test_in_order, setup, teardown),
      cmocka_unit_test_setup_teardown(test_in_no_order, setup, teardown),
      cmocka_unit_test_setup_teardown(test_values, setup, teardown),
      cmocka_unit_test_setup_teardown(test_taken_back_whole, setup, teardown),
      cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
      cmocka_unit_test_setup_teardown(test_disk_lost_it, setup, teardown),
      cmocka_unit_test_setup_teardown(test_disk_is_full, setup, teardown),
      cmocka_unit_test_setup_teardown(test_written_beside, setup, teardown),
      cmocka_unit_test_setup_teardown(test_own_alone, setup, teardown),
  };
  return cmocka_run_group_tests_name("first", tests, NULL, NULL);
}
