/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/signature.h"

#include <gnutls/abstract.h>
#include <inttypes.h>
#include <string.h>

#include "systracker/base/base64.h"
#include "systracker/base/text.h"

#define LABEL "systracker="
#define NONCE_BYTES 16
#define INPUT_MAX 512 /* bytes; what we make has at most 300 */
#define COVERED "(\"@method\" \"@path\" \"@query\" \"content-digest\" \"systracker-archive\""
#define COVERED_SERVER " \"systracker-server\""
#define COVERED_TOKEN " \"systracker-token\""

void st_signature_headers_clear(struct st_signature_headers *h)
{
  free(h->content_digest);
  free(h->input);
  free(h->signature);
  *h = (struct st_signature_headers){0};
}

/* ---- What is signed (RFC 9421, 2.5) -------------------------------------------------------------
 */

/* A line end in a value could pass for the next line. */
static bool is_plain(const char *text)
{
  for (; *text; text++)
    if ((unsigned char)*text < 0x20 || *text == 0x7f)
      return false;
  return true;
}

static int check_plain(const struct st_signed_request *r, struct st_error *err)
{
  if (is_plain(r->method) && is_plain(r->path) && is_plain(r->query) && is_plain(r->archive) &&
      (!r->server || is_plain(r->server)) && (!r->token || is_plain(r->token)))
    return 0;
  return st_fail(err, 0, "a control character is in the request");
}

static void add_base(struct st_buffer *out, const struct st_signed_request *r, const char *digest,
                     const char *parameters)
{
  st_buffer_printf(out, "\"@method\": %s\n\"@path\": %s\n\"@query\": ?%s\n", r->method, r->path,
                   r->query);
  st_buffer_printf(out, "\"content-digest\": %s\n\"systracker-archive\": %s\n", digest, r->archive);
  if (r->server)
    st_buffer_printf(out, "\"systracker-server\": %s\n", r->server);
  if (r->token)
    st_buffer_printf(out, "\"systracker-token\": %s\n", r->token);
  st_buffer_printf(out, "\"@signature-params\": %s", parameters);
}

/* A byte sequence (RFC 8941, 3.3.5): base64 with padding, between colons. */
static void add_bytes(struct st_buffer *out, const void *data, size_t length)
{
  st_buffer_append_byte(out, ':');
  st_base64(out, data, length);
  for (size_t i = length; i % 3 != 0; i++)
    st_buffer_append_byte(out, '=');
  st_buffer_append_byte(out, ':');
}

char *st_content_digest(const void *body, size_t length)
{
  uint8_t digest[ST_DIGEST_SIZE];
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  st_digest(digest, body, length);
  st_buffer_append_string(&out, "sha-256=");
  add_bytes(&out, digest, sizeof(digest));
  return st_buffer_steal(&out, NULL);
}

/* ---- Signing ------------------------------------------------------------------------------------
 */

static int make_parameters(const struct st_signed_request *r, const struct st_keys *keys,
                           int64_t now, struct st_buffer *out, struct st_error *err)
{
  uint8_t nonce[NONCE_BYTES];
  if (st_random(nonce, sizeof(nonce), err) < 0)
    return -1;
  st_buffer_printf(out, COVERED "%s%s);created=%" PRId64 ";nonce=\"",
                   r->server ? COVERED_SERVER : "", r->token ? COVERED_TOKEN : "", now);
  st_base64url(out, nonce, sizeof(nonce));
  st_buffer_append_string(out, "\";keyid=\"");
  st_base64url(out, keys->public_key, sizeof(keys->public_key));
  st_buffer_append_string(out, "\";alg=\"ed25519\";tag=\"systracker\"");
  return 0;
}

