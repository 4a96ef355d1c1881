/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "archive-sync/serve/html.h"

#include <inttypes.h>
#include <string.h>

#include "systracker/base/escape.h"

/* ---- Addresses ----------------------------------------------------------------------------------
 */

void st_link_free(struct st_link *l)
{
  st_buffer_free(&l->text);
  l->query = false;
}

void st_link_to_literal(struct st_link *l, const char *literal)
{
  st_buffer_append_string(&l->text, literal);
}

/* Unreserved characters (RFC 3986, 2.3) stay, and those of `keep`. */
static void percent_encode(struct st_buffer *out, const char *s, const char *keep)
{
  static const char digits[] = "0123456789ABCDEF";
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  for (; *s; s++) {
    uint8_t c = (uint8_t)*s;
    if (strchr(plain, c) || strchr(keep, c))
      st_buffer_append_byte(out, c);
    else
      st_buffer_append(out, (char[]){'%', digits[c >> 4], digits[c & 15]}, 3);
  }
}

void st_link_part(struct st_link *l, const char *part)
{
  percent_encode(&l->text, part, "");
}

void st_link_host(struct st_link *l, const char *host)
{
  static const char epoch[] = "/epoch-";
  const char *slash = strstr(host, epoch);
  ST_AUTO_FREE char *id = slash ? st_memdup(host, (size_t)(slash - host)) : st_strdup(host);
  st_link_part(l, id);
  if (slash) {
    st_link_to(l, "~");
    st_link_part(l, slash + strlen(epoch));
  }
}

void st_link_number(struct st_link *l, int64_t n)
{
  st_buffer_printf(&l->text, "%" PRId64, n);
}

void st_link_query_text(struct st_link *l, const char *name, const char *value)
{
  if (!value || !*value)
    return;
  st_buffer_printf(&l->text, "%c%s=", l->query ? '&' : '?', name);
  l->query = true;
  percent_encode(&l->text, value, "/");
}

void st_link_query_integer(struct st_link *l, const char *name, int64_t n)
{
  char text[24];
  snprintf(text, sizeof text, "%" PRId64, n);
  st_link_query_text(l, name, text);
}

/* ---- Escaping -----------------------------------------------------------------------------------
 */

/* `text` is safe to show (base/escape.h) and has no NUL. */
static void append_entities(struct st_buffer *out, const struct st_buffer *text)
{
  const char *s = text->data ? text->data : "";
  while (*s) {
    size_t plain = strcspn(s, "&<>\"'");
    st_buffer_append(out, s, plain);
    s += plain;
    if (!*s)
      break;
    st_buffer_append_string(out, *s == '&'   ? "&amp;"
                                 : *s == '<' ? "&lt;"
                                 : *s == '>' ? "&gt;"
                                 : *s == '"' ? "&quot;"
                                             : "&#39;");
    s++;
  }
}

typedef void escape_fn(struct st_buffer *out, const void *data, size_t length);

static void append_escaped(struct st_buffer *out, escape_fn *escape, const void *data, size_t n)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  escape(&text, data, n);
  append_entities(out, &text);
}

/* ---- Elements -----------------------------------------------------------------------------------
 */

static bool is_one_of(const char *name, const char *const *names)
{
  while (*names && strcmp(name, *names) != 0)
    names++;
  return *names;
}

/* What is put into the code by mistake, and found by the first request for the page. */
static void must(bool so)
{
  if (!so)
    abort();
}

static void end_tag(struct st_html *h)
{
  if (h->tag)
    st_buffer_append_byte(h->out, '>');
  h->tag = false;
}

void st_html_open_literal(struct st_html *h, const char *name)
{
  static const char *const without_end[] = {"br",   "col",  "hr",  "img", "input",
                                            "link", "meta", "wbr", NULL};
  end_tag(h);
  must(strcmp(name, "style") != 0);
  st_buffer_append_byte(h->out, '<');
  st_buffer_append_string(h->out, name);
  h->tag = true;
  if (is_one_of(name, without_end))
    return;
  must(h->depth < ST_HTML_DEPTH);
  h->open[h->depth++] = name;
}

static void close_innermost(struct st_html *h)
{
  const char *name = h->open[--h->depth];
  end_tag(h);
  st_buffer_printf(h->out, "</%s>", name);
  /* Lines for those who read the source; where white space does not show. */
  static const char *const lines[] = {
      "div", "fieldset", "footer", "form",  "head", "header", "html", "li", "main", "nav",
      "p",   "section",  "table",  "title", "tr",   "ul",     "body", "h1", "h2",   NULL};
  if (is_one_of(name, lines))
    st_buffer_append_byte(h->out, '\n');
}

