/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "systracker/tracker/transaction.h"

/* What a command line becomes; words are separated by "|" here. */
static void expect(const char *command, const char *words)
{
  size_t length = strlen(command) + 1;
  char *line = st_strdup(command);
  for (char *s = line; *s; s++)
    if (*s == '|')
      *s = 0;
  ST_AUTO_FREE char *got = st_command_words(line, length);
  free(line);
  assert_string_equal(got, words);
}

static void test_words(void **state)
{
  (void)state;
  expect("/usr/bin/apt-get|install|-y|hello", "apt-get install -y hello");
  expect("apt|install|./a b.deb|it's", "apt install './a b.deb' 'it'\\''s'");
  expect("rpm|-q||x", "rpm -q '' x");
  expect("/usr/bin/python3|/usr/bin/dnf|-y|upgrade", "dnf -y upgrade");
  expect("/usr/libexec/platform-python|-s|/bin/dnf|upgrade", "dnf upgrade");
  expect("/usr/bin/python3.11|-m|tool", "python3.11 -m tool");
  expect("/usr/bin/pythonic|/x", "pythonic /x");
  expect("/usr/bin/unattended-upgrade", "unattended-upgrade");
  expect("python3", "python3");
  expect("rpm|-U|a\nb\x1b[31m\xff", "rpm -U 'a\\nb\\x1b[31m\\xff'");
  ST_AUTO_FREE char *none = st_command_words("", 0);
  assert_string_equal(none, "");
  ST_AUTO_FREE char *open = st_command_words("rpm\0-q", 6); /* no NUL at the end */
  assert_string_equal(open, "rpm -q");
}

static void test_secrets(void **state)
{
  (void)state;
  expect("rpm|-i|https://joe:geheim@example.org/a.rpm", "rpm -i https://***@example.org/a.rpm");
  expect("rpm|-i|https://token@example.org/a.rpm", "rpm -i https://***@example.org/a.rpm");
  expect("rpm|-i|https://joe:ge/he@im@example.org/a.rpm", "rpm -i https://***@example.org/a.rpm");
  expect("rpm|-i|https://example.org/a.rpm", "rpm -i https://example.org/a.rpm");
  expect("apt-get|-oAcquire::http::Proxy=http://a:b@proxy:3128/|update",
         "apt-get -oAcquire::http::Proxy=http://***@proxy:3128/ update");
  expect("dnf|--setopt=lab.password=geheim|--setopt=keepcache=1|upgrade",
         "dnf --setopt=lab.password=*** --setopt=keepcache=1 upgrade");
  expect("dnf|--setopt=proxy_Password=a=b", "dnf --setopt=proxy_Password=***");
  expect("tool|--password|geheim|next", "tool --password *** next");
  expect("tool|--auth-token=x|-p|y", "tool --auth-token=*** -p y");
  expect("rpm|https://example.org/a?token=abc", "rpm 'https://example.org/a?token=***'");
  expect("rpm|https://u:p@example.org/a?token=a@b", "rpm 'https://***@example.org/a?token=***'");
}

static void test_long(void **state)
{
  (void)state;
  ST_AUTO_BUFFER line = ST_BUFFER_INIT;
  for (int i = 0; i < 600; i++)
    st_buffer_append_string(&line, "\xc3\xa4");
  ST_AUTO_FREE char *words = st_command_words(line.data, line.length);
  assert_int_equal(strlen(words), 1002); /* one byte of an odd place is left out, too */
  assert_string_equal(words + 999, "...");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_words),
      cmocka_unit_test(test_secrets),
      cmocka_unit_test(test_long),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
