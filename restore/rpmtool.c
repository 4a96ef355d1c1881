/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/rpmtool.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/store/packages.h"
#include "systracker/tracker/host.h"

#define PROGRAM "systracker-rpm"
#define MOST ((size_t)256 << 20) /* bytes that it may say */
#define NO_DATABASE 3            /* its exit status */

/* What is open in it: nothing, answer, log, root, request, package files.  Files of memory, as a
 * daemon that a scriptlet starts may keep them open. */
enum { INPUT, ANSWER, LOG, ROOT, REQUEST, PACKAGES, NFILES };

static void close_files(int files[NFILES])
{
  for (int i = 0; i < NFILES; i++) {
    if (files[i] >= 0)
      close(files[i]);
  }
}

/* A copy out of the way of what it becomes in the child; takes `fd`. */
static int move_up(int fd)
{
  int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);
  if (fd >= 0)
    close(fd);
  return high;
}

static int open_packages(const struct st_tracker *t)
{
  int fd = openat(t->store_dir, ST_PACKAGES_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return fd >= 0 ? fd : open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int open_files(const struct st_tracker *t, const struct st_rpm_request *request,
                      int files[NFILES], struct st_error *err)
{
  ST_AUTO_BUFFER asked = ST_BUFFER_INIT;
  st_rpm_request_encode(&asked, request);
  files[INPUT] = move_up(open("/dev/null", O_RDONLY | O_CLOEXEC));
  files[ANSWER] = move_up(memfd_create("answer", MFD_CLOEXEC));
  files[LOG] = move_up(memfd_create("log", MFD_CLOEXEC));
  files[ROOT] = fcntl(t->root, F_DUPFD_CLOEXEC, 10);
  files[REQUEST] = move_up(memfd_create("request", MFD_CLOEXEC));
  files[PACKAGES] = move_up(open_packages(t));
  for (int i = 0; i < NFILES; i++) {
    if (files[i] < 0)
      return st_fail(err, errno, "cannot run " PROGRAM);
  }
  if (asked.length > 0 && st_write_all(files[REQUEST], asked.data, asked.length, err) < 0)
    return st_wrap(err, "cannot run " PROGRAM);
  return lseek(files[REQUEST], 0, SEEK_SET) < 0 ? st_fail(err, errno, "cannot run " PROGRAM) : 0;
}

/* Where rpm_track is told that the database is; NULL: it is looked for. */
static const char *database_folder(const struct st_tracker *t)
{
  const struct st_conf_plugin *plugin = st_conf_plugin(t->conf, "rpm_track");
  const struct st_conf_option *o = plugin ? st_conf_option(plugin, "dbpath") : NULL;
  return o && o->values.count > 0 ? o->values.items[0] : NULL;
}

/* Returns 0 or an errno value. */
static int spawn(pid_t *ret, const struct st_tracker *t, const char *mode, const int files[NFILES])
{
  static char *const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
                                      "/sbin:/bin",
                                      "LC_ALL=C", "HOME=/root", NULL};
  char *argv[] = {PROGRAM, "transaction", (char *)mode, (char *)database_folder(t), NULL};
  ST_AUTO_FREE char *folder = st_host_libexec_dir();
  ST_AUTO_FREE char *path = st_format("%s/" PROGRAM, folder);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attr;
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  int r = posix_spawn_file_actions_init(&actions);
  if (r)
    return r;
  r = posix_spawnattr_init(&attr);
  for (int i = 0; r == 0 && i < NFILES; i++)
    r = posix_spawn_file_actions_adddup2(&actions, files[i], i);
  if (r == 0)
    r = posix_spawnattr_setsigdefault(&attr, &all);
  if (r == 0)
    r = posix_spawnattr_setsigmask(&attr, &none);
  if (r == 0)
    r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                                            POSIX_SPAWN_SETSID);
  if (r == 0)
    r = posix_spawn(ret, path, &actions, &attr, argv, environment);
  posix_spawnattr_destroy(&attr);
  posix_spawn_file_actions_destroy(&actions);
  return r;
}

static int await(pid_t pid, struct st_error *err)
{
  int status;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR)
      return st_fail(err, errno, "cannot wait for " PROGRAM);
  }
  if (WIFSIGNALED(status))
    return st_fail(err, 0, PROGRAM " was ended by signal %d", WTERMSIG(status));
  return WEXITSTATUS(status);
}

static int read_file(int fd, struct st_buffer *out, struct st_error *err)
{
  if (lseek(fd, 0, SEEK_SET) < 0)
    return st_fail(err, errno, "cannot read what " PROGRAM " says");
  return st_read_all(fd, MOST, out, err);
}

/* In trouble, the answer is its words. */
static int fail(int status, struct st_buffer *answer, struct st_error *err)
{
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  size_t n = answer->length > 0 ? strcspn((const char *)answer->data, "\n") : 0;
  st_escape_message(&words, n > 0 ? answer->data : (void *)"", n);
  st_buffer_clear(answer);
  if (status == NO_DATABASE)
    return st_fail(err, 0, "there is no rpm database in the root");
  if (n == 0)
    return st_fail(err, 0, PROGRAM " ended with status %d", status);
  return st_fail(err, 0, "%s", (const char *)words.data);
}

int st_rpm_transaction(struct st_tracker *t, const char *mode, const struct st_rpm_request *request,
                       struct st_buffer *answer, struct st_buffer *log, struct st_error *err)
{
  int files[NFILES] = {-1, -1, -1, -1, -1, -1};
  pid_t pid;
  int status = open_files(t, request, files, err);
  int r = status == 0 ? spawn(&pid, t, mode, files) : 0;
  if (r != 0)
    status = st_fail(err, r, "cannot run " PROGRAM);
  if (status == 0)
    status = await(pid, err);
  if (status >= 0 &&
      (read_file(files[ANSWER], answer, err) < 0 || read_file(files[LOG], log, err) < 0))
    status = -1;
  close_files(files);
  return status > 1 ? fail(status, answer, err) : status;
}
