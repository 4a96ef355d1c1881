/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <gcrypt.h>

#include "systracker/base/age.h"
#include "systracker/base/base64.h"
#include "systracker/base/bech32.h"
#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/recovery.h"
#include "systracker/base/test-scratch.h"

#define KEY_COUNT 3

/* Made by age-keygen 1.1.1, and what age sealed to it. */
#define RECIPIENT "age10vjegn3kmtr4gjagmn3crzfqxl73gwagntc08l5v7v4djzv5g3jqc24vqf"
#define IDENTITY "AGE-SECRET-KEY-1GLVDFWF3T3JWKT40UNJ54HTSKHP5XERVJGCJFWU607UXPTR3L9HQNJ2GHZ"
#define SEALED                                                                                     \
  "6167652d656e6372797074696f6e2e6f72672f76310a2d3e205832353531392064354c31737239596749744c"       \
  "75795170696f4c4b4f786555415144467373395371654a77797766796f47380a41316467356176554c6b5075"       \
  "693145664371757063586f2b6c792b6a55722f752f525341397552356154340a2d2d2d20695945646e682f65"       \
  "78466f627644593156344e38516e6a73536c43316e706c61675a7467586631436659550a9ca6877973301ca1"       \
  "b2e9840436f4336d716a1d5e3b210ac61581a7db57fe5ec5bdd5c102dcfd93a2777da4"

/* Key pairs as texts and as what they mean. */
struct pair {
  char identity[ST_AGE_IDENTITY_SIZE], recipient[ST_AGE_RECIPIENT_SIZE];
  struct st_age_recipient to;
  struct st_age_identities ids;
};

static void read_identities(struct st_age_identities *ids, int dir, const char *text)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  put_file(dir, "identity", text);
  ST_AUTO_CLOSE int fd = openat(dir, "identity", O_RDONLY | O_CLOEXEC);
  assert_ok(st_age_read_identities(ids, fd, &err), &err);
}

static void make_pair(struct pair *p, int dir)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_ok(st_age_make(p->identity, p->recipient, &err), &err);
  assert_ok(st_age_recipient(&p->to, p->recipient, &err), &err);
  ST_AUTO_FREE char *text = st_format("# a comment\n\n%s\n", p->identity);
  read_identities(&p->ids, dir, text);
  assert_int_equal(p->ids.count, 1);
}

