/* SPDX-License-Identifier: GPL-2.0-or-later */
/* render-internal.h - what the parts of rendering share. */
#ifndef ST_TRACKER_RENDER_INTERNAL_H
#define ST_TRACKER_RENDER_INTERNAL_H

#include "systracker/tracker/packaged.h"
#include "systracker/tracker/render.h"

/* Texts longer than this are not compared line by line. */
#define ST_PATCH_MAX ((size_t)8 << 20)

/* A change that outlives the call that told of it. */
struct st_held_change {
  struct st_change change; /* points into what follows */
  char *table;
  struct st_value *rows[2];
};

void st_held_change_set(struct st_held_change *held, const struct st_change *change);
void st_held_change_clear(struct st_held_change *held);

static inline bool st_change_is_entry(const struct st_change *change)
{
  return change->declaration->flags & ST_TABLE_ENTRY;
}

/* The row that there is: after, else before. */
static inline const struct st_value *st_change_row(const struct st_change *change)
{
  return change->after ? change->after : change->before;
}

/* Whether a column's value is another than before (it always is when one side has no row), by the
 * rule that ST_NULL is never a difference. */
bool st_column_differs(const struct st_change *change, size_t column);
/* The key's columns with a space between, escaped. */
void st_render_key(const struct st_change *change, struct st_buffer *out);

bool st_table_has_ids(const struct st_table *d);

/* What differs of one path, or of one key of another table: render-group.c. */
struct st_group {
  struct st_held_change *items;
  size_t count, size;
  bool entry;
  char *path; /* of an entry */
  /* Set by st_group_finish: */
  bool secret; /* nothing of its content, digest or size is shown */
  char letter; /* A D M T */
};

/* `path`: of an entry, else NULL. */
void st_group_add(struct st_group *g, const struct st_change *change, const char *path);
void st_group_clear(struct st_group *g); /* for the next one */
void st_group_free(struct st_group *g);
/* All is added: finds out what the group is; `b`: the state after the changes. */
int st_group_finish(struct st_group *g, struct st_tracker *t, int64_t b, struct st_error *err);
bool st_group_is_loud(const struct st_group *g);
/* Whether a package's own line says all there is to say of the path. */
bool st_group_is_packaged(const struct st_group *g);
/* Its words, a string a table that has something to say; `patched`: the texts' difference is shown
 * beside, so digests need not be. */
int st_group_words(const struct st_group *g, struct st_tracker *t, bool times, bool patched,
                   struct st_strings *ret, struct st_error *err);

/* st_render_json, with what the group knows to be secret left out. */
json_t *st_group_json(const struct st_group *g, struct st_tracker *t,
                      const struct st_change *change, bool times);

/* ---- Packages: render-package.c -------------------------------------------------------------- */

/* How many paths of a package changed as the package says: deviations are shown by themselves. */
struct st_package_count {
  int64_t added, changed, deleted;
};
struct st_package_counts {
  struct st_set *names;
  struct st_package_count *items;
  size_t count;
};
void st_package_counts_free(struct st_package_counts *counts);
/* Counts a finished group to the package whose manifest has its path at `b`, else at `a`. */
int st_package_counts_add(struct st_package_counts *counts, struct st_tracker *t,
                          const struct st_group *g, int64_t a, int64_t b, struct st_error *err);
/* What was counted to the package that the change is about. */
struct st_package_count st_package_counts_of(const struct st_package_counts *counts,
                                             const struct st_change *change);
/* "its files: 3 added, 118 changed", malloc'ed; NULL: none did. */
char *st_package_count_words(const struct st_package_count *c);
json_t *st_package_count_json(const struct st_package_count *c);

/* Whether the change is of a package itself. */
bool st_change_is_package(const struct st_change *change);
/* "installed", "removed", "upgraded", "downgraded"; NULL: it is of the same version. */
const char *st_package_verb(const struct st_change *change);
/* The same with its versions, where no plug-in says it: "upgraded 1 → 2"; nothing for NULL. */
void st_package_words(const struct st_change *change, struct st_buffer *out);

