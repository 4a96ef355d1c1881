/* SPDX-License-Identifier: GPL-2.0-or-later */
/* render-history.c - what became of one path, checkpoint by checkpoint. */
#include <inttypes.h>

#include "systracker/base/escape.h"
#include "systracker/base/text.h"
#include "systracker/tracker/render-internal.h"

struct history {
  struct st_tracker *t;
  const struct st_cli *cli;
  const char *path;
  bool times;
  int64_t limit, shown; /* checkpoints */
  int64_t number;       /* whose changes the group holds */
  struct st_group group;
};

/* The package that the change came with, where it is as packaged before and after; else nothing. */
static int find_package(const struct history *h, struct st_packaged *ret, struct st_error *err)
{
  int64_t at = h->group.letter == 'D' ? st_catalog_before(h->t->catalog, h->number) : h->number;
  *ret = (struct st_packaged){0};
  if (!st_group_is_packaged(&h->group) || at == 0)
    return 0;
  return st_packaged_find(h->t, at, h->path, ret, err) < 0 ? -1 : 0;
}

static int print_json(struct history *h, const char *time, const char *message,
                      const struct st_packaged *package)
{
  const struct st_group *g = &h->group;
  for (size_t i = 0; i < g->count; i++) {
    const struct st_change *change = &g->items[i].change;
    if (!h->times && !st_change_is_loud(change))
      continue;
    json_t *o = st_group_json(g, h->t, change, h->times);
    json_object_set_new(o, "checkpoint", json_integer(h->number));
    json_object_set_new(o, "time", json_string(time));
    if (message)
      json_object_set_new(o, "message", st_json_path(message));
    if (package->name)
      json_object_set_new(o, "with", st_packaged_json(package));
    if (st_cli_json(o) < 0)
      return -1;
  }
  return 0;
}

/* The message of the checkpoint is the nearest that there is to "why". */
static int print_words(struct history *h, const char *time, const char *message,
                       const struct st_packaged *package, struct st_error *err)
{
  ST_AUTO_STRINGS words = {0};
  if (st_group_words(&h->group, h->t, h->times, false, &words, err) < 0)
    return -1;
  if (package->name) {
    ST_AUTO_FREE char *name = st_packaged_name(package);
    st_strings_take(&words,
                    st_format(h->group.letter == 'D' ? "as %s went" : "as %s has it", name));
  }
  printf("%4" PRId64 "  %s  %c %s", h->number, time, h->group.letter, st_quote(h->path));
  for (size_t i = 0; i < words.count; i++)
    printf("%s%s", i == 0 ? ": " : ", ", words.items[i]);
  if (message)
    printf("  (%s)", st_quote(message));
  putchar('\n');
  return 0;
}

static int print_group(struct history *h, struct st_error *err)
{
  struct st_checkpoint cp = {0};
  if (st_catalog_checkpoint(h->t->catalog, h->number, &cp, err) < 0)
    return -1;
  ST_AUTO_FREE char *time = h->cli->json ? st_format_time_utc(cp.time) : st_format_time(cp.time);
  ST_AUTO_FREE char *message = st_steal(&cp.message);
  st_checkpoint_clear(&cp);
  if (st_group_finish(&h->group, h->t, h->number, err) < 0)
    return -1;
  h->shown++;
  ST_AUTO_PACKAGED package;
  if (find_package(h, &package, err) < 0)
    return -1;
  return h->cli->json ? print_json(h, time, message, &package)
                      : print_words(h, time, message, &package, err);
}

static int flush_group(struct history *h, struct st_error *err)
{
  int r = 0;
  if (h->group.count > 0 && (h->times || st_group_is_loud(&h->group)))
    r = print_group(h, err);
  st_group_clear(&h->group);
  return r;
}

static int on_change(void *arg, int64_t number, const struct st_change *change,
                     struct st_error *err)
{
  struct history *h = arg;
  if (number != h->number && flush_group(h, err) < 0)
    return -1;
  h->number = number;
  if (h->limit > 0 && h->shown >= h->limit)
    return 1;
  st_group_add(&h->group, change, h->path);
  return 0;
}

int64_t st_render_history(struct st_tracker *t, const struct st_cli *cli, const char *path,
                          int64_t limit, bool times, struct st_error *err)
{
  struct history h = {.t = t, .cli = cli, .path = path, .times = times, .limit = limit};
  int r = st_catalog_history(t->catalog, path, on_change, &h, err);
  if (r >= 0)
    r = flush_group(&h, err);
  st_group_free(&h.group);
  return r < 0 ? r : h.shown;
}
