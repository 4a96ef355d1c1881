/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-expected.c - a made-up plug-in that expects: what equals its package's manifest is not
 * stored, what deviates is, and every checkpoint reads as it was, whatever packages come later.
 */
#include "systracker/catalog/test-support.h"

#include "systracker/catalog/prune.h"

#define MAX_OBJECTS 16

/* What the store is to the tracker. */
static struct {
  struct st_id id;
  struct st_buffer data;
} objects[MAX_OBJECTS];
static size_t nobjects;

static int get_object(UNUSED void *arg, const struct st_id *id, struct st_buffer *out,
                      struct st_error *err)
{
  for (size_t i = 0; i < nobjects; i++)
    if (st_id_equal(&objects[i].id, id)) {
      st_buffer_append(out, objects[i].data.data, objects[i].data.length);
      return 0;
    }
  return st_fail(err, 0, "no such object");
}

struct expected {
  const char *path, *type;
  int64_t mode; /* -1: says nothing of it */
};

static struct st_id make_manifest(struct fixture *f, const struct expected *rows)
{
  ST_CLEANUP(st_manifest_freep) struct st_manifest *m = st_manifest_new(f->c, false);
  size_t n = nobjects++;

  assert_true(n < MAX_OBJECTS);
  for (; rows->path; rows++) {
    struct st_value row[] = {st_path_value(rows->path), st_text_value(rows->type),
                             rows->mode < 0 ? st_null() : st_integer(rows->mode)};
    ok(f, st_expect(m, "fake_entry", row, ST_COUNT(row), &f->err));
  }
  objects[n].data = ST_BUFFER_INIT;
  ok(f, st_manifest_encode(m, &objects[n].data, &f->err));
  st_id_of(&objects[n].id, NULL, objects[n].data.data, objects[n].data.length);
  return objects[n].id;
}

/* What the tracker does when a package's fact begins. */
static void install(struct fixture *f, const char *name, const char *version,
                    const struct st_id *manifest)
{
  ST_AUTO_BUFFER data = ST_BUFFER_INIT;

  ok(f, get_object(NULL, manifest, &data, &f->err));
  ok(f, st_catalog_learn_manifest(f->c, manifest, data.data, data.length, &f->err));
  put_package(f, name, version, manifest);
}

static void uninstall(struct fixture *f, const char *name)
{
  struct st_value key = st_text_value(name);

  ok(f, st_catalog_gone(f->c, table(f, "fake_package"), &key, &f->err));
}

static const struct expected tool_1[] = {
    {"/usr/bin/tool", "f", 0755},
    {"/usr/share/tool", "d", 0755},
    {"/etc/tool.conf", "f", 0644},
    {"/usr/share/tool/a", "f", -1},
    {0},
};
static const struct expected tool_2[] = {
    {"/usr/bin/tool", "f", 04755},
    {"/usr/share/tool", "d", 0755},
    {"/etc/tool.conf", "f", 0644},
    {"/usr/bin/more", "f", 0755},
    {0},
};

static int setup_objects(void **state)
{
  struct st_catalog_objects callbacks = {get_object, NULL};

  setup(state);
  st_catalog_set_objects(((struct fixture *)*state)->c, &callbacks);
  return 0;
}

static int teardown_objects(void **state)
{
  while (nobjects)
    st_buffer_free(&objects[--nobjects].data);
  return teardown(state);
}

static void put_tool_1(struct fixture *f)
{
  put_entry(f, "/usr/bin/tool", "f", 0755);
  put_entry(f, "/usr/share/tool", "d", 0755);
  put_entry(f, "/etc/tool.conf", "f", 0644);
  put_entry(f, "/usr/share/tool/a", "f", 0600);
}

static int collect(void *arg, const struct st_fact_row *fact, UNUSED struct st_error *err)
{
  st_buffer_append(arg, fact->values[0].u.bytes.data, fact->values[0].u.bytes.length);
  st_buffer_append_string(arg, fact->expected ? "* " : " ");
  return 0;
}

static void assert_each(struct fixture *f, int64_t number, const char *top, const char *expected)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;

  st_buffer_append_string(&text, "");
  ok(f, st_catalog_each(f->c, number, table(f, "fake_entry"), top, collect, &text, &f->err));
  assert_string_equal(text.data ? text.data : "", expected);
}

static void test_equal_is_not_stored(void **state)
{
  struct fixture *f = *state;
  struct st_id m = make_manifest(f, tool_1);

  start(f);
  install(f, "tool", "1", &m);
  put_tool_1(f);
  put_entry(f, "/etc/own", "f", 0600);
  struct st_checkpoint cp = commit(f);
  assert_int_equal(cp.begun, 2);
  assert_int_equal(stored_rows(f, "fake_entry"), 1);
  assert_int_equal(mode_at(f, 1, "/usr/bin/tool"), 0755);
  assert_int_equal(mode_at(f, 1, "/usr/share/tool/a"), -2); /* the manifest does not say */
  assert_int_equal(mode_at(f, 0, "/usr/bin/tool"), -1);
  assert_each(f, 1, NULL,
              "/etc/own /etc/tool.conf* /usr/bin/tool* /usr/share/tool* /usr/share/tool/a* ");
  assert_each(f, 1, "/usr/share", "/usr/share/tool* /usr/share/tool/a* ");
  assert_changes(f, 0, 1,
                 "+/etc/own=384 +/etc/tool.conf=420 +/usr/bin/tool=493 +/usr/share/tool=493 "
                 "+/usr/share/tool/a +tool ");
}

