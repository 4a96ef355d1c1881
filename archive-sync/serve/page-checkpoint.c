/* SPDX-License-Identifier: GPL-2.0-or-later */
/* page-checkpoint.c - one checkpoint: what changed with it, and what it covers. */
#include "config.h"

#include "archive-sync/serve/page.h"

#include <inttypes.h>
#include <string.h>

#include "systracker/base/escape.h"

static void write_facts(struct st_html *h, const struct st_checkpoint *cp)
{
  char digest[2 * ST_DIGEST_SIZE + 1];
  st_html_open(h, "dl");
  st_html_element(h, "dt", "Time");
  st_html_open(h, "dd");
  st_frame_time(h, cp->time);
  st_html_close(h, "dd");
  if (cp->tags) {
    st_html_element(h, "dt", "Tags");
    st_html_element_bytes(h, "dd", cp->tags, strlen(cp->tags));
  }
  if (cp->message) {
    st_html_element(h, "dt", "Message");
    st_html_element_bytes(h, "dd", cp->message, strlen(cp->message));
  }
  st_hex(digest, cp->header_digest, ST_DIGEST_SIZE);
  st_html_element(h, "dt", "In the chain");
  st_html_open(h, "dd");
  st_html_classed(h, "span", "digest", digest);
  st_html_close(h, "dd");
  st_html_close(h, "dl");
}

static void write_list(struct st_html *h, const char *title, const struct st_strings *items)
{
  if (items->count == 0)
    return;
  st_html_element(h, "h3", title);
  st_html_open(h, "ul");
  for (size_t i = 0; i < items->count; i++)
    st_html_element(h, "li", items->items[i]);
  st_html_close(h, "ul");
}

static int write_scope(struct st_html *h, struct st_hostview *v, const struct st_checkpoint *cp,
                       struct st_error *err)
{
  struct st_view_scope scope = {0};
  if (st_hostview_scope(v, cp->number, &scope, err) < 0)
    return -1;
  if (cp->incomplete || scope.missed.count > 0) {
    st_html_open(h, "section");
    st_html_attr(h, "class", "note");
    st_html_element(h, "h2", "Incomplete");
    st_html_element(h, "p", "What was not seen is taken to be as it was before:");
    write_list(h, "Not seen", &scope.missed);
    st_html_close(h, "section");
  }
  st_html_open(h, "details");
  st_html_open(h, "summary");
  st_html_element(h, "h2", "What it covers");
  st_html_close(h, "summary");
  write_list(h, "Plug-ins", &scope.plugins);
  write_list(h, "Mounts", &scope.mounts);
  st_html_close(h, "details");
  st_view_scope_clear(&scope);
  return 0;
}

/* The next one whose facts are here; 0: there is none. */
static int64_t later(const struct st_hostview *v, int64_t number)
{
  while (++number <= v->latest)
    if (st_catalog_held(v->t->catalog, number) == ST_HELD)
      return number;
  return 0;
}

static void write_neighbours(struct st_html *h, const struct st_hostview *v, int64_t number)
{
  int64_t previous = st_catalog_before(v->t->catalog, number), next = later(v, number);
  ST_AUTO_LINK before = {0}, after = {0}, packages = {0}, compare = {0};
  st_html_open(h, "ul");
  st_html_attr(h, "class", "links");
  if (previous > 0) {
    st_page_link_checkpoint(&before, v->host, previous);
    st_page_item(h, &before, "Earlier");
  }
  if (next > 0) {
    st_page_link_checkpoint(&after, v->host, next);
    st_page_item(h, &after, "Later");
    st_page_link_host(&compare, v->host);
    st_link_to(&compare, "/diff");
    st_link_query_number(&compare, "from", number);
    st_link_query_number(&compare, "to", v->latest);
    st_page_item(h, &compare, "Compare with the latest");
  }
  st_page_link_packages(&packages, v->host, number);
  st_page_item(h, &packages, "Packages");
  st_html_close(h, "ul");
}

static int write_changes(struct st_request *r, struct st_html *h, struct st_hostview *v,
                         int64_t before, int64_t number, struct st_error *err)
{
  ST_AUTO_CHANGES changes = {0};
  ST_AUTO_LINK base = {0};
  const struct st_page_sides sides = {v, v, before, number};
  const struct st_view_query query = {.kind = st_page_kind(r), .span = st_page_span(r)};
  if (st_hostview_changes(v, before, number, &query, &changes, err) < 0)
    return -1;
  st_page_link_checkpoint(&base, v->host, number);
  if (st_page_changes(h, &sides, &changes, true, &base, err) < 0)
    return -1;
  if (st_page_total(&changes, -1) == 0 && changes.packaged == 0)
    st_html_element(h, "p", "Nothing changed.");
  if (query.kind >= 0)
    st_link_query(&base, "kind", st_view_kind_words[query.kind]);
  st_page_paging(h, &base, query.span, changes.count, st_page_total(&changes, query.kind));
  return 0;
}

/* The first has no changes to show: all of it began. */
static int write_what(struct st_request *r, struct st_html *h, struct st_hostview *v,
                      int64_t number, struct st_error *err)
{
  int64_t before = st_catalog_before(v->t->catalog, number);
  if (before > 0)
    return write_changes(r, h, v, before, number, err);
  st_html_element(h, "p",
                  number == 1 ? "The baseline: everything there was then."
                              : "What it is counted from is not here any more.");
  return 0;
}

int st_page_show(struct st_request *r, struct st_error *err)
{
  ST_AUTO_HOSTVIEW *view = NULL;
  ST_CLEANUP(st_checkpoint_clear) struct st_checkpoint cp = {0};
  int64_t number = 0;
  int refused = st_page_open(r, &view, err);
  if (refused == 0)
    refused = st_page_checkpoint(r, view, r->parts[1], &number, err);
  if (refused)
    return refused < 0 ? -1 : 0;
  if (st_catalog_checkpoint(view->t->catalog, number, &cp, err) < 0)
    return -1;
  ST_AUTO_FREE char *title = st_format("%s, checkpoint %" PRId64, st_page_name(view), number);
  struct st_html h = st_frame_begin(r, title);
  st_page_trail(&h, view, 0);
  write_neighbours(&h, view, number);
  write_facts(&h, &cp);
  if (write_scope(&h, view, &cp, err) < 0 || write_what(r, &h, view, number, err) < 0)
    return -1;
  st_page_restore(&h, r, view->host, number, NULL);
  return st_frame_end(&h);
}
