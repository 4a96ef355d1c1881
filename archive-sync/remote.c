/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/remote.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "archive-sync/instance.h"
#include "archive-sync/remotestate.h"
#include "archive-sync/signature.h"
#include "archive-sync/wire.h"
#include "systracker/base/base64.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/text.h"

#define CONNECT_SECONDS 30L
#define SLOW_BYTES 10L    /* fewer bytes a second than these, */
#define SLOW_SECONDS 120L /* for so long: the connection is taken for dead */
#define REACH_SECONDS 30  /* a server that did not answer yet is not waited for longer */
#define PAUSE_MAX 30      /* seconds between two tries, unless the server asks for more */
#define PAUSE_ASKED 600
#define REPLY_MAX ((uint64_t)1 << 20)
#define WORDS_MAX 400 /* bytes of what the server says of an error */
#define SESSION_MAX 256
#define SESSIONS_MAX 100 /* that may end while one request is tried: a server restarts */
#define TOKEN_DIGEST 16  /* digits that are kept of it */
#define MARGIN 60        /* seconds before its end that a session is not used any more */

struct opening {
  const char *method, *path;
  struct st_buffer body;
};

struct st_remote {
  struct st_remote_options o;
  struct st_remote_state state;
  char *server; /* as whom it is known: requests are signed for that */
  bool changed; /* the state is to be written */
  CURL *curl;
  char message[CURL_ERROR_SIZE];
  struct opening opening;
  bool answered; /* in this run */
  bool refused;  /* without the token: it goes along from now on */
  bool waiting;  /* it was said */
  bool adjusted; /* requests are signed by the server's clock, which is so many seconds on: */
  int64_t ahead;
  int64_t last_good; /* monotonic seconds */
};

/* One try. */
struct attempt {
  struct st_remote *r;
  struct st_remote_call *call;
  struct curl_slist *headers;
  CURLcode result;
  bool signed_;
  uint64_t got;
  bool too_much, unwritten;
  int64_t date; /* of the server's clock; 0: not said */
  long after;   /* seconds, Retry-After */
  char session[SESSION_MAX];
  int64_t expires;
  off_t sent; /* of a body from a file */
};

static bool is_busy(long status)
{
  return status == 429 || status == 502 || status == 503 || status == 504;
}

static int64_t monotonic(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec;
}

void st_remote_call_clear(struct st_remote_call *call)
{
  st_buffer_free(&call->reply);
}

const char *st_remote_address(const struct st_remote *r)
{
  return r->o.join->address;
}

/* ---- What comes back ---------------------------------------------------------------------------
 */