static void test_base64(void **state)
{
  (void)state;
  static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
  static const char *const text[] = {"", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"};
  static const char *const bad[] = {"Z",       "Zg==",  "Zh",   "Zm9=",  "Zm8\n",
                                    "Zm9v Yg", "Zm9vY", "Zm-_", "Zm9vYh"};
  for (size_t i = 0; i < ST_COUNT(plain); i++) { /* RFC 4648, section 10 */
    ST_AUTO_BUFFER b = ST_BUFFER_INIT;
    st_base64(&b, plain[i], strlen(plain[i]));
    assert_int_equal(b.length, strlen(text[i]));
    assert_memory_equal(b.data ? b.data : "", text[i], b.length);
    st_buffer_clear(&b);
    assert_true(st_unbase64(&b, text[i], strlen(text[i])));
    assert_int_equal(b.length, strlen(plain[i]));
    assert_memory_equal(b.data ? b.data : "", plain[i], b.length);
  }
  for (size_t i = 0; i < ST_COUNT(bad); i++) {
    ST_AUTO_BUFFER b = ST_BUFFER_INIT;
    assert_false(st_unbase64(&b, bad[i], strlen(bad[i])));
    assert_int_equal(b.length, 0);
  }
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  assert_false(st_unbase64(&b, "Zm\0v", 4));
  assert_false(st_unbase64url(&b, "+/+/", 4));
  assert_true(st_unbase64url(&b, "-_-_", 4));
  st_base64url(&b, "\xfb\xff\xbf", 3);
  assert_memory_equal(b.data, "\xfb\xff\xbf-_-_", b.length);
}

/* A key pair of age-keygen; then everything that is almost one. */
static void test_bech32(void **state)
{
  (void)state;
  static const char recipient[] = RECIPIENT;
  uint8_t bytes[32];
  char text[128];
  assert_true(st_unbech32(bytes, "age", recipient));
  st_bech32(text, "age", bytes);
  assert_string_equal(text, recipient);
  for (size_t i = 0; recipient[i]; i++) {
    memcpy(text, recipient, sizeof recipient);
    text[i] = text[i] == 'q' ? 'p' : 'q';
    assert_false(st_unbech32(bytes, "age", text));
    text[i] = (char)(recipient[i] - 32);
    assert_false(st_unbech32(bytes, "age", text));
    text[i] = 0;
    assert_false(st_unbech32(bytes, "age", text));
  }
  assert_false(st_unbech32(bytes, "agf", recipient));
  assert_false(st_unbech32(bytes, "", recipient));
  st_bech32(text, "AGE-SECRET-KEY-", (const uint8_t[32]){1});
  assert_true(st_unbech32(bytes, "AGE-SECRET-KEY-", text));
  text[20] = 'q';
  assert_false(st_unbech32(bytes, "AGE-SECRET-KEY-", text));
}

static void test_identity_files(void **state)
{
  struct scratch *s = *state;
  static const struct {
    const char *text, *why;
  } bad[] = {
      {"", "no secret key"},
      {"# nothing\n\n", "no secret key"},
      {RECIPIENT "\n", "line 1 is no secret key"},
      {"#\n" IDENTITY " \n", "line 2 is no secret key"},
      {IDENTITY "\nx\n", "line 2 is no secret key"},
  };
  struct st_age_identities ids;
  read_identities(&ids, s->fd, "# created: x\n" IDENTITY);
  assert_int_equal(ids.count, 1);
  for (size_t i = 0; i < ST_COUNT(bad); i++) {
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    put_file(s->fd, "identity", bad[i].text);
    ST_AUTO_CLOSE int fd = openat(s->fd, "identity", O_RDONLY | O_CLOEXEC);
    assert_int_equal(st_age_read_identities(&ids, fd, &err), -1);
    assert_null(strstr(st_error_text(&err), "AGE-SECRET-KEY-1G"));
    assert_error(&err, bad[i].why);
  }
  ST_AUTO_BUFFER many = ST_BUFFER_INIT;
  for (int i = 0; i <= ST_AGE_IDENTITIES; i++)
    st_buffer_append_string(&many, IDENTITY "\n");
  put_file(s->fd, "identity", many.data);
  ST_AUTO_CLOSE int fd = openat(s->fd, "identity", O_RDONLY | O_CLOEXEC);
  assert_int_equal(st_age_read_identities(&ids, fd, NULL), -1);
}

/* Sealed by age 1.1.1 with the identity above: "systracker\n". */
static void test_fixed(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER plain = ST_BUFFER_INIT;
  struct st_age_identities ids;
  uint8_t sealed[sizeof SEALED / 2];
  assert_true(st_unhex(sealed, sizeof sealed, SEALED));
  read_identities(&ids, s->fd, IDENTITY "\n");
  assert_ok(st_age_decrypt(&ids, sealed, sizeof sealed, &plain, &err), &err);
  assert_int_equal(plain.length, 11);
  assert_memory_equal(plain.data, "systracker\n", 11);
}

static void seal_round(struct pair pairs[KEY_COUNT], size_t length)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER sealed = ST_BUFFER_INIT;
  ST_AUTO_FREE char *data = st_malloc(length + 1);
  const struct st_age_recipient to[] = {pairs[0].to, pairs[1].to};
  for (size_t i = 0; i < length; i++)
    data[i] = (char)(i * 7 + i / 251);
  assert_ok(st_age_encrypt(to, 2, data, length, &sealed, &err), &err);
  for (size_t i = 0; i < 2; i++) {
    ST_AUTO_SECRET_BUFFER plain = ST_BUFFER_INIT;
    assert_ok(st_age_decrypt(&pairs[i].ids, sealed.data, sealed.length, &plain, &err), &err);
    assert_int_equal(plain.length, length);
    assert_memory_equal(plain.data, data, length);
  }
  ST_AUTO_BUFFER plain = ST_BUFFER_INIT;
  assert_int_equal(st_age_decrypt(&pairs[2].ids, sealed.data, sealed.length, &plain, &err), -1);
  assert_error(&err, "not sealed to any of these keys");
}

