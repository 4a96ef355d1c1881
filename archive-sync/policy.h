/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy.h - what an archive does by itself: which checkpoints its server keeps, night after night,
 * and after how long it calls a host silent.  The file `policy` of an archive: doc/formats.
 */
#ifndef ARCHIVE_SYNC_POLICY_H
#define ARCHIVE_SYNC_POLICY_H

#include <jansson.h>

#include "archive-sync/archive.h"
#include "systracker/catalog/prune.h"

#define ST_POLICY_SILENT 36    /* hours, where nothing is said */
#define ST_POLICY_PRUNE_AT 240 /* minutes after midnight */

struct st_policy {
  struct st_retention keep; /* no rule: everything is kept */
  int64_t silent_after;     /* hours */
  int64_t prune_at;         /* minutes after midnight, local time */
};
void st_policy_clear(struct st_policy *policy);
#define ST_AUTO_POLICY ST_CLEANUP(st_policy_clear) struct st_policy

/* "HH:MM". */
int st_policy_time(const char *text, int64_t *ret, struct st_error *err);

/* There is none: nothing is pruned. */
int st_policy_read(struct st_archive *a, struct st_policy *ret, struct st_error *err);
int st_policy_write(struct st_archive *a, const struct st_policy *policy, struct st_error *err);
/* Minutes of a day as "03:30"; malloc'ed. */
char *st_policy_say_time(int64_t minutes);
/* `keep`, `prune_at` and `silent_after` (doc/json). */
json_t *st_policy_json(const struct st_policy *policy);

#endif
