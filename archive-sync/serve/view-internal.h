/* SPDX-License-Identifier: GPL-2.0-or-later */
/* view-internal.h - what the parts of views share: changes on their way into a list. */
#ifndef ARCHIVE_SYNC_SERVE_VIEW_INTERNAL_H
#define ARCHIVE_SYNC_SERVE_VIEW_INTERNAL_H

#include "archive-sync/serve/view.h"
#include "systracker/tracker/render-internal.h"

/* "ID" or "ID/epoch-N": names of folders are made of it. */
bool st_view_is_host(const char *text);
/* Closed for good; a view that came of a pool goes back there by st_hostviews_return. */
void st_hostview_free(struct st_hostview *v);
void st_hostviews_return(struct st_hostviews *p, struct st_hostview *v);

/* How many deviations each package has at a checkpoint (view-packages.c). */
struct st_view_counts;
void st_view_counts_free(struct st_view_counts *c);

/* A state of a host. */
struct st_view_at {
  struct st_hostview *v;
  int64_t number;
};

/* Changes come group by group; what lies in the span is kept, of each kind by itself, as nobody
 * knows before the end how many there are of the kinds before. */
struct st_view_gather {
  struct st_view_at a, b;
  const struct st_view_query *query;
  struct st_view_changes *ret;
  struct {
    struct st_view_change *items;
    size_t count;
  } kinds[ST_VIEW_KINDS];
  struct st_group group;
  struct st_package_counts counts;
};

/* The group is complete: its letter, and whether the rules of either side call it a secret. */
int st_view_group_finish(const struct st_view_at *a, const struct st_view_at *b, struct st_group *g,
                         struct st_error *err);
/* The group is complete: takes it in, where there is anything to show, and clears it. */
int st_view_gather_flush(struct st_view_gather *g, struct st_error *err);
/* All has come: the items are the result's. */
void st_view_gather_end(struct st_view_gather *g);
void st_view_gather_clear(struct st_view_gather *g);

/* Tags are labels, and what was not seen is no difference: both are told elsewhere. */
bool st_view_ignores(const char *table);

/* The path's facts in all entry tables, compared: adds what differs to the group. */
int st_view_compare_path(const struct st_view_at *a, const struct st_view_at *b, const char *path,
                         struct st_group *group, struct st_error *err);
int st_view_kind_of(const struct st_view_at *a, const struct st_view_at *b,
                    const struct st_group *group, enum st_view_kind *ret, struct st_error *err);
/* What a group that is not empty says, as it is shown. */
int st_view_change_make(enum st_view_kind kind, const struct st_view_at *b,
                        const struct st_group *group, bool times, bool json,
                        struct st_view_change *ret, struct st_error *err);

/* The file's kind as find's %y has it; 0: not known. */
int st_view_type(struct st_hostview *v, int64_t number, const char *path, char *ret,
                 struct st_error *err);
/* As st_unified_diff (process.h). */
int st_view_unified(const void *old, size_t old_length, const char *old_label, const void *new_,
                    size_t new_length, const char *new_label, struct st_buffer *out,
                    struct st_error *err);

#endif
