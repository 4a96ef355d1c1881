/* SPDX-License-Identifier: GPL-2.0-or-later */
/* listen.h - the socket that the server listens on. */
#ifndef ARCHIVE_SYNC_SERVE_LISTEN_H
#define ARCHIVE_SYNC_SERVE_LISTEN_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

/* "ADDRESS:PORT", "[ADDRESS]:PORT" or "PORT" (of all addresses); NULL: all, ST_SERVE_PORT.  Port 0
 * takes a free one.  `loopback_only`: any other address is refused.  Returns the socket;
 * `*ret_name` (malloc'ed): what it listens on, as ADDRESS:PORT. */
int st_listen(const char *where, bool loopback_only, char **ret_name, struct st_error *err);

#endif
