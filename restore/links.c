/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/links.h"

#include <string.h>

#include "systracker/base/file.h"

/* One path, and what it leads to. */
struct link {
  const char *path; /* borrowed */
  struct st_meta meta;
};

struct links {
  struct link *items;
  size_t count;
};

static void look(struct links *links, int root, const char *path)
{
  const char *name;
  struct link link = {.path = path};
  ST_AUTO_CLOSE int parent = path ? st_open_parent(root, path, &name) : -1;
  if (parent < 0 || st_meta_read(parent, name, &link.meta) < 0 || link.meta.type == 'd' ||
      link.meta.links < 2)
    return;
  links->items = st_realloc(links->items, links->count + 1, sizeof(*links->items));
  links->items[links->count++] = link;
}

static int compare_inodes(const struct st_meta *a, const struct st_meta *b)
{
  if (a->device != b->device)
    return a->device < b->device ? -1 : 1;
  return (a->inode > b->inode) - (a->inode < b->inode);
}

static int by_inode_and_path(const void *a, const void *b)
{
  const struct link *x = a, *y = b;
  int r = compare_inodes(&x->meta, &y->meta);
  return r ? r : strcmp(x->path, y->path);
}

static bool is_one(const struct links *links, size_t a, size_t b)
{
  return b < links->count && compare_inodes(&links->items[a].meta, &links->items[b].meta) == 0;
}

static void fill(struct st_wishes *wishes, const struct link *link, const char *first)
{
  struct st_action *w = st_wishes_find(wishes, link->path);
  if (!w)
    return;
  char *copy = st_strdup(first);
  free(w->before.links);
  w->before.links = copy;
}

void st_links_look(int root, const struct st_journal *j, struct st_wishes *wishes)
{
  struct links links = {0};
  for (size_t i = 0; i < j->actions.count; i++) {
    const struct st_action *a = j->actions.items[i];
    look(&links, root, a->path);
    look(&links, root, a->before.links);
    look(&links, root, a->after.links);
  }
  if (links.count > 1)
    qsort(links.items, links.count, sizeof(*links.items), by_inode_and_path);
  for (size_t i = 0; i < wishes->count; i++) {
    struct st_state *live = &wishes->items[i]->before;
    if (live->type != 0 && live->type != 'd')
      live->known |= ST_KNOWN_LINKS;
  }
  for (size_t i = 0, first = 0; i < links.count; i++) {
    if (i > 0 && !is_one(&links, first, i))
      first = i;
    /* The same path may be there more than once. */
    bool others = strcmp(links.items[first].path, links.items[i].path) != 0;
    for (size_t k = i + 1; !others && is_one(&links, first, k); k++)
      others = strcmp(links.items[first].path, links.items[k].path) != 0;
    if (others)
      fill(wishes, &links.items[i], links.items[first].path);
  }
  free(links.items);
}
