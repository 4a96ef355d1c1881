/* SPDX-License-Identifier: GPL-2.0-or-later */
/* page-packages.c - a host's packages, and what of them is not as they have it. */
#include "config.h"

#include "archive-sync/serve/page.h"

#include <inttypes.h>
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/tracker/render.h"

struct packages {
  struct st_request *r;
  struct st_html h;
  struct st_hostview *view;
  int64_t number;
  struct st_view_package_query query;
  size_t shown;
};

static void link_list(struct st_link *to, const struct packages *p, bool deviating)
{
  st_page_link_packages(to, p->view->host, p->number);
  st_link_query(to, "q", p->query.match);
  st_link_query(to, "deviating", deviating ? "1" : NULL);
}

static void write_form(struct packages *p)
{
  ST_AUTO_LINK to = {0}, other = {0};
  ST_AUTO_FREE char *number = st_format("%" PRId64, p->number);
  st_page_link_host(&to, p->view->host);
  st_link_to(&to, "/packages");
  st_html_open(&p->h, "form");
  st_html_attr(&p->h, "role", "search");
  st_html_link(&p->h, "action", &to);
  st_frame_hidden(&p->h, "checkpoint", number);
  if (p->query.deviating)
    st_frame_hidden(&p->h, "deviating", "1");
  st_frame_field(&p->h, "Name", "search", "q");
  st_html_attr(&p->h, "value", p->query.match);
  st_html_text(&p->h, " ");
  st_frame_button(&p->h, "Show");
  st_html_close(&p->h, "form");
  link_list(&other, p, !p->query.deviating);
  st_html_open(&p->h, "p");
  st_html_anchor(&p->h, &other, p->query.deviating ? "All packages" : "Only those with deviations");
  st_html_close(&p->h, "p");
}

/* ---- The list -----------------------------------------------------------------------------------
 */

static void write_deviation_count(struct packages *p, const struct st_view_package *package)
{
  ST_AUTO_LINK to = {0};
  ST_AUTO_FREE char *text = st_format("%zu", package->deviations);
  st_page_cell(&p->h, "Deviations");
  if (package->deviations > 0) {
    st_page_link_packages(&to, p->view->host, p->number);
    st_link_query(&to, "package", package->name);
    st_html_anchor(&p->h, &to, text);
  } else {
    st_html_text(&p->h, "none");
  }
  st_html_close(&p->h, "td");
}

static int write_package(void *arg, const struct st_view_package *package, struct st_error *err)
{
  (void)err;
  struct packages *p = arg;
  struct st_html *h = &p->h;
  ST_AUTO_LINK since = {0};
  ST_AUTO_FREE char *text = st_format("%" PRId64, package->since);
  st_page_row(h);
  st_html_bytes(h, package->name, strlen(package->name));
  st_html_close(h, "th");
  st_page_cell(h, "Version");
  if (package->version)
    st_html_bytes(h, package->version, strlen(package->version));
  if (package->architecture) {
    st_html_text(h, " ");
    st_html_bytes(h, package->architecture, strlen(package->architecture));
  }
  st_html_close(h, "td");
  st_page_cell(h, "Since");
  st_page_link_checkpoint(&since, p->view->host, package->since);
  st_html_anchor(h, &since, text);
  st_html_close(h, "td");
  write_deviation_count(p, package);
  st_page_cell(h, "Package file");
  st_html_text(h, package->kept ? "kept here" : "not kept");
  st_html_close(h, "tr");
  p->shown++;
  return 0;
}

static int write_packages(struct packages *p, struct st_error *err)
{
  static const char *const heads[] = {"Package", "Version", "Since", "Deviations", "Package file"};
  size_t total = 0;
  ST_AUTO_LINK base = {0};
  write_form(p);
  st_html_open(&p->h, "table");
  st_html_attr(&p->h, "class", "blocks");
  st_page_heads(&p->h, heads, ST_COUNT(heads));
  if (st_hostview_packages(p->view, p->number, &p->query, write_package, p, &total, err) < 0)
    return -1;
  st_html_close(&p->h, "table");
  if (total == 0)
    st_html_element(&p->h, "p", "There are none.");
  link_list(&base, p, p->query.deviating);
  st_page_paging(&p->h, &base, p->query.span, p->shown, total);
  return 0;
}

/* ---- What deviates from one ---------------------------------------------------------------------
 */

static int write_deviation(void *arg, const struct st_view_deviation *d, struct st_error *err)
{
  (void)err;
  struct packages *p = arg;
  struct st_html *h = &p->h;
  ST_AUTO_LINK to = {0};
  ST_AUTO_FREE char *path = st_escaped(d->path, strlen(d->path));
  st_html_open(h, "li");
  st_html_text(h, st_render_letter(d->letter));
  st_html_text(h, " ");
  st_page_link_file(&to, p->view->host, p->number, d->path);
  st_html_anchor(h, &to, path);
  if (d->configuration)
    st_html_text(h, " (configuration)");
  if (d->words && d->words->count > 0) {
    st_html_open(h, "ul");
    st_html_attr(h, "class", "words");
    for (size_t i = 0; i < d->words->count; i++)
      st_html_element(h, "li", d->words->items[i]);
    st_html_close(h, "ul");
  }
  st_html_close(h, "li");
  p->shown++;
  return 0;
}

static int write_deviations(struct packages *p, const char *package, struct st_error *err)
{
  size_t total = 0;
  ST_AUTO_LINK base = {0}, all = {0};
  link_list(&all, p, true);
  st_html_open(&p->h, "p");
  st_html_anchor(&p->h, &all, "Packages with deviations");
  st_html_close(&p->h, "p");
  st_html_open(&p->h, "h2");
  st_html_text(&p->h, "Not as the package has it: ");
  st_html_bytes(&p->h, package, strlen(package));
  st_html_close(&p->h, "h2");
  st_html_open(&p->h, "ul");
  st_html_attr(&p->h, "class", "changes");
  if (st_hostview_deviations(p->view, p->number, package, p->query.span, write_deviation, p, &total,
                             err) < 0)
    return -1;
  st_html_close(&p->h, "ul");
  if (total == 0)
    st_html_element(&p->h, "p", "All is as the package has it.");
  st_page_link_packages(&base, p->view->host, p->number);
  st_link_query(&base, "package", package);
  st_page_paging(&p->h, &base, p->query.span, p->shown, total);
  return 0;
}

int st_page_packages(struct st_request *r, struct st_error *err)
{
  ST_AUTO_HOSTVIEW *view = NULL;
  struct packages p = {.r = r};
  int refused = st_page_open(r, &view, err);
  if (refused == 0)
    refused = st_page_checkpoint(r, view, st_request_query(r, "checkpoint"), &p.number, err);
  if (refused)
    return refused < 0 ? -1 : 0;
  const char *match = st_request_query(r, "q"), *package = st_request_query(r, "package");
  p.view = view;
  p.query = (struct st_view_package_query){.match = match && *match ? match : NULL,
                                           .deviating = st_request_query(r, "deviating"),
                                           .span = st_page_span(r)};
  ST_AUTO_FREE char *title =
      st_format("%s, packages at checkpoint %" PRId64, st_page_name(view), p.number);
  p.h = st_frame_begin(r, title);
  st_page_trail(&p.h, view, p.number);
  if ((package && *package ? write_deviations(&p, package, err) : write_packages(&p, err)) < 0)
    return -1;
  st_page_restore(&p.h, r, view->host, p.number, NULL);
  return st_frame_end(&p.h);
}
