/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digest.h - SHA-256, HMAC-SHA-256 and MD5, by libgcrypt. */
#ifndef ST_BASE_DIGEST_H
#define ST_BASE_DIGEST_H

#include "systracker/base/cleanup.h"
#include "systracker/base/error.h"

#define ST_DIGEST_SIZE 32
#define ST_KEY_SIZE 32
#define ST_MD5_SIZE 16

/* Starts libgcrypt, once; every program calls it first.  Ends the program where it cannot. */
void st_digest_init(void);

/* SHA-256 of some bytes. */
void st_digest(uint8_t out[ST_DIGEST_SIZE], const void *data, size_t length);

/* The same in pieces, plain (key NULL) or HMAC.  May be used again after st_digest_final. */
struct st_digester;
struct st_digester *st_digester_new(const uint8_t key[ST_KEY_SIZE]);
void st_digester_free(struct st_digester *d);
ST_DEFINE_CLEANUP(struct st_digester *, st_digester_free)
void st_digester_add(struct st_digester *d, const void *data, size_t length);
void st_digester_final(struct st_digester *d, uint8_t out[ST_DIGEST_SIZE]);

/* MD5, which packages declare of their files; nobody is trusted for it.  Of a content in pieces, by
 * a digester that does both, until st_digester_final.  false: the library has none, as where FIPS
 * 140 is enforced. */
bool st_md5(uint8_t out[ST_MD5_SIZE], const void *data, size_t length);
struct st_digester *st_digester_new_with_md5(void);
bool st_digester_md5(struct st_digester *d, uint8_t out[ST_MD5_SIZE]);

/* HMAC-SHA-256 under a key of any length but 0. */
void st_hmac(uint8_t out[ST_DIGEST_SIZE], const void *key, size_t key_length, const void *data,
             size_t length);

/* The id of content: SHA-256, or HMAC under `key` where that is not NULL. */
void st_id_of(struct st_id *out, const uint8_t key[ST_KEY_SIZE], const void *data, size_t length);
bool st_id_equal(const struct st_id *a, const struct st_id *b);
int st_id_compare(const struct st_id *a, const struct st_id *b); /* plain ones first */

/* CRC-32C (Castagnoli, RFC 3720 B.4) of some bytes; continues from `crc`, 0 at first. */
uint32_t st_crc32c(uint32_t crc, const void *data, size_t length);

#endif
