/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-view.c - what pages say of a host: checkpoints, changes by kinds, texts side by side, the
 * same of two hosts; and that a secret is in none of it. */
#include "systracker/catalog/test-support.h"

#include "archive-sync/serve/view.h"

/* Two hosts in one archive. */
struct hosts {
  struct fixture one, two;
  struct st_store *store;
  struct st_archive *archive;
};

static struct st_id keep(struct hosts *h, const char *text, bool secret)
{
  struct st_id id;
  ok(&h->one, st_store_put(h->store, text, strlen(text), secret, NULL, &id, &h->one.err));
  return id;
}

static void put_file(struct fixture *f, const char *path, const struct st_id *id)
{
  struct st_value row[] = {st_path_value(path), st_id_value(id)};
  ok(f, st_catalog_put(f->c, table(f, "fake_file"), row, &f->err));
}

static void put_text(struct hosts *h, struct fixture *f, const char *path, const char *text,
                     bool secret)
{
  struct st_id id = keep(h, text, secret);
  put_entry(f, path, "f", 0644);
  put_file(f, path, &id);
}

/* Baseline; then a file, a package and a secret change; then nothing. */
static void nights(struct hosts *h, struct fixture *f)
{
  start(f);
  put_text(h, f, "/etc/conf", "one\ntwo\nthree\n", false);
  put_text(h, f, "/etc/secret", "canary-old", true);
  put_entry(f, "/opt/x", "f", 0600);
  put_package(f, "demo", "1.0", NULL);
  commit(f);
  start(f);
  put_text(h, f, "/etc/conf", "one\n2\nthree\nfour\n", false);
  put_text(h, f, "/etc/secret", "canary-new", true);
  put_entry(f, "/opt/x", "f", 0644);
  put_entry(f, "/opt/y", "d", 0755);
  put_package(f, "demo", "2.0", NULL);
  put_package(f, "extra", "1", NULL);
  commit(f);
  start(f);
  commit(f);
}

static int set_up(void **state)
{
  struct hosts *h = st_calloc(1, sizeof(*h));
  struct fixture *f = &h->one;
  static const char mark[] = "SysTracker archive 1\n";
  fixture_open(f);
  ok(f, st_store_open(&h->store, f->fd, ST_STORE_WRITE, &f->keys, &f->err));
  nights(h, f);
  h->two = (struct fixture){.fd = f->fd};
  ok(f, st_keys_make(&h->two.keys, &f->err));
  reopen(&h->two, ST_CATALOG_WRITE);
  declare(&h->two);
  *state = h;
  ok(f, st_write_file(f->fd, "archive", 0600, mark, strlen(mark), &f->err));
  ok(f, st_archive_open(&h->archive, f->dir, false, &f->err));
  return 0;
}

/* What was put is there for readers. */
static struct st_hostview *look(struct hosts *h, const struct fixture *f)
{
  struct st_hostview *v = NULL;
  ok(&h->one, st_store_sync(h->store, &h->one.err));
  ok(&h->one, st_hostview_open(&v, h->archive, f->keys.host_id, &h->one.err));
  assert_non_null(v);
  return v;
}

static int tear_down(void **state)
{
  struct hosts *h = *state;
  st_archive_close(h->archive);
  st_store_close(h->store);
  st_catalog_close(h->two.c);
  st_error_clear(&h->two.err);
  fixture_close(&h->one);
  free(h);
  return 0;
}

/* ---- Opened -------------------------------------------------------------------------------------
 */

static void test_no_host(void **state)
{
  struct hosts *h = *state;
  static const char *const names[] = {"",
                                      "..",
                                      "../x",
                                      "0123",
                                      "00000000000000000000000000000000",
                                      "0000000000000000000000000000000g"};
  struct st_hostview *v;
  for (size_t i = 0; i < ST_COUNT(names); i++) {
    assert_int_equal(st_hostview_open(&v, h->archive, names[i], &h->one.err), 1);
    st_error_clear(&h->one.err);
  }
  ST_AUTO_FREE char *epoch = st_format("%s/epoch-", h->one.keys.host_id);
  ST_AUTO_FREE char *beyond = st_format("%s/epoch-1/../..", h->one.keys.host_id);
  assert_int_equal(st_hostview_open(&v, h->archive, epoch, &h->one.err), 1);
  st_error_clear(&h->one.err);
  assert_int_equal(st_hostview_open(&v, h->archive, beyond, &h->one.err), 1);
  st_error_clear(&h->one.err);
}

