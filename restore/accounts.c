/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/accounts.h"

#include <string.h>

#include "systracker/base/escape.h"

void st_account_facts_free(struct st_account_facts *f)
{
  for (size_t i = 0; i < f->count; i++)
    free(f->items[i].name);
  free(f->items);
  *f = (struct st_account_facts){0};
}

void st_account_facts_add(struct st_account_facts *f, bool group, const char *name, uint32_t id)
{
  if (f->count == f->size) {
    f->size = f->size ? 2 * f->size : 64;
    f->items = st_realloc(f->items, f->size, sizeof(*f->items));
  }
  f->items[f->count++] = (struct st_account_fact){group, st_strdup(name), id};
}

void st_id_changes_free(struct st_id_changes *c)
{
  for (size_t i = 0; i < c->count; i++) {
    free(c->items[i].name);
    free(c->items[i].for_whom);
  }
  free(c->items);
  *c = (struct st_id_changes){0};
}

static const struct st_id_change *find_change(const struct st_id_changes *c, bool group,
                                              uint32_t id)
{
  for (size_t i = 0; i < c->count; i++) {
    if (c->items[i].group == group && c->items[i].before == id)
      return &c->items[i];
  }
  return NULL;
}

void st_id_changes_add(struct st_id_changes *c, const struct st_id_change *change)
{
  if (find_change(c, change->group, change->before))
    return;
  if (c->count == c->size) {
    c->size = c->size ? 2 * c->size : 16;
    c->items = st_realloc(c->items, c->size, sizeof(*c->items));
  }
  struct st_id_change *copy = &c->items[c->count++];
  *copy = *change;
  copy->name = st_strdup(change->name);
  copy->for_whom = change->for_whom ? st_strdup(change->for_whom) : NULL;
}

/* ---- Which move ------------------------------------------------------------------------------ */

static const struct st_account_fact *by_name(const struct st_account_facts *f, bool group,
                                             const char *name)
{
  for (size_t i = 0; i < f->count; i++) {
    if (f->items[i].group == group && strcmp(f->items[i].name, name) == 0)
      return &f->items[i];
  }
  return NULL;
}

static const struct st_account_fact *by_id(const struct st_account_facts *f, bool group,
                                           uint32_t id)
{
  for (size_t i = 0; i < f->count; i++) {
    if (f->items[i].group == group && f->items[i].id == id)
      return &f->items[i];
  }
  return NULL;
}

/* Whether another account of the id keeps it. */
static bool is_kept(const struct st_account_facts *target, const struct st_account_facts *live,
                    bool group, uint32_t id)
{
  for (size_t i = 0; i < live->count; i++) {
    const struct st_account_fact *l = &live->items[i];
    if (l->group != group || l->id != id)
      continue;
    const struct st_account_fact *t = by_name(target, group, l->name);
    if (t && t->id == id)
      return true;
  }
  return false;
}

static void find_one(const struct st_account_facts *target, const struct st_account_facts *live,
                     const struct st_account_fact *l, bool known, struct st_id_changes *ret)
{
  const struct st_account_fact *same = by_name(target, l->group, l->name);
  const struct st_account_fact *other = by_id(target, l->group, l->id);
  if (l->id == 0 || (same != NULL) != known || (same && same->id == l->id) ||
      is_kept(target, live, l->group, l->id))
    return;
  struct st_id_change change = {l->group, l->name, l->id, l->id, NULL};
  if (same)
    change.after = same->id;
  else if (other)
    change.for_whom = other->name;
  else
    return;
  st_id_changes_add(ret, &change);
}

void st_id_changes_find(const struct st_account_facts *target, const struct st_account_facts *live,
                        bool users, bool groups, struct st_id_changes *ret)
{
  for (int known = 1; known >= 0; known--) {
    for (size_t i = 0; i < live->count; i++) {
      if (live->items[i].group ? groups : users)
        find_one(target, live, &live->items[i], known, ret);
    }
  }
}

/* ---- Who makes room -------------------------------------------------------------------------- */

void st_id_is_used(struct st_ids_in_use *used, bool group, uint32_t id)
{
  if (id <= ST_LAST_SYSTEM_ID)
    (group ? used->groups : used->users)[id] = true;
}

static bool find_free(const struct st_account_facts *target, const struct st_account_facts *live,
                      struct st_ids_in_use *used, bool group, uint32_t *ret)
{
  for (uint32_t id = ST_LAST_SYSTEM_ID; id >= ST_FIRST_SYSTEM_ID; id--) {
    if ((group ? used->groups : used->users)[id] || by_id(target, group, id) ||
        by_id(live, group, id))
      continue;
    st_id_is_used(used, group, id);
    *ret = id;
    return true;
  }
  return false;
}

int st_id_changes_make_room(struct st_id_changes *c, const struct st_account_facts *target,
                            const struct st_account_facts *live, struct st_ids_in_use *used,
                            struct st_error *err)
{
  for (size_t i = 0; i < c->count; i++) {
    struct st_id_change *change = &c->items[i];
    if (change->for_whom && change->after == change->before &&
        !find_free(target, live, used, change->group, &change->after))
      return st_refuse(err, "no id from %d to %d is free for the %s %s, whose own is to be %s's",
                       ST_FIRST_SYSTEM_ID, ST_LAST_SYSTEM_ID, change->group ? "group" : "user",
                       st_quote(change->name), st_quote(change->for_whom));
  }
  return 0;
}

/* ---- What they say --------------------------------------------------------------------------- */

void st_id_changes_add_inverse(struct st_id_changes *c, const struct st_id_changes *past)
{
  for (size_t i = 0; i < past->count; i++) {
    const struct st_id_change *p = &past->items[i];
    st_id_changes_add(c, &(struct st_id_change){p->group, p->name, p->after, p->before, NULL});
  }
}

uint32_t st_id_changed(const struct st_id_changes *c, bool group, uint32_t id)
{
  const struct st_id_change *change = find_change(c, group, id);
  return change ? change->after : id;
}

uint32_t st_id_changed_back(const struct st_id_changes *c, bool group, uint32_t id)
{
  for (size_t i = 0; i < c->count; i++) {
    if (c->items[i].group == group && c->items[i].after == id)
      return c->items[i].before;
  }
  return id;
}

bool st_id_matters(const struct st_id_changes *c, bool group, uint32_t id)
{
  for (size_t i = 0; i < c->count; i++) {
    if (c->items[i].group == group && (c->items[i].before == id || c->items[i].after == id))
      return true;
  }
  return false;
}
