/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/hashes.h"

#include <string.h>

#include "systracker/base/buffer.h"

#define ST_HASHES_MOST_LANES 16
#define ST_HASHES_TOGETHER 240               /* fewer than the library has jobs */
#define ST_HASHES_LONGEST ((size_t)1 << 26)  /* in a lane, bytes */
#define ST_HASHES_EARNED ((uint64_t)2 << 20) /* bytes: see st_hashes_lanes */

/* How contents are hashed side by side. */
struct way;

struct st_hashes {
  const struct way *way; /* NULL: one by one */
  void *manager;         /* libipsec-mb's, of this thread alone */
  bool chosen;           /* `way` is for good */
  bool always;           /* by it, whatever it costs */
  uint64_t hashed;       /* bytes, before it was chosen */
  const struct st_hash **sorted;
  size_t size;
};

struct st_hashes *st_hashes_new(void)
{
  return st_calloc(1, sizeof(struct st_hashes));
}

/* ---- One by one, or side by side ------------------------------------------------------------- */

/* With the padding. */
static uint64_t blocks(const struct st_hash *c)
{
  return ((uint64_t)c->length + 8) / 64 + 1;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
  return a > b ? a : b;
}

/* Blocks of the lane that has most of them, at least: all of them by the lanes; or, where of the
 * contents from the longest on some lane gets two, three, ..., so many of the shortest of these. */
static uint64_t deepest(const struct st_hash *const *sorted, size_t count, uint64_t all,
                        size_t lanes)
{
  uint64_t most = (all + lanes - 1) / lanes;
  for (size_t i = 0, deep = 1; i < count; i += lanes, deep++)
    most = larger(most, deep * blocks(sorted[i]));
  return most;
}

size_t st_hashes_apart(const struct st_hash *const *sorted, size_t count, size_t lanes,
                       unsigned cost)
{
  uint64_t alone = 0, rest = 0, least = UINT64_MAX;
  size_t best = count, i = 0;
  for (size_t k = 0; k < count; k++)
    rest += blocks(sorted[k]);
  for (;; i++) {
    uint64_t time = 10 * alone + cost * deepest(sorted + i, count - i, rest, lanes);
    if ((i == count || sorted[i]->length <= ST_HASHES_LONGEST) && time < least) {
      least = time;
      best = i;
    }
    if (i == count)
      return best;
    alone += blocks(sorted[i]);
    rest -= blocks(sorted[i]);
  }
}

static void hash_alone(const struct st_hash *c)
{
  st_digest(c->digest, c->data, c->length);
}

/* ---- A stream -------------------------------------------------------------------------------- */

struct lane {
  const struct st_hash *content;
  void *job;
  uint64_t end; /* by then it is done */
};

struct stream {
  struct st_hashes *h;
  const struct st_hash_source *source;
  struct lane lanes[ST_HASHES_MOST_LANES];
  size_t count;
  uint64_t now; /* blocks that each lane has hashed */
};

/* Whether a content is better hashed by itself: lanes would not pay even if they had all that there
 * is, or it would hold them up.  As st_hashes_apart, for what is known of those to come. */
static bool is_apart(const struct stream *s, const struct st_hash *c, uint64_t rest,
                     uint64_t longest, size_t lanes, unsigned cost)
{
  uint64_t its = blocks(c), all = rest / 64, most = longest / 64;
  for (size_t n = 0; n < s->count; n++) {
    all += s->lanes[n].end - s->now;
    most = larger(most, s->lanes[n].end - s->now);
  }
  uint64_t least = larger((all + its) / lanes, its);
  uint64_t without = larger(all / lanes, most), with = larger(least, most);
  return c->length > ST_HASHES_LONGEST || cost * least >= 10 * (all + its) ||
         cost * (with - without) > 10 * its;
}

/* ---- libipsec-mb ----------------------------------------------------------------------------- */

#ifdef ST_IPSEC_MB_SONAME

