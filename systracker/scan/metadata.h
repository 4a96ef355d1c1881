/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metadata.h - what stat does not say of an entry: extended attributes, flags, holes; read of
 * entries that are looked at alone. */
#ifndef ST_SCAN_METADATA_H
#define ST_SCAN_METADATA_H

#include "systracker/base/meta.h"
#include "systracker/base/xattr.h"

struct st_metadata {
  bool read; /* st_metadata_read was called */
  bool has_xattrs, has_flags, has_holes;
  struct st_buffer xattrs, holes; /* base/xattr.h, base/holes.h */
  uint32_t flags;                 /* base/flags.h */
  char why[128];                  /* what could not be read, and why; "": nothing */
};
#define ST_AUTO_METADATA ST_CLEANUP(st_metadata_clear) struct st_metadata
void st_metadata_clear(struct st_metadata *m);

/* Reads what the entry `name` in `dirfd` has, whose stat data are `meta`.  `fd`: the regular file
 * itself, open for reading, where the caller has it; else -1, and it is opened where that is
 * needed: never a FIFO, a socket or a device. */
void st_metadata_read(struct st_metadata *m, int fd, int dirfd, const char *name,
                      const struct st_meta *meta, const struct st_xattr_options *options);

/* Whether there is nothing but what stat says: no attributes, no flags, no holes; all of it was
 * read. `type` as in st_meta; never of a device, FIFO or socket. */
bool st_metadata_is_plain(const struct st_metadata *m, char type);
/* What st_metadata_read says of such an entry. */
void st_metadata_set_plain(struct st_metadata *m, char type);
/* Whether it is a file that takes up less than it holds. */
static inline bool st_meta_is_sparse(const struct st_meta *m)
{
  return m->type == 'f' && m->blocks < m->size / 512 + (m->size % 512 != 0);
}

/* Puts it into an entry; borrowed from `m`. */
void st_metadata_fill(const struct st_metadata *m, struct st_entry *entry);

#endif
