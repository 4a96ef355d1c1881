/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/contents.h"

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

/* The files of each content are chained, in order; false: some content was not looked up. */
static bool join(struct st_contents *c, const struct st_contents_of *of, uint32_t *first)
{
  for (size_t i = of->files; i-- > 0;) {
    const struct st_id *id = of->id(of->arg, i);
    size_t number = id ? st_places_number(of->places, id) : 0;
    if (number == SIZE_MAX)
      return false;
    if (!id)
      continue;
    c->next[i] = first[number];
    first[number] = (uint32_t)i;
  }
  return true;
}

static void take_all(struct st_contents *c, const struct st_places *places, const uint32_t *first)
{
  for (size_t n = 0; n < st_places_count(places); n++) {
    if (first[n] != ST_CONTENTS_END)
      c->items[c->count++] = (struct st_content_item){*st_places_at(places, n), first[n]};
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

/* Nearly all are told apart by this, which ascends as by_place says: 23 bits of the pack and 40 of
 * where it lies, for those that are not large. */
static uint64_t place_of(const struct st_content_item *item)
{
  const struct st_location *at = &item->at;
  const uint64_t others = (uint64_t)1 << 63, offsets = (uint64_t)1 << 40;
  if (at->raw >= LARGE)
    return at->raw < others ? others - at->raw : 0;
  if (at->pack >= others / offsets)
    return UINT64_MAX;
  return others | at->pack * offsets | (at->offset < offsets ? at->offset : offsets - 1);
}

struct placed {
  uint64_t place;
  const struct st_content_item *item;
};

static int compare_placed(const void *a, const void *b)
{
  const struct placed *x = a, *y = b;
  if (x->place != y->place)
    return x->place < y->place ? -1 : 1;
  return by_place(x->item, y->item);
}

static void sort(struct st_contents *c)
{
  ST_AUTO_FREE struct placed *placed = st_calloc(c->count + 1, sizeof(*placed));
  struct st_content_item *sorted = st_calloc(c->count + 1, sizeof(*sorted));
  for (size_t i = 0; i < c->count; i++)
    placed[i] = (struct placed){place_of(&c->items[i]), &c->items[i]};
  qsort(placed, c->count, sizeof(*placed), compare_placed);
  for (size_t i = 0; i < c->count; i++)
    sorted[i] = *placed[i].item;
  free(c->items);
  c->items = sorted;
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

bool st_contents_find(struct st_contents *ret, const struct st_contents_of *of)
{
  size_t n = st_places_count(of->places);
  ST_AUTO_FREE uint32_t *first = st_calloc(n + 1, sizeof(*first));
  memset(first, 0xff, n * sizeof(*first)); /* ST_CONTENTS_END */
  *ret = (struct st_contents){
      .items = st_calloc(n + 1, sizeof(*ret->items)),
      .next = st_calloc(of->files + 1, sizeof(*ret->next)),
  };
  if (!join(ret, of, first)) {
    st_contents_clear(ret);
    return false;
  }
  take_all(ret, of->places, first);
  sort(ret);
  cut(ret);
  return true;
}
