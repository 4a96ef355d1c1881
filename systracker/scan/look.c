/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * look.c - the walk's second part: one thread goes through what was noted, in the order of the
 * paths, and tells it; the others read and hash ahead of it.
 *
 * What is on its way stands in a ring in that order.  Threads take up what is to be read; the one
 * that tells takes what is done from the ring's head, and where that is not done yet it takes up
 * what is next, as any other.
 * It puts in an entry, and finds one done, without the mutex, which it takes for many at a time: of
 * a thread that waits and what it waits for, either says so before it looks at the other.
 */
#include <endian.h>
#include <fcntl.h>
#include <string.h>

#include "systracker/base/file.h"
#include "systracker/base/thread.h"
#include "systracker/scan/look.h"

#define ST_LOT 16         /* so many wake a thread that waits */
#define ST_FEW 64         /* so many one thread may take up together */
#define ST_ENOUGH_LOOKS 8 /* on their way: then threads pay */
#define ST_RUN 64         /* so many are told before there is room for others */

#ifndef ST_SOON          /* tests have less */
#define ST_SOON 256      /* so many on their way for each thread: what is done is told */
#define ST_MOST_OPEN 512 /* directories that entries on their way are in, held open */
#endif

/* The way down to the node at hand. */
struct frame {
  struct frame *above;
  struct st_node *node;
  struct opened *dir;
};

/* ---- Threads --------------------------------------------------------------------------------- */

bool st_look_is_done(const struct look *k)
{
  return __atomic_load_n(&k->state, __ATOMIC_SEQ_CST) == LOOK_DONE;
}

static size_t tail_of(const struct looker *l)
{
  return __atomic_load_n(&l->tail, __ATOMIC_SEQ_CST);
}

void st_look_done(struct looker *l, struct look *k)
{
  __atomic_store_n(&k->state, LOOK_DONE, __ATOMIC_SEQ_CST);
  if (!__atomic_load_n(&l->awaited, __ATOMIC_SEQ_CST))
    return;
  pthread_mutex_lock(&l->mutex);
  if (k == st_look_in_ring(l, l->head))
    pthread_cond_signal(&l->done);
  pthread_mutex_unlock(&l->mutex);
}

/* Takes up what is next, with the mutex, as everything here is that moves in the ring. */
static void do_next(struct looker *l, struct st_reader *reader)
{
  struct look *k = st_look_in_ring(l, l->next++);
  if (st_look_is_done(k))
    return;
  __atomic_store_n(&k->state, LOOK_TAKEN, __ATOMIC_RELAXED);
  pthread_mutex_unlock(&l->mutex);
  if (st_look_at(l, k, reader))
    st_look_done(l, k);
  pthread_mutex_lock(&l->mutex);
}

/* A thread's share of what waits, so that no other lacks work meanwhile; of few all are taken. */
static size_t share(const struct looker *l)
{
  size_t n = (tail_of(l) - l->next) / l->w->threads;
  return n > ST_FEW ? n : ST_FEW;
}

/* The thread that tells is the one that makes room: so it takes up no more than there is. */
static bool has_room(const struct looker *l, const struct st_reader *reader)
{
  return reader != &l->reader || l->ahead < ST_MOST_AHEAD;
}

/* Takes up several, so that small files are hashed at once. */
static void do_some(struct looker *l, struct st_reader *reader)
{
  size_t taken = 0;
  do {
    do_next(l, reader);
    taken++;
  } while (l->next < tail_of(l) && taken < share(l) && taken < ST_READ_MOST_HELD &&
           !st_reader_is_full(reader) && has_room(l, reader));
  pthread_mutex_unlock(&l->mutex);
  st_look_hash(l, reader);
  pthread_mutex_lock(&l->mutex);
}

static bool has_work(const struct looker *l)
{
  return l->next < tail_of(l) || st_large_is_due(l) || l->end;
}

/* Says that it waits before it looks whether there is more, as put_in does it the other way. */
static void wait_for_more(struct looker *l)
{
  if (has_work(l))
    return;
  __atomic_add_fetch(&l->idle, 1, __ATOMIC_SEQ_CST);
  while (!has_work(l))
    pthread_cond_wait(&l->more, &l->mutex);
  __atomic_sub_fetch(&l->idle, 1, __ATOMIC_SEQ_CST);
}

