/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/frompackages.h"

#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/text.h"
#include "systracker/tracker/packaged.h"

/* 1: the package that has it; 0: none. */
static int find(struct st_tracker *t, int64_t checkpoint, const char *path, const struct st_id *id,
                struct st_packaged *ret, struct st_error *err)
{
  *ret = (struct st_packaged){0};
  if (id->keyed || checkpoint <= 0)
    return 0;
  int r = st_packaged_find(t, checkpoint, path, ret, err);
  if (r > 0 && ret->has_content && memcmp(ret->content.digest, id->digest, ST_DIGEST_SIZE) == 0)
    return 1;
  st_packaged_clear(ret);
  return r < 0 ? r : 0;
}

bool st_from_package_has(struct st_tracker *t, int64_t checkpoint, const char *path,
                         const struct st_id *id)
{
  ST_AUTO_PACKAGED p = {0};
  return find(t, checkpoint, path, id, &p, NULL) > 0 && st_packaged_is_kept(t, &p, NULL) > 0;
}

/* ---- Into the store ---------------------------------------------------------------------------
 */

/* One wanted content: of an action. */
struct item {
  struct st_action *action;
  struct st_packaged package;
};

struct bringing {
  struct st_store *store; /* NULL: a dry run */
  struct item *items;
  size_t count;
  struct st_store_writer **writers; /* one each, while its content comes */
};

static void bringing_clear(struct bringing *b)
{
  for (size_t i = 0; i < b->count; i++) {
    st_packaged_clear(&b->items[i].package);
    if (b->writers && b->writers[i])
      st_store_writer_free(b->writers[i]);
  }
  free(b->items);
  free(b->writers);
}

static int on_piece(void *arg, size_t i, const void *data, size_t n, struct st_error *err)
{
  struct bringing *b = arg;
  if (!b->store)
    return 0;
  if (!b->writers[i] && st_store_writer_new(&b->writers[i], b->store, false, NULL, err) < 0)
    return -1;
  return st_store_writer_add(b->writers[i], data, n, err);
}

static int on_done(void *arg, size_t i, struct st_error *err)
{
  struct bringing *b = arg;
  struct st_id id;
  if (!b->store)
    return 0;
  if (!b->writers[i] && st_store_writer_new(&b->writers[i], b->store, false, NULL, err) < 0)
    return -1; /* it is empty */
  int r = st_store_writer_finish(b->writers[i], &id, err);
  st_store_writer_free(st_steal(&b->writers[i]));
  return r;
}

static int take(struct st_tracker *t, int64_t checkpoint, struct st_action *a, struct bringing *b,
                struct st_error *err)
{
  struct st_packaged p;
  int r = find(t, checkpoint, a->path, &a->after.digest, &p, err);
  if (r <= 0)
    return r < 0 ? r : st_fail(err, 0, "no package has it any more (%s)", st_quote(a->path));
  if ((b->count & (b->count - 1)) == 0) /* a power of 2: full */
    b->items = st_realloc(b->items, b->count ? 2 * b->count : 1, sizeof(*b->items));
  b->items[b->count++] = (struct item){a, p};
  return 0;
}

/* Whether there is room for all of it, before compression. */
static bool has_room(const struct st_preflight *p, const struct bringing *b,
                     struct st_strings *refusals)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  const struct st_tracker *t = p->world->tracker;
  uint64_t needed = t->conf->min_free, available;
  for (size_t i = 0; i < b->count; i++)
    if (__builtin_add_overflow(needed, b->items[i].package.content.size, &needed))
      needed = UINT64_MAX;
  if (st_free_space(t->store_dir, &available, &why) == 0 && needed <= available)
    return true;
  ST_AUTO_FREE char *size = st_format_size(needed);
  st_strings_take(refusals, why.message
                                ? st_format("the store: %s", why.message)
                                : st_format("the store: too little space for what comes out of "
                                            "package files: %s needed, min_free among them",
                                            size));
  return false;
}

static void bring(const struct st_preflight *p, struct bringing *b, struct st_strings *refusals)
{
  ST_AUTO_FREE struct st_packaged_ask *asked = st_calloc(b->count, sizeof(*asked));
  const struct st_package_sink sink = {on_piece, on_done, b};
  b->writers = st_calloc(b->count, sizeof(struct st_store_writer *));
  for (size_t i = 0; i < b->count; i++)
    asked[i].from = &b->items[i].package;
  st_packaged_contents(p->world->tracker, asked, b->count, &sink);
  for (size_t i = 0; i < b->count; i++) {
    struct st_action *a = b->items[i].action;
    a->after.size = b->items[i].package.content.size;
    a->after.in_package = p->dry_run || !asked[i].found;
    if (!asked[i].found)
      st_strings_take(refusals, st_format("%s: its content cannot be had from its package: %s",
                                          st_quote(a->path), asked[i].why));
  }
  st_packaged_asks_clear(asked, b->count);
}

int st_from_packages(const struct st_preflight *p, struct st_journal *j,
                     struct st_strings *refusals, struct st_error *err)
{
  ST_CLEANUP(bringing_clear) struct bringing b = {.store = p->dry_run ? NULL : p->store};
  for (size_t i = 0; i < j->actions.count; i++) {
    struct st_action *a = j->actions.items[i];
    if (a->after.in_package && st_store_has(p->store, &a->after.digest))
      a->after.in_package = false;
    if (a->after.in_package && st_preflight_needs_content(a) &&
        take(p->world->tracker, p->world->checkpoint, a, &b, err) < 0)
      return -1;
  }
  if (b.count == 0 || (!p->dry_run && !has_room(p, &b, refusals)))
    return 0;
  bring(p, &b, refusals);
  return p->dry_run ? 0 : st_store_sync(p->store, err);
}

/* ---- Plans ------------------------------------------------------------------------------------
 */

static bool is_step_of(const struct st_package_steps *steps, const struct st_packaged *p)
{
  for (size_t i = 0; i < steps->count; i++)
    if (strcmp(steps->items[i].name, p->name) == 0 &&
        strcmp(steps->items[i].architecture, p->architecture) == 0)
      return true;
  return false;
}

static bool is_brought(struct st_tracker *t, int64_t checkpoint,
                       const struct st_package_steps *steps, const struct st_action *a)
{
  ST_AUTO_PACKAGED p = {0};
  return a->after.in_package && find(t, checkpoint, a->path, &a->after.digest, &p, NULL) > 0 &&
         is_step_of(steps, &p);
}

void st_from_packages_leave(struct st_tracker *t, int64_t checkpoint,
                            const struct st_package_steps *steps, struct st_actions *actions)
{
  size_t kept = 0;
  for (size_t i = 0; i < actions->count; i++) {
    struct st_action *a = actions->items[i];
    if (!is_brought(t, checkpoint, steps, a)) {
      actions->items[kept++] = a;
      continue;
    }
    st_action_clear(a);
  }
  actions->count = kept;
}