int st_signature_make(const struct st_signed_request *request, const struct st_keys *keys,
                      int64_t now, struct st_signature_headers *ret, struct st_error *err)
{
  ST_AUTO_BUFFER parameters = ST_BUFFER_INIT;
  ST_AUTO_BUFFER base = ST_BUFFER_INIT;
  ST_AUTO_BUFFER signature = ST_BUFFER_INIT;
  uint8_t raw[ST_SIGNATURE_SIZE];
  ST_AUTO_FREE char *digest = st_content_digest(request->body, request->body_length);
  if (check_plain(request, err) < 0 || make_parameters(request, keys, now, &parameters, err) < 0)
    return st_wrap(err, "cannot sign the request");
  add_base(&base, request, digest, parameters.data);
  int r = st_sign(keys, base.data, base.length, raw, err);
  explicit_bzero(base.data, base.length); /* a token may be in it */
  if (r < 0)
    return -1;
  st_buffer_append_string(&signature, LABEL);
  add_bytes(&signature, raw, sizeof(raw));
  ret->content_digest = st_steal(&digest);
  ret->input = st_format(LABEL "%s", parameters.data);
  ret->signature = st_buffer_steal(&signature, NULL);
  return 0;
}

/* ---- Proving ------------------------------------------------------------------------------------
 */

/* Steps over exactly this text. */
static bool take(const char **at, const char *text)
{
  size_t n = strlen(text);
  if (strncmp(*at, text, n) != 0)
    return false;
  *at += n;
  return true;
}

/* Ten or eleven digits, the first not 0: a time from 2001 to the year 5138, in its one form. */
static bool take_time(const char **at, int64_t *ret)
{
  size_t n = strspn(*at, "0123456789");
  if (n < 10 || n > 11 || **at == '0')
    return false;
  *ret = strtoll(*at, NULL, 10);
  *at += n;
  return true;
}

