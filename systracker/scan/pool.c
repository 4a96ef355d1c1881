/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool.c - the threads that stat.  Each has a stack of directories of its own and takes up the last
 * one pushed, so that few are open at once; one that has nothing to do waits, and who has more than
 * one directory then gives it the older half: the larger trees.
 */
#include <string.h>

#include "systracker/base/thread.h"
#include "systracker/scan/visit.h"

#define ST_NODES 128     /* allocated together */
#define ST_ITEMS 512     /* the same */
#define ST_ENOUGH_WORK 8 /* directories on the stack: then further threads pay */

struct st_nodes {
  struct st_nodes *next;
  size_t used;
  struct st_node nodes[ST_NODES];
};

struct st_pool {
  struct st_visitor *visitors;
  unsigned count, started;
  pthread_t *threads;
  pthread_mutex_t mutex;
  pthread_cond_t more;
  struct st_node **shared; /* given by one for another */
  size_t nshared, size_shared;
  unsigned waiting; /* atomic, as it is asked without the mutex */
  bool done;
};

struct st_node *st_visitor_new_node(struct st_visitor *v)
{
  if (!v->nodes || v->nodes->used == ST_NODES) {
    struct st_nodes *more = st_malloc(sizeof(*more));
    more->used = 0;
    more->next = v->nodes;
    v->nodes = more;
  }
  return &v->nodes->nodes[v->nodes->used++];
}

/* Room for so many, one behind the other. */
static struct st_item *room_for(struct st_visitor *v, size_t n)
{
  if (!v->kept || n > v->kept->room - v->kept->used) {
    size_t room = n > ST_ITEMS ? n : ST_ITEMS;
    struct st_items *more = st_malloc(sizeof(*more) + room * sizeof(struct st_item));
    *more = (struct st_items){.next = v->kept, .room = room};
    v->kept = more;
  }
  struct st_item *items = v->kept->items + v->kept->used;
  v->kept->used += n;
  return items;
}

void st_visitor_keep_items(struct st_visitor *v, struct st_node *node)
{
  v->items = node->items;
  v->size_items = node->size_items;
  node->size_items = 0;
  node->items = node->nitems > 0 ? room_for(v, node->nitems) : NULL;
  for (size_t i = 0; i < node->nitems; i++) {
    node->items[i] = v->items[i];
    node->has_names |= st_item_name(&v->items[i]) != NULL;
  }
}

void st_visitor_push(struct st_visitor *v, struct st_node *node)
{
  if (v->nstack == v->size_stack) {
    v->size_stack = v->size_stack ? 2 * v->size_stack : 64;
    v->stack = st_realloc(v->stack, v->size_stack, sizeof(struct st_node *));
  }
  v->stack[v->nstack++] = node;
}

/* ---- Giving and taking ----------------------------------------------------------------------- */

static void give(struct st_visitor *v)
{
  struct st_pool *p = v->pool;
  size_t n = v->nstack / 2;
  if (n == 0 || __atomic_load_n(&p->waiting, __ATOMIC_RELAXED) == 0)
    return;
  pthread_mutex_lock(&p->mutex);
  if (p->nshared == 0) {
    if (n > p->size_shared) {
      p->size_shared = 2 * n;
      p->shared = st_realloc(p->shared, p->size_shared, sizeof(struct st_node *));
    }
    memcpy(p->shared, v->stack, n * sizeof(struct st_node *));
    memmove(v->stack, v->stack + n, (v->nstack - n) * sizeof(struct st_node *));
    p->nshared = n;
    v->nstack -= n;
    pthread_cond_broadcast(&p->more);
  }
  pthread_mutex_unlock(&p->mutex);
}

