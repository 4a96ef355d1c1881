/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/digest.h"
#include "systracker/base/escape.h"
#include "systracker/base/test-scratch.h"

static void assert_digest(const uint8_t *digest, const char *hex)
{
  char text[2 * ST_DIGEST_SIZE + 1];
  st_hex(text, digest, ST_DIGEST_SIZE);
  assert_string_equal(text, hex);
}

#define OF_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* FIPS 180-2, B.1. */
static void test_sha256(void **state)
{
  (void)state;
  uint8_t out[ST_DIGEST_SIZE];
  st_digest(out, "abc", 3);
  assert_digest(out, OF_ABC);
  st_digest(out, NULL, 0);
  assert_digest(out, OF_NOTHING);
}

static void test_pieces(void **state)
{
  (void)state;
  uint8_t out[ST_DIGEST_SIZE];
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  for (int i = 0; i < 2; i++) { /* it may be used again */
    st_digester_add(d, "a", 1);
    st_digester_add(d, NULL, 0);
    st_digester_add(d, "bc", 2);
    st_digester_final(d, out);
    assert_digest(out, OF_ABC);
  }
  st_digester_final(d, out);
  assert_digest(out, OF_NOTHING);
}

/* The value is Python's hmac module's. */
static void test_id(void **state)
{
  (void)state;
  static const char hmac[] = "723f228d66d0f98dd0b43d22396eda3938365077ed1737631b6ca62d2dca6b43";
  uint8_t key[ST_KEY_SIZE], out[ST_DIGEST_SIZE];
  struct st_id plain, keyed;
  for (size_t i = 0; i < sizeof key; i++)
    key[i] = (uint8_t)i;
  st_id_of(&plain, NULL, "secret", 6);
  st_id_of(&keyed, key, "secret", 6);
  assert_int_equal(plain.keyed, 0);
  assert_int_equal(keyed.keyed, 1);
  assert_digest(keyed.digest, hmac);
  assert_true(st_id_equal(&plain, &plain));
  assert_false(st_id_equal(&plain, &keyed));
  struct st_id other = keyed;
  other.keyed = 0;
  assert_false(st_id_equal(&other, &keyed));
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(key);
  for (int i = 0; i < 2; i++) { /* the key stays */
    st_digester_add(d, "secret", 6);
    st_digester_final(d, out);
    assert_digest(out, hmac);
  }
}

/* RFC 3720, B.4. */
static void test_crc(void **state)
{
  (void)state;
  uint8_t data[32];
  memset(data, 0, sizeof data);
  assert_int_equal(st_crc32c(0, data, sizeof data), 0x8a9136aa);
  memset(data, 0xff, sizeof data);
  assert_int_equal(st_crc32c(0, data, sizeof data), 0x62a8ab43);
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = (uint8_t)i;
  assert_int_equal(st_crc32c(0, data, sizeof data), 0x46dd794e);
  for (size_t i = 0; i <= sizeof data; i++) {
    uint32_t crc = st_crc32c(0, data, i);
    assert_int_equal(st_crc32c(crc, data + i, sizeof data - i), 0x46dd794e);
  }
  assert_int_equal(st_crc32c(0, "123456789", 9), 0xe3069283);
  assert_int_equal(st_crc32c(0, NULL, 0), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sha256),
      cmocka_unit_test(test_pieces),
      cmocka_unit_test(test_id),
      cmocka_unit_test(test_crc),
  };
  st_digest_init();
  st_digest_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
