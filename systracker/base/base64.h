/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base64.h - RFC 4648, sections 4 and 5, without padding and in its one canonical form. */
#ifndef ST_BASE_BASE64_H
#define ST_BASE_BASE64_H

#include "systracker/base/buffer.h"

/* Appends the text, without line ends. */
void st_base64(struct st_buffer *out, const void *data, size_t length);
/* Appends the bytes.  False, and nothing appended, when the text has padding, line ends, another
 * character, an impossible length, or bits beyond the last byte that are not 0. */
bool st_unbase64(struct st_buffer *out, const char *text, size_t length);

/* The same with - and _ instead of + and / (section 5): in URLs, tokens, key names. */
void st_base64url(struct st_buffer *out, const void *data, size_t length);
bool st_unbase64url(struct st_buffer *out, const char *text, size_t length);

#endif
