/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * view.h - what a page or an answer of the API says of one host, or of two: its catalog, opened to
 * read and closed after the request.
 *
 * Paths are bytes, terminated, as the host has them: whoever prints them escapes them (st_quote,
 * then for HTML).  What is called words, name or label is escaped for people already (escape.h) and
 * is UTF-8; HTML is not escaped in it.  Of a secret there is that it changed, and no more.
 * All of it takes its time (disk): for routes with ST_ROUTE_WORK.  One thread at a time uses a
 * view.
 */
#ifndef ARCHIVE_SYNC_SERVE_VIEW_H
#define ARCHIVE_SYNC_SERVE_VIEW_H

#include <jansson.h>

#include "archive-sync/archive.h"
#include "systracker/tracker/tracker.h"

/* No more than this is given at once, whatever is asked for. */
#define ST_VIEW_LIMIT ((size_t)1000)
/* Lines of a difference, at most. */
#define ST_VIEW_LINES ((size_t)20000)
/* Contents that are longer are not shown, nor compared line by line. */
#define ST_VIEW_CONTENT_MAX ((size_t)1 << 20)

/* A part of a list; limit 0: ST_VIEW_LIMIT. */
struct st_view_span {
  size_t offset, limit;
};
size_t st_view_span_limit(struct st_view_span span);       /* 1 to ST_VIEW_LIMIT */
bool st_view_span_has(struct st_view_span span, size_t n); /* the n-th, from 0 */

struct st_hostviews;

/* By which a catalog is known for what it was. */
struct st_view_stamp {
  uint64_t dev, ino, index;
  int64_t size, seconds, nsec;
  int64_t wal_size, wal_seconds, wal_nsec; /* of a host's own store */
};

struct st_hostview {
  char *host;     /* "ID" or "ID/epoch-N" */
  char *name;     /* of /etc/hostname at the latest checkpoint, words; "" where it is not known */
  int64_t latest; /* checkpoint; 0: none yet */
  struct st_tracker *t;
  struct st_hostviews *pool; /* it goes back there; NULL: none */
  struct st_view_stamp stamp;
  int64_t used;                  /* seconds, monotonic: it went back */
  struct st_view_counts *counts; /* of deviations, for the list's next page; NULL: none */
};

/* A few closed views are kept for who asks for the same host again.  For any number of threads;
 * the archive is borrowed for its life. */
struct st_hostviews *st_hostviews_new(struct st_archive *a);
void st_hostviews_free(struct st_hostviews *p); /* all that were opened are closed */
ST_DEFINE_CLEANUP(struct st_hostviews *, st_hostviews_free)
/* As the next one. */
int st_hostviews_open(struct st_hostviews *p, const char *host, struct st_hostview **ret,
                      struct st_error *err);

/* 1: there is no such host, or it has sent nothing yet; the error says so. */
int st_hostview_open(struct st_hostview **ret, struct st_archive *a, const char *host,
                     struct st_error *err);
void st_hostview_close(struct st_hostview *v);
ST_DEFINE_CLEANUP(struct st_hostview *, st_hostview_close)
#define ST_AUTO_HOSTVIEW ST_CLEANUP(st_hostview_closep) struct st_hostview

/* A number, tag, latest, latest~N, baseline or date, whose facts are here.  1: there is none, and
 * the error says why. */
int st_hostview_resolve(struct st_hostview *v, const char *text, int64_t *ret,
                        struct st_error *err);

/* ---- Checkpoints --------------------------------------------------------------------------------
 */

/* `words`: "12 began, 1 ended", "nothing changed" and so on, as `log` has them. */
typedef int st_view_checkpoint_fn(void *arg, const struct st_checkpoint *cp, const char *words,
                                  struct st_error *err);
/* Newest first, without those that were pruned; `*ret_total`: how many there are. */
int st_hostview_checkpoints(struct st_hostview *v, struct st_view_span span,
                            st_view_checkpoint_fn *fn, void *arg, size_t *ret_total,
                            struct st_error *err);
/* What one covers: rows of the core's tables as words, "dpkg_track 1 ok", "/proc proc, not
 * entered", "why (path)". */
struct st_view_scope {
  struct st_strings plugins, mounts, missed;
};
int st_hostview_scope(struct st_hostview *v, int64_t number, struct st_view_scope *ret,
                      struct st_error *err);
