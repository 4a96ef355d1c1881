/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "archive-sync/signature.h"
#include "systracker/base/base64.h"
#include "systracker/base/escape.h"
#include "systracker/base/test-scratch.h"

#define NOW 1763730000
#define INPUT                                                                                      \
  "systracker=(\"@method\" \"@path\" \"@query\" \"content-digest\" \"systracker-archive\" "        \
  "\"systracker-token\");created=1763730000;nonce=\"AAECAwQFBgcICQoLDA0ODw\";"                     \
  "keyid=\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\";alg=\"ed25519\";tag=\"systracker\""
#define DIGEST "sha-256=:BI46pnczT3cMGHPepdzMNF/ut+su88uYisjvEHsfDjY=:"
#define SIGNATURE                                                                                  \
  "systracker=:SDIdudBu7c8B0HrWqqHBs28scTC2gwTNSw+e1HspmaakKRn4VUZ259PRrf5zY3Rc4DWCMO5meCX2Itv7kz" \
  "jbBg==:"

static const char body[] = "{\"epoch\":1,\"number\":0}";

static struct st_signed_request a_request(void)
{
  return (struct st_signed_request){.method = "POST",
                                    .path = "/v1/sync",
                                    .query = "a=b",
                                    .body = body,
                                    .body_length = sizeof(body) - 1,
                                    .archive = "00112233445566778899aabbccddeeff",
                                    .token = "jToken"};
}

static int check(const struct st_signed_request *r, const char *digest, const char *input,
                 const char *signature, struct st_error *err)
{
  struct st_signature_proof proof;
  return st_signature_check(r, digest, input, signature, NOW, &proof, err);
}

/* Signed by another implementation (Python's cryptography, the base written out by hand). */
static void test_known(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_signed_request r = a_request();
  struct st_signature_proof proof;
  assert_ok(st_signature_check(&r, DIGEST, INPUT, SIGNATURE, NOW, &proof, &err), &err);
  assert_string_equal(proof.nonce, "AAECAwQFBgcICQoLDA0ODw");
  assert_int_equal(proof.created, NOW);
  assert_int_equal(proof.public_key[0], 0xd7);
  assert_int_equal(proof.public_key[31], 0x1a);
}

static void test_both_ways(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_keys keys;
  assert_ok(st_keys_make(&keys, &err), &err);
  struct st_signed_request r = a_request();
  char last[33] = "";
  for (int i = 0; i < 3; i++) {
    ST_CLEANUP(st_signature_headers_clear) struct st_signature_headers h = {0};
    struct st_signature_proof proof;
    r.token = i == 0 ? "jToken" : NULL;
    r.server = i == 1 ? NULL : "name:a.example";
    r.body_length = i == 2 ? 0 : sizeof(body) - 1;
    assert_ok(st_signature_make(&r, &keys, NOW, &h, &err), &err);
    assert_ok(
        st_signature_check(&r, h.content_digest, h.input, h.signature, NOW + 299, &proof, &err),
        &err);
    assert_memory_equal(proof.public_key, keys.public_key, ST_PUBLIC_KEY_SIZE);
    assert_string_not_equal(proof.nonce, last); /* each its own */
    memcpy(last, proof.nonce, sizeof(last));
  }
}

/* Whatever is covered cannot be changed. */
static void test_changed(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_signed_request changed[7];
  for (size_t i = 0; i < ST_COUNT(changed); i++)
    changed[i] = a_request();
  changed[0].method = "PUT";
  changed[1].path = "/v1/sync/";
  changed[2].query = "";
  changed[3].archive = "00112233445566778899aabbccddeefe";
  changed[4].token = "jtoken";
  changed[5].token = NULL;
  changed[6].body_length--;
  static const char *const words[] = {"wrong", "wrong", "wrong",      "wrong",
                                      "wrong", "parts", "not the one"};
  for (size_t i = 0; i < ST_COUNT(changed); i++) {
    assert_true(check(&changed[i], DIGEST, INPUT, SIGNATURE, &err) < 0);
    assert_error(&err, words[i]);
  }
}

