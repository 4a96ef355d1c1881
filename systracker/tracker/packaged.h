/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packaged.h - what a package has at a path, and its content out of the package file that is kept.
 */
#ifndef ST_TRACKER_PACKAGED_H
#define ST_TRACKER_PACKAGED_H

#include "systracker/tracker/packagecontent.h"
#include "systracker/tracker/tracker.h"

/* What the package whose manifest is in force says of a path. */
struct st_packaged {
  char *name, *version, *architecture; /* "" where its table does not say */
  bool has_manifest;
  struct st_id manifest;
  int64_t since;                  /* checkpoint: the package's fact is so since */
  bool has_content;               /* it is a regular file, and its digest is known: */
  struct st_package_want content; /* what it contains */
};
void st_packaged_clear(struct st_packaged *p);
#define ST_AUTO_PACKAGED ST_CLEANUP(st_packaged_clear) struct st_packaged

/* Of the package that expects something at the path, at `number` or ST_LIVE: 1; 0: none does. */
int st_packaged_find(struct st_tracker *t, int64_t number, const char *path,
                     struct st_packaged *ret, struct st_error *err);
/* From the fact of a package alone; `has_content` is not set. */
void st_packaged_of(const struct st_fact_row *package, struct st_packaged *ret);

/* "demo 1.0 amd64", escaped; malloc'ed. */
char *st_packaged_name(const struct st_packaged *p);
/* The kept files of the package, in the order in which they are asked: its own, then those that
 * were put together again; `before` NULL: the first.  NULL: there are no more. */
const struct st_package *st_packaged_next_file(const struct st_packages *packages,
                                               const struct st_packaged *p,
                                               const struct st_package *before);
/* Whether its package file is kept; negative: what is kept cannot be read. */
int st_packaged_is_kept(struct st_tracker *t, const struct st_packaged *p, struct st_error *err);
/* Whether the manifest was made from what was there, not from what the package declares; false
 * where it cannot be read. */
bool st_packaged_is_observed(struct st_tracker *t, const struct st_packaged *p);

/* Its content, given to `fn` as st_store_get_to does.  1: it cannot be had, and the error says why:
 * the package file is not kept, or is damaged. */
int st_packaged_content(struct st_tracker *t, const struct st_packaged *p, st_piece_fn *fn,
                        void *arg, struct st_error *err);

/* The same for several files at once: each package file is read once for all of its own. */
struct st_packaged_ask {
  const struct st_packaged *from; /* has_content; borrowed */
  bool found;
  char *why; /* where it is not found: words, escaped, malloc'ed */
};
void st_packaged_contents(struct st_tracker *t, struct st_packaged_ask *asked, size_t count,
                          const struct st_package_sink *sink);
void st_packaged_asks_clear(struct st_packaged_ask *asked, size_t count);

/* Texts of files of packages, as a comparison of many wants them: a package file is read once, and
 * the texts that are in it are held, up to some 64 MB in all. */
struct st_packaged_texts;
struct st_packaged_texts *st_packaged_texts_new(struct st_tracker *t);
void st_packaged_texts_free(struct st_packaged_texts *texts);
/* Appends the content: 1; 0: it cannot be had, is binary (`*ret_binary`) or longer than `max`.
 * Never an error: `why` (may be NULL) gets words. */
int st_packaged_text(struct st_packaged_texts *texts, const struct st_packaged *p, size_t max,
                     struct st_buffer *out, bool *ret_binary, struct st_buffer *why);

#endif
