/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gc.h - what no chain of an archive names goes: objects that an interrupted sync left, or whose
 * checkpoints were pruned, and package files.
 */
#ifndef ARCHIVE_SYNC_GC_H
#define ARCHIVE_SYNC_GC_H

#include "archive-sync/archive.h"
#include "systracker/store/repack.h"

struct st_gc_result {
  int64_t files, left; /* package files removed; unnamed, and too young */
  uint64_t file_bytes;
  struct st_repack_result repacked;
};

/* Chains are read first, then the archive's lock is taken (it is not held), waited for as long as
 * sync waits, and those that changed meanwhile are read again.  What a host has sent within a week
 * stays, named or not.  `percent`: as st_store_repack's.  After an error nothing that is needed is
 * gone. */
int st_gc(struct st_archive *a, unsigned percent, struct st_gc_result *ret, struct st_error *err);

#endif
