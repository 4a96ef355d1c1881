/* SPDX-License-Identifier: GPL-2.0-or-later */
/* entries.h - the columns that standard_track and checksum_track keep of a path, for those, and for
 * plug-ins whose packages expect them.  Only ever appended. */
#ifndef ST_PLUGINS_ENTRIES_H
#define ST_PLUGINS_ENTRIES_H

#define ENTRY_TABLE "standard_track_entry"
#define FILE_TABLE "checksum_track_file"

enum entry_column {
  PATH,
  TYPE,
  MODE,
  UID,
  GID,
  OWNER,
  GROUP,
  MTIME,
  MTIME_NSEC,
  RDEV,
  TARGET,
  LINK_GROUP,
  LINKS_OUTSIDE,
  FLAGS,
  XATTRS,
  HOLES,
  ENTRY_COLUMNS
};

enum file_column { FILE_PATH, DIGEST, SIZE, FILE_COLUMNS };

#endif
