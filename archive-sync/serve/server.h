/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * server.h - systracker-archive serve: one process over a directory archive.
 *
 * libmicrohttpd's threads take requests in and answer the short ones; what needs the disk for long
 * runs on workers; what changes objects or catalogs goes through one committer (committer.h), which
 * holds the archive's lock while it has work, so that gc, verify and a copy on the spot can run
 * beside.
 */
#ifndef ARCHIVE_SYNC_SERVE_SERVER_H
#define ARCHIVE_SYNC_SERVE_SERVER_H

#include "archive-sync/archive.h"
#include "archive-sync/serve/access.h"
#include "archive-sync/serve/fleet.h"
#include "archive-sync/serve/metrics.h"

struct st_committer;
struct st_hostviews;
struct st_names;
struct st_requestlog;
struct st_serve_options;

struct st_server {
  const char *dir; /* the archive's folder, as given */
  struct st_archive
      *archive; /* opened, not locked; readers of objects open their own (objects.h) */
  struct st_access *access;
  struct st_names *names; /* as whom hosts know it */
  struct st_fleet *fleet;
  struct st_metrics *metrics;
  struct st_committer *committer;
  struct st_requestlog *log;
  const struct st_serve_options *options;
  int incoming;               /* the folder of temporary files */
  int64_t started;            /* seconds since 1970 */
  struct st_hostviews *views; /* view.h: hosts to look at are opened by it */
};

/* The verb `serve`: until SIGTERM or SIGINT.  An exit status. */
int st_serve(const struct st_serve_options *options, struct st_error *err);

#endif
