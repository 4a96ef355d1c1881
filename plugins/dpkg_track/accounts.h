/* SPDX-License-Identifier: GPL-2.0-or-later */
/* accounts.h - names and numbers of the root's own users and groups, read as SysTracker reads them:
 * the first of a name or number counts. */
#ifndef ST_DPKG_TRACK_ACCOUNTS_H
#define ST_DPKG_TRACK_ACCOUNTS_H

#include "systracker/plugin.h"

struct account {
  char *name;
  uint32_t id;
};

struct account_list {
  struct account *items;
  size_t count, last; /* the place found last: neighbours mostly have one owner */
};

struct accounts {
  struct account_list users, groups;
};

/* /etc/passwd and /etc/group; one that is not there has nobody. */
int accounts_read(struct accounts *ret, const struct st_context *ctx, struct st_error *err);
void accounts_clear(struct accounts *a);

/* The number of that name, or `otherwise`. */
uint32_t account_id(struct account_list *l, const char *name, uint32_t otherwise);
/* The name of that number; NULL: none, or one that is not ASCII, which no manifest speaks of. */
const char *account_name(struct account_list *l, uint32_t id);

#endif