static int note_packaged(void *arg, const struct st_change *change, struct st_error *err)
{
  return change->packaged ? note_change(arg, change, err) : 0;
}

/* The changes that the change of a package explains. */
static void assert_packaged(struct fixture *f, int64_t a, int64_t b, const char *expected)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;

  st_buffer_append_string(&text, "");
  ok(f, st_catalog_changes(f->c, a, b, note_packaged, &text, &f->err));
  assert_string_equal(text.data, expected);
}

static void test_deviations(void **state)
{
  struct fixture *f = *state;
  struct st_id m = make_manifest(f, tool_1);

  start(f);
  install(f, "tool", "1", &m);
  put_tool_1(f);
  commit(f);

  start(f); /* deviates, and is gone */
  assert_int_equal(put_entry(f, "/usr/bin/tool", "f", 0700), 1);
  assert_int_equal(gone_entry(f, "/etc/tool.conf"), 1);
  commit(f);
  assert_int_equal(stored_rows(f, "fake_entry"), 2);
  assert_int_equal(mode_at(f, 2, "/usr/bin/tool"), 0700);
  assert_int_equal(mode_at(f, 2, "/etc/tool.conf"), -1);
  assert_each(f, 2, NULL, "/usr/bin/tool /usr/share/tool* /usr/share/tool/a* ");
  assert_changes(f, 1, 2, "-/etc/tool.conf ~/usr/bin/tool=448 ");

  start(f); /* absent still; and as expected again */
  assert_int_equal(gone_entry(f, "/etc/tool.conf"), 0);
  assert_int_equal(put_entry(f, "/usr/bin/tool", "f", 0755), 1);
  assert_int_equal(put_entry(f, "/etc/tool.conf", "f", 0644), 1);
  commit(f);
  assert_each(f, 3, NULL, "/etc/tool.conf* /usr/bin/tool* /usr/share/tool* /usr/share/tool/a* ");
  assert_changes(f, 1, 3, "");
  assert_changes(f, 2, 3, "+/etc/tool.conf=420 ~/usr/bin/tool=493 ");
  assert_packaged(f, 2, 3, ""); /* what is absent is a deviation */
  assert_int_equal(mode_at(f, 2, "/usr/bin/tool"), 0700);
}

static int collect_path(void *arg, const char *path)
{
  st_buffer_printf(arg, "%s ", path);
  return 0;
}

static int note_history(void *arg, int64_t number, const struct st_change *change,
                        struct st_error *err)
{
  st_buffer_printf(arg, "%lld", (long long)number);
  return note_change(arg, change, err);
}

static void test_upgrade(void **state)
{
  struct fixture *f = *state;
  struct st_id one = make_manifest(f, tool_1), two = make_manifest(f, tool_2);
  ST_AUTO_BUFFER paths = ST_BUFFER_INIT, history = ST_BUFFER_INIT;

  start(f);
  install(f, "tool", "1", &one);
  put_tool_1(f);
  put_entry(f, "/usr/bin/tool", "f", 0711); /* a deviation, which the upgrade sets right */
  commit(f);

  start(f);
  install(f, "tool", "2", &two);
  ok(f, st_catalog_manifest_paths(f->c, collect_path, &paths, &f->err));
  assert_string_equal(paths.data, "/usr/bin/more /usr/bin/tool /usr/share/tool/a ");
  put_entry(f, "/usr/bin/tool", "f", 04755);
  put_entry(f, "/usr/bin/more", "f", 0755);
  put_entry(f, "/etc/tool.conf", "f", 0644);
  put_entry(f, "/usr/share/tool", "d", 0755);
  put_entry(f, "/usr/share/tool/a", "f", 0600); /* left behind: nobody expects it now */
  commit(f);
  assert_each(f, 2, NULL,
              "/etc/tool.conf* /usr/bin/more* /usr/bin/tool* /usr/share/tool* /usr/share/tool/a ");
  assert_changes(f, 1, 2, "+/usr/bin/more=493 ~/usr/bin/tool=2541 ~tool ");
  assert_packaged(f, 1, 2, "+/usr/bin/more=493 ");

  start(f);
  uninstall(f, "tool");
  for (const struct expected *e = tool_2; e->path; e++)
    gone_entry(f, e->path);
  gone_entry(f, "/usr/share/tool/a");
  commit(f);
  assert_each(f, 3, NULL, "");
  assert_packaged(f, 2, 3, "-/etc/tool.conf -/usr/bin/more -/usr/bin/tool -/usr/share/tool ");

  /* Nothing of before was rewritten. */
  assert_int_equal(mode_at(f, 1, "/usr/bin/tool"), 0711);
  assert_int_equal(mode_at(f, 2, "/usr/bin/tool"), 04755);
  assert_int_equal(mode_at(f, 1, "/usr/bin/more"), -1);
  assert_int_equal(mode_at(f, 2, "/usr/share/tool/a"), 0600);
  assert_changes(f, 3, 1,
                 "+/etc/tool.conf=420 +/usr/bin/tool=457 +/usr/share/tool=493 +/usr/share/tool/a "
                 "+tool ");
  ok(f, st_catalog_history(f->c, "/usr/bin/more", note_history, &history, &f->err));
  assert_string_equal(history.data, "3-/usr/bin/more 2+/usr/bin/more=493 ");
  st_buffer_clear(&history);
  ok(f, st_catalog_history(f->c, "/usr/bin/tool", note_history, &history, &f->err));
  assert_string_equal(history.data, "3-/usr/bin/tool 2~/usr/bin/tool=2541 1+/usr/bin/tool=457 ");
}

