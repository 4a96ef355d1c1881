/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xattr.h - extended attributes of every namespace, ACLs among them, as one list of bytes.
 *
 * The list is canonical: records sorted by name, each
 *   name length u8, kind u8, value length u32, name, value        (little-endian)
 * An empty list: there are none.  Of an ACL (kind ST_XATTR_ACL) the value is a run of entries
 * sorted by tag and id, each tag u8, permissions u8, id u32, name length u8, name of the user or
 * group so that an ACL, like an owner, is known by name and by number.
 *
 * security.evm is left out: the kernel makes it from the inode's own number.
 */
#ifndef ST_BASE_XATTR_H
#define ST_BASE_XATTR_H

#include "systracker/base/accounts.h"
#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

#define ST_XATTRS_MOST ((size_t)4 << 20) /* bytes of one entry's list */

enum st_xattr_kind {
  ST_XATTR_BYTES,  /* the value as it is */
  ST_XATTR_ACL,    /* entries, as above */
  ST_XATTR_SECRET, /* of a secret file: HMAC-SHA-256 of the value, which is not kept */
};

/* Tags of ACL entries, as in the attribute itself (acl(5)). */
enum st_acl_tag {
  ST_ACL_USER_OBJ = 1,
  ST_ACL_USER = 2,
  ST_ACL_GROUP_OBJ = 4,
  ST_ACL_GROUP = 8,
  ST_ACL_MASK = 16,
  ST_ACL_OTHER = 32,
};

struct st_xattr_options {
  const struct st_accounts *accounts; /* names for ACLs; NULL: numbers alone */
  const uint8_t *key; /* of a secret file: values of user.* and trusted.* are not read into it */
};

/* Appends the list of what `name` in `dirfd` has ("": of the descriptor itself, O_PATH or not);
 * never follows a symlink, never opens anything.  A file system that knows no attributes has an
 * empty list.  Returns 0 or -errno; -E2BIG: more than ST_XATTRS_MOST. */
int st_xattrs_read(int dirfd, const char *name, const struct st_xattr_options *options,
                   struct st_buffer *out);

/* One record; borrowed from the list.  `name` is not terminated. */
struct st_xattr {
  const char *name;
  size_t name_length;
  enum st_xattr_kind kind;
  const uint8_t *data;
  size_t length;
};
/* The record at `*position`, which moves behind it: 1 there is one, 0 at the end, -1 it is damaged
 * or not canonical. */
int st_xattr_next(const void *list, size_t length, size_t *position, struct st_xattr *ret);
/* Whether all of it is as st_xattrs_read would write it. */
bool st_xattrs_valid(const void *list, size_t length);

struct st_acl_entry {
  uint8_t tag, permissions;
  uint32_t id;      /* of ST_ACL_USER and ST_ACL_GROUP */
  const char *name; /* not terminated; NULL: none */
  size_t name_length;
};
/* The same for the entries of an ACL's value. */
int st_acl_next(const void *acl, size_t length, size_t *position, struct st_acl_entry *ret);

/* Whether the two say the same; names of accounts aside.  Where one of them holds a secret's value
 * and the other what stands for it, that cannot be told and is no difference.  Unless `all`,
 * neither is it where one alone names SELinux's label or IMA's signature, which policy sets. */
bool st_xattrs_equal(const void *a, size_t a_length, const void *b, size_t b_length, bool all);

/* Appends the list with ACLs' ids looked up by name; `uid` and `gid` say false where there is no
 * such name.  Both NULL: names are dropped, and numbers alone count, or what `change` (may be NULL)
 * makes of them. */
struct st_xattr_names {
  void *arg;
  bool (*uid)(void *arg, const char *name, uint32_t *ret);
  bool (*gid)(void *arg, const char *name, uint32_t *ret);
  uint32_t (*change)(void *arg, bool group, uint32_t id);
};
void st_xattrs_resolve(const void *list, size_t length, const struct st_xattr_names *names,
                       struct st_buffer *out);

/* Makes `fd`'s attributes (O_PATH or not) those of the list; a secret's are taken over from what
 * `from` has, or stay where that is -1.  Unless `all`, SELinux's label and IMA's signature are not
 * removed where the list does not name them; the label is then that of `from`.  `problem` is told
 * what cannot be set or removed, and why.  Whether there was anything to do. */
bool st_xattrs_apply(int fd, int from, const void *list, size_t length, bool all,
                     void (*problem)(void *arg, const char *name, int code), void *arg);

/* From one list to the other in words: "+user.note=text, -security.selinux, acl +user:joe:rw-".
 * Either may be NULL: none is known there, and all of the other is said. */
void st_xattrs_say(struct st_buffer *out, const void *before, size_t before_length,
                   const void *after, size_t after_length);

/* The entries of an ACL's value as setfacl(1) has them: "user::rw-,user:joe:r--,mask::r--". */
void st_acl_say(struct st_buffer *out, const void *acl, size_t length);

#endif
