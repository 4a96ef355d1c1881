/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/age.h"

#include <gcrypt.h>
#include <string.h>

#include "systracker/base/base64.h"
#include "systracker/base/bech32.h"
#include "systracker/base/file.h"

#define RECIPIENT_PREFIX "age"
#define IDENTITY_PREFIX "AGE-SECRET-KEY-"
#define VERSION_LINE "age-encryption.org/v1\n"
#define X25519_INFO "age-encryption.org/v1/X25519"
#define FILE_KEY 16
#define NONCE 12
#define PAYLOAD_NONCE 16
#define TAG 16
#define CHUNK 65536
#define COLUMNS 64 /* of a stanza's body; a shorter line ends it */
#define HEADER_MAX (1 << 16)
#define IDENTITY_FILE_MAX 16384

struct secret {
  uint8_t bytes[32];
};

static void wipe_secret(struct secret *s)
{
  explicit_bzero(s, sizeof *s);
}

static void wipe_identities(struct st_age_identities *ids)
{
  explicit_bzero(ids, sizeof *ids);
}

static void release_cipher(gcry_cipher_hd_t *h)
{
  gcry_cipher_close(*h);
}

#define AUTO_SECRET ST_CLEANUP(wipe_secret) struct secret
#define AUTO_CIPHER ST_CLEANUP(release_cipher) gcry_cipher_hd_t

void st_age_wipe(struct st_age_identities *ids)
{
  wipe_identities(ids);
}

void st_buffer_wipe(struct st_buffer *b)
{
  if (b->data)
    explicit_bzero(b->data, b->size);
  st_buffer_free(b);
}

/* ---- Keys ----------------------------------------------------------------------------- */

/* X25519 (RFC 7748).  The result 0, of a point of small order, is refused: it is the same whatever
 * the secret. */
static int x25519(uint8_t out[32], const uint8_t scalar[32], const uint8_t point[32],
                  struct st_error *err)
{
  uint8_t any = 0;
  gcry_error_t e = gcry_ecc_mul_point(GCRY_ECC_CURVE25519, out, scalar, point);
  if (e)
    return st_fail(err, 0, "cannot multiply on the curve: %s", gcry_strerror(e));
  for (size_t i = 0; i < 32; i++)
    any |= out[i];
  return any ? 0 : st_fail(err, 0, "the public key is of small order");
}

static int public_of(uint8_t out[32], const uint8_t scalar[32], struct st_error *err)
{
  static const uint8_t base[32] = {9};
  return x25519(out, scalar, base, err);
}

int st_age_make(char identity[ST_AGE_IDENTITY_SIZE], char recipient[ST_AGE_RECIPIENT_SIZE],
                struct st_error *err)
{
  AUTO_SECRET scalar;
  uint8_t point[32];
  if (st_random(scalar.bytes, sizeof scalar.bytes, err) < 0 ||
      public_of(point, scalar.bytes, err) < 0)
    return -1;
  st_bech32(identity, IDENTITY_PREFIX, scalar.bytes);
  st_bech32(recipient, RECIPIENT_PREFIX, point);
  return 0;
}

int st_age_recipient(struct st_age_recipient *ret, const char *text, struct st_error *err)
{
  if (!st_unbech32(ret->point, RECIPIENT_PREFIX, text))
    return st_fail(err, 0, "not an age recipient (age1...)");
  return 0;
}

static int parse_identity(struct st_age_identities *ids, const char *line, unsigned number,
                          struct st_error *err)
{
  if (!*line || *line == '#')
    return 0;
  if (ids->count == ST_AGE_IDENTITIES)
    return st_fail(err, 0, "more than %d keys", ST_AGE_IDENTITIES);
  if (!st_unbech32(ids->scalars[ids->count], IDENTITY_PREFIX, line))
    return st_fail(err, 0, "line %u is no secret key (AGE-SECRET-KEY-1...)", number);
  ids->count++;
  return 0;
}

int st_age_read_identities(struct st_age_identities *ret, int fd, struct st_error *err)
{
  ST_AUTO_SECRET_BUFFER text = ST_BUFFER_INIT;
  st_buffer_reserve(&text, 2 * IDENTITY_FILE_MAX); /* so that it does not move */
  *ret = (struct st_age_identities){.count = 0};
  if (st_read_all(fd, IDENTITY_FILE_MAX, &text, err) < 0)
    return st_wrap(err, "the identity file");
  int r = strlen(text.data) == text.length ? 0 : st_fail(err, 0, "it is not text");
  char *rest = text.data;
  for (unsigned number = 1; r >= 0 && rest; number++) {
    char *line = strsep(&rest, "\n");
    r = parse_identity(ret, line, number, err);
  }
  if (r >= 0 && !ret->count)
    r = st_fail(err, 0, "there is no secret key in it");
  if (r < 0) {
    wipe_identities(ret);
    return st_wrap(err, "the identity file");
  }
  return 0;
}

