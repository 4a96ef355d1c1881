/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/keys.h"

#include <fcntl.h>
#include <gcrypt.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"

#define KEY_FILE "key"
#define SHORTEST_ID 4 /* digits */
#define NONCE_SIZE 12
#define TAG_SIZE 16

/* The file: all of it fixed, the digest over what precedes it.  The public key follows from the
 * seed, which takes longer than all else that opening a store does. */
struct key_file {
  uint8_t magic[8];
  uint8_t version[4]; /* little-endian */
  uint8_t seed[32];
  uint8_t data_key[ST_KEY_SIZE];
  uint8_t public_key[ST_PUBLIC_KEY_SIZE];
  uint8_t digest[ST_DIGEST_SIZE];
};

/* Version 1, which had no public key. */
struct key_file_1 {
  uint8_t magic[8];
  uint8_t version[4];
  uint8_t seed[32];
  uint8_t data_key[ST_KEY_SIZE];
  uint8_t digest[ST_DIGEST_SIZE];
};

union any_key_file {
  struct key_file now;
  struct key_file_1 one;
};

static const uint8_t key_magic[8] = "STrkKey\n";
static const uint8_t key_version[4] = {2, 0, 0, 0}, key_version_1[4] = {1, 0, 0, 0};

static void release_sexp(gcry_sexp_t *s)
{
  gcry_sexp_release(*s);
}

static void release_cipher(gcry_cipher_hd_t *h)
{
  gcry_cipher_close(*h);
}

static void release_context(gcry_ctx_t *c)
{
  gcry_ctx_release(*c);
}

static void release_mpi(gcry_mpi_t *m)
{
  gcry_mpi_release(*m);
}

#define AUTO_SEXP ST_CLEANUP(release_sexp) gcry_sexp_t

static int gcry_fail(struct st_error *err, const char *what, gcry_error_t e)
{
  return st_fail(err, 0, "%s: %s", what, gcry_strerror(e));
}

/* libgcrypt may hand out a point or number with a prefix 0x40 or 0x00, or without its leading
 * zeros; here they are 32 bytes, always. */
static int to_32(uint8_t out[32], const uint8_t *data, size_t length, struct st_error *err)
{
  if (length == 33 && (data[0] == 0x40 || data[0] == 0)) {
    data++;
    length--;
  }
  if (!data || !length || length > 32)
    return st_fail(err, 0, "libgcrypt returned a number of %zu bytes instead of 32", length);
  memset(out, 0, 32);
  memcpy(out + 32 - length, data, length);
  return 0;
}

int st_random(void *out, size_t n, struct st_error *err)
{
  uint8_t *s = out;
  while (n) {
    ssize_t got = getrandom(s, n, 0);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return st_fail(err, errno, "cannot get random bytes");
    s += got;
    n -= (size_t)got;
  }
  return 0;
}

void st_hkdf(uint8_t *out, size_t out_length, const void *secret, size_t length, const void *salt,
             size_t salt_length, const char *info)
{
  static const uint8_t no_salt[ST_DIGEST_SIZE]; /* an empty one, by section 2.2 */
  uint8_t block[ST_DIGEST_SIZE];
  if (salt_length)
    st_hmac(block, salt, salt_length, secret, length);
  else
    st_hmac(block, no_salt, sizeof no_salt, secret, length);
  ST_CLEANUP(st_digester_freep) struct st_digester *expand = st_digester_new(block);
  for (uint8_t i = 1; out_length; i++) {
    if (i > 1)
      st_digester_add(expand, block, sizeof block);
    st_digester_add(expand, info, strlen(info));
    st_digester_add(expand, &i, 1);
    st_digester_final(expand, block);
    size_t n = out_length < sizeof block ? out_length : sizeof block;
    memcpy(out, block, n);
    out += n;
    out_length -= n;
  }
  explicit_bzero(block, sizeof block);
}

/* The public key of a seed. */
static int derive_public(uint8_t out[32], const uint8_t seed[32], struct st_error *err)
{
  AUTO_SEXP key = NULL;
  ST_CLEANUP(release_context) gcry_ctx_t curve = NULL;
  gcry_error_t e =
      gcry_sexp_build(&key, NULL, "(private-key(ecc(curve Ed25519)(flags eddsa)(d %b)))", 32, seed);
  if (!e)
    e = gcry_mpi_ec_new(&curve, key, NULL);
  if (e)
    return gcry_fail(err, "cannot set up the key", e);
  ST_CLEANUP(release_mpi) gcry_mpi_t q = gcry_mpi_ec_get_mpi("q@eddsa", curve, 1);
  unsigned bits = 0;
  const uint8_t *data = q ? gcry_mpi_get_opaque(q, &bits) : NULL;
  return to_32(out, data, (bits + 7) / 8, err);
}

