/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source.h - what a fetch asks of an archive, whichever kind it is: a directory
 * (source-directory.c) or a server (source-server.c).  pull.c has the order of things.
 */
#ifndef ARCHIVE_SYNC_SOURCE_H
#define ARCHIVE_SYNC_SOURCE_H

#include "archive-sync/ids.h"
#include "archive-sync/join.h"
#include "archive-sync/packagefiles.h"
#include "archive-sync/pull.h"

/* One fetch, as both sides see it. */
struct st_pull {
  const struct st_pull_options *options;
  struct st_tracker *t; /* the store alone; NULL before it is opened */
  struct st_pull_result *result;
};

/* Says that something is not fetched, and counts it. */
void st_pull_passed_over(struct st_pull *p, const struct st_error *why);

struct st_source;
struct st_source_ops {
  /* Which host is meant, as result->host: "ID" or "ID/epoch-N".  `early`: before the store is made,
   * so that a name that is none makes no store; 1: it cannot be told yet. */
  int (*choose)(struct st_source *s, bool early, struct st_error *err);
  /* Its checkpoints, to be read, and the package files that are there for it. */
  int (*open)(struct st_source *s, struct st_catalog **ret, const struct st_packages **ret_packages,
              struct st_error *err);
  /* Brings those that are not here; what it lacks is passed over. */
  int (*objects)(struct st_source *s, const struct st_id *ids, size_t count, struct st_error *err);
  /* 1: brought; 0: it was here.  A failure without `code` is of this one alone. */
  int (*package)(struct st_source *s, struct st_packages *to, const struct st_package *package,
                 struct st_error *err);
  /* The host's sealed data key; 1: there is none. */
  int (*key)(struct st_source *s, const char *id, struct st_error *err);
  void (*close)(struct st_source *s);
};
struct st_source {
  const struct st_source_ops *ops;
  struct st_pull *pull;
  bool is_here; /* the catalog that was opened is the local one, as there is nothing beyond it */
};
void st_source_close(struct st_source *s);
ST_DEFINE_CLEANUP(struct st_source *, st_source_close)

int st_source_directory(struct st_source **ret, struct st_pull *p, const char *url,
                        struct st_error *err);
int st_source_server(struct st_source **ret, struct st_pull *p, const struct st_join *join,
                     struct st_error *err);

#endif
