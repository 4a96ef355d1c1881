/* SPDX-License-Identifier: GPL-2.0-or-later */
/* page.c - the pages' routes, and what all of them have in common. */
#include "config.h"

#include "archive-sync/serve/page.h"

#include <inttypes.h>
#include <string.h>

#include "archive-sync/serve/command.h"
#include "archive-sync/serve/options.h"
#include "archive-sync/serve/tls.h"
#include "systracker/base/escape.h"

/* ---- What is asked for --------------------------------------------------------------------------
 */

static size_t query_size(const struct st_request *r, const char *name, size_t otherwise)
{
  const char *text = st_request_query(r, name);
  int64_t n;
  if (!text || st_parse_number(text, &n, NULL) < 0 || n > INT32_MAX)
    return otherwise;
  return (size_t)n;
}

struct st_view_span st_page_span(const struct st_request *r)
{
  struct st_view_span span = {query_size(r, "offset", 0), query_size(r, "limit", ST_PAGE_ROWS)};
  if (span.limit == 0 || span.limit > ST_VIEW_LIMIT)
    span.limit = ST_PAGE_ROWS;
  return span;
}

int st_page_kind(const struct st_request *r)
{
  const char *text = st_request_query(r, "kind");
  for (int i = 0; text && i < ST_VIEW_KINDS; i++)
    if (strcmp(text, st_view_kind_words[i]) == 0)
      return i;
  return -1;
}

char *st_page_path(const struct st_request *r)
{
  const char *path = st_request_query(r, "path"), *shown = st_request_query(r, "shown");
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  if (path && *path)
    st_buffer_append_string(&bytes, path);
  else if (!shown || st_unescape(shown, &bytes, NULL) < 0)
    return NULL;
  if (bytes.length == 0 || bytes.data[0] != '/' || strlen(bytes.data) != bytes.length)
    return NULL;
  while (bytes.length > 1 && bytes.data[bytes.length - 1] == '/')
    bytes.data[--bytes.length] = 0;
  return st_buffer_steal(&bytes, NULL);
}

int st_page_open_host(struct st_request *r, const char *host, struct st_hostview **ret,
                      struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int found = st_hostviews_open(r->server->views, host, ret, &why);
  if (found < 0)
    return st_error_move(err, &why);
  if (found > 0)
    st_reply_refuse(r, 404, "%s", st_error_text(&why));
  return found;
}

int st_page_open(struct st_request *r, struct st_hostview **ret, struct st_error *err)
{
  return st_page_open_host(r, r->parts[0], ret, err);
}

int st_page_checkpoint(struct st_request *r, struct st_hostview *v, const char *text, int64_t *ret,
                       struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int found = st_hostview_resolve(v, text && *text ? text : "latest", ret, &why);
  if (found < 0)
    return st_error_move(err, &why);
  if (found > 0)
    st_reply_refuse(r, 404, "%s", st_error_text(&why));
  return found;
}

/* ---- Hosts by name ------------------------------------------------------------------------------
 */

bool st_page_may_see(void *arg, const char *host)
{
  const struct st_request *r = arg;
  return st_access_may_see(r->server->access, &r->who, host);
}

struct st_fleet_query st_page_fleet_query(struct st_request *r)
{
  struct st_view_span span = st_page_span(r);
  bool all = st_access_sees_all(r->server->access, &r->who);
  return (struct st_fleet_query){.sort = "name",
                                 .offset = span.offset,
                                 .limit = span.limit,
                                 .visible = all ? NULL : st_page_may_see,
                                 .arg = r};
}

struct named {
  const char *text;
  char *host; /* the one that is meant, malloc'ed; or the first of several */
  bool whole; /* it is named in full */
};

static int take_named(void *arg, const struct st_fleet_host *host, struct st_error *err)
{
  (void)err;
  struct named *n = arg;
  bool whole = strcmp(host->id, n->text) == 0 || (host->name && strcmp(host->name, n->text) == 0);
  if (n->host && (n->whole || !whole))
    return 0;
  free(n->host);
  n->host = st_strdup(host->id);
  n->whole = whole;
  return 0;
}

/* Found among so many matches: what is named in full may be any of them. */
#define NAMED_MAX 1000

int st_page_find_host(struct st_request *r, const char *text, char **ret, struct st_error *err)
{
  struct named named = {.text = text};
  struct st_fleet_query query = st_page_fleet_query(r);
  size_t total = 0;
  *ret = NULL;
  if (text && *text && st_access_may_read(r->server->access, &r->who, text)) {
    *ret = st_strdup(text);
    return 0;
  }
  query.match = text;
  query.offset = 0;
  query.limit = NAMED_MAX;
  if (text && *text &&
      st_fleet_hosts(r->server->fleet, &query, take_named, &named, &total, err) < 0) {
    free(named.host);
    return -1;
  }
  if (named.host && (named.whole || total == 1)) {
    *ret = named.host;
    return 0;
  }
  free(named.host);
  st_reply_refuse(r, 404, total > 1 ? "more than one host is meant by %s" : "there is no host %s",
                  st_quote(text));
  return 1;
}

