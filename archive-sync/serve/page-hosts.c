/* SPDX-License-Identifier: GPL-2.0-or-later */
/* page-hosts.c - all hosts: when each was last heard of, and what its nights were like. */
#include "config.h"

#include "archive-sync/serve/page.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

struct hosts {
  struct st_request *r;
  struct st_html h;
  struct st_fleet_query query;
  int64_t now;
  size_t shown;
};

static void link_list(struct st_link *to, const struct st_fleet_query *query)
{
  st_link_to(to, "/");
  st_link_query(to, "q", query->match);
  st_link_query(to, "sort", query->sort);
  st_link_query(to, "descending", query->descending ? "1" : NULL);
  st_link_query(to, "silent", query->silent_only ? "1" : NULL);
}

/* ---- What is asked for --------------------------------------------------------------------------
 */

static const char *one_of(const char *text, const char *const *names)
{
  while (text && *names && strcmp(text, *names) != 0)
    names++;
  return text ? *names : NULL;
}

static void read_query(struct hosts *p)
{
  static const char *const sorts[] = {"name", "age", "changes", "size", "silent", NULL};
  const char *sort = one_of(st_request_query(p->r, "sort"), sorts);
  const char *match = st_request_query(p->r, "q");
  p->query = st_page_fleet_query(p->r);
  p->query.match = match && *match ? match : NULL;
  p->query.sort = sort ? sort : "silent";
  p->query.descending = st_request_query(p->r, "descending");
  p->query.silent_only = st_request_query(p->r, "silent");
}

/* ---- The form -----------------------------------------------------------------------------------
 */

static void write_form(struct hosts *p)
{
  ST_AUTO_LINK to = {0};
  st_link_to(&to, "/");
  st_html_open(&p->h, "form");
  st_html_attr(&p->h, "role", "search");
  st_html_link(&p->h, "action", &to);
  st_frame_field(&p->h, "Name or id", "search", "q");
  st_html_attr(&p->h, "value", p->query.match);
  st_html_text(&p->h, " ");
  st_html_open(&p->h, "label");
  st_html_open(&p->h, "input");
  st_html_attr(&p->h, "type", "checkbox");
  st_html_attr(&p->h, "name", "silent");
  st_html_attr(&p->h, "value", "1");
  if (p->query.silent_only)
    st_html_flag(&p->h, "checked");
  st_html_text(&p->h, " silent ones alone");
  st_html_close(&p->h, "label");
  st_html_text(&p->h, " ");
  st_frame_button(&p->h, "Show");
  st_html_close(&p->h, "form");
}

/* ---- What needs somebody ------------------------------------------------------------------------
 */

#define TWINS_MAX 20 /* so many are named */

struct notices {
  struct hosts *p;
  size_t pending, twins;
};

static void write_twins(struct st_html *h, const struct st_access_host *host)
{
  ST_AUTO_LINK to = {0};
  st_page_link_host(&to, host->id);
  st_html_open(h, "p");
  st_html_classed(h, "strong", "warn", "Two machines use one key: ");
  st_html_anchor(h, &to, host->id);
  st_html_printf(h, ", at %s and %s, last on ", host->address, host->twin);
  st_frame_time(h, host->twins);
  st_html_text(h, ". One of them is a copy: it needs a key of its own.");
  st_html_close(h, "p");
}

static int take_notice(void *arg, const struct st_access_host *host, struct st_error *err)
{
  (void)err;
  struct notices *n = arg;
  struct st_request *r = n->p->r;
  if (host->state == ST_HOST_PENDING && r->who.role >= ST_ROLE_OPERATOR)
    n->pending += st_access_may_operate(r->server->access, &r->who, host->id);
  if (host->twins > 0 && st_access_may_see(r->server->access, &r->who, host->id) &&
      n->twins++ < TWINS_MAX)
    write_twins(&n->p->h, host);
  return 0;
}

static int write_notices(struct hosts *p, struct st_error *err)
{
  struct notices n = {.p = p};
  if (st_access_hosts(p->r->server->access, -1, take_notice, &n, err) < 0)
    return -1;
  if (n.pending == 0)
    return 0;
  ST_AUTO_LINK to = {0};
  ST_AUTO_FREE char *text = st_format(
      n.pending == 1 ? "%zu host waits for approval" : "%zu hosts wait for approval", n.pending);
  st_link_to(&to, "/admin");
  st_html_open(&p->h, "p");
  st_html_anchor(&p->h, &to, text);
  st_html_close(&p->h, "p");
  return 0;
}

/* ---- The table ----------------------------------------------------------------------------------
 */

static void write_head(struct hosts *p, const char *text, const char *sort)
{
  st_html_open(&p->h, "th");
  st_html_attr(&p->h, "scope", "col");
  if (!sort) {
    st_html_text(&p->h, text);
  } else {
    bool is = strcmp(sort, p->query.sort) == 0;
    struct st_fleet_query query = p->query;
    ST_AUTO_LINK to = {0};
    query.sort = sort;
    query.descending = is && !p->query.descending;
    link_list(&to, &query);
    if (is)
      st_html_attr(&p->h, "aria-sort", p->query.descending ? "descending" : "ascending");
    st_html_anchor(&p->h, &to, text);
  }
  st_html_close(&p->h, "th");
}

