/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/group.h"

#include <string.h>

#include "systracker/base/set.h"
#include "systracker/store/internal.h"

#define SMALL_RAW ((size_t)32 << 10) /* whether a group pays is tried out below this */
#define INDEX_ROW 64                 /* bytes of a row of objects.db, about */

enum group_state { GROUP_FILLING, GROUP_FULL, GROUP_TAKEN };

struct member {
  struct st_id id;
  uint32_t offset, length;
};

struct st_group {
  enum group_state state;
  struct st_buffer content;
  struct member *members;
  size_t count, room;
  struct st_set *ids; /* with the place among the members */
};

static void group_free(struct st_group *g)
{
  st_buffer_free(&g->content);
  free(g->members);
  st_set_free(g->ids);
  free(g);
}

void st_groups_init(struct st_store *store)
{
  pthread_cond_init(&store->groups.written, NULL);
}

void st_groups_free(struct st_store *store)
{
  for (size_t i = 0; i < store->groups.count; i++)
    group_free(store->groups.items[i]);
  for (size_t i = 0; i < ST_GROUPS_DECODED; i++)
    st_buffer_free(&store->decoded.items[i].content);
  pthread_cond_destroy(&store->groups.written);
}

/* ---- Filled ------------------------------------------------------------------------------------
 */

bool st_group_takes(const struct st_content *content)
{
  return content->group && !content->secret && content->length > 0 &&
         content->length < ST_GROUP_MEMBER_RAW;
}

static const struct member *find(const struct st_groups *groups, const struct st_id *id)
{
  uint64_t place;
  for (size_t i = 0; i < groups->count; i++)
    if (st_set_get(groups->items[i]->ids, id, sizeof *id, &place))
      return &groups->items[i]->members[place];
  return NULL;
}

bool st_groups_hold(struct st_store *store, const struct st_id *id, uint64_t *ret_length)
{
  ST_HOLD_LOCK(store);
  const struct member *m = find(&store->groups, id);
  if (m && ret_length)
    *ret_length = m->length;
  return m != NULL;
}

static struct st_group *filling(struct st_groups *groups)
{
  struct st_group *last = groups->count > 0 ? groups->items[groups->count - 1] : NULL;
  return last && last->state == GROUP_FILLING ? last : NULL;
}

static struct st_group *begin(struct st_groups *groups)
{
  struct st_group *g = groups->items[groups->count++] = st_calloc(1, sizeof *g);
  g->ids = st_set_new();
  st_buffer_reserve(&g->content, ST_GROUP_RAW);
  return g;
}

static void add(struct st_groups *groups, const struct st_id *id, const struct st_buffer *content)
{
  struct st_group *g = filling(groups);
  if (!g)
    g = begin(groups);
  if (g->count == g->room) {
    g->room = g->room ? 2 * g->room : 64;
    g->members = st_realloc(g->members, g->room, sizeof *g->members);
  }
  st_set_add(g->ids, id, sizeof *id, g->count);
  g->members[g->count++] =
      (struct member){*id, (uint32_t)g->content.length, (uint32_t)content->length};
  st_buffer_append(&g->content, content->data, content->length);
}

/* ---- Kept --------------------------------------------------------------------------------------
 */

static int encode_member(struct st_store *store, const struct st_group *g, size_t n,
                         struct st_prepared *ret, struct st_error *err)
{
  const struct member *m = &g->members[n];
  struct st_content content = {.data = g->content.data + m->offset, .length = m->length};
  content.id = &m->id;
  return st_store_encode(store, &content, NULL, 0, ret, err);
}

/* Each as an object of its own. */
static int keep_alone(struct st_store *store, const struct st_group *g, struct st_error *err)
{
  for (size_t i = 0; i < g->count; i++) {
    ST_AUTO_PREPARED prepared = {0};
    if (encode_member(store, g, i, &prepared, err) < 0 ||
        st_store_append(store, &prepared, err) < 0)
      return -1;
  }
  return 0;
}

static struct st_record part_of(const struct st_record *group, const struct member *m,
                                uint8_t payload[ST_NUMBER_MAX])
{
  struct st_record part = {.id = m->id, .encoding = ST_ENCODING_PART, .has_base = true, .step = 1};
  memcpy(part.base, group->id.digest, sizeof part.base);
  part.raw = m->length;
  part.stored = st_number_encode(payload, m->offset);
  return part;
}

static int append_group(struct st_store *store, const struct st_group *g,
                        const struct st_record *record, const struct st_buffer *payload,
                        struct st_error *err)
{
  uint8_t offset[ST_NUMBER_MAX];
  ST_HOLD_LOCK(store);
  if (st_store_append_record(store, record, payload->data, err) < 0)
    return -1;
  for (size_t i = 0; i < g->count; i++) {
    struct st_record part = part_of(record, &g->members[i], offset);
    if (st_store_append_record(store, &part, (const char *)offset, err) < 0)
      return -1;
  }
  return 0;
}

/* What the group costs beside its contents, against each for itself. */
static int saves(struct st_store *store, const struct st_group *g, const struct st_record *record,
                 bool *ret, struct st_error *err)
{
  uint8_t offset[ST_NUMBER_MAX];
  uint64_t together = st_record_size(record) + INDEX_ROW, alone = 0;
  *ret = g->count > 1 && record->stored < record->raw;
  if (!*ret || record->raw >= SMALL_RAW)
    return 0;
  for (size_t i = 0; i < g->count; i++) {
    ST_AUTO_PREPARED prepared = {0};
    if (encode_member(store, g, i, &prepared, err) < 0)
      return -1;
    struct st_record part = part_of(record, &g->members[i], offset);
    together += st_record_size(&part);
    alone += st_record_size(&prepared.record);
  }
  *ret = together < alone;
  return 0;
}

