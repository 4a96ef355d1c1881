/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/repack.h"

#include <string.h>

#include "systracker/base/file.h"
#include "systracker/base/log.h"
#include "systracker/store/repackplan.h"

#define MARGIN (1U << 20) /* bytes for objects.db, beside the packs */

struct repack {
  struct st_store *store;
  const struct st_repack_options *options;
  struct st_repack_result *result;
  struct st_plan plan;
  uint32_t first; /* pack that this step appends to first, and where */
  uint64_t first_offset;
  uint64_t written; /* records, in this step */
};

static void repack_free(struct repack *r)
{
  st_plan_free(&r->plan);
}

static void say_left(struct repack *r, const struct st_plan_pack *pack)
{
  char name[ST_PACK_NAME_SIZE];
  st_pack_name(name, pack->number);
  r->result->left++;
  ST_AUTO_FREE char *words = st_format("pack %s was left as it is: %s", name, pack->why);
  if (r->options->said)
    r->options->said(r->options->arg, words);
}

/* A pack that has to be left after all. */
static void spoil(struct repack *r, struct st_plan_pack *pack, const char *why)
{
  if (!pack->chosen)
    return;
  pack->chosen = pack->retiring = false;
  pack->why = why;
  say_left(r, pack);
}

/* ---- Records into the new pack ----------------------------------------------------------------
 */

static int append(struct repack *r, struct st_plan_entry *e, const struct st_record *record,
                  const char *payload, struct st_error *err)
{
  if (st_store_append_record(r->store, record, payload ? payload : "", err) < 0)
    return -1;
  e->flags |= ST_ENTRY_MOVED;
  e->flags &= (uint8_t)~ST_ENTRY_DELTA;
  e->flags |= record->has_base ? ST_ENTRY_DELTA : 0;
  e->step = record->step;
  e->encoding = record->encoding;
  e->stored = record->stored;
  memcpy(e->base_id, record->base, sizeof e->base_id);
  r->written++;
  return 0;
}

/* The content, proved by the id. */
static enum st_read read_entry(struct repack *r, const struct st_plan_entry *e,
                               struct st_buffer *out)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_object_row row;
  if (st_object_index_find(r->store->index, &e->id, &row, NULL) <= 0)
    return ST_READ_DAMAGED;
  return st_store_read_row(r->store, &row, out, &why);
}

static void wipe(const struct st_plan_entry *e, struct st_buffer *content)
{
  if (e->id.keyed && content->length > 0)
    explicit_bzero(content->data, content->length);
}

static bool is_ours(const struct repack *r, const struct st_plan_entry *e,
                    const struct st_buffer *content)
{
  struct st_id id;
  if (!e->id.keyed)
    return true;
  if (!r->store->keys)
    return false;
  st_id_of(&id, r->store->keys->id_key, content->data ? content->data : "", content->length);
  return st_id_equal(&id, &e->id);
}

static int recode(struct repack *r, struct st_plan_entry *e, struct st_error *err);

/* The base is there in its new form first, so that whatever is cut short decodes. */
static int find_new_base(struct repack *r, struct st_plan_entry *e, struct st_object_row *ret,
                         bool *ret_found, struct st_error *err)
{
  struct st_plan_entry *base = st_plan_new_base(&r->plan, e);
  *ret_found = false;
  if (!base)
    return 0;
  if (st_plan_loses_base(&r->plan, base) && recode(r, base, err) < 0)
    return -1;
  if ((base->flags & ST_ENTRY_DAMAGED) || base->step >= e->step)
    return 0;
  int found = st_store_find(r->store, &base->id, ret, NULL, err);
  *ret_found = found > 0;
  return found < 0 ? found : 0;
}

static int encode(struct repack *r, struct st_plan_entry *e, const struct st_buffer *content,
                  struct st_prepared *ret, struct st_error *err)
{
  struct st_object_row base;
  bool based;
  struct st_content as_it_is = {.data = content->data ? content->data : "",
                                .length = content->length,
                                .secret = e->id.keyed == 1,
                                .id = &e->id,
                                .chunk = true};
  if (find_new_base(r, e, &base, &based, err) < 0)
    return -1;
  return st_store_encode(r->store, &as_it_is, based ? &base : NULL, e->step, ret, err);
}

