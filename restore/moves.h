/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * moves.h - the inodes that are moved along with an account's id: of each path who it belongs to
 * before and after.
 *
 * Written down before the first of them is changed.  As both are absolute, a list that was carried
 * out in part is gone on with, and gone back on, by looking at each inode: also where accounts have
 * changed their ids with each other, and the ids alone would not tell.
 */
#ifndef ST_RESTORE_MOVES_H
#define ST_RESTORE_MOVES_H

#include <sys/types.h>

#include "restore/accounts.h"

/* Extended attributes that name ids, or that chown(2) drops. */
enum st_move_attribute {
  ST_MOVE_ACL,
  ST_MOVE_DEFAULT_ACL,
  ST_MOVE_CAPABILITY,
  ST_MOVE_NATTRIBUTES,
};
const char *st_move_attribute_name(enum st_move_attribute attribute);

struct st_move_value {
  uint8_t *before, *after; /* of the same length; NULL: it has none */
  size_t length;
};

#define ST_MOVE_LOST 06000U /* bits of the mode that chown(2) drops */

struct st_move {
  char *path;
  char type;     /* as find's %y */
  uint32_t mode; /* 12 bits; chown(2) drops two of them */
  bool immutable, append;
  uint32_t uid_before, gid_before, uid, gid;
  struct st_move_value values[ST_MOVE_NATTRIBUTES];
};

struct st_moves {
  struct st_id_changes changes;
  /* By path.  Those that have an id already that others move to are among them, and stay. */
  struct st_move *items;
  size_t count, size;
  struct st_strings left; /* what was not looked at, in words; not written down */
};
void st_moves_free(struct st_moves *m);
void st_move_clear(struct st_move *m);
bool st_move_stays(const struct st_move *m);
/* Adds one; the path is copied, the rest is the caller's to fill. */
struct st_move *st_moves_add(struct st_moves *m, const char *path);
void st_moves_sort(struct st_moves *m);
const struct st_move *st_moves_find(const struct st_moves *m, const char *path);
/* Takes the path off the list: somebody else sees to it. */
void st_moves_drop(struct st_moves *m, const char *path);
/* How many do not stay. */
size_t st_moves_count(const struct st_moves *m);

/* The ids that an entry of this owner has when the list was carried out; or had before it. */
void st_moves_translate(const struct st_moves *m, const char *path, uint32_t *uid, uint32_t *gid);
void st_moves_translate_back(const struct st_moves *m, const char *path, uint32_t *uid,
                             uint32_t *gid);

/* An ACL as the kernel hands it out (linux/posix_acl_xattr.h) with its ids changed: malloc'ed, of
 * the same length; NULL where none of them moves, or it is no ACL that we know. */
uint8_t *st_moves_acl(const struct st_id_changes *changes, const uint8_t *acl, size_t length);

/* Whether it names an id that moves, or that others move to. */
bool st_moves_acl_names(const struct st_id_changes *changes, const uint8_t *acl, size_t length);

/* A part of the file `request` of a journal (doc/formats). */
void st_moves_encode(struct st_buffer *out, const struct st_moves *m);
struct st_cbor;
int st_moves_decode(struct st_cbor *in, struct st_moves *ret, struct st_error *err);

#endif