static void *work(void *arg)
{
  struct looker *l = arg;
  struct st_reader reader = {0};
  pthread_mutex_lock(&l->mutex);
  for (;;) {
    wait_for_more(l);
    if (l->end)
      break;
    if (st_large_is_due(l))
      st_large_do(l, &reader);
    else
      do_some(l, &reader);
  }
  pthread_mutex_unlock(&l->mutex);
  st_reader_free(&reader);
  return NULL;
}

/* The thread that tells works, too, where it would wait: so no more run than there are processors
 * for.  Where it had to share one with those that work for it, all of them waited for it in turn. A
 * thread that cannot be had is done without. */
static void start(struct looker *l)
{
  unsigned threads = l->w->threads > 1 ? l->w->threads - 1 : 1;
  l->threads = st_calloc(threads, sizeof(*l->threads));
  while (l->started < threads && st_thread_start(&l->threads[l->started], work, l))
    l->started++;
}

static void stop(struct looker *l)
{
  pthread_mutex_lock(&l->mutex);
  l->end = true;
  pthread_cond_broadcast(&l->more);
  pthread_cond_broadcast(&l->room);
  pthread_mutex_unlock(&l->mutex);
  for (unsigned i = 0; i < l->started; i++)
    pthread_join(l->threads[i], NULL);
  free(l->threads);
}

/* ---- Telling: one thread --------------------------------------------------------------------- */

int st_walk_unobserved(struct st_walk_state *w, const char *path, int code, const char *why,
                       struct st_error *err)
{
  char text[64];
  w->result->unobserved++;
  return w->cb->unobserved(w->cb->arg, path, code ? strerror_r(code, text, sizeof(text)) : why,
                           err);
}

/* Not all in the directory was seen: next time it is listed again, whatever its times say. */
static void add_incomplete(struct looker *l, struct st_node *n)
{
  if (!n->parent)
    return; /* the roots are asked for each time */
  l->incomplete = st_realloc(l->incomplete, l->nincomplete + 1, sizeof(struct st_node *));
  l->incomplete[l->nincomplete++] = n;
}

/* The directory in the next index, to be written to. */
static struct st_index_new *fresh_of(struct st_walk_state *w, struct st_node *n)
{
  if (!n->fresh) {
    n->fresh = st_index_copy(w->o->index, n->position);
    st_index_replace(w->o->index, n->position, n->fresh);
  }
  return n->fresh;
}

static void unsettle(struct st_walk_state *w, struct st_node *n)
{
  fresh_of(w, n->parent)->records[n->record].flags |= ST_INDEX_UNSETTLED;
}

static struct st_index_entry index_entry(const struct looker *l, const struct look *k)
{
  struct st_index_entry e = {.meta = k->meta, .wanted = k->entry.wanted};
  if (k->entry.has_digest) {
    e.flags |= ST_INDEX_HAS_DIGEST;
    e.digest = k->entry.digest;
  }
  if (k->entry.has_object)
    e.flags |= ST_INDEX_HAS_OBJECT;
  if (k->target) {
    e.flags |= ST_INDEX_HAS_DIGEST;
    st_id_of(&e.digest, NULL, k->target, strlen(k->target));
  }
  if (st_metadata_is_plain(&k->metadata, k->meta.type))
    e.flags |= ST_INDEX_PLAIN;
  if (k->entry.unreadable || !st_is_settled(l->w, &k->meta))
    e.flags |= ST_INDEX_UNSETTLED;
  if (k->group)
    e.links = k->group->digest;
  return e;
}

/* All is known of the entry but perhaps its group: then it waits, and index.new has it already. */
static int finish_entry(struct looker *l, struct look *k, struct st_error *err)
{
  const struct st_walk_callbacks *cb = l->w->cb;
  struct st_links_group alone = {.first = ""};
  struct st_index_entry e = index_entry(l, k);
  if (k->meta.type != 'd')
    st_links_fill(k->group ? k->group : &alone, &k->entry);
  if (!k->group && st_links_concern(&k->meta))
    st_links_hold(l->links, k->item->plugins, &k->entry, &e,
                  (struct st_links_place){k->node, k->item->record});
  else if (cb->entry(cb->arg, k->item->plugins, &k->entry, err) < 0)
    return -1;
  st_index_set(k->node->fresh, k->item->record, &e);
  return k->was_read ? st_index_log(l->w->o->index, k->path, &e, err) : 0;
}