/* ---- ChaCha20-Poly1305, header and payload ---------------------------------------------- */

static gcry_error_t open_cipher(gcry_cipher_hd_t *ret, const uint8_t key[32],
                                const uint8_t nonce[NONCE])
{
  gcry_error_t e = gcry_cipher_open(ret, GCRY_CIPHER_CHACHA20, GCRY_CIPHER_MODE_POLY1305, 0);
  if (!e)
    e = gcry_cipher_setkey(*ret, key, 32);
  if (!e)
    e = gcry_cipher_setiv(*ret, nonce, NONCE);
  return e;
}

/* Appends ciphertext and tag. */
static int aead_seal(const uint8_t key[32], const uint8_t nonce[NONCE], const void *data, size_t n,
                     struct st_buffer *out, struct st_error *err)
{
  AUTO_CIPHER cipher = NULL;
  uint8_t tag[TAG];
  st_buffer_reserve(out, n + TAG);
  uint8_t *to = (uint8_t *)out->data + out->length;
  gcry_error_t e = open_cipher(&cipher, key, nonce);
  if (!e && n)
    e = gcry_cipher_encrypt(cipher, to, n, data, n);
  if (!e)
    e = gcry_cipher_gettag(cipher, tag, TAG);
  if (e)
    return st_fail(err, 0, "cannot seal: %s", gcry_strerror(e));
  out->length += n;
  st_buffer_append(out, tag, TAG);
  return 0;
}

/* Writes n bytes of plaintext to `to`; false (and zeros there) unless the tag behind them is right.
 */
static bool aead_open(const uint8_t key[32], const uint8_t nonce[NONCE], const uint8_t *data,
                      size_t n, void *to)
{
  AUTO_CIPHER cipher = NULL;
  gcry_error_t e = open_cipher(&cipher, key, nonce);
  if (!e && n)
    e = gcry_cipher_decrypt(cipher, to, n, data, n);
  if (!e)
    e = gcry_cipher_checktag(cipher, data + n, TAG);
  if (e)
    explicit_bzero(to, n);
  return !e;
}

/* The key under which one recipient's file key is sealed. */
static void wrap_key(struct secret *out, const struct secret *shared, const uint8_t share[32],
                     const uint8_t recipient[32])
{
  uint8_t salt[64];
  memcpy(salt, share, 32);
  memcpy(salt + 32, recipient, 32);
  st_hkdf(out->bytes, 32, shared->bytes, 32, salt, sizeof salt, X25519_INFO);
}

/* Of the header from its first byte to "---", those included. */
static void header_mac(uint8_t out[ST_DIGEST_SIZE], const struct secret *file_key,
                       const void *header, size_t length)
{
  AUTO_SECRET key;
  st_hkdf(key.bytes, 32, file_key->bytes, FILE_KEY, NULL, 0, "header");
  st_hmac(out, key.bytes, 32, header, length);
}

static void payload_key(struct secret *out, const struct secret *file_key,
                        const uint8_t nonce[PAYLOAD_NONCE])
{
  st_hkdf(out->bytes, 32, file_key->bytes, FILE_KEY, nonce, PAYLOAD_NONCE, "payload");
}

/* STREAM's nonce: the chunk's number, big-endian in 11 bytes, and whether it is the last. */
static void chunk_nonce(uint8_t nonce[NONCE], uint32_t number, bool last)
{
  memset(nonce, 0, NONCE);
  for (unsigned i = 0; i < 4; i++)
    nonce[10 - i] = (uint8_t)(number >> 8 * i);
  nonce[NONCE - 1] = last;
}

static const uint8_t zero_nonce[NONCE];

/* ---- Sealing ---------------------------------------------------------------------------- */

static int add_stanza(struct st_buffer *out, const struct st_age_recipient *to,
                      const struct secret *file_key, struct st_error *err)
{
  AUTO_SECRET ephemeral, shared, key;
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  uint8_t share[32];
  if (st_random(ephemeral.bytes, 32, err) < 0 || public_of(share, ephemeral.bytes, err) < 0 ||
      x25519(shared.bytes, ephemeral.bytes, to->point, err) < 0)
    return -1;
  wrap_key(&key, &shared, share, to->point);
  if (aead_seal(key.bytes, zero_nonce, file_key->bytes, FILE_KEY, &body, err) < 0)
    return -1;
  st_buffer_append_string(out, "-> X25519 ");
  st_base64(out, share, sizeof share);
  st_buffer_append_string(out, "\n");
  st_base64(out, body.data, body.length); /* 43 characters: one short line */
  st_buffer_append_string(out, "\n");
  return 0;
}