/* The package whose key sorts last owns; the other one's word is read when it goes. */
static void test_several_owners(void **state)
{
  struct fixture *f = *state;
  struct st_id a = make_manifest(f, (struct expected[]){{"/x", "f", 1}, {"/d", "d", 5}, {0}});
  struct st_id b = make_manifest(f, (struct expected[]){{"/x", "f", 2}, {"/d", "d", 7}, {0}});

  start(f);
  install(f, "aa", "1", &a);
  install(f, "bb", "1", &b);
  assert_int_equal(put_entry(f, "/x", "f", 2), 0);
  assert_int_equal(put_entry(f, "/d", "d", 5), 1); /* exact, though one of the owners says so */
  commit(f);
  assert_int_equal(mode_at(f, 1, "/d"), 5);
  start(f);
  uninstall(f, "bb");
  assert_int_equal(put_entry(f, "/x", "f", 2), 1);
  assert_int_equal(put_entry(f, "/d", "d", 5), 1); /* as expected: the row ends */
  commit(f);
  assert_changes(f, 1, 2, "-bb ");
  assert_each(f, 2, NULL, "/d* /x ");
}

/* What is looked after at a checkpoint: all but what begins so. */
static const char *left_out[8], *left_out_live;

static const char *left_out_at(int64_t number)
{
  return number == ST_LIVE ? left_out_live : left_out[number];
}

static int in_scope(UNUSED void *arg, int64_t number, const struct st_fact_row *fact,
                    UNUSED struct st_error *err)
{
  const char *out = left_out_at(number);

  return !out || strncmp(fact->values[0].u.bytes.data, out, strlen(out)) != 0;
}

static int same_scope(UNUSED void *arg, int64_t a, int64_t b, UNUSED struct st_error *err)
{
  return left_out_at(a) == left_out_at(b);
}

/* Nothing is expected of what nobody looks after; where that changes, the difference says so. */
static void test_scope(void **state)
{
  struct fixture *f = *state;
  const struct st_catalog_scope scope = {in_scope, same_scope, NULL, NULL};
  struct st_id one = make_manifest(f, tool_1);

  memset(left_out, 0, sizeof(left_out));
  st_catalog_set_scope(f->c, &scope);
  left_out_live = left_out[1] = "/usr/share";
  start(f);
  install(f, "tool", "1", &one);
  put_entry(f, "/usr/bin/tool", "f", 0755);
  put_entry(f, "/etc/tool.conf", "f", 0644);
  gone_entry(f, "/usr/share/tool"); /* never absent */
  commit(f);
  assert_int_equal(stored_rows(f, "fake_entry"), 0);
  assert_each(f, 1, NULL, "/etc/tool.conf* /usr/bin/tool* ");
  assert_int_equal(mode_at(f, 1, "/usr/share/tool"), -1);

  left_out_live = left_out[2] = "/etc";
  start(f);
  put_entry(f, "/usr/share/tool", "d", 0755);
  gone_entry(f, "/usr/share/tool/a");
  gone_entry(f, "/etc/tool.conf");
  commit(f);
  assert_int_equal(stored_rows(f, "fake_entry"), 1);
  assert_each(f, 2, NULL, "/usr/bin/tool* /usr/share/tool* ");
  assert_changes(f, 1, 2, "-/etc/tool.conf +/usr/share/tool=493 ");
  assert_packaged(f, 1, 2, "");
  assert_changes(f, 2, 1, "+/etc/tool.conf=420 -/usr/share/tool ");
  left_out_live = left_out[3] = "/etc";
  start(f);
  uninstall(f, "tool");
  gone_entry(f, "/usr/bin/tool");
  gone_entry(f, "/usr/share/tool");
  gone_entry(f, "/usr/share/tool/a");
  commit(f);
  assert_changes(f, 2, 3, "-/usr/bin/tool -/usr/share/tool -tool ");
  assert_packaged(f, 2, 3, "-/usr/bin/tool -/usr/share/tool ");
}