/* ---- Addresses ----------------------------------------------------------------------------------
 */

void st_page_link_host(struct st_link *to, const char *host)
{
  st_link_to(to, "/hosts/");
  st_link_host(to, host);
}

void st_page_link_checkpoint(struct st_link *to, const char *host, int64_t number)
{
  st_page_link_host(to, host);
  st_link_to(to, "/checkpoints/");
  st_link_number(to, number);
}

void st_page_link_file(struct st_link *to, const char *host, int64_t number, const char *path)
{
  st_page_link_host(to, host);
  st_link_to(to, "/files/");
  st_link_number(to, number);
  st_link_query(to, "path", path);
}

void st_page_link_history(struct st_link *to, const char *host, const char *path)
{
  st_page_link_host(to, host);
  st_link_to(to, "/history");
  st_link_query(to, "path", path);
}

void st_page_link_packages(struct st_link *to, const char *host, int64_t number)
{
  st_page_link_host(to, host);
  st_link_to(to, "/packages");
  st_link_query_number(to, "checkpoint", number);
}

/* ---- Parts --------------------------------------------------------------------------------------
 */

const char *st_page_name(const struct st_hostview *v)
{
  return v->name && *v->name ? v->name : v->host;
}

void st_page_item(struct st_html *h, const struct st_link *to, const char *text)
{
  st_html_open(h, "li");
  st_html_anchor(h, to, text);
  st_html_close(h, "li");
}

void st_page_trail(struct st_html *h, const struct st_hostview *v, int64_t number)
{
  ST_AUTO_LINK hosts = {0}, host = {0}, checkpoint = {0};
  st_link_to(&hosts, "/");
  st_page_link_host(&host, v->host);
  st_html_open(h, "nav");
  st_html_attr(h, "aria-label", "Where this is");
  st_html_open(h, "ul");
  st_html_attr(h, "class", "trail");
  st_page_item(h, &hosts, "Hosts");
  st_page_item(h, &host, st_page_name(v));
  if (number > 0) {
    ST_AUTO_FREE char *text = st_format("Checkpoint %" PRId64, number);
    st_page_link_checkpoint(&checkpoint, v->host, number);
    st_page_item(h, &checkpoint, text);
  }
  st_html_close(h, "nav");
}

void st_page_link_copy(struct st_link *to, const struct st_link *from)
{
  to->query = from->query;
  st_buffer_append(&to->text, from->text.data, from->text.length);
}

static void write_page_link(struct st_html *h, const struct st_link *base, struct st_view_span span,
                            size_t offset, const char *text)
{
  ST_AUTO_LINK to = {0};
  st_page_link_copy(&to, base);
  if (offset > 0)
    st_link_query_number(&to, "offset", (int64_t)offset);
  if (span.limit != ST_PAGE_ROWS)
    st_link_query_number(&to, "limit", (int64_t)span.limit);
  st_page_item(h, &to, text);
}

void st_page_paging(struct st_html *h, const struct st_link *base, struct st_view_span span,
                    size_t shown, size_t total)
{
  if (total <= shown && span.offset == 0)
    return;
  size_t last = total > 0 ? (total - 1) / span.limit * span.limit : 0;
  size_t before = span.offset > span.limit ? span.offset - span.limit : 0;
  st_html_open(h, "nav");
  st_html_attr(h, "aria-label", "Parts of the list");
  st_html_open(h, "ul");
  st_html_attr(h, "class", "paging");
  st_html_open(h, "li");
  if (shown > 0)
    st_html_printf(h, "%zu to %zu of %zu", span.offset + 1, span.offset + shown, total);
  else
    st_html_printf(h, "none of %zu", total);
  st_html_close(h, "li");
  if (span.offset > 0) {
    write_page_link(h, base, span, 0, "First");
    write_page_link(h, base, span, before < last ? before : last, "Previous");
  }
  if (span.offset < last) {
    write_page_link(h, base, span, span.offset + span.limit, "Next");
    write_page_link(h, base, span, last, "Last");
  }
  st_html_close(h, "nav");
}

void st_page_row(struct st_html *h)
{
  st_html_open(h, "tr");
  st_html_open(h, "th");
  st_html_attr(h, "scope", "row");
}

void st_page_row_of_checkpoint(struct st_html *h, const char *host, int64_t number, int64_t time)
{
  ST_AUTO_LINK to = {0};
  ST_AUTO_FREE char *text = st_format("%" PRId64, number);
  st_page_row(h);
  st_page_link_checkpoint(&to, host, number);
  st_html_anchor(h, &to, text);
  st_html_close(h, "th");
  st_page_cell(h, "Time");
  st_frame_time(h, time);
  st_html_close(h, "td");
}

void st_page_cell(struct st_html *h, const char *label)
{
  st_html_open(h, "td");
  st_html_attr(h, "data-label", label);
}