void st_view_scope_clear(struct st_view_scope *s);

/* ---- Changes ------------------------------------------------------------------------------------
 */

enum st_view_kind {
  ST_VIEW_PACKAGES,      /* packages, and what their managers keep beside files */
  ST_VIEW_CONFIGURATION, /* paths whose content is kept */
  ST_VIEW_OTHER,
  ST_VIEW_KINDS,
};
extern const char *const st_view_kind_words[ST_VIEW_KINDS]; /* "packages", ... */

struct st_view_change {
  enum st_view_kind kind;
  char letter; /* A D M T */
  char *path;  /* of an entry; else NULL */
  char *name;  /* words: the path, or "package bash amd64" */
  struct st_strings words;
  bool secret;
  bool content; /* it changed: a comparison line by line is worth a try */
  json_t *json; /* array of objects as `diff --json` prints them; NULL unless asked for */
};
struct st_view_changes {
  struct st_view_change *items; /* packages, configuration, other; the span alone */
  size_t count;
  size_t totals[ST_VIEW_KINDS]; /* without offset and limit */
  size_t packaged;              /* paths as their packages have them, not shown one by one */
  bool rules;     /* the rules changed, too: what they took in or left out is added or deleted */
  bool truncated; /* there was too much to look at all */
};
void st_view_changes_clear(struct st_view_changes *c);
#define ST_AUTO_CHANGES ST_CLEANUP(st_view_changes_clear) struct st_view_changes

struct st_view_query {
  const char *below; /* only of this path and below it; NULL: all */
  int kind;          /* enum st_view_kind; -1: all */
  bool files;        /* paths as their packages have them, too (of one host) */
  bool times;        /* changes of times alone, too */
  bool json;
  struct st_view_span span;
};
/* From a to b; both have to be here (st_hostview_resolve). */
int st_hostview_changes(struct st_hostview *v, int64_t a, int64_t b,
                        const struct st_view_query *query, struct st_view_changes *ret,
                        struct st_error *err);
/* From one host to another (or the same): what packages have alike, or their own versions bring
 * along, is not shown path by path. */
int st_hostview_changes_of_two(struct st_hostview *a, int64_t at_a, struct st_hostview *b,
                               int64_t at_b, const struct st_view_query *query,
                               struct st_view_changes *ret, struct st_error *err);
/* The one path's, `ret` is empty (letter 0) where nothing differs; a and b may be one view. */
int st_hostview_change_of(struct st_hostview *a, int64_t at_a, struct st_hostview *b, int64_t at_b,
                          const char *path, struct st_view_change *ret, struct st_error *err);
void st_view_change_clear(struct st_view_change *c);

/* ---- Contents and their differences -------------------------------------------------------------
 */

/* The content of a file.  1: `out` has it; 0: it cannot be shown, and `why` says why in words: a
 * secret, not kept, too large (`max`, at most ST_VIEW_CONTENT_MAX), no file, not there. */
int st_hostview_content(struct st_hostview *v, int64_t number, const char *path, size_t max,
                        struct st_buffer *out, struct st_buffer *why, struct st_error *err);

enum st_diff_kind {
  ST_DIFF_SAME,
  ST_DIFF_DELETED, /* left alone */
  ST_DIFF_ADDED,   /* right alone */
  ST_DIFF_CHANGED, /* of rows: both, side by side */
  ST_DIFF_HUNK,    /* "@@ -1,3 +1,4 @@", in left */
  ST_DIFF_NOTE,    /* "\\ No newline at end of file", in left */
};
struct st_diff_line {
  enum st_diff_kind kind;
  int64_t left_number, right_number; /* from 1; 0: none on that side */
  const char *left, *right;          /* bytes into `unified`, without newline; NULL: none */
  size_t left_length, right_length;
};
struct st_view_diff {
  char *unified; /* bytes, with its header lines; "": the texts are the same; NULL: see `why` */
  size_t length;
  struct st_diff_line *lines; /* one a line of the unified diff, without its header */
  size_t nlines;
  struct st_diff_line *rows; /* the same, side by side */
  size_t nrows;
  bool cut;  /* lines and rows end early (ST_VIEW_LINES); `unified` is whole */
  char *why; /* words: why there is no comparison line by line; NULL: there is */
};
/* Compares the path's contents: a side without the file is empty. */
int st_hostview_diff(struct st_hostview *a, int64_t at_a, struct st_hostview *b, int64_t at_b,
                     const char *path, struct st_view_diff *ret, struct st_error *err);
