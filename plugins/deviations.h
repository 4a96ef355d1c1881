/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * deviations.h - regular files whose content is not what a package expects there: it cannot be had
 * from a package file, so it is kept.  One table of each plug-in that tracks packages.
 *
 * What is expected is SysTracker's to know, from the manifests of all package managers.
 */
#ifndef ST_PLUGINS_DEVIATIONS_H
#define ST_PLUGINS_DEVIATIONS_H

#include "plugins/values.h"

#define DEVIATION "deviation"

/* Only ever appended. */
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

static const struct st_column deviation_columns[DEVIATION_COLUMNS] = {
    [DEVIATION_PATH] = {"path", ST_PATH, ST_KEY},
    [DEVIATION_WHY] = {"why", ST_TEXT, 0},
    [DEVIATION_OBJECT] = {"object", ST_ID, ST_OBJECT},
    [DEVIATION_KEPT] = {"kept", ST_TEXT, 0},
};

/* `want` of plugin.h; `max_size`: bytes, of larger files the content is not kept. */
static inline unsigned deviation_want(const struct st_entry *e, uint64_t max_size)
{
  if (e->type != 'f')
    return ST_WANT_ENTRY;
  return ST_WANT_ENTRY | (e->size > max_size ? ST_WANT_DIGEST : ST_WANT_UNEXPECTED);
}

/* `entry` of plugin.h.  Of a file that could not be read nothing is said; SysTracker lets its fact
 * stand. */
static inline int deviation_put(const struct st_entry *e, uint64_t max_size, struct st_facts *out,
                                struct st_error *err)
{
  bool large = e->size > max_size, kept = e->has_object && !large;
  if (e->type != 'f' || e->unreadable || !e->has_digest || e->as_expected || (!kept && !large))
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

/* A change of the table, in words.  Size and digest are told by checksum_track, lines by the
 * difference itself. */
static inline void deviation_explain(const struct st_change *c, struct st_text *out)
{
  bool large = !value_after(c, DEVIATION_OBJECT);
  if (c->before && c->after && !value_differs(c, DEVIATION_WHY)) {
    if (value_differs(c, DEVIATION_KEPT))
      st_say(out, large ? "too large to be kept any more" : "kept now");
    else if (value_differs(c, DEVIATION_OBJECT))
      st_say(out, "content changed");
    return;
  }
  if (!c->after) {
    st_say(out, "as packaged, and no longer kept");
    return;
  }
  st_say(out, large ? "too large to be kept, being " : "kept, being ");
  say_value(out, value_after(c, DEVIATION_WHY));
}

#endif