static int tell_vanished(struct looker *l, const struct look *k)
{
  l->w->result->vanished++;
  st_index_set(k->node->fresh, k->item->record, NULL);
  if (k->known && l->w->o->current)
    st_strings_add(&l->w->gone, k->path);
  return 0;
}

static int tell_not_seen(struct looker *l, struct look *k, struct st_error *err)
{
  bool indexed = k->item->old != ST_INDEX_NONE;
  st_index_set(k->node->fresh, k->item->record, indexed ? &k->old : NULL);
  if (!indexed)
    add_incomplete(l, k->node);
  return st_walk_unobserved(l->w, k->path, k->code, NULL, err);
}

static int tell_content(struct looker *l, struct look *k, struct st_error *err)
{
  const struct st_walk_callbacks *cb = l->w->cb;
  l->w->result->read++;
  l->w->result->read_bytes += k->meta.size;
  if (!k->read.content || k->read.needless)
    return 0;
  const struct st_walk_content content = st_look_content(k, &k->data);
  k->prepared = NULL;
  if (cb->content(cb->arg, &k->entry, &content, &k->entry.digest, err) < 0)
    return -1;
  k->entry.has_object = true;
  return 0;
}

static int tell_entry(struct looker *l, struct look *k, struct st_error *err)
{
  if (k->result == LOOK_VANISHED)
    return tell_vanished(l, k);
  if (k->result == LOOK_NOT_SEEN)
    return tell_not_seen(l, k, err);
  if (k->result == LOOK_FAILED)
    return st_error_move(err, &k->err);
  if (k->entry.unreadable && st_walk_unobserved(l->w, k->path, 0, k->read.why, err) < 0)
    return -1;
  if (k->was_read && tell_content(l, k, err) < 0)
    return -1;
  l->w->result->looked_at++;
  return finish_entry(l, k, err);
}

static int forget(struct looker *l, struct look *k, struct st_error *err)
{
  const struct st_walk_callbacks *cb = l->w->cb;
  st_item_meta(k->node, k->item, &k->meta);
  k->entry = st_look_entry(l, k->path, &k->meta, NULL);
  return cb->entry(cb->arg, 0, &k->entry, err);
}

static void emptied(struct looker *l, const struct look *k)
{
  struct st_index_dir dir;
  for (uint32_t i = 0; st_index_dir(l->w->o->index, k->item->old, &dir) && i < dir.count; i++)
    st_strings_take(&l->w->gone, st_format("%s/%s", k->path, st_index_name(&dir, i)));
}

static int tell(struct looker *l, struct look *k, struct st_error *err)
{
  const struct st_item *item = k->item;
  const struct st_walk_callbacks *cb = l->w->cb;
  switch (item->kind) {
  case ST_ITEM_LOOK:
    return tell_entry(l, k, err);
  case ST_ITEM_FORGET:
    return forget(l, k, err);
  case ST_ITEM_UNOBSERVED:
    return st_walk_unobserved(l->w, k->path, item->code, item->why, err);
  case ST_ITEM_MOUNT:
    return cb->mount(
        cb->arg,
        &(struct st_mount){k->path, st_mounts_type(l->w->mounts, item->mount_id), item->entered},
        err);
  case ST_ITEM_GONE:
    st_strings_add(&l->w->gone, k->path);
    return 0;
  case ST_ITEM_EMPTIED:
    emptied(l, k);
    return 0;
  }
  return 0;
}

/* ---- The ring: the thread that tells --------------------------------------------------------- */

static void drop_opened(struct looker *l, struct opened *dir)
{
  if (!dir || --dir->users > 0)
    return;
  l->open--;
  if (dir->fd >= 0)
    close(dir->fd);
  free(dir);
}

static void clear(struct looker *l, struct look *k)
{
  st_look_drop_prepared(l, k);
  st_error_clear(&k->err);
  free(k->path);
  free(k->target);
  st_buffer_free(&k->data);
  st_metadata_clear(&k->metadata);
  drop_opened(l, k->dir);
  drop_opened(l, k->own);
}

