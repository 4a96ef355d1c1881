/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/installed.h"

#include <string.h>

struct gather {
  const struct st_packages *packages;
  struct st_installed_list *list;
};

void st_installed_clear(struct st_installed_list *list)
{
  for (size_t i = 0; i < list->count; i++) {
    free(list->items[i].name);
    free(list->items[i].version);
    free(list->items[i].architecture);
    free(list->items[i].header);
  }
  free(list->items);
  *list = (struct st_installed_list){0};
}

static const char *without_zero_epoch(const char *version)
{
  return strncmp(version, "0:", 2) == 0 ? version + 2 : version;
}

bool st_installed_is(const struct st_installed *p, const struct st_package *package)
{
  return !strcmp(p->name, package->name) && !strcmp(p->architecture, package->architecture) &&
         !strcmp(without_zero_epoch(p->version), without_zero_epoch(package->version));
}

/* The text of that column, malloc'ed; NULL where there is none. */
static char *text_of(const struct st_fact_row *fact, const char *column)
{
  const struct st_table *d = &fact->table->declaration;
  for (size_t i = 0; i < d->ncolumns; i++)
    if (strcmp(d->columns[i].name, column) == 0 && fact->values[i].type == ST_TEXT)
      return st_memdup(fact->values[i].u.bytes.data, fact->values[i].u.bytes.length);
  return NULL;
}

/* dpkg's "want eflag status". */
static bool is_removed(const char *state)
{
  const char *status = state ? strrchr(state, ' ') : NULL;
  return status && (!strcmp(status, " config-files") || !strcmp(status, " not-installed"));
}

void st_installed_add(struct st_installed_list *l, const struct st_packages *packages,
                      const struct st_fact_row *fact)
{
  ST_AUTO_FREE char *state = text_of(fact, "state");
  ST_AUTO_FREE char *name = text_of(fact, "name");
  ST_AUTO_FREE char *version = text_of(fact, "version");
  ST_AUTO_FREE char *architecture = text_of(fact, "architecture");
  if (is_removed(state) || !name || !version || !architecture || !*architecture)
    return;
  if ((l->count & (l->count - 1)) == 0) /* a power of 2: full */
    l->items = st_realloc(l->items, l->count ? 2 * l->count : 1, sizeof(*l->items));
  struct st_installed *p = &l->items[l->count++];
  *p = (struct st_installed){
      .kept = st_packages_find(packages, name, version, architecture),
      .repacked = st_packages_find_repacked(packages, name, version, architecture),
      .rpm = strcmp(fact->table->plugin, "rpm_track") == 0,
  };
  p->header = p->rpm ? text_of(fact, "digest") : NULL;
  p->name = st_steal(&name);
  p->version = st_steal(&version);
  p->architecture = st_steal(&architecture);
}

static int on_package(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  (void)err;
  const struct gather *g = arg;
  st_installed_add(g->list, g->packages, fact);
  return 0;
}

int st_tracker_installed(struct st_tracker *t, int64_t number, const struct st_packages *packages,
                         struct st_installed_list *ret, struct st_error *err)
{
  struct gather g = {packages, ret};
  const struct st_catalog_table *table;
  *ret = (struct st_installed_list){0};
  for (size_t n = 0; (table = st_catalog_table_at(t->catalog, n)); n++)
    if ((table->declaration.flags & ST_TABLE_PACKAGES) &&
        st_catalog_each(t->catalog, number, table, NULL, on_package, &g, err) < 0) {
      st_installed_clear(ret);
      return -1;
    }
  return 0;
}
