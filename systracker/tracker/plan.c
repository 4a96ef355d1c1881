/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "systracker/tracker/plan.h"

#include "systracker/base/escape.h"
#include "systracker/tracker/render.h"

void st_plan_clear(struct st_plan *plan)
{
  for (size_t i = 0; i < plan->count; i++) {
    free(plan->items[i].plugin);
    free(plan->items[i].words);
    free(plan->items[i].data);
  }
  free(plan->items);
  *plan = (struct st_plan){0};
}

int st_plan_action(struct st_plan *out, const char *words, bool possible, const void *data,
                   size_t length, struct st_error *err)
{
  if (!words || !*words)
    return st_fail(err, 0, "an action of a plan has no words");
  out->items = st_realloc(out->items, out->count + 1, sizeof(*out->items));
  out->items[out->count++] = (struct st_plan_item){
      .plugin = st_strdup(out->plugin),
      .words = st_strdup(words),
      .possible = possible,
      .data = data ? st_memdup(data, length) : NULL,
      .length = data ? length : 0,
  };
  return 0;
}

/* "package NAME: ", where it is of a table of packages, whose key begins with the name. */
static void name_package(const struct st_change *change, struct st_buffer *words)
{
  const struct st_value *row = change->before ? change->before : change->after;
  if (!(change->declaration->flags & ST_TABLE_PACKAGES) || row->type != ST_TEXT)
    return;
  st_buffer_append_string(words, "package ");
  st_escape(words, row->u.bytes.data, row->u.bytes.length);
  st_buffer_append_string(words, ": ");
}

static int add_words(struct st_tracker *t, const struct st_change *change, struct st_plan *out,
                     struct st_error *err)
{
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  name_package(change, &words);
  size_t named = words.length;
  if (st_render_words(t, change, false, &words, err) < 0)
    return -1;
  if (words.length == named)
    return 0;
  return st_plan_action(out, words.data, false, NULL, 0, err);
}

int st_tracker_plan(struct st_tracker *t, const struct st_change *change, struct st_plan *out,
                    struct st_error *err)
{
  const struct st_catalog_table *table = st_catalog_table(t->catalog, change->table);
  struct st_loaded *l = st_host_of_table(&t->host, change->table);
  out->plugin = table ? table->plugin : "core";
  if (!l || !l->open || !l->plugin->plan)
    return add_words(t, change, out, err);
  if (l->plugin->plan(l->self, change, out, err) < 0)
    return st_wrap(err, "plug-in %s", l->name);
  return 0;
}

static struct st_loaded *owner(struct st_tracker *t, const struct st_plan_item *item,
                               struct st_error *err)
{
  struct st_loaded *l = st_host_find(&t->host, item->plugin);
  if (l && l->open)
    return l;
  st_fail(err, 0, "plug-in %s is not in use", item->plugin);
  return NULL;
}

int st_tracker_plan_apply(struct st_tracker *t, const struct st_plan_item *item,
                          struct st_error *err)
{
  struct st_loaded *l = owner(t, item, err);
  if (!l)
    return -1;
  if (!item->possible || !l->plugin->apply)
    return st_fail(err, 0, "plug-in %s cannot do it", item->plugin);
  if (l->plugin->apply(l->self, item->data, item->length, err) < 0)
    return st_wrap(err, "plug-in %s", item->plugin);
  return 0;
}

int st_tracker_plan_verify(struct st_tracker *t, const struct st_plan_item *item,
                           struct st_buffer *words, struct st_error *err)
{
  struct st_loaded *l = owner(t, item, err);
  if (!l)
    return -1;
  if (!l->plugin->verify)
    return 0;
  struct st_text text = {ST_BUFFER_INIT};
  int r = l->plugin->verify(l->self, item->data, item->length, &text, err);
  if (text.buffer.length > 0)
    st_buffer_append(words, text.buffer.data, text.buffer.length);
  st_buffer_free(&text.buffer);
  return r < 0 ? st_wrap(err, "plug-in %s", item->plugin) : r;
}
