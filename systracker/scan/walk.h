/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * walk.h - one walk over the tracked part of a root, for all plug-ins.
 *
 * An entry is looked at (`entry` is called) when its stat data differ from the index, when the
 * index is not current, when it is unsettled or fresh, or when `forced` says so; but not where it
 * was put there by ourselves (written.h) as the index says of the name.  Regular files of
 * which something is wanted are opened and read once, unless the index already knows their digest
 * (and, for content, the store already has the object).  A file that changes while it is read is
 * read again, at most three times, then reported as unreadable.
 *
 * All threads stat first; then what there is to look at is told, in the order of the paths, while
 * further threads read and hash ahead.  A directory whose own stat data are those of the index, and
 * settled, is not listed again, on file systems that keep its times.
 */
#ifndef ST_SCAN_WALK_H
#define ST_SCAN_WALK_H

#include "systracker/base/meta.h"
#include "systracker/scan/index.h"
#include "systracker/scan/rules.h"
#include "systracker/scan/written.h"

/* Which plug-ins track what: bit i of a mask is the i-th plug-in added. */
struct st_scope;
struct st_scope *st_scope_new(void);
void st_scope_free(struct st_scope *scope);
ST_DEFINE_CLEANUP(struct st_scope *, st_scope_free)
/* Takes the rules over (owned).  At most 32. */
void st_scope_add(struct st_scope *scope, struct st_rules *rules);
/* The lists that hold for all: excluded and generated (owned; may be NULL).  They compete by
 * length with each plug-in's own rules; a generated path is counted. */
void st_scope_set_excluded(struct st_scope *scope, struct st_rules *excluded);
void st_scope_set_generated(struct st_scope *scope, struct st_rules *generated);
/* Never looked at, whatever the rules: the store itself. */
void st_scope_set_store(struct st_scope *scope, const char *path);

struct st_scope_verdict {
  uint32_t plugins;           /* who tracks it; 0: nobody */
  bool generated;             /* because it is generated */
  const struct st_rule *rule; /* that decided for the first plug-in that tracks it, or why not */
};
struct st_scope_verdict st_scope_match(const struct st_scope *scope, const char *path, bool is_dir);
/* The same for the bit-th plug-in alone. */
struct st_scope_verdict st_scope_match_plugin(const struct st_scope *scope, unsigned bit,
                                              const char *path, bool is_dir);
/* Whether a directory that nobody tracks has to be entered all the same. */
bool st_scope_enter(const struct st_scope *scope, const char *path);
void st_scope_roots(const struct st_scope *scope, struct st_strings *out);
bool st_scope_names(const struct st_scope *scope, const char *path);
void st_scope_digest(const struct st_scope *scope, struct st_digester *out);

struct st_mount {
  const char *path;   /* within the root */
  const char *fstype; /* as mountinfo(5) says */
  bool entered;
};

/* Content of a regular file. */
struct st_walk_content {
  const void *data; /* for `prepare`, and for `content` where there is no `prepare` */
  size_t length;
  int fd; /* for `prepare`: -1, or of a large one, to be read from where it stands; `length` is what
           * it should have */
  bool secret;
  struct st_id *id; /* known, but of a large one: then `prepare` sets it */
  void *prepared;   /* for `content`: by `prepare`, or NULL */
};

/* What the walk tells and asks.  `want`, `has`, `forced`, `prepare` and `expects` are called from
 * any thread, several at a time; all others from the one that called st_walk, in the order of the
 * paths, `gone` at the end. */
struct st_walk_callbacks {
  void *arg;
  /* Union of what the plug-ins of the mask want; entry has no digest yet. */
  unsigned (*want)(void *arg, uint32_t plugins, const struct st_entry *entry);
  /* An entry to look at.  `entry->path` is valid during the call. */
  int (*entry)(void *arg, uint32_t plugins, const struct st_entry *entry, struct st_error *err);
  /* Content that was wanted: put it in the store, and set the id.  Called before `entry`; takes
   * over what `prepare` made. */
  int (*content)(void *arg, const struct st_entry *entry, const struct st_walk_content *content,
                 struct st_id *ret, struct st_error *err);
  /* Whether the store has the object.  Any thread. */
  bool (*has)(void *arg, const struct st_id *id);
  /* Whether the path must be looked at although nothing shows a change (rule (c)); may be NULL. */
  bool (*forced)(void *arg, const char *path);
  /* It was in the current index, and is gone with everything below. */
  int (*gone)(void *arg, const char *path, struct st_error *err);
  /* Not seen: what is known of the path (and all below, where it is a directory) stands. */
  int (*unobserved)(void *arg, const char *path, const char *why, struct st_error *err);
  int (*mount)(void *arg, const struct st_mount *mount, struct st_error *err);
  /* The part of `content` that may be done in any thread, several at a time, and before its turn;
   * `*ret` is for `content`, or for `drop` where that is not called.  1: the large content was not
   * read, which the walk does then; -errno but -EPERM: it could not be; -1: `err`.  May be NULL. */
  int (*prepare)(void *arg, const struct st_entry *entry, const struct st_walk_content *content,
                 void **ret, struct st_error *err);
  /* Frees what `prepare` made and `content` will not be called for; not NULL where that is not. */
  void (*drop)(void *arg, void *prepared);
  /* Whether that content is what is expected there, for ST_WANT_UNEXPECTED.  Any thread.  NULL:
   * never. */
  bool (*expects)(void *arg, const char *path, const struct st_id *digest);
  /* `entry` will be called for the path, if it is still there.  May be NULL. */
  void (*soon)(void *arg, const char *path);
};

struct st_walk_options {
  int root; /* descriptor */
  const struct st_scope *scope;
  struct st_index *index; /* st_index_start was called */
  bool current;           /* st_index_is_current */
  uint32_t timeless; /* plug-ins whose facts of a directory say nothing of its size and times */
  bool elsewhere;    /* the index is of another root: nothing is passed by its stat data */
  bool full;         /* read every file again, whatever the index says */
  const struct st_accounts *accounts;
  const struct st_keys *keys;      /* for the digests of secrets */
  bool other_keys;                 /* than those the index was made with */
  const struct st_strings *mounts; /* mount points of the checkpoint before: missing ones are
                                    * unobserved, not gone */
  uint64_t max_content;            /* bytes: larger files are never handed to `content` */
  struct st_written *written;      /* what was put there by ourselves: digests are known, and what
                                    * the index says of the name is not looked at; may be NULL */
  struct st_written *proved;       /* what was read before: digests are known; may be NULL */
};

struct st_walk_result {
  uint64_t entries; /* seen */
  uint64_t looked_at;
  uint64_t read; /* files */
  uint64_t read_bytes;
  uint64_t generated; /* left out by that list */
  uint64_t listed;    /* directories: the others were known by name */
  uint64_t vanished;  /* between listing and looking: no error */
  uint64_t unobserved;
};

int st_walk(const struct st_walk_options *options, const struct st_walk_callbacks *callbacks,
            struct st_walk_result *ret, struct st_error *err);

#endif
