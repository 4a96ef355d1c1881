/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_track - which files' content is kept, and under which name in the store. */
#include <stdlib.h>

#include "plugins/values.h"

#define TABLE "file"
#define KEPT_OPEN "kept"
#define KEPT_SECRET "secret"
#define KEPT_TOO_LARGE "too large"

enum column { PATH, KEPT, OBJECT, COLUMNS };

static const struct st_column columns[COLUMNS] = {
    [PATH] = {"path", ST_PATH, ST_KEY},
    [KEPT] = {"kept", ST_TEXT, 0},
    [OBJECT] = {"object", ST_ID, ST_OBJECT},
};

static const struct st_table tables[] = {{TABLE, ST_TABLE_ENTRY, COLUMNS, columns}, {0}};

static const struct st_option options[] = {
    {"max_size", ST_OPT_SIZE, "64M", "larger files are noted, their content is not kept"}, {0}};

struct config_track {
  uint64_t max_size; /* bytes */
};

static int open_plugin(const struct st_context *ctx, void **self, struct st_error *err)
{
  int64_t max_size = st_option_number(ctx, "max_size");
  if (max_size <= 0)
    return st_fail(err, 0, "max_size: is not a size above 0");
  struct config_track *c = malloc(sizeof(*c));
  if (!c)
    return st_fail(err, 0, "out of memory");
  c->max_size = (uint64_t)max_size;
  *self = c;
  return 0;
}

/* Every type is looked at: what was a regular file yesterday has a fact that must end. */
static unsigned want(void *self, const struct st_entry *e)
{
  const struct config_track *c = self;
  if (e->type == 'f' && e->size <= c->max_size)
    return ST_WANT_ENTRY | ST_WANT_DIGEST | ST_WANT_CONTENT;
  return ST_WANT_ENTRY;
}

/* Of a file that could not be read nothing is said; SysTracker lets its fact stand. */
static int entry(void *self, const struct st_entry *e, struct st_facts *out, struct st_error *err)
{
  const struct config_track *c = self;
  if (e->type != 'f' || e->unreadable)
    return 0;
  /* Another plug-in's wish, or an earlier revision, may have kept what is too large for us. */
  bool kept = e->has_object && e->has_digest && e->size <= c->max_size;
  struct st_value row[COLUMNS] = {
      [PATH] = st_path_value(e->path), [KEPT] = st_text_value(KEPT_TOO_LARGE)};
  if (kept) {
    row[KEPT] = st_text_value(e->digest.keyed ? KEPT_SECRET : KEPT_OPEN);
    row[OBJECT] = st_id_value(&e->digest);
  }
  return st_fact(out, TABLE, row, COLUMNS, err);
}

static const char *words_of_end(const struct st_value *kept, bool after)
{
  if (value_is_text(kept, KEPT_TOO_LARGE))
    return after ? "not kept: too large" : "was too large to be kept";
  if (value_is_text(kept, KEPT_SECRET))
    return after ? "kept as a secret" : "was kept as a secret";
  return after ? "kept" : "was kept";
}

static const char *words_of_turn(const struct st_value *before, const struct st_value *after)
{
  if (value_is_text(after, KEPT_TOO_LARGE))
    return "no longer kept: too large";
  if (value_is_text(after, KEPT_SECRET))
    return "kept as a secret";
  return value_is_text(before, KEPT_SECRET) ? "no longer kept as a secret" : "now kept";
}

/* Size and digest are told by checksum_track, lines by the difference itself. */
static int explain(void *self, const struct st_change *c, struct st_text *out, struct st_error *err)
{
  (void)self;
  (void)err;
  const struct st_value *before = value_before(c, KEPT), *after = value_after(c, KEPT);
  if (!c->before || !c->after)
    st_say(out, "%s", words_of_end(c->after ? after : before, c->after));
  else if (value_differs(c, KEPT))
    st_say(out, "%s", words_of_turn(before, after));
  else if (value_differs(c, OBJECT))
    st_say(out, "content changed");
  return 0;
}

static struct st_plugin plugin = {
    .name = "config_track",
    .version = "1",
    .description = "the content of files, every revision",
    .options = options,
    .tables = tables,
    .open = open_plugin,
    .close = free,
    .want = want,
    .entry = entry,
    .explain = explain,
    .flags = ST_PLUGIN_TIMELESS,
};

ST_REGISTER_PLUGIN(plugin)