static bool take_nonce(const char **at, char ret[33])
{
  size_t n = strspn(*at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
  if (n < 16 || n > 32)
    return false;
  memcpy(ret, *at, n);
  ret[n] = 0;
  *at += n;
  return true;
}

static bool take_key(const char **at, uint8_t ret[ST_PUBLIC_KEY_SIZE])
{
  ST_AUTO_BUFFER key = ST_BUFFER_INIT;
  size_t n = strcspn(*at, "\"");
  if (n != 43 || !st_unbase64url(&key, *at, n) || key.length != ST_PUBLIC_KEY_SIZE)
    return false;
  memcpy(ret, key.data, ST_PUBLIC_KEY_SIZE);
  *at += n;
  return true;
}

static bool take_covered(const char **at, const struct st_signed_request *r)
{
  return take(at, COVERED) && (!r->server || take(at, COVERED_SERVER)) &&
         (!r->token || take(at, COVERED_TOKEN)) && take(at, ")");
}

/* One form is taken, the one that is made: nothing is left to a reader's opinion. */
static int read_parameters(const char *input, const struct st_signed_request *r,
                           struct st_signature_proof *ret, struct st_error *err)
{
  const char *at = input;
  if (strnlen(input, INPUT_MAX + 1) > INPUT_MAX || !take(&at, LABEL))
    return st_fail(err, 0, "the signature's parameters are malformed");
  if (!take_covered(&at, r))
    return st_fail(err, 0, "the signature covers other parts of the request than it should");
  if (!take(&at, ";created=") || !take_time(&at, &ret->created) || !take(&at, ";nonce=\"") ||
      !take_nonce(&at, ret->nonce) || !take(&at, "\";keyid=\"") || !take_key(&at, ret->public_key))
    return st_fail(err, 0, "the signature's parameters are malformed");
  if (strcmp(at, "\";alg=\"ed25519\";tag=\"systracker\"") != 0)
    return st_fail(err, 0, "the request is signed with another algorithm, or for another use");
  return 0;
}

static bool read_signature(const char *text, uint8_t ret[ST_SIGNATURE_SIZE])
{
  ST_AUTO_BUFFER raw = ST_BUFFER_INIT;
  const char *at = text;
  if (!take(&at, LABEL ":"))
    return false;
  size_t n = strcspn(at, "=:");
  if (n != 86 || strcmp(at + n, "==:") != 0 || !st_unbase64(&raw, at, n))
    return false;
  memcpy(ret, raw.data, ST_SIGNATURE_SIZE);
  return true;
}

/* Whether the key's y is below the field's prime, and the point is none of the eight whose order is
 * 8 or a part of it: anybody can sign for those.  In these bytes little-endian, as in RFC 8032. */
static bool is_good_key(const uint8_t key[ST_PUBLIC_KEY_SIZE])
{
  static const uint8_t bad[][ST_PUBLIC_KEY_SIZE] = {
      {0}, /* order 4 */
      {1}, /* order 1 */
      {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
       0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
       0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
      {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
       0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
       0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
  };
  uint8_t y[ST_PUBLIC_KEY_SIZE];
  memcpy(y, key, sizeof(y));
  y[31] &= 0x7f; /* the sign of x */
  for (size_t i = 0; i < ST_COUNT(bad); i++)
    if (memcmp(y, bad[i], sizeof(y)) == 0)
      return false;
  /* p - 1, of order 2, is ec ff ... ff 7f: it and all that is not below p end like that. */
  for (size_t i = 1; i < 31; i++)
    if (y[i] != 0xff)
      return true;
  return y[31] != 0x7f || y[0] < 0xec;
}

static void deinit_key(gnutls_pubkey_t *key)
{
  if (*key)
    gnutls_pubkey_deinit(*key);
}

/* By GnuTLS: it takes any bytes for a key, and a sixth of libgcrypt's time (125 and 783 us). */
bool st_signature_is(const uint8_t public_key[ST_PUBLIC_KEY_SIZE], const void *bytes, size_t length,
                     const uint8_t signature[ST_SIGNATURE_SIZE])
{
  ST_CLEANUP(deinit_key) gnutls_pubkey_t key = NULL;
  const gnutls_datum_t x = {(unsigned char *)public_key, ST_PUBLIC_KEY_SIZE};
  const gnutls_datum_t data = {(unsigned char *)bytes, (unsigned)length};
  const gnutls_datum_t sig = {(unsigned char *)signature, ST_SIGNATURE_SIZE};
  if (!is_good_key(public_key) || length > INT32_MAX || gnutls_pubkey_init(&key) < 0)
    return false;
  return gnutls_pubkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_ED25519, &x, NULL) >= 0 &&
         gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_EDDSA_ED25519, 0, &data, &sig) >= 0;
}

static int check_time(int64_t created, int64_t now, struct st_error *err)
{
  if (created <= now + ST_SIGNATURE_AGE && created >= now - ST_SIGNATURE_AGE)
    return 0;
  return st_fail(err, 0, "the request was signed %" PRId64 " seconds %s: are both clocks right?",
                 created < now ? now - created : created - now, created < now ? "ago" : "from now");
}

int st_signature_check(const struct st_signed_request *request, const char *content_digest,
                       const char *input, const char *signature, int64_t now,
                       struct st_signature_proof *ret, struct st_error *err)
{
  ST_AUTO_BUFFER base = ST_BUFFER_INIT;
  uint8_t raw[ST_SIGNATURE_SIZE];
  *ret = (struct st_signature_proof){0};
  if (check_plain(request, err) < 0 || read_parameters(input, request, ret, err) < 0)
    return -1;
  if (!read_signature(signature, raw))
    return st_fail(err, 0, "the signature is malformed");
  if (check_time(ret->created, now, err) < 0)
    return -1;
  ST_AUTO_FREE char *digest = st_content_digest(request->body, request->body_length);
  if (strcmp(digest, content_digest) != 0)
    return st_fail(err, 0, "the body is not the one that was signed");
  add_base(&base, request, digest, input + strlen(LABEL));
  bool good = st_signature_is(ret->public_key, base.data, base.length, raw);
  explicit_bzero(base.data, base.length);
  return good ? 0 : st_fail(err, 0, "the signature is wrong");
}
