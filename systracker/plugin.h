/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plugin.h - what a SysTracker plug-in is, and what it may call.
 *
 * This is the only public header.  A plug-in is a shared object that defines one
 * struct st_plugin and says ST_REGISTER_PLUGIN(it).  It declares the tables of facts
 * that it keeps; SysTracker makes them temporal, compares, stores, sends, shows and
 * restores them, also later and elsewhere, where the plug-in itself is absent.
 *
 * Errors: a function that can fail takes `struct st_error *err` last and returns a
 * negative number when it did, having said why with st_fail(err, ...).  The message is
 * "what failed: why (path)", without a newline.
 *
 * Bytes: paths, names and link targets are bytes, neither text nor terminated in
 * the file system's own eyes; here they end at a NUL, which no path can hold.
 *
 * Which callbacks may run at once: `want` is called from any thread of the walk, several
 * at a time: it reads what `open` set up, and locks what else it needs.  All others are
 * called one at a time.
 */
#ifndef SYSTRACKER_PLUGIN_H
#define SYSTRACKER_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#ifdef __cplusplus
extern "C" {
#endif

/* SysTracker itself is built with hidden symbols; these are the exception. */
#pragma GCC visibility push(default)

/* Grows when the meaning of something here changes; never when fields are added at an end. */
#define ST_API_VERSION 1

#define ST_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* ---- Errors -------------------------------------------------------------------- */

struct st_error;

/* Sets the error's message and returns -1.  A `code` other than 0 is an errno value, whose
 * text is appended as ": text".  A message set before is replaced. */
int st_fail(struct st_error *err, int code, const char *fmt, ...) ST_PRINTF(3, 4);

/* ---- Values, columns, tables ---------------------------------------------------- */

/* The name of some content: SHA-256 of it, or for secrets HMAC-SHA-256 under the host's key. */
struct st_id {
  uint8_t keyed; /* 0: SHA-256; 1: HMAC, of a secret: never shown anywhere */
  uint8_t digest[32];
};

enum st_value_type {
  ST_NULL,    /* not captured; never "absent" and never a difference */
  ST_INTEGER, /* signed 64 bits */
  ST_TEXT,    /* UTF-8 */
  ST_BYTES,   /* any bytes, the empty string among them */
  ST_PATH,    /* bytes; kept once each in the catalog */
  ST_ID,      /* a struct st_id */
};

/* One value.  `text`, `bytes` and `path` are borrowed: valid as long as what they came from. */
struct st_value {
  enum st_value_type type;
  union {
    int64_t integer;
    struct {
      const void *data; /* not terminated */
      size_t length;
    } bytes; /* ST_TEXT, ST_BYTES, ST_PATH */
    struct st_id id;
  } u;
};

enum st_column_flags {
  ST_KEY = 1,             /* part of the key; key columns come first */
  ST_OBJECT = 2,          /* ST_ID that names an object of the store: kept and sent with the fact */
  ST_MANIFEST = 4,        /* ST_ID that names a manifest: what the package expects of its paths */
  ST_QUIET = 8,           /* a change of this column alone shows only with --times */
  ST_AS_MODE = 16,        /* shown in octal */
  ST_AS_TIME = 32,        /* seconds since 1970, shown as a date */
  ST_DERIVED = 64,        /* never shown by itself: another column or table says it better */
  ST_AS_FLAGS = 128,      /* file flags (FS_*_FL), shown by their names */
  ST_AS_XATTRS = 256,     /* a list of extended attributes as struct st_entry has it */
  ST_AS_HOLES = 512,      /* the holes of a sparse file as struct st_entry has them */
  ST_USUALLY_NONE = 1024, /* where a package's manifest is silent, it expects 0 or no bytes */
};

struct st_column {
  const char *name; /* [a-z][a-z0-9_]* */
  enum st_value_type type;
  unsigned flags; /* enum st_column_flags */
};

enum st_table_flags {
  ST_TABLE_ENTRY = 1,    /* the key is one ST_PATH: filled by `entry`; otherwise by `collect` */
  ST_TABLE_PACKAGES = 2, /* to find none of yesterday's rows is a failure, not an answer */
};

/* Columns are only ever appended; an old row reads ST_NULL in a column it did not have. */
struct st_table {
  const char *name; /* [a-z][a-z0-9_]*; known elsewhere as PLUGIN_NAME */
  unsigned flags;   /* enum st_table_flags */
  size_t ncolumns;
  const struct st_column *columns;
};

/* ---- Options -------------------------------------------------------------------- */

enum st_option_type { ST_OPT_STRING, ST_OPT_LIST, ST_OPT_SIZE, ST_OPT_NUMBER, ST_OPT_BOOL };

/* An option of the plug-in's block in the configuration.  `track`, `exclude` and `secret`
 * exist for every plug-in and are not declared. */
struct st_option {
  const char *name;
  enum st_option_type type;
  const char *fallback; /* as it would be written; NULL: none (empty, 0, false) */
  const char *help;     /* one line */
};

struct st_context; /* one open plug-in: its options, the root it looks at */

/* The option's value; a name that was not declared yields NULL, 0 or false. */
const char *st_option_string(const struct st_context *ctx, const char *name);
int64_t st_option_number(const struct st_context *ctx, const char *name); /* sizes in bytes */
bool st_option_bool(const struct st_context *ctx, const char *name);
/* The n-th string of a list, or NULL past its end. */
const char *st_option_list(const struct st_context *ctx, const char *name, size_t n);

/* A descriptor of the root directory of the host under watch; borrowed.  Open below it
 * with openat2(2) and RESOLVE_IN_ROOT only. */
int st_context_root(const struct st_context *ctx);
/* Whether that root is the running system's own. */
bool st_context_is_live_root(const struct st_context *ctx);

enum st_log_level { ST_LOG_DEBUG, ST_LOG_INFO, ST_LOG_WARNING, ST_LOG_ERROR };
void st_log(enum st_log_level level, const char *fmt, ...) ST_PRINTF(2, 3);

/* Opens a file below the root, read-only, following symlinks inside the root alone.
 * Returns a descriptor (the caller's), or a negative number: -ENOENT when it is not there. */
int st_open_in_root(const struct st_context *ctx, const char *path, struct st_error *err);
/* Reads a whole file below the root; `*ret` is malloc'ed and has a NUL behind its `*length` bytes.
 * More than `max` bytes is an error.  Returns 0, or a negative number: -ENOENT as above. */
int st_read_in_root(const struct st_context *ctx, const char *path, size_t max, char **ret,
                    size_t *length, struct st_error *err);

/* Runs a program of the running system, found in /usr/sbin:/usr/bin:/sbin:/bin, without a shell,
 * with an empty standard input, LC_ALL=C and a clean environment.  Its standard output goes to
 * `*ret` (malloc'ed, NUL behind), at most `max` bytes (more is an error), at most `seconds` long
 * (0: as long as it takes).  Returns the exit status, 128 + N for a signal, or a negative number:
 * -ENOENT when it is not installed. */
int st_run(char *const argv[], size_t max, unsigned seconds, char **ret, size_t *length,
           struct st_error *err);

/* The same with a program of SysTracker's own libexec folder: argv[0] is its bare name, as
 * "systracker-rpm".  It gets a descriptor of the root as 3. */
int st_run_own(const struct st_context *ctx, char *const argv[], size_t max, unsigned seconds,
               char **ret, size_t *length, struct st_error *err);

/* The same with a program of the root under watch, for `apply`: nothing of that root is run to
 * track it.  In another root than the running system's, it runs chrooted, in a mount namespace of
 * its own, and what it says on standard error is in `*ret`, too.  Only root may; a program for
 * another machine is refused.  -ENOENT when that root does not have it. */
int st_run_in_root(const struct st_context *ctx, char *const argv[], size_t max, unsigned seconds,
                   char **ret, size_t *length, struct st_error *err);

/* Opens the kept package file of that name, version and architecture, as the store's packages/ has
 * it; its kind is what the name ends with.  Returns a descriptor (the caller's), or a negative
 * number: -ENOENT when none is kept. */
int st_package_file(const struct st_context *ctx, const char *name, const char *version,
                    const char *architecture, struct st_error *err);

/* ---- Contents that packages declare -------------------------------------------------- */

/* A regular file, and the MD5 that its package declares. */
struct st_proof {
  const char *path;    /* within the root; no symlink is followed, in whatever part of it */
  const char *md5;     /* 32 digits as md5sum(1) writes them, not terminated */
  bool proved;         /* out: its content has that MD5; else it has not, or cannot be read */
  uint64_t size;       /* out, where proved: bytes that were read */
  struct st_id digest; /* out, where proved: SHA-256 of them */
};

struct st_prover; /* what one thread proves with; each of several threads has its own */
struct st_prover *st_prover_new(const struct st_context *ctx);
void st_prover_free(struct st_prover *prover); /* may be NULL */

/* Reads each file once, for both digests, and for the scan behind it, which does not read it again
 * while it is as it was.  Many at once, those of a directory together, take the least time.
 * `expected` alone calls this, or a thread of the plug-in's that has ended when `close` returns. */
void st_prove(struct st_prover *prover, struct st_proof *list, size_t count);

/* ---- Entries of the file system -------------------------------------------------- */

struct st_entry {
  const char *path; /* absolute within the root */
  char type;        /* as find's %y: f d l c b p s */
  uint32_t mode;    /* permission bits with setuid, setgid, sticky: 07777 */
  uint32_t uid, gid;
  const char *owner, *group; /* names in the root's own accounts; NULL: none */
  uint64_t size;             /* bytes */
  int64_t mtime;             /* seconds since 1970 */
  uint32_t mtime_nsec;
  uint64_t rdev;      /* of c and b, as makedev(3) gives it */
  const char *target; /* of l; else NULL */

  /* Filled for `entry`, of regular files that some plug-in wanted read: */
  unsigned wanted; /* union of what the plug-ins wanted; see enum st_want */
  bool unreadable; /* could not be read, or kept changing: `digest` is not set */
  bool has_digest; /* `digest` is set */
  bool has_object; /* the content is in the store under `digest` */
  struct st_id digest;

  /* Filled for `entry`, as far as it could be read; formats are in doc/formats. */
  bool has_flags;     /* `flags` is set: of f and d, where they can be opened */
  uint32_t flags;     /* those of FS_IOC_GETFLAGS that a user can set */
  const void *xattrs; /* a list of attributes, ACLs among them; NULL: not read */
  size_t xattrs_length;
  const void *holes; /* of f: where a sparse file holds nothing; NULL: not read */
  size_t holes_length;
  const char *link_group; /* its first path, where several tracked ones are one inode; "": this is
                           * the only one; NULL: a directory */
  uint64_t links_outside; /* links to it that were not met below what is tracked */

  /* Filled for `entry`, from the manifests that are in force: */
  bool owned;       /* some manifest speaks of the path */
  bool as_expected; /* `has_digest`, and it is the one that is expected */
};

/* The type that a file of this mode (stat(2)) has; 0: none. */
static inline char st_entry_type(uint32_t mode)
{
  switch (mode & S_IFMT) {
  case S_IFREG:
    return 'f';
  case S_IFDIR:
    return 'd';
  case S_IFLNK:
    return 'l';
  case S_IFCHR:
    return 'c';
  case S_IFBLK:
    return 'b';
  case S_IFIFO:
    return 'p';
  case S_IFSOCK:
    return 's';
  default:
    return 0;
  }
}

/* What a plug-in wants to know of a regular file's content. */
enum st_want {
  ST_WANT_ENTRY = 1,       /* call `entry` at all */
  ST_WANT_DIGEST = 2,      /* its digest */
  ST_WANT_CONTENT = 4,     /* keep its content in the store (implies the digest) */
  ST_WANT_SECRET = 8,      /* it is a secret: digest keyed, content sealed, for every plug-in */
  ST_WANT_UNEXPECTED = 16, /* keep its content unless it is what a manifest expects there (implies
                            * the digest) */
};

/* ---- What a plug-in hands over ---------------------------------------------------- */

struct st_facts; /* where `entry` and `collect` put what they saw */

/* "It is so": a row in the table's column order.  Facts of the path (`entry`) or of the table
 * (`collect`) that are not said again have ended, if the callback returns 0. */
int st_fact(struct st_facts *out, const char *table, const struct st_value *row, size_t ncolumns,
            struct st_error *err);

/* What `collect` may return: the facts of its tables stand; it has said none.  Only where this was
 * said to be true: whether the plug-in's last `collect` whose rows became facts, of the latest
 * checkpoint or earlier in this scan, gave this same fingerprint.  It is kept for the next time,
 * should `collect` return 0.  Not true with --full, where rules, options or versions are others, or
 * where that checkpoint was not made by this store.  A fingerprint made of times has to be of
 * times that were over when the scan began: a plug-in does not give one that is not. */
#define ST_UNCHANGED 1
bool st_unchanged(const struct st_context *ctx, const void *fingerprint, size_t length);

/* Keeps some content in the store, as a later revision of what the fact with this row's key
 * names in `column` today (for the delta; there need be none).  `*ret` names it. */
int st_keep(struct st_facts *out, const char *table, const char *column, const struct st_value *row,
            size_t ncolumns, const void *data, size_t length, struct st_id *ret,
            struct st_error *err);

struct st_manifest; /* where `expected` puts what a package declares */

/* "The package expects this row": of any plug-in's ST_TABLE_ENTRY table, by its full name. */
int st_expect(struct st_manifest *out, const char *full_table, const struct st_value *row,
              size_t ncolumns, struct st_error *err);

/* Marks the manifest as made from what is there, not from what the package declares: it is of this
 * host alone, and a better one may come later. */
void st_manifest_observed(struct st_manifest *out);

/* One difference between two states of one key. */
struct st_change {
  const char *table; /* full name, PLUGIN_NAME */
  const struct st_table *declaration;
  const struct st_value *before; /* a whole row, or NULL: there was none */
  const struct st_value *after;  /* likewise; never both NULL */
  bool packaged; /* on both sides a manifest says it, or nothing is known: the change of a package
                  * explains it */
};

struct st_text; /* where words go */

/* Appends; `st_say_bytes` escapes what a terminal must not see. */
int st_say(struct st_text *out, const char *fmt, ...) ST_PRINTF(2, 3);
int st_say_bytes(struct st_text *out, const void *data, size_t length);
/* The change of one column as SysTracker itself says it, without its name; nothing where it is not
 * known on both sides, or the same. */
int st_say_column(struct st_text *out, const struct st_change *change, size_t column);

struct st_plan; /* where `plan` puts its actions */

/* One action of the plug-in's own part of a restore: `words` for people; `data` comes back to
 * `apply` as it was given.  `possible` false: it is said, and not done. */
int st_plan_action(struct st_plan *out, const char *words, bool possible, const void *data,
                   size_t length, struct st_error *err);

/* ---- The plug-in ------------------------------------------------------------------ */

enum st_plugin_flag {
  /* No fact of a directory says anything of its size or times: one that a restore put back as it
   * was known need not be looked at, though what is in it was put there later. */
  ST_PLUGIN_TIMELESS = 1,
};

struct st_plugin {
  size_t size;     /* set by ST_REGISTER_PLUGIN, like the next */
  int api_version; /* refused when it is not ST_API_VERSION */

  const char *name;        /* [a-z][a-z0-9_]*, the file's name without .so */
  const char *version;     /* of the plug-in: when it changes, every entry is looked at again */
  const char *description; /* one line */
  const struct st_option *options; /* ends with a NULL name; may be NULL */
  const struct st_table *tables;   /* ends with a NULL name; mandatory */

  /* Checks the options and sets `*self` up.  Mandatory. */
  int (*open)(const struct st_context *ctx, void **self, struct st_error *err);
  void (*close)(void *self);

  /* What it wants of an entry that its rules track.  Absent: ST_WANT_ENTRY. */
  unsigned (*want)(void *self, const struct st_entry *entry);
  /* One entry to look at. */
  int (*entry)(void *self, const struct st_entry *entry, struct st_facts *out,
               struct st_error *err);
  /* State that is no file; called before the walk.  0, or ST_UNCHANGED. */
  int (*collect)(void *self, struct st_facts *out, struct st_error *err);
  /* What the package of this row expects of its paths; called when a row of a table with an
   * ST_MANIFEST column begins with that column ST_NULL.  Returns 1 when it knows nothing. */
  int (*expected)(void *self, const char *table, const struct st_value *row,
                  struct st_manifest *out, struct st_error *err);
  /* A change in words, one line; without it the columns are listed. */
  int (*explain)(void *self, const struct st_change *change, struct st_text *out,
                 struct st_error *err);
  /* Its part of a restore: from the live state (`before`) to the target (`after`).  Not called
   * for ST_TABLE_ENTRY tables, whose entries SysTracker itself puts back. */
  int (*plan)(void *self, const struct st_change *change, struct st_plan *out,
              struct st_error *err);
  int (*apply)(void *self, const void *data, size_t length, struct st_error *err);
  /* After a restore: 0 as it should be, 1 not, with the words. */
  int (*verify)(void *self, const void *data, size_t length, struct st_text *out,
                struct st_error *err);

  unsigned flags; /* enum st_plugin_flag */
};

/* The one symbol that a plug-in exports. */
const struct st_plugin *st_plugin_register(void);

#define ST_REGISTER_PLUGIN(plugin)                                                                 \
  __attribute__((visibility("default"))) const struct st_plugin *st_plugin_register(void)          \
  {                                                                                                \
    (plugin).size = sizeof(plugin);                                                                \
    (plugin).api_version = ST_API_VERSION;                                                         \
    return &(plugin);                                                                              \
  }

/* ---- Making values ----------------------------------------------------------------- */

static inline struct st_value st_null(void)
{
  return (struct st_value){.type = ST_NULL};
}

static inline struct st_value st_integer(int64_t n)
{
  return (struct st_value){.type = ST_INTEGER, .u.integer = n};
}

static inline struct st_value st_bytes_value(enum st_value_type type, const void *data, size_t n)
{
  return (struct st_value){.type = type, .u.bytes = {data, n}};
}

/* Terminated strings; NULL becomes ST_NULL. */
static inline struct st_value st_string_value(enum st_value_type type, const char *s)
{
  return s ? st_bytes_value(type, s, __builtin_strlen(s)) : st_null();
}

#define st_text_value(s) st_string_value(ST_TEXT, s)
#define st_path_value(s) st_string_value(ST_PATH, s)

static inline struct st_value st_id_value(const struct st_id *id)
{
  return (struct st_value){.type = ST_ID, .u.id = *id};
}

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