#include <dlfcn.h>
#include <intel-ipsec-mb.h>
#include <pthread.h>

#define FUNCTIONS(X)                                                                               \
  X(alloc_mb_mgr)                                                                                  \
  X(free_mb_mgr)                                                                                   \
  X(imb_get_errno)                                                                                 \
  X(init_mb_mgr_sse)                                                                               \
  X(init_mb_mgr_avx2)                                                                              \
  X(init_mb_mgr_avx512)

/* Set once, under `once`; the library stays until the program ends.  All or none. */
static struct {
#define MEMBER(name) __typeof__(&name) name;
  FUNCTIONS(MEMBER)
#undef MEMBER
  bool there;
} library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
  void *handle = dlopen(ST_IPSEC_MB_SONAME, RTLD_NOW | RTLD_LOCAL);
  library.there = handle != NULL;
#define TAKE(name)                                                                                 \
  *(void **)&library.name = handle ? dlsym(handle, #name) : NULL;                                  \
  library.there = library.there && library.name;
  FUNCTIONS(TAKE)
#undef TAKE
}

static bool is_there(void)
{
  pthread_once(&once, load);
  return library.there;
}

struct way {
  enum st_hashes_by by;
  uint64_t needs, flags;
  __typeof__(&init_mb_mgr_sse) *init;
  size_t lanes;
  /* Of a lane, in tenths of hashing one by one with the same processor, where that has SHA
   * instructions and where it has none.  See doc/performance.md. */
  unsigned cost, cost_without_sha;
};

/* The best comes first.  SHA instructions gain less from a second lane than vectors from many; but
 * eight lanes of AVX2 do less than they. */
static const struct way ways[] = {
    {ST_HASHES_AVX512, IMB_CPUFLAGS_AVX512, 0, &library.init_mb_mgr_avx512, 16, 70, 19},
    {ST_HASHES_SHA, IMB_CPUFLAGS_SSE_T2, 0, &library.init_mb_mgr_sse, 2, 16, 16},
    {ST_HASHES_AVX2, IMB_CPUFLAGS_AVX2, IMB_FLAG_SHANI_OFF, &library.init_mb_mgr_avx2, 8, 90, 24},
};

static unsigned cost_of(const struct st_hashes *h)
{
  const IMB_MGR *manager = h->manager;
  return manager->features & IMB_FEATURE_SHANI ? h->way->cost : h->way->cost_without_sha;
}

static size_t lanes_of(const struct way *way)
{
  return way->lanes;
}

static void stop(struct st_hashes *h)
{
  if (h->manager)
    library.free_mb_mgr(h->manager);
  h->manager = NULL;
  h->way = NULL;
}

static bool start(struct st_hashes *h, const struct way *way)
{
  IMB_MGR *manager = is_there() ? library.alloc_mb_mgr(way->flags) : NULL;
  if (!manager)
    return false;
  if ((manager->features & way->needs) == way->needs) {
    (*way->init)(manager);
    if (library.imb_get_errno(manager) == 0) { /* it has tested itself, too */
      h->manager = manager;
      h->way = way;
      return true;
    }
  }
  library.free_mb_mgr(manager);
  return false;
}

static void choose(struct st_hashes *h)
{
  for (size_t i = 0; i < ST_COUNT(ways) && !h->way; i++)
    start(h, &ways[i]);
}

static bool choose_this(struct st_hashes *h, enum st_hashes_by by)
{
  for (size_t i = 0; i < ST_COUNT(ways); i++) {
    if (ways[i].by == by)
      return start(h, &ways[i]);
  }
  return by == ST_HASHES_ONE_BY_ONE;
}

/* What the library has not done, for whatever reason, is done here. */
static void check_done(const IMB_JOB *job)
{
  if (job->status != IMB_STATUS_COMPLETED)
    hash_alone(job->user_data);
}