/* Whom it is for can be neither changed, taken away nor added. */
static void test_server(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_keys keys;
  struct st_signature_proof proof;
  ST_CLEANUP(st_signature_headers_clear) struct st_signature_headers h = {0};
  struct st_signed_request r = a_request();
  static const char *const others[] = {NULL, "name:b.example", "name:a.example ", ""};
  r.server = "name:a.example";
  assert_ok(st_keys_make(&keys, &err), &err);
  assert_ok(st_signature_make(&r, &keys, NOW, &h, &err), &err);
  assert_non_null(strstr(h.input, "\"systracker-archive\" \"systracker-server\" "));
  assert_ok(st_signature_check(&r, h.content_digest, h.input, h.signature, NOW, &proof, &err),
            &err);
  for (size_t i = 0; i < ST_COUNT(others); i++) {
    r.server = others[i];
    assert_true(st_signature_check(&r, h.content_digest, h.input, h.signature, NOW, &proof, &err) <
                0);
    assert_error(&err, others[i] ? "wrong" : "parts");
  }
  r = a_request(); /* as older hosts sign it */
  r.server = "name:a.example";
  assert_true(check(&r, DIGEST, INPUT, SIGNATURE, &err) < 0);
  assert_error(&err, "parts");
}

/* A line end within a value would let it pass for the next line. */
static void test_spliced(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_keys keys;
  assert_ok(st_keys_make(&keys, &err), &err);
  struct st_signed_request r = a_request();
  ST_CLEANUP(st_signature_headers_clear) struct st_signature_headers h = {0};
  r.path = "/v1/sync\n\"@query\": ?";
  assert_true(st_signature_make(&r, &keys, NOW, &h, &err) < 0);
  assert_error(&err, "control character");
  assert_true(check(&r, DIGEST, INPUT, SIGNATURE, &err) < 0);
  assert_error(&err, "control character");
}

static void test_time(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_signed_request r = a_request();
  struct st_signature_proof proof;
  assert_true(st_signature_check(&r, DIGEST, INPUT, SIGNATURE, NOW + 301, &proof, &err) < 0);
  assert_error(&err, "301 seconds ago");
  assert_true(st_signature_check(&r, DIGEST, INPUT, SIGNATURE, NOW - 301, &proof, &err) < 0);
  assert_error(&err, "301 seconds from now");
  assert_ok(st_signature_check(&r, DIGEST, INPUT, SIGNATURE, NOW - 300, &proof, &err), &err);
}

/* Replaces the first `what` in the input. */
static char *with(const char *text, const char *what, const char *by)
{
  const char *at = strstr(text, what);
  assert_non_null(at);
  return st_format("%.*s%s%s", (int)(at - text), text, by, at + strlen(what));
}

static void test_other_parameters(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  static const struct {
    const char *what, *by, *words;
  } cases[] = {
      {"systracker=", "sig1=", "malformed"},
      {"\"@method\" \"@path\"", "\"@path\" \"@method\"", "other parts"},
      {"\"@method\" ", "", "other parts"},
      {" \"content-digest\"", "", "other parts"},
      {" \"systracker-archive\"", "", "other parts"},
      {" \"systracker-token\"", "", "other parts"},
      {"\"systracker-token\"", "\"systracker-token\" \"date\"", "other parts"},
      {";created=1763730000", "", "malformed"},
      {"created=1763730000", "created=-763730000", "malformed"},
      {"created=1763730000", "created=0763730000", "malformed"},
      {"created=1763730000", "created=99999999999999999999", "malformed"},
      {"created=1763730000", "created=1763730000;expires=1763739999", "malformed"},
      {"created=1763730000;nonce=\"AAECAwQFBgcICQoLDA0ODw\"",
       "nonce=\"AAECAwQFBgcICQoLDA0ODw\";created=1763730000", "malformed"},
      {"AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQ", "malformed"},
      {"AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0ODwAAECAwQFBgcICQoLDA0ODw", "malformed"},
      {"AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQo DA0ODw", "malformed"},
      {"PcHURo", "PcHUR", "malformed"},
      {"PcHURo", "PcHURp", "malformed"}, /* bits beyond the last byte */
      {"VS_7", "VS/7", "malformed"},
      {"ed25519", "hmac-sha256", "another algorithm"},
      {";alg=\"ed25519\"", "", "another algorithm"},
      {"tag=\"systracker\"", "tag=\"other\"", "another algorithm"},
      {"tag=\"systracker\"", "tag=\"systracker\", x=()", "another algorithm"},
      {"AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0ODx", "wrong"},
      {"11qYAY", "21qYAY", "wrong"},
  };
  struct st_signed_request r = a_request();
  for (size_t i = 0; i < ST_COUNT(cases); i++) {
    ST_AUTO_FREE char *input = with(INPUT, cases[i].what, cases[i].by);
    assert_true(check(&r, DIGEST, input, SIGNATURE, &err) < 0);
    assert_error(&err, cases[i].words);
  }
}

