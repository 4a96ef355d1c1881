/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-command.c - what a shell makes of the commands that pages show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "archive-sync/serve/command.h"

static void test_words(void **state)
{
  (void)state;
  static const struct {
    const char *from, *to;
  } cases[] = {
      {"/etc/hosts", "/etc/hosts"},
      {"", "''"},
      {"/a b", "'/a b'"},
      {"/$(id)`id`", "'/$(id)`id`'"},
      {"/it's", "'/it'\\''s'"},
      {"/a\\b", "'/a\\b'"},
      {"~root", "'~root'"},
      {"/a;b&c|d>e*?[]{}!#\"", "'/a;b&c|d>e*?[]{}!#\"'"},
      {"/a\nb", "$'/a\\nb'"},
      {"/\x1b[1m'\\", "$'/\\x1b[1m\\'\\\\'"},
      {"/\xff"
       "0",
       "$'/\\xff0'"},
      {"/\xe2\x80\xae"
       "a",
       "$'/\\xe2\\x80\\xaea'"},
      {"/\xc3\xa4", "'/\xc3\xa4'"},
  };
  for (size_t i = 0; i < ST_COUNT(cases); i++) {
    ST_AUTO_BUFFER out = ST_BUFFER_INIT;
    st_command_word(&out, cases[i].from, strlen(cases[i].from));
    assert_string_equal(out.data, cases[i].to);
  }
}

/* bash reads back each byte that can be in a name. */
static void test_shell(void **state)
{
  (void)state;
  if (access("/bin/bash", X_OK) != 0)
    skip();
  for (int c = 1; c < 256; c++) {
    const char path[] = {'/', (char)c, 'a', '0', 0};
    ST_AUTO_BUFFER out = ST_BUFFER_INIT;
    st_command_word(&out, path, strlen(path));
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
      ST_AUTO_FREE char *script = st_format("printf %%s %s", out.data);
      dup2(fds[1], 1);
      close(fds[0]);
      close(fds[1]);
      execl("/bin/bash", "bash", "-c", script, NULL);
      _exit(127);
    }
    close(fds[1]);
    char back[16] = "";
    size_t n = 0;
    for (ssize_t r = 1; r > 0 && n < sizeof back; n += (size_t)r) {
      r = read(fds[0], back + n, sizeof back - n);
      assert_true(r >= 0);
    }
    close(fds[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(n, strlen(path));
    assert_memory_equal(back, path, strlen(path));
  }
}

static void expect(char *command, const char *text)
{
  assert_string_equal(command, text);
  free(command);
}

static void test_commands(void **state)
{
  (void)state;
  expect(st_command_restore("https://a.example:7440/", "ab12", 3, "/etc/a b"),
         "systracker restore --from https://a.example:7440/ --host ab12 --checkpoint 3 -- "
         "'/etc/a b'");
  expect(st_command_restore("https://a/#pin", "ab/epoch-2", 3, NULL),
         "systracker restore --from 'https://a/#pin' --host ab/epoch-2 --checkpoint 3");
  expect(st_command_join("evil/;rm -rf", NULL, NULL), "https://ARCHIVE/");
  expect(st_command_join(NULL, "pin", NULL), "https://ARCHIVE/#pin");
  expect(st_command_join("[::1]:7440", NULL, NULL), "https://[::1]:7440/");
  ST_AUTO_FREE char *url = st_command_join("a:1", "pin", "jtoken");
  assert_string_equal(url, "https://a:1/#pin.jtoken");
  expect(st_command_sync(url), "systracker sync 'https://a:1/#pin.jtoken'");
  expect(st_command_join("a:1", NULL, "rt"), "https://a:1/#.rt");
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_words),
      cmocka_unit_test(test_shell),
      cmocka_unit_test(test_commands),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
