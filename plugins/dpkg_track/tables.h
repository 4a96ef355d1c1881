/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tables.h - dpkg_track's tables and their columns, which are only ever appended.  SysTracker goes
 * through tables by name: a plan makes the choices of an alternative before it sets its link. */
#ifndef ST_DPKG_TRACK_TABLES_H
#define ST_DPKG_TRACK_TABLES_H

#define PACKAGE "package"
#define CHOICE "alternative_choice"
#define ALTERNATIVE "alternative_link"
#define DIVERSION "diversion"
#define STATOVERRIDE "statoverride"

enum package_column {
  PACKAGE_NAME,
  PACKAGE_ARCHITECTURE,
  PACKAGE_VERSION,
  PACKAGE_STATE,
  PACKAGE_CHANGED,
  PACKAGE_MANIFEST,
  PACKAGE_AUTO,
  PACKAGE_DIVERTED, /* changes with its paths' diversions, so that it gets another manifest */
  PACKAGE_COLUMNS
};

enum choice_column {
  CHOICE_NAME,
  CHOICE_PATH,
  CHOICE_PRIORITY,
  CHOICE_LINK,
  CHOICE_SLAVES,
  CHOICE_COLUMNS
};

enum alternative_column {
  ALTERNATIVE_NAME,
  ALTERNATIVE_LINK,
  ALTERNATIVE_MODE,
  ALTERNATIVE_VALUE,
  ALTERNATIVE_COLUMNS
};

enum diversion_column { DIVERSION_PATH, DIVERSION_TO, DIVERSION_PACKAGE, DIVERSION_COLUMNS };

enum statoverride_column {
  STATOVERRIDE_PATH,
  STATOVERRIDE_OWNER,
  STATOVERRIDE_GROUP,
  STATOVERRIDE_MODE,
  STATOVERRIDE_COLUMNS
};

#endif
