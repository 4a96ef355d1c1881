/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/serve/http.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "archive-sync/serve/client.h"
#include "archive-sync/serve/incoming.h"
#include "archive-sync/serve/options.h"
#include "archive-sync/serve/requestlog.h"
#include "archive-sync/serve/tls.h"
#include "archive-sync/serve/transport.h"
#include "archive-sync/serve/worker.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define CONNECTION_MEMORY 32768           /* bytes, for head and buffers of each connection */
#define DISCARD_MAX ((uint64_t)1 << 20)   /* of a refused body, passed over to keep the client */
#define MEMORY_MAX ((int64_t)64 << 20)    /* of all bodies in memory together */
#define SPACE_KEPT ((uint64_t)256 << 20)  /* left free by bodies that go to the disk */
#define UNREAD_EACH ((uint64_t)128 << 20) /* bytes of answers that one does not read; */
#define UNREAD_ALL ((uint64_t)2 << 30)    /* that all do not, on the disk for the most part: */
#define UNREAD_MEMORY ((uint64_t)64 << 20)
#define FULL_WORDS "the archive's disk is full"
#define HEAVY_WORDS "another request of this host is still running"

struct st_http {
  struct st_server *server;
  const struct st_route *const *tables;
  struct MHD_Daemon *daemon;
  struct st_workers *workers;
  struct st_clients *clients;
  struct st_unread *unread;
  pthread_t sweeper;
  bool sweeping; /* the thread was started */
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool ending; /* with the mutex */
  _Atomic bool stopping;
  _Atomic uint64_t numbers;
  _Atomic int64_t running, memory;
};

const struct st_route *const *st_http_tables(const struct st_http *http)
{
  return http->tables;
}

static int64_t microseconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- The answer ---------------------------------------------------------------------------------
 */

/* What went wrong here: the log says it, the client gets the request's number. */
static void fail(struct st_transport *t, struct st_error *err)
{
  st_requestlog_error(t->http->server->log, t->number, st_error_text(err));
  if (st_error_is_full(err)) {
    st_reply_refuse(&t->request, 507, FULL_WORDS);
    return;
  }
  st_reply_refuse(&t->request, 500, "something went wrong; the server's log has it as request %llu",
                  (unsigned long long)t->number);
}

static enum MHD_Result send_reply(struct st_transport *t)
{
  unsigned status = t->request.reply.status;
  if (atomic_load(&t->http->stopping))
    st_reply_header(&t->request, "Connection", "close");
  struct MHD_Response *response = st_reply_response(t);
  if (!response)
    return MHD_NO;
  t->state = ST_TRANSPORT_READY;
  enum MHD_Result r = MHD_queue_response(t->connection, status, response);
  MHD_destroy_response(response);
  return r;
}

/* From here on the body is passed over. */
static void discard(struct st_transport *t)
{
  t->state = ST_TRANSPORT_DISCARD;
  t->kept_bytes = t->received;
  st_buffer_free(&t->request.body);
}

/* A reply that is known before the body was read.  Most clients read no answer while they send:
 * so a short body is passed over first. */
static enum MHD_Result refuse_early(struct st_transport *t)
{
  if (t->declared != UINT64_MAX && t->declared > DISCARD_MAX)
    return send_reply(t);
  if (t->declared > 0)
    st_client_owes_body(t->client, 0);
  discard(t);
  return MHD_YES;
}

/* ---- Long answers -------------------------------------------------------------------------------
 */

/* A host, a user, or else where it comes from. */
static void name_reader(struct st_transport *t)
{
  const struct st_identity *who = &t->request.who;
  snprintf(t->reader, sizeof(t->reader), "%s",
           *who->host   ? who->host
           : *who->user ? who->user
                        : t->peer);
}

/* What was made stays until it is read: a long one on the disk, and in memory no more than there
 * may be of all together.  Where the disk is full that is where it has to stay.  A file of the
 * archive takes no room, whoever reads it: two large packages would be all that may be unread. */
