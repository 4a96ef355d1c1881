/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/contents.h"

#include <endian.h>
#include <string.h>

#include "restore/workers.h"
#include "systracker/base/buffer.h"
#include "systracker/base/process.h"

/* Bytes from which on contents come by size, the largest first: so no thread is left with one when
 * all else is done, and those that are proved together are of about one length. */
#define LARGE ((uint64_t)256 << 10)
/* Of them all threads write so much, to so many files, before they prove it. */
#define LARGE_BYTES ((uint64_t)256 << 20)
#define LARGE_FILES 128
#define SHARE ((uint64_t)6 << 20) /* of others that a thread takes at once, and holds in memory */
#define SHARE_FILES 1024

void st_contents_clear(struct st_contents *c)
{
  free(c->items);
  free(c->next);
  free(c->shares);
  *c = (struct st_contents){0};
}

/* ---- Each once ------------------------------------------------------------------------------- */

struct named {
  const struct st_id *id;
  uint64_t begins; /* as the id does: mostly that tells two apart, without looking at them */
  uint32_t file;
};

static uint64_t beginning_of(const struct st_id *id)
{
  uint64_t first;
  memcpy(&first, id->digest, sizeof(first));
  return (uint64_t)(id->keyed != 0) << 63 | be64toh(first) >> 1;
}

static int by_id(const void *a, const void *b)
{
  const struct named *x = a, *y = b;
  if (x->begins != y->begins)
    return x->begins < y->begins ? -1 : 1;
  int r = st_id_compare(x->id, y->id);
  return r != 0 ? r : (x->file > y->file) - (x->file < y->file);
}

static struct named *name_all(const struct st_contents_of *of, size_t *ret_count)
{
  struct named *all = st_calloc(of->files + 1, sizeof(*all));
  size_t n = 0;
  for (size_t i = 0; i < of->files; i++) {
    const struct st_id *id = of->id(of->arg, i);
    if (id)
      all[n++] = (struct named){id, beginning_of(id), (uint32_t)i};
  }
  qsort(all, n, sizeof(*all), by_id);
  *ret_count = n;
  return all;
}

/* `ids` ascend. */
static void join(struct st_contents *c, const struct named *all, size_t n, const struct st_id **ids)
{
  for (size_t i = 0; i < n; i++) {
    c->next[all[i].file] = ST_CONTENTS_END;
    if (i > 0 && st_id_equal(all[i].id, all[i - 1].id)) {
      c->next[all[i - 1].file] = all[i].file;
      continue;
    }
    ids[c->count] = all[i].id;
    c->items[c->count++].file = all[i].file;
  }
}

/* ---- In order -------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
  const struct st_content_item *x = a, *y = b;
  bool x_large = x->at.raw >= LARGE, y_large = y->at.raw >= LARGE;
  if (x_large != y_large)
    return x_large ? -1 : 1;
  if (x_large && x->at.raw != y->at.raw)
    return x->at.raw > y->at.raw ? -1 : 1;
  if (x->at.pack != y->at.pack)
    return x->at.pack < y->at.pack ? -1 : 1;
  return (x->at.offset > y->at.offset) - (x->at.offset < y->at.offset);
}

static bool in_one_group(const struct st_location *a, const struct st_location *b)
{
  return a->encoding == ST_ENCODING_PART && b->encoding == ST_ENCODING_PART && a->pack == b->pack &&
         memcmp(a->base, b->base, sizeof(a->base)) == 0;
}

static void add_share(struct st_contents *c, size_t from, size_t to, bool large)
{
  if (c->nshares % 64 == 0)
    c->shares = st_realloc(c->shares, c->nshares + 64, sizeof(*c->shares));
  c->shares[c->nshares++] = (struct st_share){from, to, large};
}

/* What a share of large ones may have at most. */
struct limit {
  uint64_t bytes;
  size_t files;
};

/* Several shares for each thread, so that all of them end at about the same time. */
static struct limit limit_of(const struct st_contents *c, size_t n)
{
  size_t threads = st_processors(ST_WORKERS_MOST);
  uint64_t all = 0;
  for (size_t i = 0; i < n; i++)
    all += c->items[i].at.raw;
  uint64_t even = all / (4 * threads), most = LARGE_BYTES / threads;
  return (struct limit){even < most ? even : most, LARGE_FILES / threads};
}

static size_t files_of(const struct st_contents *c, size_t i)
{
  size_t n = 0;
  for (uint32_t file = c->items[i].file; file != ST_CONTENTS_END; file = c->next[file])
    n++;
  return n;
}

static void cut_large(struct st_contents *c, size_t n)
{
  const struct limit limit = limit_of(c, n);
  uint64_t bytes = 0;
  size_t from = 0, files = 0;
  for (size_t i = 0; i < n; i++) {
    size_t have = files_of(c, i);
    if (i > from && (bytes + c->items[i].at.raw > limit.bytes || files + have > limit.files)) {
      add_share(c, from, i, true);
      from = i;
      bytes = files = 0;
    }
    bytes += c->items[i].at.raw;
    files += have;
  }
  if (n > from)
    add_share(c, from, n, true);
}

/* A group, of a megabyte at most, is in one share as far as its parts follow each other. */
static void cut_others(struct st_contents *c, size_t from)
{
  uint64_t bytes = 0;
  for (size_t i = from; i < c->count; i++) {
    bool full = bytes >= SHARE || i - from >= SHARE_FILES;
    if (i > from && full && !in_one_group(&c->items[i - 1].at, &c->items[i].at)) {
      add_share(c, from, i, false);
      from = i;
      bytes = 0;
    }
    bytes += c->items[i].at.raw;
  }
  if (c->count > from)
    add_share(c, from, c->count, false);
}

static void cut(struct st_contents *c)
{
  size_t large = 0;
  while (large < c->count && c->items[large].at.raw >= LARGE)
    large++;
  cut_large(c, large);
  cut_others(c, large);
}

int st_contents_find(struct st_contents *ret, const struct st_contents_of *of, struct st_error *err)
{
  size_t n;
  ST_AUTO_FREE struct named *all = name_all(of, &n);
  ST_AUTO_FREE const struct st_id **ids = st_calloc(n + 1, sizeof(*ids));
  *ret = (struct st_contents){
      .items = st_calloc(n + 1, sizeof(*ret->items)),
      .next = st_calloc(of->files + 1, sizeof(*ret->next)),
  };
  join(ret, all, n, ids);
  ST_AUTO_FREE struct st_location *at = st_calloc(ret->count + 1, sizeof(*at));
  if (st_store_locate(of->store, ids, ret->count, at, err) < 0)
    return -1;
  for (size_t i = 0; i < ret->count; i++)
    ret->items[i].at = at[i];
  qsort(ret->items, ret->count, sizeof(*ret->items), by_place);
  cut(ret);
  return 0;
}
