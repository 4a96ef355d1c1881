/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz-signature.c - a request's signature as a stranger's headers claim it: proved or refused, and
 * proved only where it is the one that was made.
 * Input: Content-Digest, Signature-Input, Signature, the path, each ended by a NUL; the body.
 */
#include <string.h>

#include "archive-sync/signature.h"
#include "tests/fuzz/fuzz.h"

#define NOW 1800000000

static const char archive[] = "00112233445566778899aabbccddeeff";
static const char server[] = "name:archive.example";

static void add(struct st_buffer *out, const char *text)
{
  st_buffer_append(out, text, strlen(text) + 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  static const char body[] = "{\"number\":1}";
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER seed = ST_BUFFER_INIT;
  struct st_keys keys;
  struct st_signature_headers h = {0};
  struct st_signed_request request = {.method = "POST",
                                      .path = "/v1/sync",
                                      .query = "",
                                      .body = body,
                                      .body_length = strlen(body),
                                      .archive = archive,
                                      .server = server};
  (void)argc, (void)argv;
  st_digest_init();
  FUZZ_OK(st_keys_make(&keys, &err), &err);
  FUZZ_OK(st_signature_make(&request, &keys, NOW, &h, &err), &err);
  add(&seed, h.content_digest);
  add(&seed, h.input);
  add(&seed, h.signature);
  add(&seed, request.path);
  st_buffer_append(&seed, body, strlen(body));
  fuzz_seed("signature", seed.data, seed.length);
  st_signature_headers_clear(&h);
  return 0;
}

/* The next string, or NULL where there is none. */
static const char *next(const uint8_t **data, size_t *length)
{
  const uint8_t *end = *length ? memchr(*data, 0, *length) : NULL;
  if (!end)
    return NULL;
  const char *text = (const char *)*data;
  *length -= (size_t)(end + 1 - *data);
  *data = end + 1;
  return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_signature_proof proof;
  const char *digest = next(&data, &length), *input = next(&data, &length),
             *signature = next(&data, &length), *path = next(&data, &length);
  if (!path)
    return 0;
  struct st_signed_request request = {.method = "POST",
                                      .path = path,
                                      .query = "",
                                      .body = data,
                                      .body_length = length,
                                      .archive = archive,
                                      .server = server};
  if (st_signature_check(&request, digest, input, signature, NOW, &proof, &err) >= 0)
    FUZZ_ASSERT(strlen(proof.nonce) < sizeof(proof.nonce) &&
                proof.created >= NOW - ST_SIGNATURE_AGE && proof.created <= NOW + ST_SIGNATURE_AGE);
  return 0;
}