static void derive_from_data_key(struct st_keys *k)
{
  const size_t n = ST_KEY_SIZE;
  st_hkdf(k->id_key, sizeof k->id_key, k->data_key, n, NULL, 0, "systracker id v1");
  st_hkdf(k->seal_key, sizeof k->seal_key, k->data_key, n, NULL, 0, "systracker seal v1");
  st_hkdf(k->seal_id, sizeof k->seal_id, k->data_key, n, NULL, 0, "systracker seal id v1");
}

/* Everything that follows from the data key and the public key. */
static void derive_rest(struct st_keys *k)
{
  derive_from_data_key(k);
  st_host_id(k->host_id, k->public_key);
}

/* Everything that follows from the seed and the data key. */
static int derive(struct st_keys *k, struct st_error *err)
{
  if (derive_public(k->public_key, k->seed, err) < 0)
    return -1;
  derive_rest(k);
  return 0;
}

int st_keys_make(struct st_keys *keys, struct st_error *err)
{
  if (st_random(keys->seed, sizeof keys->seed, err) < 0 ||
      st_random(keys->data_key, sizeof keys->data_key, err) < 0)
    return -1;
  return derive(keys, err);
}

void st_keys_of_data_key(struct st_keys *keys, const uint8_t data_key[ST_KEY_SIZE])
{
  memset(keys, 0, sizeof *keys);
  memcpy(keys->data_key, data_key, ST_KEY_SIZE);
  derive_from_data_key(keys);
}

static int check_file(int fd, bool *ret_older, struct st_error *err)
{
  struct stat st;
  if (fstat(fd, &st) < 0)
    return st_fail(err, errno, "cannot look at the key file (" KEY_FILE ")");
  if (!S_ISREG(st.st_mode))
    return st_fail(err, 0, "the key file is not a regular file (" KEY_FILE ")");
  if (st.st_mode & 077)
    return st_fail(err, 0,
                   "the key file is open to others: mode %04o, 0600 is needed (" KEY_FILE ")",
                   (unsigned)st.st_mode & 07777);
  if (st.st_uid != geteuid() && st.st_uid != 0)
    return st_fail(err, 0, "the key file belongs to another user (" KEY_FILE ")");
  if (st.st_size != sizeof(struct key_file) && st.st_size != sizeof(struct key_file_1))
    return st_fail(err, 0, "the key file is damaged: %lld bytes instead of %zu (" KEY_FILE ")",
                   (long long)st.st_size, sizeof(struct key_file));
  *ret_older = st.st_size == sizeof(struct key_file_1);
  return 0;
}

/* Checks what was read, and takes the keys from it. */
static int parse_file(struct st_keys *keys, const union any_key_file *f, bool older,
                      struct st_error *err)
{
  uint8_t digest[ST_DIGEST_SIZE];
  const uint8_t *version = older ? key_version_1 : key_version;
  if (memcmp(f->now.magic, key_magic, sizeof f->now.magic) != 0)
    return st_fail(err, 0, "not a key file (" KEY_FILE ")");
  if (memcmp(f->now.version, version, sizeof key_version) != 0)
    return st_fail(err, 0, "the key file was written by a newer SysTracker (" KEY_FILE ")");
  st_digest(digest, f,
            older ? offsetof(struct key_file_1, digest) : offsetof(struct key_file, digest));
  if (memcmp(digest, older ? f->one.digest : f->now.digest, sizeof digest) != 0)
    return st_fail(err, 0, "the key file is damaged (" KEY_FILE ")");
  memcpy(keys->seed, f->now.seed, sizeof keys->seed);
  memcpy(keys->data_key, f->now.data_key, sizeof keys->data_key);
  if (older)
    return derive(keys, err);
  memcpy(keys->public_key, f->now.public_key, sizeof keys->public_key);
  derive_rest(keys);
  return 0;
}

