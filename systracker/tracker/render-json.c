/* SPDX-License-Identifier: GPL-2.0-or-later */
/* render-json.c - values and changes as JSON; the keys are in doc/json.md. */
#include <inttypes.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/text.h"
#include "systracker/tracker/render-internal.h"

static json_t *id_json(const struct st_id *id)
{
  char hex[2 * sizeof(id->digest) + 1];
  if (id->keyed)
    return json_string("secret");
  st_hex(hex, id->digest, sizeof(id->digest));
  return json_string(hex);
}

static json_t *integer_json(const struct st_column *column, int64_t n)
{
  if (!(column->flags & (ST_AS_MODE | ST_AS_TIME)))
    return json_integer(n);
  ST_AUTO_FREE char *text =
      column->flags & ST_AS_MODE ? st_format("%04" PRIo64, (uint64_t)n) : st_format_time_utc(n);
  return json_string(text);
}

json_t *st_value_json(const struct st_column *column, const struct st_value *value)
{
  switch (value->type) {
  case ST_NULL:
    return json_null();
  case ST_INTEGER:
    return integer_json(column, value->u.integer);
  case ST_ID:
    return id_json(&value->u.id);
  default:
    return st_json_bytes(value->u.bytes.data, value->u.bytes.length);
  }
}

json_t *st_key_json(const struct st_change *change)
{
  const struct st_table *d = change->declaration;
  json_t *key = json_object();
  for (size_t i = 0; i < d->ncolumns && (d->columns[i].flags & ST_KEY); i++)
    json_object_set_new(key, d->columns[i].name,
                        st_value_json(&d->columns[i], &st_change_row(change)[i]));
  return key;
}

static json_t *side_json(const struct st_column *column, const struct st_value *row, size_t i)
{
  return row ? st_value_json(column, &row[i]) : json_null();
}

/* Each differing column's name, with [before, after]. */
static json_t *columns_json(const struct st_change *change, bool times)
{
  const struct st_table *d = change->declaration;
  json_t *columns = json_object();
  for (size_t i = 0; i < d->ncolumns; i++) {
    const struct st_column *c = &d->columns[i];
    if ((c->flags & ST_KEY) || !st_column_differs(change, i))
      continue;
    if (st_change_row(change)[i].type == ST_NULL)
      continue;
    if ((c->flags & ST_QUIET) && !times && change->before && change->after)
      continue;
    json_object_set_new(
        columns, c->name,
        json_pack("[o, o]", side_json(c, change->before, i), side_json(c, change->after, i)));
  }
  return columns;
}

json_t *st_render_json(struct st_tracker *t, const struct st_change *change, bool times)
{
  (void)t;
  const char *kind = !change->before ? "added" : !change->after ? "deleted" : "changed";
  json_t *o = json_object();
  json_object_set_new(o, "table", json_string(change->table));
  json_object_set_new(o, "key", st_key_json(change));
  json_object_set_new(o, "change", json_string(kind));
  if (st_change_is_secret(change))
    json_object_set_new(o, "secret", json_true());
  else
    json_object_set_new(o, "columns", columns_json(change, times));
  return o;
}

json_t *st_group_json(const struct st_group *g, struct st_tracker *t,
                      const struct st_change *change, bool times)
{
  json_t *o = st_render_json(t, change, times);
  if (g->secret && st_table_has_ids(change->declaration)) {
    json_object_set_new(o, "secret", json_true());
    json_object_del(o, "columns");
  }
  return o;
}
