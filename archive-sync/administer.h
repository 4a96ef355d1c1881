/* SPDX-License-Identifier: GPL-2.0-or-later */
/* administer.h - what systracker-archive does to a whole archive; each returns an exit status, or a
 * negative number with an error. */
#ifndef ARCHIVE_SYNC_ADMINISTER_H
#define ARCHIVE_SYNC_ADMINISTER_H

#include "archive-sync/archive.h"
#include "archive-sync/gc.h"
#include "systracker/commands/command.h"

int st_administer_hosts(struct st_cli *cli, const char *dir, struct st_error *err);
/* Every object, every host's chain, facts and state; and that whoever signed is who the folder is
 * named after.  Secrets are proved by their records alone.  Where the lock can be had, damage is
 * put aside, and noted with the hosts that need what it was. */
int st_administer_verify(struct st_cli *cli, const char *dir, struct st_error *err);
/* Removes objects and package files that no chain names (gc.h). */
int st_administer_gc(struct st_cli *cli, const char *dir, struct st_error *err);
void st_administer_gc_report(const struct st_cli *cli, const struct st_gc_result *result);

/* Each host, and each of its older epochs: "ID", "ID/epoch-N". */
int st_administer_list(struct st_archive *a, struct st_strings *ret, struct st_error *err);

/* Verbs with options of their own: archive-sync/cmd-VERB.c. */
extern const struct st_command archive_approve, archive_backup, archive_deny, archive_enrolment,
    archive_group, archive_init, archive_policy, archive_prune, archive_recovery, archive_serve,
    archive_token, archive_user;

#endif