static int put_file(struct fixture *f, const char *path, uint8_t n)
{
  struct st_id id = {.digest = {n}};
  struct st_value row[] = {st_path_value(path), st_id_value(&id)};
  int r = st_catalog_put(f->c, table(f, "fake_file"), row, &f->err);

  ok(f, r);
  return r;
}

/* Who owns a path has the say in every table: of a symlink no content is expected, whatever another
 * package has there. */
static void test_owner_of_all_tables(void **state)
{
  struct fixture *f = *state;
  ST_CLEANUP(st_manifest_freep) struct st_manifest *m = st_manifest_new(f->c, false);
  struct st_id digest = {.digest = {7}}, got;
  struct st_value entry[] = {st_path_value("/x"), st_text_value("f"), st_integer(1)};
  struct st_value file[] = {st_path_value("/x"), st_id_value(&digest)};
  bool owned;

  ok(f, st_expect(m, "fake_entry", entry, 3, &f->err));
  ok(f, st_expect(m, "fake_file", file, 2, &f->err));
  size_t n = nobjects++;
  objects[n].data = ST_BUFFER_INIT;
  ok(f, st_manifest_encode(m, &objects[n].data, &f->err));
  st_id_of(&objects[n].id, NULL, objects[n].data.data, objects[n].data.length);
  struct st_id b = make_manifest(f, (struct expected[]){{"/x", "l", 2}, {0}});

  start(f);
  install(f, "aa", "1", &objects[n].id);
  assert_int_equal(put_entry(f, "/x", "f", 1), 0);
  assert_int_equal(put_file(f, "/x", 7), 0);
  assert_int_equal(st_catalog_expected_content(f->c, ST_LIVE, "/x", &owned, &got, &f->err), 1);
  assert_true(owned && st_id_equal(&got, &digest));
  install(f, "bb", "1", &b);
  assert_int_equal(put_entry(f, "/x", "l", 2), 0);
  struct st_value key = st_path_value("/x");
  ok(f, st_catalog_gone(f->c, table(f, "fake_file"), &key, &f->err));
  assert_int_equal(st_catalog_expected_content(f->c, ST_LIVE, "/x", &owned, &got, &f->err), 0);
  assert_true(owned);
  commit(f);
  assert_int_equal(stored_rows(f, "fake_entry"), 0);
  assert_int_equal(stored_rows(f, "fake_file"), 0);
  assert_int_equal(mode_at(f, 1, "/x"), 2);
}

#define MANY 100

/* Many packages that share directories: each path is found, by one look-up and by many, by a range,
 * by the next reader, and with an index that names too many. */
static void assert_many(struct fixture *f)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;

  for (int i = 0; i < MANY; i++) {
    ST_AUTO_FREE char *own = st_format("/usr/share/p%02d/file", i);
    assert_int_equal(mode_at(f, 1, own), i + 1);
  }
  assert_int_equal(mode_at(f, 1, "/usr/share"), 0755);
  assert_int_equal(mode_at(f, 1, "/usr"), -1); /* above a path, and nobody's */
  assert_each(f, 1, "/usr/share/p42", "/usr/share/p42/file* ");
  ok(f, st_catalog_each(f->c, 1, table(f, "fake_entry"), "/usr/share", collect, &text, &f->err));
  assert_int_equal(text.length, strlen("/usr/share* ") + MANY * strlen("/usr/share/p00/file* "));
}

static int get_small(void *arg, const struct st_id *id, struct st_buffer *out, struct st_error *err)
{
  const struct st_buffer *all = arg;

  for (size_t at = 0; at < all->length;) {
    struct st_id here;
    size_t length;
    memcpy(&length, all->data + at, sizeof(length));
    at += sizeof(length);
    st_id_of(&here, NULL, all->data + at, length);
    if (st_id_equal(&here, id)) {
      st_buffer_append(out, all->data + at, length);
      return 0;
    }
    at += length;
  }
  return st_fail(err, 0, "no such object");
}

