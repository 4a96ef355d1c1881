/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/requestlog.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define PATH_SHOWN 512 /* bytes of a path; the rest is left out */

struct st_requestlog {
  pthread_rwlock_t lock; /* of the descriptor: written to by many */
  int fd;                /* -1: none */
  char *path;            /* NULL: standard error */
};

static int open_path(const char *path, struct st_error *err)
{
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
  return fd >= 0 ? fd : st_fail(err, errno, "cannot open the log (%s)", st_quote(path));
}

int st_requestlog_open(struct st_requestlog **ret, const char *target, struct st_error *err)
{
  ST_CLEANUP(st_requestlog_closep) struct st_requestlog *log = st_calloc(1, sizeof(*log));
  pthread_rwlock_init(&log->lock, NULL);
  log->fd = strcmp(target, "none") == 0 ? -1 : STDERR_FILENO;
  if (log->fd >= 0 && strcmp(target, "stderr") != 0) {
    if ((log->fd = open_path(target, err)) < 0)
      return -1;
    log->path = st_strdup(target);
  }
  *ret = st_steal(&log);
  return 0;
}

void st_requestlog_close(struct st_requestlog *log)
{
  if (log->path)
    close(log->fd);
  free(log->path);
  pthread_rwlock_destroy(&log->lock);
  free(log);
}

int st_requestlog_reopen(struct st_requestlog *log, struct st_error *err)
{
  int fd = log->path ? open_path(log->path, err) : 0;
  if (!log->path || fd < 0)
    return fd < 0 ? -1 : 0;
  pthread_rwlock_wrlock(&log->lock);
  int old = log->fd;
  log->fd = fd;
  pthread_rwlock_unlock(&log->lock);
  close(old);
  return 0;
}

/* One write a line, so that lines do not mix.  A full disk must not stop us. */
static void write_line(struct st_requestlog *log, struct st_buffer *line)
{
  st_buffer_append_string(line, "}\n");
  pthread_rwlock_rdlock(&log->lock);
  if (log->fd >= 0)
    (void)!write(log->fd, line->data, line->length);
  pthread_rwlock_unlock(&log->lock);
}

/* A string as JSON has it; what is no UTF-8, and control characters, are escaped as paths are. */
static bool is_plain(const char *text)
{
  for (; *text; text++)
    if (*text < ' ' || *text > '~' || *text == '"' || *text == '\\')
      return false;
  return true;
}

static void add_text(struct st_buffer *line, const char *name, const char *text)
{
  st_buffer_append_string(line, ",\"");
  st_buffer_append_string(line, name);
  st_buffer_append_string(line, "\":\"");
  if (is_plain(text)) { /* most is */
    st_buffer_append_string(line, text);
    st_buffer_append_byte(line, '"');
    return;
  }
  ST_AUTO_FREE char *escaped = st_escaped(text, strlen(text));
  for (const char *c = escaped; *c; c++) {
    if (*c == '"' || *c == '\\')
      st_buffer_append_byte(line, '\\');
    st_buffer_append_byte(line, (uint8_t)*c);
  }
  st_buffer_append_byte(line, '"');
}

static void begin(struct st_buffer *line, const char *level)
{
  struct timespec now;
  struct tm tm;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &tm);
  st_buffer_printf(line, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ\",\"level\":\"%s\"",
                   tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                   now.tv_nsec / 1000000, level);
}

static void add_who(struct st_buffer *line, const struct st_identity *who)
{
  ST_AUTO_FREE char *text = who->host[0]   ? st_format("host %s", who->host)
                            : who->user[0] ? st_format("user %s", who->user)
                                           : st_strdup("-");
  add_text(line, "who", text);
}

void st_requestlog_request(struct st_requestlog *log, const struct st_transport *t,
                           int64_t microseconds, bool whole)
{
  ST_AUTO_BUFFER line = ST_BUFFER_INIT;
  const struct st_request *r = &t->request;
  unsigned status = r->reply.status;
  if (log->fd < 0)
    return;
  begin(&line, !whole ? "warning" : status >= 500 ? "error" : "info");
  st_buffer_printf(&line, ",\"request\":%" PRIu64, t->number);
  add_text(&line, "peer", t->peer);
  add_who(&line, &r->who);
  add_text(&line, "method", r->method);
  ST_AUTO_FREE char *path = st_memdup(r->path, strnlen(r->path, PATH_SHOWN));
  add_text(&line, "path", path);
  st_buffer_printf(&line, ",\"status\":%u,\"in\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"ms\":%.1f%s",
                   status, t->received, r->reply.length, (double)microseconds / 1000,
                   whole ? "" : ",\"cut\":true");
  write_line(log, &line);
}

void st_requestlog_error(struct st_requestlog *log, uint64_t number, const char *message)
{
  ST_AUTO_BUFFER line = ST_BUFFER_INIT;
  begin(&line, "error");
  st_buffer_printf(&line, ",\"request\":%" PRIu64, number);
  add_text(&line, "error", message);
  write_line(log, &line);
}

void st_requestlog_note(struct st_requestlog *log, const char *level, const char *message)
{
  ST_AUTO_BUFFER line = ST_BUFFER_INIT;
  if (strcmp(level, "debug") == 0)
    return;
  begin(&line, level);
  add_text(&line, "message", message);
  write_line(log, &line);
}
