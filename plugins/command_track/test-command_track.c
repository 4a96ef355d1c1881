/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/test-host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/command_track/words.h"

/* The words of a line, each in <>; or the error. */
static void expect_words(const char *line, const char *expected)
{
  char got[256] = "", **words = NULL;
  struct st_error err = {0};
  if (words_split(line, &words, &err) < 0) {
    assert_string_equal(err.message, expected);
    return;
  }
  for (size_t i = 0; words[i]; i++) {
    size_t n = strlen(got);
    snprintf(got + n, sizeof(got) - n, "<%s>", words[i]);
  }
  free(words);
  assert_string_equal(got, expected);
}

static void test_words(void **state)
{
  (void)state;
  expect_words("ip -j addr", "<ip><-j><addr>");
  expect_words("  a\t b  ", "<a><b>");
  expect_words("a", "<a>");
  expect_words("a b c d e f", "<a><b><c><d><e><f>");
  expect_words("a 'b c' \"d 'e'\" f\"g\"'h'", "<a><b c><d 'e'><fgh>");
  expect_words("a '' \"\"", "<a><><>");
  expect_words("''''", "<>");
  expect_words("a $HOME `b` ; c | d > e \\f *", "<a><$HOME><`b`><;><c><|><d><>><e><\\f><*>");
  expect_words("a 'b", "a quote is not closed");
  expect_words("a \"b' c", "a quote is not closed");
  expect_words("", "a command is empty");
  expect_words(" \t", "a command is empty");
  expect_words("a\nb", "a command has a control character");
}

static int run(char *const argv[], char **ret, size_t *length)
{
  if (strcmp(argv[0], "missing") == 0)
    return -ENOENT;
  if (strcmp(argv[0], "hangs") == 0)
    return -ETIMEDOUT;
  *ret = strdup(argv[0]);
  *length = strlen(*ret);
  return strcmp(argv[0], "fails") == 0 ? 3 : 0;
}

static int collect(const char *const *commands, bool live, struct st_facts *facts,
                   struct st_error *err)
{
  struct host_option options[] = {{"command", commands}, {0}};
  struct st_context ctx = {.options = options, .live_root = live};
  void *self = host_open(&ctx);
  *facts = (struct st_facts){0};
  host_run = run;
  int r = st_plugin_register()->collect(self, facts, err);
  st_plugin_register()->close(self);
  return r;
}

static void test_collect(void **state)
{
  (void)state;
  static struct st_facts facts;
  struct st_error err = {0};
  assert_int_equal(collect((const char *const[]){"works -a", "missing", "fails", "works -a", NULL},
                           true, &facts, &err),
                   0);
  assert_string_equal(facts.lines, "output|works -a|0|id:77\noutput|fails|3|id:66\n");
  assert_int_equal(facts.kept, 2);
}

static void test_not_run(void **state)
{
  (void)state;
  static struct st_facts facts;
  struct st_error err = {0};
  assert_int_equal(collect((const char *const[]){"works", NULL}, false, &facts, &err), 0);
  assert_string_equal(facts.lines, "");
  assert_true(collect((const char *const[]){"hangs", NULL}, true, &facts, &err) < 0);
  assert_string_equal(err.message, "cannot run a program: Connection timed out");
}

static void test_options(void **state)
{
  (void)state;
  struct host_option quote[] = {{"command", (const char *const[]){"a", "b 'c", NULL}}, {0}};
  struct host_option never[] = {{"timeout", (const char *const[]){"0", NULL}}, {0}};
  struct host_option nothing[] = {{"max_output", (const char *const[]){"0", NULL}}, {0}};
  struct st_context ctx = {.options = quote};
  host_open_fails(&ctx, "a quote is not closed");
  ctx.options = never;
  host_open_fails(&ctx, "timeout");
  ctx.options = nothing;
  host_open_fails(&ctx, "max_output");
}

static void test_explain(void **state)
{
  (void)state;
  struct st_id one = host_id(false, 1), two = host_id(false, 2);
  struct st_value a[] = {st_text_value("c"), st_integer(0), st_id_value(&one)};
  struct st_value b[] = {st_text_value("c"), st_integer(3), st_id_value(&two)};
  struct st_value c[] = {st_text_value("c"), st_integer(3), st_id_value(&one)};
  assert_string_equal(host_explain(NULL, a, b), "output changed, exit status 0 → 3");
  assert_string_equal(host_explain(NULL, a, c), "exit status 0 → 3");
  assert_string_equal(host_explain(NULL, c, b), "output changed");
  assert_string_equal(host_explain(NULL, NULL, a), "added (exit status 0)");
  assert_string_equal(host_explain(NULL, a, NULL), "removed");
  assert_string_equal(host_plan(NULL, a, b), "");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_words),   cmocka_unit_test(test_collect),
      cmocka_unit_test(test_not_run), cmocka_unit_test(test_options),
      cmocka_unit_test(test_explain), cmocka_unit_test(host_test_manpage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