static void install_many(struct fixture *f, struct st_buffer *all)
{
  for (int i = 0; i < MANY; i++) {
    ST_CLEANUP(st_manifest_freep) struct st_manifest *m = st_manifest_new(f->c, i % 2);
    ST_AUTO_FREE char *name = st_format("p%02d", i), *own = st_format("/usr/share/%s/file", name);
    ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
    struct st_value dir[] = {st_path_value("/usr/share"), st_text_value("d"), st_integer(0755)};
    struct st_value file[] = {st_path_value(own), st_text_value("f"), st_integer(i + 1)};
    struct st_id id;

    ok(f, st_expect(m, "fake_entry", dir, 3, &f->err));
    ok(f, st_expect(m, "fake_entry", file, 3, &f->err));
    ok(f, st_manifest_encode(m, &bytes, &f->err));
    st_id_of(&id, NULL, bytes.data, bytes.length);
    st_buffer_append(all, &bytes.length, sizeof(bytes.length));
    st_buffer_append(all, bytes.data, bytes.length);
    ok(f, st_catalog_learn_manifest(f->c, &id, bytes.data, bytes.length, &f->err));
    put_package(f, name, "1", &id);
    assert_int_equal(put_entry(f, own, "f", i + 1), 0);
    assert_int_equal(st_catalog_is_observed(f->c, &id, &f->err), i % 2);
  }
}

static void count_words(void *arg, const char *words)
{
  assert_non_null(strstr(words, "manifest"));
  ++*(int *)arg;
}

static void test_many(void **state)
{
  struct fixture *f = *state;
  ST_AUTO_BUFFER all = ST_BUFFER_INIT;
  const struct st_catalog_objects callbacks = {get_small, &all};
  int damage = 0;

  st_catalog_set_objects(f->c, &callbacks);
  start(f);
  install_many(f, &all);
  commit(f);
  assert_int_equal(stored_rows(f, "fake_entry"), 0);
  assert_many(f);
  reopen(f, ST_CATALOG_READ);
  declare(f);
  st_catalog_set_objects(f->c, &callbacks);
  assert_many(f);
  reopen(f, ST_CATALOG_WRITE);
  declare(f);
  st_catalog_set_objects(f->c, &callbacks);
  ok(f, st_catalog_verify(f->c, count_words, &damage, &f->err));
  assert_int_equal(damage, 0);
  /* Each is said to have the paths of all. */
  ok(f, st_sql_exec(f->c,
                    "CREATE TEMP TABLE words AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT"
                    " i + 1 FROM n WHERE i < 9) SELECT DISTINCT substr(paths, 4 * i + 1, 4) AS w"
                    " FROM manifest, n WHERE length(paths) > 4 * i",
                    &f->err));
  ok(f, st_sql_exec(f->c,
                    "UPDATE manifest SET paths = (SELECT CAST(group_concat(w, '') AS BLOB) FROM"
                    " (SELECT w FROM words ORDER BY substr(w, 4, 1) || substr(w, 3, 1) ||"
                    " substr(w, 2, 1) || substr(w, 1, 1)))",
                    &f->err));
  st_known_drop(f->c);
  assert_many(f);
  ok(f, st_catalog_verify(f->c, count_words, &damage, &f->err));
  assert_int_equal(damage, MANY);
  assert_many(f);
  damage = 0;
  ok(f, st_catalog_verify(f->c, count_words, &damage, &f->err));
  assert_int_equal(damage, 0);
}

/* A catalog of schema 4 had the rows of manifests in tables. */
static void test_older_schema(void **state)
{
  struct fixture *f = *state;
  const struct st_catalog_objects callbacks = {get_object, NULL};
  struct st_id m = make_manifest(f, tool_1);

  start(f);
  install(f, "tool", "1", &m);
  put_tool_1(f);
  commit(f);
  ok(f, st_sql_exec(f->c,
                    "DROP TABLE manifest; CREATE TABLE manifest (ref INTEGER PRIMARY KEY,"
                    " id BLOB NOT NULL UNIQUE, observed INTEGER NOT NULL);"
                    "CREATE TABLE expectation (path INTEGER NOT NULL); PRAGMA user_version = 4",
                    &f->err));
  for (int flags = ST_CATALOG_READ; flags <= ST_CATALOG_WRITE; flags++) {
    reopen(f, flags);
    st_catalog_set_objects(f->c, &callbacks);
    assert_int_equal(mode_at(f, 1, "/usr/bin/tool"), 0755);
    assert_each(f, 1, "/usr/bin", "/usr/bin/tool* ");
  }
  assert_int_equal(stored_rows(f, "manifest"), 1);
}

static void test_overlay(void **state)
{
  struct fixture *f = *state;
  struct st_catalog_objects callbacks = {get_object, NULL};
  struct st_id one = make_manifest(f, tool_1), two = make_manifest(f, tool_2);
  struct st_id other = make_manifest(f, (struct expected[]){{"/o", "f", 3}, {0}});

  start(f);
  install(f, "tool", "1", &one);
  put_tool_1(f);
  commit(f);

  reopen(f, ST_CATALOG_READ);
  st_catalog_set_objects(f->c, &callbacks);
  declare(f);
  start(f);
  install(f, "tool", "2", &two); /* known to the reader alone */
  install(f, "other", "1", &other);
  put_entry(f, "/usr/bin/tool", "f", 04755);
  put_entry(f, "/usr/bin/more", "f", 0700);
  gone_entry(f, "/usr/share/tool/a");
  gone_entry(f, "/o");
  assert_changes(f, 1, ST_LIVE,
                 "+/usr/bin/more=448 ~/usr/bin/tool=2541 -/usr/share/tool/a +other ~tool ");
  assert_each(f, ST_LIVE, NULL, "/etc/tool.conf* /usr/bin/more /usr/bin/tool* /usr/share/tool* ");
  assert_each(f, 1, NULL, "/etc/tool.conf* /usr/bin/tool* /usr/share/tool* /usr/share/tool/a* ");
  assert_int_equal(mode_at(f, 1, "/usr/bin/tool"), 0755);
}

