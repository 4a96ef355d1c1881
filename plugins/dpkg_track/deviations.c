/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/dpkg_track/deviations.h"

#include <errno.h>
#include <gcrypt.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/dpkg_track/owners.h"
#include "plugins/dpkg_track/tables.h"

#define PIECE 65536 /* bytes read at once */

struct deviations {
  pthread_mutex_t lock;  /* `want` is called from several threads; all of this is under it */
  struct owners *owners; /* NULL: not asked yet */
  bool failed;           /* dpkg's lists cannot be read */
  void *found;           /* a tree of struct deviation (tsearch(3)) */
};

struct deviation {
  char *path;
  const char *why; /* static */
};

static int by_path(const void *a, const void *b)
{
  return strcmp(((const struct deviation *)a)->path, ((const struct deviation *)b)->path);
}

static void free_deviation(void *arg)
{
  struct deviation *v = arg;
  free(v->path);
  free(v);
}

struct deviations *deviations_new(void)
{
  struct deviations *v = calloc(1, sizeof(*v));
  gcry_check_version(NULL);
  if (v)
    pthread_mutex_init(&v->lock, NULL);
  return v;
}

void deviations_forget(struct deviations *v)
{
  owners_free(v->owners);
  tdestroy(v->found, free_deviation);
  v->owners = NULL;
  v->found = NULL;
  v->failed = false;
}

void deviations_free(struct deviations *v)
{
  deviations_forget(v);
  pthread_mutex_destroy(&v->lock);
  free(v);
}

/* ---- Whether it deviates ----------------------------------------------------------------------
 */

static int ask(const struct dpkg_track *d, const char *path, bool declared, struct claims *ret)
{
  struct deviations *v = d->deviations;
  int r = -1;
  pthread_mutex_lock(&v->lock);
  if (!v->owners && !v->failed)
    v->failed = owners_read(&v->owners, d, NULL) < 0;
  if (!v->failed)
    r = owners_ask(v->owners, path, declared, ret, NULL);
  if (r < 0)
    v->failed = true;
  else if (owners_count(v->owners) == 0)
    r = -1; /* no system of dpkg's: nothing deviates from it */
  pthread_mutex_unlock(&v->lock);
  return r;
}

/* As digits; false: it cannot be read. */
static bool md5_of(int fd, char ret[MD5_DIGITS + 1])
{
  char piece[PIECE];
  gcry_md_hd_t digest;
  ssize_t n;
  if (gcry_md_open(&digest, GCRY_MD_MD5, 0) != 0)
    return false;
  while ((n = read(fd, piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR)) {
    if (n > 0)
      gcry_md_write(digest, piece, (size_t)n);
  }
  const unsigned char *bytes = n == 0 ? gcry_md_read(digest, GCRY_MD_MD5) : NULL;
  for (size_t i = 0; bytes && i < MD5_DIGITS / 2; i++)
    snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
  gcry_md_close(digest);
  return bytes != NULL;
}

static bool is_declared(const struct claims *c, const char *md5)
{
  bool any = false;
  for (size_t i = 0; i < c->count; i++) {
    any |= c->md5[i] != NULL;
    if (c->md5[i] && memcmp(c->md5[i], md5, MD5_DIGITS) == 0)
      return true;
  }
  return !any;
}

static bool is_older(const struct stat *st, const struct timespec *listed)
{
  return st->st_ctim.tv_sec != listed->tv_sec ? st->st_ctim.tv_sec < listed->tv_sec
                                              : st->st_ctim.tv_nsec <= listed->tv_nsec;
}

static bool is_changed(const struct dpkg_track *d, const char *path, struct claims *c, int fd)
{
  struct stat st;
  char md5[MD5_DIGITS + 1];
  if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (!c->diverted && is_older(&st, &c->listed)))
    return false;
  return ask(d, path, true, c) == 0 && md5_of(fd, md5) && !is_declared(c, md5);
}

/* Why its content is kept; NULL: it need not be. */
static const char *why_kept(const struct dpkg_track *d, const char *path)
{
  struct claims c;
  if (ask(d, path, false, &c) < 0)
    return NULL;
  if (c.count == 0)
    return DEVIATION_UNOWNED;
  int fd = st_open_in_root(d->ctx, path, NULL);
  if (fd < 0)
    return NULL;
  bool changed = is_changed(d, path, &c, fd);
  close(fd);
  return changed ? DEVIATION_CHANGED : NULL;
}

/* ---- For the walk -----------------------------------------------------------------------------
 */

static void note(struct deviations *v, const char *path, const char *why)
{
  struct deviation *new = calloc(1, sizeof(*new));
  if (new)
    *new = (struct deviation){strdup(path), why};
  pthread_mutex_lock(&v->lock);
  struct deviation **at = new &&new->path ? tsearch(new, &v->found, by_path) : NULL;
  v->failed |= !at;
  if (at && *at != new)
    (*at)->why = why;
  pthread_mutex_unlock(&v->lock);
  if (new && (!at || *at != new))
    free_deviation(new);
}

static const char *noted(struct deviations *v, const char *path)
{
  struct deviation key = {.path = (char *)path};
  pthread_mutex_lock(&v->lock);
  struct deviation **at = tfind(&key, &v->found, by_path);
  const char *why = at ? (*at)->why : NULL;
  pthread_mutex_unlock(&v->lock);
  return why;
}

unsigned dpkg_want(void *self, const struct st_entry *e)
{
  const struct dpkg_track *d = self;
  const char *why = e->type == 'f' ? why_kept(d, e->path) : NULL;
  if (why)
    note(d->deviations, e->path, why);
  if (!why || e->size > d->max_size)
    return ST_WANT_ENTRY;
  return ST_WANT_ENTRY | ST_WANT_DIGEST | ST_WANT_CONTENT;
}

/* Of a file that could not be read nothing is said; SysTracker lets its fact stand. */
int dpkg_entry(void *self, const struct st_entry *e, struct st_facts *out, struct st_error *err)
{
  const struct dpkg_track *d = self;
  if (d->deviations->failed)
    return st_fail(err, 0, "dpkg's lists of files cannot be read (%s)", d->info);
  const char *why = e->type == 'f' && !e->unreadable ? noted(d->deviations, e->path) : NULL;
  bool large = e->size > d->max_size, kept = e->has_object && e->has_digest && !large;
  if (!why || (!kept && !large))
    return 0;
  struct st_value row[DEVIATION_COLUMNS] = {
      [DEVIATION_PATH] = st_path_value(e->path),
      [DEVIATION_WHY] = st_text_value(why),
  };
  if (kept)
    row[DEVIATION_OBJECT] = st_id_value(&e->digest);
  return st_fact(out, DEVIATION, row, DEVIATION_COLUMNS, err);
}