static long status_of(const struct attempt *a)
{
  long status = 0;
  curl_easy_getinfo(a->r->curl, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

static size_t take_body(char *data, size_t one, size_t n, void *arg)
{
  struct attempt *a = arg;
  bool good = status_of(a) / 100 == 2;
  uint64_t max = a->call->max && good ? a->call->max : REPLY_MAX;
  (void)one;
  a->got += n;
  a->too_much = a->got > max;
  if (a->too_much)
    return 0;
  if (!a->call->to || !good) {
    st_buffer_append(&a->call->reply, data, n);
    return n;
  }
  a->unwritten = st_write_all(a->call->to, data, n, NULL) < 0;
  return a->unwritten ? 0 : n;
}

/* The value behind NAME and a colon, into `out`; false: it is another header, or too long. */
static bool header_value(const char *line, size_t n, const char *name, char *out, size_t size)
{
  size_t length = strlen(name);
  if (n <= length || strncasecmp(line, name, length) != 0 || line[length] != ':')
    return false;
  const char *value = line + length + 1, *end = line + n;
  while (value < end && (*value == ' ' || *value == '\t'))
    value++;
  while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
    end--;
  if ((size_t)(end - value) >= size)
    return false;
  memcpy(out, value, (size_t)(end - value));
  out[end - value] = 0;
  return true;
}

static size_t take_header(char *line, size_t one, size_t n, void *arg)
{
  struct attempt *a = arg;
  char value[SESSION_MAX];
  (void)one;
  if (header_value(line, n, "Date", value, sizeof(value)))
    a->date = curl_getdate(value, NULL);
  else if (header_value(line, n, "Retry-After", value, sizeof(value)))
    a->after = strtol(value, NULL, 10);
  else if (header_value(line, n, "Systracker-Session", value, sizeof(value)))
    memcpy(a->session, value, sizeof(value));
  else if (header_value(line, n, "Systracker-Session-Expires", value, sizeof(value)))
    a->expires = strtoll(value, NULL, 10);
  return n;
}

/* ---- What is sent ------------------------------------------------------------------------------
 */

static size_t give_body(char *out, size_t one, size_t n, void *arg)
{
  struct attempt *a = arg;
  uint64_t left = a->call->file_length - (uint64_t)a->sent;
  size_t want = one * n < left ? one * n : (size_t)left;
  if (st_pread_all(a->call->file, out, want, a->sent, NULL) < 0)
    return CURL_READFUNC_ABORT;
  a->sent += (off_t)want;
  return want;
}

static int seek_body(void *arg, curl_off_t offset, int from)
{
  struct attempt *a = arg;
  if (from != SEEK_SET)
    return CURL_SEEKFUNC_CANTSEEK;
  a->sent = offset;
  return CURL_SEEKFUNC_OK;
}

static void add_header(struct attempt *a, const char *name, const char *value)
{
  ST_AUTO_FREE char *line = st_format("%s: %s", name, value);
  a->headers = curl_slist_append(a->headers, line);
  explicit_bzero(line, strlen(line));
}

static bool is_new_token(const struct st_remote *r, char digest[TOKEN_DIGEST + 1])
{
  uint8_t bytes[ST_DIGEST_SIZE];
  char hex[2 * ST_DIGEST_SIZE + 1];
  if (!r->o.join->token)
    return false;
  st_digest(bytes, r->o.join->token, strlen(r->o.join->token));
  st_hex(hex, bytes, sizeof(bytes));
  memcpy(digest, hex, TOKEN_DIGEST);
  digest[TOKEN_DIGEST] = 0;
  return !r->state.token || strcmp(r->state.token, digest) != 0;
}

static bool sends_token(const struct st_remote *r)
{
  char digest[TOKEN_DIGEST + 1];
  return r->o.join->token && (r->refused || is_new_token(r, digest));
}

static int add_signature(struct attempt *a, struct st_error *err)
{
  const struct st_remote *r = a->r;
  const struct st_remote_call *c = a->call;
  struct st_signature_headers h = {0};
  size_t path = strcspn(c->path, "?");
  ST_AUTO_FREE char *alone = st_memdup(c->path, path);
  struct st_signed_request request = {
      .method = c->method,
      .path = alone,
      .query = c->path[path] ? c->path + path + 1 : "",
      .body = c->body ? c->body : "",
      .body_length = c->length,
      .archive = r->state.archive,
      .server = r->server,
      .token = sends_token(r) ? r->o.join->token : NULL,
  };
  if (st_signature_make(&request, r->o.keys, time(NULL) + r->ahead, &h, err) < 0)
    return -1;
  add_header(a, "Content-Digest", h.content_digest);
  add_header(a, "Signature-Input", h.input);
  add_header(a, "Signature", h.signature);
  add_header(a, "Systracker-Server", r->server);
  if (request.token)
    add_header(a, "Systracker-Token", request.token);
  st_signature_headers_clear(&h);
  a->signed_ = true;
  return 0;
}

static int add_headers(struct attempt *a, bool plain, struct st_error *err)
{
  const struct st_remote *r = a->r;
  a->headers = curl_slist_append(NULL, "Expect:");
  a->headers = curl_slist_append(a->headers, "Accept:");
  if (a->call->body || a->call->file)
    add_header(a, "Content-Type", a->call->type ? a->call->type : "application/octet-stream");
  if (plain)
    return 0;
  add_header(a, "Systracker-Archive", r->state.archive);
  char instance[ST_INSTANCE_SIZE];
  if (st_instance(instance))
    add_header(a, "Systracker-Instance", instance);
  if (!r->state.session)
    return add_signature(a, err);
  ST_AUTO_FREE char *bearer = st_format("Bearer %s", r->state.session);
  add_header(a, "Authorization", bearer);
  explicit_bzero(bearer, strlen(bearer));
  return 0;
}

/* ---- The connection ----------------------------------------------------------------------------
 */

static void only_https(CURL *curl)
{
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
#else
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)CURLPROTO_HTTPS);
#endif
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

/* The pinned key is all that is believed then: names and authorities say nothing more. */
static void trust(const struct st_remote *r)
{
  ST_AUTO_BUFFER pin = ST_BUFFER_INIT;
  if (!r->o.join->pinned)
    return;
  st_buffer_append_string(&pin, "sha256//");
  st_base64(&pin, r->o.join->pin, sizeof(r->o.join->pin));
  st_buffer_append_string(&pin, "=");
  curl_easy_setopt(r->curl, CURLOPT_PINNEDPUBLICKEY, pin.data);
  curl_easy_setopt(r->curl, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(r->curl, CURLOPT_SSL_VERIFYHOST, 0L);
}

static void set_connection(struct attempt *a)
{
  struct st_remote *r = a->r;
  CURL *curl = r->curl;
  ST_AUTO_FREE char *url = st_format("%s%s", r->o.join->address, a->call->path);
  curl_easy_reset(curl); /* the connection itself stays */
  *r->message = 0;
  only_https(curl);
  trust(r);
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, r->message);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SLOW_SECONDS);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, a->headers);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, a);
  /* What a proxy says of the tunnel is not the server's word. */
  curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

