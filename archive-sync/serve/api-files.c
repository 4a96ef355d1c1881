/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api-files.c - one path: as it was, its content, its history; and packages with what deviates. */
#include <string.h>

#include "archive-sync/serve/api.h"
#include "systracker/tracker/cli.h"

/* ---- One path -----------------------------------------------------------------------------------
 */

/* The host, the checkpoint that `text` names, and path=. */
static int open_path(struct st_request *r, const char *text, struct st_hostview **ret,
                     int64_t *ret_number, char **ret_path, struct st_error *err)
{
  if (st_api_path(r, true, ret_path))
    return 1;
  int found = st_api_open(r, r->parts[0], ret, err);
  return found ? found : st_api_checkpoint(r, *ret, text, ret_number);
}

int st_api_file(struct st_request *r, struct st_error *err)
{
  ST_AUTO_HOSTVIEW *v = NULL;
  ST_AUTO_FREE char *path = NULL;
  ST_AUTO_ENTRY e = {0};
  int64_t number;
  int found = open_path(r, r->parts[1], &v, &number, &path, err);
  if (found)
    return found < 0 ? -1 : 0;
  if (st_hostview_entry(v, number, path, &e, err) < 0)
    return -1;
  if (!e.present && !e.unobserved)
    return st_reply_refuse(r, 404, "there was no such path at checkpoint %lld", (long long)number);
  return st_reply_json(r, json_incref(e.json));
}

/* Never shown by a browser as what it may say it is. */
int st_api_content(struct st_request *r, struct st_error *err)
{
  ST_AUTO_HOSTVIEW *v = NULL;
  ST_AUTO_FREE char *path = NULL;
  ST_AUTO_BUFFER why = ST_BUFFER_INIT;
  int64_t number;
  int found = open_path(r, r->parts[1], &v, &number, &path, err);
  if (found)
    return found < 0 ? -1 : 0;
  int there = st_hostview_content(v, number, path, ST_VIEW_CONTENT_MAX, &r->reply.body, &why, err);
  if (there < 0)
    return -1;
  if (there == 0)
    return st_reply_refuse(r, 404, "%s", why.data);
  r->reply.type = "application/octet-stream";
  st_reply_header(r, "Content-Disposition", "attachment");
  return st_reply_header(r, "X-Content-Type-Options", "nosniff");
}

static int add_event(void *arg, const struct st_view_event *e, struct st_error *err)
{
  json_t *o = json_object();
  (void)err;
  json_object_set_new(o, "checkpoint", json_integer(e->number));
  json_object_set_new(o, "before", e->before > 0 ? json_integer(e->before) : json_null());
  json_object_set_new(o, "time", st_api_time(e->time));
  json_object_set_new(o, "status", st_api_letter(e->letter));
  json_object_set_new(o, "secret", json_boolean(e->secret));
  json_object_set_new(o, "message", e->message ? st_json_words(e->message) : json_null());
  json_object_set_new(o, "words", st_json_words_each(e->words));
  json_object_set(o, "changes", e->json);
  return json_array_append_new(arg, o);
}

int st_api_history(struct st_request *r, struct st_error *err)
{
  ST_AUTO_HOSTVIEW *v = NULL;
  ST_AUTO_FREE char *path = NULL;
  struct st_view_span span;
  bool more;
  if (st_api_span(r, &span) || st_api_path(r, true, &path))
    return 0;
  int found = st_api_open(r, r->parts[0], &v, err);
  if (found)
    return found < 0 ? -1 : 0;
  json_t *array = json_array();
  if (st_hostview_history(v, path, span, add_event, array, &more, err) < 0) {
    json_decref(array);
    return -1;
  }
  return st_reply_json(
      r, json_pack("{s:o, s:b, s:o}", "path", st_json_path(path), "more", more, "events", array));
}

/* ---- Packages -----------------------------------------------------------------------------------
 */

static int open_state(struct st_request *r, struct st_hostview **ret, int64_t *ret_number,
                      struct st_error *err)
{
  int found = st_api_open(r, r->parts[0], ret, err);
  return found ? found : st_api_checkpoint(r, *ret, st_request_query(r, "checkpoint"), ret_number);
}

static int answer_list(struct st_request *r, int64_t number, size_t total, const char *name,
                       json_t *array)
{
  return st_reply_json(r, json_pack("{s:I, s:I, s:o}", "checkpoint", (json_int_t)number, "total",
                                    (json_int_t)total, name, array));
}

static int add_package(void *arg, const struct st_view_package *p, struct st_error *err)
{
  json_t *o = json_object();
  (void)err;
  json_object_set_new(o, "package", st_json_text(p->name));
  json_object_set_new(o, "version", st_json_text(p->version));
  json_object_set_new(o, "architecture", st_json_text(p->architecture));
  json_object_set_new(o, "since", json_integer(p->since));
  json_object_set_new(o, "file", json_string(p->kept ? "kept" : "missing"));
  json_object_set_new(o, "deviations", json_integer((json_int_t)p->deviations));
  return json_array_append_new(arg, o);
}

int st_api_installed(struct st_request *r, struct st_error *err)
{
  ST_AUTO_HOSTVIEW *v = NULL;
  struct st_view_package_query query = {.match = st_request_query(r, "name")};
  int64_t number;
  size_t total;
  if (st_api_span(r, &query.span) || st_api_flag(r, "deviating", &query.deviating))
    return 0;
  int found = open_state(r, &v, &number, err);
  if (found)
    return found < 0 ? -1 : 0;
  json_t *array = json_array();
  if (st_hostview_packages(v, number, &query, add_package, array, &total, err) < 0) {
    json_decref(array);
    return -1;
  }
  return answer_list(r, number, total, "packages", array);
}

static int add_deviation(void *arg, const struct st_view_deviation *d, struct st_error *err)
{
  (void)err;
  return json_array_append(arg, d->json);
}

int st_api_deviations(struct st_request *r, struct st_error *err)
{
  ST_AUTO_HOSTVIEW *v = NULL;
  struct st_view_span span;
  int64_t number;
  size_t total;
  if (st_api_span(r, &span))
    return 0;
  int found = open_state(r, &v, &number, err);
  if (found)
    return found < 0 ? -1 : 0;
  json_t *array = json_array();
  if (st_hostview_deviations(v, number, st_request_query(r, "package"), span, add_deviation, array,
                             &total, err) < 0) {
    json_decref(array);
    return -1;
  }
  return answer_list(r, number, total, "deviations", array);
}
