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

/* Puts it into an entry; borrowed from `m`. */
void st_metadata_fill(const struct st_metadata *m, struct st_entry *entry);

#endif
