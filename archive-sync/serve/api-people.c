/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api-people.c - users, and groups of hosts. */
#include <string.h>

#include "archive-sync/serve/api.h"
#include "systracker/tracker/cli.h"

/* What the access file refuses is the request's fault; everything else is ours. */
static int answer(struct st_request *r, int done, json_t *o, struct st_error *err)
{
  if (done >= 0)
    return st_reply_json(r, o);
  json_decref(o);
  return err->status == ST_EXIT_INCOMPLETE ? st_api_refused(r, 409, err) : -1;
}

/* ---- Users --------------------------------------------------------------------------------------
 */

static int add_user(void *arg, const struct st_access_user *u, struct st_error *err)
{
  json_t *o = json_object();
  (void)err;
  json_object_set_new(o, "user", json_string(u->name));
  json_object_set_new(o, "role", json_string(st_role_name(u->role)));
  json_object_set_new(o, "created", st_api_time(u->created));
  return json_array_append_new(arg, o);
}

/* The part of the list that was asked for. */
static int answer_list(struct st_request *r, const char *name, json_t *all)
{
  struct st_view_span span;
  json_t *array, *item;
  size_t i, total = json_array_size(all);
  if (st_api_span(r, &span)) {
    json_decref(all);
    return 0;
  }
  array = json_array();
  json_array_foreach(all, i, item) if (st_view_span_has(span, i)) json_array_append(array, item);
  json_decref(all);
  return st_reply_json(r, json_pack("{s:I, s:o}", "total", (json_int_t)total, name, array));
}

int st_api_users(struct st_request *r, struct st_error *err)
{
  json_t *all = json_array();
  if (st_access_users(r->server->access, add_user, all, err) < 0) {
    json_decref(all);
    return -1;
  }
  return answer_list(r, "users", all);
}

/* "none" where the user has groups alone. */
static int read_role(struct st_request *r, json_t *body, bool needed, bool *ret_given,
                     enum st_role *ret)
{
  const char *text;
  *ret = ST_ROLE_NONE;
  if (st_api_string(r, body, "role", needed, &text))
    return 1;
  *ret_given = text != NULL;
  if (!text || st_role_of(text, ret))
    return 0;
  st_reply_refuse(r, 400, "role is one of none, viewer, operator, admin");
  return 1;
}

static int read_password(struct st_request *r, json_t *body, bool needed, const char **ret)
{
  if (st_api_string(r, body, "password", needed, ret))
    return 1;
  if (!*ret || (strlen(*ret) >= ST_PASSWORD_MIN && strlen(*ret) <= ST_PASSWORD_MAX))
    return 0;
  st_reply_refuse(r, 400, "a password has %d to %d bytes", ST_PASSWORD_MIN, ST_PASSWORD_MAX);
  return 1;
}

int st_api_add_user(struct st_request *r, struct st_error *err)
{
  json_t *body;
  const char *name, *password;
  enum st_role role;
  bool given;
  if (st_api_body(r, &body))
    return 0;
  int done = 0;
  if (!st_api_string(r, body, "user", true, &name) && !read_role(r, body, true, &given, &role) &&
      !read_password(r, body, true, &password)) {
    done = st_access_add_user(r->server->access, name, role, password, err);
    json_t *o = json_pack("{s:o, s:s}", "user", st_json_path(name), "role", st_role_name(role));
    r->reply.status = 201;
    done = answer(r, done, o, err);
  }
  json_decref(body);
  return done;
}

struct sought {
  const char *name;
  bool found;
};

static int find_user(void *arg, const struct st_access_user *u, struct st_error *err)
{
  struct sought *s = arg;
  (void)err;
  s->found |= strcmp(u->name, s->name) == 0;
  return 0;
}

/* 1: there is none, which is said. */
static int check_user(struct st_request *r, const char *name, struct st_error *err)
{
  struct sought s = {.name = name};
  if (st_access_users(r->server->access, find_user, &s, err) < 0)
    return -1;
  if (!s.found)
    st_reply_refuse(r, 404, "there is no such user");
  return !s.found;
}