static void test_resolve(void **state)
{
  struct hosts *h = *state;
  ST_AUTO_HOSTVIEW *v = look(h, &h->one);
  int64_t n;
  assert_int_equal(st_hostview_resolve(v, "latest~1", &n, &h->one.err), 0);
  assert_int_equal(n, 2);
  static const char *const none[] = {"4", "0", "-1", "nothing", "", "99999999999999999999"};
  for (size_t i = 0; i < ST_COUNT(none); i++) {
    assert_int_equal(st_hostview_resolve(v, none[i], &n, &h->one.err), 1);
    st_error_clear(&h->one.err);
  }
}

static int note_checkpoint(void *arg, const struct st_checkpoint *cp, const char *words,
                           struct st_error *err)
{
  (void)err;
  st_buffer_printf(arg, "%lld %s; ", (long long)cp->number, words);
  return 0;
}

static void test_checkpoints(void **state)
{
  struct hosts *h = *state;
  ST_AUTO_HOSTVIEW *v = look(h, &h->one);
  ST_AUTO_BUFFER all = ST_BUFFER_INIT;
  ST_AUTO_BUFFER one = ST_BUFFER_INIT;
  size_t total;
  ok(&h->one, st_hostview_checkpoints(v, (struct st_view_span){0, 0}, note_checkpoint, &all, &total,
                                      &h->one.err));
  assert_int_equal(total, 3);
  assert_string_equal(all.data, "3 nothing changed; 2 6 began, 0 ended; 1 the baseline: 6 facts; ");
  ok(&h->one, st_hostview_checkpoints(v, (struct st_view_span){1, 1}, note_checkpoint, &one, &total,
                                      &h->one.err));
  assert_int_equal(total, 3);
  assert_string_equal(one.data, "2 6 began, 0 ended; ");
}

/* ---- Changes ------------------------------------------------------------------------------------
 */

static char *said(const struct st_view_changes *c)
{
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  for (size_t i = 0; i < c->count; i++) {
    const struct st_view_change *item = &c->items[i];
    st_buffer_printf(&b, "%s %c %s", st_view_kind_words[item->kind], item->letter, item->name);
    for (size_t k = 0; k < item->words.count; k++)
      st_buffer_printf(&b, "%s%s", k ? ", " : ": ", item->words.items[k]);
    st_buffer_append_string(&b, item->content ? " =\n" : "\n");
  }
  return st_buffer_steal(&b, NULL);
}

#define ALL                                                                                        \
  "packages M package demo: upgraded 1.0 → 2.0\n"                                                \
  "packages A package extra: installed 1\n"                                                        \
  "configuration M /etc/conf: content changed =\n"                                                 \
  "configuration M /etc/secret: content changed\n"                                                 \
  "other M /opt/x: mode 0600 → 0644\n"                                                           \
  "other A /opt/y: type d, mode 0755\n"

static void test_changes(void **state)
{
  struct hosts *h = *state;
  ST_AUTO_HOSTVIEW *v = look(h, &h->one);
  struct st_view_query query = {.kind = -1, .json = true};
  ST_AUTO_CHANGES c;
  ok(&h->one, st_hostview_changes(v, 1, 2, &query, &c, &h->one.err));
  ST_AUTO_FREE char *text = said(&c);
  assert_string_equal(text, ALL);
  assert_int_equal(c.totals[ST_VIEW_PACKAGES], 2);
  assert_int_equal(c.totals[ST_VIEW_CONFIGURATION], 2);
  assert_int_equal(c.totals[ST_VIEW_OTHER], 2);
  assert_true(c.items[3].secret);
  for (size_t i = 0; i < c.count; i++) {
    ST_AUTO_FREE char *json = json_dumps(c.items[i].json, 0);
    assert_true(json_array_size(c.items[i].json) > 0);
    assert_null(strstr(json, "canary"));
  }
  assert_true(json_is_true(json_object_get(json_array_get(c.items[3].json, 0), "secret")));
}