static int add_payload(struct st_buffer *out, const struct secret *file_key, const uint8_t *data,
                       size_t length, struct st_error *err)
{
  AUTO_SECRET key;
  uint8_t nonce[PAYLOAD_NONCE], chunk[NONCE];
  if (st_random(nonce, sizeof nonce, err) < 0)
    return -1;
  st_buffer_append(out, nonce, sizeof nonce);
  payload_key(&key, file_key, nonce);
  bool last = false;
  for (uint32_t i = 0; !last; i++) {
    size_t n = length < CHUNK ? length : CHUNK;
    last = n == length;
    chunk_nonce(chunk, i, last);
    if (aead_seal(key.bytes, chunk, data, n, out, err) < 0)
      return -1;
    data += n;
    length -= n;
  }
  return 0;
}

int st_age_encrypt(const struct st_age_recipient *to, size_t count, const void *data, size_t length,
                   struct st_buffer *out, struct st_error *err)
{
  AUTO_SECRET file_key;
  ST_AUTO_BUFFER sealed = ST_BUFFER_INIT;
  uint8_t mac[ST_DIGEST_SIZE];
  if (!count || count > ST_AGE_RECIPIENTS || length > ST_AGE_MAX)
    return st_fail(err, 0, "cannot seal %zu bytes to %zu recipients", length, count);
  if (st_random(file_key.bytes, FILE_KEY, err) < 0)
    return -1;
  st_buffer_append_string(&sealed, VERSION_LINE);
  for (size_t i = 0; i < count; i++)
    if (add_stanza(&sealed, &to[i], &file_key, err) < 0)
      return -1;
  st_buffer_append_string(&sealed, "---");
  header_mac(mac, &file_key, sealed.data, sealed.length);
  st_buffer_append_string(&sealed, " ");
  st_base64(&sealed, mac, sizeof mac);
  st_buffer_append_string(&sealed, "\n");
  if (add_payload(&sealed, &file_key, length ? data : (const void *)"", length, err) < 0)
    return -1;
  st_buffer_append(out, sealed.data, sealed.length);
  return 0;
}

/* ---- Opening ---------------------------------------------------------------------------- */

/* What is left of the sealed form. */
struct reader {
  const char *start, *at, *end;
};

struct line {
  const char *text;
  size_t length;
};

static int malformed(struct st_error *err)
{
  return st_fail(err, 0, "the sealed secret is damaged, or not in the age format");
}

/* The next line of the header, without its end. */
static bool next_line(struct reader *r, struct line *ret)
{
  size_t n = (size_t)(r->end - r->at), used = (size_t)(r->at - r->start);
  size_t most = used < HEADER_MAX ? HEADER_MAX - used : 0;
  const char *newline = memchr(r->at, '\n', n < most ? n : most);
  if (!newline)
    return false;
  *ret = (struct line){r->at, (size_t)(newline - r->at)};
  r->at = newline + 1;
  return true;
}

/* Takes off the next of a stanza's arguments: printable ASCII, one space between.  False when there
 * is none, or a malformed one. */
static bool next_argument(struct line *rest, struct line *ret)
{
  if (!rest->length || *rest->text != ' ')
    return false;
  size_t n = 1;
  while (n < rest->length && rest->text[n] > ' ' && rest->text[n] < 127)
    n++;
  if (n == 1 || (n < rest->length && rest->text[n] != ' '))
    return false;
  *ret = (struct line){rest->text + 1, n - 1};
  rest->text += n;
  rest->length -= n;
  return true;
}

static bool equals(const struct line *l, const char *text)
{
  return l->length == strlen(text) && !memcmp(l->text, text, l->length);
}

/* Base64 of exactly n bytes. */
static bool decode_exactly(const struct line *l, void *out, size_t n)
{
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  if (!st_unbase64(&bytes, l->text, l->length) || bytes.length != n)
    return false;
  memcpy(out, bytes.data, n);
  return true;
}

/* The lines of a stanza's body, decoded: full ones, then a shorter one, which may be empty. */
static bool read_body(struct reader *r, struct st_buffer *out)
{
  struct line l;
  do {
    if (!next_line(r, &l) || l.length > COLUMNS || !st_unbase64(out, l.text, l.length))
      return false;
  } while (l.length == COLUMNS);
  return true;
}

/* Tries each of our keys on a stanza of ours.  1: the file key is found, 0: it is not. */
static int try_keys(const struct st_age_identities *ids, const uint8_t share[32],
                    const uint8_t *body, struct secret *file_key, struct st_error *err)
{
  for (size_t i = 0; i < ids->count; i++) {
    AUTO_SECRET shared, key;
    uint8_t point[32];
    if (public_of(point, ids->scalars[i], err) < 0 ||
        x25519(shared.bytes, ids->scalars[i], share, err) < 0)
      return -1;
    wrap_key(&key, &shared, share, point);
    if (aead_open(key.bytes, zero_nonce, body, FILE_KEY, file_key->bytes))
      return 1;
  }
  return 0;
}

