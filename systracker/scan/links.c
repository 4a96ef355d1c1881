/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/scan/links.h"

#include <string.h>

#include "systracker/base/digest.h"

/* One name that the walk met.  What an entry borrows is copied behind the struct. */
struct item {
  bool held; /* `entry` is set; else the path alone */
  uint32_t plugins;
  struct st_entry entry;
  struct st_index_entry index;
  struct st_links_place place;
};

struct st_links {
  struct item **items;
  size_t count, size;
};

struct st_links *st_links_new(void)
{
  return st_calloc(1, sizeof(struct st_links));
}

void st_links_free(struct st_links *links)
{
  for (size_t i = 0; links && i < links->count; i++)
    free(links->items[i]);
  if (links)
    free(links->items);
  free(links);
}

/* ---- Held ------------------------------------------------------------------------------------ */

static void add(struct st_links *links, struct item *item)
{
  if (links->count == links->size) {
    links->size = links->size ? 2 * links->size : 64;
    links->items = st_realloc(links->items, links->size, sizeof(struct item *));
  }
  links->items[links->count++] = item;
}

static size_t string_room(const char *s)
{
  return s ? strlen(s) + 1 : 0;
}

/* Copies bytes to where there is room; NULL stays. */
static const char *keep(char **room, const void *data, size_t length)
{
  if (!data)
    return NULL;
  char *copy = *room;
  memcpy(copy, data, length);
  *room += length;
  return copy;
}

void st_links_hold(struct st_links *links, uint32_t plugins, const struct st_entry *entry,
                   const struct st_index_entry *index, struct st_links_place place)
{
  size_t path = string_room(entry->path), target = string_room(entry->target),
         owner = string_room(entry->owner), group = string_room(entry->group);
  struct item *item = st_malloc(sizeof(*item) + path + target + owner + group +
                                entry->xattrs_length + entry->holes_length);
  char *room = (char *)(item + 1);
  *item = (struct item){true, plugins, *entry, *index, place};
  item->entry.path = keep(&room, entry->path, path);
  item->entry.target = keep(&room, entry->target, target);
  item->entry.owner = keep(&room, entry->owner, owner);
  item->entry.group = keep(&room, entry->group, group);
  item->entry.xattrs = keep(&room, entry->xattrs, entry->xattrs_length);
  item->entry.holes = keep(&room, entry->holes, entry->holes_length);
  add(links, item);
}

void st_links_pass(struct st_links *links, const char *path, const struct st_index_entry *index,
                   struct st_links_place place)
{
  size_t length = string_room(path);
  struct item *item = st_malloc(sizeof(*item) + length);
  char *room = (char *)(item + 1);
  *item = (struct item){.index = *index, .place = place};
  item->entry.path = keep(&room, path, length);
  add(links, item);
}

/* ---- Groups ---------------------------------------------------------------------------------- */

static int compare_inodes(const struct st_meta *a, const struct st_meta *b)
{
  if (a->device != b->device)
    return a->device < b->device ? -1 : 1;
  if (a->mount_id != b->mount_id)
    return a->mount_id < b->mount_id ? -1 : 1;
  return (a->inode > b->inode) - (a->inode < b->inode);
}

/* Another mount of a file system is another place: nothing can be linked across. */
static int by_inode_and_path(const void *a, const void *b)
{
  const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
  int r = compare_inodes(&x->index.meta, &y->index.meta);
  return r ? r : strcmp(x->entry.path, y->entry.path);
}

static uint32_t digest_of(const char *first, uint64_t outside)
{
  if (!*first && outside == 0)
    return 0;
  uint32_t digest = st_crc32c(st_crc32c(0, &outside, sizeof(outside)), first, strlen(first));
  return digest ? digest : 1;
}

/* The items of one inode, sorted by path. */
static struct st_links_group group_of(struct item *const *items, size_t count)
{
  uint64_t links = 0;
  for (size_t i = 0; i < count; i++) {
    if (items[i]->index.meta.links > links)
      links = items[i]->index.meta.links;
  }
  struct st_links_group g = {.first = count > 1 ? items[0]->entry.path : ""};
  g.outside = links > count ? links - count : 0;
  g.digest = digest_of(g.first, g.outside);
  return g;
}

void st_links_fill(const struct st_links_group *group, struct st_entry *entry)
{
  entry->link_group = group->first;
  entry->links_outside = group->outside;
}

static int tell(struct item *item, const struct st_links_group *g,
                const struct st_links_callbacks *cb, struct st_error *err)
{
  if (!item->held)
    return item->index.links == g->digest
               ? 0
               : cb->again(cb->arg, item->entry.path, g, item->place, err);
  st_links_fill(g, &item->entry);
  item->index.links = g->digest;
  return cb->entry(cb->arg, item->plugins, &item->entry, &item->index, item->place, err);
}

int st_links_finish(struct st_links *links, const struct st_links_callbacks *callbacks,
                    struct st_error *err)
{
  if (links->count > 1)
    qsort(links->items, links->count, sizeof(*links->items), by_inode_and_path);
  for (size_t i = 0, n; i < links->count; i += n) {
    const struct st_meta *m = &links->items[i]->index.meta;
    for (n = 1; i + n < links->count; n++) {
      if (compare_inodes(m, &links->items[i + n]->index.meta) != 0)
        break;
    }
    struct st_links_group g = group_of(&links->items[i], n);
    for (size_t k = i; k < i + n; k++) {
      if (tell(links->items[k], &g, callbacks, err) < 0)
        return -1;
    }
  }
  return 0;
}
