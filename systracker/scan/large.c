/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/scan/large.h"

#include <string.h>
#include <unistd.h>

#include "systracker/base/file.h"
#include "systracker/base/mapped.h"
#include "systracker/scan/look.h"

#define ST_LARGE_FROM ((uint64_t)256 << 10) /* bytes: shorter ones are copied as fast */
/* What may be mapped at once: so many bytes, and no more than one part in so many of the memory. */
#define ST_LARGE_MAPPED ((uint64_t)512 << 20)
#define ST_LARGE_PART 16
#define ST_LARGE_LONGEST 4 /* one file is no longer than one part in so many of that */

#define ST_LARGE_LOT ((uint64_t)1 << 30) /* bytes; a kill may lose the digests of two lots */

/* What was found out of a file that was the same before and behind. */
struct found {
  struct st_meta meta;
  uint8_t digest[ST_DIGEST_SIZE];
};

struct large {
  struct st_node *node;
  const struct st_item *item;
  enum look_state state;
  struct look *parked; /* what waits for it */
  struct found *found; /* NULL: it is no good, or was taken */
};

/* While it is hashed. */
struct mapping {
  struct st_hash content;
  struct large *file;
  uint64_t size; /* that counts as mapped */
  int fd;
  struct st_meta before;
  struct st_mapped mapped;
  struct found *found;
};

/* What one thread takes from, until there is nothing, or what it waits for is done. */
struct stream {
  struct looker *l;
  struct st_reader *reader;
  const struct look *until;
  struct look **late; /* what waited for a file that was no good, to be read behind the stream */
  size_t count, size;
};

void st_large_free(struct large_files *s)
{
  for (size_t i = 0; i < s->count; i++)
    free(s->files[i].found);
  free(s->files);
  free(s->sorted);
}

/* Mapped, they count as resident, though the kernel may take the pages back at any time. */
void st_large_init(struct large_files *s)
{
  uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
  uint64_t part = memory / ST_LARGE_PART;
  s->most = part < ST_LARGE_MAPPED ? part : ST_LARGE_MAPPED;
}

/* ---- In their order -------------------------------------------------------------------------- */

static uint64_t size_of(const struct large *f)
{
  return f->item->meta.size;
}

bool st_large_is(const struct large_files *s, const struct st_item *item)
{
  return item->kind == ST_ITEM_LOOK && item->meta.type == 'f' && item->meta.size >= ST_LARGE_FROM &&
         item->meta.size <= s->most / ST_LARGE_LONGEST;
}

void st_large_add(struct large_files *s, struct st_node *node, const struct st_item *item)
{
  if (s->count == s->size) {
    s->size = s->size ? 2 * s->size : 64;
    s->files = st_realloc(s->files, s->size, sizeof(*s->files));
  }
  s->files[s->count++] = (struct large){.node = node, .item = item};
  s->bytes += item->meta.size;
}

bool st_large_pay(struct large_files *s)
{
  if (s->count < 2)
    s->count = 0;
  return s->count > 0 && s->bytes >= ST_READ_LARGE;
}

struct large *st_large_put(struct large_files *s, const struct st_item *item)
{
  if (s->put == s->count || s->files[s->put].item != item)
    return NULL;
  return &s->files[__atomic_fetch_add(&s->put, 1, __ATOMIC_RELAXED)];
}

/* ---- In lots --------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
  uint64_t x = size_of(*(struct large *const *)a), y = size_of(*(struct large *const *)b);
  return x < y ? 1 : x > y ? -1 : 0;
}

static bool is_lot_taken(const struct large_files *s)
{
  return s->taken == s->to - s->from;
}

/* The next lot is begun when what is told has come to the one before. */
static bool is_one_left(const struct large_files *s)
{
  return !is_lot_taken(s) ||
         (s->to < s->count && (s->to == 0 || __atomic_load_n(&s->put, __ATOMIC_RELAXED) > s->from));
}

