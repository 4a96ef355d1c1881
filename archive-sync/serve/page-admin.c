/* SPDX-License-Identifier: GPL-2.0-or-later */
/* page-admin.c - the page of operators and administrators: hosts, tokens, users, groups.  What its
 * forms do is in page-administer.c. */
#include "config.h"

#include "archive-sync/serve/page.h"

#include <inttypes.h>
#include <string.h>

struct admin {
  struct st_request *r;
  struct st_html h;
  struct st_view_span span;
  size_t shown, total;
};

/* Whether one more of the list stands in the part that is asked for. */
static bool is_in_part(struct admin *p)
{
  size_t at = p->total++;
  bool in = at >= p->span.offset && at - p->span.offset < p->span.limit;
  p->shown += in;
  return in;
}

#define end_list(p, address) end_list_of(p, ST_LITERAL(address))
static void end_list_of(struct admin *p, const char *address)
{
  ST_AUTO_LINK base = {0};
  st_link_to_literal(&base, address);
  st_html_close(&p->h, "table");
  if (p->total == 0)
    st_html_element(&p->h, "p", "There are none.");
  st_page_paging(&p->h, &base, p->span, p->shown, p->total);
}

static struct admin begin_page(struct st_request *r, const char *title)
{
  struct admin p = {.r = r, .span = st_page_span(r), .h = st_frame_begin(r, title)};
  ST_AUTO_LINK hosts = {0}, tokens = {0}, users = {0}, groups = {0};
  st_link_to(&hosts, "/admin");
  st_link_to(&tokens, "/admin/tokens");
  st_link_to(&users, "/admin/users");
  st_link_to(&groups, "/admin/groups");
  st_html_open(&p.h, "nav");
  st_html_attr(&p.h, "aria-label", "Administration");
  st_html_open(&p.h, "ul");
  st_page_item(&p.h, &hosts, "Hosts");
  st_page_item(&p.h, &tokens, "Tokens");
  if (r->who.role >= ST_ROLE_ADMIN) {
    st_page_item(&p.h, &users, "Users");
    st_page_item(&p.h, &groups, "Groups");
  }
  st_html_close(&p.h, "nav");
  return p;
}

/* ---- Forms --------------------------------------------------------------------------------------
 */

struct field {
  const char *label, *name;
  const char *type;          /* of what is typed; NULL: one of `values` is chosen */
  bool required;             /* of what is typed */
  const char *const *values; /* ends with NULL */
  const char *chosen;        /* of these; NULL: none of them */
};

#define TYPED(label_, name_, type_)                                                                \
  {                                                                                                \
    .label = (label_), .name = (name_), .type = (type_)                                            \
  }
#define NEEDED(label_, name_, type_)                                                               \
  {                                                                                                \
    .label = (label_), .name = (name_), .type = (type_), .required = true                          \
  }
#define CHOICE(label_, name_, values_, chosen_)                                                    \
  {                                                                                                \
    .label = (label_), .name = (name_), .values = (values_), .chosen = (chosen_)                   \
  }

/* Forms of one title stand in one fold; those without stand open. */
struct form {
  const char *title, *what, *id, *button;
  bool admin;             /* for administrators alone */
  struct field fields[4]; /* those without a label are none */
};

static void begin_form(struct admin *p, const char *what)
{
  ST_AUTO_LINK to = {0};
  st_link_to(&to, "/admin/");
  st_link_part(&to, what);
  st_frame_form(&p->h, p->r, &to);
}

/* The label of a field; `id`s are the page's own, so that each has its field. */
static void write_label(struct admin *p, const struct field *f, const char *form)
{
  st_html_open(&p->h, "label");
  st_html_attrf(&p->h, "for", "%s-%s", form, f->name);
  st_html_text(&p->h, f->label);
  st_html_close(&p->h, "label");
  st_html_text(&p->h, " ");
}

static void write_input(struct admin *p, const struct field *f, const char *form)
{
  bool password = strcmp(f->type, "password") == 0;
  st_html_open(&p->h, "input");
  st_html_attr(&p->h, "type", f->type);
  st_html_attrf(&p->h, "id", "%s-%s", form, f->name);
  st_html_attr(&p->h, "name", f->name);
  st_html_attr(&p->h, "autocomplete", password ? "new-password" : "off");
  if (f->required)
    st_html_flag(&p->h, "required");
}

static void write_choice(struct admin *p, const struct field *f, const char *form)
{
  st_html_open(&p->h, "select");
  st_html_attrf(&p->h, "id", "%s-%s", form, f->name);
  st_html_attr(&p->h, "name", f->name);
  for (const char *const *value = f->values; *value; value++) {
    st_html_open(&p->h, "option");
    st_html_attr(&p->h, "value", *value);
    if (f->chosen && strcmp(*value, f->chosen) == 0)
      st_html_flag(&p->h, "selected");
    st_html_text(&p->h, *value);
    st_html_close(&p->h, "option");
  }
}