int st_keys_read(struct st_keys *keys, int dirfd, struct st_error *err)
{
  ST_AUTO_CLOSE int fd =
      openat(dirfd, KEY_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    int code = errno;
    st_fail(err, code, "cannot open the key file (" KEY_FILE ")");
    return code == ENOENT ? -ENOENT : -1;
  }
  bool older = false;
  if (check_file(fd, &older, err) < 0)
    return -1;
  union any_key_file f;
  int r = st_pread_all(fd, &f, older ? sizeof f.one : sizeof f.now, 0, err);
  r = r < 0 ? st_wrap(err, "the key file") : parse_file(keys, &f, older, err);
  explicit_bzero(&f, sizeof f);
  if (r < 0)
    st_keys_wipe(keys);
  return r < 0 ? r : older;
}

int st_keys_check(const struct st_keys *keys, struct st_error *err)
{
  uint8_t derived[ST_PUBLIC_KEY_SIZE];
  char id[ST_HOST_ID_SIZE];
  if (derive_public(derived, keys->seed, err) < 0)
    return -1;
  if (memcmp(derived, keys->public_key, sizeof derived) == 0)
    return 0;
  st_host_id(id, derived);
  return st_fail(err, 0,
                 "the key file is damaged: its public key, of host %s, is not that of its seed, "
                 "of host %s (" KEY_FILE ")",
                 keys->host_id, id);
}

typedef int write_fn(int dirfd, const char *name, mode_t mode, const void *data, size_t length,
                     struct st_error *err);

static int write_file(const struct st_keys *keys, int dirfd, write_fn *write, struct st_error *err)
{
  struct key_file f;
  memcpy(f.magic, key_magic, sizeof f.magic);
  memcpy(f.version, key_version, sizeof f.version);
  memcpy(f.seed, keys->seed, sizeof f.seed);
  memcpy(f.data_key, keys->data_key, sizeof f.data_key);
  memcpy(f.public_key, keys->public_key, sizeof f.public_key);
  st_digest(f.digest, &f, offsetof(struct key_file, digest));
  int r = write(dirfd, KEY_FILE, 0600, &f, sizeof f, err);
  explicit_bzero(&f, sizeof f);
  return r < 0 ? st_wrap(err, "the host's key") : 0;
}

int st_keys_write(const struct st_keys *keys, int dirfd, struct st_error *err)
{
  return write_file(keys, dirfd, st_create_file, err);
}

int st_keys_raise(const struct st_keys *keys, int dirfd, struct st_error *err)
{
  return write_file(keys, dirfd, st_write_file, err);
}

void st_keys_wipe(struct st_keys *keys)
{
  explicit_bzero(keys, sizeof *keys);
}

void st_host_id(char out[ST_HOST_ID_SIZE], const uint8_t public_key[ST_PUBLIC_KEY_SIZE])
{
  uint8_t digest[ST_DIGEST_SIZE];
  st_digest(digest, public_key, ST_PUBLIC_KEY_SIZE);
  st_hex(out, digest, (ST_HOST_ID_SIZE - 1) / 2);
}

bool st_host_id_begins(const char *id, const char *text, size_t n)
{
  return n >= SHORTEST_ID && n < ST_HOST_ID_SIZE && strncmp(id, text, n) == 0;
}

/* ---- Signatures (RFC 8032, pure Ed25519) -------------------------------------------- */

static int message_sexp(gcry_sexp_t *ret, const void *data, size_t length, struct st_error *err)
{
  if (length > INT_MAX)
    return st_fail(err, 0, "too much to sign: %zu bytes", length);
  gcry_error_t e = gcry_sexp_build(ret, NULL, "(data(flags eddsa)(hash-algo sha512)(value %b))",
                                   (int)length, length ? data : "");
  return e ? gcry_fail(err, "cannot set up the message", e) : 0;
}

/* The 32 bytes of the signature's part `name`. */
static int signature_part(uint8_t out[32], gcry_sexp_t signature, const char *name,
                          struct st_error *err)
{
  AUTO_SEXP part = gcry_sexp_find_token(signature, name, 0);
  size_t length = 0;
  const char *data = part ? gcry_sexp_nth_data(part, 1, &length) : NULL;
  return to_32(out, (const uint8_t *)data, length, err);
}

