/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pattern.h - one pattern of gitignore(5), compiled.
 *
 * A path is cut into its parts once, and then held against many patterns.  No pattern and no name
 * makes a match cost more than the product of their lengths: `*` within a name and `**` between
 * names each go back to the last star alone.
 */
#ifndef ST_SCAN_PATTERN_H
#define ST_SCAN_PATTERN_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

/* A path, cut at its slashes; "/" has no part. */
struct st_path_part {
  const char *name; /* in the path; not terminated */
  size_t length;
};

#define ST_PATH_PARTS 32 /* without allocation */

struct st_path_parts {
  const char *path;
  size_t length; /* of the path; 0 for "/" */
  struct st_path_part *parts;
  size_t count;
  struct st_path_part few[ST_PATH_PARTS];
};

/* Borrows the path (absolute, normal); freed with st_path_parts_free. */
void st_path_parts_cut(struct st_path_parts *p, const char *path);
void st_path_parts_free(struct st_path_parts *p);

struct st_pattern;

/* Compiles a pattern, without the `!` that may lead it.  Malformed, or never matching: an error
 * that says why and quotes the pattern. */
int st_pattern_compile(struct st_pattern **ret, const char *text, struct st_error *err);
void st_pattern_free(struct st_pattern *p);
ST_DEFINE_CLEANUP(struct st_pattern *, st_pattern_free)

/* Whether it matches the path or a directory above it. */
bool st_pattern_match(const struct st_pattern *p, const struct st_path_parts *path, bool is_dir);
/* Whether it may match something below the directory, which it does not match itself. */
bool st_pattern_may_match_below(const struct st_pattern *p, const struct st_path_parts *path);
/* The path that every match is or lies below: "/" when it is not anchored. */
const char *st_pattern_beginning(const struct st_pattern *p);

#endif