static void write_form(struct admin *p, const struct form *form)
{
  begin_form(p, form->what);
  for (size_t i = 0; i < ST_COUNT(form->fields) && form->fields[i].label; i++) {
    const struct field *f = &form->fields[i];
    st_html_open(&p->h, "p");
    write_label(p, f, form->id);
    if (f->type)
      write_input(p, f, form->id);
    else
      write_choice(p, f, form->id);
    st_html_close(&p->h, "p");
  }
  st_html_open(&p->h, "p");
  st_frame_button(&p->h, form->button);
  st_html_close(&p->h, "form");
}

static void write_forms(struct admin *p, const struct form *forms, size_t count)
{
  const char *open = NULL;
  for (size_t i = 0; i < count; i++) {
    const char *title = forms[i].title;
    bool same = open && title && strcmp(open, title) == 0;
    if (forms[i].admin && p->r->who.role < ST_ROLE_ADMIN)
      continue;
    if (open && !same)
      st_html_close(&p->h, "details");
    if (title && !same) {
      st_html_open(&p->h, "details");
      st_html_element(&p->h, "summary", title);
    }
    open = title;
    write_form(p, &forms[i]);
  }
  if (open)
    st_html_close(&p->h, "details");
}

/* A form of one button, of a row of a table. */
#define write_act(p, what, button, field, value)                                                   \
  do {                                                                                             \
    begin_form(p, what);                                                                           \
    st_frame_hidden(&(p)->h, field, value);                                                        \
    st_frame_button(&(p)->h, button);                                                              \
    st_html_close(&(p)->h, "form");                                                                \
  } while (0)

/* ---- Hosts --------------------------------------------------------------------------------------
 */

static int write_pending(void *arg, const struct st_access_host *host, struct st_error *err)
{
  (void)err;
  struct admin *p = arg;
  if (!st_access_may_operate(p->r->server->access, &p->r->who, host->id) || !is_in_part(p))
    return 0;
  ST_AUTO_FREE char *sent = st_format_size(host->bytes > 0 ? (uint64_t)host->bytes : 0);
  st_page_row(&p->h);
  st_html_classed(&p->h, "span", "id", host->id);
  st_html_close(&p->h, "th");
  st_page_cell(&p->h, "Since");
  st_frame_time(&p->h, host->since);
  st_html_close(&p->h, "td");
  st_page_cell(&p->h, "From");
  st_html_bytes(&p->h, host->address, strlen(host->address));
  st_html_close(&p->h, "td");
  st_page_cell(&p->h, "Sent");
  st_html_text(&p->h, sent);
  st_html_close(&p->h, "td");
  st_page_cell(&p->h, "Decide");
  write_act(p, "approve", "Approve", "host", host->id);
  write_act(p, "deny", "Deny", "host", host->id);
  st_html_close(&p->h, "tr");
  return 0;
}

static int write_waiting(struct admin *p, struct st_error *err)
{
  static const char *const heads[] = {"Host", "Since", "From", "Sent", "Decide"};
  st_html_open(&p->h, "h2");
  st_html_attr(&p->h, "id", "pending");
  st_html_text(&p->h, "Hosts that wait for approval");
  st_html_close(&p->h, "h2");
  st_html_open(&p->h, "table");
  st_html_attr(&p->h, "class", "blocks");
  st_page_heads(&p->h, heads, ST_COUNT(heads));
  if (st_access_hosts(p->r->server->access, ST_HOST_PENDING, write_pending, p, err) < 0)
    return -1;
  end_list(p, "/admin");
  return 0;
}

static void write_host_forms(struct admin *p)
{
  static const char *const ways[] = {"token", "open", "closed", NULL};
  static const char fold[] = "Deny or approve another host";
  const struct form forms[] = {
      {fold, "deny", "deny", "Deny", false, {NEEDED("Host, by name or id", "host", "text")}},
      {fold,
       "approve",
       "approve",
       "Approve",
       false,
       {NEEDED("Host, by name or id", "host", "text")}},
      {NULL,
       "enrolment",
       "enrolment",
       "Set",
       true,
       {CHOICE("New hosts come in by", "enrolment", ways,
               st_enrolment_name(st_access_enrolment(p->r->server->access)))}},
  };
  write_forms(p, forms, ST_COUNT(forms));
}

/* ---- Tokens -------------------------------------------------------------------------------------
 */

static const char *token_kind(enum st_token_kind kind)
{
  return kind == ST_TOKEN_JOIN ? "join" : kind == ST_TOKEN_RESTORE ? "restore" : "API";
}

