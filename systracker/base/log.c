/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log.c - the one log of the program; its state is the process's own, as syslog(3)'s is. */
#include "config.h"

#include "systracker/base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/text.h"

enum target { TO_NONE, TO_FILE, TO_SYSLOG, TO_STDERR };

static struct {
  pthread_mutex_t mutex;
  enum target target;
  int fd; /* of TO_FILE */
  enum st_log_level least;
  bool quiet;
  char *program;
} log_state = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1, .least = ST_LOG_INFO};

static const char *const level_names[] = {"debug", "info", "warning", "error"};

static int open_file(const char *path, struct st_error *err)
{
  if (*path != '/')
    return st_fail(err, 0, "a log is none, syslog, stderr or an absolute path, not %s",
                   st_quote(path));
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
  if (fd < 0)
    return st_fail(err, errno, "cannot open the log (%s)", st_quote(path));
  return fd;
}

/* With the mutex held. */
static void close_target(void)
{
  if (log_state.fd >= 0)
    close(log_state.fd);
  if (log_state.target == TO_SYSLOG)
    closelog();
  free(log_state.program);
  log_state.program = NULL;
  log_state.fd = -1;
  log_state.target = TO_NONE;
}

int st_log_open(const char *program, const char *target, enum st_log_level least,
                struct st_error *err)
{
  enum target to = !strcmp(target, "none")     ? TO_NONE
                   : !strcmp(target, "syslog") ? TO_SYSLOG
                   : !strcmp(target, "stderr") ? TO_STDERR
                                               : TO_FILE;
  int fd = to == TO_FILE ? open_file(target, err) : -1;
  if (to == TO_FILE && fd < 0)
    return -1;
  pthread_mutex_lock(&log_state.mutex);
  close_target();
  log_state.target = to;
  log_state.fd = fd;
  log_state.least = least;
  log_state.program = st_strdup(program);
  if (to == TO_SYSLOG)
    openlog(log_state.program, LOG_PID, LOG_DAEMON); /* keeps the pointer */
  pthread_mutex_unlock(&log_state.mutex);
  return 0;
}

void st_log_close(void)
{
  pthread_mutex_lock(&log_state.mutex);
  close_target();
  pthread_mutex_unlock(&log_state.mutex);
}

void st_log_quiet(bool quiet)
{
  pthread_mutex_lock(&log_state.mutex);
  log_state.quiet = quiet;
  pthread_mutex_unlock(&log_state.mutex);
}

/* One write, so that lines of several processes do not mix.  A full disk must not stop us. */
static void log_to_file(enum st_log_level level, const char *program, const char *line)
{
  ST_AUTO_FREE char *when = st_format_time_utc(time(NULL));
  ST_AUTO_FREE char *text =
      st_format("%s %s[%ld]: %s: %s\n", when, program, (long)getpid(), level_names[level], line);
  (void)!st_write_all(log_state.fd, text, strlen(text), NULL);
}

static void log_to_syslog(enum st_log_level level, const char *line)
{
  static const int priorities[] = {LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR};
  syslog(priorities[level], "%s", line);
}

static bool also_to_stderr(enum st_log_level level)
{
  if (log_state.target == TO_STDERR && level >= log_state.least)
    return !log_state.quiet || level >= ST_LOG_ERROR;
  return level >= (log_state.quiet ? ST_LOG_ERROR : ST_LOG_WARNING);
}

void st_log(enum st_log_level level, const char *fmt, ...)
{
  ST_AUTO_BUFFER line = ST_BUFFER_INIT;
  int saved = errno;
  va_list ap;
  va_start(ap, fmt);
  ST_AUTO_FREE char *message = st_vformat(fmt, ap);
  va_end(ap);
  st_buffer_reserve(&line, 0);
  st_escape_message(&line, message, strlen(message));
  if ((int)level < ST_LOG_DEBUG || level > ST_LOG_ERROR)
    level = ST_LOG_ERROR;
  pthread_mutex_lock(&log_state.mutex);
  const char *program = log_state.program ? log_state.program : "systracker";
  if (log_state.target == TO_FILE && level >= log_state.least)
    log_to_file(level, program, line.data);
  if (log_state.target == TO_SYSLOG && level >= log_state.least)
    log_to_syslog(level, line.data);
  if (also_to_stderr(level))
    fprintf(stderr, "%s: %s%s\n", program, level == ST_LOG_WARNING ? "warning: " : "", line.data);
  pthread_mutex_unlock(&log_state.mutex);
  errno = saved;
}
