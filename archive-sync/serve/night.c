/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/night.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "archive-sync/policy.h"
#include "archive-sync/serve/requestlog.h"

#define LOOK_SECONDS 60

extern char **environ;

struct st_night {
  struct st_server *server;
  pthread_t thread;
  int64_t prune_at, next; /* minutes after midnight; seconds since 1970 */

  pthread_mutex_t lock; /* what follows */
  pthread_cond_t wake;
  bool ending;
  pid_t child; /* 0: none */
};

int64_t st_night_next(int64_t now, int64_t minutes)
{
  time_t t = (time_t)now;
  struct tm tm;
  if (!localtime_r(&t, &tm))
    return now + 86400;
  for (int day = 0; day < 3; day++) {
    struct tm at = tm;
    at.tm_mday += day;
    at.tm_hour = (int)(minutes / 60);
    at.tm_min = (int)(minutes % 60);
    at.tm_sec = 0;
    at.tm_isdst = -1;
    time_t then = mktime(&at);
    if (then > t)
      return then;
  }
  return now + 86400;
}

/* ---- The process -------------------------------------------------------------------------------
 */

/* Its errors go where ours go.  The server's signals are blocked in all its threads; they are not
 * in it. */
static int spawn(struct st_night *n, pid_t *ret)
{
  char *argv[] = {"systracker-archive",
                  "prune",
                  "--configured",
                  "--lazily",
                  "--quiet",
                  "--",
                  (char *)n->server->archive->path,
                  NULL};
  posix_spawnattr_t how;
  posix_spawn_file_actions_t files;
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_init(&how);
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setsigmask(&how, &none);
  posix_spawnattr_setsigdefault(&how, &defaults);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  int r = posix_spawn(ret, "/proc/self/exe", &files, &how, argv, environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&how);
  return r;
}

static void say(struct st_night *n, const char *level, const char *text)
{
  if (n->server->log)
    st_requestlog_note(n->server->log, level, text);
}

static void say_end(struct st_night *n, int status)
{
  ST_AUTO_FREE char *text =
      WIFEXITED(status)
          ? st_format("pruning ended with status %d", WEXITSTATUS(status))
          : st_format("pruning was ended by signal %d: the next one goes on", WTERMSIG(status));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    say(n, "info", "hosts were pruned by the archive's policy");
  else
    say(n, "warning", text);
}

static void prune(struct st_night *n)
{
  pid_t pid = 0;
  int status = 0;
  pthread_mutex_lock(&n->lock);
  int r = n->ending ? ECANCELED : spawn(n, &pid);
  n->child = r == 0 ? pid : 0;
  pthread_mutex_unlock(&n->lock);
  if (r != 0) {
    ST_AUTO_FREE char *text = st_format("cannot start pruning: %s", strerror(r));
    if (r != ECANCELED)
      say(n, "error", text);
    return;
  }
  siginfo_t info;
  while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
    ;
  pthread_mutex_lock(&n->lock); /* its number is its own until it is waited for */
  n->child = 0;
  waitpid(pid, &status, 0);
  pthread_mutex_unlock(&n->lock);
  say_end(n, status);
}

/* ---- The thread --------------------------------------------------------------------------------
 */

static bool wait_a_while(struct st_night *n)
{
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += LOOK_SECONDS;
  pthread_mutex_lock(&n->lock);
  while (!n->ending && pthread_cond_timedwait(&n->wake, &n->lock, &until) == 0)
    ;
  bool go_on = !n->ending;
  pthread_mutex_unlock(&n->lock);
  return go_on;
}

static int note_continued(void *arg, const struct st_access_host *host, struct st_error *err)
{
  (void)err;
  if (*host->continued)
    st_fleet_continued(arg, host->id);
  return 0;
}

/* Whether something is to be pruned at some time. */
static int look(struct st_night *n, bool *ret_prunes, struct st_error *err)
{
  ST_AUTO_POLICY policy = {0};
  if (st_policy_read(n->server->archive, &policy, err) < 0)
    return -1;
  st_fleet_set_silence(n->server->fleet, policy.silent_after * 3600);
  if (n->server->access &&
      st_access_hosts(n->server->access, -1, note_continued, n->server->fleet, err) < 0)
    return -1;
  if (policy.prune_at != n->prune_at)
    n->next = st_night_next((int64_t)time(NULL), policy.prune_at);
  n->prune_at = policy.prune_at;
  *ret_prunes = st_retention_is_set(&policy.keep);
  return 0;
}

static void *run(void *arg)
{
  struct st_night *n = arg;
  while (wait_a_while(n)) {
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    bool prunes = false;
    if (look(n, &prunes, &err) < 0) {
      say(n, "error", st_error_text(&err));
      continue;
    }
    int64_t now = (int64_t)time(NULL);
    if (now < n->next)
      continue;
    n->next = st_night_next(now, n->prune_at);
    if (prunes)
      prune(n);
  }
  return NULL;
}

/* ---- Begun and ended ---------------------------------------------------------------------------
 */

static void night_free(struct st_night *n)
{
  pthread_mutex_destroy(&n->lock);
  pthread_cond_destroy(&n->wake);
  free(n);
}
ST_DEFINE_CLEANUP(struct st_night *, night_free)

int st_night_start(struct st_night **ret, struct st_server *server, struct st_error *err)
{
  ST_CLEANUP(night_freep) struct st_night *n = st_calloc(1, sizeof(*n));
  bool prunes;
  n->server = server;
  n->prune_at = -1;
  pthread_mutex_init(&n->lock, NULL);
  pthread_cond_init(&n->wake, NULL);
  if (look(n, &prunes, err) < 0)
    return -1;
  int r = pthread_create(&n->thread, NULL, run, n);
  if (r != 0)
    return st_fail(err, r, "cannot start what is done each night");
  *ret = st_steal(&n);
  return 0;
}

void st_night_stop(struct st_night *n)
{
  pthread_mutex_lock(&n->lock);
  n->ending = true;
  if (n->child > 0)
    kill(n->child, SIGTERM);
  pthread_cond_signal(&n->wake);
  pthread_mutex_unlock(&n->lock);
  pthread_join(n->thread, NULL);
  night_free(n);
}