/* It is told, or never will be.  The next one takes its place, which is still in the processor's
 * cache; the ring is too long to be. */
static void spare_look(struct looker *l, struct look *k)
{
  clear(l, k);
  k->next = l->spare;
  l->spare = k;
}

static struct look *take_spare(struct looker *l)
{
  struct look *k = l->spare;
  if (!k)
    return st_malloc(sizeof(*k));
  l->spare = k->next;
  return k;
}

/* Whether there is something to take up: the head itself, or what is next. */
static bool may_work(const struct looker *l, const struct look *head)
{
  return __atomic_load_n(&head->state, __ATOMIC_RELAXED) == LOOK_WAITING ||
         (l->next < l->tail && has_room(l, &l->reader));
}

/* Nothing is left but what others have at hand, and large files perhaps.  It says that it waits
 * before it looks, as st_look_done does it the other way. */
static void await(struct looker *l, const struct look *head)
{
  __atomic_store_n(&l->awaited, true, __ATOMIC_SEQ_CST);
  if (st_large_is_parked(head) && st_large_is_due(l)) {
    st_large_do(l, &l->reader);
  } else {
    if (l->idle > 0 && st_large_is_due(l))
      pthread_cond_signal(&l->more);
    if (!st_look_is_done(head))
      pthread_cond_wait(&l->done, &l->mutex);
  }
  __atomic_store_n(&l->awaited, false, __ATOMIC_RELAXED);
}

/* Until the head is done: with the mutex. */
static void wait_for_head(struct looker *l)
{
  const struct look *head = st_look_in_ring(l, l->head);
  while (!st_look_is_done(head)) {
    if (may_work(l, head))
      do_some(l, &l->reader);
    else
      await(l, head);
  }
}

/* How many from the head on are done, of so many: nobody takes them up any more. */
static size_t find_done(struct looker *l, size_t most)
{
  size_t n = 1;
  pthread_mutex_lock(&l->mutex);
  wait_for_head(l);
  while (n < most && st_look_is_done(st_look_in_ring(l, l->head + n)))
    n++;
  if (l->next < l->head + n)
    l->next = l->head + n;
  pthread_mutex_unlock(&l->mutex);
  return n;
}

/* So many are told, and make room. */
static void drop_told(struct looker *l, size_t n)
{
  size_t head = l->head;
  pthread_mutex_lock(&l->mutex);
  for (size_t i = 0; i < n; i++)
    l->ahead -= st_look_in_ring(l, head + i)->ahead;
  l->head += n;
  if (l->crowded > 0)
    pthread_cond_broadcast(&l->room);
  pthread_mutex_unlock(&l->mutex);
  for (size_t i = n; i-- > 0;)
    spare_look(l, st_look_in_ring(l, head + i));
}

/* Tells what is done from the head on, so many at most: one at least, for which it waits. */
static int tell_some(struct looker *l, size_t most, struct st_error *err)
{
  size_t n = find_done(l, most < ST_RUN ? most : ST_RUN), told = 0;
  int r = 0;
  while (told < n && r == 0)
    r = tell(l, st_look_in_ring(l, l->head + told++), err);
  drop_told(l, told);
  return r;
}

/* All but the last `left`. */
static int tell_until(struct looker *l, size_t left, struct st_error *err)
{
  while (l->tail - l->head > left)
    if (tell_some(l, l->tail - l->head - left, err) < 0)
      return -1;
  return 0;
}

/* So many are done from the head on, most likely, as is worth a turn. */
static bool is_worth_telling(struct looker *l)
{
  return st_look_is_done(st_look_in_ring(l, l->head)) &&
         st_look_is_done(st_look_in_ring(l, l->head + ST_LOT - 1));
}

/* Of many that are on their way half are told, as far as they are done: so few are, that what they
 * take stays in the processors' caches. */
static int tell_soon(struct looker *l, struct st_error *err)
{
  size_t left = (l->tail - l->head) / 2;
  while (l->tail - l->head >= left + ST_LOT && is_worth_telling(l))
    if (tell_some(l, l->tail - l->head - left, err) < 0)
      return -1;
  return 0;
}

