/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport.h - what is behind a struct st_request: its connection, how far it is, what it holds.
 * For the server's own files alone; handlers see request.h.
 *
 * A request goes HEAD -> BODY -> (WORKING ->) READY, each step by one thread: libmicrohttpd's until
 * it sleeps (WORKING), a worker's while it does.
 */
#ifndef ARCHIVE_SYNC_SERVE_TRANSPORT_H
#define ARCHIVE_SYNC_SERVE_TRANSPORT_H

#include <microhttpd.h>

#include "archive-sync/serve/client.h"
#include "archive-sync/serve/request.h"
#include "archive-sync/serve/server.h"
#include "archive-sync/serve/unread.h"

struct st_http;

enum st_transport_state {
  ST_TRANSPORT_HEAD,    /* its head is there, nothing was decided */
  ST_TRANSPORT_BODY,    /* the body is being read */
  ST_TRANSPORT_DISCARD, /* the reply is known, the rest of the body is passed over */
  ST_TRANSPORT_WORKING, /* a worker has it; the connection sleeps */
  ST_TRANSPORT_READY,   /* the reply is to be sent */
};

struct st_transport {
  struct st_request request;
  struct st_http *http;
  struct MHD_Connection *connection; /* NULL in tests */
  struct st_client *client;
  char peer[ST_CLIENT_ADDRESS_SIZE]; /* where it comes from */
  char *target;                      /* as sent: path and query */
  char *path;                        /* its path */
  const char *query;                 /* within target, "" */
  struct st_strings kept; /* what was decoded for the handler: borrowed as long as the request */
  enum st_transport_state state;
  bool is_signed;              /* who asks is known when the body is there */
  uint64_t number;             /* of the request */
  int64_t began;               /* microseconds, of the monotonic clock */
  uint64_t declared;           /* length of the body as the head says, UINT64_MAX: in chunks */
  uint64_t received;           /* bytes of the body */
  uint64_t reserved;           /* of the budget of memory */
  uint64_t kept_bytes;         /* of the body, when the rest began to be passed over */
  char reader[ST_UNREAD_NAME]; /* whose the answer is */
  uint64_t unread;             /* its bytes that count until they are sent */
  bool unread_memory;          /* they lie in memory */
};

static inline struct st_transport *st_transport_of(const struct st_request *r)
{
  return r->transport;
}

/* `target`: copied. */
struct st_transport *st_transport_new(struct st_server *server, const char *target);
void st_transport_free(struct st_transport *t);

/* Makes what will be sent of the reply, with the headers that every answer has; the reply's body
 * or file is handed over.  NULL: no memory. */
struct MHD_Response *st_reply_response(struct st_transport *t);
/* Empties the reply, to set another. */
void st_reply_reset(struct st_request *r);

/* ---- Whether the request may be (admit.c)
 * ----------------------------------------------------------
 */

/* By the head; sets route and who.  0: go on; 1: the reply is set. */
int st_admit_head(struct st_transport *t, struct st_error *err);
/* What needs the body: who signed it, a form's token.  As above. */
int st_admit_body(struct st_transport *t, struct st_error *err);

#endif
