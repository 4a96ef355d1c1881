/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core.h - the core's own facts: what was in scope, and the accounts. */
#ifndef ST_TRACKER_CORE_H
#define ST_TRACKER_CORE_H

#include "systracker/tracker/tracker.h"

/* Declares the core's tables and those of all loaded plug-ins. */
int st_core_declare(struct st_tracker *t, struct st_error *err);

/* Opens the sweeps of the core's tables; the scan puts its mounts, plug-ins and what was not seen
 * with the functions below; the last one closes the sweeps. */
int st_core_begin(struct st_tracker *t, struct st_error *err);
int st_core_rules(struct st_tracker *t, struct st_error *err);
/* Calls fn with each rule of the configuration, as the facts have them: of a plug-in its `track`,
 * `exclude` and `secret`, and with plugin "" the lists for all.  `reason` may be NULL. */
typedef int st_core_rule_fn(void *arg, const char *plugin, const char *kind, const char *pattern,
                            const char *reason, struct st_error *err);
int st_core_each_rule(struct st_tracker *t, st_core_rule_fn *fn, void *arg, struct st_error *err);
/* Adds what a host calls a secret, by the facts of its latest checkpoint; nothing where those are
 * not here. */
int st_core_secret_rules(struct st_catalog *c, struct st_rules *rules, struct st_error *err);
int st_core_accounts(struct st_tracker *t, struct st_error *err);
int st_core_mount(struct st_tracker *t, const struct st_mount *mount, struct st_error *err);
int st_core_plugin(struct st_tracker *t, const char *name, const char *version, const char *result,
                   struct st_error *err);
int st_core_unobserved(struct st_tracker *t, const char *plugin, const char *path,
                       const char *reason, struct st_error *err);
/* A mount that was not put stays known where `keep_mount` says so: a missing one is not gone. */
int st_core_end(struct st_tracker *t, bool (*keep_mount)(void *arg, const struct st_fact_row *fact),
                void *arg, struct st_error *err);

/* Mount points that the latest checkpoint knew: those that were entered, or those that were not. */
int st_core_known_mounts(struct st_tracker *t, bool entered, struct st_strings *out,
                         struct st_error *err);

#endif
