/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http.h - requests as libmicrohttpd brings them, through admission, to their handlers and back. */
#ifndef ARCHIVE_SYNC_SERVE_HTTP_H
#define ARCHIVE_SYNC_SERVE_HTTP_H

#include "archive-sync/serve/request.h"
#include "archive-sync/serve/server.h"

struct st_http;

/* Starts answering on a listening socket, which it takes over.  `tables`: see route.h, borrowed.
 * TLS with what st_tls_use was given, unless the options say otherwise. */
int st_http_start(struct st_http **ret, struct st_server *server,
                  const struct st_route *const *tables, int listening, struct st_error *err);
/* Takes no new connection or request, waits so long for what runs, and ends.  False: something
 * still ran, and the process has to end with it. */
bool st_http_stop(struct st_http *http, unsigned seconds);

const struct st_route *const *st_http_tables(const struct st_http *http);

#endif
