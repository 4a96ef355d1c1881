/* SPDX-License-Identifier: GPL-2.0-or-later */
/* page-host.c - one host: what it is, and its checkpoints. */
#include "config.h"

#include "archive-sync/serve/page.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

struct timeline {
  struct st_html h;
  struct st_hostview *view;
  size_t shown;
};

/* ---- What it is ---------------------------------------------------------------------------------
 */

static int write_known(void *arg, const struct st_fleet_host *host, struct st_error *err)
{
  (void)err;
  struct st_html *h = arg;
  ST_AUTO_FREE char *age = st_frame_age(host->time, time(NULL));
  ST_AUTO_FREE char *size = st_format_size(host->bytes > 0 ? (uint64_t)host->bytes : 0);
  ST_AUTO_FREE char *state =
      st_format("checkpoint %" PRId64 ", %s%s%s", host->number, age,
                host->incomplete ? ", incomplete" : "", host->silent ? "; silent since" : "");
  ST_AUTO_FREE char *holds =
      st_format("%" PRId64 " files, %" PRId64 " packages, %" PRId64 " deviations", host->files,
                host->packages, host->deviations);
  st_page_fact(h, "Latest", state);
  st_page_fact(h, "Holds", holds);
  st_page_fact(h, "Content of its own", size);
  st_html_element(h, "dt", "Changes, 30 nights");
  st_html_open(h, "dd");
  st_page_chart(h, host->nights);
  st_html_close(h, "dd");
  return 0;
}

/* Where there is one, and they may know of it. */
static void write_other(struct st_request *r, struct st_html *h, const char *term, const char *host)
{
  ST_AUTO_LINK to = {0};
  if (!st_access_may_see(r->server->access, &r->who, host))
    return;
  st_page_link_host(&to, host);
  st_html_element(h, "dt", term);
  st_html_open(h, "dd");
  st_html_anchor(h, &to, host);
  st_html_close(h, "dd");
}

static void write_access(struct st_request *r, struct timeline *p)
{
  struct st_access_host host;
  if (!st_access_host(r->server->access, p->view->host, &host))
    return;
  ST_AUTO_FREE char *state =
      st_format("%s%s%s", st_host_state_name(host.state), *host.by ? ", by " : "", host.by);
  ST_AUTO_FREE char *twin =
      host.twins > 0 ? st_format("used by two machines, at %s and %s: one is a copy, and needs a "
                                 "key of its own",
                                 host.address, host.twin)
                     : NULL;
  st_page_fact(&p->h, "Here", state);
  st_page_fact(&p->h, "Key", twin);
  write_other(r, &p->h, "Continues", host.continues);
  write_other(r, &p->h, "Continued by", host.continued);
}

static int write_facts(struct st_request *r, struct timeline *p, struct st_error *err)
{
  st_html_open(&p->h, "dl");
  st_page_fact(&p->h, "Identity", p->view->host);
  int known = st_fleet_host(r->server->fleet, p->view->host, write_known, &p->h, err);
  write_access(r, p);
  st_html_close(&p->h, "dl");
  return known < 0 ? -1 : 0;
}

static int write_epochs(struct st_request *r, struct timeline *p, struct st_error *err)
{
  ST_AUTO_STRINGS epochs = {0};
  if (strchr(p->view->host, '/'))
    return 0;
  if (st_archive_epochs(r->server->archive, p->view->host, &epochs, err) < 0)
    return -1;
  if (epochs.count == 0)
    return 0;
  st_html_element(&p->h, "p", "It was set back: what it had sent before stays here.");
  st_html_open(&p->h, "ul");
  for (size_t i = 0; i < epochs.count; i++) {
    ST_AUTO_FREE char *host = st_format("%s/epoch-%s", p->view->host, epochs.items[i]);
    ST_AUTO_FREE char *text = st_format("Epoch %s", epochs.items[i]);
    ST_AUTO_LINK to = {0};
    st_page_link_host(&to, host);
    st_page_item(&p->h, &to, text);
  }
  st_html_close(&p->h, "ul");
  return 0;
}

/* ---- Where to go from here ----------------------------------------------------------------------
 */

static void write_links(struct timeline *p)
{
  ST_AUTO_LINK packages = {0}, deviations = {0};
  st_page_link_packages(&packages, p->view->host, p->view->latest);
  st_page_link_packages(&deviations, p->view->host, p->view->latest);
  st_link_query(&deviations, "deviating", "1");
  st_html_open(&p->h, "ul");
  st_html_attr(&p->h, "class", "links");
  st_page_item(&p->h, &packages, "Packages");
  st_page_item(&p->h, &deviations, "Packages with deviations");
  st_html_close(&p->h, "ul");
}

