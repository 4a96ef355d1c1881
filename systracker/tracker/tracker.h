/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tracker.h - one host under watch: its configuration, plug-ins, store, catalog and root together;
 * and what is done with them: a scan of the live system, a checkpoint.
 */
#ifndef ST_TRACKER_TRACKER_H
#define ST_TRACKER_TRACKER_H

#include <pthread.h>

#include "systracker/store/packages.h"
#include "systracker/tracker/host.h"

/* The core's own tables; columns in core.c. */
#define ST_CORE_RULE "core_rule"     /* (plugin, kind, pattern) -> reason */
#define ST_CORE_MOUNT "core_mount"   /* (path) -> fstype, entered */
#define ST_CORE_PLUGIN "core_plugin" /* (name) -> version, result */
#define ST_CORE_UNOBSERVED                                                                         \
  "core_unobserved"                    /* (plugin, path) -> reason; plugin "" = every one;         \
                                        * path "" = all that the plug-in keeps */
#define ST_CORE_ACCOUNT "core_account" /* (kind, name) -> id */
#define ST_CORE_TAG "core_tag"         /* (name) -> checkpoint; kept by the catalog */

struct st_tracker_options {
  const char *config; /* NULL: the default file */
  const char *root;   /* NULL: "/" */
  const char *store;  /* NULL: from the configuration; mandatory with another root */
  /* An archive's folder, or any store: `host` of it is opened to look at, by id or "ID/epoch-N".
   * There is no configuration, plug-in, key or live system then. */
  const char *archive, *host;
  /* To look only: the chain of another host, which was fetched into the store, by its id, or an
   * older epoch as "ID/epoch-N"; and the
   * file with a recovery key that opens its data key (NULL: its secrets stay shut). */
  const char *chain, *recovery_key;
};

enum st_tracker_mode {
  ST_TRACKER_LOOK,  /* read only; a store there must be */
  ST_TRACKER_WRITE, /* takes the lock; makes the store and the host's key at the first write */
};

/* Content that `collect` handed over in a live scan: it is compared, and not kept. */
struct st_live_object {
  struct st_id id;
  void *data;
  size_t length;
};

struct st_inscope;

struct st_tracker {
  struct st_conf *conf;
  struct st_host host;
  char *root_path, *store_path;
  int root, store_dir; /* descriptors */
  int lock;            /* -1: none */
  bool live_root;
  struct st_keys keys;
  bool other_keys; /* the data key is another host's, whose chain is looked at */
  struct st_store *store;
  struct st_catalog *catalog;
  /* Compiled from the configuration: */
  struct st_scope *scope;
  struct st_rules *secret, *identity, *excluded, *generated;
  struct st_accounts *accounts; /* of the root, as they were at the latest scan */
  /* What this process put back itself, so that a scan need not read it again; borrowed, may be
   * NULL. */
  struct st_written *written;
  struct st_written *proved; /* what plug-ins had proved (st_prove) for the present scan */
  struct st_live_object *live_objects;
  size_t nlive_objects;
  struct st_inscope *inscope;   /* inscope.h */
  struct st_packages *packages; /* package files as the present scan knows them; NULL: not read */
  pthread_t closing;            /* the index of a scan before, while `closes`: joined before the */
  bool closes;                  /* next one, or the tracker's end */
};

int st_tracker_open(struct st_tracker **ret, const struct st_tracker_options *options,
                    enum st_tracker_mode mode, struct st_error *err);
void st_tracker_close(struct st_tracker *t);
ST_DEFINE_CLEANUP(struct st_tracker *, st_tracker_close)

/* The store alone, without the host's own catalog: takes the lock, and makes the store and the
 * host's key where there are none, for chains that are brought by fetch. */
int st_tracker_open_store(struct st_tracker **ret, const struct st_tracker_options *options,
                          struct st_error *err);

/* For package files alone: no checkpoint is needed, and where there is a store no lock.  Otherwise
 * it is made, as above. */
int st_tracker_open_packages(struct st_tracker **ret, const struct st_tracker_options *options,
                             struct st_error *err);

/* Configuration and plug-ins alone are read: no store is needed (check-config, explain). */
int st_tracker_open_config(struct st_tracker **ret, const struct st_tracker_options *options,
                           struct st_error *err);

struct st_scan_result {
  struct st_walk_result walk;
  bool incomplete;          /* something was not seen */
  struct st_strings missed; /* words, one a thing not seen; "plug-in x: why", "why (path)" */
};
void st_scan_result_clear(struct st_scan_result *r);

/* Looks at the live system; afterwards ST_LIVE can be read from t->catalog.  Changes nothing: works
 * without the lock, keeps no content. */
int st_tracker_scan(struct st_tracker *t, struct st_scan_result *ret, struct st_error *err);

struct st_checkpoint_options {
  const char *message; /* may be NULL */
  const char *tag;     /* may be NULL */
  bool full;           /* read every file again */
};

/* A scan that is committed.  Needs ST_TRACKER_WRITE. */
int st_tracker_checkpoint(struct st_tracker *t, const struct st_checkpoint_options *options,
                          struct st_scan_result *ret_scan, struct st_checkpoint *ret,
                          struct st_error *err);

/* Why a path is (not) looked at by a plug-in's rules, the lists included. */
struct st_tracked {
  const char *plugin;
  bool tracked;
  const struct st_rule *rule; /* NULL: no rule speaks of it */
};
/* For each plug-in in turn; the n-th, false past the end. */
bool st_tracker_tracked(struct st_tracker *t, size_t n, const char *path, bool is_dir,
                        struct st_tracked *ret);
/* The list entry that the path falls under, or NULL. */
const struct st_rule *st_tracker_listed(struct st_tracker *t, enum st_conf_list list,
                                        const char *path, bool is_dir);

/* The content of a regular file at a checkpoint (not ST_LIVE): from the store, if it is kept, or
 * from its package's kept file, where it is as packaged; given to `fn` as st_store_get_to does.  1:
 * there was no such file, or its content is not kept (the error says so); a secret's is given only
 * when `secrets`. */
int st_tracker_content(struct st_tracker *t, int64_t number, const char *path, bool secrets,
                       st_piece_fn *fn, void *arg, struct st_error *err);
/* The same for the live system: read from the root, following no symlink. */
int st_tracker_live_content(struct st_tracker *t, const char *path, size_t max,
                            struct st_buffer *out, struct st_error *err);

/* What a live scan was handed by st_keep and the store does not have; 1: it is not there. */
int st_tracker_live_object(const struct st_tracker *t, const struct st_id *id,
                           struct st_buffer *out);
/* Holds it until the tracker is closed or forgets it. */
void st_tracker_hold(struct st_tracker *t, const struct st_id *id, const void *data, size_t length);
void st_tracker_forget(struct st_tracker *t);

/* The store's package files, read once for a scan; NULL and an error where they cannot be read.
 * st_tracker_forget_packages: they are read again. */
const struct st_packages *st_tracker_packages(struct st_tracker *t, struct st_error *err);
void st_tracker_forget_packages(struct st_tracker *t);

#endif
