/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture.h - what the hooks of package managers do: keep package files as they are installed, and
 * have a checkpoint made when the transaction is over.
 *
 * A hook never stops a package manager: its program ends with 0 whatever it could not do, having
 * said it.
 */
#ifndef ST_TRACKER_CAPTURE_H
#define ST_TRACKER_CAPTURE_H

#include "conf/conf.h"
#include "systracker/store/packages.h"

struct st_capture {
  struct st_conf *conf;
  int store;                    /* its folder; -1: there is no store yet */
  struct st_packages *packages; /* NULL: the same, so nothing is to be kept */
};

/* Reads the configuration, opens the log as `program`, and the store's packages; `config`,
 * `store`: others than the default, or NULL. */
int st_capture_open(struct st_capture **ret, const char *program, const char *config,
                    const char *store, struct st_error *err);
void st_capture_close(struct st_capture *c);
ST_DEFINE_CLEANUP(struct st_capture *, st_capture_close)

/* Keeps a package file as what it is said to be; see st_packages_keep. */
int st_capture_keep(struct st_capture *c, int fd, const struct st_package *is,
                    struct st_error *err);

#endif