int st_sign(const struct st_keys *keys, const void *data, size_t length,
            uint8_t out[ST_SIGNATURE_SIZE], struct st_error *err)
{
  AUTO_SEXP key = NULL;
  AUTO_SEXP message = NULL;
  AUTO_SEXP signature = NULL;
  if (message_sexp(&message, data, length, err) < 0)
    return -1;
  gcry_error_t e =
      gcry_sexp_build(&key, NULL, "(private-key(ecc(curve Ed25519)(flags eddsa)(q %b)(d %b)))",
                      ST_PUBLIC_KEY_SIZE, keys->public_key, (int)sizeof keys->seed, keys->seed);
  if (!e)
    e = gcry_pk_sign(&signature, message, key);
  if (e)
    return gcry_fail(err, "cannot sign", e);
  if (signature_part(out, signature, "r", err) < 0 ||
      signature_part(out + 32, signature, "s", err) < 0)
    return -1;
  return 0;
}

/* RFC 8032, 5.1.7: S is below the group's order, or one signature could be turned into others. */
static bool is_canonical(const uint8_t s[32])
{
  static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                    0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                    0,    0,    0,    0,    0,    0,    0,    0,
                                    0,    0,    0,    0,    0,    0,    0,    0x10};
  for (int i = 31; i >= 0; i--)
    if (s[i] != order[i])
      return s[i] < order[i];
  return false;
}

static void release_point(gcry_mpi_point_t *p)
{
  gcry_mpi_point_release(*p);
}

/* Whether a coordinate fills its limbs, negated too. */
static bool is_wide(gcry_mpi_t n, gcry_mpi_t p)
{
  const unsigned most = 256 - 8 * sizeof(unsigned long);
  ST_CLEANUP(release_mpi) gcry_mpi_t negative = gcry_mpi_new(256);
  gcry_mpi_sub(negative, p, n);
  return gcry_mpi_get_nbits(n) > most && gcry_mpi_get_nbits(negative) > most;
}

/* Whether the key is a point of order 8 (those of order 1, 2 and 4 have a coordinate of 0): anybody
 * can sign for such a key. */
static bool is_small_order(const uint8_t public_key[ST_PUBLIC_KEY_SIZE])
{
  static const char *const ys[] = {
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  };
  uint8_t y[ST_PUBLIC_KEY_SIZE];
  char text[2 * ST_PUBLIC_KEY_SIZE + 1];
  memcpy(y, public_key, sizeof y);
  y[31] &= 0x7f; /* the sign of x */
  st_hex(text, y, sizeof y);
  return !strcmp(text, ys[0]) || !strcmp(text, ys[1]);
}

/* libgcrypt (1.10 at least) ends the program, with "mulm_25519: different sizes", when a point of
 * the key has a coordinate that is so near to 0 that it takes fewer machine words.  No honest key
 * has (one in 2^61 would), but a key that arrives from elsewhere is whatever somebody chose. */
static int check_public_key(const uint8_t public_key[ST_PUBLIC_KEY_SIZE], struct st_error *err)
{
  AUTO_SEXP parameters = NULL;
  ST_CLEANUP(release_context) gcry_ctx_t curve = NULL;
  gcry_error_t e = gcry_sexp_build(&parameters, NULL, "(ecc(curve Ed25519)(flags eddsa))");
  if (!e)
    e = gcry_mpi_ec_new(&curve, parameters, NULL);
  if (e)
    return gcry_fail(err, "cannot set up the key", e);
  ST_CLEANUP(release_mpi)
  gcry_mpi_t encoded = gcry_mpi_set_opaque_copy(NULL, public_key, 8 * ST_PUBLIC_KEY_SIZE);
  ST_CLEANUP(release_mpi) gcry_mpi_t x = gcry_mpi_new(256);
  ST_CLEANUP(release_mpi) gcry_mpi_t y = gcry_mpi_new(256);
  ST_CLEANUP(release_mpi) gcry_mpi_t p = gcry_mpi_ec_get_mpi("p", curve, 1);
  ST_CLEANUP(release_point) gcry_mpi_point_t point = gcry_mpi_point_new(256);
  if (gcry_mpi_ec_decode_point(point, encoded, curve))
    return st_fail(err, 0, "the public key is malformed");
  gcry_mpi_point_get(x, y, NULL, point); /* affine: decoded with z = 1 */
  if (!is_wide(x, p) || !is_wide(y, p) || is_small_order(public_key))
    return st_fail(err, 0, "the public key is malformed");
  return 0;
}

