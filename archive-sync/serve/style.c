/* SPDX-License-Identifier: GPL-2.0-or-later */
/* style.c - the style sheet: style.css, as the build has put it here. */
#include "config.h"

#include "archive-sync/serve/page.h"

#include <string.h>

#include "systracker/base/digest.h"
#include "systracker/base/escape.h"

static const char style[] =
#include "archive-sync/serve/style.inc"
    ;

int st_page_style(struct st_request *r, struct st_error *err)
{
  (void)err;
  uint8_t digest[ST_DIGEST_SIZE];
  char hex[2 * ST_DIGEST_SIZE + 1];
  st_digest(digest, style, sizeof style - 1);
  st_hex(hex, digest, ST_DIGEST_SIZE);
  ST_AUTO_FREE char *tag = st_format("\"%.32s\"", hex);
  const char *known = st_request_header(r, "If-None-Match");
  r->reply.type = "text/css; charset=utf-8";
  st_reply_header(r, "ETag", tag);
  st_reply_header(r, "Cache-Control", "public, max-age=3600");
  if (known && strstr(known, tag))
    r->reply.status = 304;
  else
    st_buffer_append(&r->reply.body, style, sizeof style - 1);
  return 0;
}

/* Browsers ask for it by themselves; a page has none. */
int st_page_icon(struct st_request *r, struct st_error *err)
{
  (void)err;
  r->reply.status = 204;
  return st_reply_header(r, "Cache-Control", "public, max-age=86400");
}