/* One stanza, whose first line begins with "->".  Those of other kinds are passed over. */
static int read_stanza(struct reader *r, struct line first, const struct st_age_identities *ids,
                       struct secret *file_key, bool *found, struct st_error *err)
{
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  struct line kind, argument;
  uint8_t share[32];
  struct line rest = {first.text + 2, first.length - 2};
  if (!next_argument(&rest, &kind))
    return malformed(err);
  bool ours = equals(&kind, "X25519");
  bool good = !ours || (next_argument(&rest, &argument) && decode_exactly(&argument, share, 32));
  while (good && !ours && rest.length)
    good = next_argument(&rest, &argument);
  if (!good || rest.length || !read_body(r, &body) || (ours && body.length != FILE_KEY + TAG))
    return malformed(err);
  if (equals(&kind, "scrypt"))
    return st_refuse(err, "it is sealed with a passphrase, not to a key");
  if (!ours || *found)
    return 0;
  int n = try_keys(ids, share, (const uint8_t *)body.data, file_key, err);
  *found = n > 0;
  return n < 0 ? -1 : 0;
}

/* Everything before the payload; the file key comes from it, and its MAC is checked. */
static int read_header(struct reader *r, const struct st_age_identities *ids,
                       struct secret *file_key, struct st_error *err)
{
  struct line l = {"", 0};
  uint8_t given[ST_DIGEST_SIZE], mac[ST_DIGEST_SIZE];
  bool found = false;
  unsigned stanzas = 0;
  size_t version = strlen(VERSION_LINE);
  if ((size_t)(r->end - r->at) < version || memcmp(r->at, VERSION_LINE, version) != 0)
    return malformed(err);
  r->at += version;
  bool good = next_line(r, &l);
  for (; good && l.length > 2 && !memcmp(l.text, "->", 2); good = next_line(r, &l)) {
    if (++stanzas > ST_AGE_RECIPIENTS)
      return st_fail(err, 0, "it is sealed to more than %d keys", ST_AGE_RECIPIENTS);
    if (read_stanza(r, l, ids, file_key, &found, err) < 0)
      return -1;
  }
  if (!good || !stanzas || l.length < 4 || memcmp(l.text, "--- ", 4) != 0)
    return malformed(err);
  struct line text = {l.text + 4, l.length - 4};
  if (!decode_exactly(&text, given, sizeof given))
    return malformed(err);
  if (!found)
    return st_refuse(err, "it is not sealed to any of these keys");
  header_mac(mac, file_key, r->start, (size_t)(l.text + 3 - r->start));
  return memcmp(mac, given, sizeof mac) == 0 ? 0 : malformed(err);
}

/* `to` has room for what is left of the sealed form. */
static int read_payload(struct reader *r, const struct secret *file_key, uint8_t *to,
                        size_t *ret_length, struct st_error *err)
{
  AUTO_SECRET key;
  uint8_t nonce[NONCE];
  size_t left = (size_t)(r->end - r->at), done = 0;
  if (left < PAYLOAD_NONCE + TAG)
    return malformed(err);
  const uint8_t *s = (const uint8_t *)r->at;
  payload_key(&key, file_key, s);
  s += PAYLOAD_NONCE;
  left -= PAYLOAD_NONCE;
  bool last = false;
  for (uint32_t i = 0; !last; i++) {
    size_t n = left < CHUNK + TAG ? left : CHUNK + TAG;
    last = n == left;
    chunk_nonce(nonce, i, last);
    /* The last chunk is empty only where it is the only one. */
    if (n < TAG || (n == TAG && i) || !aead_open(key.bytes, nonce, s, n - TAG, to + done))
      return malformed(err);
    done += n - TAG;
    s += n;
    left -= n;
  }
  *ret_length = done;
  return 0;
}

int st_age_decrypt(const struct st_age_identities *ids, const void *data, size_t length,
                   struct st_buffer *out, struct st_error *err)
{
  AUTO_SECRET file_key;
  struct reader r = {data, data, (const char *)data + length};
  if (length > ST_AGE_MAX + HEADER_MAX)
    return st_fail(err, 0, "the sealed secret is too large: %zu bytes", length);
  if (read_header(&r, ids, &file_key, err) < 0)
    return -1;
  size_t room = (size_t)(r.end - r.at), n = 0;
  ST_AUTO_SECRET_BUFFER plain = ST_BUFFER_INIT;
  st_buffer_reserve(&plain, room + 1);
  if (read_payload(&r, &file_key, (uint8_t *)plain.data, &n, err) < 0)
    return -1;
  st_buffer_reserve(out, n + 1); /* the bytes move no more after this */
  st_buffer_append(out, plain.data, n);
  return 0;
}
