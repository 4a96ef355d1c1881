/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unread.h - bytes of answers that are made and not read yet, so that clients which do not read can
 * use up neither memory nor disk: whoever has too many gets no further request of some length done.
 * Who reads nothing at all is ended after --timeout seconds (MHD_OPTION_CONNECTION_TIMEOUT), and
 * what was made goes; so hosts that together have all of it keep others out for that long, if they
 * do not come again: who is let in is whom the archive's administrator lets in.
 */
#ifndef ARCHIVE_SYNC_SERVE_UNREAD_H
#define ARCHIVE_SYNC_SERVE_UNREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "systracker/base/cleanup.h"

#define ST_UNREAD_SMALL ((uint64_t)64 << 10) /* an answer up to this many bytes is not counted */
#define ST_UNREAD_NAME 80                    /* of whom a name says, with the NUL */

enum st_unread_room {
  ST_UNREAD_ROOM,
  ST_UNREAD_EACH, /* of this name too many */
  ST_UNREAD_ALL,  /* of all together */
};

struct st_unread;

/* Bytes at which no more is begun, for each name and in all; of all, those that lie in memory. */
struct st_unread *st_unread_new(uint64_t each, uint64_t all, uint64_t memory);
void st_unread_free(struct st_unread *u);
ST_DEFINE_CLEANUP(struct st_unread *, st_unread_free)

/* Whether another answer may be made for this name.  What runs meanwhile may go beyond.  `brief`:
 * it is short whatever is asked, so that it is made although others do not read theirs. */
enum st_unread_room st_unread_look(struct st_unread *u, const char *name, bool brief);
/* An answer of `bytes`, which lies in memory or in a file.  Adding what would be more in memory
 * than there may be does nothing and is false. */
bool st_unread_add(struct st_unread *u, const char *name, uint64_t bytes, bool memory);
/* It was read, or its connection ended. */
void st_unread_end(struct st_unread *u, const char *name, uint64_t bytes, bool memory);

#endif
