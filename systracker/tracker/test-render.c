/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "systracker/base/digest.h"
#include "systracker/tracker/render-internal.h"

/* One column of each kind. */
enum { PATH, TYPE, MODE, SIZE, MTIME, NSEC, OWNER, TARGET, DIGEST, OBJECT, HIDDEN, NCOLUMNS };
static const struct st_column columns[NCOLUMNS] = {
    [PATH] = {"path", ST_PATH, ST_KEY},
    [TYPE] = {"type", ST_TEXT, 0},
    [MODE] = {"mode", ST_INTEGER, ST_AS_MODE},
    [SIZE] = {"size", ST_INTEGER, 0},
    [MTIME] = {"mtime", ST_INTEGER, ST_QUIET | ST_AS_TIME},
    [NSEC] = {"mtime_nsec", ST_INTEGER, ST_QUIET},
    [OWNER] = {"owner", ST_TEXT, 0},
    [TARGET] = {"target", ST_BYTES, 0},
    [DIGEST] = {"digest", ST_ID, 0},
    [OBJECT] = {"object", ST_ID, ST_OBJECT},
    [HIDDEN] = {"hidden", ST_INTEGER, ST_DERIVED},
};
static const struct st_table table = {"file", ST_TABLE_ENTRY, NCOLUMNS, columns};
static const struct st_column package_columns[] = {
    {"name", ST_TEXT, ST_KEY},
    {"architecture", ST_TEXT, ST_KEY},
    {"version", ST_TEXT, 0},
};
static const struct st_table packages = {"package", 0, 3, package_columns};

static struct st_id id_of(const char *text, bool keyed)
{
  struct st_id id;
  st_id_of(&id, NULL, text, strlen(text));
  id.keyed = keyed;
  return id;
}

static void fill(struct st_value row[NCOLUMNS], const char *content, bool keyed)
{
  struct st_id id = id_of(content, keyed);
  row[PATH] = st_path_value("/etc/x");
  row[TYPE] = st_text_value("f");
  row[MODE] = st_integer(0644);
  row[SIZE] = st_integer((int64_t)strlen(content));
  row[MTIME] = st_integer(0);
  row[NSEC] = st_integer(5);
  row[OWNER] = st_text_value("root");
  row[TARGET] = st_null();
  row[DIGEST] = st_id_value(&id);
  row[OBJECT] = st_id_value(&id);
  row[HIDDEN] = st_integer(1);
}

static struct st_change change_of(const struct st_value *before, const struct st_value *after)
{
  return (struct st_change){"test_file", &table, before, after, false};
}

static void says(const struct st_change *change, bool times, const char *expected)
{
  struct st_tracker t = {0};
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  assert_int_equal(st_render_words(&t, change, times, &words, &err), 0);
  assert_string_equal(words.data ? words.data : "", expected);
}

static void test_columns(void **state)
{
  (void)state;
  struct st_value a[NCOLUMNS] = {0}, b[NCOLUMNS] = {0};
  struct st_change change = change_of(a, b);
  fill(a, "one", false);
  fill(b, "one", false);
  says(&change, true, "");
  b[MODE] = st_integer(04600);
  says(&change, false, "mode 0644 → 4600");
  b[SIZE] = st_integer(-1);
  b[OWNER] = st_text_value("al\033ice");
  says(&change, false, "mode 0644 → 4600, size 3 → -1, owner root → al\\x1bice");
  fill(b, "one", false);
  a[TARGET] = st_bytes_value(ST_BYTES, "\377", 1);
  b[TARGET] = st_bytes_value(ST_BYTES, "", 0);
  says(&change, false, "target \\xff → \"\"");
}

static void test_ids(void **state)
{
  (void)state;
  struct st_value a[NCOLUMNS] = {0}, b[NCOLUMNS] = {0};
  struct st_change change = change_of(a, b);
  fill(a, "one", false);
  fill(b, "two", false);
  says(&change, false, "digest 7692c3ad3540bb80 → 3fc4ccfe745870e2, content changed");
}

static void test_quiet_and_null(void **state)
{
  (void)state;
  struct st_value a[NCOLUMNS] = {0}, b[NCOLUMNS] = {0};
  struct st_change change = change_of(a, b);
  setenv("TZ", "UTC", 1);
  fill(a, "one", false);
  fill(b, "one", false);
  b[MTIME] = st_integer(60);
  b[NSEC] = st_integer(6);
  assert_false(st_change_is_loud(&change));
  says(&change, false, "");
  says(&change, true, "mtime 1970-01-01 00:00:00 → 1970-01-01 00:01:00");
  b[MTIME] = st_integer(0);
  says(&change, true, "mtime_nsec 5 → 6");

  /* Not captured is never a difference; what is derived is never shown by itself. */
  fill(b, "one", false);
  b[OWNER] = st_null();
  b[HIDDEN] = st_integer(2);
  says(&change, true, "");
}

