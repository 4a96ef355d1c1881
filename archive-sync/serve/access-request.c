/* SPDX-License-Identifier: GPL-2.0-or-later */
/* access-request.c - who sends a request: from its headers to an identity. */
#include <string.h>
#include <strings.h>
#include <time.h>

#include "archive-sync/serve/request.h"

#define SIGNED_BODY_MAX (1 << 20) /* bytes */

bool st_access_needs_body(const struct st_request *r)
{
  return st_request_header(r, "Signature-Input") != NULL;
}

static int by_signature(struct st_access *a, struct st_request *r,
                        const struct st_access_call *call, struct st_access_refusal *why,
                        struct st_error *err)
{
  const char *archive = st_request_header(r, "Systracker-Archive");
  const char *digest = st_request_header(r, "Content-Digest");
  const char *signature = st_request_header(r, "Signature");
  const struct st_signed_request request = {
      .method = r->method,
      .path = r->path,
      .query = st_request_query_string(r),
      .body = r->body.data,
      .body_length = r->body.length,
      .archive = archive ? archive : "",
      .server = st_request_header(r, "Systracker-Server"),
      .token = st_request_header(r, "Systracker-Token"),
  };
  *why = (struct st_access_refusal){401, "the signature is incomplete"};
  if (!archive || !digest || !signature || r->body_fd >= 0 || r->body.length > SIGNED_BODY_MAX)
    return 1;
  return st_access_by_signature(a, &request, digest, st_request_header(r, "Signature-Input"),
                                signature, call, &r->who, why, err);
}

int st_access_identify(struct st_access *a, struct st_request *r, struct st_error *err)
{
  static const char bearer[] = "Bearer ";
  const struct st_access_call call = {.peer = st_request_peer(r),
                                      .instance = st_request_header(r, "Systracker-Instance"),
                                      .now = time(NULL)};
  const char *authorization = st_request_header(r, "Authorization");
  const char *cookie = st_request_cookie(r, "systracker");
  struct st_access_refusal why = {401, "only bearer tokens are known here"};
  int result = 0;
  r->who = (struct st_identity){0};
  if (st_access_needs_body(r))
    result = by_signature(a, r, &call, &why, err);
  else if (authorization && strncasecmp(authorization, bearer, strlen(bearer)) == 0)
    result = st_access_by_bearer(a, authorization + strlen(bearer), &call, &r->who, &why, err);
  else if (authorization)
    result = 1;
  else if (cookie)
    result = st_access_by_cookie(a, cookie, &call, &r->who, &why, err);
  if (result == 1 && cookie && r->page && why.status == 401) { /* it is asked to log in */
    r->who = (struct st_identity){0};
    return 0;
  }
  if (result == 1) {
    r->who = (struct st_identity){0};
    st_reply_refuse(r, why.status, "%s", why.text);
  }
  return result;
}
