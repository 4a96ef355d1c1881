/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api-values.c - what requests of the JSON interface give, and how values are answered. */
#include "archive-sync/serve/api.h"

#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/tracker/cli.h"

/* ---- What is asked for --------------------------------------------------------------------------
 */

static int read_size(struct st_request *r, const char *name, size_t otherwise, size_t *ret)
{
  const char *text = st_request_query(r, name);
  int64_t n;
  *ret = otherwise;
  if (!text)
    return 0;
  if (st_parse_number(text, &n, NULL) < 0 || n > INT32_MAX) {
    st_reply_refuse(r, 400, "%s is no number", name);
    return 1;
  }
  *ret = (size_t)n;
  return 0;
}

int st_api_span(struct st_request *r, struct st_view_span *ret)
{
  if (read_size(r, "offset", 0, &ret->offset) || read_size(r, "limit", ST_API_LIMIT, &ret->limit))
    return 1;
  if (ret->limit == 0 || ret->limit > ST_VIEW_LIMIT) {
    st_reply_refuse(r, 400, "limit is 1 to %zu", ST_VIEW_LIMIT);
    return 1;
  }
  return 0;
}

int st_api_flag(struct st_request *r, const char *name, bool *ret)
{
  const char *text = st_request_query(r, name);
  *ret = false;
  if (!text || st_parse_bool(text, ret, NULL) == 0)
    return 0;
  st_reply_refuse(r, 400, "%s is neither yes nor no", name);
  return 1;
}

int st_api_path(struct st_request *r, bool needed, char **ret)
{
  const char *text = st_request_query(r, "path");
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  *ret = NULL;
  if (!text && !needed)
    return 0;
  if (text && *text == '/' && st_normal_path(text, ret, &why) == 0)
    return 0;
  st_reply_refuse(r, 400, text ? "path is not absolute, or has \"..\" in it" : "path is missing");
  return 1;
}

int st_api_open(struct st_request *r, const char *host, struct st_hostview **ret,
                struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int found = st_access_may_read(r->server->access, &r->who, host)
                  ? st_hostviews_open(r->server->views, host, ret, &why)
                  : 1;
  if (found < 0)
    return st_error_move(err, &why);
  if (found > 0)
    st_reply_refuse(r, 404, "there is no such host");
  return found;
}

int st_api_checkpoint(struct st_request *r, struct st_hostview *v, const char *text, int64_t *ret)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (st_hostview_resolve(v, text ? text : "latest", ret, &why) == 0)
    return 0;
  st_reply_refuse(r, 404, "%s", st_error_text(&why));
  return 1;
}

int st_api_change(struct st_request *r)
{
  if (!*r->who.form_token)
    return 0;
  st_reply_refuse(r, 403, "what changes something needs an API token: Authorization: Bearer");
  return 1;
}

int st_api_body(struct st_request *r, json_t **ret)
{
  json_error_t error;
  *ret = NULL;
  if (st_api_change(r))
    return 1;
  json_t *o =
      json_loadb(r->body.data ? r->body.data : "", r->body.length, JSON_REJECT_DUPLICATES, &error);
  if (json_is_object(o)) {
    *ret = o;
    return 0;
  }
  json_decref(o);
  st_reply_refuse(r, 400, "the body is no JSON object");
  return 1;
}

int st_api_string(struct st_request *r, json_t *object, const char *name, bool needed,
                  const char **ret)
{
  json_t *v = json_object_get(object, name);
  *ret = json_string_value(v);
  if (*ret ? strlen(*ret) == json_string_length(v) : (!v || json_is_null(v)) && !needed)
    return 0;
  st_reply_refuse(r, 400, v ? "%s is no text" : "%s is missing", name);
  return 1;
}

int st_api_refused(struct st_request *r, unsigned status, struct st_error *err)
{
  int r_ = st_reply_refuse(r, status, "%s", st_error_text(err));
  st_error_clear(err);
  return r_;
}

/* ---- What is answered ---------------------------------------------------------------------------
 */

json_t *st_api_time(int64_t seconds)
{
  ST_AUTO_FREE char *text = st_format_time_utc(seconds);
  return seconds ? json_string(text) : json_null();
}

json_t *st_api_letter(char letter)
{
  const char text[] = {letter, 0};
  return json_string(text);
}

json_t *st_api_name(const char *name)
{
  return *name ? st_json_path(name) : json_null();
}
