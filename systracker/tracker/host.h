/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host.h - the plug-in host: finds, loads and checks plug-ins, gives them their options, and calls
 * them.  What plug-ins may call back is in plugin.h; the symbols are listed in host.syms.
 */
#ifndef ST_TRACKER_HOST_H
#define ST_TRACKER_HOST_H

#include "conf/conf.h"
#include "systracker/catalog/catalog.h"
#include "systracker/scan/walk.h"
#include "systracker/store/store.h"

struct st_tracker;

/* What a plug-in's state is known again by: digests of its fingerprints. */
struct st_memo {
  bool has_known, has_given, was_same;
  uint8_t known[ST_DIGEST_SIZE]; /* whose rows are facts */
  uint8_t given[ST_DIGEST_SIZE]; /* by this call of `collect` */
};

struct st_context {
  const struct st_plugin *plugin;
  struct st_tracker *tracker;        /* whose store has the package files */
  const struct st_conf_plugin *conf; /* its block; never NULL for a plug-in that is used */
  int root;
  bool live_root;
  struct st_memo *memo; /* owned by the host */
};

/* A plug-in named by the configuration, whether or not it could be loaded. */
struct st_loaded {
  char *name;
  void *library;                  /* dlopen's handle, NULL: failed */
  const struct st_plugin *plugin; /* NULL: failed */
  char *why;                      /* of a failure: words */
  struct st_context context;
  void *self; /* from `open` */
  bool open;
  unsigned bit; /* its place in walk masks */
  /* Its tables in the tracker's catalog, in the order of plugin->tables; NULL: not declared. */
  const struct st_catalog_table **tables;
};

struct st_host {
  struct st_loaded *plugins;
  size_t count;
};

/* The folder of plug-ins: $SYSTRACKER_PLUGINDIR (never when set-user-ID), else the installed one,
 * found from our own executable so that a tree installed elsewhere runs. */
char *st_host_plugin_dir(void);
/* The same for programs: $SYSTRACKER_LIBEXECDIR, $SYSTRACKER_BINDIR; and the default configuration
 * file. */
char *st_host_libexec_dir(void);
char *st_host_bin_dir(void);
char *st_host_config_file(void);

/* Loads DIR/NAME.so and checks it: the symbol, sizes, API version, mandatory callbacks, names,
 * tables, options.  Refused: an error in words.  The library stays loaded until close. */
int st_host_load(struct st_host *host, const char *name, struct st_error *err);
/* A schema function for st_conf_read: loads the plug-in to know its options. `arg`: the host. */
const struct st_option *st_host_schema(void *arg, const char *name);
/* Calls `open` of each plug-in that the tracker's configuration names; failures are kept in `why`.
 */
int st_host_open(struct st_host *host, struct st_tracker *tracker, struct st_error *err);
void st_host_close(struct st_host *host);

/* The loaded plug-in of that name, or NULL. */
struct st_loaded *st_host_find(struct st_host *host, const char *name);
/* The one whose table it is (full name), or NULL when absent. */
struct st_loaded *st_host_of_table(struct st_host *host, const char *full_table);

#endif