static void set_body(struct attempt *a)
{
  CURL *curl = a->r->curl;
  const struct st_remote_call *c = a->call;
  if (c->file) {
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_body);
    curl_easy_setopt(curl, CURLOPT_READDATA, a);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, seek_body);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, a);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)c->file_length);
  } else if (c->body) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->length);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, c->body);
  }
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, c->method);
}

/* Takes what the server said of itself along. */
static void learn(struct attempt *a)
{
  struct st_remote *r = a->r;
  char digest[TOKEN_DIGEST + 1];
  r->answered = true;
  r->last_good = monotonic();
  if (!a->signed_ || !*a->session)
    return;
  if (sends_token(r)) {
    is_new_token(r, digest);
    free(r->state.token);
    r->state.token = st_strdup(digest);
  }
  free(r->state.session);
  r->state.session = st_strdup(a->session);
  r->state.expires = a->expires;
  r->changed = true;
}

static int try_once(struct attempt *a, bool plain, struct st_error *err)
{
  struct st_remote_call *c = a->call;
  st_buffer_clear(&c->reply);
  if (add_headers(a, plain, err) == 0) {
    set_connection(a);
    set_body(a);
    a->result = curl_easy_perform(a->r->curl);
    c->status = status_of(a);
  }
  curl_slist_free_all(a->headers);
  a->headers = NULL;
  if (err->message)
    return -1;
  if (a->result == CURLE_OK && !is_busy(c->status))
    learn(a);
  return 0;
}

/* ---- What went wrong, and whether to try again --------------------------------------------------
 */

static bool is_broken(CURLcode result)
{
  switch (result) {
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
  case CURLE_COULDNT_CONNECT:
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_OPERATION_TIMEDOUT:
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
  case CURLE_PARTIAL_FILE:
    return true;
  default:
    return false;
  }
}

static int fail_certificate(const struct st_remote *r, struct st_error *err)
{
  ST_AUTO_FREE char *why = st_escaped(r->message, strlen(r->message));
  return st_fail(err, 0,
                 "this system does not trust the server's certificate (%s): use the join string "
                 "with its #DIGEST, which `systracker-archive token` prints, or add the server's "
                 "authority to the system's; and see that the clock here is right",
                 why);
}

