/* SPDX-License-Identifier: GPL-2.0-or-later */
/* page.h - what the pages' sources share; one page-NAME.c a page, the routes are in page.c. */
#ifndef ARCHIVE_SYNC_SERVE_PAGE_H
#define ARCHIVE_SYNC_SERVE_PAGE_H

#include "archive-sync/serve/frame.h"
#include "archive-sync/serve/server.h"
#include "archive-sync/serve/view.h"

/* Rows of a list on one page, unless the address says fewer. */
#define ST_PAGE_ROWS 50

/* ---- What is asked for --------------------------------------------------------------------------
 */

/* offset= and limit= of the query; what is no number is as if it was not there. */
struct st_view_span st_page_span(const struct st_request *r);
/* kind= of the query: an enum st_view_kind, -1: all. */
int st_page_kind(const struct st_request *r);
/* path=, its bytes; or what was typed as shown=, where it may be written as pages show it
 * (escape.h).  Malloc'ed; NULL: neither is there, or it does not begin with "/". */
char *st_page_path(const struct st_request *r);
/* The host of the request's first part, opened.  1: it is refused. */
int st_page_open(struct st_request *r, struct st_hostview **ret, struct st_error *err);
int st_page_open_host(struct st_request *r, const char *host, struct st_hostview **ret,
                      struct st_error *err);
/* The checkpoint that `text` names, NULL or "": the latest.  1: it is refused. */
int st_page_checkpoint(struct st_request *r, struct st_hostview *v, const char *text, int64_t *ret,
                       struct st_error *err);

/* ---- Hosts by name ------------------------------------------------------------------------------
 */

/* Of a list of hosts that one may see: visible and arg of st_fleet_query (`arg`: the request), and
 * a query with them and with offset and limit as asked for. */
bool st_page_may_see(void *arg, const char *host);
struct st_fleet_query st_page_fleet_query(struct st_request *r);
/* By name, by its id or part of it: of those that one may see; malloc'ed.  1: there is none, or
 * more than one: it is refused. */
int st_page_find_host(struct st_request *r, const char *text, char **ret, struct st_error *err);

/* ---- Addresses of pages -------------------------------------------------------------------------
 */

void st_page_link_host(struct st_link *to, const char *host);
void st_page_link_checkpoint(struct st_link *to, const char *host, int64_t number);
void st_page_link_file(struct st_link *to, const char *host, int64_t number, const char *path);
void st_page_link_history(struct st_link *to, const char *host, const char *path);
void st_page_link_packages(struct st_link *to, const char *host, int64_t number);

/* ---- Parts of pages -----------------------------------------------------------------------------
 */

/* The host's name, or the beginning of its id where it has none; words. */
const char *st_page_name(const struct st_hostview *v);
/* "Hosts > NAME > checkpoint N"; number 0: without. */
void st_page_trail(struct st_html *h, const struct st_hostview *v, int64_t number);
/* A link of the page's own navigation: an item of a list with words. */
void st_page_item(struct st_html *h, const struct st_link *to, const char *text);
/* "51 to 100 of 240", earlier, later; `base` is the address without offset and limit. */
void st_page_paging(struct st_html *h, const struct st_link *base, struct st_view_span span,
                    size_t shown, size_t total);
/* Copies the address. */
void st_page_link_copy(struct st_link *to, const struct st_link *from);
/* Begins a row with the <th> that names it; close "th". */
void st_page_row(struct st_html *h);
/* Begins a row with a checkpoint's number, linked to it, and its time. */
void st_page_row_of_checkpoint(struct st_html *h, const char *host, int64_t number, int64_t time);
/* A <td> for a table that becomes blocks on a telephone, where `label` (words) stands before it;
 * close "td". */
void st_page_cell(struct st_html *h, const char *label);
/* <thead> of these, and <tbody> from there on. */
void st_page_heads(struct st_html *h, const char *const *heads, size_t n);
/* <dt>, <dd> with words; NULL: neither. */
void st_page_fact(struct st_html *h, const char *term, const char *words);
/* "https://ADDRESS/#DIGEST" of this server, with a token where one is given; malloc'ed. */
char *st_page_url(struct st_request *r, const char *token);
/* The command that puts the path back as it was at the checkpoint (NULL: all), for the host itself
 * and for another machine. */
void st_page_restore(struct st_html *h, struct st_request *r, const char *host, int64_t number,
                     const char *path);
/* The changes of a query, grouped and folded; links compare `from` with `to` of one host.
 * With `texts`, what configuration became is shown in the list, as far as there is not too much.
 * `base`: the list's address without kind, offset and limit. */
struct st_page_sides {
  struct st_hostview *a, *b; /* the same for one host */
  int64_t at_a, at_b;
};
int st_page_changes(struct st_html *h, const struct st_page_sides *sides,
                    const struct st_view_changes *changes, bool texts, const struct st_link *base,
                    struct st_error *err);
/* One change: what it is and what it says, linked to where there is more. */
void st_page_change(struct st_html *h, const struct st_page_sides *sides,
                    const struct st_view_change *change);
/* Of one kind, or (-1) of all, without offset and limit. */
size_t st_page_total(const struct st_view_changes *changes, int kind);
/* The address of the comparison; `path`, `view`: NULL: none. */
void st_page_link_sides(struct st_link *to, const struct st_page_sides *sides, const char *path,
                        const char *view);
/* A comparison line by line, as unified diff or side by side; or why there is none. */
void st_page_diff(struct st_html *h, const struct st_view_diff *diff, bool split);
/* Bars for "3,0,12,...", with the same in words. */
void st_page_chart(struct st_html *h, const char *nights);

/* ---- Handlers -----------------------------------------------------------------------------------
 */

int st_page_hosts(struct st_request *r, struct st_error *err);
int st_page_timeline(struct st_request *r, struct st_error *err);
int st_page_show(struct st_request *r, struct st_error *err);
int st_page_compare(struct st_request *r, struct st_error *err);
int st_page_compare_two(struct st_request *r, struct st_error *err);
int st_page_file(struct st_request *r, struct st_error *err);
int st_page_history(struct st_request *r, struct st_error *err);
int st_page_packages(struct st_request *r, struct st_error *err);
int st_page_search(struct st_request *r, struct st_error *err);
int st_page_admin(struct st_request *r, struct st_error *err);
int st_page_tokens(struct st_request *r, struct st_error *err);
int st_page_users(struct st_request *r, struct st_error *err);
int st_page_groups(struct st_request *r, struct st_error *err);
int st_page_administer(struct st_request *r, struct st_error *err);
int st_page_style(struct st_request *r, struct st_error *err);
int st_page_icon(struct st_request *r, struct st_error *err);

#endif