/* Makes a record anew that loses its base.  What cannot be read keeps its base instead. */
static int recode(struct repack *r, struct st_plan_entry *e, struct st_error *err)
{
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  ST_AUTO_PREPARED prepared = {0};
  if (read_entry(r, e, &content) != ST_READ_OK || !is_ours(r, e, &content)) {
    wipe(e, &content);
    st_plan_pin_bases(&r->plan, e);
    return 0;
  }
  int result = encode(r, e, &content, &prepared, err);
  wipe(e, &content);
  if (result < 0 || append(r, e, &prepared.record, prepared.payload.data, err) < 0)
    return -1;
  r->result->recoded++;
  return 0;
}

/* A list's chunks are proved one by one: of itself it needs to be one. */
static enum st_read prove_entry(struct repack *r, const struct st_plan_entry *e)
{
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_object_row row;
  if (st_object_index_find(r->store->index, &e->id, &row, NULL) <= 0)
    return ST_READ_DAMAGED;
  if (row.record.encoding == ST_ENCODING_LIST)
    return st_store_chunks(r->store, &row, &list, NULL) < 0 ? ST_READ_DAMAGED : ST_READ_OK;
  return st_store_prove_row(r->store, &row, &why);
}

/* Moves a record as it is; 1: it is damaged. */
static int move(struct repack *r, struct st_plan_entry *e, struct st_error *err)
{
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  struct st_record record;
  enum st_read is = prove_entry(r, e);
  if (is != ST_READ_OK && !(is == ST_READ_LOCKED && e->id.keyed))
    return 1;
  if (st_packs_read(&r->store->packs, e->pack, e->offset, e->stored, &record, &bytes, NULL) < 0 ||
      !st_id_equal(&record.id, &e->id))
    return 1;
  size_t head = bytes.length - ST_RECORD_CRC_SIZE - record.stored;
  if (append(r, e, &record, bytes.data + head, err) < 0)
    return -1;
  r->result->moved++;
  return 0;
}

/* ---- One step ---------------------------------------------------------------------------------
 */

struct look {
  struct repack *r;
  const struct st_plan_pack *pack;
  bool unexplained;
};

static int pass_record(void *arg, const struct st_record *record, uint64_t offset,
                       struct st_error *err)
{
  (void)arg, (void)record, (void)offset, (void)err;
  return 0;
}

static int meet_gap(void *arg, uint64_t from, uint64_t to, bool torn, struct st_error *err)
{
  struct look *l = arg;
  (void)torn;
  int r = st_object_index_explains(l->r->store->index, l->pack->number, from, to, err);
  l->unexplained |= r == 0;
  return r < 0 ? r : 0;
}

/* Bytes that are no records may have been an object that is missed now. */
static int look_for_damage(struct repack *r, struct st_plan_pack *plan_pack, struct st_error *err)
{
  struct look l = {.r = r, .pack = plan_pack};
  struct st_pack_visitor visitor = {pass_record, meet_gap, &l};
  struct st_pack *pack;
  if (st_packs_get(&r->store->packs, plan_pack->number, &pack, err) < 0 ||
      st_pack_scan(pack, 0, &visitor, err) < 0)
    return -1;
  if (l.unexplained)
    spoil(r, plan_pack, "some of its bytes are damaged");
  return 0;
}

static int look_at_packs(struct repack *r, struct st_error *err)
{
  for (size_t i = 0; i < r->plan.npacks; i++)
    if (r->plan.packs[i].retiring && look_for_damage(r, &r->plan.packs[i], err) < 0)
      return -1;
  return 0;
}

/* What stays only as garbage has to stay readable, or it would look like damage. */
static void pin_garbage(struct st_plan *plan)
{
  /* Lists first, as their chunks may be deltas. */
  for (int lists = 1; lists >= 0; lists--)
    for (uint32_t i = 0; i < plan->count; i++) {
      struct st_plan_entry *e = &plan->entries[i];
      if ((e->encoding == ST_ENCODING_LIST) == lists && !(e->flags & ST_ENTRY_WANTED) &&
          st_plan_stays(plan, e))
        st_plan_pin_bases(plan, e);
    }
}

