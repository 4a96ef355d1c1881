/* SPDX-License-Identifier: GPL-2.0-or-later */
/* api-enrolment.c - which hosts may send: enrolment, approval, tokens. */
#include <string.h>
#include <time.h>

#include "archive-sync/policy.h"
#include "archive-sync/serve/api.h"
#include "systracker/tracker/cli.h"

/* ---- Enrolment ----------------------------------------------------------------------------------
 */

int st_api_enrolment(struct st_request *r, struct st_error *err)
{
  enum st_enrolment e = st_access_enrolment(r->server->access);
  (void)err;
  return st_reply_json(r, json_pack("{s:s}", "enrolment", st_enrolment_name(e)));
}

int st_api_set_enrolment(struct st_request *r, struct st_error *err)
{
  json_t *body;
  const char *name;
  enum st_enrolment e;
  if (st_api_body(r, &body))
    return 0;
  bool refused = st_api_string(r, body, "enrolment", true, &name);
  bool known = !refused && st_enrolment_of(name, &e);
  json_decref(body);
  if (refused)
    return 0;
  if (!known)
    return st_reply_refuse(r, 400, "enrolment is one of token, open, closed");
  if (st_access_set_enrolment(r->server->access, e, err) < 0)
    return -1;
  return st_api_enrolment(r, err);
}

int st_api_policy(struct st_request *r, struct st_error *err)
{
  ST_AUTO_POLICY policy = {0};
  if (st_policy_read(r->server->archive, &policy, err) < 0)
    return -1;
  return st_reply_json(r, st_policy_json(&policy));
}

static json_t *enrolled_json(const struct st_access_host *host)
{
  json_t *o = json_object();
  json_object_set_new(o, "host", json_string(host->id));
  json_object_set_new(o, "state", json_string(st_host_state_name(host->state)));
  json_object_set_new(o, "since", st_api_time(host->since));
  json_object_set_new(o, "by", st_api_name(host->by));
  json_object_set_new(o, "address", st_api_name(host->address));
  json_object_set_new(o, "sent_bytes", json_integer(host->bytes));
  json_object_set_new(o, "continues", st_api_name(host->continues));
  json_object_set_new(o, "continued_by", st_api_name(host->continued));
  json_object_set_new(o, "two_machines", st_api_time(host->twins));
  json_object_set_new(o, "other_address", st_api_name(host->twin));
  return o;
}

/* What lies in the span of a list whose entries come one by one. */
struct part {
  struct st_request *r;
  struct st_view_span span;
  size_t n;
  json_t *array;
};

static void add_part(struct part *p, json_t *o)
{
  if (st_view_span_has(p->span, p->n++))
    json_array_append_new(p->array, o);
  else
    json_decref(o);
}

static int answer_part(struct part *p, const char *name)
{
  return st_reply_json(p->r, json_pack("{s:I, s:o}", "total", (json_int_t)p->n, name, p->array));
}

static int add_enrolled(void *arg, const struct st_access_host *host, struct st_error *err)
{
  struct part *p = arg;
  (void)err;
  if (st_access_may_operate(p->r->server->access, &p->r->who, host->id))
    add_part(p, enrolled_json(host));
  return 0;
}

static int read_state(struct st_request *r, int *ret)
{
  const char *text = st_request_query(r, "state");
  *ret = -1;
  for (int s = ST_HOST_PENDING; text && s <= ST_HOST_DENIED; s++)
    if (strcmp(text, st_host_state_name((enum st_host_state)s)) == 0)
      *ret = s;
  if (!text || *ret >= 0)
    return 0;
  st_reply_refuse(r, 400, "state is one of pending, approved, denied");
  return 1;
}

int st_api_enrolled(struct st_request *r, struct st_error *err)
{
  struct part p = {.r = r};
  int state;
  if (st_api_span(r, &p.span) || read_state(r, &state))
    return 0;
  p.array = json_array();
  if (st_access_hosts(r->server->access, state, add_enrolled, &p, err) < 0) {
    json_decref(p.array);
    return -1;
  }
  return answer_part(&p, "hosts");
}

/* ---- Approval -----------------------------------------------------------------------------------
 */

typedef int decide_fn(struct st_access *a, const char *id, const char *by, struct st_error *err);