static void test_sweep_of_expected(void **state)
{
  struct fixture *f = *state;
  struct st_id m = make_manifest(f, tool_1);

  start(f);
  install(f, "tool", "1", &m);
  ok(f, st_catalog_sweep(f->c, table(f, "fake_entry"), &f->err));
  put_entry(f, "/usr/bin/tool", "f", 0755);
  ok(f, st_catalog_swept(f->c, table(f, "fake_entry"), NULL, NULL, &f->err));
  commit(f);
  assert_each(f, 1, NULL, "/usr/bin/tool* ");
  start(f);
  ok(f, st_catalog_gone_below(f->c, "fake", "/usr", &f->err));
  commit(f);
  assert_each(f, 2, NULL, "");
  assert_each(f, 1, NULL, "/usr/bin/tool* ");
}

/* The index is lost, and made again from the objects; without them that is said. */
static void test_index_is_derived(void **state)
{
  struct fixture *f = *state;
  struct st_catalog_objects callbacks = {get_object, NULL};
  struct st_id m = make_manifest(f, tool_1);

  start(f);
  install(f, "tool", "1", &m);
  put_tool_1(f);
  commit(f);
  for (int flags = ST_CATALOG_READ; flags <= ST_CATALOG_WRITE; flags++) {
    reopen(f, ST_CATALOG_WRITE);
    ok(f, st_sql_exec(f->c, "DELETE FROM manifest", &f->err));
    reopen(f, flags);
    ST_CLEANUP(st_fact_freep) struct st_fact_row *fact = NULL;
    struct st_value key = st_path_value("/usr/bin/tool");
    assert_true(st_catalog_fact(f->c, 1, table(f, "fake_entry"), &key, &fact, &f->err) < 0);
    st_catalog_set_objects(f->c, &callbacks);
    assert_int_equal(mode_at(f, 1, "/usr/bin/tool"), 0755);
    assert_each(f, 1, "/usr/bin", "/usr/bin/tool* ");
  }
}

static void test_learning_is_rolled_back(void **state)
{
  struct fixture *f = *state;
  struct st_id m = make_manifest(f, tool_1);

  start(f);
  install(f, "tool", "1", &m);
  assert_int_equal(mode_at(f, ST_LIVE, "/usr/bin/tool"), 0755);
  st_catalog_rollback(f->c);
  assert_int_equal(mode_at(f, ST_LIVE, "/usr/bin/tool"), -1);
  start(f);
  install(f, "tool", "1", &m);
  put_tool_1(f);
  commit(f);
  assert_int_equal(mode_at(f, 1, "/usr/bin/tool"), 0755);
}

/* Hosts with the same package make the same object, in whatever order it was said. */
static void test_manifest_is_canonical(void **state)
{
  struct fixture *f = *state;
  struct st_id a = make_manifest(f, (struct expected[]){{"/a", "f", 1}, {"/b", "f", -1}, {0}});
  struct st_id b = make_manifest(f, (struct expected[]){{"/b", "f", -1}, {"/a", "f", 1}, {0}});

  assert_true(st_id_equal(&a, &b));
  ST_CLEANUP(st_manifest_freep) struct st_manifest *m = st_manifest_new(f->c, false);
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  struct st_value row[] = {st_path_value("/a"), st_text_value("f")};
  ok(f, st_expect(m, "fake_entry", row, 2, &f->err));
  ok(f, st_expect(m, "absent_table", row, 2, &f->err));
  ok(f, st_expect(m, "fake_entry", row, 2, &f->err));
  assert_true(st_expect(m, "fake_package", row, 2, &f->err) < 0);
  assert_true(st_expect(m, "fake_entry", row, 9, &f->err) < 0);
  assert_true(st_manifest_encode(m, &out, &f->err) < 0); /* one path twice */
}

/* Cut anywhere, or with any byte changed: an error or another manifest, and nothing half learned.
 */
static void test_hostile_manifest(void **state)
{
  struct fixture *f = *state;
  struct st_id id = make_manifest(f, tool_1);
  const struct st_buffer *data = &objects[nobjects - 1].data;
  size_t refused = 0;

  for (size_t n = 0; n < 2 * data->length; n++) {
    ST_AUTO_FREE char *bytes = st_memdup(data->data, data->length);
    size_t length = n < data->length ? n : data->length;

    if (n >= data->length)
      bytes[n - data->length] ^= (char)(1 + n % 255);
    start(f);
    id.digest[0]++;
    if (st_catalog_learn_manifest(f->c, &id, bytes, length, &f->err) < 0) {
      refused++;
      assert_int_equal(stored_rows(f, "manifest"), 0);
    }
    st_catalog_rollback(f->c);
  }
  assert_true(refused > data->length / 2);
}