static IMB_JOB *next_job(IMB_MGR *manager, const struct st_hash *c)
{
  IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
  job->cipher_mode = IMB_CIPHER_NULL;
  job->cipher_direction = IMB_DIR_ENCRYPT;
  job->chain_order = IMB_ORDER_HASH_CIPHER;
  job->hash_alg = IMB_AUTH_SHA_256;
  job->src = c->length ? c->data : (const void *)"";
  job->hash_start_src_offset_in_bytes = 0;
  job->msg_len_to_hash_in_bytes = c->length;
  job->auth_tag_output = c->digest;
  job->auth_tag_output_len_in_bytes = ST_DIGEST_SIZE;
  job->user_data = (void *)c;
  return job;
}

static void submit(IMB_MGR *manager, const struct st_hash *c)
{
  next_job(manager, c);
  IMB_JOB *job = IMB_SUBMIT_JOB_NOCHECK(manager);
  for (; job; job = IMB_GET_COMPLETED_JOB(manager))
    check_done(job);
}

static void side_by_side(struct st_hashes *h, const struct st_hash *const *sorted, size_t count)
{
  IMB_MGR *manager = h->manager;
  for (size_t i = 0; i < count; i++)
    submit(manager, sorted[i]);
  for (IMB_JOB *job = IMB_FLUSH_JOB(manager); job; job = IMB_FLUSH_JOB(manager))
    check_done(job);
}

/* The library gives jobs back in the order in which they came.  One that is done before has that in
 * its own `status`, and its digest is written: what was lent to it is given back at once. */
static void lane_done(struct stream *s, size_t n)
{
  struct lane done = s->lanes[n];
  const IMB_JOB *job = done.job;
  s->now = larger(s->now, done.end);
  s->lanes[n] = s->lanes[--s->count];
  if (job->status != IMB_STATUS_COMPLETED)
    hash_alone(done.content);
  s->source->done(s->source->arg, done.content);
}

/* Another job is in its place only when it was given back. */
static void given_back(struct stream *s, const IMB_JOB *job)
{
  for (size_t n = 0; n < s->count; n++) {
    if (s->lanes[n].job == job) {
      lane_done(s, n);
      return;
    }
  }
}

static void find_done(struct stream *s, const IMB_JOB *job)
{
  for (; job; job = IMB_GET_COMPLETED_JOB((IMB_MGR *)s->h->manager))
    given_back(s, job);
  for (size_t n = s->count; n-- > 0;) {
    job = s->lanes[n].job;
    if (job->status == IMB_STATUS_COMPLETED)
      lane_done(s, n);
  }
}

static void in_lane(struct stream *s, const struct st_hash *c)
{
  IMB_MGR *manager = s->h->manager;
  s->lanes[s->count++] = (struct lane){c, next_job(manager, c), s->now + blocks(c)};
  find_done(s, IMB_SUBMIT_JOB_NOCHECK(manager));
}

static void one_done(struct stream *s)
{
  size_t before = s->count;
  while (s->count == before) {
    const IMB_JOB *job = IMB_FLUSH_JOB((IMB_MGR *)s->h->manager);
    find_done(s, job);
    if (!job && s->count == before)
      lane_done(s, 0);
  }
}

#else

static unsigned cost_of(const struct st_hashes *h)
{
  (void)h;
  return 10;
}

static size_t lanes_of(const struct way *way)
{
  (void)way;
  return 1;
}

static void stop(struct st_hashes *h)
{
  (void)h;
}

static void choose(struct st_hashes *h)
{
  (void)h;
}

static bool choose_this(struct st_hashes *h, enum st_hashes_by by)
{
  (void)h;
  return by == ST_HASHES_ONE_BY_ONE;
}

static void side_by_side(struct st_hashes *h, const struct st_hash *const *sorted, size_t count)
{
  (void)h;
  for (size_t i = 0; i < count; i++)
    hash_alone(sorted[i]);
}

static void in_lane(struct stream *s, const struct st_hash *c)
{
  hash_alone(c);
  s->source->done(s->source->arg, c);
}

