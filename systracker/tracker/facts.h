/* SPDX-License-Identifier: GPL-2.0-or-later */
/* facts.h - rows on their way from a plug-in to the catalog, checked and copied. */
#ifndef ST_TRACKER_FACTS_H
#define ST_TRACKER_FACTS_H

#include "systracker/tracker/tracker.h"

/* A copied row of one table. */
struct st_row {
  const struct st_catalog_table *table;
  struct st_value *values; /* table->declaration.ncolumns of them, in one piece with their bytes */
};

#define ST_FEW_ROWS 4

/* Memory for few rows that one call says, used again for the next. */
struct st_few_facts {
  struct st_row rows[ST_FEW_ROWS];
  size_t used; /* bytes */
  _Alignas(struct st_value) char bytes[8192];
};

/* What one call of `entry` or `collect` said. */
struct st_facts {
  struct st_tracker *tracker;
  struct st_loaded *plugin;
  const struct st_entry *entry; /* NULL: `collect` */
  bool keep; /* a checkpoint: content goes to the store; otherwise only its id is made */
  struct st_row *rows;
  size_t count;
  struct st_few_facts *few; /* lent, and empty at first; NULL: each row has memory of its own */
};

/* Adds a copy of a whole row, unchecked. */
void st_facts_add(struct st_facts *facts, const struct st_catalog_table *table,
                  const struct st_value *row);
void st_facts_clear(struct st_facts *facts);
/* Whether the two say the same rows in the same order. */
bool st_facts_equal(const struct st_facts *a, const struct st_facts *b);
bool st_value_equal(const struct st_value *a, const struct st_value *b);

#endif