/* More is known of a package that was installed again as it was: no change of the host. */
static void test_manifest_alone(void **state)
{
  (void)state;
  static const struct st_column known_columns[] = {{"name", ST_TEXT, ST_KEY},
                                                   {"version", ST_TEXT, 0},
                                                   {"changed", ST_INTEGER, ST_AS_TIME | ST_QUIET},
                                                   {"manifest", ST_ID, ST_MANIFEST}};
  static const struct st_table known = {"package", ST_TABLE_PACKAGES, 4, known_columns};
  struct st_id one = {.digest = {1}}, other = {.digest = {2}};
  struct st_value a[] = {st_text_value("bash"), st_text_value("5.2"), st_integer(1),
                         st_id_value(&one)};
  struct st_value b[] = {st_text_value("bash"), st_text_value("5.2"), st_integer(2),
                         st_id_value(&other)};
  struct st_change change = {"test_package", &known, a, b, false};
  assert_false(st_change_is_loud(&change));
  says(&change, false, "");
  b[1] = st_text_value("5.3");
  assert_true(st_change_is_loud(&change));
}

static void test_one_side(void **state)
{
  (void)state;
  struct st_value row[] = {st_text_value("bash"), st_text_value("amd64"), st_text_value("5.2")};
  struct st_change began = {"test_package", &packages, NULL, row, false};
  struct st_change ended = {"test_package", &packages, row, NULL, false};
  ST_AUTO_BUFFER key = ST_BUFFER_INIT;
  assert_true(st_change_is_loud(&began));
  says(&began, false, "version 5.2");
  says(&ended, false, "version 5.2");
  st_render_key(&began, &key);
  assert_string_equal(key.data, "bash amd64");
}

static void test_secret(void **state)
{
  (void)state;
  struct st_value a[NCOLUMNS] = {0}, b[NCOLUMNS] = {0};
  struct st_change change = change_of(a, b);
  fill(a, "one", false);
  fill(b, "long secret", true);
  assert_true(st_change_is_secret(&change));
  says(&change, true, "content changed"); /* though it was none before */
  change = change_of(b, a);
  says(&change, true, "content changed");
  change = change_of(NULL, b);
  says(&change, true, "secret content");
  ST_AUTO_BUFFER value = ST_BUFFER_INIT;
  st_render_value(&columns[DIGEST], &b[DIGEST], &value);
  assert_string_equal(value.data, "secret");
  fill(b, "one", false);
  change = change_of(a, b);
  assert_false(st_change_is_secret(&change));
}

static void check_json(json_t *o, const char *expected)
{
  char *text = json_dumps(o, JSON_COMPACT);
  assert_string_equal(text, expected);
  free(text);
  json_decref(o);
}

static void test_json(void **state)
{
  (void)state;
  struct st_value a[NCOLUMNS] = {0}, b[NCOLUMNS] = {0};
  struct st_change change = change_of(a, b);
  fill(a, "one", false);
  fill(b, "one", false);
  a[PATH] = b[PATH] = st_path_value("/a\nb");
  b[MODE] = st_integer(0600);
  b[MTIME] = st_integer(60);
  b[OWNER] = st_null();
  check_json(st_render_json(NULL, &change, false),
             "{\"table\":\"test_file\",\"key\":{\"path\":\"/a\\\\nb\"},\"change\":\"changed\","
             "\"columns\":{\"mode\":[\"0644\",\"0600\"]}}");
  check_json(st_render_json(NULL, &change, true),
             "{\"table\":\"test_file\",\"key\":{\"path\":\"/a\\\\nb\"},\"change\":\"changed\","
             "\"columns\":{\"mode\":[\"0644\",\"0600\"],"
             "\"mtime\":[\"1970-01-01T00:00:00Z\",\"1970-01-01T00:01:00Z\"]}}");
  fill(b, "secret", true);
  b[PATH] = st_path_value("/a\nb");
  check_json(st_render_json(NULL, &change, true),
             "{\"table\":\"test_file\",\"key\":{\"path\":\"/a\\\\nb\"},\"change\":\"changed\","
             "\"secret\":true}");
}

/* A table that names no secret must not tell of one that another names. */
static void test_group_secret(void **state)
{
  (void)state;
  struct st_tracker t = {0};
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_STRINGS words = {0};
  struct st_value a[NCOLUMNS], b[NCOLUMNS], c[NCOLUMNS];
  struct st_group g = {0};
  fill(a, "one", false);
  fill(b, "three", false);
  fill(c, "three", true);
  struct st_change plain = change_of(a, b), secret = change_of(a, c);
  st_group_add(&g, &plain, "/etc/x");
  st_group_add(&g, &secret, "/etc/x");
  assert_int_equal(st_group_finish(&g, &t, 2, &err), 0);
  assert_true(g.secret);
  assert_int_equal(g.letter, 'M');
  assert_int_equal(st_group_words(&g, &t, true, false, &words, &err), 0);
  assert_int_equal(words.count, 1);
  assert_string_equal(words.items[0], "content changed");
  check_json(st_group_json(&g, &t, &plain, true),
             "{\"table\":\"test_file\",\"key\":{\"path\":\"/etc/x\"},\"change\":\"changed\","
             "\"secret\":true}");
  st_group_free(&g);
}