/* The parts put together are the whole. */
static void test_span(void **state)
{
  struct hosts *h = *state;
  ST_AUTO_HOSTVIEW *v = look(h, &h->one);
  ST_AUTO_BUFFER all = ST_BUFFER_INIT;
  for (size_t i = 0; i < 8; i++) {
    struct st_view_query query = {.kind = -1, .span = {i, 1}};
    ST_AUTO_CHANGES c;
    ok(&h->one, st_hostview_changes(v, 1, 3, &query, &c, &h->one.err));
    assert_int_equal(c.count, i < 6);
    assert_int_equal(c.totals[0] + c.totals[1] + c.totals[2], 6);
    ST_AUTO_FREE char *text = said(&c);
    st_buffer_append_string(&all, text);
  }
  assert_string_equal(all.data, ALL);
  struct st_view_query below = {.kind = ST_VIEW_OTHER, .below = "/opt", .span = {1, 5}};
  ST_AUTO_CHANGES c;
  ok(&h->one, st_hostview_changes(v, 1, 3, &below, &c, &h->one.err));
  assert_int_equal(c.count, 1);
  assert_string_equal(c.items[0].path, "/opt/y");
  assert_int_equal(c.totals[ST_VIEW_CONFIGURATION], 0);
}

/* ---- Contents -----------------------------------------------------------------------------------
 */

static void test_content(void **state)
{
  struct hosts *h = *state;
  ST_AUTO_HOSTVIEW *v = look(h, &h->one);
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_BUFFER why = ST_BUFFER_INIT;
  assert_int_equal(st_hostview_content(v, 1, "/etc/conf", 100, &out, &why, &h->one.err), 1);
  assert_string_equal(out.data, "one\ntwo\nthree\n");
  st_buffer_clear(&out);
  assert_int_equal(st_hostview_content(v, 1, "/etc/conf", 5, &out, &why, &h->one.err), 0);
  assert_non_null(strstr(why.data, "too large"));
  st_buffer_clear(&why);
  assert_int_equal(st_hostview_content(v, 2, "/etc/secret", 100, &out, &why, &h->one.err), 0);
  assert_non_null(strstr(why.data, "secret"));
  assert_int_equal(out.length, 0);
  st_buffer_clear(&why);
  assert_int_equal(st_hostview_content(v, 2, "/nowhere", 100, &out, &why, &h->one.err), 0);
  assert_non_null(strstr(why.data, "no such path"));
}

static char *drawn(const struct st_diff_line *list, size_t n)
{
  static const char signs[] = " -+~@\\";
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  for (size_t i = 0; i < n; i++)
    st_buffer_printf(&b, "%c%lld:%.*s|%lld:%.*s\n", signs[list[i].kind],
                     (long long)list[i].left_number, (int)list[i].left_length,
                     list[i].left ? list[i].left : "", (long long)list[i].right_number,
                     (int)list[i].right_length, list[i].right ? list[i].right : "");
  return st_buffer_steal(&b, NULL);
}

static void test_diff(void **state)
{
  struct hosts *h = *state;
  ST_AUTO_HOSTVIEW *v = look(h, &h->one);
  ST_AUTO_DIFF d;
  ok(&h->one, st_hostview_diff(v, 1, v, 2, "/etc/conf", &d, &h->one.err));
  assert_null(d.why);
  assert_string_equal(d.unified, "--- a/etc/conf at 1\n+++ b/etc/conf at 2\n@@ -1,3 +1,4 @@\n one\n"
                                 "-two\n+2\n three\n+four\n");
  ST_AUTO_FREE char *lines = drawn(d.lines, d.nlines);
  assert_string_equal(lines, "@0:@@ -1,3 +1,4 @@|0:\n 1:one|1:one\n-2:two|0:\n+0:|2:2\n"
                             " 3:three|3:three\n+0:|4:four\n");
  ST_AUTO_FREE char *rows = drawn(d.rows, d.nrows);
  assert_string_equal(rows, "@0:@@ -1,3 +1,4 @@|0:\n 1:one|1:one\n~2:two|2:2\n"
                            " 3:three|3:three\n+0:|4:four\n");
}