static void test_sizes(void **state)
{
  struct scratch *s = *state;
  struct pair pairs[KEY_COUNT];
  static const size_t sizes[] = {0, 1, 32, 65535, 65536, 65537, 131072, 200000};
  for (size_t i = 0; i < KEY_COUNT; i++)
    make_pair(&pairs[i], s->fd);
  for (size_t i = 0; i < ST_COUNT(sizes); i++)
    seal_round(pairs, sizes[i]);
}

static void test_damage(void **state)
{
  struct scratch *s = *state;
  struct pair p;
  ST_AUTO_BUFFER sealed = ST_BUFFER_INIT;
  ST_AUTO_BUFFER plain = ST_BUFFER_INIT;
  make_pair(&p, s->fd);
  assert_int_equal(st_age_encrypt(&p.to, 1, "hello", 5, &sealed, NULL), 0);
  for (size_t i = 0; i < sealed.length; i++)
    for (int bit = 0; bit < 8; bit++) {
      sealed.data[i] ^= (char)(1 << bit);
      assert_int_equal(st_age_decrypt(&p.ids, sealed.data, sealed.length, &plain, NULL), -1);
      sealed.data[i] ^= (char)(1 << bit);
    }
  for (size_t i = 0; i < sealed.length; i++) {
    ST_AUTO_FREE char *exact = st_memdup(sealed.data, i);
    assert_int_equal(st_age_decrypt(&p.ids, exact, i, &plain, NULL), -1);
  }
  st_buffer_append_byte(&sealed, 0);
  assert_int_equal(st_age_decrypt(&p.ids, sealed.data, sealed.length, &plain, NULL), -1);
  assert_int_equal(plain.length, 0);
}

/* ---- Forged headers ------------------------------------------------------------------ */

static const uint8_t file_key[16] = {1, 2, 3, 4};

/* Appends "--- MAC" as whoever knows the file key can. */
static void add_mac(struct st_buffer *b)
{
  uint8_t key[32], mac[32];
  st_buffer_append_string(b, "---");
  st_hkdf(key, sizeof key, file_key, sizeof file_key, NULL, 0, "header");
  st_hmac(mac, key, sizeof key, b->data, b->length);
  st_buffer_append_string(b, " ");
  st_base64(b, mac, sizeof mac);
  st_buffer_append_string(b, "\n");
}

/* What st_age_decrypt says of the sealed form with lines before and after its own stanza, which
 * stay outside the MAC: so all that is well formed fails there at the latest. */
static void assert_header(const struct pair *p, const struct st_buffer *sealed, const char *before,
                          const char *after, const char *why)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  ST_AUTO_BUFFER plain = ST_BUFFER_INIT;
  const char *stanza = strchr(sealed->data, '\n') + 1;
  const char *end = strstr(stanza, "\n--- ") + 1;
  st_buffer_append(&b, sealed->data, (size_t)(stanza - sealed->data));
  st_buffer_append_string(&b, before);
  st_buffer_append(&b, stanza, (size_t)(end - stanza));
  st_buffer_append_string(&b, after);
  st_buffer_append(&b, end, sealed->length - (size_t)(end - sealed->data));
  assert_int_equal(st_age_decrypt(&p->ids, b.data, b.length, &plain, &err), -1);
  assert_error(&err, why);
}

