/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-support.h - a scratch store with a catalog of two made-up plug-ins, for the tests here. */
#ifndef ST_CATALOG_TEST_SUPPORT_H
#define ST_CATALOG_TEST_SUPPORT_H

#include "systracker/catalog/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define UNUSED __attribute__((unused))

struct fixture {
  char dir[128];
  int fd;
  struct st_keys keys;
  struct st_catalog *c;
  struct st_error err;
};

static const struct st_column entry_columns[] = {
    {"path", ST_PATH, ST_KEY},       {"type", ST_TEXT, 0},    {"mode", ST_INTEGER, ST_AS_MODE},
    {"mtime", ST_INTEGER, ST_QUIET}, {"target", ST_BYTES, 0},
};
static const struct st_column file_columns[] = {
    {"path", ST_PATH, ST_KEY},
    {"object", ST_ID, ST_OBJECT},
};
static const struct st_column package_columns[] = {
    {"name", ST_TEXT, ST_KEY},
    {"version", ST_TEXT, 0},
    {"manifest", ST_ID, ST_MANIFEST},
};
static const struct st_table fake_tables[] = {
    {"entry", ST_TABLE_ENTRY, ST_COUNT(entry_columns), entry_columns},
    {"file", ST_TABLE_ENTRY, ST_COUNT(file_columns), file_columns},
    {"package", ST_TABLE_PACKAGES, ST_COUNT(package_columns), package_columns},
    {0},
};

/* Fails with the error's words. */
#define ok(f, call)                                                                                \
  do {                                                                                             \
    if ((call) < 0)                                                                                \
      fail_msg("%s: %s", #call, st_error_text(&(f)->err));                                         \
  } while (0)

static void remove_below(int dirfd)
{
  DIR *d = fdopendir(dirfd);
  struct dirent *e;

  while (d && (e = readdir(d))) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
      continue;
    int below = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (below >= 0)
      remove_below(below);
    unlinkat(dirfd, e->d_name, below >= 0 ? AT_REMOVEDIR : 0);
  }
  if (d)
    closedir(d);
}

static UNUSED struct st_catalog *reopen(struct fixture *f, enum st_catalog_flags flags)
{
  st_catalog_close(f->c);
  f->c = NULL;
  ok(f, st_catalog_open(&f->c, f->fd, f->keys.host_id, flags, &f->err));
  return f->c;
}

static UNUSED void declare(struct fixture *f)
{
  ok(f, st_catalog_declare(f->c, "fake", fake_tables, &f->err));
}

static UNUSED void fixture_open(struct fixture *f)
{
  const char *tmp = getenv("TMPDIR");

  *f = (struct fixture){.fd = -1};
  st_digest_init();
  snprintf(f->dir, sizeof(f->dir), "%s/test-catalog.XXXXXX", tmp ? tmp : "/tmp");
  assert_non_null(mkdtemp(f->dir));
  f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true(f->fd >= 0);
  ok(f, st_keys_make(&f->keys, &f->err));
  reopen(f, ST_CATALOG_WRITE);
  declare(f);
}

static UNUSED void fixture_close(struct fixture *f)
{
  st_catalog_close(f->c);
  remove_below(f->fd);
  rmdir(f->dir);
  st_error_clear(&f->err);
}

static UNUSED int setup(void **state)
{
  *state = st_calloc(1, sizeof(struct fixture));
  fixture_open(*state);
  return 0;
}

static UNUSED int teardown(void **state)
{
  fixture_close(*state);
  free(*state);
  return 0;
}

/* ---- Said shortly ---------------------------------------------------------------------------- */

static UNUSED const struct st_catalog_table *table(struct fixture *f, const char *name)
{
  const struct st_catalog_table *t = st_catalog_table(f->c, name);

  assert_non_null(t);
  return t;
}

static UNUSED void start(struct fixture *f)
{
  ok(f, st_catalog_start(f->c, &f->err));
}

/* Commits, and yields the checkpoint without its strings. */
static UNUSED struct st_checkpoint commit(struct fixture *f)
{
  struct st_checkpoint cp;
  int64_t number = st_catalog_latest(f->c) + 1;

  ok(f, st_catalog_commit(f->c, &f->keys, 1000000 + number * 86400, NULL, false, &cp, &f->err));
  free(st_steal(&cp.message));
  free(st_steal(&cp.tags));
  return cp;
}

static UNUSED int put_entry(struct fixture *f, const char *path, const char *type, int64_t mode)
{
  struct st_value row[] = {st_path_value(path), st_text_value(type), st_integer(mode), st_null(),
                           st_null()};
  int r = st_catalog_put(f->c, table(f, "fake_entry"), row, &f->err);

  ok(f, r);
  return r;
}

static UNUSED int gone_entry(struct fixture *f, const char *path)
{
  struct st_value key = st_path_value(path);
  int r = st_catalog_gone(f->c, table(f, "fake_entry"), &key, &f->err);

  ok(f, r);
  return r;
}

static UNUSED int put_package(struct fixture *f, const char *name, const char *version,
                              const struct st_id *manifest)
{
  struct st_value row[] = {st_text_value(name), st_text_value(version),
                           manifest ? st_id_value(manifest) : st_null()};
  int r = st_catalog_put(f->c, table(f, "fake_package"), row, &f->err);

  ok(f, r);
  return r;
}

/* The mode of a path, -1: it is not there, -2: its mode was not captured. */
static UNUSED int64_t mode_at(struct fixture *f, int64_t number, const char *path)
{
  ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
  struct st_value key = st_path_value(path);

  ok(f, st_catalog_fact(f->c, number, table(f, "fake_entry"), &key, &fact, &f->err));
  if (!fact->present)
    return -1;
  return fact->values[2].type == ST_NULL ? -2 : fact->values[2].u.integer;
}

/* Rows of any kind that the file holds, over all fact tables. */
static UNUSED int64_t stored_rows(struct fixture *f, const char *name)
{
  ST_AUTO_FREE char *sql = st_format("SELECT count(*) FROM \"%s\"", name);
  int64_t n;

  ok(f, st_sql_number(f->c, sql, 0, &n, &f->err));
  return n;
}

/* ---- Differences as text: "+/etc/a -/etc/b ~/etc/c " ----------------------------------------- */

static int note_change(void *arg, const struct st_change *change, UNUSED struct st_error *err)
{
  const struct st_value *row = change->after ? change->after : change->before;

  st_buffer_append_byte(arg, !change->before ? '+' : !change->after ? '-' : '~');
  st_buffer_append(arg, row[0].u.bytes.data, row[0].u.bytes.length);
  if (change->after && change->declaration->ncolumns > 2 && row[2].type == ST_INTEGER)
    st_buffer_printf(arg, "=%lld", (long long)row[2].u.integer);
  st_buffer_append_byte(arg, ' ');
  return 0;
}

static UNUSED char *changes(struct fixture *f, int64_t a, int64_t b)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;

  ok(f, st_catalog_changes(f->c, a, b, note_change, &text, &f->err));
  return st_buffer_steal(&text, NULL);
}

static UNUSED void assert_changes(struct fixture *f, int64_t a, int64_t b, const char *expected)
{
  ST_AUTO_FREE char *text = changes(f, a, b);

  assert_string_equal(text, expected);
}

#endif
