/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api-search.c - which hosts have it: a path, a package, a content. */
#include <string.h>

#include "archive-sync/serve/api.h"
#include "systracker/tracker/cli.h"

static int add_hit(void *arg, const struct st_fleet_hit *hit, struct st_error *err)
{
  json_t *o = json_object();
  (void)err;
  json_object_set_new(o, "host", json_string(hit->host));
  json_object_set_new(o, "name", st_json_path(hit->name ? hit->name : ""));
  json_object_set_new(o, "checkpoint", json_integer(hit->number));
  json_object_set_new(o, "now", json_boolean(hit->now));
  if (hit->path)
    json_object_set_new(o, "path", st_json_bytes(hit->path, hit->path_length));
  if (hit->package)
    json_object_set_new(o, "package", st_json_text(hit->package));
  if (hit->version)
    json_object_set_new(o, "version", st_json_text(hit->version));
  if (hit->digest)
    json_object_set_new(o, "digest", json_string(hit->digest));
  return json_array_append_new(arg, o);
}

static bool may_see(void *arg, const char *host)
{
  struct st_request *r = arg;
  return st_access_may_see(r->server->access, &r->who, host);
}

typedef int find_fn(struct st_fleet *f, const char *text, const struct st_fleet_query *query,
                    st_fleet_hit_fn *fn, void *arg, struct st_error *err);

static find_fn *find_in(const char *in)
{
  if (!in || strcmp(in, "path") == 0)
    return st_fleet_find_path;
  if (strcmp(in, "package") == 0)
    return st_fleet_find_package;
  return strcmp(in, "digest") == 0 ? st_fleet_find_digest : NULL;
}

/* One more than is asked for tells whether there are more. */
static int search(struct st_request *r, find_fn *find, const char *q, struct st_view_span span,
                  struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_fleet_query query = {.offset = span.offset, .limit = span.limit + 1, .arg = r};
  query.visible = st_access_sees_all(r->server->access, &r->who) ? NULL : may_see;
  json_t *array = json_array();
  if (find(r->server->fleet, q, &query, add_hit, array, &why) < 0) {
    json_decref(array);
    if (why.status == ST_EXIT_INCOMPLETE)
      return st_api_refused(r, 400, &why);
    return st_error_move(err, &why);
  }
  bool more = json_array_size(array) > span.limit;
  if (more)
    json_array_remove(array, span.limit);
  return st_reply_json(r, json_pack("{s:b, s:o}", "more", more, "hits", array));
}

int st_api_search(struct st_request *r, struct st_error *err)
{
  const char *q = st_request_query(r, "q"), *in = st_request_query(r, "in");
  find_fn *find = find_in(in);
  struct st_view_span span;
  if (st_api_span(r, &span))
    return 0;
  if (!q || !*q)
    return st_reply_refuse(r, 400, "q is missing");
  if (!find)
    return st_reply_refuse(r, 400, "in is one of path, package, digest");
  return search(r, find, q, span, err);
}
