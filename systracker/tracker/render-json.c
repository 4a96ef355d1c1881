/* SPDX-License-Identifier: GPL-2.0-or-later */
/* render-json.c - values and changes as JSON; the keys are in doc/json.md. */
#include <inttypes.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/flags.h"
#include "systracker/base/holes.h"
#include "systracker/base/text.h"
#include "systracker/base/xattr.h"
#include "systracker/tracker/render-internal.h"

static json_t *id_json(const struct st_id *id)
{
  char hex[2 * sizeof(id->digest) + 1];
  if (id->keyed)
    return json_string("secret");
  st_hex(hex, id->digest, sizeof(id->digest));
  return json_string(hex);
}

json_t *st_flags_json(uint32_t flags)
{
  json_t *list = json_array();
  const char *name;
  for (size_t i = 0; (name = st_flags_name(flags, i)); i++)
    json_array_append_new(list, json_string(name));
  return list;
}

static json_t *integer_json(const struct st_column *column, int64_t n)
{
  if (column->flags & ST_AS_FLAGS)
    return st_flags_json((uint32_t)n);
  if (!(column->flags & (ST_AS_MODE | ST_AS_TIME)))
    return json_integer(n);
  ST_AUTO_FREE char *text =
      column->flags & ST_AS_MODE ? st_format("%04" PRIo64, (uint64_t)n) : st_format_time_utc(n);
  return json_string(text);
}

/* Of a damaged list what was read. */
json_t *st_xattrs_json(const void *list, size_t length)
{
  json_t *o = json_object();
  struct st_xattr x;
  for (size_t at = 0; st_xattr_next(list, length, &at, &x) == 1;) {
    ST_AUTO_FREE char *name = st_escaped(x.name, x.name_length);
    ST_AUTO_BUFFER acl = ST_BUFFER_INIT;
    json_t *value;
    if (x.kind == ST_XATTR_SECRET) {
      value = json_string("secret");
    } else if (x.kind == ST_XATTR_ACL) {
      st_acl_say(&acl, x.data, x.length);
      value = json_string(acl.data ? acl.data : "");
    } else {
      value = st_json_bytes(x.data, x.length);
    }
    json_object_set_new(o, name, value);
  }
  return o;
}

static json_t *holes_json(const void *holes, size_t length)
{
  json_t *list = json_array();
  struct st_hole hole = {0};
  for (size_t at = 0; st_hole_next(holes, length, &at, &hole) == 1;)
    json_array_append_new(list,
                          json_pack("[I, I]", (json_int_t)hole.offset, (json_int_t)hole.length));
  return list;
}

static json_t *bytes_json(const struct st_column *column, const struct st_value *value)
{
  const void *data = value->u.bytes.data ? value->u.bytes.data : "";
  if (column->flags & ST_AS_XATTRS)
    return st_xattrs_json(data, value->u.bytes.length);
  if (column->flags & ST_AS_HOLES)
    return holes_json(data, value->u.bytes.length);
  return st_json_bytes(data, value->u.bytes.length);
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
    return bytes_json(column, value);
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