static void keep_reply(struct st_transport *t)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_reply *reply = &t->request.reply;
  struct st_unread *unread = t->http->unread;
  uint64_t length = reply->body.length;
  if (reply->fd >= 0 ? !reply->spilled : length <= ST_UNREAD_SMALL)
    return;
  name_reader(t);
  bool memory =
      reply->fd < 0 && length <= ST_REPLY_SPILL && st_unread_add(unread, t->reader, length, true);
  if (!memory && length > 0 && st_reply_spill(&t->request, &err) < 0) {
    st_requestlog_error(t->http->server->log, t->number, st_error_text(&err));
    memory = reply->fd < 0 && st_unread_add(unread, t->reader, length, true);
    if (!memory) {
      st_reply_refuse(&t->request, 503, "the server has no room for the answer");
      return;
    }
  }
  if (!memory)
    st_unread_add(unread, t->reader, reply->length, false);
  t->unread = memory ? length : reply->length;
  t->unread_memory = memory;
}

/* Whether an answer may be made. */
static bool has_room(struct st_transport *t)
{
  name_reader(t);
  bool brief = t->request.route->flags & ST_ROUTE_BRIEF;
  enum st_unread_room room = st_unread_look(t->http->unread, t->reader, brief);
  if (room == ST_UNREAD_ROOM)
    return true;
  st_metrics_add(t->http->server->metrics, ST_METRIC_BUSY, 1);
  if (room == ST_UNREAD_EACH)
    st_reply_refuse(&t->request, 429, "read the answers to what was asked before");
  else
    st_reply_refuse(&t->request, 503, "the server has too much to do");
  return false;
}

/* ---- Handlers -----------------------------------------------------------------------------------
 */

static void refuse_heavy(struct st_transport *t)
{
  st_metrics_add(t->http->server->metrics, ST_METRIC_BUSY, 1);
  st_reply_refuse(&t->request, 429, HEAVY_WORDS);
}

/* Who signed is known when that is proved, which is short work.  What takes its time is done for a
 * host one at a time all the same: whoever only claims to be that host is in nobody's way. */
static bool has_its_turn(struct st_transport *t)
{
  if (!has_room(t))
    return false;
  if (!(t->request.route->flags & ST_ROUTE_WORK) ||
      st_workers_name(t->http->workers, t, t->request.who.host))
    return true;
  refuse_heavy(t);
  return false;
}

static void handle(struct st_transport *t)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_request *r = &t->request;
  int admitted = st_admit_body(t, &err);
  if (admitted == 0 && t->is_signed && !has_its_turn(t))
    return;
  if (admitted < 0 || (admitted == 0 && r->route->handle(r, &err) < 0))
    fail(t, &err);
}

static void run_job(void *arg)
{
  handle(arg);
  keep_reply(arg);
}

static void job_done(void *arg)
{
  struct st_transport *t = arg;
  t->state = ST_TRANSPORT_READY;
  MHD_resume_connection(t->connection);
}

static enum MHD_Result submit(struct st_transport *t)
{
  t->state = ST_TRANSPORT_WORKING;
  MHD_suspend_connection(t->connection);
  enum st_submitted s =
      st_workers_submit(t->http->workers, t->request.who.host, t->peer, run_job, job_done, t);
  if (s == ST_SUBMITTED)
    return MHD_YES;
  if (s == ST_SUBMIT_BUSY)
    refuse_heavy(t);
  else {
    st_metrics_add(t->http->server->metrics, ST_METRIC_BUSY, 1);
    st_reply_refuse(&t->request, 503, "the server has too much to do");
  }
  job_done(t);
  return MHD_YES;
}

static bool is_work(const struct st_transport *t)
{
  return (t->request.route->flags & ST_ROUTE_WORK) || t->is_signed;
}

/* All of the request is there. */
static enum MHD_Result finish(struct st_transport *t)
{
  st_client_owes_nothing(t->client);
  if (t->state == ST_TRANSPORT_DISCARD)
    return send_reply(t);
  t->request.body_length = t->received;
  if (t->request.body_fd >= 0 && lseek(t->request.body_fd, 0, SEEK_SET) < 0)
    return MHD_NO;
  if (is_work(t))
    return has_room(t) ? submit(t) : send_reply(t);
  handle(t);
  return send_reply(t);
}

/* ---- Bodies -------------------------------------------------------------------------------------
 */

