/* SPDX-License-Identifier: GPL-2.0-or-later */
/* page-diff.c - what differs between two checkpoints of a host, or of two. */
#include "config.h"

#include "archive-sync/serve/page.h"

#include <inttypes.h>
#include <string.h>

#include "systracker/base/escape.h"

struct compare {
  struct st_request *r;
  struct st_html h;
  struct st_page_sides sides;
  char *path; /* malloc'ed; NULL: all */
  bool split;
};

/* ---- What is compared ---------------------------------------------------------------------------
 */

static void write_side(struct st_html *h, const char *term, const struct st_hostview *v, int64_t at)
{
  ST_AUTO_LINK to = {0};
  ST_AUTO_FREE char *text = st_format("%s, checkpoint %" PRId64, st_page_name(v), at);
  st_page_link_checkpoint(&to, v->host, at);
  st_html_element(h, "dt", term);
  st_html_open(h, "dd");
  st_html_anchor(h, &to, text);
  st_html_close(h, "dd");
}

static void write_sides(struct compare *p)
{
  st_html_open(&p->h, "dl");
  write_side(&p->h, "From", p->sides.a, p->sides.at_a);
  write_side(&p->h, "To", p->sides.b, p->sides.at_b);
  if (p->path) {
    st_html_element(&p->h, "dt", "Path");
    st_html_element_bytes(&p->h, "dd", p->path, strlen(p->path));
  }
  st_html_close(&p->h, "dl");
}

static void write_hidden_sides(struct compare *p)
{
  const struct st_page_sides *s = &p->sides;
  ST_AUTO_FREE char *a =
      s->a == s->b ? st_format("%" PRId64, s->at_a) : st_format("%s:%" PRId64, s->a->host, s->at_a);
  ST_AUTO_FREE char *b =
      s->a == s->b ? st_format("%" PRId64, s->at_b) : st_format("%s:%" PRId64, s->b->host, s->at_b);
  if (s->a == s->b) {
    st_frame_hidden(&p->h, "from", a);
    st_frame_hidden(&p->h, "to", b);
  } else {
    st_frame_hidden(&p->h, "a", a);
    st_frame_hidden(&p->h, "b", b);
  }
}

/* Only what lies below a path. */
static void write_form(struct compare *p)
{
  ST_AUTO_LINK to = {0};
  if (p->sides.a == p->sides.b)
    st_page_link_host(&to, p->sides.a->host);
  st_link_to(&to, "/diff");
  st_html_open(&p->h, "form");
  st_html_link(&p->h, "action", &to);
  write_hidden_sides(p);
  st_frame_field(&p->h, "Only the path, and below it", "text", "shown");
  if (p->path)
    st_html_attr_bytes(&p->h, "value", p->path, strlen(p->path));
  st_html_text(&p->h, " ");
  st_frame_button(&p->h, "Show");
  st_html_close(&p->h, "form");
}

static void write_links(struct compare *p)
{
  const struct st_page_sides *s = &p->sides;
  const struct st_page_sides turned = {s->b, s->a, s->at_b, s->at_a};
  ST_AUTO_LINK back = {0}, all = {0};
  st_html_open(&p->h, "ul");
  st_html_attr(&p->h, "class", "links");
  st_page_link_sides(&back, &turned, p->path, p->split ? "split" : NULL);
  st_page_item(&p->h, &back, "The other way round");
  if (p->path) {
    ST_AUTO_LINK history = {0}, before = {0}, after = {0};
    st_page_link_sides(&all, s, NULL, NULL);
    st_page_item(&p->h, &all, "All that differs");
    st_page_link_file(&before, s->a->host, s->at_a, p->path);
    st_page_item(&p->h, &before, "The path before");
    st_page_link_file(&after, s->b->host, s->at_b, p->path);
    st_page_item(&p->h, &after, "The path after");
    st_page_link_history(&history, s->b->host, p->path);
    st_page_item(&p->h, &history, "Its history");
  }
  st_html_close(&p->h, "ul");
}

/* ---- One path -----------------------------------------------------------------------------------
 */

static int write_text(struct compare *p, struct st_error *err)
{
  const struct st_page_sides *s = &p->sides;
  ST_AUTO_DIFF diff = {0};
  ST_AUTO_LINK other = {0};
  if (st_hostview_diff(s->a, s->at_a, s->b, s->at_b, p->path, &diff, err) < 0)
    return -1;
  if (!diff.why && diff.nlines > 0) {
    st_page_link_sides(&other, s, p->path, p->split ? "unified" : "split");
    st_html_open(&p->h, "p");
    st_html_anchor(&p->h, &other, p->split ? "As a unified diff" : "Side by side");
    st_html_close(&p->h, "p");
  }
  st_page_diff(&p->h, &diff, p->split);
  return 0;
}

/* What became of the path itself, its text among it. */
static int write_path(struct compare *p, struct st_error *err)
{
  const struct st_page_sides *s = &p->sides;
  struct st_view_change change = {0};
  int r = st_hostview_change_of(s->a, s->at_a, s->b, s->at_b, p->path, &change, err);
  bool content = r >= 0 && change.content && !change.secret;
  if (r >= 0 && change.letter)
    st_page_change(&p->h, s, &change);
  st_view_change_clear(&change);
  if (r < 0)
    return -1;
  return content ? write_text(p, err) : 0;
}

/* ---- All of them --------------------------------------------------------------------------------
 */

