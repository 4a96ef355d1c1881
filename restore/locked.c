/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/locked.h"

#include <string.h>

#include "restore/manager.h"
#include "systracker/base/escape.h"
#include "systracker/base/flags.h"
#include "systracker/tracker/packaged.h"

#define ENTRIES "standard_track_entry"

/* Paths of rows that are locked; or at `top`, and right below it. */
struct paths {
  struct st_strings found;
  size_t flags;    /* the column */
  const char *top; /* NULL: wherever they are */
};

static bool is_locked(const struct paths *p, const struct st_fact_row *row)
{
  const struct st_value *v = &row->values[p->flags];
  return v->type == ST_INTEGER && (v->u.integer & ST_FLAGS_LOCK);
}

static bool is_right_below(const char *path, const char *top)
{
  const char *rest = path + strlen(top);
  return *rest == 0 || !strchr(rest + 1, '/');
}

static int take_path(void *arg, const struct st_fact_row *row, struct st_error *err)
{
  (void)err;
  struct paths *p = arg;
  const struct st_value *key = &row->values[0];
  ST_AUTO_FREE char *path = st_memdup(key->u.bytes.data, key->u.bytes.length);
  if (row->present && (p->top ? is_right_below(path, p->top) : is_locked(p, row)))
    st_strings_take(&p->found, st_steal(&path));
  return 0;
}

static const struct st_package_step *step_of(struct st_tracker *t, int64_t number, const char *path,
                                             const struct st_package_steps *steps)
{
  ST_AUTO_PACKAGED p = {0};
  if (st_packaged_find(t, number, path, &p, NULL) <= 0)
    return NULL;
  for (size_t i = 0; i < steps->count; i++) {
    const struct st_package_step *s = &steps->items[i];
    if (st_package_step_counts(s) && strcmp(s->name, p.name) == 0 &&
        strcmp(s->architecture, p.architecture) == 0)
      return s;
  }
  return NULL;
}

static void refuse(const struct st_package_step *s, const char *path, struct st_strings *refusals)
{
  ST_AUTO_FREE char *why =
      st_format("%s is immutable or append-only, which %s does not change: `chattr -ia` first; the "
                "restore puts back what the checkpoint has; " ST_PACKAGES_ELSE,
                st_quote(path), st_package_manager_name(s->manager));
  st_package_refuse(refusals, s, why);
}

/* One reason for each locked path is enough. */
static int check_path(struct st_tracker *t, const struct st_catalog_table *table,
                      const int64_t numbers[2], const char *path,
                      const struct st_package_steps *steps, struct st_strings *refusals,
                      struct st_error *err)
{
  for (size_t n = 0; n < 2; n++) {
    struct paths below = {.top = path};
    int r = st_catalog_each(t->catalog, numbers[n], table, path, take_path, &below, err);
    const struct st_package_step *s = NULL;
    for (size_t i = 0; r == 0 && !s && i < below.found.count; i++)
      s = step_of(t, numbers[n], below.found.items[i], steps);
    st_strings_free(&below.found);
    if (r < 0)
      return -1;
    if (s) {
      refuse(s, path, refusals);
      return 0;
    }
  }
  return 0;
}

int st_locked_find(struct st_tracker *t, int64_t checkpoint, const struct st_package_steps *steps,
                   struct st_strings *refusals, struct st_error *err)
{
  const struct st_catalog_table *table = st_catalog_table(t->catalog, ENTRIES);
  const int64_t numbers[] = {ST_LIVE, checkpoint};
  struct paths locked = {0};
  if (!table)
    return 0;
  const struct st_table *d = &table->declaration;
  while (locked.flags < d->ncolumns && strcmp(d->columns[locked.flags].name, "flags") != 0)
    locked.flags++;
  if (locked.flags == d->ncolumns)
    return 0;
  int r = st_catalog_each_stored(t->catalog, ST_LIVE, table, take_path, &locked, err);
  for (size_t i = 0; r == 0 && i < locked.found.count; i++)
    r = check_path(t, table, numbers, locked.found.items[i], steps, refusals, err);
  st_strings_free(&locked.found);
  return r;
}