static int decide(struct st_request *r, decide_fn *fn, struct st_error *err)
{
  const char *id = r->parts[0];
  struct st_access_host host;
  if (st_api_change(r))
    return 0;
  if (!st_access_may_operate(r->server->access, &r->who, id) ||
      !st_access_host(r->server->access, id, &host))
    return st_reply_refuse(r, 404, "there is no such host");
  if (fn(r->server->access, id, r->who.user, err) < 0)
    return -1;
  if (!st_access_host(r->server->access, id, &host))
    return st_reply_refuse(r, 404, "there is no such host");
  return st_reply_json(r, enrolled_json(&host));
}

int st_api_approve(struct st_request *r, struct st_error *err)
{
  return decide(r, st_access_approve, err);
}

int st_api_deny(struct st_request *r, struct st_error *err)
{
  return decide(r, st_access_deny, err);
}

/* ---- Tokens -------------------------------------------------------------------------------------
 */

static const struct {
  enum st_token_kind kind;
  const char *name;
} kinds[] = {{ST_TOKEN_JOIN, "join"}, {ST_TOKEN_RESTORE, "restore"}, {ST_TOKEN_API, "api"}};

static const char *kind_name(enum st_token_kind kind)
{
  for (size_t i = 0; i < ST_COUNT(kinds); i++)
    if (kinds[i].kind == kind)
      return kinds[i].name;
  return "";
}

static json_t *token_json(const struct st_access_token *t)
{
  json_t *o = json_object();
  json_object_set_new(o, "name", json_string(t->name));
  json_object_set_new(o, "kind", json_string(kind_name(t->kind)));
  json_object_set_new(o, "created", st_api_time(t->created));
  json_object_set_new(o, "expires", st_api_time(t->expires));
  json_object_set_new(o, "by", st_api_name(t->by));
  json_object_set_new(o, "revoked", json_boolean(t->revoked));
  bool api = t->kind == ST_TOKEN_API;
  json_object_set_new(o, "uses", t->uses < 0 ? json_null() : json_integer(t->uses));
  json_object_set_new(o, "host", st_api_name(t->host));
  json_object_set_new(o, "used_by", st_api_name(t->bound));
  json_object_set_new(o, "role", api ? json_string(st_role_name(t->role)) : json_null());
  json_object_set_new(o, "group", st_api_name(t->group));
  return o;
}

/* Operators have to do with the restore tokens of their hosts. */
static bool may_have(struct st_request *r, const struct st_access_token *t)
{
  if (r->who.role == ST_ROLE_ADMIN)
    return true;
  return t->kind == ST_TOKEN_RESTORE && st_access_may_operate(r->server->access, &r->who, t->host);
}

static int add_token(void *arg, const struct st_access_token *t, struct st_error *err)
{
  struct part *p = arg;
  (void)err;
  if (may_have(p->r, t))
    add_part(p, token_json(t));
  return 0;
}

int st_api_tokens(struct st_request *r, struct st_error *err)
{
  struct part p = {.r = r};
  if (st_api_span(r, &p.span))
    return 0;
  p.array = json_array();
  if (st_access_tokens(r->server->access, add_token, &p, err) < 0) {
    json_decref(p.array);
    return -1;
  }
  return answer_part(&p, "tokens");
}

/* A name as the array of the structure has it. */
static int take_name(struct st_request *r, json_t *body, const char *key, char *ret, size_t size)
{
  const char *text;
  *ret = 0;
  if (st_api_string(r, body, key, false, &text))
    return 1;
  if (text && strlen(text) >= size) {
    st_reply_refuse(r, 400, "%s is too long", key);
    return 1;
  }
  if (text)
    memcpy(ret, text, strlen(text) + 1);
  return 0;
}

static int take_number(struct st_request *r, json_t *body, const char *key, int64_t otherwise,
                       int64_t *ret)
{
  json_t *v = json_object_get(body, key);
  *ret = json_is_integer(v) ? json_integer_value(v) : otherwise;
  if (!v || json_is_null(v) || (json_is_integer(v) && *ret > 0))
    return 0;
  st_reply_refuse(r, 400, "%s is a number above 0", key);
  return 1;
}