static void write_token_for(struct admin *p, const struct st_access_token *t)
{
  st_page_cell(&p->h, "For");
  if (t->kind == ST_TOKEN_RESTORE) {
    ST_AUTO_LINK to = {0};
    st_page_link_host(&to, t->host);
    st_html_anchor(&p->h, &to, t->host);
    if (*t->bound)
      st_html_printf(&p->h, ", taken up by %s", t->bound);
  } else if (t->kind == ST_TOKEN_API) {
    st_html_printf(&p->h, "%s", st_role_name(t->role));
    if (*t->group)
      st_html_printf(&p->h, " of the group %s", t->group);
  } else if (t->uses >= 0) {
    st_html_printf(&p->h, "%" PRId64 " more hosts", t->uses);
  } else {
    st_html_text(&p->h, "any number of hosts");
  }
  st_html_close(&p->h, "td");
}

static bool may_see_token(struct admin *p, const struct st_access_token *t)
{
  return p->r->who.role >= ST_ROLE_ADMIN ||
         (t->kind == ST_TOKEN_RESTORE &&
          st_access_may_operate(p->r->server->access, &p->r->who, t->host));
}

static int write_token(void *arg, const struct st_access_token *t, struct st_error *err)
{
  (void)err;
  struct admin *p = arg;
  if (!may_see_token(p, t) || !is_in_part(p))
    return 0;
  st_page_row(&p->h);
  st_html_bytes(&p->h, t->name, strlen(t->name));
  st_html_close(&p->h, "th");
  st_page_cell(&p->h, "Kind");
  st_html_text(&p->h, token_kind(t->kind));
  st_html_close(&p->h, "td");
  write_token_for(p, t);
  st_page_cell(&p->h, "Made");
  st_frame_time(&p->h, t->created);
  st_html_printf(&p->h, " by %s", t->by);
  st_html_close(&p->h, "td");
  st_page_cell(&p->h, "Expires");
  if (t->expires > 0)
    st_frame_time(&p->h, t->expires);
  else
    st_html_text(&p->h, "never");
  st_html_close(&p->h, "td");
  st_page_cell(&p->h, "End it");
  if (t->revoked)
    st_html_text(&p->h, "revoked");
  else
    write_act(p, "revoke", "Revoke", "name", t->name);
  st_html_close(&p->h, "tr");
  return 0;
}

static const char *const token_roles[] = {"viewer", "operator", "admin", NULL};

static const struct form token_forms[] = {
    {"New restore token: a new machine takes the place of a host",
     "restore-token",
     "restore",
     "Make",
     false,
     {NEEDED("Host, by name or id", "host", "text"),
      TYPED("Expires in hours (24 unless said)", "hours", "number")}},
    {"New join token: new hosts come in",
     "join-token",
     "join",
     "Make",
     true,
     {TYPED("Name", "name", "text"),
      TYPED("How many hosts (any number unless said)", "uses", "number"),
      TYPED("Expires in hours (never unless said)", "hours", "number")}},
    {"New API token: for programs",
     "api-token",
     "api",
     "Make",
     true,
     {NEEDED("Name", "name", "text"), CHOICE("Role", "role", token_roles, "viewer"),
      TYPED("For the hosts of this group alone", "group", "text"),
      TYPED("Expires in hours (never unless said)", "hours", "number")}},
};

static int write_tokens(struct admin *p, struct st_error *err)
{
  static const char *const heads[] = {"Token", "Kind", "For", "Made", "Expires", "End it"};
  st_html_open(&p->h, "table");
  st_html_attr(&p->h, "class", "blocks");
  st_page_heads(&p->h, heads, ST_COUNT(heads));
  if (st_access_tokens(p->r->server->access, write_token, p, err) < 0)
    return -1;
  end_list(p, "/admin/tokens");
  return 0;
}

/* ---- Users --------------------------------------------------------------------------------------
 */

static const char *const user_roles[] = {"none", "viewer", "operator", "admin", NULL};

static int write_user(void *arg, const struct st_access_user *u, struct st_error *err)
{
  (void)err;
  struct admin *p = arg;
  if (!is_in_part(p))
    return 0;
  st_page_row(&p->h);
  st_html_bytes(&p->h, u->name, strlen(u->name));
  st_html_close(&p->h, "th");
  st_page_cell(&p->h, "Role for all hosts");
  st_html_text(&p->h, u->role == ST_ROLE_NONE ? "none: by groups alone" : st_role_name(u->role));
  st_html_close(&p->h, "td");
  st_page_cell(&p->h, "Since");
  st_frame_time(&p->h, u->created);
  st_html_close(&p->h, "td");
  st_html_close(&p->h, "tr");
  return 0;
}

