/* SPDX-License-Identifier: GPL-2.0-or-later */
/* access-verbs.h - what the verbs about tokens, people and hosts' approval share. */
#ifndef ARCHIVE_SYNC_ACCESS_VERBS_H
#define ARCHIVE_SYNC_ACCESS_VERBS_H

#include "archive-sync/administer.h"
#include "archive-sync/serve/access.h"
#include "systracker/commands/command.h"

/* An archive and who may do what there. */
struct st_keeper {
  struct st_archive *archive;
  struct st_access *access;
  char by[64]; /* who runs the verb: the user's name */
};
#define ST_AUTO_KEEPER ST_CLEANUP(st_keeper_close) struct st_keeper
int st_keeper_open(struct st_keeper *k, const char *dir, struct st_error *err);
void st_keeper_close(struct st_keeper *k);

/* A host that asked or sent: its id, the beginning of it, its name; or any whole id. */
int st_keeper_find_host(struct st_keeper *k, const char *text, char ret[ST_HOST_ID_SIZE],
                        struct st_error *err);

/* https://HOST:PORT/#DIGEST.TOKEN; `url` NULL: by the name in the certificate; `digest` false: for
 * a server with a certificate that hosts' systems know.  malloc'ed. */
int st_keeper_join_string(struct st_keeper *k, const char *url, bool digest, const char *token,
                          char **ret, struct st_error *err);

/* A line of standard input; at a terminal it is asked for twice and not shown.  malloc'ed, to be
 * wiped. */
int st_read_password(const char *user, char **ret, struct st_error *err);
void st_wipe_password(char **password);

/* "2026-11-20T03:14:07Z", null where it is 0. */
json_t *st_json_time(int64_t seconds);

#endif
