/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * join.h - how a host is told of an archive's server: https://HOST:PORT/#DIGEST.TOKEN.
 *
 * DIGEST: SHA-256 of the server certificate's SubjectPublicKeyInfo in base64url; where it is given,
 * that key alone is believed, and without it the system's certificate authorities.  TOKEN: a join
 * token ("j...") or restore token ("r..."), which lets a new host in.  Both may be missing.  What
 * stands behind the "#" is never sent in a URL, nor shown.
 */
#ifndef ARCHIVE_SYNC_JOIN_H
#define ARCHIVE_SYNC_JOIN_H

#include "systracker/base/buffer.h"
#include "systracker/base/digest.h"
#include "systracker/base/error.h"

#define ST_JOIN_FILE_MAX 4096 /* bytes */

struct st_join {
  char *address; /* "https://HOST:PORT", with a path where there is one, without a slash behind */
  bool pinned;
  uint8_t pin[ST_DIGEST_SIZE];
  char *token; /* NULL: none */
};

/* Whether an archive is meant that is reached over the network. */
bool st_join_is_remote(const char *url);
/* Reads the URL; `behind` (may be NULL): what stands behind the "#", where the URL has none of its
 * own; a whole join string will do, too.  Errors do not repeat it. */
int st_join_parse(struct st_join *ret, const char *url, const char *behind, struct st_error *err);
void st_join_copy(struct st_join *to, const struct st_join *from);
void st_join_clear(struct st_join *join);
#define ST_AUTO_JOIN ST_CLEANUP(st_join_clear) struct st_join

/* As whom the host knows the server, for the header Systracker-Server of signed requests:
 * "key:DIGEST" where its key is pinned, else "name:HOST", in small letters.  malloc'ed. */
char *st_join_server(const struct st_join *join);

/* The URL as it may be shown: without what is behind the "#"; malloc'ed. */
char *st_join_shown(const char *url);
/* The first line of a file, malloc'ed. */
int st_join_read(const char *path, char **ret, struct st_error *err);
/* Copies a command line's URL and blanks what is behind the "#" there, so that it leaves the list
 * of processes.  malloc'ed. */
char *st_join_take(char *argument);

#endif