static int compress(struct st_store *store, const struct st_group *g, struct st_record *ret,
                    struct st_buffer *payload, struct st_error *err)
{
  struct st_zstd *zstd = st_store_take_zstd(store);
  int r = st_zstd_encode(zstd, g->content.data, g->content.length, NULL, payload, err);
  st_store_give_zstd(store, zstd);
  *ret = (struct st_record){
      .encoding = ST_ENCODING_GROUP, .raw = g->content.length, .stored = payload->length};
  if (r == 0)
    st_digest(ret->id.digest, payload->data, payload->length);
  return r;
}

static int keep(struct st_store *store, const struct st_group *g, struct st_error *err)
{
  ST_AUTO_BUFFER payload = ST_BUFFER_INIT;
  struct st_record record;
  bool pays;
  if (g->count == 1)
    return keep_alone(store, g, err);
  if (compress(store, g, &record, &payload, err) < 0 || saves(store, g, &record, &pays, err) < 0)
    return -1;
  return pays ? append_group(store, g, &record, &payload, err) : keep_alone(store, g, err);
}

/* ---- One after the other -----------------------------------------------------------------------
 */

/* One that is full, or (`any`) is being filled; NULL: there is none. */
static struct st_group *take(struct st_store *store, bool any)
{
  ST_HOLD_LOCK(store);
  for (size_t i = 0; i < store->groups.count; i++) {
    struct st_group *g = store->groups.items[i];
    if (g->state == GROUP_TAKEN || (g->state == GROUP_FILLING && !any))
      continue;
    g->state = GROUP_TAKEN;
    return g;
  }
  return NULL;
}

static void drop(struct st_store *store, struct st_group *g)
{
  ST_HOLD_LOCK(store);
  struct st_groups *groups = &store->groups;
  size_t i = 0;
  while (groups->items[i] != g)
    i++;
  groups->count--;
  memmove(&groups->items[i], &groups->items[i + 1],
          (groups->count - i) * sizeof(struct st_group *));
  pthread_cond_broadcast(&groups->written);
  group_free(g);
}

/* Keeps one of those that `take` gives; 0: there was none. */
static int keep_one(struct st_store *store, bool any, struct st_error *err)
{
  struct st_group *g = take(store, any);
  if (!g)
    return 0;
  int r = keep(store, g, err);
  drop(store, g);
  return r < 0 ? r : 1;
}

int st_groups_work(struct st_store *store, struct st_error *err)
{
  return keep_one(store, false, err) < 0 ? -1 : 0;
}

/* Another thread may be at it.  False: nothing waits. */
static bool wait_for_others(struct st_store *store)
{
  ST_HOLD_LOCK(store);
  if (store->groups.count == 0)
    return false;
  pthread_cond_wait(&store->groups.written, &store->lock);
  return true;
}

int st_groups_flush(struct st_store *store, struct st_error *err)
{
  int r;
  do {
    while ((r = keep_one(store, true, err)) > 0)
      ;
  } while (r == 0 && wait_for_others(store));
  return r;
}

/* 1: it waits, or need not; 0: there is no room. */
static int put(struct st_store *store, const struct st_prepared *prepared, struct st_error *err)
{
  struct st_groups *groups = &store->groups;
  struct st_object_row row;
  ST_HOLD_LOCK(store);
  int r = st_object_index_find(store->index, &prepared->id, &row, err);
  if (r < 0 || (r > 0 && !row.damaged && st_store_holds(store, &row)))
    return r < 0 ? r : 1;
  if (find(groups, &prepared->id))
    return 1;
  struct st_group *g = filling(groups);
  if (g && g->content.length + prepared->payload.length > ST_GROUP_RAW) {
    g->state = GROUP_FULL;
    g = NULL;
  }
  if (!g && groups->count == ST_GROUPS_WAITING)
    return 0;
  add(groups, &prepared->id, &prepared->payload);
  return 1;
}

/* Where others do not keep up, the thread that appends does it itself. */
int st_groups_put(struct st_store *store, const struct st_prepared *prepared, struct st_error *err)
{
  int r;
  while ((r = put(store, prepared, err)) == 0) {
    if ((r = keep_one(store, false, err)) < 0)
      return r;
    if (r == 0)
      wait_for_others(store);
  }
  return r < 0 ? r : 0;
}

/* ---- Decoded -----------------------------------------------------------------------------------
 */

bool st_decoded_take(struct st_store *store, const uint8_t prefix[ST_RECORD_BASE_SIZE],
                     uint64_t offset, uint64_t length, struct st_buffer *out)
{
  ST_HOLD_LOCK(store);
  for (size_t i = 0; i < ST_GROUPS_DECODED; i++) {
    struct st_decoded *d = &store->decoded.items[i];
    if (d->used == 0 || memcmp(d->id.digest, prefix, ST_RECORD_BASE_SIZE) != 0 ||
        offset > d->content.length || length > d->content.length - offset)
      continue;
    d->used = ++store->decoded.clock;
    st_buffer_append(out, d->content.data + offset, length);
    return true;
  }
  return false;
}

void st_decoded_keep(struct st_store *store, const struct st_id *id, struct st_buffer *content)
{
  ST_HOLD_LOCK(store);
  struct st_decoded *oldest = &store->decoded.items[0];
  for (size_t i = 1; i < ST_GROUPS_DECODED; i++)
    if (store->decoded.items[i].used < oldest->used)
      oldest = &store->decoded.items[i];
  st_buffer_free(&oldest->content);
  *oldest = (struct st_decoded){*id, *content, ++store->decoded.clock};
  *content = ST_BUFFER_INIT;
}