void st_page_heads(struct st_html *h, const char *const *heads, size_t n)
{
  st_html_open(h, "thead");
  st_html_open(h, "tr");
  for (size_t i = 0; i < n; i++) {
    st_html_open(h, "th");
    st_html_attr(h, "scope", "col");
    st_html_text(h, heads[i]);
    st_html_close(h, "th");
  }
  st_html_close(h, "thead");
  st_html_open(h, "tbody");
}

void st_page_fact(struct st_html *h, const char *term, const char *words)
{
  if (!words)
    return;
  st_html_element(h, "dt", term);
  st_html_element(h, "dd", words);
}

/* Behind a proxy that does TLS its key is what hosts see, which is not known here. */
char *st_page_url(struct st_request *r, const char *token)
{
  ST_AUTO_FREE char *pin = NULL;
  if (!r->server->options->plain && st_tls_digest(r->server->archive->dir, &pin, NULL) < 0)
    pin = NULL;
  return st_command_join(st_request_header(r, "Host"), pin, token);
}

/* ---- The command that restores it ---------------------------------------------------------------
 */

static void write_command(struct st_html *h, const char *command)
{
  st_html_open(h, "pre");
  st_html_attr(h, "class", "command");
  st_html_attr(h, "tabindex", "0");
  st_html_element(h, "code", command);
  st_html_close(h, "pre");
}

void st_page_restore(struct st_html *h, struct st_request *r, const char *host, int64_t number,
                     const char *path)
{
  ST_AUTO_FREE char *url = st_page_url(r, NULL);
  ST_AUTO_FREE char *command = st_command_restore(url, host, number, path);
  st_html_open(h, "details");
  st_html_attr(h, "class", "restore");
  st_html_flag(h, "open");
  st_html_open(h, "summary");
  st_html_printf(h, "The command that restores %s as of checkpoint %" PRId64,
                 path ? "the path" : "everything", number);
  st_html_close(h, "summary");
  write_command(h, command);
  st_html_open(h, "p");
  st_html_text(h, "On the host itself, as root; with ");
  st_html_element(h, "code", "--dry-run");
  st_html_text(h, " it only says what it would do. A new machine takes the place of this one with "
                  "a restore token, which an operator makes; what is secret is restored with ");
  st_html_element(h, "code", "--recovery-key FILE");
  st_html_text(h, " alone.");
  st_html_close(h, "p");
  st_html_close(h, "details");
}

/* ---- Routes -------------------------------------------------------------------------------------
 */

#define PAGE (ST_ROUTE_PAGE | ST_ROUTE_WORK)
#define FORM_MAX (16 << 10) /* bytes */
#define HOST_PAGE (PAGE | ST_ROUTE_HOST)

const struct st_route st_page_routes[] = {
    {"GET", "/", ST_ROLE_VIEWER, PAGE, ST_BODY_NONE, 0, st_page_hosts},
    {"GET", "/style.css", ST_ROLE_NONE, 0, ST_BODY_NONE, 0, st_page_style},
    {"GET", "/favicon.ico", ST_ROLE_NONE, 0, ST_BODY_NONE, 0, st_page_icon},
    {"GET", "/search", ST_ROLE_VIEWER, PAGE, ST_BODY_NONE, 0, st_page_search},
    {"GET", "/diff", ST_ROLE_VIEWER, PAGE, ST_BODY_NONE, 0, st_page_compare_two},
    {"GET", "/hosts/*", ST_ROLE_VIEWER, HOST_PAGE, ST_BODY_NONE, 0, st_page_timeline},
    {"GET", "/hosts/*/checkpoints/*", ST_ROLE_VIEWER, HOST_PAGE, ST_BODY_NONE, 0, st_page_show},
    {"GET", "/hosts/*/diff", ST_ROLE_VIEWER, HOST_PAGE, ST_BODY_NONE, 0, st_page_compare},
    {"GET", "/hosts/*/files/*", ST_ROLE_VIEWER, HOST_PAGE, ST_BODY_NONE, 0, st_page_file},
    {"GET", "/hosts/*/history", ST_ROLE_VIEWER, HOST_PAGE, ST_BODY_NONE, 0, st_page_history},
    {"GET", "/hosts/*/packages", ST_ROLE_VIEWER, HOST_PAGE, ST_BODY_NONE, 0, st_page_packages},
    {"GET", "/admin", ST_ROLE_OPERATOR, PAGE, ST_BODY_NONE, 0, st_page_admin},
    {"GET", "/admin/tokens", ST_ROLE_OPERATOR, PAGE, ST_BODY_NONE, 0, st_page_tokens},
    {"GET", "/admin/users", ST_ROLE_ADMIN, PAGE, ST_BODY_NONE, 0, st_page_users},
    {"GET", "/admin/groups", ST_ROLE_ADMIN, PAGE, ST_BODY_NONE, 0, st_page_groups},
    {"POST", "/admin/*", ST_ROLE_OPERATOR, PAGE, ST_BODY_MEMORY, FORM_MAX, st_page_administer},
    {0},
};