static void test_malformed(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_signed_request r = a_request();
  ST_AUTO_FREE char *flipped = with(SIGNATURE, "SDId", "TDId");
  ST_AUTO_FREE char *tail = with(SIGNATURE, "Bg==:", "Bh==:");
  ST_AUTO_FREE char *no_padding = with(SIGNATURE, "==:", ":");
  ST_AUTO_FREE char *more = with(SIGNATURE, "==:", "==:, x=::");
  const char *const malformed[] = {"", "systracker=", "systracker=::", tail, no_padding, more};
  for (size_t i = 0; i < ST_COUNT(malformed); i++) {
    assert_true(check(&r, DIGEST, INPUT, malformed[i], &err) < 0);
    assert_error(&err, "malformed");
  }
  assert_true(check(&r, DIGEST, INPUT, flipped, &err) < 0);
  assert_error(&err, "wrong");
  static const char *const digests[] = {
      "", "sha-256=::", "sha-512=:BI46pnczT3cMGHPepdzMNF/ut+su88uYisjvEHsfDjY=:",
      "sha-256=:BI46pnczT3cMGHPepdzMNF/ut+su88uYisjvEHsfDjY:",
      "SHA-256=:BI46pnczT3cMGHPepdzMNF/ut+su88uYisjvEHsfDjY=:"};
  for (size_t i = 0; i < ST_COUNT(digests); i++) {
    assert_true(check(&r, digests[i], INPUT, SIGNATURE, &err) < 0);
    assert_error(&err, "not the one");
  }
  /* Every beginning of it, and one that never ends. */
  for (size_t n = 0; n < strlen(INPUT); n++) {
    ST_AUTO_FREE char *input = st_memdup(INPUT, n);
    assert_true(check(&r, DIGEST, input, SIGNATURE, &err) < 0);
    st_error_clear(&err);
  }
  ST_AUTO_FREE char *endless = st_calloc(1, 100001);
  memset(endless, '(', 100000);
  assert_true(check(&r, DIGEST, endless, SIGNATURE, &err) < 0);
  assert_error(&err, "malformed");
}

/* A key that is whatever somebody chose: of small order, where a signature of nothing but the
 * neutral point would do, beyond the prime, or no point at all. */
static void test_chosen_keys(void **state)
{
  (void)state;
  static const char *const keys[] = {
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0000000000000000000000000000000000000000000000000000000000000080",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000080",
      "0200000000000000000000000000000000000000000000000000000000000000",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
  };
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_signed_request r = a_request();
  uint8_t neutral[ST_SIGNATURE_SIZE] = {1};
  ST_AUTO_BUFFER signature = ST_BUFFER_INIT;
  st_buffer_append_string(&signature, "systracker=:");
  st_base64(&signature, neutral, sizeof(neutral));
  st_buffer_append_string(&signature, "==:");
  for (size_t i = 0; i < ST_COUNT(keys); i++) {
    uint8_t key[ST_PUBLIC_KEY_SIZE];
    ST_AUTO_BUFFER id = ST_BUFFER_INIT;
    assert_true(st_unhex(key, sizeof(key), keys[i]));
    st_base64url(&id, key, sizeof(key));
    ST_AUTO_FREE char *input = with(INPUT, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", id.data);
    for (char c = 'A'; c < 'U'; c++) { /* it would do for some messages */
      strstr(input, "nonce=\"")[strlen("nonce=\"")] = c;
      assert_true(check(&r, DIGEST, input, signature.data, &err) < 0);
      assert_error(&err, "wrong");
    }
  }
}

int main(void)
{
  st_digest_init();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known),
      cmocka_unit_test(test_both_ways),
      cmocka_unit_test(test_changed),
      cmocka_unit_test(test_server),
      cmocka_unit_test(test_spliced),
      cmocka_unit_test(test_time),
      cmocka_unit_test(test_other_parameters),
      cmocka_unit_test(test_malformed),
      cmocka_unit_test(test_chosen_keys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
