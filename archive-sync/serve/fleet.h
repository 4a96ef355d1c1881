/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fleet.h - what is known of all hosts together: the file fleet.db of an archive, derived from the
 * catalogs and rebuilt from them where it is missing, damaged or behind (SQLite, WAL).
 *
 * It answers search, whose objects are whose, and what the pages list; the heads of all hosts are
 * in memory besides, so that a sync with nothing new costs no query. One for the server, used by
 * all threads: readers are many, what changes it comes from the committer alone.
 */
#ifndef ARCHIVE_SYNC_SERVE_FLEET_H
#define ARCHIVE_SYNC_SERVE_FLEET_H

#include "archive-sync/archive.h"

struct st_fleet;

/* Opens it, makes it anew where need be, and brings it up to every catalog's head.  The server
 * alone does so; other programs that change catalogs open it beside, with the archive's lock held:
 * NULL where there is none. */
int st_fleet_open(struct st_fleet **ret, struct st_archive *a, struct st_error *err);
int st_fleet_open_beside(struct st_fleet **ret, struct st_archive *a, struct st_error *err);
void st_fleet_close(struct st_fleet *f);
ST_DEFINE_CLEANUP(struct st_fleet *, st_fleet_close)

struct st_fleet_head {
  int64_t epoch, number, time; /* number 0: it has sent none */
  uint8_t digest[ST_DIGEST_SIZE];
  bool wanted; /* something of it was lost: it is asked for again */
};
/* From memory; false: the host is not known. */
bool st_fleet_head(struct st_fleet *f, const char *host, struct st_fleet_head *ret);

/* Takes in what the catalog has beyond what is known of the host: after a commit, by the committer
 * alone; st_fleet_flush makes it durable (it may be lost without harm: opening catches up).  Both
 * with the archive's lock held, which is not let go between the two.  A catalog that was put aside
 * as an older epoch, or pruned, is noticed.  The second one takes it from the changeset that was
 * just applied: faster, and the same. */
int st_fleet_learn(struct st_fleet *f, const char *host, struct st_catalog *c,
                   struct st_error *err);
int st_fleet_learn_set(struct st_fleet *f, const char *host, struct st_catalog *c,
                       const struct st_changeset *set, struct st_error *err);
int st_fleet_flush(struct st_fleet *f, struct st_error *err);

/* Whether some fact of this host, in any checkpoint and epoch, names the object. */
bool st_fleet_names(struct st_fleet *f, const char *host, const struct st_id *id);
/* Whether some package of this host, in any checkpoint, has the name, version and architecture of
 * the kept file with this content.  A host says itself what it has installed: who did not prove
 * that it has the file, too, may not read it for this. */
bool st_fleet_has_package(struct st_fleet *f, const char *host, const char *digest_hex);

/* A host is silent when no checkpoint of it was received for so long, and no other continues it. */
#define ST_FLEET_SILENCE ((int64_t)36 * 3600)
void st_fleet_set_silence(struct st_fleet *f, int64_t seconds); /* 0: that */
/* The host is continued by another (access.db): said at the start of each, and when it comes to be
 * so. */
void st_fleet_continued(struct st_fleet *f, const char *host);

/* ---- What the pages list ------------------------------------------------------------------------
 */

struct st_fleet_host {
  char id[ST_HOST_ID_SIZE];
  const char *name;            /* /etc/hostname of the latest checkpoint, escaped by nobody; "" */
  int64_t epoch, number, time; /* of the latest checkpoint; time: seconds since 1970 */
  int64_t received;            /* when the server took it */
  bool incomplete, silent;
  int64_t packages;   /* of the latest, installed */
  int64_t deviations; /* facts that it has stored of paths */
  int64_t files;      /* paths that these are of */
  int64_t bytes;      /* that its catalog and chain take */
  const char *nights; /* changes of the last 30 days (UTC), "3,0,12,...": oldest first, the last is
                       * the day of the latest; the baseline's do not count */
};
struct st_fleet_query {
  const char *match; /* in name or id; NULL: all */
  const char *sort;  /* "name", "age", "changes", "size", "silent" */
  bool descending, silent_only;
  size_t offset, limit;
  bool (*visible)(void *arg, const char *host); /* NULL: all are */
  void *arg;
};
typedef int st_fleet_host_fn(void *arg, const struct st_fleet_host *host, struct st_error *err);
/* `*ret_total`: how many there are without offset and limit. */
int st_fleet_hosts(struct st_fleet *f, const struct st_fleet_query *query, st_fleet_host_fn *fn,
                   void *arg, size_t *ret_total, struct st_error *err);
int st_fleet_host(struct st_fleet *f, const char *host, st_fleet_host_fn *fn, void *arg,
                  struct st_error *err); /* 1: there is none */

/* One hit of a search. */
struct st_fleet_hit {
  char host[ST_HOST_ID_SIZE];
  const char *name; /* of the host */
  int64_t number;   /* the latest checkpoint in which it is so */
  bool now;         /* it is the host's latest */
  const void *path; /* bytes, NULL: not a path */
  size_t path_length;
  const char *package, *version; /* NULL: not a package's */
  const char *digest;            /* hexadecimal, NULL */
};
typedef int st_fleet_hit_fn(void *arg, const struct st_fleet_hit *hit, struct st_error *err);

/* Which hosts have a deviating or unpackaged path (exact, or with "*" and "?" within). */
int st_fleet_find_path(struct st_fleet *f, const char *pattern, const struct st_fleet_query *query,
                       st_fleet_hit_fn *fn, void *arg, struct st_error *err);
/* "NAME", "NAME = 1.2", "NAME < 1:2.0-3" and so on (<, <=, =, >=, >), by deb's or rpm's rules,
 * whichever the package is. */
int st_fleet_find_package(struct st_fleet *f, const char *text, const struct st_fleet_query *query,
                          st_fleet_hit_fn *fn, void *arg, struct st_error *err);
/* A content's SHA-256 or its beginning (8 digits and more); a secret's is not found. */
int st_fleet_find_digest(struct st_fleet *f, const char *hex, const struct st_fleet_query *query,
                         st_fleet_hit_fn *fn, void *arg, struct st_error *err);

#endif
