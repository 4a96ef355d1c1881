/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/scan/tree.h"

#include <fcntl.h>
#include <string.h>

/* Names from the root's down; the tree is as deep as the paths are. */
static void add_names(const struct st_node *node, struct st_buffer *out)
{
  size_t length = 0;
  for (const struct st_node *n = node; n->parent; n = n->parent)
    length += strlen(n->name) + 1;
  st_buffer_clear(out);
  st_buffer_reserve(out, length + 2);
  char *end = out->data + length;
  *end = 0;
  for (const struct st_node *n = node; n->parent; n = n->parent) {
    size_t k = strlen(n->name);
    end -= k;
    memcpy(end, n->name, k);
    if (n->parent->parent)
      *--end = '/';
  }
  out->length = length - (size_t)(end - out->data);
  memmove(out->data, end, out->length + 1);
}

void st_node_path(const struct st_node *node, const char *name, struct st_buffer *out)
{
  add_names(node, out);
  if (out->length >= 2 && out->data[0] == '/' && out->data[1] == '/') { /* below the root "/" */
    memmove(out->data, out->data + 1, out->length);
    out->length--;
  }
  if (!*name)
    return;
  if (out->length > 0 && out->data[out->length - 1] != '/')
    st_buffer_append_byte(out, '/');
  st_buffer_append_string(out, name);
}

struct st_item *st_node_note(struct st_node *node, enum st_item_kind kind, uint32_t order)
{
  if (node->nitems == node->size_items) {
    node->size_items = node->size_items ? 2 * node->size_items : 4;
    node->items = st_realloc(node->items, node->size_items, sizeof(*node->items));
  }
  struct st_item *item = &node->items[node->nitems++];
  *item = (struct st_item){.kind = kind, .order = order, .old = ST_INDEX_NONE};
  return item;
}

void st_node_busy(struct st_walk_state *w, struct st_node *node)
{
  pthread_mutex_lock(&w->busy);
  for (; node->parent && !node->busy; node = node->parent) {
    node->busy = true;
    node->next_busy = node->parent->busy_children;
    node->parent->busy_children = node;
  }
  pthread_mutex_unlock(&w->busy);
}

void st_node_clear(struct st_node *node)
{
  bool own = node->size_items > 0;
  for (size_t i = 0; (own || node->has_names) && i < node->nitems; i++)
    free(st_item_name(&node->items[i]));
  if (own)
    free(node->items);
  node->items = NULL;
  node->nitems = node->size_items = 0;
}

void st_item_meta(const struct st_node *node, const struct st_item *item, struct st_meta *ret)
{
  st_index_new_meta(node->fresh, item->record, ret);
  if (item->kind != ST_ITEM_LOOK)
    return;
  ret->mount_id = item->meta.mount_id;
  ret->links = item->meta.links;
  ret->blocks = item->meta.blocks;
  ret->device = item->meta.device;
}

static int by_order(const void *a, const void *b)
{
  const struct st_node *x = *(struct st_node *const *)a, *y = *(struct st_node *const *)b;
  return x->order < y->order ? -1 : x->order > y->order;
}

void st_node_sort(struct st_node *node)
{
  size_t count = 0, i = 0;
  for (const struct st_node *c = node->busy_children; c; c = c->next_busy)
    count++;
  if (count < 2)
    return;
  ST_AUTO_FREE struct st_node **children = st_calloc(count, sizeof(struct st_node *));
  for (struct st_node *c = node->busy_children; c; c = c->next_busy)
    children[i++] = c;
  qsort(children, count, sizeof(struct st_node *), by_order);
  struct st_node **link = &node->busy_children;
  for (i = 0; i < count; i++) {
    *link = children[i];
    link = &children[i]->next_busy;
  }
  *link = NULL;
}

#define COARSEST 2 /* seconds: of FAT, whose ctime may be kept by ten milliseconds besides */
#define FAT_TICK 10000000

/* Whether the file system may keep no finer times.  An mtime of whole seconds before the ctime was
 * set by somebody, as package managers and restores do, and tells nothing; where it is FAT's own,
 * the ctime tells. */
static bool is_coarse(const struct st_meta *m)
{
  return m->ctime_nsec % FAT_TICK == 0 || (m->mtime_nsec == 0 && m->mtime >= m->ctime);
}

/* Times as new as the scan may hide a change that comes within the same tick of the clock. */
bool st_is_settled(const struct st_walk_state *w, const struct st_meta *m)
{
  int64_t coarse = w->start.tv_sec - COARSEST;
  if (is_coarse(m))
    return m->ctime <= coarse && m->mtime <= coarse;
  bool c = m->ctime < w->start.tv_sec ||
           (m->ctime == w->start.tv_sec && (long)m->ctime_nsec < w->start.tv_nsec);
  bool t = m->mtime < w->start.tv_sec ||
           (m->mtime == w->start.tv_sec && (long)m->mtime_nsec < w->start.tv_nsec);
  return c && t;
}

/* O_NOATIME is for owners and root only (open(2)). */
int st_open_directory(int dirfd, const char *name, int flags)
{
  flags |= O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int fd = openat(dirfd, name, flags & O_PATH ? flags : flags | O_NOATIME);
  if (fd < 0 && errno == EPERM)
    fd = openat(dirfd, name, flags);
  return fd < 0 ? -errno : fd;
}