/* Bytes that the step may write. */
static uint64_t room_needed(struct st_plan *plan)
{
  uint64_t sum = MARGIN;
  for (uint32_t i = 0; i < plan->count; i++) {
    const struct st_plan_entry *e = &plan->entries[i];
    const struct st_plan_pack *pack = st_plan_pack_of(plan, e);
    if ((e->flags & ST_ENTRY_WANTED) && st_plan_loses_base(plan, e))
      sum += e->raw + ST_RECORD_HEAD_MAX + ST_SEAL_OVERHEAD;
    else if (pack && pack->retiring && st_plan_stays(plan, e))
      sum += st_plan_size(e);
  }
  return sum;
}

static int check_room(struct repack *r, struct st_error *err)
{
  uint64_t have, need = room_needed(&r->plan);
  if (st_free_space(r->store->packs.dirfd, &have, err) < 0)
    return -1;
  if (have >= need && have - need >= r->options->least_free)
    return 0;
  return st_fail(
      err, ENOSPC,
      "cannot repack: %llu bytes are needed for a while, %llu are free, and %llu have to "
      "stay so",
      (unsigned long long)need, (unsigned long long)have,
      (unsigned long long)r->options->least_free);
}

static int recode_all(struct repack *r, struct st_error *err)
{
  for (uint32_t i = 0; i < r->plan.count; i++) {
    struct st_plan_entry *e = &r->plan.entries[r->plan.places[i]];
    if ((e->flags & ST_ENTRY_WANTED) && st_plan_loses_base(&r->plan, e) && recode(r, e, err) < 0)
      return -1;
  }
  return 0;
}

static int move_all(struct repack *r, struct st_error *err)
{
  for (uint32_t i = 0; i < r->plan.count; i++) {
    struct st_plan_entry *e = &r->plan.entries[r->plan.places[i]];
    struct st_plan_pack *pack = st_plan_pack_of(&r->plan, e);
    if (!pack || !pack->retiring || (e->flags & ST_ENTRY_MOVED) || !st_plan_stays(&r->plan, e))
      continue;
    int moved = move(r, e, err);
    if (moved < 0)
      return -1;
    if (moved > 0)
      spoil(r, pack, "an object in it that is wanted is damaged");
  }
  return 0;
}

static int count_record(void *arg, const struct st_record *record, uint64_t offset,
                        struct st_error *err)
{
  (void)record, (void)offset, (void)err;
  ++*(uint64_t *)arg;
  return 0;
}

static int pass_gap(void *arg, uint64_t from, uint64_t to, bool torn, struct st_error *err)
{
  (void)arg, (void)from, (void)to, (void)torn, (void)err;
  return 0;
}

/* Everything that was written comes back from the files as it was. */
static int prove_written(struct repack *r, struct st_error *err)
{
  uint64_t count = 0, from = r->first_offset;
  struct st_pack_visitor visitor = {count_record, pass_gap, &count};
  for (uint32_t n = r->first; r->written > 0 && n <= r->store->packs.last; n++, from = 0) {
    struct st_pack *pack;
    if (st_packs_get(&r->store->packs, n, &pack, err) < 0 ||
        st_pack_scan(pack, from, &visitor, err) < 0)
      return -1;
  }
  return count == r->written ? 0 : st_fail(err, 0, "what was repacked cannot be read back");
}

static void note_gone(struct repack *r)
{
  for (uint32_t i = 0; i < r->plan.count; i++) {
    struct st_plan_entry *e = &r->plan.entries[i];
    if ((e->flags & ST_ENTRY_GONE) || st_plan_stays(&r->plan, e))
      continue;
    e->flags |= ST_ENTRY_GONE;
    r->result->dropped += e->encoding != ST_ENCODING_GROUP;
  }
}

static int retire(struct repack *r, struct st_error *err)
{
  struct st_plan *plan = &r->plan;
  ST_AUTO_FREE uint32_t *numbers = st_calloc(plan->npacks + 1, sizeof *numbers);
  size_t n = 0;
  for (size_t i = 0; i < plan->npacks; i++)
    if (plan->packs[i].retiring)
      numbers[n++] = plan->packs[i].number;
  if (st_store_retire(r->store, numbers, n, err) < 0)
    return -1;
  note_gone(r);
  for (size_t i = 0; i < plan->npacks; i++)
    if (plan->packs[i].retiring)
      plan->packs[i].chosen = plan->packs[i].retiring = false;
  r->result->packs += n;
  return 0;
}