/* ---- Pruned ------------------------------------------------------------------------------------
 */

static void prune_but(struct fixture *f, int64_t keep)
{
  ST_CLEANUP(st_choices_free) struct st_choices choices = {0};
  ST_CLEANUP(st_prune_result_free) struct st_prune_result result = {0};

  ok(f, st_prune_choose(f->c, &(struct st_retention){0}, &keep, 1, &choices, &f->err));
  ok(f, st_catalog_prune(f->c, &choices, &result, &f->err));
  ok(f, st_catalog_prune_commit(f->c, &f->err));
}

static void count_damage(void *arg, const char *words)
{
  print_message("%s\n", words);
  ++*(int *)arg;
}

/* What packages of pruned checkpoints expected is forgotten; what others do reads as before, the
 * deviations from it, too. */
static void test_pruned(void **state)
{
  struct fixture *f = *state;
  static const struct expected odd[] = {{"/usr/bin/odd", "f", 0755}, {0}};
  ST_AUTO_BUFFER told = ST_BUFFER_INIT;
  char *before[3], *after[3];
  int damage = 0;

  start(f);
  struct st_id one = make_manifest(f, tool_1), two = make_manifest(f, tool_2);
  struct st_id third = make_manifest(f, odd);
  install(f, "tool", "1", &one);
  put_tool_1(f);
  commit(f);
  start(f); /* 2: comes for one night */
  install(f, "odd", "1", &third);
  put_entry(f, "/usr/bin/odd", "f", 0755);
  put_entry(f, "/etc/tool.conf", "f", 0600);
  commit(f);
  start(f); /* 3: upgraded; the configuration as it was */
  uninstall(f, "odd");
  gone_entry(f, "/usr/bin/odd");
  install(f, "tool", "2", &two);
  put_entry(f, "/usr/bin/tool", "f", 04755);
  put_entry(f, "/usr/bin/more", "f", 0755);
  put_entry(f, "/etc/tool.conf", "f", 0644);
  gone_entry(f, "/usr/share/tool/a");
  commit(f);
  start(f); /* 4: edited again */
  put_entry(f, "/etc/tool.conf", "f", 0640);
  commit(f);
  before[0] = changes(f, 1, 3);
  before[1] = changes(f, 3, 4);
  before[2] = changes(f, 1, 4);

  prune_but(f, 3);
  memset(&objects[2].id, 0, sizeof(objects[2].id)); /* nothing asks for it any more */
  assert_int_equal(stored_rows(f, "manifest"), 2);
  ok(f, st_manifests_forget(f->c, &f->err));
  after[0] = changes(f, 1, 3);
  after[1] = changes(f, 3, 4);
  after[2] = changes(f, 1, 4);
  for (int i = 0; i < 3; i++) {
    assert_string_equal(before[i], after[i]);
    free(before[i]);
    free(after[i]);
  }
  assert_int_equal(mode_at(f, 3, "/etc/tool.conf"), 0644);
  assert_int_equal(mode_at(f, 3, "/usr/bin/odd"), -1);
  ok(f, st_catalog_history(f->c, "/etc/tool.conf", note_history, &told, &f->err));
  assert_string_equal(told.data, "4~/etc/tool.conf=416 1+/etc/tool.conf=420 ");
  ok(f, st_catalog_verify(f->c, count_damage, &damage, &f->err));
  assert_int_equal(damage, 0);
}

/* ---- Histories --------------------------------------------------------------------------------
 */

#define CHECKPOINTS 40
#define PATHS 6

static unsigned dice(unsigned *seed, unsigned sides)
{
  *seed = *seed * 1103515245u + 12345u;
  return (*seed >> 16) % sides;
}

static void path_of(char path[16], size_t i)
{
  snprintf(path, 16, "/p/%zu", i);
}

static struct st_value content(struct st_id *id, unsigned n)
{
  st_id_of(id, NULL, &n, sizeof(n));
  return st_id_value(id);
}

/* Of some paths, each in one table, or in two. */
static struct st_id random_manifest(struct fixture *f, unsigned *seed)
{
  ST_CLEANUP(st_manifest_freep) struct st_manifest *m = st_manifest_new(f->c, false);
  size_t n = nobjects++;