static void test_diff_of_secret(void **state)
{
  struct hosts *h = *state;
  ST_AUTO_HOSTVIEW *v = look(h, &h->one);
  ST_AUTO_DIFF d;
  ok(&h->one, st_hostview_diff(v, 1, v, 2, "/etc/secret", &d, &h->one.err));
  assert_null(d.unified);
  assert_non_null(strstr(d.why, "secret"));
  st_view_diff_clear(&d);
  ok(&h->one, st_hostview_diff(v, 2, v, 3, "/etc/conf", &d, &h->one.err));
  assert_string_equal(d.unified, "");
  assert_null(d.why);
}

static void compares(const char *old, const char *new_, const char *rows)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_DIFF d;
  assert_true(st_view_compare(old, strlen(old), "a", new_, strlen(new_), "b", &d, &err) >= 0);
  ST_AUTO_FREE char *text = drawn(d.rows, d.nrows);
  assert_string_equal(text, rows);
}

static void test_rows(void **state)
{
  (void)state;
  compares("", "x\n", "@0:@@ -0,0 +1 @@|0:\n+0:|1:x\n");
  compares("x\n", "", "@0:@@ -1 +0,0 @@|0:\n-1:x|0:\n");
  compares("x", "x\n", "@0:@@ -1 +1 @@|0:\n~1:x|1:x\n\\0:\\ No newline at end of file|0:\n");
  compares("a\nb\nc\n", "x\n", "@0:@@ -1,3 +1 @@|0:\n~1:a|1:x\n-2:b|0:\n-3:c|0:\n");
  compares("same\n", "same\n", "");
  /* Lines that look like a diff's own. */
  compares("-- a\n", "++ b\n", "@0:@@ -1 +1 @@|0:\n~1:-- a|1:++ b\n");
}

/* ---- One path -----------------------------------------------------------------------------------
 */

static void test_entry(void **state)
{
  struct hosts *h = *state;
  ST_AUTO_HOSTVIEW *v = look(h, &h->one);
  ST_AUTO_ENTRY e;
  ok(&h->one, st_hostview_entry(v, 2, "/etc/conf", &e, &h->one.err));
  assert_true(e.present && !e.secret && !e.package && !e.unobserved);
  assert_int_equal(e.type, 'f');
  assert_string_equal(e.source, "store");
  assert_int_equal(e.ncolumns, 2);
  assert_string_equal(e.columns[1].value, "0644");
  st_view_entry_clear(&e);
  ok(&h->one, st_hostview_entry(v, 2, "/etc/secret", &e, &h->one.err));
  assert_true(e.secret);
  st_view_entry_clear(&e);
  ok(&h->one, st_hostview_entry(v, 1, "/opt/y", &e, &h->one.err));
  assert_false(e.present);
}

static int note_event(void *arg, const struct st_view_event *e, struct st_error *err)
{
  (void)err;
  st_buffer_printf(arg, "%lld<%lld %c %s;", (long long)e->number, (long long)e->before, e->letter,
                   e->words->count ? e->words->items[0] : "");
  return 0;
}

static void test_history(void **state)
{
  struct hosts *h = *state;
  ST_AUTO_HOSTVIEW *v = look(h, &h->one);
  ST_AUTO_BUFFER all = ST_BUFFER_INIT;
  bool more;
  ok(&h->one, st_hostview_history(v, "/opt/x", (struct st_view_span){0, 1}, note_event, &all, &more,
                                  &h->one.err));
  assert_true(more);
  ok(&h->one, st_hostview_history(v, "/opt/x", (struct st_view_span){1, 5}, note_event, &all, &more,
                                  &h->one.err));
  assert_false(more);
  assert_string_equal(all.data, "2<1 M mode 0600 → 0644;1<0 A type f, mode 0600;");
}

static int note_package(void *arg, const struct st_view_package *p, struct st_error *err)
{
  (void)err;
  st_buffer_printf(arg, "%s %s %lld;", p->name, p->version, (long long)p->since);
  return 0;
}

