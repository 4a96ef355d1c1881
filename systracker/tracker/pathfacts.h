/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pathfacts.h - all that is known of one path at a checkpoint: its facts in every entry table, the
 * package that expects something there, and where its content is. */
#ifndef ST_TRACKER_PATHFACTS_H
#define ST_TRACKER_PATHFACTS_H

#include <jansson.h>

#include "systracker/tracker/packaged.h"

struct st_path_facts {
  int64_t number;
  struct st_fact_row *facts[64]; /* present ones */
  size_t count;
  bool secret;                /* any of them is, or the rules say so */
  bool kept;                  /* its content is in the store */
  int64_t kept_length;        /* bytes; of secrets not told */
  struct st_packaged package; /* that expects something there; its name is NULL: none does */
  bool observed;              /* by a manifest made of what was there */
  bool as_packaged;           /* its content is what the package has */
  bool package_kept;          /* whose file is kept */
  char *unobserved;           /* words: why it was not seen; NULL: it was */
};

int st_path_facts_read(struct st_tracker *t, int64_t number, const char *path,
                       struct st_path_facts *ret, struct st_error *err);
void st_path_facts_clear(struct st_path_facts *f);
#define ST_AUTO_PATH_FACTS ST_CLEANUP(st_path_facts_clear) struct st_path_facts

/* Whether the fact's ids, and with them its content's size, are not to be told. */
bool st_path_facts_hide(const struct st_path_facts *f, const struct st_fact_row *fact);
/* Where its content would come from: "store", "package file"; NULL: it is not kept. */
const char *st_path_facts_source(const struct st_path_facts *f);
/* Sets `checkpoint`, `facts`, `secret`, `kept`, `package`, `content`, `unobserved` (doc/json). */
void st_path_facts_json(const struct st_path_facts *f, json_t *o);

#endif
