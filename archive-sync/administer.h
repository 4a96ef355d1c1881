/* SPDX-License-Identifier: GPL-2.0-or-later */
/* administer.h - what systracker-archive does to a whole archive; each returns an exit status, or a
 * negative number with an error. */
#ifndef ARCHIVE_SYNC_ADMINISTER_H
#define ARCHIVE_SYNC_ADMINISTER_H

#include "archive-sync/archive.h"
#include "systracker/tracker/cli.h"

int st_administer_init(struct st_cli *cli, const char *dir, struct st_error *err);
int st_administer_hosts(struct st_cli *cli, const char *dir, struct st_error *err);
/* Every object, every host's chain, facts and state; and that whoever signed is who the folder is
 * named after.  Secrets are proved by their records alone. */
int st_administer_verify(struct st_cli *cli, const char *dir, struct st_error *err);
/* Removes nothing: says what no host names, which repacking could free. */
int st_administer_gc(struct st_cli *cli, const char *dir, struct st_error *err);

#endif
