/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backup.h - a copy of an archive, made while hosts send to it, that is a whole archive itself.
 *
 * What names is copied before what is named: first each host's chain, catalog and lists, as they
 * are at some moment each, then the index of objects, then packs, which are only appended to, and
 * package files.  gc would take away what is named and not copied yet: the two exclude each other
 * by the file `backup.lock`.  In the copy it is the other way round: what is new of packs and
 * package files is there before catalogs are renamed over the old ones, and what the archive has no
 * more goes last.  So a kill at any moment leaves the copy as it was, or as it is to be.
 *
 * Derived and left out: fleet.db.  Files that are as they were at the last copy (size, mtime) are
 * not copied again.
 */
#ifndef ARCHIVE_SYNC_BACKUP_H
#define ARCHIVE_SYNC_BACKUP_H

#include "archive-sync/archive.h"

#define ST_BACKUP_LOCK "backup.lock"

struct st_backup_result {
  int64_t hosts, files; /* hosts, older epochs among them; files copied */
  uint64_t bytes;       /* of them */
};

/* `to` is a folder that is empty or not there, or an earlier copy of this archive. */
int st_backup(struct st_archive *a, const char *to, struct st_backup_result *ret,
              struct st_error *err);

#endif
