/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-checkpoint.c - checkpoints by name, tags, and files that are no catalog. */
#include "systracker/catalog/test-support.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static void make_nights(struct fixture *f, int count)
{
  for (int i = 0; i < count; i++) {
    start(f);
    put_entry(f, "/a", "f", i);
    commit(f);
  }
}

/* The number that a text means, -1: none, the error has to say `words`. */
static int64_t resolve(struct fixture *f, const char *text, const char *words)
{
  int64_t n = -1;

  st_error_clear(&f->err);
  if (st_catalog_resolve(f->c, text, &n, &f->err) < 0) {
    if (!words || !strstr(st_error_text(&f->err), words))
      fail_msg("%s: \"%s\"", text, st_error_text(&f->err));
    return -1;
  }
  return n;
}

static void test_resolve(void **state)
{
  struct fixture *f = *state;

  assert_int_equal(resolve(f, "latest", "none yet"), -1);
  assert_int_equal(resolve(f, "3", "none yet"), -1);
  make_nights(f, 5);
  ok(f, st_catalog_tag(f->c, "good", 2, false, &f->err));
  assert_int_equal(resolve(f, "3", NULL), 3);
  assert_int_equal(resolve(f, "latest", NULL), 5);
  assert_int_equal(resolve(f, "latest~0", NULL), 5);
  assert_int_equal(resolve(f, "latest~4", NULL), 1);
  assert_int_equal(resolve(f, "latest~5", "no checkpoint latest~5"), -1);
  assert_int_equal(resolve(f, "latest~x", ""), -1);
  assert_int_equal(resolve(f, "baseline", NULL), 1);
  assert_int_equal(resolve(f, "good", NULL), 2);
  assert_int_equal(resolve(f, "99", "the latest is 5"), -1);
  assert_int_equal(resolve(f, "99999999999999999999", ""), -1);
  assert_int_equal(resolve(f, "nonsense", "no checkpoint nonsense"), -1);
  assert_int_equal(resolve(f, "", "no checkpoint"), -1);
}

static void test_dates(void **state)
{
  struct fixture *f = *state;

  setenv("TZ", "UTC", 1);
  tzset();
  make_nights(f, 3); /* 1970-01-13, 14, 15, each 13:46:40 */
  assert_int_equal(resolve(f, "1970-01-13", NULL), 1);
  assert_int_equal(resolve(f, "1970-01-14", NULL), 2);
  assert_int_equal(resolve(f, "1970-01-14 13:46:39", NULL), 1);
  assert_int_equal(resolve(f, "1970-01-14 13:46:40", NULL), 2);
  assert_int_equal(resolve(f, "2026-11-20", NULL), 3);
  assert_int_equal(resolve(f, "1970-01-12", "up to 1970-01-12"), -1);
}

static int tag(struct fixture *f, const char *name, int64_t number, bool move)
{
  st_error_clear(&f->err);
  return st_catalog_tag(f->c, name, number, move, &f->err);
}

static void test_tags(void **state)
{
  struct fixture *f = *state;
  struct st_checkpoint cp;

  make_nights(f, 2);
  static const char *const bad[] = {"",     "12",        "latest", "baseline",   "latest~1",
                                    "a b",  "-x",        "a/b",    "2026-01-01", "a,b",
                                    "\xff", "tab\tname", "live",   "a\x1b[0m",   NULL};
  for (size_t i = 0; bad[i]; i++)
    if (tag(f, bad[i], 1, false) == 0)
      fail_msg("'%s' was taken as a tag", bad[i]);
  ok(f, tag(f, "before-upgrade", 1, false));
  ok(f, tag(f, "gut-ü", 1, false));
  ok(f, tag(f, "before-upgrade", 1, false)); /* as it is */
  assert_true(tag(f, "before-upgrade", 2, false) < 0);
  assert_int_equal(f->err.status, ST_EXIT_INCOMPLETE);
  assert_true(tag(f, "none", 9, false) < 0);
  assert_true(tag(f, "none", ST_LIVE, false) < 0);
  ok(f, st_catalog_checkpoint(f->c, 1, &cp, &f->err));
  assert_string_equal(cp.tags, "before-upgrade, gut-ü");
  st_checkpoint_clear(&cp);
  ok(f, tag(f, "before-upgrade", 2, true));
  assert_true(st_catalog_untag(f->c, "never", &f->err) < 0);

  start(f);
  ok(f, tag(f, "now", ST_LIVE, false));
  cp = commit(f);
  assert_int_equal(cp.begun, 3); /* tags are facts from the next checkpoint on */
  assert_int_equal(resolve(f, "now", NULL), 3);
  ok(f, st_catalog_untag(f->c, "now", &f->err));
  assert_int_equal(resolve(f, "now", "no checkpoint"), -1);
  start(f);
  cp = commit(f);
  assert_int_equal(cp.ended, 1);

  start(f); /* a tag of a scan that is given up is none */
  ok(f, tag(f, "never", ST_LIVE, false));
  st_catalog_rollback(f->c);
  assert_int_equal(resolve(f, "never", "no checkpoint"), -1);
}