static void test_packages(void **state)
{
  struct hosts *h = *state;
  ST_AUTO_HOSTVIEW *v = look(h, &h->one);
  ST_AUTO_BUFFER all = ST_BUFFER_INIT;
  struct st_view_package_query query = {.match = NULL};
  size_t total;
  ok(&h->one, st_hostview_packages(v, 3, &query, note_package, &all, &total, &h->one.err));
  const struct st_view_counts *kept = v->counts;
  assert_non_null(kept);
  assert_int_equal(total, 2);
  assert_string_equal(all.data, "demo 2.0 2;extra 1 2;");
  query.match = "xtr";
  st_buffer_clear(&all);
  ok(&h->one, st_hostview_packages(v, 3, &query, note_package, &all, &total, &h->one.err));
  assert_string_equal(all.data, "extra 1 2;");
  assert_ptr_equal(v->counts, kept); /* the next page does not count again; */
  query.match = NULL;
  st_buffer_clear(&all);
  ok(&h->one, st_hostview_packages(v, 1, &query, note_package, &all, &total, &h->one.err));
  assert_string_equal(all.data, "demo 1.0 1;"); /* another checkpoint does */
}

/* ---- Kept for the next --------------------------------------------------------------------------
 */

static struct st_hostview *borrow(struct hosts *h, struct st_hostviews *pool)
{
  struct st_hostview *v = NULL;
  ok(&h->one, st_hostviews_open(pool, h->one.keys.host_id, &v, &h->one.err));
  assert_non_null(v);
  return v;
}

/* Nobody gets a view twice, nor one of what was. */
static void test_pool(void **state)
{
  struct hosts *h = *state;
  ST_CLEANUP(st_hostviews_freep) struct st_hostviews *pool = st_hostviews_new(h->archive);
  ok(&h->one, st_store_sync(h->store, &h->one.err));
  struct st_hostview *a = borrow(h, pool), *b = borrow(h, pool);
  assert_true(a != b);
  st_hostview_close(a);
  assert_true(borrow(h, pool) == a);
  st_hostview_close(a);
  st_hostview_close(b);
  start(&h->one);
  put_entry(&h->one, "/opt/new", "f", 0600);
  commit(&h->one);
  ST_AUTO_HOSTVIEW *c = borrow(h, pool);
  assert_int_equal(c->latest, 4);
  struct st_hostview *none;
  assert_int_equal(st_hostviews_open(pool, "../x", &none, &h->one.err), 1);
  st_error_clear(&h->one.err);
}

/* ---- Two hosts ----------------------------------------------------------------------------------
 */

static void test_two(void **state)
{
  struct hosts *h = *state;
  struct fixture *f = &h->two;
  start(f);
  put_text(h, f, "/etc/conf", "one\nzwei\nthree\n", false);
  put_text(h, f, "/etc/secret", "canary-old", true);
  put_entry(f, "/opt/x", "f", 0600);
  put_entry(f, "/opt/z", "f", 0600);
  put_package(f, "demo", "1.0", NULL);
  commit(f);
  ST_AUTO_HOSTVIEW *a = look(h, &h->one);
  ST_AUTO_HOSTVIEW *b = look(h, f);
  struct st_view_query query = {.kind = -1};
  ST_AUTO_CHANGES c;
  ok(&h->one, st_hostview_changes_of_two(a, 1, b, 1, &query, &c, &h->one.err));
  ST_AUTO_FREE char *text = said(&c);
  assert_string_equal(text, "configuration M /etc/conf: content changed =\n"
                            "other A /opt/z: type f, mode 0600\n");
  st_view_changes_clear(&c);
  ok(&h->one, st_hostview_changes_of_two(b, 1, a, 3, &query, &c, &h->one.err));
  ST_AUTO_FREE char *back = said(&c);
  assert_non_null(strstr(back, "packages M package demo: upgraded 1.0 → 2.0\n"));
  assert_non_null(strstr(back, "other D /opt/z\n"));
  assert_false(c.truncated);
  ST_AUTO_DIFF d;
  ok(&h->one, st_hostview_diff(a, 1, b, 1, "/etc/conf", &d, &h->one.err));
  assert_non_null(strstr(d.unified, "-two\n+zwei\n"));
  st_view_diff_clear(&d);
  ok(&h->one, st_hostview_diff(a, 1, b, 1, "/etc/secret", &d, &h->one.err));
  assert_true(!d.unified || d.length == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(test_no_host),     TEST(test_resolve),
      TEST(test_checkpoints), TEST(test_changes),
      TEST(test_span),        TEST(test_content),
      TEST(test_diff),        TEST(test_diff_of_secret),
      TEST(test_entry),       TEST(test_history),
      TEST(test_packages),    TEST(test_two),
      TEST(test_pool),        cmocka_unit_test(test_rows),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