static void test_stanzas(void **state)
{
  struct scratch *s = *state;
  struct pair p;
  ST_AUTO_BUFFER sealed = ST_BUFFER_INIT;
  static const char *const lines[] = {
      "-> grease x y\n\n", /* well formed, but not what the MAC is over */
      "-> other\nAAAA\n",
      "->\n\n",
      "-> \n\n",
      "->x\n\n",
      "-> x  y\n\n",
      "-> x \n\n",
      "-> x\ty\n\n",
      "-> x\nAA==\n",
      "-> x\nAB\n",
      "-> X25519\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
      "-> X25519 AAAA\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
      "-> X25519 CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nAAAA\n",
      ("-> X25519 CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA x\n"
       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"),
      "-> x\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
      "\n",
      "--- AAAA\n",
  };
  make_pair(&p, s->fd);
  assert_int_equal(st_age_encrypt(&p.to, 1, "hello", 5, &sealed, NULL), 0);
  for (size_t i = 0; i < ST_COUNT(lines); i++) {
    assert_header(&p, &sealed, lines[i], "", "not in the age format");
    assert_header(&p, &sealed, "", lines[i], "not in the age format");
  }
  static const char nothing[] = "-> X25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
                                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
  assert_header(&p, &sealed, nothing, "", "small order");
  assert_header(&p, &sealed, "-> scrypt AAAA 18\nAAAA\n", "", "passphrase");
  ST_AUTO_BUFFER many = ST_BUFFER_INIT;
  for (int i = 0; i < ST_AGE_RECIPIENTS; i++)
    st_buffer_append_string(&many, "-> x\n\n");
  assert_header(&p, &sealed, many.data, "", "more than 64 keys");
  ST_AUTO_FREE char *long_line = st_malloc(100001);
  memset(long_line, 'A', 100000);
  long_line[100000] = 0;
  assert_header(&p, &sealed, long_line, "", "not in the age format");
}

static gcry_cipher_hd_t cipher_of(const uint8_t key[32], const uint8_t nonce[12])
{
  gcry_cipher_hd_t h = NULL;
  assert_int_equal(gcry_cipher_open(&h, GCRY_CIPHER_CHACHA20, GCRY_CIPHER_MODE_POLY1305, 0), 0);
  assert_int_equal(gcry_cipher_setkey(h, key, 32), 0);
  assert_int_equal(gcry_cipher_setiv(h, nonce, 12), 0);
  return h;
}

/* Appends data and tag, sealed. */
static void add_sealed(struct st_buffer *b, const uint8_t key[32], const uint8_t nonce[12],
                       const void *data, size_t n)
{
  static uint8_t out[65536];
  uint8_t tag[16];
  gcry_cipher_hd_t h = cipher_of(key, nonce);
  assert_true(n <= sizeof out);
  if (n)
    assert_int_equal(gcry_cipher_encrypt(h, out, sizeof out, data, n), 0);
  assert_int_equal(gcry_cipher_gettag(h, tag, sizeof tag), 0);
  gcry_cipher_close(h);
  st_buffer_append(b, out, n);
  st_buffer_append(b, tag, sizeof tag);
}

/* Appends a stanza for the pair that holds our file key. */
static void add_stanza(struct st_buffer *b, const struct pair *p)
{
  static const uint8_t base[32] = {9}, nonce[12];
  uint8_t ephemeral[32] = {5}, shared[32], key[32], salt[64];
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  assert_int_equal(gcry_ecc_mul_point(GCRY_ECC_CURVE25519, salt, ephemeral, base), 0);
  assert_int_equal(gcry_ecc_mul_point(GCRY_ECC_CURVE25519, shared, ephemeral, p->to.point), 0);
  memcpy(salt + 32, p->to.point, 32);
  st_hkdf(key, 32, shared, 32, salt, 64, "age-encryption.org/v1/X25519");
  add_sealed(&body, key, nonce, file_key, sizeof file_key);
  st_buffer_append_string(b, "-> X25519 ");
  st_base64(b, salt, 32);
  st_buffer_append_string(b, "\n");
  st_base64(b, body.data, body.length);
  st_buffer_append_string(b, "\n");
}

/* Appends the payload's nonce (zeros); `key` gets its key. */
static void begin_payload(struct st_buffer *b, uint8_t key[32])
{
  static const uint8_t nonce[16];
  st_buffer_append(b, nonce, sizeof nonce);
  st_hkdf(key, 32, file_key, sizeof file_key, nonce, sizeof nonce, "payload");
}

/* Other kinds of stanzas are passed over where the MAC covers them: of many lines, of one, empty.
 */
static void test_other_stanzas(void **state)
{
  struct scratch *s = *state;
  struct pair p;
  uint8_t key[32], last[12] = {[11] = 1};
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  ST_AUTO_BUFFER plain = ST_BUFFER_INIT;
  make_pair(&p, s->fd);
  st_buffer_append_string(&b, "age-encryption.org/v1\n-> grease ~!x y\n\n-> z\n");
  st_buffer_append_string(
      &b, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nAAAA\n");
  add_stanza(&b, &p);
  st_buffer_append_string(&b, "-> q\nAAAA\n");
  add_mac(&b);
  begin_payload(&b, key);
  add_sealed(&b, key, last, "hello", 5);
  assert_ok(st_age_decrypt(&p.ids, b.data, b.length, &plain, &err), &err);
  assert_int_equal(plain.length, 5);
  assert_memory_equal(plain.data, "hello", 5);
}

/* No stanza; a payload whose only chunk is not marked as the last. */
static void test_forged_payloads(void **state)
{
  struct scratch *s = *state;
  struct pair p;
  uint8_t key[32];
  static const uint8_t first[12];
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  ST_AUTO_BUFFER plain = ST_BUFFER_INIT;
  make_pair(&p, s->fd);
  st_buffer_append_string(&b, "age-encryption.org/v1\n");
  add_mac(&b);
  assert_int_equal(st_age_decrypt(&p.ids, b.data, b.length, &plain, &err), -1);
  assert_error(&err, "not in the age format");
  st_buffer_clear(&b);
  st_buffer_append_string(&b, "age-encryption.org/v1\n");
  add_stanza(&b, &p);
  add_mac(&b);
  begin_payload(&b, key);
  add_sealed(&b, key, first, "hello", 5);
  assert_int_equal(st_age_decrypt(&p.ids, b.data, b.length, &plain, &err), -1);
  assert_error(&err, "damaged");
  assert_int_equal(plain.length, 0);
}

/* A full chunk is the last, or another that is not empty follows. */
static void test_chunks(void **state)
{
  struct scratch *s = *state;
  struct pair p;
  uint8_t key[32];
  static const uint8_t first[12], only[12] = {[11] = 1}, second[12] = {[10] = 1, [11] = 1};
  static const uint8_t data[65536];
  for (int last = 0; last < 3; last++) {
    ST_AUTO_BUFFER b = ST_BUFFER_INIT;
    ST_AUTO_BUFFER plain = ST_BUFFER_INIT;
    make_pair(&p, s->fd);
    st_buffer_append_string(&b, "age-encryption.org/v1\n");
    add_stanza(&b, &p);
    add_mac(&b);
    begin_payload(&b, key);
    add_sealed(&b, key, last ? first : only, data, sizeof data);
    if (last)
      add_sealed(&b, key, second, "x", last - 1);
    int r = st_age_decrypt(&p.ids, b.data, b.length, &plain, NULL);
    assert_int_equal(r, last == 1 ? -1 : 0);
    assert_int_equal(plain.length, last == 1 ? 0 : sizeof data + (last == 2));
  }
}

/* ---- Both ways against age(1) ---------------------------------------------------------- */

static void must_run(char *const argv[], char **ret, size_t *length)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  int r = st_run(argv, 1 << 24, 60, ret, length, &err);
  if (r)
    fail_msg("%s: %d %s", argv[0], r, st_error_text(&err));
}

static bool has_age(void)
{
  ST_AUTO_FREE char *text = NULL;
  size_t length;
  char *argv[] = {(char *)"age", (char *)"--version", NULL};
  return st_run(argv, 1000, 10, &text, &length, NULL) == 0;
}

/* One content, sealed here and opened there, and the other way. */
static void both_ways(struct scratch *s, const struct pair pairs[2], size_t n)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER sealed = ST_BUFFER_INIT;
  ST_AUTO_BUFFER plain = ST_BUFFER_INIT;
  ST_AUTO_FREE char *data = st_malloc(n + 1);
  ST_AUTO_FREE char *theirs = NULL;
  ST_AUTO_FREE char *opened = NULL;
  ST_AUTO_FREE char *in = st_format("%s/in", s->path);
  ST_AUTO_FREE char *id = st_format("%s/identity", s->path);
  size_t length;
  memset(data, 'd', n);
  const struct st_age_recipient to[] = {pairs[0].to, pairs[1].to};
  assert_ok(st_age_encrypt(to, 2, data, n, &sealed, &err), &err);
  assert_ok(st_write_file(s->fd, "in", 0600, sealed.data, sealed.length, &err), &err);
  put_file(s->fd, "identity", pairs[1].identity);
  char *open_argv[] = {(char *)"age", (char *)"-d", (char *)"-i", id, in, NULL};
  must_run(open_argv, &opened, &length);
  assert_int_equal(length, n);
  assert_memory_equal(opened, data, n);

  assert_ok(st_write_file(s->fd, "in", 0600, data, n, &err), &err);
  char *seal_argv[] = {(char *)"age",
                       (char *)"-r",
                       (char *)pairs[0].recipient,
                       (char *)"-r",
                       (char *)pairs[1].recipient,
                       in,
                       NULL};
  must_run(seal_argv, &theirs, &length);
  assert_ok(st_age_decrypt(&pairs[1].ids, theirs, length, &plain, &err), &err);
  assert_int_equal(plain.length, n);
  assert_memory_equal(plain.data, data, n);
}