static int fail_connection(const struct attempt *a, struct st_error *err)
{
  const struct st_remote *r = a->r;
  if (a->too_much)
    return st_fail(err, 0,
                   "the server sent more than it was asked for: no more than %llu bytes are "
                   "taken",
                   (unsigned long long)(a->call->max ? a->call->max : REPLY_MAX));
  if (a->unwritten)
    return st_fail(err, errno, "what the server sent cannot be written");
  if (a->result == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
    return st_fail(err, 0,
                   "this is not the server of the join string: its key is another; nothing was "
                   "sent.  Where the server has a new key, ask whoever looks after it for a new "
                   "join string");
  if (a->result == CURLE_PEER_FAILED_VERIFICATION || a->result == CURLE_SSL_CACERT_BADFILE)
    return fail_certificate(r, err);
  ST_AUTO_FREE char *why = st_escaped(r->message, strlen(r->message));
  const char *words = *why ? why : curl_easy_strerror(a->result);
  return is_broken(a->result) ? st_refuse(err, "%s", words) : st_fail(err, 0, "%s", words);
}

json_t *st_remote_json(const struct st_remote_call *call)
{
  return call->reply.length > 0 ? json_loadb(call->reply.data, call->reply.length, 0, NULL) : NULL;
}

int st_remote_fail(const struct st_remote *r, const struct st_remote_call *call,
                   struct st_error *err)
{
  json_t *o = st_remote_json(call);
  const char *words = json_string_value(json_object_get(o, "error"));
  size_t n = words ? strlen(words) : 0;
  ST_AUTO_FREE char *shown = st_escaped(words ? words : "", n < WORDS_MAX ? n : WORDS_MAX);
  json_decref(o);
  (void)r;
  if (call->status == 507)
    return st_refuse(err, "the archive's disk is full: what it does not have yet is sent the next "
                          "time, when there is room");
  st_fail(err, 0, "the server answered %ld%s%s", call->status, *shown ? ": " : "", shown);
  if (err && (is_busy(call->status) || call->status == 403))
    err->status = ST_EXIT_INCOMPLETE;
  return -1;
}

/* Seconds that this clock is ahead of the server's; below zero: behind. */
static int64_t clock_off(const struct attempt *a)
{
  return a->date ? time(NULL) - a->date : 0;
}

static bool is_too_far(int64_t off)
{
  return off > ST_SIGNATURE_AGE || off < -ST_SIGNATURE_AGE;
}

/* Whether the request is to be signed anew by the server's clock: a server that has just started
 * takes nothing that seems older than that, from a clock that is a minute slow for a minute. */
static bool adjust(const struct attempt *a)
{
  struct st_remote *r = a->r;
  int64_t off = clock_off(a);
  if (a->call->status != 401 || !a->signed_ || r->adjusted || off == 0 || is_too_far(off))
    return false;
  r->adjusted = true;
  r->ahead = -off;
  return true;
}

static int fail_status(const struct attempt *a, struct st_error *err)
{
  int64_t off = clock_off(a);
  long status = a->call->status;
  if (status / 100 == 3)
    return st_fail(err, 0,
                   "the server answered %ld, which is no archive's: redirections are not "
                   "followed",
                   status);
  st_remote_fail(a->r, a->call, err);
  if (status != 401 && status != 403)
    return -1;
  if (is_too_far(off) && a->signed_)
    return st_fail(err, 0,
                   "the clock here is %lld seconds %s the server's, so it does not take what this "
                   "host signs: set the clock",
                   (long long)(off < 0 ? -off : off), off < 0 ? "behind" : "ahead of");
  ST_AUTO_FREE char *said = st_strdup(st_error_text(err));
  return st_refuse(err,
                   "%s.  A join string with a token of that archive lets a host in, "
                   "`systracker-archive token` there makes one; or have this host, %s, approved",
                   said, a->r->o.keys->host_id);
}

/* ---- Trying again ------------------------------------------------------------------------------
 */

static void pause_for(double seconds)
{
  uint16_t random = 0;
  st_random(&random, sizeof(random), NULL);
  seconds *= 0.75 + random / 65536.0 / 2; /* so that many hosts do not come at once */
  struct timespec t = {.tv_sec = (time_t)seconds};
  t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
  nanosleep(&t, NULL);
}

static void say_waiting(struct st_remote *r, const struct attempt *a)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (r->waiting)
    return;
  r->waiting = true;
  if (a->result == CURLE_OK)
    st_remote_fail(r, a->call, &why);
  else
    fail_connection(a, &why);
  fprintf(stderr, "systracker: waiting for %s: %s\n", st_quote(r->o.join->address),
          st_error_text(&why));
}

/* Whether it makes sense to try again; waits before. */
static bool again(struct attempt *a, unsigned tries)
{
  struct st_remote *r = a->r;
  bool broken = a->result != CURLE_OK && is_broken(a->result) && !a->too_much && !a->unwritten;
  if (!broken && !(a->result == CURLE_OK && is_busy(a->call->status)))
    return false;
  unsigned wait = r->o.wait;
  if (broken && !r->answered && wait > REACH_SECONDS)
    wait = REACH_SECONDS;
  double seconds = tries < 6 ? 0.5 * (double)(1u << tries) : PAUSE_MAX;
  if (seconds > PAUSE_MAX)
    seconds = PAUSE_MAX;
  if (a->after > seconds)
    seconds = a->after < PAUSE_ASKED ? (double)a->after : PAUSE_ASKED;
  double left = (double)(r->last_good + wait - monotonic());
  if (left <= 0)
    return false;
  say_waiting(r, a);
  pause_for(seconds < left ? seconds : left);
  return true;
}