static int find_changes(struct compare *p, const struct st_view_query *query,
                        struct st_view_changes *ret, struct st_error *err)
{
  const struct st_page_sides *s = &p->sides;
  if (s->a == s->b)
    return st_hostview_changes(s->a, s->at_a, s->at_b, query, ret, err);
  return st_hostview_changes_of_two(s->a, s->at_a, s->b, s->at_b, query, ret, err);
}

/* The path's own change is shown by itself already. */
static bool is_path_alone(const struct compare *p, const struct st_view_changes *changes)
{
  return p->path && changes->count == 1 && changes->items[0].path &&
         strcmp(changes->items[0].path, p->path) == 0;
}

static int write_changes(struct compare *p, struct st_error *err)
{
  ST_AUTO_CHANGES changes = {0};
  ST_AUTO_LINK base = {0};
  const struct st_view_query query = {
      .below = p->path, .kind = st_page_kind(p->r), .files = p->path, .span = st_page_span(p->r)};
  if (find_changes(p, &query, &changes, err) < 0)
    return -1;
  size_t total = st_page_total(&changes, query.kind);
  st_page_link_sides(&base, &p->sides, p->path, p->split ? "split" : NULL);
  if (total == 0)
    st_html_element(&p->h, "p", "Nothing differs.");
  else if (!is_path_alone(p, &changes) &&
           st_page_changes(&p->h, &p->sides, &changes, !p->path, &base, err) < 0)
    return -1;
  if (query.kind >= 0)
    st_link_query(&base, "kind", st_view_kind_words[query.kind]);
  st_page_paging(&p->h, &base, query.span, changes.count, total);
  return 0;
}

static int write_all(struct compare *p, struct st_error *err)
{
  write_sides(p);
  write_links(p);
  write_form(p);
  if (p->path && write_path(p, err) < 0)
    return -1;
  if (write_changes(p, err) < 0)
    return -1;
  st_page_restore(&p->h, p->r, p->sides.a->host, p->sides.at_a, p->path);
  return st_frame_end(&p->h);
}

static void read_query(struct compare *p)
{
  const char *view = st_request_query(p->r, "view");
  p->path = st_page_path(p->r);
  p->split = view && strcmp(view, "split") == 0;
}

/* ---- Two checkpoints of a host ------------------------------------------------------------------
 */

int st_page_compare(struct st_request *r, struct st_error *err)
{
  ST_AUTO_HOSTVIEW *view = NULL;
  struct compare p = {.r = r};
  int refused = st_page_open(r, &view, err);
  if (refused == 0)
    refused = st_page_checkpoint(r, view, st_request_query(r, "from"), &p.sides.at_a, err);
  if (refused == 0)
    refused = st_page_checkpoint(r, view, st_request_query(r, "to"), &p.sides.at_b, err);
  if (refused)
    return refused < 0 ? -1 : 0;
  p.sides.a = p.sides.b = view;
  read_query(&p);
  ST_AUTO_FREE char *path = p.path;
  ST_AUTO_FREE char *title = st_format("%s, from checkpoint %" PRId64 " to %" PRId64,
                                       st_page_name(view), p.sides.at_a, p.sides.at_b);
  p.h = st_frame_begin(r, title);
  st_page_trail(&p.h, view, 0);
  return write_all(&p, err);
}

/* ---- Two hosts ----------------------------------------------------------------------------------
 */

/* "HOST" or "HOST:CHECKPOINT", as st_page_find_host has it.  1: it is refused. */
static int open_side(struct st_request *r, const char *text, struct st_hostview **ret,
                     int64_t *ret_at, struct st_error *err)
{
  ST_AUTO_FREE char *named = st_strdup(text ? text : "");
  ST_AUTO_FREE char *host = NULL;
  char *colon = strrchr(named, ':');
  if (colon)
    *colon++ = 0;
  int refused = st_page_find_host(r, named, &host, err);
  if (refused == 0)
    refused = st_page_open_host(r, host, ret, err);
  return refused ? refused : st_page_checkpoint(r, *ret, colon, ret_at, err);
}

static int write_empty(struct st_request *r)
{
  ST_AUTO_LINK to = {0};
  struct st_html h = st_frame_begin(r, "Compare two hosts");
  st_link_to(&to, "/diff");
  st_html_open(&h, "form");
  st_html_link(&h, "action", &to);
  st_frame_field(&h, "One, as NAME or NAME:CHECKPOINT", "text", "a");
  st_html_text(&h, " ");
  st_frame_field(&h, "The other", "text", "b");
  st_html_text(&h, " ");
  st_frame_button(&h, "Compare");
  return st_frame_end(&h);
}

int st_page_compare_two(struct st_request *r, struct st_error *err)
{
  ST_AUTO_HOSTVIEW *a = NULL;
  ST_AUTO_HOSTVIEW *b = NULL;
  struct compare p = {.r = r};
  const char *text_a = st_request_query(r, "a"), *text_b = st_request_query(r, "b");
  if (!text_a && !text_b)
    return write_empty(r);
  int refused = open_side(r, text_a, &a, &p.sides.at_a, err);
  if (refused == 0)
    refused = open_side(r, text_b, &b, &p.sides.at_b, err);
  if (refused)
    return refused < 0 ? -1 : 0;
  p.sides.a = a;
  p.sides.b = b;
  read_query(&p);
  ST_AUTO_FREE char *path = p.path;
  ST_AUTO_FREE char *title = st_format("%s and %s", st_page_name(a), st_page_name(b));
  p.h = st_frame_begin(r, title);
  return write_all(&p, err);
}
