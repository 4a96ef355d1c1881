/* SPDX-License-Identifier: GPL-2.0-or-later */
/* page-file.c - one path: at a checkpoint, and its history. */
#include "config.h"

#include "archive-sync/serve/page.h"

#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/tracker/render.h"

static int refuse_path(struct st_request *r)
{
  return st_reply_refuse(r, 400, "a path is needed that begins with \"/\": ?path=/etc/fstab");
}

/* ---- At a checkpoint ----------------------------------------------------------------------------
 */

static void write_links(struct st_html *h, const struct st_hostview *v, int64_t number,
                        const char *path)
{
  ST_AUTO_LINK history = {0}, diff = {0};
  st_html_open(h, "ul");
  st_html_attr(h, "class", "links");
  st_page_link_history(&history, v->host, path);
  st_page_item(h, &history, "History");
  if (number < v->latest) {
    st_page_link_host(&diff, v->host);
    st_link_to(&diff, "/diff");
    st_link_query_number(&diff, "from", number);
    st_link_query_number(&diff, "to", v->latest);
    st_link_query(&diff, "path", path);
    st_page_item(h, &diff, "Compare with the latest");
  }
  st_html_close(h, "ul");
}

static void write_digest(struct st_html *h, const struct st_view_entry *e)
{
  ST_AUTO_LINK to = {0};
  if (!*e->digest)
    return;
  st_link_to(&to, "/search");
  st_link_query(&to, "in", "digest");
  st_link_query(&to, "q", e->digest);
  st_html_element(h, "dt", "Digest");
  st_html_open(h, "dd");
  st_html_classed(h, "span", "digest", e->digest);
  st_html_text(h, " ");
  st_html_anchor(h, &to, "Who else has it");
  st_html_close(h, "dd");
}

/* What people ask for first; the other columns are folded. */
static bool is_first(const struct st_view_column *column)
{
  static const char *const names[] = {"type", "mode", "owner", "group", "size", "mtime", "target"};
  for (size_t i = 0; i < ST_COUNT(names); i++)
    if (strcmp(column->name, names[i]) == 0)
      return true;
  return false;
}

static void write_columns(struct st_html *h, const struct st_view_entry *e, bool first)
{
  for (size_t i = 0; i < e->ncolumns; i++)
    if (is_first(&e->columns[i]) == first)
      st_page_fact(h, e->columns[i].name, e->columns[i].value);
}

static void write_entry(struct st_html *h, const struct st_view_entry *e)
{
  st_html_open(h, "dl");
  if (!e->present)
    st_page_fact(h, "State", "not there");
  st_page_fact(h, "Not seen", e->unobserved);
  st_page_fact(h, "Package", e->package);
  if (e->present && e->package)
    st_page_fact(h, "As packaged", e->expected ? "yes" : "no: it deviates");
  write_columns(h, e, true);
  write_digest(h, e);
  if (e->secret)
    st_page_fact(h, "Content", "a secret: it is sealed, and not shown");
  else if (e->present && e->type == 'f')
    st_page_fact(h, "Content kept in", e->source ? e->source : "nowhere");
  st_html_close(h, "dl");
  if (e->ncolumns > 0) {
    st_html_open(h, "details");
    st_html_element(h, "summary", "All else that is known");
    st_html_open(h, "dl");
    write_columns(h, e, false);
    st_html_close(h, "details");
  }
}

static int write_content(struct st_html *h, struct st_hostview *v, int64_t number, const char *path,
                         struct st_error *err)
{
  ST_AUTO_BUFFER content = ST_BUFFER_INIT, why = ST_BUFFER_INIT;
  int shown = st_hostview_content(v, number, path, ST_VIEW_CONTENT_MAX, &content, &why, err);
  if (shown < 0)
    return -1;
  st_html_element(h, "h2", "Content");
  if (shown == 0) {
    st_html_open(h, "p");
    st_html_printf(h, "Not shown: %s", why.length > 0 ? why.data : "it is not kept");
    st_html_close(h, "p");
  } else if (content.length == 0) {
    st_html_element(h, "p", "The file is empty.");
  } else if (memchr(content.data, 0, content.length)) {
    st_html_open(h, "p");
    st_html_printf(h, "Not shown: %zu bytes that are no text.", content.length);
    st_html_close(h, "p");
  } else {
    st_html_open(h, "pre");
    st_html_attr(h, "class", "content");
    st_html_attr(h, "tabindex", "0");
    st_html_content(h, content.data, content.length);
    st_html_close(h, "pre");
  }
  return 0;
}

