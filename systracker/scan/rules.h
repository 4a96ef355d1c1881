/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules.h - which paths, by gitignore's patterns; the longest matching one decides.
 *
 * A pattern that matches a directory holds for everything below it.  A leading or inner slash
 * anchors it at the root; without one it matches a name at any depth; a trailing slash restricts it
 * to directories; `*`, `?`, `[...]` do not match a slash, `**` does; a backslash takes the next
 * character literally; a leading `!` turns the kind around (track and exclude).  Between patterns
 * of one length, exclude wins, then the later one.
 */
#ifndef ST_SCAN_RULES_H
#define ST_SCAN_RULES_H

#include "systracker/base/buffer.h"
#include "systracker/base/digest.h"
#include "systracker/base/error.h"
#include "systracker/scan/pattern.h"

enum st_rule_kind { ST_RULE_TRACK, ST_RULE_EXCLUDE };

struct st_rule {
  enum st_rule_kind kind;
  char *pattern; /* as written */
  char *origin;  /* "FILE:LINE", or what made it */
  char *reason;  /* may be NULL */
};

struct st_rules;
struct st_rules *st_rules_new(void);
void st_rules_free(struct st_rules *rules);
ST_DEFINE_CLEANUP(struct st_rules *, st_rules_free)

/* Copies its strings.  A malformed pattern is an error that names the origin. */
int st_rules_add(struct st_rules *rules, enum st_rule_kind kind, const char *pattern,
                 const char *origin, const char *reason, struct st_error *err);

/* The rule that decides about the path (absolute, normal), or NULL: none matches. */
const struct st_rule *st_rules_match(const struct st_rules *rules, const char *path, bool is_dir);
/* The same of a path that was cut for several of them. */
const struct st_rule *st_rules_match_parts(const struct st_rules *rules,
                                           const struct st_path_parts *path, bool is_dir);

/* Whether something below the directory may be tracked, though the directory itself is not. */
bool st_rules_may_track_below(const struct st_rules *rules, const char *path);

/* Directories where a walk has to start: the literal beginnings of the track patterns, none below
 * another; "/" for patterns without an anchor. */
void st_rules_roots(const struct st_rules *rules, struct st_strings *out);

/* Whether a track rule's literal beginning is this path or lies below it: a mount there is entered.
 */
bool st_rules_names(const struct st_rules *rules, const char *path);

/* Feeds what decides into a digest, so that a changed rule is noticed. */
void st_rules_digest(const struct st_rules *rules, struct st_digester *out);

#endif
