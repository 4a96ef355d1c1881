/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * remotestate.h - what a host keeps of an archive's server: STORE/remote/NAME.json, by its address:
 * one that names another archive's id does not touch what is kept of that.
 */
#ifndef ARCHIVE_SYNC_REMOTESTATE_H
#define ARCHIVE_SYNC_REMOTESTATE_H

#include <jansson.h>

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

#define ST_ARCHIVE_ID_SIZE 33 /* 32 hexadecimal digits and a NUL */

struct st_remote_state {
  char archive[ST_ARCHIVE_ID_SIZE]; /* "": the server was not asked yet */
  char *address;
  char *name; /* of the file */
  struct st_strings recipients;
  char *session; /* NULL: none */
  int64_t expires;
  char *token; /* beginning of the digest of the token that was taken last; NULL: none was */
  json_t *values;
};

/* Finds what is kept of the server at this address; nothing where there is nothing, or it cannot be
 * read. */
int st_remote_state_find(struct st_remote_state *s, int store_dirfd, const char *address,
                         struct st_error *err);
int st_remote_state_write(const struct st_remote_state *s, int store_dirfd, struct st_error *err);
void st_remote_state_clear(struct st_remote_state *s);
bool st_is_archive_id(const char *text);
/* The name of the file within the store; malloc'ed. */
char *st_remote_state_path(const struct st_remote_state *s);

#endif