static void test_message_and_head(void **state)
{
  struct fixture *f = *state;
  struct st_checkpoint cp;
  uint8_t head[ST_DIGEST_SIZE], zeros[ST_DIGEST_SIZE] = {0};

  st_catalog_head(f->c, head);
  assert_memory_equal(head, zeros, sizeof(head));
  start(f);
  ok(f, st_catalog_commit(f->c, &f->keys, 77, "first \"night\"", true, &cp, &f->err));
  assert_string_equal(cp.message, "first \"night\"");
  assert_true(cp.incomplete);
  assert_int_equal(cp.time, 77);
  assert_int_equal(cp.epoch, 1);
  st_catalog_head(f->c, head);
  assert_memory_equal(head, cp.header_digest, sizeof(head));
  st_checkpoint_clear(&cp);
  start(f);
  assert_true(st_catalog_commit(f->c, &f->keys, 78, "\xff", false, &cp, &f->err) < 0);
  assert_int_equal(st_catalog_checkpoint(f->c, 9, &cp, &f->err), -ENOENT);

  struct st_keys other;
  ok(f, st_keys_make(&other, &f->err));
  start(f);
  assert_true(st_catalog_commit(f->c, &other, 78, NULL, false, &cp, &f->err) < 0);
}

static void test_unobserved(void **state)
{
  static const struct st_column columns[] = {
      {"plugin", ST_TEXT, ST_KEY}, {"path", ST_PATH, ST_KEY}, {"reason", ST_TEXT, 0}};
  static const struct st_table tables[] = {{"unobserved", 0, ST_COUNT(columns), columns}, {0}};
  struct fixture *f = *state;
  struct st_value row[] = {st_text_value("x"), st_path_value("/srv/nfs"), st_text_value("why")};

  assert_null(st_catalog_unobserved(f->c, 1, "/srv"));
  ok(f, st_catalog_declare(f->c, "core", tables, &f->err));
  start(f);
  ok(f, st_catalog_put(f->c, table(f, "core_unobserved"), row, &f->err));
  commit(f);
  assert_null(st_catalog_unobserved(f->c, 1, "/srv"));
  assert_null(st_catalog_unobserved(f->c, 1, "/srv/nfs2"));
  ST_AUTO_FREE char *words = st_catalog_unobserved(f->c, 1, "/srv/nfs/a/b");
  assert_string_equal(words, "why");
  row[1] = st_path_value("");
  start(f);
  ok(f, st_catalog_put(f->c, table(f, "core_unobserved"), row, &f->err));
  commit(f);
  ST_AUTO_FREE char *all = st_catalog_unobserved(f->c, 2, "/anything");
  assert_string_equal(all, "why");
  assert_null(st_catalog_unobserved(f->c, 1, "/anything"));
}

/* ---- Files that are none --------------------------------------------------------------------- */

static void write_file(struct fixture *f, const void *data, size_t length)
{
  int dir = st_open_beneath(f->fd, "hosts", O_RDONLY | O_DIRECTORY, 0);
  int host = openat(dir, f->keys.host_id, O_RDONLY | O_DIRECTORY);

  ok(f, st_write_file(host, "catalog.db", 0600, data, length, &f->err));
  close(host);
  close(dir);
}

static void read_file(struct fixture *f, struct st_buffer *out)
{
  ST_AUTO_FREE char *name = st_format("hosts/%s/catalog.db", f->keys.host_id);
  ST_AUTO_CLOSE int fd = st_open_beneath(f->fd, name, O_RDONLY, 0);

  st_buffer_clear(out);
  ok(f, st_read_all(fd, 1 << 30, out, &f->err));
}

