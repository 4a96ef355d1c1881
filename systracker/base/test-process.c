/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "systracker/base/file.h"
#include "systracker/base/process.h"
#include "systracker/base/test-scratch.h"

/* Runs a script; its status, or -1 with the error set. */
static int run(const char *script, size_t max, unsigned seconds, char **ret, struct st_error *err)
{
  char *argv[] = {"sh", "-c", (char *)script, NULL};
  size_t length = 0;
  int status = st_run(argv, max, seconds, ret, &length, err);
  if (status >= 0)
    assert_int_equal(strlen(*ret), length);
  return status;
}

static void test_run(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  char *out = NULL;
  assert_int_equal(run("echo one; echo two; echo no >&2; exit 3", 100, 60, &out, &err), 3);
  assert_string_equal(out, "one\ntwo\n");
  free(out);
  assert_int_equal(run("kill -TERM $$", 100, 0, &out, &err), 128 + SIGTERM);
  assert_string_equal(out, "");
  free(out);
  assert_int_equal(run("cat", 100, 60, &out, &err), 0); /* nothing to read */
  free(out);
}

static void test_environment(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  char *out = NULL;
  setenv("SYSTRACKER_TEST", "must not be seen", 1);
  char *argv[] = {"env", NULL};
  assert_int_equal(st_run(argv, 1000, 60, &out, NULL, &err), 0);
  assert_string_equal(out, "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\nLANG=C\n");
  free(out);
}

/* What we ignore or block, the child does not; and it is alone in its group. */
static void test_signals(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  char *out = NULL;
  sigset_t set;
  signal(SIGPIPE, SIG_IGN);
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  int status = run("kill -PIPE $$", 100, 60, &out, &err);
  free(out);
  int second = run("kill -TERM $$", 100, 60, &out, &err);
  free(out);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  signal(SIGPIPE, SIG_DFL);
  assert_int_equal(status, 128 + SIGPIPE);
  assert_int_equal(second, 128 + SIGTERM);
  assert_int_equal(run("test $(cut -d' ' -f5 /proc/$$/stat) = $$", 100, 60, &out, &err), 0);
  free(out);
}

static void test_descriptors(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  char *out = NULL;
  int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 50);
  assert_int_equal(run("test ! -e /proc/$$/fd/50", 100, 60, &out, &err), 0);
  free(out);
  close(fd);
}

/* One descriptor of ours, as 3, and no other; the name need not be the program's. */
static void test_run_with(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  char *out = NULL;
  put_file(s->fd, "here", "x");
  char *argv[] = {"systracker-own", "-c",
                  "echo \"$0\"; ls /proc/self/fd/3/; test ! -e /proc/$$/fd/4", NULL};
  size_t length;
  assert_int_equal(st_run_with("/bin/sh", argv, s->fd, 100, 60, &out, &length, &err), 0);
  assert_string_equal(out, "systracker-own\nhere\n");
  free(out);
  assert_int_equal(st_run_with("/no/such/program", argv, s->fd, 100, 60, &out, &length, &err),
                   -ENOENT);
  assert_string_equal(st_error_text(&err), "cannot run systracker-own: No such file or directory");
}

static void test_refusals(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  char *out = NULL;
  char *argv[] = {"no-such-program-at-all", NULL};
  assert_int_equal(st_run(argv, 100, 60, &out, NULL, &err), -ENOENT);
  assert_error(&err, "cannot run no-such-program-at-all");
  argv[0] = "./sh"; /* relative to what? */
  assert_int_equal(st_run(argv, 100, 60, &out, NULL, &err), -ENOENT);
  assert_int_equal(run("echo 123456789", 9, 60, &out, &err), -1);
  assert_error(&err, "more than 9 bytes");
  assert_int_equal(run("echo 12345678", 9, 60, &out, &err), 0);
  free(out);
  assert_int_equal(run("while :; do echo y; done", 100000, 60, &out, &err), -1);
  assert_error(&err, "more than 100000 bytes");
}

