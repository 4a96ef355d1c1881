/* SPDX-License-Identifier: GPL-2.0-or-later */
/* list.h - the fields that `systracker-rpm list` prints, and rpm_track reads.
 *
 *   LIST_MAGIC, LIST_VERSION, the cookie ("": there is none)
 *   of each package: "package", then PACKAGE_FIELDS, then of each file FILE_FIELDS
 *   of each thing that was left out: "note" and the words
 *   "end"
 *
 * Numbers are decimal, modes octal, bytes hexadecimal; "" where there is nothing. */
#ifndef ST_RPM_LIST_H
#define ST_RPM_LIST_H

#define LIST_MAGIC "systracker-rpm-list"
#define LIST_VERSION "1"
#define LIST_PACKAGE "package"
#define LIST_NOTE "note"
#define LIST_END "end"

enum package_field {
  FIELD_NAME,
  FIELD_ARCHITECTURE, /* "": none, as of gpg-pubkey */
  FIELD_VERSION,      /* [EPOCH:]VERSION-RELEASE */
  FIELD_VENDOR,
  FIELD_INSTALLED,   /* seconds since 1970 */
  FIELD_TRANSACTION, /* the transaction's id, which is its time */
  FIELD_DIGEST,      /* of the header, RPMTAG_SHA256HEADER; hexadecimal */
  FIELD_KEY,         /* of gpg-pubkey: the public key, in armour */
  FIELD_FLAGS,       /* of files that have any: the letters of rpm -qV, a space, the path escaped,
                      * a newline; c %config, m missingok, n noreplace, g %ghost */
  FIELD_SEVERAL,     /* "1": it is installed beside its other versions, never over them */
  FIELD_FILES,       /* how many follow */
  PACKAGE_FIELDS
};

/* Of what is expected to be there: no %ghost, nothing that was not installed. */
enum file_field {
  FIELD_PATH, /* as the root's directories resolve it */
  FIELD_TYPE, /* find's %y */
  FIELD_MODE, /* 07777 */
  FIELD_UID,
  FIELD_GID,
  FIELD_OWNER,
  FIELD_GROUP,
  FIELD_MTIME, /* "": of a directory */
  FIELD_SIZE,  /* "": of what is no regular file */
  FIELD_RDEV,
  FIELD_TARGET,
  FIELD_LINK_GROUP, /* the first path of its hard links */
  FIELD_XATTRS,     /* as struct st_entry has them */
  FIELD_SHA256,     /* "": the package has another digest, or none */
  FIELD_OTHER,      /* that other digest: its number in OpenPGP (RFC 4880, 9.4), ":", the digest */
  FILE_FIELDS
};

#endif
