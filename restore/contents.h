/* SPDX-License-Identifier: GPL-2.0-or-later */
/* contents.h - the contents that many files are to have: each once, in the order in which they are
 * read best, and cut into shares of work for threads. */
#ifndef ST_RESTORE_CONTENTS_H
#define ST_RESTORE_CONTENTS_H

#include "restore/places.h"

struct st_content_item {
  struct st_location at;
  uint32_t file; /* the first that has it */
};

/* Indexes from `from` up to `to`, which is not among them. */
struct st_share {
  size_t from, to;
  bool large; /* of about one length, and too much to be held in memory at once */
};

struct st_contents {
  struct st_content_item *items; /* large ones first, then as they lie in the store */
  size_t count;
  uint32_t *next; /* of each file: another one with the same content, ST_CONTENTS_END: none */
  struct st_share *shares;
  size_t nshares;
};
#define ST_CONTENTS_END UINT32_MAX
#define ST_AUTO_CONTENTS ST_CLEANUP(st_contents_clear) struct st_contents
void st_contents_clear(struct st_contents *c);

/* `id` says which content each of the files has, NULL: none that counts.  A content that is not in
 * the store is among them.  False: one was not looked up. */
struct st_contents_of {
  const struct st_places *places; /* that have been found */
  size_t files;
  const struct st_id *(*id)(void *arg, size_t file);
  void *arg;
};
bool st_contents_find(struct st_contents *ret, const struct st_contents_of *of);

#endif