static int write_file(struct st_request *r, struct st_hostview *v, int64_t number, const char *path,
                      struct st_error *err)
{
  ST_AUTO_ENTRY entry = {0};
  if (st_hostview_entry(v, number, path, &entry, err) < 0)
    return -1;
  ST_AUTO_FREE char *shown = st_escaped(path, strlen(path));
  struct st_html h = st_frame_begin(r, shown);
  st_page_trail(&h, v, number);
  write_links(&h, v, number, path);
  write_entry(&h, &entry);
  if (entry.present && entry.type == 'f' && !entry.secret &&
      write_content(&h, v, number, path, err) < 0)
    return -1;
  st_page_restore(&h, r, v->host, number, path);
  return st_frame_end(&h);
}

int st_page_file(struct st_request *r, struct st_error *err)
{
  ST_AUTO_HOSTVIEW *view = NULL;
  ST_AUTO_FREE char *path = st_page_path(r);
  int64_t number = 0;
  if (!path)
    return refuse_path(r);
  int refused = st_page_open(r, &view, err);
  if (refused == 0)
    refused = st_page_checkpoint(r, view, r->parts[1], &number, err);
  if (refused)
    return refused < 0 ? -1 : 0;
  return write_file(r, view, number, path, err);
}

/* ---- History ------------------------------------------------------------------------------------
 */

struct history {
  struct st_html h;
  struct st_hostview *view;
  const char *path;
  size_t shown;
};

static void write_event_links(struct history *p, const struct st_view_event *event)
{
  struct st_html *h = &p->h;
  ST_AUTO_LINK file = {0}, diff = {0};
  if (event->letter != 'D') {
    st_page_link_file(&file, p->view->host, event->number, p->path);
    st_html_anchor(h, &file, "the path then");
  }
  if (event->before > 0 && !event->secret) {
    const struct st_page_sides sides = {p->view, p->view, event->before, event->number};
    if (event->letter != 'D')
      st_html_text(h, ", ");
    st_page_link_sides(&diff, &sides, p->path, NULL);
    st_html_anchor(h, &diff, "comparison");
  }
}

static int write_event(void *arg, const struct st_view_event *event, struct st_error *err)
{
  (void)err;
  struct history *p = arg;
  struct st_html *h = &p->h;
  st_page_row_of_checkpoint(h, p->view->host, event->number, event->time);
  st_page_cell(h, "What");
  st_html_text(h, st_render_letter(event->letter));
  for (size_t i = 0; event->words && i < event->words->count; i++)
    st_html_printf(h, "%s%s", i == 0 ? ": " : ", ", event->words->items[i]);
  if (event->message)
    st_html_printf(h, " (%s)", event->message);
  st_html_close(h, "td");
  st_page_cell(h, "More");
  write_event_links(p, event);
  st_html_close(h, "tr");
  p->shown++;
  return 0;
}

/* How many there are is not known: earlier and later is all there is. */
static void write_history_paging(struct history *p, struct st_view_span span, bool more)
{
  ST_AUTO_LINK base = {0};
  st_page_link_history(&base, p->view->host, p->path);
  st_page_paging(&p->h, &base, span, p->shown, span.offset + p->shown + (more ? 1 : 0));
}

static int write_events(struct st_request *r, struct history *p, struct st_error *err)
{
  static const char *const heads[] = {"Checkpoint", "Time", "What", "More"};
  struct st_view_span span = st_page_span(r);
  bool more = false;
  st_html_open(&p->h, "table");
  st_html_attr(&p->h, "class", "blocks");
  st_page_heads(&p->h, heads, ST_COUNT(heads));
  if (st_hostview_history(p->view, p->path, span, write_event, p, &more, err) < 0)
    return -1;
  st_html_close(&p->h, "table");
  if (p->shown == 0)
    st_html_element(&p->h, "p", "Nothing is known of it.");
  write_history_paging(p, span, more);
  return 0;
}

int st_page_history(struct st_request *r, struct st_error *err)
{
  ST_AUTO_HOSTVIEW *view = NULL;
  ST_AUTO_FREE char *path = st_page_path(r);
  if (!path)
    return refuse_path(r);
  int refused = st_page_open(r, &view, err);
  if (refused)
    return refused < 0 ? -1 : 0;
  ST_AUTO_FREE char *shown = st_escaped(path, strlen(path));
  ST_AUTO_FREE char *title = st_format("History of %s", shown);
  struct history p = {.view = view, .path = path, .h = st_frame_begin(r, title)};
  st_page_trail(&p.h, view, 0);
  if (write_events(r, &p, err) < 0)
    return -1;
  st_page_restore(&p.h, r, view->host, view->latest, path);
  return st_frame_end(&p.h);
}
