/* SPDX-License-Identifier: GPL-2.0-or-later */
/* requestlog.h - one JSON object a line: requests, and what goes wrong with them.  No query, no
 * header and no body is in it, so that no token is. */
#ifndef ARCHIVE_SYNC_SERVE_REQUESTLOG_H
#define ARCHIVE_SYNC_SERVE_REQUESTLOG_H

#include "archive-sync/serve/transport.h"

struct st_requestlog;

/* "stderr", "none" or a path, made 0600. */
int st_requestlog_open(struct st_requestlog **ret, const char *target, struct st_error *err);
void st_requestlog_close(struct st_requestlog *log);
ST_DEFINE_CLEANUP(struct st_requestlog *, st_requestlog_close)
/* Opens a path again: it may have been renamed. */
int st_requestlog_reopen(struct st_requestlog *log, struct st_error *err);

/* It was answered, or (`whole` false) the connection ended before. */
void st_requestlog_request(struct st_requestlog *log, const struct st_transport *t,
                           int64_t microseconds, bool whole);
void st_requestlog_error(struct st_requestlog *log, uint64_t number, const char *message);
/* What is no request's. `level`: "info", "warning", "error"; "debug" is dropped. */
void st_requestlog_note(struct st_requestlog *log, const char *level, const char *message);

#endif