  assert_true(n < MAX_OBJECTS);
  for (size_t i = 0; i < PATHS; i++) {
    char path[16];
    struct st_id id;
    path_of(path, i);
    struct st_value entry[] = {st_path_value(path), st_text_value("f"), st_integer(dice(seed, 3))};
    struct st_value file[] = {entry[0], content(&id, dice(seed, 2))};
    if (dice(seed, 3) > 0)
      ok(f, st_expect(m, "fake_entry", entry, ST_COUNT(entry), &f->err));
    if (dice(seed, 3) > 0)
      ok(f, st_expect(m, "fake_file", file, ST_COUNT(file), &f->err));
  }
  ok(f, st_manifest_encode(m, &objects[n].data, &f->err));
  st_id_of(&objects[n].id, NULL, objects[n].data.data, objects[n].data.length);
  return objects[n].id;
}

static void random_fact(struct fixture *f, unsigned *seed)
{
  char path[16];
  struct st_id id;

  path_of(path, dice(seed, PATHS));
  struct st_value file[] = {st_path_value(path), content(&id, dice(seed, 2))};
  switch (dice(seed, 4)) {
  case 0:
    gone_entry(f, path);
    break;
  case 1:
    ok(f, st_catalog_gone(f->c, table(f, "fake_file"), file, &f->err));
    break;
  case 2:
    ok(f, st_catalog_put(f->c, table(f, "fake_file"), file, &f->err));
    break;
  default:
    put_entry(f, path, "f", dice(seed, 3));
  }
}

static void random_checkpoint(struct fixture *f, unsigned *seed)
{
  const char *const names[] = {"aa", "bb"};
  char version[16];

  start(f);
  if (dice(seed, 3) == 0) {
    size_t n = dice(seed, (unsigned)nobjects + 1);
    const char *name = names[dice(seed, 2)];
    snprintf(version, sizeof(version), "%zu", n);
    if (n < nobjects)
      install(f, name, version, &objects[n].id);
    else
      uninstall(f, name);
  }
  for (unsigned i = dice(seed, 4); i > 0; i--)
    random_fact(f, seed);
  commit(f);
}

static void note_two(struct fixture *f, int64_t before, int64_t number, const char *name,
                     const char *path, struct st_buffer *out)
{
  ST_CLEANUP(st_fact_freep) struct st_fact_row *a = NULL, *b = NULL;
  struct st_value key = st_path_value(path);
  const struct st_catalog_table *t = table(f, name);
  struct st_change change = {.declaration = &t->declaration};

  ok(f, st_catalog_fact(f->c, before, t, &key, &a, &f->err));
  ok(f, st_catalog_fact(f->c, number, t, &key, &b, &f->err));
  change.before = a->present ? a->values : NULL;
  change.after = b->present ? b->values : NULL;
  bool same = a->present == b->present;
  for (size_t i = 1; same && a->present && i < t->declaration.ncolumns; i++)
    same = !st_value_differs(&a->values[i], &b->values[i]);
  if (!same)
    ok(f, note_history(out, number, &change, &f->err));
}

/* It says of each table what st_catalog_fact does at every two neighbours. */
static void assert_histories(struct fixture *f)
{
  for (size_t i = 0; i < PATHS; i++) {
    ST_AUTO_BUFFER told = ST_BUFFER_INIT, expected = ST_BUFFER_INIT;
    char path[16];
    path_of(path, i);
    st_buffer_append_string(&told, "");
    st_buffer_append_string(&expected, "");
    for (int64_t n = st_catalog_latest(f->c); n > 0; n = st_catalog_before(f->c, n)) {
      note_two(f, st_catalog_before(f->c, n), n, "fake_entry", path, &expected);
      note_two(f, st_catalog_before(f->c, n), n, "fake_file", path, &expected);
    }
    ok(f, st_catalog_history(f->c, path, note_history, &told, &f->err));
    assert_string_equal(told.data, expected.data);
  }
}

static void test_histories(void **state)
{
  struct fixture *f = *state;
  const struct st_catalog_objects callbacks = {get_object, NULL};

  for (unsigned seed = 1; seed < 9; seed++) {
    unsigned s = seed;
    for (int i = 0; i < 5; i++)
      random_manifest(f, &s);
    for (int i = 0; i < CHECKPOINTS; i++)
      random_checkpoint(f, &s);
    assert_histories(f);
    prune_but(f, CHECKPOINTS / 2 + seed);
    assert_histories(f);
    start(f); /* and while another one is made */
    random_fact(f, &s);
    assert_histories(f);
    st_catalog_rollback(f->c);
    while (nobjects)
      st_buffer_free(&objects[--nobjects].data);
    fixture_close(f);
    fixture_open(f);
    st_catalog_set_objects(f->c, &callbacks);
  }
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, setup_objects, teardown_objects)
  const struct CMUnitTest tests[] = {
      test(test_equal_is_not_stored),
      test(test_deviations),
      test(test_upgrade),
      test(test_several_owners),
      test(test_overlay),
      test(test_sweep_of_expected),
      test(test_index_is_derived),
      test(test_learning_is_rolled_back),
      test(test_scope),
      test(test_owner_of_all_tables),
      test(test_many),
      test(test_older_schema),
      test(test_manifest_is_canonical),
      test(test_hostile_manifest),
      test(test_pruned),
      test(test_histories),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