/* Bytes of the one budget that all bodies in memory share. */
static bool reserve(struct st_transport *t, uint64_t bytes)
{
  int64_t more = (int64_t)bytes;
  if (atomic_fetch_add(&t->http->memory, more) + more > MEMORY_MAX) {
    atomic_fetch_sub(&t->http->memory, more);
    return false;
  }
  t->reserved += bytes;
  return true;
}

static enum MHD_Result begin_file(struct st_transport *t)
{
  uint64_t space = 0;
  int dir = t->http->server->incoming;
  uint64_t expected = t->declared == UINT64_MAX ? t->request.route->body_max : t->declared;
  if (st_free_space(dir, &space, NULL) < 0 || space < SPACE_KEPT + expected)
    return st_reply_refuse(&t->request, 507, FULL_WORDS) < 0 ? MHD_NO : refuse_early(t);
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  t->request.body_fd = st_incoming_file(dir, &err);
  if (t->request.body_fd < 0) {
    fail(t, &err);
    return refuse_early(t);
  }
  return MHD_YES;
}

static enum MHD_Result begin_body(struct st_transport *t)
{
  t->state = ST_TRANSPORT_BODY;
  if (t->declared == 0)
    return MHD_YES;
  st_client_owes_body(t->client, 0);
  if (t->request.route->body == ST_BODY_FILE)
    return begin_file(t);
  if (t->declared != UINT64_MAX && !reserve(t, t->declared)) {
    st_metrics_add(t->http->server->metrics, ST_METRIC_BUSY, 1);
    st_reply_refuse(&t->request, 503, "the server has too much to do");
    return refuse_early(t);
  }
  if (t->declared != UINT64_MAX)
    st_buffer_reserve(&t->request.body, t->declared);
  return MHD_YES;
}

/* More came than the head said, or the route takes: what is still to come is passed over. */
static void refuse_late(struct st_transport *t, unsigned status, const char *words)
{
  st_reply_refuse(&t->request, status, "%s", words);
  discard(t);
}

static void keep_bytes(struct st_transport *t, const char *data, size_t n)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_request *r = &t->request;
  if (t->received > r->route->body_max)
    refuse_late(t, 413, "the body is too long");
  else if (r->body_fd >= 0 && st_write_all(r->body_fd, data, n, &err) < 0) {
    st_wrap(&err, "cannot keep a body in incoming/");
    fail(t, &err);
    discard(t);
  } else if (r->body_fd < 0) {
    if (t->received > t->reserved && !reserve(t, n))
      refuse_late(t, 503, "the server has too much to do");
    else
      st_buffer_append(&r->body, data, n);
  }
}

static enum MHD_Result take(struct st_transport *t, const char *data, size_t n)
{
  t->received += n;
  st_metrics_add(t->http->server->metrics, ST_METRIC_BYTES_IN, (int64_t)n);
  st_client_owes_body(t->client, t->received);
  if (t->state == ST_TRANSPORT_BODY)
    keep_bytes(t, data, n);
  else if (t->received > t->kept_bytes + DISCARD_MAX)
    return MHD_NO;
  return MHD_YES;
}

/* ---- libmicrohttpd ------------------------------------------------------------------------------
 */

static struct st_client *client_of(struct MHD_Connection *connection)
{
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info ? info->socket_context : NULL;
}

/* The first that is seen of a request. */
static void *on_target(void *arg, const char *target, struct MHD_Connection *connection)
{
  struct st_http *http = arg;
  struct st_transport *t = st_transport_new(http->server, target);
  t->http = http;
  t->connection = connection;
  t->client = client_of(connection);
  t->began = microseconds();
  return t;
}