/* Where the ring is full, half of it is told: threads are woken for many entries, not for each. */
static int make_room(struct looker *l, struct st_error *err)
{
  size_t n = l->tail - l->head;
  if (n == ST_RING || l->open >= ST_MOST_OPEN)
    return tell_until(l, n / 2, err);
  return n >= (size_t)ST_SOON * l->w->threads ? tell_soon(l, err) : 0;
}

/* Threads pay for many entries, or for large ones. */
static bool pays(const struct looker *l)
{
  size_t looks = l->tail - l->head;
  return looks >= ST_ENOUGH_LOOKS || (looks > 1 && l->bytes >= ST_READ_LARGE);
}

/* One more, whose fields but the last are zeros; put_in puts it in. */
static int make_look(struct looker *l, const struct st_item *item, struct st_node *node,
                     struct look **ret, struct st_error *err)
{
  if (make_room(l, err) < 0)
    return -1;
  struct look *k = *ret = take_spare(l);
  __atomic_store_n(&l->ring[l->tail % ST_RING], k, __ATOMIC_RELAXED);
  memset(k, 0, offsetof(struct look, old));
  k->item = item;
  k->node = node;
  return 0;
}

static void put_in(struct looker *l, const struct look *k)
{
  l->bytes += k->meta.type == 'f' ? k->meta.size : 0;
  __atomic_store_n(&l->tail, l->tail + 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&l->idle, __ATOMIC_SEQ_CST) > 0) {
    pthread_mutex_lock(&l->mutex);
    if (l->tail - l->next >= ST_LOT)
      pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->mutex);
  }
  if (!l->threads && pays(l))
    start(l);
}

/* What is still on its way when all was put in. */
static int drain(struct looker *l, struct st_error *err)
{
  pthread_mutex_lock(&l->mutex);
  pthread_cond_broadcast(&l->more);
  pthread_mutex_unlock(&l->mutex);
  return tell_until(l, 0, err);
}

/* ---- What was noted, in the order of the paths ----------------------------------------------- */

static struct opened *new_opened(struct looker *l, int fd)
{
  struct opened *dir = st_malloc(sizeof(*dir));
  *dir = (struct opened){fd, 1};
  l->open++;
  return dir;
}

/* The directory of a root, or of the roots' parent. */
static int open_root(const struct looker *l, const char *path, const char **ret_name)
{
  *ret_name = ".";
  if (strcmp(path, "/") == 0)
    return st_open_directory(l->w->o->root, ".", O_PATH);
  return st_open_parent(l->w->o->root, path, ret_name);
}

static int open_node(struct looker *l, struct frame *f);

static int dir_of(struct looker *l, struct frame *f)
{
  if (!f->dir)
    f->dir = new_opened(l, open_node(l, f));
  return f->dir->fd;
}

static int open_node(struct looker *l, struct frame *f)
{
  if (f->above->node->parent) {
    int above = dir_of(l, f->above);
    return above < 0 ? above : st_open_directory(above, f->node->name, O_PATH);
  }
  const char *name;
  ST_AUTO_CLOSE int parent = open_root(l, f->node->name, &name);
  return parent < 0 ? parent : st_open_directory(parent, name, O_PATH);
}

static void find_old(struct looker *l, const struct st_node *n, struct look *k)
{
  const struct st_index *index = l->w->o->index;
  struct st_index_dir dir;
  if (k->item->old != ST_INDEX_NONE)
    k->old = (struct st_index_entry){0};
  k->known = st_index_find_fresh(index, k->path, &k->old);
  if (k->known)
    return;
  if (k->item->old != ST_INDEX_NONE && st_index_dir(index, n->position, &dir)) {
    if (l->proved != n)
      l->proved_good = st_index_digests_good(&dir);
    l->proved = n;
    st_index_read(&dir, k->item->old, l->proved_good, &k->old);
    k->known = !(k->old.flags & ST_INDEX_PASSED);
  } else if (l->w->other_roots) {
    k->known = st_index_find(index, k->path, &k->old, NULL);
  }
}

/* The path of a name in the directory, whose own is put together once for names in a row. */
static char *path_in(struct looker *l, const struct st_node *node, const char *name)
{
  if (l->path_of != node)
    st_node_path(node, "", &l->path);
  l->path_of = node;
  size_t length = l->path.length, n = strlen(name);
  bool apart = n > 0 && length > 0 && l->path.data[length - 1] != '/';
  char *path = st_malloc(length + apart + n + 1);
  memcpy(path, l->path.data, length);
  if (apart)
    path[length] = '/';
  memcpy(path + length + apart, name, n + 1);
  return path;
}