static void write_number_field(struct st_html *h, const char *label, int64_t value, int64_t most,
                               bool from)
{
  if (from)
    st_frame_field(h, label, "number", "from");
  else
    st_frame_field(h, label, "number", "to");
  st_html_attr(h, "min", "1");
  st_html_attrf(h, "max", "%" PRId64, most);
  st_html_attrf(h, "value", "%" PRId64, value);
  st_html_flag(h, "required");
  st_html_text(h, " ");
}

static void write_compare_form(struct timeline *p)
{
  int64_t latest = p->view->latest;
  ST_AUTO_LINK to = {0};
  st_page_link_host(&to, p->view->host);
  st_link_to(&to, "/diff");
  st_html_open(&p->h, "form");
  st_html_link(&p->h, "action", &to);
  write_number_field(&p->h, "Compare checkpoint", latest > 1 ? latest - 1 : 1, latest, true);
  write_number_field(&p->h, "with", latest, latest, false);
  st_frame_button(&p->h, "Compare");
  st_html_close(&p->h, "form");
}

static void write_compare_two_form(struct timeline *p)
{
  ST_AUTO_LINK to = {0};
  ST_AUTO_FREE char *here = st_format("%s:%" PRId64, p->view->host, p->view->latest);
  st_link_to(&to, "/diff");
  st_html_open(&p->h, "form");
  st_html_link(&p->h, "action", &to);
  st_frame_hidden(&p->h, "a", here);
  st_frame_field(&p->h, "Compare with another host, by name or id", "text", "b");
  st_html_flag(&p->h, "required");
  st_html_text(&p->h, " ");
  st_frame_button(&p->h, "Compare");
  st_html_close(&p->h, "form");
}

static void write_path_form(struct timeline *p)
{
  ST_AUTO_LINK to = {0};
  st_page_link_host(&to, p->view->host);
  st_link_to(&to, "/history");
  st_html_open(&p->h, "form");
  st_html_link(&p->h, "action", &to);
  st_frame_field(&p->h, "History of the path", "text", "shown");
  st_html_attr(&p->h, "placeholder", "/etc/fstab");
  st_html_flag(&p->h, "required");
  st_html_text(&p->h, " ");
  st_frame_button(&p->h, "Show");
  st_html_close(&p->h, "form");
}

/* ---- Checkpoints --------------------------------------------------------------------------------
 */

static int write_checkpoint(void *arg, const struct st_checkpoint *cp, const char *words,
                            struct st_error *err)
{
  (void)err;
  struct timeline *p = arg;
  struct st_html *h = &p->h;
  st_page_row_of_checkpoint(h, p->view->host, cp->number, cp->time);
  st_page_cell(h, "Changes");
  st_html_text(h, words);
  if (cp->incomplete) {
    st_html_text(h, ", ");
    st_html_classed(h, "strong", "warn", "incomplete");
  }
  st_html_close(h, "td");
  st_page_cell(h, "Words");
  if (cp->tags)
    st_html_element_bytes(h, "b", cp->tags, strlen(cp->tags));
  if (cp->tags && cp->message)
    st_html_text(h, " ");
  if (cp->message)
    st_html_bytes(h, cp->message, strlen(cp->message));
  st_html_close(h, "tr");
  p->shown++;
  return 0;
}

static int write_checkpoints(struct st_request *r, struct timeline *p, struct st_error *err)
{
  static const char *const heads[] = {"Checkpoint", "Time", "Facts", "Tags and message"};
  struct st_view_span span = st_page_span(r);
  size_t total = 0;
  ST_AUTO_LINK base = {0};
  st_html_element(&p->h, "h2", "Checkpoints");
  st_html_open(&p->h, "table");
  st_html_attr(&p->h, "class", "blocks");
  st_page_heads(&p->h, heads, ST_COUNT(heads));
  if (st_hostview_checkpoints(p->view, span, write_checkpoint, p, &total, err) < 0)
    return -1;
  st_html_close(&p->h, "table");
  st_page_link_host(&base, p->view->host);
  st_page_paging(&p->h, &base, span, p->shown, total);
  return 0;
}

int st_page_timeline(struct st_request *r, struct st_error *err)
{
  ST_AUTO_HOSTVIEW *view = NULL;
  int refused = st_page_open(r, &view, err);
  if (refused)
    return refused < 0 ? -1 : 0;
  struct timeline p = {.view = view, .h = st_frame_begin(r, st_page_name(view))};
  st_page_trail(&p.h, view, 0);
  if (write_facts(r, &p, err) < 0 || write_epochs(r, &p, err) < 0)
    return -1;
  write_links(&p);
  st_html_open(&p.h, "div");
  st_html_attr(&p.h, "class", "forms");
  write_compare_form(&p);
  write_compare_two_form(&p);
  write_path_form(&p);
  st_html_close(&p.h, "div");
  if (write_checkpoints(r, &p, err) < 0)
    return -1;
  st_page_restore(&p.h, r, view->host, view->latest, NULL);
  return st_frame_end(&p.h);
}
