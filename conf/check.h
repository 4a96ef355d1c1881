/* SPDX-License-Identifier: GPL-2.0-or-later */
/* check.h - which names a configuration may set where, and what their values look like. */
#ifndef ST_CONF_CHECK_H
#define ST_CONF_CHECK_H

#include "conf/conf.h"
#include "conf/source.h"

extern const char *const st_conf_list_names[ST_CONF_NLISTS + 1]; /* ends with NULL */

/* Every name and every block is known, and none is set twice. */
int st_conf_check_names(const struct st_source *s, st_conf_schema_fn *schema, void *arg,
                        struct st_error *err);
/* The type of a plug-in's option; -1 where the schema is NULL or does not have it. */
int st_conf_option_type(const struct st_option *schema, const char *name);
int st_conf_check_value(int type, const char *value, struct st_error *err);

#endif
