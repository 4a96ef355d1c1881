/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tables.h - rpm_track's tables and their columns, which are only ever appended. */
#ifndef ST_RPM_TRACK_TABLES_H
#define ST_RPM_TRACK_TABLES_H

#define PACKAGE "package"

enum package_column {
  PACKAGE_NAME,
  PACKAGE_ARCHITECTURE,
  PACKAGE_INSTANCE, /* which of several versions; "": there is but one */
  PACKAGE_VERSION,
  PACKAGE_STATE,
  PACKAGE_VENDOR,
  PACKAGE_INSTALLED,
  PACKAGE_TRANSACTION,
  PACKAGE_DIGEST,
  PACKAGE_MANIFEST,
  PACKAGE_KEY,
  PACKAGE_FLAGS, /* of files that have any, as rpm/list.h has them */
  PACKAGE_COLUMNS
};

#endif
