/* SPDX-License-Identifier: GPL-2.0-or-later */
/* render-history.c - what became of one path, checkpoint by checkpoint. */
#include <inttypes.h>

#include "systracker/base/escape.h"
#include "systracker/base/text.h"
#include "systracker/tracker/render-internal.h"

struct history {
  struct st_tracker *t;
  const char *path;
  bool times;
  st_history_event_fn *fn;
  void *arg;
  int64_t number; /* whose changes the group holds */
  struct st_group group;
};

/* The package that the change came with, where it is as packaged before and after; else nothing. */
static int find_package(const struct history *h, int64_t before, struct st_packaged *ret,
                        struct st_error *err)
{
  int64_t at = h->group.letter == 'D' ? before : h->number;
  *ret = (struct st_packaged){0};
  if (!st_group_is_packaged(&h->group) || at == 0)
    return 0;
  return st_packaged_find(h->t, at, h->path, ret, err) < 0 ? -1 : 0;
}

static int tell(struct history *h, struct st_error *err)
{
  ST_CLEANUP(st_checkpoint_clear) struct st_checkpoint cp = {0};
  ST_AUTO_PACKAGED package;
  int64_t before = st_catalog_before(h->t->catalog, h->number);
  if (st_catalog_checkpoint(h->t->catalog, h->number, &cp, err) < 0 ||
      st_group_finish(&h->group, h->t, h->number, err) < 0 ||
      find_package(h, before, &package, err) < 0)
    return -1;
  const struct st_history_event event = {&cp, before, h->path, &h->group,
                                         package.name ? &package : NULL};
  return h->fn(h->arg, &event, err);
}

/* Of the checkpoint before this one all has come. */
static int flush_group(struct history *h, struct st_error *err)
{
  int r = 0;
  if (h->group.count > 0 && (h->times || st_group_is_loud(&h->group)))
    r = tell(h, err);
  st_group_clear(&h->group);
  return r;
}

static int on_change(void *arg, int64_t number, const struct st_change *change,
                     struct st_error *err)
{
  struct history *h = arg;
  int r = number != h->number ? flush_group(h, err) : 0;
  h->number = number;
  if (r == 0)
    st_group_add(&h->group, change, h->path);
  return r;
}

int st_history_each(struct st_tracker *t, const char *path, bool times, st_history_event_fn *fn,
                    void *arg, struct st_error *err)
{
  struct history h = {.t = t, .path = path, .times = times, .fn = fn, .arg = arg};
  int r = st_catalog_history(t->catalog, path, on_change, &h, err);
  if (r == 0)
    r = flush_group(&h, err);
  st_group_free(&h.group);
  return r;
}

int st_history_words(struct st_tracker *t, const struct st_history_event *event, bool times,
                     struct st_strings *ret, struct st_error *err)
{
  if (st_group_words(event->group, t, times, false, ret, err) < 0)
    return -1;
  if (event->package) {
    ST_AUTO_FREE char *name = st_packaged_name(event->package);
    st_strings_take(ret,
                    st_format(event->group->letter == 'D' ? "as %s went" : "as %s has it", name));
  }
  return 0;
}

json_t *st_history_json(struct st_tracker *t, const struct st_history_event *event, bool times)
{
  const struct st_group *g = event->group;
  ST_AUTO_FREE char *time = st_format_time_utc(event->cp->time);
  json_t *array = json_array();
  for (size_t i = 0; i < g->count; i++) {
    const struct st_change *change = &g->items[i].change;
    if (!times && !st_change_is_loud(change))
      continue;
    json_t *o = st_group_json(g, t, change, times);
    json_object_set_new(o, "checkpoint", json_integer(event->cp->number));
    json_object_set_new(o, "time", json_string(time));
    if (event->cp->message)
      json_object_set_new(o, "message", st_json_path(event->cp->message));
    if (event->package)
      json_object_set_new(o, "with", st_packaged_json(event->package));
    json_array_append_new(array, o);
  }
  return array;
}

/* ---- Printed ------------------------------------------------------------------------------------
 */

struct printing {
  struct st_tracker *t;
  const struct st_cli *cli;
  bool times;
  int64_t limit, shown; /* checkpoints */
};

static int print_json(const struct printing *p, const struct st_history_event *event)
{
  json_t *array = st_history_json(p->t, event, p->times), *o;
  size_t i;
  int r = 0;
  json_array_foreach(array, i, o) r = r < 0 ? r : st_cli_json(json_incref(o));
  json_decref(array);
  return r;
}

/* The message of the checkpoint is the nearest that there is to "why". */
static int print_words(const struct printing *p, const struct st_history_event *event,
                       struct st_error *err)
{
  ST_AUTO_STRINGS words = {0};
  ST_AUTO_FREE char *time = st_format_time(event->cp->time);
  if (st_history_words(p->t, event, p->times, &words, err) < 0)
    return -1;
  printf("%4" PRId64 "  %s  %c %s", event->cp->number, time, event->group->letter,
         st_quote(event->path));
  for (size_t i = 0; i < words.count; i++)
    printf("%s%s", i == 0 ? ": " : ", ", words.items[i]);
  if (event->cp->message)
    printf("  (%s)", st_quote(event->cp->message));
  putchar('\n');
  return 0;
}

static int print_event(void *arg, const struct st_history_event *event, struct st_error *err)
{
  struct printing *p = arg;
  if (p->limit > 0 && p->shown >= p->limit)
    return 1;
  p->shown++;
  return p->cli->json ? print_json(p, event) : print_words(p, event, err);
}

int64_t st_render_history(struct st_tracker *t, const struct st_cli *cli, const char *path,
                          int64_t limit, bool times, struct st_error *err)
{
  struct printing p = {.t = t, .cli = cli, .times = times, .limit = limit};
  int r = st_history_each(t, path, times, print_event, &p, err);
  return r < 0 ? r : p.shown;
}
