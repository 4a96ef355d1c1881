/* SPDX-License-Identifier: GPL-2.0-or-later */
/* admit.c - whether a request may be, before its handler sees it. */
#include <string.h>

#include "archive-sync/serve/frame.h"
#include "archive-sync/serve/http.h"
#include "archive-sync/serve/route.h"
#include "archive-sync/serve/transport.h"

#define TARGET_MAX 8192

static int refuse(struct st_transport *t, unsigned status, const char *words)
{
  st_reply_refuse(&t->request, status, "%s", words);
  return 1;
}

/* ---- Its head -----------------------------------------------------------------------------------
 */

struct framing {
  unsigned lengths, encodings;
  bool bad;
  uint64_t length;
};

static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
  struct framing *f = arg;
  (void)kind;
  if (strcasecmp(name, "Transfer-Encoding") == 0) {
    f->encodings++;
    f->bad |= !value || strcasecmp(value, "chunked") != 0;
  } else if (strcasecmp(name, "Content-Length") == 0) {
    char *end = NULL;
    f->lengths++;
    errno = 0;
    f->length = value && *value >= '0' && *value <= '9' ? strtoull(value, &end, 10) : 0;
    f->bad |= !end || *end || errno;
  }
  return MHD_YES;
}

/* A body's length is said once and in one way; what proxies may read in two ways is refused. */
static int look_at_framing(struct st_transport *t)
{
  struct framing f = {0};
  if (t->connection)
    MHD_get_connection_values(t->connection, MHD_HEADER_KIND, on_header, &f);
  if (f.bad || f.lengths + f.encodings > 1)
    return refuse(t, 400, "the length of the body is not said clearly");
  t->declared = f.encodings ? UINT64_MAX : f.length;
  return 0;
}

static int find_route(struct st_transport *t)
{
  ST_AUTO_FREE char *allow = NULL;
  struct st_request *r = &t->request;
  if (strlen(t->target) > TARGET_MAX)
    return refuse(t, 414, "the address is too long");
  if (t->target[0] != '/')
    return refuse(t, 400, "the address is no path of this server");
  switch (st_route_find(st_http_tables(t->http), r, &allow)) {
  case ST_ROUTE_FOUND:
    return 0;
  case ST_ROUTE_METHOD:
    refuse(t, 405, "this address knows no such method");
    st_reply_header(r, "Allow", allow);
    return 1;
  case ST_ROUTE_MALFORMED:
    return refuse(t, 400, "the address is malformed");
  default:
    /* Who mistypes an address is a person. */
    r->page = strncmp(t->target, "/v1/", 4) != 0;
    return refuse(t, 404, "there is nothing at this address");
  }
}

/* ---- Who asks -----------------------------------------------------------------------------------
 */

static int ask_to_log_in(struct st_transport *t)
{
  struct st_request *r = &t->request;
  if (r->page && (strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0)) {
    st_reply_redirect(r, "/login");
    return 1;
  }
  refuse(t, 401, "who asks is not known");
  st_reply_header(r, "WWW-Authenticate", "Bearer");
  return 1;
}

/* By the head; a signature only when the body is there, too. */
static int identify(struct st_transport *t, struct st_error *err)
{
  struct st_request *r = &t->request;
  return st_access_identify(r->server->access, r, err);
}

static int look_at_role(struct st_transport *t)
{
  struct st_request *r = &t->request;
  if (r->who.role < r->route->needs) /* a user may have no role: to log in would not help */
    return r->who.role == ST_ROLE_NONE && !*r->who.user
               ? ask_to_log_in(t)
               : refuse(t, 403, "this needs more rights than you have");
  /* What may not be seen is answered as what is not there. */
  if ((r->route->flags & ST_ROUTE_HOST) &&
      !st_access_may_read(r->server->access, &r->who, r->parts[0]))
    return refuse(t, 404, "there is no such host");
  if ((r->route->flags & ST_ROUTE_RAW) && r->who.role != ST_ROLE_HOST &&
      !st_access_may_operate(r->server->access, &r->who, r->parts[0]))
    return refuse(t, 403, "this is for the host itself, and for who operates it");
  return 0;
}

/* ---- Its body -----------------------------------------------------------------------------------
 */

static int look_at_length(struct st_transport *t)
{
  const struct st_route *route = t->request.route;
  uint64_t max = route->body == ST_BODY_NONE ? 0 : route->body_max;
  if (t->declared != UINT64_MAX && t->declared > max)
    return refuse(t, 413, max ? "the body is too long" : "no body is taken here");
  return 0;
}

static bool is_change(const struct st_request *r)
{
  return strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0;
}

/* Browsers say whether a page of ours asks. */
static int look_at_site(struct st_transport *t)
{
  const char *site = st_request_header(&t->request, "Sec-Fetch-Site");
  if (!site || !is_change(&t->request) || strcmp(site, "same-origin") == 0 ||
      strcmp(site, "none") == 0)
    return 0;
  return refuse(t, 403, "another site's page asked for this");
}

static bool is_same(const char *a, const char *b)
{
  size_t n = strlen(a);
  unsigned char differs = n != strlen(b);
  for (size_t i = 0; i < n && b[i]; i++)
    differs |= (unsigned char)(a[i] ^ b[i]);
  return !differs;
}

static int look_at_form(struct st_transport *t)
{
  struct st_request *r = &t->request;
  if (!(r->route->flags & ST_ROUTE_PAGE) || !is_change(r) || !r->who.form_token[0])
    return 0;
  const char *token = st_request_form(r, ST_FORM_TOKEN);
  return token && is_same(token, r->who.form_token)
             ? 0
             : refuse(t, 403, "this form is no longer good: load its page again");
}

/* ---- All of it ----------------------------------------------------------------------------------
 */

int st_admit_head(struct st_transport *t, struct st_error *err)
{
  if (look_at_framing(t) || find_route(t) || look_at_site(t) || look_at_length(t))
    return 1;
  t->is_signed = st_access_needs_body(&t->request);
  if (t->is_signed)
    return t->request.route->body == ST_BODY_FILE ? refuse(t, 401, "this needs a session") : 0;
  int r = identify(t, err);
  return r ? r : look_at_role(t);
}

int st_admit_body(struct st_transport *t, struct st_error *err)
{
  int r = t->is_signed ? identify(t, err) : 0;
  if (r == 0 && t->is_signed)
    r = look_at_role(t);
  return r ? r : look_at_form(t);
}