/* Refused by readers and writers alike, in these words, and nothing is changed. */
static void assert_no_catalog(struct fixture *f, const void *data, size_t length, const char *words)
{
  ST_AUTO_BUFFER after = ST_BUFFER_INIT;
  struct st_catalog *c = NULL;

  st_catalog_close(f->c);
  f->c = NULL;
  write_file(f, data, length);
  for (int flags = ST_CATALOG_READ; flags <= ST_CATALOG_WRITE; flags++) {
    st_error_clear(&f->err);
    assert_true(st_catalog_open(&c, f->fd, f->keys.host_id, flags, &f->err) < 0);
    if (!strstr(st_error_text(&f->err), words) || !strstr(st_error_text(&f->err), "(hosts/"))
      fail_msg("\"%s\" does not say \"%s\"", st_error_text(&f->err), words);
  }
  read_file(f, &after);
  assert_int_equal(after.length, length);
  assert_memory_equal(after.data, data, length);
}

static void test_no_catalog(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER good = ST_BUFFER_INIT, bad = ST_BUFFER_INIT;
  struct st_catalog *c = NULL;

  assert_int_equal(st_catalog_open(&c, f->fd, "0123", ST_CATALOG_READ, &f->err), -ENOENT);
  make_nights(f, 3);
  st_catalog_close(st_steal(&f->c));
  read_file(f, &good);

  char garbage[8192];
  memset(garbage, 'x', sizeof(garbage));
  assert_no_catalog(f, garbage, sizeof(garbage), "is no catalog of SysTracker");

  st_buffer_append(&bad, good.data, good.length);
  bad.data[63] = 99; /* user_version, big-endian at 60 */
  ST_AUTO_FREE char *newer = st_format("store was written by a newer SysTracker (schema 99, this "
                                       "one knows %d): nothing was changed",
                                       ST_CATALOG_SCHEMA);
  assert_no_catalog(f, bad.data, bad.length, newer);
  bad.data[63] = ST_CATALOG_SCHEMA;
  bad.data[68] ^= 1; /* application_id at 68 */
  assert_no_catalog(f, bad.data, bad.length, "is no catalog of SysTracker");
  bad.data[68] ^= 1;
  assert_no_catalog(f, bad.data, 4096 * 2, ""); /* cut */
}

/* A store on a read-only medium: no -wal, and nothing can be made beside it. */
static void test_read_only_folder(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_FREE char *folder = st_format("%s/hosts/%s", f->dir, f->keys.host_id);

  make_nights(f, 2);
  st_catalog_close(st_steal(&f->c));
  pid_t child = fork(); /* root may write everywhere: somebody else tries */
  if (child == 0) {
    struct st_catalog *c = NULL;
    chmod(f->dir, 0555);
    ST_AUTO_FREE char *hosts = st_format("%s/hosts", f->dir);
    ST_AUTO_FREE char *file = st_format("%s/catalog.db", folder);
    chmod(hosts, 0555);
    chmod(folder, 0555);
    chmod(file, 0444);
    if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
      _exit(3);
    if (st_catalog_open(&c, f->fd, f->keys.host_id, ST_CATALOG_READ, &f->err) < 0) {
      fprintf(stderr, "%s\n", st_error_text(&f->err));
      _exit(1);
    }
    _exit(st_catalog_latest(c) == 2 ? 0 : 2);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  chmod(f->dir, 0700);
  ST_AUTO_FREE char *hosts = st_format("%s/hosts", f->dir);
  chmod(hosts, 0700);
  chmod(folder, 0700);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_resolve, setup, teardown),
      cmocka_unit_test_setup_teardown(test_dates, setup, teardown),
      cmocka_unit_test_setup_teardown(test_tags, setup, teardown),
      cmocka_unit_test_setup_teardown(test_message_and_head, setup, teardown),
      cmocka_unit_test_setup_teardown(test_unobserved, setup, teardown),
      cmocka_unit_test_setup_teardown(test_no_catalog, setup, teardown),
      cmocka_unit_test_setup_teardown(test_read_only_folder, setup, teardown),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
