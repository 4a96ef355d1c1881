/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/packagefiles.h"

#include <string.h>

#include "systracker/base/buffer.h"
#include "systracker/base/escape.h"

static bool same(const struct st_package *a, const struct st_package *b)
{
  return memcmp(a->digest, b->digest, sizeof(a->digest)) == 0 && strcmp(a->name, b->name) == 0 &&
         strcmp(a->version, b->version) == 0 && strcmp(a->architecture, b->architecture) == 0;
}

/* Order by what st_packages_at is ordered by. */
static int compare(const struct st_package *a, const struct st_package *b)
{
  int r = strcmp(a->name, b->name);
  if (r == 0)
    r = strcmp(a->version, b->version);
  if (r == 0)
    r = strcmp(a->architecture, b->architecture);
  return r ? r : memcmp(a->digest, b->digest, sizeof(a->digest));
}

static bool has(const struct st_packages *p, const struct st_package *package)
{
  size_t low = 0, high = 1;
  while (st_packages_at(p, high - 1))
    high *= 2;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const struct st_package *at = st_packages_at(p, middle);
    int order = at ? compare(package, at) : -1;
    if (order == 0)
      return same(package, at);
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return false;
}

/* The file is read once more than it had to be: what is damaged here must not be named there by
 * whatever it has become. */
static int prove(int fd, const struct st_package *package, struct st_error *err)
{
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  ST_AUTO_FREE char *piece = st_malloc(1 << 16);
  uint8_t digest[ST_DIGEST_SIZE];
  ssize_t n;
  while ((n = read(fd, piece, 1 << 16)) > 0)
    st_digester_add(d, piece, (size_t)n);
  if (n < 0 || lseek(fd, 0, SEEK_SET) < 0)
    return st_fail(err, errno, "cannot read the file of package %s", st_quote(package->name));
  st_digester_final(d, digest);
  if (memcmp(digest, package->digest, sizeof(digest)) != 0)
    return st_fail(err, 0, "the kept file of package %s %s is damaged", st_quote(package->name),
                   st_quote(package->version));
  return 0;
}

int st_package_copy(struct st_packages *to, const struct st_packages *from,
                    const struct st_package *package, struct st_error *err)
{
  if (has(to, package))
    return 0;
  ST_AUTO_CLOSE int fd = st_packages_read(from, package, err);
  if (fd < 0 || prove(fd, package, err) < 0)
    return -1;
  int r = st_packages_keep(to, fd, package, 0, err);
  return r < 0 ? -1 : r == 0;
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
