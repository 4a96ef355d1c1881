/* SPDX-License-Identifier: GPL-2.0-or-later */
/* page-search.c - which hosts have a path, a package, a content. */
#include "config.h"

#include "archive-sync/serve/page.h"

#include <inttypes.h>
#include <string.h>

#include "systracker/base/escape.h"

typedef int find_fn(struct st_fleet *f, const char *text, const struct st_fleet_query *query,
                    st_fleet_hit_fn *fn, void *arg, struct st_error *err);

struct search {
  struct st_html h;
  struct st_view_span span;
  size_t shown; /* at most span.limit; one more is asked for, which says that there are more */
  bool more;
};

static const struct kind {
  const char *name, *label, *hint;
  find_fn *find;
} kinds[] = {
    {"path", "path", "a path that deviates or belongs to no package; * and ? stand for any",
     st_fleet_find_path},
    {"package", "package",
     "a name, or with a version: openssl < 3.0.11-1, compared by deb's or rpm's rules",
     st_fleet_find_package},
    {"digest", "digest", "a content's SHA-256, or its first 8 digits or more",
     st_fleet_find_digest},
};

static const struct kind *find_kind(const char *name)
{
  for (size_t i = 0; name && i < ST_COUNT(kinds); i++)
    if (strcmp(name, kinds[i].name) == 0)
      return &kinds[i];
  return &kinds[0];
}

/* ---- The form -----------------------------------------------------------------------------------
 */

static void write_kind(struct st_html *h, const struct kind *kind, bool checked)
{
  st_html_open(h, "p");
  st_html_open(h, "label");
  st_html_open(h, "input");
  st_html_attr(h, "type", "radio");
  st_html_attr(h, "name", "in");
  st_html_attr(h, "value", kind->name);
  if (checked)
    st_html_flag(h, "checked");
  st_html_text(h, " ");
  st_html_element(h, "b", kind->label);
  st_html_close(h, "label");
  st_html_printf(h, ": %s", kind->hint);
  st_html_close(h, "p");
}

static void write_form(struct st_html *h, const struct kind *kind, const char *text)
{
  ST_AUTO_LINK to = {0};
  st_link_to(&to, "/search");
  st_html_open(h, "form");
  st_html_attr(h, "role", "search");
  st_html_link(h, "action", &to);
  st_html_open(h, "fieldset");
  st_html_element(h, "legend", "In all hosts, search for");
  for (size_t i = 0; i < ST_COUNT(kinds); i++)
    write_kind(h, &kinds[i], kind == &kinds[i]);
  st_frame_field(h, "Text", "search", "q");
  if (text)
    st_html_attr_bytes(h, "value", text, strlen(text));
  st_html_flag(h, "required");
  st_html_text(h, " ");
  st_frame_button(h, "Search");
  st_html_close(h, "form");
}

/* ---- What was found -----------------------------------------------------------------------------
 */

static void write_found(struct st_html *h, const struct st_fleet_hit *hit)
{
  ST_AUTO_LINK to = {0};
  if (hit->path) {
    ST_AUTO_FREE char *path = st_memdup(hit->path, hit->path_length);
    ST_AUTO_FREE char *shown = st_escaped(path, hit->path_length);
    st_page_link_file(&to, hit->host, hit->number, path);
    st_html_anchor(h, &to, shown);
  } else if (hit->package) {
    st_page_link_packages(&to, hit->host, hit->number);
    st_link_query(&to, "q", hit->package);
    st_html_open(h, "a");
    st_html_link(h, "href", &to);
    st_html_bytes(h, hit->package, strlen(hit->package));
    st_html_close(h, "a");
  }
  if (hit->version) {
    st_html_text(h, " ");
    st_html_bytes(h, hit->version, strlen(hit->version));
  }
}

static int write_hit(void *arg, const struct st_fleet_hit *hit, struct st_error *err)
{
  (void)err;
  struct search *p = arg;
  struct st_html *h = &p->h;
  ST_AUTO_LINK host = {0}, checkpoint = {0};
  if (p->shown == p->span.limit) {
    p->more = true;
    return 0;
  }
  ST_AUTO_FREE char *number = st_format("%" PRId64, hit->number);
  st_page_row(h);
  st_page_link_host(&host, hit->host);
  st_html_open(h, "a");
  st_html_link(h, "href", &host);
  if (hit->name && *hit->name)
    st_html_bytes(h, hit->name, strlen(hit->name));
  else
    st_html_printf(h, "%.12s", hit->host);
  st_html_close(h, "th");
  st_page_cell(h, "Found");
  write_found(h, hit);
  st_html_close(h, "td");
  st_page_cell(h, "At");
  st_html_text(h, hit->now ? "now, checkpoint " : "until checkpoint ");
  st_page_link_checkpoint(&checkpoint, hit->host, hit->number);
  st_html_anchor(h, &checkpoint, number);
  st_html_close(h, "tr");
  p->shown++;
  return 0;
}

/* What is no question of this kind is said above the (empty) answer, in the words of whoever
 * knows. */
static int write_hits(struct st_request *r, struct search *p, const struct kind *kind,
                      const char *text, struct st_error *err)
{
  static const char *const heads[] = {"Host", "Found", "At"};
  struct st_fleet_query query = st_page_fleet_query(r);
  query.limit++;
  st_html_open(&p->h, "table");
  st_html_attr(&p->h, "class", "blocks");
  st_page_heads(&p->h, heads, ST_COUNT(heads));
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int found = kind->find(r->server->fleet, text, &query, write_hit, p, &why);
  st_html_close(&p->h, "table");
  if (found < 0 && why.status != ST_EXIT_INCOMPLETE)
    return st_error_move(err, &why);
  if (found < 0)
    st_html_element(&p->h, "p", st_error_text(&why));
  else if (p->shown == 0)
    st_html_element(&p->h, "p", "No host that you may see has it.");
  ST_AUTO_LINK base = {0};
  st_link_to(&base, "/search");
  st_link_query(&base, "in", kind->name);
  st_link_query(&base, "q", text);
  st_page_paging(&p->h, &base, p->span, p->shown, p->span.offset + p->shown + (p->more ? 1 : 0));
  return 0;
}

int st_page_search(struct st_request *r, struct st_error *err)
{
  const struct kind *kind = find_kind(st_request_query(r, "in"));
  const char *text = st_request_query(r, "q");
  struct search p = {.span = st_page_span(r)};
  p.h = st_frame_begin(r, "Search");
  write_form(&p.h, kind, text);
  if (text && *text && write_hits(r, &p, kind, text, err) < 0)
    return -1;
  return st_frame_end(&p.h);
}
