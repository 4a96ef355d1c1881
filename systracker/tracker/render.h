/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * render.h - differences in words, as JSON, and as unified diffs; for diff, status, show, log and
 * the plan of a restore.  Secrets: "changed", and no more.
 */
#ifndef ST_TRACKER_RENDER_H
#define ST_TRACKER_RENDER_H

#include "systracker/tracker/cli.h"

struct st_render_options {
  bool stat;                      /* one line a path, and a sum */
  bool name_only;                 /* paths (or table and key) alone */
  bool files;                     /* packaged files too, one by one */
  bool times;                     /* changes of ST_QUIET columns alone */
  bool patch;                     /* unified diff of texts */
  const struct st_strings *paths; /* these and what lies below; NULL or empty: all */
};

/* Prints the differences between `a` and `b` (may be ST_LIVE) to standard output, text or JSON as
 * the cli says.  Returns how many paths and other keys differ (0: same), or a negative number. */
int64_t st_render_changes(struct st_tracker *t, const struct st_cli *cli, int64_t a, int64_t b,
                          const struct st_render_options *options, struct st_error *err);

/* Prints what became of one path, newest first, at most `limit` checkpoints (0: all).  Returns how
 * many were shown, or a negative number. */
int64_t st_render_history(struct st_tracker *t, const struct st_cli *cli, const char *path,
                          int64_t limit, bool times, struct st_error *err);

struct st_deviation_options {
  bool stat;       /* one line each, without the texts' differences */
  bool unpackaged; /* what belongs to no package is listed, not only counted */
};

/* Prints what is not as its package has it at `number`, by packages. */
int st_render_deviations(struct st_tracker *t, const struct st_cli *cli, int64_t number,
                         const struct st_deviation_options *options, struct st_error *err);

/* One change in words, e.g. "mode 0644 → 0600", by the plug-in's `explain` or column by column;
 * appends, without a newline.  Nothing appended: nothing to show (quiet columns only). */
int st_render_words(struct st_tracker *t, const struct st_change *change, bool times,
                    struct st_buffer *out, struct st_error *err);
/* "added", "deleted", "changed", "retyped": A D M T. */
const char *st_render_letter(char letter);
/* A value as people read it; of a keyed id: "secret". */
void st_render_value(const struct st_column *column, const struct st_value *value,
                     struct st_buffer *out);
/* The change as a JSON object: table, key, and a pair for each differing column. */
json_t *st_render_json(struct st_tracker *t, const struct st_change *change, bool times);
struct st_packaged;
/* `package`, `version` and `architecture` of a package that expects something. */
json_t *st_packaged_json(const struct st_packaged *p);
/* Whether anything but ST_QUIET columns differs. */
bool st_change_is_loud(const struct st_change *change);
/* Whether the change speaks of a secret (an ST_ID with `keyed` on either side). */
bool st_change_is_secret(const struct st_change *change);

#endif