static enum MHD_Result begin(struct st_transport *t, const char *method)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  t->request.method = method;
  t->number = atomic_fetch_add(&t->http->numbers, 1) + 1;
  atomic_fetch_add(&t->http->running, 1);
  st_metrics_add(t->http->server->metrics, ST_METRIC_RUNNING, 1);
  st_client_owes_nothing(t->client);
  st_client_address(t->client, &t->request, t->peer);
  if (atomic_load(&t->http->stopping)) {
    st_reply_refuse(&t->request, 503, "the server is stopping");
    return refuse_early(t);
  }
  int admitted = st_admit_head(t, &err);
  if (admitted < 0)
    fail(t, &err);
  return admitted ? refuse_early(t) : begin_body(t);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **context)
{
  struct st_transport *t = *context;
  (void)arg, (void)connection, (void)url, (void)version;
  if (!t || !t->client)
    return MHD_NO;
  if (t->state == ST_TRANSPORT_HEAD)
    return begin(t, method);
  if (t->state == ST_TRANSPORT_READY)
    return send_reply(t);
  if (*size == 0)
    return finish(t);
  enum MHD_Result r = take(t, data, *size);
  *size = 0;
  return r;
}

static void count(struct st_transport *t, int64_t took)
{
  struct st_metrics *m = t->http->server->metrics;
  unsigned status = t->request.reply.status;
  st_metrics_add(m, ST_METRIC_REQUESTS, 1);
  if (status >= 400)
    st_metrics_add(m, status >= 500 ? ST_METRIC_FAILED : ST_METRIC_REFUSED, 1);
  st_metrics_add(m, ST_METRIC_BYTES_OUT, (int64_t)t->request.reply.length);
  st_metrics_took(m, took);
}

/* It counts as running from its head on. */
static void stop_running(struct st_http *http)
{
  st_metrics_add(http->server->metrics, ST_METRIC_RUNNING, -1);
  if (atomic_fetch_sub(&http->running, 1) != 1 || !atomic_load(&http->stopping))
    return;
  pthread_mutex_lock(&http->mutex);
  pthread_cond_broadcast(&http->changed);
  pthread_mutex_unlock(&http->mutex);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode how)
{
  struct st_http *http = arg;
  struct st_transport *t = *context;
  (void)connection;
  *context = NULL;
  if (!t)
    return;
  bool began = t->request.method != NULL;
  int64_t took = microseconds() - t->began;
  if (began) {
    count(t, took);
    st_requestlog_request(http->server->log, t, took, how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
  }
  if (t->client)
    st_client_owes_head(t->client);
  atomic_fetch_sub(&http->memory, (int64_t)t->reserved);
  if (t->unread)
    st_unread_end(http->unread, t->reader, t->unread, t->unread_memory);
  st_transport_free(t);
  if (began)
    stop_running(http);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
  struct st_http *http = arg;
  bool opens = what == MHD_CONNECTION_NOTIFY_STARTED;
  st_metrics_add(http->server->metrics, ST_METRIC_CONNECTIONS, opens ? 1 : -1);
  if (opens) {
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *from =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    *context =
        st_client_open(http->clients, fd ? fd->connect_fd : -1, from ? from->client_addr : NULL);
  } else if (*context) {
    st_client_close(http->clients, *context);
    *context = NULL;
  }
}

/* Decodes nothing: targets are taken apart by route.c and url.c. */
static size_t leave_escapes(void *arg, struct MHD_Connection *connection, char *text)
{
  (void)arg, (void)connection;
  return strlen(text);
}

static void on_message(void *arg, const char *fmt, va_list ap)
{
  struct st_http *http = arg;
  ST_AUTO_FREE char *text = st_vformat(fmt, ap);
  text[strcspn(text, "\n")] = 0;
  st_requestlog_note(http->server->log, "debug", text);
}

/* ---- Starting and ending ------------------------------------------------------------------------
 */

static void *sweep(void *arg)
{
  struct st_http *http = arg;
  unsigned pause = 1 + http->server->options->timeout / 8; /* seconds */
  pthread_mutex_lock(&http->mutex);
  while (!http->ending) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += pause;
    pthread_cond_timedwait(&http->changed, &http->mutex, &until);
    pthread_mutex_unlock(&http->mutex);
    st_clients_sweep(http->clients);
    pthread_mutex_lock(&http->mutex);
  }
  pthread_mutex_unlock(&http->mutex);
  return NULL;
}

static void add(struct MHD_OptionItem *items, size_t *n, enum MHD_OPTION option, intptr_t value,
                void *pointer)
{
  items[(*n)++] = (struct MHD_OptionItem){option, value, pointer};
}

