/* SPDX-License-Identifier: GPL-2.0-or-later */
/* readonly.h - SQLite that cannot write.
 *
 * rpm's database has a write-ahead log, and even who opens it for reading makes files beside it,
 * or fails where that cannot be.  With this, SQLite opens every file for reading only, keeps the
 * log's index in its own memory, and takes no locks: who reads has to look afterwards whether
 * anybody wrote meanwhile (rpm_database_identity). */
#ifndef ST_RPM_READONLY_H
#define ST_RPM_READONLY_H

#include "systracker/base/error.h"

/* For every database that this process opens from now on. */
int rpm_readonly_sqlite(struct st_error *err);

#endif