static void begin_step(struct repack *r)
{
  const struct st_packs *packs = &r->store->packs;
  r->first = packs->current ? packs->current->number : packs->last + 1;
  r->first_offset = packs->current ? packs->current->size : 0;
  r->written = 0;
}

static int step(struct repack *r, struct st_error *err)
{
  if (look_at_packs(r, err) < 0)
    return -1;
  pin_garbage(&r->plan);
  if (check_room(r, err) < 0)
    return -1;
  begin_step(r);
  if (recode_all(r, err) < 0 || move_all(r, err) < 0 || st_packs_sync(&r->store->packs, err) < 0)
    return -1;
  if (prove_written(r, err) < 0)
    return -1;
  return retire(r, err);
}

/* ---- The whole --------------------------------------------------------------------------------
 */

/* From the last one on, as deltas lie behind their bases, and as much as makes one pack: so no more
 * than that is needed for a while.  Returns how many. */
static size_t choose_step(struct st_plan *plan)
{
  uint64_t sum = 0;
  size_t n = 0;
  for (size_t i = plan->npacks; i-- > 0;) {
    struct st_plan_pack *pack = &plan->packs[i];
    if (!pack->chosen || (n > 0 && sum + pack->wanted > plan->store->packs.full))
      continue;
    pack->retiring = true;
    sum += pack->wanted;
    n++;
  }
  return n;
}

static void leave_damaged(struct repack *r)
{
  for (size_t i = 0; i < r->plan.npacks; i++) {
    struct st_plan_pack *pack = &r->plan.packs[i];
    if (!pack->chosen || !pack->why)
      continue;
    pack->chosen = false;
    say_left(r, pack);
  }
}

/* What moves must not come to lie in a pack that goes. */
static int leave_current(struct repack *r, struct st_error *err)
{
  const struct st_packs *packs = &r->store->packs;
  for (size_t i = 0; packs->current && i < r->plan.npacks; i++)
    if (r->plan.packs[i].chosen && r->plan.packs[i].number == packs->current->number)
      return st_packs_leave(&r->store->packs, err);
  return 0;
}

static void count_all(struct repack *r)
{
  struct st_repack_result *result = r->result;
  for (uint32_t i = 0; i < r->plan.count; i++) {
    const struct st_plan_entry *e = &r->plan.entries[i];
    bool wanted = e->flags & ST_ENTRY_WANTED, object = e->encoding != ST_ENCODING_GROUP;
    result->objects += object;
    result->wanted += wanted && object;
    result->unwanted += !wanted && object;
    result->unwanted_bytes += wanted ? 0 : st_plan_size(e);
  }
}

/* What a dry run says: as if no delta had to be made anew. */
static void estimate(struct repack *r)
{
  struct st_repack_result *result = r->result;
  result->after = result->before;
  for (size_t i = 0; i < r->plan.npacks; i++) {
    const struct st_plan_pack *pack = &r->plan.packs[i];
    if (!pack->chosen)
      continue;
    result->packs++;
    result->after -= pack->size - pack->wanted;
  }
}

static int repack(struct repack *r, struct st_error *err)
{
  struct st_store_size size;
  if (leave_current(r, err) < 0)
    return -1;
  while (choose_step(&r->plan) > 0)
    if (step(r, err) < 0)
      return -1;
  if (st_store_size(r->store, &size, err) < 0)
    return -1;
  r->result->after = size.stored;
  return 0;
}

int st_store_repack(struct st_store *store, st_store_wanted_fn *wanted, void *arg,
                    const struct st_repack_options *options, struct st_repack_result *ret,
                    struct st_error *err)
{
  ST_CLEANUP(repack_free)
  struct repack r = {.store = store, .options = options, .result = ret};
  struct st_store_size size;
  *ret = (struct st_repack_result){0};
  if (!store->write)
    return st_fail(err, 0, "cannot repack: the store was opened for reading");
  if (st_store_sync(store, err) < 0 || st_store_size(store, &size, err) < 0 ||
      st_plan_make(&r.plan, store, wanted, arg, options->percent, err) < 0)
    return -1;
  ret->before = size.stored;
  count_all(&r);
  leave_damaged(&r);
  if (options->dry_run) {
    estimate(&r);
    return 0;
  }
  return repack(&r, err) < 0 ? st_wrap(err, "the store was not repacked") : 0;
}