static bool has_room(const struct large_files *s)
{
  return s->mapped == 0 || is_lot_taken(s) || s->mapped + size_of(s->sorted[s->taken]) <= s->most;
}

/* One thread fills its lanes best; others help where there is nothing else to do, and what is told
 * next waits. */
bool st_large_is_due(const struct looker *l)
{
  const struct large_files *s = &l->large;
  if (s->busy >= l->w->threads || !is_one_left(s))
    return false;
  return s->busy == 0 || (has_room(s) && __atomic_load_n(&l->awaited, __ATOMIC_RELAXED) &&
                          l->next == __atomic_load_n(&l->tail, __ATOMIC_RELAXED));
}

/* The longest first, so that lanes are done at about the same time.  No small lot is left. */
static void begin_lot(struct large_files *s)
{
  uint64_t bytes = 0;
  s->from = s->to;
  s->taken = 0;
  do {
    bytes += size_of(&s->files[s->to]);
    s->begun += size_of(&s->files[s->to++]);
  } while (s->to < s->count && (bytes < ST_LARGE_LOT || s->bytes - s->begun < ST_LARGE_LOT / 2));
  s->sorted = st_realloc(s->sorted, s->to - s->from, sizeof(struct large *));
  for (size_t i = s->from; i < s->to; i++)
    s->sorted[i - s->from] = &s->files[i];
  qsort(s->sorted, s->to - s->from, sizeof(struct large *), by_size);
}

/* What comes behind, for each of the threads that will take it, most likely: of this lot, and then
 * of those that were not sorted. */
static void tell_rest(const struct looker *l, uint64_t *ret_rest, uint64_t *ret_longest)
{
  const struct large_files *s = &l->large;
  unsigned threads = s->busy < 2 && l->w->threads > 1 ? 2 : s->busy;
  size_t n = s->to - s->from - s->taken, behind = s->count - s->to;
  *ret_rest = *ret_longest = 0;
  for (size_t i = 0; i < n + behind && i < ST_HASHES_BEHIND; i++) {
    uint64_t size = size_of(i < n ? s->sorted[s->taken + i] : &s->files[s->to + i - n]);
    *ret_rest += size / threads;
    *ret_longest = size > *ret_longest ? size : *ret_longest;
  }
}

/* ---- Hashing some of them -------------------------------------------------------------------- */

static int open_it(const struct looker *l, const struct large *f)
{
  const char *name;
  ST_AUTO_BUFFER path = ST_BUFFER_INIT;
  st_node_path(f->node, st_index_new_name(f->node->fresh, f->item->record), &path);
  ST_AUTO_CLOSE int dir = st_open_parent(l->w->o->root, path.data, &name);
  return dir < 0 ? dir : st_file_open(dir, name);
}

/* One that has grown is read in its turn. */
static bool map(const struct looker *l, struct mapping *m)
{
  m->fd = open_it(l, m->file);
  if (m->fd < 0 || st_meta_read(m->fd, "", &m->before) < 0 || m->before.type != 'f' ||
      m->before.size > m->size || st_mapped_open(&m->mapped, m->fd, m->before.size) < 0)
    return false;
  st_mapped_fetch(&m->mapped);
  m->found = st_malloc(sizeof(*m->found));
  m->content = (struct st_hash){m->mapped.data, m->mapped.length, m->found->digest};
  return true;
}

static void unmap(struct mapping *m)
{
  struct found *found = m->found;
  if (found && (!st_mapped_is_whole(&m->mapped) || st_meta_read(m->fd, "", &found->meta) < 0 ||
                !st_file_is_same(&m->before, &found->meta))) {
    free(found);
    m->found = NULL;
  }
  st_mapped_close(&m->mapped);
  if (m->fd >= 0)
    close(m->fd);
}

static void add_late(struct stream *s, struct look *k)
{
  if (s->count == s->size) {
    s->size = s->size ? 2 * s->size : 16;
    s->late = st_realloc(s->late, s->size, sizeof(struct look *));
  }
  s->late[s->count++] = k;
}

