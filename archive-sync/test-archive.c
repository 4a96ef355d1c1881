/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-archive.c - the folder: what is taken for an archive, whose chain is whose, and how an epoch
 * is put aside. */
#include "systracker/catalog/test-support.h"

#include "archive-sync/archive.h"

static void test_urls(void **state)
{
  struct fixture *f = *state;
  static const struct {
    const char *url, *path;
  } good[] = {{"file:///a/b", "/a/b"}, {"/a/b", "/a/b"}, {"a", "a"}};
  static const char *const bad[] = {"https://h:1/", "ssh://h/x", "file://host/x", "file://", ""};

  for (size_t i = 0; i < ST_COUNT(good); i++) {
    ST_AUTO_FREE char *path = NULL;
    ok(f, st_archive_path(good[i].url, &path, &f->err));
    assert_string_equal(path, good[i].path);
  }
  for (size_t i = 0; i < ST_COUNT(bad); i++) {
    char *path;
    assert_int_equal(st_archive_path(bad[i], &path, &f->err), -1);
    assert_non_null(f->err.message);
    st_error_clear(&f->err);
  }
}

static void write_mark(struct fixture *f, const char *text)
{
  ok(f, st_write_file(f->fd, "archive", 0600, text, strlen(text), &f->err));
}

static void refuses_mark(struct fixture *f, const char *text)
{
  struct st_archive *a;

  write_mark(f, text);
  assert_int_equal(st_archive_open(&a, f->dir, false, &f->err), -1);
  assert_non_null(f->err.message);
  st_error_clear(&f->err);
}

static void test_mark(void **state)
{
  struct fixture *f = *state;
  struct st_archive *a;

  assert_int_equal(st_archive_open(&a, f->dir, false, &f->err), -1);
  st_error_clear(&f->err);
  ok(f, st_archive_open(&a, f->dir, true, &f->err)); /* a store, to look at */
  st_archive_close(a);
  refuses_mark(f, "");
  refuses_mark(f, "SysTracker archive ");
  refuses_mark(f, "SysTracker archive 2\n");
  refuses_mark(f, "SysTracker archives 1\n");
  write_mark(f, "SysTracker archive 1\nrecipient age1xyz\n");
  ok(f, st_archive_open(&a, f->dir, false, &f->err));
  st_archive_close(a);
  assert_int_equal(st_archive_init(f->dir, NULL, &f->err), -1); /* not empty */
  assert_int_equal(f->err.status, ST_EXIT_INCOMPLETE);
}

static void night(struct fixture *f, const char *path)
{
  start(f);
  put_entry(f, path, "f", 1);
  commit(f);
}

static enum st_relation relate(struct fixture *f, struct st_catalog *from, struct st_catalog *to)
{
  enum st_relation relation;

  ok(f, st_relate(from, to, &relation, &f->err));
  return relation;
}

static void send(struct fixture *f, struct st_catalog *to, int64_t number)
{
  ST_AUTO_CHANGESET set = {0};

  ok(f, st_changeset_read(f->c, number, &set, &f->err));
  ok(f, st_catalog_apply(to, &set, &f->err));
}

static struct st_catalog *open_copy(struct fixture *f, struct st_archive *a)
{
  struct st_catalog *copy;

  ok(f,
     st_archive_catalog(a, f->keys.host_id, ST_CATALOG_WRITE | ST_CATALOG_REPLICA, &copy, &f->err));
  return copy;
}

static struct st_archive *make_archive(struct fixture *f)
{
  ST_AUTO_FREE char *path = st_format("%s/archive-of-tests", f->dir);
  struct st_archive *a;

  ok(f, st_archive_init(path, NULL, &f->err));
  ok(f, st_archive_open(&a, path, false, &f->err));
  ok(f, st_archive_objects(a, ST_STORE_READ, NULL, &f->err));
  return a;
}

static void test_relations_and_epochs(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_ARCHIVE *a = make_archive(f);
  struct st_catalog *copy = open_copy(f, a);
  ST_AUTO_STRINGS epochs = {0};

  assert_int_equal(relate(f, f->c, copy), ST_SAME);
  night(f, "/one");
  night(f, "/two");
  assert_int_equal(relate(f, f->c, copy), ST_BEHIND);
  assert_int_equal(relate(f, copy, f->c), ST_AHEAD);
  send(f, copy, 1);
  assert_int_equal(relate(f, f->c, copy), ST_BEHIND);
  assert_int_equal(relate(f, copy, f->c), ST_AHEAD);
  send(f, copy, 2);
  assert_int_equal(relate(f, f->c, copy), ST_SAME);
  st_catalog_close(copy);

  /* A kill between the two renames: what is left is whole, and is put aside the next time. */
  ST_AUTO_FREE char *chain = st_format("hosts/%s/chain", f->keys.host_id);
  ok(f, unlinkat(a->dir, chain, 0));
  copy = open_copy(f, a);
  assert_int_equal(st_catalog_latest(copy), 2);
  st_catalog_close(copy);
  ok(f, st_retire(a->dir, f->keys.host_id, 1, &f->err));
  ok(f, st_archive_epochs(a, f->keys.host_id, &epochs, &f->err));
  assert_int_equal(epochs.count, 1);
  assert_string_equal(epochs.items[0], "1");

  /* Not over one that is there. */
  copy = open_copy(f, a);
  assert_int_equal(st_catalog_latest(copy), 0);
  send(f, copy, 1);
  st_catalog_close(copy);
  assert_int_equal(st_retire(a->dir, f->keys.host_id, 1, &f->err), -1);
  st_error_clear(&f->err);
  copy = open_copy(f, a);
  assert_int_equal(st_catalog_latest(copy), 1);
  st_catalog_close(copy);
}

static void finds(struct fixture *f, struct st_archive *a, const char *text, const char *expected)
{
  ST_AUTO_FREE char *host = NULL;
  int r = st_archive_find_host(a, text, &host, &f->err);

  if (!expected) {
    assert_int_equal(r, -1);
    assert_non_null(f->err.message);
    st_error_clear(&f->err);
    return;
  }
  ok(f, r);
  assert_string_equal(host, expected);
}

static void test_hosts_are_named(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_ARCHIVE *a = make_archive(f);
  static const char one[] = "00112233445566778899aabbccddeeff";
  static const char two[] = "0011223344556677ffffffffffffffff";

  for (const char *const *id = (const char *const[]){one, two, "notahost", NULL}; *id; id++) {
    ST_AUTO_FREE char *path = st_format("hosts/%s", *id);
    ok(f, st_make_dirs(a->dir, path, 0700, &f->err));
  }
  finds(f, a, one, one);
  finds(f, a, "00112233445566778", one);
  finds(f, a, "0011", NULL);
  finds(f, a, "notahost", NULL);
  finds(f, a, "", NULL);
  finds(f, a, "..", NULL);
  finds(f, a, "0011223344556677f/epoch-12", "0011223344556677ffffffffffffffff/epoch-12");
  finds(f, a, "0011223344556677f/epoch-", NULL);
  finds(f, a, "0011223344556677f/../x", NULL);
  finds(f, a, "0011223344556677f/epoch-1/..", NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(test_urls),
      TEST(test_mark),
      TEST(test_relations_and_epochs),
      TEST(test_hosts_are_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
