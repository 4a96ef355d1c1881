/* SPDX-License-Identifier: GPL-2.0-or-later */
/* url.h - what a client wrote into a request's target, its form, its cookies: taken apart. */
#ifndef ARCHIVE_SYNC_SERVE_URL_H
#define ARCHIVE_SYNC_SERVE_URL_H

#include "systracker/base/buffer.h"

/* Percent-decodes (RFC 3986, 2.1); `form`: "+" is a space, too.  NULL, when an escape is malformed
 * or stands for NUL; else malloc'ed. */
char *st_url_decode(const char *text, size_t length, bool form);
/* The value of the first NAME=VALUE of a query or form, decoded; malloc'ed.  NULL: it is not there,
 * or cannot be decoded.  A name alone has the value "". */
char *st_url_parameter(const char *text, size_t length, const char *name);
/* The value of a cookie in a header `Cookie` (RFC 6265, 5.4), as it is; malloc'ed, NULL: none. */
char *st_url_cookie(const char *header, const char *name);

#endif