static void test_group_letters(void **state)
{
  (void)state;
  struct st_tracker t = {0};
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_value a[NCOLUMNS] = {0}, b[NCOLUMNS] = {0};
  fill(a, "one", false);
  fill(b, "one", false);
  b[TYPE] = st_text_value("d");
  const struct {
    const struct st_value *before, *after;
    char letter;
  } cases[] = {{NULL, a, 'A'}, {a, NULL, 'D'}, {a, b, 'T'}, {a, a, 'M'}};
  struct st_group g = {0};
  for (size_t i = 0; i < ST_COUNT(cases); i++) {
    struct st_change change = change_of(cases[i].before, cases[i].after);
    st_group_add(&g, &change, "/etc/x");
    assert_int_equal(st_group_finish(&g, &t, 2, &err), 0);
    assert_int_equal(g.letter, cases[i].letter);
    st_group_clear(&g);
  }
  st_group_free(&g);
}

/* What became of a package, where no plug-in says it; and whether it went up or down. */
static void test_packages(void **state)
{
  (void)state;
  static const struct st_column of_installed[] = {
      {"name", ST_TEXT, ST_KEY}, {"version", ST_TEXT, 0}, {"state", ST_TEXT, 0}};
  static const struct st_table installed = {"package", ST_TABLE_PACKAGES, 3, of_installed};
  struct st_value a[] = {st_text_value("tool"), st_text_value("1.9"), st_text_value("ok")};
  struct st_value b[] = {st_text_value("tool"), st_text_value("1.10"), st_text_value("ok")};
  struct st_change change = {"test_package", &installed, a, b, false};
  says(&change, false, "upgraded 1.9 → 1.10");
  change = (struct st_change){"test_package", &installed, b, a, false};
  says(&change, false, "downgraded 1.10 → 1.9");
  change = (struct st_change){"test_package", &installed, NULL, b, false};
  says(&change, false, "installed 1.10");
  change = (struct st_change){"test_package", &installed, b, NULL, false};
  says(&change, false, "removed (was 1.10)");
  b[1] = a[1];
  b[2] = st_text_value("held");
  change = (struct st_change){"test_package", &installed, a, b, false};
  says(&change, false, "state ok → held");
  struct st_package_count none = {0}, some = {1, 20, 0};
  ST_AUTO_FREE char *words = st_package_count_words(&some);
  assert_null(st_package_count_words(&none));
  assert_string_equal(words, "its files: 1 added, 20 changed");
}

/* A group is as packaged where all its changes are, or say only that the same content is kept. */
static void test_group_packaged(void **state)
{
  (void)state;
  static const struct st_column of_digest[] = {{"path", ST_PATH, ST_KEY}, {"digest", ST_ID, 0}};
  static const struct st_column of_object[] = {{"path", ST_PATH, ST_KEY},
                                               {"object", ST_ID, ST_OBJECT}};
  static const struct st_table digests = {"d", ST_TABLE_ENTRY, 2, of_digest};
  static const struct st_table objects = {"o", ST_TABLE_ENTRY, 2, of_object};
  struct st_id one = id_of("one", false), two = id_of("two", false), three = id_of("three", false);
  struct st_value a[] = {st_path_value("/etc/x"), st_id_value(&one)};
  struct st_value b[] = {st_path_value("/etc/x"), st_id_value(&two)};
  struct st_value c[] = {st_path_value("/etc/x"), st_id_value(&three)};
  const struct st_change packaged = {"test_d", &digests, a, b, true};
  const struct st_change own = {"test_d", &digests, a, b, false};
  const struct st_change same = {"test_o", &objects, a, b, false};
  const struct st_change began = {"test_o", &objects, NULL, b, false};
  const struct st_change other = {"test_o", &objects, a, c, false};
  const struct {
    const struct st_change *first, *second;
    bool expected;
  } cases[] = {{&packaged, NULL, true},   {&own, NULL, false},        {&packaged, &same, true},
               {&packaged, &began, true}, {&packaged, &other, false}, {&own, &same, false},
               {&packaged, &own, false}};
  for (size_t i = 0; i < ST_COUNT(cases); i++) {
    struct st_group g = {0};
    st_group_add(&g, cases[i].first, "/etc/x");
    if (cases[i].second)
      st_group_add(&g, cases[i].second, "/etc/x");
    assert_int_equal(st_group_is_packaged(&g), cases[i].expected);
    st_group_free(&g);
  }
}

int main(void)
{
  st_digest_init();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_columns),        cmocka_unit_test(test_ids),
      cmocka_unit_test(test_quiet_and_null), cmocka_unit_test(test_manifest_alone),
      cmocka_unit_test(test_one_side),       cmocka_unit_test(test_secret),
      cmocka_unit_test(test_json),           cmocka_unit_test(test_group_secret),
      cmocka_unit_test(test_group_letters),  cmocka_unit_test(test_packages),
      cmocka_unit_test(test_group_packaged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
