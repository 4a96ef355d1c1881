/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * written.h - regular files that this very process wrote, from contents that it proved: their
 * digests need not be read back while the files are still as it left them.
 *
 * What is trusted for that: inode, size, mtime and ctime, of files that nobody but root and
 * ourselves may write.  Of others it is not: somebody could write to one, and set its times back,
 * before or within the tick in which its ctime was read.  Nor of one whose mtime is not past, nor
 * of a secret.
 */
#ifndef ST_SCAN_WRITTEN_H
#define ST_SCAN_WRITTEN_H

#include "systracker/base/digest.h"
#include "systracker/base/meta.h"

struct st_written;
/* `stored`: the contents are objects of the store, which were read from it. */
struct st_written *st_written_new(bool stored);
bool st_written_are_stored(const struct st_written *w);
void st_written_free(struct st_written *w);
ST_DEFINE_CLEANUP(struct st_written *, st_written_free)
/* The file is as `meta` says, and has the content of that digest; taken where it may be trusted.
 * Any thread. */
void st_written_add(struct st_written *w, const struct st_meta *meta, const struct st_id *digest);
/* The digest of the file that is as `meta` says; false: it is not known.  Any thread, while none
 * adds. */
bool st_written_find(struct st_written *w, const struct st_meta *meta, struct st_id *ret);
size_t st_written_count(const struct st_written *w);

#endif