void st_html_close_literal(struct st_html *h, const char *name)
{
  unsigned at = h->depth;
  while (at > 0 && strcmp(h->open[at - 1], name) != 0)
    at--;
  must(at > 0);
  while (h->depth >= at)
    close_innermost(h);
}

void st_html_end(struct st_html *h)
{
  while (h->depth > 0)
    close_innermost(h);
  end_tag(h);
}

static void begin_attr(struct st_html *h, const char *name)
{
  must(h->tag);
  st_buffer_append_byte(h->out, ' ');
  st_buffer_append_string(h->out, name);
  st_buffer_append_string(h->out, "=\"");
}

/* Names whose values are followed or run. */
static bool is_live(const char *name)
{
  static const char *const live[] = {"href",   "src",    "action", "formaction", "style", "srcdoc",
                                     "srcset", "poster", "ping",   "data",       "xmlns", NULL};
  return is_one_of(name, live) || strncmp(name, "on", 2) == 0;
}

void st_html_attr_text(struct st_html *h, const char *name, const char *value)
{
  must(!is_live(name));
  if (!value)
    return;
  begin_attr(h, name);
  append_escaped(h->out, st_escape_message, value, strlen(value));
  st_buffer_append_byte(h->out, '"');
}

void st_html_attr_format(struct st_html *h, const char *name, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  ST_AUTO_FREE char *value = st_vformat(fmt, ap);
  va_end(ap);
  st_html_attr_text(h, name, value);
}

void st_html_attr_raw(struct st_html *h, const char *name, const void *data, size_t n)
{
  must(!is_live(name));
  begin_attr(h, name);
  append_escaped(h->out, st_escape, data, n);
  st_buffer_append_byte(h->out, '"');
}

void st_html_flag_literal(struct st_html *h, const char *name)
{
  must(h->tag && !is_live(name));
  st_buffer_append_byte(h->out, ' ');
  st_buffer_append_string(h->out, name);
}

void st_html_attr_link(struct st_html *h, const char *name, const struct st_link *link)
{
  static const char *const names[] = {"href", "src", "action", NULL};
  must(is_one_of(name, names));
  begin_attr(h, name);
  append_entities(h->out, &link->text);
  st_buffer_append_byte(h->out, '"');
}

/* ---- Text --------------------------------------------------------------------------------------
 */

static void append_text(struct st_html *h, escape_fn *escape, const void *data, size_t n)
{
  end_tag(h);
  must(h->depth == 0 || strcmp(h->open[h->depth - 1], "script") != 0);
  if (n > 0)
    append_escaped(h->out, escape, data, n);
}

void st_html_text(struct st_html *h, const char *text)
{
  append_text(h, st_escape_message, text, text ? strlen(text) : 0);
}

void st_html_printf(struct st_html *h, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  ST_AUTO_FREE char *text = st_vformat(fmt, ap);
  va_end(ap);
  st_html_text(h, text);
}

void st_html_bytes(struct st_html *h, const void *data, size_t n)
{
  append_text(h, st_escape, data, n);
}

void st_html_content(struct st_html *h, const void *data, size_t n)
{
  /* A newline right behind <pre> or <textarea> is not shown (HTML, 13.2.6.4.7). */
  bool first = h->tag && n > 0 && *(const char *)data == '\n';
  end_tag(h);
  if (first)
    st_buffer_append_byte(h->out, '\n');
  append_text(h, st_escape_content, data, n);
}

void st_html_element_text(struct st_html *h, const char *name, const char *text)
{
  st_html_open_literal(h, name);
  st_html_text(h, text);
  st_html_close_literal(h, name);
}

void st_html_element_raw(struct st_html *h, const char *name, const void *data, size_t n)
{
  st_html_open_literal(h, name);
  st_html_bytes(h, data, n);
  st_html_close_literal(h, name);
}

void st_html_classed_text(struct st_html *h, const char *name, const char *class_name,
                          const char *text)
{
  st_html_open_literal(h, name);
  st_html_attr_text(h, "class", class_name);
  st_html_text(h, text);
  st_html_close_literal(h, name);
}

void st_html_anchor(struct st_html *h, const struct st_link *to, const char *text)
{
  st_html_open(h, "a");
  st_html_link(h, "href", to);
  st_html_text(h, text);
  st_html_close(h, "a");
}
