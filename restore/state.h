/* SPDX-License-Identifier: GPL-2.0-or-later */
/* state.h - the state of one path: what a restore starts from, and what it brings about. */
#ifndef ST_RESTORE_STATE_H
#define ST_RESTORE_STATE_H

#include "systracker/base/buffer.h"
#include "systracker/base/cbor.h"
#include "systracker/base/digest.h"
#include "systracker/base/meta.h"

/* Which members of a state are known; what is not is left as it is. */
enum st_state_known {
  ST_KNOWN_MODE = 1,
  ST_KNOWN_OWNER = 2, /* uid; `owner` where it has a name */
  ST_KNOWN_GROUP = 4,
  ST_KNOWN_TIME = 8, /* of directories only where they are made anew */
  ST_KNOWN_DIGEST = 16,
  ST_KNOWN_XATTRS = 32,
  ST_KNOWN_FLAGS = 64,
  ST_KNOWN_LINKS = 128,
  ST_KNOWN_HOLES = 256,
  /* Of the attributes, only those that packages declare: whether there is a SELinux label or an IMA
   * signature that the list does not name is not known. */
  ST_KNOWN_NO_POLICY = 512,
};
#define ST_KNOWN_ALL 1023

struct st_state {
  char type;       /* as find's %y; 0: nothing is there */
  bool kept;       /* the content is named as an object of the store */
  bool in_package; /* along with it: it is in a kept package file alone (frompackages.h) */
  bool locked;     /* a secret of another host, whose key we do not have */
  unsigned known;  /* enum st_state_known */
  uint32_t mode, uid, gid;
  uint32_t flags; /* base/flags.h */
  uint32_t mtime_nsec;
  struct st_id digest; /* of a regular file's content */
  int64_t mtime;
  uint64_t size; /* bytes, of regular files */
  uint64_t rdev;
  char *owner, *group; /* NULL: no name */
  char *target;        /* of a symlink */
  char *xattrs;        /* base/xattr.h; NULL: none */
  size_t xattrs_length;
  char *holes; /* base/holes.h; NULL: none */
  size_t holes_length;
  char *links;            /* the group of hard links, by its first path; NULL: it is alone */
  uint64_t links_outside; /* links that are not tracked */
  /* Of a target: it is put back as another link to what is at this path; NULL: by itself. */
  char *linked_to;
};

void st_state_clear(struct st_state *s);
void st_state_copy(struct st_state *to, const struct st_state *from);
/* From what statx(2) said; names and the target of a symlink are not filled. */
void st_state_from_meta(struct st_state *s, const struct st_meta *meta);
/* Sets the bytes (copied), and that they are known. */
void st_state_set_xattrs(struct st_state *s, const void *list, size_t length);
void st_state_set_holes(struct st_state *s, const void *holes, size_t length);

/* In what two states differ; what either does not know does not differ. */
enum st_state_difference {
  ST_DIFFERS_TYPE = 1, /* one of them absent included; then nothing else is said */
  ST_DIFFERS_CONTENT = 2,
  ST_DIFFERS_TARGET = 4,
  ST_DIFFERS_DEVICE = 8,
  ST_DIFFERS_MODE = 16,
  ST_DIFFERS_OWNER = 32,
  ST_DIFFERS_GROUP = 64,
  ST_DIFFERS_TIME = 128,
  ST_DIFFERS_XATTRS = 256,
  ST_DIFFERS_FLAGS = 512,
  ST_DIFFERS_LINKS = 1024,
  ST_DIFFERS_HOLES = 2048,
};
/* What an entry is, apart from what is said of it. */
#define ST_DIFFERS_CONTENTS                                                                        \
  (ST_DIFFERS_TYPE | ST_DIFFERS_CONTENT | ST_DIFFERS_TARGET | ST_DIFFERS_DEVICE)
/* What only a new entry in the place of the old one can bring about. */
#define ST_DIFFERS_SUBSTANCE (ST_DIFFERS_CONTENTS | ST_DIFFERS_LINKS | ST_DIFFERS_HOLES)

unsigned st_state_differences(const struct st_state *a, const struct st_state *b);

/* Whether a regular file is as it was put, but for its content, which the disk may not have kept:
 * who edits it changes the time, too. */
bool st_state_is_torn(const struct st_state *put, const struct st_state *live);

/* As CBOR (doc/formats): null for nothing, else an array; a shorter one, of version 2 of the
 * journal, is read too. */
void st_state_encode(struct st_buffer *out, const struct st_state *s);
int st_state_decode(struct st_cbor *in, struct st_state *ret, struct st_error *err);

#endif