/* The rest of a look that is zeros but for its item and node. */
static void fill_look(struct looker *l, struct look *k)
{
  st_item_meta(k->node, k->item, &k->meta);
  k->name = st_index_new_name(k->node->fresh, k->item->record);
  k->path = path_in(l, k->node, k->name);
  find_old(l, k->node, k);
}

/* A directory in which something follows: it is opened once, for what stat does not say of it, too.
 * NULL: one that cannot be read, for example, is opened as it is needed. */
static struct opened *open_own(struct looker *l, struct frame *f, const struct st_item *item)
{
  if (item->kind != ST_ITEM_LOOK || item->meta.type != 'd' || !f->node->parent)
    return NULL;
  int above = dir_of(l, f);
  const char *name = st_index_new_name(f->node->fresh, item->record);
  int fd = above < 0 ? above : st_open_directory(above, name, O_RDONLY);
  return fd < 0 ? NULL : new_opened(l, fd);
}

/* `own`: the directory that it is, or NULL. */
static int put_look(struct looker *l, struct frame *f, const struct st_item *item,
                    struct opened *own, struct st_error *err)
{
  struct look *k;
  if (make_look(l, item, f->node, &k, err) < 0)
    return -1;
  fill_look(l, k);
  k->large = st_large_put(&l->large, item);
  if (l->w->cb->soon)
    l->w->cb->soon(l->w->cb->arg, k->path);
  if (!f->node->parent) {
    k->dir = new_opened(l, open_root(l, k->path, &k->name));
  } else {
    dir_of(l, f);
    k->dir = f->dir;
    k->dir->users++;
  }
  k->own = own;
  if (own)
    own->users++;
  put_in(l, k);
  return 0;
}

static int put_item(struct looker *l, struct frame *f, const struct st_item *item,
                    struct opened *own, struct st_error *err)
{
  struct look *k;
  if (item->kind == ST_ITEM_LOOK)
    return put_look(l, f, item, own, err);
  if (make_look(l, item, f->node, &k, err) < 0)
    return -1;
  k->state = LOOK_DONE;
  k->path = path_in(l, f->node, st_item_name(item) ? st_item_name(item) : "");
  put_in(l, k);
  return 0;
}

static void add_large(struct looker *l, struct st_node *n, const struct st_item *item)
{
  if (!st_large_is(&l->large, item))
    return;
  struct look k = {.item = item, .node = n};
  fill_look(l, &k);
  if (st_look_is_to_be_hashed(l, &k))
    st_large_add(&l->large, n, item);
  free(k.path);
}

/* In the order in which go_through comes to them; it finds the children sorted. */
static void find_large(struct looker *l, struct st_node *n)
{
  st_node_sort(n);
  struct st_node *c = n->busy_children;
  for (size_t i = 0; i < n->nitems; i++) {
    for (; c && c->order < n->items[i].order; c = c->next_busy)
      find_large(l, c);
    add_large(l, n, &n->items[i]);
  }
  for (; c; c = c->next_busy)
    find_large(l, c);
}

/* `dir`: it is open already, and dropped behind it; may be NULL. */
static int go_through(struct looker *l, struct frame *above, struct st_node *n, struct opened *dir,
                      struct st_error *err)
{
  struct frame f = {.above = above, .node = n, .dir = dir};
  struct st_node *c = n->busy_children;
  struct opened *own = NULL; /* that c is */
  int r = 0;
  if (n->incomplete)
    add_incomplete(l, n);
  for (size_t i = 0; i < n->nitems && r == 0; i++) {
    for (; c && c->order < n->items[i].order && r == 0; c = c->next_busy)
      r = go_through(l, &f, c, st_steal(&own), err);
    if (r == 0 && c && c->order == n->items[i].order && !own)
      own = open_own(l, &f, &n->items[i]);
    if (r == 0)
      r = put_item(l, &f, &n->items[i], own, err);
  }
  for (; c && r == 0; c = c->next_busy)
    r = go_through(l, &f, c, st_steal(&own), err);
  drop_opened(l, own);
  drop_opened(l, f.dir);
  return r;
}

