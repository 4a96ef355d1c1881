/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/keys.h"
#include "systracker/base/test-scratch.h"

/* Keys of this seed, with the data key 00 01 02 ..., by way of a key file of version 1. */
static void keys_of(struct st_keys *keys, const char *seed, int dir)
{
  uint8_t file[108] = "STrkKey\n\1";
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_true(st_unhex(file + 12, 32, seed));
  for (uint8_t i = 0; i < ST_KEY_SIZE; i++)
    file[44 + i] = i;
  st_digest(file + 76, file, 76);
  unlinkat(dir, "key", 0);
  assert_ok(st_write_file(dir, "key", 0600, file, sizeof file, &err), &err);
  assert_int_equal(st_keys_read(keys, dir, &err), 1);
  assert_memory_equal(keys->seed, file + 12, 32);
}

static void assert_bytes(const uint8_t *data, size_t n, const char *hex)
{
  char text[200];
  assert_true(2 * n < sizeof text);
  st_hex(text, data, n);
  assert_string_equal(text, hex);
}

/* RFC 8032, 7.1, tests 1 and 2; then OpenSSL's answers for a seed of leading zeros, which a
 * library of big integers may drop, and another. */
static void test_ed25519(void **state)
{
  static const struct {
    const char *seed, *public_key, *message, *signature;
  } cases[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf"
       "9"
       "b46bd25bf5f0595bbe24655141438e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "r",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f"
       "1"
       "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
      {"0000000000000000000000000000000000000000000000000000000000000001",
       "4cb5abf6ad79fbf5abbccafcc269d85cd2651ed4b885b5869f241aedf0a5ba29", "systracker",
       "946f45653c3fcd272d400c120d0ee4ccbc9585c34539540bc671df0a62e85074161f40cf7d6c546c3bc77f206e1"
       "7"
       "ef57aa48b3ab75ba3d42aca196850771d009"},
      {"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
       "3ccd241cffc9b3618044b97d036d8614593d8b017c340f1dee8773385517654b", "systracker",
       "76a50461f95fcb1c6b422a6efe50d5c26932dc3f59a30169ad163c2edc160fa9ebf6bfd3a99e607e604201baa2d"
       "8"
       "4bb0579e476a0e74552674fc6bce28375d0c"},
  };
  struct scratch *s = *state;
  for (size_t i = 0; i < ST_COUNT(cases); i++) {
    struct st_keys keys;
    uint8_t signature[ST_SIGNATURE_SIZE];
    const char *message = cases[i].message;
    keys_of(&keys, cases[i].seed, s->fd);
    assert_bytes(keys.public_key, sizeof keys.public_key, cases[i].public_key);
    assert_int_equal(st_sign(&keys, message, strlen(message), signature, NULL), 0);
    assert_bytes(signature, sizeof signature, cases[i].signature);
    assert_int_equal(
        st_verify_signature(keys.public_key, message, strlen(message), signature, NULL), 0);
  }
}

static void test_bad_signature(void **state)
{
  (void)state;
  struct st_keys keys, other;
  uint8_t signature[ST_SIGNATURE_SIZE];
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_ok(st_keys_make(&keys, &err), &err);
  assert_ok(st_keys_make(&other, &err), &err);
  assert_memory_not_equal(keys.seed, other.seed, sizeof keys.seed);
  assert_ok(st_sign(&keys, "message", 7, signature, &err), &err);
  assert_int_equal(st_verify_signature(keys.public_key, "messagf", 7, signature, &err), -1);
  assert_error(&err, "signature is wrong");
  assert_int_equal(st_verify_signature(other.public_key, "message", 7, signature, NULL), -1);
  for (size_t i = 0; i < sizeof signature; i++) {
    signature[i] ^= 1;
    assert_int_equal(st_verify_signature(keys.public_key, "message", 7, signature, NULL), -1);
    signature[i] ^= 1;
  }
  assert_int_equal(st_verify_signature(keys.public_key, "message", 7, signature, NULL), 0);
  uint8_t zero[ST_SIGNATURE_SIZE] = {0};
  assert_int_equal(st_verify_signature(keys.public_key, "message", 7, zero, NULL), -1);
  assert_int_equal(st_verify_signature(zero, "message", 7, signature, NULL), -1);
}

