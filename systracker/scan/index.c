/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * index.c - the index in memory: items sorted by path with '/' below every other byte, so that what
 * lies below a directory is one run behind it.  indexfile.c has the formats on disk.
 */
#include "systracker/scan/index.h"

#include <fcntl.h>
#include <string.h>

#include "systracker/base/file.h"
#include "systracker/scan/indexfile.h"

struct st_index {
  int dir;
  struct st_index_items before, after;
  uint8_t head[ST_DIGEST_SIZE], scope[ST_DIGEST_SIZE];
  bool fresh;   /* something in `before` is from a scan that was not committed */
  bool changed; /* something put differs from what was before */
  bool sorted;  /* `after` is in order so far */
  int log;      /* index.new, -1: none */
  struct st_buffer pending;
};

/* ---- Order ------------------------------------------------------------------------------- */

int st_index_compare(const char *a, const char *b)
{
  while (*a && *a == *b) {
    a++;
    b++;
  }
  if (*a == *b)
    return 0;
  if (!*a || !*b)
    return *a ? 1 : -1;
  if (*a == '/' || *b == '/')
    return *a == '/' ? -1 : 1;
  return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

static int by_path(const void *a, const void *b)
{
  const struct st_index_item *x = *(struct st_index_item *const *)a;
  const struct st_index_item *y = *(struct st_index_item *const *)b;
  int r = st_index_compare(x->path, y->path);
  return r ? r : x->order < y->order ? -1 : x->order > y->order;
}

void st_index_items_add(struct st_index_items *items, struct st_index_item *item)
{
  if (items->count == items->size) {
    items->size = items->size ? items->size * 2 : 1024;
    items->items = st_realloc(items->items, items->size, sizeof(*items->items));
  }
  items->items[items->count++] = item;
}

struct st_index_item *st_index_item_new(const char *path, const struct st_index_entry *entry)
{
  size_t n = strlen(path);
  struct st_index_item *item = st_malloc(sizeof(*item) + n + 1);
  item->entry = *entry;
  item->order = 0;
  item->shared = false;
  item->seen = false;
  memcpy(item->path, path, n + 1);
  return item;
}

/* Of several items of one path the last one added stays. */
static void sort_items(struct st_index_items *items)
{
  size_t kept = 0;
  for (size_t i = 0; i < items->count; i++)
    items->items[i]->order = i;
  if (items->count > 1)
    qsort(items->items, items->count, sizeof(*items->items), by_path);
  for (size_t i = 0; i < items->count; i++) {
    bool again =
        i + 1 < items->count && strcmp(items->items[i]->path, items->items[i + 1]->path) == 0;
    if (!again)
      items->items[kept++] = items->items[i];
    else if (!items->items[i]->shared)
      free(items->items[i]);
  }
  items->count = kept;
}

/* The first item not before the path. */
static size_t lower_bound(const struct st_index_items *items, const char *path)
{
  size_t low = 0, high = items->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (st_index_compare(items->items[middle]->path, path) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static struct st_index_item *find(const struct st_index_items *items, const char *path)
{
  size_t i = lower_bound(items, path);
  if (i < items->count && strcmp(items->items[i]->path, path) == 0)
    return items->items[i];
  return NULL;
}

/* ---- Open, close ---------------------------------------------------------------------------- */

int st_index_open(struct st_index **ret, int store_dirfd, struct st_error *err)
{
  struct st_index *index = st_calloc(1, sizeof(*index));
  index->dir = fcntl(store_dirfd, F_DUPFD_CLOEXEC, 3);
  index->log = -1;
  if (index->dir < 0) {
    free(index);
    return st_fail(err, errno, "cannot open the store's folder");
  }
  st_index_read(index->dir, &index->before, index->head, index->scope);
  size_t committed = index->before.count;
  st_index_read_log(index->dir, &index->before);
  index->fresh = index->before.count > committed;
  sort_items(&index->before);
  *ret = index;
  return 0;
}

void st_index_close(struct st_index *index)
{
  if (!index)
    return;
  for (size_t i = 0; i < index->after.count; i++) {
    if (!index->after.items[i]->shared)
      free(index->after.items[i]);
  }
  for (size_t i = 0; i < index->before.count; i++)
    free(index->before.items[i]);
  free(index->after.items);
  free(index->before.items);
  st_buffer_free(&index->pending);
  if (index->log >= 0)
    close(index->log);
  close(index->dir);
  free(index);
}

bool st_index_is_current(const struct st_index *index, const uint8_t head[ST_DIGEST_SIZE],
                         const uint8_t scope[ST_DIGEST_SIZE])
{
  return !index->fresh && index->before.count > 0 &&
         memcmp(index->head, head, ST_DIGEST_SIZE) == 0 &&
         memcmp(index->scope, scope, ST_DIGEST_SIZE) == 0;
}

const struct st_index_entry *st_index_find(const struct st_index *index, const char *path)
{
  const struct st_index_item *item = find(&index->before, path);
  return item ? &item->entry : NULL;
}

size_t st_index_count(const struct st_index *index)
{
  return index->before.count;
}

/* ---- Runs below a directory -------------------------------------------------------------------
 */

/* Whether the path lies below the directory, which ends without a slash but for "/" itself. */
static bool is_below(const char *path, const char *directory, size_t n)
{
  if (n == 1)
    return path[0] == '/' && path[1] != 0;
  return strncmp(path, directory, n) == 0 && path[n] == '/';
}

int st_index_children(const struct st_index *index, const char *directory,
                      int (*fn)(void *arg, const char *path, const struct st_index_entry *entry),
                      void *arg)
{
  size_t n = strlen(directory), skip = n == 1 ? 1 : n + 1;
  size_t i = lower_bound(&index->before, directory);
  for (; i < index->before.count; i++) {
    const struct st_index_item *item = index->before.items[i];
    if (strcmp(item->path, directory) == 0)
      continue;
    if (!is_below(item->path, directory, n))
      break;
    if (strchr(item->path + skip, '/'))
      continue;
    int r = fn(arg, item->path, &item->entry);
    if (r != 0)
      return r;
  }
  return 0;
}

/* ---- The next one -------------------------------------------------------------------------------
 */

int st_index_start(struct st_index *index, bool persist, struct st_error *err)
{
  index->sorted = true;
  if (!persist)
    return 0;
  index->log = st_index_open_log(index->dir, err);
  return index->log < 0 ? -1 : 0;
}

static bool same_entry(const struct st_index_entry *a, const struct st_index_entry *b)
{
  const struct st_meta *x = &a->meta, *y = &b->meta;
  return a->flags == b->flags && a->wanted == b->wanted && a->links == b->links &&
         st_id_equal(&a->digest, &b->digest) && x->type == y->type && x->mode == y->mode &&
         x->uid == y->uid && x->gid == y->gid && x->size == y->size && x->mtime == y->mtime &&
         x->mtime_nsec == y->mtime_nsec && x->ctime == y->ctime && x->ctime_nsec == y->ctime_nsec &&
         x->rdev == y->rdev && x->inode == y->inode;
}

static void append(struct st_index *index, struct st_index_item *item)
{
  struct st_index_items *after = &index->after;
  if (after->count > 0 && st_index_compare(after->items[after->count - 1]->path, item->path) >= 0)
    index->sorted = false;
  st_index_items_add(after, item);
}

int st_index_put(struct st_index *index, const char *path, const struct st_index_entry *entry,
                 struct st_error *err)
{
  struct st_index_entry e = *entry;
  e.flags &= ~(unsigned)ST_INDEX_FRESH;
  if (!(e.flags & ST_INDEX_HAS_DIGEST))
    e.digest = (struct st_id){0};
  struct st_index_item *old = find(&index->before, path);
  if (old)
    old->seen = true;
  if (old && same_entry(&old->entry, &e)) {
    old->shared = true;
    append(index, old);
    return 0;
  }
  index->changed = true;
  append(index, st_index_item_new(path, &e));
  if (index->log < 0)
    return 0;
  return st_index_log(index->log, &index->pending, path, &e, err);
}

int st_index_keep_below(struct st_index *index, const char *path, struct st_error *err)
{
  (void)err;
  size_t n = strlen(path);
  for (size_t i = lower_bound(&index->before, path); i < index->before.count; i++) {
    struct st_index_item *item = index->before.items[i];
    if (strcmp(item->path, path) != 0 && !is_below(item->path, path, n))
      break;
    if (item->seen)
      continue;
    item->seen = true;
    if (item->entry.flags & ST_INDEX_FRESH) /* never committed: to be looked at when it is seen */
      item->entry.flags = (item->entry.flags & ~(unsigned)ST_INDEX_FRESH) | ST_INDEX_UNSETTLED;
    item->shared = true;
    append(index, item);
  }
  return 0;
}

/* How many items from the i-th on are at or below its path; whether one of them was seen. */
static size_t run_of(const struct st_index_items *items, size_t i, bool *ret_seen)
{
  const char *top = items->items[i]->path;
  size_t n = strlen(top), k = i;
  for (*ret_seen = false; k < items->count; k++) {
    const struct st_index_item *item = items->items[k];
    if (k > i && !is_below(item->path, top, n))
      break;
    *ret_seen |= item->seen;
  }
  return k - i;
}

int st_index_missing(const struct st_index *index,
                     int (*fn)(void *arg, const char *path, bool partly), void *arg)
{
  for (size_t i = 0; i < index->before.count;) {
    bool partly = false;
    size_t run = 1;
    if (!index->before.items[i]->seen) {
      run = run_of(&index->before, i, &partly);
      int r = fn(arg, index->before.items[i]->path, partly);
      if (r != 0)
        return r;
    }
    i += run;
  }
  return 0;
}

bool st_index_was_put(const struct st_index *index, const char *path)
{
  const struct st_index_item *old = find(&index->before, path);
  if (old)
    return old->seen;
  if (!index->sorted) { /* to look something up is no change to who asks */
    struct st_index *mine = (struct st_index *)index;
    sort_items(&mine->after);
    mine->sorted = true;
  }
  return find(&index->after, path) != NULL;
}

int st_index_commit(struct st_index *index, const uint8_t head[ST_DIGEST_SIZE],
                    const uint8_t scope[ST_DIGEST_SIZE], struct st_error *err)
{
  if (!index->sorted)
    sort_items(&index->after);
  bool same = !index->changed && !index->fresh && index->after.count == index->before.count &&
              index->before.count > 0;
  int r = same ? st_index_rewrite_header(index->dir, head, scope, err)
               : st_index_write(index->dir, &index->after, head, scope, err);
  if (r < 0)
    return -1;
  st_index_remove_log(index->dir);
  return 0;
}
