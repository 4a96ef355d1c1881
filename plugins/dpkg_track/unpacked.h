/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unpacked.h - what package files hold, in memory; several are read ahead by threads of their own,
 * as decompressing them is most of what a first checkpoint with package files takes.
 */
#ifndef ST_DPKG_TRACK_UNPACKED_H
#define ST_DPKG_TRACK_UNPACKED_H

#include "plugins/dpkg_track/debfile.h"

struct unpacked {
  char *md5sums;              /* as in the control data, a NUL behind it; NULL: there are none */
  struct deb_entry **entries; /* in the order of the package */
  size_t count;
  bool damaged; /* it could not be read whole */
};

/* Reads the package from where the descriptor stands.  NULL: out of memory. */
struct unpacked *unpacked_read(int fd);
void unpacked_free(struct unpacked *u);

#define MOST_AHEAD 4 /* package files */

/* Files being read ahead, each known by a number. */
struct readahead;

/* NULL: no threads are to be had. */
struct readahead *readahead_new(void);
/* Gives up what is being read. */
void readahead_free(struct readahead *r);
/* Whether that one was begun, and whether one more may be. */
bool readahead_has(struct readahead *r, size_t number);
bool readahead_has_room(struct readahead *r);
/* Begins to read where the descriptor stands; it is closed in any case. */
void readahead_begin(struct readahead *r, size_t number, int fd);
/* Waits for that one, which is the caller's then; NULL: it was not begun, or out of memory. */
struct unpacked *readahead_take(struct readahead *r, size_t number);
/* Gives up those that come before it: nobody will ask for them. */
void readahead_drop_before(struct readahead *r, size_t number);

#endif
