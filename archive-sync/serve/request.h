/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * request.h - one request to the server and its answer, without libmicrohttpd: what handlers see.
 *
 * A handler reads the request, fills the reply and returns 0.  What the client did wrong is a reply
 * (st_reply_refuse), what went wrong here is an error and a negative return: it is logged, and the
 * client learns its number in the log alone.
 */
#ifndef ARCHIVE_SYNC_SERVE_REQUEST_H
#define ARCHIVE_SYNC_SERVE_REQUEST_H

#include <jansson.h>

#include "archive-sync/serve/access.h"
#include "systracker/base/buffer.h"
#include "systracker/base/text.h"

struct st_server;

#define ST_REQUEST_PARTS 6

struct st_reply {
  unsigned status;  /* 200 unless set */
  const char *type; /* a constant; "application/json" unless set */
  struct st_buffer body;
  int fd;                    /* a file instead of the body, closed with the reply; -1: none */
  uint64_t length;           /* of the file */
  bool spilled;              /* the file was made for the reply (st_reply_spill) */
  struct st_strings headers; /* "Name: value", without control characters */
};

struct st_request {
  struct st_server *server; /* borrowed */
  const struct st_route *route;
  const char *method, *path;     /* the path as it was sent, without the query */
  char *parts[ST_REQUEST_PARTS]; /* what stood for each "*" of the pattern, percent-decoded; a "**"
                                  * at the end takes all that is left.  No NUL is within. */
  size_t nparts;
  struct st_identity who;
  struct st_buffer body; /* ST_BODY_MEMORY */
  int body_fd;           /* ST_BODY_FILE: an unlinked temporary file of the archive, at 0; or -1 */
  uint64_t body_length;
  bool page; /* a person's browser asks: what is refused is said as a page */
  struct st_reply reply;
  void *transport; /* the server's own */
};

/* NULL: there is none.  Borrowed for the request's life.  Header names without regard to case. */
const char *st_request_header(const struct st_request *r, const char *name);
/* Of the query, percent-decoded; what has a NUL in it is not there. */
const char *st_request_query(const struct st_request *r, const char *name);
const char *st_request_cookie(const struct st_request *r, const char *name);
/* Of a body of type application/x-www-form-urlencoded (ST_BODY_MEMORY), decoded. */
const char *st_request_form(struct st_request *r, const char *name);
/* The query as it was sent, "" where there is none. */
const char *st_request_query_string(const struct st_request *r);
/* The address the connection comes from, in text; for logs and limits alone. */
const char *st_request_peer(const struct st_request *r);

/* ---- Replies ------------------------------------------------------------------------------------
 */

/* Takes the object over.  0. */
int st_reply_json(struct st_request *r, json_t *object);
int st_reply_header(struct st_request *r, const char *name, const char *value);
/* Sets status and a message for the client, as JSON {"error": "..."} or as a page; 0.  429, 503
 * and 507 get Retry-After. */
int st_reply_refuse(struct st_request *r, unsigned status, const char *fmt, ...) ST_PRINTF(3, 4);
/* Puts the body behind what is in the reply's file, a temporary one that is made where there is
 * none, and empties it: so a long answer takes no memory.  An error: the file is as it was, and the
 * body, too. */
int st_reply_spill(struct st_request *r, struct st_error *err);
#define ST_REPLY_SPILL ((size_t)1 << 20) /* bytes of a body that are better put there */
/* 303 to another page of ours. */
int st_reply_redirect(struct st_request *r, const char *path);

/* ---- Routes -------------------------------------------------------------------------------------
 */

enum st_route_flags {
  ST_ROUTE_WORK = 1, /* takes its time (disk): runs on a worker, while the connection sleeps */
  ST_ROUTE_HOST =
      2, /* the first part is a host, in full or as "ID/epoch-N" with "~N" for "/epoch-N":
          * who may not read it gets 404, the same as where it does not exist */
  ST_ROUTE_PAGE = 4, /* for browsers: no login is a redirect to /login; a POST needs the form's
                      * token against forgery (access.h) */
  ST_ROUTE_RAW =
      8,               /* with ST_ROUTE_HOST: what its store is made of, for hosts that may read it,
                        * and  of people for those that may operate it: a viewer gets what pages show */
  ST_ROUTE_BRIEF = 16, /* what is answered is short, whatever is asked (unread.h) */
};
enum st_body { ST_BODY_NONE = 0, ST_BODY_MEMORY, ST_BODY_FILE };

struct st_route {
  const char *method;  /* HEAD is answered where GET is */
  const char *pattern; /* "/v1/hosts/" "*" "/checkpoints/" "*": "*" is one segment */
  enum st_role needs;  /* the least role; ST_ROLE_NONE: anybody */
  unsigned flags;
  enum st_body body;
  uint64_t body_max; /* bytes; more is 413 before it is read */
  int (*handle)(struct st_request *r, struct st_error *err);
};

/* Each module has one, ended by {0}; server.c names them all. */
extern const struct st_route st_operation_routes[]; /* health, metrics: operation.c */
extern const struct st_route st_sync_routes[];      /* hosts send: sync.c */
extern const struct st_route st_fetch_routes[];     /* hosts take: fetch.c */
extern const struct st_route st_login_routes[];     /* login.c */
extern const struct st_route st_api_routes[];       /* /v1/ for people and scripts: api.c */
extern const struct st_route st_page_routes[];      /* page.c */

#endif