/* Points with a small coordinate end libgcrypt's own verification; points of small order let
 * anybody sign.  In turn: y 0, y 1, y 2^192 - 1, x 0, x small, -x small, order 8, no point. */
static void test_hostile_key(void **state)
{
  (void)state;
  static const char *const hostile[] = {
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "ffffffffffffffffffffffffffffffffffffffffffffffff0000000000000000",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "d6028512eb91f7ef218cef7db3c86b756b7815ea68f2dfaebcc59c53c2e4b594",
      "d476f8e6ae4ce89ad9f7998f237c0988e534888e491e2524b9cbbad7476dda61",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
      "0200000000000000000000000000000000000000000000000000000000000000",
  };
  /* R the neutral element, S 0: right for a key of small order, every eighth time. */
  uint8_t signature[ST_SIGNATURE_SIZE] = {1}, key[ST_PUBLIC_KEY_SIZE];
  for (size_t i = 0; i < ST_COUNT(hostile); i++)
    for (int message = 0; message < 16; message++) {
      ST_AUTO_ERROR err = ST_ERROR_INIT;
      assert_true(st_unhex(key, sizeof key, hostile[i]));
      assert_int_equal(st_verify_signature(key, &message, sizeof message, signature, &err), -1);
      assert_error(&err, "public key is malformed");
    }
}

/* S plus the group's order is the same number to the curve, but not the same signature. */
static void test_malleable(void **state)
{
  (void)state;
  static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                    0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                    0,    0,    0,    0,    0,    0,    0,    0,
                                    0,    0,    0,    0,    0,    0,    0,    0x10};
  struct st_keys keys;
  uint8_t signature[ST_SIGNATURE_SIZE];
  assert_int_equal(st_keys_make(&keys, NULL), 0);
  assert_int_equal(st_sign(&keys, "message", 7, signature, NULL), 0);
  unsigned carry = 0;
  for (int i = 0; i < 32; i++) {
    carry += signature[32 + i] + (unsigned)order[i];
    signature[32 + i] = (uint8_t)carry;
    carry >>= 8;
  }
  assert_int_equal(st_verify_signature(keys.public_key, "message", 7, signature, NULL), -1);
}

/* RFC 5869, A.3 and A.1; and Python's answers for ours. */
static void test_hkdf(void **state)
{
  struct scratch *s = *state;
  uint8_t secret[22], out[42];
  struct st_keys keys;
  memset(secret, 0x0b, sizeof secret);
  st_hkdf(out, sizeof out, secret, sizeof secret, NULL, 0, "");
  assert_bytes(out, sizeof out,
               "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
               "9d201395faa4b61a96c8");
  uint8_t salt[13];
  for (uint8_t i = 0; i < sizeof salt; i++)
    salt[i] = i;
  st_hkdf(out, sizeof out, secret, sizeof secret, salt, sizeof salt,
          "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9");
  assert_bytes(out, sizeof out,
               "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
               "34007208d5b887185865");
  keys_of(&keys, "0000000000000000000000000000000000000000000000000000000000000001", s->fd);
  assert_bytes(keys.id_key, sizeof keys.id_key,
               "a9b90bc9946cf3faccde32b39dc21d2b9dfb02a9af5385b1cf61203eba975331");
  assert_bytes(keys.seal_key, sizeof keys.seal_key,
               "6e67112dc310f3a4b1a41973f33c1b7815b145a3df1c10f58ab6f21a5a684262");
  assert_bytes(keys.seal_id, sizeof keys.seal_id, "2e83f9e8fc38b414");
}

