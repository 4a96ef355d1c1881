/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api-changes.c - what differs between two checkpoints, or two hosts. */
#include <string.h>

#include "archive-sync/serve/api.h"
#include "systracker/base/escape.h"
#include "systracker/tracker/cli.h"

/* Two states, maybe of one host: then `b` is not opened, and `to` is `a`. */
struct sides {
  struct st_hostview *a, *b, *to;
  int64_t from_number, to_number;
};

static void sides_clear(struct sides *s)
{
  if (s->a)
    st_hostview_close(s->a);
  if (s->b)
    st_hostview_close(s->b);
}

/* from= and to=; without from= what came with `to`. */
static int open_one(struct st_request *r, const char *from, const char *to, struct sides *ret,
                    struct st_error *err)
{
  int found = st_api_open(r, r->parts[0], &ret->a, err);
  ret->to = ret->a;
  if (found == 0)
    found = st_api_checkpoint(r, ret->a, to, &ret->to_number);
  if (found == 0 && from)
    return st_api_checkpoint(r, ret->a, from, &ret->from_number);
  if (found == 0)
    ret->from_number = st_catalog_before(ret->a->t->catalog, ret->to_number);
  if (found == 0 && ret->from_number == 0) {
    st_reply_refuse(r, 404, "nothing before that checkpoint is here to compare it with");
    return 1;
  }
  return found;
}

/* "ID:N", "ID~2:N": a host, maybe an older epoch, and a checkpoint (the latest where it is left
 * out). */
static int open_side(struct st_request *r, const char *name, struct st_hostview **ret,
                     int64_t *ret_number, struct st_error *err)
{
  const char *text = st_request_query(r, name);
  if (!text) {
    st_reply_refuse(r, 400, "%s is missing: HOST:CHECKPOINT", name);
    return 1;
  }
  const char *colon = strchr(text, ':');
  ST_AUTO_FREE char *id = st_memdup(text, colon ? (size_t)(colon - text) : strlen(text));
  char *tilde = strchr(id, '~');
  if (tilde)
    *tilde = 0;
  ST_AUTO_FREE char *host = tilde ? st_format("%s/epoch-%s", id, tilde + 1) : st_strdup(id);
  int found = st_api_open(r, host, ret, err);
  return found ? found : st_api_checkpoint(r, *ret, colon ? colon + 1 : NULL, ret_number);
}

static int open_two(struct st_request *r, struct sides *ret, struct st_error *err)
{
  int found = open_side(r, "a", &ret->a, &ret->from_number, err);
  if (found == 0)
    found = open_side(r, "b", &ret->b, &ret->to_number, err);
  ret->to = ret->b;
  return found;
}

/* ---- All changes --------------------------------------------------------------------------------
 */

static int read_kind(struct st_request *r, int *ret)
{
  const char *text = st_request_query(r, "kind");
  *ret = -1;
  for (int k = 0; text && k < ST_VIEW_KINDS; k++)
    if (strcmp(text, st_view_kind_words[k]) == 0)
      *ret = k;
  if (!text || *ret >= 0)
    return 0;
  st_reply_refuse(r, 400, "kind is one of packages, configuration, other");
  return 1;
}

static int read_query(struct st_request *r, struct st_view_query *ret, char **ret_below)
{
  *ret = (struct st_view_query){.json = true};
  if (st_api_span(r, &ret->span) || read_kind(r, &ret->kind) ||
      st_api_flag(r, "files", &ret->files) || st_api_flag(r, "times", &ret->times) ||
      st_api_path(r, false, ret_below))
    return 1;
  ret->below = *ret_below;
  return 0;
}

static json_t *change_json(const struct st_view_change *c)
{
  json_t *o = json_object();
  json_object_set_new(o, "kind", json_string(st_view_kind_words[c->kind]));
  json_object_set_new(o, "status", st_api_letter(c->letter));
  json_object_set_new(o, "path", st_json_text(c->path));
  json_object_set_new(o, "name", st_json_words(c->name));
  json_object_set_new(o, "words", st_json_words_each(&c->words));
  json_object_set_new(o, "secret", json_boolean(c->secret));
  json_object_set_new(o, "content", json_boolean(c->content));
  json_object_set(o, "changes", c->json);
  return o;
}

static json_t *sides_json(const struct sides *s)
{
  json_t *o = json_object();
  json_object_set_new(o, "from_host", json_string(s->a->host));
  json_object_set_new(o, "from", json_integer(s->from_number));
  json_object_set_new(o, "to_host", json_string(s->to->host));
  json_object_set_new(o, "to", json_integer(s->to_number));
  return o;
}

