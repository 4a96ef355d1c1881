/* SPDX-License-Identifier: GPL-2.0-or-later */
/* page-administer.c - what the forms of the administration's pages do. */
#include "config.h"

#include "archive-sync/serve/page.h"

#include <string.h>
#include <time.h>

#include "archive-sync/serve/command.h"

/* ---- Fields -------------------------------------------------------------------------------------
 */

static const char *field(struct st_request *r, const char *name)
{
  const char *text = st_request_form(r, name);
  return text ? text : "";
}

/* A number, or `otherwise` where the field is empty.  1: it is refused. */
static int number_field(struct st_request *r, const char *name, int64_t otherwise, int64_t most,
                        int64_t *ret)
{
  const char *text = field(r, name);
  *ret = otherwise;
  if (*text && (st_parse_number(text, ret, NULL) < 0 || *ret < 1 || *ret > most)) {
    st_reply_refuse(r, 400, "%s: not a number, or too large", name);
    return 1;
  }
  return 0;
}

static int role_field(struct st_request *r, enum st_role *ret)
{
  if (st_role_of(field(r, "role"), ret))
    return 0;
  st_reply_refuse(r, 400, "there is no such role");
  return 1;
}

/* The host of the field, which they may operate.  A host that waits for approval has no name yet,
 * and no checkpoints: it is known by its whole id.  What may not be seen is refused in the words
 * for what is not there. */
static int host_field(struct st_request *r, char **ret, struct st_error *err)
{
  const char *text = field(r, "host");
  struct st_access_host host;
  *ret = NULL;
  if (st_access_may_operate(r->server->access, &r->who, text) &&
      st_access_host(r->server->access, text, &host)) {
    *ret = st_strdup(text);
    return 0;
  }
  int refused = st_page_find_host(r, text, ret, err);
  if (refused == 0 && !st_access_may_operate(r->server->access, &r->who, *ret)) {
    st_reply_refuse(r, 404, "there is no such host");
    refused = 1;
  }
  return refused;
}

/* ---- Hosts --------------------------------------------------------------------------------------
 */

typedef int decide_fn(struct st_access *a, const char *id, const char *by, struct st_error *err);

static int decide(struct st_request *r, decide_fn *fn, struct st_error *err)
{
  ST_AUTO_FREE char *host = NULL;
  int refused = host_field(r, &host, err);
  return refused ? refused : fn(r->server->access, host, r->who.user, err);
}

static int do_approve(struct st_request *r, struct st_error *err)
{
  return decide(r, st_access_approve, err);
}

static int do_deny(struct st_request *r, struct st_error *err)
{
  return decide(r, st_access_deny, err);
}

static int do_enrolment(struct st_request *r, struct st_error *err)
{
  enum st_enrolment e;
  if (!st_enrolment_of(field(r, "enrolment"), &e))
    return st_reply_refuse(r, 400, "there is no such enrolment"), 1;
  return st_access_set_enrolment(r->server->access, e, err);
}

/* ---- Tokens -------------------------------------------------------------------------------------
 */

static void write_made(struct st_html *h, const char *words, const char *command)
{
  st_html_element(h, "p", words);
  st_html_open(h, "pre");
  st_html_attr(h, "class", "command");
  st_html_attr(h, "tabindex", "0");
  st_html_element(h, "code", command);
  st_html_close(h, "pre");
  st_html_element(h, "p", "It is shown this once: it is not kept here.");
}

static int show_token(struct st_request *r, const struct st_access_token *t, const char *token)
{
  struct st_html h = st_frame_begin(r, "The new token");
  ST_AUTO_FREE char *url = st_page_url(r, token);
  if (t->kind == ST_TOKEN_API) {
    ST_AUTO_FREE char *header = st_format("Authorization: Bearer %s", token);
    write_made(&h, "Programs send it with each request:", header);
  } else if (t->kind == ST_TOKEN_JOIN) {
    ST_AUTO_FREE char *command = st_command_sync(url);
    write_made(&h, "On each new host, as root:", command);
  } else {
    ST_AUTO_FREE char *command = st_command_restore_from(url, t->host);
    write_made(&h,
               "On the new machine, as root; once, by one machine. With --recovery-key FILE it has "
               "its secrets, too:",
               command);
  }
  return st_frame_end(&h);
}