/* A share of what was given.  false: all is done. */
static bool take(struct st_visitor *v)
{
  struct st_pool *p = v->pool;
  pthread_mutex_lock(&p->mutex);
  __atomic_add_fetch(&p->waiting, 1, __ATOMIC_RELAXED);
  while (p->nshared == 0 && !p->done) {
    if (p->waiting == p->started + 1) {
      p->done = true;
      pthread_cond_broadcast(&p->more);
    } else {
      pthread_cond_wait(&p->more, &p->mutex);
    }
  }
  __atomic_sub_fetch(&p->waiting, 1, __ATOMIC_RELAXED);
  size_t n = (p->nshared + 1) / 2;
  for (size_t i = 0; i < n; i++)
    st_visitor_push(v, p->shared[p->nshared - n + i]);
  p->nshared -= n;
  bool more = !p->done;
  pthread_mutex_unlock(&p->mutex);
  return more;
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void *work(void *arg)
{
  struct st_visitor *v = arg;
  do {
    while (v->nstack > 0) {
      st_visit(v, v->stack[--v->nstack]);
      give(v);
    }
  } while (take(v));
  return NULL;
}

/* A thread that cannot be had is done without. */
static void start(struct st_pool *p)
{
  pthread_mutex_lock(&p->mutex);
  while (p->started + 1 < p->count &&
         st_thread_start(&p->threads[p->started], work, &p->visitors[p->started + 1]))
    p->started++;
  pthread_mutex_unlock(&p->mutex);
}

struct st_pool *st_pool_new(struct st_walk_state *w)
{
  struct st_pool *p = st_calloc(1, sizeof(*p));
  p->count = w->threads;
  p->visitors = st_calloc(p->count, sizeof(*p->visitors));
  p->threads = st_calloc(p->count, sizeof(*p->threads));
  pthread_mutex_init(&p->mutex, NULL);
  pthread_cond_init(&p->more, NULL);
  for (unsigned i = 0; i < p->count; i++) {
    p->visitors[i].w = w;
    p->visitors[i].pool = p;
  }
  return p;
}

struct st_visitor *st_pool_first(struct st_pool *p)
{
  return &p->visitors[0];
}

static void add_result(struct st_walk_result *sum, const struct st_walk_result *part)
{
  sum->entries += part->entries;
  sum->generated += part->generated;
  sum->listed += part->listed;
  sum->vanished += part->vanished;
}

void st_pool_run(struct st_pool *p)
{
  struct st_visitor *v = &p->visitors[0];
  while (v->nstack > 0 && v->nstack < ST_ENOUGH_WORK)
    st_visit(v, v->stack[--v->nstack]);
  if (v->nstack > 0) {
    start(p);
    work(v);
  }
  for (unsigned i = 0; i < p->started; i++)
    pthread_join(p->threads[i], NULL);
  for (unsigned i = 0; i < p->count; i++)
    add_result(v->w->result, &p->visitors[i].result);
}

void st_pool_each_passed(struct st_pool *p, void (*fn)(void *arg, const struct st_passed *passed),
                         void *arg)
{
  for (unsigned i = 0; i < p->count; i++) {
    for (size_t k = 0; k < p->visitors[i].npassed; k++)
      fn(arg, &p->visitors[i].passed[k]);
  }
}

static void free_visitor(struct st_visitor *v)
{
  while (v->nodes) {
    struct st_nodes *nodes = v->nodes;
    v->nodes = nodes->next;
    for (size_t i = 0; i < nodes->used; i++)
      st_node_clear(&nodes->nodes[i]);
    free(nodes);
  }
  while (v->kept) {
    struct st_items *kept = v->kept;
    v->kept = kept->next;
    free(kept);
  }
  free(v->items);
  free(v->stack);
  free(v->passed);
  free(v->seen);
  free(v->inner);
  st_buffer_free(&v->path);
  st_list_free(&v->list);
}

void st_pool_free(struct st_pool *p)
{
  for (unsigned i = 0; i < p->count; i++)
    free_visitor(&p->visitors[i]);
  pthread_mutex_destroy(&p->mutex);
  pthread_cond_destroy(&p->more);
  free(p->visitors);
  free(p->threads);
  free(p->shared);
  free(p);
}