static void test_age(void **state)
{
  struct scratch *s = *state;
  struct pair pairs[2];
  static const size_t sizes[] = {1, 32, 65536, 65537, 131072};
  if (!has_age()) {
    print_message("SKIP: both ways against age: the program age is not installed\n");
    skip();
  }
  make_pair(&pairs[0], s->fd);
  make_pair(&pairs[1], s->fd);
  for (size_t i = 0; i < ST_COUNT(sizes); i++)
    both_ways(s, pairs, sizes[i]);
}

/* ---- A host's data key ------------------------------------------------------------------ */

static void test_recovery(void **state)
{
  struct scratch *s = *state;
  struct pair p, other;
  struct st_keys keys, back;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER sealed = ST_BUFFER_INIT;
  make_pair(&p, s->fd);
  make_pair(&other, s->fd);
  assert_ok(st_keys_make(&keys, &err), &err);
  assert_ok(st_recovery_seal(&keys, &p.to, 1, &sealed, &err), &err);
  const char *d = sealed.data;
  const size_t n = sealed.length;
  assert_ok(st_recovery_open(&p.ids, d, n, keys.host_id, &back, &err), &err);
  assert_memory_equal(back.data_key, keys.data_key, sizeof keys.data_key);
  assert_memory_equal(back.seal_key, keys.seal_key, sizeof keys.seal_key);
  assert_memory_equal(back.id_key, keys.id_key, sizeof keys.id_key);
  assert_memory_equal(back.seal_id, keys.seal_id, sizeof keys.seal_id);
  assert_int_equal(st_recovery_open(&p.ids, d, n, "00", &back, &err), -1);
  assert_error(&err, "of another host");
  assert_int_equal(st_recovery_open(&other.ids, d, n, keys.host_id, &back, &err), -1);
  assert_int_equal(err.status, ST_EXIT_INCOMPLETE);
  assert_error(&err, "not sealed to any of these keys");
}

