/* SPDX-License-Identifier: GPL-2.0-or-later */
/* packagefetch.h - package files from the host's own repositories, by the root's own apt or dnf. */
#ifndef ST_TRACKER_PACKAGEFETCH_H
#define ST_TRACKER_PACKAGEFETCH_H

#include "systracker/tracker/installed.h"

/* Sets `obtainable[i]` for each of the packages whose version the root's lists of its repositories
 * have.  No network is used.  Asked is the running system's apt, so that nothing of another root is
 * run to look at it (it cannot follow that root's lists of file: repositories, which are absolute
 * symlinks); where `inside`, the root's own.  dnf is asked of the running system alone.  Without
 * apt or dnf nothing is obtainable: no error. */
int st_fetch_look(struct st_tracker *t, const struct st_installed_list *list, bool inside,
                  bool *obtainable, struct st_error *err);

/* Where the file of each installed package is; the first that holds. */
enum st_package_at {
  ST_AT_KEPT,       /* in the store */
  ST_AT_OBTAINABLE, /* as above */
  ST_AT_REPACKED,   /* in the store, put together again from what was installed */
  ST_AT_MISSING,
  ST_AT_PLACES
};
extern const char *const st_package_at_words[ST_AT_PLACES]; /* "kept", ... */
int st_fetch_classify(struct st_tracker *t, const struct st_installed_list *list,
                      enum st_package_at *ret, struct st_error *err);

/* Downloads those that are `wanted`, and hands each file that came to `fn`, which proves that it is
 * one of them.  What did not come is no error here.  Root alone may. */
typedef int st_fetch_fn(void *arg, int fd, const char *name, struct st_error *err);
int st_fetch(struct st_tracker *t, const struct st_installed_list *list, const bool *wanted,
             st_fetch_fn *fn, void *arg, struct st_error *err);

/* What the root's own lists say of one version: its control data and digest, as the first paragraph
 * of "apt-cache show"; malloc'ed.  1: nothing. */
int st_fetch_show(struct st_tracker *t, const struct st_installed *package, char **ret,
                  struct st_error *err);

#endif
