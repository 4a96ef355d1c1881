/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packagefiles.h - kept package files, from one store's packages/ to another's. */
#ifndef ARCHIVE_SYNC_PACKAGEFILES_H
#define ARCHIVE_SYNC_PACKAGEFILES_H

#include "systracker/catalog/catalog.h"
#include "systracker/store/packages.h"

/* Takes one along, its content proved on the way; 1: taken, 0: it was there. */
int st_package_copy(struct st_packages *to, const struct st_packages *from,
                    const struct st_package *package, struct st_error *err);

/* The kept file of a package that a row of an ST_TABLE_PACKAGES table names, or NULL. */
const struct st_package *st_package_of_row(const struct st_packages *from,
                                           const struct st_catalog_table *table,
                                           const struct st_value *row);

#endif
