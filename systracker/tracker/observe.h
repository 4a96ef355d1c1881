/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * observe.h - one scan of the live system into the catalog: plug-ins' `collect`, then the walk.
 *
 * Not seen is not deleted: whatever could not be observed is noted (core_unobserved, `missed`), and
 * the facts about it stand.
 */
#ifndef ST_TRACKER_OBSERVE_H
#define ST_TRACKER_OBSERVE_H

#include <pthread.h>

#include "systracker/tracker/core.h"
#include "systracker/tracker/facts.h"

/* One plug-in's part of the scan. */
struct st_part {
  struct st_loaded *plugin;
  bool failed;               /* its facts stand from here on; it is not called again */
  bool unchanged;            /* `collect` said so: what is known stands */
  struct st_facts collected; /* kept to see whether packages changed meanwhile */
};

struct st_observation {
  struct st_tracker *tracker;
  struct st_scan_result *result;
  struct st_index *index;
  bool keep; /* a checkpoint */
  bool full;
  bool current;   /* the index may be trusted for skipping */
  bool elsewhere; /* but of another root, which a restore put there (scan/written.h) */
  bool sweeping;  /* entry tables are swept, as the index cannot tell what is gone */
  bool again;     /* something was not kept or not asked: the next walk must look at everything */
  uint8_t scope[ST_DIGEST_SIZE];
  struct st_part *parts;     /* as many as the host has plug-ins */
  struct st_set *unobserved; /* paths */
  struct st_set *mounts;     /* mount points that the walk met */
  struct st_set *forced;     /* paths of manifests that begin or end */
  int64_t latest;            /* checkpoint before the scan; 0: none */
  pthread_mutex_t lock;      /* of the catalog: contents are prepared by other threads */
  pthread_mutex_t counting;  /* of what follows; taken alone, or behind the catalog's */
  uint64_t kept_bytes;       /* content put into the store by this scan */
  uint64_t ahead_bytes;      /* of that, not yet */
  struct st_few_facts few;   /* of the entry that is told */
};

/* Everything between st_catalog_start and st_catalog_commit; `o` is set up by the caller with
 * tracker, result, keep and full. */
int st_observe(struct st_observation *o, struct st_error *err);
/* The index is closed by a thread, for whose end st_observe_closed waits. */
void st_observation_clear(struct st_observation *o);
void st_observe_closed(struct st_tracker *t);

/* Notes something that was not seen; plugin "" for all, path "" for all that the plug-in keeps. */
int st_observe_missed(struct st_observation *o, const char *plugin, const char *path,
                      const char *why, struct st_error *err);

/* collect.c: state that is no file, before the walk; and once more behind it. */
int st_observe_collect(struct st_observation *o, struct st_error *err);
int st_observe_collect_again(struct st_observation *o, struct st_error *err);

#endif
