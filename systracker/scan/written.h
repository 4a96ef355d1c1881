/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * written.h - entries that this very process wrote, and then looked at: regular files from contents
 * that it proved, whose digests need not be read back while the files are still as it left them;
 * and entries that have nothing but what stat says (metadata.h).  Also files that were read right
 * before a scan (tracker/prove.c).
 *
 * What is trusted for that: all that statx(2) says, of what nobody but root and ourselves may
 * write. Of others it is not: somebody could write to a file, and set its times back, before or
 * within the tick in which its ctime was read.  Nor of a file whose mtime is not past, nor of a
 * secret.
 */
#ifndef ST_SCAN_WRITTEN_H
#define ST_SCAN_WRITTEN_H

#include "systracker/base/digest.h"
#include "systracker/base/meta.h"

/* What is known of one beyond its stat data. */
struct st_written_entry {
  bool has_digest;
  bool plain;          /* st_metadata_is_plain, asked behind the stat data */
  struct st_id digest; /* of a file's content; of a symlink's target */
};

struct st_written;
/* `stored`: the contents are objects of the store, which were read from it. */
struct st_written *st_written_new(bool stored);
/* Room for so many, as far as is known before: it need not grow, and move, while they come. */
void st_written_reserve(struct st_written *w, size_t count);
bool st_written_are_stored(const struct st_written *w);
void st_written_free(struct st_written *w);
ST_DEFINE_CLEANUP(struct st_written *, st_written_free)
/* The file, directory or symlink is as `meta` says, and so is what `entry` says of it; taken where
 * it may be trusted.  Any thread. */
void st_written_add(struct st_written *w, const struct st_meta *meta,
                    const struct st_written_entry *entry);
/* Whether one would be taken, so that nobody asks in vain. */
bool st_written_takes(const struct st_meta *meta);
/* What is known of the entry that is as `meta` says; false: nothing.  Any thread, while none
 * adds. */
bool st_written_find(const struct st_written *w, const struct st_meta *meta,
                     struct st_written_entry *ret);
/* From now on nothing is taken any more, whoever would still add: until st_written_forget, which
 * forgets all of it. */
void st_written_close(struct st_written *w);
void st_written_forget(struct st_written *w);
size_t st_written_count(const struct st_written *w);

#endif
