/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/log.h"
#include "systracker/base/test-scratch.h"

/* Standard error goes to a file of the scratch folder meanwhile. */
static int divert(struct scratch *s)
{
  fflush(stderr);
  int saved = dup(STDERR_FILENO);
  int fd = openat(s->fd, "stderr", O_WRONLY | O_CREAT | O_APPEND, 0600);
  assert_true(fd >= 0);
  dup2(fd, STDERR_FILENO);
  close(fd);
  return saved;
}

static void restore(int saved)
{
  fflush(stderr);
  dup2(saved, STDERR_FILENO);
  close(saved);
}

static void open_log(struct scratch *s, enum st_log_level least)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_FREE char *path = st_format("%s/log", s->path);
  assert_ok(st_log_open("tracker-test", path, least, &err), &err);
}

static size_t count_lines(const struct st_buffer *b)
{
  size_t n = 0;
  for (size_t i = 0; i < b->length; i++)
    n += b->data[i] == '\n';
  return n;
}

static void test_file(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER log = ST_BUFFER_INIT;
  ST_AUTO_BUFFER messages = ST_BUFFER_INIT;
  struct stat st;
  open_log(s, ST_LOG_INFO);
  int saved = divert(s);
  st_log(ST_LOG_DEBUG, "too little");
  st_log(ST_LOG_INFO, "first\nFORGED line \x1b[2J");
  st_log(ST_LOG_WARNING, "second (%s)", st_quote("/a\nb"));
  st_log_quiet(true);
  st_log(ST_LOG_WARNING, "third");
  st_log(ST_LOG_ERROR, "fourth");
  st_log_quiet(false);
  restore(saved);
  st_log_close();
  assert_int_equal(fstatat(s->fd, "log", &st, 0), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  assert_int_equal(st_read_file(s->fd, "log", 10000, &log, NULL), 0);
  assert_int_equal(count_lines(&log), 4);
  assert_non_null(strstr(log.data, "tracker-test["));
  assert_non_null(strstr(log.data, ": info: first\\nFORGED line \\x1b[2J\n"));
  assert_non_null(strstr(log.data, ": warning: second (/a\\nb)\n"));
  assert_int_equal(st_read_file(s->fd, "stderr", 10000, &messages, NULL), 0);
  assert_string_equal(messages.data,
                      "tracker-test: warning: second (/a\\nb)\ntracker-test: fourth\n");
}

static void test_appends(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER log = ST_BUFFER_INIT;
  for (int i = 0; i < 2; i++) {
    open_log(s, ST_LOG_DEBUG);
    st_log(ST_LOG_DEBUG, "once");
    st_log_close();
  }
  assert_int_equal(st_read_file(s->fd, "log", 10000, &log, NULL), 0);
  assert_int_equal(count_lines(&log), 2);
}

static void test_targets(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER messages = ST_BUFFER_INIT;
  assert_int_equal(st_log_open("t", "relative", ST_LOG_INFO, &err), -1);
  assert_error(&err, "absolute");
  assert_int_equal(st_log_open("t", "/nonexistent/log", ST_LOG_INFO, &err), -1);
  assert_error(&err, "No such file");
  int saved = divert(s);
  int none = st_log_open("t", "none", ST_LOG_INFO, &err);
  st_log(ST_LOG_INFO, "nowhere");
  int to_stderr = st_log_open("t", "stderr", ST_LOG_INFO, &err);
  st_log(ST_LOG_INFO, "here");
  st_log(ST_LOG_WARNING, "once");
  restore(saved);
  st_log_close();
  assert_int_equal(none, 0);
  assert_int_equal(to_stderr, 0);
  assert_int_equal(st_read_file(s->fd, "stderr", 10000, &messages, NULL), 0);
  assert_string_equal(messages.data, "t: here\nt: warning: once\n");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      scratch_test(test_file),
      scratch_test(test_appends),
      scratch_test(test_targets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
