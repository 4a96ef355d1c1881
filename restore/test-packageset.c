/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "restore/packageset.h"

static int sign(int n)
{
  return (n > 0) - (n < 0);
}

/* Each before the next; from deb-version(7) and dpkg's own tests. */
static void test_versions(void **state)
{
  (void)state;
  static const char *const order[] = {"0:0~~",     "0~",         "0",        "0.0-0~1", "0.0-1",
                                      "1.0~rc1-1", "1.0-1",      "1.0-1+b1", "1.0-1.1", "1.0-2",
                                      "1.0-10",    "1.0+dfsg-1", "1.0.1-1",  "1.9-1",   "1.10-1",
                                      "1.a-1",     "1.b-1",      "1:0.1-1"};
  for (size_t i = 0; i < ST_COUNT(order); i++) {
    for (size_t k = 0; k < ST_COUNT(order); k++) {
      int c = sign(st_package_version_compare(ST_DPKG, order[i], order[k]));
      if (c != (i > k) - (i < k))
        fail_msg("%s against %s: %d", order[i], order[k], c);
    }
  }
  assert_int_equal(st_package_version_compare(ST_DPKG, "0:1.00-1", "1.0-01"), 0);
  assert_int_equal(st_package_version_compare(ST_DPKG, "1.0", "1.0-0"), 0);
}

#define OK "install ok installed"
#define RC "deinstall ok config-files"

/* "upgrade a 1 2": the one step that leads from `live` to `target`; "" none. */
static void expect(const char *then, const char *then_state, const char *now, const char *now_state,
                   const char *words)
{
  ST_AUTO_PACKAGE_FACTS target = {0}, live = {0};
  ST_AUTO_PACKAGE_STEPS steps = {0};
  st_package_facts_add(&target, "zz", "all", "1", OK);
  st_package_facts_add(&live, "zz", "all", "1", OK);
  if (then)
    st_package_facts_add(&target, "a", "amd64", then, then_state);
  if (now)
    st_package_facts_add(&live, "a", "amd64", now, now_state);
  st_package_steps_find(&target, &live, &steps);
  assert_int_equal(steps.count, *words != 0);
  if (steps.count == 0)
    return;
  const struct st_package_step *s = &steps.items[0];
  ST_AUTO_FREE char *found = st_format("%s %s>%s", st_package_step_verb(s), s->before, s->after);
  assert_string_equal(found, words);
  assert_string_equal(s->name, "a");
  assert_true(st_package_step_valid(s));
}

static void test_steps(void **state)
{
  (void)state;
  expect("1", OK, "1", OK, "");
  expect("1", "hold ok installed", "1", OK, "");
  expect("1", OK, "1", "install ok triggers-pending", "");
  expect("2", OK, "1", OK, "upgrade 1>2");
  expect("1", OK, "1:0", "hold ok installed", "downgrade 1:0>1");
  expect("1", OK, "1", "install ok half-configured", "repair 1>1");
  expect("1", OK, NULL, NULL, "install >1");
  expect("1", OK, "1", RC, "install 1>1");
  expect("1", OK, "2", RC, "install 2>1");
  expect(NULL, NULL, "1", OK, "purge 1>");
  expect(NULL, NULL, "1", RC, "purge 1>");
  expect("1", RC, "1", OK, "remove 1>1");
  expect("1", RC, "2", OK, "remnant 2>1");
  expect("1", RC, NULL, NULL, "remnant >1");
  expect("1", RC, "1", RC, "");
  expect("1", RC, "2", RC, "remnant 2>1");
  expect("1", "unknown ok not-installed", NULL, NULL, "");
  expect(NULL, NULL, "", "unknown ok not-installed", "");
}

/* One name of two architectures is two packages; order does not matter. */
static void test_architectures(void **state)
{
  (void)state;
  ST_AUTO_PACKAGE_FACTS target = {0}, live = {0};
  ST_AUTO_PACKAGE_STEPS steps = {0};
  st_package_facts_add(&target, "libc6", "i386", "2", OK);
  st_package_facts_add(&target, "libc6", "amd64", "2", OK);
  st_package_facts_add(&target, "b", "amd64", "2", OK);
  st_package_facts_add(&live, "libc6", "amd64", "2", OK);
  st_package_facts_add(&live, "c", "all", "2", OK);
  st_package_facts_add(&live, "b", "amd64", "2", OK);
  st_package_steps_find(&target, &live, &steps);
  assert_int_equal(steps.count, 2);
  ST_AUTO_FREE char *purged = st_package_step_words(&steps.items[0]);
  assert_string_equal(purged, "package c removed");
  ST_AUTO_FREE char *name = st_package_full_name(steps.items[1].name, steps.items[1].architecture);
  assert_string_equal(name, "libc6:i386");
  assert_true(st_package_step_installs(&steps.items[1]));
  assert_false(st_package_step_loses(&steps.items[1]));
  assert_true(st_package_step_loses(&steps.items[0]));
}

