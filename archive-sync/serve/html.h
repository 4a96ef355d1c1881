/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * html.h - a writer of HTML that leaves no way to forget escaping.
 *
 * Names of elements and attributes are string literals (anything else does not compile), all else
 * is escaped where it is written, there is no way to write markup as it stands, and addresses are
 * made of parts that are percent-encoded (struct st_link).  What is opened is closed: at the latest
 * at the end.
 *
 * What is written is shown as everywhere else (base/escape.h): control and bidirectional characters
 * and bytes that are no UTF-8 are seen as \xHH.
 *
 *   ST_AUTO_LINK to = {0};
 *   st_link_to(&to, "/hosts/");
 *   st_link_part(&to, host);
 *   st_html_open(h, "a");
 *   st_html_link(h, "href", &to);
 *   st_html_bytes(h, name, strlen(name));
 *   st_html_close(h, "a");
 */
#ifndef ARCHIVE_SYNC_SERVE_HTML_H
#define ARCHIVE_SYNC_SERVE_HTML_H

#include "systracker/base/buffer.h"

/* Only a string literal may stand here. */
#define ST_LITERAL(s) ("" s "")

/* ---- Addresses ----------------------------------------------------------------------------------
 */

/* An address within this server; {0} is empty. */
struct st_link {
  struct st_buffer text;
  bool query; /* a "?" is there already */
};
#define ST_AUTO_LINK ST_CLEANUP(st_link_free) struct st_link
void st_link_free(struct st_link *l);

/* Appends what is no value of anybody's: "/hosts/", "/diff". */
#define st_link_to(l, literal) st_link_to_literal(l, ST_LITERAL(literal))
void st_link_to_literal(struct st_link *l, const char *literal);
/* A part of the path: "/" in it is encoded, too.  `host` as "ID/epoch-N" becomes "ID~N". */
void st_link_part(struct st_link *l, const char *part);
void st_link_host(struct st_link *l, const char *host);
void st_link_number(struct st_link *l, int64_t n);
/* "?name=value" or "&name=value", any bytes but NUL; a value that is NULL or "" is left out. */
#define st_link_query(l, name, value) st_link_query_text(l, ST_LITERAL(name), value)
void st_link_query_text(struct st_link *l, const char *name, const char *value);
#define st_link_query_number(l, name, n) st_link_query_integer(l, ST_LITERAL(name), n)
void st_link_query_integer(struct st_link *l, const char *name, int64_t n);
/* "#..." */
#define st_link_anchor(l, literal) st_link_to_literal(l, "#" literal "")

/* ---- Elements -----------------------------------------------------------------------------------
 */

#define ST_HTML_DEPTH 40

struct st_html {
  struct st_buffer *out; /* borrowed */
  bool tag;              /* a start tag still takes attributes */
  unsigned depth;
  const char *open[ST_HTML_DEPTH];
};

/* Opens an element; attributes may follow until anything else is written.  Those that have no end
 * ("input", "br") need no closing. */
#define st_html_open(h, name) st_html_open_literal(h, ST_LITERAL(name))
void st_html_open_literal(struct st_html *h, const char *name);
/* Closes the innermost element of this name, and what is still open within. */
#define st_html_close(h, name) st_html_close_literal(h, ST_LITERAL(name))
void st_html_close_literal(struct st_html *h, const char *name);
/* Closes all. */
void st_html_end(struct st_html *h);

/* An attribute of the element that was just opened.  Addresses are given by st_html_link alone;
 * there are no inline styles and scripts: those names end the program.  NULL: it is left out. */
#define st_html_attr(h, name, value) st_html_attr_text(h, ST_LITERAL(name), value)
void st_html_attr_text(struct st_html *h, const char *name, const char *value);
#define st_html_attrf(h, name, ...) st_html_attr_format(h, ST_LITERAL(name), __VA_ARGS__)
void st_html_attr_format(struct st_html *h, const char *name, const char *fmt, ...) ST_PRINTF(3, 4);
/* Bytes of anybody's, where a backslash is escaped as well: st_unescape has them back. */
#define st_html_attr_bytes(h, name, data, n) st_html_attr_raw(h, ST_LITERAL(name), data, n)
void st_html_attr_raw(struct st_html *h, const char *name, const void *data, size_t n);
/* One without a value: "checked". */
#define st_html_flag(h, name) st_html_flag_literal(h, ST_LITERAL(name))
void st_html_flag_literal(struct st_html *h, const char *name);
/* "href", "src", "action". */
#define st_html_link(h, name, link) st_html_attr_link(h, ST_LITERAL(name), link)
void st_html_attr_link(struct st_html *h, const char *name, const struct st_link *link);

/* ---- Text --------------------------------------------------------------------------------------
 */

/* Words: our own, or with paths that are escaped already (messages, renderings).  NULL: none. */
void st_html_text(struct st_html *h, const char *text);
void st_html_printf(struct st_html *h, const char *fmt, ...) ST_PRINTF(2, 3);
/* Bytes of anybody's: names, paths, link targets. */
void st_html_bytes(struct st_html *h, const void *data, size_t n);
/* Lines of text within "pre": newline, tab and backslash stay as they are. */
void st_html_content(struct st_html *h, const void *data, size_t n);

/* An element with words, or bytes, and nothing else within. */
#define st_html_element(h, name, text) st_html_element_text(h, ST_LITERAL(name), text)
void st_html_element_text(struct st_html *h, const char *name, const char *text);
#define st_html_element_bytes(h, name, data, n) st_html_element_raw(h, ST_LITERAL(name), data, n)
void st_html_element_raw(struct st_html *h, const char *name, const void *data, size_t n);
/* An element with a class (a literal) and words. */
#define st_html_classed(h, name, class, text)                                                      \
  st_html_classed_text(h, ST_LITERAL(name), ST_LITERAL(class), text)
void st_html_classed_text(struct st_html *h, const char *name, const char *class_name,
                          const char *text);
/* A link with words. */
void st_html_anchor(struct st_html *h, const struct st_link *to, const char *text);

#endif