static int change_user(struct st_request *r, const char *name, json_t *body, struct st_error *err)
{
  const char *password;
  enum st_role role;
  bool given;
  if (read_role(r, body, false, &given, &role) || read_password(r, body, false, &password))
    return 0;
  int done = given ? st_access_set_role(r->server->access, name, role, err) : 0;
  if (done >= 0 && password)
    done = st_access_set_password(r->server->access, name, password, err);
  return answer(r, done, json_pack("{s:s}", "user", name), err);
}

int st_api_change_user(struct st_request *r, struct st_error *err)
{
  json_t *body;
  if (st_api_body(r, &body))
    return 0;
  int found = check_user(r, r->parts[0], err);
  if (found == 0)
    found = change_user(r, r->parts[0], body, err);
  json_decref(body);
  return found < 0 ? -1 : 0;
}

int st_api_remove_user(struct st_request *r, struct st_error *err)
{
  if (st_api_change(r))
    return 0;
  int found = check_user(r, r->parts[0], err);
  if (found)
    return found < 0 ? -1 : 0;
  return answer(r, st_access_remove_user(r->server->access, r->parts[0], err),
                json_pack("{s:s}", "user", r->parts[0]), err);
}

/* ---- Groups -------------------------------------------------------------------------------------
 */

/* A group comes before its members. */
static int add_member(void *arg, const struct st_access_member *m, struct st_error *err)
{
  json_t *all = arg;
  (void)err;
  if (!m->host && !m->user)
    return json_array_append_new(
        all, json_pack("{s:s, s:[], s:[]}", "group", m->group, "hosts", "users"));
  json_t *group = json_array_get(all, json_array_size(all) - 1);
  if (m->host)
    return json_array_append_new(json_object_get(group, "hosts"), json_string(m->host));
  return json_array_append_new(
      json_object_get(group, "users"),
      json_pack("{s:s, s:s}", "user", m->user, "role", st_role_name(m->role)));
}

int st_api_groups(struct st_request *r, struct st_error *err)
{
  json_t *all = json_array();
  if (st_access_groups(r->server->access, add_member, all, err) < 0) {
    json_decref(all);
    return -1;
  }
  return answer_list(r, "groups", all);
}

static json_t *group_json(const char *group)
{
  return json_pack("{s:o}", "group", st_json_path(group));
}

int st_api_add_group(struct st_request *r, struct st_error *err)
{
  json_t *body;
  const char *name;
  if (st_api_body(r, &body))
    return 0;
  int done = 0;
  if (!st_api_string(r, body, "group", true, &name)) {
    r->reply.status = 201;
    done = answer(r, st_access_add_group(r->server->access, name, err), group_json(name), err);
  }
  json_decref(body);
  return done;
}

int st_api_remove_group(struct st_request *r, struct st_error *err)
{
  if (st_api_change(r))
    return 0;
  return answer(r, st_access_remove_group(r->server->access, r->parts[0], err),
                group_json(r->parts[0]), err);
}

static int set_host(struct st_request *r, bool in, struct st_error *err)
{
  if (st_api_change(r))
    return 0;
  return answer(r, st_access_group_host(r->server->access, r->parts[0], r->parts[1], in, err),
                group_json(r->parts[0]), err);
}

int st_api_add_group_host(struct st_request *r, struct st_error *err)
{
  return set_host(r, true, err);
}

int st_api_remove_group_host(struct st_request *r, struct st_error *err)
{
  return set_host(r, false, err);
}

static int set_user(struct st_request *r, enum st_role role, struct st_error *err)
{
  return answer(r, st_access_group_user(r->server->access, r->parts[0], r->parts[1], role, err),
                group_json(r->parts[0]), err);
}

int st_api_add_group_user(struct st_request *r, struct st_error *err)
{
  json_t *body;
  enum st_role role;
  bool given;
  if (st_api_body(r, &body))
    return 0;
  int refused = read_role(r, body, true, &given, &role);
  json_decref(body);
  if (refused)
    return 0;
  if (role != ST_ROLE_VIEWER && role != ST_ROLE_OPERATOR)
    return st_reply_refuse(r, 400, "in a group the role is viewer or operator");
  return set_user(r, role, err);
}

int st_api_remove_group_user(struct st_request *r, struct st_error *err)
{
  return st_api_change(r) ? 0 : set_user(r, ST_ROLE_NONE, err);
}
