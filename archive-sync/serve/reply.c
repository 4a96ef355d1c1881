/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reply.c - answers. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "archive-sync/serve/frame.h"
#include "archive-sync/serve/incoming.h"
#include "archive-sync/serve/options.h"
#include "archive-sync/serve/transport.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define RETRY_AFTER "10"                /* seconds */
#define FULL_AFTER "3600"               /* on a full disk: somebody has to do something */
#define SPACE_KEPT ((uint64_t)64 << 20) /* bytes left free by answers that go to the disk */
#define FILE_BLOCK 32768                /* bytes that are read of a file at once */

void st_reply_reset(struct st_request *r)
{
  r->reply.status = 200;
  r->reply.type = "application/json";
  r->reply.length = 0;
  r->reply.spilled = false;
  st_buffer_free(&r->reply.body);
  st_cleanup_close(&r->reply.fd);
  r->reply.fd = -1;
  st_strings_free(&r->reply.headers);
  r->reply.headers = (struct st_strings){0};
}

int st_reply_json(struct st_request *r, json_t *object)
{
  ST_AUTO_FREE char *text = json_dumps(object, JSON_COMPACT);
  json_decref(object);
  r->reply.type = "application/json";
  st_buffer_clear(&r->reply.body);
  st_buffer_append_string(&r->reply.body, text ? text : "{}");
  st_buffer_append_byte(&r->reply.body, '\n');
  return 0;
}

int st_reply_header(struct st_request *r, const char *name, const char *value)
{
  ST_AUTO_FREE char *line = st_format("%s: %s", name, value);
  for (char *c = line; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f)
      *c = '?';
  st_strings_add(&r->reply.headers, line);
  return 0;
}

int st_reply_refuse(struct st_request *r, unsigned status, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  ST_AUTO_FREE char *message = st_vformat(fmt, ap);
  va_end(ap);
  st_reply_reset(r);
  r->reply.status = status;
  if (status == 429 || status == 503)
    st_reply_header(r, "Retry-After", RETRY_AFTER);
  if (status == 507)
    st_reply_header(r, "Retry-After", FULL_AFTER);
  if (r->page) {
    st_frame_refuse(r, message);
    return 0;
  }
  ST_AUTO_FREE char *text = st_escaped(message, strlen(message));
  json_t *o = json_object();
  json_object_set_new(o, "error", json_string(text));
  return st_reply_json(r, o);
}

static int make_file(struct st_request *r, struct st_error *err)
{
  uint64_t space = 0;
  if (st_free_space(r->server->incoming, &space, err) < 0)
    return -1;
  if (space < SPACE_KEPT)
    return st_fail(err, ENOSPC, "cannot keep an answer in incoming/");
  r->reply.length = 0;
  r->reply.spilled = true;
  return r->reply.fd = st_incoming_file(r->server->incoming, err);
}

int st_reply_spill(struct st_request *r, struct st_error *err)
{
  struct st_reply *reply = &r->reply;
  if (reply->fd < 0 && make_file(r, err) < 0)
    return -1;
  /* What a try that failed has left behind the length is written over. */
  if (lseek(reply->fd, (off_t)reply->length, SEEK_SET) < 0 ||
      st_write_all(reply->fd, reply->body.data, reply->body.length, err) < 0) {
    if (reply->length == 0)
      reply->fd = (close(reply->fd), -1);
    return st_wrap(err, "cannot keep an answer in incoming/");
  }
  reply->length += reply->body.length;
  st_buffer_free(&reply->body);
  return 0;
}

int st_reply_redirect(struct st_request *r, const char *path)
{
  st_reply_reset(r);
  r->reply.status = 303;
  r->reply.type = "text/plain; charset=utf-8";
  /* A path of ours alone: "//elsewhere" would be another host. */
  bool ours = path[0] == '/' && path[1] != '/' && path[1] != '\\';
  return st_reply_header(r, "Location", ours ? path : "/");
}

/* ---- Sending ------------------------------------------------------------------------------------
 */

static bool has_header(const struct st_reply *reply, const char *name)
{
  size_t n = strlen(name);
  for (size_t i = 0; i < reply->headers.count; i++)
    if (strncasecmp(reply->headers.items[i], name, n) == 0 && reply->headers.items[i][n] == ':')
      return true;
  return false;
}

static void add_default(struct MHD_Response *out, const struct st_reply *reply, const char *name,
                        const char *value)
{
  if (!has_header(reply, name))
    MHD_add_response_header(out, name, value);
}

/* What keeps a browser from doing more with an answer than show it. */
static void add_defaults(struct MHD_Response *out, const struct st_transport *t)
{
  const struct st_reply *reply = &t->request.reply;
  MHD_add_response_header(out, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type);
  MHD_add_response_header(out, "X-Content-Type-Options", "nosniff");
  add_default(out, reply, "Cache-Control", "no-store");
  add_default(out, reply, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  if (!t->request.page)
    return;
  add_default(out, reply, "Referrer-Policy", "no-referrer");
  MHD_add_response_header(out, "Cross-Origin-Opener-Policy", "same-origin");
  MHD_add_response_header(out, "Cross-Origin-Resource-Policy", "same-origin");
  MHD_add_response_header(out, "X-Frame-Options", "DENY");
  MHD_add_response_header(out, "Strict-Transport-Security", "max-age=31536000");
}

static void add_header(struct MHD_Response *out, const char *line)
{
  const char *colon = strchr(line, ':');
  ST_AUTO_FREE char *name = st_memdup(line, (size_t)(colon - line));
  MHD_add_response_header(out, name, colon + 1 + strspn(colon + 1, " "));
}

/* What a connection has of a file: closed with it. */
static ssize_t read_file(void *arg, uint64_t at, char *out, size_t n)
{
  ssize_t got = pread((int)(intptr_t)arg, out, n, (off_t)at);
  return got > 0 ? got : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void close_file(void *arg)
{
  close((int)(intptr_t)arg);
}

/* libmicrohttpd's own reader takes 4 KiB at once, and as much of TLS's records; without TLS it has
 * the kernel send the file. */
static struct MHD_Response *file_response(const struct st_transport *t)
{
  const struct st_reply *reply = &t->request.reply;
  if (t->request.server->options->plain)
    return MHD_create_response_from_fd64(reply->length, reply->fd);
  return MHD_create_response_from_callback(reply->length, FILE_BLOCK, read_file,
                                           (void *)(intptr_t)reply->fd, close_file);
}

struct MHD_Response *st_reply_response(struct st_transport *t)
{
  struct st_reply *reply = &t->request.reply;
  struct MHD_Response *out;
  if (reply->fd >= 0) {
    out = file_response(t);
    if (out)
      st_steal_fd(&reply->fd);
  } else {
    reply->length = reply->body.length;
    out = MHD_create_response_from_buffer(
        reply->body.length, reply->body.data ? reply->body.data : (void *)"",
        reply->body.data ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (out)
      reply->body = ST_BUFFER_INIT;
  }
  if (!out)
    return NULL;
  add_defaults(out, t);
  for (size_t i = 0; i < reply->headers.count; i++)
    add_header(out, reply->headers.items[i]);
  return out;
}
