/* SPDX-License-Identifier: GPL-2.0-or-later */
/* accounts.h - users and groups of a root: names from its own etc/passwd and etc/group, never from
 * NSS.  A file that is missing is an empty list; of several entries of one name, or of one id, the
 * first counts, as in libc. */
#ifndef ST_BASE_ACCOUNTS_H
#define ST_BASE_ACCOUNTS_H

#include "systracker/base/buffer.h"
#include "systracker/base/cleanup.h"
#include "systracker/base/error.h"

struct st_accounts;
int st_accounts_read(struct st_accounts **ret, int root, struct st_error *err);
/* The same from these contents of the two files; NULL: from the root's own. */
int st_accounts_read_with(struct st_accounts **ret, int root, const struct st_buffer *passwd,
                          const struct st_buffer *group, struct st_error *err);
void st_accounts_free(struct st_accounts *a);
ST_DEFINE_CLEANUP(struct st_accounts *, st_accounts_free)
/* NULL: no such id.  Borrowed. */
const char *st_account_user(const struct st_accounts *a, uint32_t uid);
const char *st_account_group(const struct st_accounts *a, uint32_t gid);
/* false: no such name. */
bool st_account_uid(const struct st_accounts *a, const char *name, uint32_t *ret);
bool st_account_gid(const struct st_accounts *a, const char *name, uint32_t *ret);
/* Calls fn for each account; group: false for users. */
int st_accounts_each(const struct st_accounts *a,
                     int (*fn)(void *arg, bool group, const char *name, uint32_t id), void *arg);

#endif
