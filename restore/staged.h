/* SPDX-License-Identifier: GPL-2.0-or-later */
/* staged.h - the trees that a restore has made ready beside their places, and the note of them in
 * STORE/journal/staged, by which those are found that a kill left. */
#ifndef ST_RESTORE_STAGED_H
#define ST_RESTORE_STAGED_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

/* One tree: a directory of our own. */
struct st_staged {
  char *path;     /* where it is made ready, below the root */
  uint64_t inode; /* 0: not made yet; then nothing is in it */
  /* Of the directory that it lies in: its mtime before, and when the tree had been made there. */
  int64_t before, ours; /* seconds */
  uint32_t before_nsec, ours_nsec;
};
struct st_staged_list {
  struct st_staged *items;
  size_t count;
};
#define ST_AUTO_STAGED_LIST ST_CLEANUP(st_staged_list_free) struct st_staged_list
void st_staged_list_free(struct st_staged_list *l);

/* Fills in how the directory is that it lies in; then makes it, 0700.  Each returns 0 or -errno. */
int st_staged_look(int root, struct st_staged *s);
int st_staged_make(int root, struct st_staged *s);
/* Removes it with all that is in it, following no symlink and crossing no mount, if it is still the
 * directory that was made; the one that it lies in gets its mtime back unless somebody else has
 * changed it. */
void st_staged_remove(int root, const struct st_staged *s);

/* The note, durable when this returns; and its end. */
int st_staged_note(int store_dir, const struct st_staged_list *l, struct st_error *err);
void st_staged_forget(int store_dir);
/* A note that is damaged, or missing, names nothing. */
void st_staged_read(int store_dir, struct st_staged_list *ret);

/* As bytes, for a test: doc/formats. */
void st_staged_encode(struct st_buffer *out, const struct st_staged_list *l);
int st_staged_decode(const void *data, size_t length, struct st_staged_list *ret,
                     struct st_error *err);

#endif
