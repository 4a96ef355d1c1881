/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * login.c - /login and /logout: a form, and a cookie.
 *
 * The form carries what its own cookie has, so that no other site can log somebody in as somebody
 * else.  After that each form carries the login's token (frame.h).
 */
#include <string.h>
#include <time.h>

#include "archive-sync/serve/access-inside.h"
#include "archive-sync/serve/frame.h"
#include "archive-sync/serve/server.h"

#define COOKIE "systracker"
#define FORM_COOKIE "systracker-login"
#define FORM_MAX 16384 /* bytes of a body */
#define WAIT "60"      /* seconds */
#define ONLY_HERE "; HttpOnly; Secure; SameSite=Strict"

/* A page of ours to go on to: a path, which no browser reads as another server's. */
static const char *next_page(const char *text)
{
  bool good = text && text[0] == '/' && text[1] != '/' && strlen(text) < 2048;
  for (const char *c = text; good && *c; c++)
    good = (unsigned char)*c > 0x20 && (unsigned char)*c < 0x7f && *c != '\\';
  return good ? text : "/";
}

static int set_cookie(struct st_request *r, const char *name, const char *value, const char *path,
                      int seconds)
{
  ST_AUTO_FREE char *text =
      st_format("%s=%s; Path=%s; Max-Age=%d" ONLY_HERE, name, value, path, seconds);
  return st_reply_header(r, "Set-Cookie", text);
}

static void write_fields(struct st_html *h, const char *user, const char *next)
{
  st_frame_hidden(h, "next", next);
  st_html_open(h, "p");
  st_frame_field(h, "Name", "text", "user");
  st_html_attr(h, "value", user);
  st_html_attr(h, "autocomplete", "username");
  st_html_attr(h, "autocapitalize", "none");
  st_html_attr(h, "spellcheck", "false");
  st_html_flag(h, "required");
  st_html_close(h, "p");
  st_html_open(h, "p");
  st_frame_field(h, "Password", "password", "password");
  st_html_attr(h, "autocomplete", "current-password");
  st_html_flag(h, "required");
  st_html_close(h, "p");
  st_frame_button(h, "Log in");
}

/* `refused`: what was wrong before; NULL: nothing yet. */
static int show_form(struct st_request *r, const char *refused, const char *user, const char *next,
                     struct st_error *err)
{
  ST_AUTO_LINK to = {0};
  struct st_html h = st_frame_begin(r, "Log in");
  if (st_access_make_secret('f', r->who.form_token, err) < 0 ||
      set_cookie(r, FORM_COOKIE, r->who.form_token, "/login", 3600) < 0)
    return -1;
  if (refused) {
    st_html_open(&h, "p");
    st_html_attr(&h, "role", "alert");
    st_html_text(&h, refused);
    st_html_close(&h, "p");
  }
  st_link_to(&to, "/login");
  st_frame_form(&h, r, &to);
  write_fields(&h, user, next);
  return st_frame_end(&h);
}

static int get_login(struct st_request *r, struct st_error *err)
{
  const char *next = next_page(st_request_query(r, "next"));
  if (*r->who.user)
    return st_reply_redirect(r, next);
  return show_form(r, NULL, "", next, err);
}

static bool is_our_form(struct st_request *r)
{
  const char *cookie = st_request_cookie(r, FORM_COOKIE), *form = st_request_form(r, ST_FORM_TOKEN);
  return cookie && form && *form && strlen(cookie) == strlen(form) &&
         st_access_same((const uint8_t *)cookie, (const uint8_t *)form, strlen(form));
}

static int post_login(struct st_request *r, struct st_error *err)
{
  struct st_access_refusal why = {0};
  char cookie[ST_ACCESS_TOKEN_SIZE];
  const char *user = st_request_form(r, "user"), *password = st_request_form(r, "password");
  const char *next = next_page(st_request_form(r, "next"));
  user = user ? user : "";
  if (!is_our_form(r)) {
    r->reply.status = 403;
    return show_form(r, "The form had expired: try again, with cookies allowed.", user, next, err);
  }
  int refused = st_access_login(r->server->access, user, password ? password : "",
                                st_request_peer(r), time(NULL), cookie, &why, err);
  if (refused < 0)
    return -1;
  if (refused) {
    r->reply.status = why.status;
    if (why.status != 401 && st_reply_header(r, "Retry-After", WAIT) < 0)
      return -1;
    return show_form(r, why.text, user, next, err);
  }
  st_reply_redirect(r, next);
  int set = set_cookie(r, COOKIE, cookie, "/", ST_ACCESS_LOGIN);
  explicit_bzero(cookie, sizeof(cookie));
  return set < 0 ? -1 : set_cookie(r, FORM_COOKIE, "", "/login", 0);
}

static int post_logout(struct st_request *r, struct st_error *err)
{
  (void)err;
  const char *cookie = st_request_cookie(r, COOKIE);
  if (cookie)
    st_access_logout(r->server->access, cookie);
  st_reply_redirect(r, "/login");
  return set_cookie(r, COOKIE, "", "/", 0);
}

const struct st_route st_login_routes[] = {
    {"GET", "/login", ST_ROLE_NONE, ST_ROUTE_PAGE, ST_BODY_NONE, 0, get_login},
    {"POST", "/login", ST_ROLE_NONE, ST_ROUTE_PAGE | ST_ROUTE_WORK, ST_BODY_MEMORY, FORM_MAX,
     post_login},
    {"POST", "/logout", ST_ROLE_NONE, ST_ROUTE_PAGE, ST_BODY_MEMORY, FORM_MAX, post_logout},
    {0},
};
