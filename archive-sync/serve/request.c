/* SPDX-License-Identifier: GPL-2.0-or-later */
/* request.c - what handlers ask of a request. */
#include <string.h>

#include "archive-sync/serve/route.h"
#include "archive-sync/serve/transport.h"
#include "archive-sync/serve/url.h"

#define FORM_TYPE "application/x-www-form-urlencoded"

struct st_transport *st_transport_new(struct st_server *server, const char *target)
{
  struct st_transport *t = st_calloc(1, sizeof(*t));
  t->target = st_strdup(target);
  size_t n = strcspn(t->target, "?");
  t->path = st_memdup(t->target, n);
  t->query = t->target[n] ? t->target + n + 1 : "";
  t->request.server = server;
  t->request.transport = t;
  t->request.path = t->path;
  t->request.body_fd = t->request.reply.fd = -1;
  st_reply_reset(&t->request);
  return t;
}

void st_transport_free(struct st_transport *t)
{
  struct st_request *r = &t->request;
  st_reply_reset(r);
  st_strings_free(&r->reply.headers);
  st_route_clear(r);
  if (r->body.data) /* it may have been a password */
    explicit_bzero(r->body.data, r->body.size);
  st_buffer_free(&r->body);
  st_cleanup_close(&r->body_fd);
  for (size_t i = 0; i < t->kept.count; i++)
    explicit_bzero(t->kept.items[i], strlen(t->kept.items[i]));
  st_strings_free(&t->kept);
  free(t->path);
  free(t->target);
  free(t);
}

const char *st_request_header(const struct st_request *r, const char *name)
{
  struct st_transport *t = st_transport_of(r);
  return t->connection ? MHD_lookup_connection_value(t->connection, MHD_HEADER_KIND, name) : NULL;
}

/* Takes the text over, to be freed with the request. */
static const char *keep(const struct st_request *r, char *text)
{
  if (text)
    st_strings_take(&st_transport_of(r)->kept, text);
  return text;
}

const char *st_request_query_string(const struct st_request *r)
{
  return st_transport_of(r)->query;
}

const char *st_request_query(const struct st_request *r, const char *name)
{
  const char *query = st_request_query_string(r);
  return keep(r, st_url_parameter(query, strlen(query), name));
}

const char *st_request_cookie(const struct st_request *r, const char *name)
{
  const char *header = st_request_header(r, "Cookie");
  return header ? keep(r, st_url_cookie(header, name)) : NULL;
}

const char *st_request_form(struct st_request *r, const char *name)
{
  const char *type = st_request_header(r, "Content-Type");
  size_t n = strlen(FORM_TYPE);
  if (!type || strncasecmp(type, FORM_TYPE, n) != 0 || (type[n] && !strchr("; \t", type[n])))
    return NULL;
  return r->body.data ? keep(r, st_url_parameter(r->body.data, r->body.length, name)) : NULL;
}

const char *st_request_peer(const struct st_request *r)
{
  return st_transport_of(r)->peer;
}