static const struct form user_forms[] = {
    {"New user",
     "add-user",
     "add-user",
     "Add",
     false,
     {NEEDED("Name", "name", "text"), CHOICE("Role for all hosts", "role", user_roles, "none"),
      NEEDED("Password (8 characters or more)", "password", "password")}},
    {"Change a user's role",
     "set-role",
     "set-role",
     "Change",
     false,
     {NEEDED("Name", "name", "text"), CHOICE("Role for all hosts", "role", user_roles, "none")}},
    {"Set a user's password",
     "set-password",
     "set-password",
     "Set",
     false,
     {NEEDED("Name", "name", "text"), NEEDED("New password", "password", "password")}},
    {"Remove a user",
     "remove-user",
     "remove-user",
     "Remove",
     false,
     {NEEDED("Name", "name", "text")}},
};

static int write_users(struct admin *p, struct st_error *err)
{
  static const char *const heads[] = {"User", "Role for all hosts", "Since"};
  st_html_open(&p->h, "table");
  st_html_attr(&p->h, "class", "blocks");
  st_page_heads(&p->h, heads, ST_COUNT(heads));
  if (st_access_users(p->r->server->access, write_user, p, err) < 0)
    return -1;
  end_list(p, "/admin/users");
  return 0;
}

/* ---- Groups -------------------------------------------------------------------------------------
 */

static int write_member(void *arg, const struct st_access_member *m, struct st_error *err)
{
  (void)err;
  struct admin *p = arg;
  if (!is_in_part(p))
    return 0;
  st_page_row(&p->h);
  st_html_bytes(&p->h, m->group, strlen(m->group));
  st_html_close(&p->h, "th");
  st_page_cell(&p->h, "Member");
  if (m->host) {
    ST_AUTO_LINK to = {0};
    st_page_link_host(&to, m->host);
    st_html_text(&p->h, "host ");
    st_html_anchor(&p->h, &to, m->host);
  } else if (m->user) {
    st_html_text(&p->h, "user ");
    st_html_bytes(&p->h, m->user, strlen(m->user));
    st_html_printf(&p->h, ", %s", st_role_name(m->role));
  } else {
    st_html_text(&p->h, "(the group)");
  }
  st_html_close(&p->h, "tr");
  return 0;
}

static const char *const group_roles[] = {"viewer", "operator", "none", NULL};
static const char *const group_ways[] = {"in", "out", NULL};

static const struct form group_forms[] = {
    {"New group", "add-group", "add-group", "Add", false, {NEEDED("Name", "group", "text")}},
    {"Take a host in or out",
     "group-host",
     "group-host",
     "Change",
     false,
     {NEEDED("Group", "group", "text"), NEEDED("Host, by name or id", "host", "text"),
      CHOICE("Takes it", "way", group_ways, "in")}},
    {"A user's role for a group",
     "group-user",
     "group-user",
     "Change",
     false,
     {NEEDED("Group", "group", "text"), NEEDED("User", "name", "text"),
      CHOICE("Role for its hosts", "role", group_roles, "viewer")}},
    {"Remove a group",
     "remove-group",
     "remove-group",
     "Remove",
     false,
     {NEEDED("Name", "group", "text")}},
};

static int write_groups(struct admin *p, struct st_error *err)
{
  static const char *const heads[] = {"Group", "Member"};
  st_html_open(&p->h, "table");
  st_html_attr(&p->h, "class", "blocks");
  st_page_heads(&p->h, heads, ST_COUNT(heads));
  if (st_access_groups(p->r->server->access, write_member, p, err) < 0)
    return -1;
  end_list(p, "/admin/groups");
  return 0;
}

int st_page_admin(struct st_request *r, struct st_error *err)
{
  struct admin p = begin_page(r, "Administration");
  if (write_waiting(&p, err) < 0)
    return -1;
  write_host_forms(&p);
  return st_frame_end(&p.h);
}

int st_page_tokens(struct st_request *r, struct st_error *err)
{
  struct admin p = begin_page(r, "Tokens");
  write_forms(&p, token_forms, ST_COUNT(token_forms));
  return write_tokens(&p, err) < 0 ? -1 : st_frame_end(&p.h);
}

int st_page_users(struct st_request *r, struct st_error *err)
{
  struct admin p = begin_page(r, "Users");
  write_forms(&p, user_forms, ST_COUNT(user_forms));
  return write_users(&p, err) < 0 ? -1 : st_frame_end(&p.h);
}

int st_page_groups(struct st_request *r, struct st_error *err)
{
  struct admin p = begin_page(r, "Groups of hosts");
  write_forms(&p, group_forms, ST_COUNT(group_forms));
  return write_groups(&p, err) < 0 ? -1 : st_frame_end(&p.h);
}