static int take_kind(struct st_request *r, json_t *body, enum st_token_kind *ret)
{
  const char *text;
  if (st_api_string(r, body, "kind", true, &text))
    return 1;
  for (size_t i = 0; i < ST_COUNT(kinds); i++)
    if (strcmp(kinds[i].name, text) == 0) {
      *ret = kinds[i].kind;
      return 0;
    }
  st_reply_refuse(r, 400, "kind is one of join, restore, api");
  return 1;
}

static int take_role(struct st_request *r, json_t *body, enum st_role *ret)
{
  const char *text;
  *ret = ST_ROLE_NONE;
  if (st_api_string(r, body, "role", false, &text))
    return 1;
  if (!text || (st_role_of(text, ret) && *ret != ST_ROLE_NONE))
    return 0;
  st_reply_refuse(r, 400, "role is one of viewer, operator, admin");
  return 1;
}

/* What is to be made; seconds= from now until it expires. */
static int read_token(struct st_request *r, json_t *body, int64_t now, struct st_access_token *t)
{
  int64_t seconds;
  *t = (struct st_access_token){.uses = -1};
  if (take_kind(r, body, &t->kind) || take_name(r, body, "name", t->name, sizeof(t->name)) ||
      take_name(r, body, "host", t->host, sizeof(t->host)) ||
      take_name(r, body, "group", t->group, sizeof(t->group)) || take_role(r, body, &t->role) ||
      take_number(r, body, "uses", -1, &t->uses) || take_number(r, body, "seconds", 0, &seconds))
    return 1;
  if (seconds > 0 && __builtin_add_overflow(now, seconds, &t->expires)) {
    st_reply_refuse(r, 400, "seconds are too many");
    return 1;
  }
  memcpy(t->by, r->who.user, sizeof(t->by));
  return 0;
}

/* What is missing in it for its kind. */
static int check_token(struct st_request *r, const struct st_access_token *t)
{
  if (t->kind == ST_TOKEN_RESTORE && !*t->host)
    st_reply_refuse(r, 400, "a restore token is for a host");
  else if (t->kind == ST_TOKEN_API && t->role == ST_ROLE_NONE)
    st_reply_refuse(r, 400, "an API token has a role");
  else if (!may_have(r, t))
    st_reply_refuse(r, t->kind == ST_TOKEN_RESTORE ? 404 : 403,
                    t->kind == ST_TOKEN_RESTORE ? "there is no such host"
                                                : "this needs the role admin");
  else if (t->kind == ST_TOKEN_RESTORE && !st_access_may_read(r->server->access, &r->who, t->host))
    st_reply_refuse(r, 404, "there is no such host");
  else
    return 0;
  return 1;
}

int st_api_add_token(struct st_request *r, struct st_error *err)
{
  char token[ST_ACCESS_TOKEN_SIZE];
  struct st_access_token t;
  json_t *body;
  int64_t now = time(NULL);
  if (st_api_body(r, &body))
    return 0;
  int refused = read_token(r, body, now, &t);
  json_decref(body);
  if (refused || check_token(r, &t))
    return 0;
  if (st_access_add_token(r->server->access, &t, now, token, err) < 0)
    return err->status == ST_EXIT_INCOMPLETE ? st_api_refused(r, 409, err) : -1;
  json_t *o = token_json(&t);
  json_object_set_new(o, "created", st_api_time(now));
  json_object_set_new(o, "token", json_string(token));
  explicit_bzero(token, sizeof(token));
  r->reply.status = 201;
  return st_reply_json(r, o);
}

struct sought {
  const char *name;
  struct st_request *r;
  bool found;
};

static int find_token(void *arg, const struct st_access_token *t, struct st_error *err)
{
  struct sought *s = arg;
  (void)err;
  s->found |= strcmp(t->name, s->name) == 0 && may_have(s->r, t);
  return 0;
}

int st_api_revoke_token(struct st_request *r, struct st_error *err)
{
  struct sought s = {.name = r->parts[0], .r = r};
  if (st_api_change(r))
    return 0;
  if (st_access_tokens(r->server->access, find_token, &s, err) < 0)
    return -1;
  if (!s.found)
    return st_reply_refuse(r, 404, "there is no such token");
  if (st_access_revoke_token(r->server->access, r->parts[0], err) < 0)
    return -1;
  return st_reply_json(r, json_pack("{s:s, s:b}", "name", r->parts[0], "revoked", 1));
}
