/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * action.h - one thing to put back that is no file: in words a line, as bytes the journal's, and
 * how it is done with the root's own tools.
 *
 * As bytes: the kind's word and its fields, each with a NUL behind it.  Kinds and fields:
 *   choice NAME PATH LINK PRIORITY SLAVES       no-choice NAME PATH
 *   alternative NAME MODE VALUE                 no-alternative NAME
 *   diversion PATH TO PACKAGE                   no-diversion PATH
 *   divert PATH TO PACKAGE                      undivert PATH
 *   statoverride PATH OWNER GROUP MODE          no-statoverride PATH
 *   mark NAME ARCHITECTURE auto|manual          select NAME ARCHITECTURE WANT
 * SLAVES as alternatives.h has them, MODE of a statoverride in octal.  divert and undivert, of the
 * administrator's own diversions, go before the packages and rename what lies there; the others go
 * after the files, which lie where they should.
 */
#ifndef ST_DPKG_TRACK_ACTION_H
#define ST_DPKG_TRACK_ACTION_H

#include "systracker/plugin.h"

enum action_kind {
  ACTION_CHOICE,
  ACTION_NO_CHOICE,
  ACTION_ALTERNATIVE,
  ACTION_NO_ALTERNATIVE,
  ACTION_DIVERSION,
  ACTION_NO_DIVERSION,
  ACTION_STATOVERRIDE,
  ACTION_NO_STATOVERRIDE,
  ACTION_MARK,
  ACTION_SELECT,
  ACTION_DIVERT,
  ACTION_UNDIVERT,
};

#define MOST_FIELDS 5

/* Fields are borrowed. */
struct action {
  enum action_kind kind;
  const char *field[MOST_FIELDS];
};

/* Whether the tools can be given this: it came from a catalog, perhaps of another host. */
bool action_ok(const struct action *a);
/* `*ret` is malloc'ed. */
int action_encode(const struct action *a, char **ret, size_t *length, struct st_error *err);
/* Fields lie in `data`.  Refuses what is not action_ok. */
int action_decode(struct action *ret, const void *data, size_t length, struct st_error *err);
/* In words, escaped; malloc'ed. */
int action_words(const struct action *a, char **ret, struct st_error *err);

/* `apply` and `verify` of plugin.h.  What is so already is left alone. */
int dpkg_apply(void *self, const void *data, size_t length, struct st_error *err);
int dpkg_verify(void *self, const void *data, size_t length, struct st_text *out,
                struct st_error *err);

#endif
