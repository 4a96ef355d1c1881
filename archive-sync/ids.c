/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/ids.h"

#include "systracker/base/buffer.h"

void st_ids_clear(struct st_ids *ids)
{
  free(ids->items);
  if (ids->seen)
    st_set_free(ids->seen);
  *ids = (struct st_ids){0};
}

bool st_ids_add(struct st_ids *ids, const struct st_id *id)
{
  if (!ids->seen)
    ids->seen = st_set_new();
  if (!st_set_add(ids->seen, id, sizeof(*id), 0))
    return false;
  if (ids->count == ids->size) {
    ids->size = ids->size ? 2 * ids->size : 64;
    ids->items = st_realloc(ids->items, ids->size, sizeof(*ids->items));
  }
  ids->items[ids->count++] = *id;
  return true;
}