static json_t *changes_json(const struct sides *s, const struct st_view_changes *c)
{
  json_t *o = sides_json(s), *totals = json_object(), *array = json_array();
  size_t total = 0;
  for (int k = 0; k < ST_VIEW_KINDS; k++) {
    json_object_set_new(totals, st_view_kind_words[k], json_integer((json_int_t)c->totals[k]));
    total += c->totals[k];
  }
  for (size_t i = 0; i < c->count; i++)
    json_array_append_new(array, change_json(&c->items[i]));
  json_object_set_new(o, "total", json_integer((json_int_t)total));
  json_object_set_new(o, "totals", totals);
  json_object_set_new(o, "packaged", json_integer((json_int_t)c->packaged));
  json_object_set_new(o, "rules", json_boolean(c->rules));
  json_object_set_new(o, "truncated", json_boolean(c->truncated));
  json_object_set_new(o, "changes", array);
  return o;
}

static int answer_changes(struct st_request *r, const struct sides *s, struct st_error *err)
{
  ST_AUTO_FREE char *below = NULL;
  struct st_view_query query;
  ST_AUTO_CHANGES c = {0};
  if (read_query(r, &query, &below))
    return 0;
  int done =
      s->b ? st_hostview_changes_of_two(s->a, s->from_number, s->b, s->to_number, &query, &c, err)
           : st_hostview_changes(s->a, s->from_number, s->to_number, &query, &c, err);
  return done < 0 ? -1 : st_reply_json(r, changes_json(s, &c));
}

int st_api_show_changes(struct st_request *r, struct st_error *err)
{
  ST_CLEANUP(sides_clear) struct sides s = {0};
  int found = open_one(r, NULL, r->parts[1], &s, err);
  return found < 0 ? -1 : found > 0 ? 0 : answer_changes(r, &s, err);
}

int st_api_diff(struct st_request *r, struct st_error *err)
{
  ST_CLEANUP(sides_clear) struct sides s = {0};
  int found = open_one(r, st_request_query(r, "from"), st_request_query(r, "to"), &s, err);
  return found < 0 ? -1 : found > 0 ? 0 : answer_changes(r, &s, err);
}

int st_api_diff_of_two(struct st_request *r, struct st_error *err)
{
  ST_CLEANUP(sides_clear) struct sides s = {0};
  int found = open_two(r, &s, err);
  return found < 0 ? -1 : found > 0 ? 0 : answer_changes(r, &s, err);
}

/* ---- One path's ---------------------------------------------------------------------------------
 */

static json_t *patch_json(const struct sides *s, const char *path, const struct st_view_change *c,
                          const struct st_view_diff *d)
{
  json_t *o = sides_json(s);
  json_object_set_new(o, "path", st_json_path(path));
  json_object_set_new(o, "status", c->letter ? st_api_letter(c->letter) : json_null());
  json_object_set_new(o, "words", st_json_words_each(&c->words));
  json_object_set_new(o, "secret", json_boolean(c->secret));
  json_object_set_new(o, "diff", d->unified ? st_json_bytes(d->unified, d->length) : json_null());
  json_object_set_new(o, "why", d->why ? st_json_words(d->why) : json_null());
  return o;
}

static int answer_patch(struct st_request *r, const struct sides *s, struct st_error *err)
{
  ST_AUTO_FREE char *path = NULL;
  ST_CLEANUP(st_view_change_clear) struct st_view_change c = {0};
  ST_AUTO_DIFF d = {0};
  if (st_api_path(r, true, &path))
    return 0;
  if (st_hostview_change_of(s->a, s->from_number, s->to, s->to_number, path, &c, err) < 0 ||
      st_hostview_diff(s->a, s->from_number, s->to, s->to_number, path, &d, err) < 0)
    return -1;
  return st_reply_json(r, patch_json(s, path, &c, &d));
}

int st_api_patch(struct st_request *r, struct st_error *err)
{
  ST_CLEANUP(sides_clear) struct sides s = {0};
  int found = open_one(r, st_request_query(r, "from"), st_request_query(r, "to"), &s, err);
  return found < 0 ? -1 : found > 0 ? 0 : answer_patch(r, &s, err);
}

int st_api_patch_of_two(struct st_request *r, struct st_error *err)
{
  ST_CLEANUP(sides_clear) struct sides s = {0};
  int found = open_two(r, &s, err);
  return found < 0 ? -1 : found > 0 ? 0 : answer_patch(r, &s, err);
}
