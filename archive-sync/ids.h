/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ids.h - ids of objects, each once, in the order in which they came. */
#ifndef ARCHIVE_SYNC_IDS_H
#define ARCHIVE_SYNC_IDS_H

#include "systracker/base/digest.h"
#include "systracker/base/set.h"
#include "systracker/plugin.h"

struct st_ids {
  struct st_id *items;
  size_t count, size;
  struct st_set *seen;
};
void st_ids_clear(struct st_ids *ids);
#define ST_AUTO_IDS ST_CLEANUP(st_ids_clear) struct st_ids
/* True when it was not there. */
bool st_ids_add(struct st_ids *ids, const struct st_id *id);

#endif
