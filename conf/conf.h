/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf.h - /etc/systracker/systracker.conf and the files of conf.d beside it, by libconfuse.
 *
 * Stands alone: uses nothing but systracker/base.  Each file is parsed by itself and merged here,
 * in the order of names: lists append, single values replace, `reset = true` in a block clears what
 * the files before put into it.  "${" is an error, not an expansion.  Every error names file and
 * line.
 */
#ifndef ST_CONF_CONF_H
#define ST_CONF_CONF_H

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

/* Where something was written. */
struct st_conf_place {
  char *file;
  int line;
};

/* name = value, or name = { values } in a plug-in's block. */
struct st_conf_option {
  char *name;
  struct st_strings values;
  struct st_conf_place place; /* of the last one merged */
};

struct st_conf_plugin {
  char *name;
  struct st_conf_option *options;
  size_t noptions;
  struct st_conf_place place;
};

/* The four lists, each entry `LIST "pattern" { reason = "why" }`. */
enum st_conf_list {
  ST_CONF_EXCLUDED,  /* excluded: never looked at */
  ST_CONF_GENERATED, /* generated: counted, neither stored nor restored but made again */
  ST_CONF_SECRET,    /* secret: keyed and sealed, never shown */
  ST_CONF_IDENTITY,  /* identity: of this machine; stays the target's on another host */
  ST_CONF_NLISTS,
};

struct st_conf_entry {
  char *pattern;
  char *reason; /* never empty: it is required */
  struct st_conf_place place;
};

/* prune { keep_... }: which checkpoints are kept. */
struct st_conf_prune {
  int64_t last, daily, weekly, monthly, yearly; /* 0: none by this rule */
  struct st_strings tags;
  bool all_packages; /* keep_packages = all: also files of packages that no checkpoint has */
};

struct st_conf {
  char *store;                    /* default /var/lib/systracker */
  char *log;                      /* "syslog", "none" or an absolute path; default syslog */
  uint64_t min_free;              /* bytes to leave free; default 256M */
  uint64_t max_night;             /* bytes of content a night; default 4G */
  bool after_transaction;         /* checkpoint_after_transaction; default false */
  struct st_strings caches;       /* package_caches: folders of the root, absolute */
  struct st_conf_plugin *plugins; /* in order of first mention */
  size_t nplugins;
  struct st_conf_entry *lists[ST_CONF_NLISTS];
  size_t nlists[ST_CONF_NLISTS];
  struct st_strings archives;      /* archive { url = } */
  struct st_strings archive_files; /* where each of them stands */
  struct st_strings files;         /* what was read, in order */
  struct st_conf_prune prune;
};

/* What options a plug-in's block may have; NULL: the plug-in is not there, any will do (it is
 * reported when it is loaded).  The universal ones (track, exclude, secret) are known here. */
typedef const struct st_option *st_conf_schema_fn(void *arg, const char *plugin);

/* The option names that every plug-in block takes: lists of patterns. */
extern const char *const st_conf_universal[]; /* "track", "exclude", "secret", NULL */

/* Reads `path` and, beside it, the files conf.d/NAME.conf.  A missing main file is an error. */
int st_conf_read(struct st_conf **ret, const char *path, st_conf_schema_fn *schema, void *arg,
                 struct st_error *err);
void st_conf_free(struct st_conf *conf);
ST_DEFINE_CLEANUP(struct st_conf *, st_conf_free)

const struct st_conf_plugin *st_conf_plugin(const struct st_conf *conf, const char *name);
const struct st_conf_option *st_conf_option(const struct st_conf_plugin *plugin, const char *name);

#endif
