/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * escape.h - bytes shown to people.
 *
 * Printable UTF-8 stays; a backslash becomes \\, newline \n, tab \t, carriage return \r, and any
 * other control character (C0, DEL, C1), byte that is no UTF-8, or bidirectional control
 * (U+200E-F, U+202A-E, U+2066-9) becomes \xHH byte by byte.  The mapping can be undone, and is
 * the form of paths in JSON too.
 */
#ifndef ST_BASE_ESCAPE_H
#define ST_BASE_ESCAPE_H

#include "systracker/base/buffer.h"

/* Appends the escaped form. */
void st_escape(struct st_buffer *out, const void *data, size_t length);
/* The same, malloc'ed. */
char *st_escaped(const void *data, size_t length);
/* Undoes it; a malformed escape is an error.  The result may hold any byte. */
int st_unescape(const char *text, struct st_buffer *out, struct st_error *err);
/* For messages: the escaped form of a terminated string in a buffer of this thread that is used
 * again after eight more calls. */
const char *st_quote(const char *path);
/* Content lines for a terminal: like st_escape but newline, tab and backslash stay. */
void st_escape_content(struct st_buffer *out, const void *data, size_t length);
/* Messages and log lines, where paths are escaped already: like st_escape but backslash stays. */
void st_escape_message(struct st_buffer *out, const void *data, size_t length);
/* Whether the bytes are UTF-8 without NUL. */
bool st_is_utf8(const void *data, size_t length);

/* Lower-case hexadecimal; `out` has room for 2 n + 1. */
void st_hex(char *out, const void *data, size_t n);
/* Exactly n bytes from 2 n digits; false when it is anything else. */
bool st_unhex(void *out, size_t n, const char *text);

#endif