int st_verify_signature(const uint8_t public_key[ST_PUBLIC_KEY_SIZE], const void *data,
                        size_t length, const uint8_t signature[ST_SIGNATURE_SIZE],
                        struct st_error *err)
{
  AUTO_SEXP key = NULL;
  AUTO_SEXP message = NULL;
  AUTO_SEXP sig = NULL;
  if (!is_canonical(signature + 32))
    return st_fail(err, 0, "the signature is wrong");
  if (check_public_key(public_key, err) < 0 || message_sexp(&message, data, length, err) < 0)
    return -1;
  gcry_error_t e =
      gcry_sexp_build(&key, NULL, "(public-key(ecc(curve Ed25519)(flags eddsa)(q %b)))",
                      ST_PUBLIC_KEY_SIZE, public_key);
  if (!e)
    e = gcry_sexp_build(&sig, NULL, "(sig-val(eddsa(r %b)(s %b)))", 32, signature, 32,
                        signature + 32);
  if (e)
    return gcry_fail(err, "cannot set up the signature", e);
  return gcry_pk_verify(sig, message, key) ? st_fail(err, 0, "the signature is wrong") : 0;
}

/* ---- Sealing (ChaCha20-Poly1305) ------------------------------------------------------ */

/* A cipher with key, nonce and what is authenticated along: the key's id, then `aad`. */
static gcry_error_t open_cipher(gcry_cipher_hd_t *ret, const struct st_keys *keys,
                                const uint8_t *nonce, const void *aad, size_t aad_length)
{
  gcry_error_t e = gcry_cipher_open(ret, GCRY_CIPHER_CHACHA20, GCRY_CIPHER_MODE_POLY1305, 0);
  if (!e)
    e = gcry_cipher_setkey(*ret, keys->seal_key, sizeof keys->seal_key);
  if (!e)
    e = gcry_cipher_setiv(*ret, nonce, NONCE_SIZE);
  if (!e)
    e = gcry_cipher_authenticate(*ret, keys->seal_id, sizeof keys->seal_id);
  if (!e && aad_length)
    e = gcry_cipher_authenticate(*ret, aad, aad_length);
  return e;
}

int st_seal(const struct st_keys *keys, const void *aad, size_t aad_length, const void *data,
            size_t length, struct st_buffer *out, struct st_error *err)
{
  ST_CLEANUP(release_cipher) gcry_cipher_hd_t cipher = NULL;
  uint8_t nonce[NONCE_SIZE], tag[TAG_SIZE];
  /* At random: 2^32 records under one key stay far below a collision. */
  if (st_random(nonce, sizeof nonce, err) < 0)
    return -1;
  gcry_error_t e = open_cipher(&cipher, keys, nonce, aad, aad_length);
  if (e)
    return gcry_fail(err, "cannot seal", e);
  size_t start = out->length;
  st_buffer_append(out, keys->seal_id, sizeof keys->seal_id);
  st_buffer_append(out, nonce, sizeof nonce);
  st_buffer_append(out, data, length);
  if (length)
    e = gcry_cipher_encrypt(cipher, out->data + out->length - length, length, NULL, 0);
  if (!e)
    e = gcry_cipher_gettag(cipher, tag, sizeof tag);
  if (e) { /* nothing of the plaintext stays */
    explicit_bzero(out->data + start, out->length - start);
    out->length = start;
    return gcry_fail(err, "cannot seal", e);
  }
  st_buffer_append(out, tag, sizeof tag);
  return 0;
}

int st_unseal(const struct st_keys *keys, const void *aad, size_t aad_length, const void *data,
              size_t length, struct st_buffer *out, struct st_error *err)
{
  ST_CLEANUP(release_cipher) gcry_cipher_hd_t cipher = NULL;
  const uint8_t *s = data;
  if (length < ST_SEAL_OVERHEAD)
    return st_fail(err, 0, "the sealed content is too short");
  if (memcmp(s, keys->seal_id, sizeof keys->seal_id) != 0)
    return st_fail(err, 0, "the content was sealed under another key");
  gcry_error_t e = open_cipher(&cipher, keys, s + sizeof keys->seal_id, aad, aad_length);
  if (e)
    return gcry_fail(err, "cannot unseal", e);
  size_t start = out->length, n = length - ST_SEAL_OVERHEAD;
  st_buffer_append(out, s + sizeof keys->seal_id + NONCE_SIZE, n);
  if (n)
    e = gcry_cipher_decrypt(cipher, out->data + start, n, NULL, 0);
  if (!e)
    e = gcry_cipher_checktag(cipher, s + length - TAG_SIZE, TAG_SIZE);
  if (e) {
    explicit_bzero(out->data + start, n);
    out->length = start;
    return st_fail(err, 0, "the sealed content is damaged");
  }
  return 0;
}