static void begin_table(struct hosts *p)
{
  static const struct {
    const char *text, *sort;
  } heads[] = {{"Host", "name"},
               {"State", "silent"},
               {"Last checkpoint", "age"},
               {"Changes, 30 nights", "changes"},
               {"Packages", NULL},
               {"Deviations", NULL},
               {"Size", "size"}};
  st_html_open(&p->h, "table");
  st_html_attr(&p->h, "class", "blocks hosts");
  st_html_open(&p->h, "thead");
  st_html_open(&p->h, "tr");
  for (size_t i = 0; i < ST_COUNT(heads); i++)
    write_head(p, heads[i].text, heads[i].sort);
  st_html_close(&p->h, "thead");
  st_html_open(&p->h, "tbody");
}

static void write_name(struct hosts *p, const struct st_fleet_host *host)
{
  ST_AUTO_LINK to = {0};
  st_page_link_host(&to, host->id);
  st_html_open(&p->h, "th");
  st_html_attr(&p->h, "scope", "row");
  st_html_open(&p->h, "a");
  st_html_link(&p->h, "href", &to);
  if (host->name && *host->name)
    st_html_bytes(&p->h, host->name, strlen(host->name));
  else
    st_html_text(&p->h, "no name");
  st_html_close(&p->h, "a");
  st_html_printf(&p->h, " ");
  st_html_open(&p->h, "span");
  st_html_attr(&p->h, "class", "id");
  st_html_printf(&p->h, "%.12s", host->id);
  st_html_close(&p->h, "th");
}

static void write_warning(struct hosts *p, const char *words, bool *any)
{
  if (*any)
    st_html_text(&p->h, ", ");
  *any = true;
  st_html_classed(&p->h, "strong", "warn", words);
}

static void write_state(struct hosts *p, const struct st_fleet_host *host)
{
  struct st_access_host access = {0};
  bool any = false;
  st_access_host(p->r->server->access, host->id, &access);
  st_page_cell(&p->h, "State");
  if (host->silent)
    write_warning(p, "silent", &any);
  if (host->incomplete)
    write_warning(p, "incomplete", &any);
  if (access.twins > 0)
    write_warning(p, "two machines use its key", &any);
  if (*access.continued) {
    ST_AUTO_LINK to = {0};
    st_page_link_host(&to, access.continued);
    st_html_text(&p->h, any ? ", " : "");
    any = true;
    if (st_access_may_see(p->r->server->access, &p->r->who, access.continued))
      st_html_anchor(&p->h, &to, "continued by another");
    else
      st_html_text(&p->h, "continued by another");
  }
  if (!any)
    st_html_text(&p->h, host->number > 0 ? "well" : "nothing yet");
  st_html_close(&p->h, "td");
}

static void write_latest(struct hosts *p, const struct st_fleet_host *host)
{
  ST_AUTO_LINK to = {0};
  st_page_cell(&p->h, "Last checkpoint");
  if (host->number > 0) {
    ST_AUTO_FREE char *age = st_frame_age(host->time, p->now);
    ST_AUTO_FREE char *number = st_format("%" PRId64, host->number);
    st_page_link_checkpoint(&to, host->id, host->number);
    st_html_anchor(&p->h, &to, number);
    st_html_printf(&p->h, ", %s", age);
  } else {
    st_html_text(&p->h, "none");
  }
  st_html_close(&p->h, "td");
}

static void write_number(struct hosts *p, const char *label, int64_t n)
{
  st_html_open(&p->h, "td");
  st_html_attr(&p->h, "data-label", label);
  st_html_attr(&p->h, "class", "number");
  st_html_printf(&p->h, "%" PRId64, n);
  st_html_close(&p->h, "td");
}

static int write_host(void *arg, const struct st_fleet_host *host, struct st_error *err)
{
  (void)err;
  struct hosts *p = arg;
  ST_AUTO_FREE char *size = st_format_size(host->bytes > 0 ? (uint64_t)host->bytes : 0);
  st_html_open(&p->h, "tr");
  write_name(p, host);
  write_state(p, host);
  write_latest(p, host);
  st_page_cell(&p->h, "Changes, 30 nights");
  st_page_chart(&p->h, host->nights);
  st_html_close(&p->h, "td");
  write_number(p, "Packages", host->packages);
  write_number(p, "Deviations", host->deviations);
  st_html_open(&p->h, "td");
  st_html_attr(&p->h, "data-label", "Size");
  st_html_attr(&p->h, "class", "number");
  st_html_text(&p->h, size);
  st_html_close(&p->h, "tr");
  p->shown++;
  return 0;
}

int st_page_hosts(struct st_request *r, struct st_error *err)
{
  struct hosts p = {.r = r, .now = time(NULL)};
  size_t total = 0;
  ST_AUTO_LINK base = {0};
  read_query(&p);
  link_list(&base, &p.query);
  p.h = st_frame_begin(r, "Hosts");
  if (write_notices(&p, err) < 0)
    return -1;
  write_form(&p);
  begin_table(&p);
  if (st_fleet_hosts(r->server->fleet, &p.query, write_host, &p, &total, err) < 0)
    return -1;
  st_html_close(&p.h, "table");
  st_html_open(&p.h, "p");
  st_html_printf(&p.h, total == 1 ? "%zu host." : "%zu hosts.", total);
  st_html_close(&p.h, "p");
  st_page_paging(&p.h, &base, (struct st_view_span){p.query.offset, p.query.limit}, p.shown, total);
  return st_frame_end(&p.h);
}