/* Its children end with it, also where it closed its output long before. */
static void test_deadline(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  char *out = NULL;
  assert_int_equal(run("sleep 1000 & sleep 1000", 100, 1, &out, &err), -1);
  assert_error(&err, "took too long");
  ST_AUTO_FREE char *script = st_format("exec >&-; echo $$ > %s/pid; exec sleep 1000", s->path);
  assert_int_equal(run(script, 100, 5, &out, &err), -1); /* in which the shell has begun */
  assert_error(&err, "took too long");
  ST_AUTO_BUFFER pid = ST_BUFFER_INIT;
  assert_ok(st_read_file(s->fd, "pid", 20, &pid, &err), &err);
  assert_int_equal(kill((pid_t)strtol(pid.data, NULL, 10), 0), -1);
  assert_int_equal(errno, ESRCH);
}

/* The running system's own root is another one's, too; mounts need a privilege that a container's
 * root may lack. */
static void test_run_in(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_FREE char *out = NULL;
  ST_AUTO_CLOSE int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  char *argv[] = {"sh", "-c", "readlink /proc/self/ns/mnt; echo no >&2; cat; exit 3", NULL};
  size_t length = 0;
  int status = st_run_in(root, argv, 100, 60, &out, &length, &err);
  if (status < 0 && (geteuid() != 0 || strstr(st_error_text(&err), "namespace"))) {
    st_error_clear(&err);
    skip();
  }
  assert_ok(status, &err);
  assert_int_equal(status, 3);
  char own[64] = "";
  assert_true(readlink("/proc/self/ns/mnt", own, sizeof(own) - 1) > 0);
  assert_int_equal(strncmp(out, "mnt:[", 5), 0);
  assert_int_not_equal(strncmp(out, own, strlen(own)), 0);
  assert_string_equal(strchr(out, '\n'), "\nno\n");
}

static void refused_in(int root, const char *name, const char *words)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  char *out = NULL, *argv[] = {(char *)name, NULL};
  assert_true(st_run_in(root, argv, 100, 60, &out, NULL, &err) < 0);
  assert_error(&err, geteuid() == 0 ? words : "only root may");
}

static void test_run_in_refusals(void **state)
{
  struct scratch *s = *state;
  static const char foreign[64] = "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\26"; /* of an s390x */
  assert_int_equal(mkdirat(s->fd, "bin", 0755), 0);
  int fd = openat(s->fd, "bin/tool", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
  assert_int_equal(write(fd, foreign, sizeof(foreign)), sizeof(foreign));
  close(fd);
  refused_in(s->fd, "tool", "it is for s390, this machine is ");
  refused_in(s->fd, "/bin/tool", "it is for s390, this machine is ");
  refused_in(s->fd, "sh", "cannot run sh of the other root: No such file");
  assert_int_equal(symlinkat("/bin/sh", s->fd, "bin/sh"), 0); /* within that root, to itself */
  refused_in(s->fd, "sh", "cannot run sh of the other root: No such file");
}

static void diff(const char *old, const char *new_, int expected, const char *text)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  int r = st_unified_diff(old, strlen(old), "a/x y", new_, strlen(new_), "-b", &out, &err);
  if (r != expected)
    fail_msg("%d: %s", r, st_error_text(&err));
  assert_string_equal(out.data ? out.data : "", text);
}

#define HEAD "--- a/x y\n+++ -b\n"