void st_view_diff_clear(struct st_view_diff *d);
#define ST_AUTO_DIFF ST_CLEANUP(st_view_diff_clear) struct st_view_diff
/* Of any two texts; the labels are words. */
int st_view_compare(const void *old, size_t old_length, const char *old_label, const void *new_,
                    size_t new_length, const char *new_label, struct st_view_diff *ret,
                    struct st_error *err);

/* ---- One path -----------------------------------------------------------------------------------
 */

struct st_view_column {
  const char *table, *name; /* the catalog's */
  char *value;              /* words */
};
struct st_view_entry {
  bool present, secret;
  bool expected;                       /* all of it is as its package has it */
  char type;                           /* as find's %y: f d l c b p s; 0: not known */
  char digest[2 * ST_DIGEST_SIZE + 1]; /* of a regular file; "": none, or a secret's */
  int64_t size;                        /* bytes; -1: not known */
  struct st_view_column *columns;
  size_t ncolumns;
  char *package;      /* words, "bash 5.2 amd64": who expects something there; NULL: none */
  const char *source; /* of the content: "store", "package file"; NULL: it is not kept */
  char *unobserved;   /* why it was not seen then, words; NULL: it was */
  json_t *json; /* as `explain --json` has `facts`, `secret`, `kept`, `package`, `content`... */
};
int st_hostview_entry(struct st_hostview *v, int64_t number, const char *path,
                      struct st_view_entry *ret, struct st_error *err);
void st_view_entry_clear(struct st_view_entry *e);
#define ST_AUTO_ENTRY ST_CLEANUP(st_view_entry_clear) struct st_view_entry

/* What became of the path with one checkpoint. */
struct st_view_event {
  int64_t number, before; /* the checkpoint, and the one it is counted from (0: none) */
  int64_t time;
  char letter;
  bool secret;
  const struct st_strings *words; /* "as bash 5.2 amd64 has it" among them */
  const char *message;            /* of the checkpoint, words; NULL: none */
  json_t *json;                   /* array of objects as `log --json PATH` prints them; borrowed */
};
typedef int st_view_event_fn(void *arg, const struct st_view_event *event, struct st_error *err);
/* Newest first; `*ret_more`: there are older ones. */
int st_hostview_history(struct st_hostview *v, const char *path, struct st_view_span span,
                        st_view_event_fn *fn, void *arg, bool *ret_more, struct st_error *err);

/* ---- Packages -----------------------------------------------------------------------------------
 */

struct st_view_package {
  const char *name, *version, *architecture; /* as the package manager has them, UTF-8 */
  int64_t since;                             /* checkpoint: it is so since */
  bool kept;                                 /* the archive has its package file */
  size_t deviations;                         /* paths that are not as it has them */
};
typedef int st_view_package_fn(void *arg, const struct st_view_package *package,
                               struct st_error *err);
struct st_view_package_query {
  const char *match; /* within the name; NULL: all */
  bool deviating;    /* only those with deviations */
  struct st_view_span span;
};
/* By name. */
int st_hostview_packages(struct st_hostview *v, int64_t number,
                         const struct st_view_package_query *query, st_view_package_fn *fn,
                         void *arg, size_t *ret_total, struct st_error *err);

/* One path that is not as its package has it. */
struct st_view_deviation {
  const char *package, *version, *architecture;
  const char *from; /* what it is compared with: "package file", "package", "observed" */
  const char *path;
  char letter; /* M D T */
  bool configuration, secret;
  const struct st_strings *words;
  json_t *json; /* as `packages --deviations --json` prints it; borrowed */
};
typedef int st_view_deviation_fn(void *arg, const struct st_view_deviation *deviation,
                                 struct st_error *err);
/* By package and path; `package` (a name): only of that one, NULL: of all. */
int st_hostview_deviations(struct st_hostview *v, int64_t number, const char *package,
                           struct st_view_span span, st_view_deviation_fn *fn, void *arg,
                           size_t *ret_total, struct st_error *err);

#endif