/* The reply is the page with the token: nothing is to be shown after that. */
static int make_token(struct st_request *r, struct st_access_token *t, struct st_error *err)
{
  char token[ST_ACCESS_TOKEN_SIZE];
  int64_t hours, now = time(NULL);
  int refused = number_field(r, "hours", 0, 24 * 3660, &hours);
  if (refused)
    return refused;
  t->created = now;
  t->expires = hours > 0 ? now + hours * 3600 : 0;
  snprintf(t->by, sizeof t->by, "%s", r->who.user);
  if (st_access_add_token(r->server->access, t, now, token, err) < 0)
    return -1;
  show_token(r, t, token);
  return 1;
}

/* 1, and refused, where it does not fit. */
static int name_field(struct st_request *r, const char *name, char ret[ST_ACCESS_NAME_SIZE])
{
  if (strlen(field(r, name)) >= ST_ACCESS_NAME_SIZE)
    return st_reply_refuse(r, 400, "%s: it is too long", name), 1;
  snprintf(ret, ST_ACCESS_NAME_SIZE, "%s", field(r, name));
  return 0;
}

static int do_restore_token(struct st_request *r, struct st_error *err)
{
  struct st_access_token t = {.kind = ST_TOKEN_RESTORE, .uses = 1};
  ST_AUTO_FREE char *host = NULL;
  int refused = host_field(r, &host, err);
  if (refused)
    return refused;
  snprintf(t.host, sizeof t.host, "%s", host);
  return make_token(r, &t, err);
}

static int do_join_token(struct st_request *r, struct st_error *err)
{
  struct st_access_token t = {.kind = ST_TOKEN_JOIN};
  int refused = name_field(r, "name", t.name);
  if (refused == 0)
    refused = number_field(r, "uses", -1, INT32_MAX, &t.uses);
  return refused ? refused : make_token(r, &t, err);
}

static int do_api_token(struct st_request *r, struct st_error *err)
{
  struct st_access_token t = {.kind = ST_TOKEN_API, .uses = -1};
  int refused = name_field(r, "name", t.name);
  if (refused == 0)
    refused = name_field(r, "group", t.group);
  if (refused == 0)
    refused = role_field(r, &t.role);
  return refused ? refused : make_token(r, &t, err);
}

struct owner {
  const char *name;
  char host[ST_HOST_ID_SIZE]; /* of the restore token of this name; "": it is none */
};

static int find_token(void *arg, const struct st_access_token *t, struct st_error *err)
{
  (void)err;
  struct owner *o = arg;
  if (strcmp(t->name, o->name) == 0 && t->kind == ST_TOKEN_RESTORE)
    snprintf(o->host, sizeof o->host, "%s", t->host);
  return 0;
}

/* Operators end the restore tokens of their own hosts, administrators all. */
static int do_revoke(struct st_request *r, struct st_error *err)
{
  struct owner o = {.name = field(r, "name")};
  if (st_access_tokens(r->server->access, find_token, &o, err) < 0)
    return -1;
  if (r->who.role < ST_ROLE_ADMIN &&
      (!*o.host || !st_access_may_operate(r->server->access, &r->who, o.host)))
    return st_reply_refuse(r, 404, "there is no such token"), 1;
  return st_access_revoke_token(r->server->access, o.name, err);
}

/* ---- People -------------------------------------------------------------------------------------
 */

static int do_add_user(struct st_request *r, struct st_error *err)
{
  enum st_role role;
  int refused = role_field(r, &role);
  return refused ? refused
                 : st_access_add_user(r->server->access, field(r, "name"), role,
                                      field(r, "password"), err);
}