static void test_file(void **state)
{
  struct scratch *s = *state;
  struct st_keys keys, back;
  struct stat st;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_int_equal(st_keys_read(&back, s->fd, &err), -ENOENT);
  assert_ok(st_keys_make(&keys, &err), &err);
  assert_int_equal(strlen(keys.host_id), 32);
  mode_t mask = umask(0);
  assert_ok(st_keys_write(&keys, s->fd, &err), &err);
  umask(mask);
  assert_int_equal(fstatat(s->fd, "key", &st, 0), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  assert_int_equal(st.st_nlink, 1);
  assert_ok(st_keys_read(&back, s->fd, &err), &err);
  assert_memory_equal(&keys, &back, sizeof keys);
  struct st_keys other;
  assert_ok(st_keys_make(&other, &err), &err);
  assert_int_equal(st_keys_write(&other, s->fd, &err), -1);
  assert_error(&err, "File exists");
  assert_ok(st_keys_read(&back, s->fd, &err), &err);
  assert_memory_equal(&keys, &back, sizeof keys);
}

/* A file of version 1 reads as it did, and is brought up. */
static void test_raise(void **state)
{
  struct scratch *s = *state;
  struct st_keys keys, back;
  struct stat st;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  keys_of(&keys, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", s->fd);
  assert_ok(st_keys_raise(&keys, s->fd, &err), &err);
  assert_int_equal(fstatat(s->fd, "key", &st, 0), 0);
  assert_int_equal(st.st_size, 140);
  assert_int_equal(st.st_mode & 07777, 0600);
  assert_int_equal(st_keys_read(&back, s->fd, &err), 0);
  assert_memory_equal(&keys, &back, sizeof keys);
}

/* The file's digest is right all the same. */
static void test_other_public_key(void **state)
{
  struct scratch *s = *state;
  struct st_keys keys, other, back;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_ok(st_keys_make(&keys, &err), &err);
  assert_ok(st_keys_check(&keys, &err), &err);
  assert_ok(st_keys_make(&other, &err), &err);
  memcpy(keys.public_key, other.public_key, sizeof keys.public_key);
  assert_ok(st_keys_raise(&keys, s->fd, &err), &err);
  assert_ok(st_keys_read(&back, s->fd, &err), &err);
  assert_int_equal(st_keys_check(&back, &err), -1);
  assert_error(&err, "is not that of its seed");
}

static void test_bad_file(void **state)
{
  struct scratch *s = *state;
  struct st_keys keys;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_int_equal(st_keys_make(&keys, NULL), 0);
  assert_int_equal(st_keys_write(&keys, s->fd, NULL), 0);
  fchmodat(s->fd, "key", 0640, 0);
  assert_int_equal(st_keys_read(&keys, s->fd, &err), -1);
  assert_error(&err, "open to others");
  fchmodat(s->fd, "key", 0600, 0);
  int fd = openat(s->fd, "key", O_RDWR);
  struct stat st;
  fstat(fd, &st);
  for (off_t i = 0; i < st.st_size; i++) { /* each byte counts */
    uint8_t c, d;
    assert_int_equal(pread(fd, &c, 1, i), 1);
    d = c ^ 0x10;
    assert_int_equal(pwrite(fd, &d, 1, i), 1);
    assert_int_equal(st_keys_read(&keys, s->fd, &err), -1);
    assert_int_equal(pwrite(fd, &c, 1, i), 1);
  }
  assert_int_equal(ftruncate(fd, 50), 0);
  assert_int_equal(st_keys_read(&keys, s->fd, &err), -1);
  assert_error(&err, "damaged");
  close(fd);
  assert_int_equal(renameat(s->fd, "key", s->fd, "real"), 0);
  assert_int_equal(symlinkat("real", s->fd, "key"), 0);
  assert_int_equal(st_keys_read(&keys, s->fd, &err), -1);
}

static void seal_round(size_t length)
{
  struct st_keys keys;
  ST_AUTO_BUFFER sealed = ST_BUFFER_INIT;
  ST_AUTO_BUFFER plain = ST_BUFFER_INIT;
  ST_AUTO_FREE char *data = st_malloc(length);
  memset(data, 0x42, length);
  assert_int_equal(st_keys_make(&keys, NULL), 0);
  st_buffer_append_string(&sealed, "x");
  assert_int_equal(st_seal(&keys, "aad", 3, data, length, &sealed, NULL), 0);
  assert_int_equal(sealed.length, 1 + length + ST_SEAL_OVERHEAD);
  if (length >= 16)
    assert_null(memmem(sealed.data, sealed.length, data, 16));
  const char *s = sealed.data + 1;
  assert_int_equal(st_unseal(&keys, "aad", 3, s, sealed.length - 1, &plain, NULL), 0);
  assert_int_equal(plain.length, length);
  if (length)
    assert_memory_equal(plain.data, data, length);
}

static void test_seal(void **state)
{
  (void)state;
  seal_round(0);
  seal_round(1);
  seal_round(64);
  seal_round(100001);
}

static void test_unseal_errors(void **state)
{
  (void)state;
  struct st_keys keys, other;
  ST_AUTO_BUFFER sealed = ST_BUFFER_INIT;
  ST_AUTO_BUFFER again = ST_BUFFER_INIT;
  ST_AUTO_BUFFER plain = ST_BUFFER_INIT;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  assert_int_equal(st_keys_make(&keys, NULL), 0);
  assert_int_equal(st_keys_make(&other, NULL), 0);
  assert_int_equal(st_seal(&keys, "aad", 3, "hello", 5, &sealed, NULL), 0);
  assert_int_equal(st_seal(&keys, "aad", 3, "hello", 5, &again, NULL), 0);
  assert_memory_not_equal(sealed.data + 8, again.data + 8, again.length - 8);
  for (size_t i = 0; i < sealed.length; i++) {
    sealed.data[i] ^= 1;
    assert_int_equal(st_unseal(&keys, "aad", 3, sealed.data, sealed.length, &plain, &err), -1);
    sealed.data[i] ^= 1;
  }
  for (size_t i = 0; i < sealed.length; i++)
    assert_int_equal(st_unseal(&keys, "aad", 3, sealed.data, i, &plain, &err), -1);
  assert_int_equal(st_unseal(&keys, "aae", 3, sealed.data, sealed.length, &plain, &err), -1);
  assert_error(&err, "damaged");
  assert_int_equal(st_unseal(&other, "aad", 3, sealed.data, sealed.length, &plain, &err), -1);
  assert_error(&err, "another key");
  assert_int_equal(plain.length, 0);
  assert_int_equal(st_unseal(&keys, "aad", 3, sealed.data, sealed.length, &plain, &err), 0);
  assert_string_equal(plain.data, "hello");
}

static void test_id_begins(void **state)
{
  static const char id[] = "dbca5a40e2f1c3b4a5968778695a4b3c";
  (void)state;
  for (size_t n = 0; n <= 32; n++)
    assert_int_equal(st_host_id_begins(id, id, n), n >= 4);
  assert_false(st_host_id_begins(id, "dbca5a40e2f1c3b4a5968778695a4b3c0", 33));
  assert_false(st_host_id_begins(id, "dbcb", 4));
  assert_true(st_host_id_begins(id, "dbca/epoch-2", 4));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_id_begins),
      scratch_test(test_ed25519),
      cmocka_unit_test(test_bad_signature),
      cmocka_unit_test(test_malleable),
      cmocka_unit_test(test_hostile_key),
      scratch_test(test_hkdf),
      scratch_test(test_file),
      scratch_test(test_raise),
      scratch_test(test_bad_file),
      scratch_test(test_other_public_key),
      cmocka_unit_test(test_seal),
      cmocka_unit_test(test_unseal_errors),
  };
  st_digest_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
