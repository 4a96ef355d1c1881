/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packagefile.h - what a package file, .deb or .rpm, says of itself. */
#ifndef ST_TRACKER_PACKAGEFILE_H
#define ST_TRACKER_PACKAGEFILE_H

#include "systracker/tracker/deb.h"

/* A package file as it says, by dpkg-deb(1) of the running system or by librpm (systracker-rpm). */
struct st_packagefile {
  struct st_package is; /* digest and size are not set */
  char *header;         /* .rpm: SHA-256 of its header, hexadecimal; else NULL */
};
void st_packagefile_clear(struct st_packagefile *p);
#define ST_AUTO_PACKAGEFILE ST_CLEANUP(st_packagefile_clear) struct st_packagefile

/* Reads it; `name` is the file's, for messages.  With `prove` an .rpm is read to its end and proved
 * by the digests in it; a .deb has none.  The descriptor's offset is moved. */
int st_packagefile_read(struct st_packagefile *ret, int fd, const char *name, bool prove,
                        struct st_error *err);

#endif
