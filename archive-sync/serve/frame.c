/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "archive-sync/serve/frame.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* Nothing but what this server sends itself; no script, no style within the page, no frame around
 * it, no other place to send a form to. */
#define CONTENT_SECURITY_POLICY                                                                    \
  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "    \
  "frame-ancestors 'none'"

static void set_headers(struct st_request *r)
{
  r->reply.type = "text/html; charset=utf-8";
  st_reply_header(r, "Content-Security-Policy", CONTENT_SECURITY_POLICY);
  st_reply_header(r, "Referrer-Policy", "same-origin");
  st_reply_header(r, "Cache-Control", "private, no-store");
}

static void write_meta(struct st_html *h, const char *name, const char *content)
{
  st_html_open(h, "meta");
  st_html_attr(h, "name", name);
  st_html_attr(h, "content", content);
}

static void write_head(struct st_html *h, const char *title)
{
  ST_AUTO_LINK style = {0};
  st_link_to(&style, "/style.css");
  st_html_open(h, "head");
  st_html_open(h, "meta");
  st_html_attr(h, "charset", "utf-8");
  st_html_open(h, "title");
  st_html_printf(h, "%s - SysTracker", title);
  st_html_close(h, "title");
  write_meta(h, "viewport", "width=device-width, initial-scale=1");
  write_meta(h, "color-scheme", "light dark");
  st_html_open(h, "link");
  st_html_attr(h, "rel", "stylesheet");
  st_html_link(h, "href", &style);
  st_html_close(h, "head");
}

static void write_entry(struct st_html *h, const struct st_request *r, const struct st_link *to,
                        const char *text)
{
  st_html_open(h, "li");
  st_html_open(h, "a");
  st_html_link(h, "href", to);
  if (r->path && strcmp(r->path, to->text.data) == 0)
    st_html_attr(h, "aria-current", "page");
  st_html_text(h, text);
  st_html_close(h, "li");
}

static void write_logout(struct st_html *h, const struct st_request *r)
{
  ST_AUTO_LINK to = {0};
  st_link_to(&to, "/logout");
  st_html_open(h, "li");
  st_frame_form(h, r, &to);
  st_html_open(h, "button");
  st_html_text(h, "Log out (");
  st_html_bytes(h, r->who.user, strlen(r->who.user));
  st_html_text(h, ")");
  st_html_close(h, "form");
  st_html_close(h, "li");
}

static void write_navigation(struct st_html *h, const struct st_request *r)
{
  ST_AUTO_LINK hosts = {0}, search = {0}, admin = {0};
  st_link_to(&hosts, "/");
  st_link_to(&search, "/search");
  st_link_to(&admin, "/admin");
  st_html_open(h, "nav");
  st_html_attr(h, "aria-label", "Main");
  st_html_open(h, "ul");
  write_entry(h, r, &hosts, "Hosts");
  write_entry(h, r, &search, "Search");
  if (r->who.role >= ST_ROLE_OPERATOR)
    write_entry(h, r, &admin, "Administration");
  write_logout(h, r);
  st_html_close(h, "nav");
}

static void write_header(struct st_html *h, const struct st_request *r)
{
  ST_AUTO_LINK skip = {0}, home = {0};
  st_link_anchor(&skip, "main");
  st_link_to(&home, "/");
  st_html_open(h, "a");
  st_html_attr(h, "class", "skip");
  st_html_link(h, "href", &skip);
  st_html_text(h, "Skip to the page");
  st_html_close(h, "a");
  st_html_open(h, "header");
  st_html_open(h, "p");
  st_html_attr(h, "class", "name");
  st_html_anchor(h, &home, "SysTracker");
  st_html_close(h, "p");
  if (*r->who.user) /* without any role, too: to log out */
    write_navigation(h, r);
  st_html_close(h, "header");
}

struct st_html st_frame_begin(struct st_request *r, const char *title)
{
  struct st_html html = {.out = &r->reply.body}, *h = &html;
  set_headers(r);
  st_buffer_clear(h->out);
  st_buffer_append_string(h->out, "<!DOCTYPE html>\n");
  st_html_open(h, "html");
  st_html_attr(h, "lang", "en");
  write_head(h, title);
  st_html_open(h, "body");
  write_header(h, r);
  st_html_open(h, "main");
  st_html_attr(h, "id", "main");
  st_html_attr(h, "tabindex", "-1");
  st_html_element(h, "h1", title);
  return html;
}

int st_frame_end(struct st_html *h)
{
  st_html_end(h);
  return 0;
}

static const char *refusal_title(unsigned status)
{
  if (status >= 500)
    return "Not done";
  if (status == 401 || status == 403)
    return "Not allowed";
  return status == 404 ? "Not found" : "Refused";
}

void st_frame_refuse(struct st_request *r, const char *message)
{
  struct st_html h = st_frame_begin(r, refusal_title(r->reply.status));
  st_html_element(&h, "p", message);
  st_frame_end(&h);
}

/* ---- Forms --------------------------------------------------------------------------------------
 */

void st_frame_form(struct st_html *h, const struct st_request *r, const struct st_link *action)
{
  st_html_open(h, "form");
  st_html_attr(h, "method", "post");
  st_html_link(h, "action", action);
  st_frame_hidden(h, ST_FORM_TOKEN, r->who.form_token);
}

void st_frame_hidden_text(struct st_html *h, const char *name, const char *value)
{
  st_html_open(h, "input");
  st_html_attr(h, "type", "hidden");
  st_html_attr_text(h, "name", name);
  st_html_attr(h, "value", value);
}

void st_frame_button(struct st_html *h, const char *text)
{
  st_html_open(h, "button");
  st_html_attr(h, "type", "submit");
  st_html_text(h, text);
  st_html_close(h, "button");
}

void st_frame_field_text(struct st_html *h, const char *label, const char *type, const char *name)
{
  st_html_open(h, "label");
  st_html_attr_text(h, "for", name);
  st_html_text(h, label);
  st_html_close(h, "label");
  st_html_text(h, " ");
  st_html_open(h, "input");
  st_html_attr_text(h, "type", type);
  st_html_attr_text(h, "id", name);
  st_html_attr_text(h, "name", name);
}

/* ---- Times --------------------------------------------------------------------------------------
 */

void st_frame_time(struct st_html *h, int64_t seconds)
{
  ST_AUTO_FREE char *stamp = st_format_time_utc(seconds);
  char shown[40] = "";
  struct tm tm;
  time_t t = (time_t)seconds;
  if (gmtime_r(&t, &tm))
    strftime(shown, sizeof shown, "%Y-%m-%d %H:%M:%S UTC", &tm);
  st_html_open(h, "time");
  st_html_attr(h, "datetime", stamp);
  st_html_text(h, shown);
  st_html_close(h, "time");
}

char *st_frame_age(int64_t seconds, int64_t now)
{
  static const struct {
    int64_t seconds;
    const char *one, *many;
  } units[] = {{86400, "day", "days"}, {3600, "hour", "hours"}, {60, "minute", "minutes"}};
  int64_t age;
  if (__builtin_sub_overflow(now, seconds, &age) || age < 60)
    return st_strdup(age < -60 ? "in the future" : "just now");
  for (size_t i = 0; i < ST_COUNT(units); i++) {
    /* Two of a unit and more: "36 hours" says more than "1 day". */
    int64_t n = age / units[i].seconds;
    if (n >= 2 || i + 1 == ST_COUNT(units))
      return st_format("%" PRId64 " %s ago", n, n == 1 ? units[i].one : units[i].many);
  }
  return st_strdup("just now");
}