/* What waits for it goes on, but where it has to be read: that may hash side by side, too. */
static void end(struct stream *s, struct mapping *m)
{
  struct looker *l = s->l;
  unmap(m);
  pthread_mutex_lock(&l->mutex);
  bool good = m->found != NULL;
  l->large.mapped -= m->size;
  m->file->found = m->found;
  m->file->state = LOOK_DONE;
  struct look *parked = m->file->parked;
  pthread_mutex_unlock(&l->mutex);
  free(m);
  if (parked && good)
    st_look_go_on(l, parked, s->reader);
  else if (parked)
    add_late(s, parked);
}

static enum st_hash_next take(struct stream *s, struct large **ret, uint64_t *ret_rest,
                              uint64_t *ret_longest)
{
  struct large_files *files = &s->l->large;
  bool over = s->l->end || (s->until && st_look_is_done(s->until));
  if (over || !is_one_left(files))
    return ST_HASH_NONE;
  if (is_lot_taken(files))
    begin_lot(files);
  if (!has_room(files))
    return ST_HASH_LATER;
  struct large *f = files->sorted[files->taken++];
  files->mapped += size_of(f);
  f->state = LOOK_TAKEN;
  tell_rest(s->l, ret_rest, ret_longest);
  *ret = f;
  return ST_HASH_TAKEN;
}

/* The next one that can be mapped. */
static enum st_hash_next next(void *arg, const struct st_hash **ret, uint64_t *ret_rest,
                              uint64_t *ret_longest)
{
  struct stream *s = arg;
  for (;;) {
    struct large *f = NULL;
    pthread_mutex_lock(&s->l->mutex);
    enum st_hash_next r = take(s, &f, ret_rest, ret_longest);
    pthread_mutex_unlock(&s->l->mutex);
    if (r != ST_HASH_TAKEN)
      return r;
    struct mapping *m = st_calloc(1, sizeof(*m));
    m->file = f;
    m->size = size_of(f);
    if (map(s->l, m)) {
      *ret = &m->content;
      return r;
    }
    end(s, m);
  }
}

static void done(void *arg, const struct st_hash *content)
{
  end(arg, (struct mapping *)content);
}

static void go_through(struct looker *l, struct st_reader *reader, const struct look *until)
{
  struct stream s = {.l = l, .reader = reader, .until = until};
  if (!reader->hashes)
    reader->hashes = st_hashes_new();
  st_hashes_stream(reader->hashes, &(struct st_hash_source){next, done, &s});
  for (size_t i = 0; i < s.count; i++)
    st_look_go_on(l, s.late[i], reader);
  st_look_hash(l, reader);
  free(s.late);
}

void st_large_do(struct looker *l, struct st_reader *reader)
{
  const struct look *until = reader == &l->reader ? st_look_in_ring(l, l->head) : NULL;
  l->large.busy++;
  pthread_mutex_unlock(&l->mutex);
  go_through(l, reader, until);
  pthread_mutex_lock(&l->mutex);
  l->large.busy--;
  if (l->idle > 0 && st_large_is_due(l))
    pthread_cond_signal(&l->more);
}

/* ---- When its turn comes --------------------------------------------------------------------- */

bool st_large_is_parked(const struct look *k)
{
  return k->large && k->large->parked == k && k->large->state != LOOK_DONE;
}

bool st_large_is_done(struct looker *l, struct look *k)
{
  pthread_mutex_lock(&l->mutex);
  bool done = k->large->state == LOOK_DONE;
  if (!done)
    k->large->parked = k;
  pthread_mutex_unlock(&l->mutex);
  return done;
}

bool st_large_take(struct large *f, struct st_meta *ret, struct st_id *ret_digest)
{
  ST_AUTO_FREE struct found *found = st_steal(&f->found);
  if (!found)
    return false;
  *ret = found->meta;
  *ret_digest = (struct st_id){0};
  memcpy(ret_digest->digest, found->digest, ST_DIGEST_SIZE);
  return true;
}
