/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * names.h - as whom hosts know this server: what their signed requests have to be for.
 *
 * That is the key of its certificate, the names in it, and what the administrator says of the
 * proxies that stand before it (serve --public).  A server that names another archive's id gets
 * requests that are for itself, and that the other one takes no more.
 */
#ifndef ARCHIVE_SYNC_SERVE_NAMES_H
#define ARCHIVE_SYNC_SERVE_NAMES_H

#include <stdbool.h>

#include "systracker/base/buffer.h"
#include "systracker/base/cleanup.h"
#include "systracker/base/error.h"

struct st_names;

/* `publics`: addresses as in a join string, https://HOST:PORT with #DIGEST or without, and no token
 * (copied). */
int st_names_new(struct st_names **ret, const struct st_strings *publics, struct st_error *err);
void st_names_free(struct st_names *n);
ST_DEFINE_CLEANUP(struct st_names *, st_names_free)

/* Reads tls.crt, again where it was read before.  Where there is none, none is known. */
int st_names_read(struct st_names *n, int archive_dirfd, struct st_error *err);

/* Whether `server` (join.h, st_join_server) is this one; any text will do.  From any thread.  An
 * st_access_server_fn. */
bool st_names_is(void *names, const char *server);

#endif
