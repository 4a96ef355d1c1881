/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "systracker/tracker/cli.h"

enum { OPT_STAT = 256, OPT_BAD };

struct seen {
  int stat;
  const char *message;
};

static const struct st_cli_option options[] = {
    {"message", 'm', "TEXT", "say why"},
    {"stat", OPT_STAT, NULL, "one line each"},
    {"bad", OPT_BAD, NULL, "refused by the verb"},
    {NULL, 0, NULL, NULL},
};

static int set(void *arg, int letter, const char *value, struct st_error *err)
{
  struct seen *seen = arg;
  if (letter == OPT_BAD)
    return st_fail(err, 0, "bad indeed");
  if (letter == 'm')
    seen->message = value;
  else
    seen->stat++;
  return 0;
}

static const struct st_cli_verb verb = {"diff", "[A [B]]", "what changed", options, set, NULL};

/* One command line, parsed: argv[0] is the verb. */
struct parsed {
  struct st_cli cli;
  struct seen seen;
  int argc, first, dashes;
  char *argv[16];
  struct st_error err;
};

static void parse(struct parsed *p, const char *const words[])
{
  *p = (struct parsed){.dashes = -7};
  for (; words[p->argc]; p->argc++)
    p->argv[p->argc] = (char *)words[p->argc];
  p->first = st_cli_parse(&p->cli, &verb, p->argc, p->argv, &p->seen, &p->dashes, &p->err);
}

#define PARSE(p, ...) parse(p, (const char *const[]){"diff", __VA_ARGS__, NULL})

static void check_operands(const struct parsed *p, const char *const words[])
{
  int n = 0;
  assert_true(p->first > 0);
  while (words[n])
    n++;
  assert_int_equal(p->argc - p->first, n);
  for (int i = 0; i < n; i++)
    assert_string_equal(p->argv[p->first + i], words[i]);
}

#define OPERANDS(p, ...) check_operands(p, (const char *const[]){__VA_ARGS__, NULL})

static void test_options_anywhere(void **state)
{
  (void)state;
  struct parsed p;
  PARSE(&p, "1", "--stat", "2", "-m", "why", "/etc", "--json", "--root", "/r");
  OPERANDS(&p, "1", "2", "/etc");
  assert_int_equal(p.dashes, -1);
  assert_int_equal(p.seen.stat, 1);
  assert_string_equal(p.seen.message, "why");
  assert_true(p.cli.json);
  assert_string_equal(p.cli.tracker.root, "/r");

  PARSE(&p, "--message=a b", "-mshort", "--config=c", "--store", "s", "--quiet");
  assert_int_equal(p.first, p.argc);
  assert_string_equal(p.seen.message, "short");
  assert_string_equal(p.cli.tracker.config, "c");
  assert_string_equal(p.cli.tracker.store, "s");
  assert_true(p.cli.quiet);
}

static void test_dashes(void **state)
{
  (void)state;
  struct parsed p;
  PARSE(&p, "1", "--", "2", "--stat", "--");
  OPERANDS(&p, "1", "2", "--stat", "--");
  assert_int_equal(p.dashes, 1);
  assert_int_equal(p.seen.stat, 0);

  PARSE(&p, "--", "/etc");
  OPERANDS(&p, "/etc");
  assert_int_equal(p.dashes, 0);

  PARSE(&p, "1", "--");
  OPERANDS(&p, "1");
  assert_int_equal(p.dashes, 1);

  /* As an option's value it is no end of options. */
  PARSE(&p, "1", "-m", "--");
  OPERANDS(&p, "1");
  assert_int_equal(p.dashes, -1);
  assert_string_equal(p.seen.message, "--");
}

static void fails(struct parsed *p, const char *words)
{
  assert_int_equal(p->first, -1);
  assert_non_null(p->err.message);
  if (!strstr(p->err.message, words))
    fail_msg("'%s' is not in '%s'", words, p->err.message);
  assert_int_equal(st_cli_fail(&p->err), ST_EXIT_TROUBLE);
}

static void test_bad_options(void **state)
{
  (void)state;
  struct parsed p;
  PARSE(&p, "--nope");
  fails(&p, "no such option: --nope");
  PARSE(&p, "--stat", "-xz");
  fails(&p, "no such option: -x ");
  PARSE(&p, "--esc\033[31m");
  fails(&p, "\\x1b[31m");
  PARSE(&p, "-m");
  fails(&p, "--message needs its TEXT");
  PARSE(&p, "--root");
  fails(&p, "--root needs its DIR");
  PARSE(&p, "--stat=3");
  fails(&p, "--stat takes no value");
  PARSE(&p, "--bad");
  fails(&p, "bad indeed");
}