static void rewind_reply(const struct st_remote_call *c, off_t start)
{
  if (c->to && (ftruncate(c->to, start) < 0 || lseek(c->to, start, SEEK_SET) < 0))
    return; /* what is read of it is proved */
}

static int perform(struct st_remote *r, struct st_remote_call *c, bool plain, struct attempt *ret,
                   struct st_error *err)
{
  off_t start = c->to ? lseek(c->to, 0, SEEK_CUR) : 0;
  for (unsigned tries = 0;; tries++) {
    *ret = (struct attempt){.r = r, .call = c};
    if (try_once(ret, plain, err) < 0)
      return -1;
    if (!again(ret, tries))
      break;
    rewind_reply(c, start);
  }
  return ret->result == CURLE_OK ? 0 : fail_connection(ret, err);
}

/* ---- Who the server is -------------------------------------------------------------------------
 */

static int fail_other(const struct st_remote *r, const char *id, struct st_error *err)
{
  ST_AUTO_FREE char *path = st_remote_state_path(&r->state);
  return st_fail(err, 0,
                 "the server has another archive than before (%s, it was %s): where that is meant, "
                 "remove %s in the store; nothing was sent",
                 id, r->state.archive, path);
}

static void take_recipients(struct st_remote *r, const json_t *list)
{
  const json_t *one;
  size_t i;
  st_strings_free(&r->state.recipients);
  r->state.recipients = (struct st_strings){0};
  json_array_foreach(list, i, one) if (json_string_value(one))
      st_strings_add(&r->state.recipients, json_string_value(one));
  r->changed = true;
}

static int take_answer(struct st_remote *r, const json_t *o, struct st_error *err)
{
  const char *id = json_string_value(json_object_get(o, "id"));
  json_int_t protocol = json_integer_value(json_object_get(o, "protocol"));
  if (!st_is_archive_id(id))
    return st_fail(err, 0, "this is no archive's server");
  if (protocol != ST_WIRE_PROTOCOL)
    return st_fail(err, 0, "the server speaks version %lld of the protocol, this SysTracker %d",
                   (long long)protocol, ST_WIRE_PROTOCOL);
  if (!json_is_true(json_object_get(o, "audience")))
    return st_fail(
        err, 0,
        "the server's SysTracker is older, and cannot tell for whom a request is signed: "
        "update it before its hosts");
  if (*r->state.archive && strcmp(r->state.archive, id) != 0)
    return fail_other(r, id, err);
  memcpy(r->state.archive, id, sizeof(r->state.archive));
  take_recipients(r, json_object_get(o, "recipients"));
  return 0;
}

int st_remote_ask(struct st_remote *r, struct st_error *err)
{
  ST_AUTO_REMOTE_CALL call = {.method = "GET", .path = "/v1/archive"};
  struct attempt a;
  if (perform(r, &call, true, &a, err) < 0)
    return -1;
  if (call.status != 200)
    return fail_status(&a, err);
  json_t *o = st_remote_json(&call);
  int result = take_answer(r, o, err);
  json_decref(o);
  return result;
}

/* ---- Requests ----------------------------------------------------------------------------------
 */

void st_remote_opening(struct st_remote *r, const char *method, const char *path, const void *body,
                       size_t length)
{
  r->opening.method = method;
  r->opening.path = path;
  st_buffer_clear(&r->opening.body);
  st_buffer_append(&r->opening.body, body, length);
}

static void drop_session(struct st_remote *r)
{
  if (r->state.session)
    explicit_bzero(r->state.session, strlen(r->state.session));
  free(r->state.session);
  r->state.session = NULL;
}

static bool is_opening(const struct st_remote *r, const struct st_remote_call *c)
{
  return !r->opening.path || strcmp(c->path, r->opening.path) == 0;
}