static struct MHD_Daemon *start_daemon(struct st_http *http, int listening)
{
  const struct st_serve_options *o = http->server->options;
  struct MHD_OptionItem items[20];
  size_t n = 0;
  unsigned flags =
      MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_ITC;
  /* The logger comes first: it is told what is wrong with the others. */
  add(items, &n, MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_message, http);
  add(items, &n, MHD_OPTION_LISTEN_SOCKET, listening, NULL);
  add(items, &n, MHD_OPTION_THREAD_POOL_SIZE, o->threads, NULL);
  add(items, &n, MHD_OPTION_CONNECTION_LIMIT, o->connections, NULL);
  add(items, &n, MHD_OPTION_PER_IP_CONNECTION_LIMIT, o->plain ? 0 : o->per_address, NULL);
  add(items, &n, MHD_OPTION_CONNECTION_TIMEOUT, o->timeout, NULL);
  add(items, &n, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL);
  add(items, &n, MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL);
  add(items, &n, MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, http);
  add(items, &n, MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, http);
  add(items, &n, MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, http);
  add(items, &n, MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)leave_escapes, NULL);
  if (!o->plain) {
    flags |= MHD_USE_TLS;
    add(items, &n, MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)st_tls_retrieve);
    add(items, &n, MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)ST_TLS_PRIORITIES);
  }
  add(items, &n, MHD_OPTION_END, 0, NULL);
  return MHD_start_daemon(flags, 0, NULL, NULL, on_request, http, MHD_OPTION_ARRAY, items,
                          MHD_OPTION_END);
}

static void free_http(struct st_http *http)
{
  if (http->sweeping) {
    pthread_mutex_lock(&http->mutex);
    http->ending = true;
    pthread_cond_broadcast(&http->changed);
    pthread_mutex_unlock(&http->mutex);
    pthread_join(http->sweeper, NULL);
  }
  if (http->workers)
    st_workers_stop(http->workers);
  st_clients_free(http->clients);
  st_unread_free(http->unread);
  pthread_cond_destroy(&http->changed);
  pthread_mutex_destroy(&http->mutex);
  free(http);
}

static int start(struct st_http *http, int listening, struct st_error *err)
{
  const struct st_serve_options *o = http->server->options;
  if (st_workers_start(&http->workers, o->workers, o->waiting, err) < 0)
    return -1;
  int r = pthread_create(&http->sweeper, NULL, sweep, http);
  if (r != 0)
    return st_fail(err, r, "cannot start a thread");
  http->sweeping = true;
  http->daemon = start_daemon(http, listening);
  return http->daemon ? 0 : st_fail(err, errno, "cannot start the server");
}

int st_http_start(struct st_http **ret, struct st_server *server,
                  const struct st_route *const *tables, int listening, struct st_error *err)
{
  struct st_http *http = st_calloc(1, sizeof(*http));
  http->server = server;
  http->tables = tables;
  pthread_mutex_init(&http->mutex, NULL);
  pthread_cond_init(&http->changed, NULL);
  http->unread = st_unread_new(UNREAD_EACH, UNREAD_ALL, UNREAD_MEMORY);
  http->clients = st_clients_new(server->options->plain, 2 * server->options->timeout);
  if (start(http, listening, err) < 0) {
    free_http(http);
    return -1;
  }
  *ret = http;
  return 0;
}

/* With the mutex held. */
static bool wait_for_running(struct st_http *http, unsigned seconds)
{
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += seconds;
  int r = 0;
  while (atomic_load(&http->running) > 0 && r == 0)
    r = pthread_cond_timedwait(&http->changed, &http->mutex, &until);
  return atomic_load(&http->running) == 0;
}

bool st_http_stop(struct st_http *http, unsigned seconds)
{
  atomic_store(&http->stopping, true);
  int listening = MHD_quiesce_daemon(http->daemon);
  st_cleanup_close(&listening);
  pthread_mutex_lock(&http->mutex);
  bool quiet = wait_for_running(http, seconds);
  pthread_mutex_unlock(&http->mutex);
  if (!quiet)
    return false;
  MHD_stop_daemon(http->daemon);
  free_http(http);
  return true;
}