static void test_global(void **state)
{
  (void)state;
  struct st_cli cli = {0};
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  const char *words[] = {"systracker", "--json", "--store", "s", "diff", "--root", "r", NULL};
  assert_int_equal(st_cli_global(&cli, 7, (char **)words, &err), 4);
  assert_true(cli.json);
  assert_string_equal(cli.tracker.store, "s");
  assert_null(cli.tracker.root);

  const char *none[] = {"systracker", "--version", "--help", NULL};
  assert_int_equal(st_cli_global(&cli, 3, (char **)none, &err), 3);
  assert_true(cli.help && cli.version);

  const char *bad[] = {"systracker", "--stat", "diff", NULL};
  assert_int_equal(st_cli_global(&cli, 3, (char **)bad, &err), -1);
}

static void test_operand_count(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_int_equal(st_cli_operands(&verb, 0, 0, -1, &err), 0);
  assert_int_equal(st_cli_operands(&verb, 99, 0, -1, &err), 0);
  assert_int_equal(st_cli_operands(&verb, 2, 1, 2, &err), 0);
  assert_int_equal(st_cli_operands(&verb, 0, 1, 2, &err), -1);
  assert_non_null(strstr(err.message, "too few"));
  assert_int_equal(st_cli_operands(&verb, 3, 1, 2, &err), -1);
  assert_non_null(strstr(err.message, "too many"));
}

static void test_path(void **state)
{
  (void)state;
  struct st_cli cli = {0};
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_FREE char *a = NULL, *b = NULL, *none = NULL;
  assert_int_equal(st_cli_path(&cli, "/etc//x/", &a, &err), 0);
  assert_string_equal(a, "/etc/x");
  assert_int_equal(chdir("/usr"), 0);
  assert_int_equal(st_cli_path(&cli, "./lib", &b, &err), 0);
  assert_string_equal(b, "/usr/lib");
  cli.tracker.root = "/other";
  assert_true(st_cli_path(&cli, "lib", &none, &err) < 0);
  assert_true(st_cli_path(&cli, "/etc/../x", &none, &err) < 0);
}

static char *help_of(const struct st_cli *cli)
{
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  st_cli_help(out, cli, &verb);
  fclose(out);
  return text;
}

static void test_help(void **state)
{
  (void)state;
  const struct st_cli cli = {0}, archive = {.of_archive = true};
  ST_AUTO_FREE char *text = help_of(&cli), *of_archive = help_of(&archive);
  const char *const wanted[] = {"usage: systracker diff [OPTION...] [A [B]]\nwhat changed\n",
                                "  -m, --message TEXT", "      --stat ", "      --root DIR ",
                                "say why\n"};
  for (size_t i = 0; i < ST_COUNT(wanted); i++)
    if (!strstr(text, wanted[i]))
      fail_msg("'%s' is not in the help:\n%s", wanted[i], text);
  assert_non_null(
      strstr(of_archive, "usage: systracker-archive diff DIR HOST [OPTION...] [A [B]]"));
  assert_non_null(strstr(of_archive, "      --json "));
  for (size_t i = 0; i < 3; i++)
    assert_null(strstr(of_archive, (const char *const[]){"--config", "--root", "--store"}[i]));
}

static void test_fail_is_one_safe_line(void **state)
{
  (void)state;
  struct st_error err = ST_ERROR_INIT;
  st_refuse(&err, "no");
  assert_int_equal(st_cli_fail(&err), ST_EXIT_INCOMPLETE);
  assert_null(err.message);
}

static void test_json_strings(void **state)
{
  (void)state;
  json_t *odd = st_json_bytes("a\n\377", 3), *null = st_json_text(NULL);
  assert_string_equal(json_string_value(odd), "a\\n\\xff");
  assert_true(json_is_null(null));
  json_decref(odd);
  json_decref(null);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_options_anywhere),
      cmocka_unit_test(test_dashes),
      cmocka_unit_test(test_bad_options),
      cmocka_unit_test(test_global),
      cmocka_unit_test(test_operand_count),
      cmocka_unit_test(test_path),
      cmocka_unit_test(test_help),
      cmocka_unit_test(test_fail_is_one_safe_line),
      cmocka_unit_test(test_json_strings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
