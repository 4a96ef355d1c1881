/* SPDX-License-Identifier: GPL-2.0-or-later */
/* observed.c - a manifest from what is there, where the package's file is not kept. */
#include <errno.h>
#include <gcrypt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plugins/dpkg_track/making.h"
#include "plugins/entries.h"
#include "plugins/processors.h"

#define PIECE ((size_t)128 << 10)
#define MOST_THREADS 7 /* beside the one that asks */

/* ---- Content ----------------------------------------------------------------------------------
 */

static bool is_md5(const unsigned char *bytes, const char *digits)
{
  char text[MD5_DIGITS + 1];
  for (size_t i = 0; i < MD5_DIGITS / 2; i++)
    snprintf(text + 2 * i, 3, "%02x", bytes[i]);
  return memcmp(text, digits, MD5_DIGITS) == 0;
}

static bool read_through(int fd, gcry_md_hd_t digester, uint64_t *ret_size)
{
  static _Thread_local char piece[PIECE];
  ssize_t n;
  *ret_size = 0;
  while ((n = read(fd, piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR)) {
    if (n > 0) {
      gcry_md_write(digester, piece, (size_t)n);
      *ret_size += (uint64_t)n;
    }
  }
  return n == 0;
}

/* Its SHA-256, where its MD5 is that one; else it cannot be told what the package had there. */
static void prove_content(int fd, struct expectation *x)
{
  gcry_md_hd_t digester;
  if (gcry_md_open(&digester, GCRY_MD_SHA256, 0) != 0)
    return;
  if (gcry_md_enable(digester, GCRY_MD_MD5) == 0 && read_through(fd, digester, &x->size)) {
    x->has_digest = is_md5(gcry_md_read(digester, GCRY_MD_MD5), x->md5);
    memcpy(x->digest.digest, gcry_md_read(digester, GCRY_MD_SHA256), sizeof(x->digest.digest));
  }
  gcry_md_close(digester);
}

/* Hashing is nearly all that a first checkpoint without package files takes, so threads share it.
 */
struct proving {
  pthread_mutex_t lock; /* of what follows; the view opens one file at a time */
  struct making *m;
  size_t next;
};

/* The next content that is to be proved, opened; NULL: there are no more. */
static struct expectation *take_next(struct proving *p, int *ret_fd)
{
  struct expectation *x = NULL;
  *ret_fd = -1;
  pthread_mutex_lock(&p->lock);
  while (*ret_fd < 0 && p->next < p->m->manifest.count) {
    x = &p->m->manifest.items[p->next++];
    *ret_fd = x->md5 ? view_read(p->m->view, x->path) : -1;
  }
  pthread_mutex_unlock(&p->lock);
  return *ret_fd < 0 ? NULL : x;
}

static void *prove_some(void *arg)
{
  int fd;
  for (struct expectation *x; (x = take_next(arg, &fd));) {
    prove_content(fd, x);
    close(fd);
  }
  return NULL;
}

/* Another thread is not there to take signals. */
static bool start(pthread_t *thread, struct proving *p)
{
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = pthread_create(thread, NULL, prove_some, p) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return started;
}

static void prove_all(struct making *m)
{
  struct proving p = {PTHREAD_MUTEX_INITIALIZER, m, 0};
  pthread_t threads[MOST_THREADS];
  unsigned processors = processors_at_most(MOST_THREADS + 1);
  size_t count = 0, files = 0;
  for (size_t i = 0; i < m->manifest.count; i++)
    files += m->manifest.items[i].md5 != NULL;
  while (count + 1 < processors && count + 1 < files && start(&threads[count], &p))
    count++;
  prove_some(&p);
  for (size_t i = 0; i < count; i++)
    pthread_join(threads[i], NULL);
}

/* ---- Metadata ---------------------------------------------------------------------------------
 */

static void take_stat(struct making *m, const struct stat *st, struct expectation *x)
{
  struct accounts *a = &m->view->accounts;
  x->type = st_entry_type(st->st_mode);
  x->mode = st->st_mode & 07777;
  x->uid = st->st_uid;
  x->gid = st->st_gid;
  x->owner = account_name(&a->users, x->uid);
  x->group = account_name(&a->groups, x->gid);
  x->mtime = st->st_mtim.tv_sec;
  x->mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
  x->rdev = st->st_rdev;
  if (st->st_nlink > 1 && x->type != 'd')
    x->group_of_links = st->st_ino ^ ((uint64_t)st->st_dev << 40);
}

static ssize_t read_target(struct making *m, const char *place, char *ret)
{
  const char *name;
  int fd = places_folder(m->view->places, place, &name);
  ssize_t n = fd < 0 ? -1 : readlinkat(fd, name, ret, PATH_MAX - 1);
  ret[n > 0 ? n : 0] = 0;
  return n;
}

/* ---- The list ---------------------------------------------------------------------------------
 */

/* Configuration files have their digests in dpkg's status, as it took them from the package. */
static void note_conffiles(struct making *m)
{
  struct conffile c;
  for (const char *at = NULL; conffile_next(m->package, &at, &c);) {
    struct listed *listed = listing_find(&m->listing, c.path, c.length);
    if (listed)
      listed->md5 = c.md5;
  }
}

/* A list does not say what is a directory; what lies in one follows it. */
static bool has_more_below(const struct listing *l, size_t i)
{
  const struct listed *item = &l->items[i], *next = item + 1;
  return i + 1 < l->count && next->length > item->length &&
         memcmp(next->path, item->path, item->length) == 0 && next->path[item->length] == '/';
}

/* A path that is not there is expected all the same, unless dpkg leaves it out. */
static int take_missing(struct making *m, const struct listed *item, char *place,
                        struct st_error *err)
{
  const struct expectation x = {.path = place};
  if (filters_skip(&m->view->filters, item->path, false))
    return 0;
  return manifest_add(&m->manifest, &x, err);
}

static int take_present(struct making *m, const struct listed *item, const struct stat *st,
                        char *place, struct st_error *err)
{
  char target[PATH_MAX];
  struct expectation x = {.path = place};
  take_stat(m, st, &x);
  if (x.type == 'l') {
    if (read_target(m, place, target) < 0)
      return 0; /* it goes just now */
    x.target = target;
  }
  if (x.type == 'f')
    x.md5 = item->md5;
  return manifest_add(&m->manifest, &x, err);
}

static int take_path(struct making *m, size_t i, struct st_error *err)
{
  const struct listed *item = &m->listing.items[i];
  char place[PATH_MAX];
  struct stat st;
  if (strcmp(item->path, "/.") == 0 || item->length < 2)
    return 0;
  if (view_place(m->view, m->package->name, item->path, has_more_below(&m->listing, i), place,
                 err) < 0)
    return -1;
  int r = view_stat(m->view, place, &st);
  if (r == 0)
    return take_present(m, item, &st, place, err);
  return r == -ENOENT || r == -ENOTDIR || r == -ELOOP ? take_missing(m, item, place, err) : 0;
}

int make_from_what_is_there(struct making *m, struct st_error *err)
{
  gcry_check_version(NULL);
  note_conffiles(m);
  for (size_t i = 0; i < m->listing.count; i++) {
    if (take_path(m, i, err) < 0)
      return -1;
  }
  prove_all(m);
  return 0;
}
