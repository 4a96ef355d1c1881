/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * signature.h - HTTP message signatures (RFC 9421), Ed25519, as hosts sign a request to sync.
 *
 * Covered: "@method" "@path" "@query" "content-digest" (RFC 9530, sha-256) "systracker-archive"
 * (the id of the archive that the host takes the server for: a request for one archive is none for
 * another), "systracker-server" (as whom the host knows the server: st_join_server; one that lies
 * about its id cannot pass the request on; hosts from before that was signed leave it out) and,
 * where there is one, "systracker-token" (a join or restore token); parameters created, nonce,
 * keyid (the public key, base64url), alg="ed25519", tag="systracker"; all in this order and label
 * "systracker": one form is taken, the one that is made.  The authority is not covered: any proxy
 * may stand between.
 *
 * Headers: Content-Digest, Signature-Input, Signature, Systracker-Archive, Systracker-Server,
 * Systracker-Token.
 */
#ifndef ARCHIVE_SYNC_SIGNATURE_H
#define ARCHIVE_SYNC_SIGNATURE_H

#include "systracker/base/keys.h"

#define ST_SIGNATURE_AGE 300 /* seconds that "created" may be off */

struct st_signed_request {
  const char *method, *path, *query; /* as they are sent, not decoded; query without "?", "" */
  const void *body;
  size_t body_length;
  const char *archive; /* id */
  const char *server;  /* whom it is for (join.h); NULL: not said, as by older hosts */
  const char *token;   /* NULL: none */
};
/* The headers' values, malloc'ed. */
struct st_signature_headers {
  char *content_digest, *input, *signature;
};
void st_signature_headers_clear(struct st_signature_headers *h);
/* `now`: seconds since 1970. */
int st_signature_make(const struct st_signed_request *request, const struct st_keys *keys,
                      int64_t now, struct st_signature_headers *ret, struct st_error *err);

/* "sha-256=:...:" of a body (RFC 9530): malloc'ed. */
char *st_content_digest(const void *body, size_t length);

/* Whether the key signed the bytes (RFC 8032), by GnuTLS: as st_verify_signature, in a sixth of its
 * time. */
bool st_signature_is(const uint8_t public_key[ST_PUBLIC_KEY_SIZE], const void *data, size_t length,
                     const uint8_t signature[ST_SIGNATURE_SIZE]);

/* Proves a request; what the headers claim may be anything.  The nonce is the caller's to remember
 * until `created` is too old.  Safe for any bytes as a key, and from any thread. */
struct st_signature_proof {
  uint8_t public_key[ST_PUBLIC_KEY_SIZE];
  int64_t created;
  char nonce[33];
};
int st_signature_check(const struct st_signed_request *request, const char *content_digest,
                       const char *input, const char *signature, int64_t now,
                       struct st_signature_proof *ret, struct st_error *err);

#endif