/* A large body is not signed: the session that another request gets is shown with it. */
static int renew(struct st_remote *r, struct st_error *err)
{
  ST_AUTO_REMOTE_CALL call = {
      .method = r->opening.method,
      .path = r->opening.path,
      .type = "application/json",
      .body = r->opening.body.length > 0 ? r->opening.body.data : NULL,
      .length = r->opening.body.length,
  };
  if (st_remote_call(r, &call, err) < 0)
    return -1;
  return r->state.session ? 0 : st_fail(err, 0, "the server gave no session");
}

static bool is_answer(long status)
{
  return status / 100 == 2 || status == 404 || status == 409 || status == 410;
}

/* Why the server does not want us: it may be another one by now. */
static int refuse(struct attempt *a, struct st_error *err)
{
  ST_AUTO_ERROR other = ST_ERROR_INIT;
  fail_status(a, err);
  if ((a->call->status == 401 || a->call->status == 403 || a->call->status == 421) &&
      st_remote_ask(a->r, &other) < 0)
    return st_fail(err, 0, "%s", st_error_text(&other));
  return -1;
}

int st_remote_call(struct st_remote *r, struct st_remote_call *call, struct st_error *err)
{
  struct attempt a;
  for (unsigned tries = 0;; tries++) {
    if (!r->state.session && !is_opening(r, call) && renew(r, err) < 0)
      return -1;
    if (perform(r, call, false, &a, err) < 0)
      return -1;
    if (adjust(&a))
      continue;
    bool refused = call->status == 401 || call->status == 403;
    if (call->status == 401 && !a.signed_ && tries < SESSIONS_MAX)
      drop_session(r);
    else if (refused && a.signed_ && !sends_token(r) && r->o.join->token && tries < 2)
      r->refused = true;
    else
      break;
  }
  return is_answer(call->status) ? 0 : refuse(&a, err);
}

/* ---- Opening and closing ------------------------------------------------------------------------
 */

const struct st_strings *st_remote_recipients(const struct st_remote *r)
{
  return &r->state.recipients;
}

bool st_remote_has_token(const struct st_remote *r, char kind)
{
  return r->o.join->token && *r->o.join->token == kind;
}

const char *st_remote_get(const struct st_remote *r, const char *name)
{
  return json_string_value(json_object_get(r->state.values, name));
}

void st_remote_set(struct st_remote *r, const char *name, const char *value)
{
  const char *was = st_remote_get(r, name);
  if (was && strcmp(was, value) == 0)
    return;
  json_object_set_new(r->state.values, name, json_string(value));
  r->changed = true;
}

int st_remote_save(struct st_remote *r, struct st_error *err)
{
  if (!r->changed || !*r->state.archive)
    return 0;
  r->changed = false;
  return st_remote_state_write(&r->state, r->o.store_dir, err);
}

int st_remote_open(struct st_remote **ret, const struct st_remote_options *options,
                   struct st_error *err)
{
  char digest[TOKEN_DIGEST + 1];
  ST_CLEANUP(st_remote_closep) struct st_remote *r = st_calloc(1, sizeof(*r));
  r->o = *options;
  r->o.store_dir = fcntl(options->store_dir, F_DUPFD_CLOEXEC, 3);
  r->server = st_join_server(options->join);
  r->last_good = monotonic();
  curl_global_init(CURL_GLOBAL_DEFAULT);
  r->curl = curl_easy_init();
  if (!r->curl)
    return st_fail(err, 0, "libcurl cannot be started");
  if (r->o.store_dir < 0)
    return st_fail(err, errno, "cannot open the store");
  if (st_remote_state_find(&r->state, options->store_dir, options->join->address, err) < 0)
    return -1;
  if (r->state.expires < time(NULL) + MARGIN || is_new_token(r, digest))
    drop_session(r);
  if (!*r->state.archive && st_remote_ask(r, err) < 0)
    return -1;
  *ret = st_steal(&r);
  return 0;
}

void st_remote_close(struct st_remote *r)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (st_remote_save(r, &why) < 0)
    fprintf(stderr, "systracker: %s\n", st_error_text(&why));
  if (r->curl)
    curl_easy_cleanup(r->curl);
  st_remote_state_clear(&r->state);
  st_buffer_free(&r->opening.body);
  st_cleanup_close(&r->o.store_dir);
  free(r->server);
  free(r);
}
