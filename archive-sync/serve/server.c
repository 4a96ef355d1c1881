/* SPDX-License-Identifier: GPL-2.0-or-later */
/* server.c - the server's life: what it opens, gives up, runs, and closes again. */
#include "archive-sync/serve/server.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "archive-sync/serve/committer.h"
#include "archive-sync/serve/http.h"
#include "archive-sync/serve/incoming.h"
#include "archive-sync/serve/listen.h"
#include "archive-sync/serve/names.h"
#include "archive-sync/serve/night.h"
#include "archive-sync/serve/options.h"
#include "archive-sync/serve/privileges.h"
#include "archive-sync/serve/request.h"
#include "archive-sync/serve/requestlog.h"
#include "archive-sync/serve/tls.h"
#include "archive-sync/serve/view.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/lock.h"

/* Each module's routes. */
static const struct st_route *const tables[] = {
    st_api_routes,
    st_fetch_routes,
    st_login_routes,
    st_operation_routes,
    st_page_routes,
    st_sync_routes,
    NULL,
};

struct life {
  struct st_server server;
  struct st_http *http;
  struct st_night *night;
  int listening;
  int lock;   /* one server for an archive: what it knows of sessions and hosts is in memory */
  char *name; /* what it listens on */
};

static void end_life(struct life *l)
{
  struct st_server *s = &l->server;
  st_cleanup_close(&l->listening);
  free(l->name);
  if (l->night)
    st_night_stop(l->night);
  if (s->committer)
    st_committer_close(s->committer);
  if (s->views)
    st_hostviews_free(s->views);
  if (s->fleet)
    st_fleet_close(s->fleet);
  if (s->access)
    st_access_close(s->access);
  if (s->names)
    st_names_free(s->names);
  st_cleanup_close(&s->incoming);
  st_cleanup_close(&l->lock);
  if (s->archive)
    st_archive_close(s->archive);
  if (s->metrics)
    st_metrics_free(s->metrics);
  if (s->log)
    st_requestlog_close(s->log);
}

/* ---- What it stands on --------------------------------------------------------------------------
 */

/* Writing is tried here, in words, and not found out by the first host that sends. */
static int try_writing(struct st_server *s, struct st_error *err)
{
  ST_AUTO_CLOSE int fd = st_incoming_file(s->incoming, err);
  if (fd < 0)
    return st_wrap(err, "the archive cannot be written to (%s)", st_quote(s->dir));
  if (faccessat(s->archive->dir, "hosts", W_OK | X_OK, AT_EACCESS) < 0 ||
      faccessat(s->archive->dir, "packs", W_OK | X_OK, AT_EACCESS) < 0)
    return st_fail(err, errno, "the archive cannot be written to (%s)", st_quote(s->dir));
  return 0;
}

static void note_event(void *log, const char *level, const char *message)
{
  st_requestlog_note(log, level, message);
}

/* As the user that serves. */
static int open_archive(struct life *l, struct st_error *err)
{
  struct st_server *s = &l->server;
  l->lock = st_lock(s->archive->dir, "serve.lock", err);
  if (l->lock < 0)
    return st_wrap(err, "cannot serve the archive");
  s->incoming = st_incoming_open(s->archive->dir, err);
  if (s->incoming < 0 || try_writing(s, err) < 0 || st_archive_need_id(s->archive, err) < 0)
    return -1;
  s->metrics = st_metrics_new();
  s->started = time(NULL);
  s->views = st_hostviews_new(s->archive);
  if (st_access_open(&s->access, s->archive->dir, err) < 0)
    return -1;
  st_access_on_event(s->access, note_event, s->log);
  st_access_on_server(s->access, st_names_is, s->names);
  return st_fleet_open(&s->fleet, s->archive, err);
}

/* One descriptor a connection, one a body, and those of stores and catalogs. */
static int need_descriptors(const struct st_serve_options *o, struct st_error *err)
{
  struct rlimit limit;
  rlim_t wanted = 2 * (rlim_t)o->connections + 1024;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
    return st_fail(err, errno, "cannot tell how many files may be open");
  if (limit.rlim_cur >= wanted)
    return 0;
  limit.rlim_cur = wanted;
  if (limit.rlim_max < wanted)
    limit.rlim_max = wanted; /* root may */
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
    return st_refuse(err,
                     "%u connections need a limit of %llu open files (LimitNOFILE=, ulimit -n)",
                     o->connections, (unsigned long long)wanted);
  return 0;
}

/* With root's rights, where there are some: what needs them. */
static int open_first(struct life *l, const struct st_serve_options *o, struct st_error *err)
{
  struct st_server *s = &l->server;
  s->options = o;
  s->dir = o->dir;
  if (need_descriptors(o, err) < 0 || st_archive_open(&s->archive, o->dir, false, err) < 0 ||
      (!o->plain && st_tls_use(s->archive->dir, err) < 0) ||
      st_names_new(&s->names, &o->publics, err) < 0 ||
      st_names_read(s->names, s->archive->dir, err) < 0)
    return -1;
  l->listening = st_listen(o->listen, o->plain, &l->name, err);
  return l->listening < 0 ? -1 : 0;
}

/* ---- While it runs ------------------------------------------------------------------------------
 */

static void say(const struct life *l, const char *level, const char *text)
{
  st_requestlog_note(l->server.log, level, text);
}

static void reload(struct life *l)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_server *s = &l->server;
  if (st_requestlog_reopen(s->log, &err) < 0 ||
      (!s->options->plain && st_tls_use(s->archive->dir, &err) < 0) ||
      st_names_read(s->names, s->archive->dir, &err) < 0)
    say(l, "error", st_error_text(&err));
  else
    say(l, "info", "certificate and log were opened again");
}

static void block_signals(sigset_t *set)
{
  sigemptyset(set);
  sigaddset(set, SIGTERM);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, set, NULL);
  signal(SIGPIPE, SIG_IGN);
}

static int run(struct life *l, struct st_error *err)
{
  sigset_t signals;
  int number = SIGHUP;
  block_signals(&signals); /* before there are threads: they inherit it */
  if (st_committer_open(&l->server.committer, &l->server, err) < 0 ||
      st_night_start(&l->night, &l->server, err) < 0 ||
      st_http_start(&l->http, &l->server, tables, l->listening, err) < 0)
    return -1;
  l->listening = -1;
  ST_AUTO_FREE char *text =
      st_format("listening on http%s://%s", l->server.options->plain ? "" : "s", l->name);
  say(l, "info", text);
  while (sigwait(&signals, &number) == 0 && number == SIGHUP)
    reload(l);
  say(l, "info", "stopping");
  if (!st_http_stop(l->http, l->server.options->grace)) {
    say(l, "warning", "stopped before all requests were finished");
    _exit(ST_EXIT_INCOMPLETE); /* their threads still use what would be closed here */
  }
  return ST_EXIT_OK;
}

int st_serve(const struct st_serve_options *options, struct st_error *err)
{
  ST_CLEANUP(end_life) struct life l = {.listening = -1, .lock = -1, .server.incoming = -1};
  if (open_first(&l, options, err) < 0 ||
      st_privileges_drop(l.server.archive->dir, options->user, err) < 0 ||
      st_requestlog_open(&l.server.log, options->log, err) < 0 || open_archive(&l, err) < 0)
    return -1;
  return run(&l, err);
}
