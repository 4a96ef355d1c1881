/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/repackplan.h"

#include <string.h>

#define PERCENT 30
#define SMALL_PARTS 8  /* a small pack is less than this part of a whole one */
#define SMALL_PACKS 4U /* as many small packs are worth being one */

void st_plan_free(struct st_plan *plan)
{
  free(plan->entries);
  free(plan->places);
  free(plan->packs);
}

/* ---- Objects ----------------------------------------------------------------------------------
 */

void st_plan_row(const struct st_plan_entry *e, struct st_object_row *ret)
{
  *ret = (struct st_object_row){
      .record = {.id = e->id,
                 .encoding = e->encoding,
                 .has_base = e->flags & ST_ENTRY_DELTA,
                 .step = e->step,
                 .raw = e->raw,
                 .stored = e->stored},
      .pack = e->pack,
      .offset = e->offset,
      .damaged = e->flags & ST_ENTRY_DAMAGED,
  };
  memcpy(ret->record.base, e->base_id, sizeof e->base_id);
}

uint64_t st_plan_size(const struct st_plan_entry *e)
{
  struct st_object_row row;
  st_plan_row(e, &row);
  return st_record_size(&row.record);
}

static int add_entry(void *arg, const struct st_object_row *row, struct st_error *err)
{
  struct st_plan *plan = arg;
  if (plan->count == plan->room) {
    plan->room = plan->room ? 2 * plan->room : 1024;
    plan->entries = st_realloc(plan->entries, plan->room, sizeof *plan->entries);
  }
  if (plan->count == ST_NO_ENTRY)
    return st_fail(err, 0, "the store has more objects than can be repacked");
  struct st_plan_entry *e = &plan->entries[plan->count++];
  *e = (struct st_plan_entry){
      .id = row->record.id,
      .flags = (uint8_t)((row->damaged ? ST_ENTRY_DAMAGED : 0) |
                         (row->record.has_base ? ST_ENTRY_DELTA : 0)),
      .step = row->record.step,
      .encoding = row->record.encoding,
      .pack = row->pack,
      .base = ST_NO_ENTRY,
      .heir = ST_NO_ENTRY,
      .offset = row->offset,
      .stored = row->record.stored,
      .raw = row->record.raw,
  };
  memcpy(e->base_id, row->record.base, sizeof e->base_id);
  return 0;
}

static int compare_prefix(const struct st_id *id, uint8_t keyed, const uint8_t *prefix, size_t n)
{
  if (id->keyed != keyed)
    return id->keyed < keyed ? -1 : 1;
  return memcmp(id->digest, prefix, n);
}