static int do_set_password(struct st_request *r, struct st_error *err)
{
  return st_access_set_password(r->server->access, field(r, "name"), field(r, "password"), err);
}

static int do_set_role(struct st_request *r, struct st_error *err)
{
  enum st_role role;
  int refused = role_field(r, &role);
  return refused ? refused : st_access_set_role(r->server->access, field(r, "name"), role, err);
}

static int do_remove_user(struct st_request *r, struct st_error *err)
{
  return st_access_remove_user(r->server->access, field(r, "name"), err);
}

static int do_add_group(struct st_request *r, struct st_error *err)
{
  return st_access_add_group(r->server->access, field(r, "group"), err);
}

static int do_remove_group(struct st_request *r, struct st_error *err)
{
  return st_access_remove_group(r->server->access, field(r, "group"), err);
}

static int do_group_host(struct st_request *r, struct st_error *err)
{
  ST_AUTO_FREE char *host = NULL;
  int refused = host_field(r, &host, err);
  return refused ? refused
                 : st_access_group_host(r->server->access, field(r, "group"), host,
                                        strcmp(field(r, "way"), "out") != 0, err);
}

static int do_group_user(struct st_request *r, struct st_error *err)
{
  enum st_role role;
  int refused = role_field(r, &role);
  return refused ? refused
                 : st_access_group_user(r->server->access, field(r, "group"), field(r, "name"),
                                        role, err);
}

/* ---- All of them --------------------------------------------------------------------------------
 */

static const struct act {
  const char *name;
  enum st_role needs;
  int (*run)(struct st_request *r, struct st_error *err); /* 1: the reply is made already */
  const char *back;                                       /* the page that it is a part of */
} acts[] = {
    {"approve", ST_ROLE_OPERATOR, do_approve, "/admin"},
    {"deny", ST_ROLE_OPERATOR, do_deny, "/admin"},
    {"enrolment", ST_ROLE_ADMIN, do_enrolment, "/admin"},
    {"restore-token", ST_ROLE_OPERATOR, do_restore_token, "/admin/tokens"},
    {"join-token", ST_ROLE_ADMIN, do_join_token, "/admin/tokens"},
    {"api-token", ST_ROLE_ADMIN, do_api_token, "/admin/tokens"},
    {"revoke", ST_ROLE_OPERATOR, do_revoke, "/admin/tokens"},
    {"add-user", ST_ROLE_ADMIN, do_add_user, "/admin/users"},
    {"set-password", ST_ROLE_ADMIN, do_set_password, "/admin/users"},
    {"set-role", ST_ROLE_ADMIN, do_set_role, "/admin/users"},
    {"remove-user", ST_ROLE_ADMIN, do_remove_user, "/admin/users"},
    {"add-group", ST_ROLE_ADMIN, do_add_group, "/admin/groups"},
    {"remove-group", ST_ROLE_ADMIN, do_remove_group, "/admin/groups"},
    {"group-host", ST_ROLE_ADMIN, do_group_host, "/admin/groups"},
    {"group-user", ST_ROLE_ADMIN, do_group_user, "/admin/groups"},
};

/* What was asked for wrongly is said to who asked; anything else is ours. */
static int run(struct st_request *r, const struct act *act, struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int done = act->run(r, &why);
  if (done == 0)
    return st_reply_redirect(r, act->back);
  if (done > 0)
    return 0;
  if (why.status == ST_EXIT_INCOMPLETE)
    return st_reply_refuse(r, 400, "%s", st_error_text(&why));
  return st_error_move(err, &why);
}

int st_page_administer(struct st_request *r, struct st_error *err)
{
  for (size_t i = 0; i < ST_COUNT(acts); i++) {
    if (strcmp(r->parts[0], acts[i].name) != 0)
      continue;
    if (r->who.role < acts[i].needs)
      return st_reply_refuse(r, 403, "that is for administrators");
    return run(r, &acts[i], err);
  }
  return st_reply_refuse(r, 404, "there is no such page");
}