/* Where the contents of a change come from, for the unified diff. */
struct st_patch_sides {
  struct st_tracker *t;
  int64_t a, b;
  bool live; /* b is ST_LIVE */
  struct st_packaged_texts *texts;
  const char *a_words; /* what the side before is, escaped; NULL: "at NUMBER" */
};

/* The unified diff of what the group's path or key contains: appends it (nothing: there is no
 * difference in text) and returns 1, `*ret` being the change that it belongs to; 0 when there is
 * nothing to compare (binary, not kept, secret, too large), and then `why` may have got words. */
int st_render_patch(const struct st_patch_sides *sides, const struct st_group *g,
                    const struct st_change **ret, struct st_buffer *out, struct st_buffer *why,
                    struct st_error *err);
/* The same, of which diff(1) is still at work when it returns; `*ret_diff` NULL: there is none. */
struct st_diff;
int st_start_patch(const struct st_patch_sides *sides, const struct st_group *g,
                   const struct st_change **ret, struct st_diff **ret_diff, struct st_buffer *why,
                   struct st_error *err);
/* Prints it, coloured and safe on a terminal. */
void st_print_patch(const struct st_cli *cli, const struct st_buffer *patch);

/* Patches that are being made while the next contents are read, printed in their order. */
#define ST_PATCHES 4
#define ST_PATCHES_LIMIT ((size_t)16 << 20) /* of one that another is begun beside (st_diff) */
struct st_patches {
  const struct st_cli *cli;
  struct st_patch {
    struct st_buffer head; /* printed before it */
    struct st_diff *diff;  /* NULL: that is all */
  } items[ST_PATCHES];
  size_t count;
};
/* Takes both. */
int st_patches_add(struct st_patches *p, struct st_buffer *head, struct st_diff *diff,
                   struct st_error *err);
int st_patches_print(struct st_patches *p, struct st_error *err);
/* Those that were not printed end here. */
void st_patches_free(struct st_patches *p);

/* ---- The history of a path: render-history.c ---------------------------------------------------
 */

/* What became of it with one checkpoint. */
struct st_history_event {
  const struct st_checkpoint *cp;
  int64_t before; /* the checkpoint that it is counted from; 0: none */
  const char *path;
  const struct st_group *group;      /* finished */
  const struct st_packaged *package; /* as it has the path, or had; NULL: not as packaged */
};
typedef int st_history_event_fn(void *arg, const struct st_history_event *event,
                                struct st_error *err);
/* Newest first; ends early when fn returns other than 0, with that. */
int st_history_each(struct st_tracker *t, const char *path, bool times, st_history_event_fn *fn,
                    void *arg, struct st_error *err);
int st_history_words(struct st_tracker *t, const struct st_history_event *event, bool times,
                     struct st_strings *ret, struct st_error *err);
/* An array of what `log PATH` prints as lines. */
json_t *st_history_json(struct st_tracker *t, const struct st_history_event *event, bool times);

/* ---- Deviations: render-deviations.c -----------------------------------------------------------
 */

/* One path that is not as its package has it. */
struct st_deviation {
  const struct st_packaged *package;
  const char *name; /* of the package, in words */
  const char *from; /* what it is compared with: "package file", "package", "observed" */
  const char *path;
  char letter; /* M D T */
  bool configuration, secret;
  const struct st_strings *words;
  const struct st_buffer *patch; /* empty: none */
};
typedef int st_deviation_fn(void *arg, const struct st_deviation *deviation, struct st_error *err);
/* By package and path; `package`: of those of this name alone, NULL: of all; `stat`: without the
 * texts' differences. */
int st_deviations_each(struct st_tracker *t, int64_t number, const char *package, bool stat,
                       st_deviation_fn *fn, void *arg, struct st_error *err);
/* As `packages --deviations` prints it. */
json_t *st_deviation_json(const struct st_deviation *deviation);

/* A value as JSON; of a keyed id: "secret". */
json_t *st_value_json(const struct st_column *column, const struct st_value *value);
/* The key's columns as an object. */
json_t *st_key_json(const struct st_change *change);

#endif