static void one_done(struct stream *s)
{
  s->count = 0;
}

#endif

/* ---- All of them ----------------------------------------------------------------------------- */

void st_hashes_free(struct st_hashes *h)
{
  if (!h)
    return;
  stop(h);
  free(h->sorted);
  free(h);
}

bool st_hashes_use(struct st_hashes *h, enum st_hashes_by by)
{
  stop(h);
  h->chosen = h->always = true;
  return choose_this(h, by);
}

size_t st_hashes_lanes(const struct st_hashes *h)
{
  return h->way ? lanes_of(h->way) : 1;
}

/* `soon`: bytes that are to be hashed besides. */
static void choose_in_time(struct st_hashes *h, const struct st_hash *contents, size_t count,
                           uint64_t soon)
{
  for (size_t i = 0; i < count && !h->chosen; i++)
    h->hashed += contents[i].length;
  if (h->chosen || h->hashed + soon < ST_HASHES_EARNED)
    return;
  choose(h);
  h->chosen = true;
}

static int by_length(const void *a, const void *b)
{
  const struct st_hash *x = *(const struct st_hash *const *)a;
  const struct st_hash *y = *(const struct st_hash *const *)b;
  return x->length < y->length ? 1 : x->length > y->length ? -1 : 0;
}

/* Those that begin last are the shortest, so that all lanes end at about the same time. */
static const struct st_hash **sort(struct st_hashes *h, const struct st_hash *contents,
                                   size_t count)
{
  if (count > h->size) {
    h->sorted = st_realloc(h->sorted, count, sizeof(const struct st_hash *));
    h->size = count;
  }
  for (size_t i = 0; i < count; i++)
    h->sorted[i] = &contents[i];
  qsort(h->sorted, count, sizeof(const struct st_hash *), by_length);
  return h->sorted;
}

static void compute_some(struct st_hashes *h, const struct st_hash *const *sorted, size_t count)
{
  size_t apart = h->always ? 0 : st_hashes_apart(sorted, count, lanes_of(h->way), cost_of(h));
  for (size_t i = 0; i < apart; i++)
    hash_alone(sorted[i]);
  side_by_side(h, sorted + apart, count - apart);
}

void st_hashes_compute(struct st_hashes *h, const struct st_hash *contents, size_t count)
{
  if (count == 0)
    return;
  choose_in_time(h, contents, count, 0);
  if (!h->way || (count == 1 && !h->always)) {
    for (size_t i = 0; i < count; i++)
      hash_alone(&contents[i]);
    return;
  }
  const struct st_hash **sorted = sort(h, contents, count);
  for (size_t i = 0; i < count; i += ST_HASHES_TOGETHER)
    compute_some(h, sorted + i, count - i < ST_HASHES_TOGETHER ? count - i : ST_HASHES_TOGETHER);
}

static bool has_lane(const struct stream *s, const struct st_hash *c, uint64_t rest,
                     uint64_t longest)
{
  const struct st_hashes *h = s->h;
  return h->way && (h->always || !is_apart(s, c, rest, longest, lanes_of(h->way), cost_of(h)));
}

void st_hashes_stream(struct st_hashes *h, const struct st_hash_source *source)
{
  struct stream s = {.h = h, .source = source};
  const struct st_hash *c;
  uint64_t rest, longest;
  enum st_hash_next next;
  while ((next = source->next(source->arg, &c, &rest, &longest)) != ST_HASH_NONE) {
    if (next == ST_HASH_LATER) {
      if (s.count == 0)
        break;
      one_done(&s);
      continue;
    }
    choose_in_time(h, c, 1, rest);
    if (s.count == ST_HASHES_MOST_LANES) /* not with the library that this was built with */
      one_done(&s);
    if (has_lane(&s, c, rest, longest)) {
      in_lane(&s, c);
      continue;
    }
    hash_alone(c);
    source->done(source->arg, c);
  }
  while (s.count > 0)
    one_done(&s);
}