/* ---- Links ----------------------------------------------------------------------------------- */

static int tell_linked(void *arg, uint32_t plugins, const struct st_entry *entry,
                       const struct st_index_entry *index, struct st_links_place place,
                       struct st_error *err)
{
  struct looker *l = arg;
  st_index_set(place.node->fresh, place.record, index);
  return l->w->cb->entry(l->w->cb->arg, plugins, entry, err);
}

/* Of an entry that was passed, its group alone is new. */
static int look_again(void *arg, const char *path, const struct st_links_group *group,
                      struct st_links_place place, struct st_error *err)
{
  struct looker *l = arg;
  struct st_index_new *dir = fresh_of(l->w, place.node);
  struct st_item item = {.kind = ST_ITEM_LOOK, .old = place.record};
  struct look k = {.item = &item, .node = place.node, .group = group, .path = st_strdup(path)};
  item.record = st_index_new_search(dir, place.node->parent ? strrchr(path, '/') + 1 : path);
  item.plugins = st_scope_match(l->w->o->scope, path, false).plugins;
  k.dir = new_opened(l, open_root(l, k.path, &k.name));
  find_old(l, place.node, &k);
  int r = 0;
  if (k.dir->fd < 0 || st_meta_read(k.dir->fd, k.name, &k.meta) < 0 || k.meta.type == 'd') {
    l->w->result->vanished++;
  } else if (item.plugins && item.record != ST_INDEX_NONE) {
    st_look_at(l, &k, &l->reader);
    st_look_hash(l, &l->reader);
    r = tell_entry(l, &k, err);
    l->ahead -= k.ahead;
  }
  clear(l, &k);
  return r;
}

static void add_passed(void *arg, const struct st_passed *p)
{
  struct looker *l = arg;
  struct st_index_dir dir;
  if (!st_index_dir(l->w->o->index, p->node->position, &dir))
    return;
  struct st_index_entry e = {
      .links = le32toh(dir.records[p->record].links),
      .meta = {.inode = p->inode, .device = p->device, .mount_id = p->mount_id, .links = p->links},
  };
  st_node_path(p->node, st_index_name(&dir, p->record), &l->path);
  st_links_pass(l->links, l->path.data, &e, (struct st_links_place){p->node, p->record});
}

/* Where nothing is told, no group is another one. */
static int finish_links(struct looker *l, struct st_error *err)
{
  const struct st_links_callbacks callbacks = {l, tell_linked, look_again};
  st_pool_each_passed(l->w->pool, add_passed, l);
  return st_links_finish(l->links, &callbacks, err);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static struct looker *looker_new(struct st_walk_state *w)
{
  struct looker *l = st_calloc(1, sizeof(*l));
  l->w = w;
  l->links = st_links_new();
  st_large_init(&l->large);
  pthread_mutex_init(&l->mutex, NULL);
  pthread_cond_init(&l->more, NULL);
  pthread_cond_init(&l->done, NULL);
  pthread_cond_init(&l->room, NULL);
  return l;
}

static void looker_free(struct looker *l)
{
  while (l->head < l->tail)
    spare_look(l, st_look_in_ring(l, l->head++));
  while (l->spare)
    free(take_spare(l));
  free(l->incomplete);
  st_large_free(&l->large);
  st_links_free(l->links);
  pthread_cond_destroy(&l->more);
  pthread_cond_destroy(&l->done);
  pthread_cond_destroy(&l->room);
  pthread_mutex_destroy(&l->mutex);
  st_reader_free(&l->reader);
  st_buffer_free(&l->path);
  free(l);
}

int st_look_all(struct st_walk_state *w, struct st_error *err)
{
  if (!w->top.busy_children && w->top.nitems == 0)
    return 0;
  struct looker *l = looker_new(w);
  find_large(l, &w->top);
  if (st_large_pay(&l->large))
    start(l);
  int r = go_through(l, NULL, &w->top, NULL, err);
  if (r == 0)
    r = drain(l, err);
  if (r == 0)
    r = finish_links(l, err);
  stop(l);
  for (size_t i = 0; i < l->nincomplete; i++)
    unsettle(w, l->incomplete[i]);
  looker_free(l);
  return r;
}
