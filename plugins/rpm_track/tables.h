/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tables.h - rpm_track's tables and their columns, which are only ever appended. */
#ifndef ST_RPM_TRACK_TABLES_H
#define ST_RPM_TRACK_TABLES_H

#define PACKAGE "package"
#define DEVIATION "deviation"

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

/* As dpkg_track has it. */
enum deviation_column {
  DEVIATION_PATH,
  DEVIATION_WHY,
  DEVIATION_OBJECT,
  DEVIATION_KEPT, /* an object that is not there says "not captured", which is no change */
  DEVIATION_COLUMNS
};
#define DEVIATION_UNOWNED "no package's"
#define DEVIATION_CHANGED "not as packaged"
#define DEVIATION_IS_KEPT "kept"
#define DEVIATION_TOO_LARGE "too large"

#endif
