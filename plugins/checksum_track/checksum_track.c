/* SPDX-License-Identifier: GPL-2.0-or-later */
/* checksum_track - digest and size of every tracked regular file. */
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "plugins/entries.h"
#include "plugins/values.h"

#define TABLE "file"

static const struct st_column columns[FILE_COLUMNS] = {
    [FILE_PATH] = {"path", ST_PATH, ST_KEY},
    [DIGEST] = {"digest", ST_ID, 0},
    [SIZE] = {"size", ST_INTEGER, 0},
};

static const struct st_table tables[] = {{TABLE, ST_TABLE_ENTRY, FILE_COLUMNS, columns}, {0}};

/* Every type is looked at: what was a regular file yesterday has a fact that must end. */
static unsigned want(void *self, const struct st_entry *e)
{
  (void)self;
  return e->type == 'f' ? ST_WANT_ENTRY | ST_WANT_DIGEST : ST_WANT_ENTRY;
}

/* Of a file that could not be read nothing is said; SysTracker lets its fact stand. */
static int entry(void *self, const struct st_entry *e, struct st_facts *out, struct st_error *err)
{
  (void)self;
  if (e->type != 'f' || e->unreadable || !e->has_digest)
    return 0;
  const struct st_value row[FILE_COLUMNS] = {
      [FILE_PATH] = st_path_value(e->path),
      [DIGEST] = st_id_value(&e->digest),
      [SIZE] = st_integer((int64_t)e->size),
  };
  return st_fact(out, TABLE, row, FILE_COLUMNS, err);
}

static bool is_secret(const struct st_change *c)
{
  const struct st_value *a = value_before(c, DIGEST), *b = value_after(c, DIGEST);
  return (a && a->type == ST_ID && a->u.id.keyed) || (b && b->type == ST_ID && b->u.id.keyed);
}

/* As much as tells one from another. */
static void say_digest(struct st_text *out, const struct st_value *v)
{
  uint64_t first;
  if (v && v->type == ST_ID) {
    memcpy(&first, v->u.id.digest, sizeof(first));
    st_say(out, "%016" PRIx64, be64toh(first));
  }
  st_say(out, "…");
}

static void say_sizes(const struct st_change *c, struct st_text *out)
{
  long long before = value_integer(value_before(c, SIZE));
  long long after = value_integer(value_after(c, SIZE));
  if (c->before && c->after && before != after)
    st_say(out, "%lld → %lld bytes", before, after);
  else
    st_say(out, "%lld bytes", c->after ? after : before);
}

/* Neither size nor digest of a secret is said: they could be guessed against. */
static void explain_secret(const struct st_change *c, struct st_text *out)
{
  if (!c->before)
    st_say(out, "secret content");
  else if (!c->after)
    st_say(out, "content removed");
  else if (value_differs(c, DIGEST) || value_differs(c, SIZE))
    st_say(out, "content changed");
}

static int explain(void *self, const struct st_change *c, struct st_text *out, struct st_error *err)
{
  (void)self;
  (void)err;
  if (is_secret(c)) {
    explain_secret(c, out);
    return 0;
  }
  if (!c->after) {
    st_say(out, "content removed (");
    say_sizes(c, out);
    st_say(out, ")");
    return 0;
  }
  if (c->before && !value_differs(c, DIGEST) && !value_differs(c, SIZE))
    return 0;
  st_say(out, "content: ");
  say_sizes(c, out);
  st_say(out, ", sha256 ");
  if (c->before) {
    say_digest(out, value_before(c, DIGEST));
    st_say(out, " → ");
  }
  say_digest(out, value_after(c, DIGEST));
  return 0;
}

static int open_plugin(const struct st_context *ctx, void **self, struct st_error *err)
{
  (void)ctx;
  (void)err;
  *self = NULL;
  return 0;
}

static struct st_plugin plugin = {
    .name = "checksum_track",
    .version = "1",
    .description = "digest and size of every regular file",
    .tables = tables,
    .open = open_plugin,
    .want = want,
    .entry = entry,
    .explain = explain,
    .flags = ST_PLUGIN_TIMELESS,
};

ST_REGISTER_PLUGIN(plugin)
