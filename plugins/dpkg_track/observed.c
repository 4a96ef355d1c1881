/* SPDX-License-Identifier: GPL-2.0-or-later */
/* observed.c - a manifest from what is there, where the package's file is not kept. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/dpkg_track/making.h"
#include "plugins/entries.h"

#define LONG ((uint64_t)1 << 20) /* bytes */

/* ---- Content ----------------------------------------------------------------------------------
 */

void proofs_clear(struct proofs *p)
{
  free(p->items);
  free(p->of);
  *p = (struct proofs){0};
}

/* The long ones first, the longest of them before the others, so that all threads end at about the
 * same time. */
static int by_size(const void *a, const void *b)
{
  const struct expectation *x = *(struct expectation *const *)a,
                           *y = *(struct expectation *const *)b;
  return (x->size < y->size) - (x->size > y->size);
}

static size_t count_md5s(const struct making *list, size_t count)
{
  size_t n = 0;
  for (size_t k = 0; k < count; k++) {
    for (size_t i = 0; i < list[k].manifest.count; i++)
      n += list[k].manifest.items[i].md5 != NULL;
  }
  return n;
}

/* Appends those that are long, or are not. */
static void take_md5s(struct proofs *p, struct making *list, size_t count, bool is_long)
{
  for (size_t k = 0; k < count; k++) {
    for (size_t i = 0; i < list[k].manifest.count; i++) {
      struct expectation *x = &list[k].manifest.items[i];
      if (x->md5 && (x->size > LONG) == is_long)
        p->of[p->count++] = x;
    }
  }
}

int proofs_list(struct proofs *p, struct making *list, size_t count, struct st_error *err)
{
  size_t n = count_md5s(list, count);
  p->items = calloc(n + 1, sizeof(*p->items));
  p->of = calloc(n + 1, sizeof(struct expectation *));
  if (!p->items || !p->of)
    return st_fail(err, 0, "out of memory");
  take_md5s(p, list, count, true);
  p->nlong = p->count;
  qsort(p->of, p->nlong, sizeof(struct expectation *), by_size);
  take_md5s(p, list, count, false);
  for (size_t i = 0; i < p->count; i++)
    p->items[i] = (struct st_proof){.path = p->of[i]->path, .md5 = p->of[i]->md5};
  return 0;
}

size_t proofs_slice(const struct proofs *p, size_t from)
{
  size_t end = from < p->nlong ? p->nlong : p->count, most = from < p->nlong ? 4 : 960;
  return end - from > most ? from + most : end;
}

/* The SHA-256 of a content whose MD5 is the declared one; of another it cannot be told what the
 * package had there. */
void proofs_take(const struct proofs *p)
{
  for (size_t i = 0; i < p->count; i++) {
    p->of[i]->has_digest = p->items[i].proved;
    p->of[i]->digest = p->items[i].digest;
    p->of[i]->size = p->items[i].size;
  }
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
  if (x.type == 'f') {
    x.md5 = item->md5;
    x.size = (uint64_t)st->st_size;
  }
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

int gather_what_is_there(struct making *m, struct st_error *err)
{
  note_conffiles(m);
  for (size_t i = 0; i < m->listing.count; i++) {
    if (take_path(m, i, err) < 0)
      return -1;
  }
  return 0;
}

int make_from_what_is_there(struct making *m, struct st_prover *prover, struct st_error *err)
{
  struct proofs proofs = {0};
  int r = gather_what_is_there(m, err);
  if (r == 0)
    r = proofs_list(&proofs, m, 1, err);
  if (r == 0) {
    st_prove(prover, proofs.items, proofs.count);
    proofs_take(&proofs);
  }
  proofs_clear(&proofs);
  return r;
}
