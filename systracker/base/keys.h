/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keys.h - the host's keys: Ed25519 for its chain (RFC 8032), and the data key, from which the
 * keys for secrets' ids (HMAC) and for sealing (ChaCha20-Poly1305, RFC 8439) are derived with
 * HKDF-SHA-256 (RFC 5869).  They live in the store's file `key`, 0600.
 */
#ifndef ST_BASE_KEYS_H
#define ST_BASE_KEYS_H

#include "systracker/base/buffer.h"
#include "systracker/base/digest.h"

#define ST_PUBLIC_KEY_SIZE 32
#define ST_SIGNATURE_SIZE 64
#define ST_HOST_ID_SIZE 33  /* 32 hexadecimal digits and a NUL */
#define ST_SEAL_OVERHEAD 36 /* key id 8, nonce 12, tag 16 */

struct st_keys {
  uint8_t seed[32]; /* Ed25519 secret */
  uint8_t public_key[ST_PUBLIC_KEY_SIZE];
  uint8_t data_key[ST_KEY_SIZE];
  uint8_t id_key[ST_KEY_SIZE];   /* derived: HMAC of secrets */
  uint8_t seal_key[ST_KEY_SIZE]; /* derived: AEAD of secrets */
  uint8_t seal_id[8];            /* derived: which key sealed a record; says nothing about it */
  char host_id[ST_HOST_ID_SIZE]; /* first 16 bytes of SHA-256(public key), hexadecimal */
};

/* Makes new keys from the system's random source. */
int st_keys_make(struct st_keys *keys, struct st_error *err);
/* Reads the file `key` in the directory; -ENOENT when it is not there.  A file that others may
 * read, or that is malformed, is refused.  1: it is of version 1, and st_keys_raise would bring it
 * up. */
int st_keys_read(struct st_keys *keys, int dirfd, struct st_error *err);
/* Whether the public key, which st_keys_read takes as the file has it, is that of the seed; some
 * ten times as long as all else of reading it. */
int st_keys_check(const struct st_keys *keys, struct st_error *err);
/* Writes it: beside, 0600, synced, renamed; an existing one is an error. */
int st_keys_write(const struct st_keys *keys, int dirfd, struct st_error *err);
/* Puts what was read in the place of the file: beside, synced, renamed. */
int st_keys_raise(const struct st_keys *keys, int dirfd, struct st_error *err);
/* What reads another host's secrets: that host's data key and what is derived from it; the rest is
 * 0. */
void st_keys_of_data_key(struct st_keys *keys, const uint8_t data_key[ST_KEY_SIZE]);
/* Overwrites the memory. */
void st_keys_wipe(struct st_keys *keys);

void st_host_id(char out[ST_HOST_ID_SIZE], const uint8_t public_key[ST_PUBLIC_KEY_SIZE]);
/* Whether the first `n` bytes of the text are the id, or as much of its beginning as may stand for
 * it: four digits at least.  Less, as "a" or "db", is a name that many a host has. */
bool st_host_id_begins(const char *id, const char *text, size_t n);

int st_sign(const struct st_keys *keys, const void *data, size_t length,
            uint8_t out[ST_SIGNATURE_SIZE], struct st_error *err);
/* 0 when the signature is the key's over the data; an error otherwise. */
int st_verify_signature(const uint8_t public_key[ST_PUBLIC_KEY_SIZE], const void *data,
                        size_t length, const uint8_t signature[ST_SIGNATURE_SIZE],
                        struct st_error *err);

/* Appends key id, nonce, ciphertext and tag; `aad` is authenticated along. */
int st_seal(const struct st_keys *keys, const void *aad, size_t aad_length, const void *data,
            size_t length, struct st_buffer *out, struct st_error *err);
/* Appends the plaintext; another key, or one changed bit, is an error. */
int st_unseal(const struct st_keys *keys, const void *aad, size_t aad_length, const void *data,
              size_t length, struct st_buffer *out, struct st_error *err);

int st_random(void *out, size_t n, struct st_error *err);

/* HKDF-SHA-256 (RFC 5869); the salt may be empty. */
void st_hkdf(uint8_t *out, size_t out_length, const void *secret, size_t length, const void *salt,
             size_t salt_length, const char *info);

#endif
