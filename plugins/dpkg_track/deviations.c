/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/deviations.h"

#include "plugins/dpkg_track/database.h"
#include "plugins/dpkg_track/tables.h"

/* Where dpkg has nothing, nothing deviates from it. */
unsigned dpkg_want(void *self, const struct st_entry *e)
{
  const struct dpkg_track *d = self;
  if (e->type != 'f' || !d->any)
    return ST_WANT_ENTRY;
  return ST_WANT_ENTRY | (e->size > d->max_size ? ST_WANT_DIGEST : ST_WANT_UNEXPECTED);
}

/* Of a file that could not be read nothing is said; SysTracker lets its fact stand. */
int dpkg_entry(void *self, const struct st_entry *e, struct st_facts *out, struct st_error *err)
{
  const struct dpkg_track *d = self;
  bool large = e->size > d->max_size, kept = e->has_object && !large;
  if (e->type != 'f' || !d->any || e->unreadable || !e->has_digest || e->as_expected ||
      (!kept && !large))
    return 0;
  struct st_value row[DEVIATION_COLUMNS] = {
      [DEVIATION_PATH] = st_path_value(e->path),
      [DEVIATION_WHY] = st_text_value(e->owned ? DEVIATION_CHANGED : DEVIATION_UNOWNED),
      [DEVIATION_KEPT] = st_text_value(kept ? DEVIATION_IS_KEPT : DEVIATION_TOO_LARGE),
  };
  if (kept)
    row[DEVIATION_OBJECT] = st_id_value(&e->digest);
  return st_fact(out, DEVIATION, row, DEVIATION_COLUMNS, err);
}
