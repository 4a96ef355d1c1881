/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * age.h - small secrets sealed to others' public keys, in the age format, version 1 (C2SP, age.md):
 * X25519 recipients alone, binary form alone.  age(1) opens what this seals, and the other way.
 */
#ifndef ST_BASE_AGE_H
#define ST_BASE_AGE_H

#include "systracker/base/keys.h"

#define ST_AGE_RECIPIENT_SIZE 63 /* "age1..." and a NUL */
#define ST_AGE_IDENTITY_SIZE 75  /* "AGE-SECRET-KEY-1..." and a NUL */
#define ST_AGE_MAX (1u << 24)    /* bytes sealed or opened at once: it is all in memory */
#define ST_AGE_RECIPIENTS 64     /* at most, of one file */
#define ST_AGE_IDENTITIES 16     /* at most, in one identity file */

/* A public key. */
struct st_age_recipient {
  uint8_t point[32];
};

/* Secret keys. */
struct st_age_identities {
  uint8_t scalars[ST_AGE_IDENTITIES][32];
  size_t count;
};

/* Makes a new key pair and its two texts.  The caller wipes `identity`. */
int st_age_make(char identity[ST_AGE_IDENTITY_SIZE], char recipient[ST_AGE_RECIPIENT_SIZE],
                struct st_error *err);

/* "age1...".  A malformed one is an error that does not repeat it: it may be a secret key. */
int st_age_recipient(struct st_age_recipient *ret, const char *text, struct st_error *err);

/* Reads an identity file as age-keygen(1) writes it: secret keys, a line each, among empty lines
 * and comments that begin with "#".  None, or anything else, is an error. */
int st_age_read_identities(struct st_age_identities *ret, int fd, struct st_error *err);
void st_age_wipe(struct st_age_identities *ids);

/* Appends the sealed form.  Each of the recipients can open it. */
int st_age_encrypt(const struct st_age_recipient *to, size_t count, const void *data, size_t length,
                   struct st_buffer *out, struct st_error *err);

/* Appends the plaintext, which the caller wipes (st_buffer_wipe).  Not for any of these keys:
 * refused; malformed or changed in any bit: an error. */
int st_age_decrypt(const struct st_age_identities *ids, const void *data, size_t length,
                   struct st_buffer *out, struct st_error *err);

/* Overwrites a buffer's memory and frees it. */
void st_buffer_wipe(struct st_buffer *b);
#define ST_AUTO_SECRET_BUFFER ST_CLEANUP(st_buffer_wipe) struct st_buffer

#endif