static bool valid(const char *name, const char *architecture, const char *after)
{
  char *n = st_strdup(name), *a = st_strdup(architecture), *v = st_strdup(after);
  const struct st_package_step s = {
      .kind = ST_PACKAGE_INSTALL, .name = n, .architecture = a, .before = (char *)"", .after = v};
  bool r = st_package_step_valid(&s);
  free(n);
  free(a);
  free(v);
  return r;
}

/* What could be an option, or a line of its own, never reaches apt. */
static void test_hostile(void **state)
{
  (void)state;
  assert_true(valid("libstdc++6", "amd64", "12.2.0-14+deb12u1"));
  assert_false(valid("-o", "amd64", "1"));
  assert_false(valid("a", "amd64", ""));
  assert_false(valid("a", "amd64", "1\nPackage: b"));
  assert_false(valid("a/b", "amd64", "1"));
  assert_false(valid("a", "amd64 ", "1"));
  assert_false(valid("a", "", "1"));
  assert_false(valid("", "all", "1"));
  assert_false(valid("a", "all", "-1"));
}

/* Each before the next; from rpm-version(7) and rpm's own tests. */
static void test_rpm_versions(void **state)
{
  (void)state;
  static const char *const order[] = {
      "1.0~rc1-1",  "1.0~rc1^git1-1", "1.0-1",      "1.0^-1", "1.0^git1-1", "1.0^git2-1", "1.0a-1",
      "1.0.1-1",    "1.1-1",          "1.1-1.fc39", "1.1-2",  "1.1-10",     "1.10-1",     "2-1",
      "20240101-1", "1:0.5-1"};
  for (size_t i = 0; i < ST_COUNT(order); i++) {
    for (size_t k = 0; k < ST_COUNT(order); k++) {
      int c = sign(st_package_version_compare(ST_RPM, order[i], order[k]));
      if (c != (i > k) - (i < k))
        fail_msg("%s against %s: %d", order[i], order[k], c);
    }
  }
  assert_int_equal(st_package_version_compare(ST_RPM, "0:1.0-1", "1.0-1"), 0);
  assert_int_equal(st_package_version_compare(ST_RPM, "1_0-01", "1.0-1"), 0);
  assert_int_equal(st_package_version_compare(ST_RPM, "1.0a-1", "1.0.a-1"), 0);
}

/* Versions of "a" then and now, separated by spaces, an "=" before those that stand beside others;
 * a step each, as expect() has it. */
static void add_versions(struct st_package_facts *f, const char *versions)
{
  ST_AUTO_FREE char *copy = st_strdup(versions);
  f->manager = ST_RPM;
  for (char *rest = NULL, *v = strtok_r(copy, " ", &rest); v; v = strtok_r(NULL, " ", &rest)) {
    bool beside = *v == '=';
    char *build = strchr(v, '/');
    if (build)
      *build++ = 0;
    struct st_package_fact *new = st_package_facts_add(f, "a", "noarch", v + beside, "installed");
    new->beside = beside;
    new->digest = st_strdup(build ? build : "");
  }
}

static void expect_rpm(const char *then, const char *now, const char *words)
{
  ST_AUTO_PACKAGE_FACTS target = {0}, live = {0};
  ST_AUTO_PACKAGE_STEPS steps = {0};
  ST_AUTO_BUFFER found = ST_BUFFER_INIT;
  add_versions(&target, then);
  add_versions(&live, now);
  target.manager = live.manager = ST_RPM;
  st_package_steps_find(&target, &live, &steps);
  for (size_t i = 0; i < steps.count; i++) {
    const struct st_package_step *s = &steps.items[i];
    assert_true(st_package_step_valid(s));
    assert_int_equal(s->manager, ST_RPM);
    st_buffer_printf(&found, "%s%s %s>%s", i ? ", " : "", st_package_step_verb(s), s->before,
                     s->after);
  }
  assert_string_equal(found.data ? (const char *)found.data : "", words);
}