static void test_bad_recovery(void **state)
{
  struct scratch *s = *state;
  struct pair p;
  struct st_keys back;
  static const char host[] = "00112233445566778899aabbccddeeff";
#define HOST "host 00112233445566778899aabbccddeeff\n"
#define KEY "key 00112233445566778899aabbccddeeff00112233445566778899aabbccddee"
  static const struct {
    const char *text;
    bool good;
  } cases[] = {
      {"systracker data key 1\n" HOST KEY "ff\n", true},
      {"systracker data key 2\n" HOST KEY "ff\n", false},
      {"systracker data key 1\n" HOST KEY "fg\n", false},
      {"systracker data key 1\n" HOST KEY "f\n", false},
      {"systracker data key 1\n" HOST KEY "ff", false},
      {"systracker data key 1\n" HOST KEY "ff\nmore\n", false},
      {"systracker data key 1\n" HOST, false},
      {"systracker data key 1\n" KEY "ff\n", false},
      {"", false},
  };
  make_pair(&p, s->fd);
  for (size_t i = 0; i < ST_COUNT(cases); i++) {
    ST_AUTO_BUFFER sealed = ST_BUFFER_INIT;
    assert_int_equal(st_age_encrypt(&p.to, 1, cases[i].text, strlen(cases[i].text), &sealed, NULL),
                     0);
    assert_int_equal(st_recovery_open(&p.ids, sealed.data, sealed.length, host, &back, NULL),
                     cases[i].good ? 0 : -1);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_base64),
      cmocka_unit_test(test_bech32),
      scratch_test(test_identity_files),
      scratch_test(test_fixed),
      scratch_test(test_sizes),
      scratch_test(test_damage),
      scratch_test(test_stanzas),
      scratch_test(test_other_stanzas),
      scratch_test(test_forged_payloads),
      scratch_test(test_chunks),
      scratch_test(test_age),
      scratch_test(test_recovery),
      scratch_test(test_bad_recovery),
  };
  st_digest_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
