/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/packagefiles.h"

#include <string.h>

#include "systracker/base/buffer.h"
#include "systracker/base/escape.h"

int st_package_copy(struct st_packages *to, const struct st_packages *from,
                    const struct st_package *package, struct st_error *err)
{
  if (st_packages_has(to, package))
    return 0;
  ST_AUTO_CLOSE int fd = st_packages_read(from, package, err);
  if (fd < 0)
    return -1;
  int r = st_packages_receive(to, fd, package, 0, err);
  if (r < 0)
    return st_wrap(err, "the kept file of package %s %s", st_quote(package->name),
                   st_quote(package->version));
  return r == 0;
}

static char *column_text(const struct st_catalog_table *table, const struct st_value *row,
                         const char *name)
{
  for (size_t i = 0; i < table->declaration.ncolumns; i++)
    if (strcmp(table->declaration.columns[i].name, name) == 0 && row[i].type == ST_TEXT)
      return st_memdup(row[i].u.bytes.data, row[i].u.bytes.length);
  return NULL;
}

const struct st_package *st_package_of_row(const struct st_packages *from,
                                           const struct st_catalog_table *table,
                                           const struct st_value *row)
{
  if (!(table->declaration.flags & ST_TABLE_PACKAGES))
    return NULL;
  ST_AUTO_FREE char *name = column_text(table, row, "name");
  ST_AUTO_FREE char *version = column_text(table, row, "version");
  ST_AUTO_FREE char *architecture = column_text(table, row, "architecture");
  return name && version && architecture ? st_packages_find(from, name, version, architecture)
                                         : NULL;
}