static void test_rpm_steps(void **state)
{
  (void)state;
  expect_rpm("1-1", "1-1", "");
  expect_rpm("2-1", "1-1", "upgrade 1-1>2-1");
  expect_rpm("1-1", "2-1", "downgrade 2-1>1-1");
  expect_rpm("2:1-1", "5-1", "upgrade 5-1>2:1-1");
  expect_rpm("1-1", "", "install >1-1");
  expect_rpm("", "1-1", "remove 1-1>");
  /* Built again without a new version. */
  expect_rpm("1-1/aa", "1-1/bb", "repair 1-1>1-1");
  expect_rpm("1-1/aa", "1-1/aa", "");
  expect_rpm("1-1/aa", "1-1", "");
  /* Several at once. */
  expect_rpm("=1-1 =2-1", "=2-1 =3-1", "remove 3-1>, install >1-1");
  expect_rpm("=1-1", "=2-1", "remove 2-1>, install >1-1");
  expect_rpm("=1-1 =2-1", "=1-1 =2-1", "");
  /* A transaction was killed between its two halves. */
  expect_rpm("1-1", "=1-1 =2-1", "remove 2-1>, repair 1-1>1-1");
  expect_rpm("3-1", "=1-1 =2-1", "remove 1-1>, remove 2-1>, install >3-1");
}

static void test_rpm_words(void **state)
{
  (void)state;
  struct st_package_step s = {.manager = ST_RPM,
                              .kind = ST_PACKAGE_PURGE,
                              .name = (char *)"gpg-pubkey",
                              .architecture = (char *)"",
                              .before = (char *)"aa-bb",
                              .after = (char *)"",
                              .installed = true};
  assert_true(st_package_step_valid(&s));
  assert_true(st_package_step_is_key(&s));
  ST_AUTO_FREE char *words = st_package_step_words(&s);
  assert_string_equal(words, "package gpg-pubkey removed");
  s.name = (char *)"a/b";
  assert_false(st_package_step_valid(&s));
  s.name = (char *)"a b";
  assert_false(st_package_step_valid(&s));
}

static void add_step(struct st_package_steps *s, enum st_package_step_kind kind, const char *name)
{
  const struct st_package_step step = {.kind = kind,
                                       .name = (char *)name,
                                       .architecture = (char *)"all",
                                       .before = (char *)"1",
                                       .after = (char *)"2"};
  st_package_steps_add(s, &step);
}

static void test_keep(void **state)
{
  (void)state;
  ST_AUTO_PACKAGE_STEPS s = {0};
  ST_AUTO_STRINGS lines = {0};
  add_step(&s, ST_PACKAGE_REMNANT, "left");
  add_step(&s, ST_PACKAGE_DOWNGRADE, "lib");
  add_step(&s, ST_PACKAGE_PURGE, "app");
  assert_false(st_package_steps_keep(&s)); /* nothing but what may stay */
  assert_int_equal(s.count, 2);
  add_step(&s, ST_PACKAGE_INSTALL, "new");
  assert_true(st_package_steps_keep(&s));
  assert_false(st_package_step_counts(&s.items[0]));
  assert_true(st_package_step_counts(&s.items[2]));
  st_strings_add(&lines, " new : Depends: lib-dev (= 1) but my-lib is; libx, xlib, app2");
  assert_int_equal(st_package_steps_need(&s, &lines), 0);
  st_strings_add(&lines, "lib(api) = 1 is needed by new");
  assert_int_equal(st_package_steps_need(&s, &lines), 1);
  assert_int_equal(st_package_steps_need(&s, &lines), 0);
  st_package_steps_settle(&s);
  assert_int_equal(s.count, 2);
  assert_string_equal(s.items[0].name, "lib");
  assert_string_equal(s.items[1].name, "new");
  assert_false(s.items[0].optional);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_versions),      cmocka_unit_test(test_steps),
      cmocka_unit_test(test_rpm_versions),  cmocka_unit_test(test_rpm_steps),
      cmocka_unit_test(test_rpm_words),     cmocka_unit_test(test_keep),
      cmocka_unit_test(test_architectures), cmocka_unit_test(test_hostile),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