/* The first entry that is not before those whose ids begin so. */
static uint32_t find_first(const struct st_plan *plan, uint8_t keyed, const uint8_t *prefix,
                           size_t n)
{
  uint32_t low = 0, high = plan->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (compare_prefix(&plan->entries[middle].id, keyed, prefix, n) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void st_plan_bases(struct st_plan *plan, const struct st_plan_entry *e,
                   void (*fn)(struct st_plan *plan, struct st_plan_entry *base, void *arg),
                   void *arg)
{
  if (!(e->flags & ST_ENTRY_DELTA))
    return;
  uint32_t i = find_first(plan, e->id.keyed, e->base_id, sizeof e->base_id);
  for (; i < plan->count; i++) {
    struct st_plan_entry *base = &plan->entries[i];
    if (compare_prefix(&base->id, e->id.keyed, e->base_id, sizeof e->base_id) != 0)
      return;
    bool group = base->encoding == ST_ENCODING_GROUP;
    if (base != e && base->step < e->step && group == (e->encoding == ST_ENCODING_PART))
      fn(plan, base, arg);
  }
}

static void note_base(struct st_plan *plan, struct st_plan_entry *base, void *arg)
{
  struct st_plan_entry *e = arg;
  if (e->base != ST_NO_ENTRY)
    e->flags |= ST_ENTRY_AMBIGUOUS;
  e->base = (uint32_t)(base - plan->entries);
}

static void find_bases(struct st_plan *plan)
{
  for (uint32_t i = 0; i < plan->count; i++) {
    struct st_plan_entry *e = &plan->entries[i];
    st_plan_bases(plan, e, note_base, e);
    if (e->flags & ST_ENTRY_AMBIGUOUS)
      e->base = ST_NO_ENTRY;
  }
}

static int ask_for_all(struct st_plan *plan, st_store_wanted_fn *wanted, void *arg,
                       struct st_error *err)
{
  for (uint32_t i = 0; i < plan->count; i++) {
    struct st_plan_entry *e = &plan->entries[i];
    if (!st_encoding_is_known(e->encoding))
      return st_fail(err, 0,
                     "nothing is repacked: a newer version of SysTracker wrote objects "
                     "here that this one does not know");
    if (wanted(arg, &e->id))
      e->flags |= ST_ENTRY_WANTED;
  }
  return 0;
}

static void want(struct st_plan *plan, struct st_plan_entry *base, void *arg)
{
  (void)arg;
  if (base->flags & ST_ENTRY_WANTED)
    return;
  base->flags |= ST_ENTRY_WANTED;
  st_plan_bases(plan, base, want, NULL); /* steps descend */
}

/* Sets a flag of every chunk of a list. */
static int flag_chunks(struct st_plan *plan, const struct st_plan_entry *e, uint8_t flag,
                       struct st_error *err)
{
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  struct st_object_row row;
  struct st_chunk chunk;
  size_t at = 0;
  st_plan_row(e, &row);
  if (st_store_chunks(plan->store, &row, &list, err) < 0)
    return -1;
  while (st_chunklist_next(list.data, list.length, e->id.keyed, &at, &chunk) > 0) {
    uint32_t i = find_first(plan, e->id.keyed, chunk.id.digest, ST_DIGEST_SIZE);
    if (i < plan->count && st_id_equal(&plan->entries[i].id, &chunk.id))
      plan->entries[i].flags |= flag;
  }
  return 0;
}

/* Chunks of a list that cannot be read would go with it: so nothing does, until the list is known
 * to be damaged, and is named so by verify. */
static int fail_list(struct st_plan *plan, const struct st_plan_entry *e, struct st_error *err)
{
  struct st_object_row row;
  st_plan_row(e, &row);
  st_store_prove_row(plan->store, &row, NULL);
  return st_wrap(err, "nothing is repacked: what an object is made of cannot be read");
}

static int want_chunks(struct st_plan *plan, struct st_error *err)
{
  for (uint32_t i = 0; i < plan->count; i++) {
    const struct st_plan_entry *e = &plan->entries[i];
    if (e->encoding != ST_ENCODING_LIST || !(e->flags & ST_ENTRY_WANTED) ||
        flag_chunks(plan, e, ST_ENTRY_WANTED, err) == 0)
      continue;
    if (!(e->flags & ST_ENTRY_DAMAGED))
      return fail_list(plan, e, err);
    if (err)
      st_error_clear(err);
  }
  return 0;
}

static void add_use(struct st_plan *plan, struct st_plan_entry *base, void *arg)
{
  const struct st_plan_entry *part = arg;
  (void)plan;
  if (base->encoding == ST_ENCODING_GROUP)
    base->used += part->raw;
}

/* A group stays while half of what is in it is wanted; else those that are become whole. */
static void want_groups(struct st_plan *plan)
{
  for (uint32_t i = 0; i < plan->count; i++) {
    struct st_plan_entry *e = &plan->entries[i];
    if (e->encoding == ST_ENCODING_PART && (e->flags & ST_ENTRY_WANTED))
      st_plan_bases(plan, e, add_use, e);
  }
  for (uint32_t i = 0; i < plan->count; i++) {
    struct st_plan_entry *e = &plan->entries[i];
    if (e->encoding == ST_ENCODING_GROUP && 2 * e->used >= e->raw)
      e->flags |= ST_ENTRY_WANTED;
  }
}

/* Without a key, a secret's delta can only stay what it is. */
static void want_bases_of_secrets(struct st_plan *plan)
{
  for (uint32_t i = 0; i < plan->count && !plan->store->keys; i++)
    if (plan->entries[i].id.keyed && (plan->entries[i].flags & ST_ENTRY_WANTED))
      st_plan_bases(plan, &plan->entries[i], want, NULL);
}

/* ---- New bases --------------------------------------------------------------------------------
 */

/* The nearest one below that is wanted, or else the one where the chain ends, which a part of a
 * group does. */
static struct st_plan_entry *nearest_below(struct st_plan *plan, struct st_plan_entry *e)
{
  while (e->base != ST_NO_ENTRY && e->encoding != ST_ENCODING_PART) {
    e = &plan->entries[e->base];
    if (e->flags & ST_ENTRY_WANTED)
      break;
  }
  return e;
}

/* Of those that end up without a base, the one of the least step is kept whole, and the others
 * become deltas of it: so none of the chains becomes longer than its step allows. */
static void choose_heirs(struct st_plan *plan)
{
  for (uint32_t i = 0; i < plan->count; i++) {
    struct st_plan_entry *e = &plan->entries[i];
    if (!(e->flags & ST_ENTRY_WANTED) || e->base == ST_NO_ENTRY)
      continue;
    struct st_plan_entry *end = nearest_below(plan, e);
    if (!(end->flags & ST_ENTRY_WANTED) &&
        (end->heir == ST_NO_ENTRY || e->step < plan->entries[end->heir].step))
      end->heir = i;
  }
}

struct st_plan_entry *st_plan_new_base(struct st_plan *plan, struct st_plan_entry *e)
{
  if (e->base == ST_NO_ENTRY || e->encoding == ST_ENCODING_PART)
    return NULL;
  struct st_plan_entry *end = nearest_below(plan, e);
  if (end->flags & ST_ENTRY_WANTED)
    return end;
  struct st_plan_entry *heir = end->heir == ST_NO_ENTRY ? NULL : &plan->entries[end->heir];
  return heir == e ? NULL : heir;
}

/* ---- What stays -------------------------------------------------------------------------------
 */

struct st_plan_pack *st_plan_pack_of(struct st_plan *plan, const struct st_plan_entry *e)
{
  size_t low = 0, high = plan->npacks;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (plan->packs[middle].number == e->pack)
      return &plan->packs[middle];
    if (plan->packs[middle].number < e->pack)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL; /* the file is missing */
}

static bool is_retiring(struct st_plan *plan, const struct st_plan_entry *e)
{
  const struct st_plan_pack *pack = st_plan_pack_of(plan, e);
  return pack && pack->retiring && !(e->flags & ST_ENTRY_MOVED);
}

bool st_plan_stays(struct st_plan *plan, const struct st_plan_entry *e)
{
  if (e->flags & ST_ENTRY_GONE)
    return false;
  return (e->flags & (ST_ENTRY_WANTED | ST_ENTRY_PINNED)) || !is_retiring(plan, e);
}

static void pin(struct st_plan *plan, struct st_plan_entry *base, void *arg)
{
  (void)arg;
  if (base->flags & ST_ENTRY_PINNED)
    return;
  base->flags |= ST_ENTRY_PINNED; /* steps descend: no chain is longer than they are many */
  st_plan_bases(plan, base, pin, NULL);
}

void st_plan_pin_bases(struct st_plan *plan, struct st_plan_entry *e)
{
  st_plan_bases(plan, e, pin, NULL);
  if (e->encoding != ST_ENCODING_LIST)
    return;
  flag_chunks(plan, e, ST_ENTRY_PINNED, NULL); /* else it is damaged, and known to be */
}

static void note_retiring(struct st_plan *plan, struct st_plan_entry *base, void *arg)
{
  bool *any = arg;
  *any |= is_retiring(plan, base);
}

bool st_plan_loses_base(struct st_plan *plan, const struct st_plan_entry *e)
{
  bool any = is_retiring(plan, e);
  if (e->flags & ST_ENTRY_MOVED)
    return false;
  if (e->base != ST_NO_ENTRY) {
    const struct st_plan_entry *base = &plan->entries[e->base];
    return !st_plan_stays(plan, base) || (any && !(base->flags & ST_ENTRY_WANTED));
  }
  /* Which of several bases it is depends on where they lie: it had better be none of them. */
  if (e->flags & ST_ENTRY_AMBIGUOUS)
    st_plan_bases(plan, e, note_retiring, &any);
  return (e->flags & ST_ENTRY_AMBIGUOUS) && any;
}

/* ---- Packs ------------------------------------------------------------------------------------
 */

static int list_packs(struct st_plan *plan, struct st_error *err)
{
  ST_AUTO_FREE uint32_t *numbers = NULL;
  if (st_packs_list(&plan->store->packs, &numbers, &plan->npacks, err) < 0)
    return -1;
  plan->packs = st_calloc(plan->npacks + 1, sizeof *plan->packs);
  for (size_t i = 0; i < plan->npacks; i++) {
    struct st_pack *pack;
    if (st_packs_get(&plan->store->packs, numbers[i], &pack, err) < 0 ||
        st_pack_refresh(pack, err) < 0)
      return -1;
    plan->packs[i] = (struct st_plan_pack){.number = numbers[i], .size = pack->size};
    if (pack->flawed)
      plan->packs[i].why = "its header is damaged";
  }
  return 0;
}

static void count_wanted(struct st_plan *plan)
{
  for (uint32_t i = 0; i < plan->count; i++) {
    const struct st_plan_entry *e = &plan->entries[i];
    struct st_plan_pack *pack = st_plan_pack_of(plan, e);
    if (!pack || !(e->flags & ST_ENTRY_WANTED))
      continue;
    pack->wanted += st_plan_size(e);
    if (e->flags & ST_ENTRY_DAMAGED)
      pack->why = "an object in it that is wanted is damaged";
  }
}

/* Whether a good part of the pack is of no use. */
static bool pays(const struct st_plan_pack *pack, unsigned percent)
{
  uint64_t useful = pack->wanted + ST_PACK_HEADER_SIZE;
  return pack->size > useful && (pack->size - useful) / percent >= pack->size / 100;
}

static void choose_packs(struct st_plan *plan, unsigned percent)
{
  uint64_t small = plan->store->packs.full / SMALL_PARTS;
  unsigned count = 0;
  for (size_t i = 0; i < plan->npacks; i++)
    count += plan->packs[i].wanted < small;
  for (size_t i = 0; i < plan->npacks; i++)
    plan->packs[i].chosen =
        pays(&plan->packs[i], percent) || (count >= SMALL_PACKS && plan->packs[i].wanted < small);
}

static int compare_places(const void *a, const void *b, void *arg)
{
  const struct st_plan_entry *entries = arg;
  const struct st_plan_entry *x = &entries[*(const uint32_t *)a],
                             *y = &entries[*(const uint32_t *)b];
  if (x->pack != y->pack)
    return x->pack < y->pack ? -1 : 1;
  return (x->offset > y->offset) - (x->offset < y->offset);
}

static void sort_places(struct st_plan *plan)
{
  plan->places = st_calloc((size_t)plan->count + 1, sizeof *plan->places);
  for (uint32_t i = 0; i < plan->count; i++)
    plan->places[i] = i;
  if (plan->count > 1)
    qsort_r(plan->places, plan->count, sizeof *plan->places, compare_places, plan->entries);
}

int st_plan_make(struct st_plan *plan, struct st_store *store, st_store_wanted_fn *wanted,
                 void *arg, unsigned percent, struct st_error *err)
{
  *plan = (struct st_plan){.store = store};
  if (st_object_index_each(store->index, add_entry, plan, err) < 0)
    return -1;
  find_bases(plan);
  if (ask_for_all(plan, wanted, arg, err) < 0 || list_packs(plan, err) < 0)
    return -1;
  if (want_chunks(plan, err) < 0)
    return -1;
  want_groups(plan);
  want_bases_of_secrets(plan);
  choose_heirs(plan);
  count_wanted(plan);
  choose_packs(plan, percent ? percent : PERCENT);
  sort_places(plan);
  return 0;
}