static void test_diff(void **state)
{
  (void)state;
  diff("", "", 0, "");
  diff("same\n", "same\n", 0, "");
  diff("a\nb\n", "a\nc\n", 1, HEAD "@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
  diff("", "new\n", 1, HEAD "@@ -0,0 +1 @@\n+new\n");
  diff("old", "old\n", 1, HEAD "@@ -1 +1 @@\n-old\n\\ No newline at end of file\n+old\n");
  diff("\xff\n", "\xfe\n", 1, HEAD "@@ -1 +1 @@\n-\xff\n+\xfe\n");
}

/* Several at once, each with its own output; one that nobody waits for. */
static void test_diffs_beside(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_diff *diffs[3];
  for (int i = 0; i < 3; i++) {
    char text[] = {(char)('a' + i), '\n'};
    assert_int_equal(st_diff_start(&diffs[i], "x\n", 2, "x", text, sizeof text, "y", &err), 1);
  }
  st_diff_end(diffs[1]);
  for (int i = 2; i >= 0; i -= 2) {
    ST_AUTO_BUFFER out = ST_BUFFER_INIT;
    ST_AUTO_FREE char *text = st_format("--- x\n+++ y\n@@ -1 +1 @@\n-x\n+%c\n", 'a' + i);
    assert_int_equal(st_diff_finish(diffs[i], &out, &err), 1);
    assert_string_equal(out.data, text);
  }
  assert_int_equal(st_diff_start(&diffs[0], "x", 1, "x", "x", 1, "y", &err), 0);
  assert_null(diffs[0]);
}

/* Content with NULs is compared as text when one asks for it. */
static void test_binary(void **state)
{
  (void)state;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  assert_int_equal(st_unified_diff("a\0b\n", 4, "x", "a\0c\n", 4, "y", &out, NULL), 1);
  assert_non_null(memmem(out.data, out.length, "-a\0b\n+a\0c\n", 10));
  char data[8001];
  memset(data, 'x', sizeof data);
  data[8000] = 0;
  assert_false(st_is_binary(data, sizeof data));
  data[7999] = 0;
  assert_true(st_is_binary(data, sizeof data));
  assert_false(st_is_binary(NULL, 0));
}

/* Every line differs: the longest that a diff can be for its input. */
static void test_large_diff(void **state)
{
  (void)state;
  ST_AUTO_BUFFER old = ST_BUFFER_INIT;
  ST_AUTO_BUFFER new_ = ST_BUFFER_INIT;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  for (int i = 0; i < 50000; i++) {
    st_buffer_append_string(&old, i % 8 ? "\n" : "a\n");
    st_buffer_append_string(&new_, i % 8 ? "\n" : "b\n");
  }
  assert_ok(st_unified_diff(old.data, old.length, "x", new_.data, new_.length, "y", &out, &err),
            &err);
  assert_true(out.length > old.length + new_.length);
}

/* Where standard output is no terminal there is no pager. */
static void test_pager(void **state)
{
  (void)state;
  setenv("PAGER", "no-such-pager", 1);
  int saved = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY);
  fflush(stdout);
  dup2(null, STDOUT_FILENO);
  pid_t pid = st_pager_start();
  st_pager_end(pid);
  dup2(saved, STDOUT_FILENO);
  close(saved);
  close(null);
  assert_int_equal(pid, -1);
}

static void test_no_core(void **state)
{
  (void)state;
  int status = -1;
  pid_t pid = fork();
  if (pid == 0) {
    st_leave_no_core();
    _exit(prctl(PR_GET_DUMPABLE));
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
#ifndef __SANITIZE_ADDRESS__
  assert_int_equal(status, 0);
#endif
  assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_run),         cmocka_unit_test(test_environment),
      cmocka_unit_test(test_signals),     scratch_test(test_descriptors),
      cmocka_unit_test(test_refusals),    scratch_test(test_deadline),
      cmocka_unit_test(test_diff),        cmocka_unit_test(test_diffs_beside),
      cmocka_unit_test(test_binary),      cmocka_unit_test(test_large_diff),
      cmocka_unit_test(test_pager),       cmocka_unit_test(test_run_in),
      scratch_test(test_run_in_refusals), scratch_test(test_run_with),
      cmocka_unit_test(test_no_core),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
