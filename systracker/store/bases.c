/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/bases.h"

#include "systracker/store/internal.h"

void st_bases_free(struct st_store *store)
{
  for (size_t i = 0; i < ST_BASES_MAX; i++)
    st_buffer_free(&store->bases.items[i].content);
}

static struct st_base *find(struct st_bases *bases, const struct st_id *id)
{
  for (size_t i = 0; i < ST_BASES_MAX; i++)
    if (bases->items[i].used > 0 && st_id_equal(&bases->items[i].id, id))
      return &bases->items[i];
  return NULL;
}

bool st_bases_take(struct st_store *store, const struct st_id *id, struct st_buffer *out)
{
  ST_HOLD_LOCK(store);
  struct st_base *b = find(&store->bases, id);
  if (!b)
    return false;
  b->used = ++store->bases.clock;
  st_buffer_append(out, b->content.data, b->content.length);
  return true;
}

/* The one to be overwritten: an empty one, or that which was not used for longest. */
static struct st_base *oldest(struct st_bases *bases, bool held)
{
  struct st_base *found = NULL;
  for (size_t i = 0; i < ST_BASES_MAX; i++) {
    struct st_base *b = &bases->items[i];
    if ((b->used > 0 || !held) && (!found || b->used < found->used))
      found = b;
  }
  return found;
}

static void drop(struct st_bases *bases, struct st_base *b)
{
  bases->bytes -= b->content.length;
  st_buffer_free(&b->content);
  b->used = 0;
}

void st_bases_keep(struct st_store *store, const struct st_id *id, struct st_buffer *content)
{
  struct st_bases *bases = &store->bases;
  if (id->keyed || content->length == 0 || content->length > ST_BASES_EACH)
    return;
  ST_HOLD_LOCK(store);
  if (find(bases, id))
    return;
  while (bases->bytes + content->length > ST_BASES_BYTES)
    drop(bases, oldest(bases, true));
  struct st_base *b = oldest(bases, false);
  drop(bases, b);
  *b = (struct st_base){*id, *content, ++bases->clock};
  bases->bytes += content->length;
  *content = ST_BUFFER_INIT;
}

void st_bases_copy(struct st_store *store, const struct st_id *id, const void *data, size_t length)
{
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  if (id->keyed || length == 0 || length > ST_BASES_EACH)
    return;
  st_buffer_append(&content, data, length);
  st_bases_keep(store, id, &content);
}
