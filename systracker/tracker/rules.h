/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rules.h - the configuration's patterns, compiled for the walk and for explain. */
#ifndef ST_TRACKER_RULES_H
#define ST_TRACKER_RULES_H

#include "systracker/tracker/tracker.h"

/* Fills t->scope, secret, identity, excluded and generated from t->conf. */
int st_tracker_compile_rules(struct st_tracker *t, struct st_error *err);

/* Keeps the walk out of the store, as it would meet it, where that lies below the root.  Does
 * nothing while the store does not exist: to be called again once it is made. */
void st_tracker_hide_store(struct st_tracker *t);
/* The same for another scope. */
void st_tracker_hide_store_from(struct st_tracker *t, struct st_scope *scope);

/* The rules that no configuration has to name. */
int st_tracker_add_built_in(struct st_rules *generated, struct st_error *err);

/* A digest of everything that decides what the plug-ins get to see: rules, lists, options, and the
 * plug-ins with their versions.  Where it changes, every entry is looked at again. */
void st_tracker_scope_digest(struct st_tracker *t, uint8_t out[ST_DIGEST_SIZE]);
/* By which the index knows the root; never 0. */
uint32_t st_tracker_root_mark(const struct st_tracker *t);

#endif
